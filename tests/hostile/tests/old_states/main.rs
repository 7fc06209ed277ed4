//! R11 against real processes: a hub, its ledger, a tower. Clients close with old states while the hub alone, or its operator closes
//! with old leaves while the tower alone, can answer; hub and tower are killed meanwhile, and the ledger falls back to what it was.
//!
//! A few closes in CI. `TIDEGATE_OLD_STATES=1000 TIDEGATE_OLD_STATES_SEED=1 cargo test --release -p tidegate-test-hostile --test
//! old_states -- --nocapture` runs so many; `scripts/old-states --processes` does.

mod judge;
mod wave;
mod world;

use judge::Counts;
use wave::{Guard, Wave};
use world::World;

/// Closes of one wave: they stand at the same time.
const WAVE: usize = 50;
const SHORT: usize = 24;

fn number(name: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return otherwise;
    };
    text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
}

#[test]
fn an_old_state_never_wins() {
    let closes = usize::try_from(number("TIDEGATE_OLD_STATES", SHORT as u64)).expect("a number of closes");
    let seed = number("TIDEGATE_OLD_STATES_SEED", 1);
    let wave = WAVE.min(closes.div_ceil(2));
    let mut world = World::new(closes, seed);
    let mut counts = Counts::default();
    for (number, first) in (0..closes).step_by(wave).enumerate() {
        let guard = if number % 2 == 0 { Guard::Hub } else { Guard::Tower };
        let channels = first..closes.min(first + wave);
        let ended = Wave::prepare(&mut world, guard, channels, seed.wrapping_add(number as u64)).run(&mut world);
        counts.add(&ended);
        println!("{} of {closes} closes: {counts}", first + ended.closes);
    }
    println!("TIDEGATE_OLD_STATES={closes} TIDEGATE_OLD_STATES_SEED={seed}: {counts}");
    assert_eq!(counts.losses, Vec::<String>::new());
    assert!(counts.corrected * 2 > counts.closes, "most were stale: {counts}");
    assert!(counts.kills > 0, "{counts}");
}
