//! The ledger's side of a check: the money behind the channels.

use std::collections::HashSet;
use std::path::PathBuf;

use tidegate_ledger::Block;
use tidegate_settle::Node;
use tidegate_types::{ChannelId, Height, OutPoint};

use super::{Finding, OnStep, Step, Verdict};
use crate::state::Inspected;

/// What is known of a ledger beside itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    /// The outputs that blocks above the state's height spend.
    pub(crate) spent_later: HashSet<OutPoint>,
    /// Where its log ends: the file, and the offset behind the last block.
    pub(crate) end: Option<(PathBuf, u64)>,
}

/// Checks the ledger, and the channels against it.
pub(crate) fn look(
    node: &mut Node,
    state: Option<&Inspected>,
    beside: &Beside,
    verdict: &mut Verdict,
    on_step: OnStep<'_>,
) {
    on_step(Step {
        what: "summing the ledger",
        done: 0,
        total: None,
        unit: "outputs",
    });
    match node.audit() {
        Ok(audit) => {
            verdict.ledger_outputs = audit.outputs;
            verdict.supply_sat = u64::try_from(audit.supply.genesis).unwrap_or(u64::MAX);
        }
        Err(error) => verdict.problem(Finding::new(format!("ledger: {error}"))),
    }
    let tip = node.tip();
    verdict.ledger_tip = Some(tip.hash.to_string());
    verdict.ledger_height = tip.height.get();
    if let Some(state) = state {
        look_at_channels(node, state, beside, verdict);
    }
}

fn look_at_channels(node: &Node, state: &Inspected, beside: &Beside, verdict: &mut Verdict) {
    let (opened, tip) = (state.engine.opened(), node.tip());
    if opened.ledger != node.ledger() {
        verdict.problem(Finding::new("the state belongs to another ledger than the genesis"));
    }
    if opened.height > tip.height {
        // The ledger makes a block durable before the hub hears of it. What the later blocks did is not known, so the
        // channels cannot be judged against them.
        let (known, end) = (opened.height, tip.height);
        return verdict.problem(match &beside.end {
            Some((file, offset)) => Finding::at(
                file,
                *offset,
                format!(
                    "{} at offset {offset}: the ledger ends with block {end}, but the state knows block {known}",
                    file.display()
                ),
            )
            .with_lsn(u64::from(end.get()) + 1),
            None => Finding::new(format!(
                "the ledger ends with block {end}, but the state knows block {known}"
            )),
        });
    }
    let mut known = HashSet::new();
    for view in state.channels() {
        known.insert(view.id);
        let output = node.channel_output(&view.id);
        let what = match (&output, view.is_settled()) {
            (Some(_), true) => "is settled, but its output is unspent",
            // The hub takes final blocks one after the other, so the ledger may be ahead.
            (None, false) if !beside.spent_later.contains(&view.funding) => "is open, but its output is spent",
            (Some((outpoint, utxo)), false)
                // A close draws its cost out of the channel's output, and the hub hears of it when it is final.
                if *outpoint != view.funding || (!utxo.is_closing() && utxo.output.amount != view.terms.capacity) =>
            {
                "is open, but its output is another or of another amount"
            }
            _ => continue,
        };
        verdict.problem(Finding::new(format!("channel {} {what}", view.id)));
    }
    missing(node, state, &known, verdict);
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
            let what = format!("channel {channel} is on the ledger, but not in the state");
            verdict.problem(Finding::new(what));
        }
    }
}

/// The outputs that a block spends.
pub(crate) fn spends(block: &Block) -> impl Iterator<Item = OutPoint> {
    block
        .transactions
        .iter()
        .flat_map(|transaction| transaction.body.inputs.iter().copied())
}
