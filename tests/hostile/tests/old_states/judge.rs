//! What the ledger's final blocks say of the closes of a wave.

use core::fmt;
use std::collections::BTreeMap;

use tidegate_ledger::{Action, Block, Condition, Transaction};
use tidegate_settle::Node;
use tidegate_types::{Age, ChannelId, Height, KeyBytes};

use super::wave::{Close, Guard, PAID};
use super::world::WINDOW;

/// What came of how many closes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) closes: usize,
    pub(crate) corrected: usize,
    /// Kills of the guard while closes stood.
    pub(crate) kills: usize,
    /// How often the ledger lost blocks while closes stood.
    pub(crate) reorgs: usize,
    /// Evidence in the blocks that it lost, which had to be brought again.
    pub(crate) lost_evidence: usize,
    /// By guard and number of newer states.
    cases: BTreeMap<(Guard, usize), usize>,
    pub(crate) losses: Vec<String>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.closes += other.closes;
        self.corrected += other.corrected;
        self.kills += other.kills;
        self.reorgs += other.reorgs;
        self.lost_evidence += other.lost_evidence;
        for (case, count) in &other.cases {
            *self.cases.entry(*case).or_default() += count;
        }
        self.losses.extend(other.losses.iter().cloned());
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (closes, corrected, lost) = (self.closes, self.corrected, self.losses.len());
        write!(
            f,
            "{closes} closes, {corrected} corrected, {} kills of guards and {} falls of the ledger meanwhile, with {} answers, by \
             guard and newer states {:?}; {lost} lost",
            self.kills, self.reorgs, self.lost_evidence, self.cases
        )
    }
}

/// What became of one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    started: Option<Height>,
    /// The highest counters that were shown by the deadline.
    shown: (u64, u64),
    corrected: bool,
    /// What the settling paid to client and hub, and what the close burned.
    paid: Option<(u64, u64)>,
}

/// Judges every close of a wave.
pub(crate) fn judge(mut node: Node, hub: KeyBytes, closes: &[Close], counts: &mut Counts) {
    node.audit().expect("no value is made or lost");
    let blocks = node.final_blocks_above(Height::ZERO, usize::MAX).expect("readable");
    let mut told: BTreeMap<ChannelId, Told> = BTreeMap::new();
    for block in &blocks {
        read(block, hub, &mut told);
    }
    for close in closes {
        let found = told.get(&close.channel).copied().unwrap_or_default();
        counts.closes += 1;
        counts.corrected += usize::from(found.corrected);
        *counts.cases.entry((close.guard, close.age)).or_default() += 1;
        let wins = match close.guard {
            Guard::Hub => found.shown.0 < close.best.0.get(),
            Guard::Tower => found.shown.1 < close.best.1.get(),
        };
        let paid = found.paid.map(|(client, hub)| match close.guard {
            Guard::Hub => hub,
            Guard::Tower => client,
        });
        // All fees of a close are less than a payment, so no loss hides in them.
        let is_short = paid.is_none_or(|paid| paid + PAID / 2 < close.due);
        if wins || is_short {
            let (guard, age, best, due) = (close.guard, close.age, close.best, close.due);
            counts.losses.push(format!(
                "{}: {guard:?}, {age} newer states, best {best:?}, due {due}: {found:?}",
                close.channel
            ));
        }
    }
}

fn read(block: &Block, hub: KeyBytes, told: &mut BTreeMap<ChannelId, Told>) {
    let height = block.header.height;
    for transaction in &block.transactions {
        let Some(action) = transaction.body.action.as_deref() else {
            continue;
        };
        let Some(channel) = action.channel() else { continue };
        let told = told.entry(channel).or_default();
        match action {
            Action::StartClose { start, .. } => {
                told.started = Some(height);
                told.shown = (start.start.client.get(), start.start.hub.get());
            }
            Action::Evidence { pair, .. } => {
                let deadline = told.started.and_then(|started| started.plus(Age::new(WINDOW)));
                if deadline.is_some_and(|deadline| height <= deadline) {
                    let (client, leaf) = pair.counters();
                    told.shown = (told.shown.0.max(client.get()), told.shown.1.max(leaf.get()));
                    told.corrected = true;
                }
            }
            Action::Settle { .. } => told.paid = Some(payouts(transaction, hub)),
            _ => {}
        }
    }
}

/// What a settling pays to the client, and to the hub.
fn payouts(transaction: &Transaction, hub: KeyBytes) -> (u64, u64) {
    let (mut to_client, mut to_hub) = (0, 0);
    for output in &transaction.body.outputs {
        match output.condition {
            Condition::Key(key) if key == hub => to_hub += output.amount.to_sat(),
            Condition::Key(_) => to_client += output.amount.to_sat(),
            _ => {}
        }
    }
    (to_client, to_hub)
}
