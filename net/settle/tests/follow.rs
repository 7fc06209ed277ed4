//! A node that follows another: the same state, higher branches, nothing below a final block.

#[path = "../../../engine/ledger/tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;

use common::{VALIDATOR, genesis_bytes, key, sat, secret, spend};
use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk};
use tidegate_ledger::{Block, BlockError, LedgerParams, Output, Transaction, genesis_outpoint};
use tidegate_settle::{Blocks, FollowError, Followed, Node, NodeOptions, TransactionStatus};
use tidegate_types::{Age, Height, LedgerId, SignatureBytes, UnixMillis};

const DEPTH: u32 = 3;

fn genesis() -> Vec<u8> {
    let params = LedgerParams {
        transaction_bytes_max: 16 << 10,
        block_bytes_max: 32 << 10,
        finality_depth: Age::new(DEPTH),
        ..LedgerParams::default()
    };
    let outputs: Vec<_> = (1..=6).map(|n| Output::to_key(sat(10_000), key(n))).collect();
    genesis_bytes(params, &outputs)
}

fn dir() -> &'static Path {
    Path::new("/ledger")
}

fn open(disk: &FaultyDisk, validator: bool) -> Node {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let key = validator.then(|| secret(VALIDATOR));
    Node::open(&disk, dir(), key, NodeOptions::default()).expect("the node opens")
}

fn new(validator: bool) -> (FaultyDisk, Node) {
    let disk = FaultyDisk::new();
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    Node::create(&handle, dir(), &genesis(), 77).expect("a node is made");
    let node = open(&disk, validator);
    (disk, node)
}

/// Output `n` of the genesis, which belongs to key `n`, to key `to`.
fn pay(ledger: LedgerId, n: u8, to: u8) -> Transaction {
    let from = genesis_outpoint(&ledger, u32::from(n) - 1);
    spend(ledger, &[(from, n)], vec![Output::to_key(sat(9_000), key(to))])
}

/// Seals a block for each output that is named; 0 seals an empty one.
fn seal(node: &mut Node, outputs: &[u8], second: u64) -> Vec<Block> {
    let ledger = node.ledger();
    let made = outputs.iter().zip(second..).map(|(n, at)| {
        if *n > 0 {
            node.submit(pay(ledger, *n, n + 20)).expect("it is taken");
        }
        node.seal(UnixMillis::new(1_000 * at)).expect("a block is made").block
    });
    made.collect()
}

/// A validator with these blocks on top of `below`.
fn branch(below: &[Block], outputs: &[u8], second: u64) -> Vec<Block> {
    let (_disk, mut node) = new(true);
    node.follow(below).expect("they stand on the genesis");
    seal(&mut node, outputs, second)
}

fn read(mut blocks: Blocks) -> Vec<Block> {
    std::iter::from_fn(|| blocks.next_block().expect("blocks are whole")).collect()
}

#[test]
fn a_follower_holds_the_same_state_and_keeps_it() {
    let (_disk, mut leader) = new(true);
    let blocks = seal(&mut leader, &[1, 0, 2, 3, 0], 1);
    let (disk, mut follower) = new(false);
    let taken = |taken| Ok(Followed { undone: 0, taken });
    assert_eq!(follower.follow(&blocks[..2]), taken(2));
    assert_eq!(follower.follow(&blocks[2..]), taken(3));
    assert_eq!(follower.follow(&[]), taken(0));
    assert_eq!(follower.tip(), leader.tip());
    assert_eq!(follower.tip().final_height, Height::new(2));
    assert_eq!(follower.final_hash(), blocks[1].hash());
    follower.audit().expect("the books hold");
    drop(follower);
    let mut follower = open(&disk.crash(0), false);
    assert_eq!(
        (follower.tip(), follower.final_hash()),
        (leader.tip(), blocks[1].hash())
    );
    follower.audit().expect("the books hold");
    let finals = follower.final_blocks_above(Height::ZERO, 9).expect("readable");
    assert_eq!(finals, blocks[..2]);
    assert_eq!(
        follower.final_blocks_above(Height::new(1), 9).expect("readable"),
        blocks[1..2]
    );
    assert_eq!(follower.final_blocks_above(Height::new(2), 9).expect("readable"), []);
}

#[test]
fn a_higher_branch_replaces_what_is_not_final_and_a_lower_one_does_not() {
    let common = branch(&[], &[1], 1);
    let (ours, theirs) = (branch(&common, &[2, 3], 2), branch(&common, &[4, 0, 5], 4));
    let (disk, mut node) = new(true);
    node.follow(&[&common[..], &ours[..]].concat())
        .expect("it stands on the genesis");
    let before = node.audit();
    let not_higher = FollowError::NotHigher {
        end: Height::new(3),
        tip: Height::new(3),
    };
    assert_eq!(node.follow(&theirs[..2]), Err(not_higher));
    assert_eq!(node.audit(), before);
    assert_eq!(node.follow(&theirs), Ok(Followed { undone: 2, taken: 3 }));
    assert_eq!(node.tip().hash, theirs[2].hash());
    let (lost, kept) = (ours[0].transactions[0].txid(), theirs[0].transactions[0].txid());
    assert_eq!(
        node.transaction_status(&lost),
        TransactionStatus::Waiting,
        "it waits again"
    );
    let in_block = TransactionStatus::InBlock {
        height: Height::new(2),
        is_final: false,
    };
    assert_eq!(node.transaction_status(&kept), in_block);
    assert_eq!((node.utxos_of(&key(2)).len(), node.utxos_of(&key(4)).len()), (1, 0));
    let audit = node.audit().expect("the books hold");
    drop(node);
    let mut again = open(&disk.crash(0), true);
    assert_eq!(again.audit(), Ok(audit));
    assert_eq!(
        read(again.blocks().expect("readable")),
        [&common[..], &theirs[..]].concat()
    );
    let finals = Blocks::open(&disk, dir()).expect("readable").final_only();
    assert_eq!(read(finals), common, "of four blocks under three one is final");
    seal(&mut again, &[2], 9);
    again.audit().expect("it goes on");
}

/// An image of a block that was undone is no image: what a node opens with is the one before it, until a newer one is final.
#[test]
fn a_branch_that_undoes_the_block_of_an_image_leaves_what_can_be_opened() {
    let options = NodeOptions {
        image_log_bytes: 1,
        ..NodeOptions::default()
    };
    let (disk, node) = new(false);
    drop(node);
    let open = |disk: &FaultyDisk| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Node::open(&disk, dir(), None, options)
    };
    let blocks = branch(&[], &[0; 8], 1);
    let higher = branch(&blocks[..6], &[0; 12], 100);
    let mut node = open(&disk).expect("the node opens");
    for block in &blocks {
        node.follow(std::slice::from_ref(block))
            .expect("they stand on each other");
    }
    assert!(disk.exists(&dir().join("image-00000008")).expect("a good disk"));
    node.follow(&higher[..3]).expect("it is higher");
    for block in &higher[3..] {
        node.follow(std::slice::from_ref(block))
            .expect("they stand on each other");
        let height = block.header.height;
        let found = open(&disk.crash(height.get().into())).unwrap_or_else(|error| panic!("block {height}: {error}"));
        assert_eq!(found.state_digest(), node.state_digest());
    }
}

#[test]
fn nothing_below_a_final_block_is_left() {
    let common = branch(&[], &[1, 0, 0, 0], 1);
    let theirs = branch(&[], &[2, 0, 0, 0, 0, 0], 9);
    let (_disk, mut node) = new(false);
    node.follow(&common).expect("it stands on the genesis");
    let final_height = Height::new(1);
    assert_eq!(node.follow(&theirs), Err(FollowError::Detached { final_height }));
    let theirs = branch(&common[..1], &[2, 0, 0, 0, 0, 0], 9);
    assert_eq!(
        node.follow(&theirs),
        Ok(Followed { undone: 3, taken: 6 }),
        "from the last final block itself"
    );
    node.audit().expect("the books hold");
}

/// A branch whose n-th block is bad, for every n: what stood stands, or what of the branch was higher already.
#[test]
fn a_bad_block_in_a_branch_leaves_what_stands() {
    let common = branch(&[], &[1], 1);
    let (ours, theirs) = (branch(&common, &[2, 3, 0], 2), branch(&common, &[4, 0, 5, 6, 0], 5));
    for bad in 0..theirs.len() {
        let (disk, mut node) = new(false);
        node.follow(&[&common[..], &ours[..]].concat())
            .expect("it stands on the genesis");
        let before = node.audit();
        let mut bent = theirs.clone();
        bent[bad].signature = SignatureBytes::ZERO;
        let error = node.follow(&bent).expect_err("one is not signed");
        assert!(
            matches!(
                error,
                FollowError::Block {
                    error: BlockError::Signature(_),
                    ..
                }
            ),
            "{error}"
        );
        let expected = if bad > 3 {
            theirs[bad - 1].hash()
        } else {
            ours[2].hash()
        };
        assert_eq!(node.tip().hash, expected, "block {bad}");
        let after = node.audit();
        assert!(after.is_ok() && (bad > 3 || after == before), "block {bad}");
        drop(node);
        assert_eq!(open(&disk.crash(0), false).audit(), after, "block {bad}");
        let mut node = open(&disk, false);
        let rest = if bad > 3 { &theirs[bad..] } else { &theirs[..] };
        node.follow(rest).expect("the good branch is taken afterwards");
        assert_eq!(node.tip().hash, theirs[4].hash());
        node.audit().expect("the books hold");
    }
}

/// The power is lost at each call of the disk of a switch: afterwards one of both branches stands, whole.
#[test]
fn a_switch_that_is_cut_off_leaves_a_chain() {
    let common = branch(&[], &[1], 1);
    let (ours, theirs) = (branch(&common, &[2, 3], 2), branch(&common, &[4, 0, 5], 4));
    for call in 1..=6 {
        let (disk, mut node) = new(false);
        node.follow(&[&common[..], &ours[..]].concat())
            .expect("it stands on the genesis");
        disk.arm(Fault {
            site: disk.sites() + call,
            kind: FaultKind::Kill,
            seed: call,
        });
        let followed = node.follow(&theirs);
        for after in [disk.restart(), disk.crash(call), disk.crash(call + 9)] {
            let mut node = open(&after, false);
            node.audit().expect("the books hold");
            let tip = node.tip().hash;
            assert!(
                followed.is_err() || tip == theirs[2].hash(),
                "call {call}: what was told is lost"
            );
            let all = [&common[..], &ours[..], &theirs[..]].concat();
            assert!(all.iter().any(|block| block.hash() == tip), "call {call}");
            node.follow(&theirs).map_or_else(
                |error| {
                    assert!(matches!(
                        error,
                        FollowError::NotHigher { .. } | FollowError::Detached { .. }
                    ))
                },
                drop,
            );
        }
    }
}
