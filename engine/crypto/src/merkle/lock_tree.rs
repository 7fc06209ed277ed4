//! The tree over the open locks on one side of a channel: 64 slots, three levels of 4-ary nodes.
//!
//! ```text
//! nodes[20]                              root = hash(LockNode, nodes[16..20])
//! nodes[16..20]        each              hash(LockNode, four nodes below)
//! nodes[0..16]         each              hash(LockNode, four slots of a group)
//! slots 0..64          not kept here     a lock's digest, or zero for an empty slot
//! ```
//!
//! The depth is fixed and every slot has its place, so no count is needed and a node cannot stand for a slot. Slot
//! digests belong to whoever keeps the locks; an update brings the group of four that holds the changed slot.

use std::sync::LazyLock;

use bytemuck::{Pod, Zeroable};
use tidegate_types::{Digest, LockSlot};

use crate::hash::{Domain, hash, hash_many, hash_many_refs};

const GROUPS: usize = LockSlot::COUNT / 4;
const NODES: usize = GROUPS + 4 + 1;
pub(super) const ROOT: usize = NODES - 1;

/// The nodes of a tree of locks, by their place in a [`LockTree`], for [`super::update_lock_trees`].
pub trait LockNodes {
    /// The four nodes below `node`, which is not one of the lowest level.
    fn children(&self, node: usize) -> &[Digest; 4];
    /// Writes a node.
    fn set(&mut self, node: usize, digest: Digest);
}

/// How many digests a slot's path has: three siblings on each of three levels.
pub const LOCK_PATH_LEN: usize = 9;

/// The nodes of a lock tree, 672 bytes, without padding.
///
/// ```
/// use tidegate_crypto::hash::{Domain, hash};
/// use tidegate_crypto::merkle::LockTree;
/// use tidegate_types::{Digest, LockSlot};
/// let lock = hash(Domain::LockLeaf, b"a lock's content");
/// let slot = LockSlot::new(6).expect("6 is below 64");
/// let group = [Digest::ZERO, Digest::ZERO, lock, Digest::ZERO];
/// let mut tree = LockTree::empty();
/// tree.update(slot, &group);
/// assert!(LockTree::verify_path(slot, &lock, &tree.path(slot, &group), &tree.root()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct LockTree {
    nodes: [Digest; NODES],
}

static EMPTY: LazyLock<LockTree> = LazyLock::new(|| LockTree::over(&[Digest::ZERO; LockSlot::COUNT]));

impl LockTree {
    /// The tree of 64 empty slots.
    #[must_use]
    pub fn empty() -> Self {
        *EMPTY
    }

    /// The root of [`LockTree::empty`], without the tree.
    #[must_use]
    pub fn empty_root() -> Digest {
        EMPTY.root()
    }

    /// The tree over all slots.
    #[must_use]
    pub fn over(slots: &[Digest; LockSlot::COUNT]) -> Self {
        let mut nodes = [Digest::ZERO; NODES];
        let (groups, upper) = nodes.split_at_mut(GROUPS);
        hash_many::<128>(Domain::LockNode, bytemuck::cast_slice(slots), groups);
        hash_many::<128>(Domain::LockNode, bytemuck::cast_slice(groups), &mut upper[..4]);
        let mut tree = Self { nodes };
        tree.rehash(&[ROOT]);
        tree
    }

    /// The root over all slots, without a tree.
    #[must_use]
    pub fn root_of(slots: &[Digest; LockSlot::COUNT]) -> Digest {
        Self::over(slots).root()
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.nodes[ROOT]
    }

    /// Takes over one changed slot. `group` is the four slots of its group as they are now, the first being that whose
    /// index is the next lower multiple of four.
    pub fn update(&mut self, slot: LockSlot, group: &[Digest; 4]) {
        let node = slot.index() / 4;
        self.nodes[node] = hash(Domain::LockNode, bytemuck::bytes_of(group));
        self.rehash(&[parent(node)]);
        self.rehash(&[ROOT]);
    }

    /// Takes over several changed slots; nodes that they share are hashed once, and those of a level together. Each slot
    /// comes with its group as it is after *all* changes. Many trees at a time: [`super::update_lock_trees`].
    pub fn update_many(&mut self, changes: &[(LockSlot, [Digest; 4])]) {
        let mut groups: [Option<&[u8; 128]>; GROUPS] = [None; GROUPS];
        for (slot, group) in changes {
            groups[slot.index() / 4] = Some(bytemuck::cast_ref(group));
        }
        let (mut dirty, mut refs, mut count) = ([0; GROUPS], [&[0; 128]; GROUPS], 0);
        for (node, group) in groups.iter().enumerate() {
            if let Some(group) = group {
                (dirty[count], refs[count]) = (node, group);
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let mut out = [Digest::ZERO; GROUPS];
        hash_many_refs(Domain::LockNode, &refs[..count], &mut out[..count]);
        dirty[..count]
            .iter()
            .zip(out)
            .for_each(|(&node, digest)| self.nodes[node] = digest);
        // The dirty groups are in order, so parents that are equal stand side by side.
        let (mut upper, mut uppers) = ([0; 4], 0);
        for node in dirty[..count].iter().map(|&node| parent(node)) {
            if uppers == 0 || upper[uppers - 1] != node {
                upper[uppers] = node;
                uppers += 1;
            }
        }
        self.rehash(&upper[..uppers]);
        self.rehash(&[ROOT]);
    }

    /// The path of `slot`, whose group is `group`: on each level the three siblings in order, from the slot up.
    #[must_use]
    pub fn path(&self, slot: LockSlot, group: &[Digest; 4]) -> [Digest; LOCK_PATH_LEN] {
        let (node, upper) = (slot.index() / 4, parent(slot.index() / 4));
        let mut path = [Digest::ZERO; LOCK_PATH_LEN];
        let families = [
            (group, slot.index() % 4),
            (self.children(upper), node % 4),
            (self.children(ROOT), upper % 4),
        ];
        for (out, (family, own)) in path.as_chunks_mut::<3>().0.iter_mut().zip(families) {
            let others = family.iter().enumerate().filter(|&(i, _)| i != own);
            out.iter_mut()
                .zip(others)
                .for_each(|(out, (_, sibling))| *out = *sibling);
        }
        path
    }

    /// True iff `slot` holds `leaf` in the tree of `root`. Safe on any input; a path of another length is refused.
    #[must_use]
    pub fn verify_path(slot: LockSlot, leaf: &Digest, path: &[Digest], root: &Digest) -> bool {
        let Ok(path) = <&[Digest; LOCK_PATH_LEN]>::try_from(path) else {
            return false;
        };
        let mut own = slot.index();
        let mut node = *leaf;
        for [a, b, c] in path.as_chunks::<3>().0 {
            let children = match own % 4 {
                0 => [node, *a, *b, *c],
                1 => [*a, node, *b, *c],
                2 => [*a, *b, node, *c],
                _ => [*a, *b, *c, node],
            };
            node = hash(Domain::LockNode, bytemuck::bytes_of(&children));
            own /= 4;
        }
        node == *root
    }

    /// Hashes anew up to four nodes of one level above the lowest.
    fn rehash(&mut self, nodes: &[usize]) {
        let (mut refs, mut out) = ([&[0; 128]; 4], [Digest::ZERO; 4]);
        let count = nodes.len();
        for (r, &node) in refs.iter_mut().zip(nodes) {
            *r = bytemuck::cast_ref(self.children(node));
        }
        hash_many_refs(Domain::LockNode, &refs[..count], &mut out[..count]);
        nodes.iter().zip(out).for_each(|(&node, digest)| self.set(node, digest));
    }
}

impl LockNodes for LockTree {
    fn children(&self, node: usize) -> &[Digest; 4] {
        &self.nodes.as_chunks::<4>().0[node - GROUPS]
    }

    fn set(&mut self, node: usize, digest: Digest) {
        self.nodes[node] = digest;
    }
}

/// The node above `node`, which is not the root.
pub(super) const fn parent(node: usize) -> usize {
    GROUPS + node / 4
}

#[cfg(test)]
mod tests;
