//! Proofs that payees hold what payers have not settled (rule 26): what the hub claims an ack lock by, once a close has made an
//! output of it.
//!
//! ```text
//! DIR/proofs/<lock>   acknowledged leaf: h 8, digest 32 | ack's signature 64 | the way to the credit, see `AckProof` | CRC-32C of these u32
//! ```
//!
//! The way from an ack to a credit leads over leaves that the hub's state forgets, and the lock itself is gone from there once its
//! close is settled; so it is kept here from the beginning of the close on. A start forgets what has no output, unless a close
//! stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_batch::PaymentProof;
use tidegate_channel::LeafRef;
use tidegate_channel::codec::Canonical as _;
use tidegate_channel::evidence::{AckProof, EntryPath, LeafLink};
use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_types::{Fixed as _, LockId, Reader, SignatureBytes};

/// The folder in a data directory.
const FOLDER: &str = "proofs";

/// An acknowledged leaf, and the way from it to the leaf that credited a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) leaf: LeafRef,
    pub(crate) signature: SignatureBytes,
    pub(crate) way: AckProof,
}

impl Proof {
    /// As the ledger takes it: the acknowledged leaf first.
    pub(crate) fn of(proof: &PaymentProof) -> Self {
        let link = |link: &tidegate_batch::ProofLink| LeafLink {
            private: link.private,
            public: link.public,
        };
        Self {
            leaf: proof.ack.leaf,
            signature: proof.signature,
            way: AckProof {
                links: proof.links.iter().rev().map(link).collect(),
                entry: EntryPath {
                    index: proof.index,
                    count: proof.count,
                    salt: proof.salt,
                    path: proof.path.clone(),
                },
            },
        }
    }
}

/// The proofs of a data directory.
#[derive(Debug)]
pub(crate) struct Proofs {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    held: BTreeMap<LockId, Proof>,
}

impl Proofs {
    /// Reads what is held in `dir`, and forgets what is not `needed` any more. A file that cannot be read is no proof.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, needed: impl Fn(&LockId) -> bool) -> Result<Self, DiskError> {
        let folder = dir.join(FOLDER);
        let mut held = BTreeMap::new();
        let names = if disk.exists(&folder)? {
            disk.list(&folder)?
        } else {
            Vec::new()
        };
        for name in names {
            let path = folder.join(&name);
            let lock = name.parse().ok().filter(&needed);
            match lock.map(|lock| (lock, read(&*disk, &path))) {
                Some((lock, Ok(Some(proof)))) => drop(held.insert(lock, proof)),
                Some((lock, Ok(None))) => tracing::error!(%lock, "a proof is damaged"),
                Some((_, Err(error))) => return Err(error),
                None => disk.remove(&path)?,
            }
        }
        Ok(Self { disk, folder, held })
    }

    pub(crate) fn get(&self, lock: &LockId) -> Option<&Proof> {
        self.held.get(lock)
    }

    /// Keeps a proof; durable on return.
    pub(crate) fn keep(&mut self, lock: LockId, proof: Proof) -> Result<(), DiskError> {
        self.disk.create_dir_all(&self.folder)?;
        let (path, new) = (
            self.folder.join(lock.to_string()),
            self.folder.join(format!("{lock}.new")),
        );
        if self.disk.exists(&new)? {
            self.disk.remove(&new)?;
        }
        let file = self.disk.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, &encode(&proof))?;
        file.sync_data()?;
        self.disk.rename(&new, &path)?;
        self.disk.sync_dir(&self.folder)?;
        self.held.insert(lock, proof);
        Ok(())
    }
}

fn encode(proof: &Proof) -> Vec<u8> {
    let mut bytes = proof.leaf.to_vec();
    proof.signature.append_to(&mut bytes);
    proof.way.encode(&mut bytes);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Proof> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(content).to_le_bytes() != *crc {
        return None;
    }
    let mut r = Reader::new(content);
    let (leaf, signature) = (LeafRef::read(&mut r).ok()?, SignatureBytes::read(&mut r).ok()?);
    let way = AckProof::read(&mut r).ok()?;
    r.finish().ok()?;
    Some(Proof { leaf, signature, way })
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Proof>, DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    let Ok(len) = usize::try_from(file.len()?) else {
        return Ok(None);
    };
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(decode(&bytes))
}

#[cfg(test)]
mod tests {
    use tidegate_channel::opening_leaf;
    use tidegate_disk::FaultyDisk;
    use tidegate_types::{ChannelId, Digest, HubCounter};

    use super::*;

    fn proof(n: u8) -> Proof {
        let (private, public) = opening_leaf(ChannelId::from_bytes([n; 32]));
        Proof {
            leaf: LeafRef {
                counter: HubCounter::new(n.into()),
                digest: Digest::from_bytes([n; 32]),
            },
            signature: SignatureBytes::from_bytes([n; 64]),
            way: AckProof {
                links: vec![LeafLink {
                    private: private.digest(),
                    public,
                }],
                entry: EntryPath {
                    index: 0,
                    count: 1,
                    salt: [n; 16],
                    path: Vec::new(),
                },
            },
        }
    }

    fn open(disk: &FaultyDisk, needed: impl Fn(&LockId) -> bool) -> Proofs {
        let handle: Arc<dyn Disk> = Arc::new(disk.clone());
        Proofs::open(handle, Path::new("/hub"), needed).expect("the disk works")
    }

    #[test]
    fn what_is_needed_is_found_again_and_the_rest_is_forgotten() {
        let (disk, lock) = (FaultyDisk::new(), |n| LockId::from_bytes([n; 32]));
        let mut proofs = open(&disk, |_| true);
        for n in [1, 2] {
            proofs.keep(lock(n), proof(n)).expect("room");
        }
        drop(proofs);
        // The power is lost: what was kept is durable.
        let disk = disk.crash(1);
        let proofs = open(&disk, |found| *found == lock(2));
        assert_eq!((proofs.get(&lock(1)), proofs.get(&lock(2))), (None, Some(&proof(2))));
        drop(proofs);
        assert_eq!(open(&disk, |_| true).get(&lock(1)), None, "its file is gone");
    }

    #[test]
    fn a_damaged_file_is_no_proof() {
        let disk = FaultyDisk::new();
        let lock = LockId::from_bytes([1; 32]);
        open(&disk, |_| true).keep(lock, proof(1)).expect("room");
        let path = Path::new("/hub").join(FOLDER).join(lock.to_string());
        for offset in 0..disk.bytes(&path).expect("the file is there").len() as u64 {
            disk.flip(&path, offset, 1).expect("the byte is there");
            assert_eq!(open(&disk, |_| true).get(&lock), None, "byte {offset}");
            disk.flip(&path, offset, 1).expect("the byte is there");
        }
        assert!(open(&disk, |_| true).get(&lock).is_some());
    }
}
