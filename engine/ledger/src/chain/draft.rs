//! A block in the making, and the record that undoes it.

use std::collections::BTreeMap;

use tidegate_types::{Amount, ChannelId, Digest, Height, OutPoint, UnixMillis};

use super::{Applied, Chain, Supply, Tip, transaction_leaf, transactions_root};
use crate::block::{FRAME_BYTES, HEAD_BYTES};
use crate::check::Facts;
use crate::{
    BlockHeader, Condition, Event, LedgerParams, Output, Transaction, TransactionError, Utxo, UtxoStore, Witness,
};

/// One change to the set of unspent outputs.
#[derive(Clone, Copy, Debug)]
enum Change {
    Spent(OutPoint, Utxo),
    Created(OutPoint, Utxo),
}

/// All that a block changed, and what was there before.
#[derive(Clone, Debug)]
pub(super) struct Record {
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
    record: Record,
    leaves: Vec<Digest>,
    events: Vec<Event>,
    bytes: u64,
    cost: u64,
}

impl Draft {
    pub(crate) const fn height(&self) -> Height {
        self.height
    }

    /// Whether one more transaction fits the block.
    pub(crate) fn has_room(&self, params: &LedgerParams, facts: &Facts) -> bool {
        self.bytes + FRAME_BYTES + facts.bytes <= u64::from(params.block_bytes_max)
            && self.cost + facts.cost <= params.block_cost_max
    }

    pub(super) fn into_record(self) -> Record {
        self.record
    }
}

impl<S: UtxoStore> Chain<S> {
    /// Begins the next block; `None` after the last height.
    pub(crate) fn draft(&self, time: UnixMillis) -> Option<Draft> {
        Some(Draft {
            height: self.tip.height.next()?,
            time: time.max(self.tip.time),
            record: Record {
                tip: self.tip,
                supply: self.supply,
                open_channels: self.open_channels,
                changes: Vec::new(),
            },
            leaves: Vec::new(),
            events: Vec::new(),
            bytes: HEAD_BYTES,
            cost: 0,
        })
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
        for (input, witness) in transaction.body.inputs.iter().zip(&transaction.witnesses) {
            let utxo = self.spend(input);
            draft.record.changes.push(Change::Spent(*input, utxo));
            draft.events.extend(closed(&utxo, input, witness, facts));
        }
        for (output, vout) in transaction.body.outputs.iter().zip(0..) {
            let outpoint = OutPoint { txid: facts.txid, vout };
            let utxo = self.create(outpoint, *output, draft.height);
            draft.record.changes.push(Change::Created(outpoint, utxo));
            draft.events.extend(opened(&utxo, outpoint));
        }
        self.supply.burned += sat(facts.fee);
        draft.leaves.push(transaction_leaf(&facts.txid, transaction));
        draft.bytes += FRAME_BYTES + facts.bytes;
        draft.cost += facts.cost;
        Ok(())
    }

    /// The header of a draft.
    pub(crate) fn header(&mut self, draft: &Draft) -> BlockHeader {
        BlockHeader {
            height: draft.height,
            count: u32::try_from(draft.leaves.len()).expect("a block is far below 2³² transactions"),
            time: draft.time,
            previous: draft.record.tip.hash,
            transactions: transactions_root(&draft.leaves),
            utxos: self.utxos_root(),
        }
    }

    /// Makes a draft the tip.
    pub(crate) fn commit(&mut self, draft: Draft, header: &BlockHeader) -> Applied {
        self.assert_conserved();
        let (spent, created) = net(&draft.record.changes);
        let fees = self.supply.burned - draft.record.supply.burned;
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
        self.undos.push_back(draft.record);
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

    /// Puts everything back as it was before `record` began. What is final stays final.
    pub(super) fn revert(&mut self, record: Record) {
        for change in record.changes.iter().rev() {
            match change {
                Change::Spent(outpoint, utxo) => {
                    self.store.insert(*outpoint, utxo);
                    self.tree.occupy(outpoint, utxo);
                }
                Change::Created(outpoint, utxo) => {
                    let removed = self.store.remove(outpoint);
                    assert_eq!(removed.as_ref(), Some(utxo), "what is undone was done");
                    self.tree.vacate(utxo.position);
                }
            }
        }
        self.tip = Tip {
            final_height: self.tip.final_height,
            ..record.tip
        };
        self.supply = record.supply;
        self.open_channels = record.open_channels;
    }

    pub(super) fn create(&mut self, outpoint: OutPoint, output: Output, height: Height) -> Utxo {
        let utxo = Utxo {
            output,
            height,
            position: self.tree.next_position(),
        };
        self.store.insert(outpoint, &utxo);
        self.tree.occupy(&outpoint, &utxo);
        self.supply.unspent += sat(output.amount);
        self.open_channels += u64::from(is_channel(&utxo));
        utxo
    }

    fn spend(&mut self, outpoint: &OutPoint) -> Utxo {
        let utxo = self.store.remove(outpoint).expect("the caller found every input");
        self.tree.vacate(utxo.position);
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
    matches!(utxo.output.condition, Condition::Channel(_))
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

fn closed(utxo: &Utxo, outpoint: &OutPoint, witness: &Witness, facts: &Facts) -> Option<Event> {
    let (channel, _): (ChannelId, _) = utxo.channel(outpoint)?;
    let Witness::ChannelClose(close) = witness else {
        return None;
    };
    Some(Event::ChannelClosed {
        channel,
        txid: facts.txid,
        client_payout: close.terms.client_payout,
        hub_payout: close.terms.hub_payout,
        fee: facts.fee,
    })
}
