//! Updates of many lock trees at a time, level by level across channels.
//!
//! A tree updated alone waits for three hashes one behind the other. In a batch of thousands of channels the nodes of one
//! level do not depend on each other, so they fill all lanes.

use tidegate_types::{Digest, LockSlot};

use super::LANES;
use super::lock_tree::{LockNodes, ROOT, parent};
use crate::hash::{Domain, hash_many_refs};

/// Lock trees by number, wherever they are kept.
pub trait LockTrees {
    /// Whole trees, or such as have locks in their first slots alone.
    type Tree: LockNodes;
    /// The tree of number `index`.
    fn tree(&self, index: u32) -> &Self::Tree;
    /// The tree of number `index`, to be written.
    fn tree_mut(&mut self, index: u32) -> &mut Self::Tree;
}

impl<T: LockNodes> LockTrees for [T] {
    type Tree = T;

    fn tree(&self, index: u32) -> &T {
        &self[index as usize]
    }

    fn tree_mut(&mut self, index: u32) -> &mut T {
        &mut self[index as usize]
    }
}

/// One changed slot of one tree.
#[derive(Clone, Copy, Debug)]
pub struct LockChange {
    /// The tree's number.
    pub tree: u32,
    /// The slot.
    pub slot: LockSlot,
    /// The four slots of its group as they are after all changes.
    pub group: [Digest; 4],
}

/// Memory that [`update_lock_trees`] uses again and again.
#[derive(Debug, Default)]
pub struct LockScratch {
    level: Vec<(u32, usize)>,
    above: Vec<(u32, usize)>,
}

/// Takes over all `changes` into `trees`. The changes of one tree should stand side by side: nodes that they share are
/// then hashed once. Allocates only if `scratch` never held as many.
///
/// ```
/// use tidegate_crypto::merkle::{LockChange, LockScratch, LockTree, update_lock_trees};
/// use tidegate_types::{Digest, LockSlot};
/// let slot = LockSlot::new(5).expect("5 is below 64");
/// let group = [Digest::ZERO, Digest::from_bytes([1; 32]), Digest::ZERO, Digest::ZERO];
/// let mut trees = [LockTree::empty(), LockTree::empty()];
/// update_lock_trees(&mut trees[..], &[LockChange { tree: 1, slot, group }], &mut LockScratch::default());
/// let mut alone = LockTree::empty();
/// alone.update(slot, &group);
/// assert_eq!(trees, [LockTree::empty(), alone]);
/// ```
pub fn update_lock_trees<T: LockTrees + ?Sized>(trees: &mut T, changes: &[LockChange], scratch: &mut LockScratch) {
    let LockScratch { level, above } = scratch;
    hash_groups(trees, changes);
    level.clear();
    changes
        .iter()
        .for_each(|c| push_once(level, c.tree, parent(c.slot.index() / 4)));
    rehash(trees, level);
    above.clear();
    level.iter().for_each(|&(tree, _)| push_once(above, tree, ROOT));
    rehash(trees, above);
}

/// Appends a node unless it stands among the last entries, those of the same tree; a level has at most four.
fn push_once(level: &mut Vec<(u32, usize)>, tree: u32, node: usize) {
    let mut own = level.iter().rev().take_while(|entry| entry.0 == tree);
    if !own.any(|entry| entry.1 == node) {
        level.push((tree, node));
    }
}

fn hash_groups<T: LockTrees + ?Sized>(trees: &mut T, changes: &[LockChange]) {
    for changes in changes.chunks(LANES) {
        let mut refs = [&[0; 128]; LANES];
        for (r, change) in refs.iter_mut().zip(changes) {
            *r = bytemuck::cast_ref(&change.group);
        }
        let mut out = [Digest::ZERO; LANES];
        hash_many_refs(Domain::LockNode, &refs[..changes.len()], &mut out[..changes.len()]);
        for (change, digest) in changes.iter().zip(out) {
            trees.tree_mut(change.tree).set(change.slot.index() / 4, digest);
        }
    }
}

fn rehash<T: LockTrees + ?Sized>(trees: &mut T, nodes: &[(u32, usize)]) {
    for nodes in nodes.chunks(LANES) {
        let mut refs = [&[0; 128]; LANES];
        for (r, &(tree, node)) in refs.iter_mut().zip(nodes) {
            *r = bytemuck::cast_ref(trees.tree(tree).children(node));
        }
        let mut out = [Digest::ZERO; LANES];
        hash_many_refs(Domain::LockNode, &refs[..nodes.len()], &mut out[..nodes.len()]);
        for (&(tree, node), digest) in nodes.iter().zip(out) {
            trees.tree_mut(tree).set(node, digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::LockTree;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Changes come in any order and may touch one group twice; each tree is to end as if built from its slots.
        #[test]
        fn a_batch_of_updates_gives_the_trees_over_the_slots(
            touched in prop::collection::vec((0_u32..7, 0_u8..64, any::<[u8; 32]>()), 0..80),
            sorted: bool,
        ) {
            let mut slots = [[Digest::ZERO; LockSlot::COUNT]; 7];
            for &(tree, slot, digest) in &touched {
                slots[tree as usize][slot as usize] = Digest::from_bytes(digest);
            }
            let mut changes: Vec<_> = touched
                .iter()
                .map(|&(tree, slot, _)| LockChange {
                    tree,
                    slot: LockSlot::new(slot).expect("the strategy stays below 64"),
                    group: slots[tree as usize].as_chunks::<4>().0[slot as usize / 4],
                })
                .collect();
            if sorted {
                changes.sort_by_key(|c| (c.tree, c.slot));
            }
            let mut trees = [LockTree::empty(); 7];
            update_lock_trees(&mut trees[..], &changes, &mut LockScratch::default());
            for (tree, slots) in trees.iter().zip(&slots) {
                prop_assert_eq!(tree, &LockTree::over(slots));
            }
        }
    }

    #[test]
    fn scratch_memory_carries_nothing_over() {
        let slot = LockSlot::new(9).expect("9 is below 64");
        let group = [Digest::from_bytes([3; 32]); 4];
        let changes = [0, 1].map(|tree| LockChange { tree, slot, group });
        let mut scratch = LockScratch::default();
        update_lock_trees(&mut [LockTree::empty(); 2][..], &changes, &mut scratch);
        // What the first call left behind names a tree that is not there now.
        let mut tree = [LockTree::empty()];
        update_lock_trees(&mut tree[..], &changes[..1], &mut scratch);
        let mut alone = LockTree::empty();
        alone.update(slot, &group);
        assert_eq!(tree, [alone]);
    }
}
