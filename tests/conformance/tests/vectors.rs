//! The test vectors are what the code makes of them, and what stands in them holds.

use std::fs;

use serde_json::Value;
use tidegate_channel::codec::Canonical;
use tidegate_channel::evidence::ProvenLeaf;
use tidegate_channel::{ClientState, Lock, leaf_digest};
use tidegate_crypto::keys::PublicKey;
use tidegate_test_conformance::cast::{Cast, HUB, key, ledger};
use tidegate_test_conformance::vectors::{bad_keys, counts, files};
use tidegate_types::{Fixed, KeyBytes};

fn kept(name: &str) -> String {
    let path = format!("{}/data/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).expect("the vectors are in the repository")
}

/// Layouts are frozen: whoever changes one on purpose writes the files again and says so in the changelog.
#[test]
fn the_files_are_what_the_code_makes() {
    for (name, made) in files() {
        assert_eq!(
            kept(name),
            made,
            "{name}: `write-vectors tests/conformance/data/vectors` writes it again"
        );
    }
}

fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("hex");
    let digit = |c: u8| char::from(c).to_digit(16).expect("hex");
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).expect("two digits");
    text.as_bytes().as_chunks::<2>().0.iter().map(byte).collect()
}

/// A stranger's way through the file: from bytes alone to every name, path and signature.
#[test]
fn the_story_holds_from_its_bytes_alone() {
    let file: Value = serde_json::from_str(&kept("channel.json")).expect("JSON");
    let hub = PublicKey::register(KeyBytes::from_bytes(*key(HUB).public().bytes().as_bytes())).expect("a good key");
    for leaf in file["batch"]["leaves"].as_array().expect("two leaves") {
        let proven = ProvenLeaf::decode(&bytes(&leaf["proven_leaf"])).expect("one encoding");
        proven.check_path().expect("the header holds it");
        proven.check_signature(&ledger(), &hub).expect("the hub signed it");
        assert_eq!(bytes(&leaf["digest"]), proven.digest().as_bytes());
        let parts = [&leaf["private_digest"], &leaf["public_digest"]].map(bytes);
        let parts = parts.map(|part| tidegate_types::Digest::decode(&part).expect("32 bytes"));
        assert_eq!(leaf_digest(&parts[0], &parts[1]), proven.digest());
    }
    for state in file["states"].as_array().expect("three states") {
        let read = ClientState::decode(&bytes(&state["bytes"])).expect("one encoding");
        assert_eq!(bytes(&state["digest"]), read.digest().as_bytes());
    }
}

#[test]
fn each_lock_is_named_by_all_that_it_depends_on() {
    let cast = Cast::new();
    let (lock, name) = cast.locks[0];
    let counter = cast.states[1].counter;
    let slot = |index| tidegate_types::LockSlot::new(index).expect("below 64");
    assert_eq!(lock.id(&cast.payer.2, counter, slot(0)), name);
    let other = Lock {
        fee: lock.fee.add(lock.fee).expect("small"),
        ..lock
    };
    let next = counter.next().expect("small");
    let others = [
        lock.id(&cast.payee.2, counter, slot(0)),
        lock.id(&cast.payer.2, next, slot(0)),
        lock.id(&cast.payer.2, counter, slot(1)),
        other.id(&cast.payer.2, counter, slot(0)),
    ];
    assert!(others.iter().all(|id| *id != name));
}

/// Trace 19: keys with torsion, of small order or in a second encoding count nowhere.
#[test]
fn trace_19_keys_that_do_not_count() {
    for (why, key) in bad_keys() {
        assert!(!counts(key), "{why}");
    }
    assert!(counts(*key(HUB).public().bytes().as_bytes()));
}
