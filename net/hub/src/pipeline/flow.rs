//! What sequencer and reactor thread tell each other beside the work itself.

use super::credits::Processed;
use super::known::Known;

/// Shared by both.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Requests of one peer that may wait.
    pub(crate) messages_max: u32,
    /// How far the sequencer has come.
    pub(crate) processed: Processed,
    /// Whose places are kept.
    pub(crate) known: Known,
}

impl Flow {
    pub(crate) fn new(messages_max: u32) -> Self {
        Self {
            messages_max,
            processed: Processed::default(),
            known: Known::default(),
        }
    }
}
