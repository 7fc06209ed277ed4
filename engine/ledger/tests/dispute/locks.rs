//! Open locks of a close: what meets them, what refunds them, and who is paid in the end.

use tidegate_channel::evidence::{
    AckProof, Acknowledged, EntryPath, LeafLink, LockEvidence, LockEvidenceError, MandateSubject, OpenedOut, Opener,
    Pair, Side,
};
use tidegate_channel::{
    Condition as LockTerms, Credit, LeafPublic, LeafRef, Operation, Release, credited_root, encode_operations,
    leaf_digest, operations_digest,
};
use tidegate_crypto::hash::payment_hash;
use tidegate_ledger::{
    Action, ActionError, Condition, Event, LockError, LockPlace, LockProof, Output, Payer, Transaction,
    TransactionBody, TransactionError, Witness,
};
use tidegate_types::{ChannelId, Digest, Height, HubCounter, LockSlot, OutPoint, SignatureBytes};

use crate::closes::{burned, refused};
use crate::common::{HUB_PAYOUT, key, sat, secret};
use crate::world::{CAPACITY, Channel, GRACE, SHARE, WINDOW, World, alone, in_lock, out_lock};

const PREIMAGE: [u8; 32] = [42; 32];

/// The lock outputs on the ledger, with what they hold.
fn lock_outputs(world: &World) -> Vec<(OutPoint, u64)> {
    let outputs = world.chain.store().iter();
    let locks = outputs.filter(|(_, utxo)| matches!(utxo.output.condition, Condition::Lock(_)));
    locks
        .map(|(outpoint, utxo)| (*outpoint, utxo.output.amount.to_sat()))
        .collect()
}

fn reveal(world: &World, coin: u8) -> Transaction {
    let action = Action::RevealPreimage {
        preimage: PREIMAGE,
        place: None,
        payer: Payer::Coins,
    };
    world.by_coin(coin, None, action)
}

/// Takes a lock output to the key that signs, with this witness around the signature.
fn take(world: &World, lock: (OutPoint, u64), signer: u8, witness: impl Fn(SignatureBytes) -> Witness) -> Transaction {
    let mut body = TransactionBody::plain(vec![lock.0], vec![Output::to_key(sat(400), key(77))]);
    let cost = |body: &TransactionBody| {
        let transaction = Transaction {
            body: body.clone(),
            witnesses: vec![witness(SignatureBytes::ZERO)],
        };
        transaction.cost()
    };
    body.outputs[0].amount = sat(lock.1 - world.chain.params().fee_min(cost(&body)).to_sat());
    let signature = body.sign(&world.ledger, &secret(signer));
    Transaction {
        witnesses: vec![witness(signature)],
        body,
    }
}

fn claim(world: &World, lock: (OutPoint, u64), signer: u8, proof: LockProof) -> Transaction {
    take(world, lock, signer, move |signature| Witness::LockClaim {
        proof: proof.clone(),
        signature,
    })
}

fn refund(world: &World, lock: (OutPoint, u64), signer: u8) -> Transaction {
    take(world, lock, signer, Witness::LockRefund)
}

fn lock_error(world: &mut World, transaction: Transaction) -> LockError {
    match world.submit(transaction) {
        Err(TransactionError::Lock { input: 0, error }) => error,
        other => panic!("expected a refused lock, got {other:?}"),
    }
}

/// A close of channel 0 in which the client owes one lock on `PREIMAGE`, expiring at `expiry`.
fn close_with_lock(expiry: u32, condition: LockTerms, payee: ChannelId) -> (World, Channel, OpenedOut) {
    let mut world = World::new();
    let channel = world.channel(0);
    let lock = out_lock(5, condition, payee, expiry);
    let mut c = channel.c(2, 0);
    c.locks.push(lock);
    let pair = channel.pair(&c, &channel.h(1, 0));
    world.put(channel.start(Opener::Client, Some(pair)));
    (world, channel, lock)
}

fn hash_lock() -> LockTerms {
    LockTerms::Hash(payment_hash(&PREIMAGE))
}

/// Trace 3: a lock that expires before the deadline, whose preimage stands on the ledger in time, pays its claimer; and it
/// does so without time limit (trace 25: the record stays as long as the lock).
#[test]
fn a_lock_that_was_met_in_time_pays_however_late_it_is_settled() {
    let (mut world, channel, _) = close_with_lock(4, hash_lock(), ChannelId::ZERO);
    world.until(3);
    let events = world.put(reveal(&world, 2));
    let revealed = Event::PreimageRevealed {
        hash: payment_hash(&PREIMAGE),
        preimage: PREIMAGE,
        height: Height::new(4),
    };
    assert_eq!(events, [revealed], "at its expiry, inclusive");
    world.settle_in_time(&channel);
    world.until(60);
    let [lock] = lock_outputs(&world)[..] else {
        panic!("one lock")
    };
    assert_eq!(lock.1, 1_010, "amount and fee");
    let early = refund(&world, lock, 11);
    assert_eq!(lock_error(&mut world, early), LockError::Met);
    let stolen = claim(&world, lock, 11, LockProof::Recorded);
    assert_eq!(world.submit(stolen), Err(TransactionError::BadSignature { input: 0 }));
    assert_eq!(
        world.chain.preimage(&payment_hash(&PREIMAGE)),
        Some((PREIMAGE, Height::new(4)))
    );
    let claim = claim(&world, lock, HUB_PAYOUT, LockProof::Recorded);
    world.put(claim);
    assert!(lock_outputs(&world).is_empty());
    // Channel 1 was there before the reveal, so the record stays for its sake.
    world.seal();
    assert!(world.chain.preimage(&payment_hash(&PREIMAGE)).is_some());
    let other = world.channel(1);
    world.put(other.start(Opener::Client, None));
    world.settle_in_time(&other);
    world.seal();
    assert_eq!(
        world.chain.preimage(&payment_hash(&PREIMAGE)),
        None,
        "nothing depends on it any more"
    );
}

/// One block too late is too late, for the reveal as for the preimage itself; then the lock goes back.
#[test]
fn a_lock_that_was_met_too_late_goes_back() {
    let (mut world, channel, _) = close_with_lock(4, hash_lock(), ChannelId::ZERO);
    world.until(4);
    world.put(reveal(&world, 2));
    world.settle_in_time(&channel);
    let lock = lock_outputs(&world)[0];
    let expiry = LockError::MetTooLate(Height::new(4));
    let late = claim(&world, lock, HUB_PAYOUT, LockProof::Recorded);
    assert_eq!(lock_error(&mut world, late), expiry);
    let late = claim(&world, lock, HUB_PAYOUT, LockProof::Preimage(PREIMAGE));
    assert_eq!(lock_error(&mut world, late), expiry);
    let wrong = claim(&world, lock, HUB_PAYOUT, LockProof::Preimage([0; 32]));
    assert_eq!(lock_error(&mut world, wrong), LockError::NotMet);
    world.put(refund(&world, lock, 11));
    assert!(world.held(key(77)) > 900);
}

/// A lock that lives longer than the close: the preimage takes it up to its expiry, and the refund above it.
#[test]
fn a_lock_output_is_claimed_up_to_its_expiry_and_refunded_above() {
    let (mut world, channel, _) = close_with_lock(30, hash_lock(), ChannelId::ZERO);
    world.settle_in_time(&channel);
    let lock = lock_outputs(&world)[0];
    world.until(29);
    let early = refund(&world, lock, 11);
    assert_eq!(
        lock_error(&mut world, early.clone()),
        LockError::NotExpired(Height::new(30))
    );
    let by_preimage = claim(&world, lock, HUB_PAYOUT, LockProof::Preimage(PREIMAGE));
    assert!(world.chain.check(by_preimage.clone()).is_ok());
    world.seal();
    assert_eq!(
        lock_error(&mut world, by_preimage),
        LockError::MetTooLate(Height::new(30))
    );
    world.put(early);
}

/// Whoever claims a lock by its preimage at the last moment shows it to the hub too late to reveal it against another payer. So
/// the claim itself is the reveal: a lock is met, or not, for both of its channels.
#[test]
fn a_claim_by_preimage_meets_every_lock_on_its_hash() {
    let mut world = World::new();
    let channel = world.channel(0);
    let mut c = channel.c(2, 0);
    c.locks = (1..=3)
        .map(|slot| out_lock(slot, hash_lock(), ChannelId::ZERO, 30))
        .collect();
    world.put(channel.start(Opener::Client, Some(channel.pair(&c, &channel.h(1, 0)))));
    world.settle_in_time(&channel);
    let [first, second, third] = lock_outputs(&world)[..] else {
        panic!("three locks")
    };
    world.until(29);
    // Two in one block: one record.
    let claims = [first, second].map(|lock| claim(&world, lock, HUB_PAYOUT, LockProof::Preimage(PREIMAGE)));
    for claim in claims {
        world.submit(claim).expect("at the expiry, inclusive");
    }
    let revealed = Event::PreimageRevealed {
        hash: payment_hash(&PREIMAGE),
        preimage: PREIMAGE,
        height: Height::new(30),
    };
    assert_eq!(world.seal().1, [revealed]);
    let back = refund(&world, third, 11);
    assert_eq!(lock_error(&mut world, back), LockError::Met);
    world.until(60);
    world.put(claim(&world, third, HUB_PAYOUT, LockProof::Recorded));
    assert!(lock_outputs(&world).is_empty());
}

/// Trace 8: a lock that a leaf failed goes back to the client, however old the half in which it stands; only this hub's leaf
/// of this channel can do so, and only up to the end of the grace.
#[test]
fn a_failed_lock_is_refunded_in_whichever_half_it_stands() {
    let (mut world, channel, lock) = close_with_lock(300, hash_lock(), ChannelId::ZERO);
    let start = world.height();
    let id = lock.id(&channel.id);
    let credit = |salt| Credit {
        lock: id,
        salt: [salt; 16],
        payment_id: lock.lock.payment_id,
        amount: lock.lock.amount,
        expiry: lock.lock.expiry,
    };
    let entry = |salt| EntryPath {
        index: 0,
        count: 1,
        salt: [salt; 16],
        path: Vec::new(),
    };
    let mut failing = channel.h(9, 0);
    failing.failed = credited_root(&[credit(1)]);
    let place = LockPlace {
        channel: channel.id,
        side: Side::Client,
        slot: LockSlot::new(5).expect("below 64"),
    };
    let show = |place: LockPlace, leaf, salt| {
        let evidence = Box::new(LockEvidence::Failed {
            leaf: Box::new(leaf),
            entry: entry(salt),
        });
        let payer = channel.payer(Side::Client, MandateSubject::Lock(id));
        alone(channel.outpoint, Action::LockEvidence { place, payer, evidence })
    };
    let not_failed = ActionError::Lock(LockEvidenceError::NotFailed);
    assert_eq!(refused(&mut world, show(place, channel.leaf(&failing), 2)), not_failed);
    assert_eq!(
        refused(&mut world, show(place, channel.leaf(&channel.h(9, 0)), 1)),
        not_failed
    );
    let other = world.channel(1);
    let elsewhere = ActionError::Lock(LockEvidenceError::OtherChannel);
    assert_eq!(refused(&mut world, show(place, other.leaf(&failing), 1)), elsewhere);
    let empty = LockPlace {
        slot: LockSlot::new(6).expect("below 64"),
        ..place
    };
    assert_eq!(
        refused(&mut world, show(empty, channel.leaf(&failing), 1)),
        ActionError::NoSuchLock
    );
    world.until(start + WINDOW + GRACE);
    let late = ActionError::TooLate(Height::new(start + WINDOW + GRACE));
    assert_eq!(refused(&mut world, show(place, channel.leaf(&failing), 1)), late);

    let (mut world, channel, lock) = close_with_lock(300, hash_lock(), ChannelId::ZERO);
    let events = world.put(show(place, channel.leaf(&failing), 1));
    let refunded = Event::LockRefunded {
        channel: channel.id,
        side: Side::Client,
        lock: id,
    };
    assert_eq!(events, [refunded]);
    assert_eq!(
        refused(&mut world, show(place, channel.leaf(&failing), 1)),
        ActionError::NoSuchLock
    );
    // A newer half that still holds the lock does not bring it back.
    let mut newer = channel.c(8, 0);
    newer.locks.push(lock);
    world.put(channel.evidence(Side::Hub, channel.pair(&newer, &channel.h(2, 0))));
    world.settle_in_time(&channel);
    assert!(lock_outputs(&world).is_empty());
    assert_eq!(world.held(channel.terms.client_payout), SHARE - burned(&world));
}

/// The same for a lock of the hub: the client's own word gives it up, a leaf of the hub does not.
#[test]
#[expect(clippy::too_many_lines, reason = "one lock, given up in each way")]
fn a_released_lock_goes_back_to_the_hub() {
    let payer = World::new().channel(1);
    let out = out_lock(3, hash_lock(), ChannelId::ZERO, 300);
    let offered = in_lock(4, &payer, &out);
    let place = |channel: &Channel| LockPlace {
        channel: channel.id,
        side: Side::Hub,
        slot: LockSlot::new(4).expect("below 64"),
    };
    let begin = || {
        let mut world = World::new();
        let channel = world.channel(0);
        let mut h = channel.h(3, 10_000);
        h.locks.push(offered);
        world.put(channel.start(Opener::Hub, Some(channel.pair(&channel.c(1, 0), &h))));
        (world, channel)
    };
    let show = |channel: &Channel, evidence| {
        let payer = channel.payer(Side::Hub, MandateSubject::Lock(offered.lock.lock));
        let (place, evidence) = (place(channel), Box::new(evidence));
        alone(channel.outpoint, Action::LockEvidence { place, payer, evidence })
    };
    let release = |channel: &Channel| Release {
        channel: channel.id,
        lock: offered.lock.lock,
    };
    let by_state = |channel: &Channel, lock| {
        let mut operations = Vec::new();
        encode_operations(&[Operation::Release { lock }], &mut operations);
        let mut signed = channel.state(&channel.c(9, 0));
        signed.state.operations = operations_digest(&operations);
        signed.signature = signed.state.sign(&channel.ledger, &secret(channel.client));
        LockEvidence::ReleasedByState {
            signed: Box::new(signed),
            operations,
        }
    };

    let (mut world, channel) = begin();
    let forged = LockEvidence::Released(release(&channel).sign(&channel.ledger, &secret(1)));
    let error = ActionError::Lock(LockEvidenceError::ClientSignature);
    assert_eq!(refused(&mut world, show(&channel, forged)), error);
    let other = by_state(&channel, out.id(&channel.id));
    let error = ActionError::Lock(LockEvidenceError::NotReleased);
    assert_eq!(refused(&mut world, show(&channel, other)), error);
    let by_leaf = LockEvidence::Failed {
        leaf: Box::new(channel.leaf(&channel.h(9, 0))),
        entry: EntryPath {
            index: 0,
            count: 1,
            salt: [0; 16],
            path: Vec::new(),
        },
    };
    let error = ActionError::Lock(LockEvidenceError::WrongSide);
    assert_eq!(refused(&mut world, show(&channel, by_leaf)), error);

    for kind in 0..2 {
        let (mut world, channel) = begin();
        let evidence = match kind {
            0 => LockEvidence::Released(release(&channel).sign(&channel.ledger, &secret(channel.client))),
            _ => by_state(&channel, offered.lock.lock),
        };
        world.put(show(&channel, evidence));
        world.settle_in_time(&channel);
        assert!(lock_outputs(&world).is_empty());
        assert_eq!(world.held(channel.terms.client_payout), SHARE + 10_000);
        assert_eq!(world.held(key(HUB_PAYOUT)), CAPACITY - SHARE - 10_000 - burned(&world));
    }
    // Without it the payee's preimage takes the lock.
    let (mut world, channel) = begin();
    world.settle_in_time(&channel);
    let lock = lock_outputs(&world)[0];
    assert_eq!(lock.1, 1_000, "without the payer's fee");
    world.put(claim(&world, lock, 11, LockProof::Preimage(PREIMAGE)));
}

/// Two locks of equal hash and amount are two locks (rule 14).
#[test]
fn two_equal_locks_are_two() {
    let mut world = World::new();
    let channel = world.channel(0);
    let mut c = channel.c(2, 0);
    c.locks = vec![
        out_lock(1, hash_lock(), ChannelId::ZERO, 300),
        out_lock(2, hash_lock(), ChannelId::ZERO, 300),
    ];
    c.locks[1].lock = c.locks[0].lock;
    world.put(channel.start(Opener::Hub, Some(channel.pair(&c, &channel.h(1, 0)))));
    // A closing channel pays for the reveal itself: nobody needs a coin.
    let place = LockPlace {
        channel: channel.id,
        side: Side::Client,
        slot: LockSlot::new(2).expect("below 64"),
    };
    let id = c.locks[1].id(&channel.id);
    let reveal = |preimage, subject| {
        let action = Action::RevealPreimage {
            preimage,
            place: Some(place),
            payer: channel.payer(Side::Hub, subject),
        };
        alone(channel.outpoint, action)
    };
    let other = reveal([1; 32], MandateSubject::Lock(id));
    assert_eq!(refused(&mut world, other), ActionError::NoSuchLock);
    let other = reveal(PREIMAGE, MandateSubject::Lock(c.locks[0].id(&channel.id)));
    assert_eq!(refused(&mut world, other), ActionError::Mandate);
    world.put(reveal(PREIMAGE, MandateSubject::Lock(id)));
    let again = reveal(PREIMAGE, MandateSubject::Lock(id));
    assert_eq!(refused(&mut world, again), ActionError::Known(Height::new(2)));
    world.settle_in_time(&channel);
    let locks = lock_outputs(&world);
    assert_eq!(locks.len(), 2);
    for lock in locks {
        world.put(claim(&world, lock, HUB_PAYOUT, LockProof::Recorded));
    }
}

/// The payee's leaves 4 to 6 on channel 1, of which the first credits `lock`; and the proof from leaf 6 back to it.
fn credit_chain(payee: &Channel, lock: &OpenedOut, payer: &ChannelId) -> (LeafRef, AckProof) {
    let credit = Credit {
        lock: lock.id(payer),
        salt: [8; 16],
        payment_id: lock.lock.payment_id,
        amount: lock.lock.amount,
        expiry: lock.lock.expiry,
    };
    let mut links = Vec::new();
    let mut previous = Digest::from_bytes([7; 32]);
    for counter in 4..7 {
        let mut h = payee.h(counter, 0);
        h.previous = previous;
        h.credited = if counter == 4 {
            credited_root(&[credit])
        } else {
            Digest::ZERO
        };
        let (private, public) = payee.parts(&h);
        previous = leaf_digest(&private.digest(), &public.digest());
        let private = private.digest();
        links.insert(0, LeafLink { private, public });
    }
    let entry = EntryPath {
        index: 0,
        count: 1,
        salt: [8; 16],
        path: Vec::new(),
    };
    let leaf = LeafRef {
        counter: HubCounter::new(6),
        digest: previous,
    };
    (leaf, AckProof { links, entry })
}

fn reveal_ack(world: &World, payee: &Channel, leaf: LeafRef, coin: u8) -> Transaction {
    let (ack, signature) = payee.ack(leaf);
    let action = Action::RevealAck {
        funding: payee.outpoint,
        word: Box::new(Acknowledged::ByAck(ack, signature)),
        payer: Payer::Coins,
    };
    world.by_coin(coin, None, action)
}

/// A lock that waits for an ack: met by the payee's ack of a later leaf, shown with the links between them.
#[test]
fn an_ack_lock_is_met_by_the_payees_ack_of_a_later_leaf() {
    for by_state in [false, true] {
        let payee = World::new().channel(1);
        let (mut world, channel, lock) = close_with_lock(9, LockTerms::Ack, payee.id);
        let (leaf, proof) = credit_chain(&payee, &lock, &channel.id);
        let mut transaction = reveal_ack(&world, &payee, leaf, 2);
        if by_state {
            let mut c = payee.c(3, 0);
            c.ack = leaf;
            let action = Action::RevealAck {
                funding: payee.outpoint,
                word: Box::new(Acknowledged::ByState(payee.state(&c))),
                payer: Payer::Coins,
            };
            transaction = world.by_coin(2, None, action);
        }
        world.put(transaction.clone());
        let again = world.by_coin(3, None, *transaction.body.action.expect("it has one"));
        assert_eq!(refused(&mut world, again), ActionError::Known(Height::new(2)));
        world.settle_in_time(&channel);
        let output = lock_outputs(&world)[0];
        // The claimer has a dispute window to show what the ack acknowledges.
        let early = refund(&world, output, 11);
        assert_eq!(
            lock_error(&mut world, early),
            LockError::NotExpired(Height::new(9 + WINDOW))
        );
        let mut short = proof.clone();
        short.links.pop();
        let bad = claim(&world, output, HUB_PAYOUT, LockProof::Acked(leaf, Box::new(short)));
        assert!(matches!(lock_error(&mut world, bad), LockError::NotCredited(_)));
        let mut bent = proof.clone();
        bent.links[1].public = LeafPublic {
            credited_root: Digest::from_bytes([1; 32]),
            ..bent.links[1].public
        };
        let bad = claim(&world, output, HUB_PAYOUT, LockProof::Acked(leaf, Box::new(bent)));
        assert!(matches!(lock_error(&mut world, bad), LockError::NotCredited(_)));
        let unknown = LeafRef {
            counter: HubCounter::new(5),
            ..leaf
        };
        let bad = claim(
            &world,
            output,
            HUB_PAYOUT,
            LockProof::Acked(unknown, Box::new(proof.clone())),
        );
        assert_eq!(lock_error(&mut world, bad), LockError::NotMet);
        world.put(claim(
            &world,
            output,
            HUB_PAYOUT,
            LockProof::Acked(leaf, Box::new(proof)),
        ));
    }
}

/// Trace 23: an ack that stands one block after the expiry meets nothing.
#[test]
fn an_ack_after_the_expiry_meets_nothing() {
    let payee = World::new().channel(1);
    let (mut world, channel, lock) = close_with_lock(4, LockTerms::Ack, payee.id);
    let (leaf, proof) = credit_chain(&payee, &lock, &channel.id);
    world.until(4);
    world.put(reveal_ack(&world, &payee, leaf, 2));
    world.settle_in_time(&channel);
    let output = lock_outputs(&world)[0];
    let late = claim(&world, output, HUB_PAYOUT, LockProof::Acked(leaf, Box::new(proof)));
    assert_eq!(lock_error(&mut world, late), LockError::MetTooLate(Height::new(4)));
    world.put(refund(&world, output, 11));
}

/// Traces 22 and 24: unfirm credit counts whole if an ack of its leaf or a later one stood on the ledger by `ack_by`; else it is
/// void, and the hub's again.
#[test]
fn unfirm_credit_counts_by_an_ack_on_the_ledger_alone() {
    // (the leaf acknowledged, the height of the ack, whether U counts)
    let cases = [(7, 4, true), (8, 4, true), (6, 4, false), (7, 5, false)];
    for (counter, height, counts) in cases {
        let mut world = World::new();
        let channel = world.channel(0);
        let mut h = channel.h(7, 20_000);
        (h.unfirm, h.ack_by) = (30_000, 4);
        let pair: Pair = channel.pair(&channel.c(1, 0), &h);
        world.put(channel.start(Opener::Hub, Some(pair)));
        world.until(height - 1);
        let leaf = LeafRef {
            counter: HubCounter::new(counter),
            ..channel.leaf(&h).reference()
        };
        world.put(reveal_ack(&world, &channel, leaf, 2));
        world.settle_in_time(&channel);
        let unfirm = if counts { 30_000 } else { 0 };
        assert_eq!(
            world.held(channel.terms.client_payout),
            SHARE + 20_000 + unfirm,
            "{counter} at {height}"
        );
    }
}

/// An ack is the client's, of its own channel.
#[test]
fn an_ack_is_signed_by_the_channels_client() {
    let mut world = World::new();
    let (channel, other) = (world.channel(0), world.channel(1));
    let leaf = channel.leaf(&channel.h(1, 0)).reference();
    let reveal = |world: &World, funding, word| {
        let action = Action::RevealAck {
            funding,
            word: Box::new(word),
            payer: Payer::Coins,
        };
        world.by_coin(2, None, action)
    };
    let (ack, _) = channel.ack(leaf);
    let (_, stolen) = other.ack(leaf);
    let word = Acknowledged::ByAck(ack, stolen);
    let transaction = reveal(&world, channel.outpoint, word);
    assert_eq!(refused(&mut world, transaction), ActionError::AckSignature);
    let transaction = reveal(&world, other.outpoint, word);
    assert_eq!(refused(&mut world, transaction), ActionError::OtherChannel);
    let transaction = reveal(&world, world.coin(3), word);
    assert_eq!(refused(&mut world, transaction), ActionError::OtherInput);
}
