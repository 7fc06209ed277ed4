//! Who carries which channel, and the keys that channels' signatures are checked with.

use std::sync::Arc;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};
use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::{KeyHandle, Verifier};
use tidegate_reactor::ConnId;
use tidegate_types::{Height, KeyBytes};

use crate::pipeline::known::Known;
use crate::state::HubEngine;

/// Channels that may be lent to one session.
const LENT_MAX: usize = 1 << 16;

/// The session that carries a channel, if one does: eight bytes, of which there may be tens of millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route(u64);

impl Route {
    /// No connection has this number: a reactor has no such slot.
    const NONE: Self = Self(u64::MAX);

    fn to(conn: Option<ConnId>) -> Self {
        conn.map_or(Self::NONE, |conn| Self(conn.as_u64()))
    }

    fn get(self) -> Option<ConnId> {
        (self != Self::NONE).then(|| ConnId::from_u64(self.0))
    }
}

/// Routing and keys, by the engine's channel numbers.
pub(crate) struct Sessions {
    keys: Vec<KeyHandle>,
    /// The session that carries a channel now.
    routes: Vec<Route>,
    /// The channels that an identity may carry: as its client, or as its delegate.
    carried: HashMap<KeyBytes, Vec<u32>>,
    identities: HashMap<ConnId, KeyBytes>,
    /// The sessions of an identity, the newest last. Looked up, never searched: whoever comes and goes without end must cost
    /// no more for the ten thousand others who are there.
    live: HashMap<KeyBytes, Vec<ConnId>>,
    /// Channels that clients have lent to sessions of other keys, and until when.
    lent: HashMap<ConnId, HashMap<u32, Height>>,
    known: Known,
    /// Sessions that take shared paths. Handed to the log's thread with every batch, copied only when one comes or goes.
    sharing: Arc<HashSet<ConnId>>,
}

impl Sessions {
    pub(crate) fn new(engine: &HubEngine, verifier: &Verifier, known: Known) -> Self {
        let mut sessions = Self {
            keys: Vec::new(),
            routes: Vec::new(),
            carried: HashMap::new(),
            identities: HashMap::new(),
            live: HashMap::new(),
            lent: HashMap::new(),
            known,
            sharing: Arc::default(),
        };
        sessions.extend(engine, verifier);
        sessions
    }

    /// Takes over the channels that the engine has opened since.
    pub(crate) fn extend(&mut self, engine: &HubEngine, verifier: &Verifier) {
        let new = u32::try_from(self.keys.len()).expect("channels are numbered in 32 bits")..engine.opened().channels;
        if new.is_empty() {
            return;
        }
        let parties = new.clone().flat_map(|slot| {
            let (client, delegate, _) = engine.parties(slot);
            [client, delegate]
        });
        let first = self.keys.is_empty();
        // Room for all of them at once: what doubles as it grows holds twice as much for a while, and a half too much for good.
        self.keys.reserve(new.len());
        self.routes.reserve(new.len());
        self.known.add(parties.filter(|identity| !identity.is_zero()));
        for slot in new {
            let (client, delegate, _) = engine.parties(slot);
            self.keys.push(handle(verifier, client));
            self.routes.push(Route::NONE);
            self.carried.entry(client).or_default().push(slot);
            if !delegate.is_zero() && delegate != client {
                self.carried.entry(delegate).or_default().push(slot);
            }
            // A session that is there already carries its new channel from now on, the client's own before a delegate's.
            self.routes[slot as usize] = Route::to(self.carrier(client, delegate));
        }
        if first {
            // Most channels were here from the start, and come in runs of one client's.
            self.carried.values_mut().for_each(Vec::shrink_to_fit);
        }
    }

    /// Who carries a channel that is free: the newest session of its client, else of its delegate.
    fn carrier(&self, client: KeyBytes, delegate: KeyBytes) -> Option<ConnId> {
        let newest = |identity| self.live.get(&identity)?.last().copied();
        newest(client).or_else(|| newest(delegate))
    }

    /// A session has said who it is; it carries its channels from now on. A delegate takes over no channel that its
    /// client's own session carries. Returns how many channels it may speak for.
    pub(crate) fn add(&mut self, conn: ConnId, identity: KeyBytes, engine: &HubEngine) -> u32 {
        self.identities.insert(conn, identity);
        self.live.entry(identity).or_default().push(conn);
        let slots = self.carried.get(&identity).map_or(&[][..], Vec::as_slice);
        for &slot in slots {
            take_over(
                &mut self.routes[slot as usize],
                &self.identities,
                conn,
                engine.parties(slot).0,
            );
        }
        u32::try_from(slots.len()).expect("channels are numbered in 32 bits")
    }

    /// The receipts of this session may share the upper parts of their paths.
    pub(crate) fn share_paths(&mut self, conn: ConnId) {
        Arc::make_mut(&mut self.sharing).insert(conn);
    }

    pub(crate) fn sharing(&self) -> Arc<HashSet<ConnId>> {
        Arc::clone(&self.sharing)
    }

    /// Lets a session carry channels that a client lends to it, up to and with a height. It takes over none that its client's
    /// own session carries. Returns how many they are; `None` if it would be more than one session may be lent.
    pub(crate) fn attach(&mut self, conn: ConnId, slots: &[u32], expiry: Height, engine: &HubEngine) -> Option<u32> {
        let lent = self.lent.entry(conn).or_default();
        if lent.len() + slots.len() > LENT_MAX {
            return None;
        }
        for &slot in slots {
            lent.insert(slot, expiry);
            take_over(
                &mut self.routes[slot as usize],
                &self.identities,
                conn,
                engine.parties(slot).0,
            );
        }
        Some(u32::try_from(slots.len()).expect("channels are numbered in 32 bits"))
    }

    /// Takes back what was lent up to a height below this one.
    pub(crate) fn expire(&mut self, height: Height, engine: &HubEngine) {
        let mut over = Vec::new();
        for (conn, lent) in &mut self.lent {
            over.extend(
                lent.extract_if(|_, expiry| *expiry < height)
                    .map(|(slot, _)| (*conn, slot)),
            );
        }
        self.reroute(over, engine);
    }

    pub(crate) fn remove(&mut self, conn: ConnId, engine: &HubEngine) {
        let Some(identity) = self.identities.remove(&conn) else {
            return;
        };
        if self.sharing.contains(&conn) {
            Arc::make_mut(&mut self.sharing).remove(&conn);
        }
        if let Entry::Occupied(mut live) = self.live.entry(identity) {
            live.get_mut().retain(|other| *other != conn);
            if live.get().is_empty() {
                live.remove();
            }
        }
        let own = self.carried.get(&identity).into_iter().flatten().copied();
        let lent = self.lent.remove(&conn).unwrap_or_default();
        let carried: Vec<(ConnId, u32)> = own.chain(lent.into_keys()).map(|slot| (conn, slot)).collect();
        self.reroute(carried, engine);
    }

    /// Gives channels that these sessions carried to others that may carry them: one of the client's own, else a delegate's.
    fn reroute(&mut self, carried: Vec<(ConnId, u32)>, engine: &HubEngine) {
        for (conn, slot) in carried {
            if self.route(slot) == Some(conn) {
                let (client, delegate, _) = engine.parties(slot);
                self.routes[slot as usize] = Route::to(self.carrier(client, delegate));
            }
        }
    }

    /// True if the session's identity is the channel's client, not a delegate.
    pub(crate) fn is_client(&self, conn: ConnId, slot: u32, engine: &HubEngine) -> bool {
        self.identities.get(&conn) == Some(&engine.parties(slot).0)
    }

    /// True if the session may speak for the channel; then it is the one that carries it, unless it is a delegate's and the
    /// client's own session is there: that one hears of what comes of it.
    pub(crate) fn may_carry(&mut self, conn: ConnId, slot: u32, engine: &HubEngine) -> bool {
        if self.route(slot) == Some(conn) {
            return true;
        }
        let Some(identity) = self.identities.get(&conn) else {
            return false;
        };
        let (client, delegate, _) = engine.parties(slot);
        let lent = || self.lent.get(&conn).is_some_and(|lent| lent.contains_key(&slot));
        let may = *identity == client || *identity == delegate || lent();
        if may {
            take_over(&mut self.routes[slot as usize], &self.identities, conn, client);
        }
        may
    }

    pub(crate) fn route(&self, slot: u32) -> Option<ConnId> {
        self.routes[slot as usize].get()
    }

    pub(crate) fn key(&self, slot: u32) -> KeyHandle {
        self.keys[slot as usize]
    }
}

/// The handle of a channel's key. A client may have thousands of channels: its key is decompressed for the first of them.
fn handle(verifier: &Verifier, client: KeyBytes) -> KeyHandle {
    let register = || {
        let key = PublicKey::from_registered(client).expect("the ledger has checked every key of a channel");
        verifier.register(&key)
    };
    verifier.known(&client).unwrap_or_else(register)
}

/// Has `conn` carry a channel of `client`, unless it is another's session and one of the client's own carries the channel.
fn take_over(route: &mut Route, identities: &HashMap<ConnId, KeyBytes>, conn: ConnId, client: KeyBytes) {
    let is_clients = |conn: &ConnId| identities.get(conn) == Some(&client);
    if is_clients(&conn) || !route.get().is_some_and(|carrier| is_clients(&carrier)) {
        *route = Route::to(Some(conn));
    }
}
