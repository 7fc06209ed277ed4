//! The hub under attack, and whom it must go on serving.

use std::sync::Arc;
use std::time::Duration;

use tidegate_channel::wallet::{ClientHalf, LockStatus, SettleOn};
use tidegate_channel::{ClientState, LeafRef, Operation, encode_operations, opening_leaf, opening_state};
use tidegate_client::{Client, FileStore, Payment};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_test_crash::load::key;
use tidegate_types::{Amount, Fixed, HubCounter, SignatureBytes};
use tidegate_wire::lengths::STATE_LEN;
use tidegate_wire::messages::Pay;

use crate::peer::{Peer, config};

/// The two honest clients, then the hostile one.
const CLIENTS: usize = 3;
/// The number of the hostile client.
pub const HOSTILE: usize = 2;
/// No block comes while a test runs, so the state changes only by what clients do.
const BLOCK_MS: u32 = 600_000;

/// A hub and its clients.
#[derive(Debug)]
pub struct Target {
    /// Its directory.
    pub site: Site,
    /// Its process.
    pub hub: Hub,
}

impl Target {
    /// A new hub; its keys follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let site = Site::format(CLIENTS, seed, BLOCK_MS);
        let hub = site.start();
        Self { site, hub }
    }

    /// The key of a client.
    #[must_use]
    pub fn secret(&self, client: usize) -> SecretKey {
        SecretKey::from_seed(*self.site.seeds[client])
    }

    /// The hostile client's session, which has not greeted.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn silent_peer(&self) -> Peer {
        let address = &self.hub.address;
        Peer::connect(address, config(address, self.site.ledger, self.secret(HOSTILE))).expect("the hub takes anyone")
    }

    /// The hostile client's session, which has greeted.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.silent_peer().greeted()
    }

    /// The root of the hub's state, from its operator's endpoint.
    ///
    /// # Panics
    /// If the endpoint does not answer.
    #[must_use]
    pub fn root(&self) -> String {
        let value = self
            .site
            .run(&["inspect", "root", "--admin", &self.hub.admin, "--json"]);
        value["state_root"].as_str().expect("a root").to_owned()
    }

    /// An honest client connects, pays another, and gets its receipt.
    ///
    /// # Panics
    /// If it does not; `after` says what was done to the hub before.
    #[track_caller]
    pub fn assert_serves(&mut self, after: &str) {
        assert!(self.hub.is_running(), "after {after}: the hub has ended");
        let (own, other) = (self.site.channels[0], self.site.channels[1]);
        let store = FileStore::open(Arc::new(RealDisk), &self.site.path("wallet")).expect("a wallet");
        let connected = Client::connect(
            &self.site.options(&self.hub),
            &self.site.seeds[0],
            store,
            SettleOn::Delivered,
        );
        let mut client = connected.unwrap_or_else(|error| panic!("after {after}: {error}"));
        client
            .sync(&own)
            .unwrap_or_else(|error| panic!("after {after}: {error}"));
        let amount = Amount::from_sat(3).expect("small");
        let payment = Payment {
            payee: key(&self.site, 1),
            payee_channel: other,
            amount,
            fee: None,
            payment_id: None,
            hash: None,
        };
        let paid = client
            .pay(&own, &[payment])
            .unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert_eq!(paid[0].status, LockStatus::Delivered, "after {after}");
        client
            .settle(&own)
            .unwrap_or_else(|error| panic!("after {after}: {error}"));
    }

    /// A client's first state: it adds nothing, and is well made in every respect.
    ///
    /// # Panics
    /// Never: the first state of a channel can be proposed.
    #[must_use]
    pub fn first_state(&self, client: usize) -> SignedState {
        let channel = self.site.channels[client];
        let (private, public) = opening_leaf(channel);
        let leaf = tidegate_channel::leaf_digest(&private.digest(), &public.digest());
        let ack = LeafRef {
            counter: HubCounter::ZERO,
            digest: leaf,
        };
        let operations: [Operation; 0] = [];
        let state: ClientState = ClientHalf::new(opening_state(channel))
            .propose(&operations, ack)
            .expect("the first state");
        let mut encoded = Vec::new();
        encode_operations(&operations, &mut encoded);
        let mut bytes = [0; STATE_LEN];
        state.encode_into(&mut bytes);
        SignedState {
            state: bytes,
            signature: state.sign(&self.site.ledger, &self.secret(client)),
            operations: encoded,
        }
    }
}

/// A state with its client's signature.
#[derive(Clone, Debug)]
pub struct SignedState {
    state: [u8; STATE_LEN],
    /// May be changed.
    pub signature: SignatureBytes,
    operations: Vec<u8>,
}

impl SignedState {
    /// The message that brings it.
    #[must_use]
    pub fn message(&self) -> Pay<'_> {
        Pay {
            state: &self.state,
            signature: &self.signature,
            operations: &self.operations,
        }
    }
}

/// How long a hub waits for a stranger to prove who it is.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
