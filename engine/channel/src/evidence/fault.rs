//! Faults of a hub: two signed objects that no honest hub signs both (rule 27).
//!
//! | kind | first | second |
//! |---|---|---|
//! | `TwoHeaders` | header n | another header n |
//! | `HeaderChain` | header n | header n + 1 that names another predecessor |
//! | `TwoLeaves` | leaf (channel, h) | another leaf (channel, h) |
//! | `LeafChain` | leaf h | leaf h + 1 that names another predecessor |
//! | `TotalFell` | leaf h | a later leaf with a lower K |
//! | `AfterFinal` | a final leaf | a later leaf |
//! | `OldState` | a start of a close that names batch n and state c | a leaf of a batch up to n that acknowledges a later state |
//!
//! ```text
//! fault   form 1 | headers (1): header 248 twice | leaves (2): `ProvenLeaf` twice | start (3): start 128, `ProvenLeaf`
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::Verdict;
use tidegate_types::{ChannelId, DecodeError, Digest, Fixed, KeyBytes, LedgerId, Reader};

use super::{Opener, ProvenLeaf, SignedStart};
use crate::codec::Canonical;
use crate::{HeaderError, LeafKind, SignedHeader};

/// Two signed objects that contradict each other, the earlier one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Two headers.
    Headers(Box<[SignedHeader; 2]>),
    /// Two leaves of one channel.
    Leaves(Box<[ProvenLeaf; 2]>),
    /// The start of a close, and a leaf of the channel.
    Start(Box<SignedStart>, Box<ProvenLeaf>),
}

/// What a hub did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// It signed two headers with one number.
    TwoHeaders,
    /// A header does not name the one before.
    HeaderChain,
    /// It signed two leaves with one counter.
    TwoLeaves,
    /// A leaf does not name the one before.
    LeafChain,
    /// Its total credit fell.
    TotalFell,
    /// A leaf follows a final one.
    AfterFinal,
    /// It started a close with a client state that it knew to be old.
    OldState,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::TwoHeaders,
        Self::HeaderChain,
        Self::TwoLeaves,
        Self::LeafChain,
        Self::TotalFell,
        Self::AfterFinal,
        Self::OldState,
    ];
}

/// Why two objects prove no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// An honest hub may have signed both.
    #[error("the two objects do not contradict each other")]
    NoFault,
    /// A header or a leaf is not proved.
    #[error("an object is not proved: {0}")]
    Header(#[from] HeaderError),
    /// The start of the close is not signed by the hub.
    #[error("the start of the close is not signed by the hub")]
    StartSignature,
}

impl Fault {
    /// The fault in two headers, in either order; `None` if an honest hub may have signed both.
    #[must_use]
    pub fn in_headers(a: SignedHeader, b: SignedHeader) -> Option<Self> {
        [[a, b], [b, a]]
            .map(|both| Self::Headers(Box::new(both)))
            .into_iter()
            .find(|fault| fault.kind().is_some())
    }

    /// The fault in two leaves, in either order; `None` if an honest hub may have signed both.
    #[must_use]
    pub fn in_leaves(a: &ProvenLeaf, b: &ProvenLeaf) -> Option<Self> {
        [[a, b], [b, a]]
            .map(|both| Self::Leaves(Box::new(both.map(Clone::clone))))
            .into_iter()
            .find(|fault| fault.kind().is_some())
    }

    /// The fault in a start of a close, given a leaf; `None` if an honest hub may have signed both.
    #[must_use]
    pub fn in_start(start: SignedStart, leaf: ProvenLeaf) -> Option<Self> {
        let fault = Self::Start(Box::new(start), Box::new(leaf));
        fault.kind().is_some().then_some(fault)
    }

    /// What the hub did if it signed both objects; `None` if an honest hub may have. Paths and signatures are not checked.
    #[must_use]
    pub fn kind(&self) -> Option<FaultKind> {
        match self {
            Self::Headers(both) => header_fault(&both[0], &both[1]),
            Self::Leaves(both) => leaf_fault(&both[0], &both[1]),
            Self::Start(start, leaf) => {
                let start = &start.start;
                let old = start.opener == Opener::Hub
                    && start.has_evidence
                    && leaf.private.channel == start.channel
                    && leaf.batch().is_some_and(|batch| batch <= start.batch)
                    && leaf.private.ack.counter > start.client;
                old.then_some(FaultKind::OldState)
            }
        }
    }

    /// The channel that it concerns; `None` for headers.
    #[must_use]
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Headers(_) => None,
            Self::Leaves(both) => Some(both[0].private.channel),
            Self::Start(start, _) => Some(start.start.channel),
        }
    }

    /// Checks that the objects contradict each other and that their batches hold them. Signatures are not checked.
    ///
    /// # Errors
    /// [`FaultError`].
    pub fn check_content(&self) -> Result<FaultKind, FaultError> {
        let kind = self.kind().ok_or(FaultError::NoFault)?;
        match self {
            Self::Headers(_) => {}
            Self::Leaves(both) => both.iter().try_for_each(ProvenLeaf::check_path)?,
            Self::Start(_, leaf) => leaf.check_path()?,
        }
        Ok(kind)
    }

    /// Checks that `hub` signed both objects.
    ///
    /// # Errors
    /// [`FaultError::Header`], [`FaultError::StartSignature`].
    pub fn check_signatures(&self, ledger: &LedgerId, hub: &PublicKey) -> Result<(), FaultError> {
        match self {
            Self::Headers(both) => both.iter().try_for_each(|header| header.verify(ledger, hub))?,
            Self::Leaves(both) => both.iter().try_for_each(|leaf| leaf.check_signature(ledger, hub))?,
            Self::Start(start, leaf) => {
                leaf.check_signature(ledger, hub)?;
                if start.start.verify(ledger, hub, &start.signature) == Verdict::Invalid {
                    return Err(FaultError::StartSignature);
                }
            }
        }
        Ok(())
    }

    /// What a reporter puts on the ledger before it shows the fault, so that nobody who copies the report gets the reward.
    #[must_use]
    pub fn commitment(&self, reward: &KeyBytes) -> Digest {
        let mut bytes = reward.to_vec();
        self.encode(&mut bytes);
        hash(Domain::FaultCommitment, &bytes)
    }
}

fn header_fault(first: &SignedHeader, second: &SignedHeader) -> Option<FaultKind> {
    let (a, b) = (&first.header, &second.header);
    if a.hub != b.hub {
        None
    } else if a.number == b.number {
        (a != b).then_some(FaultKind::TwoHeaders)
    } else {
        let follows = a.number.next() == Some(b.number) && b.previous != a.digest();
        follows.then_some(FaultKind::HeaderChain)
    }
}

fn leaf_fault(first: &ProvenLeaf, second: &ProvenLeaf) -> Option<FaultKind> {
    let (a, b) = (&first.private, &second.private);
    if a.channel != b.channel {
        return None;
    }
    if a.counter == b.counter {
        return (first.digest() != second.digest()).then_some(FaultKind::TwoLeaves);
    }
    if b.counter < a.counter {
        return None;
    }
    if a.kind == LeafKind::Final {
        return Some(FaultKind::AfterFinal);
    }
    if b.firm_credit < a.firm_credit {
        return Some(FaultKind::TotalFell);
    }
    let follows = a.counter.next() == Some(b.counter) && second.public.previous != first.digest();
    follows.then_some(FaultKind::LeafChain)
}

impl Canonical for Fault {
    const LEN_MIN: usize = 1 + SignedStart::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Headers(both) => {
                out.push(1);
                both.iter().for_each(|header| header.append_to(out));
            }
            Self::Leaves(both) => {
                out.push(2);
                both.iter().for_each(|leaf| leaf.encode(out));
            }
            Self::Start(start, leaf) => {
                out.push(3);
                start.append_to(out);
                leaf.encode(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            1 => Ok(Self::Headers(Box::new([
                SignedHeader::read(r)?,
                SignedHeader::read(r)?,
            ]))),
            2 => Ok(Self::Leaves(Box::new([ProvenLeaf::read(r)?, ProvenLeaf::read(r)?]))),
            3 => Ok(Self::Start(
                Box::new(SignedStart::read(r)?),
                Box::new(ProvenLeaf::read(r)?),
            )),
            other => Err(DecodeError::UnknownValue {
                field: "fault",
                value: other.into(),
            }),
        }
    }
}
