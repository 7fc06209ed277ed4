//! A hub's durable state on a disk that may fail, beside what must be in it.
//!
//! Each step calls the hub's own functions and says whether the disk let it: `None` stands for a disk that failed, after
//! which a hub ends. What a step finds that may not be is a [`Breach`].

use std::path::Path;
use std::sync::Arc;

use tidegate_batch::Executed;
use tidegate_disk::{Disk, FaultyDisk};
use tidegate_hub::state::{self, HubState, StateError, Stepped};
use tidegate_table::Lsn;
use tidegate_types::{BatchNumber, UnixMillis};
use tidegate_wal::LogError;

use crate::check_prefix::{self, PrefixBreach};
use crate::check_state::{self, Facts, StateBreach};
use crate::check_whole::{self, Partial};
use crate::model::{Batch, Model, standing};
use crate::sites::{Stage, Stages};
use crate::world::{self, World};

const DATA: &str = "/hub";
/// Fewer steps of a checkpoint than this come between a batch's execution and its append.
const STEPS_BETWEEN: u64 = 6;

/// How a run sees its disk.
pub type Wrap = fn(FaultyDisk) -> Arc<dyn Disk>;

/// What a run may find.
#[derive(Debug, thiserror::Error)]
pub enum Breach {
    /// A batch is missing, or was never made.
    #[error(transparent)]
    Prefix(#[from] PrefixBreach),
    /// A batch is there in part.
    #[error(transparent)]
    Partial(#[from] Partial),
    /// The state is another.
    #[error(transparent)]
    State(#[from] StateBreach),
    /// The state does not open although the disk works.
    #[error("the state does not open: {0}")]
    Open(#[from] StateError),
    /// A call failed although the disk did not.
    #[error("the log refuses a batch on a disk that works: {0}")]
    Append(LogError),
    /// The hub's engine and the model's disagree about one batch.
    #[error("batch {0} comes out otherwise in the model")]
    Diverged(BatchNumber),
    /// A failed write, sync or rename was followed by another call, or by success (R3).
    #[error("after a failure of the disk the {0} went on")]
    WentOn(Stage),
}

/// A batch that was handed to the log and is not acknowledged.
#[derive(Debug)]
struct UnderWay {
    batch: Batch,
    after: check_whole::Standing,
}

/// How far the present life is with a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Checkpointing {
    #[default]
    Idle,
    /// It is begun with the next batch.
    Due,
    UnderWay,
}

/// A hub's state and what is known of it.
#[derive(Debug)]
pub struct Rig {
    /// The disk of the present life.
    pub disk: FaultyDisk,
    wrap: Wrap,
    /// The clients.
    pub world: World,
    model: Model,
    under_way: Option<UnderWay>,
    /// True once `create` has returned: from then on there is something to lose.
    created: bool,
    clock: u64,
    stages: Stages,
    checkpoint: Checkpointing,
    /// Batches that were acknowledged as durable.
    pub acknowledged: u64,
    /// Batches that were not acknowledged, and yet were there after reopening.
    pub unacknowledged_found: u64,
    /// Batches that were under way when the disk failed.
    pub interrupted: u64,
    /// Checkpoints that were written to the end.
    pub checkpoints: u64,
}

impl Rig {
    /// Clients and a model on an empty disk.
    #[must_use]
    pub fn new(seed: u64, clients: u32, wrap: Wrap) -> Self {
        let world = World::new(seed, clients);
        let model = Model::new(&world);
        Self {
            disk: FaultyDisk::new(),
            wrap,
            world,
            model,
            under_way: None,
            created: false,
            clock: 1_000,
            stages: Stages::default(),
            checkpoint: Checkpointing::Idle,
            acknowledged: 0,
            unacknowledged_found: 0,
            interrupted: 0,
            checkpoints: 0,
        }
    }

    /// Goes on with another disk: what a new process finds.
    pub fn take_disk(&mut self, disk: FaultyDisk) {
        self.disk = disk;
        self.stages = Stages::default();
        self.checkpoint = Checkpointing::Idle;
    }

    /// The names of all sites that the present disk has passed, in order.
    #[must_use]
    pub fn site_names(&self) -> Vec<String> {
        self.stages.names(&self.disk.trace())
    }

    /// The stage in which a site was passed.
    #[must_use]
    pub fn stage_of(&self, site: u64) -> Stage {
        self.stages.of(site)
    }

    fn enter(&mut self, stage: Stage) -> Arc<dyn Disk> {
        self.stages.enter(self.disk.sites(), stage);
        (self.wrap)(self.disk.clone())
    }

    /// A failure that a call has hidden from its caller.
    fn check_told(&self, failed_before: bool, stage: Stage) -> Result<(), Breach> {
        if self.disk.has_failed() && !failed_before {
            return Err(Breach::WentOn(stage));
        }
        Ok(())
    }

    /// Makes the state of a new hub.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn create(&mut self) -> Result<Option<()>, Breach> {
        let disk = self.enter(Stage::Create);
        let genesis = self.world.genesis();
        let made = disk
            .create_dir_all(Path::new(DATA))
            .map_err(StateError::from)
            .and_then(|()| {
                state::create(
                    &disk,
                    Path::new(DATA),
                    &self.world.params(),
                    genesis.hash,
                    world::GENESIS_TIME,
                    genesis.opened,
                )
            });
        match made {
            Ok(()) => {
                self.check_told(false, Stage::Create)?;
                self.created = true;
                Ok(Some(()))
            }
            Err(_) if self.disk.has_failed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the state and compares it with the model.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn open(&mut self) -> Result<Option<HubState>, Breach> {
        let failed = self.disk.has_failed();
        let disk = self.enter(Stage::Open);
        self.checkpoint = Checkpointing::Idle;
        match HubState::open(&disk, Path::new(DATA), &mut |_| {}) {
            Ok(state) => {
                self.check_told(failed, Stage::Open)?;
                self.compare(&state)?;
                self.created = true;
                Ok(Some(state))
            }
            Err(_) if self.disk.has_failed() || !self.created => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The reopened state against the model. A batch that was under way is there or is sent again.
    fn compare(&mut self, state: &HubState) -> Result<(), Breach> {
        let found = Facts::of(&state.engine);
        let acknowledged = self.model.batch();
        let made = BatchNumber::new(acknowledged.get() + u64::from(self.under_way.is_some()));
        check_prefix::check(acknowledged, made, found.batch)?;
        let here = standing(&state.engine);
        let before = self.model.standing();
        let after = self.under_way.as_ref().map_or(&before, |under_way| &under_way.after);
        check_whole::check(made, &before, after, &here)?;
        if found.batch > acknowledged {
            self.unacknowledged_found += 1;
            self.take_durable();
        }
        Ok(check_state::check(self.model.facts(), found)?)
    }

    fn take_durable(&mut self) {
        let UnderWay { batch, .. } = self.under_way.take().expect("a batch was under way");
        self.model.execute(&batch);
        self.world.take_leaves(&self.model.newest);
    }

    /// Executes and logs one batch: the one that was under way, or what `world` fills it with. In between, as the hub's
    /// sequencer does, a checkpoint that is due is begun, and one that is under way goes on.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn batch(&mut self, state: &mut HubState) -> Result<Option<Lsn>, Breach> {
        let inputs = match self.under_way.take() {
            Some(again) => again.batch.inputs,
            None => self.world.inputs(),
        };
        self.clock += 10;
        let batch = Batch {
            time: UnixMillis::new(self.clock),
            inputs,
        };
        let mut executed = Executed::default();
        let result = state.engine.execute(batch.time, &batch.inputs, &mut executed);
        result.map_err(StateError::from)?;
        let mut record = Vec::new();
        state::append_record(&state.engine, &executed, &batch.inputs, &mut record);
        let after = standing(&state.engine);
        self.under_way = Some(UnderWay { batch, after });
        if self.between(state)?.is_none() {
            self.interrupted += 1;
            return Ok(None);
        }
        self.stages.enter(self.disk.sites(), Stage::Append);
        let failed = self.disk.has_failed();
        let mut result = state.log.append_sync(&[&record]);
        if let Err(LogError::NoSpace(_)) = result {
            // Nothing has been touched: again, when there is room.
            result = state.log.append_sync(&[&record]);
        } else if result.is_ok() {
            self.check_told(failed, Stage::Append)?;
        }
        let lsn = match result {
            Ok(lsn) => lsn,
            Err(_) if self.disk.has_failed() => {
                self.interrupted += 1;
                return self.check_stopped(state).map(|()| None);
            }
            Err(error) => return Err(Breach::Append(error)),
        };
        self.acknowledged += 1;
        self.take_durable();
        if self.model.newest.header == executed.header {
            Ok(Some(lsn))
        } else {
            Err(Breach::Diverged(executed.header.number))
        }
    }

    /// After a failed write or sync the log takes nothing more, and does not ask the disk either (R3).
    fn check_stopped(&self, state: &mut HubState) -> Result<(), Breach> {
        let sites = self.disk.sites();
        let refused = matches!(state.log.append_sync(&[b"more"]), Err(LogError::Poisoned));
        if refused && self.disk.sites() == sites {
            Ok(())
        } else {
            Err(Breach::WentOn(Stage::Append))
        }
    }

    /// Makes a log segment ready, as the hub's other thread does. A full disk is no failure here.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn prepare(&mut self, state: &HubState) -> Result<Option<()>, Breach> {
        let failed = self.disk.has_failed();
        self.stages.enter(self.disk.sites(), Stage::Prepare);
        match state.log.segments().prepare() {
            Ok(()) => self.check_told(failed, Stage::Prepare).map(Some),
            Err(LogError::NoSpace(_)) => Ok(Some(())),
            Err(_) if self.disk.has_failed() => Ok(None),
            Err(error) => Err(StateError::from(error).into()),
        }
    }

    /// Has the next batch begin a checkpoint, unless one is under way.
    pub fn checkpoint_soon(&mut self) {
        if self.checkpoint == Checkpointing::Idle {
            self.checkpoint = Checkpointing::Due;
        }
    }

    /// Between the execution of a batch and its append: the superblock must wait for that.
    fn between(&mut self, state: &mut HubState) -> Result<Option<()>, Breach> {
        if self.checkpoint == Checkpointing::Due {
            state.checkpointer.begin(&mut state.engine, state.log.next_lsn())?;
            self.checkpoint = Checkpointing::UnderWay;
        }
        if self.checkpoint == Checkpointing::Idle {
            return Ok(Some(()));
        }
        // Now and then a quick disk and a slow log: all is written but the superblock.
        let all = self.world.once_in(8);
        let steps = if all { u64::MAX } else { self.world.below(STEPS_BETWEEN) };
        self.steps(state, steps)
    }

    /// Does at most so many steps of the checkpoint that is under way, if one is. A full disk is no failure here.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn steps(&mut self, state: &mut HubState, count: u64) -> Result<Option<()>, Breach> {
        self.stages.enter(self.disk.sites(), Stage::Checkpoint);
        for _ in 0..count {
            if self.checkpoint != Checkpointing::UnderWay {
                break;
            }
            let failed = self.disk.has_failed();
            match state.checkpointer.step() {
                Ok(Stepped::More(_)) => self.check_told(failed, Stage::Checkpoint)?,
                Ok(Stepped::AwaitsLog) => break,
                Ok(Stepped::Done(_)) => {
                    self.checkpoints += 1;
                    self.end_checkpoint(state);
                }
                Err(error) if state::is_no_space(&error) => self.end_checkpoint(state),
                Err(_) if self.disk.has_failed() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(()))
    }

    fn end_checkpoint(&mut self, state: &mut HubState) {
        drop(state.checkpointer.end(&mut state.engine));
        self.checkpoint = Checkpointing::Idle;
    }

    /// Finishes the checkpoint that is under way and writes a last one, as a hub does that is told to stop. All batches are
    /// durable up to record `lsn`. A full disk is no failure here.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn last_checkpoint(&mut self, state: &mut HubState, lsn: Lsn) -> Result<Option<()>, Breach> {
        if self.steps(state, u64::MAX)?.is_none() {
            return Ok(None);
        }
        state.checkpointer.begin(&mut state.engine, lsn)?;
        self.checkpoint = Checkpointing::UnderWay;
        self.steps(state, u64::MAX)
    }
}
