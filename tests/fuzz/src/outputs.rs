//! First inputs of what a ledger holds: an output and a table's entry for each way to be spent and each thing remembered, and a
//! transaction with each kind of witness.

use tidegate_channel::evidence::{AckProof, LeafLink, Side};
use tidegate_channel::{ChannelTerms, LeafRef};
use tidegate_ledger::{
    AckRecord, After, Condition, EndedRecord, Inner, LockCondition, LockProof, LockTerms, Multi, MultiKeys,
    MultiWitness, OpenLock, Output, PreimageRecord, Record, StakeRecord, StakeState, StakeTerms, Timelock, Transaction,
    TransactionBody, Utxo, Witness,
};
use tidegate_test_conformance::cast::{Cast, PREIMAGE};
use tidegate_types::{
    Age, Amount, ChannelId, Digest, Fixed, Height, HubCounter, KeyBytes, LockId, LockSlot, OutPoint, SignatureBytes,
    Txid,
};

const KEY: KeyBytes = KeyBytes::ZERO;
const OUTPOINT: OutPoint = OutPoint {
    txid: Txid::ZERO,
    vout: 0,
};

/// All of them.
pub(crate) fn built() -> Vec<Vec<u8>> {
    let cast = Cast::new();
    let conditions = conditions(&cast);
    // One transaction for each, so that not every change meets all of them.
    let created = conditions.iter().filter(|condition| is_created(condition));
    let key = Witness::Key(SignatureBytes::ZERO);
    let mut all: Vec<Vec<u8>> = created.map(|&condition| transaction(condition, key.clone())).collect();
    let witnesses = witnesses(&cast).into_iter();
    all.extend(witnesses.map(|witness| transaction(Condition::Key(KEY), witness)));
    all.extend(conditions.into_iter().chain(remembered(&cast)).map(entry));
    all
}

/// True for what transactions create; the rest stands in the ledger's table alone.
fn is_created(condition: &Condition) -> bool {
    match condition {
        Condition::Closing(_) | Condition::Record(_) => false,
        Condition::Stake(terms) => terms.state == StakeState::Bonded,
        _ => true,
    }
}

const fn to(condition: Condition) -> Output {
    Output {
        amount: Amount::ZERO,
        condition,
    }
}

fn entry(condition: Condition) -> Vec<u8> {
    let utxo = Utxo {
        output: to(condition),
        height: Height::new(7),
        position: 8,
    };
    let mut bytes = Vec::new();
    utxo.append_to(&mut bytes);
    bytes
}

fn transaction(condition: Condition, witness: Witness) -> Vec<u8> {
    let body = TransactionBody::plain(vec![OUTPOINT], vec![to(condition)]);
    Transaction {
        body,
        witnesses: vec![witness],
    }
    .encode()
}

fn keys() -> MultiKeys {
    let keys = [1, 2, 3].map(|byte| KeyBytes::from_bytes([byte; 32]));
    MultiKeys::new(2, keys.to_vec()).expect("two of three")
}

/// How money is held.
fn conditions(cast: &Cast) -> Vec<Condition> {
    let multi: Multi = keys().condition();
    let terms: ChannelTerms = cast.payer.1;
    let timelocks = [
        (After::Height(Height::new(9)), Inner::Key(KEY)),
        (After::Age(Age::new(9)), Inner::Multi(multi)),
    ];
    let locks = [
        LockCondition::Ack {
            lock: LockId::ZERO,
            payee: ChannelId::ZERO,
        },
        LockCondition::Hash(PREIMAGE),
    ];
    let slashed = StakeState::Slashed {
        until: Height::new(9),
        reward: KEY,
    };
    let stakes = [StakeState::Bonded, StakeState::Unbonding(Height::new(9)), slashed];
    let mut all = vec![
        Condition::Key(KEY),
        Condition::Multi(multi),
        Condition::Channel(terms),
        Condition::Closing(terms),
    ];
    all.extend(timelocks.map(|(after, inner)| Condition::Timelocked(Timelock { after, inner })));
    all.extend(locks.map(|condition| {
        Condition::Lock(LockTerms {
            condition,
            claim: KEY,
            refund: KEY,
            expiry: Height::new(9),
        })
    }));
    all.extend(stakes.map(|state| {
        Condition::Stake(StakeTerms {
            hub: KEY,
            payout: KEY,
            unbonding: Age::new(9),
            bonded: Amount::ZERO,
            state,
        })
    }));
    all
}

/// What the ledger makes.
fn remembered(cast: &Cast) -> Vec<Condition> {
    let channel = cast.payer.2;
    let lock = OpenLock {
        channel,
        side: Side::Client,
        slot: LockSlot::new(3).expect("below 64"),
        refunded: false,
        expiry: Height::new(9),
        amount: Amount::ZERO,
        lock: LockId::ZERO,
        condition: LockCondition::Hash(PREIMAGE),
    };
    let records = [
        Record::OpenLock(lock),
        Record::Preimage(PreimageRecord {
            hash: PREIMAGE,
            preimage: PREIMAGE,
        }),
        Record::Ack(AckRecord {
            channel,
            counter: HubCounter::new(9),
            digest: Digest::ZERO,
        }),
        Record::StakeOf(StakeRecord {
            hub: KEY,
            outpoint: OUTPOINT,
        }),
        Record::Commitment(Digest::ZERO),
        Record::Ended(EndedRecord {
            channel,
            hub: KEY,
            client_payout: KEY,
            hub_paid: Amount::ZERO,
            until: Height::new(9),
        }),
    ];
    records.map(Condition::Record).to_vec()
}

fn witnesses(cast: &Cast) -> Vec<Witness> {
    let signature = SignatureBytes::ZERO;
    let way = AckProof {
        links: vec![LeafLink {
            private: Digest::ZERO,
            public: cast.leaves[1].public,
        }],
        entry: cast.entry.clone(),
    };
    let leaf: LeafRef = cast.leaves[1].reference();
    let claims = [
        LockProof::Recorded,
        LockProof::Preimage(PREIMAGE),
        LockProof::Acked(leaf, Box::new(way)),
    ];
    let multi = MultiWitness {
        keys: keys(),
        signers: 0b101,
        signatures: vec![signature; 2],
    };
    let mut all = vec![
        Witness::Key(signature),
        Witness::Action,
        Witness::Multi(Box::new(multi)),
        Witness::LockRefund(signature),
    ];
    all.extend(claims.map(|proof| Witness::LockClaim { proof, signature }));
    all
}
