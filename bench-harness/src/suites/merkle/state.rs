//! The state tree: what a changed channel costs, off the commit path and on it, and what a proof costs.

use std::{hint::black_box, path::Path, sync::Arc, time::Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_batch::{Changes, Executed};
use tidegate_channel::{ChannelEntry, EntryProof};
use tidegate_crypto::merkle::{StateTree, verify_state_path};
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::{
    commitment::{AsOf, Commitment},
    state::{self, HubEngine, HubState},
};
use tidegate_table::Lsn;
use tidegate_types::{ChannelId, Digest, UnixMillis};

use crate::{
    measure::{Bench, OWN, REPETITIONS, Unit},
    suites::{
        SuiteError,
        recovery::payers::{Payers, openings, params},
    },
};

/// Sets of changed channels that are gone through in turns, so that no set is in the cache when it comes again.
const SETS: usize = 32;

/// A tree of many channels: built, changed, asked for proofs.
pub(super) fn tree(bench: &mut Bench, slots: usize, changed: usize) {
    let count = u32::try_from(slots).expect("channels are counted in u32");
    let fill = |first: u32, out: &mut [Digest]| {
        let entries: Vec<_> = (first..).map(entry).take(out.len()).collect();
        ChannelEntry::digests(&entries, out);
    };
    let build = format!("merkle::StateTree::build_with/slots={slots}");
    bench.measure(&build, Unit::Nanos, slots, || {
        black_box(StateTree::build_with(count, fill));
    });
    let mut tree = StateTree::build_with(count, fill);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let sets: Vec<Vec<u32>> = (0..SETS)
        .map(|_| (0..changed).map(|_| random.random_range(0..count)).collect())
        .collect();
    let entries: Vec<_> = (1..=count).map(entry).take(changed).collect();
    let mut digests = vec![Digest::ZERO; changed];
    let mut turn = 0;
    let update = format!("merkle::StateTree::update/slots={slots},changed={changed},hashing=entries");
    bench.measure(&update, Unit::Nanos, changed, || {
        turn = (turn + 1) % SETS;
        ChannelEntry::digests(black_box(&entries), &mut digests[..entries.len()]);
        tree.update(&sets[turn], &digests);
        black_box(tree.root());
    });
    let proofs: Vec<EntryProof> = sets[0]
        .iter()
        .map(|&slot| EntryProof::of(&tree, slot, entries[0]))
        .collect();
    bench.measure(
        &format!("merkle::StateTree::path/slots={slots}"),
        Unit::Nanos,
        changed,
        || {
            for &slot in &sets[0] {
                black_box(EntryProof::of(&tree, black_box(slot), entries[0]));
            }
        },
    );
    let root = tree.root();
    let check = format!("merkle::verify_state_path/slots={slots}");
    bench.measure(&check, Unit::Nanos, changed, || {
        for proof in &proofs {
            let leaf = tree.leaf(proof.slot).expect("the slots drawn are below the count");
            let held = verify_state_path(&leaf, proof.slot, proof.count, black_box(&proof.path), &root);
            assert!(held.is_ok(), "a path of the tree fits its root");
        }
    });
    bench.ratio(&format!("path check / change, {slots} slots"), &check, &update);
}

fn entry(number: u32) -> ChannelEntry {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    ChannelEntry {
        channel: ChannelId::from_bytes(id),
        client_counter: number.into(),
        status: ChannelEntry::ACTIVE,
        ..ChannelEntry::ZERO
    }
}

/// Payments between random channels over the hub's own tables: what noting the changes costs the thread that executes,
/// and what the tree costs the thread that keeps it.
///
/// Noting is measured by doing once more, behind a batch, what the batch did last: the entries of the channels it
/// touched are copied into a list. Two engines side by side differ by less than this machine's noise.
pub(super) fn beside_payments(
    bench: &mut Bench,
    folder: &Path,
    channels: usize,
    payments: usize,
) -> Result<(), SuiteError> {
    let count = u32::try_from(channels).expect("channels are counted in u32");
    let mut engine = engine(&folder.join("hub"), count)?;
    engine.note_changes(true);
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let mut kept = Commitment::build(&engine, Lsn::ZERO, &pool, &mut |_, _| {});
    let mut payers = Payers::new(count, 1);
    let (mut inputs, mut executed, mut changes) = (Vec::new(), Executed::default(), Changes::default());
    // Until every channel holds as many leaves as it ever does, each payment takes new memory; that is not measured.
    let warm = bench.scale().pick(channels * LEAVES_KEPT / payments / 2, 1);
    let turns = bench.scale().pick(REPETITIONS * 4, 2);
    let mut times = [const { Vec::new() }; 3];
    for turn in 0..warm + turns {
        let paid = payers.inputs(payments, &mut inputs) as f64;
        let mut marks = [Instant::now(); 4];
        engine.execute(UnixMillis::new(turn as u64 + 2), &inputs, &mut executed)?;
        marks[1] = Instant::now();
        changes.clear();
        for &slot in executed.changes.slots() {
            changes.push(slot, engine.entry(slot).expect("the engine named it"));
        }
        marks[2] = Instant::now();
        let batch = engine.opened().batch;
        kept.take(black_box(&changes), AsOf { batch, lsn: Lsn::ZERO });
        kept.settle();
        marks[3] = Instant::now();
        payers.take(&executed)?;
        if turn >= warm {
            for (times, marks) in times.iter_mut().zip(marks.windows(2)) {
                times.push((marks[1] - marks[0]).as_secs_f64() * 1e9 / paid);
            }
        }
    }
    let root = engine.state_root();
    assert_eq!(kept.root().root, root, "the kept tree is that of the engine");
    let names = ["batch::execute", "batch::note_changes", "commitment::settle"]
        .map(|name| format!("{name}/channels={channels},payments={payments}"));
    for (name, values) in names.iter().zip(times) {
        bench.add(OWN, name, Unit::Nanos, &values);
    }
    bench.ratio("noting what a batch changed / the batch", &names[1], &names[0]);
    bench.ratio("keeping the tree / the batch", &names[2], &names[0]);
    Ok(())
}

/// How many leaves the engine keeps of a channel whose client acknowledges them.
const LEAVES_KEPT: usize = 64;

fn engine(folder: &Path, channels: u32) -> Result<HubEngine, SuiteError> {
    std::fs::create_dir(folder)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (block, time) = (Digest::from_bytes([1; 32]), UnixMillis::new(1));
    state::create(&disk, folder, &params(1 << 20), block, time, openings(channels))?;
    Ok(HubState::open(&disk, folder, &mut |_| {})?.engine)
}
