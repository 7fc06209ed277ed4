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
//! 16 nodes at a time, instead of a hash over the whole set.
//!
//! A chain of per-block roots would be cheaper still, but could not prove that an output is unspent without all later
//! blocks. Here a path of 48 digests does.
//!
//! In memory the lowest three levels lie in pages of 64 positions, 43 bytes for each, and the levels above them in arrays.
//! A page all of whose positions hold what the genesis created there is not kept: its content follows from what the
//! store says of the genesis ([`UtxoStore::created`]), and is made again when an output of it is spent or proved. So millions of
//! channels that stand as the genesis opened them take a byte each.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_crypto::hash::{Domain, hash, hash_many};
use tidegate_types::{Digest, Fixed, OutPoint};

use crate::{Utxo, UtxoStore};
use page::{PAGE, PAGE_DEPTH, Page, nodes_over};

/// Levels of nodes above the leaves.
const DEPTH: usize = 16;
const LEAF_LEN: usize = 320;
const _: () = assert!(OutPoint::LEN + Utxo::LEN <= LEAF_LEN);

/// Leaves that are hashed at once; bounds the memory of a large genesis.
const PENDING_MAX: usize = 4096;

/// The tree, in memory. Changes are collected and hashed when [`UtxoTree::top`] is asked for.
///
/// Whoever calls it hands it the store that the outputs stand in, as it is after the change, and always the same one. A store that
/// says nothing of a genesis, like [`crate::MemoryStore`], has every page kept.
#[derive(Clone, Debug, Default)]
pub struct UtxoTree {
    /// By number. One that is not kept is empty if its root is zero; else it holds what the genesis created.
    pages: Vec<Option<Box<Page>>>,
    /// `levels[0]` are the roots of the pages; each length is a multiple of four but that of the topmost, which is one.
    levels: Vec<Vec<Digest>>,
    /// Empty positions below `end`.
    empty: BTreeSet<u32>,
    /// No position at or above this was ever used.
    end: u32,
    /// Leaves that are not hashed yet, the last change of each position.
    pending: BTreeMap<u32, Option<Pending>>,
    /// Groups of four pages that changed since the nodes above were hashed; may hold one twice.
    dirty: Vec<u32>,
}

/// A leaf that is not hashed yet.
#[derive(Clone, Debug)]
struct Pending {
    bytes: [u8; LEAF_LEN],
    /// The genesis created just this at this position.
    created: bool,
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
    pub fn rebuild<'a>(utxos: impl IntoIterator<Item = (&'a OutPoint, &'a Utxo)>, store: &impl UtxoStore) -> Self {
        let mut tree = Self::new();
        for (outpoint, utxo) in utxos {
            tree.occupy(outpoint, utxo, store);
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
    pub fn occupy(&mut self, outpoint: &OutPoint, utxo: &Utxo, store: &impl UtxoStore) {
        if utxo.position < self.end {
            assert!(self.empty.remove(&utxo.position), "position {} is taken", utxo.position);
        } else {
            self.empty.extend(self.end..utxo.position);
            self.end = utxo.position + 1;
        }
        let leaf = Pending {
            bytes: leaf_bytes(outpoint, utxo),
            created: store.is_created(outpoint),
        };
        self.pending.insert(utxo.position, Some(leaf));
        self.bound_pending(store);
    }

    /// Empties a position.
    ///
    /// # Panics
    /// If it is empty.
    pub fn vacate(&mut self, position: u32, store: &impl UtxoStore) {
        assert!(
            position < self.end && self.empty.insert(position),
            "position {position} is empty"
        );
        self.pending.insert(position, None);
        self.bound_pending(store);
    }

    fn bound_pending(&mut self, store: &impl UtxoStore) {
        if self.pending.len() >= PENDING_MAX {
            self.hash_pages(store);
        }
    }

    /// The top node over all positions, zero if all are empty.
    pub fn top(&mut self, store: &impl UtxoStore) -> Digest {
        self.hash_pages(store);
        self.hash_nodes();
        let Some(highest) = self.levels.last() else {
            return Digest::ZERO;
        };
        let missing = DEPTH - PAGE_DEPTH + 1 - self.levels.len();
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
    pub fn path(&mut self, position: u32, store: &impl UtxoStore) -> Vec<Digest> {
        self.top(store);
        let mut path = Vec::with_capacity(UTXO_PATH_LEN);
        let mut own = position as usize;
        let page = self.page(own / PAGE, store);
        for level in 0..DEPTH {
            let nodes: &[Digest] = match level {
                0 => &page.leaves,
                1 => &page.fours,
                2 => &page.sixteens,
                _ => self.levels.get(level - PAGE_DEPTH).map_or(&[], Vec::as_slice),
            };
            // Within the page, positions are counted from its first.
            let local = if level < PAGE_DEPTH { own % nodes.len() } else { own };
            let family = (0..4).map(|child| local / 4 * 4 + child);
            // Above the highest level that is kept, the one node there is stands first, with nothing beside it.
            let siblings = family.filter(|&at| at != local);
            path.extend(siblings.map(|at| nodes.get(at).copied().unwrap_or(Digest::ZERO)));
            own /= 4;
        }
        path
    }

    /// A page that is hashed, kept or not.
    fn page(&self, number: usize, store: &impl UtxoStore) -> Box<Page> {
        if let Some(page) = self.pages.get(number).and_then(Option::as_ref) {
            return page.clone();
        }
        match self.levels.first().and_then(|roots| roots.get(number)) {
            None | Some(&Digest::ZERO) => Box::new(Page::EMPTY),
            Some(root) => {
                let page = Page::created(number, store);
                assert_eq!(page.root(), *root, "page {number} holds what the genesis created");
                Box::new(page)
            }
        }
    }

    /// Hashes the leaves that changed, and the levels of their pages.
    fn hash_pages(&mut self, store: &impl UtxoStore) {
        let pending = core::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        let pages = (self.end as usize).div_ceil(PAGE);
        self.pages.resize(pages, None);
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        self.levels[0].resize(pages.next_multiple_of(4), Digest::ZERO);
        let filled: Vec<_> = pending.values().flatten().map(|leaf| leaf.bytes).collect();
        let mut digests = vec![Digest::ZERO; filled.len()];
        hash_many(Domain::UtxoLeaf, &filled, &mut digests);
        let mut digests = digests.into_iter();
        let mut groups = Vec::with_capacity(pending.len());
        for (position, leaf) in pending {
            let digest = leaf.as_ref().and_then(|_| digests.next()).unwrap_or(Digest::ZERO);
            let (number, at) = (position as usize / PAGE, position as usize % PAGE);
            if self.pages[number].is_none() {
                self.pages[number] = Some(self.page(number, store));
            }
            self.kept(number).set(at, digest, leaf.is_some_and(|leaf| leaf.created));
            groups.push(position as usize / 4);
        }
        self.hash_groups(groups);
    }

    /// A page that is kept.
    fn kept(&mut self, number: usize) -> &mut Page {
        self.pages[number].as_mut().expect("a page that changes is kept")
    }

    /// Hashes the levels of pages above groups of four leaves, which are counted from the first of all and ascend, and drops pages that
    /// need not be kept.
    fn hash_groups(&mut self, mut groups: Vec<usize>) {
        groups.dedup();
        let below = groups
            .iter()
            .map(|&group| *self.kept(group / 16).group(group % 16))
            .collect::<Vec<_>>();
        for (&group, node) in groups.iter().zip(nodes_over(&below)) {
            self.kept(group / 16).fours[group % 16] = node;
        }
        groups.iter_mut().for_each(|group| *group /= 4);
        groups.dedup();
        let below = groups
            .iter()
            .map(|&group| self.kept(group / 4).fours.as_chunks().0[group % 4])
            .collect::<Vec<_>>();
        for (&group, node) in groups.iter().zip(nodes_over(&below)) {
            self.kept(group / 4).sixteens[group % 4] = node;
        }
        groups.iter_mut().for_each(|group| *group /= 4);
        groups.dedup();
        let below = groups
            .iter()
            .map(|&number| self.kept(number).sixteens)
            .collect::<Vec<_>>();
        for (&number, root) in groups.iter().zip(nodes_over(&below)) {
            self.levels[0][number] = root;
            self.dirty
                .push(u32::try_from(number / 4).expect("pages are fewer than positions"));
            if root == Digest::ZERO || self.kept(number).created == u64::MAX {
                self.pages[number] = None;
            }
        }
    }

    /// Hashes the nodes above changed pages, level by level.
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
            let inputs: Vec<_> = dirty.iter().map(|&group| groups[group as usize]).collect();
            for (&group, node) in dirty.iter().zip(nodes_over(&inputs)) {
                above[group as usize] = node;
            }
        }
    }
}

mod page;
#[cfg(test)]
mod tests;
