//! What changes the state: the inputs of a batch, and their form in the log.
//!
//! ```text
//! each   kind 1 | 0 × 3 | length 4 | body
//! pay    client state 160 | signature 64 | operations …          kind 1
//! ack    ack 72 | signature 64                                    kind 2
//! block  height 4 | opened count 4 | closing count 4 | closed count 4 | revealed count 4 | acked count 4 | hash 32
//!        opened: terms 240 | outpoint 36 | 0 × 4                  kind 3
//!        closing, closed: channel 32
//!        revealed: height 4 | 0 × 4 | preimage 32
//!        acked: height 4 | 0 × 4 | ack 72 | signature 64
//! close  channel 32 | fee 8                                       kind 4
//! fresh  channel 32                                               kind 5
//! policy 40 bytes                                                 kind 6
//! fulfil channel 32 | lock 32 | preimage 32                       kind 7
//! release channel 32 | lock 32 | signature 64                     kind 8
//! freeze channel 32                                               kind 9
//! splice channel 32 | transaction 32 | coins 8 | change 8 | fee 8 | client share 8 | hub share 8    kind 10
//! forward payer's channel 32 | lock 32 | preimage 32 | end 1 | reason 1 | 0 × 2      kind 11
//! ```

mod splice;

use tidegate_channel::{
    Ack, ChannelTerms, ClientState, Operation, OperationsError, Release, decode_operations, encode_operations,
};
use tidegate_types::{
    Age, Amount, ChannelId, DecodeError, Digest, Fixed, Height, LockId, OutPoint, Reader, SignatureBytes, fixed_struct,
};

use crate::Policy;
use crate::forward::ForwardInput;
pub use splice::SpliceInput;

/// A payer's next state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayInput {
    /// The state.
    pub state: ClientState,
    /// The client's signature over it, checked by the caller.
    pub signature: SignatureBytes,
    /// The operations that lead to it.
    pub operations: Vec<Operation>,
}

/// A client's ack of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckInput {
    /// What is acknowledged.
    pub ack: Ack,
    /// The client's signature over it, checked by the caller.
    pub signature: SignatureBytes,
}
fixed_struct!(AckInput {
    ack: Ack,
    signature: SignatureBytes
});

/// A final block of the ledger, as far as channels are concerned; or several, with the height and the hash of the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInput {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: Digest,
    /// The channels of this hub that it opens.
    pub opened: Vec<(ChannelTerms, OutPoint)>,
    /// The channels of this hub whose close begins in it: nothing moves in them any more.
    pub closing: Vec<ChannelId>,
    /// The channels of this hub that it settles.
    pub closed: Vec<ChannelId>,
    /// The preimages that it reveals, or that a block below it revealed which no batch has taken, each with the height of
    /// the block that holds it.
    pub revealed: Vec<Reveal>,
    /// Likewise the acks that it reveals.
    pub acked: Vec<RevealedAck>,
}

impl BlockInput {
    /// A block without anything for channels.
    #[must_use]
    pub const fn empty(height: Height, hash: Digest) -> Self {
        Self {
            height,
            hash,
            opened: Vec::new(),
            closing: Vec::new(),
            closed: Vec::new(),
            revealed: Vec::new(),
            acked: Vec::new(),
        }
    }

    /// True if it does something to channels or to payments; if not, nothing is lost while it waits for the next.
    #[must_use]
    pub const fn has_events(&self) -> bool {
        !self.opened.is_empty()
            || !self.closing.is_empty()
            || !self.closed.is_empty()
            || !self.revealed.is_empty()
            || !self.acked.is_empty()
    }

    /// Puts the events of an earlier block before this one's.
    pub fn take_earlier(&mut self, earlier: Self) {
        self.opened.splice(0..0, earlier.opened);
        self.closing.splice(0..0, earlier.closing);
        self.closed.splice(0..0, earlier.closed);
        self.revealed.splice(0..0, earlier.revealed);
        self.acked.splice(0..0, earlier.acked);
    }
}

/// A preimage on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// The height of the final block that holds it.
    pub height: Height,
    /// The preimage.
    pub preimage: [u8; 32],
}
fixed_struct!(Reveal { height: Height, pad 4, preimage: [u8; 32] });

/// A payee's word on the ledger that it holds a leaf (rule 26), checked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevealedAck {
    /// The height of the final block that holds it.
    pub height: Height,
    /// What is acknowledged.
    pub ack: Ack,
    /// The client's signature; zero if it was a state that named the leaf.
    pub signature: SignatureBytes,
}
fixed_struct!(RevealedAck { height: Height, pad 4, ack: Ack, signature: SignatureBytes });

/// A payee shows the preimage of a lock that was offered to it (rule 13). It needs no signature: the preimage is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FulfilInput {
    /// The payee's channel.
    pub channel: ChannelId,
    /// The lock.
    pub lock: LockId,
    /// What meets its hash.
    pub preimage: [u8; 32],
}
fixed_struct!(FulfilInput {
    channel: ChannelId,
    lock: LockId,
    preimage: [u8; 32]
});

/// A payee gives up a lock that was offered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseInput {
    /// Which.
    pub release: Release,
    /// The payee's signature over it, checked by the caller.
    pub signature: SignatureBytes,
}
fixed_struct!(ReleaseInput {
    release: Release,
    signature: SignatureBytes
});

/// A client's wish to close its channel, paying this ledger fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseInput {
    /// The channel.
    pub channel: ChannelId,
    /// The closing transaction's fee, out of the client's balance.
    pub fee: Amount,
}
fixed_struct!(CloseInput {
    channel: ChannelId,
    fee: Amount
});

/// One input of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A payer's next state.
    Pay(PayInput),
    /// A client's ack.
    Ack(AckInput),
    /// A final block.
    Block(BlockInput),
    /// A request to close.
    Close(CloseInput),
    /// A request for a leaf with a fresh receipt.
    Refresh(ChannelId),
    /// New terms of business.
    Policy(Policy),
    /// A payee's preimage.
    Fulfil(FulfilInput),
    /// A payee's release of a lock.
    Release(ReleaseInput),
    /// The channel is about to be closed on the ledger, by the hub or by its client: nothing moves in it any more (rule 24).
    Freeze(ChannelId),
    /// A request to move a channel into a successor.
    Splice(SpliceInput),
    /// What became of a lock that waits for another hub.
    Forward(ForwardInput),
}

/// Why bytes are no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// A value does not decode.
    #[error("an input does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// A logged input names something that the state does not hold.
    #[error("a logged input names a {what} that the state does not hold")]
    Dangling {
        /// What is missing.
        what: &'static str,
    },
    /// The operations of a state do not decode.
    #[error("{0}")]
    Operations(#[from] OperationsError),
}

impl PayInput {
    /// Reads a state, its signature and its operations, in the form of the message and of the log.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, InputError> {
        let mut r = Reader::new(bytes);
        let state = r.bytes(ClientState::LEN)?;
        let signature = SignatureBytes::read(&mut r)?;
        let encoded = r.bytes(r.remaining())?;
        Self::from_parts(state, signature, encoded)
    }

    /// As [`PayInput::decode`], from the three parts.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn from_parts(state: &[u8], signature: SignatureBytes, encoded: &[u8]) -> Result<Self, InputError> {
        let state = ClientState::decode(state)?;
        let mut operations = Vec::new();
        decode_operations(encoded, &mut operations)?;
        Ok(Self {
            state,
            signature,
            operations,
        })
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        self.state.append_to(out);
        self.signature.append_to(out);
        encode_operations(&self.operations, out);
    }
}

#[derive(Clone, Copy)]
struct BlockHead {
    height: Height,
    opened: u32,
    closing: u32,
    closed: u32,
    revealed: u32,
    acked: u32,
    hash: Digest,
}
fixed_struct!(BlockHead {
    height: Height,
    opened: u32,
    closing: u32,
    closed: u32,
    revealed: u32,
    acked: u32,
    hash: Digest
});

struct OpenedEntry {
    terms: ChannelTerms,
    funding: OutPoint,
}
fixed_struct!(OpenedEntry { terms: ChannelTerms, funding: OutPoint, pad 4 });

fn read_list<T: Fixed>(r: &mut Reader<'_>, count: u32) -> Result<Vec<T>, DecodeError> {
    (0..count).map(|_| T::read(r)).collect()
}

impl BlockInput {
    fn append_to(&self, out: &mut Vec<u8>) {
        let count = |n: usize| u32::try_from(n).expect("a block holds fewer than 2³² events");
        BlockHead {
            height: self.height,
            opened: count(self.opened.len()),
            closing: count(self.closing.len()),
            closed: count(self.closed.len()),
            revealed: count(self.revealed.len()),
            acked: count(self.acked.len()),
            hash: self.hash,
        }
        .append_to(out);
        for (terms, funding) in &self.opened {
            OpenedEntry {
                terms: *terms,
                funding: *funding,
            }
            .append_to(out);
        }
        self.closing.iter().for_each(|channel| channel.append_to(out));
        self.closed.iter().for_each(|channel| channel.append_to(out));
        self.revealed.iter().for_each(|reveal| reveal.append_to(out));
        self.acked.iter().for_each(|acked| acked.append_to(out));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let head = BlockHead::read(&mut r)?;
        // Counted against the bytes that are there before anything is allocated.
        let need = u64::from(head.opened) * OpenedEntry::LEN as u64
            + (u64::from(head.closing) + u64::from(head.closed)) * ChannelId::LEN as u64
            + u64::from(head.revealed) * Reveal::LEN as u64
            + u64::from(head.acked) * RevealedAck::LEN as u64;
        if need != r.remaining() as u64 {
            return Err(DecodeError::OutOfRange { field: "block events" });
        }
        let opened: Vec<OpenedEntry> = read_list(&mut r, head.opened)?;
        Ok(Self {
            height: head.height,
            hash: head.hash,
            opened: opened.into_iter().map(|entry| (entry.terms, entry.funding)).collect(),
            closing: read_list(&mut r, head.closing)?,
            closed: read_list(&mut r, head.closed)?,
            revealed: read_list(&mut r, head.revealed)?,
            acked: read_list(&mut r, head.acked)?,
        })
    }
}

struct PolicyEntry {
    margin: Age,
    ack_interval: Age,
    max_lock: Age,
    fee_ppm: u32,
    min_amount: Amount,
    fee_base: Amount,
    max_unfirm_credits: u32,
    max_in_locks: u8,
    max_in_locks_per_payer: u8,
    max_forwarded: u16,
}
fixed_struct!(PolicyEntry {
    margin: Age,
    ack_interval: Age,
    max_lock: Age,
    fee_ppm: u32,
    min_amount: Amount,
    fee_base: Amount,
    max_unfirm_credits: u32,
    max_in_locks: u8,
    max_in_locks_per_payer: u8,
    max_forwarded: u16,
});

impl Fixed for Policy {
    const LEN: usize = PolicyEntry::LEN;

    fn write(&self, w: &mut tidegate_types::Writer<'_>) {
        let Self {
            margin,
            ack_interval,
            max_lock,
            min_amount,
            fee_base,
            fee_ppm,
            max_unfirm_credits,
            max_in_locks,
            max_in_locks_per_payer,
            max_forwarded,
        } = *self;
        PolicyEntry {
            margin,
            ack_interval,
            max_lock,
            fee_ppm,
            min_amount,
            fee_base,
            max_unfirm_credits,
            max_in_locks,
            max_in_locks_per_payer,
            max_forwarded,
        }
        .write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let PolicyEntry {
            margin,
            ack_interval,
            max_lock,
            fee_ppm,
            min_amount,
            fee_base,
            max_unfirm_credits,
            max_in_locks,
            max_in_locks_per_payer,
            max_forwarded,
        } = PolicyEntry::read(r)?;
        Ok(Self {
            margin,
            ack_interval,
            max_lock,
            min_amount,
            fee_base,
            fee_ppm,
            max_unfirm_credits,
            max_in_locks,
            max_in_locks_per_payer,
            max_forwarded,
        })
    }
}

#[derive(Clone, Copy)]
struct EntryHead {
    kind: u8,
    length: u32,
}
fixed_struct!(EntryHead { kind: u8, pad 3, length: u32 });

impl Input {
    const fn kind(&self) -> u8 {
        match self {
            Self::Pay(_) => 1,
            Self::Ack(_) => 2,
            Self::Block(_) => 3,
            Self::Close(_) => 4,
            Self::Refresh(_) => 5,
            Self::Policy(_) => 6,
            Self::Fulfil(_) => 7,
            Self::Release(_) => 8,
            Self::Freeze(_) => 9,
            Self::Splice(_) => 10,
            Self::Forward(_) => 11,
        }
    }

    /// Appends the input in the form of the log.
    ///
    /// # Panics
    /// If a body exceeds 4 GiB, which no message can.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + EntryHead::LEN, 0);
        match self {
            Self::Pay(pay) => pay.append_to(out),
            Self::Ack(ack) => ack.append_to(out),
            Self::Block(block) => block.append_to(out),
            Self::Close(close) => close.append_to(out),
            Self::Refresh(channel) => channel.append_to(out),
            Self::Policy(policy) => policy.append_to(out),
            Self::Fulfil(fulfil) => fulfil.append_to(out),
            Self::Release(release) => release.append_to(out),
            Self::Freeze(channel) => channel.append_to(out),
            Self::Splice(splice) => splice.append_to(out),
            Self::Forward(forward) => forward.append_to(out),
        }
        let length = u32::try_from(out.len() - start - EntryHead::LEN).expect("a body is far below 4 GiB");
        EntryHead {
            kind: self.kind(),
            length,
        }
        .encode_into(&mut out[start..start + EntryHead::LEN]);
    }

    /// Reads one input from the front of `r`.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, InputError> {
        let head = EntryHead::read(r)?;
        let body = r.bytes(head.length as usize)?;
        Ok(match head.kind {
            1 => Self::Pay(PayInput::decode(body)?),
            2 => Self::Ack(AckInput::decode(body)?),
            3 => Self::Block(BlockInput::decode(body)?),
            4 => Self::Close(CloseInput::decode(body)?),
            5 => Self::Refresh(ChannelId::decode(body)?),
            6 => Self::Policy(Policy::decode(body)?),
            7 => Self::Fulfil(FulfilInput::decode(body)?),
            8 => Self::Release(ReleaseInput::decode(body)?),
            9 => Self::Freeze(ChannelId::decode(body)?),
            10 => Self::Splice(SpliceInput::decode(body)?),
            11 => Self::Forward(ForwardInput::decode(body)?),
            other => {
                return Err(DecodeError::UnknownValue {
                    field: "input",
                    value: other.into(),
                }
                .into());
            }
        })
    }
}
