//! Channels that have brought signatures that do not hold, and what is still done for them.
//!
//! A signature that does not hold costs the hub as much as one that does, and whoever brings it nothing. No honest client brings one.
//! So a channel that has brought some is a suspect until it has brought as many that hold:
//!
//! ```text
//!  signed requests of a suspect ─▶ the first of a batch is checked ─▶ holds: one less to make good
//!                                  the others: Busy                └▶ does not: BadSignature, as anyone's; one more
//!  what all this took is paid for: the connection is not read until all suspects together have had no more than their share of one
//!  processor
//! ```
//!
//! Whoever asks for a channel's whole state twice in a batch pays likewise for what it is not told.
//!
//! The bill is one for all of them, so a thousand suspects get no more than one does. Who brings a channel's states has proved to be
//! its client or to be sent by it: nobody makes a suspect of another.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tidegate_reactor::ConnId;

/// About what a signature that does not hold takes of a processor.
const BAD: Duration = Duration::from_micros(50);
/// About what a request takes that is answered `Busy`.
const TURNED_AWAY: Duration = Duration::from_micros(3);
/// The longest rest; what it does not pay for is forgiven.
const REST_MAX: Duration = Duration::from_secs(5);
/// A shorter one is not worth the trouble, and waits until there is more to pay for.
const REST_MIN: Duration = Duration::from_millis(64);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Suspects {
    /// What they may take of one processor; without a bound there are none.
    percent: u32,
    /// How many signatures a channel has to make good; no more entries than there are channels.
    slots: HashMap<u32, u32>,
    /// When all is paid that was done for suspects.
    paid: Instant,
    /// By connection: what the batch under way did for it.
    owed: HashMap<ConnId, Duration>,
}

impl Suspects {
    pub(super) fn new(percent: u32, now: Instant) -> Self {
        Self {
            percent,
            slots: HashMap::new(),
            paid: now,
            owed: HashMap::new(),
        }
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        self.slots.contains_key(&slot)
    }

    /// A signature did not hold.
    pub(super) fn note_bad(&mut self, conn: ConnId, slot: u32) {
        if self.percent == 0 {
            return;
        }
        let bad = self.slots.entry(slot).or_default();
        *bad = bad.saturating_add(1);
        self.owe(conn, BAD);
    }

    /// A request was not looked at: one of a suspect, or one for what another in this batch has asked for.
    pub(super) fn note_turned_away(&mut self, conn: ConnId) {
        if self.percent > 0 {
            self.owe(conn, TURNED_AWAY);
        }
    }

    fn owe(&mut self, conn: ConnId, more: Duration) {
        *self.owed.entry(conn).or_default() += more;
    }

    /// A signature held.
    pub(super) fn note_good(&mut self, slot: u32) {
        if let Some(bad) = self.slots.get_mut(&slot) {
            *bad -= 1;
            if *bad == 0 {
                self.slots.remove(&slot);
            }
        }
    }

    /// Who is not to be read for how long, after a batch.
    pub(super) fn settle(&mut self, now: Instant, mut rest: impl FnMut(ConnId, Duration)) {
        for (conn, owed) in self.owed.drain() {
            self.paid = (self.paid.max(now) + owed * 100 / self.percent).min(now + REST_MAX);
            let wait = self.paid - now;
            if wait >= REST_MIN {
                rest(conn, wait);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERCENT: u32 = 20;
    /// What is waited for each microsecond that was taken.
    const SHARE: u32 = 5;

    fn conn(number: u64) -> ConnId {
        ConnId::from_u64(number)
    }

    #[test]
    fn a_suspect_makes_good_what_it_brought() {
        let mut suspects = Suspects::new(PERCENT, Instant::now());
        suspects.note_bad(conn(1), 7);
        suspects.note_bad(conn(2), 7);
        assert!(suspects.contains(7) && !suspects.contains(8));
        suspects.note_good(8);
        suspects.note_good(7);
        assert!(suspects.contains(7), "one of two");
        suspects.note_good(7);
        assert!(!suspects.contains(7));
    }

    #[test]
    fn all_suspects_together_get_their_share_and_no_more() {
        let now = Instant::now();
        let mut suspects = Suspects::new(PERCENT, now);
        let bad = u64::try_from(REST_MIN.as_nanos() / (BAD * SHARE).as_nanos()).expect("few");
        for number in 0..bad {
            suspects.note_bad(conn(number), 7);
        }
        let mut waits = Vec::new();
        suspects.settle(now, |_, wait| waits.push(wait));
        assert_eq!(
            waits,
            [BAD * SHARE * u32::try_from(bad).expect("few")],
            "only the last one has to wait"
        );
        suspects.note_turned_away(conn(1));
        suspects.settle(now, |_, wait| waits.push(wait));
        assert_eq!(
            waits[1] - waits[0],
            TURNED_AWAY * SHARE,
            "each pays for those before it"
        );
        suspects.note_bad(conn(1), 7);
        suspects.settle(now + REST_MAX, |_, wait| waits.push(wait));
        assert_eq!(waits.len(), 2, "time pays");
    }

    #[test]
    fn without_a_bound_nobody_is_a_suspect() {
        let now = Instant::now();
        let mut suspects = Suspects::new(0, now);
        suspects.note_bad(conn(1), 7);
        assert!(!suspects.contains(7));
        suspects.settle(now, |_, wait| panic!("{wait:?}"));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let now = Instant::now();
        let mut suspects = Suspects::new(PERCENT, now);
        for _ in 0..100_000 {
            suspects.note_bad(conn(1), 7);
        }
        let mut waits = Vec::new();
        suspects.settle(now, |_, wait| waits.push(wait));
        assert_eq!(waits, [REST_MAX]);
    }
}
