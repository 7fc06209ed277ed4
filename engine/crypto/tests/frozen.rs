//! Digests that may never change: what is signed, stored and proved today must be checkable by every later build.
//!
//! Domains and kinds are only ever added, at the end. A failure here is a change of the protocol, not of a test.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::merkle::{self, LockTree, RECEIPTS, StateTree};
use tidegate_crypto::signed::{SignedKind, signed_message};
use tidegate_types::{Digest, LedgerId};

/// How many domains there were when [`frozen`] was last extended.
const DOMAINS: usize = 37;

fn leaves(count: u8) -> Vec<Digest> {
    (0..count).map(|i| RECEIPTS.leaf(&[i; 64])).collect()
}

fn all_domains() -> Digest {
    let digests: Vec<u8> = Domain::ALL[..DOMAINS]
        .iter()
        .flat_map(|&domain| *hash(domain, b"tidegate").as_bytes())
        .collect();
    hash(Domain::Genesis, &digests)
}

fn frozen() -> [(&'static str, Digest); 6] {
    let message = signed_message(&LedgerId::from_bytes([7; 32]), SignedKind::Header, b"body");
    [
        ("domains", all_domains()),
        ("root of no receipts", merkle::root(RECEIPTS, &[])),
        ("root of 11 receipts", merkle::root(RECEIPTS, &leaves(11))),
        ("root of no locks", LockTree::empty().root()),
        ("root of 21 slots", StateTree::build(leaves(21)).root()),
        ("signed message", hash(Domain::Genesis, message.as_slice())),
    ]
}

#[test]
fn nothing_that_is_signed_or_stored_has_changed() {
    let expected = [
        "0a9c82d62eabe2ee59fc20b73076c6a425420d4e2698f1869ac0fc694ea11ebb",
        "a13c4662cfacbe5b38f9c9b8a6078da212d3ef0f78028858397e7bca02b0a042",
        "c765d90a6408aa6d41d1463881648ce3ed3e3b3c3c0849b57284bc5bc216af01",
        "a579f2163ffa0cf4de614d967c9aa84321c816eec3d928d02db1f93ad534929d",
        "77e917f8c669d55f0123a0aa11e18a0eb97c8670931152948545ae928b4c45ba",
        "da9f1c0642db17bbb1d2c6695ae60aae6ca411c83d07b22223ac9168f1bf3c3c",
    ];
    for ((name, digest), expected) in frozen().into_iter().zip(expected) {
        assert_eq!(digest.to_string(), expected, "{name}");
    }
}
