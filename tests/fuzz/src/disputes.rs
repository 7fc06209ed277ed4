//! First inputs of what a dispute is made of: each kind of evidence, and a transaction for each kind of action.
//!
//! Signatures are zeros: decoders do not check them.

use tidegate_channel::codec::Canonical;
use tidegate_channel::evidence::{
    AckProof, Acknowledged, ClientEvidence, Fault, HubEvidence, LeafLink, LeafNaming, LeafProof, LockEvidence,
    OpenedIn, OpenedOut, Pair, ProvenLeaf, Side, SignedStart, SignedState, StartClose, StateNaming,
};
use tidegate_ledger::{Action, LockPlace, Output, Payer, Transaction, TransactionBody, Witness};
use tidegate_test_conformance::cast::{Cast, PREIMAGE};
use tidegate_types::{Amount, ClientCounter, Digest, HubCounter, KeyBytes, LockSlot, OutPoint, SignatureBytes};

const SIGNED: SignatureBytes = SignatureBytes::ZERO;

/// All of them.
pub(crate) fn built() -> Vec<Vec<u8>> {
    let cast = Cast::new();
    let pairs = pairs(&cast);
    let evidence = lock_evidence(&cast);
    let faults = faults(&cast);
    let actions = actions(&cast, &pairs, &evidence, &faults);
    let mut all: Vec<Vec<u8>> = pairs.iter().map(Canonical::to_bytes).collect();
    all.extend(evidence.iter().map(Canonical::to_bytes));
    all.extend(faults.iter().map(Canonical::to_bytes));
    all.push(ack_proof(&cast).to_bytes());
    all.extend(actions.iter().map(Canonical::to_bytes));
    all.extend(actions.into_iter().map(transaction));
    all
}

fn signed(cast: &Cast, at: usize) -> SignedState {
    SignedState {
        state: cast.states[at],
        signature: SIGNED,
    }
}

fn slot(index: u8) -> LockSlot {
    LockSlot::new(index).expect("below 64")
}

/// A pair for each way of naming its halves.
fn pairs(cast: &Cast) -> Vec<Pair> {
    let noted = ProvenLeaf {
        proof: LeafProof::Note(SIGNED),
        ..cast.leaves[0].clone()
    };
    let client = |named| {
        Some(Box::new(ClientEvidence {
            signed: signed(cast, 1),
            named,
            locks: vec![OpenedOut {
                slot: slot(0),
                added: ClientCounter::new(1),
                lock: cast.locks[0].0,
            }],
        }))
    };
    let hub = |leaf: &ProvenLeaf, named| {
        Some(Box::new(HubEvidence {
            leaf: leaf.clone(),
            named,
            locks: vec![OpenedIn {
                slot: slot(0),
                lock: cast.in_lock,
            }],
        }))
    };
    let other_state = LeafNaming::ByOtherState(Box::new(signed(cast, 2)));
    let other_leaf = StateNaming::ByOtherLeaf(Box::new(noted.clone()));
    vec![
        Pair {
            client: client(StateNaming::ByLeaf),
            hub: hub(&cast.leaves[1], LeafNaming::ByState),
        },
        Pair {
            client: client(other_leaf),
            hub: hub(&noted, other_state),
        },
        Pair {
            client: client(StateNaming::ByNote(SIGNED)),
            hub: None,
        },
        Pair {
            client: None,
            hub: hub(&cast.leaves[1], LeafNaming::ByAck(SIGNED)),
        },
    ]
}

fn lock_evidence(cast: &Cast) -> Vec<LockEvidence> {
    vec![
        LockEvidence::Failed {
            leaf: Box::new(cast.leaves[0].clone()),
            entry: cast.entry.clone(),
        },
        LockEvidence::Released(SIGNED),
    ]
}

fn ack_proof(cast: &Cast) -> AckProof {
    AckProof {
        links: vec![LeafLink {
            private: Digest::ZERO,
            public: cast.leaves[1].public,
        }],
        entry: cast.entry.clone(),
    }
}

fn faults(cast: &Cast) -> Vec<Fault> {
    let start = SignedStart {
        start: cast.start,
        signature: SIGNED,
    };
    vec![
        Fault::Headers(Box::new([cast.header, cast.header])),
        Fault::Leaves(Box::new(cast.leaves.clone())),
        Fault::Start(Box::new(start), Box::new(cast.leaves[0].clone())),
    ]
}

fn actions(cast: &Cast, pairs: &[Pair], evidence: &[LockEvidence], faults: &[Fault]) -> Vec<Action> {
    let channel = cast.payer.2;
    let signature = SIGNED;
    let start = |start: StartClose| SignedStart { start, signature };
    // Who starts without evidence names no counters.
    let emergency = StartClose {
        has_evidence: false,
        client: ClientCounter::ZERO,
        hub: HubCounter::ZERO,
        ..cast.start
    };
    let place = LockPlace {
        channel,
        side: Side::Hub,
        slot: slot(0),
    };
    let (hub, reward) = (KeyBytes::ZERO, KeyBytes::ZERO);
    let fault = || Box::new(faults[0].clone());
    let words = [
        Acknowledged::ByAck(cast.ack, SIGNED),
        Acknowledged::ByState(signed(cast, 1)),
    ];
    let mut all = vec![
        Action::StartClose {
            start: start(emergency),
            pair: None,
        },
        Action::StartClose {
            start: start(cast.start),
            pair: Some(Box::new(pairs[0].clone())),
        },
        Action::Settle { channel },
        Action::RevealPreimage {
            preimage: PREIMAGE,
            place: Some(place),
            payer: Payer::Side(Side::Client, SIGNED),
        },
        Action::Unbond { hub, signature: SIGNED },
        Action::Commit { digest: Digest::ZERO },
        Action::ReportFault {
            hub,
            reward,
            fault: fault(),
        },
        Action::Forfeit {
            channel,
            fault: fault(),
        },
        Action::ClaimStake {
            channel,
            hub,
            fault: fault(),
        },
        Action::Distribute { hub },
    ];
    all.extend(pairs.iter().map(|pair| Action::Evidence {
        channel,
        payer: Payer::Coins,
        pair: Box::new(pair.clone()),
    }));
    all.extend(evidence.iter().map(|evidence| Action::LockEvidence {
        place,
        payer: Payer::Side(Side::Hub, SIGNED),
        evidence: Box::new(evidence.clone()),
    }));
    all.extend(words.into_iter().map(|word| Action::RevealAck {
        funding: cast.payer.0,
        word: Box::new(word),
        payer: Payer::Coins,
    }));
    all
}

fn transaction(action: Action) -> Vec<u8> {
    let mut body = TransactionBody::plain(
        vec![OutPoint {
            txid: tidegate_types::Txid::ZERO,
            vout: 0,
        }],
        vec![Output::to_key(Amount::ZERO, KeyBytes::ZERO)],
    );
    body.action = Some(Box::new(action));
    let transaction = Transaction {
        body,
        witnesses: vec![Witness::Key(SIGNED)],
    };
    transaction.encode()
}
