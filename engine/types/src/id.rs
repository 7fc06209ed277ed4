//! Identifiers and opaque bytes.

use core::fmt;

use crate::codec::{DecodeError, Fixed, Reader, Writer};

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident($len:literal)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(transparent)]
        pub struct $name([u8; $len]);

        impl $name {
            /// All bytes zero.
            pub const ZERO: Self = Self([0; $len]);

            /// The value of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// True if every byte is zero.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                self.0 == [0; $len]
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl core::str::FromStr for $name {
            type Err = DecodeError;

            /// Reads lower- or upper-case hex of exactly the right length.
            fn from_str(text: &str) -> Result<Self, DecodeError> {
                let mut bytes = [0; $len];
                parse_hex(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Fixed for $name {
            const LEN: usize = $len;

            fn write(&self, w: &mut Writer<'_>) {
                w.bytes(&self.0);
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(r.array()?))
            }
        }
    };
}

fn parse_hex(text: &str, out: &mut [u8]) -> Result<(), DecodeError> {
    let digits = text.as_bytes();
    if digits.len() < out.len() * 2 {
        return Err(DecodeError::Truncated);
    }
    if digits.len() > out.len() * 2 {
        return Err(DecodeError::TrailingBytes {
            count: digits.len() - out.len() * 2,
        });
    }
    for (byte, pair) in out.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |c: u8| {
            char::from(c).to_digit(16).ok_or(DecodeError::UnknownValue {
                field: "hex digit",
                value: c.into(),
            })
        };
        let value = digit(pair[0])? * 16 + digit(pair[1])?;
        *byte = u8::try_from(value).map_err(|_| DecodeError::OutOfRange { field: "hex digit" })?;
    }
    Ok(())
}

bytes!(
    /// A BLAKE3 hash under one of the domains of `tidegate_crypto::hash`.
    Digest(32)
);
bytes!(
    /// The settlement ledger's name: the hash of its genesis.
    LedgerId(32)
);
bytes!(
    /// A channel's name: the hash of its funding outpoint and its parameters; never reused.
    ChannelId(32)
);
bytes!(
    /// A transaction's name: the hash of its body without witnesses.
    Txid(32)
);
bytes!(
    /// One lock's name: the hash of the payer's channel, the counter of the adding state, the slot and the content.
    LockId(32)
);
bytes!(
    /// The payer's idempotency key, scoped to its channel and never reused by it (rule 5). Chosen at random, so that a
    /// lock id that covers it cannot be guessed.
    PaymentId(16)
);
bytes!(
    /// The 32 bytes of an Ed25519 public key as they came, valid or not; `tidegate_crypto::PublicKey` is the checked form.
    KeyBytes(32)
);
bytes!(
    /// The 64 bytes of an Ed25519 signature as they came, valid or not.
    SignatureBytes(64)
);

/// One output of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutPoint {
    /// The transaction.
    pub txid: Txid,
    /// The index of the output in it.
    pub vout: u32,
}
crate::fixed_struct!(OutPoint { txid: Txid, vout: u32 });

impl fmt::Display for OutPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.txid, self.vout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_reads_back_and_refuses_the_rest() {
        let id = PaymentId::from_bytes([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<PaymentId>(), Err(DecodeError::Truncated));
        assert_eq!(
            "g5".repeat(16).parse::<PaymentId>(),
            Err(DecodeError::UnknownValue {
                field: "hex digit",
                value: 103
            })
        );
        assert_eq!(
            "a5".repeat(17).parse::<PaymentId>(),
            Err(DecodeError::TrailingBytes { count: 2 })
        );
    }
}
