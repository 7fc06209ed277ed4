//! Paths of many leaves of one tree, each but the first only as long as the one before it does not prove.
//!
//! ```text
//!              top                 leaf 1, first:    0  B  C        its own whole path
//!         ┌─────┴─────┐            leaf 2, shared:   3              climbs to B, which leaf 1's path has proved
//!         A           C            leaf 6, shared:   7  E           climbs to C
//!      ┌──┴──┐     ┌──┴──┐
//!      ·     B     E     ·         digests: 3 + 1 + 2 instead of 3 × 3
//!     0 1   2 3   4 5   6 7
//! ```
//!
//! Let `i < j` be the indices of two leaves, and `J` the highest bit in which they differ. On level `J` their ancestors are
//! siblings: so the path of `i` names the ancestor of `j` there, and whoever has checked that path has checked this node. It is
//! enough that `j` climbs to it. In ascending order no leaf before `i` meets `j` lower than `i` does, so only the one before
//! has to be remembered. (A compact multiproof would leave out of `i`'s path what `j` leads to, one digest a leaf more; then no leaf
//! could be checked before the last has come.)

use tidegate_types::Digest;

use super::{LEVELS, Tree, TreeKind, path_len, siblings};
use crate::merkle::root_over;

/// How many elements the path of leaf `index` has for whoever has checked that of `before`; all of them if nobody has, or if
/// the indices do not ascend.
#[must_use]
pub fn shared_path_len(before: Option<u32>, index: u32, count: u32) -> usize {
    if index >= count {
        return 0;
    }
    let on_the_way = siblings(index as usize, count as usize).take(own_levels(before, index));
    on_the_way.filter(|&(sibling, len)| sibling < len).count()
}

/// How many levels of its way a leaf shows for itself.
fn own_levels(before: Option<u32>, index: u32) -> usize {
    let meets = before.and_then(|before| meeting_level(before, index));
    meets.unwrap_or(LEVELS)
}

/// The level on which the ancestors of two leaves are siblings; none unless the first is further left.
const fn meeting_level(left: u32, right: u32) -> Option<usize> {
    if left < right {
        Some((u32::BITS - 1 - (left ^ right).leading_zeros()) as usize)
    } else {
        None
    }
}

impl Tree {
    /// Appends what the path of leaf `index` has beyond that of `before` to `out`: [`shared_path_len`] elements.
    ///
    /// # Panics
    /// If there is no such leaf.
    pub fn write_shared_path(&self, before: Option<u32>, index: u32, out: &mut Vec<u8>) {
        let elements = self.path_below(index, own_levels(before, index));
        elements.for_each(|element| out.extend_from_slice(element.as_bytes()));
    }
}

/// Checks leaves of one tree, one behind the other, and remembers the way of the newest.
///
/// ```
/// use tidegate_crypto::merkle::{RECEIPTS, SharedPaths, Tree};
/// let leaves = [b"a", b"b", b"c", b"d"].map(|entry| RECEIPTS.leaf(entry));
/// let tree = Tree::build(RECEIPTS, &leaves);
/// let mut paths = SharedPaths::new(RECEIPTS, 4, tree.root());
/// let whole: Vec<_> = tree.path(1).collect();
/// assert!(paths.check(&leaves[1], 1, &whole));
/// // Leaf 2 meets that way one level up: its sibling is enough.
/// assert!(paths.check_shared(&leaves[2], 2, &leaves[3..]));
/// assert!(paths.path().eq(tree.path(2)));
/// ```
#[derive(Clone, Debug)]
pub struct SharedPaths {
    kind: TreeKind,
    count: u32,
    root: Digest,
    /// The newest leaf that was checked.
    last: Option<u32>,
    /// Its ancestors by level, from itself up, and what is beside each; above the top, and beside a promoted node, anything.
    nodes: [Digest; LEVELS],
    beside: [Digest; LEVELS],
}

impl SharedPaths {
    /// For the tree of `count` leaves under `root`.
    #[must_use]
    pub const fn new(kind: TreeKind, count: u32, root: Digest) -> Self {
        Self {
            kind,
            count,
            root,
            last: None,
            nodes: [Digest::ZERO; LEVELS],
            beside: [Digest::ZERO; LEVELS],
        }
    }

    /// True iff `leaf` stands at `index`, by its whole path; then it is the newest. Otherwise there is none. Safe on any input.
    #[must_use]
    pub fn check(&mut self, leaf: &Digest, index: u32, path: &[Digest]) -> bool {
        self.last = None;
        if index >= self.count || path.len() != path_len(index, self.count) {
            return false;
        }
        let top = self.climb(leaf, index, path, LEVELS);
        let good = root_over(self.kind.root_domain(), self.count, &top) == self.root;
        self.last = good.then_some(index);
        good
    }

    /// True iff `leaf` stands at `index`, by a path that ends where it meets that of the newest leaf; then it is the newest.
    /// Otherwise there is none, as after a path that is longer or shorter, and for an index that is not above the newest.
    /// Safe on any input.
    #[must_use]
    pub fn check_shared(&mut self, leaf: &Digest, index: u32, path: &[Digest]) -> bool {
        let Some(before) = self.last.take() else {
            return false;
        };
        let Some(level) = meeting_level(before, index) else {
            return false;
        };
        if index >= self.count || path.len() != shared_path_len(Some(before), index, self.count) {
            return false;
        }
        let (known, other) = (self.beside[level], self.nodes[level]);
        let met = self.climb(leaf, index, path, level);
        if met != known {
            return false;
        }
        (self.nodes[level], self.beside[level]) = (met, other);
        self.last = Some(index);
        true
    }

    /// The whole path of the newest leaf; empty if there is none.
    pub fn path(&self) -> impl Iterator<Item = Digest> + '_ {
        let ways = self.last.map(|index| siblings(index as usize, self.count as usize));
        let levels = ways.into_iter().flatten().zip(&self.beside);
        levels.filter_map(|((sibling, len), beside)| (sibling < len).then_some(*beside))
    }

    /// The ancestor of `leaf` on `level`, or the top if that is lower; notes the way there. `path` is as long as the way.
    fn climb(&mut self, leaf: &Digest, index: u32, path: &[Digest], level: usize) -> Digest {
        let mut path = path.iter();
        let mut node = *leaf;
        for (at, (sibling, len)) in siblings(index as usize, self.count as usize).take(level).enumerate() {
            self.nodes[at] = node;
            if sibling >= len {
                continue;
            }
            let beside = path.next().expect("as many as there are siblings");
            self.beside[at] = *beside;
            node = if sibling % 2 == 1 {
                self.kind.node(&node, beside)
            } else {
                self.kind.node(beside, &node)
            };
        }
        node
    }
}

#[cfg(test)]
mod tests;
