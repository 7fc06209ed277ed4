//! `loadgen prepare channels`: the channels that a hub is to open in its genesis, as a profile and a seed say.
//!
//! ```text
//! channel i    client and payout: key i mod keys    delegate: identity of its connection    figures: Profile::channel(i)
//! ```

use std::io;
use std::path::Path;

use rayon::prelude::*;
use tidegate_client::channels_file::{ChannelsFile, ChannelsFileError, ChannelsWriter, PlannedChannel, PlannedTerms};
use tidegate_types::KeyBytes;

use crate::keys::{client_key, connection_key};
use crate::profile::Profile;
use crate::progress::Progress;

/// Keys that are made between two looks at the clock.
const KEYS_AT_ONCE: u32 = 4_096;
/// Channels that are written between two.
const CHANNELS_AT_ONCE: u32 = 65_536;

/// The public keys of a profile, from which each of its channels follows.
struct Planner<'p> {
    profile: &'p Profile,
    clients: Vec<KeyBytes>,
    delegates: Vec<KeyBytes>,
}

impl<'p> Planner<'p> {
    fn new(profile: &'p Profile, seed: u64, progress: &mut Progress) -> Self {
        let population = &profile.population;
        let mut publics = |count: u32, key: fn(u64, u32) -> tidegate_crypto::SecretKey| -> Vec<KeyBytes> {
            let mut keys = Vec::with_capacity(count as usize);
            for from in (0..count).step_by(KEYS_AT_ONCE as usize) {
                let part = from..count.min(from + KEYS_AT_ONCE);
                progress.add(part.len() as u64);
                keys.par_extend(part.into_par_iter().map(|index| key(seed, index).public().bytes()));
            }
            keys
        };
        Self {
            clients: publics(population.keys, client_key),
            delegates: publics(population.connections, connection_key),
            profile,
        }
    }

    fn channel(&self, index: u32) -> PlannedChannel {
        let population = &self.profile.population;
        let figures = self.profile.channel(index);
        let client = self.clients[population.key_of(index) as usize];
        PlannedChannel {
            client,
            payout: client,
            delegate: self.delegates[population.connection_of(index) as usize],
            capacity: figures.capacity,
            opening_share: figures.opening_share,
        }
    }
}

fn keys_of(profile: &Profile) -> u64 {
    u64::from(profile.population.keys) + u64::from(profile.population.connections)
}

/// The channels file of a profile, in memory: for few channels.
#[must_use]
pub fn channels_file(profile: &Profile, seed: u64) -> ChannelsFile {
    let mut progress = Progress::new("making keys", "keys", keys_of(profile));
    let planner = Planner::new(profile, seed, &mut progress);
    ChannelsFile {
        terms: planned_terms(profile),
        channels: (0..profile.population.channels)
            .map(|index| planner.channel(index))
            .collect(),
    }
}

/// Writes the channels file of a profile; how many channels it has.
///
/// # Errors
/// [`ChannelsFileError`].
pub fn write_channels(profile: &Profile, seed: u64, out: &Path) -> Result<u32, ChannelsFileError> {
    let mut writer = ChannelsWriter::create(out, planned_terms(profile))?;
    let mut progress = Progress::new("making keys", "keys", keys_of(profile));
    let planner = Planner::new(profile, seed, &mut progress);
    progress.finish();
    let count = profile.population.channels;
    let mut progress = Progress::new("planning", "channels", count.into());
    let mut write = || -> io::Result<()> {
        for index in 0..count {
            writer.push(&planner.channel(index))?;
            if index % CHANNELS_AT_ONCE == 0 {
                progress.reach(index.into());
            }
        }
        progress.reach(count.into());
        Ok(())
    };
    let written = write().and_then(|()| writer.finish());
    progress.finish();
    let failed = |source| ChannelsFileError::Io {
        action: "write",
        path: out.to_owned(),
        source,
    };
    written.map(|_| count).map_err(failed)
}

const fn planned_terms(profile: &Profile) -> PlannedTerms {
    let times = &profile.ledger;
    PlannedTerms {
        block_interval_ms: times.block_interval_ms,
        margin: times.margin,
        ack_interval_ms: times.ack_interval_ms,
        max_lock: times.max_lock,
        dispute_window: times.dispute_window,
        reserve: profile.capacities.reserve,
        fee: profile.amounts.fee,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_follows_from_profile_and_seed() {
        let profile = Profile::load("quick").expect("built in");
        let file = channels_file(&profile, 7);
        assert_eq!(file, channels_file(&profile, 7));
        assert_ne!(file.channels[0].client, channels_file(&profile, 8).channels[0].client);
        assert_eq!(file.channels.len(), 256);
        assert_eq!(file.channels[9].delegate, connection_key(7, 1).public().bytes());
        assert_eq!(file.channels[9].client, client_key(7, 9).public().bytes());
        assert_eq!(file.terms.reserve, profile.capacities.reserve);
    }
}
