//! What must be there: an engine in memory that executes each durable batch exactly once.

use tidegate_batch::{Engine, Executed, Input, Slots, Store, TABLES, VecSlots};
use tidegate_types::{BatchNumber, UnixMillis};

use crate::check_state::Facts;
use crate::check_whole::Standing;
use crate::world::{self, World};

/// A batch as it was handed to the log.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When it was sealed.
    pub time: UnixMillis,
    /// What it holds.
    pub inputs: Vec<Input>,
}

/// The durable history, executed.
#[derive(Debug)]
pub struct Model {
    engine: Engine<VecSlots>,
    /// The newest batch, with its leaves.
    pub newest: Executed,
}

impl Model {
    /// The state that [`tidegate_hub::state::create`] makes of the same genesis.
    ///
    /// # Panics
    /// Never: the tables are empty and large enough.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let tables = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 1 << 16)));
        let params = world.params();
        let engine = Engine::create(tables, params.hub, params.ledger, params.policy, params.salt_secret);
        let mut model = Self {
            engine: engine.expect("the tables are empty"),
            newest: Executed::default(),
        };
        model.execute(&Batch {
            time: world::GENESIS_TIME,
            inputs: vec![Input::Block(world.genesis())],
        });
        model
    }

    /// Executes a batch that is durable.
    ///
    /// # Panics
    /// Never: the tables are large enough.
    pub fn execute(&mut self, batch: &Batch) {
        self.engine
            .execute(batch.time, &batch.inputs, &mut self.newest)
            .expect("the tables are large");
    }

    /// The newest durable batch.
    #[must_use]
    pub fn batch(&self) -> BatchNumber {
        self.engine.opened().batch
    }

    /// Where each channel stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        standing(&self.engine)
    }

    /// What the state is known by.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::of(&self.engine)
    }
}

/// Where each channel of an engine stands.
#[must_use]
pub fn standing<S: Slots>(engine: &Engine<S>) -> Standing {
    (0..engine.opened().channels)
        .map(|slot| engine.counters(slot))
        .collect()
}
