//! Channel arithmetic (section 3): who owns what, in one place.
//!
//! ```text
//! client balance = d0 + K − D − Σ out-locks             U is not spendable
//! hub balance    = V − d0 − K − U + D − Σ in-locks
//! ```

use tidegate_types::{Amount, AmountError};

use crate::ChannelTerms;

/// The sums of both halves that the balances depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HalfSums {
    /// Total firm credit, K.
    pub firm_credit: Amount,
    /// Credit that is not yet firm, U.
    pub unfirm_credit: Amount,
    /// Total debit, D.
    pub debit: Amount,
    /// Σ of the client's open out-locks, fees included.
    pub out_locks: Amount,
    /// Σ of the hub's open in-locks.
    pub in_locks: Amount,
}

/// Why a balance cannot be formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BalanceError {
    /// It would be negative, or below the reserve.
    #[error("the balance would fall below the reserve")]
    BelowReserve,
    /// A sum is out of range.
    #[error("a sum is out of range: {0}")]
    Range(AmountError),
}

/// What the client may still spend above its reserve is this less the reserve; the balance itself may not be negative.
///
/// # Errors
/// [`BalanceError`].
pub fn client_balance(terms: &ChannelTerms, sums: &HalfSums) -> Result<Amount, BalanceError> {
    client_balance_from(terms.opening_share, sums)
}

/// As [`client_balance`], from d0 alone.
///
/// # Errors
/// [`BalanceError`].
pub fn client_balance_from(opening_share: Amount, sums: &HalfSums) -> Result<Amount, BalanceError> {
    let plus = opening_share.add(sums.firm_credit).map_err(BalanceError::Range)?;
    let minus = sums.debit.add(sums.out_locks).map_err(BalanceError::Range)?;
    plus.sub(minus).map_err(|_| BalanceError::BelowReserve)
}

/// The hub's balance; what it may still promise is this less its reserve.
///
/// # Errors
/// [`BalanceError`].
pub fn hub_balance(terms: &ChannelTerms, sums: &HalfSums) -> Result<Amount, BalanceError> {
    hub_balance_from(terms.capacity, terms.opening_share, sums)
}

/// As [`hub_balance`], from V and d0 alone.
///
/// # Errors
/// [`BalanceError`].
pub fn hub_balance_from(capacity: Amount, opening_share: Amount, sums: &HalfSums) -> Result<Amount, BalanceError> {
    let own = capacity.sub(opening_share).map_err(BalanceError::Range)?;
    let plus = own.add(sums.debit).map_err(BalanceError::Range)?;
    let minus = Amount::sum([sums.firm_credit, sums.unfirm_credit, sums.in_locks]).map_err(BalanceError::Range)?;
    plus.sub(minus).map_err(|_| BalanceError::BelowReserve)
}
