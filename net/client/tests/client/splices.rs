//! A channel that moves into a successor: what a final leaf must say, and what a crash leaves of it.

use std::path::Path;
use std::sync::Arc;

use tidegate_channel::{FinalTerms, TermsError};
use tidegate_client::{Channels, CloseError, FileStore, SpliceError, StepError, WalletStore};
use tidegate_disk::{Fault, FaultKind, FaultyDisk};
use tidegate_ledger::{Splice, Transaction, Witness};
use tidegate_types::{Amount, ChannelId, Height, OutPoint, Txid};

use crate::played::{PlayedHub, client, lock, opened, sat, signer, with_store};

const HEIGHT: Height = Height::new(100);

const COIN: OutPoint = OutPoint {
    txid: Txid::from_bytes([0xc0; 32]),
    vout: 3,
};

/// Client 1 has 600 of 1 000 and adds so much out of a coin, of which 20 come back.
fn wanted<S: WalletStore>(wallet: &Channels<S>, channel: &ChannelId, added: u64, nonce: u32) -> Splice {
    let own = wallet.get(channel).unwrap();
    let (balance, _) = own.at_rest().unwrap();
    let share = balance.add(sat(added)).unwrap();
    Splice {
        funding: own.opened().funding,
        successor: own
            .successor_terms(share, sat(10), own.opened().terms.expiry, nonce)
            .unwrap(),
        coins: vec![COIN],
        change: Some((sat(20), own.opened().terms.client)),
    }
}

fn terms(channel: ChannelId, splice: &Splice, fee: u64) -> FinalTerms {
    FinalTerms {
        channel,
        client_payout: sat(600),
        hub_payout: sat(400),
        fee: sat(fee),
        successor: splice.successor_outpoint(),
    }
}

#[test]
fn the_final_leaf_says_what_is_owed_or_nothing_is_signed() {
    type Bend = fn(&mut FinalTerms);
    let mut hub = PlayedHub::new();
    let mut wallet = client(&hub, 1, 0);
    let channel = opened(&hub, 1, 0).channel;
    let splice = wanted(&wallet, &channel, 500, 1);
    let asked = wallet.ask_splice(&channel, splice.clone(), sat(7)).unwrap();
    assert_eq!((asked.message().fee, asked.message().channel), (sat(7), channel));
    let good = terms(channel, &splice, 7);
    let refusal = |hub: &PlayedHub, bend: Bend| {
        let (mut hub, mut terms) = (hub.clone(), good);
        bend(&mut terms);
        let mut copy = client(&hub, 1, 0);
        copy.ask_splice(&channel, splice.clone(), sat(7)).unwrap();
        let batch = hub.finish(channel, terms);
        copy.accept_receipt(&batch.receipt()).unwrap();
        let refused = copy.splice_transaction(&channel).unwrap_err();
        assert!(copy.get(&channel).unwrap().closing().is_none(), "nothing is signed");
        assert_eq!(copy.iter().count(), 1, "and no successor is taken up");
        match refused {
            StepError::Splice(error) => error,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(
        wallet.splice_transaction(&channel),
        Err(StepError::Splice(SpliceError::NotFinal))
    ));
    let balances = |error| matches!(error, SpliceError::WrongBalances { .. });
    assert!(balances(refusal(&hub, |t| t.client_payout = sat(599))));
    assert!(balances(refusal(&hub, |t| t.hub_payout = sat(401))));
    assert_eq!(refusal(&hub, |t| t.fee = sat(8)), SpliceError::OtherTerms);
    assert_eq!(refusal(&hub, |t| t.successor.vout = 1), SpliceError::OtherTerms);
    let elsewhere = Txid::from_bytes([5; 32]);
    let not_asked = refusal(&hub, |t| t.successor.txid = Txid::from_bytes([5; 32]));
    assert_eq!(not_asked, SpliceError::NotAsked(elsewhere));
    let close: Bend = |t| {
        t.successor = OutPoint {
            txid: Txid::ZERO,
            vout: 0,
        };
    };
    assert_eq!(refusal(&hub, close), SpliceError::NotASplice);

    // A close is not signed by the leaf of a splice either.
    let batch = hub.finish(channel, good);
    wallet.accept_receipt(&batch.receipt()).unwrap();
    let close = wallet.close_transaction(&channel, sat(7)).unwrap_err();
    assert!(matches!(close, StepError::Close(CloseError::NotAClose)), "{close}");
    let promised = |wallet: &Channels<_>| wallet.get(&channel).unwrap().promised().count();
    assert_eq!(promised(&wallet), 1, "the hub counts on it");
    let (transaction, successor) = wallet.splice_transaction(&channel).unwrap();
    assert_eq!((transaction.body.clone(), successor), (splice.body(), splice.channel()));
    assert_eq!(transaction.body.outputs.len(), 2);
    let signature = transaction.body.sign(&signer(1).ledger, &signer(1).key);
    assert!(matches!(&transaction.witnesses[0], Witness::ChannelSplice(close) if close.signature == signature));
    assert_eq!(transaction.witnesses[1], Witness::Key(signature));
    assert_eq!(wallet.get(&successor).unwrap().opened().terms, splice.successor);
    assert_eq!(
        wallet.splice_transaction(&channel).unwrap(),
        (transaction.clone(), successor)
    );
    wallet.note_closed(&channel, transaction.txid()).unwrap();
    assert_eq!(promised(&wallet), 0);
    let moved = wallet.get(&channel).unwrap().check_not_moved();
    assert_eq!(moved, Err(SpliceError::Moved(successor)));
}

/// The hub has accepted a payment since: the shares that were asked for would give it away.
#[test]
fn a_balance_that_has_moved_since_is_not_given_away() {
    let mut hub = PlayedHub::new();
    let mut wallet = client(&hub, 1, 0);
    let (channel, payee) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    let splice = wanted(&wallet, &channel, 500, 1);
    wallet.ask_splice(&channel, splice.clone(), sat(7)).unwrap();
    let state = wallet.pay(&channel, &[lock(&hub, 2, 50, 1)], HEIGHT).unwrap();
    let batch = hub.deliver(&state, payee);
    wallet.accept_receipt(&batch.receipt()).unwrap();
    let locked = wallet.get(&channel).unwrap().at_rest();
    assert_eq!(locked, Err(SpliceError::Rest(CloseError::LocksOpen(sat(51)))));
    let batch = hub.finish(channel, terms(channel, &splice, 7));
    wallet.accept_receipt(&batch.receipt()).unwrap();
    let refused = wallet.splice_transaction(&channel).unwrap_err();
    assert!(matches!(refused, StepError::Splice(SpliceError::Rest(_))), "{refused}");
}

#[test]
fn a_successor_keeps_its_rules() {
    let hub = PlayedHub::new();
    let mut wallet = client(&hub, 1, 0);
    let channel = opened(&hub, 1, 0).channel;
    let own = wallet.get(&channel).unwrap();
    let with = |share| own.successor_terms(share, sat(10), Height::new(1_000), 1);
    assert_eq!(with(sat(9)), Err(SpliceError::Terms(TermsError::BelowReserve)));
    assert!(matches!(with(Amount::MAX), Err(SpliceError::Amount(_))));
    assert_eq!(with(sat(0)).map(|terms| terms.capacity), Ok(sat(400)));
    // What was credited and is not firm is nobody's yet.
    let mut hub = hub;
    let state = wallet.pay(&channel, &[lock(&hub, 2, 50, 1)], HEIGHT).unwrap();
    let mut payee = client(&hub, 2, 0);
    let to = opened(&hub, 2, 0).channel;
    let batch = hub.deliver(&state, to);
    payee.accept_receipt(&batch.receipt()).unwrap();
    assert_eq!(payee.get(&to).unwrap().at_rest(), Err(SpliceError::Unfirm(sat(50))));
}

fn store(disk: &FaultyDisk) -> Result<FileStore, StepError> {
    Ok(FileStore::open(Arc::new(disk.clone()), Path::new("/wallet"))?)
}

/// Asks twice, takes the final leaf of the first request, signs. What was handed out when the disk failed, if it did.
#[derive(Debug, Default)]
struct Progress {
    asked: Vec<Splice>,
    transaction: Option<Transaction>,
    ended: bool,
}

fn run(disk: &FaultyDisk, progress: &mut Progress) -> Result<(), StepError> {
    let mut hub = PlayedHub::new();
    let channel = opened(&hub, 1, 0).channel;
    let mut wallet = with_store(&hub, 1, store(disk)?);
    wallet.adopt(opened(&hub, 1, 0))?;
    for nonce in 1..=2 {
        let splice = wanted(&wallet, &channel, 500, nonce);
        wallet.ask_splice(&channel, splice.clone(), sat(7))?;
        progress.asked.push(splice);
    }
    let batch = hub.finish(channel, terms(channel, &progress.asked[0], 7));
    wallet.accept_receipt(&batch.receipt())?;
    let (transaction, _) = wallet.splice_transaction(&channel)?;
    progress.transaction = Some(transaction.clone());
    wallet.note_closed(&channel, transaction.txid())?;
    progress.ended = true;
    Ok(())
}

/// Whatever fails and whenever the power goes, the wallet arrives at the same transaction and the same successor.
#[test]
fn a_splice_goes_on_from_its_journals() {
    let (whole, mut expected) = (FaultyDisk::new(), Progress::default());
    run(&whole, &mut expected).unwrap();
    let wanted = expected.transaction.unwrap();
    let (mut again, mut kinds) = (0, [0; 3]);
    for site in 1..=whole.sites() {
        for (at, kind) in [FaultKind::Kill, FaultKind::Eio, FaultKind::NoSpace]
            .into_iter()
            .enumerate()
        {
            for seed in 0..4 {
                let (disk, mut progress) = (FaultyDisk::new(), Progress::default());
                disk.arm(Fault { site, kind, seed });
                let _stopped = run(&disk, &mut progress);
                let disk = disk.crash(seed);
                let mut hub = PlayedHub::new();
                let channel = opened(&hub, 1, 0).channel;
                let mut wallet = with_store(&hub, 1, store(&disk).unwrap());
                let case = (site, kind, seed);
                let Some(own) = wallet.get(&channel) else {
                    assert!(progress.asked.is_empty(), "{case:?}");
                    continue;
                };
                assert!(own.closed().is_some() || !progress.ended, "{case:?}");
                if own.closed().is_some() {
                    continue;
                }
                // The hub may hold the first request if it was handed out; then it tells the leaf again.
                if progress.asked.is_empty() {
                    continue;
                }
                let batch = hub.finish(channel, terms(channel, &progress.asked[0], 7));
                wallet.accept_receipt(&batch.receipt()).unwrap();
                let (transaction, successor) = wallet.splice_transaction(&channel).unwrap();
                assert_eq!(transaction.body, wanted.body, "{case:?}");
                assert!(wallet.get(&successor).is_some(), "{case:?}");
                drop(wallet);
                let wallet = with_store(&hub, 1, store(&disk).unwrap());
                let opened = wallet.get(&successor).unwrap().opened();
                assert_eq!(opened.channel, opened.terms.channel_id(&opened.funding), "{case:?}");
                again += 1;
                kinds[at] += 1;
            }
        }
    }
    assert!(again > 20 && kinds.iter().all(|&count| count > 0), "{kinds:?}");
}
