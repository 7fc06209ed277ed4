//! What other hubs have signed: each hub tells its peers its newest batch header, and whoever has heard two that contradict each
//! other holds a proof (rule 27).
//!
//! A hub that shows its clients two histories must keep every client, tower and hub that has seen one from ever comparing it with
//! who has seen the other. So the newest headers are told on, as logs of certificates are (RFC 6962, section 5.3, and the gossip
//! that it asks for).

use hashbrown::HashMap;
use tidegate_channel::SignedHeader;
use tidegate_channel::evidence::Fault;
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{KeyBytes, LedgerId};

/// Hubs whose newest header is kept.
const HUBS_MAX: usize = 1_024;

/// Why a header is not taken.
#[derive(Debug)]
pub enum Contradiction {
    /// It is not signed by the hub that it names, or names no key.
    Signature,
    /// It is older than one that was shown before.
    Older,
    /// It and an earlier one cannot both be: evidence that the ledger takes.
    Fault(Box<Fault>),
}

/// The newest header of each hub, and the proofs that two of one hub make.
#[derive(Debug)]
pub struct Witness {
    ledger: LedgerId,
    newest: HashMap<KeyBytes, SignedHeader>,
}

impl Witness {
    /// Nobody was heard yet.
    #[must_use]
    pub fn new(ledger: LedgerId) -> Self {
        Self {
            ledger,
            newest: HashMap::new(),
        }
    }

    /// Takes a header that a hub was said to have signed. The hub may be any.
    ///
    /// # Errors
    /// [`Contradiction`].
    pub fn take(&mut self, header: &SignedHeader) -> Result<(), Contradiction> {
        let hub = header.header.hub;
        let known = self.newest.get(&hub);
        if known.is_some_and(|known| known == header) {
            return Ok(());
        }
        let key = PublicKey::register(hub).map_err(|_| Contradiction::Signature)?;
        header
            .verify(&self.ledger, &key)
            .map_err(|_| Contradiction::Signature)?;
        if let Some(known) = known {
            if let Some(fault) = Fault::in_headers(*known, *header) {
                return Err(Contradiction::Fault(Box::new(fault)));
            }
            if header.header.number <= known.header.number {
                return Err(Contradiction::Older);
            }
        } else if self.newest.len() >= HUBS_MAX {
            // Whoever is heard of first keeps its place: hubs cost nothing to invent.
            return Ok(());
        }
        self.newest.insert(hub, *header);
        Ok(())
    }

    /// The newest header of a hub.
    #[must_use]
    pub fn newest(&self, hub: &KeyBytes) -> Option<&SignedHeader> {
        self.newest.get(hub)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_channel::BatchHeader;
    use tidegate_crypto::keys::SecretKey;
    use tidegate_types::{BatchNumber, Digest, Fixed, SignatureBytes};

    use super::*;

    const LEDGER: LedgerId = LedgerId::from_bytes([9; 32]);

    fn hub() -> SecretKey {
        SecretKey::from_seed([3; 32])
    }

    fn header(number: u64, previous: Digest, leaves: u32) -> SignedHeader {
        let zero = BatchHeader::decode(&[0; BatchHeader::LEN]).unwrap();
        let header = BatchHeader {
            hub: hub().public().bytes(),
            number: BatchNumber::new(number),
            previous,
            leaf_count: leaves,
            ..zero
        };
        header.sign(&LEDGER, &hub())
    }

    #[test]
    fn a_history_is_taken_and_two_histories_are_a_fault() {
        let mut witness = Witness::new(LEDGER);
        let first = header(7, Digest::ZERO, 1);
        witness.take(&first).unwrap();
        witness.take(&first).unwrap();
        let next = header(8, first.header.digest(), 1);
        witness.take(&next).unwrap();
        witness.take(&header(20, Digest::ZERO, 1)).unwrap();
        assert!(matches!(witness.take(&next), Err(Contradiction::Older)));
        assert_eq!(witness.newest(&hub().public().bytes()).unwrap().header.number.get(), 20);
        for other in [header(20, Digest::ZERO, 2), header(21, Digest::ZERO, 1)] {
            let Err(Contradiction::Fault(fault)) = witness.take(&other) else {
                panic!("two headers with one number, or one without the digest of the other")
            };
            fault.check_signatures(&LEDGER, &hub().public()).unwrap();
            fault.check_content().unwrap();
        }
    }

    #[test]
    fn what_is_not_signed_shows_nothing() {
        let mut witness = Witness::new(LEDGER);
        let good = header(7, Digest::ZERO, 1);
        let mut bad = good;
        bad.header.leaf_count = 2;
        assert!(matches!(witness.take(&bad), Err(Contradiction::Signature)));
        let mut zero = good;
        zero.signature = SignatureBytes::ZERO;
        assert!(matches!(witness.take(&zero), Err(Contradiction::Signature)));
        witness.take(&good).unwrap();
        assert!(
            matches!(witness.take(&bad), Err(Contradiction::Signature)),
            "no fault of a hub that did not sign"
        );
    }
}
