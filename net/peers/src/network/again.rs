//! Whom this hub dials again by itself: seeds for good, others while they may only have been started anew.
//!
//! The table (`table.rs`) is for finding anybody; who has failed once is met there less and less often, and who has never answered
//! three times not at all. That would lose a seed which the operator starts an hour later, and leave links that a restart broke to
//! the dice. So these are remembered here, each with a time to the next attempt that doubles.

use crate::Moment;
use crate::place::Place;
use crate::random::Random;

/// Milliseconds to the first attempt.
const FIRST: u64 = 1_000;
/// Milliseconds between two attempts, at most.
const LONGEST: u64 = 600_000;
/// Attempts after which a place that is no seed is left to the table: about five minutes.
const ATTEMPTS: u8 = 9;
/// Milliseconds for which a link must have lasted for its end to count as the first.
const LASTING: u64 = 60_000;
/// Places that are no seeds, at most.
const OTHERS_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    due: Moment,
    /// Milliseconds to the attempt after the next.
    wait: u64,
    /// Attempts that are left; `None` for a seed.
    left: Option<u8>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Again {
    entries: Vec<Entry>,
}

impl Again {
    /// Seeds are due at once.
    pub(super) fn new(seeds: &[Place]) -> Self {
        let seed = |place: &Place| Entry {
            place: *place,
            due: Moment::default(),
            wait: FIRST,
            left: None,
        };
        Self {
            entries: seeds.iter().map(seed).collect(),
        }
    }

    /// A place whose time has come and that `wanted` takes, any of them; its next time is set. Of each is said whether it is a seed.
    pub(super) fn next(
        &mut self,
        random: &mut Random,
        now: Moment,
        wanted: impl Fn(&Place, bool) -> bool,
    ) -> Option<(Place, bool)> {
        let due = |entry: &Entry| entry.due <= now && wanted(&entry.place, entry.left.is_none());
        let due: Vec<usize> = (0..self.entries.len()).filter(|at| due(&self.entries[*at])).collect();
        let at = *due.get(random.below(due.len()))?;
        let entry = &mut self.entries[at];
        entry.due = now.after(entry.wait + random.up_to(entry.wait / 2));
        entry.wait = (entry.wait * 2).min(LONGEST);
        let (place, seed) = (entry.place, entry.left.is_none());
        if let Some(left) = &mut entry.left {
            *left -= 1;
            if *left == 0 {
                self.entries.remove(at);
            }
        }
        Some((place, seed))
    }

    /// A link that this hub had begun is gone, though it did not want it to end.
    pub(super) fn broken(&mut self, random: &mut Random, place: Place, opened: Moment, now: Moment) {
        let at = self.entries.iter().position(|entry| entry.place == place);
        let at = at.unwrap_or_else(|| self.insert(place));
        let entry = &mut self.entries[at];
        // Whoever takes links and ends them at once is dialled no more often than who takes none.
        if now.since(opened) >= LASTING {
            entry.wait = FIRST;
            entry.left = entry.left.map(|_| ATTEMPTS);
        }
        entry.due = now.after(entry.wait + random.up_to(entry.wait / 2));
    }

    fn insert(&mut self, place: Place) -> usize {
        let is_other = |entry: &Entry| entry.left.is_some();
        if self.entries.iter().filter(|entry| is_other(entry)).count() >= OTHERS_MAX
            && let Some(oldest) = self.entries.iter().position(is_other)
        {
            self.entries.remove(oldest);
        }
        self.entries.push(Entry {
            place,
            due: Moment::default(),
            wait: FIRST,
            left: Some(ATTEMPTS),
        });
        self.entries.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::KeyBytes;

    use super::*;

    fn place(number: u8) -> Place {
        Place::new(KeyBytes::from_bytes([number; 32]), [20, number, 1, 1].into(), 7411)
    }

    /// The seconds in which a place that never answers is dialled, looked at once a second for so many.
    fn dialled(again: &mut Again, from: u64, seconds: u64) -> Vec<u64> {
        let mut random = Random::new([1; 32]);
        let mut is_dialled = |second: &u64| is_next(again, &mut random, *second);
        (from..from + seconds).filter(|second| is_dialled(second)).collect()
    }

    fn is_next(again: &mut Again, random: &mut Random, second: u64) -> bool {
        again.next(random, Moment::new(second * 1_000), |_, _| true).is_some()
    }

    #[test]
    fn a_seed_is_dialled_for_good_and_less_and_less_often() {
        let mut again = Again::new(&[place(1)]);
        let day = dialled(&mut again, 0, 86_400);
        assert_eq!(day[0], 0);
        assert!(day[1] <= 2 && day[2] <= 5 && day[3] <= 12, "{day:?}");
        assert!((90..160).contains(&day.len()), "{}", day.len());
        assert!(day[day.len() - 1] > 86_400 - 900);
    }

    #[test]
    fn a_broken_link_is_dialled_for_some_minutes() {
        let mut again = Again::new(&[]);
        let mut random = Random::new([2; 32]);
        again.broken(&mut random, place(1), Moment::new(0), Moment::new(100_000));
        let hour = dialled(&mut again, 100, 3_600);
        assert_eq!(hour.len(), usize::from(ATTEMPTS));
        assert!(hour[0] <= 102 && hour[8] > 350 && hour[8] < 600, "{hour:?}");
        assert!(again.entries.is_empty());
    }

    #[test]
    fn who_ends_links_at_once_gains_no_dials_and_who_lasted_is_dialled_soon() {
        let mut again = Again::new(&[place(1)]);
        let mut random = Random::new([3; 32]);
        let mut dials = 0;
        for second in 0..3_600 {
            if is_next(&mut again, &mut random, second) {
                dials += 1;
                let (opened, now) = (second * 1_000, second * 1_000 + 10);
                again.broken(&mut random, place(1), Moment::new(opened), Moment::new(now));
            }
        }
        assert!((5..20).contains(&dials), "{dials}");
        again.broken(&mut random, place(1), Moment::new(3_600_000), Moment::new(3_660_000));
        assert!(!dialled(&mut again, 3_660, 3).is_empty());
    }

    #[test]
    fn few_are_remembered_and_seeds_always() {
        let mut again = Again::new(&[place(255)]);
        let mut random = Random::new([4; 32]);
        for number in 0..200 {
            again.broken(&mut random, place(number), Moment::new(0), Moment::new(100_000));
        }
        assert_eq!(again.entries.len(), OTHERS_MAX + 1);
        assert!(again.entries[0].left.is_none());
    }
}
