//! A tower as its process is: packages on a disk, the ledger's final blocks, answers, restarts.

use std::path::Path;
use std::sync::Arc;

use tidegate_disk::{Disk, FaultyDisk};
use tidegate_ledger::Transaction;
use tidegate_tower::store::Store;
use tidegate_tower::{Happened, Limits, Package, Tower};
use tidegate_types::{ChannelId, ClientCounter, Height, HubCounter, LedgerId};

use super::ledger::Ledger;

const FOLDER: &str = "/tower";

/// A tower and its disk.
#[derive(Debug)]
pub struct Watch {
    ledger: LedgerId,
    disk: FaultyDisk,
    tower: Tower,
    store: Option<Store>,
    /// Up to where it has read, and where it begins after a restart.
    read: Height,
    cursor: Height,
}

impl Watch {
    /// A tower for channels on this ledger.
    #[must_use]
    pub fn new(ledger: LedgerId) -> Self {
        let mut watch = Self {
            ledger,
            disk: FaultyDisk::new(),
            tower: Tower::new(ledger, Limits::default()),
            store: None,
            read: Height::ZERO,
            cursor: Height::ZERO,
        };
        watch.open();
        watch
    }

    fn open(&mut self) {
        self.tower = Tower::new(self.ledger, Limits::default());
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let tower = &mut self.tower;
        let store = Store::open(disk, Path::new(FOLDER), |package| tower.keep(package));
        self.store = Some(store.expect("a disk that works"));
        self.read = self.cursor;
    }

    /// Ends without a word and comes back from its disk.
    pub fn restart(&mut self) {
        // It held the folder.
        self.store = None;
        self.open();
    }

    /// Takes a package as its owner brings it.
    ///
    /// # Panics
    /// If it would not stand.
    pub fn take(&mut self, mut package: Package) {
        self.tower.complete(&mut package);
        let is_new = self.tower.consider(&package.owner(), &package);
        if is_new.expect("an honest client's package") {
            let store = self.store.as_ref().expect("it is open");
            store.put(&package).expect("a disk that works");
            self.tower.keep(package);
        }
    }

    /// What it keeps of a channel.
    #[must_use]
    pub fn counters(&self, channel: &ChannelId) -> (ClientCounter, HubCounter) {
        self.tower.counters(channel).unwrap_or_default()
    }

    /// Takes the ledger's final blocks in, and says what is to be brought.
    ///
    /// # Panics
    /// If its disk fails.
    pub fn answers(&mut self, ledger: &Ledger) -> Vec<Transaction> {
        for block in ledger.final_above(self.read) {
            for (channel, what) in self.tower.on_block(block) {
                if what == Happened::Ended {
                    let store = self.store.as_ref().expect("it is open");
                    store.remove(&channel).expect("a disk that works");
                }
            }
            self.read = block.header.height;
        }
        // After a restart every block behind the cursor is read again: it stays below each close that is watched.
        if self.tower.oldest_close().is_none() {
            self.cursor = self.read;
        }
        let answers = self.tower.answers(self.read).into_iter();
        answers.map(|(_, transaction)| transaction).collect()
    }
}
