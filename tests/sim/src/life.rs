//! Lives of a hub: each opens the state, works on it, and ends by a kill, an error of the disk or a loss of power.

use std::path::Path;
use std::sync::Arc;

use tidegate_batch::Executed;
use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk};
use tidegate_hub::state::{self, HubState, StateError};
use tidegate_table::Lsn;
use tidegate_types::{BatchNumber, Fixed, UnixMillis};

use crate::check_prefix::{self, PrefixBreach};
use crate::check_state::{self, Facts, StateBreach};
use crate::model::{Batch, Model};
use crate::world::World;

const DATA: &str = "/hub";
/// Half of the lives fail within so few calls of the disk that change something: while opening, or soon after.
const SITES_SHORT: u64 = 30;
/// The other half fails within so many, or ends by itself; a checkpoint takes dozens.
const SITES_LONG: u64 = 500;
const BATCHES: u64 = 24;
/// A checkpoint follows one batch of so many.
const CHECKPOINT_IN: u64 = 8;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lives that ended inside a call of the disk.
    pub kills: u64,
    /// Of these, while the state was being opened.
    pub kills_in_open: u64,
    /// Of these, while a checkpoint was written.
    pub kills_in_checkpoint: u64,
    /// Lives after which the power was lost too.
    pub power_losses: u64,
    /// Batches that were acknowledged as durable.
    pub acknowledged: u64,
    /// Batches that were not acknowledged, and yet were there after reopening.
    pub unacknowledged_found: u64,
    /// Checkpoints that were written to the end.
    pub checkpoints: u64,
}

impl Summary {
    /// Both runs together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            kills: self.kills + other.kills,
            kills_in_open: self.kills_in_open + other.kills_in_open,
            kills_in_checkpoint: self.kills_in_checkpoint + other.kills_in_checkpoint,
            power_losses: self.power_losses + other.power_losses,
            acknowledged: self.acknowledged + other.acknowledged,
            unacknowledged_found: self.unacknowledged_found + other.unacknowledged_found,
            checkpoints: self.checkpoints + other.checkpoints,
        }
    }
}

/// What went wrong, and in which life.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, life {life}: {breach}")]
pub struct Failure {
    /// Repeats the run.
    pub seed: u64,
    /// The life, from 1.
    pub life: u64,
    /// What was broken.
    pub breach: Breach,
}

/// What a run may find.
#[derive(Debug, thiserror::Error)]
pub enum Breach {
    /// A batch is missing, or was never made.
    #[error(transparent)]
    Prefix(#[from] PrefixBreach),
    /// The state is another.
    #[error(transparent)]
    State(#[from] StateBreach),
    /// The state does not open although the disk works.
    #[error("the state does not open: {0}")]
    Open(#[from] StateError),
    /// The hub's engine and the model's disagree about one batch.
    #[error("batch {0} comes out otherwise in the model")]
    Diverged(BatchNumber),
}

/// How a run sees its disk.
pub type Wrap = fn(FaultyDisk) -> Arc<dyn Disk>;

/// A hub's state and what is known of it.
struct Run {
    disk: FaultyDisk,
    wrap: Wrap,
    world: World,
    model: Model,
    /// A batch that was handed to the log and is not acknowledged.
    under_way: Option<Batch>,
    clock: u64,
    summary: Summary,
}

/// Which part of a life the disk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Work,
    Checkpoint,
    /// The disk did not fail.
    Done,
}

/// Runs so many lives of a hub with `clients` channels.
///
/// # Errors
/// [`Failure`] at the first life that finds less, more or other than the model.
pub fn run(seed: u64, clients: u32, lives: u64, wrap: Wrap) -> Result<Summary, Failure> {
    let world = World::new(seed, clients);
    let failure = |life, breach| Failure { seed, life, breach };
    let disk = FaultyDisk::new();
    create(&wrap(disk.clone()), &world).map_err(|error| failure(0, error.into()))?;
    let model = Model::new(&world);
    let mut run = Run {
        disk,
        wrap,
        world,
        model,
        under_way: None,
        clock: 1_000,
        summary: Summary::default(),
    };
    for life in 1..=lives {
        run.live().map_err(|breach| failure(life, breach))?;
    }
    run.look().map_err(|breach| failure(lives + 1, breach))?;
    Ok(run.summary)
}

fn create(disk: &Arc<dyn Disk>, world: &World) -> Result<(), StateError> {
    let genesis = world.genesis();
    disk.create_dir_all(Path::new(DATA))?;
    state::create(
        disk,
        Path::new(DATA),
        &world.params(),
        genesis.hash,
        crate::world::GENESIS_TIME,
        genesis.opened,
    )
}

fn open(disk: &Arc<dyn Disk>) -> Result<HubState, StateError> {
    HubState::open(disk, Path::new(DATA), &mut |_| {})
}

impl Run {
    /// One life, from a planned failure to what the next process finds.
    fn live(&mut self) -> Result<(), Breach> {
        let kind = if self.world.once_in(5) {
            FaultKind::Eio
        } else {
            FaultKind::Kill
        };
        let sites = if self.world.once_in(2) { SITES_SHORT } else { SITES_LONG };
        let fault = Fault {
            site: 1 + self.world.below(sites),
            kind,
            seed: self.world.below(u64::MAX),
        };
        self.disk.arm(fault);
        let stage = self.work()?;
        let summary = &mut self.summary;
        summary.kills += u64::from(self.disk.has_failed());
        summary.kills_in_open += u64::from(stage == Stage::Open);
        summary.kills_in_checkpoint += u64::from(stage == Stage::Checkpoint);
        self.next_disk();
        Ok(())
    }

    /// What stays of the disk: all that was written, or after a loss of power what the medium chose to keep.
    fn next_disk(&mut self) {
        if self.world.once_in(2) {
            self.summary.power_losses += 1;
            let seed = self.world.below(u64::MAX);
            self.disk = self.disk.crash(seed);
        } else {
            self.disk = self.disk.restart();
        }
    }

    /// Opens, compares, works until the disk fails or the life is over.
    fn work(&mut self) -> Result<Stage, Breach> {
        let disk = (self.wrap)(self.disk.clone());
        let mut state = match open(&disk) {
            Ok(state) => state,
            Err(_) if self.disk.has_failed() => return Ok(Stage::Open),
            Err(error) => return Err(error.into()),
        };
        self.compare(&state)?;
        for _ in 0..BATCHES {
            let Some(lsn) = self.batch(&mut state)? else {
                return Ok(Stage::Work);
            };
            if self.world.once_in(CHECKPOINT_IN) && !self.checkpoint(&mut state, lsn)? {
                return Ok(Stage::Checkpoint);
            }
        }
        Ok(Stage::Done)
    }

    /// Opens on a disk that works, and compares.
    fn look(&mut self) -> Result<(), Breach> {
        let disk = (self.wrap)(self.disk.restart());
        let state = open(&disk)?;
        self.compare(&state)
    }

    /// The reopened state against the model. A batch that was under way is there or is sent again.
    fn compare(&mut self, state: &HubState) -> Result<(), Breach> {
        let found = Facts::of(&state.engine);
        let acknowledged = self.model.batch();
        let made = BatchNumber::new(acknowledged.get() + u64::from(self.under_way.is_some()));
        check_prefix::check(acknowledged, made, found.batch)?;
        if found.batch > acknowledged {
            self.summary.unacknowledged_found += 1;
            self.take_durable();
        }
        Ok(check_state::check(self.model.facts(), found)?)
    }

    fn take_durable(&mut self) {
        let batch = self.under_way.take().expect("a batch was under way");
        self.model.execute(&batch);
        self.world.take_leaves(&self.model.newest);
    }

    /// Executes and logs one batch; `None` if the disk failed.
    fn batch(&mut self, state: &mut HubState) -> Result<Option<Lsn>, Breach> {
        self.clock += 10;
        let inputs = match self.under_way.take() {
            Some(again) => again.inputs,
            None => self.world.inputs(),
        };
        let batch = Batch {
            time: UnixMillis::new(self.clock),
            inputs,
        };
        let mut executed = Executed::default();
        state
            .engine
            .execute(batch.time, &batch.inputs, &mut executed)
            .map_err(StateError::from)?;
        let record = record(&executed, &batch);
        self.under_way = Some(batch);
        let Ok(lsn) = state.log.append_sync(&[&record]) else {
            // After a failed append a hub ends, whatever the disk says later (R3).
            return if self.disk.has_failed() {
                Ok(None)
            } else {
                Err(Breach::Diverged(executed.header.number))
            };
        };
        self.summary.acknowledged += 1;
        self.take_durable();
        if self.model.newest.header == executed.header {
            Ok(Some(lsn))
        } else {
            Err(Breach::Diverged(executed.header.number))
        }
    }

    /// False if the disk failed.
    fn checkpoint(&mut self, state: &mut HubState, lsn: Lsn) -> Result<bool, Breach> {
        let facts = state.log_facts();
        match HubState::checkpoint(&mut state.engine, &mut state.checkpoints, &facts, lsn) {
            Ok(()) => {
                self.summary.checkpoints += 1;
                Ok(true)
            }
            Err(_) if self.disk.has_failed() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The record of a batch, as the hub's log holds it: header, number of inputs, four zeros, inputs.
fn record(executed: &Executed, batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    executed.header.append_to(&mut bytes);
    u32::try_from(batch.inputs.len())
        .expect("few inputs")
        .append_to(&mut bytes);
    0_u32.append_to(&mut bytes);
    batch.inputs.iter().for_each(|input| input.append_to(&mut bytes));
    bytes
}
