//! A client over real sockets and sessions, from the greeting to the close.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_channel::wallet::{LockStatus, SettleOn};
use tidegate_channel::{ClientState, RefuseReason};
use tidegate_client::{
    Client, ClientError, ConnectOptions, Connection, ConnectionError, HubAddress, MemoryStore, Payment, StepError,
};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::Transaction;
use tidegate_session::{Buffer, Limits, Millis, NoiseSecret, ServerConfig, Session};
use tidegate_types::{Age, ClientCounter, Digest, Fixed, Height, HubCounter};
use tidegate_wire::frame::{Header, MAX_BODY, MessageReader};
use tidegate_wire::messages::{
    Body, Busy, CloseDone, Error, HelloAnswer, LedgerAnswer, LedgerResult, PayAnswer, Ping, TxStatus,
};
use tidegate_wire::{ErrorCode, ToHub};

use crate::played::{Batch, LEDGER, MARGIN, PlayedHub, opened, sat};

const IDENTITY: [u8; 32] = [201; 32];
const NOISE: [u8; 32] = [202; 32];
const TIMEOUT: Duration = Duration::from_secs(5);

/// How the hub treats states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Willing,
    /// Busy once, then willing.
    BusyOnce,
    /// Refuses every state.
    Refusing,
}

/// The hub's end of one connection, on a thread of its own.
struct Server {
    stream: TcpStream,
    session: Session,
    out: Buffer,
    hub: PlayedHub,
    mood: Mood,
}

fn start(mood: Mood) -> (ConnectOptions, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = ConnectOptions {
        address: HubAddress {
            identity: SecretKey::from_seed(IDENTITY).public(),
            noise: NoiseSecret::from_bytes(NOISE).public(),
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
        },
        ledger: LEDGER,
        push_ack_proofs: false,
        share_paths: false,
        timeout: TIMEOUT,
    };
    let thread = std::thread::spawn(move || {
        let config = ServerConfig {
            ledger: LEDGER,
            noise: NoiseSecret::from_bytes(NOISE),
            identity: SecretKey::from_seed(IDENTITY),
            links: false,
            limits: Limits::default(),
        };
        let server = Server {
            stream: listener.accept().unwrap().0,
            session: Session::server(Arc::new(config), None, Millis::new(0)),
            out: Buffer::new(),
            hub: PlayedHub::new(),
            mood,
        };
        server.serve();
    });
    (options, thread)
}

impl Server {
    /// Serves until the client leaves.
    fn serve(mut self) {
        let (mut sealed, mut plain) = (Buffer::new(), Buffer::new());
        let mut reader = MessageReader::new(MAX_BODY);
        loop {
            let count = self.stream.read(sealed.space(4096)).unwrap_or(0);
            if count == 0 {
                return;
            }
            sealed.advance(count);
            let Ok(taken) = self
                .session
                .receive(Millis::new(0), sealed.bytes(), &mut plain, &mut self.out)
            else {
                return;
            };
            sealed.consume(taken);
            self.session.grant(plain.len() as u64);
            let mut input = plain.bytes();
            while let Some((header, body)) = reader.next(&mut input).unwrap() {
                self.answer(&header, &ToHub::decode(&header, body).unwrap());
            }
            plain.clear();
            self.flush();
        }
    }

    /// A failed write means that the client has left; the next read ends the thread.
    fn flush(&mut self) {
        let _ = self.stream.write_all(self.out.bytes());
        self.out.clear();
    }

    fn say<'a>(&mut self, request: u64, body: &impl Body<'a>) {
        let mut bytes = Vec::new();
        body.append(request, &mut bytes).unwrap();
        self.session.send(&bytes, &mut self.out).unwrap();
    }

    fn push(&mut self, batch: &Batch) {
        self.say(0, &batch.receipt());
    }

    fn answer(&mut self, header: &Header, message: &ToHub<'_>) {
        let request = header.request;
        match message {
            ToHub::Hello(_) => self.say(request, &hello(&self.hub)),
            ToHub::Sync(sync) => {
                let fresh = self.hub.refresh(sync.channel);
                let terms = opened(&self.hub, 1, 0).terms.to_vec();
                let mut answer = self.hub.sync_answer(sync.channel, &[], Some(&fresh));
                answer.terms = &terms;
                let mut bytes = Vec::new();
                answer.append(request, &mut bytes).unwrap();
                self.session.send(&bytes, &mut self.out).unwrap();
            }
            ToHub::Pay(pay) => self.pay(request, ClientState::decode(pay.state).unwrap(), pay.operations),
            ToHub::AckProof(query) => {
                let proof = self.hub.proof(query.channel, 0);
                self.say(request, &proof.message());
            }
            ToHub::CloseRequest(close) => {
                let debit = self.hub.debit;
                let batch = self.hub.close(close.channel, debit, close.fee);
                self.push(&batch);
            }
            ToHub::CloseFinal(last) => {
                let done = CloseDone {
                    channel: last.channel,
                    txid: Transaction::decode(last.transaction).unwrap().txid(),
                };
                self.say(request, &done);
            }
            ToHub::LedgerQuery(_) => {
                let answer = LedgerAnswer {
                    height: Height::new(104),
                    tip: Digest::ZERO,
                    result: LedgerResult::Transaction(TxStatus::Final(Height::new(103))),
                };
                self.say(request, &answer);
            }
            ToHub::Ack(_) => {}
            other => {
                let text = format!("no {} here", other.kind());
                let error = Error {
                    code: ErrorCode::Refused,
                    text: &text,
                };
                self.say(request, &error);
            }
        }
    }

    fn pay(&mut self, request: u64, state: ClientState, operations: &[u8]) {
        match self.mood {
            Mood::BusyOnce => {
                self.mood = Mood::Willing;
                self.say(request, &Busy { retry_after_ms: 1 });
            }
            Mood::Refusing => {
                let answer = PayAnswer {
                    channel: state.channel,
                    counter: state.counter,
                    refusal: RefuseReason::NotOffered.code(),
                    newest_state: ClientCounter::ZERO,
                    newest_leaf: HubCounter::new(1),
                    stored: None,
                };
                self.say(request, &answer);
            }
            Mood::Willing if self.hub.debit == state.debit => {
                let payee = opened(&self.hub, 2, 0).channel;
                let batch = self.hub.deliver_bytes(&state, operations, payee);
                self.hub.ack_as(2, payee);
                self.push(&batch);
            }
            Mood::Willing => {
                let batch = self.hub.settle_state(&state);
                self.push(&batch);
            }
        }
    }
}

fn hello(hub: &PlayedHub) -> HelloAnswer {
    HelloAnswer {
        ledger: LEDGER,
        hub: hub.key.public().bytes(),
        height: Height::new(100),
        margin: Age::new(MARGIN),
        ack_interval_ms: 1000,
        max_lock: Age::new(500),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(10),
        client_reserve: sat(10),
        hub_reserve: sat(10),
        min_amount: sat(1),
        fee_base: sat(1),
        fee_ppm: 0,
        block_interval_ms: 500,
        max_capacity: sat(1_000_000),
        channel_count: 1,
    }
}

fn payment(amount: u64) -> Payment {
    let hub = PlayedHub::new();
    Payment {
        payee: opened(&hub, 2, 0).terms.client,
        payee_channel: opened(&hub, 2, 0).channel,
        amount: sat(amount),
        fee: None,
        payment_id: None,
        hash: None,
    }
}

fn connect(options: &ConnectOptions) -> Result<Client<MemoryStore>, ClientError> {
    let seed = [1; 32].into();
    Client::connect(options, &seed, MemoryStore::default(), SettleOn::PayeeAck)
}

#[test]
fn a_client_takes_up_its_channel_pays_settles_and_closes() {
    let (options, server) = start(Mood::BusyOnce);
    let mut client = connect(&options).unwrap();
    let channel = opened(&PlayedHub::new(), 1, 0).channel;
    client.sync(&channel).unwrap();
    let paid = client.pay(&channel, &[payment(50)]).unwrap();
    assert_eq!(
        (paid.len(), paid[0].status, paid[0].total),
        (1, LockStatus::Delivered, sat(51))
    );
    assert_eq!(client.settle(&channel).unwrap(), 0);
    let txid = client.close(&channel, sat(5), TIMEOUT).unwrap();
    let closed = client.channels().get(&channel).unwrap();
    assert_eq!(closed.closed(), Some(txid));
    let last = Transaction::decode(closed.closing().unwrap()).unwrap();
    assert_eq!(
        last.body.outputs.iter().map(|o| o.amount).collect::<Vec<_>>(),
        [sat(544), sat(451)]
    );
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_refused_state_is_told_and_does_not_keep_the_channel_open() {
    let (options, server) = start(Mood::Refusing);
    let mut client = connect(&options).unwrap();
    let channel = opened(&PlayedHub::new(), 1, 0).channel;
    let refused = client.pay(&channel, &[payment(50)]).unwrap_err();
    let is_refusal = |error| {
        matches!(
            error,
            ClientError::Refused {
                reason: RefuseReason::NotOffered,
                ..
            }
        )
    };
    assert!(is_refusal(refused));
    assert!(
        is_refusal(client.sync(&channel).unwrap_err()),
        "the same bytes go out again"
    );
    client.close(&channel, sat(5), TIMEOUT).unwrap();
    drop(client);
    server.join().unwrap();
}

#[test]
fn refusals_and_unknown_hubs_are_errors() {
    let (options, server) = start(Mood::Willing);
    let mut connection = Connection::connect(&options, SecretKey::from_seed([1; 32])).unwrap();
    let ping = Ping {
        answer: false,
        token: [7; 8],
    };
    let error = connection.request(&ping).unwrap_err();
    assert!(
        matches!(
            error,
            ConnectionError::Remote {
                code: ErrorCode::Refused,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.to_string(), "the hub answers Refused: no Ping here");
    let nothing = connection.wait_for(Duration::from_millis(20), |_| true).unwrap_err();
    assert!(matches!(nothing, ConnectionError::Timeout(_)));
    drop(connection);
    server.join().unwrap();

    let (mut options, server) = start(Mood::Willing);
    options.address.identity = SecretKey::from_seed([77; 32]).public();
    assert!(matches!(
        Connection::connect(&options, SecretKey::from_seed([1; 32])),
        Err(ConnectionError::Session(_))
    ));
    server.join().unwrap();
    assert!(matches!(
        Connection::connect(&options, SecretKey::from_seed([1; 32])),
        Err(ConnectionError::Unreachable { .. })
    ));
}

#[test]
fn another_clients_channel_is_not_taken_up() {
    let (options, server) = start(Mood::Willing);
    let seed = [3; 32].into();
    let mut client = Client::connect(&options, &seed, MemoryStore::default(), SettleOn::PayeeAck).unwrap();
    let channel = opened(&PlayedHub::new(), 1, 0).channel;
    let error = client.sync(&channel).unwrap_err();
    assert!(matches!(error, ClientError::Step(StepError::Adopt(_))), "{error}");
    drop(client);
    server.join().unwrap();
}
