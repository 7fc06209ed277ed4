//! Which coins pay for outputs: a wallet's choice, made the same way everywhere.

use tidegate_types::{Amount, AmountError, KeyBytes, OutPoint};

use crate::{LedgerParams, MAX_INPUTS, MAX_OUTPUTS, Output, TransactionBody};

/// Why coins do not pay for outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FundError {
    /// All coins that fit into one transaction are not enough.
    #[error("the coins hold {available}, but {needed} are needed with the fee")]
    NotEnough {
        /// Σ of the coins that fit.
        available: Amount,
        /// Σ of the outputs and the least fee.
        needed: Amount,
    },
    /// There are no outputs, or more than fit with the change.
    #[error("a funded transaction has 1 to {} outputs", MAX_OUTPUTS - 1)]
    OutputCount,
    /// A sum is out of range.
    #[error("a sum of the transaction is out of range: {0}")]
    Sum(#[from] AmountError),
}

/// The transaction that pays for `outputs` out of `coins`, outputs of keys. It takes the largest coins first, pays the least
/// fee, and gives the rest to `change` as its last output; a rest below the dust limit goes to the fee.
///
/// # Errors
/// [`FundError`].
pub fn fund(
    params: &LedgerParams,
    coins: &[(OutPoint, Amount)],
    outputs: Vec<Output>,
    change: KeyBytes,
) -> Result<TransactionBody, FundError> {
    if outputs.is_empty() || outputs.len() >= MAX_OUTPUTS {
        return Err(FundError::OutputCount);
    }
    let paid = Amount::sum(outputs.iter().map(|output| output.amount))?;
    let mut coins = coins.to_vec();
    coins.sort_by_key(|&(outpoint, amount)| (core::cmp::Reverse(amount), outpoint));
    let mut body = TransactionBody::plain(Vec::new(), outputs);
    let (mut available, mut needed) = (Amount::ZERO, paid);
    for (outpoint, amount) in coins.into_iter().take(MAX_INPUTS) {
        body.inputs.push(outpoint);
        available = available.add(amount)?;
        needed = paid.add(params.fee_min(body.cost_by_keys()))?;
        if available >= needed {
            give_change(params, &mut body, available, paid, change)?;
            return Ok(body);
        }
    }
    Err(FundError::NotEnough { available, needed })
}

/// Adds the change if what is left after the fee of the wider transaction is above dust.
fn give_change(
    params: &LedgerParams,
    body: &mut TransactionBody,
    available: Amount,
    paid: Amount,
    change: KeyBytes,
) -> Result<(), AmountError> {
    let rest = available.sub(paid)?;
    body.outputs.push(Output::to_key(rest, change));
    match rest.sub(params.fee_min(body.cost_by_keys())) {
        Ok(left) if left >= params.dust && !left.is_zero() => {
            body.outputs.pop();
            body.outputs.push(Output::to_key(left, change));
        }
        Ok(_) | Err(_) => drop(body.outputs.pop()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_types::Txid;

    use super::*;

    fn coins(amounts: &[u64]) -> Vec<(OutPoint, Amount)> {
        let coin = |(&sat, vout): (&u64, u32)| {
            let txid = Txid::ZERO;
            (OutPoint { txid, vout }, Amount::from_sat(sat).expect("in range"))
        };
        amounts.iter().zip(0..).map(coin).collect()
    }

    proptest! {
        #[test]
        fn the_fee_is_enough_and_never_a_change_too_much(
            amounts in prop::collection::vec(1_u64..20_000, 0..300),
            wanted in 400_u64..1_000_000,
        ) {
            let params = LedgerParams::default();
            let coins = coins(&amounts);
            let change = KeyBytes::from_bytes([1; 32]);
            let output = Output::to_key(Amount::from_sat(wanted).expect("in range"), KeyBytes::ZERO);
            let held = |o: &OutPoint| coins.iter().find(|c| c.0 == *o).expect("a coin").1.to_sat();
            match fund(&params, &coins, vec![output], change) {
                Ok(body) => {
                    let inputs: u64 = body.inputs.iter().map(held).sum();
                    let outputs: u64 = body.outputs.iter().map(|o| o.amount.to_sat()).sum();
                    let least = params.fee_min(body.cost_by_keys()).to_sat();
                    let fee = inputs - outputs;
                    prop_assert!(fee >= least);
                    prop_assert_eq!(body.outputs[0], output);
                    if body.outputs.len() == 2 {
                        prop_assert_eq!(fee, least);
                        prop_assert!(body.outputs[1].amount >= params.dust);
                    } else {
                        // A change would have cost its own bytes and come out below dust.
                        prop_assert!(fee < least + params.dust.to_sat() + params.fee_min(41).to_sat());
                    }
                }
                Err(FundError::NotEnough { available, needed }) => {
                    prop_assert!(available < needed);
                    prop_assert!(amounts.len() > MAX_INPUTS || available.to_sat() == amounts.iter().sum::<u64>());
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
