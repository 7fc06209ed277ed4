//! A hub whose heights a test makes itself, and clients that sign what no wallet would.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_channel::evidence::{Opener, Pair, SignedStart, StartClose};
use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{
    Ack, ChannelTerms, ClientState, LeafPrivate, LeafRef, Operation, RefuseReason, encode_operations,
};
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{
    Channels, Client, ClientChannel, Connection, FileStore, HeaderCache, Incoming, MemoryStore, Opened, Signer,
};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_hub::keys::HubKeys;
use tidegate_hub::pipeline::Serving;
use tidegate_ledger::{Action, Output, Transaction, TransactionBody, Witness};
use tidegate_settle::Node;
use tidegate_types::{BatchNumber, ChannelId, ClientCounter, Fixed as _, HubCounter, LedgerId};
use tidegate_wire::lengths::{ACK_LEN, STATE_LEN};
use tidegate_wire::messages::{self as wire, Body};
use tidegate_wire::{ErrorCode, ToClient};

use crate::rig::closes::{self, PATIENCE, at_rest, close_of, coins};
use crate::rig::{Hub, Shape, get, sat, settings, stop};

/// What everybody has in the genesis.
pub(crate) const FUNDS: u64 = 5_000_000;
/// What opening a channel costs its client.
pub(crate) const OPENING: u64 = 2_000;
/// What closing one in peace does.
pub(crate) const CLOSING: u64 = 500;
/// What the steps of a dispute cost together is below this.
const FEES: u64 = 5_000;
/// Δ and δ together, in blocks.
pub(crate) const DISPUTE: u32 = 20 + 6;

/// A hub, its clients, and somebody whose coin goes round in a circle: no block comes but with a transaction, so heights are what
/// a test makes them.
pub(crate) struct World {
    pub(crate) hub: Hub,
    seeds: Vec<Seed>,
    serving: Option<Serving>,
    clock: Option<Client<FileStore>>,
}

impl World {
    pub(crate) fn new(clients: usize) -> Self {
        Self::of(clients, None)
    }

    /// As [`World::new`]; the hub has a stake that could be spent so many blocks after its notice.
    pub(crate) fn of(clients: usize, unbonding: Option<u32>) -> Self {
        let seeds: Vec<Seed> = (0..=clients).map(|_| random_seed().expect("random")).collect();
        let shape = Shape {
            block_interval_ms: 600_000,
            dispute_window: 20,
            unbonding,
            ..Shape::default()
        };
        let hub = Hub::format_as(&seeds.iter().collect::<Vec<_>>(), shape);
        let serving = Some(hub.start());
        Self {
            hub,
            seeds,
            serving,
            clock: None,
        }
    }

    pub(crate) fn serving(&self) -> &Serving {
        self.serving.as_ref().expect("it serves")
    }

    pub(crate) fn client(&self, client: usize) -> Client<FileStore> {
        self.hub.connect(self.serving(), &self.seeds[client])
    }

    pub(crate) fn signer(&self, client: usize) -> Signer {
        closes::signer(&self.hub, &self.seeds[client])
    }

    /// The operator's own key.
    pub(crate) fn hub_key(&self) -> SecretKey {
        let keys = HubKeys::load(&RealDisk, self.hub.dir.path()).expect("formatted");
        keys.identity()
    }

    /// A session that sends anything.
    pub(crate) fn raw(&self, client: usize) -> Connection {
        self.raw_as(self, client)
    }

    /// A session at this hub of another world's client.
    pub(crate) fn raw_as(&self, other: &Self, client: usize) -> Connection {
        let key = SecretKey::from_seed(*other.seeds[client]);
        Connection::connect(&self.hub.options(self.serving()), key).expect("the hub answers")
    }

    /// A wallet apart that knows a channel's newest leaf as the hub tells it, and has not said so.
    pub(crate) fn silent(&self, client: usize, channel: ChannelId) -> Channels<MemoryStore> {
        let sync = wire::Sync {
            channel,
            state: ClientCounter::ZERO,
            leaf: HubCounter::ZERO,
        };
        let incoming = self.raw(client).request(&sync).expect("an answer");
        let Ok(ToClient::SyncAnswer(answer)) = incoming.message() else {
            panic!("{incoming:?}")
        };
        let headers = Arc::new(HeaderCache::new(self.hub.ledger, self.hub.public()));
        let mut channels =
            Channels::open(self.signer(client), headers, MemoryStore::default()).expect("an empty wallet");
        let opened = Opened {
            channel,
            funding: answer.funding,
            terms: ChannelTerms::decode(answer.terms).expect("terms"),
            margin: settings().policy.margin,
            settle_on: SettleOn::PayeeAck,
        };
        channels.adopt(opened).expect("its own");
        channels.restore(&answer).expect("it can be believed");
        channels
    }

    /// Ends the hub. Nobody may be connected.
    pub(crate) fn stop(&mut self) {
        self.clock = None;
        stop(self.serving.take().expect("it serves"));
    }

    /// Starts it again.
    pub(crate) fn start(&mut self) {
        self.serving = Some(self.hub.start());
    }

    /// Ends the hub and starts it again. Nobody may be connected.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Ends the hub as a failure would: what it goes on from is what lay on its disk while it served.
    pub(crate) fn kill(&mut self) {
        let mut left = self.hub.twin();
        self.stop();
        std::mem::swap(&mut self.hub.dir, &mut left.dir);
        self.start();
    }

    /// The newest block's height.
    pub(crate) fn height(&mut self) -> u32 {
        let number = self.seeds.len() - 1;
        let clock = match self.clock.take() {
            Some(clock) => clock,
            None => self.client(number),
        };
        let clock = self.clock.insert(clock);
        clock.funds().expect("the ledger answers");
        clock.height().get()
    }

    /// One block more.
    pub(crate) fn tick(&mut self) {
        let (before, signer) = (self.height(), self.signer(self.seeds.len() - 1));
        let clock = self.clock.as_mut().expect("it has told the height");
        let coin = clock.funds().expect("the ledger answers")[0];
        let left = coin.amount.sub(sat(CLOSING)).expect("a large coin");
        let body = TransactionBody::plain(vec![coin.outpoint], vec![Output::to_key(left, clock.key())]);
        let witnesses = vec![Witness::Key(body.sign(&signer.ledger, &signer.key))];
        clock
            .submit(&Transaction { body, witnesses })
            .expect("the ledger takes it");
        patiently(|| self.height() > before);
    }

    /// Blocks up to this height, which the hub's batches have seen too.
    #[track_caller]
    pub(crate) fn until(&mut self, height: u32) {
        while self.height() < height {
            self.tick();
        }
        assert_eq!(self.height(), height, "the height is not past already");
        self.wait_for_batches();
    }

    /// Waits until the hub's batches have come to the newest block.
    pub(crate) fn wait_for_batches(&mut self) {
        let height = self.height();
        patiently(|| {
            let status: serde_json::Value = serde_json::from_str(&get(self.serving(), "/status").1).expect("JSON");
            status["height"].as_u64().expect("a height") >= u64::from(height)
        });
    }

    /// Blocks until the ledger has paid both sides of a channel.
    pub(crate) fn until_settled(&mut self, client: &mut Client<FileStore>, channel: ChannelId) {
        let last = self.height() + DISPUTE + 3;
        while close_of(client, channel).is_some() {
            assert!(self.height() <= last, "it is settled in time");
            self.tick();
        }
    }

    /// Ends all of it: every channel has ended, and value is conserved.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Node {
        self.stop();
        let (node, channels) = at_rest(&self.hub);
        assert!(channels.iter().all(|(_, status)| *status == "SETTLED"), "{channels:?}");
        node
    }

    /// As [`World::ends`], and the hub has exactly this more or less than it began with.
    #[track_caller]
    pub(crate) fn ends_with(mut self, gain: i64) -> Node {
        let node = self.ends();
        let has = i64::try_from(coins(&node, self.hub.public().bytes())).expect("small");
        assert_eq!(has - 10_000_000, gain, "what the hub has more than it began with");
        node
    }
}

/// Looks again and again, without waiting long.
#[track_caller]
pub(crate) fn patiently(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What somebody has on the ledger.
pub(crate) fn funds(client: &mut Client<FileStore>) -> u64 {
    let key = client.key();
    closes::funds_of(client, key)
}

/// The highest expiry of the open locks of a channel.
pub(crate) fn last_expiry(client: &Client<FileStore>, channel: &ChannelId) -> u32 {
    let channel = closes::own(client, channel);
    let open = channel.wallet().client().locks().iter();
    open.map(|open| open.lock.expiry.get()).max().expect("locks are open")
}

/// Closes a channel in peace.
#[track_caller]
pub(crate) fn close(client: &mut Client<FileStore>, channel: &ChannelId) {
    client.sync(channel).expect("in date");
    client.close(channel, sat(CLOSING), PATIENCE).expect("closed");
}

/// Only fees of a dispute are missing.
#[track_caller]
pub(crate) fn assert_paid(paid: u64, due: u64) {
    assert!(paid <= due && paid + FEES > due, "{paid} of {due}");
}

/// How the hub answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// By a leaf.
    Leaf(Box<LeafPrivate>),
    /// By the funding transaction of a channel, its own part signed.
    Funding(Vec<u8>),
    /// It does not take the state.
    Refused(RefuseReason),
    /// It does not do it.
    Error(ErrorCode, String),
}

impl Answer {
    #[track_caller]
    pub(crate) fn leaf(self) -> LeafPrivate {
        match self {
            Self::Leaf(leaf) => *leaf,
            other => panic!("{other:?}"),
        }
    }
}

/// The leaf by which a receipt answers a request.
fn answered(incoming: &Incoming, request: u64) -> Option<LeafPrivate> {
    let Ok(ToClient::Receipt(receipt)) = incoming.message() else {
        return None;
    };
    let mut entries = receipt.entries.iter();
    let entry = entries.find(|entry| entry.answers.iter().any(|answer| answer.request == request))?;
    Some(LeafPrivate::decode(entry.private).expect("a leaf"))
}

/// Sends anything, and waits for the answer.
pub(crate) fn ask<'a>(connection: &mut Connection, body: &impl Body<'a>) -> Answer {
    let request = connection.send(body).expect("sent");
    let is_answer = |incoming: &Incoming| incoming.header.request == request || answered(incoming, request).is_some();
    let incoming = connection.wait_for(PATIENCE, is_answer).expect("an answer");
    match incoming.message().expect("a message") {
        ToClient::Receipt(_) => Answer::Leaf(Box::new(answered(&incoming, request).expect("it was looked for"))),
        ToClient::OpenAccept(accept) => Answer::Funding(accept.transaction.to_vec()),
        ToClient::PayAnswer(answer) => Answer::Refused(RefuseReason::from_code(answer.refusal).expect("known")),
        ToClient::Error(error) => Answer::Error(error.code, error.text.to_owned()),
        other => panic!("{other:?}"),
    }
}

/// Signs a state, whatever it says, and brings it.
pub(crate) fn bring(
    connection: &mut Connection,
    signer: &Signer,
    state: &ClientState,
    operations: &[Operation],
) -> Answer {
    let (mut bytes, mut encoded) = ([0; STATE_LEN], Vec::new());
    state.encode_into(&mut bytes);
    encode_operations(operations, &mut encoded);
    let pay = wire::Pay {
        state: &bytes,
        signature: &state.sign(&signer.ledger, &signer.key),
        operations: &encoded,
    };
    ask(connection, &pay)
}

/// The state after a channel's newest, whether its balance covers it or not.
pub(crate) fn next_state(channel: &ClientChannel, operations: &[Operation], ack: LeafRef) -> ClientState {
    let mut half = channel.wallet().client().clone();
    half.propose(operations, ack).expect("slots and sums fit")
}

/// Signs an ack of any leaf and sends it; it is refused, or makes something firm.
pub(crate) fn ack(connection: &mut Connection, signer: &Signer, ack: Ack) -> Answer {
    let mut bytes = [0; ACK_LEN];
    ack.encode_into(&mut bytes);
    let message = wire::Ack {
        ack: &bytes,
        signature: &ack.sign(&signer.ledger, &signer.key),
    };
    ask(connection, &message)
}

/// A start of a close by the hub's operator, with any pair.
pub(crate) fn start_by_hub(channel: &ClientChannel, key: &SecretKey, ledger: &LedgerId, pair: Pair) -> Transaction {
    let (client, hub) = pair.counters();
    let start = StartClose {
        channel: channel.id(),
        opener: Opener::Hub,
        has_evidence: pair != Pair::default(),
        batch: BatchNumber::new(1_000_000),
        client,
        hub,
    };
    let action = Action::StartClose {
        start: SignedStart {
            start,
            signature: start.sign(ledger, key),
        },
        pair: start.has_evidence.then(|| Box::new(pair)),
    };
    of_channel(channel, action)
}

/// A transaction whose fee is a side's of the channel.
pub(crate) fn of_channel(channel: &ClientChannel, action: Action) -> Transaction {
    Transaction {
        body: TransactionBody::of_action(vec![channel.opened().funding], Vec::new(), action),
        witnesses: vec![Witness::Action],
    }
}
