//! `loadgen prepare channels`: the channels that a hub is to open in its genesis, as a profile and a seed say.
//!
//! ```text
//! channel i    client and payout: key i mod keys    delegate: identity of its connection    figures: Profile::channel(i)
//! ```

use rayon::prelude::*;
use tidegate_client::channels_file::{ChannelsFile, PlannedChannel, PlannedTerms};
use tidegate_types::KeyBytes;

use crate::keys::{client_key, connection_key};
use crate::profile::Profile;

/// The channels file of a profile.
#[must_use]
pub fn channels_file(profile: &Profile, seed: u64) -> ChannelsFile {
    let population = &profile.population;
    let publics = |count: u32, key: fn(u64, u32) -> tidegate_crypto::SecretKey| -> Vec<KeyBytes> {
        (0..count)
            .into_par_iter()
            .map(|index| key(seed, index).public().bytes())
            .collect()
    };
    let clients = publics(population.keys, client_key);
    let delegates = publics(population.connections, connection_key);
    let channel = |index: u32| {
        let figures = profile.channel(index);
        let client = clients[population.key_of(index) as usize];
        PlannedChannel {
            client,
            payout: client,
            delegate: delegates[population.connection_of(index) as usize],
            capacity: figures.capacity,
            opening_share: figures.opening_share,
        }
    };
    ChannelsFile {
        terms: planned_terms(profile),
        channels: (0..population.channels).map(channel).collect(),
    }
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
