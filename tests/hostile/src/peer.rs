//! A client that can do what an honest one never does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};
use tidegate_client::HubAddress;
use tidegate_crypto::keys::SecretKey;
use tidegate_session::{Buffer, ClientConfig, Cookie, Limits, Millis, NoiseSecret, Session};
use tidegate_types::LedgerId;
use tidegate_wire::frame::{Header, MAX_BODY, MessageReader};
use tidegate_wire::messages::{Body, Hello, PROTOCOL_VERSION};
use tidegate_wire::{Kind, ToClient};

use crate::turns;

/// What an answer is given.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What came from the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// A message.
    Message(Header, Vec<u8>),
    /// The hub has closed the connection.
    Closed,
    /// Nothing for so long.
    Silence,
}

impl Got {
    /// The message, read.
    ///
    /// # Panics
    /// If nothing came, or bytes that are no message.
    #[must_use]
    #[track_caller]
    pub fn message(&self) -> ToClient<'_> {
        match self {
            Self::Message(header, body) => ToClient::decode(header, body).expect("the hub's messages decode"),
            Self::Closed | Self::Silence => panic!("no message but {self:?}"),
        }
    }
}

/// A TCP connection without any session.
///
/// # Panics
/// If nobody listens.
#[must_use]
pub fn socket(address: &HubAddress) -> TcpStream {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).expect("the hub listens");
    stream.set_nodelay(true).expect("a socket option");
    stream
}

/// As [`socket`], from the loopback address 127.`network`.1, so that it stands in a network of its own.
///
/// # Panics
/// If nobody listens, or there is no such address (on systems other than Linux).
#[must_use]
pub fn socket_from(address: &HubAddress, network: u16) -> TcpStream {
    let [high, low] = network.to_be_bytes();
    let from = SocketAddr::from(([127, high, low, 1], 0));
    let to = SocketAddr::from(([127, 0, 0, 1], address.port));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&from.into()).expect("an address of loopback");
    socket.connect(&to.into()).expect("the hub listens");
    socket.into()
}

/// Bytes that a socket yields until it is closed or `patience` ends; true if it was closed.
///
/// # Panics
/// If a socket option fails.
#[must_use]
pub fn drain(stream: &mut TcpStream, patience: Duration) -> (Vec<u8>, bool) {
    let deadline = Instant::now() + patience;
    let mut all = Vec::new();
    let mut part = [0; 4096];
    while let Some(left) = deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        stream.set_read_timeout(Some(left)).expect("a socket option");
        match stream.read(&mut part) {
            Ok(0) => return (all, true),
            Ok(count) => all.extend_from_slice(&part[..count]),
            Err(error) if is_timeout(&error) => break,
            // A reset closes too.
            Err(_) => return (all, true),
        }
    }
    (all, false)
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

/// What a session is begun with.
#[must_use]
pub fn config(address: &HubAddress, ledger: LedgerId, identity: SecretKey) -> ClientConfig {
    ClientConfig {
        ledger,
        noise: NoiseSecret::from_bytes([77; 32]),
        identity,
        hub_noise: address.noise,
        hub_identity: address.identity,
        limits: Limits::default(),
    }
}

/// A connection whose session is ready and which has not greeted.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    session: Session,
    began: Instant,
    sealed: Buffer,
    plain: Buffer,
    out: Buffer,
    reader: MessageReader,
}

impl Peer {
    /// Begins a session.
    ///
    /// # Errors
    /// What the session says, or that the hub has closed the connection, in words.
    pub fn connect(address: &HubAddress, config: ClientConfig) -> Result<Self, PeerError> {
        Self::over(socket(address), config)
    }

    /// Begins a session over a connection that is there.
    ///
    /// # Errors
    /// As [`Peer::connect`].
    pub fn over(stream: TcpStream, config: ClientConfig) -> Result<Self, PeerError> {
        let mut out = Buffer::new();
        let turn = turns::take();
        let session = Session::client(Arc::new(config), Millis::new(0), &mut out)?;
        drop(turn);
        Self::begin(stream, session, out)
    }

    /// As [`Peer::over`], with the cookie that the hub asked for.
    ///
    /// # Errors
    /// As [`Peer::connect`].
    pub fn again(stream: TcpStream, config: ClientConfig, cookie: &Cookie) -> Result<Self, PeerError> {
        let mut out = Buffer::new();
        let turn = turns::take();
        let session = Session::client_again(Arc::new(config), cookie, Millis::new(0), &mut out)?;
        drop(turn);
        Self::begin(stream, session, out)
    }

    fn begin(stream: TcpStream, session: Session, out: Buffer) -> Result<Self, PeerError> {
        let mut peer = Self {
            stream,
            session,
            began: Instant::now(),
            sealed: Buffer::new(),
            plain: Buffer::new(),
            out,
            reader: MessageReader::new(MAX_BODY),
        };
        peer.flush();
        while !peer.session.is_ready() {
            if !peer.read(Instant::now() + PATIENCE)? {
                return Err(PeerError::Closed);
            }
        }
        Ok(peer)
    }

    /// Greets, and takes the answer.
    ///
    /// # Panics
    /// If the hub does not greet back.
    #[must_use]
    pub fn greeted(mut self) -> Self {
        let got = self.greet();
        assert!(matches!(got.message(), ToClient::Hello(_)), "{got:?}");
        self
    }

    /// Greets; what comes of it.
    ///
    /// # Panics
    /// As [`Peer::next`].
    pub fn greet(&mut self) -> Got {
        self.send(&Hello {
            version: PROTOCOL_VERSION,
            push_ack_proofs: false,
            share_paths: false,
        });
        self.next_answer()
    }

    /// The next thing that is no receipt. A session carries its channels from its `Hello` on, so a receipt of what an earlier
    /// session has sent may come at any time, even before the hub's `Hello`.
    ///
    /// # Panics
    /// As [`Peer::next`].
    pub fn next_answer(&mut self) -> Got {
        loop {
            let got = self.next(PATIENCE);
            if !matches!(&got, Got::Message(header, _) if header.kind == Kind::Receipt.code()) {
                return got;
            }
        }
    }

    /// Sends a message.
    ///
    /// # Panics
    /// If it is too long.
    pub fn send<'a>(&mut self, body: &impl Body<'a>) {
        let mut bytes = Vec::new();
        body.append(1, &mut bytes).expect("a short message");
        self.send_plain(&bytes);
    }

    /// Seals any bytes into the stream of messages.
    ///
    /// # Panics
    /// If the session has ended.
    pub fn send_plain(&mut self, bytes: &[u8]) {
        self.session.send(bytes, &mut self.out).expect("the session is ready");
        self.flush();
    }

    /// As [`Peer::send_plain`]; false if the hub has closed, or took nothing of it for so long.
    ///
    /// # Panics
    /// If the session has ended, or a socket option fails.
    pub fn push(&mut self, bytes: &[u8], patience: Duration) -> bool {
        let sealed = self.sealed(bytes);
        self.stream.set_write_timeout(Some(patience)).expect("a socket option");
        self.stream.write_all(&sealed).is_ok()
    }

    /// What goes over the socket for any bytes in the stream of messages, frames included. They must be sent in this order, or
    /// the hub will notice.
    ///
    /// # Panics
    /// If the session has ended.
    #[must_use]
    pub fn sealed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let _turn = turns::take();
        self.session.send(bytes, &mut self.out).expect("the session is ready");
        let sealed = self.out.bytes().to_vec();
        self.out.clear();
        sealed
    }

    /// The socket alone.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Ends the connection with a reset instead of an end, and whatever is on its way is lost.
    ///
    /// # Panics
    /// If a socket option fails.
    pub fn reset(self) {
        let socket = SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
    }

    /// Has the kernel take no more than some 128 KiB from the hub while nobody reads. Before much has come. (With less it drops
    /// segments that it had promised room for, and the acknowledgements in them: both ends stand still for seconds.)
    ///
    /// # Panics
    /// If a socket option fails.
    pub fn read_little(&self) {
        let socket = SockRef::from(&self.stream);
        socket.set_recv_buffer_size(64 << 10).expect("a socket option");
    }

    /// Writes any bytes to the socket.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        // A hub that has closed already is what the caller looks for next.
        let _closed = self.stream.write_all(bytes);
    }

    /// The next thing that comes within `patience`.
    ///
    /// # Panics
    /// If the hub's own bytes are not a session's.
    pub fn next(&mut self, patience: Duration) -> Got {
        let deadline = Instant::now() + patience;
        loop {
            let mut input = self.plain.bytes();
            let before = input.len();
            let found = self
                .reader
                .next(&mut input)
                .expect("the hub's stream is one of messages");
            let found = found.map(|(header, body)| Got::Message(header, body.to_vec()));
            let taken = before - input.len();
            self.plain.consume(taken);
            if let Some(got) = found {
                return got;
            }
            if Instant::now() >= deadline {
                return Got::Silence;
            }
            if !self.read(deadline).expect("the hub's frames open") {
                return Got::Closed;
            }
        }
    }

    /// False if the hub has closed.
    fn read(&mut self, deadline: Instant) -> Result<bool, PeerError> {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).expect("a socket option");
        // What comes is waited for without a turn, and read in one.
        let waited = self.stream.peek(&mut [0]);
        let turn = turns::take();
        match waited.and_then(|_| self.stream.read(self.sealed.space(16 << 10))) {
            Ok(0) => return Ok(false),
            Ok(count) => self.sealed.advance(count),
            Err(error) if is_timeout(&error) => return Ok(true),
            Err(_) => return Ok(false),
        }
        let now = Millis::new(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let before = self.plain.len();
        let taken = self
            .session
            .receive(now, self.sealed.bytes(), &mut self.plain, &mut self.out)?;
        self.session.grant((self.plain.len() - before) as u64);
        self.sealed.consume(taken);
        drop(turn);
        self.flush();
        Ok(true)
    }

    fn flush(&mut self) {
        let _closed = self.stream.write_all(self.out.bytes());
        self.out.clear();
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// This end refuses.
    #[error(transparent)]
    Session(#[from] tidegate_session::SessionError),
    /// The hub has closed the connection.
    #[error("the hub has closed the connection")]
    Closed,
}
