//! The commitment to all unspent outputs: a sparse 4-ary Merkle tree by position.
//!
//! ```text
//! root    hash(UtxoSet, count 8 | sum 16 | 0 × 8 | top 32)
//! top     the node at depth 16 over 4¹⁶ = 2³² positions
//! node    hash(UtxoNode, four children); zero over four zero children
//! leaf    hash(UtxoLeaf, outpoint 36 | utxo 264 | 0 × 20); zero for an empty position
//! ```
//!
//! An output takes the lowest empty position when it is created and leaves it when it is spent, so the tree stays as
//! dense as the set, and root and positions are functions of the set alone, not of the way it came about: a block that
//! is undone leaves the tree as it was. A block of n changes costs at most n leaves and their paths, hashed level by level,
//! 16 nodes at a time, instead of a hash over the whole set. 43 bytes of memory for each position.
//!
//! A chain of per-block roots would be cheaper still, but could not prove that an output is unspent without all later
//! blocks. Here a path of 48 digests does.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_crypto::hash::{Domain, hash, hash_many};
use tidegate_types::{Digest, Fixed, OutPoint};

use crate::Utxo;

/// Levels of nodes above the leaves.
const DEPTH: usize = 16;
const LEAF_LEN: usize = 320;
const _: () = assert!(OutPoint::LEN + Utxo::LEN <= LEAF_LEN);

/// Leaves that are hashed at once; bounds the memory of a large genesis.
const PENDING_MAX: usize = 4096;

/// The tree, in memory. Changes are collected and hashed when [`UtxoTree::top`] is asked for.
#[derive(Clone, Debug, Default)]
pub struct UtxoTree {
    /// `levels[0]` are the leaves by position; each length is a multiple of four but that of the topmost, which is one.
    levels: Vec<Vec<Digest>>,
    /// Empty positions below `end`.
    empty: BTreeSet<u32>,
    /// No position at or above this was ever used.
    end: u32,
    /// Leaves that are not hashed yet, the last change of each position.
    pending: BTreeMap<u32, Option<[u8; LEAF_LEN]>>,
    /// Groups of four leaves that changed since the nodes above were hashed; may hold one twice.
    dirty: Vec<u32>,
}

/// The leaf of an unspent output.
#[must_use]
pub fn utxo_leaf(outpoint: &OutPoint, utxo: &Utxo) -> Digest {
    hash(Domain::UtxoLeaf, &leaf_bytes(outpoint, utxo))
}

fn leaf_bytes(outpoint: &OutPoint, utxo: &Utxo) -> [u8; LEAF_LEN] {
    let mut bytes = [0; LEAF_LEN];
    let (head, tail) = bytes.split_at_mut(OutPoint::LEN);
    outpoint.encode_into(head);
    utxo.encode_into(&mut tail[..Utxo::LEN]);
    bytes
}

/// The root over a tree's top, the number of unspent outputs and their sum in satoshi.
pub(crate) fn utxo_root(top: &Digest, count: u64, sum: u128) -> Digest {
    let mut block = [0; 64];
    block[..8].copy_from_slice(&count.to_le_bytes());
    block[8..24].copy_from_slice(&sum.to_le_bytes());
    block[32..].copy_from_slice(top.as_bytes());
    hash(Domain::UtxoSet, &block)
}

/// How many digests a path has: three siblings on each level.
pub const UTXO_PATH_LEN: usize = 3 * DEPTH;

/// True iff `leaf` ([`utxo_leaf`], or zero for none) stands at `position` under a block's root, of a ledger with `count` entries
/// of `sum` satoshi in all. Safe on any input.
///
/// ```
/// use tidegate_ledger::{UTXO_PATH_LEN, verify_utxo_path};
/// use tidegate_types::Digest;
/// assert!(!verify_utxo_path(&Digest::ZERO, 0, &[Digest::ZERO; UTXO_PATH_LEN], (0, 0), &Digest::ZERO));
/// ```
#[must_use]
pub fn verify_utxo_path(
    leaf: &Digest,
    position: u32,
    path: &[Digest],
    (count, sum): (u64, u128),
    root: &Digest,
) -> bool {
    if path.len() != UTXO_PATH_LEN {
        return false;
    }
    let mut own = position;
    let mut node = *leaf;
    for [a, b, c] in path.as_chunks::<3>().0 {
        let children = match own % 4 {
            0 => [node, *a, *b, *c],
            1 => [*a, node, *b, *c],
            2 => [*a, *b, node, *c],
            _ => [*a, *b, *c, node],
        };
        node = match children == [Digest::ZERO; 4] {
            true => Digest::ZERO,
            false => hash(Domain::UtxoNode, bytemuck::bytes_of(&children)),
        };
        own /= 4;
    }
    utxo_root(&node, count, sum) == *root
}

impl UtxoTree {
    /// A tree over no outputs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree over outputs that have their positions already, in any order: what a checkpoint holds.
    #[must_use]
    pub fn rebuild<'a>(utxos: impl IntoIterator<Item = (&'a OutPoint, &'a Utxo)>) -> Self {
        let mut tree = Self::new();
        for (outpoint, utxo) in utxos {
            tree.occupy(outpoint, utxo);
        }
        tree
    }

    /// The position that the next created output takes: the lowest empty one.
    ///
    /// # Panics
    /// With 2³² unspent outputs: they would take a terabyte of memory.
    #[must_use]
    pub fn next_position(&self) -> u32 {
        let past = || {
            assert!(self.end < u32::MAX, "fewer than 2³² outputs are unspent");
            self.end
        };
        self.empty.first().copied().unwrap_or_else(past)
    }

    /// Puts an output at its position.
    ///
    /// # Panics
    /// If the position holds another.
    pub fn occupy(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        if utxo.position < self.end {
            assert!(self.empty.remove(&utxo.position), "position {} is taken", utxo.position);
        } else {
            self.empty.extend(self.end..utxo.position);
            self.end = utxo.position + 1;
        }
        self.pending.insert(utxo.position, Some(leaf_bytes(outpoint, utxo)));
        self.bound_pending();
    }

    /// Empties a position.
    ///
    /// # Panics
    /// If it is empty.
    pub fn vacate(&mut self, position: u32) {
        assert!(
            position < self.end && self.empty.insert(position),
            "position {position} is empty"
        );
        self.pending.insert(position, None);
        self.bound_pending();
    }

    fn bound_pending(&mut self) {
        if self.pending.len() >= PENDING_MAX {
            self.hash_leaves();
        }
    }

    /// The top node over all positions, zero if all are empty.
    pub fn top(&mut self) -> Digest {
        self.hash_leaves();
        self.hash_nodes();
        let Some(highest) = self.levels.last() else {
            return Digest::ZERO;
        };
        let missing = DEPTH + 1 - self.levels.len();
        (0..missing).fold(highest[0], |node, _| match node {
            Digest::ZERO => node,
            _ => hash(
                Domain::UtxoNode,
                bytemuck::bytes_of(&[node, Digest::ZERO, Digest::ZERO, Digest::ZERO]),
            ),
        })
    }

    /// The path of a position to the top: on each of 16 levels the three siblings in order, from the leaf up. With
    /// [`verify_utxo_path`] it proves to whoever holds a block's header that an entry stands, or that a position is empty.
    pub fn path(&mut self, position: u32) -> Vec<Digest> {
        self.top();
        let mut path = Vec::with_capacity(UTXO_PATH_LEN);
        let mut own = position as usize;
        for level in 0..DEPTH {
            let family = (0..4).map(|child| own / 4 * 4 + child);
            let nodes = self.levels.get(level);
            let digest = |at: usize| nodes.and_then(|nodes| nodes.get(at)).copied();
            // Above the highest level that is kept, the one node there is stands first, with nothing beside it.
            let siblings = family.filter(|&at| at != own);
            path.extend(siblings.map(|at| digest(at).unwrap_or(Digest::ZERO)));
            own /= 4;
        }
        path
    }

    fn hash_leaves(&mut self) {
        let pending = core::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        let leaves = &mut self.levels[0];
        leaves.resize((self.end as usize).next_multiple_of(4), Digest::ZERO);
        let filled: Vec<_> = pending.values().filter_map(|leaf| *leaf).collect();
        let mut digests = vec![Digest::ZERO; filled.len()];
        hash_many(Domain::UtxoLeaf, &filled, &mut digests);
        let mut digests = digests.into_iter();
        for (position, leaf) in pending {
            let digest = leaf.and_then(|_| digests.next()).unwrap_or(Digest::ZERO);
            leaves[position as usize] = digest;
            self.dirty.push(position / 4);
        }
    }

    /// Hashes the nodes above changed leaves, level by level.
    fn hash_nodes(&mut self) {
        let mut dirty = core::mem::take(&mut self.dirty);
        if dirty.is_empty() {
            return;
        }
        let mut level = 0;
        while self.levels[level].len() > 1 {
            // The first node of a level that is new is over what was the top before.
            dirty.push(0);
            dirty.sort_unstable();
            dirty.dedup();
            self.hash_level(level, &dirty);
            dirty.iter_mut().for_each(|group| *group /= 4);
            level += 1;
        }
    }

    /// Hashes the groups `dirty` of `level` into the level above.
    fn hash_level(&mut self, level: usize, dirty: &[u32]) {
        let above_len = match self.levels[level].len() / 4 {
            1 => 1,
            len => len.next_multiple_of(4),
        };
        if self.levels.len() == level + 1 {
            self.levels.push(Vec::new());
        }
        let (below, above) = self.levels.split_at_mut(level + 1);
        let (below, above) = (&below[level], &mut above[0]);
        above.resize(above_len, Digest::ZERO);
        let groups = below.as_chunks::<4>().0;
        for dirty in dirty.chunks(PENDING_MAX) {
            let full = |&&group: &&u32| groups[group as usize] != [Digest::ZERO; 4];
            let inputs: Vec<[u8; 128]> = dirty
                .iter()
                .filter(full)
                .map(|&group| bytemuck::cast(groups[group as usize]))
                .collect();
            let mut nodes = vec![Digest::ZERO; inputs.len()];
            hash_many(Domain::UtxoNode, &inputs, &mut nodes);
            dirty.iter().for_each(|&group| above[group as usize] = Digest::ZERO);
            for (&group, node) in dirty.iter().filter(full).zip(nodes) {
                above[group as usize] = node;
            }
        }
    }
}

#[cfg(test)]
mod tests;
