//! Mutated inputs to every decoder, from a fixed seed, for a bounded time.
//!
//! `TIDEGATE_FUZZ_SECONDS` gives each target so many seconds, `TIDEGATE_FUZZ_TARGET` chooses one, and
//! `TIDEGATE_FUZZ_SEED` another sequence. A failure prints the input in hexadecimal and what to run again.

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

/// Inputs of each decoder when no time is given.
const INPUTS: u64 = 20_000;

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

/// Feeds a target until its time or count is over; returns how many inputs it took and how many it accepted.
fn feed(target: Target, seed: u64, time: Option<Duration>) -> (u64, u64) {
    let mut corpus = corpus::seeds(target);
    let mut random = Random::new(seed);
    let (begin, mut count, mut accepted) = (Instant::now(), 0, 0);
    while time.map_or(count < INPUTS / target.form.dearness(), |time| begin.elapsed() < time) {
        let mut input = corpus[random.below(corpus.len())].clone();
        mutate(&mut input, &mut random);
        let outcome = panic::catch_unwind(|| run(target, &input));
        let Ok((good, bytes)) = outcome else {
            panic!("{}: seed {seed}, input {count}: {}", target.name, hex(&input));
        };
        let limit = input.len() * BYTES_PER_BYTE + target.form.bytes_free();
        assert!(
            bytes <= limit,
            "{}: asked for {bytes} bytes for {}",
            target.name,
            hex(&input)
        );
        count += 1;
        if good {
            accepted += 1;
            keep(&mut corpus, input, &mut random);
        }
    }
    (count, accepted)
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
    let mut ran = 0;
    for target in chosen {
        let (count, accepted) = feed(*target, seed, time);
        println!("{:24} {count:>12} inputs, {accepted:>10} accepted", target.name);
        // A run that only ever hits the first check shows nothing.
        assert!(
            accepted * 100 >= count,
            "{}: only {accepted} of {count} inputs accepted",
            target.name
        );
        assert!(accepted < count, "{}: nothing was refused", target.name);
        ran += 1;
    }
    let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
    assert!(ran > 0, "no such target; there are: {}", names.join(", "));
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
