//! All channels of one wallet with one hub.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_channel::Lock;
use tidegate_channel::wallet::LeafEvents;
use tidegate_ledger::{Splice, Transaction};
use tidegate_types::{Amount, ChannelId, Height, LockId, Txid};
use tidegate_wire::messages as wire;

use crate::channel::{AskedSplice, ClientChannel, SignedAck, SignedState, Signer};
use crate::error::{CloseError, StepError};
use crate::headers::HeaderCache;
use crate::receipt::{Leaf, Proofs, ReceiptError};
use crate::store::{Opened, StoreError, WalletStore};

/// The channels of one client key with one hub, and the store that remembers them.
#[derive(Debug)]
pub struct Channels<S> {
    signer: Signer,
    headers: Arc<HeaderCache>,
    store: S,
    channels: BTreeMap<ChannelId, ClientChannel>,
}

/// What one receipt told of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The channel.
    pub channel: ChannelId,
    /// What its leaf told.
    pub events: LeafEvents,
}

impl<S: WalletStore> Channels<S> {
    /// Opens the wallet: every journal is read again. Journals of other client keys or hubs are left alone.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn open(signer: Signer, headers: Arc<HeaderCache>, mut store: S) -> Result<Self, StepError> {
        let mut channels = BTreeMap::new();
        for id in store.channels()? {
            match ClientChannel::replay(&store.load(&id)?, &signer, &headers) {
                Ok(channel) => drop(channels.insert(id, channel)),
                Err(StepError::Adopt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            signer,
            headers,
            store,
            channels,
        })
    }

    /// Who signs.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The headers that were verified.
    #[must_use]
    pub const fn headers(&self) -> &Arc<HeaderCache> {
        &self.headers
    }

    /// A channel.
    #[must_use]
    pub fn get(&self, channel: &ChannelId) -> Option<&ClientChannel> {
        self.channels.get(channel)
    }

    /// Every channel, by name.
    pub fn iter(&self) -> impl Iterator<Item = &ClientChannel> {
        self.channels.values()
    }

    /// Takes up a new channel. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Adopt`], [`StepError::Store`].
    pub fn adopt(&mut self, opened: Opened) -> Result<&ClientChannel, StepError> {
        let channel = ClientChannel::new(opened, &self.signer, &self.headers)?;
        self.store.create(&opened)?;
        Ok(self.channels.entry(opened.channel).insert_entry(channel).into_mut())
    }

    /// As [`ClientChannel::pay`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn pay(&mut self, channel: &ChannelId, locks: &[Lock], height: Height) -> Result<SignedState, StepError> {
        self.step(channel, |channel, signer, store| {
            channel.pay(signer, store, locks, height)
        })
    }

    /// As [`ClientChannel::settle`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn settle(&mut self, channel: &ChannelId, height: Height) -> Result<Option<SignedState>, StepError> {
        self.step(channel, |channel, signer, store| channel.settle(signer, store, height))
    }

    /// As [`ClientChannel::ack`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn ack(&mut self, channel: &ChannelId, height: Height) -> Result<Option<SignedAck>, StepError> {
        self.step(channel, |channel, signer, store| channel.ack(signer, store, height))
    }

    /// As [`ClientChannel::prove`], for the channel that the answer names.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn prove(&mut self, answer: &wire::AckProof<'_>) -> Result<bool, StepError> {
        self.step(&answer.channel, |channel, signer, store| {
            channel.prove(signer, store, answer)
        })
    }

    /// As [`ClientChannel::fulfil`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn fulfil(
        &self,
        channel: &ChannelId,
        lock: &LockId,
        preimage: &[u8; 32],
        height: Height,
    ) -> Result<wire::Fulfill, StepError> {
        let channel = self.channels.get(channel).ok_or(StoreError::Unknown(*channel))?;
        channel.fulfil(lock, preimage, height)
    }

    /// As [`ClientChannel::release`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn release(&mut self, channel: &ChannelId, lock: &LockId) -> Result<wire::Release, StepError> {
        self.step(channel, |channel, signer, store| channel.release(signer, store, lock))
    }

    /// As [`ClientChannel::prove_preimage`], for the channel that is named.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn prove_preimage(&mut self, shown: &wire::Fulfill) -> Result<(), StepError> {
        self.step(&shown.channel, |channel, _, store| channel.prove_preimage(store, shown))
    }

    /// As [`ClientChannel::note_revealed`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn note_revealed(&mut self, channel: &ChannelId, lock: &LockId) -> Result<(), StepError> {
        self.step(channel, |channel, _, store| channel.note_revealed(store, lock))
    }

    /// As [`ClientChannel::settle_only`].
    ///
    /// # Errors
    /// [`StepError::Store`] for an unknown channel.
    pub fn settle_only(&mut self, channel: &ChannelId, locks: Option<BTreeSet<LockId>>) -> Result<(), StepError> {
        self.step(channel, |channel, _, _| {
            channel.settle_only(locks);
            Ok(())
        })
    }

    /// Signs and notes the closing transaction. Durable on return.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn close_transaction(&mut self, channel: &ChannelId, fee: Amount) -> Result<Transaction, StepError> {
        self.step(channel, |channel, signer, store| {
            let transaction = channel.close_transaction(signer, fee)?;
            channel.note_closing(store, transaction.encode())?;
            Ok(transaction)
        })
    }

    /// As [`ClientChannel::ask_splice`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn ask_splice(&mut self, channel: &ChannelId, splice: Splice, fee: Amount) -> Result<AskedSplice, StepError> {
        self.step(channel, |channel, _, store| channel.ask_splice(store, splice, fee))
    }

    /// Signs and notes the transaction by which a channel moves into its successor, and takes that one up. Durable on return;
    /// made again, both are what they were.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn splice_transaction(&mut self, channel: &ChannelId) -> Result<(Transaction, ChannelId), StepError> {
        let (transaction, opened) = self.step(channel, |channel, signer, store| {
            let (transaction, opened) = channel.splice_transaction(signer)?;
            let bytes = transaction.encode();
            if channel.closing() != Some(&bytes[..]) {
                channel.note_closing(store, bytes)?;
            }
            Ok((transaction, opened))
        })?;
        if self.get(&opened.channel).is_none() {
            self.adopt(opened)?;
        }
        Ok((transaction, opened.channel))
    }

    /// As [`ClientChannel::note_closed`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn note_closed(&mut self, channel: &ChannelId, txid: Txid) -> Result<(), StepError> {
        self.step(channel, |channel, _, store| channel.note_closed(store, txid))
    }

    /// As [`ClientChannel::check_closable`].
    ///
    /// # Errors
    /// [`StepError::Store`] for an unknown channel, [`StepError::Close`].
    pub fn check_closable(&self, channel: &ChannelId) -> Result<(), StepError> {
        let channel = self.channels.get(channel).ok_or(StoreError::Unknown(*channel))?;
        channel.check_closable().map_err(|error: CloseError| error.into())
    }

    /// Takes every leaf of a receipt that belongs to this wallet; leaves of others, and those that are here already, are
    /// passed over. Leaves before the one that fails are kept.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn accept_receipt(&mut self, receipt: &wire::Receipt<'_>) -> Result<Vec<News>, StepError> {
        let header = self.headers.verify(receipt.header).map_err(ReceiptError::from)?;
        let mut proofs = Proofs::new(header);
        let mut news = Vec::new();
        for entry in receipt.entries {
            // The channel's name stands first in the private part.
            let id = ChannelId::from_bytes(*entry.private.first_chunk().expect("the private part is 216 bytes"));
            let Some(channel) = self.channels.get_mut(&id) else {
                // If another's leaf is wrong, then so is what rests on its path.
                let _passed_over = Leaf::decode(&entry).and_then(|leaf| proofs.check(&leaf, &entry));
                continue;
            };
            if let Some(events) = channel.accept(&mut self.store, &mut proofs, &entry)? {
                news.push(News { channel: id, events });
            }
        }
        Ok(news)
    }

    /// As [`ClientChannel::accept_sync`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn accept_sync(&mut self, answer: &wire::SyncAnswer<'_>) -> Result<Vec<LeafEvents>, StepError> {
        let channel = self.channels.get_mut(&answer.channel);
        let channel = channel.ok_or(StoreError::Unknown(answer.channel))?;
        channel.accept_sync(&mut self.store, &self.headers, answer)
    }

    /// As [`ClientChannel::restore`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn restore(&mut self, answer: &wire::SyncAnswer<'_>) -> Result<(), StepError> {
        let channel = self.channels.get_mut(&answer.channel);
        let channel = channel.ok_or(StoreError::Unknown(answer.channel))?;
        channel.restore(&self.signer, &mut self.store, &self.headers, answer)
    }

    /// As [`ClientChannel::supersede`].
    ///
    /// # Errors
    /// [`StepError`].
    pub fn supersede(&mut self, channel: &ChannelId) -> Result<bool, StepError> {
        self.step(channel, |channel, _, store| channel.supersede(store))
    }

    fn step<T>(
        &mut self,
        channel: &ChannelId,
        step: impl FnOnce(&mut ClientChannel, &Signer, &mut dyn WalletStore) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let found = self.channels.get_mut(channel).ok_or(StoreError::Unknown(*channel))?;
        step(found, &self.signer, &mut self.store)
    }
}
