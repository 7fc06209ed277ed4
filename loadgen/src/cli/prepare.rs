//! `loadgen prepare channels` and `loadgen prepare`.

use super::{Failure, PrepareChannels, PrepareWorkload, Rate};
use crate::channels::channels_file;
use crate::profile::Profile;
use crate::workload::prepare;

/// Seconds of load before measuring begins, unless said otherwise.
pub(super) const WARM_UP_SECONDS: u32 = 1;

pub(super) fn channels(args: &PrepareChannels) -> Result<u8, Failure> {
    let profile = Profile::load(&args.profile)?;
    let file = channels_file(&profile, args.seed.unwrap_or(profile.run.seed));
    file.write(&args.out)?;
    println!(
        "{}: {} channels of profile {}",
        args.out.display(),
        file.channels.len(),
        profile.name
    );
    Ok(0)
}

pub(super) fn workload(args: &PrepareWorkload) -> Result<u8, Failure> {
    let profile = Profile::load(&args.profile)?;
    let seed = args.seed.unwrap_or(profile.run.seed);
    let seconds = args.seconds.unwrap_or(profile.run.seconds);
    let payments = args.payments.unwrap_or_else(|| payments(&profile, args.rate, seconds));
    let prepared = prepare(&profile, seed, &args.genesis, &args.out, payments)?;
    println!(
        "{}: {} signed payments, {} bytes",
        args.out.display(),
        prepared.payments,
        prepared.bytes
    );
    if prepared.payments < prepared.asked {
        println!(
            "the channels of profile {} hold no more; {} were asked for",
            profile.name, prepared.asked
        );
    }
    Ok(0)
}

/// Payments for a run: its length with the warm-up, at its rate or at what the profile expects of `max`.
fn payments(profile: &Profile, rate: Rate, seconds: u32) -> u32 {
    let per_second = match rate {
        Rate::PerSecond(rate) => rate,
        Rate::Max => f64::from(profile.run.payments_per_s_planned),
    };
    let mean = per_second * f64::from(seconds + WARM_UP_SECONDS);
    // Random arrivals may come earlier than they should.
    let payments = mean + 4.0 * mean.sqrt();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    let payments = payments.ceil() as u32;
    payments.max(1)
}
