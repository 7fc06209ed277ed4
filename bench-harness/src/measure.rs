//! How a row is measured: warm up once, repeat, take the median.
//!
//! One repetition of a fast operation runs it as often as fits [`REPETITION_TARGET`], so that the clock's own cost is
//! lost in it. Machines here are noisy in one direction (something else ran), which a median of [`REPETITIONS`] bears.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{device::cpu_seconds, peers::Peers, report::Row};

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
    tigerbeetle: Option<PathBuf>,
    only: Option<String>,
    repetitions: Option<usize>,
    extra_work: ExtraWork,
    quiet: bool,
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
            tigerbeetle: None,
            only: None,
            repetitions: None,
            extra_work: ExtraWork::default(),
            quiet: false,
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

    /// The same with a binary of TigerBeetle.
    #[must_use]
    pub fn with_tigerbeetle(mut self, program: Option<PathBuf>) -> Self {
        self.tigerbeetle = program;
        self
    }

    /// The same with those rows alone whose name begins with `only`, each repeated so often, with so much work added.
    #[must_use]
    pub fn narrowed(mut self, only: Option<String>, repetitions: Option<usize>, extra_work: ExtraWork) -> Self {
        (self.only, self.repetitions, self.extra_work) = (only, repetitions, extra_work);
        self
    }

    /// The same, which tells no row on standard error.
    #[must_use]
    pub const fn quieted(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// Whether the row of that name is wanted; of the beginning of names, whether some row of them is: what makes them ready
    /// need not be done otherwise.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only
            .as_deref()
            .is_none_or(|only| name.starts_with(only) || only.starts_with(name))
    }

    /// Percent of work that is added to each row.
    #[must_use]
    pub const fn extra_work(&self) -> ExtraWork {
        self.extra_work
    }

    /// Whether the store of that name is to be measured.
    #[must_use]
    pub fn wants_store(&self, name: &str) -> bool {
        self.store.as_deref().is_none_or(|store| store == name)
    }

    /// The binary of TigerBeetle, where one is given.
    #[must_use]
    pub fn tigerbeetle(&self) -> Option<&Path> {
        self.tigerbeetle.as_deref()
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
        if !self.wants(name) {
            return;
        }
        let calls = self.calls_per_repetition(&mut work);
        // Work that is done and not counted, where somebody asks whether `compare` would find it.
        let extra = self.extra_work.of(calls);
        let per_operation = |seconds: f64| unit.of(seconds) / (calls as f64 * operations as f64);
        let (mut values, mut cpu_values) = (Vec::new(), Vec::new());
        for _ in 0..self.repetitions.unwrap_or(self.scale.pick(REPETITIONS, 2)) {
            let (begin, cpu_begin) = (Instant::now(), cpu_seconds());
            (0..calls + extra).for_each(|_| work());
            let (elapsed, cpu) = (begin.elapsed(), cpu_seconds() - cpu_begin);
            values.push(per_operation(elapsed.as_secs_f64()));
            cpu_values.push(per_operation(cpu));
        }
        self.add(system, name, unit, &values);
        self.result.rows.last_mut().expect("one was just added").cpu_values = cpu_values;
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
        for (name, values) in names.iter().zip(&values) {
            self.add(OWN, name, unit, values);
        }
        Ok(())
    }

    /// Adds a row that was measured elsewhere: by another process, or as a count.
    pub fn adopt(&mut self, row: Row) {
        if self.wants(&row.name) {
            self.result.rows.push(row);
        }
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
        if self.only.is_some() && (self.value(slow).is_none() || self.value(fast).is_none()) {
            return;
        }
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

    /// [`Bench::ratio`] of two rows that may both not have been run.
    pub fn ratio_of_peers(&mut self, name: &str, slow: &str, fast: &str) {
        if self.value(slow).is_some() && self.value(fast).is_some() {
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
            return self.extra_work.whole(1);
        }
        let mut calls = 1;
        loop {
            let begin = Instant::now();
            (0..calls).for_each(|_| work());
            if begin.elapsed() >= REPETITION_TARGET {
                return self.extra_work.whole(calls);
            }
            calls *= 2;
        }
    }

    /// Adds the row of operations that the caller has timed, one value each, in the unit of the row.
    ///
    /// # Panics
    /// Without values.
    pub fn add(&mut self, system: &str, name: &str, unit: Unit, values: &[f64]) {
        if !self.wants(name) {
            return;
        }
        let row = Row::of(system, name, unit.name(), values);
        if self.scale == Scale::Full && !self.quiet {
            // A suite takes a minute or more: whoever waits sees each row when it is there.
            eprintln!("{name}  {:.2} {}", row.value, unit.name());
        }
        self.result.rows.push(row);
    }
}

/// Calls beyond those that are counted: a slowdown of so many percent, made on purpose and exact whatever the machine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraWork {
    /// Of the calls that are counted.
    pub percent: u64,
}

/// The environment variable of [`ExtraWork`].
pub const EXTRA_WORK_VARIABLE: &str = "TIDEGATE_BENCH_EXTRA_PERCENT";

impl ExtraWork {
    /// So many calls that a percentage of them is a whole number.
    fn whole(self, calls: usize) -> usize {
        if self.percent == 0 {
            calls
        } else {
            calls.next_multiple_of(100)
        }
    }

    /// How many come on top of `calls`.
    fn of(self, calls: usize) -> usize {
        calls * usize::try_from(self.percent).expect("a percentage") / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // A sleep is never shorter than asked for; longer it may be, on a machine that does other things.
        assert!(rows[0].value >= 1_000.0 && rows[1].value >= 8_000.0, "{rows:?}");
        assert_eq!(ratios.len(), 1, "a peer that was not run has no ratio");
        let ratio = rows[1].value / rows[0].value;
        assert!((ratios["long over short"] - ratio).abs() < 1e-9, "{ratios:?}");
    }

    #[test]
    fn rows_that_are_not_asked_for_are_not_measured() {
        let mut bench =
            Bench::new(Scale::Tiny, Peers::Leave).narrowed(Some("b::".to_owned()), Some(3), ExtraWork::default());
        for name in ["a::x/n=1", "b::x/n=1"] {
            bench.measure(name, Unit::Nanos, 1, || assert_eq!(name, "b::x/n=1"));
        }
        bench.ratio("a over b", "a::x/n=1", "b::x/n=1");
        let Measured { rows, ratios, .. } = bench.finish();
        assert_eq!((rows.len(), ratios.len()), (1, 0));
        assert_eq!((rows[0].values.len(), rows[0].cpu_values.len(), rows[0].n), (3, 3, 3));
    }

    #[test]
    fn extra_work_is_done_and_not_counted() {
        let calls = |percent| {
            let mut count = 0;
            let mut bench = Bench::new(Scale::Tiny, Peers::Leave).narrowed(None, Some(1), ExtraWork { percent });
            bench.measure("a::x/n=1", Unit::Nanos, 1, || count += 1);
            count
        };
        // One call warms up.
        assert_eq!([calls(0), calls(5), calls(50)], [2, 106, 151]);
    }

    #[test]
    #[should_panic(expected = "not measured: gone")]
    fn a_ratio_over_nothing_is_refused() {
        Bench::new(Scale::Tiny, Peers::Leave).ratio("r", "gone", "gone");
    }
}
