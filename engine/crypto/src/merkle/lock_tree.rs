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

use crate::hash::{Domain, hash};

const GROUPS: usize = LockSlot::COUNT / 4;
const NODES: usize = GROUPS + 4 + 1;
const ROOT: usize = NODES - 1;

/// How many digests a slot's path has: three siblings on each of three levels.
pub const LOCK_PATH_LEN: usize = 9;

/// The nodes of a lock tree, 672 bytes, without padding.
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

    /// The tree over all slots.
    #[must_use]
    pub fn over(slots: &[Digest; LockSlot::COUNT]) -> Self {
        let mut nodes = [Digest::ZERO; NODES];
        for (node, group) in nodes.iter_mut().zip(slots.as_chunks::<4>().0) {
            *node = node_over(group);
        }
        let mut tree = Self { nodes };
        (GROUPS..NODES).for_each(|node| tree.rehash(node));
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
        self.nodes[node] = node_over(group);
        self.rehash(parent(node));
        self.rehash(ROOT);
    }

    /// Takes over several changed slots; nodes that they share are hashed once. Each slot comes with its group as it is
    /// after *all* changes.
    pub fn update_many(&mut self, changes: &[(LockSlot, [Digest; 4])]) {
        let mut dirty = [false; NODES];
        for (slot, group) in changes {
            let node = slot.index() / 4;
            if !dirty[node] {
                self.nodes[node] = node_over(group);
                (dirty[node], dirty[parent(node)], dirty[ROOT]) = (true, true, true);
            }
        }
        (GROUPS..NODES)
            .filter(|&node| dirty[node])
            .for_each(|node| self.rehash(node));
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
            node = node_over(&match own % 4 {
                0 => [node, *a, *b, *c],
                1 => [*a, node, *b, *c],
                2 => [*a, *b, node, *c],
                _ => [*a, *b, *c, node],
            });
            own /= 4;
        }
        node == *root
    }

    /// The four nodes below `node`, which is not one of the lowest level.
    fn children(&self, node: usize) -> &[Digest; 4] {
        &self.nodes.as_chunks::<4>().0[node - GROUPS]
    }

    fn rehash(&mut self, node: usize) {
        self.nodes[node] = node_over(self.children(node));
    }
}

/// The node above `node`, which is not the root.
const fn parent(node: usize) -> usize {
    GROUPS + node / 4
}

fn node_over(children: &[Digest; 4]) -> Digest {
    hash(Domain::LockNode, bytemuck::bytes_of(children))
}

#[cfg(test)]
mod tests;
