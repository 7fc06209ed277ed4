//! The digests of a batch's leaves, level by level across channels: entries, roots of the lists, the two parts, the leaf.

use tidegate_channel::{LeafPublic, many};
use tidegate_crypto::merkle::{self, LIST, OUTCOMES, RootsScratch, TreeKind};
use tidegate_types::Digest;

use crate::engine::Engine;
use crate::executed::LeafOut;
use crate::slots::Slots;
use crate::store::digest;

/// Memory for the digests of one batch, used again by the next: in parts of neighbouring leaves.
#[derive(Debug, Default)]
pub(crate) struct LeafDigests {
    parts: Vec<Part>,
    /// Of each leaf's private part.
    pub(crate) private: Vec<Digest>,
}

#[derive(Debug, Default)]
struct Part {
    private: Vec<Digest>,
    public: Vec<Digest>,
    digests: Vec<Digest>,
    credited: ListRoots,
    failed: ListRoots,
    outcomes: ListRoots,
    roots: RootsScratch,
}

/// The roots of one list of every leaf. Empty lists have none: their root is zero.
#[derive(Debug, Default)]
struct ListRoots {
    entries: Vec<Digest>,
    /// How many entries each list that is not empty has, and the leaf that it belongs to.
    counts: Vec<u32>,
    leaves: Vec<usize>,
    roots: Vec<Digest>,
}

impl ListRoots {
    fn begin<'a>(&mut self, leaves: &'a [LeafOut], len: impl Fn(&'a LeafOut) -> usize) {
        self.entries.clear();
        self.counts.clear();
        self.leaves.clear();
        for (at, len) in leaves.iter().map(len).enumerate().filter(|&(_, len)| len > 0) {
            self.counts.push(u32::try_from(len).expect("a leaf's lists are short"));
            self.leaves.push(at);
        }
    }

    fn fold(&mut self, kind: TreeKind, scratch: &mut RootsScratch) {
        self.roots.clear();
        self.roots.resize(self.counts.len(), Digest::ZERO);
        merkle::roots(kind, &self.entries, &self.counts, &mut self.roots, scratch);
    }

    /// Each leaf that has a list, and the list's root.
    fn each(&self) -> impl Iterator<Item = (usize, Digest)> {
        self.leaves.iter().copied().zip(self.roots.iter().copied())
    }
}

impl LeafDigests {
    /// Fills in both parts of each leaf, and appends its digest to `out`. `parts` of the leaves are hashed side by side.
    pub(super) fn hash<S: Slots>(
        &mut self,
        engine: &Engine<S>,
        (leaves, parts): (&mut [LeafOut], usize),
        out: &mut Vec<Digest>,
    ) {
        self.parts.resize_with(parts, Part::default);
        self.private.clear();
        let each = leaves.len().div_ceil(parts).max(1);
        if parts == 1 {
            self.parts[0].hash(engine, leaves);
        } else {
            let mut work: Vec<_> = leaves.chunks_mut(each).zip(&mut self.parts).collect();
            engine.side_by_side(&mut work, |_, (leaves, part)| part.hash(engine, leaves));
        }
        for part in self.parts.iter().take(leaves.len().div_ceil(each)) {
            self.private.extend_from_slice(&part.private);
            out.extend_from_slice(&part.digests);
        }
    }
}

impl Part {
    fn hash<S: Slots>(&mut self, engine: &Engine<S>, leaves: &mut [LeafOut]) {
        self.list_roots(leaves);
        for leaf in leaves.iter_mut() {
            leaf.public = LeafPublic {
                previous: digest(&engine.record(leaf.channel).leaf_digest),
                credited_root: Digest::ZERO,
                failed_root: Digest::ZERO,
            };
            leaf.private = engine.private_part(leaf);
        }
        for (at, root) in self.credited.each() {
            leaves[at].public.credited_root = root;
        }
        for (at, root) in self.failed.each() {
            leaves[at].public.failed_root = root;
        }
        for (at, root) in self.outcomes.each() {
            leaves[at].private.outcomes_root = root;
        }
        self.private.clear();
        many::private_digests(leaves.iter().map(|leaf| &leaf.private), &mut self.private);
        self.public.clear();
        many::public_digests(leaves.iter().map(|leaf| &leaf.public), &mut self.public);
        self.digests.clear();
        many::leaf_digests(&self.private, &self.public, &mut self.digests);
    }

    fn list_roots(&mut self, leaves: &[LeafOut]) {
        let Self {
            credited,
            failed,
            outcomes,
            roots,
            ..
        } = self;
        credited.begin(leaves, |leaf| leaf.credits.len());
        many::credit_entries(leaves.iter().flat_map(|leaf| &leaf.credits), &mut credited.entries);
        credited.fold(LIST, roots);
        failed.begin(leaves, |leaf| leaf.outcomes.iter().filter(|o| o.is_failed()).count());
        let all = || leaves.iter().flat_map(|leaf| &leaf.outcomes);
        many::failed_entries(all().filter(|o| o.is_failed()), &mut failed.entries);
        failed.fold(LIST, roots);
        outcomes.begin(leaves, |leaf| leaf.outcomes.len());
        many::outcome_entries(all(), &mut outcomes.entries);
        outcomes.fold(OUTCOMES, roots);
    }
}
