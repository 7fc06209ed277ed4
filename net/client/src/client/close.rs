//! Closing a channel together with the hub.

use std::time::{Duration, Instant};

use tidegate_types::{Amount, ChannelId, Txid};
use tidegate_wire::ToClient;
use tidegate_wire::messages::{CloseFinal, CloseRequest};

use super::{Client, ClientError};
use crate::connection::{ConnectionError, fail_if_refused};
use crate::store::WalletStore;

impl<S: WalletStore> Client<S> {
    /// Closes a channel, the client paying `fee` to the ledger, and waits until it is closed. Can be called again after an
    /// error, with the same fee.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn close(&mut self, channel: &ChannelId, fee: Amount, timeout: Duration) -> Result<Txid, ClientError> {
        self.fetch(channel)?;
        if !self.is_final(channel) {
            match self.bring_unanswered(channel) {
                // A state that the hub will not have does not keep the channel open: the close goes by the one before.
                Err(ClientError::Refused { .. }) => {}
                other => {
                    other?;
                    self.settle(channel)?;
                }
            }
            self.channels.check_closable(channel)?;
            self.fetch_final_leaf(channel, fee)?;
        }
        let transaction = self.channels.close_transaction(channel, fee)?;
        let incoming = self.connection.request(&CloseFinal {
            channel: *channel,
            transaction: &transaction.encode(),
        })?;
        let txid = transaction.txid();
        match incoming.message()? {
            ToClient::CloseFinal(done) if done.txid == txid && done.channel == *channel => {}
            other => return Err(ConnectionError::Unexpected(other.kind()).into()),
        }
        self.wait_final(txid, timeout)?;
        self.channels.note_closed(channel, txid)?;
        Ok(txid)
    }

    pub(super) fn is_final(&self, channel: &ChannelId) -> bool {
        self.channels.get(channel).is_some_and(|c| c.is_final())
    }

    fn fetch_final_leaf(&mut self, channel: &ChannelId, fee: Amount) -> Result<(), ClientError> {
        let timeout = self.connection.timeout();
        let deadline = Instant::now() + timeout;
        let request = self.connection.send(&CloseRequest { channel: *channel, fee })?;
        while !self.is_final(channel) {
            let incoming = self.connection.wait_until(deadline, timeout, |_| true)?;
            if incoming.header.request == request {
                fail_if_refused(&incoming)?;
            }
            self.take(&incoming)?;
        }
        Ok(())
    }
}
