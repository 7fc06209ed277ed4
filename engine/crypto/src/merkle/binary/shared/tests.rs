//! Shared paths against whole ones, and against everything that is neither.

use proptest::prelude::*;

use super::super::RECEIPTS;
use super::*;

fn leaves(count: u32) -> Vec<Digest> {
    (0..count).map(|i| RECEIPTS.leaf(&i.to_le_bytes())).collect()
}

fn shared_path(tree: &Tree, before: Option<u32>, index: u32) -> Vec<Digest> {
    let mut bytes = Vec::new();
    tree.write_shared_path(before, index, &mut bytes);
    let path: Vec<Digest> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| Digest::from_bytes(*bytes))
        .collect();
    assert_eq!(path.len(), shared_path_len(before, index, tree.count()));
    path
}

/// A checker that has seen `before`.
fn after(tree: &Tree, leaves: &[Digest], before: u32) -> SharedPaths {
    let mut paths = SharedPaths::new(RECEIPTS, tree.count(), tree.root());
    let whole = shared_path(tree, None, before);
    assert!(paths.check(&leaves[before as usize], before, &whole));
    paths
}

/// All trees of up to 33 leaves, all pairs: what is shared proves the leaf, and nothing else does.
#[test]
fn every_pair_of_every_small_tree() {
    for count in 1..=33 {
        let leaves = leaves(count);
        let tree = Tree::build(RECEIPTS, &leaves);
        for before in 0..count {
            let checked = after(&tree, &leaves, before);
            assert!(checked.path().eq(tree.path(before)), "{before} of {count}");
            for index in 0..count {
                let path = shared_path(&tree, Some(before), index);
                let mut paths = checked.clone();
                let good = paths.check_shared(&leaves[index as usize], index, &path);
                assert_eq!(good, index > before, "{before}, {index} of {count}");
                assert_eq!(paths.path().count() > 0, good && count > 1);
                if good {
                    assert!(paths.path().eq(tree.path(index)), "{before}, {index} of {count}");
                }
                let mut other = checked.clone();
                assert!(!other.check_shared(&leaves[before as usize], index, &path));
                assert!(
                    !other.check_shared(&leaves[index as usize], index, &path),
                    "a failure ends the run"
                );
            }
        }
    }
}

#[test]
fn what_is_shared_is_what_the_picture_says() {
    let leaves = leaves(8);
    let tree = Tree::build(RECEIPTS, &leaves);
    let lengths = [(None, 1), (Some(1), 2), (Some(2), 6)].map(|(before, index)| shared_path_len(before, index, 8));
    assert_eq!(lengths, [3, 1, 2]);
    assert_eq!(shared_path(&tree, Some(1), 2), [leaves[3]]);
    assert_eq!(shared_path_len(Some(3), 8, 8), 0, "there is no such leaf");
}

#[test]
fn nothing_is_shared_with_nobody() {
    let leaves = leaves(4);
    let tree = Tree::build(RECEIPTS, &leaves);
    let mut paths = SharedPaths::new(RECEIPTS, 4, tree.root());
    assert!(!paths.check_shared(&leaves[1], 1, &shared_path(&tree, Some(0), 1)));
    assert_eq!(paths.path().count(), 0);
}

proptest! {
    /// Any ascending choice of leaves; then one bit of one path, one path's length, or one leaf is another, and that one fails.
    #[test]
    fn a_run_is_as_good_as_whole_paths(
        count in 1_u32..3_000,
        chosen in proptest::collection::btree_set(0_u32..3_000, 1..40),
        at in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let leaves = leaves(count);
        let tree = Tree::build(RECEIPTS, &leaves);
        let chosen: Vec<u32> = chosen.into_iter().filter(|index| *index < count).collect();
        prop_assume!(!chosen.is_empty());
        let broken = chosen[at.index(chosen.len())];
        let mut paths = SharedPaths::new(RECEIPTS, count, tree.root());
        let mut before = None;
        for index in chosen {
            let leaf = &leaves[index as usize];
            let mut path = shared_path(&tree, before, index);
            if index == broken {
                let mut longer = path.clone();
                longer.push(Digest::ZERO);
                prop_assert!(!check(&mut paths.clone(), before, leaf, index, &longer));
                let other = RECEIPTS.leaf(b"another");
                prop_assert!(!check(&mut paths.clone(), before, &other, index, &path));
                if let Some(element) = path.get_mut(bit % 8) {
                    let good = *element;
                    let mut bytes = *element.as_bytes();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    *element = Digest::from_bytes(bytes);
                    prop_assert!(!check(&mut paths.clone(), before, leaf, index, &path));
                    path[bit % 8] = good;
                    path.pop();
                    prop_assert!(!check(&mut paths.clone(), before, leaf, index, &path));
                    path = shared_path(&tree, before, index);
                }
            }
            prop_assert!(check(&mut paths, before, leaf, index, &path));
            prop_assert!(paths.path().eq(tree.path(index)));
            before = Some(index);
        }
    }
}

fn check(paths: &mut SharedPaths, before: Option<u32>, leaf: &Digest, index: u32, path: &[Digest]) -> bool {
    if before.is_some() {
        paths.check_shared(leaf, index, path)
    } else {
        paths.check(leaf, index, path)
    }
}
