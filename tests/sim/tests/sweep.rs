//! Every call of the disk that a hub's state makes has failed once, in every way.
//!
//! `TIDEGATE_SWEEP_SEED` names the clients (1). `TIDEGATE_SWEEP_ENDINGS` says how often each call fails in each way: a number
//! of whole sweeps. Without it a short form runs: each call is killed once, and one of three fails otherwise.

use std::time::{Duration, Instant};

use tidegate_disk::FaultKind;
use tidegate_test_sim::lying::{honest, lying};
use tidegate_test_sim::rig::{Breach, Wrap};
use tidegate_test_sim::sweep::{self, Failure, Trial};
use tidegate_test_sim::tally::Tally;

const PROGRESS_EVERY: Duration = Duration::from_secs(5);

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The trials of one sweep: all sites, one ending for each.
fn trials(seed: u64, sites: u64, looks: u64, ending: u64, long: bool) -> Vec<Trial> {
    let at = |site, kind| Trial {
        seed,
        site,
        kind,
        ending: ending * 1_009 + site,
    };
    let mut trials: Vec<Trial> = (1..=sites).map(|site| at(site, Some(FaultKind::Kill))).collect();
    for (kind, first) in [(FaultKind::Eio, 1), (FaultKind::NoSpace, 2)] {
        let step = if long { 1 } else { 3 };
        trials.extend((first..=sites).step_by(step).map(|site| at(site, Some(kind))));
    }
    // How a life ends matters little when nothing was changed: one sweep of these is enough.
    if ending == 0 {
        let step = if long { 1 } else { 7 };
        trials.extend((1..=looks).step_by(step).map(|look| at(look, None)));
    }
    trials
}

fn run(seed: u64, endings: Option<u64>, wrap: Wrap) -> Result<Tally, Box<Failure>> {
    let mut tally = Tally::default();
    let (sites, looks) = sweep::length(seed, wrap, &mut tally).expect("no failure is planned");
    println!("the story of seed {seed}: {sites} calls that change something, {looks} that look");
    let mut told = Instant::now();
    for ending in 0..endings.unwrap_or(1) {
        for trial in trials(seed, sites, looks, ending, endings.is_some()) {
            sweep::run(trial, wrap, &mut tally)?;
            if told.elapsed() > PROGRESS_EVERY {
                println!("sweep {ending}, {trial:?}: {tally}");
                told = Instant::now();
            }
        }
    }
    Ok(tally)
}

#[test]
fn every_call_of_the_disk_may_fail() {
    let seed = number("TIDEGATE_SWEEP_SEED").unwrap_or(1);
    let tally = run(seed, number("TIDEGATE_SWEEP_ENDINGS"), honest).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{}TIDEGATE_SWEEP_SEED={seed}: {tally}", tally.coverage);
    assert_eq!(tally.coverage.missed(), Vec::<&str>::new(), "every kind of site is hit");
    assert!(tally.kills > 500, "{tally}");
    assert!(tally.eio > 100 && tally.no_space > 100 && tally.blind > 20, "{tally}");
    assert!(tally.interrupted > 100 && tally.unacknowledged_found > 20, "{tally}");
}

#[test]
fn a_sweep_finds_out_a_disk_that_does_not_sync() {
    let failure = run(1, None, lying).expect_err("power is lost after most sites");
    assert!(
        matches!(failure.breach, Breach::Prefix(_) | Breach::Open(_)),
        "{failure}"
    );
}
