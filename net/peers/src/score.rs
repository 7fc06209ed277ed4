//! What peers have done wrong, and until when they are banned for it.
//!
//! Points of an identity halve every ten minutes: an accident is forgotten, a habit is not. At [`BAN_POINTS`] the identity is banned
//! for a day, and for twice as long each time that it comes back to it within 30 days. Points are noted under the identity that was
//! proved, never under an address: whoever shares an address with an offender, or can be made to seem to, has done nothing.

use hashbrown::HashMap;
use tidegate_types::KeyBytes;

use crate::{Minute, Moment};

/// Points are counted in thousandths.
const POINT: u64 = 1_000;
/// The points of a ban.
const BAN_POINTS: u64 = 100;
/// Milliseconds in which points halve.
const HALF_LIFE: u64 = 600_000;
/// Minutes of a first ban.
const BAN_MINUTES: u32 = 24 * 60;
/// Minutes after its end for which a ban is remembered.
const REMEMBERED_MINUTES: u32 = 30 * 24 * 60;
/// The most identities that are noted.
pub(crate) const NOTED_MAX: usize = 4_096;

/// What a peer has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A message that does not decode, or that no hub sends here.
    Malformed,
    /// Something came before the greeting, or a second greeting.
    OutOfOrder,
    /// Addresses that nobody asked for, more than may come.
    Flood,
    /// The same question again and again.
    Nagging,
    /// A question that was not answered in time.
    Silence,
    /// Two signed headers that contradict each other.
    Contradiction,
}

impl Offence {
    /// What it counts, in points.
    #[must_use]
    pub const fn points(self) -> u64 {
        match self {
            Self::Malformed | Self::Contradiction => BAN_POINTS,
            Self::OutOfOrder => 50,
            Self::Flood => 20,
            Self::Nagging => 10,
            Self::Silence => 5,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    /// Thousandths of points as of `at`.
    points: u64,
    at: Moment,
    banned_until: Option<Minute>,
    bans: u32,
}

impl Note {
    fn points_at(&self, now: Moment) -> u64 {
        decayed(self.points, now.since(self.at))
    }

    /// True unless it is forgotten: no whole point, and no ban that a further one would be measured by.
    fn matters(&self, now: Moment, minute: Minute) -> bool {
        let remembered = |end: Minute| minute.since(end) <= REMEMBERED_MINUTES;
        self.points_at(now) >= POINT || self.banned_until.is_some_and(remembered)
    }
}

/// What is kept of one identity over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptNote {
    pub(crate) peer: KeyBytes,
    /// Thousandths of points as of the minute in which it was kept.
    pub(crate) points: u32,
    pub(crate) banned_until: Option<Minute>,
    pub(crate) bans: u32,
}

/// `points` after `millis`: halved for each half-life, and in a straight line between.
fn decayed(points: u64, millis: u64) -> u64 {
    let halvings = u32::try_from(millis / HALF_LIFE).unwrap_or(u32::MAX);
    let whole = points.checked_shr(halvings).unwrap_or(0);
    whole - whole * (millis % HALF_LIFE) / (2 * HALF_LIFE)
}

/// The points of every identity.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    notes: HashMap<KeyBytes, Note>,
}

impl Scores {
    /// Notes an offence; true if the peer is banned from now on.
    pub fn note(&mut self, peer: KeyBytes, offence: Offence, now: Moment, minute: Minute) -> bool {
        self.make_room(&peer, now, minute);
        let note = self.notes.entry(peer).or_default();
        let points = note.points_at(now).saturating_add(offence.points() * POINT);
        (note.points, note.at) = (points, now);
        if points < BAN_POINTS * POINT {
            return false;
        }
        if note
            .banned_until
            .is_some_and(|end| minute.since(end) > REMEMBERED_MINUTES)
        {
            note.bans = 0;
        }
        let length = BAN_MINUTES.saturating_mul(1 << note.bans.min(5));
        note.banned_until = Some(Minute::new(minute.get().saturating_add(length)));
        (note.points, note.bans) = (0, note.bans.saturating_add(1));
        true
    }

    /// True while a peer is banned.
    #[must_use]
    pub fn is_banned(&self, peer: &KeyBytes, minute: Minute) -> bool {
        let until = self.notes.get(peer).and_then(|note| note.banned_until);
        until.is_some_and(|until| minute < until)
    }

    /// A peer's points now.
    #[must_use]
    pub fn points(&self, peer: &KeyBytes, now: Moment) -> u64 {
        self.notes.get(peer).map_or(0, |note| note.points_at(now) / POINT)
    }

    /// Who is banned, and until when.
    pub fn banned(&self, minute: Minute) -> impl Iterator<Item = (KeyBytes, Minute)> {
        let end = move |(peer, note): (&KeyBytes, &Note)| Some((*peer, note.banned_until?));
        self.notes.iter().filter_map(end).filter(move |(_, end)| minute < *end)
    }

    /// What is to be kept over a restart, by identity: whoever has points now, is banned, or was not long ago.
    pub(crate) fn kept(&self, now: Moment, minute: Minute) -> Vec<KeptNote> {
        let matters = self.notes.iter().filter(|(_, note)| note.matters(now, minute));
        let mut kept: Vec<KeptNote> = matters
            .map(|(peer, note)| KeptNote {
                peer: *peer,
                points: u32::try_from(note.points_at(now)).unwrap_or(u32::MAX),
                banned_until: note.banned_until,
                bans: note.bans,
            })
            .collect();
        kept.sort_unstable_by_key(|note| note.peer);
        kept
    }

    /// Takes up what was kept, `minutes` after that was so; the clock of moments stands at 0.
    pub(crate) fn take_kept(&mut self, kept: &KeptNote, minutes: u32) {
        if self.notes.len() >= NOTED_MAX {
            return;
        }
        let note = Note {
            points: decayed(kept.points.into(), u64::from(minutes) * 60_000),
            at: Moment::default(),
            banned_until: kept.banned_until,
            bans: kept.bans,
        };
        self.notes.insert(kept.peer, note);
    }

    /// Forgets what does not matter any more, then whoever has the least to answer for.
    fn make_room(&mut self, peer: &KeyBytes, now: Moment, minute: Minute) {
        if self.notes.len() < NOTED_MAX || self.notes.contains_key(peer) {
            return;
        }
        self.notes.retain(|_, note| note.matters(now, minute));
        if self.notes.len() >= NOTED_MAX {
            let weight = |note: &Note| (note.banned_until, note.points_at(now));
            let least = self.notes.iter().min_by_key(|(_, note)| weight(note));
            if let Some(least) = least.map(|(peer, _)| *peer) {
                self.notes.remove(&least);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: KeyBytes = KeyBytes::from_bytes([7; 32]);
    const MINUTE: Minute = Minute::new(30_000_000);

    #[test]
    fn accidents_are_forgotten_and_habits_end_in_a_ban() {
        let mut scores = Scores::default();
        for hour in 0..100 {
            let now = Moment::new(hour * 3_600_000);
            assert!(!scores.note(PEER, Offence::OutOfOrder, now, MINUTE), "hour {hour}");
        }
        let now = Moment::new(400_000_000);
        let mut offences = 0;
        while !scores.note(PEER, Offence::Flood, now, MINUTE) {
            offences += 1;
            assert!(offences < 5);
        }
        assert!(scores.is_banned(&PEER, MINUTE));
        assert!(scores.is_banned(&PEER, Minute::new(MINUTE.get() + 24 * 60 - 1)));
        assert!(!scores.is_banned(&PEER, Minute::new(MINUTE.get() + 24 * 60)));
        assert!(!scores.is_banned(&KeyBytes::ZERO, MINUTE));
        assert_eq!(scores.points(&PEER, now), 0, "what was paid for is not counted again");
    }

    #[test]
    fn each_further_ban_is_twice_as_long_until_there_was_none_for_long() {
        let mut scores = Scores::default();
        let mut minute = MINUTE;
        for length in [1, 2, 4, 8, 16, 32, 32] {
            assert!(scores.note(PEER, Offence::Malformed, Moment::new(0), minute));
            let end = Minute::new(minute.get() + length * 24 * 60);
            assert!(scores.is_banned(&PEER, end.before(1)) && !scores.is_banned(&PEER, end));
            minute = end;
        }
        let later = Minute::new(minute.get() + REMEMBERED_MINUTES + 1);
        assert!(scores.note(PEER, Offence::Malformed, Moment::new(0), later));
        assert!(!scores.is_banned(&PEER, Minute::new(later.get() + 24 * 60)));
    }

    #[test]
    fn memory_is_bounded_and_bans_are_kept_longest() {
        let mut scores = Scores::default();
        let peer = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            KeyBytes::from_bytes(bytes)
        };
        assert!(scores.note(PEER, Offence::Malformed, Moment::new(0), MINUTE));
        for n in 0..10_000 {
            scores.note(peer(n), Offence::Silence, Moment::new(0), MINUTE);
            assert!(scores.notes.len() <= NOTED_MAX);
        }
        assert!(scores.is_banned(&PEER, MINUTE));
        assert_eq!(scores.banned(MINUTE).collect::<Vec<_>>().len(), 1);
    }

    proptest! {
        /// Waiting never adds points, and waiting in two steps is waiting once, but for rounding.
        #[test]
        fn points_only_fall(points in 0..200_000_u64, first in 0..10_000_000_u64, second in 0..10_000_000_u64) {
            let once = decayed(points, first + second);
            prop_assert!(once <= decayed(points, first) && decayed(points, first) <= points);
            prop_assert_eq!(decayed(points, HALF_LIFE), points / 2);
            // The line between two halvings lies above the curve by at most 1/16 of the value, on either leg.
            let twice = decayed(decayed(points, first), second);
            prop_assert!(once.abs_diff(twice) <= points / 8 + 2, "{} and {}", once, twice);
        }
    }
}
