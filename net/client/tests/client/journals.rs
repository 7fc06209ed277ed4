//! Journals in files: what is durable, what is cut off, and what is damage.

use std::path::Path;
use std::sync::Arc;

use crate::played::{PlayedHub, lock, opened, with_store};
use tidegate_client::store::Record;
use tidegate_client::{Channels, FileStore, StepError, StoreError, WalletStore as _};
use tidegate_disk::{DiskError, Fault, FaultKind, FaultyDisk, RealDisk};
use tidegate_types::{ChannelId, Height};

const HEIGHT: Height = Height::new(100);
const FOLDER: &str = "/wallet";

fn store(disk: &FaultyDisk) -> Result<FileStore, StoreError> {
    FileStore::open(Arc::new(disk.clone()), Path::new(FOLDER))
}

fn journal(channel: &ChannelId) -> std::path::PathBuf {
    Path::new(FOLDER).join(format!("{channel}.journal"))
}

/// Adopts a channel, pays twice, takes the leaves. Stops at the first error and tells how many states were signed.
fn run(disk: &FaultyDisk) -> (u64, Result<(), StepError>) {
    let mut hub = PlayedHub::new();
    let mut signed = 0;
    let result = (|| {
        let mut wallet = with_store(&hub, 1, store(disk)?);
        wallet.adopt(opened(&hub, 1, 0))?;
        let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
        for id in 1..=2 {
            let state = wallet.pay(&from, &[lock(&hub, 2, 50, id)], HEIGHT)?;
            signed = state.state.counter.get();
            let batch = hub.deliver(&state, to);
            wallet.accept_receipt(&batch.receipt())?;
        }
        Ok(())
    })();
    (signed, result)
}

fn reopen(disk: &FaultyDisk) -> Result<Channels<FileStore>, StoreError> {
    let hub = PlayedHub::new();
    Ok(with_store(&hub, 1, store(disk)?))
}

/// Whatever fails and whenever the power goes: a state that was handed out is in the journal.
#[test]
fn no_state_is_handed_out_that_a_crash_can_take_back() {
    let whole = FaultyDisk::new();
    let (signed, result) = run(&whole);
    result.unwrap();
    assert_eq!(signed, 2);
    let from = opened(&PlayedHub::new(), 1, 0).channel;
    let mut lost_nothing = 0;
    for site in 1..=whole.sites() {
        for kind in [FaultKind::Kill, FaultKind::Eio, FaultKind::NoSpace] {
            for seed in 0..4 {
                let disk = FaultyDisk::new();
                disk.arm(Fault { site, kind, seed });
                let (signed, _) = run(&disk);
                let wallet = reopen(&disk.crash(seed)).unwrap();
                let found = wallet
                    .get(&from)
                    .map_or(0, |c| c.wallet().client().state().counter.get());
                assert!(found >= signed, "{kind:?} at {site}, seed {seed}: {found} of {signed}");
                lost_nothing += u64::from(found > 0);
            }
        }
    }
    assert!(lost_nothing > 10, "the cases reach behind the first state");
}

#[test]
fn a_torn_end_is_cut_and_damage_before_the_end_is_told() {
    let disk = FaultyDisk::new();
    run(&disk).1.unwrap();
    let from = opened(&PlayedHub::new(), 1, 0).channel;
    let disk = disk.restart();
    let len = disk.bytes(&journal(&from)).unwrap().len() as u64;
    let records = store(&disk).unwrap().load(&from).unwrap();
    assert_eq!(records.len(), 5);
    let last = records.last().map(|r| r.encode().len() as u64 + 8).unwrap();
    for offset in 0..len {
        let disk = disk.restart();
        disk.flip(&journal(&from), offset, 0x10).unwrap();
        let mut store = store(&disk).unwrap();
        match store.load(&from) {
            Ok(left) => assert!(offset >= len - last && left == records[..4], "byte {offset}"),
            Err(StoreError::Damaged { .. }) => assert!(offset < len - last, "byte {offset}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_follows_a_torn_end_stands_behind_what_was_left() {
    let disk = FaultyDisk::new();
    run(&disk).1.unwrap();
    let from = opened(&PlayedHub::new(), 1, 0).channel;
    let disk = disk.restart();
    let len = disk.bytes(&journal(&from)).unwrap().len() as u64;
    disk.flip(&journal(&from), len - 1, 1).unwrap();
    let mut first = store(&disk).unwrap();
    let mut expected = first.load(&from).unwrap();
    let note = Record::Closing(b"a transaction".to_vec());
    first.append(&from, &note).unwrap();
    drop(first);
    expected.push(note);
    assert_eq!(store(&disk.restart()).unwrap().load(&from).unwrap(), expected);
}

#[test]
fn a_store_that_failed_writes_nothing_more() {
    let disk = FaultyDisk::new();
    let hub = PlayedHub::new();
    let mut wallet = with_store(&hub, 1, store(&disk).unwrap());
    let from = opened(&hub, 1, 0).channel;
    wallet.adopt(opened(&hub, 1, 0)).unwrap();
    disk.limit_space(Some(0));
    let before = format!("{:?}", wallet.get(&from));
    let error = wallet.pay(&from, &[lock(&hub, 2, 50, 1)], HEIGHT).unwrap_err();
    assert!(matches!(error, StepError::Store(StoreError::Disk(_))), "{error}");
    disk.limit_space(None);
    let error = wallet.pay(&from, &[lock(&hub, 2, 50, 1)], HEIGHT).unwrap_err();
    assert!(matches!(error, StepError::Store(StoreError::Poisoned)), "{error}");
    assert_eq!(
        format!("{:?}", wallet.get(&from)),
        before,
        "a failed step changes nothing"
    );
}

#[test]
fn one_process_holds_a_wallet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/wallet");
    let first = FileStore::open(Arc::new(RealDisk), &path).unwrap();
    let second = FileStore::open(Arc::new(RealDisk), &path);
    assert!(matches!(second, Err(StoreError::Disk(DiskError::Locked { .. }))));
    drop(first);
    let hub = PlayedHub::new();
    let mut wallet = with_store(&hub, 1, FileStore::open(Arc::new(RealDisk), &path).unwrap());
    wallet.adopt(opened(&hub, 1, 0)).unwrap();
    let from = opened(&hub, 1, 0).channel;
    wallet.pay(&from, &[lock(&hub, 2, 50, 1)], HEIGHT).unwrap();
    let before = format!("{:?}", wallet.get(&from));
    drop(wallet);
    let wallet = with_store(&hub, 1, FileStore::open(Arc::new(RealDisk), &path).unwrap());
    assert_eq!(format!("{:?}", wallet.get(&from)), before);
    assert!(
        wallet.get(&from).unwrap().unanswered().is_some(),
        "it was never answered, and can be sent again"
    );
}

/// Whoever looks sees what is whole, also while the wallet is held, and leaves a record that is half written where it is.
#[test]
fn a_look_takes_no_lock_and_cuts_nothing() {
    let disk = FaultyDisk::new();
    run(&disk).1.unwrap();
    let from = opened(&PlayedHub::new(), 1, 0).channel;
    let disk = disk.restart();
    let mut held = store(&disk).unwrap();
    let records = held.load(&from).unwrap();
    let look = |disk: &FaultyDisk| FileStore::look(disk, Path::new(FOLDER)).unwrap().load(&from).unwrap();
    assert_eq!(look(&disk), records);
    let len = disk.bytes(&journal(&from)).unwrap().len();
    disk.flip(&journal(&from), len as u64 - 1, 1).unwrap();
    assert_eq!(look(&disk), records[..4]);
    assert_eq!(disk.bytes(&journal(&from)).unwrap().len(), len, "nothing is cut");
    let copies = FileStore::copy(&disk, Path::new(FOLDER)).unwrap();
    let last = records.last().map(|record| record.encode().len() + 8).unwrap();
    assert_eq!(
        copies,
        [(from, disk.bytes(&journal(&from)).unwrap()[..len - last].to_vec())]
    );
}
