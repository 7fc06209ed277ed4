//! A wallet that has lost everything but its key, and one whose state the hub will never have.

mod rig;

use std::sync::Arc;
use std::time::Duration;

use rig::{Hub, open, payment, sat, stop};
use tempfile::TempDir;
use tidegate_channel::wallet::{LockStatus, SettleOn};
use tidegate_client::key_file::random_seed;
use tidegate_client::{Client, ClientError, ConnectionError, FileStore, MemoryStore, Payment, WalletStore};
use tidegate_disk::{Disk, RealDisk};
use tidegate_types::{Amount, ChannelId};

/// Lets the payee acknowledge what comes, until the payer has settled every lock against its acks.
#[track_caller]
fn settles<A: WalletStore, B: WalletStore>(payer: &mut Client<A>, channel: &ChannelId, payee: &mut Client<B>) {
    let settled = (0..100).any(|_| {
        payee.poll(Duration::from_millis(20)).expect("the hub answers");
        payer.settle(channel).expect("the hub answers") == 0
    });
    assert!(settled, "a lock stays open");
}

/// Asks the ledger for the key's channels. It looks through all outputs for that, so it asks those who come together to wait.
fn finds<S: WalletStore>(client: &mut Client<S>) -> Vec<ChannelId> {
    for _ in 0..20 {
        match client.find_channels() {
            Err(ClientError::Connection(ConnectionError::Busy { retry_after_ms })) => {
                std::thread::sleep(Duration::from_millis(retry_after_ms.into()));
            }
            answer => return answer.expect("the ledger knows"),
        }
    }
    panic!("the ledger never has time");
}

#[test]
fn a_wallet_that_lost_everything_goes_on_from_its_key_alone() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    for amount in [1_000, 2_000, 3_000] {
        a.pay(&from, &[payment(b.key(), to, amount)]).expect("paid");
    }
    // Three are acknowledged and settled, and one waits when both wallets are lost.
    settles(&mut a, &from, &mut b);
    let key = b.key();
    drop(b);
    let paid = a.pay(&from, &[payment(key, to, 4_000)]).expect("paid");
    let known = a.channels().get(&from).expect("open").wallet().clone();
    drop(a);

    let options = hub.options(&serving);
    let lost = || MemoryStore::default();
    let mut a = Client::connect(&options, &alice, lost(), SettleOn::PayeeAck).expect("the hub answers");
    let mut b = Client::connect(&options, &bob, lost(), SettleOn::PayeeAck).expect("the hub answers");
    assert_eq!(finds(&mut a), [from]);
    assert_eq!(finds(&mut b), [to]);
    a.sync(&from).expect("taken up");
    b.sync(&to).expect("taken up");
    let again = a.channels().get(&from).expect("taken up").wallet().clone();
    assert_eq!((again.spendable(), again.sums()), (known.spendable(), known.sums()));
    assert_eq!(again.client().state(), known.client().state());
    let open: Vec<_> = again.locks().map(|(open, status)| (open.id, status)).collect();
    assert_eq!(open, [(paid[0].lock, LockStatus::Delivered)]);
    assert_eq!(
        b.channels().get(&to).expect("taken up").wallet().sums().firm_credit,
        sat(6_000)
    );
    // The payee's new wallet acknowledges what its old one never saw, and the payer's settles against that.
    settles(&mut a, &from, &mut b);
    a.pay(&from, &[payment(b.key(), to, 500)]).expect("it goes on");
    settles(&mut a, &from, &mut b);
    a.close(&from, sat(500), Duration::from_secs(10)).expect("closed");
    b.close(&to, sat(500), Duration::from_secs(10)).expect("closed");
    let funds = |client: &mut Client<MemoryStore>| {
        let outputs = client.funds().expect("an answer");
        outputs.iter().map(|utxo| utxo.amount.to_sat()).sum::<u64>()
    };
    assert_eq!(funds(&mut b), 5_000_000 - 2_000 + 10_500 - 500);
    stop(serving);
}

#[test]
fn an_older_copy_of_a_wallet_notices_and_takes_up_what_the_hub_holds() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let key = b.key();
    a.pay(&from, &[payment(key, to, 1_000)]).expect("paid");
    drop(a);
    let copy = TempDir::new().expect("a temporary directory");
    rig::copy_dir(&hub.wallet_dir(&alice), copy.path());
    let mut a = hub.connect(&serving, &alice);
    a.pay(&from, &[payment(key, to, 2_000)]).expect("paid");
    let sums = a.channels().get(&from).expect("open").wallet().sums();
    drop(a);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let store = || FileStore::open(Arc::clone(&disk), copy.path()).expect("a wallet");
    let options = hub.options(&serving);
    let mut old = Client::connect(&options, &alice, store(), SettleOn::PayeeAck).expect("the hub answers");
    assert!(matches!(old.sync(&from), Err(ClientError::Behind { .. })));
    old.recover(&from).expect("taken up");
    assert_eq!(old.channels().get(&from).expect("open").wallet().sums(), sums);
    old.pay(&from, &[payment(key, to, 3_000)]).expect("it goes on");
    let sums = old.channels().get(&from).expect("open").wallet().sums();
    drop(old);
    // The journal leads to the same wallet again.
    let mut old = Client::connect(&options, &alice, store(), SettleOn::PayeeAck).expect("the wallet opens");
    old.sync(&from).expect("nothing was missed");
    assert_eq!(old.channels().get(&from).expect("open").wallet().sums(), sums);
    drop((old, b.poll(Duration::from_millis(10))));
    stop(serving);
}

#[test]
fn a_state_that_is_refused_for_good_is_superseded() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let first = payment(b.key(), to, 1_000);
    let paid = a.pay(&from, &[first]).expect("paid");
    let before = a.channels().get(&from).expect("open").wallet().clone();
    // The same payment again, under its own id: a state that this hub will never take.
    let again = Payment {
        payment_id: Some(paid[0].payment_id),
        amount: sat(9_000),
        ..first
    };
    let refused = a.pay(&from, &[again]);
    assert!(matches!(refused, Err(ClientError::Refused { .. })), "{refused:?}");
    assert!(matches!(a.sync(&from), Err(ClientError::Refused { .. })), "and again");
    drop(a);
    let mut a = hub.connect(&serving, &alice);
    assert!(a.supersede(&from).expect("the next state is taken"));
    assert!(!a.supersede(&from).expect("nothing is left"));
    let wallet = a.channels().get(&from).expect("open").wallet().clone();
    assert_eq!(wallet.sums(), before.sums(), "nothing of the refused state is owed");
    let counter = |wallet: &tidegate_channel::wallet::Wallet| wallet.client().state().counter.get();
    assert_eq!(counter(&wallet), counter(&before) + 2, "one number is left out");
    a.pay(&from, &[payment(b.key(), to, 3_000)]).expect("it goes on");
    drop(a);
    let mut a = hub.connect(&serving, &alice);
    a.sync(&from).expect("the journal leads to the same wallet");
    while b.poll(Duration::from_millis(200)).is_ok_and(|news| !news.is_empty()) {}
    let wallet = b.channels().get(&to).expect("open").wallet();
    let sums = wallet.sums();
    let credited = sums.firm_credit.add(sums.unfirm_credit).unwrap_or(Amount::MAX);
    assert_eq!(credited, sat(4_000));
    drop((a, b));
    stop(serving);
}
