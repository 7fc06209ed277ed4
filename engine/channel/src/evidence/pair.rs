//! The evidence of a dispute: a client state and a leaf that fit each other (rule 25).
//!
//! ```text
//! pair      which 1 (1 client half, 2 hub half, 3 both) | client half | hub half
//! client    state 160 | signature 64 | naming | lock count 2 | opened out-locks 144 each
//! hub       leaf, see `ProvenLeaf` | naming | lock count 2 | opened in-locks 104 each
//! naming    kind 1 | …   of a state: 1 by the pair's leaf; 2 by another leaf; 3 by the hub's note, 64
//!                        of a leaf: 1 by the pair's state; 2 by another state, 224; 3 by an ack, 64
//! out-lock  slot 1 | condition 1 | 0 × 2 | expiry 4 | c of the adding state 8 | content 128
//! in-lock   slot 1 | 0 × 7 | in-lock 96
//! ```
//!
//! A half that is absent is C(0) or H(0): what follows from the funding output needs no evidence.

use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::merkle::LockTree;
use tidegate_crypto::verify::Verdict;
use tidegate_types::{
    Amount, ChannelId, ClientCounter, DecodeError, Digest, Fixed, Height, HubCounter, LedgerId, LockId, LockSlot,
    Reader, SignatureBytes, Writer, fixed_struct,
};

use super::{ProvenLeaf, SignedState, StateNote};
use crate::codec::{Canonical, read_count, read_fixed_list, write_count};
use crate::{
    Ack, BalanceError, ChannelTerms, HalfSums, HeaderError, InLock, LeafRef, Lock, StateRef, client_balance,
    hub_balance,
};

/// How the hub has named the client's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateNaming {
    /// The pair's own leaf acknowledges it.
    ByLeaf,
    /// Another leaf of the channel acknowledges it.
    ByOtherLeaf(Box<ProvenLeaf>),
    /// The hub's [`StateNote`].
    ByNote(SignatureBytes),
}

/// How the client has named the hub's leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafNaming {
    /// The pair's own state acknowledges it.
    ByState,
    /// Another state of the client acknowledges it.
    ByOtherState(Box<SignedState>),
    /// The client's [`Ack`] of this very leaf.
    ByAck(SignatureBytes),
}

/// The content of one open out-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedOut {
    /// Where it stands.
    pub slot: LockSlot,
    /// The counter of the state that added it.
    pub added: ClientCounter,
    /// What it holds.
    pub lock: Lock,
}

/// The content of one open in-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedIn {
    /// Where it stands.
    pub slot: LockSlot,
    /// What it holds.
    pub lock: InLock,
}
fixed_struct!(OpenedIn { slot: LockSlot, pad 7, lock: InLock });

/// What the client owes, as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEvidence {
    /// The state.
    pub signed: SignedState,
    /// How the hub has named it.
    pub named: StateNaming,
    /// Its open locks, by slot.
    pub locks: Vec<OpenedOut>,
}

/// What the hub owes, as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubEvidence {
    /// The leaf.
    pub leaf: ProvenLeaf,
    /// How the client has named it.
    pub named: LeafNaming,
    /// Its open locks, by slot.
    pub locks: Vec<OpenedIn>,
}

/// A client state and a leaf that fit each other.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pair {
    /// What the client owes; `None` for C(0).
    pub client: Option<Box<ClientEvidence>>,
    /// What the hub owes; `None` for H(0).
    pub hub: Option<Box<HubEvidence>>,
}

/// What a pair that holds says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairFacts {
    /// The state's counter.
    pub client: ClientCounter,
    /// The leaf's counter.
    pub hub: HubCounter,
    /// The sums of both halves.
    pub sums: HalfSums,
    /// By when an ack of the leaf makes its U count.
    pub ack_by: Height,
}

/// Why a pair is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// A half is of another channel.
    #[error("a half belongs to another channel")]
    OtherChannel,
    /// A half with the counter zero: C(0) and H(0) are not shown.
    #[error("the halves that follow from the funding output are not shown")]
    Opening,
    /// The state acknowledges a later leaf, or another of this counter.
    #[error("the state acknowledges leaf {0}, which is not behind the leaf of the pair")]
    StateAhead(HubCounter),
    /// The leaf acknowledges a later state, or another of this counter.
    #[error("the leaf acknowledges state {0}, which is not behind the state of the pair")]
    LeafAhead(ClientCounter),
    /// A balance is negative.
    #[error("the halves contradict each other: {0}")]
    Balance(#[from] BalanceError),
    /// The locks shown are not those of a half.
    #[error("the locks shown are not those of the {0}")]
    WrongLocks(&'static str),
    /// The hub has not named the state.
    #[error("the hub has not named the state")]
    StateUnnamed,
    /// The client has not named the leaf.
    #[error("the client has not named the leaf")]
    LeafUnnamed,
    /// A leaf is not proved.
    #[error("the leaf is not proved: {0}")]
    Leaf(#[from] HeaderError),
    /// A signature of the client is not valid.
    #[error("a signature of the client is not valid")]
    ClientSignature,
    /// A signature of the hub is not valid.
    #[error("a signature of the hub is not valid")]
    HubSignature,
}

impl OpenedOut {
    const LEN: usize = 8 + ClientCounter::LEN + Lock::CONTENT_LEN;

    /// The lock's name on the channel of `payer`.
    #[must_use]
    pub fn id(&self, payer: &ChannelId) -> LockId {
        self.lock.id(payer, self.added, self.slot)
    }
}

impl Canonical for OpenedOut {
    const LEN_MIN: usize = Self::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + Self::LEN, 0);
        let mut w = Writer::new(&mut out[start..]);
        self.slot.write(&mut w);
        self.lock.condition.code().write(&mut w);
        w.pad(2);
        self.lock.expiry.write(&mut w);
        self.added.write(&mut w);
        self.lock.put_content(&mut w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (slot, condition) = (LockSlot::read(r)?, u8::read(r)?);
        r.pad(2)?;
        let (expiry, added) = (Height::read(r)?, ClientCounter::read(r)?);
        Ok(Self {
            slot,
            added,
            lock: Lock::get_content(r, expiry, condition)?,
        })
    }
}

impl Pair {
    /// The counters of both halves: `(c, h)`.
    #[must_use]
    pub fn counters(&self) -> (ClientCounter, HubCounter) {
        let client = self.client.as_ref().map(|half| half.signed.state.counter);
        let hub = self.hub.as_ref().map(|half| half.leaf.private.counter);
        (client.unwrap_or_default(), hub.unwrap_or_default())
    }

    /// How many locks it opens.
    #[must_use]
    pub fn lock_count(&self) -> usize {
        self.client.as_ref().map_or(0, |half| half.locks.len()) + self.hub.as_ref().map_or(0, |half| half.locks.len())
    }

    /// Checks everything: content and signatures.
    ///
    /// # Errors
    /// [`PairError`], the first that applies.
    pub fn check(
        &self,
        ledger: &LedgerId,
        channel: &ChannelId,
        terms: &ChannelTerms,
        keys: (&PublicKey, &PublicKey),
    ) -> Result<PairFacts, PairError> {
        let facts = self.check_content(channel, terms)?;
        self.check_signatures(ledger, channel, keys.0, keys.1)?;
        Ok(facts)
    }

    /// Checks all but the signatures.
    ///
    /// # Errors
    /// [`PairError`], the first that applies.
    pub fn check_content(&self, channel: &ChannelId, terms: &ChannelTerms) -> Result<PairFacts, PairError> {
        let (client, hub) = self.counters();
        let mut sums = HalfSums::default();
        let mut ack_by = Height::ZERO;
        if let Some(half) = &self.client {
            half.check_own(channel)?;
            sums.debit = half.signed.state.debit;
            sums.out_locks = half.signed.state.locks_sum;
        }
        if let Some(half) = &self.hub {
            half.check_own(channel)?;
            let leaf = &half.leaf.private;
            (sums.firm_credit, sums.unfirm_credit) = (leaf.firm_credit, leaf.unfirm_credit);
            (sums.in_locks, ack_by) = (leaf.in_locks_sum, leaf.ack_by);
        }
        self.check_fit(client, hub)?;
        client_balance(terms, &sums)?;
        hub_balance(terms, &sums)?;
        self.check_naming(channel)?;
        Ok(PairFacts {
            client,
            hub,
            sums,
            ack_by,
        })
    }

    fn leaf(&self) -> Option<LeafRef> {
        self.hub.as_ref().map(|half| half.leaf.reference())
    }

    fn state(&self) -> Option<StateRef> {
        self.client.as_ref().map(|half| half.signed.state.reference())
    }

    /// `C.ack ≤ h` and `H.ack ≤ c`; where the counters are equal, so are the digests.
    fn check_fit(&self, client: ClientCounter, hub: HubCounter) -> Result<(), PairError> {
        if let Some(half) = &self.client {
            let ack = half.signed.state.ack;
            let same = self
                .leaf()
                .is_none_or(|leaf| leaf.counter != ack.counter || leaf == ack);
            if ack.counter > hub || !same {
                return Err(PairError::StateAhead(ack.counter));
            }
        }
        if let Some(half) = &self.hub {
            let ack = half.leaf.private.ack;
            let same = self
                .state()
                .is_none_or(|state| state.counter != ack.counter || state == ack);
            if ack.counter > client || !same {
                return Err(PairError::LeafAhead(ack.counter));
            }
        }
        Ok(())
    }

    fn check_naming(&self, channel: &ChannelId) -> Result<(), PairError> {
        if let Some(half) = &self.client {
            let state = half.signed.state.reference();
            let named = match &half.named {
                StateNaming::ByLeaf => self.hub.as_ref().is_some_and(|hub| hub.leaf.private.ack == state),
                StateNaming::ByOtherLeaf(leaf) => {
                    leaf.check_path()?;
                    leaf.private.channel == *channel && leaf.private.ack == state
                }
                StateNaming::ByNote(_) => true,
            };
            if !named {
                return Err(PairError::StateUnnamed);
            }
        }
        if let Some(half) = &self.hub {
            let leaf = half.leaf.reference();
            let named = match &half.named {
                LeafNaming::ByState => self.client.as_ref().is_some_and(|c| c.signed.state.ack == leaf),
                LeafNaming::ByOtherState(other) => other.state.channel == *channel && other.state.ack == leaf,
                LeafNaming::ByAck(_) => true,
            };
            if !named {
                return Err(PairError::LeafUnnamed);
            }
        }
        Ok(())
    }

    /// Checks every signature that the content rests on.
    ///
    /// # Errors
    /// [`PairError::ClientSignature`], [`PairError::HubSignature`], [`PairError::Leaf`].
    pub fn check_signatures(
        &self,
        ledger: &LedgerId,
        channel: &ChannelId,
        client: &PublicKey,
        hub: &PublicKey,
    ) -> Result<(), PairError> {
        let by_client = |verdict| match verdict {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(PairError::ClientSignature),
        };
        if let Some(half) = &self.client {
            by_client(half.signed.verify(ledger, client))?;
            match &half.named {
                StateNaming::ByLeaf => {}
                StateNaming::ByOtherLeaf(leaf) => leaf.check_signature(ledger, hub)?,
                StateNaming::ByNote(signature) => {
                    let note = StateNote {
                        channel: *channel,
                        state: half.signed.state.reference(),
                    };
                    if note.verify(ledger, hub, signature) == Verdict::Invalid {
                        return Err(PairError::HubSignature);
                    }
                }
            }
        }
        if let Some(half) = &self.hub {
            half.leaf.check_signature(ledger, hub)?;
            match &half.named {
                LeafNaming::ByState => {}
                LeafNaming::ByOtherState(other) => by_client(other.verify(ledger, client))?,
                LeafNaming::ByAck(signature) => {
                    let ack = Ack {
                        channel: *channel,
                        leaf: half.leaf.reference(),
                    };
                    by_client(ack.verify(ledger, client, signature))?;
                }
            }
        }
        Ok(())
    }
}

impl ClientEvidence {
    fn check_own(&self, channel: &ChannelId) -> Result<(), PairError> {
        let state = &self.signed.state;
        if state.channel != *channel {
            return Err(PairError::OtherChannel);
        }
        if state.counter == ClientCounter::ZERO {
            return Err(PairError::Opening);
        }
        let wrong = PairError::WrongLocks("state");
        let totals: Result<Vec<_>, _> = self.locks.iter().map(|open| open.lock.total()).collect();
        let digests = self.locks.iter().map(|open| (open.slot, open.id(channel)));
        let slots = digests.map(|(slot, id)| (slot, Digest::from_bytes(*id.as_bytes())));
        let root = root_of(slots).ok_or(wrong)?;
        let sum = totals.and_then(Amount::sum).map_err(|_| wrong)?;
        if root == state.locks_root && sum == state.locks_sum {
            Ok(())
        } else {
            Err(wrong)
        }
    }
}

impl HubEvidence {
    fn check_own(&self, channel: &ChannelId) -> Result<(), PairError> {
        let leaf = &self.leaf.private;
        if leaf.channel != *channel {
            return Err(PairError::OtherChannel);
        }
        if leaf.counter == HubCounter::ZERO {
            return Err(PairError::Opening);
        }
        self.leaf.check_path()?;
        let wrong = PairError::WrongLocks("leaf");
        let root = root_of(self.locks.iter().map(|open| (open.slot, open.lock.digest()))).ok_or(wrong)?;
        let sum = Amount::sum(self.locks.iter().map(|open| open.lock.amount)).map_err(|_| wrong)?;
        if root == leaf.in_locks_root && sum == leaf.in_locks_sum {
            Ok(())
        } else {
            Err(wrong)
        }
    }
}

/// The root over locks at their slots; `None` unless the slots rise.
fn root_of(locks: impl Iterator<Item = (LockSlot, Digest)>) -> Option<Digest> {
    let mut slots = [Digest::ZERO; LockSlot::COUNT];
    let mut last = None;
    for (slot, digest) in locks {
        if last.is_some_and(|last| last >= slot) {
            return None;
        }
        last = Some(slot);
        slots[slot.index()] = digest;
    }
    Some(LockTree::root_of(&slots))
}

impl Canonical for StateNaming {
    const LEN_MIN: usize = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ByLeaf => out.push(1),
            Self::ByOtherLeaf(leaf) => {
                out.push(2);
                leaf.encode(out);
            }
            Self::ByNote(signature) => {
                out.push(3);
                signature.append_to(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            1 => Ok(Self::ByLeaf),
            2 => ProvenLeaf::read(r).map(|leaf| Self::ByOtherLeaf(Box::new(leaf))),
            3 => SignatureBytes::read(r).map(Self::ByNote),
            other => Err(unknown("naming of a state", other)),
        }
    }
}

impl Canonical for LeafNaming {
    const LEN_MIN: usize = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ByState => out.push(1),
            Self::ByOtherState(state) => {
                out.push(2);
                state.append_to(out);
            }
            Self::ByAck(signature) => {
                out.push(3);
                signature.append_to(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            1 => Ok(Self::ByState),
            2 => SignedState::read(r).map(|state| Self::ByOtherState(Box::new(state))),
            3 => SignatureBytes::read(r).map(Self::ByAck),
            other => Err(unknown("naming of a leaf", other)),
        }
    }
}

impl Canonical for Pair {
    const LEN_MIN: usize = 1 + SignedState::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.client.is_some()) | u8::from(self.hub.is_some()) << 1);
        if let Some(half) = &self.client {
            half.signed.append_to(out);
            half.named.encode(out);
            write_count(half.locks.len(), out);
            half.locks.iter().for_each(|open| open.encode(out));
        }
        if let Some(half) = &self.hub {
            half.leaf.encode(out);
            half.named.encode(out);
            write_count(half.locks.len(), out);
            half.locks.iter().for_each(|open| open.append_to(out));
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let which = u8::read(r)?;
        if !(1..=3).contains(&which) {
            return Err(unknown("halves of a pair", which));
        }
        let client = match which & 1 {
            0 => None,
            _ => Some(Box::new(read_client(r)?)),
        };
        let hub = match which & 2 {
            0 => None,
            _ => Some(Box::new(read_hub(r)?)),
        };
        Ok(Self { client, hub })
    }
}

fn read_client(r: &mut Reader<'_>) -> Result<ClientEvidence, DecodeError> {
    let (signed, named) = (SignedState::read(r)?, StateNaming::read(r)?);
    let count = read_count(r, 0, LockSlot::COUNT, "lock count")?;
    Ok(ClientEvidence {
        signed,
        named,
        locks: crate::codec::read_list(r, count)?,
    })
}

fn read_hub(r: &mut Reader<'_>) -> Result<HubEvidence, DecodeError> {
    let (leaf, named) = (ProvenLeaf::read(r)?, LeafNaming::read(r)?);
    let count = read_count(r, 0, LockSlot::COUNT, "lock count")?;
    Ok(HubEvidence {
        leaf,
        named,
        locks: read_fixed_list(r, count)?,
    })
}

fn unknown(field: &'static str, value: u8) -> DecodeError {
    DecodeError::UnknownValue {
        field,
        value: value.into(),
    }
}
