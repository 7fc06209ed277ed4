//! A blocking connection to one hub, for programs that do one thing at a time.
//!
//! A request waits for the message that repeats its id. Whatever else arrives meanwhile, receipts above all, is kept in order
//! for [`Connection::wait_for`].

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_crypto::keys::SecretKey;
use tidegate_session::{Buffer, ClientConfig, Cookie, Limits, Millis, NoiseSecret, SendError, Session, SessionError};
use tidegate_types::LedgerId;
use tidegate_wire::frame::{BodyTooLong, FrameError, Header, MAX_BODY, MessageReader};
use tidegate_wire::messages::{Body, Hello, HelloAnswer, PROTOCOL_VERSION};
use tidegate_wire::{ErrorCode, Kind, ToClient, WireError};

use crate::address::HubAddress;

/// What arrives and is not asked for may wait up to this many bytes.
const MAX_WAITING: usize = 32 << 20;
/// How often a hub under load may ask to come again.
const ATTEMPTS: usize = 3;
/// Bytes asked of the socket at once.
const READ_BYTES: usize = 64 << 10;

/// Where to connect, and how long to wait for anything.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The hub.
    pub address: HubAddress,
    /// The ledger that both ends mean; the handshake fails with another.
    pub ledger: LedgerId,
    /// Whether the hub pushes payees' acks.
    pub push_ack_proofs: bool,
    /// Whether receipts may share the upper parts of their paths: for whoever carries many channels.
    pub share_paths: bool,
    /// For connecting, and for each answer.
    pub timeout: Duration,
}

/// Why a connection does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The name has no address, or nobody listens there.
    #[error("cannot reach the hub at {host}:{port}: {source}")]
    Unreachable {
        /// The host in the address.
        host: String,
        /// The port in the address.
        port: u16,
        /// The last attempt's error.
        source: io::Error,
    },
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The hub has closed the connection.
    #[error("the hub has closed the connection")]
    Closed,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The session does not send.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The stream of messages is broken.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message does not decode.
    #[error("a {} from the hub: {error}", kind_name(*kind))]
    Wire {
        /// The code of its kind.
        kind: u16,
        /// What is wrong.
        error: WireError,
    },
    /// A message is too long to be sent.
    #[error(transparent)]
    TooLong(#[from] BodyTooLong),
    /// The hub refused the request.
    #[error("the hub answers {code}: {text}")]
    Remote {
        /// Why.
        code: ErrorCode,
        /// In its words.
        text: String,
    },
    /// The hub is busy.
    #[error("the hub is busy; it asks to try again in {retry_after_ms} ms")]
    Busy {
        /// In its words.
        retry_after_ms: u32,
    },
    /// An answer of a kind that answers something else.
    #[error("the hub answered with {0}, which is no answer to the request")]
    Unexpected(Kind),
    /// More waits than anyone takes.
    #[error("more than {MAX_WAITING} bytes wait that nobody asked for")]
    Flood,
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

fn kind_name(kind: u16) -> &'static str {
    Kind::from_code(kind).map_or("message of unknown kind", Kind::name)
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its header.
    pub header: Header,
    body: Vec<u8>,
}

impl ConnectionError {
    /// True if it is the peer's answer: the connection can be used on.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Remote { .. } | Self::Busy { .. })
    }
}

impl Incoming {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConnectionError::Wire`].
    pub fn message(&self) -> Result<ToClient<'_>, ConnectionError> {
        ToClient::decode(&self.header, &self.body).map_err(|error| ConnectionError::Wire {
            kind: self.header.kind,
            error,
        })
    }
}

/// One connection, its hub known by both keys of its address.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    session: Session,
    began: Instant,
    sealed: Buffer,
    plain: Buffer,
    out: Buffer,
    reader: MessageReader,
    arrived: VecDeque<Incoming>,
    waiting: usize,
    next_request: u64,
    timeout: Duration,
    hello: Option<HelloAnswer>,
}

impl Connection {
    /// Connects, proves who both ends are, and greets.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn connect(options: &ConnectOptions, identity: SecretKey) -> Result<Self, ConnectionError> {
        let mut noise = [0; 32];
        getrandom::fill(&mut noise).map_err(ConnectionError::Random)?;
        let config = ClientConfig {
            ledger: options.ledger,
            noise: NoiseSecret::from_bytes(noise),
            identity,
            hub_noise: options.address.noise,
            hub_identity: options.address.identity,
            limits: Limits {
                handshake_millis: u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX),
                ..Limits::default()
            },
        };
        let config = Arc::new(config);
        let mut cookie = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(options, &config, cookie.as_ref()) {
                Err(ConnectionError::Session(SessionError::Retry(retry))) => {
                    let wait = Duration::from_millis(retry.after_millis.into());
                    std::thread::sleep(wait.min(options.timeout));
                    cookie = Some(retry.cookie);
                }
                other => return other,
            }
        }
        Self::attempt(options, &config, cookie.as_ref())
    }

    /// One attempt, with the cookie that a hub under load has given.
    fn attempt(
        options: &ConnectOptions,
        config: &Arc<ClientConfig>,
        cookie: Option<&Cookie>,
    ) -> Result<Self, ConnectionError> {
        let stream = reach(&options.address, options.timeout)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(options.timeout))?;
        let mut out = Buffer::new();
        let (config, now) = (Arc::clone(config), Millis::new(0));
        let session = match cookie {
            None => Session::client(config, now, &mut out),
            Some(cookie) => Session::client_again(config, cookie, now, &mut out),
        }?;
        let mut connection = Self {
            stream,
            session,
            began: Instant::now(),
            sealed: Buffer::new(),
            plain: Buffer::new(),
            out,
            reader: MessageReader::new(MAX_BODY),
            arrived: VecDeque::new(),
            waiting: 0,
            next_request: 1,
            timeout: options.timeout,
            hello: None,
        };
        connection.greet(options)?;
        Ok(connection)
    }

    fn greet(&mut self, options: &ConnectOptions) -> Result<(), ConnectionError> {
        self.flush()?;
        let deadline = Instant::now() + self.timeout;
        while !self.session.is_ready() {
            self.read_some(deadline)?;
        }
        let answer = self.request(&Hello {
            version: PROTOCOL_VERSION,
            push_ack_proofs: options.push_ack_proofs,
            share_paths: options.share_paths,
        })?;
        match answer.message()? {
            ToClient::Hello(hello) => self.hello = Some(hello),
            other => return Err(ConnectionError::Unexpected(other.kind())),
        }
        Ok(())
    }

    /// What the hub said of itself.
    ///
    /// # Panics
    /// Never: nobody holds a connection before the hub has answered.
    #[must_use]
    pub const fn hello(&self) -> &HelloAnswer {
        self.hello.as_ref().expect("connect() waits for the hub's answer")
    }

    /// How long an answer may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a message and returns its request id.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn send<'a>(&mut self, body: &impl Body<'a>) -> Result<u64, ConnectionError> {
        let request = self.next_request;
        self.next_request += 1;
        let mut message = Vec::new();
        body.append(request, &mut message)?;
        self.session.send(&message, &mut self.out)?;
        self.flush()?;
        Ok(request)
    }

    /// Sends a message and waits for its answer. `Busy` and `Error` become errors.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn request<'a>(&mut self, body: &impl Body<'a>) -> Result<Incoming, ConnectionError> {
        let request = self.send(body)?;
        let answer = self.wait_for(self.timeout, |incoming| incoming.header.request == request)?;
        fail_if_refused(&answer)?;
        Ok(answer)
    }

    /// The first message, of those that wait and those still to come, that `wanted` takes. The others keep their order.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn wait_for(
        &mut self,
        timeout: Duration,
        wanted: impl FnMut(&Incoming) -> bool,
    ) -> Result<Incoming, ConnectionError> {
        self.wait_until(Instant::now() + timeout, timeout, wanted)
    }

    /// As [`Connection::wait_for`], for a wait of `whole` that ends at `deadline` and may have begun before.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn wait_until(
        &mut self,
        deadline: Instant,
        whole: Duration,
        mut wanted: impl FnMut(&Incoming) -> bool,
    ) -> Result<Incoming, ConnectionError> {
        let mut looked_at = 0;
        loop {
            let unseen = self.arrived.iter().skip(looked_at).position(&mut wanted);
            if let Some(found) = unseen.and_then(|at| self.arrived.remove(looked_at + at)) {
                self.waiting -= found.body.len();
                return Ok(found);
            }
            looked_at = self.arrived.len();
            self.read_some(deadline).map_err(|error| match error {
                ConnectionError::Timeout(_) => ConnectionError::Timeout(whole),
                other => other,
            })?;
        }
    }

    fn now(&self) -> Millis {
        Millis::new(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits for bytes and takes them in.
    fn read_some(&mut self, deadline: Instant) -> Result<(), ConnectionError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ConnectionError::Timeout(self.timeout));
        }
        self.stream.set_read_timeout(Some(left))?;
        let count = match self.stream.read(self.sealed.space(READ_BYTES)) {
            Ok(0) => return Err(ConnectionError::Closed),
            Ok(count) => count,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(ConnectionError::Timeout(self.timeout));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            Err(e) => return Err(e.into()),
        };
        self.sealed.advance(count);
        self.take_in()
    }

    /// Opens what arrived, as far as whole frames are there.
    fn take_in(&mut self) -> Result<(), ConnectionError> {
        loop {
            let now = self.now();
            let taken = self
                .session
                .receive(now, self.sealed.bytes(), &mut self.plain, &mut self.out)?;
            self.sealed.consume(taken);
            let delivered = self.plain.len();
            self.take_messages()?;
            // Credit is given for what was delivered by the session; a handshake delivers nothing.
            self.session.grant(delivered as u64);
            self.flush()?;
            if taken == 0 {
                return Ok(());
            }
        }
    }

    fn take_messages(&mut self) -> Result<(), ConnectionError> {
        let mut input = self.plain.bytes();
        while let Some((header, body)) = self.reader.next(&mut input)? {
            self.waiting += body.len();
            self.arrived.push_back(Incoming {
                header,
                body: body.to_vec(),
            });
        }
        self.plain.clear();
        if self.waiting > MAX_WAITING {
            return Err(ConnectionError::Flood);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectionError> {
        self.stream.write_all(self.out.bytes())?;
        self.out.clear();
        Ok(())
    }
}

/// `Busy` and `Error` as errors.
///
/// # Errors
/// [`ConnectionError::Remote`], [`ConnectionError::Busy`], [`ConnectionError::Wire`].
pub fn fail_if_refused(answer: &Incoming) -> Result<(), ConnectionError> {
    match answer.message()? {
        ToClient::Error(error) => Err(ConnectionError::Remote {
            code: error.code,
            text: error.text.to_owned(),
        }),
        ToClient::Busy(busy) => Err(ConnectionError::Busy {
            retry_after_ms: busy.retry_after_ms,
        }),
        _ => Ok(()),
    }
}

/// How long a closing connection waits for the hub to have read what was sent.
const LINGER: Duration = Duration::from_secs(1);

impl Drop for Connection {
    /// Ends the sending side and reads on until the hub ends its own. Closed at once, with bytes unread, the kernel would
    /// reset the connection, and the hub would lose what it had not read yet: an ack, say.
    fn drop(&mut self) {
        let deadline = Instant::now() + LINGER;
        let mut unread = [0; 4096];
        // Whatever fails here, there is nobody left to tell.
        if self.stream.shutdown(Shutdown::Write).is_err() || self.stream.set_read_timeout(Some(LINGER)).is_err() {
            return;
        }
        while Instant::now() < deadline && self.stream.read(&mut unread).is_ok_and(|count| count > 0) {}
    }
}

/// The first of the host's addresses that answers.
fn reach(address: &HubAddress, timeout: Duration) -> Result<TcpStream, ConnectionError> {
    let unreachable = |source| ConnectionError::Unreachable {
        host: address.host.clone(),
        port: address.port,
        source,
    };
    let host = address.host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in (host, address.port).to_socket_addrs().map_err(unreachable)? {
        match TcpStream::connect_timeout(&place, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}
