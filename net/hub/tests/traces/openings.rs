//! Proposals of channels, bent in every field: the hub agrees to none that costs it anything, and no channel comes of one but what
//! both have signed.

use tidegate_channel::ChannelTerms;
use tidegate_client::{Client, Connection, FileStore, Signer};
use tidegate_ledger::{Output, Transaction, Witness};
use tidegate_types::{Age, Amount, Fixed as _, Height, KeyBytes, OutPoint, SignatureBytes, Txid};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{LedgerQuery, LedgerResult, OpenPropose};

use crate::rig::closes::{PATIENCE, coins, refusal};
use crate::rig::sat;
use crate::support::{Answer, CLOSING, FUNDS, World, ask, close, funds};

const CAPACITY: u64 = 2_000_000;
const OWN: u64 = 1_500_000;
const FEE: u64 = 2_000;

/// A proposal, as it is sent.
#[derive(Clone)]
struct Proposal {
    terms: ChannelTerms,
    inputs: Vec<OutPoint>,
    change: Option<(Amount, KeyBytes)>,
}

impl Proposal {
    /// What the hub agrees to.
    fn good(client: &Client<FileStore>, hub: KeyBytes, coin: OutPoint) -> Self {
        Self {
            terms: ChannelTerms {
                client: client.key(),
                hub,
                client_payout: client.key(),
                hub_payout: KeyBytes::ZERO,
                emergency: KeyBytes::ZERO,
                delegate: KeyBytes::ZERO,
                capacity: sat(CAPACITY),
                opening_share: sat(OWN),
                client_reserve: sat(1_000),
                hub_reserve: sat(1_000),
                dispute_window: Age::new(20),
                evidence_grace: Age::new(6),
                expiry: Height::new(1_000),
                nonce: 7,
            },
            inputs: vec![coin],
            change: Some((sat(FUNDS - OWN - FEE), client.key())),
        }
    }

    fn answer(&self, raw: &mut Connection) -> Answer {
        let terms = self.terms.to_vec();
        let message = OpenPropose {
            terms: &terms,
            inputs: self.inputs[..].into(),
            change: self.change,
        };
        ask(raw, &message)
    }
}

/// Puts the client's signature where nobody has signed.
fn complete(mut transaction: Transaction, signer: &Signer) -> Transaction {
    let signature = transaction.body.sign(&signer.ledger, &signer.key);
    for witness in &mut transaction.witnesses {
        if *witness == Witness::Key(SignatureBytes::ZERO) {
            *witness = Witness::Key(signature);
        }
    }
    transaction
}

type Bend = fn(&mut Proposal);

/// What the hub does not agree to.
const REFUSED: [Bend; 22] = [
    |p| p.terms.client = KeyBytes::from_bytes([3; 32]),
    |p| p.terms.client = p.terms.hub,
    |p| p.terms.hub = p.terms.client,
    |p| p.terms.hub_payout = p.terms.client,
    |p| p.terms.client_payout = KeyBytes::from_bytes([2; 32]),
    |p| p.terms.emergency = KeyBytes::from_bytes([2; 32]),
    |p| p.terms.delegate = KeyBytes::from_bytes([2; 32]),
    |p| p.terms.capacity = Amount::ZERO,
    |p| p.terms.capacity = sat(OWN - 1),
    |p| p.terms.capacity = sat(OWN + 999),
    |p| p.terms.capacity = sat(100_000_001),
    |p| p.terms.capacity = Amount::MAX,
    |p| p.terms.opening_share = sat(CAPACITY + 1),
    |p| p.terms.opening_share = sat(999),
    |p| p.terms.client_reserve = Amount::ZERO,
    |p| p.terms.hub_reserve = sat(999),
    |p| p.terms.dispute_window = Age::new(19),
    |p| p.terms.evidence_grace = Age::new(5),
    |p| p.terms.expiry = Height::new(10),
    |p| p.terms.expiry = Height::MAX,
    |p| p.inputs[0].vout += 100,
    |p| p.inputs[0].txid = Txid::ZERO,
];

/// What only the ledger refuses, once somebody has signed: the client's money does not cover it, or not twice.
const UNPAID: [Bend; 5] = [
    |p| p.terms.opening_share = sat(FUNDS),
    |p| p.change = p.change.map(|(_, key)| (sat(FUNDS), key)),
    |p| p.change = p.change.map(|(_, key)| (sat(1), key)),
    |p| p.inputs.push(p.inputs[0]),
    |p| p.inputs.clear(),
];

fn nothing_unpaid_comes_to_the_ledger(
    client: &mut Client<FileStore>,
    raw: &mut Connection,
    good: &Proposal,
    signer: &Signer,
) {
    for (at, bend) in UNPAID.into_iter().enumerate() {
        let mut bent = good.clone();
        bend(&mut bent);
        match bent.answer(raw) {
            Answer::Funding(transaction) => {
                let transaction = Transaction::decode(&transaction).expect("a transaction");
                let (code, text) = refusal(client.submit(&complete(transaction, signer)));
                assert_eq!(code, ErrorCode::TransactionRefused, "bend {at}: {text}");
            }
            answer => assert!(
                matches!(answer, Answer::Error(ErrorCode::TermsRefused, _)),
                "bend {at}: {answer:?}"
            ),
        }
    }
}

/// What the hub has agreed to is nothing else, whoever changes it: its signature covers the whole.
fn no_output_of_it_changes(client: &mut Client<FileStore>, agreed: &Transaction, signer: &Signer) {
    let bends: [fn(&mut Vec<Output>); 4] = [
        |outputs| outputs[1].amount = outputs[1].amount.add(sat(1_000)).expect("small"),
        |outputs| outputs.truncate(2),
        |outputs| outputs[2].condition = outputs[1].condition,
        |outputs| outputs.swap(1, 2),
    ];
    for (at, bend) in bends.into_iter().enumerate() {
        let mut bent = agreed.clone();
        bend(&mut bent.body.outputs);
        let (code, text) = refusal(client.submit(&complete(bent, signer)));
        assert_eq!(code, ErrorCode::TransactionRefused, "output bend {at}: {text}");
    }
}

#[test]
fn a_proposal_bent_in_any_field_opens_no_wrong_channel() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (alice, hub) = (world.signer(0), world.hub.public().bytes());
    let mut raw = world.raw(0);
    let coin = a.funds().expect("the ledger answers")[0];
    let foreign = b.funds().expect("the ledger answers")[0].outpoint;
    let good = Proposal::good(&a, hub, coin.outpoint);
    for (at, bend) in REFUSED.into_iter().enumerate() {
        let mut bent = good.clone();
        bend(&mut bent);
        let answer = bent.answer(&mut raw);
        assert!(
            matches!(answer, Answer::Error(ErrorCode::TermsRefused, _)),
            "bend {at}: {answer:?}"
        );
    }
    // Coins of another client, and of the hub itself: a signature of the hub's would spend them with its own.
    let of_hub = a.query(LedgerQuery::UtxosOf(hub), |answer| match &answer.result {
        LedgerResult::Utxos { outputs, .. } => Ok(outputs.iter().next().expect("a coin").outpoint),
        _ => panic!("another answer"),
    });
    let of_hub = of_hub.expect("the ledger answers");
    for (whose, input) in [("another's", foreign), ("the hub's", of_hub)] {
        for inputs in [vec![input], vec![coin.outpoint, input]] {
            let answer = Proposal { inputs, ..good.clone() }.answer(&mut raw);
            assert!(
                matches!(answer, Answer::Error(ErrorCode::TermsRefused, _)),
                "{whose} coin: {answer:?}"
            );
        }
    }
    nothing_unpaid_comes_to_the_ledger(&mut a, &mut raw, &good, &alice);
    assert_eq!([funds(&mut a), funds(&mut b)], [FUNDS; 2], "nobody has paid anything");

    let Answer::Funding(agreed) = good.answer(&mut raw) else {
        panic!("the hub agrees")
    };
    let agreed = Transaction::decode(&agreed).expect("a transaction");
    no_output_of_it_changes(&mut a, &agreed, &alice);
    let transaction = complete(agreed, &alice);
    a.submit(&transaction).expect("both have signed it");
    a.wait_final(transaction.txid(), PATIENCE).expect("final");
    let funding = OutPoint {
        txid: transaction.txid(),
        vout: 0,
    };
    let opened = ChannelTerms {
        hub_payout: hub,
        ..good.terms
    }
    .channel_id(&funding);
    a.sync(&opened).expect("the hub knows the channel, and no other");
    close(&mut a, &opened);
    assert_eq!(funds(&mut a), FUNDS - FEE - CLOSING);
    drop((raw, a, b));
    let node = world.ends();
    assert_eq!(node.channels().count(), 0);
    assert_eq!(coins(&node, hub), 10_000_000, "the hub has what it had");
}
