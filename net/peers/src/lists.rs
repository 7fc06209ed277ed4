//! Whom the operator allows and denies, whatever they do.

use std::net::{IpAddr, Ipv6Addr};

use tidegate_types::KeyBytes;

use crate::place::wide;

/// One entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The hub with this identity, in hexadecimal.
    Identity(KeyBytes),
    /// The addresses that begin like this one: `IP` or `IP/BITS`.
    Network {
        /// The network, as IPv6.
        base: Ipv6Addr,
        /// Bits that must be the same, of 128.
        bits: u8,
    },
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an identity (64 hexadecimal digits) nor an address or network (IP or IP/BITS)")]
pub struct RuleError(String);

impl core::str::FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).ok_or_else(|| RuleError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Rule> {
    if text.len() == 64
        && let Ok(identity) = text.parse()
    {
        return Some(Rule::Identity(identity));
    }
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let (width, prefix) = if ip.is_ipv4() { (32, 96) } else { (128, 0) };
    let bits = bits.unwrap_or(width);
    (bits <= width).then(|| Rule::Network {
        base: wide(ip),
        bits: prefix + bits,
    })
}

impl Rule {
    /// True if the rule names this peer.
    #[must_use]
    pub fn names(&self, identity: Option<&KeyBytes>, ip: IpAddr) -> bool {
        match self {
            Self::Identity(own) => identity == Some(own),
            Self::Network { base, bits } => {
                let differ = u128::from(*base) ^ u128::from(wide(ip.to_canonical()));
                differ.leading_zeros() >= u32::from(*bits)
            }
        }
    }
}

/// Both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// These are never banned.
    pub allow: Vec<Rule>,
    /// There are no links with these; stronger than `allow`.
    pub deny: Vec<Rule>,
    /// There are links with the allowed alone.
    pub only_allowed: bool,
}

impl Lists {
    /// True if there may be no link with this peer. What is not known yet is `None`.
    #[must_use]
    pub fn denies(&self, identity: Option<&KeyBytes>, ip: IpAddr) -> bool {
        let denied = self.deny.iter().any(|rule| rule.names(identity, ip));
        denied || (self.only_allowed && identity.is_some() && !self.allows(identity, ip))
    }

    /// True if the operator vouches for this peer.
    #[must_use]
    pub fn allows(&self, identity: Option<&KeyBytes>, ip: IpAddr) -> bool {
        self.allow.iter().any(|rule| rule.names(identity, ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_what_begins_like_them() {
        for (network, inside, outside) in [
            ("198.51.100.0/24", "198.51.100.255", "198.51.101.0"),
            ("198.51.100.7", "::ffff:198.51.100.7", "198.51.100.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("0.0.0.0/0", "9.9.9.9", "2001:db8::1"),
            ("::ffff:198.51.100.0/120", "198.51.100.9", "198.51.99.9"),
        ] {
            assert!(rule(network).names(None, ip(inside)), "{network} {inside}");
            assert!(!rule(network).names(None, ip(outside)), "{network} {outside}");
        }
        assert!(rule("::/0").names(None, ip("1.2.3.4")));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for text in [
            "",
            "x",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/",
            "1.2.3.4/-1",
            &"0g".repeat(32),
            "1.2.3/8",
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn deny_is_stronger_than_allow_and_a_closed_list_admits_nobody_else() {
        let (a, b) = (KeyBytes::from_bytes([0xaa; 32]), KeyBytes::from_bytes([0xbb; 32]));
        let mut lists = Lists {
            allow: vec![Rule::Identity(a), rule("10.0.0.0/8")],
            deny: vec![rule("10.1.0.0/16")],
            only_allowed: false,
        };
        assert!(lists.allows(Some(&a), ip("9.9.9.9")) && !lists.denies(Some(&a), ip("9.9.9.9")));
        assert!(lists.denies(Some(&a), ip("10.1.2.3")));
        assert!(!lists.denies(Some(&b), ip("9.9.9.9")));
        lists.only_allowed = true;
        assert!(lists.denies(Some(&b), ip("9.9.9.9")));
        assert!(!lists.denies(Some(&b), ip("10.2.0.1")));
        assert!(!lists.denies(None, ip("9.9.9.9")), "who it is will be known later");
    }
}
