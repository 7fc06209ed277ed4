//! Closes of the hub's channels on the ledger: the hub freezes them, tells whoever carries them, shows its newest evidence once,
//! and has them settled, with a restart at every turn.

mod rig;

use std::sync::Arc;
use std::time::Duration;

use rig::closes::{PATIENCE, actions, close_of, coins, funds_of, ledger, locks, own, signer, start_of, wait};
use rig::{Hub, Shape, open, sat, stop};
use tidegate_channel::evidence::{Mandate, MandateSubject, Opener, Pair, Side};
use tidegate_channel::wallet::LockStatus;
use tidegate_client::channel::Signer;
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{Client, Connection, FileStore, HashLock, Incoming, MemoryStore, Payment, WalletStore as _};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_ledger::{Action, CloseState, LockPlace, Output, Payer, Transaction, TransactionBody, Witness};
use tidegate_settle::Node;
use tidegate_types::{Age, ChannelId};
use tidegate_wire::ToClient;
use tidegate_wire::messages::{CloseRequest, DisputeNotice};

const OWN: u64 = 1_500_000;
const PAID: u64 = 70_000;

/// A hub whose channels are disputed for a second or two.
fn hub(window: u32, seeds: &[&Seed]) -> Hub {
    let shape = Shape {
        block_interval_ms: 50,
        dispute_window: window,
        ..Shape::default()
    };
    Hub::format_as(seeds, shape)
}

fn payment(payee: &Client<FileStore>, channel: ChannelId) -> Payment {
    rig::payment(payee.key(), channel, PAID)
}

fn notice(connection: &mut Connection) -> DisputeNotice {
    let incoming = connection.wait_for(PATIENCE, |incoming| {
        matches!(incoming.message(), Ok(ToClient::DisputeNotice(_)))
    });
    match incoming.expect("the hub tells").message() {
        Ok(ToClient::DisputeNotice(notice)) => notice,
        other => panic!("{other:?}"),
    }
}

/// How many transactions of the ledger show evidence.
fn shown(node: &Node) -> usize {
    actions(node, |action| matches!(action, Action::Evidence { .. }))
}

#[test]
fn an_old_state_is_answered_once_whatever_is_restarted() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(40, &[&alice, &bob]);
    let mut serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    let signer = signer(&hub, &alice);
    a.pay(&from, &[payment(&b, to)]).expect("paid");
    let old = own(&a, &from);
    for _ in 0..3 {
        a.pay(&from, &[payment(&b, to)]).expect("paid");
    }
    let newest = own(&a, &from).acknowledged();
    drop((a, b));
    let hub_before = {
        stop(serving);
        let coins = coins(&ledger(&hub), hub.public().bytes());
        serving = hub.start();
        coins
    };

    let (mut a, b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    // The session that came last carries the channel, and is told.
    let mut listener =
        Connection::connect(&hub.options(&serving), SecretKey::from_seed(*alice)).expect("the hub answers");
    let start = start_of(&old, &signer, a.height());
    a.submit(&start).expect("the ledger takes it");
    let told = notice(&mut listener);
    assert_eq!(told.channel, from);
    assert!(told.state < newest.counter && told.deadline > told.started, "{told:?}");
    // Frozen: the newest state is the last one, for good.
    let refused = a.pay(&from, &[payment(&b, to)]).expect_err("nothing moves any more");
    assert!(refused.to_string().contains("clos"), "{refused}");
    drop((a, b, listener));
    stop(serving);

    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    wait("the hub has answered", || {
        close_of(&mut a, from).is_some_and(|close| close.client.counter == newest.counter && close.corrected)
    });
    stop(serving);
    let serving = hub.start();
    let mut b = hub.connect(&serving, &bob);
    wait("the ledger pays both sides", || close_of(&mut b, from).is_none());
    stop(serving);

    let node = ledger(&hub);
    assert_eq!(shown(&node), 1, "what was shown once is not shown again");
    let debit = newest.debit.add(newest.locks_sum).expect("small").to_sat();
    assert!(debit >= 4 * PAID);
    // Of what the hub put into the channel and was paid there only what the close cost is missing, and that is Alice's to bear.
    let gained = coins(&node, hub.public().bytes()) - hub_before;
    let waiting: u64 = locks(&node).iter().sum();
    assert_eq!(gained + waiting, 2_000_000 - OWN + debit, "{gained}");
    let state = tidegate_hub::state::inspect(&disk(), hub.dir.path(), &mut |_| {}).expect("a good state");
    let (held, capacity) = state.engine.value();
    assert_eq!(held, capacity, "no value is made or lost");
    let view = state.channels().find(|view| view.id == from).expect("it is remembered");
    assert!(view.is_settled());
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// Without evidence, and with the newest: one is answered, the other is not.
#[test]
fn a_close_without_evidence_is_answered_and_an_honest_one_is_let_be() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(20, &[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    a.pay(&from, &[payment(&b, to)]).expect("paid");
    b.poll(Duration::from_secs(5)).expect("a receipt");
    b.ack(&to).expect("acknowledged");
    a.settle(&from).expect("settled");
    let counter = own(&a, &from).acknowledged().counter;
    let bare = own(&a, &from).start_close(&signer(&hub, &alice), Pair::default());
    a.submit(&bare).expect("the ledger takes it");
    wait("the hub has answered", || {
        close_of(&mut a, from).is_some_and(|close| close.client.counter == counter)
    });
    let honest = start_of(&own(&b, &to), &signer(&hub, &bob), b.height());
    b.submit(&honest).expect("the ledger takes it");
    wait("the ledger pays all", || {
        close_of(&mut b, from).is_none() && close_of(&mut b, to).is_none()
    });
    stop(serving);
    assert_eq!(shown(&ledger(&hub)), 1, "an honest close needs no answer");
}

fn hub_close(client: &mut Client<FileStore>, channel: ChannelId) -> Option<CloseState> {
    close_of(client, channel).filter(|close| close.opener == Opener::Hub)
}

/// The client asks for the final leaf and never completes the close (rule 23).
#[test]
fn a_close_that_its_client_does_not_complete_is_the_hubs_to_start() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(20, &[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    a.pay(&from, &[payment(&b, to)]).expect("paid");
    b.poll(Duration::from_secs(5)).expect("a receipt");
    b.ack(&to).expect("acknowledged");
    a.settle(&from).expect("settled");
    let counter = own(&a, &from).acknowledged().counter;
    drop((a, b));
    let mut raw = Connection::connect(&hub.options(&serving), SecretKey::from_seed(*alice)).expect("the hub answers");
    let ask = CloseRequest {
        channel: from,
        fee: sat(500),
    };
    raw.send(&ask).expect("sent");
    let is_leaf = |incoming: &Incoming| matches!(incoming.message(), Ok(ToClient::Receipt(_)));
    raw.wait_for(PATIENCE, is_leaf).expect("the final leaf");
    drop(raw);
    stop(serving);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    wait("the hub starts the close", || hub_close(&mut a, from).is_some());
    let close = hub_close(&mut a, from).expect("it stands");
    assert_eq!((close.client.counter, close.corrected), (counter, false));
    wait("the ledger pays both sides", || close_of(&mut a, from).is_none());
    stop(serving);
    let node = ledger(&hub);
    let starts = actions(&node, |action| matches!(action, Action::StartClose { .. }));
    assert_eq!((starts, shown(&node)), (1, 0), "started once, with the newest evidence");
}

/// A payer that was told of the preimage and settles nothing: the hub has paid, and is paid on the ledger (rule 13).
#[test]
fn what_a_payer_owes_by_a_preimage_is_had_on_the_ledger() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(20, &[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    let preimage = [7; 32];
    let hash = payment_hash(&preimage);
    let by_hash = Payment {
        hash: Some(HashLock {
            hash,
            blocks: Some(Age::new(40)),
        }),
        ..payment(&b, to)
    };
    let paid = a.pay(&from, &[by_hash]).expect("offered");
    let before = own(&a, &from);
    b.sync(&to).expect("in date");
    b.ack(&to).expect("acknowledged");
    b.fulfil(&to, &paid[0].lock, &preimage).expect("in time");
    // Alice closes with what she knew before she was told, and is not heard of again.
    let start = start_of(&before, &signer(&hub, &alice), a.height());
    a.submit(&start).expect("the ledger takes it");
    drop((a, b));
    stop(serving);
    let before = coins(&ledger(&hub), hub.public().bytes());
    let serving = hub.start();
    let mut b = hub.connect(&serving, &bob);
    wait("the ledger pays both sides", || close_of(&mut b, from).is_none());
    // The lock is an output now; what became of it is seen when it is the hub's.
    let owed = 2_000_000 - OWN + PAID - 2_000;
    wait("the hub has what it is owed", || {
        funds_of(&mut b, hub.public().bytes()) > before + owed
    });
    stop(serving);
    let node = ledger(&hub);
    assert!(locks(&node).is_empty(), "the lock was claimed");
    let reveals = actions(&node, |action| matches!(action, Action::RevealPreimage { .. }));
    assert_eq!(reveals, 1, "one reveal is enough");
}

/// A payee gives a lock up, so that the payer has its money back, and does not name the leaf without it: it closes with the one
/// before and shows the preimage. The hub has the release to show.
#[test]
fn what_a_payee_has_given_up_it_does_not_get_on_the_ledger() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(20, &[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    let preimage = [7; 32];
    let by_hash = Payment {
        hash: Some(HashLock {
            hash: payment_hash(&preimage),
            blocks: Some(Age::new(200)),
        }),
        ..payment(&b, to)
    };
    let lock = a.pay(&from, &[by_hash]).expect("offered")[0].lock;
    b.sync(&to).expect("in date and acknowledged");
    let (held, signer) = (own(&b, &to), signer(&hub, &bob));
    let mut store = MemoryStore::default();
    store.create(held.opened()).expect("an empty store");
    let release = held.clone().release(&signer, &mut store, &lock).expect("it waits");
    let mut raw = Connection::connect(&hub.options(&serving), SecretKey::from_seed(*bob)).expect("the hub answers");
    raw.send(&release).expect("sent");
    wait("the payer has its money back", || {
        a.sync(&from).expect("in date");
        a.settle(&from).expect("settled");
        own(&a, &from).wallet().client().locks().is_empty()
    });
    drop((a, b, raw));
    stop(serving);
    let before = coins(&ledger(&hub), hub.public().bytes());

    let serving = hub.start();
    let mut b = hub.connect(&serving, &bob);
    let start = start_of(&held, &signer, b.height());
    b.submit(&start).expect("the ledger takes it");
    let place = LockPlace {
        channel: to,
        side: Side::Hub,
        slot: held.wallet().hub().in_locks()[0].slot,
    };
    wait("the close stands", || close_of(&mut b, to).is_some());
    drop(b);
    // Whatever is restarted, what the hub holds of it is durable.
    stop(serving);
    let serving = hub.start();
    let mut b = hub.connect(&serving, &bob);
    let mandate = Mandate {
        channel: to,
        side: Side::Client,
        subject: MandateSubject::Lock(lock),
    };
    let reveal = Action::RevealPreimage {
        preimage,
        place: Some(place),
        payer: Payer::Side(Side::Client, mandate.sign(&signer.ledger, &signer.key)),
    };
    let funding = held.opened().funding;
    let reveal = Transaction {
        body: TransactionBody::of_action(vec![funding], Vec::new(), reveal),
        witnesses: vec![Witness::Action],
    };
    b.submit(&reveal).expect("the ledger takes it");
    wait("the ledger pays both sides", || close_of(&mut b, to).is_none());
    stop(serving);
    let node = ledger(&hub);
    let evidence = actions(&node, |action| matches!(action, Action::LockEvidence { .. }));
    assert_eq!(evidence, 1, "once is enough");
    assert!(locks(&node).is_empty(), "nothing is left to be claimed");
    let gained = coins(&node, hub.public().bytes()) - before;
    assert!(
        gained <= 1_500_000 && gained + 5_000 > 1_500_000,
        "the hub has its share, less the fee of its evidence: {gained}"
    );
}

/// A payer that does not settle what its payee has acknowledged, and closes with the lock open: the hub has paid, and is paid by
/// the proof that it kept.
#[test]
fn what_a_payer_owes_by_an_ack_is_claimed_on_the_ledger() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(20, &[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    for _ in 0..2 {
        a.pay(&from, &[payment(&b, to)]).expect("paid");
    }
    let owing = own(&a, &from);
    b.sync(&to).expect("in date");
    b.ack(&to).expect("acknowledged");
    b.sync(&to).expect("and firm");
    drop((a, b));
    stop(serving);
    let before = coins(&ledger(&hub), hub.public().bytes());
    let serving = hub.start();
    let mut b = hub.connect(&serving, &bob);
    let start = start_of(&owing, &signer(&hub, &alice), b.height());
    b.submit(&start).expect("the ledger takes it");
    let kept = || std::fs::read_dir(hub.dir.path().join("proofs")).is_ok_and(|found| found.count() == 2);
    wait("the proofs are kept", kept);
    drop(b);
    stop(serving);
    // What was kept is all that is left once the payee's leaves are forgotten.
    let serving = hub.start();
    let mut b = hub.connect(&serving, &bob);
    wait("the ledger pays both sides", || close_of(&mut b, from).is_none());
    let owed = 2_000_000 - OWN + 2 * PAID - 3_000;
    wait("the hub has what it is owed", || {
        funds_of(&mut b, hub.public().bytes()) > before + owed
    });
    stop(serving);
    let node = ledger(&hub);
    assert!(locks(&node).is_empty(), "the locks were claimed");
    // Nothing of it is needed any more.
    stop(hub.start());
    assert!(!kept() && std::fs::read_dir(hub.dir.path().join("proofs")).is_ok_and(|mut found| found.next().is_none()));
}

/// Shows a preimage on the ledger, paid by the client's coins; final on return.
fn reveal(client: &mut Client<FileStore>, signer: &Signer, preimage: [u8; 32]) {
    let coin = client.funds().expect("the ledger answers")[0];
    let action = Action::RevealPreimage {
        preimage,
        place: None,
        payer: Payer::Coins,
    };
    let change = Output::to_key(coin.amount.sub(sat(2_000)).expect("a large coin"), client.key());
    let body = TransactionBody::of_action(vec![coin.outpoint], vec![change], action);
    let witnesses = vec![Witness::Key(body.sign(&signer.ledger, &signer.key))];
    let transaction = Transaction { body, witnesses };
    client.submit(&transaction).expect("the ledger takes it");
    client.wait_final(transaction.txid(), PATIENCE).expect("it is final");
}

/// A preimage on the ledger meets every lock on its hash, also one that is made afterwards: the payee would take it by the record, and
/// the payer have it back in the hub.
#[test]
fn no_lock_is_taken_whose_preimage_stands_on_the_ledger() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = hub(20, &[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, OWN), open(&mut b, 500_000));
    let locked_by = |preimage: [u8; 32], b: &Client<FileStore>| Payment {
        hash: Some(HashLock {
            hash: payment_hash(&preimage),
            blocks: Some(Age::new(200)),
        }),
        ..payment(b, to)
    };
    let signer = signer(&hub, &bob);
    reveal(&mut b, &signer, [7; 32]);
    // The block is on its way to the sequencer. What comes before it there is met by it.
    wait("a lock on its hash is refused", || {
        let by_hash = Payment {
            amount: sat(1_000),
            ..locked_by([7; 32], &b)
        };
        match a.pay(&from, &[by_hash]) {
            Ok(_) => false,
            Err(error) => {
                assert!(error.to_string().contains("does not fit"), "{error}");
                true
            }
        }
    });
    drop((a, b));
    stop(serving);

    let serving = hub.start();
    let (mut a, b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    a.supersede(&from).expect("what was refused is given up");
    let error = a
        .pay(&from, &[locked_by([7; 32], &b)])
        .expect_err("known from before the start");
    assert!(error.to_string().contains("does not fit"), "{error}");
    a.supersede(&from).expect("what was refused is given up");
    let pending = a
        .pay(&from, &[locked_by([8; 32], &b)])
        .expect("nobody has shown this one");
    assert_eq!(pending[0].status, LockStatus::Pending);
    drop((a, b));
    stop(serving);
}
