//! Listening sockets.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tidegate_session::{Cookies, ServerConfig};

use crate::config::Config;

/// A listening socket and the identity that it answers with.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) session: Arc<ServerConfig>,
    pub(crate) cookies: Cookies,
    /// Connections may wait: edge-triggered, so it stays so until an accept finds none.
    pub(crate) pending: bool,
}

/// What one accept came to.
pub(crate) enum Accepted {
    /// A connection, and from where.
    Stream(TcpStream, IpAddr),
    /// A connection that was closed at once because the process is out of descriptors.
    Refused,
    /// None waits.
    Empty,
    /// Nothing can be accepted now, not even to be closed. Some may still wait.
    Exhausted,
}

/// A descriptor kept for when there are no more: with it given up, a connection can be accepted and closed, so that peers
/// learn that they are refused and the queue does not stay full.
#[derive(Debug)]
pub(crate) struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Some(File::open("/dev/null")?)))
    }

    fn restore(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr, session: Arc<ServerConfig>, config: &Config) -> io::Result<Self> {
        let socket = new_socket(address, config)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(config.backlog)?;
        Ok(Self {
            socket: TcpListener::from_std(socket.into()),
            cookies: Cookies::new(&session.noise),
            session,
            pending: true,
        })
    }

    /// Accepts one connection. Buffer sizes are inherited from the listening socket.
    pub(crate) fn accept(&mut self, spare: &mut SpareDescriptor) -> Accepted {
        match self.socket.accept() {
            Ok((stream, from)) if stream.set_nodelay(true).is_ok() => Accepted::Stream(stream, from.ip()),
            // The peer gave up meanwhile, or while it waited, or a signal came: the next may be good.
            Ok(_) => Accepted::Refused,
            Err(error) => match error.kind() {
                ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => Accepted::Refused,
                ErrorKind::WouldBlock => self.empty(),
                _ if is_exhaustion(&error) => self.refuse_with(spare),
                _ => {
                    tracing::error!(%error, "accept failed");
                    Accepted::Exhausted
                }
            },
        }
    }

    const fn empty(&mut self) -> Accepted {
        self.pending = false;
        Accepted::Empty
    }

    fn refuse_with(&mut self, spare: &mut SpareDescriptor) -> Accepted {
        if spare.0.take().is_none() {
            spare.restore();
            return Accepted::Exhausted;
        }
        let refused = match self.socket.accept() {
            Ok(_dropped) => Accepted::Refused,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.empty(),
            Err(_) => Accepted::Exhausted,
        };
        spare.restore();
        refused
    }
}

/// EMFILE and ENFILE: this process, or the machine, has no more descriptors.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23))
}

/// A socket that begins to connect.
pub(crate) fn connect(address: SocketAddr, config: &Config) -> io::Result<TcpStream> {
    let socket = new_socket(address, config)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => {}
        // EINPROGRESS: the usual answer of a socket that does not block.
        Err(error) if error.raw_os_error() == Some(115) || error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from_std(socket.into());
    SockRef::from(&stream).set_tcp_nodelay(true)?;
    Ok(stream)
}

fn new_socket(address: SocketAddr, config: &Config) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(config.socket_send_bytes)?;
    socket.set_recv_buffer_size(config.socket_receive_bytes)?;
    Ok(socket)
}
