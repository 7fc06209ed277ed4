//! One JSON object for each thing: what `export`, `inspect` and the admin endpoint show.

use serde_json::{Value, json};
use tidegate_batch::{ChannelView, InLockView, LockView};
use tidegate_channel::{BatchHeader, ChannelTerms, Condition as LockCondition};
use tidegate_ledger::{After, Block, Condition, Inner, Transaction, Utxo};
use tidegate_settle::Node;
use tidegate_types::{Amount, KeyBytes, OutPoint};

use crate::state::Inspected;

/// A channel with both halves, its terms and its open locks.
pub(crate) fn channel(view: &ChannelView) -> Value {
    json!({
        "type": "channel",
        "id": view.id.to_string(),
        "status": view.status,
        "funding": view.funding.to_string(),
        "terms": terms(&view.terms),
        "client_balance_sat": view.client_balance.to_sat(),
        "hub_balance_sat": view.hub_balance.to_sat(),
        "firm_credit_sat": view.sums.firm_credit.to_sat(),
        "unfirm_credit_sat": view.sums.unfirm_credit.to_sat(),
        "debit_sat": view.sums.debit.to_sat(),
        "out_locks_sat": view.sums.out_locks.to_sat(),
        "in_locks_sat": view.sums.in_locks.to_sat(),
        "state": {
            "counter": view.state.counter.get(),
            "digest": view.state.digest().to_string(),
            "signature": view.signature.to_string(),
            "acknowledges": {"counter": view.state.ack.counter.get(), "digest": view.state.ack.digest.to_string()},
        },
        "leaf": {"counter": view.leaf.counter.get(), "digest": view.leaf.digest.to_string()},
        "acknowledged_leaf": view.acked.get(),
        "ack": view.ack.map(|(ack, signature)| json!({
            "counter": ack.leaf.counter.get(),
            "digest": ack.leaf.digest.to_string(),
            "signature": signature.to_string(),
        })),
        "locks": view.locks.iter().map(lock).collect::<Vec<_>>(),
        "in_locks": view.in_locks.iter().map(in_lock).collect::<Vec<_>>(),
    })
}

/// Keys that are zero are not there.
fn optional(key: KeyBytes) -> Option<String> {
    (!key.is_zero()).then(|| key.to_string())
}

pub(crate) fn terms(terms: &ChannelTerms) -> Value {
    json!({
        "client": terms.client.to_string(),
        "hub": terms.hub.to_string(),
        "client_payout": terms.client_payout.to_string(),
        "hub_payout": terms.hub_payout.to_string(),
        "emergency": optional(terms.emergency),
        "delegate": optional(terms.delegate),
        "capacity_sat": terms.capacity.to_sat(),
        "opening_share_sat": terms.opening_share.to_sat(),
        "client_reserve_sat": terms.client_reserve.to_sat(),
        "hub_reserve_sat": terms.hub_reserve.to_sat(),
        "dispute_window_blocks": terms.dispute_window.get(),
        "evidence_grace_blocks": terms.evidence_grace.get(),
        "expiry": terms.expiry.get(),
        "nonce": terms.nonce,
    })
}

fn in_lock(view: &InLockView) -> Value {
    json!({
        "id": view.lock.lock.to_string(),
        "slot": view.slot.index(),
        "payment_id": view.lock.payment_id.to_string(),
        "amount_sat": view.lock.amount.to_sat(),
        "hash": hex::encode(view.lock.hash),
        "expiry": view.lock.expiry.get(),
    })
}

fn lock(view: &LockView) -> Value {
    let hash = match view.lock.condition {
        LockCondition::Ack => None,
        LockCondition::Hash(hash) => Some(hex::encode(hash)),
    };
    json!({
        "id": view.id.to_string(),
        "slot": view.slot.index(),
        "counter": view.counter.get(),
        "payment_id": view.lock.payment_id.to_string(),
        "amount_sat": view.lock.amount.to_sat(),
        "fee_sat": view.lock.fee.to_sat(),
        "payee": view.lock.payee.to_string(),
        "payee_channel": view.lock.payee_channel.to_string(),
        "expiry": view.lock.expiry.get(),
        "hash": hash,
        "outcome": format!("{:?}", view.outcome),
        "credit": view.credit,
    })
}

/// A condition that does not depend on where it stands.
fn condition(condition: &Condition) -> Value {
    match condition {
        Condition::Key(key) => json!({"kind": "key", "key": key.to_string()}),
        Condition::Multi(multi) => json!({
            "kind": "multi", "threshold": multi.threshold, "count": multi.count, "keys": multi.keys.to_string(),
        }),
        Condition::Timelocked(timelock) => {
            let inner = match timelock.inner {
                Inner::Key(key) => Condition::Key(key),
                Inner::Multi(multi) => Condition::Multi(multi),
            };
            let (rule, value) = match timelock.after {
                After::Height(height) => ("height", height.get()),
                After::Age(age) => ("age", age.get()),
            };
            json!({"kind": "timelocked", rule: value, "inner": self::condition(&inner)})
        }
        Condition::Lock(lock) => json!({
            "kind": "lock", "claim": lock.claim.to_string(), "refund": lock.refund.to_string(),
            "expiry": lock.expiry.get(), "condition": format!("{:?}", lock.condition),
        }),
        Condition::Stake(stake) => json!({
            "kind": "stake", "hub": stake.hub.to_string(), "payout": stake.payout.to_string(),
            "unbonding_blocks": stake.unbonding.get(), "bonded_sat": stake.bonded.to_sat(),
            "state": format!("{:?}", stake.state),
        }),
        Condition::Channel(own) | Condition::Closing(own) => json!({"kind": "channel", "terms": terms(own)}),
        Condition::Record(record) => json!({"kind": "record", "record": format!("{record:?}")}),
    }
}

/// An unspent output.
pub(super) fn output(outpoint: &OutPoint, utxo: &Utxo) -> Value {
    let channel = |kind: &str, own: &ChannelTerms| {
        let channel = own.channel_id(outpoint).to_string();
        json!({"kind": kind, "channel": channel, "terms": terms(own)})
    };
    let condition = match &utxo.output.condition {
        Condition::Channel(own) => channel("channel", own),
        Condition::Closing(own) => channel("closing", own),
        other => condition(other),
    };
    json!({
        "type": "output",
        "outpoint": outpoint.to_string(),
        "txid": outpoint.txid.to_string(),
        "vout": outpoint.vout,
        "amount_sat": utxo.output.amount.to_sat(),
        "height": utxo.height.get(),
        "condition": condition,
    })
}

/// A batch's header, as the log holds it.
pub(super) fn batch(header: &BatchHeader) -> Value {
    json!({
        "type": "batch",
        "number": header.number.get(),
        "hub": header.hub.to_string(),
        "digest": header.digest().to_string(),
        "previous": header.previous.to_string(),
        "leaf_count": header.leaf_count,
        "leaves_root": header.leaves_root.to_string(),
        "outcomes": header.outcomes.to_string(),
        "height": header.height.get(),
        "block": header.block.to_string(),
        "time_ms": header.time.get(),
    })
}

/// A block of the ledger with what its transactions move.
pub(super) fn block(block: &Block) -> Value {
    let header = &block.header;
    json!({
        "type": "block",
        "height": header.height.get(),
        "hash": header.hash().to_string(),
        "previous": header.previous.to_string(),
        "time_ms": header.time.get(),
        "transactions_root": header.transactions.to_string(),
        "utxos_root": header.utxos.to_string(),
        "signature": block.signature.to_string(),
        "transactions": block.transactions.iter().map(transaction).collect::<Vec<_>>(),
    })
}

fn transaction(transaction: &Transaction) -> Value {
    let body = &transaction.body;
    json!({
        "txid": body.txid().to_string(),
        "inputs": body.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "outputs_sat": body.outputs.iter().map(|output| output.amount.to_sat()).collect::<Vec<_>>(),
    })
}

/// Σ over the channels that are not settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    client: u128,
    hub: u128,
    waiting: u128,
    capacity: u128,
}

impl Sums {
    pub(super) fn of(state: &Inspected) -> Self {
        let sat = |amount: Amount| u128::from(amount.to_sat());
        state
            .channels()
            .filter(|view| !view.is_settled())
            .fold(Self::default(), |sums, view| Self {
                client: sums.client + sat(view.client_balance),
                hub: sums.hub + sat(view.hub_balance),
                waiting: sums.waiting
                    + sat(view.sums.unfirm_credit)
                    + sat(view.sums.out_locks)
                    + sat(view.sums.in_locks),
                capacity: sums.capacity + sat(view.terms.capacity),
            })
    }
}

/// Where all money is.
pub(super) fn supply(node: &Node, state: &Inspected, sums: &Sums) -> Value {
    let (supply, opened, tip) = (node.supply(), state.engine.opened(), node.tip());
    // Sums of whole ledgers may exceed 64 bits; JSON takes a number of any width, most readers do not.
    let number = |sum: u128| u64::try_from(sum).map_or_else(|_| json!(sum.to_string()), |sum| json!(sum));
    json!({
        "type": "supply",
        "ledger": node.ledger().to_string(),
        "genesis_sat": number(supply.genesis),
        "unspent_sat": number(supply.unspent),
        "burned_sat": number(supply.burned),
        "channel_capacity_sat": number(sums.capacity),
        "client_balances_sat": number(sums.client),
        "hub_balances_sat": number(sums.hub),
        "waiting_sat": number(sums.waiting),
        "height": tip.height.get(),
        "tip": tip.hash.to_string(),
        "hub": opened.hub.to_string(),
        "batch": opened.batch.get(),
        "lsn": state.lsn.get(),
        "state_root": state.engine.state_root().to_string(),
    })
}
