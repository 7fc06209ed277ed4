//! Hashing and trees: one at a time, and as a batch does it, level by level across channels.

use std::{hint::black_box, path::Path};

use tidegate_crypto::{
    hash::{Domain, hash, hash_many},
    merkle::{
        LockChange, LockScratch, LockTree, RECEIPTS, SharedPaths, Tree, shared_path_len, update_lock_trees, verify_path,
    },
};
use tidegate_types::{Digest, LockSlot};

mod state;

use super::{Suite, SuiteError};
use crate::measure::{Bench, OWN, Unit};
use crate::report::Row;

/// Hashes, lock trees, receipt trees.
pub(super) struct Merkle;

impl Suite for Merkle {
    fn name(&self) -> &'static str {
        "merkle"
    }

    fn about(&self) -> &'static str {
        "hashes, lock trees, receipt trees: singly and many at a time; the state tree: changes, proofs, beside payments"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        let count = bench.scale().pick(4_096, 64);
        hashes(bench, count);
        lock_trees(bench, count);
        receipts(bench, count);
        if bench.wants("merkle::StateTree") || bench.wants("merkle::verify_state_path") {
            for slots in [1_000_000, 10_000_000] {
                state::tree(bench, bench.scale().pick(slots, slots / 1_000), count);
            }
        }
        if bench.wants("batch::") || bench.wants("commitment::") {
            let (channels, payments) = (bench.scale().pick(20_000, 200), bench.scale().pick(4_096, 40));
            state::beside_payments(bench, folder, channels, payments)?;
        }
        Ok(())
    }
}

fn hashes(bench: &mut Bench, count: usize) {
    let inputs: Vec<[u8; 64]> = (0..count).map(|i| [i.to_le_bytes()[0]; 64]).collect();
    let mut out = vec![Digest::ZERO; count];
    let single = "hash::hash/bytes=64";
    bench.measure(single, Unit::Nanos, count, || {
        for (input, out) in inputs.iter().zip(&mut out) {
            *out = hash(Domain::StateLeaf, black_box(input));
        }
        black_box(&out);
    });
    let many = format!("hash::hash_many/bytes=64,count={count}");
    bench.measure(&many, Unit::Nanos, count, || {
        hash_many(Domain::StateLeaf, black_box(&inputs), &mut out);
        black_box(&out);
    });
    bench.ratio("hash one / many at a time", single, &many);
}

fn lock_trees(bench: &mut Bench, count: usize) {
    let mut trees = vec![LockTree::empty(); count];
    let changes: Vec<LockChange> = (0..u32::try_from(count).expect("a small batch"))
        .map(|tree| {
            let slot = u8::try_from(tree as usize % LockSlot::COUNT)
                .ok()
                .and_then(LockSlot::new)
                .expect("below 64");
            LockChange {
                tree,
                slot,
                group: [Digest::from_bytes([tree.to_le_bytes()[0]; 32]); 4],
            }
        })
        .collect();
    let single = "merkle::LockTree::update/slots=1";
    bench.measure(single, Unit::Nanos, count, || {
        for (tree, change) in trees.iter_mut().zip(&changes) {
            tree.update(change.slot, black_box(&change.group));
        }
        black_box(&trees);
    });
    let many = format!("merkle::update_lock_trees/trees={count}");
    let mut scratch = LockScratch::default();
    bench.measure(&many, Unit::Nanos, count, || {
        update_lock_trees(&mut trees[..], black_box(&changes), &mut scratch);
        black_box(&trees);
    });
    bench.ratio("lock update one / many at a time", single, &many);
}

fn receipts(bench: &mut Bench, count: usize) {
    let leaves: Vec<Digest> = (0..count).map(|i| RECEIPTS.leaf(&i.to_le_bytes())).collect();
    let mut tree = Tree::build(RECEIPTS, &leaves);
    let build = format!("merkle::Tree::rebuild/leaves={count}");
    bench.measure(&build, Unit::Nanos, count, || tree.rebuild(black_box(&leaves)));
    let indices = 0..u32::try_from(count).expect("a small tree");
    let mut path = Vec::new();
    bench.measure(
        &format!("merkle::Tree::write_path/leaves={count}"),
        Unit::Nanos,
        count,
        || {
            for index in indices.clone() {
                path.clear();
                tree.write_path(black_box(index), &mut path);
            }
            black_box(&path);
        },
    );
    let paths: Vec<Vec<Digest>> = indices.clone().map(|index| tree.path(index).collect()).collect();
    let check = format!("merkle::verify_path/leaves={count}");
    bench.measure(&check, Unit::Nanos, count, || {
        for (index, (leaf, path)) in indices.clone().zip(leaves.iter().zip(&paths)) {
            let good = verify_path(RECEIPTS, leaf, index, tree.count(), path, &tree.root());
            assert!(black_box(good), "a path of the tree fits its root");
        }
    });
    bench.ratio("path check / its share of the tree", &check, &build);
    shared_receipts(bench, (&tree, &leaves), &check);
}

/// As one of this many connections has them that carry the leaves of a batch: every so many-th leaf.
const CONNECTIONS: usize = 64;

/// The paths of one connection's leaves, where each is only as long as the one before it does not prove.
fn shared_receipts(bench: &mut Bench, (tree, leaves): (&Tree, &[Digest]), whole: &str) {
    let mine: Vec<u32> = (0..tree.count()).step_by(CONNECTIONS).collect();
    let before: Vec<Option<u32>> = [None].into_iter().chain(mine.iter().copied().map(Some)).collect();
    let mut bytes = Vec::new();
    let keys = format!("leaves={},connections={CONNECTIONS}", tree.count());
    bench.measure(
        &format!("merkle::Tree::write_shared_path/{keys}"),
        Unit::Nanos,
        mine.len(),
        || {
            bytes.clear();
            for (before, index) in before.iter().zip(&mine) {
                tree.write_shared_path(*before, black_box(*index), &mut bytes);
            }
            black_box(&bytes);
        },
    );
    let digests: Vec<Digest> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|chunk| Digest::from_bytes(*chunk))
        .collect();
    let check = format!("merkle::SharedPaths::check/{keys}");
    bench.measure(&check, Unit::Nanos, mine.len(), || {
        let mut paths = SharedPaths::new(RECEIPTS, tree.count(), tree.root());
        let mut rest = &digests[..];
        for (before, index) in before.iter().zip(&mine) {
            let (path, behind) = rest.split_at(shared_path_len(*before, *index, tree.count()));
            let leaf = &leaves[*index as usize];
            let good = match before {
                Some(_) => paths.check_shared(leaf, *index, path),
                None => paths.check(leaf, *index, path),
            };
            assert!(black_box(good), "a path of the tree fits its root");
            rest = behind;
        }
    });
    bench.ratio("shared path check / whole one", &check, whole);
    #[expect(clippy::cast_precision_loss, reason = "a few kilobytes")]
    let each = bytes.len() as f64 / mine.len() as f64;
    let name = format!("merkle::shared_path/{keys}");
    bench.adopt(Row::counted(OWN, &name, "B", each, mine.len() as u64));
}
