//! Journals that end with the process.

use std::collections::BTreeMap;

use tidegate_types::ChannelId;

use super::{Opened, Record, StoreError, WalletStore};

/// Keeps journals in memory: for tests, and for load generators whose money is not real. A wallet that holds real money and
/// forgets a state that it has sent may sign another with the same counter.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    journals: BTreeMap<ChannelId, Vec<Record>>,
}

impl WalletStore for MemoryStore {
    fn channels(&self) -> Result<Vec<ChannelId>, StoreError> {
        Ok(self.journals.keys().copied().collect())
    }

    fn create(&mut self, opened: &Opened) -> Result<(), StoreError> {
        if self.journals.contains_key(&opened.channel) {
            return Err(StoreError::Exists(opened.channel));
        }
        let first = Record::Opened(Box::new(*opened));
        self.journals.insert(opened.channel, vec![first]);
        Ok(())
    }

    fn load(&mut self, channel: &ChannelId) -> Result<Vec<Record>, StoreError> {
        self.journals.get(channel).cloned().ok_or(StoreError::Unknown(*channel))
    }

    fn append(&mut self, channel: &ChannelId, record: &Record) -> Result<(), StoreError> {
        let journal = self.journals.get_mut(channel).ok_or(StoreError::Unknown(*channel))?;
        journal.push(record.clone());
        Ok(())
    }
}
