//! The batch header: what the hub signs, once per batch (rule 17).
//!
//! ```text
//! hub key 32 | number 8 | previous header 32 | leaf count 4 | height 4 | leaves root 32 | outcomes 32 | block hash 32 | time 8
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::merkle;
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{
    BatchNumber, Digest, Fixed, Height, KeyBytes, LedgerId, SignatureBytes, UnixMillis, fixed_struct,
};

/// One batch, as the hub signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The hub's signing key.
    pub hub: KeyBytes,
    /// The batch's number; the first is 1, and there are no gaps.
    pub number: BatchNumber,
    /// Digest of the previous header; zero before the first.
    pub previous: Digest,
    /// How many leaves the batch has.
    pub leaf_count: u32,
    /// Height of the newest final block that the batch knows.
    pub height: Height,
    /// Merkle root of the leaves.
    pub leaves_root: Digest,
    /// Digest of every outcome of the batch, refusals too.
    pub outcomes: Digest,
    /// Hash of the final block at `height`.
    pub block: Digest,
    /// The hub's clock when the batch was sealed.
    pub time: UnixMillis,
}
fixed_struct!(BatchHeader {
    hub: KeyBytes,
    number: BatchNumber,
    previous: Digest,
    leaf_count: u32,
    height: Height,
    leaves_root: Digest,
    outcomes: Digest,
    block: Digest,
    time: UnixMillis,
});

/// A header with the hub's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// The header.
    pub header: BatchHeader,
    /// The hub's signature over it.
    pub signature: SignatureBytes,
}
fixed_struct!(SignedHeader {
    header: BatchHeader,
    signature: SignatureBytes
});

/// Why a header or a path to a leaf proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Another key than the hub's stands in it.
    #[error("the header names another hub")]
    OtherHub,
    /// The signature is not the hub's.
    #[error("the header's signature is not the hub's")]
    BadSignature,
    /// The path does not lead from the leaf to the root.
    #[error("the path does not lead from the leaf to the header's root")]
    BadPath,
}

const HASHED_LEN: usize = 192;
const _: () = assert!(BatchHeader::LEN <= HASHED_LEN);

impl BatchHeader {
    /// The digest that the next header names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = [0; HASHED_LEN];
        self.encode_into(&mut bytes[..Self::LEN]);
        hash(Domain::Header, &bytes)
    }

    /// The byte string that the hub signs.
    #[must_use]
    pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
        let mut body = [0; Self::LEN];
        self.encode_into(&mut body);
        signed_message(ledger, SignedKind::Header, &body)
    }

    /// Signs the header. The caller has made its log record durable first (rules 16 and 19).
    #[must_use]
    pub fn sign(self, ledger: &LedgerId, key: &SecretKey) -> SignedHeader {
        SignedHeader {
            header: self,
            signature: key.sign(self.message(ledger).as_slice()),
        }
    }
}

impl SignedHeader {
    /// Checks that `hub` signed this header.
    ///
    /// # Errors
    /// [`HeaderError::OtherHub`] or [`HeaderError::BadSignature`].
    pub fn verify(&self, ledger: &LedgerId, hub: &PublicKey) -> Result<(), HeaderError> {
        if self.header.hub != hub.bytes() {
            return Err(HeaderError::OtherHub);
        }
        match verify(hub, self.header.message(ledger).as_slice(), &self.signature) {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(HeaderError::BadSignature),
        }
    }

    /// Checks that the batch holds `leaf` at `index`.
    ///
    /// # Errors
    /// [`HeaderError::BadPath`].
    pub fn check_path(&self, leaf: &Digest, index: u32, path: &[Digest]) -> Result<(), HeaderError> {
        let header = &self.header;
        if merkle::verify_path(
            merkle::RECEIPTS,
            leaf,
            index,
            header.leaf_count,
            path,
            &header.leaves_root,
        ) {
            Ok(())
        } else {
            Err(HeaderError::BadPath)
        }
    }
}
