//! The store that keeps outputs of the genesis as bits, beside the table of all outputs and the ordered map of the engine: one
//! ledger, whatever is opened, closed, undone, or read back from an image.

#[path = "../../../engine/ledger/tests/common/mod.rs"]
mod common;
#[path = "../../../engine/ledger/tests/dispute/world.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{CloseKit, genesis_bytes, key, sat, spend};
use proptest::prelude::*;
use tidegate_channel::evidence::Opener;
use tidegate_disk::{Disk, FaultyDisk, OpenMode};
use tidegate_ledger::{
    Block, Chain, Condition, Genesis, LedgerParams, Output, Transaction, Trust, Utxo, UtxoStore, genesis_outpoint,
};
use tidegate_settle::{Node, NodeOptions, TableStore, TieredStore};
use tidegate_types::{Age, Fixed, OutPoint};
use world::{CLIENT, World, params, terms};

const DEPTH: u32 = 3;
/// Outputs of the genesis: eleven groups that are read together, the last one not full; and six pages of the tree of positions, of
/// which the first has records among its positions, the last is not full, and the others are left out of memory.
const OUTPUTS: u32 = 331;
/// Two that are stakes; behind each the ledger puts a record.
const STAKES: [u32; 2] = [8, 41];

fn depth() -> LedgerParams {
    LedgerParams {
        finality_depth: Age::new(DEPTH),
        transaction_bytes_max: 16 << 10,
        block_bytes_max: 64 << 10,
        ..params()
    }
}

/// Behind the outputs that a [`World`] begins with.
fn more() -> Vec<Output> {
    let output = |n: u32| match n {
        n if STAKES.contains(&n) => {
            let hub = key(u8::try_from(n).expect("small"));
            Output::to_stake(sat(5_000), hub, hub, Age::new(1_000))
        }
        n if n % 7 == 0 => Output::to_key(sat(20_000), key(3)),
        _ => Output::to_channel(&terms(20)),
    };
    (6..OUTPUTS).map(output).collect()
}

fn genesis() -> Vec<u8> {
    let mut outputs = vec![Output::to_channel(&terms(CLIENT)), Output::to_channel(&terms(20))];
    outputs.extend((2..6).map(|n| Output::to_key(sat(100_000), key(n))));
    outputs.extend(more());
    genesis_bytes(depth(), &outputs)
}

fn dir() -> &'static Path {
    Path::new("/ledger")
}

fn open(disk: &FaultyDisk) -> Node {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = NodeOptions {
        // With every block that can have one.
        image_log_bytes: 1,
        ..NodeOptions::default()
    };
    Node::open(&disk, dir(), None, options).expect("the node opens")
}

#[derive(Clone, Debug)]
enum Step {
    /// Spends a coin of the genesis into a coin and a channel.
    Spend(u32),
    /// Both sides close a channel.
    Close(u32),
    /// One side begins to.
    Start(u32),
    /// Closes that may be settled are.
    Settle,
    Seal,
    Undo,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (2..OUTPUTS).prop_map(Step::Spend),
        2 => (6..OUTPUTS).prop_map(Step::Close),
        2 => (6..OUTPUTS).prop_map(Step::Start),
        2 => Just(Step::Settle),
        8 => Just(Step::Seal),
        3 => Just(Step::Undo),
    ]
}

/// One ledger in four ways.
struct Ledgers {
    world: World,
    table: Chain<TableStore>,
    tiered: Chain<TieredStore>,
    disk: FaultyDisk,
    node: Node,
    /// The blocks of the world, and those that the node has.
    blocks: Vec<Block>,
    told: Vec<Block>,
    started: BTreeSet<u32>,
}

fn sorted(outputs: impl Iterator<Item = (OutPoint, Utxo)>) -> BTreeMap<OutPoint, Utxo> {
    let mut count = 0;
    let map: BTreeMap<_, _> = outputs.inspect(|_| count += 1).collect();
    assert_eq!(map.len(), count, "an output is listed once");
    map
}

impl Ledgers {
    fn new() -> Self {
        let (bytes, disk) = (genesis(), FaultyDisk::new());
        let handle: Arc<dyn Disk> = Arc::new(disk.clone());
        let ledger = Node::create(&handle, dir(), &bytes, 77).expect("a node is made");
        let genesis = Genesis::parse(&bytes).expect("it parses");
        let store = TableStore::new(1 << 12, 5).expect("address space");
        let table = Chain::from_genesis(&genesis, Trust::OwnRecords, store, |_, _| ());
        let store = TieredStore::in_memory(&bytes, 1 << 12, 5).expect("address space");
        let tiered = Chain::from_genesis(&genesis, Trust::OwnRecords, store, |_, _| ());
        let ledgers = Self {
            world: World::with(depth(), &more()),
            table: table.expect("the genesis holds"),
            tiered: tiered.expect("the genesis holds"),
            node: open(&disk),
            disk,
            blocks: Vec::new(),
            told: Vec::new(),
            started: BTreeSet::new(),
        };
        assert_eq!(ledgers.world.ledger, ledger);
        ledgers
    }

    /// Into the pool, if it holds now.
    fn offer(&mut self, transaction: Transaction) {
        if let Ok(checked) = self.world.chain.check(transaction) {
            let _conflict = self.world.pool.insert(checked);
        }
    }

    fn spend(&mut self, index: u32) {
        let from = genesis_outpoint(&self.world.ledger, index);
        let Some(utxo) = self.world.chain.store().get(&from) else {
            return;
        };
        let owner = if index < 6 {
            u8::try_from(index).expect("small")
        } else {
            3
        };
        if !matches!(utxo.output.condition, Condition::Key(_)) {
            return;
        }
        let half = utxo.output.amount.to_sat() / 2 - 3_000;
        let outputs = vec![
            Output::to_key(sat(half), key(owner)),
            Output::to_channel(&common::terms(20, half, half)),
        ];
        self.offer(spend(self.world.ledger, &[(from, owner)], outputs));
    }

    fn close(&mut self, index: u32) {
        let channel = self.world.channel(index);
        let kit = CloseKit::new(self.world.ledger, channel.outpoint, 20, terms(20), 500_000, 3_000);
        self.offer(kit.transaction());
    }

    fn settle(&mut self) {
        for index in self.started.clone() {
            let funding = genesis_outpoint(&self.world.ledger, index);
            if let Ok(transaction) = self.world.chain.settlement(&funding) {
                self.offer(transaction);
            }
        }
    }

    fn seal(&mut self) {
        let (block, _) = self.world.seal();
        let table = self.table.apply(&block, Trust::Nothing).expect("the block holds");
        let tiered = self.tiered.apply(&block, Trust::Nothing).expect("the block holds");
        assert_eq!(table, tiered, "what a block did");
        self.blocks.push(block);
        self.compare();
        if self.blocks.len() > self.told.len() {
            let same = self.blocks.iter().zip(&self.told).take_while(|(a, b)| a == b).count();
            self.node.follow(&self.blocks[same..]).expect("the branch is higher");
            self.told.clone_from(&self.blocks);
            self.compare_node();
            self.reopen();
            self.compare_node();
        }
    }

    /// The power is lost, and the node opened again.
    fn reopen(&mut self) {
        let disk = self.disk.crash(self.blocks.len() as u64);
        self.node = open(&disk);
        self.disk = disk;
    }

    fn undo(&mut self) {
        let undone = self.world.chain.undo_tip();
        assert_eq!((self.table.undo_tip(), self.tiered.undo_tip()), (undone, undone));
        if undone.is_ok() {
            self.blocks.pop();
            let waiting: Vec<_> = self.world.pool.iter().map(|waiting| waiting.txid()).collect();
            waiting.iter().for_each(|txid| drop(self.world.pool.remove(txid)));
            self.compare();
        }
    }

    fn compare(&mut self) {
        let model: BTreeMap<_, _> = self.world.chain.store().iter().map(|(o, u)| (*o, *u)).collect();
        assert_eq!(sorted(self.table.store().iter()), model);
        assert_eq!(sorted(self.tiered.store().iter()), model);
        assert_eq!(self.tiered.store().len(), model.len() as u64);
        let root = self.world.chain.utxos_root();
        assert_eq!((self.table.utxos_root(), self.tiered.utxos_root()), (root, root));
        let created = (0..OUTPUTS + 2).map(|index| genesis_outpoint(&self.world.ledger, index));
        for outpoint in created.chain(model.keys().copied()) {
            assert_eq!(self.tiered.store().get(&outpoint), model.get(&outpoint).copied());
        }
        // Another seventeenth of them after every block.
        let some = model.keys().skip(self.blocks.len() % 17).step_by(17);
        for outpoint in some {
            assert_eq!(self.tiered.prove(outpoint), self.table.prove(outpoint));
        }
    }

    fn compare_node(&mut self) {
        let model: BTreeMap<_, _> = self.world.chain.store().iter().map(|(o, u)| (*o, *u)).collect();
        assert_eq!(sorted(self.node.outputs()), model);
        assert_eq!(self.node.state_digest(), self.world.chain.tip().hash);
        self.node.audit().expect("the books hold");
        for index in 6..OUTPUTS {
            let channel = self.world.channel(index);
            let stands = model
                .get(&channel.outpoint)
                .filter(|utxo| utxo.channel(&channel.outpoint).is_some());
            let found = self.node.channel_output(&channel.id);
            assert_eq!(found, stands.map(|utxo| (channel.outpoint, *utxo)), "channel {index}");
        }
        for (outpoint, utxo) in &model {
            if let Some((channel, _)) = utxo.channel(outpoint) {
                assert_eq!(self.node.channel_output(&channel), Some((*outpoint, *utxo)));
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Spend(index) => self.spend(*index),
            Step::Close(index) => self.close(*index),
            Step::Start(index) => {
                self.started.insert(*index);
                self.offer(self.world.channel(*index).start(Opener::Client, None));
            }
            Step::Settle => self.settle(),
            Step::Seal => self.seal(),
            Step::Undo => self.undo(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn all_stores_are_one_ledger(steps in prop::collection::vec(steps(), 1..40)) {
        let mut ledgers = Ledgers::new();
        ledgers.compare();
        steps.iter().for_each(|step| ledgers.take(step));
        ledgers.seal();
    }
}

/// A life in which channels of the genesis close in every way, and coins of it are spent.
fn lived() -> Ledgers {
    let mut ledgers = Ledgers::new();
    for index in [2, 7, 14, 70, 98] {
        ledgers.spend(index);
    }
    for index in [6, 33, 102, 128, 129, 330] {
        ledgers.close(index);
    }
    for index in [9, 40, 66, 200] {
        ledgers.take(&Step::Start(index));
    }
    for _ in 0..16 {
        ledgers.take(&Step::Settle);
        ledgers.seal();
    }
    let gone = [9, 40, 66, 200, 6, 33, 102, 128, 129, 330, 2, 7, 14, 70, 98];
    for index in gone {
        let outpoint = genesis_outpoint(&ledgers.world.ledger, index);
        assert_eq!(ledgers.node.utxo(&outpoint), None, "output {index} is settled or spent");
    }
    ledgers
}

fn images(disk: &FaultyDisk) -> Vec<PathBuf> {
    let names = disk.list(dir()).expect("a folder");
    let images = names.iter().filter(|name| name.starts_with("image-"));
    images.map(|name| dir().join(name)).collect()
}

#[test]
fn a_channel_that_is_closing_keeps_its_place_and_its_name() {
    let mut ledgers = Ledgers::new();
    ledgers.take(&Step::Start(40));
    ledgers.seal();
    let channel = ledgers.world.channel(40);
    let (outpoint, utxo) = ledgers.node.channel_output(&channel.id).expect("it is closing");
    assert!(outpoint == channel.outpoint && utxo.is_closing());
    assert!(ledgers.node.close_of(&channel.id).is_some());
    ledgers.undo();
    assert!(!ledgers.tiered.store().get(&outpoint).expect("it stands").is_closing());
    ledgers.seal();
    ledgers.seal();
    assert!(ledgers.node.close_of(&channel.id).is_none(), "the branch has no close");
}

/// Images of the version before listed every output, with no word of the genesis.
#[test]
fn an_image_of_the_first_version_is_read() {
    let mut ledgers = lived();
    // The newest is not final yet; what was removed before the power was lost may be there again.
    let images = images(&ledgers.disk);
    let [.., older, _] = &images[..] else {
        panic!("two are kept")
    };
    for other in images.iter().filter(|image| *image != older) {
        ledgers.disk.remove(other).expect("it is there");
    }
    let mut bytes = ledgers.disk.bytes(older).expect("it is there");
    let height = u32::from_le_bytes(bytes[48..52].try_into().expect("four bytes"));
    let mut chain = {
        let bytes = genesis();
        let genesis = Genesis::parse(&bytes).expect("it parses");
        let store = TableStore::new(1 << 12, 9).expect("address space");
        Chain::from_genesis(&genesis, Trust::OwnRecords, store, |_, _| ()).expect("it holds")
    };
    for block in &ledgers.blocks[..height as usize] {
        chain.apply(block, Trust::OwnRecords).expect("it holds");
    }
    // What stands as it was created is a bit in it, and nothing else.
    let created: BTreeMap<_, _> = {
        let bytes = genesis();
        let genesis = Genesis::parse(&bytes).expect("it parses");
        let mut created = BTreeMap::new();
        let store = TableStore::new(1 << 12, 9).expect("address space");
        let all = Chain::from_genesis(&genesis, Trust::OwnRecords, store, |outpoint, utxo| {
            created.insert(*outpoint, *utxo);
        });
        all.expect("it holds");
        created.retain(|_, utxo| !utxo.is_record());
        created
    };
    let others = chain
        .store()
        .iter()
        .filter(|(o, utxo)| created.get(o) != Some(utxo))
        .count();
    let words = (OUTPUTS as usize).div_ceil(64);
    assert_eq!(bytes.len(), 224 + 8 * words + others * (OutPoint::LEN + Utxo::LEN) + 4);
    bytes.truncate(224);
    bytes[..8].copy_from_slice(b"TGIMAG01");
    bytes[144..152].copy_from_slice(&chain.store().len().to_le_bytes());
    bytes[164..168].fill(0);
    for (outpoint, utxo) in chain.store().iter() {
        bytes.extend(outpoint.to_vec());
        bytes.extend(utxo.to_vec());
    }
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    ledgers.disk.remove(older).expect("it is there");
    let file = ledgers.disk.open(older, OpenMode::CreateNew).expect("it is gone");
    file.write_at(0, &bytes).expect("there is room");
    file.sync_data().expect("a good disk");
    ledgers.disk.sync_dir(dir()).expect("a good disk");
    // What the log has given up can only come from the image.
    ledgers.reopen();
    ledgers.compare_node();
    ledgers.seal();
}

/// Bytes that are not those that were hashed at the start are noticed when they are read, not taken for outputs.
#[test]
#[should_panic(expected = "genesis file has changed")]
fn a_genesis_that_changes_beside_the_node_is_noticed() {
    let ledgers = Ledgers::new();
    let len = ledgers.disk.bytes(&dir().join("genesis")).expect("it is there").len() as u64;
    ledgers
        .disk
        .flip(&dir().join("genesis"), len - 40, 1)
        .expect("the byte is there");
    let _utxo = ledgers.node.utxo(&genesis_outpoint(&ledgers.world.ledger, OUTPUTS - 1));
}
