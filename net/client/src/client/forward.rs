//! What a hub does as a client of the next hub (rule 15): it adds locks as they are, and settles those that it chooses.

use std::collections::BTreeSet;

use tidegate_channel::Lock;
use tidegate_types::{ChannelId, LockId};

use super::{Client, ClientError};
use crate::store::WalletStore;

impl<S: WalletStore> Client<S> {
    /// Adds these locks under one signature, at most 16, and waits for the leaf that tells what became of them. Locks that fell
    /// due are settled and dropped by the same state.
    ///
    /// # Errors
    /// As [`Client::pay`].
    pub fn send_locks(&mut self, channel: &ChannelId, locks: &[Lock]) -> Result<(), ClientError> {
        self.ensure_synced(channel)?;
        let state = self.channels.pay(channel, locks, self.height)?;
        self.bring(channel, &state)
    }

    /// As [`tidegate_channel::wallet::Wallet::settle_only`].
    ///
    /// # Errors
    /// [`ClientError::Step`] for an unknown channel.
    pub fn settle_only(&mut self, channel: &ChannelId, locks: Option<BTreeSet<LockId>>) -> Result<(), ClientError> {
        Ok(self.channels.settle_only(channel, locks)?)
    }
}
