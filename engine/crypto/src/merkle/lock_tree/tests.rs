//! The lock tree against a plainly written one, and paths against everything that is not one.

use proptest::prelude::*;

use super::*;

fn slot(index: usize) -> LockSlot {
    LockSlot::new(u8::try_from(index).expect("below 64")).expect("below 64")
}

fn group(slots: &[Digest; 64], of: LockSlot) -> [Digest; 4] {
    let first = of.index() / 4 * 4;
    [slots[first], slots[first + 1], slots[first + 2], slots[first + 3]]
}

/// The root by its definition: four make one until one is left.
fn slow_root(level: &[Digest]) -> Digest {
    if let [top] = level {
        return *top;
    }
    let above: Vec<Digest> = level
        .chunks(4)
        .map(|four| {
            let bytes: Vec<u8> = four.iter().flat_map(|d| *d.as_bytes()).collect();
            hash(Domain::LockNode, &bytes)
        })
        .collect();
    slow_root(&above)
}

fn any_slots() -> impl Strategy<Value = [Digest; 64]> {
    prop::collection::vec(prop::option::weighted(0.4, any::<[u8; 32]>()), 64)
        .prop_map(|slots| core::array::from_fn(|i| slots[i].map_or(Digest::ZERO, Digest::from_bytes)))
}

#[test]
fn the_empty_tree_is_the_tree_over_zeros() {
    let zeros = [Digest::ZERO; 64];
    assert_eq!(LockTree::empty().root(), slow_root(&zeros));
    assert_eq!(LockTree::empty(), LockTree::over(&zeros));
    assert!(!LockTree::empty().root().is_zero());
    assert_eq!(size_of::<LockTree>(), 672);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn updates_in_any_grouping_give_the_tree_over_the_slots(
        mut slots in any_slots(),
        changes in prop::collection::vec((0_usize..64, any::<[u8; 32]>()), 0..24),
    ) {
        let mut singly = LockTree::over(&slots);
        let mut together = singly;
        prop_assert_eq!(singly.root(), slow_root(&slots));
        for &(index, digest) in &changes {
            slots[index] = Digest::from_bytes(digest);
            singly.update(slot(index), &group(&slots, slot(index)));
            prop_assert_eq!(singly.root(), slow_root(&slots));
        }
        let changes: Vec<_> = changes.iter().map(|&(index, _)| (slot(index), group(&slots, slot(index)))).collect();
        together.update_many(&changes);
        prop_assert_eq!(singly, LockTree::over(&slots));
        prop_assert_eq!(together, singly);
        prop_assert_eq!(LockTree::root_of(&slots), singly.root());
    }

    #[test]
    fn a_path_holds_for_its_slot_and_content_alone(
        slots in any_slots(),
        index in 0_usize..64,
        other in 0_usize..64,
        at in 0_usize..LOCK_PATH_LEN,
        bit in 0_usize..256,
    ) {
        let tree = LockTree::over(&slots);
        let (own, root) = (slot(index), tree.root());
        let path = tree.path(own, &group(&slots, own));
        let holds = |slot: LockSlot, leaf: &Digest, path: &[Digest]| LockTree::verify_path(slot, leaf, path, &root);
        prop_assert!(holds(own, &slots[index], &path));

        if slots[other] != slots[index] {
            prop_assert!(!holds(own, &slots[other], &path), "another slot's content");
        }
        let flip = |digest: &Digest| {
            let mut bytes = *digest.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            Digest::from_bytes(bytes)
        };
        prop_assert!(!holds(own, &flip(&slots[index]), &path));
        let mut bent = path;
        bent[at] = flip(&bent[at]);
        prop_assert!(!holds(own, &slots[index], &bent));
        prop_assert!(!LockTree::verify_path(own, &slots[index], &path, &flip(&root)));
    }

    #[test]
    fn a_path_of_another_length_or_place_is_refused(seed: [u8; 32], index in 0_usize..64, other in 0_usize..64) {
        // All slots differ, so that a place is never confused for a good reason.
        let slots: [Digest; 64] = core::array::from_fn(|i| hash(Domain::LockLeaf, &[&seed[..], &i.to_le_bytes()].concat()));
        let tree = LockTree::over(&slots);
        let (own, root) = (slot(index), tree.root());
        let path = tree.path(own, &group(&slots, own));
        let leaf = &slots[index];
        prop_assert_eq!(LockTree::verify_path(slot(other), leaf, &path, &root), other == index);
        for len in 0..LOCK_PATH_LEN {
            prop_assert!(!LockTree::verify_path(own, leaf, &path[..len], &root), "{} elements", len);
        }
        let longer = [&path[..], &[Digest::ZERO]].concat();
        prop_assert!(!LockTree::verify_path(own, leaf, &longer, &root));
        // A node in a leaf's place, with what is left of the path.
        let node = tree.nodes[index / 4];
        prop_assert!(!LockTree::verify_path(slot(index / 4), &node, &path[3..], &root));
        prop_assert!(!LockTree::verify_path(slot(index / 4), &node, &[&path[3..], &path[..3]].concat(), &root));
    }
}
