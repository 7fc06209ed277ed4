//! Moving a channel into a successor that holds more, or less: top-up and splice-out.
//!
//! ```text
//! ask (journal) ─▶ SpliceRequest ─▶ final leaf (journal) ─▶ sign (journal) ─▶ adopt the successor (its journal) ─▶ SpliceFinal
//!                                                                    final on the ledger ─▶ the old channel ends (journal)
//! ```
//!
//! Whoever is interrupted anywhere calls again, and goes on from what the journals say.

use std::time::{Duration, Instant};

use tidegate_ledger::{Splice, Transaction};
use tidegate_types::{Age, Amount, ChannelId, KeyBytes, OutPoint, Txid};
use tidegate_wire::ToClient;
use tidegate_wire::messages::{LedgerQuery, LedgerResult, SpliceFinal, TxStatus};

use super::{Client, ClientError};
use crate::channel::{AskedSplice, SpliceError};
use crate::connection::{ConnectionError, fail_if_refused};
use crate::error::StepError;
use crate::key_file::KeyFileError;
use crate::store::WalletStore;

/// What is to be done to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplicePlan {
    /// Added to the client's side, from coins of the key.
    pub added: Amount,
    /// Taken from the client's side, to the key.
    pub taken: Amount,
    /// The ledger fee, paid by the coins, or out of what is taken.
    pub fee: Amount,
    /// Change below this is given to the fee: the ledger takes no smaller output.
    pub dust: Amount,
    /// Blocks until anyone may close the successor; `None`: when they might close the channel.
    pub lifetime: Option<Age>,
    /// How long to wait until the successor is active.
    pub timeout: Duration,
}

/// A channel that has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The channel that goes on in its place.
    pub successor: ChannelId,
    /// The transaction.
    pub txid: Txid,
}

/// The coins of a splice, and what comes out of it beside the successor.
struct Coins {
    inputs: Vec<OutPoint>,
    change: Option<(Amount, KeyBytes)>,
    /// The fee with what was too little for change.
    fee: Amount,
}

impl<S: WalletStore> Client<S> {
    /// Moves a channel into a successor and waits until that is active. Can be called again after an error: once the hub has
    /// agreed, the plan is that of the call before.
    ///
    /// # Errors
    /// [`ClientError`]. Once the wallet has noted the successor, an error leaves it there: it may become active yet.
    pub fn splice(&mut self, channel: &ChannelId, plan: &SplicePlan) -> Result<Spliced, ClientError> {
        let (transaction, successor) = self.prepare_splice(channel, plan)?;
        let txid = transaction.txid();
        if self.status_of(txid)? == TxStatus::Unknown {
            self.bring_splice(channel, &transaction)?;
        }
        self.wait_final(txid, plan.timeout)?;
        self.channels.note_closed(channel, txid)?;
        Ok(Spliced { successor, txid })
    }

    /// The first half of [`Client::splice`]: the hub has agreed, the transaction is signed and the successor noted, but nothing
    /// is on its way to the ledger. If it is not brought there in time, the hub closes the channel.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn prepare_splice(
        &mut self,
        channel: &ChannelId,
        plan: &SplicePlan,
    ) -> Result<(Transaction, ChannelId), ClientError> {
        if let Some(own) = self.channels.get(channel) {
            own.check_not_moved().map_err(StepError::from)?;
        }
        self.fetch(channel)?;
        if !self.is_final(channel) {
            let asked = self.ask_splice(channel, plan)?;
            let deadline = Instant::now() + plan.timeout;
            self.when_proven(deadline, |client| client.fetch_last_leaf(channel, &asked))?;
        }
        Ok(self.channels.splice_transaction(channel)?)
    }

    /// What was acknowledged a moment ago becomes firm in a leaf of its own.
    fn wait_at_rest(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.connection.timeout();
        loop {
            let known = self.channels.get(channel).map(|own| own.at_rest());
            match known {
                Some(Err(SpliceError::Unfirm(_))) if Instant::now() < deadline => {}
                Some(Err(error)) => return Err(StepError::from(error).into()),
                Some(Ok(_)) | None => return Ok(()),
            }
            self.poll(deadline.saturating_duration_since(Instant::now()))?;
        }
    }

    /// Settles what is due, and notes what the hub is to be asked for then. Nothing of that is sent.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask_splice(&mut self, channel: &ChannelId, plan: &SplicePlan) -> Result<AskedSplice, ClientError> {
        self.bring_unanswered(channel)?;
        self.settle(channel)?;
        self.wait_at_rest(channel)?;
        let coins = self.splice_coins(plan)?;
        let unknown = || StepError::from(crate::store::StoreError::Unknown(*channel));
        let own = self.channels.get(channel).ok_or_else(unknown)?;
        let (balance, _) = own.at_rest().map_err(StepError::from)?;
        let share = balance.add(plan.added).and_then(|sum| sum.sub(plan.taken));
        let share = share.map_err(|error| StepError::from(SpliceError::from(error)))?;
        let expiry = match plan.lifetime {
            Some(lifetime) => self.height.plus(lifetime).ok_or(ClientError::Range("the lifetime"))?,
            None => own.opened().terms.expiry,
        };
        let mut nonce = [0; 4];
        getrandom::fill(&mut nonce).map_err(KeyFileError::Random)?;
        let reserve = self.hello().hub_reserve;
        let terms = own.successor_terms(share, reserve, expiry, u32::from_le_bytes(nonce));
        let splice = Splice {
            funding: own.opened().funding,
            successor: terms.map_err(StepError::from)?,
            coins: coins.inputs,
            change: coins.change,
        };
        Ok(self.channels.ask_splice(channel, splice, coins.fee)?)
    }

    fn splice_coins(&mut self, plan: &SplicePlan) -> Result<Coins, ClientError> {
        let range = |_| ClientError::Range("the amount");
        let (key, cost) = (self.key(), plan.added.add(plan.fee).map_err(range)?);
        // What is taken pays first; coins are for the rest.
        let Ok(needed) = cost.sub(plan.taken) else {
            let out = plan.taken.sub(cost).map_err(range)?;
            if out < plan.dust {
                return Err(ClientError::Range("what is taken"));
            }
            return Ok(Coins {
                inputs: Vec::new(),
                change: Some((out, key)),
                fee: plan.fee,
            });
        };
        let (inputs, left) = self.choose_coins(needed)?;
        let has_change = !left.is_zero() && left >= plan.dust;
        let fee = if has_change {
            plan.fee
        } else {
            plan.fee.add(left).map_err(range)?
        };
        Ok(Coins {
            inputs,
            change: has_change.then_some((left, key)),
            fee,
        })
    }

    /// Asks for the final leaf, and waits for it.
    fn fetch_last_leaf(&mut self, channel: &ChannelId, asked: &AskedSplice) -> Result<(), ClientError> {
        let timeout = self.connection.timeout();
        let deadline = Instant::now() + timeout;
        let request = self.connection.send(&asked.message())?;
        while !self.is_final(channel) {
            let incoming = self.connection.wait_until(deadline, timeout, |_| true)?;
            if incoming.header.request == request {
                fail_if_refused(&incoming)?;
            }
            self.take(&incoming)?;
        }
        Ok(())
    }

    fn bring_splice(&mut self, channel: &ChannelId, transaction: &Transaction) -> Result<(), ClientError> {
        let incoming = self.connection.request(&SpliceFinal {
            channel: *channel,
            transaction: &transaction.encode(),
        })?;
        match incoming.message()? {
            ToClient::SpliceFinal(done) if done.txid == transaction.txid() && done.channel == *channel => Ok(()),
            other => Err(ConnectionError::Unexpected(other.kind()).into()),
        }
    }

    pub(super) fn status_of(&mut self, txid: Txid) -> Result<TxStatus, ClientError> {
        self.query(LedgerQuery::Transaction(txid), |answer| match answer.result {
            LedgerResult::Transaction(status) => Ok(status),
            _ => Err(ClientError::OtherAnswer),
        })
    }
}
