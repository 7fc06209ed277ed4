//! The commitment to all slots of the state: a dense 4-ary tree by slot number.

use tidegate_types::Digest;

use super::{count_of, root_over};
use crate::hash::{Domain, hash_many};

/// The root over the digests of all slots, in slot order.
///
/// Four nodes make one a level higher; where the last has fewer than four children the absent ones are zero digests.
/// The count is under the root, so a zero digest that stands for an absent slot is never mistaken for a slot.
///
/// # Panics
/// At 2³² slots and above.
#[must_use]
pub fn state_root(leaves: &[Digest]) -> Digest {
    let count = count_of(leaves);
    if leaves.len() <= 1 {
        return root_over(Domain::StateRoot, count, leaves.first().unwrap_or(&Digest::ZERO));
    }
    let mut level = level_above(leaves);
    while level.len() > 1 {
        level = level_above(&level);
    }
    root_over(Domain::StateRoot, count, &level[0])
}

fn level_above(level: &[Digest]) -> Vec<Digest> {
    let mut above = vec![Digest::ZERO; level.len().div_ceil(4)];
    let (whole, rest) = level.as_chunks::<4>();
    let (head, tail) = above.split_at_mut(whole.len());
    hash_many::<128>(Domain::StateNode, bytemuck::cast_slice(whole), head);
    if !rest.is_empty() {
        let mut last = [Digest::ZERO; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash_many::<128>(Domain::StateNode, &[bytemuck::cast(last)], tail);
    }
    above
}

#[cfg(test)]
mod tests;
