//! The node over a disk in memory that fails where it is told to.

#[path = "../../../engine/ledger/tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;

use common::{CloseKit, HUB_PAYOUT, VALIDATOR, genesis_bytes, key, sat, secret, spend, terms};
use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk};
use tidegate_ledger::{
    Block, Event, LedgerParams, MempoolError, Output, Transaction, TransactionError, genesis_outpoint,
};
use tidegate_settle::{
    Blocks, CreateError, NewNode, Node, NodeOptions, OpenError, SubmitError, TickError, TransactionStatus,
};
use tidegate_types::{LedgerId, OutPoint, UnixMillis};

const CLIENT: u8 = 10;
const START: u64 = 1_700_000_000_000;

fn params() -> LedgerParams {
    LedgerParams {
        transaction_bytes_max: 16 << 10,
        block_bytes_max: 32 << 10,
        ..LedgerParams::default()
    }
}

/// A channel, and three outputs of keys 1 to 3.
fn genesis() -> Vec<u8> {
    let mut outputs = vec![Output::to_channel(&terms(CLIENT, 100_000, 60_000))];
    outputs.extend([1, 2, 3].map(|n| Output::to_key(sat(10_000), key(n))));
    genesis_bytes(params(), &outputs)
}

fn dir() -> &'static Path {
    Path::new("/ledger")
}

fn open(disk: &FaultyDisk, options: NodeOptions) -> Result<Node, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Node::open(&disk, dir(), Some(secret(VALIDATOR)), options)
}

fn create(disk: &FaultyDisk) -> Result<LedgerId, CreateError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Node::create(&disk, dir(), &genesis(), 0x1234_5678_9abc_def0)
}

fn world() -> (FaultyDisk, Node) {
    let disk = FaultyDisk::new();
    create(&disk).expect("a node is made");
    let node = open(&disk, NodeOptions::default()).expect("the node opens");
    (disk, node)
}

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(START + 1_000 * seconds)
}

/// Output `n` of the genesis, which belongs to key `n`, to key `to`.
fn pay(ledger: LedgerId, n: u8, to: u8, amount: u64) -> Transaction {
    let from = genesis_outpoint(&ledger, n.into());
    spend(ledger, &[(from, n)], vec![Output::to_key(sat(amount), key(to))])
}

fn close(ledger: LedgerId) -> Transaction {
    let channel = terms(CLIENT, 100_000, 60_000);
    CloseKit::new(ledger, genesis_outpoint(&ledger, 0), CLIENT, channel, 55_000, 400).transaction()
}

#[test]
fn a_transaction_waits_then_stands_in_a_block_and_the_queries_follow() {
    let (_disk, mut node) = world();
    let ledger = node.ledger();
    node.tick(at(0)).expect("a block is made").expect("one is due");
    let txid = node.submit(pay(ledger, 1, 5, 9_000)).expect("it is taken");
    assert_eq!(node.transaction_status(&txid), TransactionStatus::Waiting);
    assert_eq!(node.spender(&genesis_outpoint(&ledger, 1)), Some(txid));
    let early = node.next_block_at().checked_sub(1).expect("after 1970");
    assert!(
        node.tick(early).expect("the node works").is_none(),
        "no block is due yet"
    );
    let sealed = node.tick(node.next_block_at()).expect("a block is made");
    assert_eq!(sealed.expect("one is due").block.transactions.len(), 1);
    let height = node.tip().height;
    let status = TransactionStatus::InBlock { height, is_final: true };
    assert_eq!(node.transaction_status(&txid), status);
    assert_eq!(node.utxos_of(&key(1)), []);
    let held = node.utxos_of(&key(5));
    assert_eq!(held[0].0, OutPoint { txid, vout: 0 });
    assert_eq!(held[0].1.output, Output::to_key(sat(9_000), key(5)));
    assert_eq!(node.supply().burned, 1_000);
    node.audit().expect("the books hold");
}

#[test]
fn a_block_is_made_at_once_on_demand() {
    let disk = FaultyDisk::new();
    let ledger = create(&disk).expect("a node is made");
    let options = NodeOptions {
        mine_on_submit: true,
        ..NodeOptions::default()
    };
    let mut node = open(&disk, options).expect("the node opens");
    node.tick(at(0)).expect("a block is made").expect("one is due");
    assert!(node.tick(at(0)).expect("the node works").is_none());
    let txid = node.submit(pay(ledger, 1, 5, 9_000)).expect("it is taken");
    let sealed = node.tick(at(0)).expect("a block is made").expect("a transaction waits");
    assert_eq!(sealed.block.transactions[0].txid(), txid);
}

#[test]
fn a_channel_closes_and_the_hub_hears_of_it() {
    let (_disk, mut node) = world();
    let ledger = node.ledger();
    let (channel, outpoint, found) = node.channels().next().expect("the genesis has a channel");
    assert_eq!(found, terms(CLIENT, 100_000, 60_000));
    assert_eq!(node.channel_output(&channel).map(|(o, _)| o), Some(outpoint));
    let txid = node.submit(close(ledger)).expect("the evidence is right");
    let sealed = node.seal(at(0)).expect("a block is made");
    let expected = Event::ChannelClosed {
        channel,
        txid,
        client_payout: sat(54_600),
        hub_payout: sat(45_000),
        fee: sat(400),
    };
    assert_eq!(sealed.applied.events, [expected]);
    assert_eq!(node.channel_output(&channel), None);
    assert_eq!(node.utxos_of(&key(HUB_PAYOUT))[0].1.output.amount, sat(45_000));
    assert_eq!(node.audit().expect("the books hold").channels, 0);
}

#[test]
fn double_spends_are_refused_waiting_and_confirmed() {
    let (_disk, mut node) = world();
    let ledger = node.ledger();
    let first = pay(ledger, 1, 5, 9_000);
    let txid = node.submit(first.clone()).expect("it is taken");
    assert_eq!(
        node.submit(first.clone()),
        Err(SubmitError::Mempool(MempoolError::Known))
    );
    let input = genesis_outpoint(&ledger, 1);
    let conflict = MempoolError::Conflict { input, with: txid };
    let second = pay(ledger, 1, 6, 9_000);
    assert_eq!(node.submit(second.clone()), Err(SubmitError::Mempool(conflict)));
    node.seal(at(0)).expect("a block is made");
    let spent = Err(SubmitError::Refused(TransactionError::UnknownInput(input)));
    assert_eq!(node.submit(second), spent);
    assert_eq!(node.submit(first), spent);
}

#[test]
fn a_restart_finds_every_block() {
    let (disk, mut node) = world();
    let ledger = node.ledger();
    let mut blocks = Vec::new();
    for n in 1..=3 {
        let txid = node.submit(pay(ledger, n, n + 20, 9_000)).expect("it is taken");
        blocks.push((node.seal(at(n.into())).expect("a block is made").block, txid));
    }
    node.submit(close(ledger)).expect("the evidence is right");
    let last = node.seal(at(9)).expect("a block is made").block;
    let before = node.audit().expect("the books hold");
    drop(node);
    let mut node = open(&disk.crash(0), NodeOptions::default()).expect("the node opens");
    assert_eq!(node.audit(), Ok(before));
    assert_eq!(node.state_digest(), last.hash());
    for (block, txid) in &blocks {
        let (height, is_final) = (block.header.height, true);
        let status = TransactionStatus::InBlock { height, is_final };
        assert_eq!(node.transaction_status(txid), status);
    }
    let mut read = node.blocks().expect("the log is readable");
    let mut found: Vec<Block> = Vec::new();
    while let Some(block) = read.next_block().expect("blocks are whole") {
        found.push(block);
    }
    let made: Vec<_> = blocks.into_iter().map(|(block, _)| block).chain([last]).collect();
    assert_eq!(found, made);
}

/// Everything from the creation to the fourth block, with the process or the power lost at each call of the disk: no
/// block that was told is missing afterwards, and the node goes on.
#[test]
fn whatever_was_told_survives_a_loss_at_every_site() {
    let sites = {
        let disk = FaultyDisk::new();
        life(&disk);
        disk.sites()
    };
    assert!(sites > 10, "a life passes many sites");
    for site in 1..=sites {
        for (kind, seed) in [(FaultKind::Kill, 0), (FaultKind::Kill, 1), (FaultKind::Eio, 2)] {
            let disk = FaultyDisk::new();
            disk.arm(Fault { site, kind, seed });
            let told = life(&disk);
            assert!(disk.has_failed(), "site {site} is passed");
            for after in [
                disk.restart(),
                disk.crash(site),
                disk.crash(site + 1),
                disk.crash(site + 2),
            ] {
                survives(&after, &told, site);
            }
        }
    }
}

/// Creates a node and makes four blocks, as far as the disk lets it; returns the blocks that were told.
fn life(disk: &FaultyDisk) -> Vec<Block> {
    let mut told = Vec::new();
    let Ok(ledger) = create(disk) else { return told };
    let Ok(mut node) = open(disk, NodeOptions::default()) else {
        return told;
    };
    for n in 1..=3 {
        node.submit(pay(ledger, n, n + 20, 9_000)).expect("it is taken");
        match node.seal(at(n.into())) {
            Ok(sealed) => told.push(sealed.block),
            Err(_) => break,
        }
    }
    if let Ok(sealed) = node.seal(at(9)) {
        told.push(sealed.block);
    }
    told
}

fn survives(disk: &FaultyDisk, told: &[Block], site: u64) {
    match create(disk) {
        Ok(_) => assert!(told.is_empty(), "site {site}: a node that told blocks is gone"),
        Err(CreateError::Exists { .. }) => {}
        Err(error) => panic!("site {site}: {error}"),
    }
    let mut node = open(disk, NodeOptions::default()).unwrap_or_else(|error| panic!("site {site}: {error}"));
    let mut read = node.blocks().expect("the log is readable");
    for (n, block) in told.iter().enumerate() {
        let found = read.next_block().expect("blocks are whole");
        assert_eq!(found.as_ref(), Some(block), "site {site}: block {}", n + 1);
    }
    node.audit().expect("the books hold");
    node.seal(at(60)).expect("the node goes on");
}

/// The calls of the disk that one block makes fail in turn: nothing is told afterwards.
#[test]
fn a_failed_write_or_sync_poisons_the_node() {
    for call in 1..=2 {
        let (disk, mut node) = world();
        let ledger = node.ledger();
        let txid = node.submit(pay(ledger, 1, 5, 9_000)).expect("it is taken");
        disk.arm(Fault {
            site: disk.sites() + call,
            kind: FaultKind::Eio,
            seed: 0,
        });
        let failed = node.seal(at(1));
        assert!(matches!(failed, Err(TickError::Log(_))), "{failed:?}");
        assert!(disk.has_failed());
        assert!(!matches!(
            node.transaction_status(&txid),
            TransactionStatus::InBlock { .. }
        ));
        assert_eq!(node.seal(at(2)).map(|_| ()), Err(TickError::Poisoned));
        assert_eq!(node.submit(pay(ledger, 2, 5, 9_000)), Err(SubmitError::Poisoned));
    }
}

/// Makes blocks on a disk without more room until the next one needs some.
fn use_up_the_room(node: &mut Node, disk: &FaultyDisk) {
    disk.limit_space(Some(0));
    for second in 10.. {
        let before = node.tip();
        match node.seal(at(second)) {
            Ok(_) => {}
            Err(TickError::NoSpace(_)) => {
                assert_eq!(node.tip(), before, "no block is made that cannot be written");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_passes_and_a_failure_in_preparing_does_not() {
    let (disk, mut node) = world();
    use_up_the_room(&mut node, &disk);
    let txid = node.submit(pay(node.ledger(), 1, 5, 9_000)).expect("it is taken");
    assert!(matches!(node.seal(at(1_000)), Err(TickError::NoSpace(_))));
    disk.limit_space(None);
    let sealed = node.seal(at(1_001)).expect("there is room again");
    assert_eq!(sealed.block.transactions[0].txid(), txid);
    let tip = node.tip();
    drop(node);
    let node = open(&disk.crash(0), NodeOptions::default()).expect("the node opens");
    assert_eq!(node.tip(), tip);

    let (disk, mut node) = world();
    use_up_the_room(&mut node, &disk);
    disk.limit_space(None);
    disk.arm(Fault {
        site: disk.sites() + 1,
        kind: FaultKind::Eio,
        seed: 0,
    });
    assert!(matches!(node.seal(at(2_000)), Err(TickError::Log(_))));
    assert_eq!(node.seal(at(2_001)).map(|_| ()), Err(TickError::Poisoned));
}

#[test]
fn without_the_key_a_node_answers_and_makes_no_block() {
    let disk = FaultyDisk::new();
    create(&disk).expect("a node is made");
    let handle: Arc<dyn Disk> = Arc::new(disk);
    let mut node = Node::open(&handle, dir(), None, NodeOptions::default()).expect("the node opens");
    assert_eq!(node.utxos_of(&key(1)).len(), 1);
    assert_eq!(node.seal(at(0)).map(|_| ()), Err(TickError::NoKey));
    drop(node);
    let mut node = Node::open(&handle, dir(), Some(secret(1)), NodeOptions::default()).expect("the node opens");
    assert!(matches!(node.seal(at(0)), Err(TickError::Seal(_))));
    let used = Node::create(&handle, dir(), &genesis(), 1);
    assert!(matches!(used, Err(CreateError::Disk(_))), "the folder is in use");
    drop(node);
    let used = Node::create(&handle, dir(), &genesis(), 1);
    assert!(matches!(used, Err(CreateError::Exists { .. })));
}

/// Each byte of the small files: damage is noticed, not obeyed.
#[test]
fn every_damaged_byte_of_genesis_and_node_file_is_noticed() {
    let disk = FaultyDisk::new();
    create(&disk).expect("a node is made");
    for name in ["genesis", "node"] {
        let path = dir().join(name);
        for offset in 0..disk.bytes(&path).expect("the file is there").len() as u64 {
            disk.flip(&path, offset, 0x10).expect("the byte is there");
            assert!(open(&disk, NodeOptions::default()).is_err(), "{name}, byte {offset}");
            disk.flip(&path, offset, 0x10).expect("the byte is there");
        }
    }
    open(&disk, NodeOptions::default()).expect("undamaged, it opens");
}

#[test]
fn a_full_table_refuses_instead_of_failing() {
    let disk = FaultyDisk::new();
    let ledger = create(&disk).expect("a node is made");
    let options = NodeOptions {
        utxos_max: 1,
        ..NodeOptions::default()
    };
    let mut node = open(&disk, options).expect("the node opens");
    assert_eq!(node.submit(pay(ledger, 1, 5, 9_000)), Err(SubmitError::TableFull));
}

#[test]
fn a_look_beside_the_running_node_sees_its_blocks_and_changes_nothing() {
    let (disk, mut node) = world();
    node.submit(pay(node.ledger(), 1, 5, 9_000)).expect("it is taken");
    node.seal(at(0)).expect("a block is made");
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    let sites = disk.sites();
    let (mut looked, tail) = Node::look(&handle, dir()).expect("whole");
    assert_eq!((looked.tip(), tail.torn), (node.tip(), false));
    assert_eq!(looked.utxos_of(&key(5)).len(), 1);
    looked.audit().expect("the books hold");
    assert_eq!(looked.seal(at(9)).map(|_| ()), Err(TickError::NoKey));
    // A block that never became durable, half written.
    let site = disk.sites() + 1;
    disk.arm(Fault {
        site,
        kind: FaultKind::Kill,
        seed: 3,
    });
    assert!(node.seal(at(1)).is_err());
    let left = disk.restart();
    let before = left.bytes(&dir().join("log-0000000000000001.seg"));
    let handle: Arc<dyn Disk> = Arc::new(left.clone());
    let (again, _) = Node::look(&handle, dir()).expect("whole");
    assert_eq!(again.tip(), looked.tip());
    assert_eq!(left.sites(), 0, "nothing was written");
    assert_eq!(left.bytes(&dir().join("log-0000000000000001.seg")), before);
    assert_eq!(disk.sites(), site, "{sites} calls had been made before");
}

#[test]
fn a_node_made_of_anothers_blocks_is_that_node() {
    let (disk, mut node) = world();
    node.submit(pay(node.ledger(), 1, 5, 9_000)).expect("it is taken");
    for second in 0..3 {
        node.seal(at(second)).expect("a block is made");
    }
    let copy = FaultyDisk::new();
    let handle: Arc<dyn Disk> = Arc::new(copy.clone());
    let mut new = NewNode::begin(&handle, dir(), &genesis(), 99).expect("a new folder");
    let mut blocks = Blocks::open(&disk, dir()).expect("the node's");
    while let Some(block) = blocks.next_encoded().expect("readable") {
        new.block(block).expect("room");
    }
    assert!(!blocks.tail().expect("undamaged").torn);
    assert!(
        matches!(
            open(&copy.restart(), NodeOptions::default()),
            Err(OpenError::NoNode { .. })
        ),
        "not before it is finished"
    );
    assert_eq!(new.finish().expect("durable"), node.ledger());
    let mut made = open(&copy.crash(0), NodeOptions::default()).expect("a node");
    assert_eq!(made.tip(), node.tip());
    made.audit().expect("the books hold");
    made.seal(at(9)).expect("it goes on");
}
