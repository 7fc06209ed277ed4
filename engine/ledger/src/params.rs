//! What a genesis fixes for ever.

use tidegate_types::{Age, Amount, fixed_struct};

/// The ledger's constants. They stand in the genesis and never change.
///
/// Cost is what a transaction takes of a block: one unit for each byte of its body, and a fixed number for each
/// spend path (see [`crate::Transaction::cost`]). It does not depend on the witnesses' actual bytes, so the fee is known
/// before anything is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerParams {
    /// The least amount of an output. Outputs of a channel's close are exempt.
    pub dust: Amount,
    /// The least fee for 1 000 units of cost, in satoshi; the fee of a transaction is rounded up.
    pub fee_per_1000_cost: Amount,
    /// The most cost that one block may hold.
    pub block_cost_max: u64,
    /// The widest encoding of a transaction, in bytes.
    pub transaction_bytes_max: u32,
    /// The widest encoding of a block, in bytes.
    pub block_bytes_max: u32,
    /// The validator makes a block after this time at the latest.
    pub block_interval_ms: u32,
    /// A block is final when this many blocks stand above it.
    pub finality_depth: Age,
    /// The least dispute window of a channel, Δ.
    pub dispute_window_min: Age,
}
fixed_struct!(LedgerParams {
    dust: Amount,
    fee_per_1000_cost: Amount,
    block_cost_max: u64,
    transaction_bytes_max: u32,
    block_bytes_max: u32,
    block_interval_ms: u32,
    finality_depth: Age,
    dispute_window_min: Age,
    pad 4,
});

/// Why constants cannot be those of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A transaction of the greatest size would not fit what a block has for ordinary ones.
    #[error("the largest transaction does not fit three quarters of a block")]
    TransactionAboveBlock,
    /// A size is beyond what decoders take.
    #[error(
        "transactions are limited to {} bytes and blocks to {}",
        LedgerParams::TRANSACTION_BYTES_LIMIT,
        LedgerParams::BLOCK_BYTES_LIMIT
    )]
    SizeAboveLimit,
    /// No block would ever be made, or none could hold a transaction.
    #[error("block interval, block cost and dispute window are above zero")]
    Zero,
    /// More blocks can be undone than are kept.
    #[error("the finality depth is at most {}", LedgerParams::FINALITY_DEPTH_LIMIT)]
    FinalityDepth,
}

impl LedgerParams {
    /// What a dispute of one channel takes of blocks: start, evidence of both sides, settle.
    pub const DISPUTE_COST: u64 = 8_000;
    /// The cost up to which a corrected opener makes good, at the least fee, what its close cost the other side (rule 27).
    pub const BOND_COST: u64 = 4 * Self::DISPUTE_COST;
    /// A fault's reporter gets one part of so many of the stake: little enough that no hub gains by reporting itself.
    pub const REWARD_DIVISOR: u64 = 100;
    /// What a revealed preimage takes of blocks at most, with the hub's coin that pays for it.
    pub const REVEAL_COST: u64 = 2_000;
    /// Ordinary transactions fill at most three of so many parts of a block; the rest is kept for disputes (rule 15).
    pub const RESERVE_DIVISOR: u64 = 4;
    /// No genesis may allow wider transactions.
    pub const TRANSACTION_BYTES_LIMIT: u32 = 1 << 18;
    /// No genesis may allow wider blocks.
    pub const BLOCK_BYTES_LIMIT: u32 = 1 << 26;
    /// No genesis may ask for more blocks that can be undone.
    pub const FINALITY_DEPTH_LIMIT: u32 = 1_000;

    /// No channel may have a longer dispute window or evidence grace, in blocks.
    pub const WINDOW_LIMIT: u32 = 1 << 20;

    /// Checks that the constants fit each other.
    ///
    /// # Errors
    /// [`ParamsError`], the first that applies.
    pub fn check(&self) -> Result<(), ParamsError> {
        if self.block_interval_ms == 0 || self.block_cost_max == 0 || self.dispute_window_min == Age::ZERO {
            return Err(ParamsError::Zero);
        }
        if self.transaction_bytes_max > Self::TRANSACTION_BYTES_LIMIT || self.block_bytes_max > Self::BLOCK_BYTES_LIMIT
        {
            return Err(ParamsError::SizeAboveLimit);
        }
        if u64::from(self.transaction_bytes_max) + crate::block::HEAD_BYTES + crate::block::FRAME_BYTES
            > self.bytes_max(false)
        {
            return Err(ParamsError::TransactionAboveBlock);
        }
        if self.finality_depth.get() > Self::FINALITY_DEPTH_LIMIT {
            return Err(ParamsError::FinalityDepth);
        }
        Ok(())
    }

    /// How many preimages find room within so many blocks in what is kept for reveals and disputes (rule 15).
    #[must_use]
    pub fn reveals_within(&self, blocks: Age) -> u64 {
        let reserve = self.block_cost_max / Self::RESERVE_DIVISOR;
        (reserve / Self::REVEAL_COST).saturating_mul(blocks.get().into())
    }

    /// The least fee for `cost` units, rounded up; [`Amount::MAX`] where it would be higher.
    #[must_use]
    pub fn fee_min(&self, cost: u64) -> Amount {
        let fee = (u128::from(self.fee_per_1000_cost.to_sat()) * u128::from(cost)).div_ceil(1000);
        u64::try_from(fee)
            .ok()
            .and_then(Amount::from_sat)
            .unwrap_or(Amount::MAX)
    }

    /// The most cost that a transaction, or all ordinary transactions of a block, may have: disputes can use the whole block,
    /// the others leave a part of it.
    pub(crate) const fn cost_max(&self, is_urgent: bool) -> u64 {
        let reserve = self.block_cost_max / Self::RESERVE_DIVISOR;
        if is_urgent {
            self.block_cost_max
        } else {
            self.block_cost_max - reserve
        }
    }

    /// As [`LedgerParams::cost_max`], in bytes of the block.
    pub(crate) fn bytes_max(&self, is_urgent: bool) -> u64 {
        let (all, reserve) = (
            u64::from(self.block_bytes_max),
            u64::from(self.block_bytes_max) / Self::RESERVE_DIVISOR,
        );
        if is_urgent { all } else { all - reserve }
    }

    /// The most channels that may be open at once (rule 28): as many as could be disputed within half the least
    /// dispute window.
    #[must_use]
    pub fn open_channels_max(&self) -> u64 {
        let blocks = u64::from(self.dispute_window_min.get() / 2);
        blocks.saturating_mul(self.block_cost_max / Self::DISPUTE_COST)
    }
}

impl Default for LedgerParams {
    /// A ledger for one hub: blocks every half second, final at once, room for 144 000 open channels.
    fn default() -> Self {
        Self {
            dust: Amount::from_sat(330).expect("330 satoshi are in range"),
            fee_per_1000_cost: Amount::from_sat(100).expect("100 satoshi are in range"),
            block_cost_max: 16_000_000,
            transaction_bytes_max: 128 << 10,
            block_bytes_max: 4 << 20,
            block_interval_ms: 500,
            finality_depth: Age::ZERO,
            dispute_window_min: Age::new(144),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_holds_and_each_bound_is_checked() {
        let good = LedgerParams::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.open_channels_max(), 144_000);
        let spoil = |change: fn(&mut LedgerParams)| {
            let mut params = good;
            change(&mut params);
            params.check()
        };
        assert_eq!(spoil(|p| p.block_interval_ms = 0), Err(ParamsError::Zero));
        assert_eq!(spoil(|p| p.block_cost_max = 0), Err(ParamsError::Zero));
        assert_eq!(spoil(|p| p.dispute_window_min = Age::ZERO), Err(ParamsError::Zero));
        assert_eq!(
            spoil(|p| p.block_bytes_max = u32::MAX),
            Err(ParamsError::SizeAboveLimit)
        );
        assert_eq!(
            spoil(|p| p.transaction_bytes_max = u32::MAX),
            Err(ParamsError::SizeAboveLimit)
        );
        assert_eq!(
            spoil(|p| p.block_bytes_max = p.transaction_bytes_max),
            Err(ParamsError::TransactionAboveBlock)
        );
        assert_eq!(
            spoil(|p| p.finality_depth = Age::new(1_001)),
            Err(ParamsError::FinalityDepth)
        );
    }

    #[test]
    fn fees_round_up_and_never_wrap() {
        let params = LedgerParams::default();
        assert_eq!(params.fee_min(0), Amount::ZERO);
        assert_eq!(params.fee_min(1).to_sat(), 1);
        assert_eq!(params.fee_min(10).to_sat(), 1);
        assert_eq!(params.fee_min(11).to_sat(), 2);
        assert_eq!(params.fee_min(u64::MAX), Amount::MAX);
    }
}
