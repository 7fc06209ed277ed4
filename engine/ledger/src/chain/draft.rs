//! A block in the making, and the record that undoes it.

use std::collections::BTreeMap;

use tidegate_types::{Amount, Digest, Height, OutPoint, UnixMillis};

use super::{Applied, Chain, Supply, Tip, Trust, transaction_leaf, transactions_root};
use crate::block::{FRAME_BYTES, HEAD_BYTES};
use crate::check::Facts;
use crate::{
    BlockHeader, CheckedTransaction, Condition, Event, LedgerParams, Output, Transaction, TransactionError, Utxo,
    UtxoStore,
};

/// One change to the set of unspent outputs.
#[derive(Clone, Copy, Debug)]
enum Change {
    Spent(OutPoint, Utxo),
    Created(OutPoint, Utxo),
}

/// All that a block changed, and what was there before.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    tip: Tip,
    supply: Supply,
    open_channels: u64,
    changes: Vec<Change>,
}

/// A block in the making: its changes are in the store already. It is committed or reverted, never dropped.
#[derive(Debug)]
#[must_use = "the store holds its changes: commit or revert it"]
pub(crate) struct Draft {
    height: Height,
    time: UnixMillis,
    undo: Undo,
    leaves: Vec<Digest>,
    events: Vec<Event>,
    all: Room,
    /// Of it, what is not kept for disputes.
    ordinary: Room,
}

/// What transactions take of a block.
#[derive(Clone, Copy, Debug)]
struct Room {
    bytes: u64,
    cost: u64,
}

impl Room {
    const fn fits(self, facts: &Facts, bytes_max: u64, cost_max: u64) -> bool {
        self.bytes + FRAME_BYTES + facts.bytes <= bytes_max && self.cost + facts.cost <= cost_max
    }

    const fn take(&mut self, facts: &Facts) {
        self.bytes += FRAME_BYTES + facts.bytes;
        self.cost += facts.cost;
    }
}

impl Draft {
    pub(crate) const fn height(&self) -> Height {
        self.height
    }

    /// Whether one more transaction fits the block. Ordinary ones leave a part of it for disputes (rule 15).
    pub(crate) fn has_room(&self, params: &LedgerParams, facts: &Facts) -> bool {
        let fits = |room: Room, urgent| room.fits(facts, params.bytes_max(urgent), params.cost_max(urgent));
        fits(self.all, true) && (facts.is_urgent || fits(self.ordinary, false))
    }

    pub(super) fn into_undo(self) -> Undo {
        self.undo
    }
}

impl<S: UtxoStore> Chain<S> {
    /// Begins the next block; `None` after the last height.
    pub(crate) fn draft(&mut self, time: UnixMillis) -> Option<Draft> {
        let height = self.tip.height.next()?;
        let mut draft = Draft {
            height,
            time: time.max(self.tip.time),
            undo: Undo {
                tip: self.tip,
                supply: self.supply,
                open_channels: self.open_channels,
                changes: Vec::new(),
            },
            leaves: Vec::new(),
            events: Vec::new(),
            all: Room {
                bytes: HEAD_BYTES,
                cost: 0,
            },
            ordinary: Room {
                bytes: HEAD_BYTES,
                cost: 0,
            },
        };
        for outpoint in self.lookup.prunable(height) {
            self.take(&mut draft, &outpoint);
        }
        Some(draft)
    }

    /// As [`Chain::extend`], for a transaction that was checked against an older state: unless nothing but its inputs can
    /// have changed, it is judged again. Signatures are not: they hold for ever.
    ///
    /// # Errors
    /// [`TransactionError`]; then nothing changed.
    pub(crate) fn extend_anew(
        &mut self,
        draft: &mut Draft,
        candidate: &CheckedTransaction,
    ) -> Result<(), TransactionError> {
        let (transaction, facts) = (candidate.transaction(), candidate.facts());
        if facts.is_plain {
            return self.extend(draft, transaction, facts);
        }
        let facts = self.checker(Trust::OwnRecords, draft.height).check(transaction)?;
        self.extend(draft, transaction, &facts)
    }

    /// Applies one transaction, which was checked, perhaps against an older state.
    ///
    /// # Errors
    /// [`TransactionError::UnknownInput`] or [`TransactionError::ChannelLimit`]: what another may have changed since. Then
    /// nothing changed.
    pub(crate) fn extend(
        &mut self,
        draft: &mut Draft,
        transaction: &Transaction,
        facts: &Facts,
    ) -> Result<(), TransactionError> {
        let unknown = transaction.body.inputs.iter().find(|i| self.store.get(i).is_none());
        if let Some(input) = unknown {
            return Err(TransactionError::UnknownInput(*input));
        }
        self.check_channel_limit(transaction)?;
        let effects = &facts.effects;
        let gone = transaction.body.inputs.iter().chain(&effects.takes);
        gone.for_each(|outpoint| self.take(draft, outpoint));
        draft.events.extend(&effects.events);
        for (output, vout) in transaction.body.outputs.iter().zip(0..) {
            let outpoint = OutPoint { txid: facts.txid, vout };
            let born = effects.born.filter(|_| matches!(output.condition, Condition::Lock(_)));
            let utxo = self.put(draft, outpoint, *output, born);
            draft.events.extend(opened(&utxo, outpoint));
        }
        for (outpoint, output, height) in &effects.puts {
            self.put(draft, *outpoint, *output, *height);
        }
        self.supply.burned += sat(facts.fee);
        draft.leaves.push(transaction_leaf(&facts.txid, transaction));
        draft.all.take(facts);
        if !facts.is_urgent {
            draft.ordinary.take(facts);
        }
        Ok(())
    }

    fn take(&mut self, draft: &mut Draft, outpoint: &OutPoint) {
        let utxo = self.spend(outpoint);
        draft.undo.changes.push(Change::Spent(*outpoint, utxo));
    }

    fn put(&mut self, draft: &mut Draft, outpoint: OutPoint, output: Output, height: Option<Height>) -> Utxo {
        let utxo = self.create(outpoint, output, height.unwrap_or(draft.height));
        draft.undo.changes.push(Change::Created(outpoint, utxo));
        utxo
    }

    /// The header of a draft.
    pub(crate) fn header(&mut self, draft: &Draft) -> BlockHeader {
        BlockHeader {
            height: draft.height,
            count: u32::try_from(draft.leaves.len()).expect("a block is far below 2³² transactions"),
            time: draft.time,
            previous: draft.undo.tip.hash,
            transactions: transactions_root(&draft.leaves),
            utxos: self.utxos_root(),
        }
    }

    /// Makes a draft the tip.
    pub(crate) fn commit(&mut self, draft: Draft, header: &BlockHeader) -> Applied {
        self.assert_conserved();
        let (spent, created) = net(&draft.undo.changes);
        let fees = self.supply.burned - draft.undo.supply.burned;
        let depth = self.params.finality_depth.get();
        self.tip = Tip {
            height: header.height,
            hash: header.hash(),
            time: header.time,
            // After an undo the chain may be shorter than before: what was final stays final.
            final_height: header
                .height
                .checked_sub(depth)
                .unwrap_or(Height::ZERO)
                .max(self.tip.final_height),
        };
        self.undos.push_back(draft.undo);
        while self.undos.len() > depth as usize {
            self.undos.pop_front();
        }
        Applied {
            tip: self.tip,
            events: draft.events,
            fees,
            spent,
            created,
        }
    }

    /// Puts everything back as it was before `undo` began. What is final stays final.
    pub(super) fn revert(&mut self, undo: Undo) {
        for change in undo.changes.iter().rev() {
            match change {
                Change::Spent(outpoint, utxo) => {
                    self.store.insert(*outpoint, utxo);
                    self.tree.occupy(outpoint, utxo, &self.store);
                    self.lookup.add(outpoint, utxo);
                }
                Change::Created(outpoint, utxo) => {
                    let removed = self.store.remove(outpoint);
                    assert_eq!(removed.as_ref(), Some(utxo), "what is undone was done");
                    self.tree.vacate(utxo.position, &self.store);
                    self.lookup.remove(outpoint, utxo);
                }
            }
        }
        self.tip = Tip {
            final_height: self.tip.final_height,
            ..undo.tip
        };
        self.supply = undo.supply;
        self.open_channels = undo.open_channels;
    }

    pub(super) fn create(&mut self, outpoint: OutPoint, output: Output, height: Height) -> Utxo {
        let utxo = Utxo {
            output,
            height,
            position: self.tree.next_position(),
        };
        self.store.insert(outpoint, &utxo);
        self.tree.occupy(&outpoint, &utxo, &self.store);
        self.lookup.add(&outpoint, &utxo);
        self.supply.unspent += sat(output.amount);
        self.open_channels += u64::from(is_channel(&utxo));
        utxo
    }

    fn spend(&mut self, outpoint: &OutPoint) -> Utxo {
        let utxo = self.store.remove(outpoint).expect("the caller found every input");
        self.tree.vacate(utxo.position, &self.store);
        self.lookup.remove(outpoint, &utxo);
        self.supply.unspent -= sat(utxo.output.amount);
        self.open_channels -= u64::from(is_channel(&utxo));
        utxo
    }
}

/// What a block's changes come to: entries that were there before and are gone or changed, and entries that are new or
/// changed. What comes and goes within the block is in neither.
#[expect(clippy::type_complexity, reason = "two lists of one kind, each named by the caller")]
fn net(changes: &[Change]) -> (Vec<(OutPoint, Utxo)>, Vec<(OutPoint, Utxo)>) {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    let mut order = Vec::new();
    for change in changes {
        match change {
            Change::Spent(outpoint, utxo) => {
                if after.remove(outpoint).is_none() {
                    before.entry(*outpoint).or_insert(*utxo);
                    order.push(*outpoint);
                }
            }
            Change::Created(outpoint, utxo) => {
                after.insert(*outpoint, *utxo);
                order.push(*outpoint);
            }
        }
    }
    let mut spent = Vec::new();
    let mut created = Vec::new();
    for outpoint in order {
        let (old, new) = (before.remove(&outpoint), after.remove(&outpoint));
        if old != new {
            spent.extend(old.map(|utxo| (outpoint, utxo)));
            created.extend(new.map(|utxo| (outpoint, utxo)));
        }
    }
    (spent, created)
}

const fn is_channel(utxo: &Utxo) -> bool {
    matches!(utxo.output.condition, Condition::Channel(_) | Condition::Closing(_))
}

fn sat(amount: Amount) -> u128 {
    amount.to_sat().into()
}

fn opened(utxo: &Utxo, outpoint: OutPoint) -> Option<Event> {
    let (channel, terms) = utxo.channel(&outpoint)?;
    Some(Event::ChannelOpened {
        channel,
        outpoint,
        terms: *terms,
    })
}
