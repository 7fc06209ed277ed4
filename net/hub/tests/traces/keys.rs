//! Trace 19: keys that do not count enter by no door: not by a channel's terms, not by an output of any kind, not by a payment.

use std::path::Path;

use tidegate_channel::{ChannelTerms, FailReason};
use tidegate_client::{Client, Connection, FileStore, OpenPlan};
use tidegate_ledger::{
    After, Condition, Inner, LockCondition, LockTerms, MultiKeys, Output, Timelock, Transaction, TransactionBody,
};
use tidegate_types::{Age, Amount, Fixed as _, Height, KeyBytes, OutPoint};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::OpenPropose;

use crate::rig::closes::{PATIENCE, refusal};
use crate::rig::{open, payment, sat};
use crate::support::{Answer, CLOSING, FUNDS, OPENING, World, ask, close, funds};

/// Those of the test vectors: of small order, with torsion, not canonical, no point at all.
fn keys_that_do_not_count() -> Vec<KeyBytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/data/vectors/keys.json");
    let text = std::fs::read_to_string(path).expect("the vectors");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let bad = all["refused"].as_array().expect("a list").iter();
    bad.map(|entry| entry["public"].as_str().expect("hex").parse().expect("a key's width"))
        .collect()
}

/// Outputs of every kind that name it.
fn outputs(bad: KeyBytes, good: KeyBytes) -> Vec<(Output, Vec<MultiKeys>)> {
    let amount = sat(50_000);
    let multi = MultiKeys::new(1, vec![good, bad]).expect("two keys");
    let later = |inner| {
        Condition::Timelocked(Timelock {
            after: After::Height(Height::new(5)),
            inner,
        })
    };
    let lock = |claim, refund| {
        Condition::Lock(LockTerms {
            condition: LockCondition::Hash([1; 32]),
            claim,
            refund,
            expiry: Height::new(900),
        })
    };
    let plain = [
        Condition::Key(bad),
        later(Inner::Key(bad)),
        lock(bad, good),
        lock(good, bad),
        Output::to_stake(amount, bad, good, Age::new(100)).condition,
        Output::to_stake(amount, good, bad, Age::new(100)).condition,
    ];
    let shown = [
        Condition::Multi(multi.condition()),
        later(Inner::Multi(multi.condition())),
    ];
    let plain = plain
        .into_iter()
        .map(|condition| (Output { amount, condition }, Vec::new()));
    plain
        .chain(shown.map(|condition| (Output { amount, condition }, vec![multi.clone()])))
        .collect()
}

/// Brings a transaction that spends a client's coin into this output.
fn spends(
    client: &mut Client<FileStore>,
    world: &World,
    (output, keys): (Output, Vec<MultiKeys>),
) -> (ErrorCode, String) {
    let coin = client.funds().expect("the ledger answers")[0];
    let left = coin.amount.sub(sat(51_000)).expect("a large coin");
    let mut body = TransactionBody::plain(vec![coin.outpoint], vec![output, Output::to_key(left, client.key())]);
    body.keys = keys;
    let signer = world.signer(0);
    let transaction: Transaction = body.sign_all(&signer.ledger, &[&signer.key]);
    refusal(client.submit(&transaction))
}

fn propose(raw: &mut Connection, terms: ChannelTerms, coin: OutPoint, change: Option<(Amount, KeyBytes)>) -> Answer {
    let (bytes, inputs) = (terms.to_vec(), [coin]);
    let proposal = OpenPropose {
        terms: &bytes,
        inputs: inputs[..].into(),
        change,
    };
    ask(raw, &proposal)
}

/// No channel is opened that names it anywhere, or pays change to it.
fn no_terms_name_it(
    client: &mut Client<FileStore>,
    raw: &mut Connection,
    (terms, coin): (ChannelTerms, OutPoint),
    bad: KeyBytes,
) {
    let doors: [fn(&mut ChannelTerms) -> &mut KeyBytes; 6] = [
        |terms| &mut terms.client,
        |terms| &mut terms.hub,
        |terms| &mut terms.client_payout,
        |terms| &mut terms.hub_payout,
        |terms| &mut terms.emergency,
        |terms| &mut terms.delegate,
    ];
    for (at, door) in doors.into_iter().enumerate() {
        let mut bent = terms;
        *door(&mut bent) = bad;
        let answer = propose(raw, bent, coin, None);
        assert!(
            matches!(answer, Answer::Error(ErrorCode::TermsRefused, _)),
            "door {at}, {bad}: {answer:?}"
        );
    }
    // Whoever may have what is left is the ledger's to judge.
    let Answer::Funding(transaction) = propose(raw, terms, coin, Some((sat(1_000), bad))) else {
        panic!("the hub pays its own share and nothing else")
    };
    let transaction = Transaction::decode(&transaction).expect("a transaction");
    let (code, text) = refusal(client.submit(&transaction));
    assert_eq!(code, ErrorCode::TransactionRefused);
    assert!(
        text.contains("names a key that does not count"),
        "change to {bad}: {text}"
    );
}

#[test]
fn keys_that_do_not_count_enter_by_no_door() {
    let world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let terms = a.channels().get(&from).expect("open").opened().terms;
    let (alice, coin) = (a.key(), a.funds().expect("the ledger answers")[0]);
    let bad = keys_that_do_not_count();
    assert!(
        bad.len() >= 5,
        "small order, torsion, two ways to be no canonical point"
    );
    let mut raw = world.raw(0);
    for bad in bad {
        no_terms_name_it(&mut a, &mut raw, (terms, coin.outpoint), bad);
        for output in outputs(bad, alice) {
            let (code, text) = spends(&mut a, &world, output.clone());
            assert_eq!(code, ErrorCode::TransactionRefused, "{output:?}");
            assert!(text.contains("names a key that does not count"), "{output:?}: {text}");
        }
        let paid = a.pay(&from, &[payment(bad, to, 1_000)]).expect("answered");
        assert_eq!(paid[0].failure(), Some(FailReason::UnknownPayee), "a payment to {bad}");
        assert_eq!(a.settle(&from).expect("taken back"), 0);
    }
    drop(raw);
    let plan = OpenPlan {
        capacity: sat(100_000),
        own: sat(50_000),
        fee: sat(OPENING),
        dust: sat(330),
        lifetime: Age::new(1_000),
        payout: Some(KeyBytes::from_bytes([2; 32])),
        timeout: PATIENCE,
    };
    assert_eq!(refusal(a.open(&plan)).0, ErrorCode::TermsRefused);
    close(&mut a, &from);
    close(&mut b, &to);
    assert_eq!([funds(&mut a), funds(&mut b)], [FUNDS - OPENING - CLOSING; 2]);
    drop((a, b));
    world.ends_with(0);
}
