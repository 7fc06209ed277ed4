//! What the hub asks for and allows (rules 9, 12, 28). Announced to clients; a change is an input of a batch.

use tidegate_types::{Age, Amount, Height};

/// The hub's terms of business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Blocks by which everybody must act before a deadline: finality and worst inclusion together.
    pub margin: Age,
    /// How often a credited payee acks, in blocks (the interval in time, rounded up).
    pub ack_interval: Age,
    /// The longest lock, in blocks.
    pub max_lock: Age,
    /// The smallest payment.
    pub min_amount: Amount,
    /// The fee of any payment.
    pub fee_base: Amount,
    /// What the fee grows by, in millionths of the amount.
    pub fee_ppm: u32,
    /// How many unacknowledged credits one payee may have.
    pub max_unfirm_credits: u32,
    /// How many hash locks may wait for one payee, at most 64; 0: the hub carries none.
    pub max_in_locks: u8,
    /// How many of them one payer may hold.
    pub max_in_locks_per_payer: u8,
    /// How many hash locks may wait for other hubs (rule 15): no more preimages than blocks take within the margin; 0: none
    /// is forwarded.
    pub max_forwarded: u16,
}

/// The most credits of one payee that may wait: one leaf may hold them all, and one receipt must hold the leaf.
pub const MAX_UNFIRM_CREDITS: u32 = 8192;

/// Why a policy cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No lock can be long enough and short enough.
    #[error("max_lock ({max_lock} blocks) is below 3·margin + 2·ack_interval ({needed} blocks)")]
    LocksTooShort {
        /// The longest lock.
        max_lock: Age,
        /// The shortest that leaves everybody time.
        needed: Age,
    },
    /// A payee with no credit at all, or more than a receipt can tell.
    #[error("max_unfirm_credits is {0}; it must be 1 to {MAX_UNFIRM_CREDITS}")]
    Credits(u32),
    /// More hash locks than a channel has slots, or none for a payer while there are some.
    #[error(
        "max_in_locks is {all} and max_in_locks_per_payer {per_payer}; they must be 0 to 64, and either both 0 or neither"
    )]
    InLocks {
        /// Towards one payee.
        all: u8,
        /// Of one payer.
        per_payer: u8,
    },
}

impl Policy {
    /// The shortest `Ack` lock: everybody has time to act (rule 9).
    #[must_use]
    pub const fn shortest_lock(&self) -> Age {
        Age::new(
            self.margin
                .get()
                .saturating_mul(3)
                .saturating_add(self.ack_interval.get().saturating_mul(2)),
        )
    }

    /// The shortest `Hash` lock: nobody owes an ack of it, so it needs no ack interval (rule 9).
    #[must_use]
    pub const fn shortest_hash_lock(&self) -> Age {
        Age::new(self.margin.get().saturating_mul(3))
    }

    /// Checks that locks are possible at all.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub const fn check(&self) -> Result<(), PolicyError> {
        let needed = self.shortest_lock();
        if self.max_lock.get() < needed.get() {
            return Err(PolicyError::LocksTooShort {
                max_lock: self.max_lock,
                needed,
            });
        }
        if self.max_unfirm_credits == 0 || self.max_unfirm_credits > MAX_UNFIRM_CREDITS {
            return Err(PolicyError::Credits(self.max_unfirm_credits));
        }
        let (all, per_payer) = (self.max_in_locks, self.max_in_locks_per_payer);
        if all > 64 || per_payer > 64 || (all == 0) != (per_payer == 0) {
            Err(PolicyError::InLocks { all, per_payer })
        } else {
            Ok(())
        }
    }

    /// The fee for `amount`, rounded up; the highest amount if it would exceed that.
    #[must_use]
    pub fn fee(&self, amount: Amount) -> Amount {
        let share = (u128::from(amount.to_sat()) * u128::from(self.fee_ppm)).div_ceil(1_000_000);
        let share = u64::try_from(share)
            .ok()
            .and_then(Amount::from_sat)
            .unwrap_or(Amount::MAX);
        self.fee_base.add(share).unwrap_or(Amount::MAX)
    }

    /// The lowest `ack_by` that a credit expiring at `expiry` asks for.
    #[must_use]
    pub const fn ack_by(&self, expiry: Height) -> Height {
        match expiry.minus(Age::new(self.margin.get().saturating_mul(2))) {
            Some(height) => height,
            None => Height::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sat(n: u64) -> Amount {
        Amount::from_sat(n).expect("in range")
    }

    #[test]
    fn fees_round_up_and_short_locks_are_refused() {
        let policy = Policy {
            margin: Age::new(2),
            ack_interval: Age::new(2),
            max_lock: Age::new(10),
            min_amount: sat(1),
            fee_base: sat(1),
            fee_ppm: 10,
            max_unfirm_credits: 1,
            max_in_locks: 64,
            max_in_locks_per_payer: 8,
            max_forwarded: 0,
        };
        assert_eq!(policy.fee(sat(1)), sat(2));
        assert_eq!(policy.fee(sat(100_000)), sat(2));
        assert_eq!(policy.fee(sat(100_001)), sat(3));
        assert_eq!(policy.fee(Amount::MAX).to_sat(), 1 + (1_u64 << 53).div_ceil(100_000));
        assert_eq!(policy.check(), Ok(()));
        let short = Policy {
            max_lock: Age::new(9),
            ..policy
        };
        assert_eq!(
            short.check(),
            Err(PolicyError::LocksTooShort {
                max_lock: Age::new(9),
                needed: Age::new(10)
            })
        );
        for (max_in_locks, max_in_locks_per_payer) in [(65, 1), (1, 65), (0, 1), (1, 0)] {
            let wrong = Policy {
                max_in_locks,
                max_in_locks_per_payer,
                ..policy
            };
            assert!(matches!(wrong.check(), Err(PolicyError::InLocks { .. })));
        }
    }
}
