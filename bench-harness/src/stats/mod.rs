//! What repetitions say: their middle, how far they lie apart, which of them lie outside, and whether those of two sides
//! differ.
//!
//! ```text
//! one side       Summary                median, spread, outliers by Tukey's fences
//! two sides      ranks::unpaired        Mann-Whitney U: two runs, one behind the other
//!                ranks::paired          Wilcoxon's signed ranks: turns, A beside B
//! many rows      holm                   what a p is worth where many were asked for
//! ```
//!
//! Only orders are used, never means: durations have no bell curve, and one hiccup must not move a verdict.

pub mod ranks;

use serde::{Deserialize, Serialize};

/// The middle of some values and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle value; the mean of the two middle ones of an even number.
    pub median: f64,
    /// (90 % quantile − 10 % quantile) / median.
    pub spread: f64,
    /// How many lie outside.
    pub outliers: Outliers,
}

/// Values that lie outside Tukey's fences: further than 1.5 (mild) or 3 (severe) times the distance of the quartiles beyond
/// the nearer one (Tukey, Exploratory Data Analysis, 1977; the same fences that criterion.rs tells). They stay in median and
/// spread: both bear them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outliers {
    /// Beyond the inner fences, not the outer ones.
    pub mild: u32,
    /// Beyond the outer fences.
    pub severe: u32,
}

impl Summary {
    /// Of values in any order.
    ///
    /// # Panics
    /// Without values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "a median of nothing");
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let median = median_of_sorted(&values);
        let (low, high) = (values[(last + 5) / 10], values[last - (last + 5) / 10]);
        Self {
            median,
            spread: if median > 0.0 { (high - low) / median } else { 0.0 },
            outliers: Outliers::in_sorted(&values),
        }
    }
}

/// The middle of values in any order.
///
/// # Panics
/// Without values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    Summary::of(values).median
}

fn median_of_sorted(values: &[f64]) -> f64 {
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

impl Outliers {
    fn in_sorted(values: &[f64]) -> Self {
        let last = values.len() - 1;
        let (low, high) = (values[last / 4], values[last - last / 4]);
        let beyond = |fence: f64| {
            let outside = |value: &&f64| **value < low - fence || **value > high + fence;
            u32::try_from(values.iter().filter(outside).count()).unwrap_or(u32::MAX)
        };
        let severe = beyond(3.0 * (high - low));
        Self {
            mild: beyond(1.5 * (high - low)) - severe,
            severe,
        }
    }

    /// All of them.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.mild + self.severe
    }
}

/// The p-values of a family of tests, so adjusted that one below α is by chance with a probability below α in the whole
/// family (Holm, A simple sequentially rejective multiple test procedure, 1979).
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut highest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        highest = highest.max(p[index] * (p.len() - rank) as f64).min(1.0);
        adjusted[index] = highest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread_are_those_of_the_definition() {
        let odd: Vec<f64> = (1..=11).rev().map(f64::from).collect();
        let of = |values: &[f64]| {
            let Summary { median, spread, .. } = Summary::of(values);
            (median, spread)
        };
        assert_eq!(of(&odd), (6.0, 8.0 / 6.0));
        assert_eq!(of(&[4.0, 2.0]), (3.0, 2.0 / 3.0));
        assert_eq!(of(&[5.0]), (5.0, 0.0));
    }

    #[test]
    fn one_outlier_moves_neither_and_is_told() {
        let mut values: Vec<f64> = (0..11).map(|n| 1.0 + f64::from(n) / 1e3).collect();
        let before = Summary::of(&values);
        values[10] = 1_000.0;
        let after = Summary::of(&values);
        assert_eq!((before.median, before.spread), (after.median, after.spread));
        assert_eq!(
            (before.outliers.count(), after.outliers),
            (0, Outliers { mild: 0, severe: 1 })
        );
        // The quartiles are 1.002 and 1.008: the inner fence lies at 1.017, the outer one at 1.026.
        values[10] = 1.02;
        assert_eq!(Summary::of(&values).outliers, Outliers { mild: 1, severe: 0 });
    }

    #[test]
    fn of_many_rows_some_are_low_by_chance() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }
}
