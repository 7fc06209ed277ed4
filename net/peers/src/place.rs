//! Where a hub is reached: who it proves to be, and where that was said to be found.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tidegate_types::{Fixed as _, KeyBytes};
use tidegate_wire::messages::PeerEntry;

use crate::Minute;
use crate::group::Group;

/// An identity and an address. Whoever listens there must prove the identity, so a false address costs an attempt and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The hub's Ed25519 key.
    pub identity: KeyBytes,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Place {
    /// Bytes of [`Place::bytes`].
    pub(crate) const LEN: usize = KeyBytes::LEN + 16 + 2;

    /// A place, its address in one form: IPv4 as IPv4.
    #[must_use]
    pub const fn new(identity: KeyBytes, ip: IpAddr, port: u16) -> Self {
        Self {
            identity,
            address: SocketAddr::new(ip.to_canonical(), port),
        }
    }

    /// The place of an entry of a `Peers` message.
    #[must_use]
    pub fn of_entry(entry: &PeerEntry) -> Self {
        Self::new(entry.identity(), entry.ip(), entry.port())
    }

    /// The entry of a `Peers` message that tells of it.
    #[must_use]
    pub const fn entry(&self, seen: Minute) -> PeerEntry {
        PeerEntry::new(self.identity, self.address.ip(), self.address.port(), seen.get())
    }

    /// The address's group.
    #[must_use]
    pub const fn group(&self) -> Group {
        Group::of(self.address.ip())
    }

    /// True if it can be another hub's on the open internet. Addresses of this machine and of its networks are told by nobody but
    /// the operator, for they mean another machine to everyone else.
    #[must_use]
    pub fn is_public(&self) -> bool {
        let ip = self.address.ip();
        let usable = match ip {
            IpAddr::V4(v4) => {
                let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
                !(v4.is_private() || v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0 || shared)
            }
            // fc00::/7 are local, fe80::/10 those of the link.
            IpAddr::V6(v6) => v6.octets()[0] & 0xfe != 0xfc && v6.segments()[0] & 0xffc0 != 0xfe80,
        };
        usable && !ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified() && self.address.port() != 0
    }

    /// Identity, address as IPv6, port.
    pub(crate) fn bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (identity, rest) = bytes.split_at_mut(KeyBytes::LEN);
        identity.copy_from_slice(self.identity.as_bytes());
        rest[..16].copy_from_slice(&wide(self.address.ip()).octets());
        rest[16..].copy_from_slice(&self.address.port().to_le_bytes());
        bytes
    }

    /// The place that [`Place::bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut identity = [0; KeyBytes::LEN];
        let mut ip = [0; 16];
        identity.copy_from_slice(&bytes[..KeyBytes::LEN]);
        ip.copy_from_slice(&bytes[KeyBytes::LEN..KeyBytes::LEN + 16]);
        let port = u16::from_le_bytes([bytes[Self::LEN - 2], bytes[Self::LEN - 1]]);
        Self::new(KeyBytes::from_bytes(identity), Ipv6Addr::from(ip).into(), port)
    }
}

pub(crate) const fn wide(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_the_same_to_everyone_is_public() {
        let public = |text: &str| {
            let address: SocketAddr = text.parse().unwrap();
            Place::new(KeyBytes::ZERO, address.ip(), address.port()).is_public()
        };
        for good in [
            "198.51.100.1:7411",
            "[2001:db8::1]:1",
            "100.128.0.1:9",
            "[::ffff:9.9.9.9]:1",
        ] {
            assert!(public(good), "{good}");
        }
        for bad in [
            "127.0.0.1:7411",
            "10.1.2.3:1",
            "172.16.0.1:1",
            "192.168.1.1:1",
            "169.254.1.1:1",
            "100.64.0.1:1",
            "0.1.2.3:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "9.9.9.9:0",
            "[::1]:1",
            "[::]:1",
            "[fe80::1]:1",
            "[fd00::1]:1",
            "[ff02::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(!public(bad), "{bad}");
        }
    }

    #[test]
    fn a_place_has_one_form() {
        let v4 = Place::new(KeyBytes::from_bytes([7; 32]), "9.8.7.6".parse().unwrap(), 7411);
        let mapped = Place::new(v4.identity, "::ffff:9.8.7.6".parse().unwrap(), 7411);
        assert_eq!(v4, mapped);
        assert_eq!(Place::from_bytes(&v4.bytes()), v4);
        assert_eq!(Place::of_entry(&v4.entry(Minute::new(5))), v4);
    }
}
