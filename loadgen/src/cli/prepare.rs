//! `loadgen prepare channels` and `loadgen prepare`.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::load::emit;
use super::{Failure, Rate};
use crate::channels::write_channels;
use crate::profile::Profile;
use crate::workload::prepare;

/// A day. More is for a run of its own.
const SECONDS_MAX: i64 = 86_400;
/// Payments that are signed unless `--payments` asks for more: some 400 GB of workload.
const PAYMENTS_MAX: f64 = 1e9;
/// Seconds of load before measuring begins, unless said otherwise.
pub(super) const WARM_UP_SECONDS: u32 = 1;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Example: loadgen prepare --profile quick --genesis hub/genesis --out workload")]
pub(super) struct Prepare {
    #[command(subcommand)]
    part: Option<PreparePart>,
    #[command(flatten)]
    workload: Option<PrepareWorkload>,
}

#[derive(Debug, Subcommand)]
enum PreparePart {
    /// Write the channels that the hub is to open: for `tidegate format --channels`.
    #[command(after_help = "Example: loadgen prepare channels --profile quick --out channels")]
    Channels(PrepareChannels),
}

/// Which profile, and over which channels.
#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    /// A built-in profile, or a TOML file.
    #[arg(long)]
    profile: String,
    /// The channels of this list instead of the profile's own: lines of `node_a,node_b,capacity_sat`.
    #[arg(long, value_name = "FILE")]
    topology: Option<String>,
}

impl ProfileArgs {
    pub(super) fn load(&self) -> Result<Profile, Failure> {
        load(&self.profile, self.topology.as_deref())
    }
}

fn load(profile: &str, topology: Option<&str>) -> Result<Profile, Failure> {
    let profile = Profile::load(profile)?;
    match topology {
        Some(path) => Ok(profile.over(path)?),
        None => Ok(profile),
    }
}

#[derive(Debug, Args)]
struct PrepareChannels {
    #[command(flatten)]
    profile: ProfileArgs,
    /// The seed of all keys; that of the profile unless said.
    #[arg(long)]
    seed: Option<u64>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// Print what was written as JSON; with FILE, write that there.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
}

#[derive(Debug, Args)]
struct PrepareWorkload {
    // Not flattened: clap does not look for an optional group's arguments in a group within it.
    /// A built-in profile, or a TOML file.
    #[arg(long)]
    profile: String,
    /// The channels of this list instead of the profile's own: lines of `node_a,node_b,capacity_sat`.
    #[arg(long, value_name = "FILE")]
    topology: Option<String>,
    /// The seed of all keys and choices; that of the profile unless said. The channels must be of the same.
    #[arg(long)]
    seed: Option<u64>,
    /// The genesis that `tidegate format` wrote.
    #[arg(long)]
    genesis: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// How many payments; unless said, enough for `--rate` and `--seconds`.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    payments: Option<u32>,
    /// The rate of the run to come, in payments per second, or `max`. As the profile says unless said, or else `max`.
    #[arg(long)]
    rate: Option<Rate>,
    /// How long the run will measure; as the profile says unless said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=SECONDS_MAX))]
    seconds: Option<u32>,
    /// Print what was written as JSON; with FILE, write that there.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
}

/// The channels that were planned.
#[derive(Debug, Serialize)]
struct PlannedChannels {
    out: PathBuf,
    profile: String,
    channels: u32,
}

impl fmt::Display for PlannedChannels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { out, profile, channels } = self;
        write!(f, "{}: {channels} channels of profile {profile}", out.display())
    }
}

/// The payments that were signed.
#[derive(Debug, Serialize)]
struct SignedPayments {
    out: PathBuf,
    profile: String,
    payments: u32,
    /// Fewer, if the channels hold no more.
    asked: u32,
    bytes: u64,
}

impl fmt::Display for SignedPayments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            out,
            profile,
            payments,
            asked,
            bytes,
        } = self;
        write!(f, "{}: {payments} signed payments, {bytes} bytes", out.display())?;
        if payments < asked {
            write!(
                f,
                "\nthe channels of profile {profile} hold no more; {asked} were asked for"
            )?;
        }
        Ok(())
    }
}

pub(super) fn run(args: &Prepare) -> Result<u8, Failure> {
    match (&args.part, &args.workload) {
        (Some(PreparePart::Channels(args)), _) => channels(args),
        (None, workload) => {
            let args = workload.as_ref();
            self::workload(args.expect("clap asks for its arguments where no subcommand stands"))
        }
    }
}

fn channels(args: &PrepareChannels) -> Result<u8, Failure> {
    let profile = args.profile.load()?;
    let count = write_channels(&profile, args.seed.unwrap_or(profile.run.seed), &args.out)?;
    let planned = PlannedChannels {
        out: args.out.clone(),
        profile: profile.name,
        channels: count,
    };
    emit(args.json.as_ref(), &planned)?;
    Ok(0)
}

fn workload(args: &PrepareWorkload) -> Result<u8, Failure> {
    let profile = load(&args.profile, args.topology.as_deref())?;
    let seed = args.seed.unwrap_or(profile.run.seed);
    let seconds = args.seconds.unwrap_or(profile.run.seconds);
    let payments = match args.payments {
        Some(payments) => payments,
        None => payments(&profile, args.rate.unwrap_or_else(|| Rate::of(&profile)), seconds)?,
    };
    let prepared = prepare(&profile, seed, &args.genesis, &args.out, payments)?;
    let signed = SignedPayments {
        out: args.out.clone(),
        profile: profile.name,
        payments: prepared.payments,
        asked: prepared.asked,
        bytes: prepared.bytes,
    };
    emit(args.json.as_ref(), &signed)?;
    Ok(0)
}

/// Payments for a run: its length with the warm-up, at its rate or at what the profile expects of `max`.
fn payments(profile: &Profile, rate: Rate, seconds: u32) -> Result<u32, Failure> {
    let per_second = match rate {
        Rate::PerSecond(rate) => rate,
        Rate::Max => f64::from(profile.run.payments_per_s_planned),
    };
    let mean = per_second * (f64::from(seconds) + f64::from(WARM_UP_SECONDS));
    // Random arrivals may come earlier than they should.
    let payments = mean + 4.0 * mean.sqrt();
    if payments > PAYMENTS_MAX {
        return Err(Failure::TooMany { payments });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and PAYMENTS_MAX"
    )]
    let payments = payments.ceil() as u32;
    Ok(payments.max(1))
}
