//! Test vectors for a second implementation: every layout, digest and signature of one small story, as JSON with hex.
//!
//! `write-vectors` writes them; a test makes them again and compares. `data/vectors/README.md` says how to read them.

use serde_json::{Map, Value, json};
use tidegate_channel::codec::Canonical;
use tidegate_channel::{encode_operations, leaf_digest};
use tidegate_crypto::hash::{Domain, hash, payment_hash};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::merkle::{self, LockTree, TreeKind};
use tidegate_crypto::signed::SignedMessage;
use tidegate_types::{Digest, Fixed, KeyBytes, LockSlot};

use crate::cast::{Cast, HUB, PAYEE, PAYER, PAYOUT, PREIMAGE, SALT_SECRET, key, ledger};

/// The files: name and content.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    [
        ("keys.json", keys()),
        ("hashes.json", hashes()),
        ("channel.json", channel()),
    ]
    .map(|(name, value)| (name, format!("{value:#}\n")))
    .into()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keys() -> Value {
    let good: Vec<Value> = [HUB, PAYER, PAYEE, PAYOUT]
        .map(|seed| {
            let pair = key(seed);
            json!({
                "seed": hex([seed; 32]),
                "public": hex(pair.public().bytes().as_bytes()),
                "signature_of_tidegate": hex(pair.sign(b"tidegate").as_bytes()),
            })
        })
        .into();
    let refused: Vec<Value> = bad_keys()
        .into_iter()
        .map(|(why, bytes)| json!({ "public": hex(bytes), "why": why }))
        .collect();
    json!({ "good": good, "refused": refused })
}

/// Keys that count nowhere (rule 3), and why.
#[must_use]
pub fn bad_keys() -> Vec<(&'static str, [u8; 32])> {
    let mut identity = [0; 32];
    identity[0] = 1;
    // y = p + 1: the identity again, not reduced.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    let order_two = {
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        minus_one
    };
    let mut no_point = [0; 32];
    no_point[0] = 2;
    vec![
        ("small order: the identity", identity),
        ("not canonical: y is not reduced", unreduced),
        ("small order: two", order_two),
        ("no point of the curve has this y", no_point),
        ("not torsion free: a good key plus the point of order two", torsioned()),
    ]
}

/// A · B plus the point of order two: of large order, but not in the prime order subgroup. Adding (0, −1) to (x, y) gives
/// (−x, −y): y is negated in the field, and the sign of x flips.
fn torsioned() -> [u8; 32] {
    let good = *key(PAYER).public().bytes().as_bytes();
    let sign = good[31] & 0x80;
    let mut y = good;
    y[31] &= 0x7f;
    // p − y, byte by byte.
    let mut p = [0xff_u8; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut borrow = 0_i16;
    let mut out = [0_u8; 32];
    for index in 0..32 {
        let digit = i16::from(p[index]) - i16::from(y[index]) - borrow;
        borrow = i16::from(digit < 0);
        out[index] = u8::try_from(digit + 256 * borrow).expect("a byte");
    }
    out[31] |= sign ^ 0x80;
    out
}

fn hashes() -> Value {
    let domains: Map<String, Value> = Domain::ALL
        .iter()
        .map(|domain| {
            let of = |bytes: &[u8]| hex(hash(*domain, bytes).as_bytes());
            let value = json!({ "of_nothing": of(b""), "of_abc": of(b"abc"), "of_64_zeros": of(&[0; 64]) });
            (domain.context().to_owned(), value)
        })
        .collect();
    let trees: Map<String, Value> = [
        ("receipts", merkle::RECEIPTS),
        ("outcomes", merkle::OUTCOMES),
        ("list", merkle::LIST),
        ("transactions", merkle::TRANSACTIONS),
    ]
    .into_iter()
    .map(|(name, kind)| (name.to_owned(), tree(kind)))
    .collect();
    let mut one = [Digest::ZERO; LockSlot::COUNT];
    one[5] = Digest::from_bytes([5; 32]);
    json!({
        "domains": domains,
        "trees_over_leaves_of_equal_bytes": trees,
        "lock_tree": {
            "empty": hex(LockTree::empty_root().as_bytes()),
            "slot_5_holds_05": hex(LockTree::root_of(&one).as_bytes()),
        },
        "payment_hash_of_5a": hex(payment_hash(&PREIMAGE)),
    })
}

/// Roots over 1 to 9 leaves, of which leaf i is 32 bytes of i, and the path of the last one of 5.
fn tree(kind: TreeKind) -> Value {
    let leaves: Vec<Digest> = (0..9_u8).map(|byte| Digest::from_bytes([byte; 32])).collect();
    let roots: Vec<String> = (1..=leaves.len())
        .map(|count| hex(merkle::root(kind, &leaves[..count]).as_bytes()))
        .collect();
    let path: Vec<String> = merkle::Tree::build(kind, &leaves[..5])
        .path(4)
        .map(|element| hex(element.as_bytes()))
        .collect();
    json!({ "roots": roots, "path_of_4_of_5": path })
}

/// An object that is signed: its bytes, what is signed, and the signature.
fn signed(body: &[u8], message: &SignedMessage, by: &SecretKey) -> Value {
    json!({
        "bytes": hex(body),
        "signed": hex(message.as_slice()),
        "signature": hex(by.sign(message.as_slice()).as_bytes()),
    })
}

fn channel() -> Value {
    let cast = Cast::new();
    let id = ledger();
    let both = [("payer", &cast.payer), ("payee", &cast.payee)].map(|(name, (funding, terms, channel))| {
        let value = json!({
            "funding": hex(funding.to_vec()),
            "terms": hex(terms.to_vec()),
            "channel_id": hex(channel.as_bytes()),
        });
        (name.to_owned(), value)
    });
    let locks: Vec<Value> = cast
        .locks
        .iter()
        .map(|(lock, name)| {
            json!({
                "amount_sat": lock.amount.to_sat(), "fee_sat": lock.fee.to_sat(), "expiry": lock.expiry.get(),
                "payment_id": hex(lock.payment_id.as_bytes()), "lock_id": hex(name.as_bytes()),
            })
        })
        .collect();
    json!({
        "ledger_id": hex(id.as_bytes()),
        "channels": Map::from_iter(both),
        "locks": locks,
        "preimage_of_lock_1": hex(PREIMAGE),
        "operations": cast.operations.iter().map(|list| operations(list)).collect::<Vec<_>>(),
        "states": states(&cast),
        "batch": batch(&cast),
        "ack": signed(&cast.ack.to_vec(), &cast.ack.message(&id), &key(PAYEE)),
        "credited_entry": hex(cast.entry.to_bytes()),
        "release": signed(&cast.release.to_vec(), &cast.release.message(&id), &key(PAYEE)),
        "start_close": signed(&cast.start.to_vec(), &cast.start.message(&id), &key(HUB)),
        "state_note": signed(&cast.note.to_vec(), &cast.note.message(&id), &key(HUB)),
        "mandate_signed": hex(cast.mandate.message(&id).as_slice()),
        "final_terms": { "bytes": hex(cast.last.to_vec()), "digest": hex(cast.last.digest().as_bytes()) },
    })
}

fn operations(list: &[tidegate_channel::Operation]) -> Value {
    let mut bytes = Vec::new();
    encode_operations(list, &mut bytes);
    let digest = tidegate_channel::operations_digest(&bytes);
    json!({ "bytes": hex(&bytes), "digest": hex(digest.as_bytes()) })
}

fn states(cast: &Cast) -> Vec<Value> {
    let id = ledger();
    let with_digest = |state: &tidegate_channel::ClientState| {
        let mut value = signed(&state.to_vec(), &state.message(&id), &key(PAYER));
        value["counter"] = json!(state.counter.get());
        value["digest"] = json!(hex(state.digest().as_bytes()));
        value
    };
    cast.states.iter().map(with_digest).collect()
}

fn batch(cast: &Cast) -> Value {
    let header = &cast.header;
    let leaves: Vec<Value> = cast
        .leaves
        .iter()
        .map(|leaf| {
            let (private, public) = (leaf.private.digest(), leaf.public.digest());
            json!({
                "private": hex(leaf.private.to_vec()), "private_digest": hex(private.as_bytes()),
                "public": hex(leaf.public.to_vec()), "public_digest": hex(public.as_bytes()),
                "digest": hex(leaf_digest(&private, &public).as_bytes()),
                "proven_leaf": hex(leaf.to_bytes()),
            })
        })
        .collect();
    json!({
        "header": signed(&header.header.to_vec(), &header.header.message(&ledger()), &key(HUB)),
        "header_digest": hex(header.header.digest().as_bytes()),
        "salt_secret": hex(SALT_SECRET),
        "credit": { "bytes": hex(cast.credit.to_vec()), "entry": hex(cast.credit.entry().as_bytes()) },
        "in_lock": { "bytes": hex(cast.in_lock.to_vec()), "digest": hex(cast.in_lock.digest().as_bytes()) },
        "outcomes": cast.outcomes.iter().map(|o| json!({ "bytes": hex(o.to_vec()), "entry": hex(o.entry().as_bytes()) })).collect::<Vec<_>>(),
        "leaves": leaves,
    })
}

/// Whether these bytes are a key that counts.
#[must_use]
pub fn counts(bytes: [u8; 32]) -> bool {
    PublicKey::register(KeyBytes::from_bytes(bytes)).is_ok()
}
