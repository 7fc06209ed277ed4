//! A hub's address: who it is, how to speak to it in secret, and where.
//!
//! ```text
//! tg1… @ host : port        bech32m, prefix "tg", of   Ed25519 identity 32 ‖ Noise static key 32
//! ```

use core::fmt;
use core::str::FromStr;

use bech32::primitives::decode::{CheckedHrpstring, CheckedHrpstringError};
use bech32::{Bech32m, Hrp};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_session::NoiseKey;
use tidegate_types::KeyBytes;

const PREFIX: Hrp = Hrp::parse_unchecked("tg");
const KEYS_LEN: usize = 64;

/// Where a hub is, and the keys by which it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAddress {
    /// Proves the hub's end of a session; not the key that signs batches.
    pub identity: PublicKey,
    /// The hub's Noise key.
    pub noise: NoiseKey,
    /// A name or an IP address, an IPv6 address in brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no hub address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Keys and place are not divided by `@`.
    #[error("a hub address has the form tg1…@HOST:PORT; this one has no '@'")]
    NoAt,
    /// The place has no port.
    #[error("no port behind '{0}': a hub address ends in @HOST:PORT")]
    NoPort(String),
    /// The port is not a number from 1 to 65 535.
    #[error("'{0}' is no port number")]
    Port(String),
    /// There is no host.
    #[error("no host between '@' and the port")]
    NoHost,
    /// The keys do not decode; most likely a character was mistyped or lost.
    #[error("the part before '@' is damaged: {0}")]
    Keys(#[from] CheckedHrpstringError),
    /// Something else in the same encoding.
    #[error("the part before '@' begins with '{0}1', a hub's with 'tg1'")]
    Prefix(String),
    /// Another number of bytes.
    #[error("the part before '@' holds {0} bytes instead of {KEYS_LEN}")]
    Length(usize),
    /// The identity is no key that counts.
    #[error("the hub's identity in the address is not valid: {0}")]
    Identity(#[from] KeyError),
}

impl FromStr for HubAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (keys, place) = text.trim().split_once('@').ok_or(AddressError::NoAt)?;
        let (identity, noise) = parse_keys(keys)?;
        let (host, port) = place
            .rsplit_once(':')
            .ok_or_else(|| AddressError::NoPort(place.to_owned()))?;
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let number = port.parse().ok().filter(|&number| number != 0);
        Ok(Self {
            identity,
            noise,
            host: host.to_owned(),
            port: number.ok_or_else(|| AddressError::Port(port.to_owned()))?,
        })
    }
}

fn parse_keys(text: &str) -> Result<(PublicKey, NoiseKey), AddressError> {
    let checked = CheckedHrpstring::new::<Bech32m>(text)?;
    if checked.hrp() != PREFIX {
        return Err(AddressError::Prefix(checked.hrp().to_lowercase()));
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    let both: [u8; KEYS_LEN] = bytes.try_into().map_err(|b: Vec<u8>| AddressError::Length(b.len()))?;
    let (identity, noise) = both.split_at(32);
    let half = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("half of 64 bytes");
    let identity = PublicKey::register(KeyBytes::from_bytes(half(identity)))?;
    Ok((identity, NoiseKey::from_bytes(half(noise))))
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; KEYS_LEN];
        bytes[..32].copy_from_slice(self.identity.bytes().as_bytes());
        bytes[32..].copy_from_slice(self.noise.as_bytes());
        let keys = bech32::encode_lower::<Bech32m>(PREFIX, &bytes).map_err(|_| fmt::Error)?;
        write!(f, "{keys}@{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_crypto::keys::SecretKey;
    use tidegate_session::NoiseSecret;

    use super::*;

    fn sample() -> HubAddress {
        HubAddress {
            identity: SecretKey::from_seed([1; 32]).public(),
            noise: NoiseSecret::from_bytes([2; 32]).public(),
            host: "hub.example".into(),
            port: 7411,
        }
    }

    #[test]
    fn an_address_reads_back() {
        let text = sample().to_string();
        assert!(text.starts_with("tg1") && text.ends_with("@hub.example:7411"), "{text}");
        assert_eq!(text.parse(), Ok(sample()));
        let six = HubAddress {
            host: "[::1]".into(),
            ..sample()
        };
        assert_eq!(six.to_string().parse(), Ok(six));
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let text = sample().to_string();
        let keys = text.split_once('@').unwrap().0.len();
        for at in 0..keys {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed.parse::<HubAddress>().is_err(), "{changed}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let text = sample().to_string();
        let keys = text.split_once('@').unwrap().0;
        let error = |text: String| text.parse::<HubAddress>().unwrap_err();
        assert_eq!(error(keys.into()), AddressError::NoAt);
        assert_eq!(error(format!("{keys}@host")), AddressError::NoPort("host".into()));
        assert_eq!(error(format!("{keys}@host:x")), AddressError::Port("x".into()));
        assert_eq!(error(format!("{keys}@host:0")), AddressError::Port("0".into()));
        assert_eq!(error(format!("{keys}@:1")), AddressError::NoHost);
        let short = bech32::encode::<Bech32m>(PREFIX, &[3; 63]).unwrap();
        assert_eq!(error(format!("{short}@h:1")), AddressError::Length(63));
        let other = bech32::encode::<Bech32m>(Hrp::parse_unchecked("bc"), &[3; 64]).unwrap();
        assert_eq!(error(format!("{other}@h:1")), AddressError::Prefix("bc".into()));
        let bad_key = bech32::encode::<Bech32m>(PREFIX, &[0; 64]).unwrap();
        assert_eq!(
            error(format!("{bad_key}@h:1")),
            AddressError::Identity(KeyError::SmallOrder)
        );
        let old = bech32::encode::<bech32::Bech32>(PREFIX, &[1; 64]).unwrap();
        assert!(
            matches!(error(format!("{old}@h:1")), AddressError::Keys(_)),
            "bech32 is not bech32m"
        );
    }
}
