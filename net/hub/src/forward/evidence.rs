//! What this hub can show of its channel with a next hub when that is closed on the ledger: the evidence of a client.

use core::fmt;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_channel::evidence::Pair;
use tidegate_client::key_file::Seed;
use tidegate_client::{Channels, FileStore, HeaderCache, Signer, StepError};
use tidegate_crypto::keys::{KeyError, PublicKey, SecretKey};
use tidegate_disk::{Disk, RealDisk};
use tidegate_tower::{Package, PackageError};
use tidegate_types::{ChannelId, Height, KeyBytes, LedgerId};

use super::kept::folder;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EvidenceError {
    /// The journal cannot be read.
    #[error("the journal of the channel: {0}")]
    Step(#[from] StepError),
    /// The next hub's key is none.
    #[error("the next hub's key is not valid: {0}")]
    Key(#[from] KeyError),
    /// The wallet has nothing to show.
    #[error(transparent)]
    Wallet(#[from] tidegate_client::channel::EvidenceError),
    /// What it has would not stand.
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// Where the journals of outgoing channels are, and who signs there.
#[derive(Clone)]
pub(crate) struct Journals {
    pub(crate) data: PathBuf,
    pub(crate) ledger: LedgerId,
    pub(crate) seed: Seed,
    pub(crate) own: KeyBytes,
}

impl fmt::Debug for Journals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the seed.
        f.debug_struct("Journals")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Journals {
    /// The best evidence of a channel with a next hub, from the journal as it is now: whoever pays by it may hold it, and goes on.
    /// `None` if there is no journal of it, or nothing but the opening to show.
    ///
    /// The newest leaf is acknowledged here as the worker would, by the same bytes, so nothing of it has to be written.
    pub(crate) fn package(
        &self,
        (channel, hub): (ChannelId, KeyBytes),
        height: Height,
    ) -> Result<Option<Package>, EvidenceError> {
        let folder = folder(&self.data, &hub, &self.own);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        if !disk.exists(&folder).map_err(StoreFailure::from)? {
            return Ok(None);
        }
        let store = FileStore::look(&*disk, &folder).map_err(StepError::from)?;
        let signer = Signer {
            ledger: self.ledger,
            key: SecretKey::from_seed(*self.seed),
        };
        let headers = Arc::new(HeaderCache::new(self.ledger, PublicKey::register(hub)?));
        let mut channels = Channels::open(signer, headers, store)?;
        if channels.get(&channel).is_none() {
            return Ok(None);
        }
        let _late = channels.ack(&channel, height)?;
        let (Some(own), signer) = (channels.get(&channel), channels.signer()) else {
            return Ok(None);
        };
        let pair = own.pair(signer)?;
        if pair == Pair::default() {
            return Ok(None);
        }
        let package = Package::of_client(own, signer, pair);
        package.check(&self.ledger)?;
        Ok(Some(package))
    }
}

type StoreFailure = tidegate_client::StoreError;

impl From<StoreFailure> for EvidenceError {
    fn from(error: StoreFailure) -> Self {
        Self::Step(error.into())
    }
}

/// Channels with next hubs whose closes stand, or have stood, on the ledger: nothing more is sent there.
#[derive(Debug, Default)]
pub(crate) struct Disputed(Mutex<BTreeSet<ChannelId>>);

impl Disputed {
    pub(crate) fn insert(&self, channel: ChannelId) {
        // A set is whole whoever has panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel);
    }

    pub(crate) fn contains(&self, channel: &ChannelId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(channel)
    }
}
