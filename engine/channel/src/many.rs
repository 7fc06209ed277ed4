//! The digests of many objects at a time: what the single functions give, for a tenth of their cost (`hash_many`).
//!
//! A batch engine hashes level by level across channels. Every object here has a preimage of whole blocks for that reason.
//! Each function appends to `out`, one digest per object, in their order.

use tidegate_crypto::hash::{Domain, hash_each, hash_many};
use tidegate_types::{ChannelId, ClientCounter, Digest, LockId, LockSlot};

use crate::leaf::{
    PRIVATE_HASHED_LEN, lock_entry_preimage, opening_private, opening_public, pair, salt_of, salt_preimage,
};
use crate::operation::{BLOCK_LEN, write_operations};
use crate::{
    ClientState, Credit, InLock, LeafPrivate, LeafPublic, Lock, Operation, Outcome, encode_operations, opening_state,
    operations_digest,
};

/// [`ClientState::digest`] of each.
pub fn state_digests<'a>(states: impl IntoIterator<Item = &'a ClientState>, out: &mut Vec<Digest>) {
    hash_each(Domain::ClientState, states.into_iter().map(ClientState::preimage), out);
}

/// [`Lock::id`] of each lock, that the state of this channel and counter adds at this slot.
pub fn lock_ids<'a>(
    locks: impl IntoIterator<Item = (&'a Lock, &'a ChannelId, ClientCounter, LockSlot)>,
    out: &mut Vec<Digest>,
) {
    let preimages = locks
        .into_iter()
        .map(|(lock, payer, counter, slot)| lock.preimage(payer, counter, slot));
    hash_each(Domain::LockId, preimages, out);
}

/// [`InLock::digest`] of each.
pub fn in_lock_digests<'a>(locks: impl IntoIterator<Item = &'a InLock>, out: &mut Vec<Digest>) {
    hash_each(Domain::LockLeaf, locks.into_iter().map(InLock::preimage), out);
}

/// [`crate::credit_salt`] of each lock, whose id is given as a digest.
pub fn credit_salts(secret: &[u8; 32], locks: &[Digest], scratch: &mut Vec<Digest>, out: &mut Vec<[u8; 16]>) {
    scratch.clear();
    let preimages = locks
        .iter()
        .map(|lock| salt_preimage(secret, &LockId::from_bytes(*lock.as_bytes())));
    hash_each(Domain::CreditSalt, preimages, scratch);
    out.extend(scratch.iter().map(salt_of));
}

/// [`Credit::entry`] of each.
pub fn credit_entries<'a>(credits: impl IntoIterator<Item = &'a Credit>, out: &mut Vec<Digest>) {
    let preimages = credits
        .into_iter()
        .map(|credit| lock_entry_preimage(&credit.lock, &credit.salt));
    hash_each(Domain::CreditEntry, preimages, out);
}

/// The entry of each failed outcome under its leaf's failed root.
pub fn failed_entries<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, out: &mut Vec<Digest>) {
    let preimages = outcomes
        .into_iter()
        .map(|outcome| lock_entry_preimage(&outcome.lock, &outcome.salt));
    hash_each(Domain::CreditEntry, preimages, out);
}

/// [`Outcome::entry`] of each.
pub fn outcome_entries<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, out: &mut Vec<Digest>) {
    hash_each(Domain::Outcome, outcomes.into_iter().map(Outcome::preimage), out);
}

/// [`LeafPrivate::digest`] of each.
pub fn private_digests<'a>(leaves: impl IntoIterator<Item = &'a LeafPrivate>, out: &mut Vec<Digest>) {
    hash_each(Domain::LeafPrivate, leaves.into_iter().map(LeafPrivate::preimage), out);
}

/// [`LeafPublic::digest`] of each.
pub fn public_digests<'a>(leaves: impl IntoIterator<Item = &'a LeafPublic>, out: &mut Vec<Digest>) {
    hash_each(Domain::LeafPublic, leaves.into_iter().map(LeafPublic::preimage), out);
}

/// [`crate::leaf_digest`] of each pair of a private and a public digest.
pub fn leaf_digests(private: &[Digest], public: &[Digest], out: &mut Vec<Digest>) {
    hash_each(Domain::Leaf, private.iter().zip(public).map(|(a, b)| pair(a, b)), out);
}

/// The digests of [`crate::opening_state`] and of [`crate::opening_leaf`] of each channel.
pub fn opening_digests(channels: &[ChannelId], states: &mut Vec<Digest>, leaves: &mut Vec<Digest>) {
    let public = opening_public().digest();
    let first = states.len();
    hash_each(
        Domain::ClientState,
        channels.iter().map(|channel| opening_state(*channel).preimage()),
        states,
    );
    for (channels, states) in channels.chunks(WAITING).zip(states[first..].chunks(WAITING)) {
        let mut private = [Digest::ZERO; WAITING];
        let mut preimages = [[0; PRIVATE_HASHED_LEN]; WAITING];
        for ((preimage, channel), state) in preimages.iter_mut().zip(channels).zip(states) {
            *preimage = opening_private(*channel, *state).preimage();
        }
        let count = channels.len();
        hash_many(Domain::LeafPrivate, &preimages[..count], &mut private[..count]);
        hash_each(Domain::Leaf, private[..count].iter().map(|p| pair(p, &public)), leaves);
    }
}

/// Lists of up to this many blocks share lanes; longer ones fill a core by themselves.
const BLOCKS_MAX: usize = 8;
/// How many lists of one length wait until they are hashed together.
const WAITING: usize = 16;

/// [`operations_digest`] of each list, encoded straight into its lane.
pub fn operations_digests<'a>(lists: impl IntoIterator<Item = &'a [Operation]>, out: &mut Vec<Digest>) {
    let mut waiting = [Waiting {
        lists: [(0, &[]); WAITING],
        count: 0,
    }; BLOCKS_MAX];
    for list in lists {
        let len: usize = list.iter().map(Operation::encoded_len).sum();
        let (at, blocks) = (out.len(), len.div_ceil(BLOCK_LEN));
        out.push(Digest::ZERO);
        if (1..=BLOCKS_MAX).contains(&blocks) {
            let lane = &mut waiting[blocks - 1];
            lane.lists[lane.count] = (at, list);
            lane.count += 1;
            if lane.count == WAITING {
                lane.flush(blocks, out);
            }
        } else {
            let mut encoded = Vec::with_capacity(len);
            encode_operations(list, &mut encoded);
            out[at] = operations_digest(&encoded);
        }
    }
    for (lane, blocks) in waiting.iter_mut().zip(1..) {
        lane.flush(blocks, out);
    }
}

/// Lists of one number of blocks, and where their digests belong.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    lists: [(usize, &'a [Operation]); WAITING],
    count: usize,
}

impl Waiting<'_> {
    fn flush(&mut self, blocks: usize, out: &mut [Digest]) {
        match blocks {
            _ if self.count == 0 => return,
            1 => self.hash::<64>(out),
            2 => self.hash::<128>(out),
            3 => self.hash::<192>(out),
            4 => self.hash::<256>(out),
            5 => self.hash::<320>(out),
            6 => self.hash::<384>(out),
            7 => self.hash::<448>(out),
            BLOCKS_MAX => self.hash::<512>(out),
            _ => unreachable!("longer lists are hashed alone"),
        }
        self.count = 0;
    }

    fn hash<const N: usize>(&self, out: &mut [Digest]) {
        let lists = &self.lists[..self.count];
        let (mut padded, mut digests) = ([[0; N]; WAITING], [Digest::ZERO; WAITING]);
        for (bytes, (_, list)) in padded.iter_mut().zip(lists) {
            write_operations(list, bytes);
        }
        hash_many(Domain::Ops, &padded[..lists.len()], &mut digests[..lists.len()]);
        for (&(at, _), digest) in lists.iter().zip(digests) {
            out[at] = digest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_types::{Amount, Fixed, Height, KeyBytes, PaymentId};

    use super::*;
    use crate::{Condition, OpKind, OpOutcome, credit_salt, leaf_digest, opening_leaf, opening_state};

    fn each<T, R: PartialEq + std::fmt::Debug>(
        objects: &[T],
        one: impl Fn(&T) -> R,
        many: impl FnOnce(&[T], &mut Vec<R>),
    ) {
        let mut out = Vec::new();
        many(objects, &mut out);
        assert_eq!(out, objects.iter().map(one).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn many_are_what_each_is_alone(seeds in prop::collection::vec(any::<[u8; 32]>(), 0..40), secret: [u8; 32]) {
            let ids: Vec<ChannelId> = seeds.iter().copied().map(ChannelId::from_bytes).collect();
            let states: Vec<_> = ids.iter().map(|id| opening_state(*id)).collect();
            each(&states, ClientState::digest, |all, out| state_digests(all, out));
            let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
            opening_digests(&ids, &mut firsts, &mut lasts);
            assert_eq!(firsts, states.iter().map(ClientState::digest).collect::<Vec<_>>());
            each(&ids, |id| {
                let (private, public) = opening_leaf(*id);
                leaf_digest(&private.digest(), &public.digest())
            }, |_, out| out.append(&mut lasts));
            let leaves: Vec<_> = ids.iter().map(|id| opening_leaf(*id)).collect();
            let (private, public): (Vec<_>, Vec<_>) = leaves.into_iter().unzip();
            each(&private, LeafPrivate::digest, |all, out| private_digests(all, out));
            let public: Vec<_> = public
                .iter()
                .zip(&seeds)
                .map(|(p, seed)| LeafPublic { previous: Digest::from_bytes(*seed), ..*p })
                .collect();
            each(&public, LeafPublic::digest, |all, out| public_digests(all, out));
            let digests: Vec<_> = seeds.iter().copied().map(Digest::from_bytes).collect();
            each(&digests, |d| leaf_digest(d, d), |all, out| leaf_digests(all, all, out));
            each(&digests, |d| credit_salt(&secret, &LockId::from_bytes(*d.as_bytes())), |all, out| {
                credit_salts(&secret, all, &mut Vec::new(), out);
            });
            let locks: Vec<_> = seeds.iter().map(lock).collect();
            each(&locks, id_of, |all, out| lock_ids(all.iter().map(place), out));
            let in_locks: Vec<_> = locks.iter().zip(&seeds).map(|(lock, seed)| in_lock(lock, seed)).collect();
            each(&in_locks, InLock::digest, |all, out| in_lock_digests(all, out));
            let credits: Vec<_> = seeds.iter().map(credit).collect();
            each(&credits, Credit::entry, |all, out| credit_entries(all, out));
            let outcomes: Vec<_> = seeds.iter().map(outcome).collect();
            each(&outcomes, Outcome::entry, |all, out| outcome_entries(all, out));
        }

        #[test]
        fn lists_of_every_length_are_hashed_as_each_alone(
            kinds in prop::collection::vec(prop::collection::vec(0_u8..4, 0..9), 0..60),
            seed: [u8; 32],
        ) {
            let operation = |kind: &u8| {
                let slot = LockSlot::new(kind * 11).expect("below 64");
                match kind {
                    0 => Operation::Add { slot, lock: lock(&seed) },
                    1 => Operation::Settle { slot },
                    2 => Operation::Drop { slot },
                    _ => Operation::Release { lock: LockId::from_bytes(seed) },
                }
            };
            let lists: Vec<Vec<Operation>> = kinds.iter().map(|list| list.iter().map(operation).collect()).collect();
            let alone = |list: &Vec<Operation>| {
                let mut encoded = Vec::new();
                encode_operations(list, &mut encoded);
                operations_digest(&encoded)
            };
            each(&lists, alone, |all, out| operations_digests(all.iter().map(Vec::as_slice), out));
        }
    }

    fn place(lock: &Lock) -> (&Lock, &ChannelId, ClientCounter, LockSlot) {
        (
            lock,
            &lock.payee_channel,
            ClientCounter::new(7),
            LockSlot::new(9).expect("9 is below 64"),
        )
    }

    fn id_of(lock: &Lock) -> Digest {
        let (lock, payer, counter, slot) = place(lock);
        Digest::from_bytes(*lock.id(payer, counter, slot).as_bytes())
    }

    fn in_lock(lock: &Lock, seed: &[u8; 32]) -> InLock {
        InLock::of(lock, LockId::from_bytes(*seed)).expect("a hash lock")
    }

    fn lock(seed: &[u8; 32]) -> Lock {
        Lock {
            payment_id: PaymentId::decode(&seed[..16]).expect("any 16 bytes are an id"),
            amount: Amount::from_sat(u64::from(seed[0])).expect("small"),
            fee: Amount::ZERO,
            payee: KeyBytes::from_bytes(*seed),
            payee_channel: ChannelId::from_bytes(*seed),
            expiry: Height::new(u32::from(seed[1])),
            condition: Condition::Hash(*seed),
        }
    }

    fn credit(seed: &[u8; 32]) -> Credit {
        Credit {
            lock: LockId::from_bytes(*seed),
            salt: [seed[3]; 16],
            payment_id: lock(seed).payment_id,
            amount: Amount::ZERO,
            expiry: Height::ZERO,
        }
    }

    fn outcome(seed: &[u8; 32]) -> Outcome {
        Outcome {
            counter: ClientCounter::new(u64::from(seed[0])),
            kind: OpKind::Settle,
            slot: LockSlot::new(seed[1] % 64).expect("below 64"),
            outcome: OpOutcome::Done,
            lock: LockId::from_bytes(*seed),
            salt: [seed[2]; 16],
            preimage: *seed,
        }
    }
}
