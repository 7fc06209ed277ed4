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

/// Builds on 1, 2 and 4 threads; sizes around the one at which other threads are woken.
#[test]
fn the_root_does_not_depend_on_the_number_of_threads() {
    for count in [PER_THREAD, PER_THREAD + 1, 4 * PER_THREAD + 3, 9 * PER_THREAD + 17] {
        let leaves = leaves_of(7, u32::try_from(count).expect("a small state"));
        let expected = slow_root(&leaves);
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            let [all, filled, updated] = pool.install(|| {
                let fill = |first: u32, out: &mut [Digest]| {
                    out.copy_from_slice(&leaves[first as usize..][..out.len()]);
                };
                let mut tree = StateTree::build(leaves_of(8, 5));
                let slots: Vec<u32> = (0..).take(leaves.len()).collect();
                tree.update(&slots, &leaves);
                let filled = StateTree::build_with(u32::try_from(count).expect("small"), fill);
                [state_root(&leaves), filled.root(), tree.root()]
            });
            assert_eq!(
                [all, filled, updated],
                [expected; 3],
                "{count} slots on {threads} threads"
            );
        }
    }
}

#[test]
fn growth_takes_little_more_memory_than_the_nodes() {
    let mut tree = StateTree::default();
    for first in (0..200_000_u32).step_by(1000) {
        let slots: Vec<u32> = (first..first + 1000).collect();
        tree.update(&slots, &vec![Digest::from_bytes([1; 32]); 1000]);
    }
    assert!(tree.heap_bytes() < 200_000 * 32 * 3 / 2, "{} bytes", tree.heap_bytes());
}

mod paths {
    use super::*;

    fn check(leaves: &[Digest], slot: u32, path: &[Digest], root: &Digest) -> Result<(), StatePathError> {
        verify_state_path(&leaves[slot as usize], slot, count_of(leaves), path, root)
    }

    #[test]
    fn every_slot_of_every_small_state_has_a_path_that_holds() {
        for count in 1..=90 {
            let leaves = leaves_of(9, count);
            let tree = StateTree::build(leaves.clone());
            for slot in 0..count {
                let path: Vec<_> = tree.path(slot).collect();
                assert_eq!(path.len(), state_path_len(count), "{count} slots");
                assert_eq!(
                    check(&leaves, slot, &path, &tree.root()),
                    Ok(()),
                    "slot {slot} of {count}"
                );
                assert_eq!(tree.leaf(slot), Some(leaves[slot as usize]));
            }
            assert_eq!(tree.leaf(count), None);
        }
    }

    /// Whatever is bent, the proof fails: leaf, slot, count, any digest of the path, its length, the root.
    #[test]
    fn a_bent_proof_fails() {
        for (count, slot) in [(1, 0), (4, 3), (5, 4), (64, 17), (65, 64), (341, 300)] {
            let leaves = leaves_of(10, count);
            let tree = StateTree::build(leaves.clone());
            let (leaf, root) = (leaves[slot as usize], tree.root());
            let path: Vec<_> = tree.path(slot).collect();
            let fails = |leaf, slot, count, path: &[Digest], root| {
                assert!(verify_state_path(&leaf, slot, count, path, &root).is_err());
            };
            assert_eq!(verify_state_path(&leaf, slot, count, &path, &root), Ok(()));
            for bit in 0..256 {
                fails(flipped(leaf, bit), slot, count, &path, root);
                fails(leaf, slot, count, &path, flipped(root, bit));
                for place in 0..path.len() {
                    let mut bent = path.clone();
                    bent[place] = flipped(bent[place], bit);
                    fails(leaf, slot, count, &bent, root);
                }
            }
            for other in (0..2 * count).filter(|&other| other != slot) {
                fails(leaf, other, count, &path, root);
            }
            for other in (1..4 * count).filter(|&other| other != count) {
                fails(leaf, slot, other, &path, root);
            }
            fails(leaf, slot, count, &[&path[..], &[Digest::ZERO; 3]].concat(), root);
            fails(leaf, slot, count, &path[..path.len().saturating_sub(1)], Digest::ZERO);
            (1..path.len()).for_each(|shorter| fails(leaf, slot, count, &path[..shorter], root));
        }
    }

    /// A node is no slot: the path above it is one level short, and with the count that would fit the root is another.
    #[test]
    fn an_inner_node_does_not_pass_for_a_slot() {
        let leaves = leaves_of(11, 64);
        let tree = StateTree::build(leaves.clone());
        let (node, path) = (level_above(&leaves)[5], tree.path(20).skip(3).collect::<Vec<_>>());
        assert!(verify_state_path(&node, 5, 64, &path, &tree.root()).is_err());
        assert_eq!(
            verify_state_path(&node, 5, 16, &path, &tree.root()),
            Err(StatePathError::OtherRoot)
        );
    }

    fn flipped(digest: Digest, bit: usize) -> Digest {
        let mut bytes = *digest.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Digest::from_bytes(bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn paths_hold_after_updates(
            count in 1_u32..3000,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 32]>()), 1..40),
            pick: prop::sample::Index,
        ) {
            let mut leaves = leaves_of(12, count);
            let mut tree = StateTree::build(leaves.clone());
            let slots: Vec<u32> =
                changes.iter().map(|(at, _)| u32::try_from(at.index(count as usize)).expect("below count")).collect();
            let digests: Vec<_> = changes.iter().map(|(_, bytes)| Digest::from_bytes(*bytes)).collect();
            slots.iter().zip(&digests).for_each(|(&slot, &digest)| leaves[slot as usize] = digest);
            tree.update(&slots, &digests);
            let slot = u32::try_from(pick.index(count as usize)).expect("below count");
            prop_assert_eq!(check(&leaves, slot, &tree.path(slot).collect::<Vec<_>>(), &tree.root()), Ok(()));
        }
    }
}
