//! The ledger's side of a verification: the money behind the channels.

use std::collections::HashSet;

use tidegate_settle::Node;
use tidegate_types::{ChannelId, Height, OutPoint};

use super::Verdict;
use crate::error::Error;
use crate::state::Inspected;

pub(super) fn look(node: &mut Node, state: &Inspected, verdict: &mut Verdict) -> Result<(), Error> {
    match node.audit() {
        Ok(audit) => {
            verdict.ledger_outputs = audit.outputs;
            verdict.supply_sat = u64::try_from(audit.supply.genesis).unwrap_or(u64::MAX);
        }
        Err(error) => verdict.problems.push(format!("ledger: {error}")),
    }
    let tip = node.tip();
    verdict.ledger_tip = Some(tip.hash.to_string());
    verdict.ledger_height = tip.height.get();
    let opened = state.engine.opened();
    if opened.height > tip.height {
        let problem = format!(
            "the state knows block {}, the ledger ends at {}",
            opened.height, tip.height
        );
        verdict.problems.push(problem);
    }
    let spent_later = spent_above(node, opened.height)?;
    let mut known = HashSet::new();
    for view in state.channels() {
        known.insert(view.id);
        let output = node.channel_output(&view.id);
        let problem = match (&output, view.is_settled()) {
            (Some(_), true) => Some("is settled, but its output is unspent"),
            // The hub takes final blocks one after the other, so the ledger may be ahead.
            (None, false) if !spent_later.contains(&view.funding) => Some("is open, but its output is spent"),
            (Some((outpoint, utxo)), false)
                if *outpoint != view.funding || utxo.output.amount != view.terms.capacity =>
            {
                Some("is open, but its output is another or of another amount")
            }
            _ => None,
        };
        verdict
            .problems
            .extend(problem.map(|what| format!("channel {} {what}", view.id)));
    }
    missing(node, state, &known, verdict);
    Ok(())
}

/// Channels that the genesis opened for this hub and that the state does not have.
///
/// Later ones are not asked for: anybody can fund an output that names the hub on terms of its own, and those the hub does
/// not take. A channel that it did take stands in the log, whose headers a state without it would not meet.
fn missing(node: &Node, state: &Inspected, known: &HashSet<ChannelId>, verdict: &mut Verdict) {
    let opened = state.engine.opened();
    for (channel, outpoint, terms) in node.channels() {
        let of_genesis = node.utxo(&outpoint).is_some_and(|utxo| utxo.height == Height::ZERO);
        if terms.hub == opened.hub && of_genesis && !known.contains(&channel) {
            verdict
                .problems
                .push(format!("channel {channel} is on the ledger, but not in the state"));
        }
    }
}

/// Outputs that blocks above `height` spend.
fn spent_above(node: &Node, height: Height) -> Result<HashSet<OutPoint>, Error> {
    let mut spent = HashSet::new();
    let mut blocks = node.blocks()?;
    while let Some(block) = blocks.next_block()? {
        if block.header.height > height {
            spent.extend(
                block
                    .transactions
                    .iter()
                    .flat_map(|transaction| &transaction.body.inputs),
            );
        }
    }
    Ok(spent)
}
