//! Headers that were verified: a batch has one signature, and thousands of receipts bring it.

use std::sync::{Mutex, PoisonError};

use tidegate_channel::{HeaderError, SignedHeader};
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{BatchNumber, DecodeError, Fixed, LedgerId};
use tidegate_wire::lengths::SIGNED_HEADER_LEN;

/// How many batches are remembered. Receipts of one batch arrive close together.
const SLOTS: usize = 256;

/// A header whose signature was found to be the hub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedHeader(SignedHeader);

impl VerifiedHeader {
    /// The header with its signature.
    #[must_use]
    pub const fn signed(&self) -> &SignedHeader {
        &self.0
    }
}

/// Why a header is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderCheckError {
    /// The bytes are no header.
    #[error("the header does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// Another hub's, or not signed by it.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The hub has signed two headers with one number: a fault that its stake answers for (rule 27).
    #[error("the hub has signed two different headers for batch {number}")]
    TwoHeaders {
        /// The batch.
        number: BatchNumber,
        /// The header that came first, and the one that came now.
        headers: Box<[[u8; SIGNED_HEADER_LEN]; 2]>,
    },
}

/// The headers of one hub that were verified lately. Shared by all connections of a process, so that each is verified once.
///
/// A header counts as known only if all of its 248 bytes, the signature among them, are those that were verified.
#[derive(Debug)]
pub struct HeaderCache {
    ledger: LedgerId,
    hub: PublicKey,
    slots: Box<[Mutex<Option<[u8; SIGNED_HEADER_LEN]>>]>,
}

impl HeaderCache {
    /// A cache for the hub whose batches `hub` signs.
    #[must_use]
    pub fn new(ledger: LedgerId, hub: PublicKey) -> Self {
        Self {
            ledger,
            hub,
            slots: (0..SLOTS).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// The ledger that the headers are signed for.
    #[must_use]
    pub const fn ledger(&self) -> &LedgerId {
        &self.ledger
    }

    /// The key that signs them.
    #[must_use]
    pub const fn hub(&self) -> &PublicKey {
        &self.hub
    }

    /// Checks a header, or recognises it.
    ///
    /// # Errors
    /// [`HeaderCheckError`].
    pub fn verify(&self, bytes: &[u8; SIGNED_HEADER_LEN]) -> Result<VerifiedHeader, HeaderCheckError> {
        let signed = SignedHeader::decode(bytes)?;
        let number = signed.header.number;
        let at = usize::try_from(number.get() % SLOTS as u64).expect("below 256");
        // A poisoned slot still holds a whole header or none: it is written in one assignment.
        let mut slot = self.slots[at].lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref() == Some(bytes) {
            return Ok(VerifiedHeader(signed));
        }
        // Under the lock, so that those who come with the same header wait for one verification instead of each making it.
        signed.verify(&self.ledger, &self.hub)?;
        if let Some(known) = slot.as_ref()
            && let Ok(other) = SignedHeader::decode(known)
            && other.header.number == number
            && other.header != signed.header
        {
            return Err(HeaderCheckError::TwoHeaders {
                number,
                headers: Box::new([*known, *bytes]),
            });
        }
        *slot = Some(*bytes);
        Ok(VerifiedHeader(signed))
    }
}

#[cfg(test)]
mod tests {
    use tidegate_channel::BatchHeader;
    use tidegate_crypto::keys::SecretKey;
    use tidegate_types::{Digest, Height, UnixMillis};

    use super::*;

    const LEDGER: LedgerId = LedgerId::from_bytes([5; 32]);

    fn header(key: &SecretKey, number: u64, time: u64) -> [u8; SIGNED_HEADER_LEN] {
        let header = BatchHeader {
            hub: key.public().bytes(),
            number: BatchNumber::new(number),
            previous: Digest::ZERO,
            leaf_count: 1,
            height: Height::new(1),
            leaves_root: Digest::ZERO,
            outcomes: Digest::ZERO,
            block: Digest::ZERO,
            time: UnixMillis::new(time),
        };
        header.sign(&LEDGER, key).to_vec().try_into().unwrap()
    }

    #[test]
    fn a_known_header_counts_only_byte_for_byte() {
        let key = SecretKey::from_seed([1; 32]);
        let cache = HeaderCache::new(LEDGER, key.public());
        let good = header(&key, 7, 1);
        assert!(cache.verify(&good).is_ok() && cache.verify(&good).is_ok());
        for at in 0..good.len() {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(cache.verify(&bad).is_err(), "byte {at}");
        }
        assert!(cache.verify(&good).is_ok(), "refusals leave the cache as it was");
        assert!(
            cache.verify(&header(&key, 7 + SLOTS as u64, 1)).is_ok(),
            "another batch takes the slot"
        );
        let other = SecretKey::from_seed([2; 32]);
        assert_eq!(cache.verify(&header(&other, 8, 1)), Err(HeaderError::OtherHub.into()));
    }

    #[test]
    fn two_headers_with_one_number_are_kept_as_evidence() {
        let key = SecretKey::from_seed([1; 32]);
        let cache = HeaderCache::new(LEDGER, key.public());
        let (first, second) = (header(&key, 7, 1), header(&key, 7, 2));
        cache.verify(&first).unwrap();
        let Err(HeaderCheckError::TwoHeaders { number, headers }) = cache.verify(&second) else {
            panic!("a second header for batch 7 was believed");
        };
        assert_eq!((number.get(), *headers), (7, [first, second]));
    }
}
