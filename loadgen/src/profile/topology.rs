//! A whole list of channels, one a line, instead of quantiles.
//!
//! ```text
//! node_a,node_b,capacity_sat          the first line, as it stands here
//! 5700,3606,50000                     two nodes by number, and what is between them
//! ```
//!
//! Channel `i` is line `i + 2`: its client is the first node, its capacity that of the line, raised to what a channel of the
//! profile needs at least. It takes part as often as its first node has channels, relative to the others.
//!
//! Such a list is public data of somebody else: it is read where it lies, and never a part of this project.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use hashbrown::HashMap;
use tidegate_types::Amount;

use super::{Profile, ProfileError};

const HEAD: &str = "node_a,node_b,capacity_sat";

/// The channels of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Topology {
    rows: Vec<TopologyRow>,
    crc: u32,
}

/// One channel of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologyRow {
    /// The value of the funding output, in satoshi.
    pub capacity_sat: u64,
    /// Channels that its first node has, at either end.
    pub weight: u32,
}

/// Short, since a workload names its profile by the checksum of this.
impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topology({} channels, CRC-32C {:08x})", self.rows.len(), self.crc)
    }
}

/// Why a file is no list of channels.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A line is none of the form, or there is not that much money.
    #[error("{path}:{line}: not `{HEAD}` with whole numbers that are amounts")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// Too few or too many.
    #[error("{path}: {count} channels; at least 2 and at most {} are possible", u32::MAX)]
    Count {
        /// The file.
        path: String,
        /// How many it lists.
        count: usize,
    },
    /// The profile does not fit the list.
    #[error(transparent)]
    Profile(#[from] Box<ProfileError>),
}

impl Topology {
    /// Reads a list.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub fn read(path: &str) -> Result<Self, TopologyError> {
        let text = fs::read_to_string(Path::new(path)).map_err(|source| TopologyError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a list. `path` is what complaints call it.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub fn parse(path: &str, text: &str) -> Result<Self, TopologyError> {
        let bad = |line| TopologyError::Line {
            path: path.to_owned(),
            line,
        };
        let mut lines = (1..).zip(text.lines());
        if lines.next().is_none_or(|(_, head)| head.trim() != HEAD) {
            return Err(bad(1));
        }
        let mut degrees: HashMap<u64, u32> = HashMap::new();
        let mut channels = Vec::new();
        let mut total = Amount::ZERO;
        for (number, line) in lines {
            let (from, to, capacity_sat) = parse_line(line).ok_or_else(|| bad(number))?;
            let capacity = Amount::from_sat(capacity_sat).ok_or_else(|| bad(number))?;
            total = total.add(capacity).map_err(|_| bad(number))?;
            *degrees.entry(from).or_default() += 1;
            *degrees.entry(to).or_default() += 1;
            channels.push((from, capacity_sat));
        }
        if channels.len() < 2 || u32::try_from(channels.len()).is_err() {
            return Err(TopologyError::Count {
                path: path.to_owned(),
                count: channels.len(),
            });
        }
        let rows = channels.into_iter().map(|(from, capacity_sat)| TopologyRow {
            capacity_sat,
            weight: degrees[&from],
        });
        Ok(Self {
            rows: rows.collect(),
            crc: crc32c::crc32c(text.as_bytes()),
        })
    }

    /// Channel `index`.
    ///
    /// # Panics
    /// When there is no such channel.
    #[must_use]
    pub fn row(&self, index: u32) -> TopologyRow {
        self.rows[index as usize]
    }

    /// How many channels there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never true: a list has at least two channels.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn parse_line(line: &str) -> Option<(u64, u64, u64)> {
    let mut fields = line.trim().split(',').map(|field| field.parse::<u64>().ok());
    let (from, to, capacity) = (fields.next()??, fields.next()??, fields.next()??);
    (fields.next().is_none() && capacity > 0).then_some((from, to, capacity))
}

impl Profile {
    /// This profile over the channels of a list, each with a key of its own, and everything else as it was.
    ///
    /// # Errors
    /// [`TopologyError`].
    ///
    /// # Panics
    /// Never: a list has at most 2³² − 1 channels.
    pub fn over(mut self, path: &str) -> Result<Self, TopologyError> {
        let mut topology = Topology::read(path)?;
        let count = u32::try_from(topology.len()).expect("the list was counted when it was read");
        let least = self.capacities.quantiles_sat.lowest();
        for row in &mut topology.rows {
            row.capacity_sat = row.capacity_sat.max(least);
        }
        let population = &mut self.population;
        (population.keys, population.channels) = (count, count);
        population.connections = population.connections.min(count);
        self.activity.payers = self.activity.payers.map(|payers| payers.min(count));
        self.topology = Some(Arc::new(topology));
        match self.check(path, "") {
            None => Ok(self),
            Some(error) => Err(Box::new(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "node_a,node_b,capacity_sat\n7,8,50000\n7,9,100\n9,8,1000\n";

    #[test]
    fn a_list_gives_capacities_and_degrees() {
        let topology = Topology::parse("l.csv", LIST).expect("a list");
        let rows: Vec<_> = (0..3)
            .map(|i| (topology.row(i).capacity_sat, topology.row(i).weight))
            .collect();
        assert_eq!(rows, [(50_000, 2), (100, 2), (1_000, 2)]);
        assert_eq!(topology.len(), 3);
        let more = Topology::parse("l.csv", &format!("{LIST}7,1,5\n")).expect("a list");
        assert_eq!(more.row(0).weight, 3);
        assert_ne!(
            format!("{topology:?}"),
            format!("{more:?}"),
            "a checksum tells them apart"
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let complaint = |text: &str| Topology::parse("l.csv", text).expect_err("bad").to_string();
        assert!(complaint("a,b,c\n").starts_with("l.csv:1: "));
        assert!(complaint("").starts_with("l.csv:1: "));
        for bad in [
            "7,8",
            "7,8,18446744073709551615",
            "7,8,x",
            "7,8,0",
            "7,8,9,10",
            "",
            "-1,2,3",
        ] {
            assert!(
                complaint(&format!("{LIST}{bad}\n1,2,3\n")).starts_with("l.csv:5: "),
                "{bad}"
            );
        }
        assert!(complaint("node_a,node_b,capacity_sat\n1,2,3\n").starts_with("l.csv: 1 channels"));
    }

    #[test]
    fn a_profile_takes_the_channels_of_a_list() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("l.csv");
        fs::write(&path, LIST).expect("written");
        let path = path.to_str().expect("a plain name");
        let profile = Profile::load("lightning-2020").expect("built in");
        let over = profile.clone().over(path).expect("fits");
        assert_eq!((over.population.keys, over.population.channels), (3, 3));
        assert_eq!(over.channel(0).capacity.to_sat(), 50_000);
        assert_eq!(over.channel(1).capacity.to_sat(), 1_100, "raised to the least");
        assert_eq!(over.amounts, profile.amounts);
    }

    #[test]
    fn the_public_list_loads() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/lightning_2020_10_05.csv");
        if !path.exists() {
            println!("skipped: no ../shared/data");
            return;
        }
        let path = path.to_str().expect("a plain name");
        let profile = Profile::load("lightning-2020").expect("built in");
        let over = profile.clone().over(path).expect("fits");
        assert_eq!(over.population.channels, profile.population.channels);
        // Their middles: of the few largest channels, quantiles say too little for sums to agree.
        let middle = |profile: &Profile| {
            let mut capacities: Vec<_> = (0..29_067).map(|i| profile.channel(i).capacity.to_sat()).collect();
            capacities.sort_unstable();
            capacities[capacities.len() / 2] as f64
        };
        let ratio = middle(&over) / middle(&profile);
        assert!((0.8..1.25).contains(&ratio), "quantiles and list differ by {ratio}");
    }
}
