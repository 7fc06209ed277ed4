//! What a wallet shows in a dispute, whatever has come to it since.

use crate::played::{LEDGER, MARGIN, PlayedHub, client, lock, opened, signer};
use tidegate_channel::evidence::{Pair, PairFacts};
use tidegate_client::channel::EvidenceError;
use tidegate_client::{Channels, HeaderCache, MemoryStore, Opened};
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{ClientCounter, Height, HubCounter};

const HEIGHT: Height = Height::new(100);
/// From here on a credit of the played payments may not be acknowledged any more.
const LATE: Height = Height::new(1000 - 3 * MARGIN + 1);

/// The pair of a channel, which the ledger would take.
fn pair(wallet: &Channels<MemoryStore>, opened: &Opened) -> (Pair, PairFacts) {
    let pair = wallet.get(&opened.channel).unwrap().pair(wallet.signer()).unwrap();
    let keys = [opened.terms.client, opened.terms.hub].map(|key| PublicKey::register(key).unwrap());
    let facts = pair
        .check(&LEDGER, &opened.channel, &opened.terms, (&keys[0], &keys[1]))
        .unwrap();
    (pair, facts)
}

fn read_again(wallet: &Channels<MemoryStore>, seed: u8) -> Channels<MemoryStore> {
    let headers = HeaderCache::new(LEDGER, *wallet.headers().hub());
    Channels::open(signer(seed), headers.into(), wallet.store().clone()).unwrap()
}

/// An ack that comes too late would only prove the payer's debt; what was acknowledged before is still there to be shown.
#[test]
fn a_leaf_that_may_not_be_acknowledged_is_not_shown() {
    let mut hub = PlayedHub::new();
    let (mut payer, mut payee) = (client(&hub, 1, 0), client(&hub, 2, 0));
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0));
    assert_eq!(pair(&payee, &to).0, Pair::default(), "nothing has happened");
    let mut credit = |payee: &mut Channels<MemoryStore>, id| {
        let state = payer.pay(&from, &[lock(&hub, 2, 50, id)], HEIGHT).unwrap();
        let batch = hub.deliver(&state, to.channel);
        payee.accept_receipt(&batch.receipt()).unwrap();
        payer.accept_receipt(&batch.receipt()).unwrap();
    };
    credit(&mut payee, 7);
    let unacknowledged = payee.get(&to.channel).unwrap().pair(payee.signer());
    assert_eq!(unacknowledged, Err(EvidenceError::Unacknowledged));
    payee.ack(&to.channel, HEIGHT).unwrap().expect("in time");
    credit(&mut payee, 8);
    assert_eq!(payee.ack(&to.channel, LATE).unwrap(), None);
    // A state that is signed now names the leaf before.
    payee.pay(&to.channel, &[], LATE).unwrap();
    for payee in [&payee, &read_again(&payee, 2)] {
        let (_, facts) = pair(payee, &to);
        assert_eq!((facts.client, facts.hub), (ClientCounter::ZERO, HubCounter::new(1)));
    }
    payee.ack(&to.channel, HEIGHT).unwrap().expect("in time");
    for payee in [&payee, &read_again(&payee, 2)] {
        assert_eq!(pair(payee, &to).1.hub, HubCounter::new(2));
    }
}

/// A hub refuses a state, waits until the client has given it up, and accepts it after all: the locks that it left open, and
/// not those of the state after it, are what opens it on the ledger.
#[test]
fn a_state_that_was_given_up_and_accepted_after_all_is_shown_with_its_own_locks() {
    let mut hub = PlayedHub::new();
    let mut payer = client(&hub, 1, 0);
    let (from, to) = (opened(&hub, 1, 0), opened(&hub, 2, 0).channel);
    let first = payer.pay(&from.channel, &[lock(&hub, 2, 50, 7)], HEIGHT).unwrap();
    payer.accept_receipt(&hub.deliver(&first, to).receipt()).unwrap();
    let refused = payer.pay(&from.channel, &[lock(&hub, 2, 60, 8)], HEIGHT).unwrap();
    assert!(payer.supersede(&from.channel).unwrap());
    payer.pay(&from.channel, &[], HEIGHT).unwrap();
    // A payer's leaf may be acknowledged at any time: it credits nothing.
    assert_eq!(pair(&payer, &from).1.client, first.state.counter);
    payer.accept_receipt(&hub.deliver(&refused, to).receipt()).unwrap();
    payer.ack(&from.channel, HEIGHT).unwrap().expect("a new leaf");
    for payer in [&payer, &read_again(&payer, 1)] {
        let (pair, facts) = pair(payer, &from);
        let shown = pair.client.expect("a state");
        assert_eq!((facts.client, shown.locks.len()), (refused.state.counter, 2));
    }
}
