//! `tidegate benchmark`: the main job in one command.
//!
//! ```text
//! plan channels ─▶ format ─▶ sign the workload ─▶ start the hub ─▶ load it ─▶ stop the hub ─▶ verify its directory
//!   loadgen         here       loadgen              a process       loadgen,     SIGTERM        here
//!                                                   of its own      another
//! ```
//!
//! All processes are this program, over loopback TCP, encrypted, with every batch synced to the file system that holds the
//! temporary directory. Signing beforehand keeps the generator from taking the hub's cores. Whatever happens, Ctrl-C too,
//! no process and no file is left behind.

mod children;
mod load;
mod profile;
mod scratch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tidegate_disk::{Disk, RealDisk};
use tidegate_loadgen::profile::Profile;

use super::Outcome;
use super::data::inspect;
use super::output::JsonFlag;
use crate::error::Error;
use children::{Children, Server};
use load::{LoadArgs, Measured};
use scratch::Scratch;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate benchmark\n  tidegate benchmark --profile lightning-2020 --seconds 10 --json \
                        result.json\n  tidegate benchmark --profile uniform --rate 20000\n  tidegate benchmark --profile \
                        uniform --curve 10000,20000,40000\n  tidegate benchmark --search 'p99<15ms'\n\nProfiles: quick, lightning-2020, \
                        uniform, hot-keys, cold-keys, hot-merchant-10, hot-merchant-50, single, lone-32, \
                        many-connections, batch-pay, ten-million, or a TOML file. Exit code 4: the generator, not the \
                        hub, was the limit."
)]
pub(super) struct BenchmarkArgs {
    /// A built-in profile, or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = "quick")]
    profile: String,
    #[command(flatten)]
    load: LoadArgs,
    /// As many channels as this, instead of the profile's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    channels: Option<u32>,
    /// As many connections as this, instead of the profile's; each has its share of the payments under way
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// The channels of this list (lines of node_a,node_b,capacity_sat) instead of the profile's
    #[arg(long, value_name = "FILE", conflicts_with = "channels")]
    topology: Option<PathBuf>,
    /// Another seed of all keys and choices than the profile's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the temporary directory is made: on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &BenchmarkArgs) -> Outcome {
    // A bad profile is known before anything is made.
    Profile::load(&args.profile)?;
    let children = Children::new()?;
    let scratch = Scratch::new(args.dir.as_deref())?;
    let outcome = measure(args, &children, &scratch);
    if children.is_interrupted() {
        return Err(Error::Interrupted);
    }
    let (mut result, code) = outcome?;
    args.json.emit(&result, || format!("{result}\n"))?;
    if !result.is_valid() && code <= 1 {
        let why = result.notes().first().cloned();
        return Err(Error::BenchmarkInvalid(
            why.unwrap_or_else(|| "the generator does not say why".into()),
        ));
    }
    Ok(code)
}

/// Runs everything and returns the result with the generator's exit code.
fn measure(args: &BenchmarkArgs, children: &Children, scratch: &Scratch) -> Result<(Measured, u8), Error> {
    let profile = profile::resize(&args.profile, args.channels, args.connections, scratch.path())?;
    let planned = Profile::load(&profile.to_string_lossy())?;
    let path = |name: &str| scratch.path().join(name).into_os_string();
    let (plan, data, workload, result) = (path("channels"), path("hub"), path("workload"), path("result.json"));

    let begin = Instant::now();
    let say = |what: &str| eprintln!("[{:>5.1} s] {what}", begin.elapsed().as_secs_f64());
    say(&format!("planning the channels of profile {}", args.profile));
    let mut channels = words(&["loadgen", "prepare", "channels", "--profile"]);
    channels.extend([profile.clone(), "--out".into(), plan.clone()]);
    children.run("loadgen prepare channels", &chosen(channels, args))?;

    say("formatting a data directory");
    let mut format = words(&["format", "--data"]);
    format.extend([data.clone(), "--channels".into(), plan]);
    format.extend(words(&["--listen", "127.0.0.1:0"]));
    children.run("format", &format)?;

    say("signing the workload");
    let mut prepare = words(&["loadgen", "prepare", "--profile"]);
    prepare.extend([
        profile.clone(),
        "--genesis".into(),
        Path::new(&data).join("genesis").into(),
    ]);
    prepare.extend(["--out".into(), workload.clone()]);
    prepare.extend(args.load.prepare(&planned));
    children.run("loadgen prepare", &chosen(prepare, args))?;

    let ledger = if planned.ledger.own_process {
        say("starting the ledger");
        let dir = scratch.path().join("ledger");
        Some(Server::ledger(children, &dir, Path::new(&data))?)
    } else {
        None
    };
    say("starting the hub");
    let hub = Server::hub(
        children,
        Path::new(&data),
        ledger.as_ref().map(|ledger| &*ledger.address),
    )?;

    say("running");
    let (verb, more) = args.load.run(&planned);
    let mut load = words(&["loadgen", verb, "--hub"]);
    load.extend([hub.address.clone().into(), "--admin".into(), hub.admin.clone().into()]);
    load.extend(["--profile".into(), profile, "--workload".into(), workload]);
    load.extend(["--data".into(), data.clone(), "--json".into(), result.clone()]);
    load.extend(more);
    let code = children.run_measured("loadgen run", &chosen(load, args))?;

    say("stopping the hub and verifying what it wrote");
    hub.stop(children)?;
    if let Some(ledger) = ledger {
        ledger.stop(children)?;
    }
    let mut measured = args.load.read(Path::new(&result))?;
    measured.name_command(std::env::args().collect());
    audit(Path::new(&data), &mut measured)?;
    Ok((measured, code))
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(Into::into).collect()
}

/// The choices that each part of the load generator must know alike.
fn chosen(mut words: Vec<OsString>, args: &BenchmarkArgs) -> Vec<OsString> {
    if let Some(seed) = args.seed {
        words.extend(["--seed".into(), seed.to_string().into()]);
    }
    if let Some(topology) = &args.topology {
        words.extend(["--topology".into(), topology.into()]);
    }
    words
}

/// What the hub left on the disk must be what it said while it ran, and every satoshi must be there.
fn audit(data: &Path, result: &mut Measured) -> Result<(), Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let state = inspect(&disk, data)?;
    let (held, capacity) = state.engine.value();
    if held != capacity {
        return Err(Error::BenchmarkAudit(
            "the channels on the disk do not hold what was put into them",
        ));
    }
    if state.engine.state_root().to_string() != result.audit().state_root {
        return Err(Error::BenchmarkAudit(
            "the state on the disk is not the one that the hub showed",
        ));
    }
    result
        .notes()
        .push("the directory was read again after the run: same state root, value conserved".into());
    Ok(())
}
