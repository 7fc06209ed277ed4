//! What each end brings to a session.

use std::sync::Arc;

use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_types::LedgerId;

use crate::frame::PLAIN_MAX;
use crate::noise::{NoiseKey, NoiseSecret};
use crate::rekey::RekeyLimits;

/// Milliseconds of a clock that never goes back, counted from any fixed moment. The caller owns the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

impl Millis {
    /// This many milliseconds after the fixed moment.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `millis` later; the end of time if that is past it.
    #[must_use]
    pub const fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Bounds that each end sets for itself, except [`Limits::rekey`], on which both must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds from the start of a session until the peer must be known.
    pub handshake_millis: u64,
    /// Bytes of plaintext that may be delivered and not yet granted again; a whole frame at least.
    pub window: u64,
    /// When each direction changes its key. Part of the protocol: other values than the default are for tests.
    pub rekey: RekeyLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_millis: 5_000,
            window: 256 * 1024,
            rekey: RekeyLimits::default(),
        }
    }
}

impl Limits {
    /// The window, never less than one frame: with less, a full frame could never be taken.
    pub(crate) const fn window(&self) -> u64 {
        if self.window < PLAIN_MAX as u64 {
            PLAIN_MAX as u64
        } else {
            self.window
        }
    }
}

/// What a client needs to reach one hub.
#[derive(Debug)]
pub struct ClientConfig {
    /// The ledger that both ends mean.
    pub ledger: LedgerId,
    /// The client's Noise key. Nothing rests on it but this session's secrecy; one per process is enough.
    pub noise: NoiseSecret,
    /// The client's identity.
    pub identity: SecretKey,
    /// The hub's Noise key, from its address.
    pub hub_noise: NoiseKey,
    /// The hub's identity, from its address.
    pub hub_identity: PublicKey,
    /// Bounds.
    pub limits: Limits,
}

/// What a hub needs to accept clients; shared by all its sessions.
#[derive(Debug)]
pub struct ServerConfig {
    /// The ledger that both ends mean.
    pub ledger: LedgerId,
    /// The hub's Noise key.
    pub noise: NoiseSecret,
    /// The hub's identity.
    pub identity: SecretKey,
    /// True if other hubs may begin links with this one, by Noise XX.
    pub links: bool,
    /// Bounds.
    pub limits: Limits,
}

/// What a hub needs to begin a link with another one. The other's Noise key comes in the handshake; who it is must be known.
#[derive(Debug)]
pub struct LinkConfig {
    /// This hub's own keys and bounds.
    pub own: Arc<ServerConfig>,
    /// The other hub's identity, from its address.
    pub peer: PublicKey,
}
