//! Who carries which channel, and the keys that channels' signatures are checked with.

use hashbrown::HashMap;
use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::{KeyHandle, Verifier};
use tidegate_reactor::ConnId;
use tidegate_types::KeyBytes;

use crate::state::HubEngine;

/// Routing and keys, by the engine's channel numbers.
pub(crate) struct Sessions {
    keys: Vec<KeyHandle>,
    /// The session that carries a channel now.
    routes: Vec<Option<ConnId>>,
    /// The channels that an identity may carry: as its client, or as its delegate.
    carried: HashMap<KeyBytes, Vec<u32>>,
    identities: HashMap<ConnId, KeyBytes>,
}

impl Sessions {
    pub(crate) fn new(engine: &HubEngine, verifier: &Verifier) -> Self {
        let mut sessions = Self {
            keys: Vec::new(),
            routes: Vec::new(),
            carried: HashMap::new(),
            identities: HashMap::new(),
        };
        sessions.extend(engine, verifier);
        sessions
    }

    /// Takes over the channels that the engine has opened since.
    pub(crate) fn extend(&mut self, engine: &HubEngine, verifier: &Verifier) {
        for slot in u32::try_from(self.keys.len()).expect("channels are numbered in 32 bits")..engine.opened().channels
        {
            let (client, delegate, _) = engine.parties(slot);
            let key = PublicKey::from_registered(client).expect("the ledger has checked every key of a channel");
            self.keys.push(verifier.register(&key));
            self.routes.push(None);
            self.carried.entry(client).or_default().push(slot);
            if !delegate.is_zero() && delegate != client {
                self.carried.entry(delegate).or_default().push(slot);
            }
            // A session that is there already carries its new channel from now on.
            let live = self
                .identities
                .iter()
                .find(|(_, identity)| **identity == client || **identity == delegate);
            self.routes[slot as usize] = live.map(|(conn, _)| *conn);
        }
    }

    /// A session has said who it is; it carries its channels from now on. Returns how many.
    pub(crate) fn add(&mut self, conn: ConnId, identity: KeyBytes) -> u32 {
        self.identities.insert(conn, identity);
        let slots = self.carried.get(&identity).map_or(&[][..], Vec::as_slice);
        for &slot in slots {
            self.routes[slot as usize] = Some(conn);
        }
        u32::try_from(slots.len()).expect("channels are numbered in 32 bits")
    }

    pub(crate) fn remove(&mut self, conn: ConnId) {
        let Some(identity) = self.identities.remove(&conn) else {
            return;
        };
        let other = self
            .identities
            .iter()
            .find(|(_, known)| **known == identity)
            .map(|(conn, _)| *conn);
        for &slot in self.carried.get(&identity).map_or(&[][..], Vec::as_slice) {
            if self.routes[slot as usize] == Some(conn) {
                // Another session of the same identity takes its place, if there is one.
                self.routes[slot as usize] = other;
            }
        }
    }

    /// True if the session's identity is the channel's client, not a delegate.
    pub(crate) fn is_client(&self, conn: ConnId, slot: u32, engine: &HubEngine) -> bool {
        self.identities.get(&conn) == Some(&engine.parties(slot).0)
    }

    /// True if the session may speak for the channel; then it is the one that carries it.
    pub(crate) fn may_carry(&mut self, conn: ConnId, slot: u32, engine: &HubEngine) -> bool {
        if self.routes[slot as usize] == Some(conn) {
            return true;
        }
        let Some(identity) = self.identities.get(&conn) else {
            return false;
        };
        let (client, delegate, _) = engine.parties(slot);
        let may = *identity == client || *identity == delegate;
        if may {
            self.routes[slot as usize] = Some(conn);
        }
        may
    }

    pub(crate) fn route(&self, slot: u32) -> Option<ConnId> {
        self.routes[slot as usize]
    }

    pub(crate) fn key(&self, slot: u32) -> KeyHandle {
        self.keys[slot as usize]
    }
}
