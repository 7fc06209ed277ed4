//! The journals of outgoing channels, read before any next hub is reached: which locks were sent where.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_client::{Channels, FileStore, HeaderCache, Signer, StepError};
use tidegate_crypto::keys::PublicKey;
use tidegate_disk::Disk;
use tidegate_types::{ChannelId, KeyBytes, LedgerId, PaymentId};

use super::Route;
use crate::files::routes_dir;
use crate::keys::HubKeys;

/// A next hub without a route, to which payments are under way.
#[derive(Debug, thiserror::Error)]
#[error(
    "{open} payments are under way to the hub {hub}, and no route leads there any more; keep the route until they have ended"
)]
pub struct OrphanRoute {
    /// The next hub.
    pub hub: KeyBytes,
    /// How many locks are open there.
    pub open: usize,
}

/// Why the journals cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The folder cannot be read.
    #[error("the folder of the routes cannot be read: {0}")]
    Folder(#[from] io::Error),
    /// A journal cannot be read.
    #[error("a journal of a route: {0}")]
    Step(#[from] StepError),
    /// A route that leads back.
    #[error("a route leads to this hub itself")]
    OwnHub,
    /// A route is missing.
    #[error(transparent)]
    Orphan(#[from] OrphanRoute),
}

/// By the payment id of an outgoing lock: the route that it went.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<PaymentId, usize>);

impl Kept {
    /// Reads every journal below the data directory.
    pub(crate) fn read(
        disk: &Arc<dyn Disk>,
        data: &Path,
        (ledger, keys): (LedgerId, &HubKeys),
        routes: &[Route],
    ) -> Result<Self, KeptError> {
        if routes.iter().any(|route| route.to.identity.bytes() == keys.public()) {
            return Err(KeptError::OwnHub);
        }
        let mut kept = Self::default();
        for hub in next_hubs(data)? {
            let Ok(key) = PublicKey::register(hub) else { continue };
            let store =
                FileStore::open(Arc::clone(disk), &folder(data, &hub, &keys.public())).map_err(StepError::from)?;
            let signer = Signer {
                ledger,
                key: keys.identity(),
            };
            let channels = Channels::open(signer, Arc::new(HeaderCache::new(ledger, key)), store)?;
            let living = channels.iter().filter(|channel| channel.closed().is_none());
            let locks = living.flat_map(|channel| channel.wallet().client().locks());
            let open: Vec<PaymentId> = locks.map(|open| open.lock.payment_id).collect();
            match routes.iter().position(|route| route.to.identity.bytes() == hub) {
                Some(route) => kept.0.extend(open.into_iter().map(|id| (id, route))),
                None if open.is_empty() => {}
                None => {
                    let open = open.len();
                    return Err(OrphanRoute { hub, open }.into());
                }
            }
        }
        Ok(kept)
    }

    /// The route that the lock of this payment id was sent before the start, if it is still open there.
    pub(crate) fn route(&self, id: &PaymentId) -> Option<usize> {
        self.0.get(id).copied()
    }
}

/// The hubs with which there is a wallet: each has a folder, which a disk's list of files leaves out.
fn next_hubs(data: &Path) -> io::Result<Vec<KeyBytes>> {
    keys_in(&routes_dir(data))
}

/// The folders in a folder that have the name of a key.
fn keys_in(folder: &Path) -> io::Result<Vec<KeyBytes>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<io::Result<_>>()?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// A journal of a channel with a next hub, up to its last whole record.
#[derive(Debug)]
pub(crate) struct JournalCopy {
    /// The next hub.
    pub(crate) hub: KeyBytes,
    /// Whose wallet it is.
    pub(crate) own: KeyBytes,
    /// The channel.
    pub(crate) channel: ChannelId,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Every journal below the data directory as it is now, whoever holds it.
pub(crate) fn copies(disk: &dyn Disk, data: &Path) -> Result<Vec<JournalCopy>, KeptError> {
    let mut copies = Vec::new();
    for hub in next_hubs(data)? {
        for own in keys_in(&routes_dir(data).join(hub.to_string()))? {
            let found = FileStore::copy(disk, &folder(data, &hub, &own)).map_err(StepError::from)?;
            copies.extend(found.into_iter().map(|(channel, bytes)| JournalCopy {
                hub,
                own,
                channel,
                bytes,
            }));
        }
    }
    copies.sort_by_key(|copy| (copy.hub, copy.own, copy.channel));
    Ok(copies)
}

/// The wallet with one next hub.
pub(crate) fn folder(data: &Path, hub: &KeyBytes, own: &KeyBytes) -> PathBuf {
    routes_dir(data).join(hub.to_string()).join(own.to_string())
}
