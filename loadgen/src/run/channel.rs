//! What the generator knows of each channel that takes part: little, since there may be a million.
//!
//! ```text
//! rows      128 bytes each, all that a payment or a leaf needs of its channel
//! newest    the two parts of the newest leaf as they came, for its digest when an ack needs it and for the audit
//! ```
//!
//! Of a leaf that is not in the sample the digest is not made: an ack needs that of the newest leaf alone. Whenever a
//! leaf's digest is known, the leaf behind it must name it.

use hashbrown::HashMap;
use rand::RngExt as _;
use tidegate_channel::{LeafPrivate, LeafPublic, leaf_digest};
use tidegate_client::ReceiptChecker;
use tidegate_types::{Age, Amount, ChannelId, Digest, Fixed as _};
use tidegate_wire::lengths::{LEAF_PRIVATE_LEN, LEAF_PUBLIC_LEN};

use crate::keys::{Purpose, stream};
use crate::profile::Population;
use crate::workload::ChannelRow;

/// Credits, whatever their order: how many, how much, and a sum over the first bytes of their payment ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credits {
    pub(crate) count: u32,
    pub(crate) sat: u64,
    pub(crate) prints: u64,
}

impl Credits {
    pub(crate) const fn add(&mut self, amount: Amount, print: u64) {
        self.count += 1;
        self.sat += amount.to_sat();
        self.prints = self.prints.wrapping_add(print);
    }
}

/// No leaf, no place, no height: none of them comes so far.
pub(crate) const NONE: u32 = u32::MAX;

/// One channel of the run. Leaves and states are counted in 32 bits: a run is no channel's whole life.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Channel {
    /// The connection that carries it.
    pub(crate) connection: u32,
    /// The newest leaf, and the newest that was acknowledged.
    pub(crate) leaf: u32,
    pub(crate) acked: u32,
    /// Credits since then.
    pub(crate) credits_waiting: u32,
    /// An ack of the newest leaf counts at up to this height; [`NONE`] without limit.
    pub(crate) ack_until: u32,
    /// States sent, and answered.
    pub(crate) sent: u32,
    pub(crate) answered: u32,
    /// From this state on none can be sent: a payment before it was refused or failed.
    pub(crate) broken_from: u32,
    /// Where in its section the newest state that was accepted stands; [`NONE`] before the first.
    pub(crate) position: u32,
    /// The newest leaf whose digest is known; [`NONE`] before the first.
    known: u32,
    known_digest: Digest,
    /// U of the newest leaf.
    pub(crate) unfirm: Amount,
    /// Credits that its leaves showed.
    pub(crate) shown: Credits,
    /// Credits that answers to payers promised.
    pub(crate) promised: Credits,
}

const _: () = assert!(size_of::<Channel>() == 128);

/// The two parts of a leaf, as they came.
#[derive(Clone, Copy)]
struct NewestLeaf {
    private: [u8; LEAF_PRIVATE_LEN],
    public: [u8; LEAF_PUBLIC_LEN],
}

/// All channels, found by place or by name.
pub(crate) struct Channels {
    pub(crate) rows: Vec<Channel>,
    newest: Vec<NewestLeaf>,
    checkers: Vec<Option<Box<ReceiptChecker>>>,
    sample: Sample,
    margin: Age,
    index: HashMap<ChannelId, u32, foldhash::fast::RandomState>,
}

/// Which leaves are checked in full: all, until there are enough for any run; then those of one channel in twelve, which
/// stays above the sixteenth that is asked for.
#[derive(Clone, Copy, Debug)]
struct Sample {
    offset: usize,
    checked: u64,
}

/// Leaves that are checked before channels are chosen.
const CHECKED_FIRST: u64 = 110_000;
/// Of so many channels one has all its leaves checked.
const SAMPLE_STEP: usize = 12;

impl Sample {
    const fn holds(&self, place: usize) -> bool {
        self.checked < CHECKED_FIRST || place % SAMPLE_STEP == self.offset
    }
}

impl Channels {
    /// The channels of a workload. `seed` chooses the sample.
    pub(crate) fn new(rows: &[ChannelRow], population: &Population, margin: Age, seed: u64) -> Self {
        let offset = stream(seed, Purpose::Sample, 0).random_range(0..SAMPLE_STEP.min(rows.len().max(1)));
        let channel = |row: &ChannelRow| Channel::new(population.connection_of(row.number));
        let none = NewestLeaf {
            private: [0; LEAF_PRIVATE_LEN],
            public: [0; LEAF_PUBLIC_LEN],
        };
        Self {
            newest: vec![none; rows.len()],
            checkers: rows.iter().map(|_| None).collect(),
            sample: Sample { offset, checked: 0 },
            margin,
            index: (0..).zip(rows).map(|(place, row)| (row.id, place)).collect(),
            rows: rows.iter().map(channel).collect(),
        }
    }

    pub(crate) fn find(&self, id: &ChannelId) -> Option<u32> {
        self.index.get(id).copied()
    }

    /// The checker of a channel of the sample; others lose theirs.
    pub(crate) fn checker(&mut self, place: u32, id: ChannelId) -> Option<&mut ReceiptChecker> {
        let place = place as usize;
        let checker = &mut self.checkers[place];
        if !self.sample.holds(place) {
            *checker = None;
        } else if checker.is_none() && self.rows[place].leaf == 0 {
            *checker = Some(Box::new(ReceiptChecker::new(id, self.margin)));
        }
        checker.as_deref_mut()
    }

    /// A leaf was checked in full.
    pub(crate) const fn note_checked(&mut self) {
        self.sample.checked += 1;
    }

    /// How many were.
    pub(crate) const fn checked(&self) -> u64 {
        self.sample.checked
    }

    /// The channel's newest leaf was acknowledged.
    pub(crate) fn note_acked(&mut self, place: u32) {
        let channel = &mut self.rows[place as usize];
        channel.acked = channel.leaf;
        channel.credits_waiting = 0;
        if let Some(checker) = &mut self.checkers[place as usize] {
            checker.mark_acked();
        }
    }

    /// Keeps a leaf that follows its channel's newest one, with its digest if that was made.
    ///
    /// # Errors
    /// What is wrong, if it does not follow.
    pub(crate) fn follow(
        &mut self,
        place: u32,
        leaf: (&[u8; LEAF_PRIVATE_LEN], &[u8; LEAF_PUBLIC_LEN]),
        private: &LeafPrivate,
        previous: &Digest,
        digest: Option<Digest>,
    ) -> Result<(), String> {
        let channel = &mut self.rows[place as usize];
        let breaks = channel.known == channel.leaf && channel.known_digest != *previous;
        if private.counter.get() != u64::from(channel.leaf) + 1 || breaks {
            return Err(format!(
                "channel {}: leaf {} does not follow leaf {}",
                private.channel, private.counter, channel.leaf
            ));
        }
        channel.leaf += 1;
        if let Some(digest) = digest {
            (channel.known, channel.known_digest) = (channel.leaf, digest);
        }
        channel.unfirm = private.unfirm_credit;
        channel.ack_until = if private.ack_by.get() == 0 {
            NONE
        } else {
            private.ack_by.get().saturating_sub(self.margin.get())
        };
        let newest = &mut self.newest[place as usize];
        (newest.private, newest.public) = (*leaf.0, *leaf.1);
        Ok(())
    }

    /// The digest of a channel's newest leaf, which there is.
    pub(crate) fn digest(&mut self, place: u32) -> Digest {
        let channel = &mut self.rows[place as usize];
        if channel.known != channel.leaf {
            let newest = &self.newest[place as usize];
            let private = LeafPrivate::decode(&newest.private).expect("it decoded when it came");
            let public = LeafPublic::decode(&newest.public).expect("it decoded when it came");
            channel.known_digest = leaf_digest(&private.digest(), &public.digest());
            channel.known = channel.leaf;
        }
        channel.known_digest
    }

    /// The private part of a channel's newest leaf; `None` before the first.
    pub(crate) fn newest(&self, place: u32) -> Option<LeafPrivate> {
        let place = place as usize;
        let there = self.rows[place].leaf > 0;
        there.then(|| LeafPrivate::decode(&self.newest[place].private).expect("it decoded when it came"))
    }
}

impl Channel {
    const fn new(connection: u32) -> Self {
        let none = Credits {
            count: 0,
            sat: 0,
            prints: 0,
        };
        Self {
            connection,
            leaf: 0,
            acked: 0,
            credits_waiting: 0,
            ack_until: NONE,
            sent: 0,
            answered: 0,
            broken_from: u32::MAX,
            position: NONE,
            known: NONE,
            known_digest: Digest::ZERO,
            unfirm: Amount::ZERO,
            shown: none,
            promised: none,
        }
    }

    /// Leaves that wait for an ack.
    pub(crate) const fn unacked(&self) -> u32 {
        self.leaf - self.acked
    }

    /// True if the next state may go: what it settles was answered, and fewer than `window` are under way.
    pub(crate) fn may_send(&self, distance: u32, window: u32) -> bool {
        self.sent - self.answered < distance.min(window)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_channel::opening_leaf;
    use tidegate_types::HubCounter;

    use super::*;

    fn channels(count: u32) -> Channels {
        let rows: Vec<_> = (0..count).map(|number| ChannelRow { number, id: id(number) }).collect();
        let population = Population {
            keys: count,
            channels: count,
            connections: 1,
        };
        Channels::new(&rows, &population, Age::new(6), 5)
    }

    fn id(number: u32) -> ChannelId {
        let mut bytes = [0; 32];
        number.encode_into(&mut bytes[..4]);
        ChannelId::from_bytes(bytes)
    }

    fn leaf(counter: u64, previous: Digest) -> (LeafPrivate, LeafPublic) {
        let (mut private, mut public) = opening_leaf(id(0));
        private.counter = HubCounter::new(counter);
        public.previous = previous;
        (private, public)
    }

    fn follow(channels: &mut Channels, leaf: &(LeafPrivate, LeafPublic)) -> Result<(), String> {
        let (private, public) = (leaf.0.to_vec(), leaf.1.to_vec());
        let bytes = (
            private.as_slice().try_into().expect("its width"),
            public.as_slice().try_into().expect("its width"),
        );
        channels.follow(0, bytes, &leaf.0, &leaf.1.previous, None)
    }

    #[test]
    fn a_state_waits_for_the_answer_of_what_it_settles() {
        let mut channel = Channel::new(0);
        for sent in 0..3 {
            channel.sent = sent;
            assert!(channel.may_send(3, 8), "state {sent} settles nothing");
        }
        channel.sent = 3;
        assert!(
            !channel.may_send(3, 8),
            "state 3 settles state 0, which is not answered"
        );
        channel.answered = 1;
        assert!(channel.may_send(3, 8));
        assert!(!channel.may_send(3, 2), "two are under way");
        assert!(channel.may_send(3, u32::MAX), "no window but the distance");
    }

    #[test]
    fn sums_of_credits_do_not_depend_on_their_order() {
        let sat = |n| Amount::from_sat(n).expect("in range");
        let (mut a, mut b) = (Credits::default(), Credits::default());
        [(5, u64::MAX), (7, 3)]
            .iter()
            .for_each(|&(n, print)| a.add(sat(n), print));
        [(7, 3), (5, u64::MAX)]
            .iter()
            .for_each(|&(n, print)| b.add(sat(n), print));
        assert_eq!(a, b);
        a.add(sat(1), 1);
        assert_ne!(a, b);
    }

    #[test]
    fn a_leaf_must_be_the_next_and_name_a_digest_that_is_known() {
        let mut channels = channels(1);
        let wrong = Digest::from_bytes([9; 32]);
        let first = leaf(1, wrong);
        assert!(follow(&mut channels, &leaf(2, wrong)).is_err(), "leaf 1 is missing");
        follow(&mut channels, &first).expect("nothing is known of leaf 0");
        assert!(follow(&mut channels, &first).is_err(), "leaf 1 came before");
        let digest = channels.digest(0);
        assert_eq!(digest, leaf_digest(&first.0.digest(), &first.1.digest()));
        assert!(
            follow(&mut channels, &leaf(2, wrong)).is_err(),
            "its digest is known now"
        );
        follow(&mut channels, &leaf(2, digest)).expect("it follows");
        assert_eq!(channels.newest(0), Some(leaf(2, digest).0));
    }

    #[test]
    fn everything_is_checked_first_and_then_at_least_a_sixteenth() {
        let mut channels = channels(64);
        let checkers = |channels: &mut Channels| {
            (0..64)
                .filter(|&place| channels.checker(place, id(place)).is_some())
                .count()
        };
        assert_eq!(checkers(&mut channels), 64);
        (0..CHECKED_FIRST).for_each(|_| channels.note_checked());
        let rest = checkers(&mut channels);
        assert!((4..=6).contains(&rest), "{rest}");
        assert_eq!(channels.checked(), CHECKED_FIRST);
        let few = |count| {
            let mut channels = self::channels(count);
            (0..CHECKED_FIRST).for_each(|_| channels.note_checked());
            (0..count).any(|place| channels.checker(place, id(place)).is_some())
        };
        assert!((1..13).all(few), "however few there are, some are checked to the end");
    }
}
