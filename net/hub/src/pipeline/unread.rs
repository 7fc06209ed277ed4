//! Identities that ask and do not read.
//!
//! Whoever does not take its answers is closed at the bound of what is kept for it, and has cost the hub all of them: they were computed,
//! and thrown away. It may come back at once, since a slow network can do this to anybody once. If it happens again it has to stay away,
//! each time twice as long:
//!
//! ```text
//!  closed unread:   1st   2nd   3rd   4th …
//!  stays away:       0    1 s   2 s   4 s …  64 s     forgotten after two minutes without
//! ```

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tidegate_types::KeyBytes;

/// How long the second time keeps it away.
const AWAY: Duration = Duration::from_secs(1);
/// That is doubled so often at most.
const DOUBLINGS_MAX: u32 = 6;
/// Without another time for so long it is forgotten.
const MEMORY: Duration = Duration::from_secs(120);
/// So many are remembered; of more, those that may come back first are forgotten.
const IDENTITIES_MAX: usize = 4_096;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Unread {
    identities: HashMap<KeyBytes, Strikes>,
}

#[derive(Clone, Copy, Debug)]
struct Strikes {
    count: u32,
    last: Instant,
}

impl Strikes {
    fn until(&self) -> Instant {
        match self.count {
            0 | 1 => self.last,
            more => self.last + AWAY * (1 << (more - 2).min(DOUBLINGS_MAX)),
        }
    }
}

impl Unread {
    /// It was closed since it did not read.
    pub(crate) fn note(&mut self, identity: KeyBytes, now: Instant) {
        if self.identities.len() >= IDENTITIES_MAX && !self.identities.contains_key(&identity) {
            self.make_room(now);
        }
        let strikes = self
            .identities
            .entry(identity)
            .or_insert(Strikes { count: 0, last: now });
        if now.saturating_duration_since(strikes.until()) > MEMORY {
            strikes.count = 0;
        }
        *strikes = Strikes {
            count: strikes.count.saturating_add(1),
            last: now,
        };
    }

    /// How long it has to stay away from now on, if at all.
    pub(crate) fn away(&self, identity: &KeyBytes, now: Instant) -> Option<Duration> {
        let until = self.identities.get(identity)?.until();
        let away = until.saturating_duration_since(now);
        (!away.is_zero()).then_some(away)
    }

    fn make_room(&mut self, now: Instant) {
        self.identities
            .retain(|_, strikes| now.saturating_duration_since(strikes.until()) <= MEMORY);
        if self.identities.len() < IDENTITIES_MAX {
            return;
        }
        let mut ends: Vec<Instant> = self.identities.values().map(Strikes::until).collect();
        let half = ends.len() / 2;
        let middle = *ends.select_nth_unstable(half).1;
        self.identities.retain(|_, strikes| strikes.until() > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(number: u32) -> KeyBytes {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        KeyBytes::from_bytes(bytes)
    }

    #[test]
    fn each_time_it_stays_away_for_longer_and_in_the_end_it_is_forgotten() {
        let (mut unread, mut now) = (Unread::default(), Instant::now());
        assert_eq!(unread.away(&identity(1), now), None);
        let mut aways = Vec::new();
        for _ in 0..10 {
            unread.note(identity(1), now);
            let away = unread.away(&identity(1), now).unwrap_or_default();
            assert_eq!(unread.away(&identity(1), now + away), None, "then it may come");
            assert_eq!(unread.away(&identity(2), now), None);
            aways.push(away.as_secs());
            now += away;
        }
        assert_eq!(aways, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
        now += MEMORY + Duration::from_millis(1);
        unread.note(identity(1), now);
        assert_eq!(unread.away(&identity(1), now), None);
    }

    #[test]
    fn so_many_are_remembered_and_those_who_wait_longest_stay() {
        let (mut unread, now) = (Unread::default(), Instant::now());
        for _ in 0..5 {
            unread.note(identity(0), now);
        }
        for number in 1..20_000 {
            unread.note(identity(number), now);
            assert!(unread.identities.len() <= IDENTITIES_MAX);
        }
        assert_eq!(unread.away(&identity(0), now), Some(Duration::from_secs(8)));
    }
}
