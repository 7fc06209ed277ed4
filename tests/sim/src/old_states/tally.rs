//! How many trials there were, and what they hit.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use super::{End, Guard, LATEST_START, Plan, Trouble, Up, WINDOW};

/// Old states by how many newer ones there were; older ones count as this.
const OLDEST: usize = 10;

/// Counts of trials.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// All of them.
    pub trials: u64,
    by_guard: BTreeMap<(Guard, Trouble), [u64; 3]>,
    ages: BTreeMap<Guard, [u64; OLDEST + 1]>,
    /// Which heights of the start, and of the guard's coming, were hit with which state of which side.
    places: BTreeSet<(Guard, usize, u32, Up)>,
    reorgs: u64,
    restarts: u64,
    losses: Vec<(u64, String)>,
}

impl Tally {
    /// Counts a trial.
    pub fn note(&mut self, seed: u64, plan: &Plan, end: &End) {
        self.trials += 1;
        let counts = self.by_guard.entry((plan.guard, plan.trouble)).or_default();
        counts[0] += 1;
        counts[1] += u64::from(end.corrected);
        counts[2] += u64::from(end.loss.is_some());
        let age = end.age.min(OLDEST);
        self.ages.entry(plan.guard).or_default()[age] += 1;
        self.places.insert((plan.guard, age, end.started_after, plan.up));
        self.reorgs += u64::from(end.reorgs);
        self.restarts += u64::from(end.restarts);
        self.losses.extend(end.loss.iter().map(|loss| (seed, loss.clone())));
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: Self) {
        self.trials += other.trials;
        for (case, counts) in other.by_guard {
            let own = self.by_guard.entry(case).or_default();
            own.iter_mut().zip(counts).for_each(|(own, more)| *own += more);
        }
        for (guard, counts) in other.ages {
            let own = self.ages.entry(guard).or_default();
            own.iter_mut().zip(counts).for_each(|(own, more)| *own += more);
        }
        self.places.extend(other.places);
        self.reorgs += other.reorgs;
        self.restarts += other.restarts;
        self.losses.extend(other.losses);
    }

    /// Trials that an old state has won, by seed.
    #[must_use]
    pub fn losses(&self) -> &[(u64, String)] {
        &self.losses
    }

    /// How many closes were corrected.
    #[must_use]
    pub fn corrected(&self) -> u64 {
        self.by_guard.values().map(|counts| counts[1]).sum()
    }

    /// The share of all places that were hit, in percent: state by age × height of the start × height of the guard's coming, for
    /// each kind of guard.
    #[must_use]
    pub fn covered(&self) -> u64 {
        let all = 3 * (OLDEST as u64 + 1) * u64::from(LATEST_START) * (u64::from(WINDOW) + 1);
        self.places.len() as u64 * 100 / all
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} trials, {} closes corrected, {} restarts of guards and {} falls of the ledger while a close stood; {} % of all \
             (guard, state, height of the start, height of the guard's coming) hit; {} lost",
            self.trials,
            self.corrected(),
            self.restarts,
            self.reorgs,
            self.covered(),
            self.losses.len()
        )?;
        for ((guard, trouble), [trials, corrected, lost]) in &self.by_guard {
            let (restarts, reorgs) = (trouble.restarts, trouble.reorgs);
            writeln!(
                f,
                "  guard {guard:?}, restarts {restarts}, reorgs {reorgs}: {trials} trials, {corrected} corrected, {lost} lost"
            )?;
        }
        for (guard, ages) in &self.ages {
            writeln!(
                f,
                "  guard {guard:?}, newer states than the one shown, 0 to {OLDEST} and more: {ages:?}"
            )?;
        }
        for (seed, loss) in self.losses.iter().take(10) {
            writeln!(f, "  LOST, seed {seed}: {loss}")?;
        }
        Ok(())
    }
}
