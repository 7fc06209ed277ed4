//! The state tree against its definition.

use proptest::prelude::*;

use super::*;
use crate::hash::hash;

fn slow_root(leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(4)
            .map(|children| {
                let mut bytes: Vec<u8> = children.iter().flat_map(|d| *d.as_bytes()).collect();
                bytes.resize(128, 0);
                hash(Domain::StateNode, &bytes)
            })
            .collect();
    }
    let mut bytes = u32::try_from(leaves.len())
        .expect("a short list")
        .to_le_bytes()
        .to_vec();
    bytes.extend([0; 28]);
    bytes.extend(level.first().unwrap_or(&Digest::ZERO).as_bytes());
    hash(Domain::StateRoot, &bytes)
}

fn leaves_of(seed: u8, count: u32) -> Vec<Digest> {
    (0..count)
        .map(|i| hash(Domain::StateLeaf, &[&[seed][..], &i.to_le_bytes()].concat()))
        .collect()
}

#[test]
fn every_small_state_has_the_root_of_the_definition() {
    for count in 0..=90 {
        let leaves = leaves_of(1, count);
        assert_eq!(state_root(&leaves), slow_root(&leaves), "{count} slots");
    }
}

#[test]
fn an_absent_slot_is_not_a_zero_slot() {
    for count in 0..70 {
        let leaves = leaves_of(2, count);
        let mut padded = leaves.clone();
        padded.push(Digest::ZERO);
        assert_ne!(state_root(&leaves), state_root(&padded), "{count} slots");
    }
}

#[test]
fn a_level_does_not_pass_for_the_state() {
    let leaves = leaves_of(3, 64);
    let mut level = leaves.clone();
    while level.len() > 1 {
        level = level_above(&level);
        assert_ne!(state_root(&level), state_root(&leaves));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_large_state_has_the_root_of_the_definition(seed: u8, count in 0_u32..6000) {
        let leaves = leaves_of(seed, count);
        prop_assert_eq!(state_root(&leaves), slow_root(&leaves));
    }

    #[test]
    fn any_change_of_a_slot_changes_the_root(count in 1_u32..300, pick: prop::sample::Index, bit in 0_usize..256) {
        let leaves = leaves_of(4, count);
        let mut changed = leaves.clone();
        let slot = pick.index(leaves.len());
        let mut bytes = *changed[slot].as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        changed[slot] = Digest::from_bytes(bytes);
        prop_assert_ne!(state_root(&changed), state_root(&leaves));
    }
}

/// Rounds of updates, growing and not, in order and not, each against the root of all slots.
#[test]
fn a_tree_that_grows_slot_by_slot_has_the_root_of_each_count() {
    let leaves = leaves_of(5, 90);
    let mut tree = StateTree::default();
    assert_eq!(tree.root(), state_root(&[]));
    for (slot, leaf) in leaves.iter().enumerate() {
        let slot = u32::try_from(slot).expect("below 90");
        tree.update(&[slot], core::slice::from_ref(leaf));
        assert_eq!(tree.count(), slot + 1);
        assert_eq!(tree.root(), state_root(&leaves[..=slot as usize]), "{} slots", slot + 1);
        assert_eq!(StateTree::build(leaves[..=slot as usize].to_vec()).root(), tree.root());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn updates_give_the_root_of_all_slots(
        start in 0_u32..300,
        rounds in prop::collection::vec(
            (1_u32..700, prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 32]>()), 0..60)),
            1..6,
        ),
    ) {
        let mut leaves = leaves_of(6, start);
        let mut tree = StateTree::build(leaves.clone());
        for (reach, changes) in rounds {
            let slots: Vec<u32> =
                changes.iter().map(|(at, _)| u32::try_from(at.index(reach as usize)).expect("below reach")).collect();
            let digests: Vec<_> = changes.iter().map(|(_, bytes)| Digest::from_bytes(*bytes)).collect();
            for (&slot, &digest) in slots.iter().zip(&digests) {
                leaves.resize(leaves.len().max(slot as usize + 1), Digest::ZERO);
                leaves[slot as usize] = digest;
            }
            tree.update(&slots, &digests);
            prop_assert_eq!(tree.count() as usize, leaves.len());
            prop_assert_eq!(tree.root(), slow_root(&leaves));
        }
    }
}
