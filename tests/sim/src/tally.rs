//! What runs have come to.

use std::collections::BTreeMap;
use std::fmt;

use tidegate_disk::{Fault, FaultKind};

use crate::rig::Rig;
use crate::sites::{Coverage, Stage};

/// Counts of one run or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lives, each with a failure planned.
    pub trials: u64,
    /// Kills inside a call of the disk.
    pub kills: u64,
    /// Calls that failed with `EIO`, and ended the hub.
    pub eio: u64,
    /// Calls that failed for want of space.
    pub no_space: u64,
    /// Calls that only look, and failed.
    pub blind: u64,
    /// Lives after which the power was lost too.
    pub power_losses: u64,
    /// Failures by stage.
    pub by_stage: BTreeMap<Stage, u64>,
    /// Batches that were acknowledged as durable.
    pub acknowledged: u64,
    /// Batches that were not acknowledged, and yet were there after reopening.
    pub unacknowledged_found: u64,
    /// Batches that were under way when the disk failed.
    pub interrupted: u64,
    /// Checkpoints that were written to the end.
    pub checkpoints: u64,
    /// Kinds of sites.
    pub coverage: Coverage,
}

impl Tally {
    /// Notes whether and where a planned failure has come about. The disk is that of the failure.
    pub fn note_fault(&mut self, rig: &Rig, fault: Fault) {
        let names = rig.site_names();
        self.coverage.know(names.iter().cloned());
        let index = usize::try_from(fault.site - 1).expect("few sites");
        let Some(name) = names.get(index) else { return };
        self.coverage.hit(name.clone());
        *self.by_stage.entry(rig.stage_of(fault.site)).or_default() += 1;
        let count = match fault.kind {
            FaultKind::Kill => &mut self.kills,
            FaultKind::Eio => &mut self.eio,
            FaultKind::NoSpace => &mut self.no_space,
        };
        *count += 1;
    }

    /// Takes over what a rig has counted, at its end.
    pub fn take_counts(&mut self, rig: &Rig) {
        self.acknowledged += rig.acknowledged;
        self.unacknowledged_found += rig.unacknowledged_found;
        self.interrupted += rig.interrupted;
        self.checkpoints += rig.checkpoints;
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.trials, other.trials),
            (&mut self.kills, other.kills),
            (&mut self.eio, other.eio),
            (&mut self.no_space, other.no_space),
            (&mut self.blind, other.blind),
            (&mut self.power_losses, other.power_losses),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.unacknowledged_found, other.unacknowledged_found),
            (&mut self.interrupted, other.interrupted),
            (&mut self.checkpoints, other.checkpoints),
        ];
        for (count, more) in pairs {
            *count += more;
        }
        for (stage, count) in &other.by_stage {
            *self.by_stage.entry(*stage).or_default() += count;
        }
        self.coverage.add(&other.coverage);
    }
}

/// One line. That it is printed at all says that nothing was missing and no batch was partial.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<String> = self.by_stage.iter().map(|(stage, n)| format!("{stage} {n}")).collect();
        write!(
            f,
            "{} trials: {} kills, {} EIO, {} ENOSPC, {} failed looks ({}), {} power losses; {} batches acknowledged, \
             {} interrupted, {} found unacknowledged, {} checkpoints; {} of {} kinds of sites hit; 0 missing, 0 partial",
            self.trials,
            self.kills,
            self.eio,
            self.no_space,
            self.blind,
            stages.join(", "),
            self.power_losses,
            self.acknowledged,
            self.interrupted,
            self.unacknowledged_found,
            self.checkpoints,
            self.coverage.hit_count(),
            self.coverage.known_count(),
        )
    }
}
