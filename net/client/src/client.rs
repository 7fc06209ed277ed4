//! What a person does with a wallet, one thing at a time: open, pay, settle, sync, close.

mod close;
mod error;
mod forward;
mod hash_locks;
mod open;
mod pay;
mod splice;

pub use error::{ClientError, OpenFault};
pub use open::OpenPlan;
pub use pay::{HashLock, PaidLock, Payment};
pub use splice::{SplicePlan, Spliced};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{ChannelTerms, ClientState};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_types::{ChannelId, ClientCounter, Fixed, Height, HubCounter, KeyBytes, Txid};
use tidegate_wire::ToClient;
use tidegate_wire::messages::{HelloAnswer, LedgerAnswer, LedgerQuery, LedgerResult, Sync, SyncAnswer, TxStatus, Utxo};

use crate::channel::Signer;
use crate::channels::{Channels, News};
use crate::connection::{ConnectOptions, Connection, ConnectionError, Incoming};
use crate::error::StepError;
use crate::headers::HeaderCache;
use crate::key_file::Seed;
use crate::store::{Opened, WalletStore};

/// How often the ledger is asked whether a transaction is final.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A wallet with a connection to its hub.
#[derive(Debug)]
pub struct Client<S> {
    connection: Connection,
    channels: Channels<S>,
    settle_on: SettleOn,
    /// The highest height of a final block that was seen.
    height: Height,
    /// Channels whose newest leaf was asked for on this connection.
    synced: BTreeSet<ChannelId>,
}

impl<S: WalletStore> Client<S> {
    /// Connects with the key of `seed`, and opens the wallet in `store`. New channels settle on `settle_on`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn connect(options: &ConnectOptions, seed: &Seed, store: S, settle_on: SettleOn) -> Result<Self, ClientError> {
        let connection = Connection::connect(options, SecretKey::from_seed(**seed))?;
        let hub = PublicKey::register(connection.hello().hub).map_err(ClientError::HubKey)?;
        let signer = Signer {
            ledger: options.ledger,
            key: SecretKey::from_seed(**seed),
        };
        let headers = Arc::new(HeaderCache::new(options.ledger, hub));
        Ok(Self {
            height: connection.hello().height,
            connection,
            channels: Channels::open(signer, headers, store)?,
            settle_on,
            synced: BTreeSet::new(),
        })
    }

    /// What the hub said of itself.
    #[must_use]
    pub const fn hello(&self) -> &HelloAnswer {
        self.connection.hello()
    }

    /// The wallet's channels.
    #[must_use]
    pub const fn channels(&self) -> &Channels<S> {
        &self.channels
    }

    /// The client's public key.
    #[must_use]
    pub fn key(&self) -> KeyBytes {
        self.channels.signer().key.public().bytes()
    }

    /// The highest height of a final block that was seen.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Fetches what was missed on a channel, believes what can be proved, and sends again what was not answered. A channel
    /// that this wallet does not know yet, but whose client key is its own, is taken up.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Behind`] if this wallet is older than the channel.
    pub fn sync(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        self.fetch(channel)?;
        self.bring_unanswered(channel)
    }

    /// Takes a channel up from what the hub holds of it, whatever this wallet knew: after [`ClientError::Behind`]. It must
    /// not be called while another copy of the wallet is in use.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn recover(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        let incoming = self.ask(channel, ClientCounter::ZERO, HubCounter::ZERO)?;
        let answer = sync_answer(&incoming)?;
        if self.channels.get(channel).is_none() {
            self.take_up(channel, &answer)?;
        }
        self.channels.restore(&answer)?;
        self.synced.insert(*channel);
        self.note_heights();
        self.ack(channel)
    }

    /// Gives up a state that the hub has refused for good, and has it accept the next one in its place; false if there was
    /// none.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn supersede(&mut self, channel: &ChannelId) -> Result<bool, ClientError> {
        self.fetch(channel)?;
        if !self.channels.supersede(channel)? {
            return Ok(false);
        }
        let state = self.channels.pay(channel, &[], self.height)?;
        self.bring(channel, &state)?;
        Ok(true)
    }

    fn ask(&mut self, channel: &ChannelId, state: ClientCounter, leaf: HubCounter) -> Result<Incoming, ClientError> {
        let question = Sync {
            channel: *channel,
            state,
            leaf,
        };
        Ok(self.connection.request(&question)?)
    }

    /// [`Client::sync`] without sending anything again.
    fn fetch(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        let Some(own) = self.channels.get(channel) else {
            return self.recover(channel);
        };
        let (state, leaf) = (own.acknowledged().counter, own.wallet().hub().leaf().counter);
        let incoming = self.ask(channel, state, leaf)?;
        let answer = sync_answer(&incoming)?;
        self.check_not_behind(&answer)?;
        self.channels.accept_sync(&answer)?;
        self.synced.insert(*channel);
        self.note_heights();
        self.ack(channel)
    }

    /// Sends the newest state again, if no leaf has acknowledged it.
    fn bring_unanswered(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        match self.channels.get(channel).and_then(|c| c.unanswered()).cloned() {
            Some(state) => self.bring(channel, &state),
            None => Ok(()),
        }
    }

    fn take_up(&mut self, channel: &ChannelId, answer: &SyncAnswer<'_>) -> Result<(), ClientError> {
        let opened = Opened {
            channel: *channel,
            funding: answer.funding,
            terms: ChannelTerms::decode(answer.terms).map_err(|e| StepError::Wire(e.into()))?,
            margin: self.hello().margin,
            settle_on: self.settle_on,
        };
        self.channels.adopt(opened)?;
        Ok(())
    }

    /// A hub that holds a newer state than the wallet has one that this wallet, or another copy of it, signed and forgot.
    fn check_not_behind(&self, answer: &SyncAnswer<'_>) -> Result<(), ClientError> {
        let Some(held) = &answer.state else { return Ok(()) };
        let held = ClientState::decode(held.state)
            .map_err(|e| StepError::Wire(e.into()))?
            .counter;
        let own = self
            .channels
            .get(&answer.channel)
            .map_or(ClientCounter::ZERO, |c| c.wallet().client().state().counter);
        if held > own {
            return Err(ClientError::Behind {
                channel: answer.channel,
                own,
                held,
            });
        }
        Ok(())
    }

    /// Syncs a channel that was not synced on this connection.
    fn ensure_synced(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        if self.synced.contains(channel) {
            Ok(())
        } else {
            self.sync(channel)
        }
    }

    /// Waits for anything that the hub sends by itself, takes it in and acknowledges it: how a payee is paid. Empty if
    /// nothing came in time.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn poll(&mut self, timeout: Duration) -> Result<Vec<News>, ClientError> {
        match self.connection.wait_for(timeout, |_| true) {
            Ok(incoming) => self.take(&incoming),
            Err(ConnectionError::Timeout(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in what came unasked.
    fn take(&mut self, incoming: &Incoming) -> Result<Vec<News>, ClientError> {
        match incoming.message()? {
            ToClient::Receipt(receipt) => {
                let news = self.channels.accept_receipt(&receipt)?;
                self.note_heights();
                for leaf in &news {
                    let news = !leaf.events.credited.is_zero() || !leaf.events.in_changes.is_empty();
                    if leaf.events.ack_due || news {
                        self.ack(&leaf.channel)?;
                    }
                }
                Ok(news)
            }
            ToClient::AckProof(proof) => {
                if self
                    .channels
                    .get(&proof.channel)
                    .is_some_and(|c| c.lock(&proof.lock).is_some())
                {
                    self.channels.prove(&proof)?;
                }
                Ok(Vec::new())
            }
            ToClient::Fulfill(shown) => {
                let channel = self.channels.get(&shown.channel);
                if channel.is_some_and(|c| c.lock(&shown.lock).is_some()) {
                    self.channels.prove_preimage(&shown)?;
                }
                Ok(Vec::new())
            }
            // An answer to a question that nobody waits for any more.
            _ => Ok(Vec::new()),
        }
    }

    /// Acknowledges a channel's newest leaf, if it waits for that.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ack(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        if let Some(ack) = self.channels.ack(channel, self.height)? {
            self.connection.send(&ack.message())?;
        }
        Ok(())
    }

    /// Heights in leaves are signed by the hub and may be newer than its greeting.
    fn note_heights(&mut self) {
        let newest = self.channels.iter().map(|c| c.wallet().hub().leaf().height).max();
        self.height = self.height.max(newest.unwrap_or(Height::ZERO));
    }

    /// Asks about the ledger; `then` sees the answer.
    ///
    /// # Errors
    /// [`ClientError`], and what `then` returns.
    pub fn query<T>(
        &mut self,
        query: LedgerQuery,
        then: impl FnOnce(&LedgerAnswer<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let incoming = self.connection.request(&query)?;
        match incoming.message()? {
            ToClient::LedgerAnswer(answer) => {
                self.height = self.height.max(answer.height);
                then(&answer)
            }
            other => Err(ClientError::Unexpected(other.kind())),
        }
    }

    /// The unspent outputs of the client's key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn funds(&mut self) -> Result<Vec<Utxo>, ClientError> {
        let key = self.key();
        self.query(LedgerQuery::UtxosOf(key), |answer| match answer.result {
            LedgerResult::Utxos { outputs, .. } => Ok(outputs.iter().collect()),
            _ => Err(ClientError::OtherAnswer),
        })
    }

    /// The open channels of the client's key, as the ledger knows them: how a wallet that has lost everything begins. Those
    /// with this hub are taken up by [`Client::sync`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn find_channels(&mut self) -> Result<Vec<ChannelId>, ClientError> {
        let key = self.key();
        self.query(LedgerQuery::ChannelsOf(key), |answer| match answer.result {
            LedgerResult::Channels { channels, .. } => Ok(channels.iter().collect()),
            _ => Err(ClientError::OtherAnswer),
        })
    }

    /// Waits until a transaction stands in a final block, and returns its height.
    ///
    /// # Errors
    /// [`ClientError::NotFinal`] after `timeout`.
    pub fn wait_final(&mut self, txid: Txid, timeout: Duration) -> Result<Height, ClientError> {
        let began = Instant::now();
        loop {
            match self.status_of(txid)? {
                TxStatus::Final(height) => return Ok(height),
                TxStatus::Unknown | TxStatus::Mempool if began.elapsed() >= timeout => {
                    return Err(ClientError::NotFinal {
                        txid,
                        waited: began.elapsed(),
                    });
                }
                TxStatus::Unknown | TxStatus::Mempool => std::thread::sleep(ASK_AGAIN),
            }
        }
    }
}

fn sync_answer(incoming: &Incoming) -> Result<SyncAnswer<'_>, ClientError> {
    match incoming.message()? {
        ToClient::SyncAnswer(answer) => Ok(answer),
        other => Err(ClientError::Unexpected(other.kind())),
    }
}
