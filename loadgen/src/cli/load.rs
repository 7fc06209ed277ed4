//! What every verb that loads a hub is told.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tidegate_crypto::verify::Backend;

use super::prepare::ProfileArgs;
use super::{Arrivals, Failure};
use crate::profile::Profile;
use crate::run::RunOptions;

/// A hub that has not answered by then will not.
const PATIENCE_SECONDS: u32 = 15;

/// Forces a verifier, here and in the hub.
const BACKEND_VARIABLE: &str = "TIDEGATE_CPU";

#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// The hub's address, as `tidegate format` printed it.
    #[arg(long)]
    hub: String,
    /// The hub's admin address: without it there are no figures of the hub, and the result is not valid.
    #[arg(long)]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// The prepared workload.
    #[arg(long)]
    workload: PathBuf,
    /// How a rate spaces its payments.
    #[arg(long, value_enum, default_value_t = Arrivals::Even)]
    arrivals: Arrivals,
    /// Refuse a workload of another seed.
    #[arg(long)]
    seed: Option<u64>,
    /// A channel acknowledges when so many of its leaves wait; the hub stops at 64.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=48))]
    ack_every: u32,
    /// The hub's data directory, to name its filesystem in the result.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Show a live view: rate, latencies as a heat map, what was refused, the hub's stages. Lines where nobody looks.
    #[arg(long)]
    tui: bool,
    /// Print the result as JSON; with FILE, write it there and print a report.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
}

impl LoadArgs {
    /// The profile.
    pub(super) fn profile(&self) -> Result<Profile, Failure> {
        self.profile.load()
    }

    /// What the run is told, but for its steps.
    pub(super) fn options(&self, profile: Profile, argv: Vec<String>) -> Result<RunOptions, Failure> {
        let backend = match env::var(BACKEND_VARIABLE) {
            Ok(word) => word.parse().map_err(Failure::Backend)?,
            Err(_) => Backend::Auto,
        };
        Ok(RunOptions {
            profile,
            seed: self.seed,
            workload: self.workload.clone(),
            hub: self.hub.parse()?,
            admin: self.admin,
            arrivals: self.arrivals,
            ack_every: self.ack_every,
            patience_seconds: PATIENCE_SECONDS,
            data: self.data.clone(),
            backend,
            hlog: None,
            hgrm: None,
            tui: self.tui,
            argv,
        })
    }

    /// Prints or writes a result.
    pub(super) fn emit(&self, result: &(impl Serialize + std::fmt::Display)) -> Result<(), Failure> {
        emit(self.json.as_ref(), result)
    }
}

/// Prints or writes a result, as `--json` says: JSON for nothing else, a report, or the one to a file and the other.
pub(super) fn emit(
    json: Option<&Option<PathBuf>>,
    result: &(impl Serialize + std::fmt::Display),
) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(result).expect("a result is plain data") + "\n";
    match json {
        Some(None) => print!("{text}"),
        Some(Some(path)) => {
            write(path, &text)?;
            println!("{result}");
        }
        None => println!("{result}"),
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|source| Failure::Output {
        path: path.to_owned(),
        source,
    })
}
