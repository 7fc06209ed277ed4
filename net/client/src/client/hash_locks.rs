//! What a payee does about a lock that waits for its preimage: show it, or give the lock up.

use std::time::Instant;

use tidegate_types::{ChannelId, LockId};
use tidegate_wire::messages::Body;

use super::{Client, ClientError};
use crate::connection::fail_if_refused;
use crate::error::StepError;
use crate::store::WalletStore;

impl<S: WalletStore> Client<S> {
    /// Shows the hub the preimage of a lock that was offered on `channel`, and waits for the leaf that credits it.
    ///
    /// # Errors
    /// [`ClientError`]. After an error of the connection the preimage may have been taken: it can be shown again, and a lock
    /// that is gone then has been paid, as [`Client::sync`] will tell.
    pub fn fulfil(&mut self, channel: &ChannelId, lock: &LockId, preimage: &[u8; 32]) -> Result<(), ClientError> {
        self.ensure_synced(channel)?;
        let message = self.channels.fulfil(channel, lock, preimage, self.height)?;
        self.end_in_lock(channel, lock, &message)
    }

    /// Gives up a lock that was offered on `channel`, for good, and waits for the leaf without it.
    ///
    /// # Errors
    /// As [`Client::fulfil`].
    pub fn release(&mut self, channel: &ChannelId, lock: &LockId) -> Result<(), ClientError> {
        self.ensure_synced(channel)?;
        let message = self.channels.release(channel, lock)?;
        self.end_in_lock(channel, lock, &message)
    }

    /// The lock that waits on `channel` for the preimage of `hash`, if one does: the first of several.
    ///
    /// # Errors
    /// [`StepError::Store`] for an unknown channel.
    pub fn find_in_lock(&self, channel: &ChannelId, hash: &[u8; 32]) -> Result<Option<LockId>, StepError> {
        let found = self.channels.get(channel);
        let found = found.ok_or(crate::store::StoreError::Unknown(*channel))?;
        let mut open = found.wallet().hub().in_locks().iter();
        Ok(open.find(|open| open.lock.hash == *hash).map(|open| open.lock.lock))
    }

    fn end_in_lock<'a>(
        &mut self,
        channel: &ChannelId,
        lock: &LockId,
        message: &impl Body<'a>,
    ) -> Result<(), ClientError> {
        let timeout = self.connection.timeout();
        let deadline = Instant::now() + timeout;
        let request = self.connection.send(message)?;
        while self.waits(channel, lock) {
            let incoming = self.connection.wait_until(deadline, timeout, |_| true)?;
            if incoming.header.request == request {
                fail_if_refused(&incoming)?;
            }
            self.take(&incoming)?;
        }
        Ok(())
    }

    fn waits(&self, channel: &ChannelId, lock: &LockId) -> bool {
        let channel = self.channels.get(channel);
        channel.is_some_and(|c| c.wallet().hub().in_locks().iter().any(|open| open.lock.lock == *lock))
    }
}
