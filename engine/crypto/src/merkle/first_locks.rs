//! The lock tree of a channel whose locks all stand in the first eight slots, which is nearly every channel: the nodes above them, and
//! empty ones beside.
//!
//! ```text
//!  root ◀─ uppers[0] ◀─ groups[0] ◀─ slots 0..4         of the 21 nodes of a whole tree 3 change and 2 are kept;
//!      ◀─ empty × 3  ◀─ groups[1] ◀─ slots 4..8         the rest is the same in all trees
//!                    ◀─ empty × 2
//! ```

use std::sync::LazyLock;

use bytemuck::{Pod, Zeroable};
use tidegate_types::Digest;

use super::lock_tree::{LockNodes, LockTree, ROOT, parent};

/// What must be kept of a [`FirstLockTree`]: the rest follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FirstLocks {
    /// The nodes over slots 0 to 3, and 4 to 7.
    pub groups: [Digest; 2],
    /// The root of the whole tree.
    pub root: Digest,
}

/// A lock tree in which slots 8 to 63 are empty, while it is updated.
///
/// ```
/// use tidegate_crypto::merkle::{FirstLockTree, LockChange, LockScratch, LockTree, update_lock_trees};
/// use tidegate_types::{Digest, LockSlot};
/// let slot = LockSlot::new(6).expect("6 is below 64");
/// let group = [Digest::ZERO, Digest::ZERO, Digest::from_bytes([1; 32]), Digest::ZERO];
/// let mut trees = [FirstLockTree::empty()];
/// update_lock_trees(&mut trees[..], &[LockChange { tree: 0, slot, group }], &mut LockScratch::default());
/// let mut whole = LockTree::empty();
/// whole.update(slot, &group);
/// assert_eq!(trees[0].kept().root, whole.root());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstLockTree {
    groups: [Digest; 4],
    uppers: [Digest; 4],
    root: Digest,
}

/// A first upper node has four groups; of those two are kept.
const KEPT: usize = 2;

static EMPTY: LazyLock<FirstLockTree> = LazyLock::new(|| {
    let whole = LockTree::empty();
    FirstLockTree {
        groups: *whole.children(parent(0)),
        uppers: *whole.children(ROOT),
        root: whole.root(),
    }
});

impl FirstLocks {
    /// How many slots there are.
    pub const SLOTS: usize = KEPT * 4;

    /// Of no locks at all.
    #[must_use]
    pub fn empty() -> Self {
        EMPTY.kept()
    }

    /// Of a whole tree, in which slots from [`FirstLocks::SLOTS`] on are empty. Of any other only the root is right.
    #[must_use]
    pub fn of(whole: &LockTree) -> Self {
        let groups = whole.children(parent(0));
        Self {
            groups: [groups[0], groups[1]],
            root: whole.root(),
        }
    }
}

impl FirstLockTree {
    /// The tree of no locks.
    #[must_use]
    pub fn empty() -> Self {
        *EMPTY
    }

    /// The tree of which this was kept. The upper node is not there before the first change.
    #[must_use]
    pub fn resume(kept: &FirstLocks) -> Self {
        let mut tree = *EMPTY;
        tree.groups[..KEPT].copy_from_slice(&kept.groups);
        tree.root = kept.root;
        tree
    }

    /// What must be kept of it.
    #[must_use]
    pub const fn kept(&self) -> FirstLocks {
        FirstLocks {
            groups: [self.groups[0], self.groups[1]],
            root: self.root,
        }
    }
}

impl LockNodes for FirstLockTree {
    fn children(&self, node: usize) -> &[Digest; 4] {
        if node == ROOT { &self.uppers } else { &self.groups }
    }

    fn set(&mut self, node: usize, digest: Digest) {
        match node {
            ROOT => self.root = digest,
            node if node < KEPT => self.groups[node] = digest,
            node => {
                assert!(node == parent(0), "a change beyond the first slots");
                self.uppers[0] = digest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_types::LockSlot;

    use super::*;
    use crate::merkle::{LockChange, LockScratch, update_lock_trees};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Round by round, with what is kept between them, against the tree over all slots.
        #[test]
        fn it_is_the_whole_tree_of_the_same_slots(
            rounds in prop::collection::vec(prop::collection::vec((0_u8..8, 0_u8..3), 1..6), 1..8),
        ) {
            let mut slots = [Digest::ZERO; LockSlot::COUNT];
            let mut kept = FirstLocks::empty();
            for round in rounds {
                for &(slot, byte) in &round {
                    slots[slot as usize] = Digest::from_bytes([byte; 32]);
                }
                let changes: Vec<_> = round
                    .iter()
                    .map(|&(slot, _)| LockChange {
                        tree: 0,
                        slot: LockSlot::new(slot).expect("below 64"),
                        group: slots.as_chunks::<4>().0[slot as usize / 4],
                    })
                    .collect();
                let mut tree = [FirstLockTree::resume(&kept)];
                update_lock_trees(&mut tree[..], &changes, &mut LockScratch::default());
                kept = tree[0].kept();
                prop_assert_eq!(kept, FirstLocks::of(&LockTree::over(&slots)));
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond the first slots")]
    fn a_later_slot_is_not_taken() {
        let change = LockChange {
            tree: 0,
            slot: LockSlot::new(8).expect("below 64"),
            group: [Digest::from_bytes([1; 32]); 4],
        };
        update_lock_trees(
            &mut [FirstLockTree::empty()][..],
            &[change],
            &mut LockScratch::default(),
        );
    }
}
