//! A session that carries several channels may have their leaves with paths that share their upper parts; one that has not asked
//! gets whole ones.

mod rig;

use std::time::Duration;

use rig::{Hub, open, sat, stop};
use tidegate_client::connection::{ConnectOptions, Connection};
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{HeaderCache, Leaf, Payment, Proofs};
use tidegate_crypto::keys::SecretKey;
use tidegate_types::ChannelId;
use tidegate_wire::{Kind, ToClient};

const CHANNELS: usize = 4;

/// Takes the next receipt of a session and proves all its leaves; which of them shared their path, and what they say of their
/// channels.
fn next_receipt(connection: &mut Connection, headers: &HeaderCache) -> (Vec<bool>, Vec<ChannelId>) {
    let message = connection
        .wait_for(Duration::from_secs(10), |incoming| {
            incoming.header.kind == Kind::Receipt.code()
        })
        .expect("a receipt");
    let ToClient::Receipt(receipt) = message.message().expect("it decodes") else {
        panic!("asked for a receipt");
    };
    let mut proofs = Proofs::new(headers.verify(receipt.header).expect("the hub's"));
    let leaves = receipt.entries.iter().map(|entry| {
        let leaf = Leaf::decode(&entry).expect("a leaf");
        proofs.check(&leaf, &entry).expect("a proved leaf");
        let whole = tidegate_wire::messages::ReceiptEntry {
            path: &proofs.path(),
            shared: false,
            ..entry
        };
        leaf.check_proof(proofs.header(), &whole)
            .expect("its whole path can be had");
        (entry.shared, leaf.private.channel)
    });
    leaves.unzip()
}

fn connect(hub: &Hub, serving: &tidegate_hub::pipeline::Serving, seed: &Seed, share_paths: bool) -> Connection {
    let options = ConnectOptions {
        share_paths,
        ..hub.options(serving)
    };
    Connection::connect(&options, SecretKey::from_seed(**seed)).expect("the hub answers")
}

#[test]
fn the_channels_of_one_session_share_their_paths_if_it_asks() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let mut payer = hub.connect(&serving, &alice);
    let from = open(&mut payer, 1_500_000);
    let mut payee = hub.connect(&serving, &bob);
    let to: Vec<ChannelId> = (0..CHANNELS).map(|_| open(&mut payee, 1_000_000)).collect();
    let key = payee.key();
    drop(payee);
    let payments: Vec<Payment> = (1..)
        .zip(&to)
        .map(|(amount, channel)| Payment {
            payee: key,
            payee_channel: *channel,
            amount: sat(amount),
            fee: None,
            payment_id: None,
            hash: None,
        })
        .collect();
    let headers = HeaderCache::new(hub.ledger, hub.public());
    for share in [false, true] {
        let mut session = connect(&hub, &serving, &bob, share);
        payer.pay(&from, &payments).expect("paid");
        let (shared, mut channels) = next_receipt(&mut session, &headers);
        let expected: Vec<bool> = (0..CHANNELS).map(|at| share && at > 0).collect();
        assert_eq!(
            shared, expected,
            "one state pays all of them, so their leaves are of one batch"
        );
        channels.sort_unstable();
        let mut all = to.clone();
        all.sort_unstable();
        assert_eq!(channels, all);
    }
    stop(serving);
}
