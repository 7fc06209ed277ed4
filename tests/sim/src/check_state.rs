//! The state is that of exactly the batches it names: none partly applied, no satoshi made or lost.

use tidegate_batch::{Engine, Slots};
use tidegate_types::{BatchNumber, Digest};

/// What a state is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The newest batch.
    pub batch: BatchNumber,
    /// Digest of its header, which holds the outcomes and the leaves.
    pub header: Digest,
    /// Root of all channels.
    pub root: Digest,
    /// What all channels hold together, in satoshi.
    pub value: u128,
    /// What their funding outputs hold together, in satoshi.
    pub capacity: u128,
}

impl Facts {
    /// The facts of an engine.
    #[must_use]
    pub fn of<S: Slots + Sync>(engine: &Engine<S>) -> Self {
        let opened = engine.opened();
        let (value, capacity) = engine.value();
        Self {
            batch: opened.batch,
            header: opened.header_digest,
            root: engine.state_root(),
            value,
            capacity,
        }
    }
}

/// What a state breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateBreach {
    /// Value was made or lost.
    #[error("channels hold {value} sat, their outputs {capacity} sat")]
    Value {
        /// What they hold.
        value: u128,
        /// What they should hold.
        capacity: u128,
    },
    /// Another history, or part of a batch.
    #[error("the state is not that of its batches: {found:?} instead of {expected:?}")]
    Other {
        /// By the model.
        expected: Box<Facts>,
        /// In the reopened state.
        found: Box<Facts>,
    },
}

/// Checks a reopened state against that of the model after the same batch.
///
/// # Errors
/// [`StateBreach`].
pub fn check(expected: Facts, found: Facts) -> Result<(), StateBreach> {
    let Facts { value, capacity, .. } = found;
    if value != capacity {
        return Err(StateBreach::Value { value, capacity });
    }
    if expected == found {
        Ok(())
    } else {
        Err(other(expected, found))
    }
}

fn other(expected: Facts, found: Facts) -> StateBreach {
    StateBreach::Other {
        expected: Box::new(expected),
        found: Box::new(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_counts() {
        let digest = |n| Digest::from_bytes([n; 32]);
        let good = Facts {
            batch: BatchNumber::new(3),
            header: digest(1),
            root: digest(2),
            value: 10,
            capacity: 10,
        };
        assert_eq!(check(good, good), Ok(()));
        for bad in [
            Facts {
                batch: BatchNumber::new(2),
                ..good
            },
            Facts {
                header: digest(9),
                ..good
            },
            Facts {
                root: digest(9),
                ..good
            },
            Facts {
                value: 9,
                capacity: 9,
                ..good
            },
        ] {
            assert_eq!(check(good, bad), Err(other(good, bad)));
        }
        let lost = Facts { value: 9, ..good };
        assert_eq!(check(lost, lost), Err(StateBreach::Value { value: 9, capacity: 10 }));
    }
}
