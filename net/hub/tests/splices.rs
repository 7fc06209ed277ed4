//! Channels that move into successors, with a real hub in this process: real sockets, real files, a real ledger.

mod rig;

use std::time::Duration;

use rig::{Hub, open, sat, stop};
use tidegate_channel::wallet::LockStatus;
use tidegate_client::key_file::random_seed;
use tidegate_client::{Client, FileStore, Payment, SplicePlan};
use tidegate_types::ChannelId;

const FEE: u64 = 2_000;
const FUNDS: u64 = 5_000_000;

fn plan(added: u64, taken: u64) -> SplicePlan {
    SplicePlan {
        added: sat(added),
        taken: sat(taken),
        fee: sat(FEE),
        dust: sat(330),
        lifetime: None,
        timeout: Duration::from_secs(10),
    }
}

fn funds(client: &mut Client<FileStore>) -> u64 {
    let funds = client.funds().expect("an answer");
    funds.iter().map(|utxo| utxo.amount.to_sat()).sum()
}

/// Pays, and settles against the payee's own ack.
fn pay(a: &mut Client<FileStore>, from: &ChannelId, b: &mut Client<FileStore>, to: &ChannelId, amount: u64) -> u64 {
    let payment = Payment {
        payee: b.key(),
        payee_channel: *to,
        amount: sat(amount),
        fee: None,
        payment_id: None,
        hash: None,
    };
    let paid = a.pay(from, &[payment]).expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    let credited = (0..4).any(|_| {
        let news = b.poll(Duration::from_secs(5)).expect("news");
        news.iter().any(|leaf| leaf.events.credited == sat(amount))
    });
    assert!(credited, "the payee is told");
    let settled = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        a.settle(from).expect("the hub answers") == 0
    });
    assert!(settled, "the payee's ack arrives");
    paid[0].total.to_sat() - amount
}

#[test]
fn a_channel_is_topped_up_and_pays_on() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let first = pay(&mut a, &from, &mut b, &to, 70_000);
    let spliced = a.splice(&from, &plan(300_000, 0)).expect("spliced");
    let terms = a.channels().get(&spliced.successor).expect("taken up").opened().terms;
    assert_eq!(terms.capacity, sat(2_300_000));
    assert_eq!(terms.opening_share.to_sat(), 1_800_000 - 70_000 - first);
    let second = pay(&mut a, &spliced.successor, &mut b, &to, 1_700_000);
    a.close(&spliced.successor, sat(500), Duration::from_secs(10))
        .expect("closed");
    let fees = first + second;
    assert_eq!(funds(&mut a), FUNDS - 2 * FEE - 1_770_000 - fees - 500);
    stop(serving);
}
