//! The commitment to all slots of the state: a dense 4-ary tree by slot number.
//!
//! ```text
//! root = hash(StateRoot, count ‖ 0… ‖ top)
//!
//! level 2              0                      the top
//!               ┌───┬──┴┬───┐
//! level 1       0   1   –   –                 node = hash(StateNode, four children)
//!            ┌─┬┴┬─┐  └┬─┬─┬─┐
//! level 0    0 1 2 3   4 – – –                slot digests; absent children (–) are zero
//! ```
//!
//! The count is under the root, so a zero digest that stands for an absent slot is never mistaken for a slot.

use rayon::prelude::*;
use tidegate_types::Digest;

use super::{LANES, count_of, root_over};
use crate::hash::{Domain, hash_many, hash_many_refs};

mod path;

pub use path::{StatePathError, state_path_len, verify_state_path};

/// Nodes that one thread hashes at a time. Below that many, waking another costs more than it saves.
const PER_THREAD: usize = 4096;

/// The root over the digests of all slots, in slot order. Large states are hashed on the current rayon pool; the root is
/// the same on any number of threads.
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
    let mut above = zeroed(level.len().div_ceil(4));
    if above.len() <= PER_THREAD {
        hash_groups(level, &mut above);
    } else {
        let chunks = above.par_chunks_mut(PER_THREAD);
        let below = level.par_chunks(PER_THREAD * 4);
        chunks.zip(below).for_each(|(above, level)| hash_groups(level, above));
    }
    above
}

/// One node for each four of `level`; what the last lacks is zero.
fn hash_groups(level: &[Digest], above: &mut [Digest]) {
    let (whole, rest) = level.as_chunks::<4>();
    let (head, tail) = above.split_at_mut(whole.len());
    hash_many::<128>(Domain::StateNode, bytemuck::cast_slice(whole), head);
    if !rest.is_empty() {
        let mut last = [Digest::ZERO; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash_many::<128>(Domain::StateNode, &[bytemuck::cast(last)], tail);
    }
}

/// Zero digests in memory that the system hands out zeroed: whoever writes first to a page takes its fault.
fn zeroed(count: usize) -> Vec<Digest> {
    bytemuck::cast_vec(vec![[0_u8; 32]; count])
}

/// The state tree with all its nodes, 43 bytes a slot: an update hashes only what lies above the changed slots.
///
/// ```
/// use tidegate_crypto::merkle::{StateTree, state_root};
/// use tidegate_types::Digest;
/// let [a, b, c] = [1, 2, 3].map(|byte| Digest::from_bytes([byte; 32]));
/// let mut tree = StateTree::default();
/// tree.update(&[0, 1], &[a, b]);
/// tree.update(&[2, 0], &[c, b]);
/// assert_eq!(tree.root(), state_root(&[b, b, c]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateTree {
    /// Slot digests first, the top last. Every level but the top is filled up with zero digests to whole groups of four.
    levels: Vec<Vec<Digest>>,
    count: u32,
    /// Nodes whose children changed, in order; kept for its memory.
    dirty: Vec<usize>,
}

impl StateTree {
    /// The tree over `count` slots whose digests `fill` writes: it is called with the number of a first slot and the
    /// digests of that and the following ones, from the threads of the current rayon pool in any order.
    ///
    /// ```
    /// use tidegate_crypto::merkle::{StateTree, state_root};
    /// use tidegate_types::Digest;
    /// let digest = |slot: u32| Digest::from_bytes([u8::try_from(slot % 251).unwrap(); 32]);
    /// let tree = StateTree::build_with(10_000, |first, digests| {
    ///     (first..).zip(digests).for_each(|(slot, out)| *out = digest(slot));
    /// });
    /// assert_eq!(tree.root(), state_root(&(0..10_000).map(digest).collect::<Vec<_>>()));
    /// ```
    #[must_use]
    pub fn build_with(count: u32, fill: impl Fn(u32, &mut [Digest]) + Sync) -> Self {
        let mut leaves = zeroed(count as usize);
        let fill = |index: usize, chunk: &mut [Digest]| {
            let first = u32::try_from(index * PER_THREAD).expect("below the count");
            fill(first, chunk);
        };
        if leaves.len() <= PER_THREAD {
            leaves
                .chunks_mut(PER_THREAD)
                .enumerate()
                .for_each(|(i, chunk)| fill(i, chunk));
        } else {
            leaves
                .par_chunks_mut(PER_THREAD)
                .enumerate()
                .for_each(|(i, chunk)| fill(i, chunk));
        }
        Self::build(leaves)
    }

    /// The tree over the digests of all slots, in slot order. Large trees are hashed on the current rayon pool.
    ///
    /// # Panics
    /// At 2³² slots and above.
    #[must_use]
    pub fn build(leaves: Vec<Digest>) -> Self {
        let count = count_of(&leaves);
        let mut levels = vec![leaves];
        while let Some(level) = levels.last_mut().filter(|level| level.len() > 1) {
            let above = level_above(level);
            level.resize(level.len().next_multiple_of(4), Digest::ZERO);
            levels.push(above);
        }
        let dirty = Vec::new();
        Self { levels, count, dirty }
    }

    /// How many slots there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The digest of a slot; `None` at [`StateTree::count`] and above.
    #[must_use]
    pub fn leaf(&self, slot: u32) -> Option<Digest> {
        (slot < self.count).then(|| self.levels[0][slot as usize])
    }

    /// Bytes of memory that the nodes take.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.levels
            .iter()
            .map(|level| level.capacity() * size_of::<Digest>())
            .sum()
    }

    /// The root: [`state_root`] over all slots.
    #[must_use]
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        root_over(Domain::StateRoot, self.count, top.unwrap_or(&Digest::ZERO))
    }

    /// Slot `slots[i]` has digest `digests[i]` from now on, in any order; of a slot named twice the last counts. A slot
    /// beyond the last makes the tree longer; slots that this skips have the zero digest.
    ///
    /// # Panics
    /// If `slots` and `digests` differ in length.
    pub fn update(&mut self, slots: &[u32], digests: &[Digest]) {
        assert_eq!(slots.len(), digests.len(), "one digest per slot");
        let Some(&last) = slots.iter().max() else {
            return;
        };
        let mut dirty = core::mem::take(&mut self.dirty);
        dirty.clear();
        if last >= self.count {
            dirty.extend(self.count as usize..=last as usize);
            self.grow(last);
        }
        for (&slot, &digest) in slots.iter().zip(digests) {
            self.levels[0][slot as usize] = digest;
        }
        dirty.extend(slots.iter().map(|&slot| slot as usize));
        dirty.sort_unstable();
        for below in 1..self.levels.len() {
            dirty.iter_mut().for_each(|node| *node /= 4);
            dirty.dedup();
            let (lower, upper) = self.levels.split_at_mut(below);
            rehash(&lower[below - 1], &mut upper[0], &dirty);
        }
        self.dirty = dirty;
    }

    /// Makes room for slots up to `last`. Nodes above new slots are not hashed yet.
    fn grow(&mut self, last: u32) {
        self.count = last.checked_add(1).expect("a tree has fewer than 2³² slots");
        let mut len = self.count as usize;
        for depth in 0.. {
            if depth == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[depth];
            let need = if len == 1 { 1 } else { len.next_multiple_of(4) };
            if need > level.capacity() {
                // An eighth ahead, not twice as much: ten million slots take 430 MB, and that is to be all.
                level.reserve_exact(need - level.len() + level.len() / 8);
            }
            level.resize(need, Digest::ZERO);
            if len == 1 {
                return;
            }
            len = len.div_ceil(4);
        }
    }
}

/// Hashes anew the nodes `dirty` of the level `above`.
fn rehash(level: &[Digest], above: &mut [Digest], dirty: &[usize]) {
    let groups: &[[u8; 128]] = bytemuck::cast_slice(level);
    for nodes in dirty.chunks(LANES) {
        let mut refs = [&groups[0]; LANES];
        refs.iter_mut().zip(nodes).for_each(|(r, &node)| *r = &groups[node]);
        let mut out = [Digest::ZERO; LANES];
        hash_many_refs(Domain::StateNode, &refs[..nodes.len()], &mut out[..nodes.len()]);
        nodes.iter().zip(out).for_each(|(&node, digest)| above[node] = digest);
    }
}

#[cfg(test)]
mod tests;
