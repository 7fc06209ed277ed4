//! What refunds one open lock in a dispute: the word of the side that gave it up (rule 25).
//!
//! A lock that the client owes falls by a leaf of this channel's hub that failed it; one that the hub owes falls by the
//! client's own release. Neither side can take a lock from the other by its own word alone.

use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::merkle::{self, TreeKind};
use tidegate_crypto::verify::Verdict;
use tidegate_types::{ChannelId, DecodeError, Digest, Fixed, LedgerId, LockId, Reader, SignatureBytes};

use super::proven::{read_path, write_path};
use super::{ProvenLeaf, Side, SignedState};
use crate::codec::{Canonical, read_count, write_count};
use crate::leaf::lock_entry;
use crate::{HeaderError, MAX_ENCODED, Operation, Release, decode_operations, operations_digest};

/// The place of a lock under a leaf's credited or failed root: index 4 | count 4 | salt 16 | path length 1 | path 32 each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPath {
    /// The entry's index in the list.
    pub index: u32,
    /// How many entries the list has.
    pub count: u32,
    /// The salt of the entry.
    pub salt: [u8; 16],
    /// The path to the root.
    pub path: Vec<Digest>,
}

impl EntryPath {
    pub(super) fn leads(&self, kind: TreeKind, lock: &LockId, root: &Digest) -> bool {
        let entry = lock_entry(lock, &self.salt);
        !root.is_zero() && merkle::verify_path(kind, &entry, self.index, self.count, &self.path, root)
    }
}

impl Canonical for EntryPath {
    const LEN_MIN: usize = 4 + 4 + 16 + 1;

    fn encode(&self, out: &mut Vec<u8>) {
        self.index.append_to(out);
        self.count.append_to(out);
        self.salt.append_to(out);
        write_path(&self.path, out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: u32::read(r)?,
            count: u32::read(r)?,
            salt: r.array()?,
            path: read_path(r)?,
        })
    }
}

/// Evidence that one lock was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockEvidence {
    /// A leaf of the channel failed it: kind 1 | leaf | entry path.
    Failed {
        /// The leaf.
        leaf: Box<ProvenLeaf>,
        /// The lock's place under its failed root.
        entry: EntryPath,
    },
    /// The payee's `Release`: kind 2 | signature 64.
    Released(SignatureBytes),
    /// A client state that releases it: kind 3 | state 224 | length 2 | operations.
    ReleasedByState {
        /// The state.
        signed: Box<SignedState>,
        /// Its operations, encoded.
        operations: Vec<u8>,
    },
}

/// Why evidence does not refund a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockEvidenceError {
    /// A lock of the client falls by the hub's word, a lock of the hub by the client's.
    #[error("evidence of this kind does not refund a lock of this side")]
    WrongSide,
    /// It is of another channel.
    #[error("the evidence belongs to another channel")]
    OtherChannel,
    /// The leaf does not fail the lock.
    #[error("the leaf does not fail the lock")]
    NotFailed,
    /// The operations are not those of the state, or do not release the lock.
    #[error("the state does not release the lock")]
    NotReleased,
    /// The leaf is not proved.
    #[error("the leaf is not proved: {0}")]
    Leaf(#[from] HeaderError),
    /// The client did not sign it.
    #[error("the client's signature is not valid")]
    ClientSignature,
}

impl LockEvidence {
    /// Checks all but signatures: that this gives up `lock`, which `side` of `channel` owes.
    ///
    /// # Errors
    /// [`LockEvidenceError`].
    pub fn check_content(&self, channel: &ChannelId, side: Side, lock: &LockId) -> Result<(), LockEvidenceError> {
        match (self, side) {
            (Self::Failed { leaf, entry }, Side::Client) => {
                if leaf.private.channel != *channel {
                    return Err(LockEvidenceError::OtherChannel);
                }
                if !entry.leads(merkle::LIST, lock, &leaf.public.failed_root) {
                    return Err(LockEvidenceError::NotFailed);
                }
                Ok(leaf.check_path()?)
            }
            (Self::Released(_), Side::Hub) => Ok(()),
            (Self::ReleasedByState { signed, operations }, Side::Hub) => {
                if signed.state.channel != *channel {
                    return Err(LockEvidenceError::OtherChannel);
                }
                let mut list = Vec::new();
                let known = operations.len() <= MAX_ENCODED
                    && operations_digest(operations) == signed.state.operations
                    && decode_operations(operations, &mut list).is_ok();
                let releases = |o: &Operation| matches!(o, Operation::Release { lock: released } if released == lock);
                if known && list.iter().any(releases) {
                    Ok(())
                } else {
                    Err(LockEvidenceError::NotReleased)
                }
            }
            (Self::Failed { .. }, Side::Hub) | (Self::Released(_) | Self::ReleasedByState { .. }, Side::Client) => {
                Err(LockEvidenceError::WrongSide)
            }
        }
    }

    /// Checks the signatures.
    ///
    /// # Errors
    /// [`LockEvidenceError::Leaf`], [`LockEvidenceError::ClientSignature`].
    pub fn check_signatures(
        &self,
        ledger: &LedgerId,
        channel: &ChannelId,
        lock: &LockId,
        client: &PublicKey,
        hub: &PublicKey,
    ) -> Result<(), LockEvidenceError> {
        let verdict = match self {
            Self::Failed { leaf, .. } => return Ok(leaf.check_signature(ledger, hub)?),
            Self::Released(signature) => {
                let release = Release {
                    channel: *channel,
                    lock: *lock,
                };
                release.verify(ledger, client, signature)
            }
            Self::ReleasedByState { signed, .. } => signed.verify(ledger, client),
        };
        match verdict {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(LockEvidenceError::ClientSignature),
        }
    }
}

impl Canonical for LockEvidence {
    const LEN_MIN: usize = 1 + SignatureBytes::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Failed { leaf, entry } => {
                out.push(1);
                leaf.encode(out);
                entry.encode(out);
            }
            Self::Released(signature) => {
                out.push(2);
                signature.append_to(out);
            }
            Self::ReleasedByState { signed, operations } => {
                out.push(3);
                signed.append_to(out);
                write_count(operations.len(), out);
                out.extend_from_slice(operations);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            1 => Ok(Self::Failed {
                leaf: Box::new(ProvenLeaf::read(r)?),
                entry: EntryPath::read(r)?,
            }),
            2 => Ok(Self::Released(SignatureBytes::read(r)?)),
            3 => {
                let signed = Box::new(SignedState::read(r)?);
                let len = read_count(r, 1, MAX_ENCODED, "operations length")?;
                Ok(Self::ReleasedByState {
                    signed,
                    operations: r.bytes(len)?.to_vec(),
                })
            }
            other => Err(DecodeError::UnknownValue {
                field: "lock evidence",
                value: other.into(),
            }),
        }
    }
}
