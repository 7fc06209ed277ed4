//! The state tree: what a changed channel costs, off the commit path and on it, and what a proof costs.

use std::{hint::black_box, time::Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_batch::{BlockInput, Engine, Executed, Input, Store, TABLES, VecSlots};
use tidegate_channel::{ChannelEntry, EntryProof};
use tidegate_crypto::merkle::{StateTree, verify_state_path};
use tidegate_hub::commitment::{AsOf, Commitment};
use tidegate_table::Lsn;
use tidegate_types::{ChannelId, Digest, Height, UnixMillis};

use crate::{
    measure::{Bench, OWN, REPETITIONS, Spread, Unit},
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
    bench.measure(&update, Unit::Micros, changed, || {
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

/// Payments between random channels: what noting the changes costs the thread that executes, and what the tree costs
/// the thread that keeps it. Two engines execute the same batches, one of which notes.
pub(super) fn beside_payments(bench: &mut Bench, channels: usize, payments: usize) -> Result<(), SuiteError> {
    let count = u32::try_from(channels).expect("channels are counted in u32");
    let mut engines = [engine(count)?, engine(count)?];
    engines[NOTED].note_changes(true);
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let mut kept = Commitment::build(&engines[NOTED], Lsn::ZERO, &pool, &mut |_, _| {});
    let mut payers = Payers::new(count, 1);
    let (mut inputs, mut executed) = (Vec::new(), Executed::default());
    // Until every channel has been paid its records are new; those rounds are not measured.
    let warm = bench.scale().pick(channels.div_ceil(payments) * 2, 1);
    let turns = bench.scale().pick(REPETITIONS * 2, 2);
    let mut times = [const { Vec::new() }; 3];
    for turn in 0..warm + turns {
        let paid = payers.inputs(payments, &mut inputs) as f64;
        let mut took = [0.0; 3];
        // The second to execute finds the inputs in the cache: they take turns in that.
        for engine in [turn % 2, (turn + 1) % 2] {
            let begin = Instant::now();
            engines[engine].execute(UnixMillis::new(turn as u64 + 2), &inputs, &mut executed)?;
            took[engine] = begin.elapsed().as_secs_f64();
            if engine == NOTED {
                let batch = engines[NOTED].opened().batch;
                let begin = Instant::now();
                kept.take(&executed.changes, AsOf { batch, lsn: Lsn::ZERO });
                took[KEPT] = begin.elapsed().as_secs_f64();
            }
        }
        payers.take(&executed)?;
        let begin = Instant::now();
        kept.settle();
        took[KEPT] += begin.elapsed().as_secs_f64();
        if turn >= warm {
            times.iter_mut().zip(took).for_each(|(all, s)| all.push(s * 1e6 / paid));
        }
    }
    assert_eq!(
        kept.root().root,
        engines[NOTED].state_root(),
        "the kept tree is that of the engine"
    );
    report(bench, &format!("channels={channels},payments={payments}"), times);
    Ok(())
}

const NOTED: usize = 1;
const KEPT: usize = 2;

fn report(bench: &mut Bench, size: &str, times: [Vec<f64>; 3]) {
    let names = [
        format!("batch::execute/changes=left,{size}"),
        format!("batch::execute/changes=noted,{size}"),
        format!("commitment::settle/{size}"),
    ];
    // Of each turn the ratio, so that what else the machine did in it meets both.
    let mut ratios: Vec<f64> = times[NOTED]
        .iter()
        .zip(&times[0])
        .map(|(noted, left)| noted / left)
        .collect();
    let ratio = Spread::of(&mut ratios).median;
    for (name, mut values) in names.iter().zip(times) {
        bench.add(OWN, name, Unit::Micros, &mut values);
    }
    bench.compare("a batch that notes its changes / that does not", ratio);
}

fn engine(channels: u32) -> Result<Engine<VecSlots>, SuiteError> {
    let params = params(0);
    let tables = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 1 << 28)));
    let mut engine = Engine::create(tables, params.hub, params.ledger, params.policy, params.salt_secret)?;
    let block = BlockInput {
        height: Height::ZERO,
        hash: Digest::from_bytes([1; 32]),
        opened: openings(channels).collect(),
        closed: Vec::new(),
    };
    engine.execute(UnixMillis::new(1), &[Input::Block(block)], &mut Executed::default())?;
    Ok(engine)
}
