//! R13 in process. `TIDEGATE_SIM_FORGED=1000000 cargo test --release -p tidegate-test-sim --test forged -- --nocapture` is the long form;
//! `TIDEGATE_SIM_SEED` chooses others.

use tidegate_test_sim::forged;

fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name);
    text.map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Enough for every bit of the longest message, at each of the doors.
const SHORT: u64 = 12_000;

#[test]
fn nothing_forged_is_accepted() {
    let (attempts, seed) = (number("TIDEGATE_SIM_FORGED", SHORT), number("TIDEGATE_SIM_SEED", 1));
    let tally = forged::run(seed, attempts);
    println!("TIDEGATE_SIM_FORGED={attempts} TIDEGATE_SIM_SEED={seed}: {tally}");
    assert_eq!(tally.accepted(), 0);
    assert!(tally.attempts() >= attempts);
}
