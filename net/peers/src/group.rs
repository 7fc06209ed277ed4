//! What one operator of a network is likely to hold many addresses of.

use std::net::IpAddr;

/// A /16 of IPv4 or a /32 of IPv6: what stands for independence when links and buckets are chosen.
///
/// The widths are those of Bitcoin Core's address manager: narrower ones are cheap to hold many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group([u8; 5]);

impl Group {
    /// The group of an address; an IPv4 address written as IPv6 is IPv4.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                Self([4, a, b, 0, 0])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.octets();
                Self([6, a, b, c, d])
            }
        }
    }

    pub(crate) const fn bytes(self) -> [u8; 5] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_group_however_they_are_written() {
        let of = |text: &str| Group::of(text.parse().unwrap());
        assert_eq!(of("198.51.1.1"), of("198.51.200.9"));
        assert_eq!(of("198.51.1.1"), of("::ffff:198.51.7.7"));
        assert_ne!(of("198.51.1.1"), of("198.52.1.1"));
        assert_eq!(of("2001:db8:1::1"), of("2001:db8:ffff::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db9::1"));
        // The first bytes alone do not make an IPv6 network one of IPv4.
        assert_ne!(of("198.51.0.0"), of("c633::"));
    }
}
