//! Wallets against a hub that is played by the test: it signs batches with the rules' own functions.

use std::sync::Arc;

use crate::played::{PlayedHub, ProofBytes, client, lock, opened, sat, terms, with_store};
use tidegate_channel::wallet::{LeafFault, LockStatus, SettleOn};
use tidegate_channel::{OpKind, OpOutcome};
use tidegate_client::proof::ProofError;
use tidegate_client::receipt::ReceiptError;
use tidegate_client::store::{MemoryStore, Record};
use tidegate_client::{
    AdoptError, Channels, ClientChannel, CloseError, FileStore, HeaderCache, ReceiptChecker, StepError,
    WalletStore as _,
};
use tidegate_disk::RealDisk;
use tidegate_ledger::Transaction;
use tidegate_types::{Age, Amount, Height};
use tidegate_wire::Items;
use tidegate_wire::messages::{Body as _, Link, Receipt, ReceiptEntry, SyncAnswer};

const HEIGHT: Height = Height::new(100);

/// Payer, payee and hub after one payment that the payee has acknowledged.
fn after_a_payment() -> (PlayedHub, Channels<MemoryStore>, Channels<MemoryStore>) {
    let mut hub = PlayedHub::new();
    let (mut payer, mut payee) = (client(&hub, 1, 0), client(&hub, 2, 0));
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    let state = payer.pay(&from, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    let batch = hub.deliver(&state, to);
    let told = payer.accept_receipt(&batch.receipt()).unwrap();
    let credited = payee.accept_receipt(&batch.receipt()).unwrap();
    assert_eq!(told[0].events.outcomes[0].1, LockStatus::Delivered);
    assert_eq!(
        (told.len(), credited.len(), credited[0].events.credited),
        (1, 1, sat(50))
    );
    let ack = payee
        .ack(&to, HEIGHT)
        .unwrap()
        .expect("a credited leaf waits for an ack");
    hub.take_ack(&ack);
    (hub, payer, payee)
}

#[test]
fn a_payment_is_delivered_acknowledged_proved_and_settled() {
    let (mut hub, mut payer, mut payee) = after_a_payment();
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    assert_eq!(
        payee.get(&to).unwrap().wallet().spendable(),
        Amount::ZERO,
        "a credit is not firm at once"
    );
    let firm = hub.firm(to);
    payee.accept_receipt(&firm.receipt()).unwrap();
    assert_eq!(
        payee.get(&to).unwrap().wallet().spendable(),
        sat(40),
        "less the reserve"
    );
    assert_eq!(
        payer.settle(&from, HEIGHT).unwrap(),
        None,
        "nothing is settled without proof"
    );
    let proof = hub.proof(from, 0);
    assert!(payer.prove(&proof.message()).unwrap());
    let settled = payer.settle(&from, HEIGHT).unwrap().expect("a proved lock is settled");
    let batch = hub.settle(&settled);
    payer.accept_receipt(&batch.receipt()).unwrap();
    let wallet = payer.get(&from).unwrap().wallet();
    assert_eq!((wallet.locks().count(), wallet.sums().debit), (0, sat(51)));
    assert!(payer.get(&from).unwrap().unanswered().is_none());
}

/// The second leaf of a batch of two stands beside the first: with the first's path nothing is left to be shown.
#[test]
fn a_shared_path_is_believed_behind_the_leaf_that_it_rests_on() {
    let mut hub = PlayedHub::new();
    let dirs = [1, 2].map(|_| tempfile::tempdir().unwrap());
    let store = |dir: &tempfile::TempDir| FileStore::open(Arc::new(RealDisk), dir.path()).unwrap();
    let mut wallets = [1, 2].map(|n| with_store(&hub, n, store(&dirs[usize::from(n) - 1])));
    for (wallet, n) in wallets.iter_mut().zip([1, 2]) {
        wallet.adopt(opened(&hub, n, 0)).unwrap();
    }
    let [from, to] = [1, 2].map(|n| opened(&hub, n, 0).channel);
    let state = wallets[0].pay(&from, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    let batch = hub.deliver(&state, to);
    let receipt = batch.receipt();
    let whole: Vec<_> = receipt.entries.iter().collect();
    let second = ReceiptEntry {
        path: &[],
        shared: true,
        ..whole[1]
    };
    let of = |entries: &[ReceiptEntry<'_>], wallet: &mut Channels<FileStore>| {
        wallet.accept_receipt(&Receipt {
            header: receipt.header,
            entries: entries.into(),
        })
    };
    let is_path = |error| matches!(error, StepError::Receipt(ReceiptError::Path(_)));
    let payee = usize::from(whole[1].private.starts_with(to.as_bytes()));
    let (owner, other) = (payee, 1 - payee);
    assert!(is_path(of(&[second], &mut wallets[owner]).unwrap_err()), "alone");
    assert!(
        is_path(of(&[second, whole[0]], &mut wallets[owner]).unwrap_err()),
        "before it"
    );
    let mut private = *whole[0].private;
    private[100] ^= 1;
    let wrong = ReceiptEntry {
        private: &private,
        ..whole[0]
    };
    assert!(
        is_path(of(&[wrong, second], &mut wallets[owner]).unwrap_err()),
        "behind a wrong one"
    );
    let both = [whole[0], second];
    assert_eq!(of(&both, &mut wallets[owner]).unwrap().len(), 1);
    assert_eq!(of(&both, &mut wallets[other]).unwrap().len(), 1);
    assert!(of(&both, &mut wallets[owner]).unwrap().is_empty(), "known by now");
    // What is kept is a proof by itself.
    drop(wallets);
    let records = store(&dirs[owner]).load(&[from, to][owner]).unwrap();
    let mut kept = records.into_iter().filter_map(|record| match record {
        Record::Receipt(body) => Some(body),
        _ => None,
    });
    let (kept, None) = (kept.next().unwrap(), kept.next()) else {
        panic!("one receipt was taken");
    };
    let kept = Receipt::decode(&kept).unwrap();
    let entry = kept.entries.iter().next().unwrap();
    assert_eq!((entry.path, entry.shared), (whole[1].path, false));
}

#[test]
fn every_changed_byte_of_a_proof_is_noticed() {
    let (hub, mut payer, _) = after_a_payment();
    let from = opened(&hub, 1, 0).channel;
    let good = hub.proof(from, 0);
    // Channel and lock in front only say what is meant, and a lock that is not open is another error.
    for at in 8..good.bytes.len() {
        let mut bad = good.clone();
        bad.bytes[at] ^= 1;
        if let Some(message) = bad.try_message() {
            assert!(payer.prove(&message).is_err(), "byte {at}");
        }
    }
    assert!(payer.prove(&good.message()).unwrap());
}

#[test]
fn an_ack_of_a_later_leaf_proves_the_payment_and_of_a_foreign_one_does_not() {
    let mut hub = PlayedHub::new();
    let (mut payer, mut payee) = (client(&hub, 1, 0), client(&hub, 2, 0));
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    let state = payer.pay(&from, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    let batch = hub.deliver(&state, to);
    payer.accept_receipt(&batch.receipt()).unwrap();
    for batch in [batch, hub.refresh(to), hub.refresh(to)] {
        payee.accept_receipt(&batch.receipt()).unwrap();
    }
    hub.take_ack(&payee.ack(&to, HEIGHT).unwrap().unwrap());
    let good = hub.proof(from, 0);
    let answer = good.message();
    let proof = answer.proof.unwrap();
    assert_eq!(proof.links.len(), 3);
    // The payee acknowledges its leaves, and somebody puts one before them that it never saw.
    let with = |links: &[Link]| try_links(&payer, &good, links);
    assert_eq!(with(&[proof.links[0], proof.links[2]]), Err(ProofError::BrokenChain));
    assert_eq!(with(&proof.links[..2]), Err(ProofError::BrokenChain));
    assert_eq!(with(&proof.links[1..]), Err(ProofError::NotCredited));
    assert_eq!(with(&[]), Err(ProofError::BrokenChain));
    assert_eq!(with(proof.links), Ok(true));
}

/// What the payer says to a proof with other links.
fn try_links(payer: &Channels<MemoryStore>, proof: &ProofBytes, links: &[Link]) -> Result<bool, ProofError> {
    let mut answer = proof.message();
    answer.proof.as_mut().unwrap().links = links;
    match reopen(payer).prove(&answer) {
        Err(StepError::Proof(error)) => Err(error),
        other => Ok(other.unwrap()),
    }
}

#[test]
fn a_delivered_lock_is_settled_without_proof_only_if_that_was_asked_for() {
    let mut hub = PlayedHub::new();
    let trusting = tidegate_client::Opened {
        settle_on: SettleOn::Delivered,
        ..opened(&hub, 1, 0)
    };
    let mut payer = crate::played::empty_client(&hub, 1);
    payer.adopt(trusting).unwrap();
    let from = trusting.channel;
    let state = payer.pay(&from, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    let to = opened(&hub, 2, 0).channel;
    let batch = hub.deliver(&state, to);
    payer.accept_receipt(&batch.receipt()).unwrap();
    assert!(payer.settle(&from, HEIGHT).unwrap().is_some());
}

#[test]
fn every_changed_byte_of_a_receipt_is_noticed() {
    let mut hub = PlayedHub::new();
    let mut payer = client(&hub, 1, 0);
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    let state = payer.pay(&from, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    let batch = hub.deliver(&state, to);
    let others = batch.entry_of(&to);
    for at in (0..batch.body.len()).filter(|at| !others.contains(at)) {
        let mut bad = batch.body.clone();
        bad[at] ^= 1;
        if let Ok(receipt) = Receipt::decode(&bad) {
            // A leaf under another channel's name is no news for this wallet.
            let told = reopen(&payer).accept_receipt(&receipt);
            assert!(told.map_or(true, |news| news.is_empty()), "byte {at}");
        }
    }
    assert_eq!(payer.accept_receipt(&batch.receipt()).unwrap().len(), 1);
}

#[test]
fn leaves_come_in_order_once_and_name_only_signed_states() {
    let mut hub = PlayedHub::new();
    let mut payer = client(&hub, 1, 0);
    let from = opened(&hub, 1, 0).channel;
    let (first, second) = (hub.refresh(from), hub.refresh(from));
    let missed = payer.accept_receipt(&second.receipt()).unwrap_err();
    assert!(matches!(
        missed,
        StepError::Receipt(ReceiptError::Leaf(LeafFault::OutOfOrder { .. }))
    ));
    assert_eq!(payer.accept_receipt(&first.receipt()).unwrap().len(), 1);
    assert_eq!(
        payer.accept_receipt(&first.receipt()).unwrap().len(),
        0,
        "a known leaf tells nothing"
    );
    assert_eq!(payer.accept_receipt(&second.receipt()).unwrap().len(), 1);
    // The same wallet, used elsewhere, signs a state that this copy does not know.
    let mut copy = client(&hub, 1, 0);
    let foreign = copy.pay(&from, &[lock(&hub, 2, 50, 9)], HEIGHT).unwrap();
    let batch = hub.deliver(&foreign, opened(&hub, 2, 0).channel);
    let error = payer.accept_receipt(&batch.receipt()).unwrap_err();
    assert!(
        matches!(error, StepError::ForeignState(counter) if counter.get() == 1),
        "{error}"
    );
}

#[test]
fn a_journal_leads_back_to_the_same_channel() {
    let (mut hub, mut payer, _) = after_a_payment();
    let from = opened(&hub, 1, 0).channel;
    payer.prove(&hub.proof(from, 0).message()).unwrap();
    let settled = payer.settle(&from, HEIGHT).unwrap().unwrap();
    payer.accept_receipt(&hub.settle(&settled).receipt()).unwrap();
    payer.ack(&from, HEIGHT).unwrap();
    let last = hub.close(from, settled.state.debit, sat(5));
    payer.accept_receipt(&last.receipt()).unwrap();
    payer.close_transaction(&from, sat(5)).unwrap();
    let channel = payer.get(&from).unwrap();
    let records = payer.store().clone().load(&from).unwrap();
    assert_eq!(records.len(), 9);
    let headers = HeaderCache::new(crate::played::LEDGER, hub.key.public());
    let again = ClientChannel::replay(&records, payer.signer(), &headers).unwrap();
    assert_eq!(format!("{again:?}"), format!("{channel:?}"));
    // Opening, states and leaves build on each other; proof and ack are notes that no later record shows.
    for missing in [0, 1, 2, 4, 5] {
        let mut records = records.clone();
        records.remove(missing);
        let replayed = ClientChannel::replay(&records, payer.signer(), &headers);
        assert!(replayed.is_err(), "record {missing}");
    }
}

#[test]
fn a_wallet_that_was_away_catches_up() {
    let (mut hub, mut payer, _) = after_a_payment();
    let from = opened(&hub, 1, 0).channel;
    let missed = [hub.refresh(from), hub.refresh(from)];
    let fresh = hub.refresh(from);
    let leaves: Vec<_> = missed.iter().map(|batch| batch.synced(&from)).collect();
    let answer = hub.sync_answer(from, &leaves, Some(&fresh));
    let unproved = SyncAnswer { fresh: None, ..answer };
    assert!(matches!(payer.accept_sync(&unproved), Err(StepError::Unproved)));
    let gap = SyncAnswer {
        leaves: Items::from(&leaves[1..]),
        ..answer
    };
    assert!(payer.accept_sync(&gap).is_err(), "a leaf is missing");
    assert_eq!(payer.accept_sync(&answer).unwrap().len(), 3);
    assert_eq!(payer.accept_sync(&answer).unwrap().len(), 0, "everything is known");
    assert_eq!(payer.get(&from).unwrap().wallet().hub().leaf().counter.get(), 4);
}

#[test]
fn a_close_pays_what_is_owed_or_is_not_signed() {
    let (mut hub, mut payer, _) = after_a_payment();
    let from = opened(&hub, 1, 0).channel;
    assert!(matches!(payer.check_closable(&from), Err(StepError::Close(CloseError::LocksOpen(a))) if a == sat(51)));
    payer.prove(&hub.proof(from, 0).message()).unwrap();
    let settled = payer.settle(&from, HEIGHT).unwrap().unwrap();
    payer.accept_receipt(&hub.settle(&settled).receipt()).unwrap();
    payer.check_closable(&from).unwrap();
    let close = |payer: &mut Channels<MemoryStore>| match payer.close_transaction(&from, sat(5)) {
        Err(StepError::Close(error)) => Err(error),
        other => Ok(other.unwrap()),
    };
    assert_eq!(close(&mut payer), Err(CloseError::NotFinal));
    let debits = [(sat(52), sat(5)), (sat(51), sat(6)), (sat(51), sat(5))];
    for (debit, fee) in debits {
        let mut hub = hub.clone();
        let mut payer = reopen(&payer);
        let last = hub.close(from, debit, fee);
        payer.accept_receipt(&last.receipt()).unwrap();
        match close(&mut payer) {
            Err(CloseError::WrongPayout { owed_client, .. }) => assert_eq!((debit, owed_client), (sat(52), sat(544))),
            Err(CloseError::OtherFee { found, .. }) => assert_eq!(found, sat(6)),
            Err(other) => panic!("{other}"),
            Ok(transaction) => {
                assert_eq!((debit, fee), (sat(51), sat(5)));
                let amounts: Vec<_> = transaction.body.outputs.iter().map(|o| o.amount).collect();
                assert_eq!(amounts, [sat(544), sat(451)]);
                assert_eq!(Transaction::decode(&transaction.encode()), Ok(transaction));
            }
        }
        assert!(
            payer.pay(&from, &[lock(&hub, 2, 1, 9)], HEIGHT).is_err(),
            "nothing follows a final leaf"
        );
    }
}

fn reopen(wallet: &Channels<MemoryStore>) -> Channels<MemoryStore> {
    // With no memory of headers: tests that go back in time would look like a hub that signs one number twice.
    let headers = HeaderCache::new(crate::played::LEDGER, *wallet.headers().hub());
    Channels::open(crate::played::signer(1), headers.into(), wallet.store().clone()).unwrap()
}

#[test]
fn only_channels_of_this_key_and_hub_are_taken_up() {
    let hub = PlayedHub::new();
    let mut wallet = crate::played::empty_client(&hub, 1);
    let good = opened(&hub, 1, 0);
    let mut adopt = |opened| match wallet.adopt(opened) {
        Err(StepError::Adopt(error)) => Err(error),
        other => Ok(other.unwrap().id()),
    };
    assert_eq!(adopt(opened(&hub, 2, 0)), Err(AdoptError::OtherClient));
    let mut other_hub = good;
    other_hub.terms.hub = other_hub.terms.client;
    assert_eq!(adopt(other_hub), Err(AdoptError::OtherHub));
    let mut renamed = good;
    renamed.terms.nonce += 1;
    assert_eq!(adopt(renamed), Err(AdoptError::OtherName));
    assert_eq!(adopt(good), Ok(good.channel));
    assert!(matches!(wallet.adopt(good), Err(StepError::Store(_))), "twice");
}

#[test]
fn a_checker_believes_what_a_wallet_believes() {
    let mut hub = PlayedHub::new();
    let mut payer = client(&hub, 1, 0);
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    let headers = HeaderCache::new(crate::played::LEDGER, hub.key.public());
    let mut checker = ReceiptChecker::new(to, Age::new(crate::played::MARGIN));
    let state = payer.pay(&from, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    let batch = hub.deliver(&state, to);
    let receipt = batch.receipt();
    let header = headers.verify(receipt.header).unwrap();
    let entry = receipt
        .entries
        .iter()
        .find(|e| e.private.starts_with(to.as_bytes()))
        .unwrap();
    let moved = ReceiptEntry {
        index: entry.index ^ 1,
        ..entry
    };
    assert!(matches!(checker.accept(&header, &moved), Err(ReceiptError::Path(_))));
    let leaf = checker.accept(&header, &entry).unwrap();
    assert_eq!((leaf.credits.len(), checker.half().leaf().unfirm_credit), (1, sat(50)));
    assert!(checker.accept(&header, &entry).is_err(), "once");
    checker.mark_acked();
    let next = hub.firm_unacked(to);
    let entry = next.receipt().entries.iter().next().unwrap();
    checker.accept_unproved(&entry).unwrap();
    assert_eq!(checker.half().leaf().firm_credit, sat(50));
    let outcome = batch
        .receipt()
        .entries
        .iter()
        .find_map(|e| e.outcomes.first().copied())
        .unwrap();
    let outcome: tidegate_channel::Outcome = tidegate_types::Fixed::decode(&outcome).unwrap();
    assert_eq!((outcome.kind, outcome.outcome), (OpKind::Add, OpOutcome::Delivered));
    assert_eq!(terms(&hub, 1).opening_share, sat(600));
}
