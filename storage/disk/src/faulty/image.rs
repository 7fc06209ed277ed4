//! One file of the faulty disk: what is seen and what the medium holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::Coin;
use crate::SECTOR_BYTES;

/// Copies share their bytes until one of them is changed: a test takes many copies of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    seen: Arc<Vec<u8>>,
    medium: Arc<Vec<u8>>,
    /// Numbers of the sectors that were written since the last sync.
    unsynced: BTreeSet<usize>,
}

impl Image {
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        let seen = Arc::make_mut(&mut self.seen);
        if seen.len() < end {
            seen.resize(end, 0);
        }
        seen[at..end].copy_from_slice(bytes);
        self.unsynced.extend(at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    /// Writes a prefix, as a call that dies on its way does.
    pub(super) fn write_some(&mut self, at: usize, bytes: &[u8], seed: u64) {
        let done = usize::try_from(Coin::new(seed).next() % (bytes.len() as u64 + 1)).expect("at most the length");
        self.write(at, &bytes[..done]);
    }

    pub(super) fn set_len(&mut self, bytes: usize) {
        let kept = self.seen.len().min(bytes);
        Arc::make_mut(&mut self.seen).resize(bytes, 0);
        // The cut sector's tail is zeros from now on, and so is whatever grows there later.
        self.unsynced
            .extend(kept / SECTOR_BYTES..self.seen.len().div_ceil(SECTOR_BYTES));
    }

    pub(super) fn sync(&mut self) {
        self.keep_length();
        for sector in std::mem::take(&mut self.unsynced) {
            self.keep_sector(sector);
        }
    }

    fn keep_length(&mut self) {
        if self.medium.len() != self.seen.len() {
            Arc::make_mut(&mut self.medium).resize(self.seen.len(), 0);
        }
    }

    /// Copies what fits the length of the medium's image.
    fn keep_sector(&mut self, sector: usize) {
        let from = sector * SECTOR_BYTES;
        let end = (from + SECTOR_BYTES).min(self.seen.len()).min(self.medium.len());
        if from < end {
            Arc::make_mut(&mut self.medium)[from..end].copy_from_slice(&self.seen[from..end]);
        }
    }

    /// A failed sync: some sectors arrive, and the kernel believes that all did.
    pub(super) fn sync_some_forget_all(&mut self, seed: u64) {
        let mut coin = Coin::new(seed);
        for sector in std::mem::take(&mut self.unsynced) {
            if coin.heads() {
                self.keep_sector(sector);
            }
        }
    }

    pub(super) fn flip(&mut self, at: usize, mask: u8) -> bool {
        let Some(byte) = Arc::make_mut(&mut self.seen).get_mut(at) else {
            return false;
        };
        *byte ^= mask;
        if let Some(byte) = Arc::make_mut(&mut self.medium).get_mut(at) {
            *byte ^= mask;
        }
        true
    }

    /// The file after a power loss: nothing of it is unsynced any more.
    pub(super) fn after_power_loss(&self, coin: &mut Coin) -> Self {
        let mut left = self.clone();
        if coin.survives() {
            left.keep_length();
        }
        for sector in std::mem::take(&mut left.unsynced) {
            if coin.survives() {
                left.keep_sector(sector);
            }
        }
        left.seen = Arc::clone(&left.medium);
        left
    }
}
