//! How a row is measured: warm up once, repeat, take the median.
//!
//! One repetition of a fast operation runs it as often as fits [`REPETITION_TARGET`], so that the clock's own cost is
//! lost in it. Machines here are noisy in one direction (something else ran), which a median of [`REPETITIONS`] bears.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{peers::Peers, report::Row};

/// How many repetitions a full run takes of each row.
pub const REPETITIONS: usize = 11;

/// How long one repetition of a full run takes at least.
pub const REPETITION_TARGET: Duration = Duration::from_millis(20);

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Numbers worth reading.
    Full,
    /// Everything runs once or twice on small data: shows that it works, measures nothing.
    Tiny,
}

impl Scale {
    /// `full` or `tiny`, whichever this is.
    #[must_use]
    pub const fn pick(self, full: usize, tiny: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Tiny => tiny,
        }
    }
}

/// The unit of a row's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds per operation.
    Nanos,
    /// Microseconds per operation.
    Micros,
}

impl Unit {
    /// As it stands in a row.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nanos => "ns",
            Self::Micros => "us",
        }
    }

    fn of(self, seconds: f64) -> f64 {
        match self {
            Self::Nanos => seconds * 1e9,
            Self::Micros => seconds * 1e6,
        }
    }
}

/// Whose the rows of [`Bench::measure`] are.
pub const OWN: &str = "tidegate";

/// Sizes that the command line gives, by name.
pub type Sizes = BTreeMap<&'static str, usize>;

/// Collects the rows of a suite.
#[derive(Debug)]
pub struct Bench {
    scale: Scale,
    peers: Peers,
    sizes: Sizes,
    program: Option<PathBuf>,
    store: Option<String>,
    result: Measured,
}

/// What a suite has measured.
#[derive(Debug, Default)]
pub struct Measured {
    /// In the order of measuring.
    pub rows: Vec<Row>,
    /// Rows compared, by name.
    pub ratios: BTreeMap<String, f64>,
    /// What there is no row of, and why.
    pub not_run: BTreeMap<String, String>,
}

impl Bench {
    /// A collection without rows.
    #[must_use]
    pub fn new(scale: Scale, peers: Peers) -> Self {
        Self {
            scale,
            peers,
            sizes: Sizes::new(),
            program: None,
            store: None,
            result: Measured::default(),
        }
    }

    /// The same with sizes from the command line.
    #[must_use]
    pub fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// The same with the file of the running program, for suites that measure in processes of their own.
    #[must_use]
    pub fn with_program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// The same with one peer of the suite `storage` alone.
    #[must_use]
    pub fn with_store(mut self, store: Option<String>) -> Self {
        self.store = store;
        self
    }

    /// Whether the store of that name is to be measured.
    #[must_use]
    pub fn wants_store(&self, name: &str) -> bool {
        self.store.as_deref().is_none_or(|store| store == name)
    }

    /// The running program, if this is one that can be started again as a child.
    #[must_use]
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// A size that the command line may give; else `full` or `tiny`, whichever the scale is.
    #[must_use]
    pub fn size(&self, name: &str, full: usize, tiny: usize) -> usize {
        self.sizes.get(name).copied().unwrap_or(self.scale.pick(full, tiny))
    }

    /// Whether peers are to be measured too.
    #[must_use]
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// How much to measure.
    #[must_use]
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// Measures `work`, which does `operations` operations a call, and adds the row of one operation.
    ///
    /// `name` is `module::op/key=value`. Wrap what the compiler might leave out in [`std::hint::black_box`].
    ///
    /// # Panics
    /// If `operations` is 0.
    pub fn measure(&mut self, name: &str, unit: Unit, operations: usize, work: impl FnMut()) {
        self.measure_of(OWN, name, unit, operations, work);
    }

    /// [`Bench::measure`] of somebody else's operation: `system` is whose.
    ///
    /// # Panics
    /// If `operations` is 0.
    pub fn measure_of(&mut self, system: &str, name: &str, unit: Unit, operations: usize, mut work: impl FnMut()) {
        assert!(operations > 0, "{name}: a call does at least one operation");
        let calls = self.calls_per_repetition(&mut work);
        let count = self.scale.pick(REPETITIONS, 2);
        let mut values: Vec<f64> = (0..count)
            .map(|_| {
                let begin = Instant::now();
                (0..calls).for_each(|_| work());
                unit.of(begin.elapsed().as_secs_f64()) / (calls as f64 * operations as f64)
            })
            .collect();
        self.add(system, name, unit, &mut values);
    }

    /// Measures operations that wait for a device, each call on its own and in turns, so that what else happens on the
    /// device meets all of them alike. `work` is called with the index of a name; `rest` follows each turn, unmeasured.
    /// A row's value is the median of `turns` calls.
    ///
    /// # Errors
    /// The first error of `work` or `rest`; no row is added then.
    ///
    /// # Panics
    /// If `turns` is 0.
    pub fn measure_in_turns<E>(
        &mut self,
        names: &[&str],
        unit: Unit,
        turns: usize,
        mut work: impl FnMut(usize) -> Result<(), E>,
        mut rest: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut values = vec![Vec::with_capacity(turns); names.len()];
        for _ in 0..turns {
            for (index, values) in values.iter_mut().enumerate() {
                let begin = Instant::now();
                work(index)?;
                values.push(unit.of(begin.elapsed().as_secs_f64()));
            }
            rest()?;
        }
        for (name, values) in names.iter().zip(&mut values) {
            self.add(OWN, name, unit, values);
        }
        Ok(())
    }

    /// Adds a row that was measured elsewhere: by another process, or as a count.
    pub fn adopt(&mut self, row: Row) {
        self.result.rows.push(row);
    }

    /// Notes that there is no row of `name`, and why.
    pub fn not_run(&mut self, name: &str, why: &str) {
        self.result.not_run.insert(name.to_owned(), why.to_owned());
    }

    /// The value of a row measured before.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.result
            .rows
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.value)
    }

    /// Adds the ratio of two rows measured before: how many times as long `slow` takes as `fast`.
    ///
    /// # Panics
    /// If there is no such row: a suite names its own rows.
    pub fn ratio(&mut self, name: &str, slow: &str, fast: &str) {
        let value = |name: &str| {
            self.value(name)
                .unwrap_or_else(|| panic!("a ratio over a row that was not measured: {name}"))
        };
        let ratio = value(slow) / value(fast);
        self.result.ratios.insert(name.to_owned(), ratio);
    }

    /// [`Bench::ratio`] to a row of a peer; nothing if that was not run.
    ///
    /// # Panics
    /// If there is no row `fast`: that is the suite's own.
    pub fn ratio_to_peer(&mut self, name: &str, slow: &str, fast: &str) {
        if self.value(slow).is_some() {
            self.ratio(name, slow, fast);
        }
    }

    /// Adds a ratio of two values that stand in no rows of their own.
    pub fn compare(&mut self, name: &str, ratio: f64) {
        self.result.ratios.insert(name.to_owned(), ratio);
    }

    /// What was measured.
    #[must_use]
    pub fn finish(self) -> Measured {
        self.result
    }

    /// Warms up, and finds how many calls fill a repetition.
    fn calls_per_repetition(&self, work: &mut impl FnMut()) -> usize {
        work();
        if self.scale == Scale::Tiny {
            return 1;
        }
        let mut calls = 1;
        loop {
            let begin = Instant::now();
            (0..calls).for_each(|_| work());
            if begin.elapsed() >= REPETITION_TARGET {
                return calls;
            }
            calls *= 2;
        }
    }

    /// Adds the row of operations that the caller has timed, one value each, in the unit of the row.
    ///
    /// # Panics
    /// Without values.
    pub fn add(&mut self, system: &str, name: &str, unit: Unit, values: &mut [f64]) {
        let Spread { median, spread } = Spread::of(values);
        if self.scale == Scale::Full {
            // A suite takes a minute or more: whoever waits sees each row when it is there.
            eprintln!("{name}  {median:.2} {}", unit.name());
        }
        self.result.rows.push(Row {
            name: name.to_owned(),
            system: system.to_owned(),
            value: median,
            unit: unit.name().to_owned(),
            n: values.len() as u64,
            spread,
        });
    }
}

/// The middle of some values and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle value; the mean of the two middle ones of an even number.
    pub median: f64,
    /// (90 % quantile − 10 % quantile) / median.
    pub spread: f64,
}

impl Spread {
    /// Of values in any order, which are sorted.
    ///
    /// # Panics
    /// Without values.
    #[must_use]
    pub fn of(values: &mut [f64]) -> Self {
        assert!(!values.is_empty(), "a median of nothing");
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let median = f64::midpoint(values[last / 2], values[values.len() / 2]);
        let (low, high) = (values[(last + 5) / 10], values[last - (last + 5) / 10]);
        Self {
            median,
            spread: if median > 0.0 { (high - low) / median } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread_are_those_of_the_definition() {
        let mut odd: Vec<f64> = (1..=11).rev().map(f64::from).collect();
        assert_eq!(
            Spread::of(&mut odd),
            Spread {
                median: 6.0,
                spread: 8.0 / 6.0
            }
        );
        assert_eq!(
            Spread::of(&mut [4.0, 2.0]),
            Spread {
                median: 3.0,
                spread: 2.0 / 3.0
            }
        );
        assert_eq!(
            Spread::of(&mut [5.0]),
            Spread {
                median: 5.0,
                spread: 0.0
            }
        );
    }

    #[test]
    fn one_outlier_moves_neither() {
        let mut values = [1.0; 11];
        values[3] = 1_000.0;
        assert_eq!(
            Spread::of(&mut values),
            Spread {
                median: 1.0,
                spread: 0.0
            }
        );
    }

    #[test]
    fn a_measured_time_is_that_of_one_operation() {
        let mut bench = Bench::new(Scale::Tiny, Peers::Leave);
        bench.measure("clock::sleep/us=2000", Unit::Micros, 2, || {
            std::thread::sleep(Duration::from_micros(2_000))
        });
        bench.measure("clock::sleep/us=8000", Unit::Micros, 1, || {
            std::thread::sleep(Duration::from_micros(8_000))
        });
        bench.ratio("long over short", "clock::sleep/us=8000", "clock::sleep/us=2000");
        bench.ratio_to_peer("a peer over short", "peer::sleep/us=1", "clock::sleep/us=2000");
        let Measured { rows, ratios, .. } = bench.finish();
        assert!((1_000.0..8_000.0).contains(&rows[0].value), "{rows:?}");
        assert_eq!(ratios.len(), 1, "a peer that was not run has no ratio");
        assert!((2.0..40.0).contains(&ratios["long over short"]), "{ratios:?}");
    }

    #[test]
    #[should_panic(expected = "not measured: gone")]
    fn a_ratio_over_nothing_is_refused() {
        Bench::new(Scale::Tiny, Peers::Leave).ratio("r", "gone", "gone");
    }
}
