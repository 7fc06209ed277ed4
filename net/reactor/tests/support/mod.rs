//! Keys, an echoing hub on a thread, and a client of plain blocking calls.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor, Sender, Stats};
use tidegate_session::{
    Buffer, ClientConfig, Limits, Millis, NoiseSecret, PublicKey, SecretKey, ServerConfig, Session, SessionError,
};
use tidegate_types::LedgerId;
use tidegate_wire::frame::{Header, MessageReader, write_message};

pub(crate) const LEDGER: LedgerId = LedgerId::from_bytes([0xad; 32]);
pub(crate) const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The kind of message that the hub answers with the same body.
pub(crate) const ECHO: u16 = 1;
/// The kind of message that the hub takes without answering.
pub(crate) const SINK: u16 = 2;
/// The kind of message that the hub answers with 64 KiB.
pub(crate) const FLOOD: u16 = 3;
/// The kind of message at which the hub closes the connection.
pub(crate) const CLOSE: u16 = 4;

pub(crate) fn client_config(number: u8) -> Arc<ClientConfig> {
    Arc::new(ClientConfig {
        ledger: LEDGER,
        noise: NoiseSecret::from_bytes([11; 32]),
        identity: SecretKey::from_seed([number; 32]),
        hub_noise: NoiseSecret::from_bytes([21; 32]).public(),
        hub_identity: SecretKey::from_seed([22; 32]).public(),
        limits: Limits::default(),
    })
}

pub(crate) fn server_config(handshake_millis: u64) -> Arc<ServerConfig> {
    Arc::new(ServerConfig {
        ledger: LEDGER,
        noise: NoiseSecret::from_bytes([21; 32]),
        identity: SecretKey::from_seed([22; 32]),
        links: false,
        limits: Limits {
            handshake_millis,
            ..Limits::default()
        },
    })
}

/// Waits for what the hub's thread is about to do.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What happened on the hub's side.
#[derive(Debug)]
pub(crate) enum Seen {
    Ready(ConnId, PublicKey),
    Closed(ConnId, CloseReason),
}

/// The number of the client for which places are kept.
pub(crate) const PLACED: u8 = 99;

/// Echoes, and reports who comes and goes.
struct EchoHandler {
    seen: mpsc::Sender<Seen>,
}

impl Handler for EchoHandler {
    fn on_ready(&mut self, conn: ConnId, peer: &PublicKey, _: &mut Outbox<'_>) {
        let _ = self.seen.send(Seen::Ready(conn, *peer));
    }

    fn has_place(&mut self, peer: &PublicKey) -> bool {
        *peer == SecretKey::from_seed([PLACED; 32]).public()
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        let answer = match header.kind {
            ECHO => out.message(conn, ECHO, header.request, |to| to.extend_from_slice(body)),
            FLOOD => out.message(conn, FLOOD, header.request, |to| to.resize(to.len() + 65_536, 7)),
            CLOSE => {
                out.close(conn);
                Ok(())
            }
            _ => Ok(()),
        };
        // A peer that does not read is closed, which `on_closed` reports.
        let _ = answer;
    }

    fn on_closed(&mut self, conn: ConnId, reason: &CloseReason, _: &mut Outbox<'_>) {
        let reason = match reason {
            CloseReason::Closed => CloseReason::Closed,
            CloseReason::Stopped => CloseReason::Stopped,
            CloseReason::Truncated => CloseReason::Truncated,
            CloseReason::EndedInHandshake => CloseReason::EndedInHandshake,
            CloseReason::SendQueueFull => CloseReason::SendQueueFull,
            CloseReason::Idle => CloseReason::Idle,
            CloseReason::NoPlace => CloseReason::NoPlace,
            CloseReason::Message(error) => CloseReason::Message(*error),
            other => CloseReason::Socket(std::io::Error::other(other.to_string())),
        };
        let _ = self.seen.send(Seen::Closed(conn, reason));
    }
}

/// A hub on its own thread.
pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    pub(crate) sender: Sender,
    pub(crate) stats: Arc<Stats>,
    pub(crate) seen: mpsc::Receiver<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    pub(crate) fn start(config: Config, handshake_millis: u64) -> Self {
        let mut reactor = Reactor::new(config).unwrap();
        let address = reactor.listen(ANYWHERE, server_config(handshake_millis)).unwrap();
        let (seen_in, seen) = mpsc::channel();
        let (sender, stats) = (reactor.sender(), reactor.stats());
        let thread = std::thread::spawn(move || reactor.run(&mut EchoHandler { seen: seen_in }).unwrap());
        Self {
            address,
            sender,
            stats,
            seen,
            thread: Some(thread),
        }
    }

    /// The next connection that got ready.
    pub(crate) fn ready(&self) -> (ConnId, PublicKey) {
        loop {
            if let Seen::Ready(conn, peer) = self.seen.recv_timeout(PATIENCE).unwrap() {
                return (conn, peer);
            }
        }
    }

    /// The next connection that is gone.
    pub(crate) fn closed(&self) -> (ConnId, CloseReason) {
        loop {
            if let Seen::Closed(conn, reason) = self.seen.recv_timeout(PATIENCE).unwrap() {
                return (conn, reason);
            }
        }
    }

    /// Stops it within `drain_millis`: clients that are still there do not end by themselves.
    pub(crate) fn stop(mut self, drain_millis: u64) {
        self.sender.stop(drain_millis).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A client of blocking calls on a std socket: what a command line would use.
pub(crate) struct Blocking {
    pub(crate) stream: TcpStream,
    pub(crate) session: Session,
    inbox: Vec<u8>,
    plain: Buffer,
    reader: MessageReader,
    got: Vec<(Header, Vec<u8>)>,
}

impl Blocking {
    pub(crate) fn connect(address: SocketAddr, number: u8) -> Self {
        Self::try_connect(address, number).expect("the hub takes a known client")
    }

    /// A client that is ready; `None` if the hub has ended the handshake.
    pub(crate) fn try_connect(address: SocketAddr, number: u8) -> Option<Self> {
        Self::connect_with(address, |out| {
            Session::client(client_config(number), Millis::new(0), out).unwrap()
        })
    }

    /// As [`Blocking::try_connect`], with a session that is begun otherwise.
    pub(crate) fn connect_with(address: SocketAddr, begin: impl FnOnce(&mut Buffer) -> Session) -> Option<Self> {
        let mut out = Buffer::new();
        let session = begin(&mut out);
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self {
            stream,
            session,
            inbox: Vec::new(),
            plain: Buffer::new(),
            reader: MessageReader::new(1 << 20),
            got: Vec::new(),
        };
        client.stream.write_all(out.bytes()).ok()?;
        while !client.session.is_ready() {
            if !client.read_some() {
                return None;
            }
        }
        Some(client)
    }

    /// What goes over the socket for `messages` of one kind.
    pub(crate) fn sealed(&mut self, kind: u16, bodies: &[&[u8]]) -> Vec<u8> {
        let mut plain = Vec::new();
        for (request, body) in (0..).zip(bodies) {
            write_message(&mut plain, kind, request, |to| to.extend_from_slice(body)).unwrap();
        }
        let mut out = Buffer::new();
        self.session.send(&plain, &mut out).unwrap();
        out.bytes().to_vec()
    }

    pub(crate) fn send(&mut self, kind: u16, bodies: &[&[u8]]) {
        let sealed = self.sealed(kind, bodies);
        self.stream.write_all(&sealed).unwrap();
    }

    /// The next message; `None` when the hub has ended the connection.
    pub(crate) fn receive(&mut self) -> Option<(Header, Vec<u8>)> {
        while self.got.is_empty() {
            if !self.read_some() {
                return None;
            }
        }
        Some(self.got.remove(0))
    }

    fn read_some(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let count = match self.stream.read(&mut bytes) {
            Ok(0) | Err(_) => return false,
            Ok(count) => count,
        };
        self.inbox.extend_from_slice(&bytes[..count]);
        let mut out = Buffer::new();
        let received = self
            .session
            .receive(Millis::new(0), &self.inbox, &mut self.plain, &mut out);
        let taken = match received {
            // The hub says no more than that.
            Err(SessionError::Retry(_)) => return false,
            other => other.unwrap(),
        };
        self.inbox.drain(..taken);
        self.stream.write_all(out.bytes()).unwrap();
        let mut rest = self.plain.bytes();
        while let Some((header, body)) = self.reader.next(&mut rest).unwrap() {
            self.got.push((header, body.to_vec()));
        }
        self.session.grant(self.plain.len() as u64);
        self.plain.clear();
        true
    }
}
