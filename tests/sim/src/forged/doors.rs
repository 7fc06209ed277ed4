//! The doors: for each kind of message its honest bytes, forged ones that no flipped bit would make, and what takes them.

use tidegate_batch::{AckInput, CloseInput, FulfilInput, Input, PayInput, ReleaseInput, SpliceInput};
use tidegate_channel::evidence::Pair;
use tidegate_channel::{Ack, ChannelTerms, Condition, Delegation, Release, encode_operations};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::verify::Verdict;
use tidegate_ledger::Splice;
use tidegate_tower::{Limits, Package, Tower};
use tidegate_types::{ChannelId, Fixed, Height, KeyBytes, SignatureBytes};
use tidegate_wire::frame::{Header, VERSION};
use tidegate_wire::messages::{self as wire, Body};
use tidegate_wire::{Kind, ToHub};

use super::Entry;
use super::house::{House, PAYEE, PAYER, PREIMAGE, check, key, paying};
use crate::old_states::sat;
use crate::old_states::story::Story;

/// One kind of message.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// Its name.
    pub name: &'static str,
    /// A message that would be accepted; made once.
    pub honest: fn(&mut House) -> Vec<u8>,
    /// The same content under another key, or too late.
    pub forged: fn(&mut House) -> Vec<Vec<u8>>,
    /// What becomes of a message.
    pub open: fn(&mut House, &[u8]) -> Entry,
}

/// All of them. The last ones say what the first ones leave: an accepted message comes only after all that were flipped.
pub const DOORS: &[Door] = &[
    Door {
        name: "Receipt",
        honest: receipt,
        forged: other_hub,
        open: take_receipt,
    },
    Door {
        name: "AckProof",
        honest: ack_proof,
        forged: none,
        open: take_proof,
    },
    Door {
        name: "TowerPackage",
        honest: package,
        forged: none,
        open: take_package,
    },
    Door {
        name: "Attach",
        honest: attach,
        forged: other_attaches,
        open: take_attach,
    },
    Door {
        name: "Ack",
        honest: ack,
        forged: other_ack,
        open: take_ack,
    },
    Door {
        name: "Fulfill",
        honest: fulfil,
        forged: other_fulfil,
        open: take_fulfil,
    },
    Door {
        name: "Pay",
        honest: pay,
        forged: other_pay,
        open: take_pay,
    },
    Door {
        name: "Pay to another hub",
        honest: pay_away,
        forged: none,
        open: take_pay_of_payee,
    },
    Door {
        name: "Release",
        honest: release,
        forged: other_release,
        open: take_release,
    },
    Door {
        name: "SubmitTx: the start of a close",
        honest: start,
        forged: none,
        open: take_transaction,
    },
    Door {
        name: "CloseFinal",
        honest: close_final,
        forged: none,
        open: take_close_final,
    },
    Door {
        name: "SpliceFinal",
        honest: splice_final,
        forged: none,
        open: take_splice_final,
    },
];

fn none(_: &mut House) -> Vec<Vec<u8>> {
    Vec::new()
}

fn body<'a>(message: &impl Body<'a>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.put(&mut bytes);
    bytes
}

fn read(kind: Kind, body: &[u8]) -> Option<ToHub<'_>> {
    let header = Header {
        len: u32::try_from(body.len()).ok()?,
        kind: kind.code(),
        version: VERSION,
        request: 1,
    };
    ToHub::decode(&header, body).ok()
}

fn array<const N: usize>(value: &impl Fixed) -> [u8; N] {
    let mut bytes = [0; N];
    value.encode_into(&mut bytes);
    bytes
}

fn pay_body(pay: &PayInput, signature: &SignatureBytes) -> Vec<u8> {
    let mut operations = Vec::new();
    encode_operations(&pay.operations, &mut operations);
    body(&wire::Pay {
        state: &array(&pay.state),
        signature,
        operations: &operations,
    })
}

fn next_state(house: &mut House) -> PayInput {
    if house.next.is_none() {
        let lock = house.lock(Condition::Ack);
        let state = house.story.parties[PAYER].pay(&[lock], Height::ZERO);
        house.next = Some(paying(state.expect("it has the money")));
    }
    house.next.clone().expect("just made")
}

fn pay(house: &mut House) -> Vec<u8> {
    let state = next_state(house);
    pay_body(&state, &state.signature)
}

fn other_pay(house: &mut House) -> Vec<Vec<u8>> {
    let (state, ledger) = (next_state(house), house.ledger());
    let others = [house.secret(PAYEE), &house.story.hub.key];
    others
        .map(|key| pay_body(&state, &state.state.sign(&ledger, key)))
        .into()
}

/// A state of the payee with a lock for somebody whom this hub does not know.
fn pay_away(house: &mut House) -> Vec<u8> {
    let mut lock = house.lock(Condition::Hash([9; 32]));
    (lock.payee, lock.payee_channel) = (KeyBytes::from_bytes([0xaa; 32]), ChannelId::from_bytes([0xbb; 32]));
    let state = house.story.parties[PAYEE].pay(&[lock], Height::ZERO);
    let state = paying(state.expect("it has the money"));
    pay_body(&state, &state.signature)
}

fn take_pay(house: &mut House, bytes: &[u8]) -> Entry {
    take_state(house, bytes, PAYER)
}

fn take_pay_of_payee(house: &mut House, bytes: &[u8]) -> Entry {
    take_state(house, bytes, PAYEE)
}

fn take_state(house: &mut House, bytes: &[u8], who: usize) -> Entry {
    let Some(ToHub::Pay(pay)) = read(Kind::Pay, bytes) else {
        return Entry::Unreadable;
    };
    let Ok(pay) = PayInput::from_parts(pay.state, *pay.signature, pay.operations) else {
        return Entry::Unreadable;
    };
    let (channel, message, signature) = (pay.state.channel, pay.state.message(&house.ledger()), pay.signature);
    house.signed(who, (channel, &message, &signature), Input::Pay(pay))
}

fn newest_ack(house: &House) -> Ack {
    let payee = &house.story.parties[PAYEE];
    Ack {
        channel: payee.channel,
        leaf: payee.own().wallet().hub().reference(),
    }
}

fn ack_body(ack: &Ack, signature: &SignatureBytes) -> Vec<u8> {
    body(&wire::Ack {
        ack: &array(ack),
        signature,
    })
}

fn ack(house: &mut House) -> Vec<u8> {
    let ack = newest_ack(house);
    ack_body(&ack, &ack.sign(&house.ledger(), house.secret(PAYEE)))
}

fn other_ack(house: &mut House) -> Vec<Vec<u8>> {
    let ack = newest_ack(house);
    vec![ack_body(&ack, &ack.sign(&house.ledger(), house.secret(PAYER)))]
}

fn take_ack(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::Ack(told)) = read(Kind::Ack, bytes) else {
        return Entry::Unreadable;
    };
    let Ok(ack) = Ack::decode(told.ack) else {
        return Entry::Unreadable;
    };
    let (message, signature) = (ack.message(&house.ledger()), *told.signature);
    let input = Input::Ack(AckInput { ack, signature });
    house.signed(PAYEE, (ack.channel, &message, &signature), input)
}

fn waiting(house: &House, which: usize) -> Release {
    Release {
        channel: house.story.parties[PAYEE].channel,
        lock: house.locks[which],
    }
}

fn release_by(house: &House, by: &SecretKey) -> Vec<u8> {
    let release = waiting(house, 2);
    body(&wire::Release {
        channel: release.channel,
        lock: release.lock,
        signature: release.sign(&house.ledger(), by),
    })
}

fn release(house: &mut House) -> Vec<u8> {
    release_by(house, house.secret(PAYEE))
}

fn other_release(house: &mut House) -> Vec<Vec<u8>> {
    vec![
        release_by(house, house.secret(PAYER)),
        release_by(house, &house.story.hub.key),
    ]
}

fn take_release(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::Release(told)) = read(Kind::Release, bytes) else {
        return Entry::Unreadable;
    };
    let (channel, lock) = (told.channel, told.lock);
    let release = Release { channel, lock };
    let (message, signature) = (release.message(&house.ledger()), told.signature);
    let input = Input::Release(ReleaseInput { release, signature });
    house.signed(PAYEE, (channel, &message, &signature), input)
}

fn fulfil(house: &mut House) -> Vec<u8> {
    let Release { channel, lock } = waiting(house, 1);
    body(&wire::Fulfill {
        channel,
        lock,
        preimage: PREIMAGE,
    })
}

/// The payer knows no preimage, and the payee's channel is not the payer's to speak for.
fn other_fulfil(house: &mut House) -> Vec<Vec<u8>> {
    let lock = house.locks[1];
    let channels = [house.story.parties[PAYER].channel, ChannelId::ZERO];
    let message = |channel| wire::Fulfill {
        channel,
        lock,
        preimage: PREIMAGE,
    };
    channels.map(|channel| body(&message(channel))).into()
}

fn take_fulfil(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::Fulfill(told)) = read(Kind::Fulfill, bytes) else {
        return Entry::Unreadable;
    };
    let (channel, lock, preimage) = (told.channel, told.lock, told.preimage);
    let input = Input::Fulfil(FulfilInput {
        channel,
        lock,
        preimage,
    });
    house.unsigned(PAYEE, channel, input)
}

const GATEWAY: [u8; 32] = [0x61; 32];
const LENT_UNTIL: Height = Height::new(30);

fn attach_body(house: &House, expiry: Height, by: &SecretKey) -> Vec<u8> {
    let identity = SecretKey::from_seed(GATEWAY).public().bytes();
    let channels = [house.story.parties[PAYEE].channel];
    body(&wire::Attach {
        client: house.story.parties[PAYEE].terms.client,
        identity,
        expiry,
        signature: &Delegation::new(identity, expiry, &channels).sign(&house.ledger(), by),
        channels: &channels,
    })
}

fn attach(house: &mut House) -> Vec<u8> {
    attach_body(house, LENT_UNTIL, house.secret(PAYEE))
}

fn other_attaches(house: &mut House) -> Vec<Vec<u8>> {
    vec![
        attach_body(house, LENT_UNTIL, house.secret(PAYER)),
        attach_body(house, LENT_UNTIL, &SecretKey::from_seed(GATEWAY)),
        // Its height is past: the gateway's session is asked at height 1.
        attach_body(house, Height::ZERO, house.secret(PAYEE)),
    ]
}

/// As the session of the gateway, at height 1.
fn take_attach(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::Attach(told)) = read(Kind::Attach, bytes) else {
        return Entry::Unreadable;
    };
    let identity = SecretKey::from_seed(GATEWAY).public().bytes();
    if told.identity != identity || told.expiry < Height::new(1) {
        return Entry::Refused;
    }
    let owns = |channel: &ChannelId| house.story.hub.client_of(channel) == Some(told.client);
    if told.channels.is_empty() || !told.channels.iter().all(owns) {
        return Entry::Stranger;
    }
    let delegation = Delegation::new(identity, told.expiry, told.channels);
    match delegation.verify(&house.ledger(), &key(told.client), told.signature) {
        Verdict::Valid => Entry::Accepted,
        Verdict::Invalid => Entry::Unsigned,
    }
}

fn package(house: &mut House) -> Vec<u8> {
    let package = house.story.parties[PAYEE].package().expect("it has acknowledged");
    body(&package.message(&package.parts()))
}

/// As the session of the payee, at a tower that keeps nothing yet.
fn take_package(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::TowerPackage(told)) = read(Kind::TowerPackage, bytes) else {
        return Entry::Unreadable;
    };
    let Ok(package) = Package::decode(&told) else {
        return Entry::Unreadable;
    };
    let payee = &house.story.parties[PAYEE];
    let tower = Tower::new(house.ledger(), Limits::default());
    let is_kept = tower.consider(&payee.terms.client, &package) == Ok(true);
    // Room is given to channels that stand on the ledger alone.
    if is_kept && package.funding == payee.funding {
        Entry::Accepted
    } else {
        Entry::Refused
    }
}

/// The payer's receipt of a state that its wallet has not got.
fn receipt(house: &mut House) -> Vec<u8> {
    receipt_by(house, false)
}

fn other_hub(house: &mut House) -> Vec<Vec<u8>> {
    vec![receipt_by(house, true)]
}

fn receipt_by(house: &mut House, by_another: bool) -> Vec<u8> {
    let ack = house.story.parties[PAYER].channel;
    house.story.hub.execute(vec![Input::Refresh(ack)]);
    let other = SecretKey::from_seed(GATEWAY);
    let by = if by_another { &other } else { &house.story.hub.key };
    let header = house.story.hub.out.header.sign(&house.ledger(), by);
    let body = house.story.parties[PAYER].receipt(&house.story.hub.out, &header);
    body.expect("its leaf")
}

fn take_receipt(house: &mut House, bytes: &[u8]) -> Entry {
    let Ok(receipt) = wire::Receipt::decode(bytes) else {
        return Entry::Unreadable;
    };
    match house.story.parties[PAYER].channels().accept_receipt(&receipt) {
        Ok(news) if news.is_empty() => Entry::Stranger,
        Ok(_) => Entry::Accepted,
        Err(_) => Entry::Refused,
    }
}

/// The payee's word that it has the payment.
fn ack_proof(house: &mut House) -> Vec<u8> {
    let (channel, lock) = (house.story.parties[PAYER].channel, house.locks[0]);
    let proof = house
        .story
        .hub
        .payment_proof(&channel, &lock)
        .expect("the payee has acknowledged");
    let links: Vec<wire::Link> = proof
        .links
        .iter()
        .map(|link| wire::Link {
            public: array(&link.public),
            private: link.private,
        })
        .collect();
    body(&wire::AckProof {
        channel,
        lock,
        proof: Some(wire::Proof {
            payee: proof.payee,
            ack: &array(&proof.ack),
            signature: &proof.signature,
            salt: &proof.salt,
            index: proof.index,
            count: proof.count,
            path: &proof.path,
            links: &links,
        }),
    })
}

fn take_proof(house: &mut House, bytes: &[u8]) -> Entry {
    let Ok(told) = wire::AckProof::decode(bytes) else {
        return Entry::Unreadable;
    };
    match house.story.parties[PAYER].channels().prove(&told) {
        Ok(true) => Entry::Accepted,
        Ok(false) | Err(_) => Entry::Refused,
    }
}

fn start(house: &mut House) -> Vec<u8> {
    let payer = &house.story.parties[PAYER];
    let pair: Pair = payer.pair_of(payer.own(), Height::ZERO).expect("a pair");
    assert!(pair.client.is_some() && pair.hub.is_some());
    payer.own().start_close(payer.signer(), pair).encode()
}

fn take_transaction(house: &mut House, bytes: &[u8]) -> Entry {
    check(&mut house.story, bytes)
}

fn close_final(house: &mut House) -> Vec<u8> {
    let (channel, fee) = (house.ending.parties[PAYER].channel, sat(2_000));
    house.ending.batch(Input::Close(CloseInput { channel, fee }));
    let wallet = house.ending.parties[PAYER].channels();
    let transaction = wallet
        .close_transaction(&channel, fee)
        .expect("the final leaf has come");
    body(&wire::CloseFinal {
        channel,
        transaction: &transaction.encode(),
    })
}

fn take_close_final(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::CloseFinal(told)) = read(Kind::CloseFinal, bytes) else {
        return Entry::Unreadable;
    };
    take_final(&mut house.ending, PAYER, (told.channel, told.transaction))
}

/// A channel moves into a smaller one, and its client takes the rest out.
fn splice_final(house: &mut House) -> Vec<u8> {
    let party = &mut house.ending.parties[PAYEE];
    let (channel, fee, out) = (party.channel, sat(4_000), sat(100_000));
    let less = |amount: tidegate_types::Amount| amount.sub(fee).and_then(|left| left.sub(out)).expect("enough");
    let successor = ChannelTerms {
        capacity: less(party.terms.capacity),
        opening_share: less(party.terms.opening_share),
        nonce: 1,
        ..party.terms
    };
    let splice = Splice {
        funding: party.funding,
        successor,
        coins: Vec::new(),
        change: Some((out, party.terms.client)),
    };
    let hub_share = party.terms.capacity.sub(party.terms.opening_share).expect("enough");
    let input = SpliceInput {
        channel,
        transaction: splice.successor_outpoint().txid,
        coins: sat(0),
        change: out,
        fee,
        client_share: successor.opening_share,
        hub_share,
    };
    party
        .channels()
        .ask_splice(&channel, splice, fee)
        .expect("a journal in memory");
    house.ending.batch(Input::Splice(input));
    let wallet = house.ending.parties[PAYEE].channels();
    let (transaction, _) = wallet.splice_transaction(&channel).expect("the final leaf has come");
    body(&wire::SpliceFinal {
        channel,
        transaction: &transaction.encode(),
    })
}

fn take_splice_final(house: &mut House, bytes: &[u8]) -> Entry {
    let Some(ToHub::SpliceFinal(told)) = read(Kind::SpliceFinal, bytes) else {
        return Entry::Unreadable;
    };
    take_final(&mut house.ending, PAYEE, (told.channel, told.transaction))
}

/// What the hub does with a client's completed transaction: it must be of a channel that the session carries.
fn take_final(story: &mut Story, who: usize, (channel, transaction): (ChannelId, &[u8])) -> Entry {
    if channel != story.parties[who].channel {
        return Entry::Stranger;
    }
    check(story, transaction)
}
