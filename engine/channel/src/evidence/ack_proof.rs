//! From a payee's ack to the leaf that credited a lock (rule 12): public parts only, nothing of the payee's totals.

use tidegate_crypto::merkle;
use tidegate_types::{DecodeError, Digest, Fixed, LockId, Reader, fixed_struct};

use super::lock_evidence::EntryPath;
use crate::codec::{Canonical, read_count, read_fixed_list, write_count};
use crate::{LeafPublic, leaf_digest};

/// One leaf of the chain, with its private part hidden behind a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafLink {
    /// Digest of the private part.
    pub private: Digest,
    /// The public part.
    pub public: LeafPublic,
}
fixed_struct!(LeafLink {
    private: Digest,
    public: LeafPublic
});

/// The way from an acknowledged leaf back to the one that credited a lock.
///
/// ```text
/// link count 2 | links 128 each, the acknowledged leaf first | entry path, see `EntryPath`
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckProof {
    /// The leaves, newest first; the last one credited the lock. 1 to [`AckProof::LINKS_MAX`].
    pub links: Vec<LeafLink>,
    /// The lock's place under the last leaf's credited root.
    pub entry: EntryPath,
}

/// Why a proof does not show that an acknowledged leaf credited a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckProofError {
    /// A link does not lead to the next.
    #[error("link {index} of the proof does not follow from the one before")]
    BrokenChain {
        /// Which.
        index: usize,
    },
    /// The last leaf does not credit the lock.
    #[error("the last leaf of the proof does not credit the lock")]
    NotCredited,
    /// The proof has no leaf.
    #[error("the proof has no leaf")]
    Empty,
}

impl AckProof {
    /// A payee acknowledges at least every 64 leaves (rule 12).
    pub const LINKS_MAX: usize = 64;

    /// Checks that the leaf `acked`, or one before it, credited `lock`.
    ///
    /// # Errors
    /// [`AckProofError`].
    pub fn check(&self, acked: &Digest, lock: &LockId) -> Result<(), AckProofError> {
        let mut expected = *acked;
        for (index, link) in self.links.iter().enumerate() {
            if leaf_digest(&link.private, &link.public.digest()) != expected {
                return Err(AckProofError::BrokenChain { index });
            }
            expected = link.public.previous;
        }
        let last = self.links.last().ok_or(AckProofError::Empty)?;
        if self.entry.leads(merkle::LIST, lock, &last.public.credited_root) {
            Ok(())
        } else {
            Err(AckProofError::NotCredited)
        }
    }
}

impl Canonical for AckProof {
    const LEN_MIN: usize = 2 + LeafLink::LEN + EntryPath::LEN_MIN;

    fn encode(&self, out: &mut Vec<u8>) {
        write_count(self.links.len(), out);
        self.links.iter().for_each(|link| link.append_to(out));
        self.entry.encode(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = read_count(r, 1, Self::LINKS_MAX, "link count")?;
        Ok(Self {
            links: read_fixed_list(r, count)?,
            entry: EntryPath::read(r)?,
        })
    }
}
