//! The binary tree, in the shape of RFC 6962, with the count under the root.
//!
//! ```text
//!            root = hash(root domain, count ‖ 0… ‖ top)
//!                       │
//!                      top                  node = hash(node domain, left ‖ right)
//!                 ┌─────┴─────┐
//!               node          │             an odd node is promoted: it is itself a level higher,
//!            ┌────┴────┐      │             and a path has no element for that level
//!          node      node     │
//!          ┌─┴─┐     ┌─┴─┐    │
//!          0   1     2   3    4             leaves, digests of the leaf domain
//! ```

mod shared;

pub use shared::{SharedPaths, shared_path_len};

use tidegate_types::Digest;

use super::{LANES, count_of, root_over};
use crate::hash::{Domain, hash, hash_many};

/// Levels below the top of the highest tree.
const LEVELS: usize = 32;

/// Which list a tree is over: its three domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeKind {
    leaf: Domain,
    node: Domain,
    root: Domain,
}

/// The receipts of a batch (rule 17).
pub const RECEIPTS: TreeKind = TreeKind {
    leaf: Domain::ReceiptLeaf,
    node: Domain::ReceiptNode,
    root: Domain::ReceiptRoot,
};
/// A small list, such as the lock ids that a leaf credits.
pub const LIST: TreeKind = TreeKind {
    leaf: Domain::ListLeaf,
    node: Domain::ListNode,
    root: Domain::ListRoot,
};
/// The outcomes that a leaf answers with.
pub const OUTCOMES: TreeKind = TreeKind {
    leaf: Domain::Outcome,
    node: Domain::OutcomeNode,
    root: Domain::OutcomeRoot,
};
/// The transactions of a block.
pub const TRANSACTIONS: TreeKind = TreeKind {
    leaf: Domain::TransactionLeaf,
    node: Domain::TransactionNode,
    root: Domain::Transactions,
};
/// The unspent outputs after a block.
pub const UTXO: TreeKind = TreeKind {
    leaf: Domain::UtxoLeaf,
    node: Domain::UtxoNode,
    root: Domain::UtxoSet,
};

impl TreeKind {
    /// The leaf digest of an entry. Leaves may come from another domain too, never from this tree's node or root domain.
    #[must_use]
    pub fn leaf(self, entry: &[u8]) -> Digest {
        hash(self.leaf, entry)
    }

    /// The domain of leaves, for hashing many at a time.
    #[must_use]
    pub const fn leaf_domain(self) -> Domain {
        self.leaf
    }

    pub(super) const fn node_domain(self) -> Domain {
        self.node
    }

    pub(super) const fn root_domain(self) -> Domain {
        self.root
    }

    fn node(self, left: &Digest, right: &Digest) -> Digest {
        hash(self.node, bytemuck::bytes_of(&[*left, *right]))
    }
}

/// The root over `leaves`, which may be none.
///
/// # Panics
/// At 2³² leaves and above.
#[must_use]
pub fn root(kind: TreeKind, leaves: &[Digest]) -> Digest {
    /// Lists of operations have at most 32 entries; up to here nothing is allocated.
    const SMALL: usize = 32;
    let count = count_of(leaves);
    let top = if let [only] = leaves {
        *only
    } else if leaves.len() <= SMALL {
        let mut buffer = [Digest::ZERO; SMALL];
        buffer[..leaves.len()].copy_from_slice(leaves);
        fold(kind, &mut buffer[..leaves.len()])
    } else {
        fold(kind, &mut leaves.to_vec())
    };
    root_over(kind.root, count, &top)
}

/// The top of the tree over `level`, which is used up; zero for an empty one.
fn fold(kind: TreeKind, mut level: &mut [Digest]) -> Digest {
    while level.len() > 1 {
        let pairs = level.len() / 2;
        let mut done = 0;
        while done < pairs {
            let mut out = [Digest::ZERO; LANES];
            let step = out.len().min(pairs - done);
            hash_pairs(kind, &level[2 * done..2 * (done + step)], &mut out[..step]);
            level[done..done + step].copy_from_slice(&out[..step]);
            done += step;
        }
        if level.len() % 2 == 1 {
            level[pairs] = level[2 * pairs];
        }
        let next = level.len().div_ceil(2);
        level = &mut level[..next];
    }
    level.first().copied().unwrap_or(Digest::ZERO)
}

/// `out[i]` becomes the node over `level[2i]` and `level[2i + 1]`.
fn hash_pairs(kind: TreeKind, level: &[Digest], out: &mut [Digest]) {
    let pairs: &[[u8; 64]] = bytemuck::cast_slice(level);
    hash_many(kind.node, pairs, out);
}

/// A tree with all its nodes, for paths. Rebuilding it reuses its memory.
///
/// ```
/// use tidegate_crypto::merkle::{RECEIPTS, Tree, verify_path};
/// let kind = RECEIPTS;
/// let leaves = [kind.leaf(b"a"), kind.leaf(b"b"), kind.leaf(b"c")];
/// let tree = Tree::build(kind, &leaves);
/// let path: Vec<_> = tree.path(1).collect();
/// assert!(verify_path(kind, &leaves[1], 1, 3, &path, &tree.root()));
/// assert!(!verify_path(kind, &leaves[2], 1, 3, &path, &tree.root()));
/// ```
#[derive(Clone, Debug)]
pub struct Tree {
    kind: TreeKind,
    /// All levels, leaves first; each half as long as the one before, rounded up, down to one.
    nodes: Vec<Digest>,
    count: u32,
    root: Digest,
}

impl Tree {
    /// The tree over `leaves`, which may be none.
    ///
    /// # Panics
    /// At 2³² leaves and above.
    #[must_use]
    pub fn build(kind: TreeKind, leaves: &[Digest]) -> Self {
        let mut tree = Self {
            kind,
            nodes: Vec::new(),
            count: 0,
            root: Digest::ZERO,
        };
        tree.rebuild(leaves);
        tree
    }

    /// Makes this the tree over `leaves`. Allocates only if it never held as many.
    ///
    /// # Panics
    /// At 2³² leaves and above.
    pub fn rebuild(&mut self, leaves: &[Digest]) {
        self.count = count_of(leaves);
        self.nodes.clear();
        self.nodes.extend_from_slice(leaves);
        let (mut start, mut len) = (0, leaves.len());
        while len > 1 {
            let end = start + len;
            let pairs = len / 2;
            self.nodes.resize(end + pairs, Digest::ZERO);
            let (below, above) = self.nodes.split_at_mut(end);
            hash_pairs(self.kind, &below[start..start + 2 * pairs], above);
            if len % 2 == 1 {
                self.nodes.push(self.nodes[end - 1]);
            }
            (start, len) = (end, len.div_ceil(2));
        }
        let top = self.nodes.last().copied().unwrap_or(Digest::ZERO);
        self.root = root_over(self.kind.root, self.count, &top);
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The path of leaf `index`: the sibling on each level that has one, from the leaf up.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn path(&self, index: u32) -> impl Iterator<Item = Digest> + '_ {
        self.path_below(index, LEVELS)
    }

    /// The elements of that path below a level.
    fn path_below(&self, index: u32, level: usize) -> impl Iterator<Item = Digest> + '_ {
        assert!(index < self.count, "leaf {index} of {}", self.count);
        let mut start = 0;
        siblings(index as usize, self.count as usize)
            .take(level)
            .filter_map(move |(sibling, len)| {
                let level = &self.nodes[start..start + len];
                start += len;
                level.get(sibling).copied()
            })
    }

    /// Appends the path of leaf `index` to `out`, 32 bytes an element.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn write_path(&self, index: u32, out: &mut Vec<u8>) {
        self.write_shared_path(None, index, out);
    }
}

/// For each level below the top: the index that is beside the leaf's ancestor, and the level's length. An index that is
/// not below the length is that of a promoted node.
fn siblings(mut index: usize, mut len: usize) -> impl Iterator<Item = (usize, usize)> {
    core::iter::from_fn(move || {
        (len > 1).then(|| {
            let level = (index ^ 1, len);
            (index, len) = (index / 2, len.div_ceil(2));
            level
        })
    })
}

/// How many elements the path of leaf `index` has in a tree of `count` leaves; 0 if there is no such leaf.
#[must_use]
pub fn path_len(index: u32, count: u32) -> usize {
    shared_path_len(None, index, count)
}

/// True iff `leaf` stands at `index` in the list of `count` leaves that `root` is over. Safe on any input: an index out
/// of range and a path of any other length than [`path_len`] are refused.
#[must_use]
pub fn verify_path(kind: TreeKind, leaf: &Digest, index: u32, count: u32, path: &[Digest], root: &Digest) -> bool {
    if index >= count {
        return false;
    }
    let mut path = path.iter();
    let mut node = *leaf;
    for (sibling, len) in siblings(index as usize, count as usize) {
        if sibling >= len {
            continue;
        }
        let Some(beside) = path.next() else {
            return false;
        };
        node = if sibling % 2 == 1 {
            kind.node(&node, beside)
        } else {
            kind.node(beside, &node)
        };
    }
    path.next().is_none() && root_over(kind.root, count, &node) == *root
}

#[cfg(test)]
mod tests;
