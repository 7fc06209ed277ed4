//! A client lends channels to a session of another key, until a height (section 8, `Attach`).
//!
//! ```text
//! identity 32 | expiry 4 | channels 4 | hash(Attach, channels × 32) 32                          72 bytes
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{ChannelId, Digest, Fixed, Height, KeyBytes, LedgerId, SignatureBytes, fixed_struct};

/// What the client signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The identity of the session that may carry the channels.
    pub identity: KeyBytes,
    /// The last height at which it may.
    pub expiry: Height,
    /// How many channels.
    pub count: u32,
    /// Digest of their names, in the order in which they are listed.
    pub channels: Digest,
}
fixed_struct!(Delegation {
    identity: KeyBytes,
    expiry: Height,
    count: u32,
    channels: Digest
});

impl Delegation {
    /// The delegation of these channels.
    ///
    /// # Panics
    /// At 2³² channels and above.
    #[must_use]
    pub fn new(identity: KeyBytes, expiry: Height, channels: &[ChannelId]) -> Self {
        let names: Vec<u8> = channels.iter().flat_map(|channel| *channel.as_bytes()).collect();
        Self {
            identity,
            expiry,
            count: u32::try_from(channels.len()).expect("a message holds fewer"),
            channels: hash(Domain::Attach, &names),
        }
    }

    /// The byte string that the client signs.
    #[must_use]
    pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
        let mut body = [0; Self::LEN];
        self.encode_into(&mut body);
        signed_message(ledger, SignedKind::Attach, &body)
    }

    /// The client's signature.
    #[must_use]
    pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
        key.sign(self.message(ledger).as_slice())
    }

    /// The verdict of rule 4 on a signature of this delegation.
    #[must_use]
    pub fn verify(&self, ledger: &LedgerId, key: &PublicKey, signature: &SignatureBytes) -> Verdict {
        verify(key, self.message(ledger).as_slice(), signature)
    }
}
