//! The path of every processor: ed25519-dalek with its key kept decompressed. It chooses its own vector code.

use ed25519_dalek::VerifyingKey;

use super::backend::dalek_name;
use super::engine::{Engine, Job};
use super::single::verdict;
use crate::keys::PublicKey;

/// Nothing is kept beside the keys.
pub(super) enum Never {}

/// Dalek.
pub(super) struct Portable;

impl Engine for Portable {
    type Key = VerifyingKey;
    type Hot = Never;
    type Warm = Never;

    fn key(&self, key: &PublicKey) -> VerifyingKey {
        *key.verifying_key()
    }

    fn bytes(key: &VerifyingKey) -> &[u8; 32] {
        key.as_bytes()
    }

    fn hot_tables(&self, _: &[VerifyingKey]) -> Vec<Box<Never>> {
        Vec::new()
    }

    fn warm_tables(&self, _: &[VerifyingKey]) -> Vec<Box<Never>> {
        Vec::new()
    }

    fn judge(&self, jobs: &[Job<'_, Self>], valid: &mut [bool]) {
        for (job, valid) in jobs.iter().zip(valid) {
            *valid = verdict(job.key, job.message, job.signature);
        }
    }

    fn name(&self) -> &'static str {
        dalek_name()
    }
}
