//! No value is made or lost (R5): payments of every kind, all of them booked by an auditor who shares no sum with the engine.
//!
//! The long form: `TIDEGATE_OPERATIONS=1000000000`, in an optimised build, with `--nocapture` for the totals. Each seed is a hub
//! of its own, and its operations count by themselves: `TIDEGATE_AUDIT_SEED=100` begins there.

mod audit;
mod rig;

use audit::Counts;
use audit::traffic::World;

/// Operations of the short form, and those of one seed.
const OPERATIONS: u64 = 300_000;
const SHORT_WORLD: u64 = 100_000;
const LONG_WORLD: u64 = 4_000_000;

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn no_value_is_made_or_lost() {
    let wanted = asked("TIDEGATE_OPERATIONS");
    let (wanted, world) = wanted.map_or((OPERATIONS, SHORT_WORLD), |wanted| (wanted, LONG_WORLD));
    let first = asked("TIDEGATE_AUDIT_SEED").unwrap_or(0);
    let mut total = Counts::default();
    for seed in first.. {
        let mut hub = World::new(seed);
        hub.run(world.min(wanted - total.operations));
        let counts = hub.auditor.counts;
        total.add(&counts);
        println!(
            "seed {seed}: {counts:?}, {:?}; {} operations in all",
            hub.auditor.gain, total.operations
        );
        if total.operations >= wanted {
            break;
        }
    }
    println!("all: {total:?}");
    assert!(total.all_happened(), "the traffic holds everything: {total:?}");
}
