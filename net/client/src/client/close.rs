//! Closing a channel together with the hub.

use std::time::{Duration, Instant};

use tidegate_types::{Amount, ChannelId, Txid};
use tidegate_wire::messages::{CloseFinal, CloseRequest};
use tidegate_wire::{ErrorCode, ToClient};

use super::{Client, ClientError};
use crate::connection::{ConnectionError, fail_if_refused};
use crate::store::WalletStore;

/// How long a client whose acks are on their way to the ledger waits before it asks again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

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
            let deadline = Instant::now() + timeout;
            self.when_proven(deadline, |client| client.fetch_final_leaf(channel, fee))?;
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

    /// Asks for a last leaf until the hub has what others owe by this channel's acks on the ledger.
    pub(super) fn when_proven(
        &mut self,
        deadline: Instant,
        ask: impl Fn(&mut Self) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        loop {
            match ask(self) {
                Err(ClientError::Connection(ConnectionError::Remote {
                    code: ErrorCode::Unproven,
                    ..
                })) if Instant::now() < deadline => drop(self.poll(AGAIN_AFTER)?),
                other => return other,
            }
        }
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
