//! The binary tree against the recursive definition of RFC 6962, and paths against everything that is not one.

use proptest::prelude::*;

use super::*;

const KINDS: [TreeKind; 5] = [RECEIPTS, LIST, OUTCOMES, TRANSACTIONS, UTXO];

/// RFC 6962, 2.1: the left part is the largest power of two below the count. Another shape of words, the same tree.
fn slow_top(kind: TreeKind, leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::ZERO,
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            let mut bytes = slow_top(kind, left).as_bytes().to_vec();
            bytes.extend(slow_top(kind, right).as_bytes());
            hash(kind.node, &bytes)
        }
    }
}

fn slow_root(kind: TreeKind, leaves: &[Digest]) -> Digest {
    let count = u32::try_from(leaves.len()).expect("a short list");
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.extend([0; 28]);
    bytes.extend(slow_top(kind, leaves).as_bytes());
    hash(kind.root, &bytes)
}

/// RFC 6962, 2.1.1: the audit path.
fn slow_path(kind: TreeKind, leaves: &[Digest], index: usize) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut path, beside) = if index < split {
        (slow_path(kind, left, index), slow_top(kind, right))
    } else {
        (slow_path(kind, right, index - split), slow_top(kind, left))
    };
    path.push(beside);
    path
}

fn leaves_of(kind: TreeKind, seed: [u8; 32], count: u32) -> Vec<Digest> {
    (0..count)
        .map(|i| kind.leaf(&[&seed[..], &i.to_le_bytes()].concat()))
        .collect()
}

/// All paths of a tree, each with its leaf's index.
fn paths(tree: &Tree) -> Vec<(u32, Vec<Digest>)> {
    (0..tree.count())
        .map(|index| (index, tree.path(index).collect()))
        .collect()
}

#[test]
fn every_small_tree_is_that_of_the_definition() {
    let mut tree = Tree::build(RECEIPTS, &[]);
    for kind in KINDS {
        for count in 0..=66 {
            let leaves = leaves_of(kind, [3; 32], count);
            let expected = slow_root(kind, &leaves);
            assert_eq!(root(kind, &leaves), expected, "{kind:?}, {count} leaves");
            let built = Tree::build(kind, &leaves);
            assert_eq!(built.root(), expected, "{kind:?}, {count} leaves");
            for (index, path) in paths(&built) {
                assert_eq!(
                    path,
                    slow_path(kind, &leaves, index as usize),
                    "leaf {index} of {count}"
                );
                assert_eq!(path.len(), path_len(index, count));
                assert!(verify_path(
                    kind,
                    &leaves[index as usize],
                    index,
                    count,
                    &path,
                    &expected
                ));
                let mut bytes = vec![9];
                built.write_path(index, &mut bytes);
                assert_eq!(bytes[0], 9, "what stood there stays");
                assert_eq!(&bytes[1..], bytemuck::cast_slice::<Digest, u8>(&path));
            }
            if kind == RECEIPTS {
                tree.rebuild(&leaves);
                assert_eq!(tree.root(), expected, "rebuilt with {count} leaves");
            }
        }
    }
}

#[test]
fn rebuilding_allocates_nothing_once_it_held_as_many() {
    let leaves = leaves_of(RECEIPTS, [1; 32], 1000);
    let mut tree = Tree::build(RECEIPTS, &leaves);
    let (at, capacity) = (tree.nodes.as_ptr(), tree.nodes.capacity());
    for count in [1000, 999, 1, 0, 513, 1000] {
        tree.rebuild(&leaves[..count]);
        assert_eq!((tree.nodes.as_ptr(), tree.nodes.capacity()), (at, capacity));
    }
}

#[test]
fn the_same_leaves_have_another_root_in_each_kind() {
    let leaves = leaves_of(LIST, [2; 32], 5);
    let roots: std::collections::BTreeSet<_> = KINDS.iter().map(|&kind| root(kind, &leaves)).collect();
    assert_eq!(roots.len(), KINDS.len());
    let empty: std::collections::BTreeSet<_> = KINDS.iter().map(|&kind| root(kind, &[])).collect();
    assert_eq!(empty.len(), KINDS.len());
}

#[test]
fn an_odd_node_is_promoted_not_doubled() {
    // The tree that doubles odd nodes gives these two lists one top; the promoted one does not, even without the count.
    let leaves = leaves_of(RECEIPTS, [4; 32], 3);
    let doubled = [&leaves[..], &leaves[2..]].concat();
    assert_ne!(
        fold(RECEIPTS, &mut leaves.clone()),
        fold(RECEIPTS, &mut doubled.clone())
    );
    assert_ne!(root(RECEIPTS, &leaves), root(RECEIPTS, &doubled));
}

#[test]
fn a_zero_leaf_is_not_an_empty_list() {
    assert_ne!(root(LIST, &[Digest::ZERO]), root(LIST, &[]));
}

/// Every node of every small tree, offered as a leaf at every place of every small count, with every tail of its path.
#[test]
fn no_node_passes_for_a_leaf() {
    for count in 2..=9_u32 {
        let leaves = leaves_of(RECEIPTS, [5; 32], count);
        let tree = Tree::build(RECEIPTS, &leaves);
        let inner = &tree.nodes[leaves.len()..];
        for node in inner.iter().filter(|node| !leaves.contains(node)) {
            for (_, path) in paths(&tree) {
                for tail in (0..=path.len()).map(|cut| &path[cut..]) {
                    for claimed in 1..=12 {
                        for index in 0..claimed {
                            assert!(!verify_path(RECEIPTS, node, index, claimed, tail, &tree.root()));
                        }
                    }
                }
            }
        }
    }
}

/// Every leaf with its own path, under every other index and count.
#[test]
fn a_path_holds_for_one_index_and_one_count() {
    for count in 1..=17_u32 {
        let leaves = leaves_of(RECEIPTS, [6; 32], count);
        let tree = Tree::build(RECEIPTS, &leaves);
        for (index, path) in paths(&tree) {
            let leaf = &leaves[index as usize];
            for claimed in 0..40 {
                for place in 0..40 {
                    let holds = verify_path(RECEIPTS, leaf, place, claimed, &path, &tree.root());
                    assert_eq!(
                        holds,
                        (place, claimed) == (index, count),
                        "{index} of {count} as {place} of {claimed}"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_large_tree_is_that_of_the_definition(seed: [u8; 32], count in 1_u32..3000, pick: prop::sample::Index) {
        let leaves = leaves_of(RECEIPTS, seed, count);
        let tree = Tree::build(RECEIPTS, &leaves);
        prop_assert_eq!(tree.root(), slow_root(RECEIPTS, &leaves));
        prop_assert_eq!(root(RECEIPTS, &leaves), tree.root());
        let index = pick.index(leaves.len());
        let at = u32::try_from(index).expect("below count");
        let path: Vec<_> = tree.path(at).collect();
        prop_assert_eq!(&path, &slow_path(RECEIPTS, &leaves, index));
        prop_assert!(verify_path(RECEIPTS, &leaves[index], at, count, &path, &tree.root()));
    }

    #[test]
    fn a_path_that_is_bent_anywhere_is_refused(
        seed: [u8; 32],
        count in 2_u32..200,
        pick: prop::sample::Index,
        element: prop::sample::Index,
        bit in 0_usize..256,
    ) {
        let leaves = leaves_of(RECEIPTS, seed, count);
        let tree = Tree::build(RECEIPTS, &leaves);
        let index = pick.index(leaves.len());
        let at = u32::try_from(index).expect("below count");
        let path: Vec<_> = tree.path(at).collect();
        let holds = |leaf: &Digest, path: &[Digest], root: &Digest| verify_path(RECEIPTS, leaf, at, count, path, root);
        let flip = |digest: &Digest| {
            let mut bytes = *digest.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            Digest::from_bytes(bytes)
        };
        let (leaf, top) = (&leaves[index], &tree.root());
        prop_assert!(holds(leaf, &path, top));
        prop_assert!(!holds(&flip(leaf), &path, top));
        prop_assert!(!holds(leaf, &path, &flip(top)));
        let element = element.index(path.len());
        let mut bent = path.clone();
        bent[element] = flip(&bent[element]);
        prop_assert!(!holds(leaf, &bent, top), "an element changed");
        let mut shorter = path.clone();
        shorter.remove(element);
        prop_assert!(!holds(leaf, &shorter, top), "an element left out");
        let mut longer = path.clone();
        longer.insert(element, path[element]);
        prop_assert!(!holds(leaf, &longer, top), "an element twice");
        longer = [&path[..], &[Digest::ZERO]].concat();
        prop_assert!(!holds(leaf, &longer, top), "an element more");
        if path.len() > 1 {
            let mut swapped = path.clone();
            swapped.swap(element, (element + 1) % path.len());
            prop_assert!(!holds(leaf, &swapped, top), "two elements swapped");
        }
        for other in KINDS.into_iter().filter(|&kind| kind != RECEIPTS) {
            prop_assert!(!verify_path(other, leaf, at, count, &path, top), "as another kind of list");
        }
    }

    #[test]
    fn leaves_in_another_order_have_another_root(seed: [u8; 32], count in 2_u32..100, a: prop::sample::Index, b: prop::sample::Index) {
        let leaves = leaves_of(RECEIPTS, seed, count);
        let (a, b) = (a.index(leaves.len()), b.index(leaves.len()));
        let mut swapped = leaves.clone();
        swapped.swap(a, b);
        prop_assert_eq!(root(RECEIPTS, &swapped) == root(RECEIPTS, &leaves), a == b);
    }

    #[test]
    fn anything_may_be_asked_of_a_path(
        leaf: [u8; 32],
        index: u32,
        count: u32,
        path in prop::collection::vec(any::<[u8; 32]>(), 0..40),
        root: [u8; 32],
    ) {
        let path: Vec<_> = path.into_iter().map(Digest::from_bytes).collect();
        prop_assert!(path_len(index, count) <= 32);
        let (leaf, root) = (Digest::from_bytes(leaf), Digest::from_bytes(root));
        prop_assert!(!verify_path(RECEIPTS, &leaf, index, count, &path, &root));
    }
}
