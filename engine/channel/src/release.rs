//! A payee gives up an in-lock for good, outside any state (rule 13): channel 32 | lock id 32.

use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{ChannelId, Fixed, LedgerId, LockId, SignatureBytes, fixed_struct};

/// "I shall never claim this lock."
///
/// It binds for ever, on the ledger too: a client that has signed it must not reveal the preimage of this lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The payee's channel.
    pub channel: ChannelId,
    /// The lock.
    pub lock: LockId,
}
fixed_struct!(Release {
    channel: ChannelId,
    lock: LockId
});

impl Release {
    /// The byte string that the payee signs.
    #[must_use]
    pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
        let mut body = [0; Self::LEN];
        self.encode_into(&mut body);
        signed_message(ledger, SignedKind::Release, &body)
    }

    /// The payee's signature.
    #[must_use]
    pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
        key.sign(self.message(ledger).as_slice())
    }

    /// The verdict of rule 4 on a signature of this release.
    #[must_use]
    pub fn verify(&self, ledger: &LedgerId, key: &PublicKey, signature: &SignatureBytes) -> Verdict {
        verify(key, self.message(ledger).as_slice(), signature)
    }
}
