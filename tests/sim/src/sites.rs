//! Where a disk can fail: every call that changes something, by number and by name, and how many of them have been hit.
//!
//! A name is the stage of the hub's life, the call and the kind of file: `append: sync log-*.seg`. Numbers tell calls of one
//! run apart, names tell what kinds of places there are in all runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tidegate_disk::Site;

/// What a hub does when it calls its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `format`.
    Create,
    /// Recovery: the checkpoint is loaded, the log replayed and repaired.
    Open,
    /// A batch is made durable.
    Append,
    /// A log segment is made ready.
    Prepare,
    /// A checkpoint is written and the log behind it recycled.
    Checkpoint,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Append => "append",
            Self::Prepare => "prepare",
            Self::Checkpoint => "checkpoint",
        })
    }
}

/// The stages of one run, each with the number of sites that were passed before it.
#[derive(Clone, Debug, Default)]
pub struct Stages(Vec<(u64, Stage)>);

impl Stages {
    /// A stage begins after so many sites.
    pub fn enter(&mut self, sites: u64, stage: Stage) {
        self.0.push((sites, stage));
    }

    /// The stage in which site `number`, from 1, was passed.
    #[must_use]
    pub fn of(&self, number: u64) -> Stage {
        let later = self.0.iter().rev().find(|(sites, _)| *sites < number);
        later.map_or(Stage::Create, |(_, stage)| *stage)
    }

    /// The names of all sites of a run, in order.
    #[must_use]
    pub fn names(&self, trace: &[Site]) -> Vec<String> {
        let numbered = (1..).zip(trace);
        numbered.map(|(number, site)| name(self.of(number), site)).collect()
    }
}

/// The name of a site.
#[must_use]
pub fn name(stage: Stage, site: &Site) -> String {
    let file = site.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    format!("{stage}: {} {}", site.op, kind(file))
}

/// The kind of file that a name is of: numbers and letters of one of many do not count.
fn kind(file: &str) -> String {
    if file.strip_prefix("log-").is_some_and(|rest| rest.ends_with(".seg")) {
        return "log-*.seg".to_owned();
    }
    match file.strip_prefix("image-").and_then(|rest| rest.split_once('.')) {
        Some((_, extension)) => format!("image-*.{extension}"),
        None => file.to_owned(),
    }
}

/// Which sites there are, and at which of them a disk has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    known: BTreeSet<String>,
    hit: BTreeMap<String, u64>,
}

impl Coverage {
    /// Notes the sites of a run.
    pub fn know(&mut self, names: impl IntoIterator<Item = String>) {
        self.known.extend(names);
    }

    /// Notes a failure.
    pub fn hit(&mut self, name: String) {
        self.known.insert(name.clone());
        *self.hit.entry(name).or_default() += 1;
    }

    /// Adds what another run has seen.
    pub fn add(&mut self, other: &Self) {
        self.known.extend(other.known.iter().cloned());
        for (name, count) in &other.hit {
            *self.hit.entry(name.clone()).or_default() += count;
        }
    }

    /// Kinds of sites that are known.
    #[must_use]
    pub fn known_count(&self) -> usize {
        self.known.len()
    }

    /// Kinds of sites at which a disk has failed.
    #[must_use]
    pub fn hit_count(&self) -> usize {
        self.hit.len()
    }

    /// The known kinds of sites at which no disk has failed.
    #[must_use]
    pub fn missed(&self) -> Vec<&str> {
        let missed = self.known.iter().filter(|name| !self.hit.contains_key(*name));
        missed.map(String::as_str).collect()
    }
}

/// One line for each kind of site with its failures.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.known {
            writeln!(f, "{:>8}  {name}", self.hit.get(name).copied().unwrap_or(0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidegate_disk::Op;

    use super::*;

    fn site(op: Op, path: &str) -> Site {
        Site { op, path: path.into() }
    }

    #[test]
    fn sites_are_named_by_stage_call_and_kind_of_file() {
        let mut stages = Stages::default();
        stages.enter(0, Stage::Open);
        stages.enter(2, Stage::Append);
        stages.enter(2, Stage::Checkpoint);
        let trace = [
            site(Op::SyncDir, "/hub/wal"),
            site(Op::Sync, "/hub/wal/log-000000000000001a.seg"),
            site(Op::Write, "/hub/state/image-a-meta.pages"),
        ];
        let names = [
            "open: sync folder wal",
            "open: sync log-*.seg",
            "checkpoint: write image-*.pages",
        ];
        assert_eq!(stages.names(&trace), names);
    }

    #[test]
    fn what_was_not_hit_is_named() {
        let mut coverage = Coverage::default();
        coverage.know(["a".to_owned(), "b".to_owned()]);
        coverage.hit("b".to_owned());
        let mut more = Coverage::default();
        more.hit("c".to_owned());
        coverage.add(&more);
        assert_eq!((coverage.known_count(), coverage.hit_count()), (3, 2));
        assert_eq!(coverage.missed(), ["a"]);
    }
}
