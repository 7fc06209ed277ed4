//! The roots of many small lists at a time.
//!
//! Every leaf of a batch carries the roots of a few lists with mostly one or two entries. Singly each costs a hash alone
//! in its lane; together they cost a tenth.

use tidegate_types::Digest;

use super::binary::TreeKind;
use super::{LANES, root_block};
use crate::hash::{hash_many, hash_many_refs};

/// Memory that [`roots`] uses again and again.
#[derive(Debug, Default)]
pub struct RootsScratch {
    level: Vec<Digest>,
    above: Vec<Digest>,
    lens: Vec<usize>,
    blocks: Vec<[u8; 64]>,
}

/// `out[i]` becomes [`super::root`] over list `i`. The lists stand one behind the other in `leaves`, list `i` with
/// `counts[i]` entries. Allocates only if `scratch` never held as many.
///
/// ```
/// use tidegate_crypto::merkle::{self, LIST, RootsScratch};
/// use tidegate_types::Digest;
/// let leaves = [LIST.leaf(b"a"), LIST.leaf(b"b"), LIST.leaf(b"c")];
/// let mut out = [Digest::ZERO; 3];
/// merkle::roots(LIST, &leaves, &[2, 0, 1], &mut out, &mut RootsScratch::default());
/// assert_eq!(out, [&leaves[..2], &[], &leaves[2..]].map(|list| merkle::root(LIST, list)));
/// ```
///
/// # Panics
/// If `counts` and `out` differ in length, or `counts` do not add up to the number of leaves.
pub fn roots(kind: TreeKind, leaves: &[Digest], counts: &[u32], out: &mut [Digest], scratch: &mut RootsScratch) {
    assert_eq!(counts.len(), out.len(), "one root per list");
    let total: usize = counts.iter().map(|&count| count as usize).sum();
    assert_eq!(total, leaves.len(), "the lists fill the leaves");
    let RootsScratch {
        level,
        above,
        lens,
        blocks,
    } = scratch;
    level.clear();
    level.extend_from_slice(leaves);
    lens.clear();
    lens.extend(counts.iter().map(|&count| count as usize));
    while lens.iter().any(|&len| len > 1) {
        fold_level(kind, level, lens, above);
        core::mem::swap(level, above);
    }
    let mut tops = level.iter();
    blocks.clear();
    blocks.extend(counts.iter().zip(lens).map(|(&count, &mut len)| match len {
        0 => root_block(count, &Digest::ZERO),
        _ => root_block(count, tops.next().expect("a list that is not empty has a top")),
    }));
    hash_many(kind.root_domain(), blocks, out);
}

/// Halves every list of `level` into `above`: pairs are hashed together across lists, odd nodes are promoted.
fn fold_level(kind: TreeKind, level: &[Digest], lens: &mut [usize], above: &mut Vec<Digest>) {
    above.clear();
    above.resize(lens.iter().map(|len| len.div_ceil(2)).sum(), Digest::ZERO);
    let mut lanes = Lanes {
        kind,
        refs: [&[0; 64]; LANES],
        places: [0; LANES],
        count: 0,
    };
    let (mut rest, mut place) = (level, 0);
    for len in lens {
        let (list, others) = rest.split_at(*len);
        let (pairs, odd) = list.as_chunks::<2>();
        for pair in pairs {
            lanes.push(bytemuck::cast_ref(pair), place, above);
            place += 1;
        }
        if let [odd] = odd {
            above[place] = *odd;
            place += 1;
        }
        (rest, *len) = (others, len.div_ceil(2));
    }
    lanes.flush(above);
}

/// Pairs that wait until all lanes are taken.
struct Lanes<'a> {
    kind: TreeKind,
    refs: [&'a [u8; 64]; LANES],
    places: [usize; LANES],
    count: usize,
}

impl<'a> Lanes<'a> {
    fn push(&mut self, pair: &'a [u8; 64], place: usize, out: &mut [Digest]) {
        (self.refs[self.count], self.places[self.count]) = (pair, place);
        self.count += 1;
        if self.count == LANES {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut [Digest]) {
        let count = core::mem::take(&mut self.count);
        let mut digests = [Digest::ZERO; LANES];
        hash_many_refs(self.kind.node_domain(), &self.refs[..count], &mut digests[..count]);
        for (&place, digest) in self.places[..count].iter().zip(digests) {
            out[place] = digest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{LIST, OUTCOMES, root};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn many_roots_are_the_roots_of_each(
            lists in prop::collection::vec(prop::collection::vec(any::<[u8; 32]>(), 0..70), 0..40),
            again in prop::collection::vec(prop::collection::vec(any::<[u8; 32]>(), 0..3), 0..40),
        ) {
            let mut scratch = RootsScratch::default();
            for (kind, lists) in [(LIST, lists), (OUTCOMES, again)] {
                let lists: Vec<Vec<Digest>> =
                    lists.into_iter().map(|list| list.into_iter().map(Digest::from_bytes).collect()).collect();
                let counts: Vec<u32> = lists.iter().map(|list| u32::try_from(list.len()).expect("short")).collect();
                let mut out = vec![Digest::ZERO; lists.len()];
                roots(kind, &lists.concat(), &counts, &mut out, &mut scratch);
                let each: Vec<_> = lists.iter().map(|list| root(kind, list)).collect();
                prop_assert_eq!(out, each);
            }
        }
    }
}
