//! What payers owe and have not settled, and how it is looked for.

mod rig;

use rig::Rig;
use tidegate_batch::{OwedAck, OwedPreimage, OwedSearch};
use tidegate_channel::Lock;
use tidegate_types::Height;

/// What is found in parts of `count` locks, and how many parts it took.
fn found(rig: &Rig, last: Height, count: u32) -> (Vec<OwedPreimage>, Vec<OwedAck>, u32) {
    let mut search = OwedSearch::new(last);
    let mut parts = 1;
    while !rig.engine.search_owed(&mut search, count) {
        parts += 1;
    }
    let (preimages, acks) = search.into_found();
    (preimages, acks, parts)
}

/// Client 0 owes client 1 by two preimages of three, and client 2 by two payments that one ack covers.
fn owing() -> Rig {
    let mut rig = Rig::new(3);
    let preimages = [[1; 32], [2; 32], [3; 32]];
    let mut locks: Vec<Lock> = preimages
        .iter()
        .map(|preimage| rig.hash_lock(1, 500, preimage))
        .collect();
    locks.extend([rig.lock(2, 70), rig.lock(2, 80)]);
    let pay = rig.pay(0, &locks);
    rig.batch(vec![pay]);
    let open: Vec<_> = rig.view(0).locks.iter().map(|lock| lock.id).collect();
    let ack = rig.ack(2);
    let fulfils = [0, 2].map(|at| rig.fulfil(1, open[at], preimages[at]));
    rig.batch([vec![ack], fulfils.to_vec()].concat());
    assert_eq!(rig.refusal(), None);
    rig
}

#[test]
fn a_search_in_parts_finds_what_a_search_at_once_finds() {
    let rig = owing();
    let (preimages, acks, parts) = found(&rig, Height::MAX, u32::MAX);
    assert_eq!(parts, 1);
    let mut hashes: Vec<_> = preimages.iter().map(|owed| owed.preimage[0]).collect();
    hashes.sort_unstable();
    assert_eq!(hashes, [1, 3], "the one in between was not met");
    assert!(preimages.iter().all(|owed| owed.payer == rig.clients[0].id));
    let channels: Vec<_> = acks.iter().map(|owed| owed.word.channel()).collect();
    assert_eq!(channels, [rig.clients[2].id], "one ack covers both");
    for count in 1..7 {
        let (in_parts, acks_in_parts, parts) = found(&rig, Height::MAX, count);
        assert_eq!(
            (in_parts, acks_in_parts),
            (preimages.clone(), acks.clone()),
            "parts of {count}"
        );
        assert_eq!(parts, 5_u32.div_ceil(count), "five locks in parts of {count}");
    }
}

#[test]
fn only_what_expires_in_time_is_owed() {
    let rig = owing();
    let (preimages, acks, _) = found(&rig, Height::MAX, 2);
    let (expiry, ack_expiry) = (preimages[0].expiry, acks[0].expiry);
    let below = |height: Height| Height::new(height.get() - 1);
    assert_eq!(found(&rig, expiry, 2).0.len(), 2);
    assert_eq!(found(&rig, below(expiry), 2).0, []);
    assert_eq!(found(&rig, ack_expiry, 2).1, acks);
    assert_eq!(found(&rig, below(ack_expiry), 2).1, []);
}

#[test]
fn what_is_settled_is_owed_no_more() {
    let mut rig = owing();
    let settle = rig.pay(0, &[]);
    rig.batch(vec![settle]);
    assert_eq!(rig.refusal(), None);
    let (preimages, acks, _) = found(&rig, Height::MAX, 1);
    assert_eq!((preimages, acks), (Vec::new(), Vec::new()));
}
