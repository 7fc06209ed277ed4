//! Receipts that a client holds.
//!
//! ```text
//! channel 32 | counter 8 | digest 32 | previous 32 | proof 1 | batch 8 | header digest 32      145 bytes, one after another
//! ```
//!
//! A record is written and synced before the client goes on, so what the file holds is what the client could show a court.
//! `proof` is 1 for a leaf that came with its receipt, 0 for one that was fetched later by its place in the chain.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use tidegate_channel::SignedHeader;
use tidegate_client::{FileStore, Leaf, Opened, StoreError, WalletStore, store::Record};
use tidegate_types::{ChannelId, Digest, Fixed, fixed_struct};
use tidegate_wire::messages::{Body as _, Receipt, SyncLeaf};
use tidegate_wire::{Item as _, Reader};

/// One leaf that a client believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The channel.
    pub channel: ChannelId,
    /// The counter `h`.
    pub counter: u64,
    /// The leaf's digest.
    pub digest: Digest,
    /// Digest of the leaf before.
    pub previous: Digest,
    /// 1 with a receipt, else 0.
    pub proof: u8,
    /// The receipt's batch; 0 without one.
    pub batch: u64,
    /// Digest of that batch's header; zero without one.
    pub header: Digest,
}
fixed_struct!(Held {
    channel: ChannelId,
    counter: u64,
    digest: Digest,
    previous: Digest,
    proof: u8,
    batch: u64,
    header: Digest,
});

impl Held {
    /// True if the hub has signed for this very leaf.
    #[must_use]
    pub const fn is_receipt(&self) -> bool {
        self.proof == 1
    }

    /// What is known of a leaf alone.
    #[must_use]
    pub fn of_leaf(leaf: &Leaf) -> Self {
        Self {
            channel: leaf.private.channel,
            counter: leaf.private.counter.get(),
            digest: leaf.reference().digest,
            previous: leaf.public.previous,
            proof: 0,
            batch: 0,
            header: Digest::ZERO,
        }
    }

    fn of_record(record: &Record) -> Option<Self> {
        const OWN: &str = "the wallet has read these bytes itself";
        match record {
            Record::Receipt(body) => {
                let receipt = Receipt::decode(body).expect(OWN);
                let entry = receipt.entries.iter().next().expect("a record holds one leaf");
                let leaf = Self::of_leaf(&Leaf::decode(&entry).expect(OWN));
                let header = SignedHeader::decode(receipt.header).expect(OWN).header;
                Some(Self {
                    proof: 1,
                    batch: header.number.get(),
                    header: header.digest(),
                    ..leaf
                })
            }
            Record::SyncedLeaf(body) => {
                let leaf = SyncLeaf::read_item(&mut Reader::new(body)).expect(OWN);
                Some(Self::of_leaf(&Leaf::decode_synced(&leaf).expect(OWN)))
            }
            _ => None,
        }
    }
}

/// Every leaf in a client's file, in the order in which they came.
///
/// # Panics
/// If the file holds half a record: this process is never killed, so nothing may be torn.
#[must_use]
pub fn read(path: &Path) -> Vec<Held> {
    let mut bytes = Vec::new();
    let opened = File::open(path);
    if let Ok(mut file) = opened {
        file.read_to_end(&mut bytes).expect("a readable file");
    }
    assert!(
        bytes.len().is_multiple_of(Held::LEN),
        "{} holds whole records",
        path.display()
    );
    bytes
        .chunks_exact(Held::LEN)
        .map(|record| Held::decode(record).expect("written here"))
        .collect()
}

/// A wallet's store that notes every leaf, durably, before the wallet goes on.
#[derive(Debug)]
pub struct NotingStore {
    wallet: FileStore,
    held: File,
}

impl NotingStore {
    /// Notes into the file at `held` what `wallet` takes.
    ///
    /// # Panics
    /// If the file cannot be opened.
    #[must_use]
    pub fn new(wallet: FileStore, held: &Path) -> Self {
        let held = OpenOptions::new()
            .create(true)
            .append(true)
            .open(held)
            .expect("a writable folder");
        Self { wallet, held }
    }
}

impl WalletStore for NotingStore {
    fn channels(&self) -> Result<Vec<ChannelId>, StoreError> {
        self.wallet.channels()
    }

    fn create(&mut self, opened: &Opened) -> Result<(), StoreError> {
        self.wallet.create(opened)
    }

    fn load(&mut self, channel: &ChannelId) -> Result<Vec<Record>, StoreError> {
        self.wallet.load(channel)
    }

    fn append(&mut self, channel: &ChannelId, record: &Record) -> Result<(), StoreError> {
        self.wallet.append(channel, record)?;
        if let Some(held) = Held::of_record(record) {
            self.held.write_all(&held.to_vec()).expect("the disk has room");
            self.held.sync_data().expect("the disk works");
        }
        Ok(())
    }
}
