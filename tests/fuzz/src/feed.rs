//! A target under way: mutated inputs from a seed, each held to its promises.
//!
//! Nothing is allocated for an input once the buffers are as long as the longest: what a run costs is the target.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::corpus;
use crate::counting_allocator::asked;
use crate::mutate::{Random, mutate};
use crate::targets::Target;

/// What a target may ask for beyond its input: views are lists, and the check encodes the value again. A stream is read
/// twice and its messages copied.
const BYTES_PER_BYTE: usize = 64;
/// Cheap inputs between two looks at the clock.
const INPUTS_BETWEEN_LOOKS: u64 = 100;
/// Inputs that are kept to be mutated further.
const KEPT_MAX: usize = 512;

thread_local! {
    /// The input that is under way on this thread.
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The input that this thread ran last, in hexadecimal: for a panic hook, which runs before anything is unwound.
#[must_use]
pub fn input_under_way() -> String {
    INPUT.with_borrow(|input| {
        input.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        })
    })
}

/// Runs one input and says how many bytes it asked for.
#[must_use]
pub fn run(target: Target, input: &[u8]) -> (bool, usize) {
    let before = asked();
    let accepted = (target.run)(input);
    (accepted, asked().wrapping_sub(before))
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Feed {
    target: Target,
    corpus: Vec<Vec<u8>>,
    random: Random,
    count: u64,
    accepted: u64,
}

impl Feed {
    /// A target with its first inputs.
    #[must_use]
    pub fn new(target: Target, seed: u64) -> Self {
        Self {
            target,
            corpus: corpus::seeds(target),
            random: Random::new(seed),
            count: 0,
            accepted: 0,
        }
    }

    /// The target.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// Inputs so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Of these, those that were accepted.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Runs one round of inputs: fewer where each takes longer.
    ///
    /// # Panics
    /// If a promise is broken; [`input_under_way`] is then the input.
    pub fn round(&mut self, inputs: u64) {
        for _ in 0..inputs.div_ceil(self.target.form.dearness()) {
            self.step();
        }
    }

    /// Runs inputs for as long: dear ones get their share of the time, whatever their number.
    ///
    /// # Panics
    /// As [`Feed::round`].
    pub fn run_for(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.round(INPUTS_BETWEEN_LOOKS);
        }
    }

    fn step(&mut self) {
        INPUT.with_borrow_mut(|input| {
            input.clear();
            input.extend_from_slice(&self.corpus[self.random.below(self.corpus.len())]);
            mutate(input, &mut self.random);
        });
        INPUT.with_borrow(|input| self.take(input));
    }

    fn take(&mut self, input: &[u8]) {
        let (good, bytes) = run(self.target, input);
        let limit = input.len() * BYTES_PER_BYTE + self.target.form.bytes_free();
        assert!(bytes <= limit, "{}: asked for {bytes} bytes", self.target.name);
        self.count += 1;
        if good {
            self.accepted += 1;
            self.keep(input);
        }
    }

    /// Keeps an accepted input to mutate further; once there are many, a few take the place of forgotten ones.
    fn keep(&mut self, input: &[u8]) {
        if self.corpus.len() < KEPT_MAX {
            self.corpus.push(input.to_vec());
        } else if self.random.below(8) == 0 {
            let place = self.random.below(self.corpus.len());
            self.corpus[place].clear();
            self.corpus[place].extend_from_slice(input);
        }
    }

    /// One line for people.
    #[must_use]
    pub fn report(&self) -> String {
        let Self { count, accepted, .. } = self;
        format!("{:24} {count:>12} inputs, {accepted:>12} accepted", self.target.name)
    }

    /// Asserts that inputs got behind the first check, and that some were refused: else a run shows nothing.
    ///
    /// # Panics
    /// If not.
    pub fn assert_telling(&self) {
        let Self { count, accepted, .. } = self;
        let name = self.target.name;
        assert!(
            accepted * 100 >= *count,
            "{name}: only {accepted} of {count} inputs accepted"
        );
        assert!(accepted < count, "{name}: nothing was refused");
    }
}
