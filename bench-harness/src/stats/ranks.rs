//! Whether the values of two sides differ, and by how much: tests on ranks, with the estimates that belong to them.
//!
//! Both work on ratios, as logarithms: "5 % slower" is the same for a nanosecond and for a second. The estimate is that of
//! Hodges and Lehmann (Estimates of Location Based on Rank Tests, 1963), its interval comes from the same test (Hollander,
//! Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 3.2 and 4.2).

/// How B differs from A.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// How many times as large B's values are.
    pub ratio: f64,
    /// Where that ratio lies with a confidence of [`CONFIDENCE`].
    pub interval: [f64; 2],
    /// How likely values as far apart are if both sides are alike.
    pub p: f64,
}

/// Of the intervals.
pub const CONFIDENCE: f64 = 0.99;
/// How many standard deviations that is, to each side.
const CONFIDENCE_Z: f64 = 2.575_829_303_548_901;
/// Up to so many values of both sides together the distribution of ranks is counted out; beyond, it is taken for normal.
const COUNTED_MAX: usize = 60;

/// Two runs, one behind the other: Mann and Whitney's U (On a Test of Whether one of Two Random Variables is Stochastically
/// Larger than the Other, 1947), ties included.
///
/// # Panics
/// Without values on a side, or with one that is not above zero.
#[must_use]
pub fn unpaired(a: &[f64], b: &[f64]) -> Difference {
    let (a, b) = (logarithms(a), logarithms(b));
    let mut shifts: Vec<f64> = b.iter().flat_map(|b| a.iter().map(move |a| b - a)).collect();
    shifts.sort_by(f64::total_cmp);
    let (m, n) = (a.len() as f64, b.len() as f64);
    let margin = CONFIDENCE_Z * (m * n * (m + n + 1.0) / 12.0).sqrt();
    Difference {
        ratio: middle(&shifts).exp(),
        interval: interval(&shifts, m * n / 2.0 - margin),
        p: rank_sum(&a, &b),
    }
}

/// Turns: value `i` of both sides was measured at the same time. Wilcoxon's signed ranks, with the exact distribution over
/// all signs, ties included.
///
/// # Panics
/// Without values, with sides of different lengths, or with a value that is not above zero.
#[must_use]
pub fn paired(a: &[f64], b: &[f64]) -> Difference {
    assert_eq!(a.len(), b.len(), "each turn has a value of both sides");
    let shifts: Vec<f64> = logarithms(b).iter().zip(logarithms(a)).map(|(b, a)| b - a).collect();
    // Walsh's averages.
    let mut averages: Vec<f64> = (0..shifts.len())
        .flat_map(|i| (i..shifts.len()).map(move |j| (i, j)))
        .map(|(i, j)| f64::midpoint(shifts[i], shifts[j]))
        .collect();
    averages.sort_by(f64::total_cmp);
    let n = shifts.len() as f64;
    let margin = CONFIDENCE_Z * (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
    Difference {
        ratio: middle(&averages).exp(),
        interval: interval(&averages, n * (n + 1.0) / 4.0 - margin),
        p: signed_ranks(&shifts),
    }
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    assert!(!values.is_empty(), "a side without values");
    let log = |value: &f64| {
        assert!(*value > 0.0, "a duration of {value}");
        value.ln()
    };
    values.iter().map(log).collect()
}

fn middle(sorted: &[f64]) -> f64 {
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// From the `rank`th of `sorted`, counted from 1, to the `rank`th from above, as ratios.
fn interval(sorted: &[f64], rank: f64) -> [f64; 2] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and a rank below the first is the first"
    )]
    let index = (rank.floor().max(1.0) as usize - 1).min(sorted.len() - 1);
    let (low, high) = (sorted[index], sorted[sorted.len() - 1 - index]);
    [low.min(high).exp(), low.max(high).exp()]
}

/// Twice the ranks of `sorted`, counted from 1, where equal values share the middle of theirs: whole numbers all the same.
fn doubled_ranks(sorted: &[f64], equal: impl Fn(f64, f64) -> bool) -> Vec<usize> {
    let mut doubled = Vec::with_capacity(sorted.len());
    for equals in sorted.chunk_by(|a, b| equal(*a, *b)) {
        let first = doubled.len() + 1;
        doubled.extend(std::iter::repeat_n(2 * first + equals.len() - 1, equals.len()));
    }
    doubled
}

/// The probability, if all orders of both sides' values were as likely, of a sum of A's ranks as far from its middle.
fn rank_sum(a: &[f64], b: &[f64]) -> f64 {
    let mut tagged: Vec<(f64, bool)> = a
        .iter()
        .map(|a| (*a, true))
        .chain(b.iter().map(|b| (*b, false)))
        .collect();
    tagged.sort_by(|x, y| x.0.total_cmp(&y.0));
    let sorted: Vec<f64> = tagged.iter().map(|tagged| tagged.0).collect();
    let ranks = doubled_ranks(&sorted, |x, y| x == y);
    let of_a: usize = tagged
        .iter()
        .zip(&ranks)
        .filter(|(tagged, _)| tagged.1)
        .map(|(_, rank)| rank)
        .sum();
    let middle = a.len() * (ranks.len() + 1);
    let apart = of_a.abs_diff(middle);
    if ranks.len() <= COUNTED_MAX {
        counted(&ranks, a.len(), middle, apart)
    } else {
        normal(&ranks, a.len(), apart)
    }
}

/// Of all ways to choose `size` of `ranks`, the part whose sum is at least `apart` from `middle`.
fn counted(ranks: &[usize], size: usize, middle: usize, apart: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    // ways[k][s]: to choose k ranks that sum to s.
    let mut ways = vec![vec![0.0; total + 1]; size + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for k in (1..=size).rev() {
            let (fewer, more) = ways.split_at_mut(k);
            for sum in *rank..=total {
                more[0][sum] += fewer[k - 1][sum - rank];
            }
        }
    }
    let all: f64 = ways[size].iter().sum();
    let far = ways[size]
        .iter()
        .enumerate()
        .filter(|(sum, _)| sum.abs_diff(middle) >= apart);
    (far.map(|(_, count)| count).sum::<f64>() / all).min(1.0)
}

/// The same by a normal distribution, with its corrections for ties and for continuity.
fn normal(ranks: &[usize], size: usize, apart: usize) -> f64 {
    let count = ranks.len() as f64;
    let middle = count + 1.0;
    // The variance of the (doubled) ranks themselves holds what ties take away.
    let squares: f64 = ranks.iter().map(|rank| (*rank as f64 - middle).powi(2)).sum();
    let (m, n) = (size as f64, count - size as f64);
    let deviation = (m * n * squares / (count * (count - 1.0))).sqrt();
    if deviation == 0.0 {
        return 1.0;
    }
    let z = (apart as f64 - 1.0).max(0.0) / deviation;
    libm::erfc(z / std::f64::consts::SQRT_2)
}

/// The probability, if signs were a coin's, of a sum of ranks as far from its middle as that of `shifts`.
fn signed_ranks(shifts: &[f64]) -> f64 {
    // Wilcoxon's way with zeros: they say nothing of a sign.
    let mut shifts: Vec<f64> = shifts.iter().copied().filter(|shift| *shift != 0.0).collect();
    shifts.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let doubled = doubled_ranks(&shifts, |a, b| a.abs() == b.abs());
    let total: usize = doubled.iter().sum();
    let positive: usize = shifts
        .iter()
        .zip(&doubled)
        .filter(|(s, _)| **s > 0.0)
        .map(|(_, rank)| rank)
        .sum();
    let low = positive.min(total - positive);
    // chance[s]: that the ranks with a positive sign sum to s.
    let mut chance = vec![0.0; total + 1];
    chance[0] = 1.0;
    for rank in doubled {
        for sum in (0..=total).rev() {
            let with = if sum >= rank { chance[sum - rank] } else { 0.0 };
            chance[sum] = 0.5 * (chance[sum] + with);
        }
    }
    (2.0 * chance[..=low].iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    }

    #[test]
    fn signed_ranks_are_those_of_the_books() {
        // The negative sum is 6: so low are 14 of the 64 ways to choose signs.
        near(signed_ranks(&[1.0, 2.0, 3.0, 4.0, 5.0, -6.0]), 0.437_5);
        near(
            signed_ranks(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]),
            2.0 / 1024.0,
        );
        // Darwin's maize, in eighths of an inch: R's wilcox.test says 0.04126.
        let maize = [
            49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0,
        ];
        near(signed_ranks(&maize), 0.041_259_765_625);
        near(signed_ranks(&[0.0, 0.0]), 1.0);
        // Two equal values share ranks 1 and 2: of the eight signs, two are as far out.
        near(signed_ranks(&[1.0, 1.0, 5.0]), 0.25);
    }

    #[test]
    fn turns_take_out_what_both_sides_share() {
        // A machine that gets slower and slower: far more than the 4 % between the sides.
        let a: Vec<f64> = (0..15).map(|n| 100.0 * (1.0 + f64::from(n) / 10.0)).collect();
        let b: Vec<f64> = a
            .iter()
            .enumerate()
            .map(|(n, a)| a * (1.04 + 0.001 * (n % 3) as f64))
            .collect();
        let paired = paired(&a, &b);
        near(paired.p, 2.0 / 32_768.0);
        assert!((1.04..1.042).contains(&paired.ratio), "{paired:?}");
        assert!(paired.interval[0] >= 1.039 && paired.interval[1] <= 1.043, "{paired:?}");
        let unpaired = unpaired(&a, &b);
        assert!(unpaired.p > 0.3, "{unpaired:?}");
        assert!(unpaired.interval[0] < 1.0 && unpaired.interval[1] > 1.1, "{unpaired:?}");
    }

    #[test]
    fn runs_one_behind_the_other_are_judged_by_ranks() {
        let a: Vec<f64> = (0..11).map(|n| 100.0 + f64::from(n)).collect();
        let b: Vec<f64> = (0..11).map(|n| 120.5 + f64::from(n)).collect();
        // No value of one side lies among the other's: 2 / C(22, 11).
        near(unpaired(&a, &b).p, 2.0 / 705_432.0);
        // A's ranks 1, 2 and 4: of the 20 sums of three ranks, four are as far from the middle.
        near(unpaired(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]).p, 0.2);
        // Of 61 values it is taken for normal; counted out, it is 0.0436.
        let (mut many, more): (Vec<f64>, Vec<f64>) =
            (0..30).map(|n| (100.0 + f64::from(n), 104.3 + f64::from(n))).unzip();
        near(unpaired(&many, &more).p, 0.065_399_114_7);
        many.push(99.0);
        let rough = unpaired(&many, &more).p;
        assert!((rough / 0.043_601_2 - 1.0).abs() < 0.05, "{rough}");
        let same = unpaired(&a, &a);
        assert!(same.p > 0.9 && (same.ratio - 1.0).abs() < 1e-12, "{same:?}");
        near(unpaired(&[5.0; 6], &[5.0; 6]).p, 1.0);
    }

    #[test]
    fn intervals_hold_what_they_are_of() {
        let a: Vec<f64> = (0..30).map(|n| 50.0 + f64::from(n * 7 % 11)).collect();
        let b: Vec<f64> = a.iter().rev().map(|a| a * 1.1).collect();
        for difference in [unpaired(&a, &b), paired(&a, &b)] {
            let [low, high] = difference.interval;
            assert!(low <= difference.ratio && difference.ratio <= high, "{difference:?}");
            assert!(low <= 1.1 && 1.1 <= high, "{difference:?}");
        }
        let one = paired(&[2.0], &[4.0]);
        assert_eq!((one.p, one.interval), (1.0, [2.0, 2.0]));
    }
}
