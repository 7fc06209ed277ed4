//! Which identities have channels, for the reactor's thread: some places are kept for them.

use std::sync::Arc;

use hashbrown::HashSet;
use parking_lot::RwLock;
use tidegate_types::KeyBytes;

/// Identities that are the client or the delegate of a channel. The sequencer adds, the reactor asks.
///
/// Eight bytes of each key are kept, a million keys in 16 MiB. Who makes keys until one begins like that of a client has
/// won a place to connect, and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<RwLock<HashSet<u64>>>);

impl Known {
    pub(crate) fn add(&self, identities: impl Iterator<Item = KeyBytes>) {
        let mut known = self.0.write();
        known.extend(identities.map(|identity| short(&identity)));
    }

    pub(crate) fn contains(&self, identity: &KeyBytes) -> bool {
        self.0.read().contains(&short(identity))
    }
}

fn short(identity: &KeyBytes) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *identity.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
