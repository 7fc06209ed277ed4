//! Locks that closes have turned into outputs (rule 26), as a wallet sees them: which are its own by now, and the transaction
//! that takes one.
//!
//! ```text
//! claim    the payee's: by the preimage up to the expiry, or without time limit once that stands on the ledger
//! refund   the payer's: above the expiry, if it does not
//! ```

use tidegate_channel::evidence::Side;
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{LockCondition, LockProof, LockTerms, Output, Transaction, TransactionBody, Witness};
use tidegate_types::{Amount, DecodeError, Fixed as _, Height, KeyBytes, LedgerId, OutPoint};
use tidegate_wire::messages as wire;

/// One lock output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOutput {
    /// Which.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
    /// Who claims it by what, and who gets it back.
    pub terms: LockTerms,
    /// The preimage, if it stands on the ledger, and since when.
    pub revealed: Option<([u8; 32], Height)>,
}

/// What a wallet can do about a lock output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is met: the wallet takes it by this.
    Claim(LockProof),
    /// Nobody has met it in time: the wallet takes it back. Of a lock that waited for an ack the ledger may say later.
    Refund,
    /// The wallet has it by the preimage, in a block up to this height.
    NeedsPreimage(Height),
    /// The wallet has it back above this height, unless it is met.
    Expires(Height),
    /// It is met, and the other side's.
    Met,
    /// Nobody has met it in time: it is the other side's.
    Expired,
}

impl LockOutput {
    /// Reads one as the ledger tells it. A preimage that does not meet the hash is none.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn of(told: &wire::LockOutput) -> Result<Self, DecodeError> {
        let terms = LockTerms::decode(&told.terms)?;
        let known = Some((told.preimage, told.revealed)).filter(|(preimage, since)| {
            let meets = terms.condition == LockCondition::Hash(payment_hash(preimage));
            meets && *since > Height::ZERO
        });
        Ok(Self {
            outpoint: told.outpoint,
            amount: told.amount,
            terms,
            revealed: known,
        })
    }

    /// Whose lock it was in the channel, for the holder of `key`: its own payment, or one to it. `None` if it is neither's.
    #[must_use]
    pub fn side(&self, key: &KeyBytes) -> Option<Side> {
        if self.terms.claim == *key {
            return Some(Side::Hub);
        }
        (self.terms.refund == *key).then_some(Side::Client)
    }

    /// What the holder of `key`, who knows these preimages, can do in the block above `height`; `None` if it is not concerned.
    #[must_use]
    pub fn standing(&self, key: &KeyBytes, preimages: &[[u8; 32]], height: Height) -> Option<Standing> {
        let expiry = self.terms.expiry;
        let is_met = self.revealed.is_some_and(|(_, since)| since <= expiry);
        let over = height >= expiry;
        Some(match (self.side(key)?, self.terms.condition) {
            (Side::Hub, LockCondition::Hash(_)) if is_met => Standing::Claim(LockProof::Recorded),
            (Side::Hub, _) if over => Standing::Expired,
            (Side::Hub, LockCondition::Hash(hash)) => {
                let known = preimages.iter().find(|preimage| payment_hash(preimage) == hash);
                known.map_or(Standing::NeedsPreimage(expiry), |preimage| {
                    Standing::Claim(LockProof::Preimage(*preimage))
                })
            }
            // What an ack covers is for a hub to show.
            (Side::Hub, LockCondition::Ack { .. }) => Standing::NeedsPreimage(expiry),
            (Side::Client, _) if is_met => Standing::Met,
            (Side::Client, _) if over => Standing::Refund,
            (Side::Client, _) => Standing::Expires(expiry),
        })
    }

    /// The transaction that pays it to `key`, less `fee`; `None` if nothing would be left, or if it is not the key's now.
    #[must_use]
    pub fn spend(&self, ledger: &LedgerId, key: &SecretKey, standing: &Standing, fee: Amount) -> Option<Transaction> {
        let left = self.amount.sub(fee).ok().filter(|left| !left.is_zero())?;
        let outputs = vec![Output::to_key(left, key.public().bytes())];
        let body = TransactionBody::plain(vec![self.outpoint], outputs);
        let signature = body.sign(ledger, key);
        let witness = match standing {
            Standing::Claim(proof) => Witness::LockClaim {
                proof: proof.clone(),
                signature,
            },
            Standing::Refund => Witness::LockRefund(signature),
            Standing::NeedsPreimage(_) | Standing::Expires(_) | Standing::Met | Standing::Expired => return None,
        };
        Some(Transaction {
            body,
            witnesses: vec![witness],
        })
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::Txid;

    use super::*;

    const EXPIRY: u32 = 50;
    const PREIMAGE: [u8; 32] = [3; 32];

    fn key(n: u8) -> KeyBytes {
        KeyBytes::from_bytes([n; 32])
    }

    fn lock(revealed: Option<u32>) -> LockOutput {
        let mut terms = [0; tidegate_wire::lengths::LOCK_TERMS_LEN];
        let content = LockTerms {
            condition: LockCondition::Hash(payment_hash(&PREIMAGE)),
            claim: key(1),
            refund: key(2),
            expiry: Height::new(EXPIRY),
        };
        content.encode_into(&mut terms);
        let told = wire::LockOutput {
            outpoint: OutPoint {
                txid: Txid::ZERO,
                vout: 0,
            },
            amount: Amount::from_sat(1_000).expect("small"),
            terms,
            revealed: Height::new(revealed.unwrap_or_default()),
            preimage: if revealed.is_some() { PREIMAGE } else { [0; 32] },
        };
        LockOutput::of(&told).expect("it was encoded here")
    }

    fn standings(lock: &LockOutput, height: u32) -> [Option<Standing>; 4] {
        let height = Height::new(height);
        [
            lock.standing(&key(1), &[], height),
            lock.standing(&key(1), &[[9; 32], PREIMAGE], height),
            lock.standing(&key(2), &[PREIMAGE], height),
            lock.standing(&key(3), &[PREIMAGE], height),
        ]
    }

    /// A block above `EXPIRY − 1` is the last in which the preimage counts, the one above `EXPIRY` the first for a refund.
    #[test]
    fn each_side_has_it_in_its_own_time() {
        use Standing::{Claim, Expired, Expires, Met, NeedsPreimage, Refund};
        let (until, by_preimage) = (Height::new(EXPIRY), Claim(LockProof::Preimage(PREIMAGE)));
        assert_eq!(
            standings(&lock(None), EXPIRY - 1),
            [
                Some(NeedsPreimage(until)),
                Some(by_preimage),
                Some(Expires(until)),
                None
            ]
        );
        assert_eq!(
            standings(&lock(None), EXPIRY),
            [Some(Expired), Some(Expired), Some(Refund), None]
        );
        let recorded = Some(Claim(LockProof::Recorded));
        for height in [EXPIRY - 1, EXPIRY, EXPIRY + 1_000] {
            let met = standings(&lock(Some(EXPIRY)), height);
            assert_eq!(met, [recorded.clone(), recorded.clone(), Some(Met), None]);
        }
        // Revealed a block too late it meets nothing.
        assert_eq!(
            standings(&lock(Some(EXPIRY + 1)), EXPIRY + 1),
            [Some(Expired), Some(Expired), Some(Refund), None]
        );
    }

    #[test]
    fn a_ledger_that_tells_another_preimage_is_not_believed() {
        let mut told = lock(None);
        told.revealed = Some(([4; 32], Height::new(1)));
        let mut terms = [0; tidegate_wire::lengths::LOCK_TERMS_LEN];
        told.terms.encode_into(&mut terms);
        let forged = wire::LockOutput {
            outpoint: told.outpoint,
            amount: told.amount,
            terms,
            revealed: Height::new(1),
            preimage: [4; 32],
        };
        assert_eq!(LockOutput::of(&forged).expect("it decodes").revealed, None);
    }

    #[test]
    fn what_is_not_the_keys_is_not_spent() {
        let (ledger, key) = (LedgerId::from_bytes([1; 32]), SecretKey::from_seed([1; 32]));
        let sat = |n| Amount::from_sat(n).expect("small");
        let spend = |standing, fee| lock(None).spend(&ledger, &key, standing, sat(fee));
        assert!(spend(&Standing::Met, 1).is_none() && spend(&Standing::Refund, 1_000).is_none());
        let spent = spend(&Standing::Refund, 1).expect("it pays");
        assert_eq!(spent.body.outputs[0].amount, sat(999));
    }
}
