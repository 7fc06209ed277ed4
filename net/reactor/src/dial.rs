//! A connection to be begun, and to be begun again when a hub under load asks for a cookie.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_session::{Buffer, ClientConfig, Cookie, LinkConfig, Millis, Retry, Session, SessionError};

/// How often a hub may ask one connection to come again.
const ATTEMPTS_MAX: u8 = 3;
/// The longest wait that is granted to a hub, in milliseconds: what it asks for is not authenticated.
const WAIT_MILLIS_MAX: u32 = 5_000;

/// What a session is begun with.
#[derive(Clone, Debug)]
pub(crate) enum To {
    /// A hub, as its client.
    Hub(Arc<ClientConfig>),
    /// A hub, as another one.
    Link(Arc<LinkConfig>),
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) address: SocketAddr,
    to: To,
    cookie: Option<Cookie>,
    attempts: u8,
}

impl Dial {
    pub(crate) const fn new(address: SocketAddr, to: To) -> Self {
        Self {
            address,
            to,
            cookie: None,
            attempts: 0,
        }
    }

    /// The session of this attempt; what it says first is appended to `out`.
    pub(crate) fn session(&self, now: Millis, out: &mut Buffer) -> Result<Session, SessionError> {
        match (&self.to, &self.cookie) {
            (To::Hub(config), None) => Session::client(Arc::clone(config), now, out),
            (To::Hub(config), Some(cookie)) => Session::client_again(Arc::clone(config), cookie, now, out),
            (To::Link(config), cookie) => Session::link(Arc::clone(config), cookie.as_ref(), now, out),
        }
    }

    /// The next attempt and how many milliseconds it waits; `None` if there were enough.
    pub(crate) fn again(mut self, retry: &Retry) -> Option<(Self, u64)> {
        self.attempts += 1;
        self.cookie = Some(retry.cookie);
        let wait = u64::from(retry.after_millis.min(WAIT_MILLIS_MAX));
        (self.attempts <= ATTEMPTS_MAX).then_some((self, wait))
    }
}
