//! A client: its wallet, the journal from which a restart reads it, and all that it could show at any time.

use std::sync::Arc;

use tidegate_batch::{AckInput, Executed, Input, PayInput, ReleaseInput};
use tidegate_channel::evidence::Pair;
use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{ChannelTerms, Release, SignedHeader, decode_operations};
use tidegate_client::{
    Channels, ClientChannel, HeaderCache, MemoryStore, Opened, SignedState, Signer, WalletStore as _,
};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_tower::Package;
use tidegate_types::{Age, ChannelId, Fixed, Height, LedgerId, LockId, OutPoint};
use tidegate_wire::Items;
use tidegate_wire::messages::{Body as _, Receipt, ReceiptEntry};

use super::hub::MARGIN;

/// A client with one channel.
#[derive(Debug)]
pub struct Party {
    seed: [u8; 32],
    ledger: LedgerId,
    hub: PublicKey,
    /// Its channel.
    pub channel: ChannelId,
    /// The output that holds it.
    pub funding: OutPoint,
    /// The terms of that.
    pub terms: ChannelTerms,
    channels: Channels<MemoryStore>,
}

fn array<const N: usize>(value: &impl Fixed) -> [u8; N] {
    let mut bytes = [0; N];
    value.encode_into(&mut bytes);
    bytes
}

impl Party {
    /// The client of a channel.
    ///
    /// # Panics
    /// If the terms are not its own.
    #[must_use]
    pub fn new(seed: [u8; 32], ledger: LedgerId, hub: PublicKey, (terms, funding): (ChannelTerms, OutPoint)) -> Self {
        let mut party = Self {
            seed,
            ledger,
            hub,
            channel: terms.channel_id(&funding),
            funding,
            terms,
            channels: wallet(seed, ledger, hub, MemoryStore::default()),
        };
        let opened = Opened {
            channel: party.channel,
            funding,
            terms,
            margin: Age::new(MARGIN),
            settle_on: SettleOn::Delivered,
        };
        party.channels.adopt(opened).expect("its own channel");
        party
    }

    /// Its wallet is opened again from its journal.
    pub fn reopen(&mut self) {
        let store = self.channels.store().clone();
        self.channels = wallet(self.seed, self.ledger, self.hub, store);
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &LedgerId {
        &self.ledger
    }

    /// Who signs.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        self.channels.signer()
    }

    /// The channel as it knows it.
    ///
    /// # Panics
    /// Never: it was adopted.
    #[must_use]
    pub fn own(&self) -> &ClientChannel {
        self.channels.get(&self.channel).expect("adopted")
    }

    /// Its wallet.
    pub const fn channels(&mut self) -> &mut Channels<MemoryStore> {
        &mut self.channels
    }

    /// Takes its leaf of a batch, if there is one, from a receipt as it comes over the wire.
    ///
    /// # Panics
    /// If an honest hub's receipt does not hold.
    pub fn take(&mut self, executed: &Executed, header: &SignedHeader) {
        if let Some(body) = self.receipt(executed, header) {
            let receipt = Receipt::decode(&body).expect("just encoded");
            self.channels.accept_receipt(&receipt).expect("an honest hub's receipt");
        }
    }

    /// The body of the receipt of its leaf, if the batch has one.
    ///
    /// # Panics
    /// Never: a batch here has few leaves.
    #[must_use]
    pub fn receipt(&self, executed: &Executed, header: &SignedHeader) -> Option<Vec<u8>> {
        let of_this = |leaf: &tidegate_batch::LeafOut| leaf.private.channel == self.channel;
        let index = executed.leaves().iter().position(of_this)?;
        let leaf = &executed.leaves()[index];
        let index = u32::try_from(index).expect("few leaves");
        let path: Vec<_> = executed.tree.path(index).collect();
        let credits: Vec<_> = leaf.credits.iter().map(array).collect();
        let outcomes: Vec<_> = leaf.outcomes.iter().map(array).collect();
        let in_changes: Vec<_> = leaf.in_changes.iter().map(array).collect();
        let terms = leaf.terms.as_ref().map(array);
        let entry = ReceiptEntry {
            index,
            private: &array(&leaf.private),
            public: &array(&leaf.public),
            path: &path,
            shared: false,
            credits: &credits,
            outcomes: &outcomes,
            answers: Items::default(),
            in_changes: &in_changes,
            final_terms: terms.as_ref(),
        };
        let receipt = Receipt {
            header: &array(header),
            entries: core::slice::from_ref(&entry).into(),
        };
        let mut body = Vec::new();
        receipt.put(&mut body);
        Some(body)
    }

    /// Signs a state that pays by these locks, if it can.
    pub fn pay(&mut self, locks: &[tidegate_channel::Lock], height: Height) -> Option<Input> {
        let signed = self.channels.pay(&self.channel, locks, height).ok()?;
        Some(input(&signed))
    }

    /// Signs a state that settles and drops what is due, if something is.
    pub fn settle(&mut self, height: Height) -> Option<Input> {
        let signed = self
            .channels
            .settle(&self.channel, height)
            .expect("a journal in memory");
        signed.as_ref().map(input)
    }

    /// Acknowledges its newest leaf, if it may.
    pub fn ack(&mut self, height: Height) -> Option<Input> {
        let signed = self.channels.ack(&self.channel, height).expect("a journal in memory")?;
        Some(Input::Ack(AckInput {
            ack: signed.ack,
            signature: *signed.message().signature,
        }))
    }

    /// Gives a lock up that waits for it.
    pub fn release(&mut self, lock: &LockId) -> Option<Input> {
        let signed = self.channels.release(&self.channel, lock).ok()?;
        let (channel, lock) = (signed.channel, signed.lock);
        Some(Input::Release(ReleaseInput {
            release: Release { channel, lock },
            signature: signed.signature,
        }))
    }

    /// What it gives its tower: its best pair, with every mandate; nothing while it could only show the opening.
    #[must_use]
    pub fn package(&self) -> Option<Package> {
        let (own, signer) = (self.own(), self.signer());
        let pair = own.pair(signer).ok().filter(|pair| *pair != Pair::default())?;
        Some(Package::of_client(own, signer, pair))
    }

    /// The pair that the channel could show as it was then, its newest leaf acknowledged if that was allowed.
    #[must_use]
    pub fn pair_of(&self, then: &ClientChannel, height: Height) -> Option<Pair> {
        let (mut then, mut store) = (then.clone(), MemoryStore::default());
        store.create(then.opened()).expect("an empty store");
        let _late = then.ack(self.signer(), &mut store, height);
        then.pair(self.signer()).ok()
    }
}

fn wallet(seed: [u8; 32], ledger: LedgerId, hub: PublicKey, store: MemoryStore) -> Channels<MemoryStore> {
    let signer = Signer {
        ledger,
        key: SecretKey::from_seed(seed),
    };
    let headers = Arc::new(HeaderCache::new(ledger, hub));
    Channels::open(signer, headers, store).expect("a journal of its own")
}

fn input(signed: &SignedState) -> Input {
    let (message, mut operations) = (signed.message(), Vec::new());
    decode_operations(message.operations, &mut operations).expect("encoded here");
    Input::Pay(PayInput {
        state: signed.state,
        signature: *message.signature,
        operations,
    })
}
