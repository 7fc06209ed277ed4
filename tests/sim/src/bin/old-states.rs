//! R11 in the simulator: `scripts/old-states --help`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_test_sim::old_states::{Dice, Plan, Tally, trial};

const HELP: &str = "usage: old-states [--trials N] [--seed S]

Closes a channel with an old state in each of N trials (100000), from seed S on (1), and says how often that won. A trial is
the same whenever its seed is. Exit code 1 if one was lost.

  old-states --trials 1 --seed 4711";

fn main() -> ExitCode {
    let (mut trials, mut seed) = (100_000_u64, 1_u64);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = |args: &mut dyn Iterator<Item = String>| args.next().and_then(|text| text.parse().ok());
        match (arg.as_str(), number(&mut args)) {
            ("--trials", Some(given)) => trials = given,
            ("--seed", Some(given)) => seed = given,
            _ => {
                println!("{HELP}");
                return if arg == "--help" {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(2)
                };
            }
        }
    }
    let tally = all(seed, trials);
    print!("seeds {seed} to {}: {tally}", seed + trials.saturating_sub(1));
    ExitCode::from(u8::from(!tally.losses().is_empty()))
}

/// Every trial once, on all cores.
fn all(seed: u64, trials: u64) -> Tally {
    let next = AtomicU64::new(0);
    let run = || {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= trials {
                return tally;
            }
            let seed = seed + number;
            tally.note(seed, &Plan::draw(&mut Dice::new(seed)), &trial(seed));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let mut all = Tally::default();
        for worker in workers {
            all.add(worker.join().expect("it says what is wrong"));
        }
        all
    })
}
