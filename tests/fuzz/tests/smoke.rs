//! One round of mutated inputs to every decoder, from a fixed seed. `scripts/fuzz` does so for as long as asked.
//!
//! A failure prints the input in hexadecimal. The ephemeral keys of a session are drawn by the system, so the two targets of the
//! session repeat their scripts and not their bytes.

use std::panic;

use tidegate_test_fuzz::{
    counting_allocator::Counting,
    feed::{Feed, input_under_way, run},
    targets::{self, Target},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inputs of each decoder.
const INPUTS: u64 = 20_000;
const SEED: u64 = 1;

#[test]
fn every_decoder_takes_any_bytes() {
    for target in targets::ALL {
        let mut feed = Feed::new(*target, SEED);
        let round = panic::catch_unwind(panic::AssertUnwindSafe(|| feed.round(INPUTS)));
        assert!(round.is_ok(), "{}: {}", target.name, input_under_way());
        println!("{}", feed.report());
        feed.assert_telling();
    }
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
