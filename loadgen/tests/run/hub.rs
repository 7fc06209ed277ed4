//! A hub of a few lines over the real sessions, which answers honestly or cheats as it is told: the real one never does.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{io::Read as _, io::Write as _};

use tidegate_channel::{
    Ack, BatchHeader, ClientState, Credit, LeafPrivate, LeafPublic, Lock, OpKind, OpOutcome, Operation, Outcome,
    RefuseReason, StateRef, credited_root, decode_operations, failed_root, leaf_digest, opening_leaf, outcomes_root,
};
use tidegate_client::HubAddress;
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::merkle::{RECEIPTS, Tree};
use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor, Sender};
use tidegate_session::{Limits, NoiseSecret, ServerConfig};
use tidegate_types::{
    Age, Amount, BatchNumber, ChannelId, ClientCounter, Digest, Fixed, Height, HubCounter, KeyBytes, LedgerId,
    LockSlot, UnixMillis,
};
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Answer, Body as _, HelloAnswer, Pay, PayAnswer, ReceiptEntry, ReceiptWriter, ToHub};

pub(crate) const MARGIN: Age = Age::new(6);

/// What the hub does beside the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cheat {
    None,
    /// Tells the payer that payment 20 was delivered, and the payee nothing.
    ForgetsCredit,
    /// Credits one satoshi too much in payment 20, with all roots right.
    CreditsTooMuch,
    /// Signs with another key from payment 20 on.
    OtherKey,
    /// Leaves out a link of the chain at payment 20.
    BreaksChain,
    /// Refuses payment 20.
    Refuses,
    /// Fails payment 20.
    Fails,
    /// Closes the connection at payment 20.
    Leaves,
    /// Never answers payment 20, nor any later one.
    Silent,
}

pub(crate) fn identity() -> SecretKey {
    SecretKey::from_seed([0x77; 32])
}

fn noise() -> NoiseSecret {
    NoiseSecret::from_bytes([0x66; 32])
}

struct Channel {
    conn: Option<ConnId>,
    delegate: KeyBytes,
    leaf: LeafPrivate,
    digest: Digest,
    /// Leaf, expiry, amount.
    unfirm: Vec<(u64, Height, Amount)>,
}

#[derive(Default)]
struct Touch {
    credits: Vec<Credit>,
    outcomes: Vec<Outcome>,
    answers: Vec<Answer>,
    firm: bool,
}

struct Hub {
    ledger: LedgerId,
    cheat: Cheat,
    channels: BTreeMap<ChannelId, Channel>,
    touched: BTreeMap<ChannelId, Touch>,
    batch: u64,
    payments: u64,
}

/// A running hub.
pub(crate) struct Running {
    pub(crate) address: HubAddress,
    pub(crate) admin: SocketAddr,
    sender: Sender,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.sender.stop(100);
        self.thread
            .take()
            .expect("joined once")
            .join()
            .expect("the hub does not panic");
    }
}

/// Starts a hub for channels with these delegates.
pub(crate) fn start(ledger: LedgerId, channels: &[(ChannelId, KeyBytes)], cheat: Cheat) -> Running {
    let channels = channels.iter().map(|&(id, delegate)| {
        let (leaf, public) = opening_leaf(id);
        let digest = leaf_digest(&leaf.digest(), &public.digest());
        (
            id,
            Channel {
                conn: None,
                delegate,
                leaf,
                digest,
                unfirm: Vec::new(),
            },
        )
    });
    let mut hub = Hub {
        ledger,
        cheat,
        channels: channels.collect(),
        touched: BTreeMap::new(),
        batch: 0,
        payments: 0,
    };
    let mut reactor = Reactor::new(Config {
        body_bytes_max: 1 << 20,
        ..Config::default()
    })
    .expect("a reactor");
    let session = ServerConfig {
        ledger,
        noise: noise(),
        identity: identity(),
        links: false,
        limits: Limits::default(),
    };
    let local = reactor
        .listen(([127, 0, 0, 1], 0).into(), Arc::new(session))
        .expect("a free port");
    let sender = reactor.sender();
    let thread = thread::spawn(move || reactor.run(&mut hub).expect("the loop runs"));
    let address = HubAddress {
        identity: identity().public(),
        noise: noise().public(),
        host: local.ip().to_string(),
        port: local.port(),
    };
    Running {
        address,
        admin: serve_status(),
        sender,
        thread: Some(thread),
    }
}

/// Answers every request with one status; ends with the process.
fn serve_status() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = listener.local_addr().expect("bound");
    let body = format!(
        r#"{{"backend":"test","state_root":"{}","cpu_s":1.0,"rss_bytes_max":1,"batches":1,"batch_p50":1,"syncs":1,
        "log_bytes":1,"signatures":1,"acks":1,"value_held":"5","value_capacity":"5"}}"#,
        "ab".repeat(32)
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
        }
    });
    admin
}

impl Hub {
    fn greet(&mut self, conn: ConnId, request: u64, out: &mut Outbox<'_>) {
        let sat = |n| Amount::from_sat(n).expect("in range");
        let answer = HelloAnswer {
            ledger: self.ledger,
            hub: identity().public().bytes(),
            height: Height::new(1),
            margin: MARGIN,
            ack_interval_ms: 10_000,
            max_lock: Age::new(2_048),
            dispute_window: Age::new(4_032),
            evidence_grace: Age::new(144),
            client_reserve: sat(1),
            hub_reserve: sat(1),
            min_amount: sat(1),
            fee_base: Amount::ZERO,
            fee_ppm: 0,
            block_interval_ms: 500,
            max_capacity: Amount::MAX,
            channel_count: 1,
        };
        let mut bytes = Vec::new();
        answer.append(request, &mut bytes).expect("short");
        let _ = out.send(conn, &bytes);
    }

    fn pay(&mut self, conn: ConnId, request: u64, pay: &Pay<'_>, out: &mut Outbox<'_>) {
        self.payments += 1;
        let cheats = self.payments == 20;
        let state = ClientState::decode(pay.state).expect("a state");
        if self.cheat == Cheat::Silent && self.payments >= 20 {
            return;
        }
        if cheats && self.cheat == Cheat::Leaves {
            out.close(conn);
        }
        // Behind a refused state nothing follows.
        let expected = self.channels[&state.channel].leaf.ack.counter.get() + 1;
        if (cheats && self.cheat == Cheat::Refuses) || state.counter.get() != expected {
            return refuse(conn, request, &state, out);
        }
        let mut operations = Vec::new();
        decode_operations(pay.operations, &mut operations).expect("operations");
        for operation in &operations {
            let outcome = match operation {
                Operation::Add { slot, lock } => self.add(&state, *slot, lock, cheats),
                Operation::Settle { slot } => outcome(&state, OpKind::Settle, *slot, OpOutcome::Done, None),
                other => panic!("a generator does not {other:?}"),
            };
            self.touched.entry(state.channel).or_default().outcomes.push(outcome);
        }
        let payer = self.channels.get_mut(&state.channel).expect("known");
        payer.leaf.ack = StateRef {
            counter: state.counter,
            digest: state.digest(),
        };
        let touch = self.touched.entry(state.channel).or_default();
        touch.answers.push(Answer {
            request,
            counter: state.counter,
        });
    }

    fn add(&mut self, state: &ClientState, slot: LockSlot, lock: &Lock, cheats: bool) -> Outcome {
        let cheat = if cheats { self.cheat } else { Cheat::None };
        if cheat == Cheat::Fails {
            let reason = tidegate_channel::FailReason::PayeeSilent;
            return outcome(state, OpKind::Add, slot, OpOutcome::Failed(reason), Some(lock));
        }
        let extra = Amount::from_sat(u64::from(cheat == Cheat::CreditsTooMuch)).expect("in range");
        if cheat != Cheat::ForgetsCredit {
            self.touched
                .entry(lock.payee_channel)
                .or_default()
                .credits
                .push(Credit {
                    lock: lock.id(&state.channel, state.counter, slot),
                    salt: [7; 16],
                    payment_id: lock.payment_id,
                    amount: lock.amount.add(extra).expect("in range"),
                    expiry: lock.expiry,
                });
        }
        outcome(state, OpKind::Add, slot, OpOutcome::Delivered, Some(lock))
    }

    fn ack(&mut self, request: u64, ack: &Ack) {
        let channel = self.channels.get_mut(&ack.channel).expect("known");
        let acked = ack.leaf.counter.get();
        let firm = channel
            .unfirm
            .iter()
            .filter(|(leaf, ..)| *leaf <= acked)
            .map(|(.., amount)| *amount);
        let firm = Amount::sum(firm).expect("in range");
        channel.unfirm.retain(|(leaf, ..)| *leaf > acked);
        channel.leaf.firm_credit = channel.leaf.firm_credit.add(firm).expect("in range");
        let touch = self.touched.entry(ack.channel).or_default();
        touch.firm |= !firm.is_zero();
        touch.answers.push(Answer {
            request,
            counter: ClientCounter::ZERO,
        });
    }

    /// Makes a leaf of each touched channel, and tells everyone.
    fn seal(&mut self, out: &mut Outbox<'_>) {
        let touched: Vec<_> = std::mem::take(&mut self.touched)
            .into_iter()
            .filter(|(_, touch)| touch.firm || !touch.credits.is_empty() || !touch.outcomes.is_empty())
            .collect();
        if touched.is_empty() {
            return;
        }
        self.batch += 1;
        let past = self.payments >= 20;
        let breaks = self.cheat == Cheat::BreaksChain && past;
        let leaves: Vec<_> = touched.iter().map(|(id, touch)| self.leaf(id, touch, breaks)).collect();
        let digests: Vec<Digest> = leaves.iter().map(|(private, public)| digest(private, public)).collect();
        let tree = Tree::build(RECEIPTS, &digests);
        let key = identity();
        let header = BatchHeader {
            hub: key.public().bytes(),
            number: BatchNumber::new(self.batch),
            previous: Digest::ZERO,
            leaf_count: tree.count(),
            height: Height::new(1),
            leaves_root: tree.root(),
            outcomes: Digest::ZERO,
            block: Digest::ZERO,
            time: UnixMillis::new(1),
        };
        let signer = if self.cheat == Cheat::OtherKey && past {
            SecretKey::from_seed([1; 32])
        } else {
            key
        };
        let mut header_bytes = [0; 248];
        header.sign(&self.ledger, &signer).encode_into(&mut header_bytes);
        for (index, ((id, touch), (private, public))) in (0..).zip(touched.iter().zip(&leaves)) {
            let mut bytes = Vec::new();
            let (private, public) = (private.to_vec(), public.to_vec());
            let path: Vec<Digest> = tree.path(index).collect();
            let credits: Vec<[u8; 80]> = touch.credits.iter().map(array).collect();
            let outcomes: Vec<[u8; 96]> = touch.outcomes.iter().map(array).collect();
            ReceiptWriter::new(&mut bytes, &header_bytes).push(&ReceiptEntry {
                index,
                private: private.as_slice().try_into().expect("its width"),
                public: public.as_slice().try_into().expect("its width"),
                path: &path,
                shared: false,
                credits: &credits,
                outcomes: &outcomes,
                answers: touch.answers.as_slice().into(),
                in_changes: &[],
                final_terms: None,
            });
            let _ = out.send(self.channels[id].conn.expect("its client is there"), &bytes);
        }
    }

    fn leaf(&mut self, id: &ChannelId, touch: &Touch, breaks: bool) -> (LeafPrivate, LeafPublic) {
        let channel = self.channels.get_mut(id).expect("known");
        let leaf = &mut channel.leaf;
        leaf.counter = HubCounter::new(leaf.counter.get() + 1);
        channel
            .unfirm
            .extend(touch.credits.iter().map(|c| (leaf.counter.get(), c.expiry, c.amount)));
        leaf.unfirm_credit = Amount::sum(channel.unfirm.iter().map(|(.., amount)| *amount)).expect("in range");
        let lowest = channel.unfirm.iter().map(|(_, expiry, _)| *expiry).min();
        leaf.ack_by = lowest.map_or(Height::ZERO, |h| {
            h.minus(Age::new(2 * MARGIN.get())).expect("high enough")
        });
        leaf.height = Height::new(1);
        leaf.outcomes_root = outcomes_root(&touch.outcomes);
        let public = LeafPublic {
            previous: if breaks { Digest::ZERO } else { channel.digest },
            credited_root: credited_root(&touch.credits),
            failed_root: failed_root(&touch.outcomes),
        };
        channel.digest = digest(leaf, &public);
        (*leaf, public)
    }
}

fn digest(private: &LeafPrivate, public: &LeafPublic) -> Digest {
    leaf_digest(&private.digest(), &public.digest())
}

fn array<const N: usize>(value: &impl Fixed) -> [u8; N] {
    value.to_vec().try_into().expect("its width")
}

fn outcome(state: &ClientState, kind: OpKind, slot: LockSlot, outcome: OpOutcome, lock: Option<&Lock>) -> Outcome {
    let lock = lock.map_or(tidegate_types::LockId::ZERO, |lock| {
        lock.id(&state.channel, state.counter, slot)
    });
    Outcome {
        counter: state.counter,
        kind,
        slot,
        outcome,
        lock,
        salt: [0; 16],
        preimage: [0; 32],
    }
}

fn refuse(conn: ConnId, request: u64, state: &ClientState, out: &mut Outbox<'_>) {
    let answer = PayAnswer {
        channel: state.channel,
        counter: state.counter,
        refusal: RefuseReason::WrongState.code(),
        newest_state: ClientCounter::ZERO,
        newest_leaf: HubCounter::ZERO,
        stored: None,
    };
    let mut bytes = Vec::new();
    answer.append(request, &mut bytes).expect("short");
    let _ = out.send(conn, &bytes);
}

impl Handler for Hub {
    fn on_ready(&mut self, conn: ConnId, peer: &PublicKey, _out: &mut Outbox<'_>) {
        let carried = self
            .channels
            .values_mut()
            .filter(|channel| channel.delegate == peer.bytes());
        carried.for_each(|channel| channel.conn = Some(conn));
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        match ToHub::decode(&header, body).expect("a generator speaks the protocol") {
            ToHub::Hello(_) => self.greet(conn, header.request, out),
            ToHub::Pay(pay) => self.pay(conn, header.request, &pay, out),
            ToHub::Ack(ack) => self.ack(header.request, &Ack::decode(ack.ack).expect("an ack")),
            other => panic!("a generator does not send {other:?}"),
        }
    }

    fn on_closed(&mut self, _conn: ConnId, _reason: &CloseReason, _out: &mut Outbox<'_>) {}

    fn on_turn_end(&mut self, out: &mut Outbox<'_>) {
        self.seal(out);
    }
}
