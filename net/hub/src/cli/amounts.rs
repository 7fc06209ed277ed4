//! Texts of the command line that stand for keys, amounts and ids.

use std::path::Path;
use std::str::FromStr;

use tidegate_client::key_file::KeyFile;
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{Amount, DecodeError, KeyBytes};

use crate::error::Error;

/// A whole number of satoshi; `_` may divide digits.
pub(super) fn parse_amount(text: &str) -> Result<Amount, Error> {
    let bad = |why| Error::Amount {
        text: text.to_owned(),
        why,
    };
    let digits = text.replace('_', "");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("it is not a whole number of satoshi"));
    }
    let number = digits.parse().ok();
    number
        .and_then(Amount::from_sat)
        .ok_or_else(|| bad("it is above 2^53 satoshi"))
}

/// An amount above zero.
pub(super) fn parse_positive(text: &str) -> Result<Amount, Error> {
    let amount = parse_amount(text)?;
    if amount.is_zero() {
        return Err(Error::Amount {
            text: text.to_owned(),
            why: "it is zero",
        });
    }
    Ok(amount)
}

/// A public key: 64 hex digits, or the path of a key file.
pub(super) fn parse_key(text: &str) -> Result<KeyBytes, Error> {
    let bad = |why: String| Error::Key {
        text: text.to_owned(),
        why,
    };
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        let path = Path::new(text);
        if !path.is_file() {
            return Err(bad("it is not 64 hex digits, and there is no such file".into()));
        }
        return Ok(KeyFile::open(path)?.public());
    }
    let bytes = text.parse().map_err(|error: DecodeError| bad(error.to_string()))?;
    let key = PublicKey::register(bytes).map_err(|error| bad(error.to_string()))?;
    Ok(key.bytes())
}

/// An id in hex.
pub(super) fn parse_id<T: FromStr<Err = DecodeError>>(text: &str, kind: &'static str) -> Result<T, Error> {
    text.parse().map_err(|source| Error::Id {
        text: text.to_owned(),
        kind,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_and_in_range() {
        assert_eq!(parse_amount("1_000").unwrap().to_sat(), 1_000);
        assert_eq!(parse_amount("0").unwrap(), Amount::ZERO);
        assert!(parse_positive("0").is_err());
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e3",
            "9007199254740993",
            "99999999999999999999999",
            "sat",
        ] {
            assert!(parse_amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_that_does_not_count_is_none() {
        assert!(
            parse_key(&"00".repeat(32))
                .unwrap_err()
                .to_string()
                .contains("small order")
        );
        assert!(parse_key("abc").unwrap_err().to_string().contains("no such file"));
    }
}
