//! Cookies: what a hub under load asks of a stranger before it computes anything for it.
//!
//! ```text
//!  stranger → hub   handshake message                  96
//!  hub → stranger   retry after ms u32 | 0 × 4 | cookie 32     and the connection is closed
//!  stranger → hub   cookie 32 | handshake message 96   on a new connection, from the same address
//!
//!  cookie = hash(Cookie, hash(Cookie, Noise secret 32 ‖ 0 × 32) ‖ address 16 ‖ period u64 ‖ 0 × 8)
//! ```
//!
//! A hub keeps nothing for whom it has sent away: whether a cookie is its own follows from its key, the peer's address and the
//! time. It counts in the period (10 s) in which it was given and in the next. What an answer of the hub says is not signed, for
//! signing is what it saves: whoever can forge one could as well cut the connection.

use tidegate_crypto::hash::{Domain, hash};

use crate::config::Millis;
use crate::noise::NoiseSecret;

/// Bytes of a cookie.
pub const COOKIE_LEN: usize = 32;

/// How long a cookie is given out, in milliseconds.
const PERIOD_MILLIS: u64 = 10_000;

/// Sends a stranger away and lets it in when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie([u8; COOKIE_LEN]);

impl Cookie {
    /// The cookie of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; COOKIE_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; COOKIE_LEN] {
        &self.0
    }
}

/// Makes the cookies of one hub.
pub struct Cookies {
    key: [u8; 32],
}

impl Cookies {
    /// The cookies of the hub with this key. They are the same after a restart, and after another only for 20 s.
    #[must_use]
    pub fn new(noise: &NoiseSecret) -> Self {
        let mut material = [0; 64];
        material[..32].copy_from_slice(noise.as_bytes());
        Self {
            key: *hash(Domain::Cookie, &material).as_bytes(),
        }
    }

    /// What is asked of a stranger at this address now.
    #[must_use]
    pub fn challenge(&self, address: [u8; 16], now: Millis) -> Challenge {
        let period = now.get() / PERIOD_MILLIS;
        Challenge {
            fresh: self.cookie(address, period),
            older: self.cookie(address, period.saturating_sub(1)),
        }
    }

    fn cookie(&self, address: [u8; 16], period: u64) -> Cookie {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.key);
        bytes[32..48].copy_from_slice(&address);
        bytes[48..56].copy_from_slice(&period.to_le_bytes());
        Cookie(*hash(Domain::Cookie, &bytes).as_bytes())
    }
}

/// Shows nothing of the key.
impl core::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}

/// The cookies that one stranger may show, and the one that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    fresh: Cookie,
    older: Cookie,
}

impl Challenge {
    /// True if this cookie lets its bearer in.
    #[must_use]
    pub fn admits(&self, cookie: &Cookie) -> bool {
        *cookie == self.fresh || *cookie == self.older
    }

    /// The one to be given.
    pub(crate) const fn fresh(&self) -> &Cookie {
        &self.fresh
    }
}

/// What a hub under load answers to a handshake: come again with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Milliseconds to wait first.
    pub after_millis: u32,
    /// What to show then.
    pub cookie: Cookie,
}

impl Retry {
    /// Bytes of its frame.
    pub(crate) const LEN: usize = 4 + 4 + COOKIE_LEN;

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.after_millis.to_le_bytes());
        bytes[8..].copy_from_slice(self.cookie.as_bytes());
        bytes
    }

    /// `None` if the bytes between are not zero.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, cookie) = bytes.split_first_chunk::<8>()?;
        let [a, b, c, d, 0, 0, 0, 0] = *head else { return None };
        Some(Self {
            after_millis: u32::from_le_bytes([a, b, c, d]),
            cookie: Cookie(cookie.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_at_its_address_and_for_two_periods() {
        let cookies = Cookies::new(&NoiseSecret::from_bytes([7; 32]));
        let at = |millis, address| cookies.challenge([address; 16], Millis::new(millis));
        let given = *at(25_000, 1).fresh();
        assert!(at(25_001, 1).admits(&given) && at(39_999, 1).admits(&given));
        assert!(!at(40_000, 1).admits(&given), "too old");
        assert!(!at(19_999, 1).admits(&given), "from another time");
        assert!(!at(25_001, 2).admits(&given), "from another address");
        let other = Cookies::new(&NoiseSecret::from_bytes([8; 32]));
        assert!(
            !other.challenge([1; 16], Millis::new(25_000)).admits(&given),
            "another hub's"
        );
    }

    #[test]
    fn a_retry_has_one_encoding() {
        let retry = Retry {
            after_millis: 500,
            cookie: Cookie([3; 32]),
        };
        let mut bytes = retry.encode();
        assert_eq!(Retry::decode(&bytes), Some(retry));
        assert_eq!(Retry::decode(&bytes[..39]), None);
        bytes[5] = 1;
        assert_eq!(Retry::decode(&bytes), None);
    }
}
