//! Acknowledgements, and the pairs (counter, digest) that they name.

use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{ChannelId, ClientCounter, Digest, Fixed, HubCounter, LedgerId, SignatureBytes, fixed_struct};

/// A leaf, named by its counter and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafRef {
    /// The leaf's counter `h`.
    pub counter: HubCounter,
    /// Its digest.
    pub digest: Digest,
}
fixed_struct!(LeafRef {
    counter: HubCounter,
    digest: Digest
});

/// A client state, named by its counter and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRef {
    /// The state's counter `c`.
    pub counter: ClientCounter,
    /// Its digest.
    pub digest: Digest,
}
fixed_struct!(StateRef {
    counter: ClientCounter,
    digest: Digest
});

/// "I hold this leaf of the channel, checked, and every leaf before it" (rule 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The channel.
    pub channel: ChannelId,
    /// The leaf.
    pub leaf: LeafRef,
}
fixed_struct!(Ack {
    channel: ChannelId,
    leaf: LeafRef
});

impl Ack {
    /// The byte string that the client signs.
    #[must_use]
    pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
        let mut body = [0; Self::LEN];
        self.encode_into(&mut body);
        signed_message(ledger, SignedKind::Ack, &body)
    }

    /// The client's signature.
    #[must_use]
    pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
        key.sign(self.message(ledger).as_slice())
    }

    /// The verdict of rule 4 on a signature of this ack.
    #[must_use]
    pub fn verify(&self, ledger: &LedgerId, key: &PublicKey, signature: &SignatureBytes) -> Verdict {
        verify(key, self.message(ledger).as_slice(), signature)
    }
}
