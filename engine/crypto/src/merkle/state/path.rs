//! Paths: what proves that one slot of the state has a certain digest under a root.
//!
//! ```text
//! path = on each level below the top the three siblings in order, from the slot up; absent ones are zero
//! ```
//!
//! The count of slots is under the root, and it fixes how long a path is: a path of one slot never proves another, an
//! inner node never passes for a slot, and a slot beyond the last has no path.

use tidegate_types::Digest;

use super::StateTree;
use crate::hash::{Domain, hash};
use crate::merkle::root_over;

/// Children of a node less the one that the path leads through.
const SIBLINGS: usize = 3;

/// How many digests a path has in a state of `count` slots: three for each level below the top.
#[must_use]
pub fn state_path_len(count: u32) -> usize {
    let mut levels = 0;
    let mut len = count;
    while len > 1 {
        len = len.div_ceil(4);
        levels += 1;
    }
    levels * SIBLINGS
}

/// Why a path proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatePathError {
    /// There is no such slot.
    #[error("slot {slot} is beyond the last of {count}")]
    NoSlot {
        /// The slot.
        slot: u32,
        /// How many slots there are.
        count: u32,
    },
    /// A state of that many slots has longer or shorter paths.
    #[error("a path of {found} digests, where a state of {count} slots has one of {expected}")]
    Length {
        /// How many slots there are.
        count: u32,
        /// Digests of a path there.
        expected: usize,
        /// Digests of this one.
        found: usize,
    },
    /// Slot, digest, path and count do not lead to the root.
    #[error("the path does not lead to the root")]
    OtherRoot,
}

/// Checks that slot `slot` of a state of `count` slots with this root has the digest `leaf`.
///
/// ```
/// use tidegate_crypto::merkle::{StateTree, verify_state_path};
/// use tidegate_types::Digest;
/// let leaves: Vec<_> = (0..21).map(|n| Digest::from_bytes([n; 32])).collect();
/// let tree = StateTree::build(leaves.clone());
/// let path: Vec<_> = tree.path(20).collect();
/// assert!(verify_state_path(&leaves[20], 20, 21, &path, &tree.root()).is_ok());
/// assert!(verify_state_path(&leaves[20], 19, 21, &path, &tree.root()).is_err());
/// ```
///
/// # Errors
/// [`StatePathError`], the first that applies.
pub fn verify_state_path(
    leaf: &Digest,
    slot: u32,
    count: u32,
    path: &[Digest],
    root: &Digest,
) -> Result<(), StatePathError> {
    if slot >= count {
        return Err(StatePathError::NoSlot { slot, count });
    }
    let expected = state_path_len(count);
    if path.len() != expected {
        let found = path.len();
        return Err(StatePathError::Length { count, expected, found });
    }
    let (mut node, mut index) = (*leaf, slot as usize);
    for siblings in path.as_chunks::<SIBLINGS>().0 {
        let mut children = [Digest::ZERO; SIBLINGS + 1];
        let (before, after) = siblings.split_at(index % 4);
        children[..before.len()].copy_from_slice(before);
        children[before.len()] = node;
        children[before.len() + 1..].copy_from_slice(after);
        node = hash(Domain::StateNode, bytemuck::bytes_of(&children));
        index /= 4;
    }
    if root_over(Domain::StateRoot, count, &node) == *root {
        Ok(())
    } else {
        Err(StatePathError::OtherRoot)
    }
}

impl StateTree {
    /// The path of a slot, [`state_path_len`] digests.
    ///
    /// # Panics
    /// At [`StateTree::count`] and above.
    pub fn path(&self, slot: u32) -> impl Iterator<Item = Digest> {
        assert!(slot < self.count(), "slot {slot} is beyond the last");
        let below_top = &self.levels[..self.levels.len() - 1];
        let places = core::iter::successors(Some(slot as usize), |place| Some(place / 4));
        below_top.iter().zip(places).flat_map(|(level, place)| {
            let group = place / 4 * 4;
            (group..group + 4)
                .filter(move |&sibling| sibling != place)
                .map(|sibling| level[sibling])
        })
    }
}
