//! The widths that `tidegate_wire` carries as bytes are those of the types that give them a meaning.

use tidegate_channel::{
    Ack, ChannelTerms, ClientState, Credit, FinalTerms, LeafPrivate, LeafPublic, OpOutcome, Outcome, SignedHeader,
};
use tidegate_types::Fixed;
use tidegate_wire::lengths as wire;

const _: () = assert!(ClientState::LEN == wire::STATE_LEN);
const _: () = assert!(SignedHeader::LEN == wire::SIGNED_HEADER_LEN);
const _: () = assert!(LeafPrivate::LEN == wire::LEAF_PRIVATE_LEN);
const _: () = assert!(LeafPublic::LEN == wire::LEAF_PUBLIC_LEN);
const _: () = assert!(Credit::LEN == wire::CREDIT_LEN);
const _: () = assert!(Outcome::LEN == wire::OUTCOME_LEN);
const _: () = assert!(Ack::LEN == wire::ACK_LEN);
const _: () = assert!(FinalTerms::LEN == wire::FINAL_TERMS_LEN);
const _: () = assert!(OpOutcome::LEN == wire::OP_OUTCOME_LEN);
const _: () = assert!(ChannelTerms::LEN <= wire::MAX_TERMS_LEN);
