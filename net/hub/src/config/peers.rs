//! What the configuration says of links with other hubs.

use std::net::IpAddr;

use tidegate_client::HubAddress;
use tidegate_peers::{Lists, Place, Rule};

use super::{Breach, Peers};
use crate::pipeline::LinkSettings;

impl Peers {
    /// The first list that does not read.
    pub(super) fn breach(&self) -> Option<Breach> {
        let seeds = self.read_seeds().err().map(|rule| ("peers.seeds", rule));
        let allow = rules(&self.allow).err().map(|rule| ("peers.allow", rule));
        let deny = rules(&self.deny).err().map(|rule| ("peers.deny", rule));
        let (key, rule) = seeds.or(allow).or(deny)?;
        Some(Breach { key, rule })
    }

    /// What the hub is started with.
    ///
    /// # Panics
    /// Never on a configuration that was checked.
    pub(super) fn settings(&self) -> LinkSettings {
        let checked = "lists are checked when the configuration is loaded";
        LinkSettings {
            outgoing: super::size(self.links),
            incoming_max: super::size(self.incoming_max),
            seeds: self.read_seeds().expect(checked),
            lists: Lists {
                allow: rules(&self.allow).expect(checked),
                deny: rules(&self.deny).expect(checked),
                only_allowed: self.only_allowed,
            },
            private_networks: self.private_networks,
        }
    }

    fn read_seeds(&self) -> Result<Vec<Place>, String> {
        let seed = |text: &str| {
            let address: HubAddress = text
                .parse()
                .map_err(|error| format!("names no hub by `{text}`: {error}"))?;
            let host = address.host.trim_start_matches('[').trim_end_matches(']');
            let ip: IpAddr = host
                .parse()
                .map_err(|_| format!("must name hubs by IP, not by `{host}`"))?;
            Ok(Place::new(address.identity.bytes(), ip, address.port))
        };
        self.seeds.split_whitespace().map(seed).collect()
    }
}

fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let rule = |word: &str| word.parse::<Rule>().map_err(|error| format!("does not read: {error}"));
    text.split_whitespace().map(rule).collect()
}
