//! What a path must be able to do. The paths differ in what they keep of a key and how they judge, never in the verdict.

use tidegate_types::SignatureBytes;

use crate::keys::PublicKey;

/// One path.
pub(super) trait Engine: Sized + Send + Sync {
    /// What is kept of every key.
    type Key: Copy + Send + Sync;
    /// The table of a key that is used much.
    type Hot: Send + Sync;
    /// The table of a key that is used now and then.
    type Warm: Send + Sync;
    /// The most items that one task judges: many share one inversion, few let the cores finish together and hold the lock
    /// for about a millisecond at most.
    const CHUNK_MAX: usize;

    /// What is to be kept of a key.
    fn key(&self, key: &PublicKey) -> Self::Key;
    /// The bytes of a kept key.
    fn bytes(key: &Self::Key) -> &[u8; 32];
    /// Tables for some keys, in their order.
    fn hot_tables(&self, keys: &[Self::Key]) -> Vec<Box<Self::Hot>>;
    /// Tables for some keys, in their order.
    fn warm_tables(&self, keys: &[Self::Key]) -> Vec<Box<Self::Warm>>;
    /// Sets `valid[i]` to whether job i is valid by rule 4.
    fn judge(&self, jobs: &[Job<'_, Self>], valid: &mut [bool]);
    /// What runs, for reports.
    fn name(&self) -> &'static str;
}

/// The best that is kept for a key beside the key itself.
pub(super) enum Table<'a, E: Engine> {
    Hot(&'a E::Hot),
    Warm(&'a E::Warm),
    None,
}

/// One signature to judge.
pub(super) struct Job<'a, E: Engine> {
    pub(super) key: &'a E::Key,
    pub(super) table: Table<'a, E>,
    pub(super) message: &'a [u8],
    pub(super) signature: &'a SignatureBytes,
}
