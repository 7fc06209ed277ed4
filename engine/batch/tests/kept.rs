//! What payers owe by a payee's word, however many leaves the payee has since and whatever becomes of its channel. The rig
//! checks after every batch that all of it can be proved.

mod rig;

use proptest::prelude::*;
use rig::Rig;
use tidegate_batch::{BlockInput, Input, RevealedAck, TABLES};
use tidegate_channel::RefuseReason;
use tidegate_channel::evidence::Acknowledged;
use tidegate_types::SignatureBytes;

/// The one that is paid.
const PAYEE: usize = 1;

/// The next block.
fn block(rig: &mut Rig) -> BlockInput {
    let Input::Block(block) = rig.mine(1) else {
        unreachable!()
    };
    block
}

fn pay(rig: &mut Rig, payer: usize) {
    let lock = rig.lock(PAYEE, 5);
    let pay = rig.pay(payer, &[lock]);
    rig.batch(vec![pay]);
}

fn settle(rig: &mut Rig, payer: usize) {
    let settle = rig.pay(payer, &[]);
    rig.batch(vec![settle]);
}

/// By an ack, if there is anything to acknowledge.
fn ack(rig: &mut Rig) {
    if rig.has_leaf(PAYEE) {
        let ack = rig.ack(PAYEE);
        rig.batch(vec![ack]);
    }
}

fn refresh(rig: &mut Rig, times: usize) {
    for _ in 0..times {
        let channel = rig.clients[PAYEE].id;
        rig.batch(vec![Input::Refresh(channel)]);
    }
}

/// What the hub would bring to the ledger comes into a block.
fn reveal(rig: &mut Rig) {
    let payee = rig.engine.channel(&rig.clients[PAYEE].id).expect("open");
    let unproven = rig.engine.unproven_acks(payee);
    let mut block = block(rig);
    block.acked = unproven
        .iter()
        .map(|owed| RevealedAck {
            height: block.height,
            ack: tidegate_channel::Ack {
                channel: owed.word.channel(),
                leaf: owed.word.leaf(),
            },
            signature: match owed.word {
                Acknowledged::ByAck(_, signature) => signature,
                Acknowledged::ByState(_) => SignatureBytes::ZERO,
            },
        })
        .collect();
    rig.batch(vec![Input::Block(block)]);
    assert_eq!(rig.engine.unproven_acks(payee), [], "it is proven now");
}

fn end(rig: &mut Rig) {
    let mut block = block(rig);
    block.closed = vec![rig.clients[PAYEE].id];
    rig.batch(vec![Input::Block(block)]);
}

/// Words that are kept now.
fn kept(rig: &Rig) -> u32 {
    let at = TABLES.iter().position(|table| table.name == "kept").expect("a table");
    rig.engine.usage()[at].used - rig.engine.free_records()[at]
}

/// Leaves that are held now.
fn leaves(rig: &Rig) -> u32 {
    let at = TABLES.iter().position(|table| table.name == "leaves").expect("a table");
    rig.engine.usage()[at].used - rig.engine.free_records()[at]
}

#[test]
fn a_payee_leaves_when_what_others_owe_is_proven() {
    let mut rig = Rig::new(3);
    pay(&mut rig, 0);
    ack(&mut rig);
    ack(&mut rig);
    let close = rig.close(PAYEE, 1);
    rig.batch(vec![close.clone()]);
    assert_eq!(rig.refusal(), Some(RefuseReason::AckUnproven));
    let splice = rig.splice(PAYEE, 0, 0, 1);
    rig.batch(vec![Input::Splice(splice)]);
    assert_eq!(rig.refusal(), Some(RefuseReason::AckUnproven));
    reveal(&mut rig);
    rig.batch(vec![close]);
    assert_eq!(rig.refusal(), None);
    end(&mut rig);
    assert_eq!(kept(&rig), 1);
    settle(&mut rig, 0);
    assert_eq!(kept(&rig), 0);
    rig.replay();
}

#[test]
fn a_payee_whose_payers_have_settled_leaves_at_once() {
    let mut rig = Rig::new(3);
    pay(&mut rig, 0);
    ack(&mut rig);
    settle(&mut rig, 0);
    let close = rig.close(PAYEE, 1);
    rig.batch(vec![close]);
    assert_eq!(rig.refusal(), None);
}

#[test]
fn what_is_kept_is_freed_with_its_last_lock() {
    let mut rig = Rig::new(4);
    pay(&mut rig, 0);
    pay(&mut rig, 2);
    ack(&mut rig);
    for _ in 0..80 {
        pay(&mut rig, 3);
        ack(&mut rig);
    }
    assert_eq!(kept(&rig), 1, "both are owed by one word");
    settle(&mut rig, 0);
    assert_eq!(kept(&rig), 1);
    let before = leaves(&rig);
    settle(&mut rig, 2);
    assert_eq!(kept(&rig), 0);
    assert!(leaves(&rig) < before, "its leaves are freed");
    rig.replay();
}

/// Silent for more than 64 leaves, in which nothing waits: what was said before is still what counts.
#[test]
fn a_newer_word_that_is_too_far_does_not_replace_the_old() {
    for by_state in [false, true] {
        let mut rig = Rig::new(2);
        let say = |rig: &mut Rig| if by_state { settle(rig, PAYEE) } else { ack(rig) };
        pay(&mut rig, 0);
        say(&mut rig);
        refresh(&mut rig, 70);
        assert_eq!(kept(&rig), 0);
        say(&mut rig);
        assert_eq!(rig.refusal(), None);
        assert_eq!(kept(&rig), 1, "by a state: {by_state}");
        rig.replay();
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Pay(usize),
    Settle(usize),
    Ack,
    /// The payee acknowledges by a state of its own.
    State,
    Refresh(usize),
    Reveal,
}

fn act() -> impl Strategy<Value = Act> {
    let payer = prop::sample::select(vec![0, 2, 3, 4]);
    prop_oneof![
        6 => payer.clone().prop_map(Act::Pay),
        2 => payer.prop_map(Act::Settle),
        6 => Just(Act::Ack),
        3 => Just(Act::State),
        4 => (1_usize..90).prop_map(Act::Refresh),
        1 => Just(Act::Reveal),
    ]
}

fn take(rig: &mut Rig, act: Act) {
    let view = rig.view(PAYEE);
    let unacked = view.leaf.counter.get() - view.acked.get();
    // While a credit waits a payee acknowledges every 64 leaves (rule 12).
    let silent_for = if view.sums.unfirm_credit.is_zero() {
        usize::MAX
    } else {
        usize::try_from(60_u64.saturating_sub(unacked)).expect("few")
    };
    match act {
        Act::Pay(payer) => pay(rig, payer),
        Act::Settle(payer) => settle(rig, payer),
        Act::Ack => ack(rig),
        Act::State => settle(rig, PAYEE),
        Act::Refresh(times) => refresh(rig, times.min(silent_for)),
        Act::Reveal => reveal(rig),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// In any order; then the payee's channel ends on the ledger, and in the end all payers settle.
    #[test]
    fn whatever_is_owed_is_proved(acts in prop::collection::vec(act(), 1..40), in_dispute in any::<bool>()) {
        let mut rig = Rig::new(5);
        for act in acts {
            take(&mut rig, act);
        }
        if in_dispute {
            let mut block = block(&mut rig);
            block.closing = vec![rig.clients[PAYEE].id];
            rig.batch(vec![Input::Block(block)]);
            reveal(&mut rig);
        }
        end(&mut rig);
        for payer in [0, 2, 3, 4] {
            settle(&mut rig, payer);
        }
        prop_assert_eq!(kept(&rig), 0);
        rig.replay();
    }
}
