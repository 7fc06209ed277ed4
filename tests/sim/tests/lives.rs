//! Hundreds of lives of a hub's state, each ended by its disk; the state is always that of the acknowledged batches.
//!
//! `TIDEGATE_SIM_SEED` repeats one run, `TIDEGATE_SIM_LIVES` says of how many lives (60); without a seed, eight fixed ones run.

use tidegate_test_sim::life;
use tidegate_test_sim::lying::{honest, lying};
use tidegate_test_sim::rig::Breach;
use tidegate_test_sim::sites::Stage;
use tidegate_test_sim::tally::Tally;

const SEEDS: u64 = 8;
const CLIENTS: u32 = 5;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn the_state_is_always_that_of_the_acknowledged_batches() {
    let lives = number("TIDEGATE_SIM_LIVES").unwrap_or(60);
    let seeds = number("TIDEGATE_SIM_SEED").map_or_else(|| (1..=SEEDS).collect(), |seed| vec![seed]);
    let mut all = Tally::default();
    for seed in seeds {
        let tally = life::run(seed, CLIENTS, lives, honest).unwrap_or_else(|failure| panic!("{failure}"));
        println!("TIDEGATE_SIM_SEED={seed} TIDEGATE_SIM_LIVES={lives}: {tally}");
        all.add(&tally);
    }
    println!("all: {all}");
    assert!(all.kills + all.eio >= lives / 2, "the plan of failures is met: {all}");
    assert!(all.acknowledged >= lives, "a hub without batches proves nothing: {all}");
    if lives >= 60 && number("TIDEGATE_SIM_SEED").is_none() {
        assert!(all.kills >= 200, "{all}");
        for stage in [Stage::Open, Stage::Append, Stage::Prepare, Stage::Checkpoint] {
            assert!(all.by_stage.contains_key(&stage), "kills fall everywhere: {all}");
        }
        assert!(
            all.power_losses > 100 && all.checkpoints > 50,
            "the log is recycled behind checkpoints: {all}"
        );
        assert!(
            all.unacknowledged_found > 0,
            "some batches are durable and not acknowledged: {all}"
        );
    }
}

#[test]
fn a_seed_names_a_run() {
    let run = || life::run(42, CLIENTS, 12, honest).expect("an honest disk loses nothing");
    assert_eq!(run(), run());
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let failure = life::run(1, CLIENTS, 60, lying).expect_err("power was lost many times");
    assert!(
        matches!(failure.breach, Breach::Prefix(_) | Breach::Open(_)),
        "{failure}"
    );
}
