//! The byte strings that are signed (protocol rule 1).
//!
//! ```text
//!  0        8            40     41        42
//! ┌──────────┬────────────┬──────┬─────────┬──────────────┐
//! │"TIDEGATE"│ ledger_id  │ kind │ version │ body         │
//! └──────────┴────────────┴──────┴─────────┴──────────────┘
//! ```
//!
//! The ledger's name stops replay on another ledger; the kind stops a signature for one purpose from serving another.
//! Each kind's body has one fixed width, so no two different things have the same signed bytes. A body that would be
//! too long is hashed first, by whoever defines it.

use tidegate_types::{LedgerId, SignatureBytes};

use crate::keys::SecretKey;

/// What stands in front of every signed byte string.
pub const TAG: [u8; 8] = *b"TIDEGATE";

/// The version of the layout behind the tag.
pub const VERSION: u8 = 1;

/// What a signature is for. Numbers are frozen: kinds are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SignedKind {
    /// A client state `C`, by the client.
    ClientState = 1,
    /// An acknowledgement of a leaf, by the payee.
    Ack = 2,
    /// A batch header, by the hub.
    Header = 3,
    /// A transaction, by whoever spends.
    Transaction = 4,
    /// A session's handshake, by each end's identity.
    Session = 5,
    /// The release of a lock, by the payee.
    Release = 6,
    /// The delegation of channels to a session, by the client.
    Attach = 7,
    /// The start of a close, by either side.
    StartClose = 8,
    /// A report of a fault, by whoever claims the reward.
    FaultReport = 9,
    /// A block of the settlement ledger, by its validator.
    Block = 10,
    /// That a client state is accepted, by the hub, where no leaf says so.
    StateNote = 11,
    /// That evidence may be charged to a side of a channel, by that side.
    Mandate = 12,
    /// The end of a stake, by its hub.
    Unbond = 13,
    /// That a leaf is the hub's own, by the hub, without the batch that holds it.
    LeafNote = 14,
}

/// A signed byte string, held on the stack.
#[derive(Clone, Copy)]
pub struct SignedMessage {
    len: usize,
    bytes: [u8; Self::LEN_MAX],
}

impl SignedMessage {
    /// The width of what stands in front of the body: tag, ledger, kind, version.
    pub const HEAD_LEN: usize = TAG.len() + size_of::<LedgerId>() + 2;
    /// The longest signed byte string.
    pub const LEN_MAX: usize = 320;
    /// The longest body.
    pub const BODY_LEN_MAX: usize = Self::LEN_MAX - Self::HEAD_LEN;

    /// The bytes that are signed.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for SignedMessage {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl core::fmt::Debug for SignedMessage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SignedMessage(")?;
        self.as_slice().iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, ")")
    }
}

/// The byte string that is signed for `body`.
///
/// ```
/// use tidegate_crypto::signed::{SignedKind, signed_message};
/// use tidegate_types::LedgerId;
/// let message = signed_message(&LedgerId::ZERO, SignedKind::Ack, b"body");
/// assert!(message.as_slice().starts_with(b"TIDEGATE"));
/// assert!(message.as_slice().ends_with(b"\x02\x01body"));
/// ```
///
/// # Panics
/// If `body` is longer than [`SignedMessage::BODY_LEN_MAX`]: each kind's width is a constant of the program, so the
/// caller never gets here with bytes from outside.
#[must_use]
pub fn signed_message(ledger: &LedgerId, kind: SignedKind, body: &[u8]) -> SignedMessage {
    assert!(
        body.len() <= SignedMessage::BODY_LEN_MAX,
        "a body of {} bytes is to be hashed first",
        body.len()
    );
    let mut bytes = [0; SignedMessage::LEN_MAX];
    bytes[..8].copy_from_slice(&TAG);
    bytes[8..40].copy_from_slice(ledger.as_bytes());
    bytes[40] = kind as u8;
    bytes[41] = VERSION;
    let len = SignedMessage::HEAD_LEN + body.len();
    bytes[SignedMessage::HEAD_LEN..len].copy_from_slice(body);
    SignedMessage { len, bytes }
}

/// Signs `body` as `kind` on `ledger`.
///
/// # Panics
/// As [`signed_message`].
#[must_use]
pub fn sign(secret: &SecretKey, ledger: &LedgerId, kind: SignedKind, body: &[u8]) -> SignatureBytes {
    secret.sign(signed_message(ledger, kind, body).as_slice())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signature;

    use super::*;

    const LEDGER: LedgerId = LedgerId::from_bytes([0x5a; 32]);

    #[test]
    fn the_layout_is_tag_ledger_kind_version_body() {
        let body: Vec<u8> = (0..=250_u8).cycle().take(SignedMessage::BODY_LEN_MAX).collect();
        let mut expected = b"TIDEGATE".to_vec();
        expected.extend([0x5a; 32]);
        expected.extend([3, 1]);
        expected.extend(&body);
        assert_eq!(signed_message(&LEDGER, SignedKind::Header, &body).as_slice(), expected);
        assert_eq!(
            signed_message(&LEDGER, SignedKind::Header, &[]).as_slice(),
            &expected[..42]
        );
    }

    #[test]
    #[should_panic(expected = "to be hashed first")]
    fn a_body_past_the_maximum_is_no_message() {
        let _ = signed_message(&LEDGER, SignedKind::Ack, &[0; SignedMessage::BODY_LEN_MAX + 1]);
    }

    #[test]
    fn a_signature_holds_for_one_ledger_and_one_kind() {
        let secret = SecretKey::from_seed([9; 32]);
        let signature = sign(&secret, &LEDGER, SignedKind::Ack, b"body");
        let signature = Signature::from_bytes(signature.as_bytes());
        let holds = |ledger: &LedgerId, kind, body: &[u8]| {
            let message = signed_message(ledger, kind, body);
            let public = secret.public();
            public
                .verifying_key()
                .verify_strict(message.as_slice(), &signature)
                .is_ok()
        };
        assert!(holds(&LEDGER, SignedKind::Ack, b"body"));
        assert!(!holds(&LedgerId::ZERO, SignedKind::Ack, b"body"));
        assert!(!holds(&LEDGER, SignedKind::Release, b"body"));
        assert!(!holds(&LEDGER, SignedKind::Ack, b"body\0"));
    }
}
