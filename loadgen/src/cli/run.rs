//! `loadgen run`.

use std::env;
use std::fs;

use tidegate_crypto::verify::Backend;

use super::{EXIT_BAD, EXIT_SATURATED, Failure, RunArgs, prepare};
use crate::profile::Profile;
use crate::result::RunResult;
use crate::run::{RunOptions, run as run_load};

/// A hub that has not answered by then will not.
const PATIENCE_SECONDS: u32 = 15;

/// Forces a verifier, here and in the hub.
const BACKEND_VARIABLE: &str = "TIDEGATE_CPU";

pub(super) fn run(args: &RunArgs, argv: Vec<String>) -> Result<u8, Failure> {
    let profile = Profile::load(&args.profile)?;
    let backend = match env::var(BACKEND_VARIABLE) {
        Ok(word) => word.parse().map_err(Failure::Backend)?,
        Err(_) => Backend::Auto,
    };
    let options = RunOptions {
        seconds: args.seconds.unwrap_or(profile.run.seconds),
        seed: args.seed,
        workload: args.workload.clone(),
        hub: args.hub.parse()?,
        admin: args.admin,
        rate: args.rate,
        arrivals: args.arrivals,
        warm_up_seconds: args.warm_up.unwrap_or(prepare::WARM_UP_SECONDS),
        ack_every: args.ack_every,
        patience_seconds: PATIENCE_SECONDS,
        data: args.data.clone(),
        backend,
        argv,
        profile,
    };
    let result = run_load(&options)?;
    emit(args, &result)?;
    Ok(if result.generator.saturated {
        EXIT_SATURATED
    } else if result.valid {
        0
    } else {
        EXIT_BAD
    })
}

fn emit(args: &RunArgs, result: &RunResult) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(result).expect("a result is plain data") + "\n";
    match &args.json {
        Some(None) => print!("{json}"),
        Some(Some(path)) => {
            let failed = |source| Failure::Output {
                path: path.clone(),
                source,
            };
            fs::write(path, json).map_err(failed)?;
            println!("{result}");
        }
        None => println!("{result}"),
    }
    Ok(())
}
