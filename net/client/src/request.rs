//! A payment request: what a payee asks for, as a text that can be copied, printed or scanned.
//!
//! ```text
//! tgr1…     bech32m, prefix "tgr", of
//!
//!   0 version u8 = 1     1 condition u8: 1 Ack, 2 Hash     2 zeros ×6
//!   8 amount u64, satoshi; 0: the payer chooses
//!  16 expiry u64, Unix milliseconds; 0: none
//!  24 ledger 32    56 hub 32    88 payee's key 32    120 payee's channel 32
//! 152 payment hash 32, only of a Hash request
//! ```
//!
//! In a text as long as this one the checksum misses one damage in 2³⁰, so the payer is shown the amount beside it. A request is not signed: who can change it on
//! its way could as well have written one.

use core::fmt;
use core::str::FromStr;

use bech32::primitives::decode::{CheckedHrpstring, CheckedHrpstringError};
use bech32::{Bech32m, Hrp};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_types::{
    Amount, ChannelId, DecodeError, Digest, Fixed, KeyBytes, LedgerId, Reader, UnixMillis, fixed_struct,
};

const PREFIX: Hrp = Hrp::parse_unchecked("tgr");
const VERSION: u8 = 1;
const BY_ACK: u8 = 1;
const BY_HASH: u8 = 2;

/// What has to happen for the payee to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestCondition {
    /// The payee acknowledges: within one hub.
    Ack,
    /// The payee shows the preimage of this SHA-256 hash.
    Hash(Digest),
}

/// What a payee asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentRequest {
    /// The ledger under the payee's channel.
    pub ledger: LedgerId,
    /// The hub of the payee's channel.
    pub hub: KeyBytes,
    /// The payee's key.
    pub payee: KeyBytes,
    /// The payee's channel.
    pub channel: ChannelId,
    /// What the payee receives; `None` leaves it to the payer.
    pub amount: Option<Amount>,
    /// How the payment is made good.
    pub condition: RequestCondition,
    /// Not to be paid after this time.
    pub expires: Option<UnixMillis>,
}

/// Why a text is no payment request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It does not decode; most likely a character was mistyped or lost.
    #[error("the request is damaged: {0}")]
    Text(#[from] CheckedHrpstringError),
    /// Something else in the same encoding.
    #[error("it begins with '{0}1', a payment request with 'tgr1'")]
    Prefix(String),
    /// Its content does not decode.
    #[error("the request does not decode: {0}")]
    Content(#[from] DecodeError),
    /// The payee's key is none that counts.
    #[error("the payee's key in the request is not valid: {0}")]
    Payee(#[from] KeyError),
}

struct Plain {
    version: u8,
    condition: u8,
    amount: Amount,
    expires: UnixMillis,
    ledger: LedgerId,
    hub: KeyBytes,
    payee: KeyBytes,
    channel: ChannelId,
}
fixed_struct!(Plain {
    version: u8,
    condition: u8,
    pad 6,
    amount: Amount,
    expires: UnixMillis,
    ledger: LedgerId,
    hub: KeyBytes,
    payee: KeyBytes,
    channel: ChannelId,
});

impl PaymentRequest {
    /// True if it is not to be paid any more at `now`.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|expires| now > expires)
    }

    fn to_bytes(self) -> Vec<u8> {
        let plain = Plain {
            version: VERSION,
            condition: match self.condition {
                RequestCondition::Ack => BY_ACK,
                RequestCondition::Hash(_) => BY_HASH,
            },
            amount: self.amount.unwrap_or(Amount::ZERO),
            expires: self.expires.unwrap_or(UnixMillis::ZERO),
            ledger: self.ledger,
            hub: self.hub,
            payee: self.payee,
            channel: self.channel,
        };
        let mut bytes = plain.to_vec();
        if let RequestCondition::Hash(hash) = self.condition {
            hash.append_to(&mut bytes);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RequestError> {
        let unknown = |field, value: u8| DecodeError::UnknownValue {
            field,
            value: value.into(),
        };
        let mut r = Reader::new(bytes);
        // Before the rest is looked at: a later version may be laid out otherwise.
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(unknown("request version", other).into()),
            None => return Err(DecodeError::Truncated.into()),
        }
        let plain = <Plain as Fixed>::read(&mut r)?;
        let condition = match plain.condition {
            BY_ACK => RequestCondition::Ack,
            BY_HASH => RequestCondition::Hash(Digest::read(&mut r)?),
            other => return Err(unknown("request condition", other).into()),
        };
        r.finish()?;
        PublicKey::register(plain.payee)?;
        Ok(Self {
            ledger: plain.ledger,
            hub: plain.hub,
            payee: plain.payee,
            channel: plain.channel,
            amount: Some(plain.amount).filter(|amount| !amount.is_zero()),
            condition,
            expires: Some(plain.expires).filter(|expires| *expires != UnixMillis::ZERO),
        })
    }
}

impl fmt::Display for PaymentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode_lower::<Bech32m>(PREFIX, &self.to_bytes()).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for PaymentRequest {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let checked = CheckedHrpstring::new::<Bech32m>(text.trim())?;
        if checked.hrp() != PREFIX {
            return Err(RequestError::Prefix(checked.hrp().to_lowercase()));
        }
        Self::from_bytes(&checked.byte_iter().collect::<Vec<u8>>())
    }
}

#[cfg(test)]
mod tests {
    use tidegate_crypto::keys::SecretKey;

    use super::*;

    fn request() -> PaymentRequest {
        PaymentRequest {
            ledger: LedgerId::from_bytes([1; 32]),
            hub: KeyBytes::from_bytes([2; 32]),
            payee: SecretKey::from_seed([3; 32]).public().bytes(),
            channel: ChannelId::from_bytes([4; 32]),
            amount: Amount::from_sat(2_500),
            condition: RequestCondition::Ack,
            expires: Some(UnixMillis::new(1_700_000_000_000)),
        }
    }

    #[test]
    fn requests_read_back() {
        let hash = RequestCondition::Hash(Digest::from_bytes([5; 32]));
        for request in [
            request(),
            PaymentRequest {
                amount: None,
                expires: None,
                condition: hash,
                ..request()
            },
        ] {
            let text = request.to_string();
            assert!(text.starts_with("tgr1"), "{text}");
            assert_eq!(text.parse(), Ok(request));
            assert_eq!(text.to_uppercase().parse(), Ok(request), "as a QR code spells it");
        }
        assert!(request().is_expired(UnixMillis::new(1_700_000_000_001)));
        assert!(!request().is_expired(UnixMillis::new(1_700_000_000_000)));
    }

    /// The text of one request, frozen: version 1 never looks otherwise.
    #[test]
    fn the_text_is_frozen() {
        assert_eq!(request().to_string(), FROZEN);
    }
    const FROZEN: &str = "tgr1qyqsqqqqqqqqp3qfqqqqqqqqqqqx3ew03vqsqqqpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszq\
         gpqypqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpq9m2f9rrz35wzcm4wjqecjpve2cfftynn5hrr\
         lymrds2xzjkgwd73qszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszq9gu0zw";

    #[test]
    fn no_changed_character_reads() {
        let text = request().to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'q' { b'p' } else { b'q' };
            let bent = String::from_utf8(bytes).expect("ASCII");
            assert!(bent.parse::<PaymentRequest>().is_err(), "character {at}");
        }
        for len in 0..text.len() {
            assert!(text[..len].parse::<PaymentRequest>().is_err(), "{len} characters");
        }
        let address = bech32::encode_lower::<Bech32m>(Hrp::parse_unchecked("tg"), &request().to_bytes());
        let prefix = address.expect("short enough").parse::<PaymentRequest>();
        assert_eq!(prefix, Err(RequestError::Prefix("tg".to_owned())));
    }

    #[test]
    fn content_of_another_version_condition_or_width_is_refused() {
        let bytes = request().to_bytes();
        let bend = |at: usize, value: u8| {
            let mut bent = bytes.clone();
            bent[at] = value;
            PaymentRequest::from_bytes(&bent)
        };
        assert!(bend(0, 2).is_err() && bend(1, 0).is_err() && bend(1, 2).is_err() && bend(2, 1).is_err());
        assert!(matches!(bend(88, 0xff), Err(RequestError::Payee(_)) | Ok(_)));
        assert!(PaymentRequest::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        let zero_key = PaymentRequest {
            payee: KeyBytes::ZERO,
            ..request()
        };
        assert!(matches!(
            zero_key.to_string().parse::<PaymentRequest>(),
            Err(RequestError::Payee(_))
        ));
    }
}
