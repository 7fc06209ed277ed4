//! The hub under attack, and whom it must go on serving.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidegate_channel::wallet::{ClientHalf, LockStatus, SettleOn};
use tidegate_channel::{
    ClientState, Condition, LeafRef, Lock, Operation, encode_operations, opening_leaf, opening_state,
};
use tidegate_client::{Client, FileStore, Payment};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_test_crash::load::key;
use tidegate_types::{Amount, Fixed, Height, HubCounter, LockSlot, PaymentId, SignatureBytes};
use tidegate_wire::lengths::STATE_LEN;
use tidegate_wire::messages::{Pay, ToClient};

use crate::memory::status_bytes;
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
        Self::with(seed, &[], None)
    }

    /// As [`Target::new`], with values for the hub's configuration and a limit of open files. What it takes of memory can be measured:
    /// it comes in pages of 4 KiB. (In huge pages each thread takes 2 MiB for the first of its blocks of each kind.)
    #[must_use]
    pub fn with(seed: u64, settings: &[&str], descriptors: Option<u32>) -> Self {
        let limit = descriptors.map_or_else(String::new, |count| format!("ulimit -n {count}; "));
        let line = format!("{limit}exec env MIMALLOC_ALLOW_THP=0 \"$0\" \"$@\"");
        Self::below(&["sh", "-c", &line], CLIENTS, seed, settings)
    }

    /// As [`Target::new`], with so many clients instead of two honest ones and a hostile one, and with values for the hub's
    /// configuration.
    #[must_use]
    pub fn of(clients: usize, seed: u64, settings: &[&str]) -> Self {
        Self::below(&[], clients, seed, settings)
    }

    fn below(outer: &[&str], clients: usize, seed: u64, settings: &[&str]) -> Self {
        let site = Site::format(clients, seed, BLOCK_MS);
        let words: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let hub = site.start_with(outer, &words);
        Self { site, hub }
    }

    /// What the system says of the hub's process now.
    ///
    /// # Panics
    /// If the process is gone.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(self.hub.pid())
    }

    /// One number of the operator's `/metrics`.
    ///
    /// # Panics
    /// If the endpoint does not answer, or has no such number.
    #[must_use]
    pub fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.hub.admin).expect("the endpoint listens");
        write!(stream, "GET /metrics HTTP/1.1\r\n\r\n").expect("the endpoint reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the endpoint answers");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no number {name} in {text}"))
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
        self.connect(self.secret(HOSTILE))
    }

    /// The session of somebody whom the hub has never seen, another one for each number of a family, which has not greeted.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn unknown_peer(&self, family: u8, number: u64) -> Peer {
        let mut seed = [family; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        self.connect(SecretKey::from_seed(seed))
    }

    fn connect(&self, identity: SecretKey) -> Peer {
        let address = &self.hub.address;
        Peer::connect(address, config(address, self.site.ledger, identity)).expect("the hub takes anyone")
    }

    /// The hostile client's session, which has greeted; for that it stays away as long as the hub wants it to.
    ///
    /// # Panics
    /// If the hub does not greet back.
    #[must_use]
    pub fn peer(&self) -> Peer {
        loop {
            let mut peer = self.silent_peer();
            let got = peer.greet();
            match got.message() {
                ToClient::Hello(_) => return peer,
                ToClient::Busy(busy) => thread::sleep(Duration::from_millis(busy.retry_after_ms.into())),
                _ => panic!("{got:?}"),
            }
        }
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
    #[must_use]
    pub fn first_state(&self, client: usize) -> SignedState {
        self.state_of(client, &[])
    }

    /// A client's first state, which pays another client.
    ///
    /// # Panics
    /// Never: the amounts are small.
    #[must_use]
    pub fn paying_state(&self, client: usize, payee: usize) -> SignedState {
        let lock = Lock {
            payment_id: PaymentId::from_bytes([5; 16]),
            amount: Amount::from_sat(7).expect("small"),
            // What the hub asks for: 1 sat, and the rounded up share of the amount. With less it refuses the payment, but takes the
            // state.
            fee: Amount::from_sat(2).expect("small"),
            payee: key(&self.site, payee),
            payee_channel: self.site.channels[payee],
            expiry: Height::new(1_000),
            condition: Condition::Ack,
        };
        let slot = LockSlot::new(0).expect("the first");
        self.state_of(client, &[Operation::Add { slot, lock }])
    }

    fn state_of(&self, client: usize, operations: &[Operation]) -> SignedState {
        let channel = self.site.channels[client];
        let (private, public) = opening_leaf(channel);
        let leaf = tidegate_channel::leaf_digest(&private.digest(), &public.digest());
        let ack = LeafRef {
            counter: HubCounter::ZERO,
            digest: leaf,
        };
        let state: ClientState = ClientHalf::new(opening_state(channel))
            .propose(operations, ack)
            .expect("the first state");
        let mut encoded = Vec::new();
        encode_operations(operations, &mut encoded);
        let mut bytes = [0; STATE_LEN];
        state.encode_into(&mut bytes);
        SignedState {
            state: bytes,
            signature: state.sign(&self.site.ledger, &self.secret(client)),
            operations: encoded,
        }
    }

    /// The signature of another key over a state.
    ///
    /// # Panics
    /// Never: the state is one.
    #[must_use]
    pub fn signed_by(&self, state: &SignedState, key: &SecretKey) -> SignatureBytes {
        let state = ClientState::decode(&state.state).expect("a state");
        state.sign(&self.site.ledger, key)
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

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory in bytes, with what is mapped of files: the program itself, tables, the log.
    pub rss_bytes: u64,
    /// Resident memory in bytes that the process has allocated: what a peer can make it take.
    pub anonymous_bytes: u64,
    /// Processor time since it began.
    pub cpu: Duration,
}

impl Usage {
    fn of(pid: u32) -> Self {
        // Behind the name in brackets, which may hold anything, user and system time are the 12th and 13th fields.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
        let behind = stat.rsplit_once(')').expect("a name in brackets").1;
        let fields = behind.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().expect("a number")).sum();
        // A tick is a hundredth of a second on every Linux that this runs on (USER_HZ).
        Self {
            rss_bytes: status_bytes(pid, "VmRSS:"),
            anonymous_bytes: status_bytes(pid, "RssAnon:"),
            cpu: Duration::from_millis(ticks * 10),
        }
    }
}

/// How long a hub waits for a stranger to prove who it is.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
