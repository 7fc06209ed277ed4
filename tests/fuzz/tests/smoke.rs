//! Mutated inputs to every decoder in turn, from a fixed seed: one round, or rounds for as long as asked.
//!
//! `TIDEGATE_FUZZ_SECONDS` is the time of all targets together, `TIDEGATE_FUZZ_TARGET` chooses one, and
//! `TIDEGATE_FUZZ_SEED` another sequence. A failure prints the input in hexadecimal and what to run again. The ephemeral keys
//! of a session are drawn by the system, so the two targets of the session repeat their scripts and not their bytes.

use std::{
    env, panic,
    time::{Duration, Instant},
};

use tidegate_test_fuzz::{
    corpus,
    counting_allocator::{Counting, asked},
    mutate::{Random, mutate},
    targets::{self, Target},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inputs of each decoder in one round; one round is all when no time is given.
const INPUTS: u64 = 20_000;

/// From one word about a long run to the next.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a target may ask for beyond its input: views are lists, and the check encodes the value again. A stream is read
/// twice and its messages copied.
const BYTES_PER_BYTE: usize = 64;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
    )
}

/// Runs one input and says how many bytes it asked for.
fn run(target: Target, input: &[u8]) -> (bool, usize) {
    let before = asked();
    let accepted = (target.run)(input);
    (accepted, asked().wrapping_sub(before))
}

fn hex(input: &[u8]) -> String {
    input.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A target under way.
struct Feed {
    target: Target,
    corpus: Vec<Vec<u8>>,
    random: Random,
    seed: u64,
    count: u64,
    accepted: u64,
}

impl Feed {
    fn new(target: Target, seed: u64) -> Self {
        Self {
            target,
            corpus: corpus::seeds(target),
            random: Random::new(seed),
            seed,
            count: 0,
            accepted: 0,
        }
    }

    /// Feeds it one round of inputs: fewer where each takes longer.
    fn round(&mut self, inputs: u64) {
        let target = self.target;
        for _ in 0..inputs.div_ceil(target.form.dearness()) {
            let mut input = self.corpus[self.random.below(self.corpus.len())].clone();
            mutate(&mut input, &mut self.random);
            let outcome = panic::catch_unwind(|| run(target, &input));
            let Ok((good, bytes)) = outcome else {
                panic!(
                    "{}: seed {}, input {}: {}",
                    target.name,
                    self.seed,
                    self.count,
                    hex(&input)
                );
            };
            let limit = input.len() * BYTES_PER_BYTE + target.form.bytes_free();
            assert!(
                bytes <= limit,
                "{}: asked for {bytes} bytes for {}",
                target.name,
                hex(&input)
            );
            self.count += 1;
            if good {
                self.accepted += 1;
                keep(&mut self.corpus, input, &mut self.random);
            }
        }
    }

    fn report(&self) {
        let Self { count, accepted, .. } = self;
        println!("{:24} {count:>12} inputs, {accepted:>10} accepted", self.target.name);
        // A run that only ever hits the first check shows nothing.
        assert!(
            accepted * 100 >= *count,
            "{}: only {accepted} of {count} inputs accepted",
            self.target.name
        );
        assert!(accepted < count, "{}: nothing was refused", self.target.name);
    }
}

/// Keeps an accepted input to mutate further; some forgotten one makes room.
fn keep(corpus: &mut Vec<Vec<u8>>, input: Vec<u8>, random: &mut Random) {
    if corpus.len() < 512 {
        corpus.push(input);
    } else if random.below(8) == 0 {
        let place = random.below(corpus.len());
        corpus[place] = input;
    }
}

#[test]
fn every_decoder_takes_any_bytes() {
    let only: Option<String> = env::var("TIDEGATE_FUZZ_TARGET").ok();
    let seed = setting("TIDEGATE_FUZZ_SEED").unwrap_or(1);
    let time = setting("TIDEGATE_FUZZ_SECONDS").map(Duration::from_secs);
    let chosen = targets::ALL
        .iter()
        .filter(|target| only.as_ref().is_none_or(|only| only == target.name));
    let mut feeds: Vec<Feed> = chosen.map(|target| Feed::new(*target, seed)).collect();
    let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
    assert!(!feeds.is_empty(), "no such target; there are: {}", names.join(", "));
    let begin = Instant::now();
    let mut told = begin;
    loop {
        feeds.iter_mut().for_each(|feed| feed.round(INPUTS));
        if time.is_none_or(|time| begin.elapsed() >= time) {
            break;
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let inputs: u64 = feeds.iter().map(|feed| feed.count).sum();
            println!("{:>6} s {inputs:>14} inputs", begin.elapsed().as_secs());
        }
    }
    feeds.iter().for_each(Feed::report);
}

/// The measurement itself: an allocation of the size of a hostile length field is seen.
#[test]
fn the_allocator_counts() {
    let greedy = Target {
        name: "greedy",
        form: targets::Form::Plain,
        run: |data| Vec::<u8>::with_capacity(usize::from(data[0]) << 16).capacity() > 0,
    };
    assert!(run(greedy, &[0xff]).1 >= 0xff_0000);
    assert!(run(greedy, &[0]).1 < greedy.form.bytes_free());
}
