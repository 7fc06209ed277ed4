//! Promise R11 on the real ledger: old states of either side at every height, with reveals and reorganisations in
//! between, against an honest side that answers before the deadline. The moves are those of `tests/model`.
//!
//! Run with `TIDEGATE_DISPUTES=100000` for the long form; `TIDEGATE_DISPUTE_SEED` begins elsewhere.

mod game;
mod story;

use game::Game;

/// A small generator of numbers (SplitMix64): the same story for the same seed, on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `count`, which is not zero.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("below a usize")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's long form is asked for by its environment, as in the other tests"
)]
fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Traces 1, 2, 3, 8 and 25 among others: whatever old states are shown, the honest side ends with its due, and the ledger
/// pays by the highest counters over all pairs that it has taken.
#[test]
fn an_old_state_never_wins_while_the_honest_side_is_up() {
    let (runs, seed) = (number("TIDEGATE_DISPUTES", 200), number("TIDEGATE_DISPUTE_SEED", 1));
    let mut corrected = 0;
    let mut met = 0;
    for run in 0..runs {
        let end = Game::new(seed + run).play();
        assert_eq!(end.loss, None);
        corrected += u64::from(end.corrected);
        met += u64::from(end.met > 0);
    }
    // Stories in which nothing was at stake would prove nothing.
    assert!(
        corrected * 5 > runs && met * 10 > runs,
        "{corrected} corrected, {met} with met locks, of {runs}"
    );
}

/// The check can fail: an honest side that sleeps past the deadline loses in some of the stories.
#[test]
fn a_side_that_sleeps_can_lose() {
    let lost = (0..60)
        .filter(|seed| Game::new(*seed).asleep().play().loss.is_some())
        .count();
    assert!(lost > 0, "sixty sleepers, and none lost a coin");
}
