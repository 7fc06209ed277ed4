//! The contract of `Disk`, held by the real and the faulty disk alike, and what faults and power losses do.

use std::{path::Path, sync::Arc, time::Duration};

use tidegate_disk::{Disk, DiskError, Fault, FaultKind, FaultyDisk, Op, OpenMode, RealDisk};

/// The same story on any disk.
fn contract(disk: &dyn Disk, dir: &Path) {
    let dir = dir.join("a/b");
    disk.create_dir_all(&dir).expect("room");
    disk.create_dir_all(&dir).expect("again is fine");
    let (one, two) = (dir.join("one"), dir.join("two"));
    assert!(matches!(
        disk.open(&one, OpenMode::Read),
        Err(DiskError::NotFound { .. })
    ));
    let file = disk.open(&one, OpenMode::CreateNew).expect("new");
    assert!(matches!(
        disk.open(&one, OpenMode::CreateNew),
        Err(DiskError::AlreadyExists { .. })
    ));
    file.write_parts_at(10, &[b"he", b"", b"llo"]).expect("room");
    assert_eq!(file.len().expect("length"), 15);
    let mut read = [1_u8; 15];
    file.read_at(0, &mut read).expect("bytes");
    assert_eq!(&read, b"\0\0\0\0\0\0\0\0\0\0hello");
    assert!(matches!(
        file.read_at(11, &mut [0; 5]),
        Err(DiskError::UnexpectedEnd { end: 16, .. })
    ));
    file.allocate(64).expect("room");
    assert_eq!(file.len().expect("length"), 64);
    file.allocate(8).expect("smaller is nothing");
    assert_eq!(file.len().expect("length"), 64);
    file.set_len(12).expect("cut");
    file.sync_data().expect("sync");
    disk.sync_dir(&dir).expect("sync");
    disk.rename(&one, &two).expect("rename");
    assert_eq!(disk.list(&dir).expect("list"), ["two"]);
    assert!(disk.exists(&two).expect("look") && !disk.exists(&one).expect("look"));
    assert!(
        disk.open(&two, OpenMode::Read)
            .expect("open")
            .write_at(0, b"x")
            .is_err()
    );
    disk.open(&two, OpenMode::Write)
        .expect("open")
        .write_at(0, b"x")
        .expect("write");
    disk.remove(&two).expect("remove");
    assert!(matches!(disk.remove(&two), Err(DiskError::NotFound { .. })));
    let lock = disk.lock_dir(&dir).expect("free");
    let refused = disk.lock_dir(&dir).expect_err("held");
    assert_eq!(
        refused,
        DiskError::Locked {
            path: dir.clone(),
            pid: Some(std::process::id())
        }
    );
    assert!(
        disk.lock_dir_shared(&dir).is_err(),
        "nobody reads what an owner changes"
    );
    drop(lock);
    drop(disk.lock_dir(&dir).expect("free again"));
    let readers = [0; 2].map(|_| disk.lock_dir_shared(&dir).expect("readers share"));
    let refused = disk.lock_dir(&dir).expect_err("being read");
    assert!(matches!(
        refused,
        DiskError::Locked {
            pid: None | Some(_),
            ..
        }
    ));
    drop(readers);
    drop(disk.lock_dir(&dir).expect("free again"));
}

#[test]
fn real_and_faulty_disks_keep_one_contract() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    contract(&RealDisk, folder.path());
    contract(&FaultyDisk::new(), Path::new("/t"));
}

#[test]
fn a_lock_that_is_being_let_go_is_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let held = RealDisk.lock_dir(folder.path()).expect("free");
    std::thread::scope(|threads| {
        threads.spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            drop(held);
        });
        drop(RealDisk.lock_dir(folder.path()).expect("free in a moment"));
    });
}

#[test]
fn many_parts_are_written_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = RealDisk
        .open(&folder.path().join("f"), OpenMode::CreateNew)
        .expect("new");
    let bytes: Vec<u8> = (0..5000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let parts: Vec<&[u8]> = bytes.chunks(2).collect();
    file.write_parts_at(3, &parts).expect("room");
    let mut read = vec![0; 5000];
    file.read_at(3, &mut read).expect("bytes");
    assert_eq!(read, bytes);
}

fn with_file(fault: Option<Fault>) -> (FaultyDisk, Arc<dyn tidegate_disk::DiskFile>) {
    let disk = FaultyDisk::new();
    let dir = Path::new("/d");
    disk.create_dir_all(dir).expect("folder");
    let file = disk.open(&dir.join("f"), OpenMode::CreateNew).expect("new");
    disk.sync_dir(dir).expect("sync");
    file.write_at(0, &[1; 2048]).expect("write");
    file.sync_data().expect("sync");
    if let Some(fault) = fault {
        disk.arm(fault);
    }
    (disk, file)
}

#[test]
fn power_loss_tears_by_sector_and_only_what_is_unsynced() {
    let (disk, file) = with_file(None);
    file.write_at(0, &[2; 2048]).expect("write");
    let mut mixed = 0;
    for seed in 0..40 {
        let bytes = disk.crash(seed).bytes(Path::new("/d/f")).expect("synced name");
        let sectors: Vec<u8> = bytes.chunks(512).map(|s| s[0]).collect();
        assert!(
            bytes.chunks(512).all(|s| s.iter().all(|b| *b == s[0])),
            "torn inside a sector"
        );
        match seed % 4 {
            0 => assert_eq!(sectors, [1, 1, 1, 1]),
            1 => assert_eq!(sectors, [2, 2, 2, 2]),
            _ => mixed += u32::from(sectors.contains(&1) && sectors.contains(&2)),
        }
    }
    assert!(mixed > 5, "{mixed} mixtures");
    file.sync_data().expect("sync");
    assert!((0..8).all(|seed| disk.crash(seed).bytes(Path::new("/d/f")).expect("name") == [2; 2048]));
}

#[test]
fn an_unsynced_name_may_be_lost() {
    let (disk, _file) = with_file(None);
    disk.rename(Path::new("/d/f"), Path::new("/d/g")).expect("rename");
    let names = |seed| disk.crash(seed).list(Path::new("/d")).expect("list");
    assert_eq!((names(0), names(1)), (vec!["f".to_owned()], vec!["g".to_owned()]));
    disk.sync_dir(Path::new("/d")).expect("sync");
    assert_eq!(names(0), ["g"]);
    assert_eq!(disk.restart().list(Path::new("/d")).expect("list"), ["g"]);
}

#[test]
fn a_failed_sync_forgets_what_it_did_not_write() {
    // Sites: create, sync folder, write, sync, write, sync.
    let (disk, file) = with_file(Some(Fault {
        site: 6,
        kind: FaultKind::Eio,
        seed: 2,
    }));
    file.write_at(0, &[2; 2048]).expect("write");
    assert!(matches!(
        file.sync_data(),
        Err(DiskError::Io {
            op: Op::Sync,
            errno: 5,
            ..
        })
    ));
    file.sync_data().expect("the second sync lies, as Linux does");
    assert_eq!(disk.bytes(Path::new("/d/f")).expect("seen"), [2; 2048]);
    assert_ne!(disk.crash(1).bytes(Path::new("/d/f")).expect("lost"), [2; 2048]);
}

#[test]
fn a_killed_process_does_nothing_more() {
    let (disk, file) = with_file(Some(Fault {
        site: 5,
        kind: FaultKind::Kill,
        seed: 77,
    }));
    assert!(file.write_at(0, &[2; 2048]).is_err());
    assert!(disk.has_failed());
    assert!(file.sync_data().is_err() && disk.list(Path::new("/d")).is_err());
    let seen = disk.restart().bytes(Path::new("/d/f")).expect("name");
    assert!(seen.contains(&1) && seen.len() == 2048, "a prefix at most");
    assert_eq!(disk.site_count().get(&Op::Write), Some(&2));
}

#[test]
fn space_runs_out_and_comes_back() {
    let (disk, file) = with_file(None);
    disk.limit_space(Some(3000));
    assert!(file.write_at(2048, &[3; 2048]).expect_err("full").is_no_space());
    assert_eq!(file.len().expect("length"), 3000);
    assert!(file.allocate(4096).expect_err("full").is_no_space());
    disk.limit_space(None);
    file.write_at(2048, &[3; 2048]).expect("room again");
}

#[test]
fn a_call_that_only_looks_fails_once() {
    let (disk, file) = with_file(None);
    let path = Path::new("/d/f");
    let looks = disk.looks();
    for nth in 1..=3 {
        disk.arm_look(disk.looks() + nth);
        let results = [
            disk.open(path, OpenMode::Read).err(),
            file.len().err(),
            file.read_at(0, &mut [0; 8]).err(),
        ];
        let failed: Vec<bool> = results.iter().map(Option::is_some).collect();
        assert_eq!(failed, [nth == 1, nth == 2, nth == 3]);
        assert!(disk.has_failed());
    }
    assert_eq!(disk.looks(), looks + 9);
    let ops: Vec<Op> = disk.trace().iter().map(|site| site.op).collect();
    assert_eq!(
        ops,
        [Op::Create, Op::SyncDir, Op::Write, Op::Sync],
        "looking is no site"
    );
}
