//! A checkpoint of the state while batches go on, as a machine of bounded steps.
//!
//! ```text
//! sequencer      ─ batch n ─┬─ begin: pin ─┬─ batch n+1 ─ n+2 ─ n+3 ─ …                     ─ end: unpin ─
//! checkpointer              └──────────────┴─ step ─ step ─ … ─ superblock ─ recycle ─ recycle ─┘
//! log            … n durable?  ─────────────────────────────────▲ (it waits for that)
//! ```
//!
//! [`Checkpointer::begin`] and [`Checkpointer::end`] are the sequencer's, at a batch boundary; in between, [`Checkpointer::step`]
//! may run anywhere: in a thread of its own in the hub, between two batches in the simulator, to whom every step is one place
//! where the power may go. Here is no thread and no clock.
//!
//! Invariant: a superblock is written only when the record of its batch is durable, and the log is recycled only behind a
//! superblock that is durable.

use tidegate_table::{CheckpointError, CheckpointStore, Lsn, Progress, Spent, Step};

use super::{HubEngine, LogFacts, RegionSlots, StateError};

/// Writes the checkpoints of one hub, one after the other.
#[derive(Debug)]
pub struct Checkpointer {
    store: CheckpointStore,
    log: LogFacts,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Idle,
    Writing {
        /// What the checkpoint before covers.
        older: Lsn,
    },
    Recycling {
        below: Lsn,
        written: Progress,
    },
}

/// What one step of a checkpoint has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// A part; there is more.
    More(Progress),
    /// Nothing: the log must become durable first.
    AwaitsLog,
    /// The checkpoint is durable and the log behind it recycled.
    Done(Progress),
}

impl Checkpointer {
    pub(super) const fn new(store: CheckpointStore, log: LogFacts) -> Self {
        Self {
            store,
            log,
            stage: Stage::Idle,
        }
    }

    /// Begins a checkpoint of the engine as it is: the state after log record `lsn`, which need not be durable yet.
    ///
    /// # Errors
    /// [`StateError::Checkpoint`].
    ///
    /// # Panics
    /// If one was begun and not ended.
    pub fn begin(&mut self, engine: &mut HubEngine, lsn: Lsn) -> Result<(), StateError> {
        let older = self.store.lsn();
        let mut regions = engine.store_mut().tables_mut().map(RegionSlots::region_mut);
        self.store.begin(&mut regions, lsn, &self.log.meta.encode())?;
        self.stage = Stage::Writing { older };
        Ok(())
    }

    /// Does one bounded part of the checkpoint that was begun.
    ///
    /// # Errors
    /// [`StateError::Checkpoint`] or [`StateError::Log`]; this checkpoint is over then. Without room the one before stands,
    /// and so does the log behind it; anything else is for good.
    ///
    /// # Panics
    /// If none was begun, or it is over.
    pub fn step(&mut self) -> Result<Stepped, StateError> {
        match self.stage {
            Stage::Idle => panic!("a checkpoint was begun"),
            Stage::Writing { older } => match self.store.step(self.log.segments.synced_lsn())? {
                Step::Wrote(progress) => Ok(Stepped::More(progress)),
                Step::AwaitsLog => Ok(Stepped::AwaitsLog),
                Step::Done(written) => {
                    // The log stays behind the older image too: should the newest be damaged, the other still leads to the
                    // present.
                    let below = older.next();
                    self.stage = Stage::Recycling { below, written };
                    Ok(Stepped::More(written))
                }
            },
            Stage::Recycling { below, written } => {
                if self.log.segments.recycle_next(below)? {
                    return Ok(Stepped::More(written));
                }
                self.stage = Stage::Idle;
                Ok(Stepped::Done(written))
            }
        }
    }

    /// Ends what was begun, finished or not: the engine goes on without saving anything for it.
    pub fn end(&mut self, engine: &mut HubEngine) -> Spent {
        self.stage = Stage::Idle;
        let mut regions = engine.store_mut().tables_mut().map(RegionSlots::region_mut);
        self.store.end(&mut regions)
    }

    /// A whole checkpoint at once, of a state whose last record `lsn` is durable.
    ///
    /// # Errors
    /// As [`Checkpointer::begin`] and [`Checkpointer::step`].
    pub fn write(&mut self, engine: &mut HubEngine, lsn: Lsn) -> Result<Progress, StateError> {
        self.begin(engine, lsn)?;
        let written = loop {
            match self.step() {
                Ok(Stepped::More(_)) => {}
                Ok(Stepped::AwaitsLog) => unreachable!("record {lsn} is durable, by the caller's word"),
                Ok(Stepped::Done(written)) => break Ok(written),
                Err(error) => break Err(error),
            }
        };
        drop(self.end(engine));
        written
    }

    /// The last record that the newest durable checkpoint covers.
    #[must_use]
    pub const fn lsn(&self) -> Lsn {
        self.store.lsn()
    }

    /// Bytes of pages that a checkpoint begun now would write.
    #[must_use]
    pub fn bytes_to_write(&self, engine: &HubEngine) -> u64 {
        let regions = engine.store().tables().map(|(_, slots)| slots.region());
        self.store.bytes_to_write(&regions)
    }
}

/// Whether a checkpoint failed only for want of room: the one before stands, and it may be tried again.
#[must_use]
pub const fn is_no_space(error: &StateError) -> bool {
    matches!(error, StateError::Checkpoint(CheckpointError::NoSpace(_)))
}
