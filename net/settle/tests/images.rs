//! A node that runs for long: images, archived blocks, a log that is cut, and the same ledger after every loss.

#[path = "../../../engine/ledger/tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;

use common::{VALIDATOR, genesis_bytes, key, sat, secret, spend};
use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk};
use tidegate_ledger::{Block, LedgerParams, Output, genesis_outpoint};
use tidegate_settle::{Blocks, Node, NodeOptions, TransactionStatus};
use tidegate_types::{Age, Height, OutPoint, Txid, UnixMillis};

fn options() -> NodeOptions {
    NodeOptions {
        image_log_bytes: 10 * 4096,
        ..NodeOptions::default()
    }
}

fn dir() -> &'static Path {
    Path::new("/ledger")
}

fn create(disk: &FaultyDisk, depth: u32) -> bool {
    let params = LedgerParams {
        transaction_bytes_max: 4 << 10,
        block_bytes_max: 12 << 10,
        finality_depth: Age::new(depth),
        ..LedgerParams::default()
    };
    let outputs: Vec<_> = (1..=3).map(|n| Output::to_key(sat(1_000_000), key(n))).collect();
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    Node::create(&handle, dir(), &genesis_bytes(params, &outputs), 77).is_ok()
}

fn open(disk: &FaultyDisk) -> Result<Node, tidegate_settle::OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Node::open(&disk, dir(), Some(secret(VALIDATOR)), options())
}

/// Seals blocks, every third with a transaction that moves one coin on, as far as the disk lets it.
fn seal(node: &mut Node, from: u32, count: u32, coin: &mut (OutPoint, u64), told: &mut Vec<Block>) -> Option<Txid> {
    let mut last = None;
    for n in from..from + count {
        if n % 3 == 0 {
            coin.1 -= 1_000;
            let pay = spend(node.ledger(), &[(coin.0, 1)], vec![Output::to_key(sat(coin.1), key(1))]);
            let txid = node.submit(pay).ok()?;
            coin.0 = OutPoint { txid, vout: 0 };
            last = Some(txid);
        }
        match node.seal(UnixMillis::new(1_000 * u64::from(n))) {
            Ok(sealed) => told.push(sealed.block),
            Err(_) => return last,
        }
    }
    last
}

fn read(mut blocks: Blocks) -> Vec<Block> {
    std::iter::from_fn(|| blocks.next_block().expect("blocks are whole")).collect()
}

fn count(disk: &FaultyDisk, prefix: &str) -> usize {
    let names = disk.list(dir()).expect("a folder");
    names.iter().filter(|name| name.starts_with(prefix)).count()
}

#[test]
fn the_log_stays_short_and_every_block_can_still_be_read() {
    for depth in [0, 3] {
        let disk = FaultyDisk::new();
        assert!(create(&disk, depth));
        let mut node = open(&disk).expect("the node opens");
        let (mut coin, mut told) = ((genesis_outpoint(&node.ledger(), 0), 1_000_000), Vec::new());
        let txid = seal(&mut node, 1, 120, &mut coin, &mut told).expect("some were made");
        assert_eq!(
            (told.len(), count(&disk, "image-"), count(&disk, "blocks-")),
            (120, 2, 1)
        );
        let segments = count(&disk, "log-");
        assert!(segments <= 20, "{segments} segments of four blocks at most");
        let audit = node.audit().expect("the books hold");
        assert_eq!(read(node.blocks().expect("readable")), told);
        let from = node.final_blocks_above(Height::new(7), 5).expect("readable");
        assert_eq!(from, told[7..12]);
        drop(node);
        let mut node = open(&disk.crash(3)).expect("the node opens");
        assert_eq!(node.audit(), Ok(audit));
        assert_eq!(read(node.blocks().expect("readable")), told);
        assert!(matches!(
            node.transaction_status(&txid),
            TransactionStatus::InBlock { .. }
        ));
        let handle: Arc<dyn Disk> = Arc::new(disk.clone());
        let (mut looked, _) = Node::look(&handle, dir()).expect("whole");
        assert_eq!(looked.audit(), Ok(audit));
        seal(&mut node, 121, 40, &mut coin, &mut told);
        node.audit().expect("it goes on");
        assert_eq!(read(Blocks::open(&disk.crash(1), dir()).expect("readable")).len(), 120);
    }
}

#[test]
fn a_damaged_image_is_noticed_and_the_one_before_it_serves() {
    let disk = FaultyDisk::new();
    assert!(create(&disk, 0));
    let mut node = open(&disk).expect("the node opens");
    let (mut coin, mut told) = ((genesis_outpoint(&node.ledger(), 0), 1_000_000), Vec::new());
    seal(&mut node, 1, 60, &mut coin, &mut told);
    let audit = node.audit().expect("the books hold");
    drop(node);
    let mut images: Vec<_> = disk.list(dir()).expect("a folder");
    images.retain(|name| name.starts_with("image-"));
    let newest = dir().join(images.last().expect("there are two"));
    let len = disk.bytes(&newest).expect("the file is there").len() as u64;
    for offset in (0..len).step_by(37) {
        disk.flip(&newest, offset, 0x04).expect("the byte is there");
        let mut node = open(&disk).expect("the one before serves");
        assert_eq!(node.audit(), Ok(audit), "byte {offset}");
        drop(node);
        disk.flip(&newest, offset, 0x04).expect("the byte is there");
    }
}

/// An image cannot be opened before its block is final. A node that is opened anew meanwhile begins with an older one, and must not
/// give that up, nor the log behind it.
#[test]
fn a_node_that_is_often_opened_keeps_what_it_opens_with() {
    for depth in [0, 1, 3] {
        let mut disk = FaultyDisk::new();
        assert!(create(&disk, depth));
        let ledger = open(&disk).expect("the node opens").ledger();
        let (mut coin, mut told) = ((genesis_outpoint(&ledger, 0), 1_000_000), Vec::new());
        for n in 1..80 {
            let mut node = open(&disk).unwrap_or_else(|error| panic!("depth {depth}, block {n}: {error}"));
            seal(&mut node, n, 1, &mut coin, &mut told);
            assert_eq!(read(node.blocks().expect("readable")), told);
            drop(node);
            disk = disk.crash(n.into());
        }
        assert_eq!((told.len(), count(&disk, "image-")), (79, 2));
    }
}

/// The process or the power is lost at each call of the disk in a life of many images: no block that was told is missing.
#[test]
fn whatever_was_told_survives_a_loss_at_every_site() {
    let life = |disk: &FaultyDisk| {
        let mut told = Vec::new();
        if create(disk, 1)
            && let Ok(mut node) = open(disk)
        {
            let mut coin = (genesis_outpoint(&node.ledger(), 0), 1_000_000);
            seal(&mut node, 1, 36, &mut coin, &mut told);
        }
        told
    };
    let sites = {
        let disk = FaultyDisk::new();
        assert_eq!(life(&disk).len(), 36);
        assert!(count(&disk, "blocks-") == 1, "the life passes an archive");
        disk.sites()
    };
    for site in 1..=sites {
        for kind in [FaultKind::Kill, FaultKind::Eio] {
            let disk = FaultyDisk::new();
            disk.arm(Fault { site, kind, seed: site });
            let told = life(&disk);
            for after in [disk.restart(), disk.crash(site), disk.crash(site + 1)] {
                if !after.exists(&dir().join("node")).expect("a disk that answers") {
                    assert!(told.is_empty(), "site {site}: a node that told blocks is gone");
                    continue;
                }
                let mut node = open(&after).unwrap_or_else(|error| panic!("site {site}: {error}"));
                let found = read(node.blocks().expect("readable"));
                assert!(
                    found.starts_with(&told),
                    "site {site}: {} of {}",
                    found.len(),
                    told.len()
                );
                node.audit().expect("the books hold");
                node.seal(UnixMillis::new(99_000)).expect("the node goes on");
            }
        }
    }
}
