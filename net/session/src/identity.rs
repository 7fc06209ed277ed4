//! The Ed25519 identity behind a handshake.
//!
//! Noise proves that both ends hold their Noise keys and that nobody stands between. The first frame of each direction then
//! proves who that is:
//!
//! ```text
//!  0                    32                                  96
//! +--------------------+-----------------------------------+
//! | identity key       | Ed25519 signature                 |
//! +--------------------+-----------------------------------+
//!
//! signed, as kind `Session` of tidegate_crypto::signed (tag, ledger id, kind and version stand in front):
//!  0                  32      33           40              72
//! +------------------+-------+------------+---------------+
//! | handshake hash   | role  | 7 zeros    | identity key  |
//! +------------------+-------+------------+---------------+
//! ```
//!
//! The handshake hash is different in every session, so a proof is worth nothing in another one; the role keeps a peer from
//! sending one's own proof back.

use tidegate_crypto::keys::{KeyError, PublicKey, SecretKey};
use tidegate_crypto::signed::{SignedKind, sign, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{Fixed, KeyBytes, LedgerId, SignatureBytes, fixed_struct};

/// Which end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// The end that connected.
    Client = 1,
    /// The end that was connected to.
    Hub = 2,
}

impl Role {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Hub,
            Self::Hub => Self::Client,
        }
    }
}

/// Bytes of a proof.
pub(crate) const PROOF_LEN: usize = Proof::LEN;

/// The proof as it travels.
struct Proof {
    key: KeyBytes,
    signature: SignatureBytes,
}
fixed_struct!(Proof {
    key: KeyBytes,
    signature: SignatureBytes
});

/// What is signed.
struct Claim {
    handshake_hash: [u8; 32],
    role: u8,
    key: KeyBytes,
}
fixed_struct!(Claim { handshake_hash: [u8; 32], role: u8, pad 7, key: KeyBytes });

/// Why a peer's proof is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The frame is not as long as a proof.
    #[error("an identity proof of {len} bytes")]
    Length {
        /// Bytes of plaintext that came.
        len: usize,
    },
    /// The key does not satisfy rule 3.
    #[error("an identity key that does not count: {0}")]
    Key(#[from] KeyError),
    /// The signature is not this key's, or not of this session, role or ledger.
    #[error("an identity signature that does not hold")]
    Signature,
    /// The hub proved an identity, and it is not the one in its address.
    #[error("the hub is {found}, its address says {expected}")]
    OtherHub {
        /// The identity in the address.
        expected: KeyBytes,
        /// The identity that was claimed.
        found: KeyBytes,
    },
}

/// What both ends of one session know and sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub(crate) ledger: LedgerId,
    pub(crate) handshake_hash: [u8; 32],
}

impl Binding {
    fn claim(&self, role: Role, key: KeyBytes) -> Vec<u8> {
        let claim = Claim {
            handshake_hash: self.handshake_hash,
            role: role as u8,
            key,
        };
        claim.to_vec()
    }

    /// The proof that `secret` stands behind the end `role`.
    pub(crate) fn prove(&self, role: Role, secret: &SecretKey) -> [u8; PROOF_LEN] {
        let key = secret.public().bytes();
        let signature = sign(secret, &self.ledger, SignedKind::Session, &self.claim(role, key));
        let mut bytes = [0; PROOF_LEN];
        Proof { key, signature }.encode_into(&mut bytes);
        bytes
    }

    /// The identity behind the end `role`, which must be `expected` if that is known.
    pub(crate) fn check(
        &self,
        role: Role,
        expected: Option<&PublicKey>,
        bytes: &[u8],
    ) -> Result<PublicKey, IdentityError> {
        let proof = Proof::decode(bytes).map_err(|_| IdentityError::Length { len: bytes.len() })?;
        let key = match expected {
            Some(key) if key.bytes() == proof.key => *key,
            Some(key) => {
                return Err(IdentityError::OtherHub {
                    expected: key.bytes(),
                    found: proof.key,
                });
            }
            None => PublicKey::register(proof.key)?,
        };
        let message = signed_message(&self.ledger, SignedKind::Session, &self.claim(role, proof.key));
        match verify(&key, message.as_slice(), &proof.signature) {
            Verdict::Valid => Ok(key),
            Verdict::Invalid => Err(IdentityError::Signature),
        }
    }
}
