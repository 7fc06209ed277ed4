//! Every signed object, bent in every bit and shown in every wrong place: no signature holds (rules 1 and 4).

use tidegate_channel::codec::Canonical;
use tidegate_channel::evidence::ProvenLeaf;
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_test_conformance::cast::{Cast, HUB, PAYEE, PAYER, key, ledger};
use tidegate_types::{Fixed, LedgerId};

/// An object, what is signed of it, and who signs.
struct Object {
    name: &'static str,
    kind: SignedKind,
    message: SignedMessage,
    by: u8,
}

fn objects() -> Vec<Object> {
    let (cast, id) = (Cast::new(), ledger());
    let object = |name, kind, message, by| Object {
        name,
        kind,
        message,
        by,
    };
    vec![
        object("state", SignedKind::ClientState, cast.states[2].message(&id), PAYER),
        object("ack", SignedKind::Ack, cast.ack.message(&id), PAYEE),
        object("header", SignedKind::Header, cast.header.header.message(&id), HUB),
        object("release", SignedKind::Release, cast.release.message(&id), PAYEE),
        object("start", SignedKind::StartClose, cast.start.message(&id), HUB),
        object("note", SignedKind::StateNote, cast.note.message(&id), HUB),
        object("mandate", SignedKind::Mandate, cast.mandate.message(&id), PAYER),
    ]
}

fn holds(by: &SecretKey, message: &[u8], signature: &tidegate_types::SignatureBytes) -> bool {
    verify(&by.public(), message, signature) == Verdict::Valid
}

#[test]
fn every_bit_is_under_its_signature() {
    for object in objects() {
        let by = key(object.by);
        let message = object.message.as_slice();
        let signature = by.sign(message);
        assert!(holds(&by, message, &signature), "{}", object.name);
        for bit in 0..message.len() * 8 {
            let mut bent = message.to_vec();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&by, &bent, &signature), "{}: bit {bit}", object.name);
        }
        for bit in 0..512 {
            let mut bent = *signature.as_bytes();
            bent[bit / 8] ^= 1 << (bit % 8);
            let bent = tidegate_types::SignatureBytes::from_bytes(bent);
            assert!(!holds(&by, message, &bent), "{}: signature bit {bit}", object.name);
        }
    }
}

/// Replay: the same body on another ledger, as another kind of message, under another party's key.
#[test]
fn a_signature_serves_one_purpose_alone() {
    for object in objects() {
        let by = key(object.by);
        let signature = by.sign(object.message.as_slice());
        let body = &object.message.as_slice()[SignedMessage::HEAD_LEN..];
        assert_eq!(
            signed_message(&ledger(), object.kind, body).as_slice(),
            object.message.as_slice(),
            "{}",
            object.name
        );
        let elsewhere = signed_message(&LedgerId::from_bytes([0xdd; 32]), object.kind, body);
        assert!(
            !holds(&by, elsewhere.as_slice(), &signature),
            "{} on another ledger",
            object.name
        );
        for other in objects()
            .into_iter()
            .filter(|other| other.kind as u8 != object.kind as u8)
        {
            let as_other = signed_message(&ledger(), other.kind, body);
            assert!(
                !holds(&by, as_other.as_slice(), &signature),
                "{} as {}",
                object.name,
                other.name
            );
        }
        for stranger in [HUB, PAYER, PAYEE].into_iter().filter(|party| *party != object.by) {
            assert!(!holds(&key(stranger), object.message.as_slice(), &signature));
        }
    }
}

/// Two channels of the same parties differ in their names, and a second incarnation has another funding output.
#[test]
fn a_second_incarnation_is_another_channel() {
    let cast = Cast::new();
    let (mut funding, terms, first) = cast.payer;
    funding.vout += 2;
    let second = terms.channel_id(&funding);
    assert_ne!(first, second);
    let mut other = cast.states[2];
    other.channel = second;
    let signature = cast.states[2].sign(&ledger(), &key(PAYER));
    assert_eq!(
        other.verify(&ledger(), &key(PAYER).public(), &signature),
        Verdict::Invalid
    );
}

/// A leaf is bound to its header by its whole content and its place: no bit of a proof can change.
#[test]
fn every_bit_of_a_proven_leaf_is_bound() {
    let (cast, id) = (Cast::new(), ledger());
    let hub = key(HUB).public();
    let good = |leaf: &ProvenLeaf| leaf.check_path().is_ok() && leaf.check_signature(&id, &hub).is_ok();
    for leaf in &cast.leaves {
        assert!(good(leaf));
        let bytes = leaf.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let read = ProvenLeaf::decode(&bent);
            assert!(!read.is_ok_and(|leaf| good(&leaf)), "bit {bit}");
        }
    }
}

/// Strict decoders: a byte more, a byte less, and padding that is not zero are no object.
#[test]
fn an_object_has_one_encoding() {
    let cast = Cast::new();
    let bytes = cast.leaves[1].private.to_vec();
    type Private = tidegate_channel::LeafPrivate;
    assert!(Private::decode(&bytes).is_ok());
    assert!(Private::decode(&bytes[1..]).is_err());
    assert!(Private::decode(&[bytes.clone(), vec![0]].concat()).is_err());
    // The last seven bytes are padding.
    for at in bytes.len() - 7..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] = 1;
        assert!(Private::decode(&bent).is_err(), "byte {at}");
    }
}
