//! Checkpoints under kills, power losses, errors and damage: one whole image can always be loaded.

use std::{path::Path, sync::Arc};

use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk, Op, RealDisk};
use tidegate_table::{CheckpointError, CheckpointStore, Lsn, Problem, Region, RegionSpec, verify};

const DIR: &str = "/data";
const SPECS: [RegionSpec; 2] = [
    RegionSpec {
        name: "left",
        slot_bytes: 64,
        slots_max: 4096,
    },
    RegionSpec {
        name: "right",
        slot_bytes: 192,
        slots_max: 4096,
    },
];

fn shared(disk: &FaultyDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// The state after record `lsn`, made from the state after the record before: the same on every run.
fn step(regions: &mut [Region], lsn: u64) {
    for (at, region) in regions.iter_mut().enumerate() {
        let grown = usize::try_from(lsn * 40).expect("small");
        region.grow(grown).expect("room");
        for touch in 0..6 {
            let mixed = (lsn * 6 + touch).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) ^ at as u64;
            let slot = usize::try_from(mixed).expect("64 bits") % grown;
            region.slot_mut(slot)[..8].copy_from_slice(&(mixed ^ lsn).to_le_bytes());
        }
    }
}

fn state_after(lsn: u64) -> Vec<Region> {
    let mut regions: Vec<Region> = SPECS
        .iter()
        .map(|spec| Region::new(*spec).expect("address space"))
        .collect();
    (1..=lsn).for_each(|lsn| step(&mut regions, lsn));
    regions
}

fn same(one: &[Region], two: &[Region]) -> bool {
    one.len() == two.len()
        && one
            .iter()
            .zip(two)
            .all(|(a, b)| a.len() == b.len() && (0..a.len()).all(|slot| a.slot(slot) == b.slot(slot)))
}

fn meta(lsn: u64) -> Vec<u8> {
    format!("meta of {lsn}")
        .into_bytes()
        .repeat(usize::try_from(lsn % 5).expect("small"))
}

/// One life of an owner: opens, checks that the image is that of its number, goes on from there.
fn live(disk: &FaultyDisk, covered: &mut u64, created: &mut bool, steps: u64) -> Result<(), CheckpointError> {
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).map_err(CheckpointError::Failed)?;
    if !*created {
        match CheckpointStore::create(shared(disk), dir, &SPECS) {
            Err(CheckpointError::Exists { .. }) => {}
            other => drop(other?),
        }
        *created = true;
    }
    let (mut store, mut regions, loaded) = CheckpointStore::open(shared(disk), dir, &SPECS)?;
    let start = loaded.as_ref().map_or(0, |loaded| loaded.lsn.get());
    assert!(
        start >= *covered,
        "a finished checkpoint at {covered} is lost: {loaded:?}"
    );
    assert!(
        same(&regions, &state_after(start)),
        "the image is the state after record {start}"
    );
    assert!(loaded.is_none_or(|loaded| loaded.meta == meta(start)));
    *covered = start;
    for lsn in start + 1..=start + steps {
        step(&mut regions, lsn);
        if lsn % 2 == 0 {
            let mut all: Vec<&mut Region> = regions.iter_mut().collect();
            let mut calls = 0;
            store.write(&mut all, Lsn::new(lsn), &meta(lsn), &mut |progress| {
                assert!(progress.pages_done <= progress.pages);
                calls += 1;
            })?;
            assert!(calls > 0);
            *covered = lsn;
        }
    }
    Ok(())
}

fn trial(kind: FaultKind, first: u64, second: u64, seed: u64) -> bool {
    let (mut covered, mut created) = (0, false);
    let disk = FaultyDisk::new();
    disk.arm(Fault {
        site: first,
        kind,
        seed,
    });
    let ended = live(&disk, &mut covered, &mut created, 10);
    assert_eq!(
        ended.is_err(),
        disk.has_failed(),
        "a failure is never hidden: {ended:?}"
    );
    let failed = disk.has_failed();
    let disk = if seed.is_multiple_of(3) {
        disk.restart()
    } else {
        disk.crash(seed)
    };
    disk.arm(Fault {
        site: second,
        kind,
        seed: seed ^ 1,
    });
    let ended = live(&disk, &mut covered, &mut created, 4);
    assert_eq!(
        ended.is_err(),
        disk.has_failed(),
        "a failure is never hidden: {ended:?}"
    );
    let disk = if seed.is_multiple_of(2) {
        disk.restart()
    } else {
        disk.crash(seed.wrapping_mul(7))
    };
    live(&disk, &mut covered, &mut created, 4).expect("no fault is planned");
    failed
}

#[test]
fn kill_at_every_site_leaves_a_whole_image() {
    let mut first = 1;
    while trial(FaultKind::Kill, first, u64::MAX, 0) {
        for seed in 0..24 {
            trial(FaultKind::Kill, first, 1 + (first + seed * 7) % 30, seed + first * 25);
        }
        first += 1;
    }
    assert!(first > 50, "{first} sites");
}

#[test]
fn errors_at_every_site_are_told() {
    for kind in [FaultKind::Eio, FaultKind::NoSpace] {
        let mut first = 1;
        while trial(kind, first, u64::MAX, 1) {
            trial(kind, first, 1 + (first * 3) % 30, 2 + first);
            first += 1;
        }
        assert!(first > 50, "{first} sites");
    }
}

#[test]
fn every_kind_of_site_is_passed() {
    let disk = FaultyDisk::new();
    live(&disk, &mut 0, &mut false, 10).expect("no fault is planned");
    let count = disk.site_count();
    for op in [Op::Create, Op::Write, Op::Sync, Op::Rename, Op::SyncDir] {
        assert!(count.get(&op).is_some_and(|n| *n > 0), "{op}: {count:?}");
    }
}

/// A folder with checkpoints up to record 10, and the state in it.
fn finished() -> FaultyDisk {
    let disk = FaultyDisk::new();
    live(&disk, &mut 0, &mut false, 10).expect("no fault is planned");
    disk
}

#[test]
fn every_flip_is_found_or_in_bytes_of_no_meaning() {
    let good = finished();
    let dir = Path::new(DIR);
    let states = [8, 10].map(|lsn| (Lsn::new(lsn), state_after(lsn)));
    let (mut found, mut without_meaning) = (0, 0);
    for name in good.list(dir).expect("list") {
        let path = dir.join(&name);
        let bytes = good.bytes(&path).expect("a file").len() as u64;
        let dense = if name == "superblock" { 400 } else { bytes };
        for offset in (0..dense)
            .chain((131_072..bytes).take(400))
            .filter(|o| *o < bytes && (o % 7 == 0 || *o < 300))
        {
            good.flip(&path, offset, 1 << (offset % 8)).expect("inside");
            let report = verify(&good, dir).expect("reads");
            let opened = CheckpointStore::open(shared(&good), dir, &SPECS);
            good.flip(&path, offset, 1 << (offset % 8)).expect("back again");
            match opened {
                Err(CheckpointError::Damaged(problem)) => {
                    let right = match &problem {
                        Problem::Page { page, .. } => name.ends_with(".pages") && *page as u64 == offset / 4096,
                        Problem::Sums { .. } => name.ends_with(".sums"),
                        Problem::Superblock { .. } | Problem::Short { .. } => false,
                    };
                    assert!(right, "{name} {offset}: {problem}");
                    assert_eq!(report.problems, [problem], "{name} {offset}");
                    found += 1;
                }
                Ok((store, regions, loaded)) => {
                    // The older image, the unused part of a slot, or a superblock whose older sibling takes over; the
                    // log, which begins after the newest, would then refuse.
                    let loaded = loaded.expect("ten records were covered");
                    let (_, expected) = states.iter().find(|(lsn, _)| *lsn == store.lsn()).expect("8 or 10");
                    assert!(same(&regions, expected), "{name} {offset}");
                    assert!(
                        loaded.lsn == Lsn::new(10) || loaded.other_is_torn,
                        "{name} {offset}: {loaded:?}"
                    );
                    assert_eq!(report.problems, [], "{name} {offset}");
                    without_meaning += 1;
                }
                Err(other) => panic!("{name} {offset}: {other}"),
            }
        }
    }
    assert!(
        found > 3000 && without_meaning > 3000,
        "{found} found, {without_meaning} without meaning"
    );
}

#[test]
fn only_what_changed_since_the_image_was_written_is_written() {
    let disk = FaultyDisk::new();
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).expect("folder");
    let mut store = CheckpointStore::create(shared(&disk), dir, &SPECS).expect("room");
    let mut regions = state_after(20);
    let all = regions.iter().map(Region::pages).sum::<usize>();
    let mut lsn = 20;
    let mut write = |regions: &mut [Region], touched: &[usize]| {
        for slot in touched {
            regions[1].slot_mut(*slot)[9] = 1;
        }
        let mut last = 0;
        lsn += 1;
        let mut all: Vec<&mut Region> = regions.iter_mut().collect();
        store
            .write(&mut all, Lsn::new(lsn), b"", &mut |progress| last = progress.pages_done)
            .expect("room");
        last
    };
    // Slots 0 and 100 of 192 B lie in pages 0 and 4, slot 21 in pages 0 and 1.
    assert_eq!(
        [write(&mut regions, &[0]), write(&mut regions, &[100])],
        [all, all],
        "each image once as a whole"
    );
    assert_eq!(write(&mut regions, &[]), 1, "page 4 for the first image");
    assert_eq!(write(&mut regions, &[21]), 2);
    assert_eq!(write(&mut regions, &[100, 101]), 3, "and what the other one got before");
    assert_eq!([write(&mut regions, &[]), write(&mut regions, &[])], [1, 0]);
}

#[test]
fn a_bad_page_is_named_and_never_replaced_by_an_older_image() {
    let disk = finished();
    // Checkpoint 5 lies in image b.
    let file = Path::new(DIR).join("image-b-right.pages");
    disk.flip(&file, 4096 * 3 + 77, 0x10).expect("inside");
    let problem = Problem::Page {
        file,
        region: "right".into(),
        page: 3,
        offset: 4096 * 3,
    };
    let error = CheckpointStore::open(shared(&disk), Path::new(DIR), &SPECS)
        .map(|_| ())
        .expect_err("damaged");
    assert_eq!(error, CheckpointError::Damaged(problem));
    let text = error.to_string();
    assert!(
        text.contains("image-b-right.pages at offset 12288: page 3 of region right"),
        "{text}"
    );
}

#[test]
fn without_a_whole_superblock_nothing_is_loaded() {
    let disk = finished();
    let file = Path::new(DIR).join("superblock");
    disk.flip(&file, 20, 1).expect("inside");
    disk.flip(&file, (128 << 10) + 20, 1).expect("inside");
    let problem = Problem::Superblock {
        file,
        second: 128 << 10,
    };
    let error = CheckpointStore::open(shared(&disk), Path::new(DIR), &SPECS)
        .map(|_| ())
        .expect_err("no root");
    assert_eq!(error, CheckpointError::Damaged(problem.clone()));
    assert_eq!(verify(&disk, Path::new(DIR)).expect("reads").problems, [problem]);
}

#[test]
fn after_a_failed_write_or_sync_no_checkpoint_is_taken() {
    for ahead in 1..=11 {
        let disk = finished();
        let (mut store, mut regions, _) = CheckpointStore::open(shared(&disk), Path::new(DIR), &SPECS).expect("whole");
        disk.arm(Fault {
            site: disk.sites() + ahead,
            kind: FaultKind::Eio,
            seed: ahead,
        });
        let mut all: Vec<&mut Region> = regions.iter_mut().collect();
        let mut write = || store.write(&mut all, Lsn::new(11), b"", &mut |_| ());
        assert!(matches!(write(), Err(CheckpointError::Failed(_))), "site {ahead}");
        let sites = disk.sites();
        assert_eq!(write(), Err(CheckpointError::Poisoned));
        assert_eq!(disk.sites(), sites, "the disk is not asked again");
    }
}

#[test]
fn a_missing_or_cut_file_is_named() {
    let dir = Path::new(DIR);
    for name in ["image-b-left.pages", "image-b-left.sums"] {
        let disk = finished();
        disk.remove(&dir.join(name)).expect("there");
        let report = verify(&disk, dir).expect("reads");
        assert!(
            matches!(&report.problems[..], [Problem::Short { offset: 0, .. }]),
            "{report:?}"
        );
        assert!(CheckpointStore::open(shared(&disk), dir, &SPECS).is_err());
    }
    let disk = finished();
    disk.remove(&dir.join("superblock")).expect("there");
    let error = CheckpointStore::open(shared(&disk), dir, &SPECS)
        .map(|_| ())
        .expect_err("no root");
    assert!(matches!(error, CheckpointError::NoStore { .. }));
}

#[test]
fn want_of_room_is_survived() {
    let disk = FaultyDisk::new();
    let (dir, mut covered, mut created) = (Path::new(DIR), 0, false);
    live(&disk, &mut covered, &mut created, 2).expect("room");
    let (mut store, mut regions, _) = CheckpointStore::open(shared(&disk), dir, &SPECS).expect("whole");
    for lsn in 3..=60 {
        step(&mut regions, lsn);
    }
    disk.limit_space(Some(300_000));
    let mut write = |store: &mut CheckpointStore| {
        let mut all: Vec<&mut Region> = regions.iter_mut().collect();
        store.write(&mut all, Lsn::new(60), b"", &mut |_| ())
    };
    assert!(matches!(write(&mut store), Err(CheckpointError::NoSpace(_))));
    assert_eq!(store.lsn(), Lsn::new(2));
    disk.limit_space(None);
    write(&mut store).expect("room again");
    let (_, regions, loaded) = CheckpointStore::open(shared(&disk.crash(0)), dir, &SPECS).expect("whole");
    assert_eq!(loaded.expect("written").lsn, Lsn::new(60));
    assert!(same(&regions, &state_after(60)));
}

#[test]
fn other_regions_long_meta_and_going_back_are_refused() {
    let disk = finished();
    let dir = Path::new(DIR);
    let error = CheckpointStore::open(shared(&disk), dir, &SPECS[..1])
        .map(|_| ())
        .expect_err("one region is missing");
    assert!(matches!(error, CheckpointError::OtherRegions { .. }));
    let (mut store, mut regions, _) = CheckpointStore::open(shared(&disk), dir, &SPECS).expect("whole");
    let mut all: Vec<&mut Region> = regions.iter_mut().collect();
    let long = vec![0; 65_537];
    let refused = store.write(&mut all, Lsn::new(11), &long, &mut |_| ());
    assert_eq!(refused, Err(CheckpointError::MetaTooLong { bytes: 65_537 }));
    let refused = store.write(&mut all, Lsn::new(9), b"", &mut |_| ());
    assert!(matches!(refused, Err(CheckpointError::Backwards { .. })));
    store
        .write(&mut all, Lsn::new(11), &long[..65_536], &mut |_| ())
        .expect("the longest");
    assert_eq!(
        verify(&disk, dir).expect("reads").newest.expect("written").meta.len(),
        65_536
    );
}

#[test]
fn a_real_disk_gives_back_what_it_got() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (disk, dir): (Arc<dyn Disk>, _) = (Arc::new(RealDisk), folder.path());
    drop(CheckpointStore::create(Arc::clone(&disk), dir, &SPECS).expect("room"));
    for lsn in [40, 60, 90] {
        let (mut store, _, before) = CheckpointStore::open(Arc::clone(&disk), dir, &SPECS).expect("whole");
        assert!(before.is_none_or(|before| before.lsn < Lsn::new(lsn) && before.meta == b"here"));
        let mut regions = state_after(lsn);
        store
            .write(
                &mut regions.iter_mut().collect::<Vec<_>>(),
                Lsn::new(lsn),
                b"here",
                &mut |_| (),
            )
            .expect("room");
        let (_, loaded, info) = CheckpointStore::open(Arc::clone(&disk), dir, &SPECS).expect("whole");
        assert_eq!(info.expect("written").lsn, Lsn::new(lsn));
        assert!(same(&loaded, &regions));
        assert!(loaded.iter().all(|region| region.dirty().count() == 0));
    }
    assert_eq!(verify(&*disk, dir).expect("reads").problems, []);
}

/// An image that several threads read is the one that was written, and of many bad pages the first is named.
#[test]
fn a_large_image_is_read_by_several_threads_as_by_one() {
    let spec = RegionSpec {
        name: "large",
        slot_bytes: 4096,
        slots_max: 6_000,
    };
    let (disk, dir) = (FaultyDisk::new(), Path::new(DIR));
    disk.create_dir_all(dir).expect("a folder");
    let mut region = Region::new(spec).expect("address space");
    region.grow(5_003).expect("room");
    for slot in 0..region.len() {
        region.slot_mut(slot)[..8].copy_from_slice(&(slot as u64).to_le_bytes());
    }
    let mut store = CheckpointStore::create(shared(&disk), dir, &[spec]).expect("a new store");
    store
        .write(&mut [&mut region], Lsn::new(1), &[], &mut |_| {})
        .expect("room");
    let (_, regions, _) = CheckpointStore::open(shared(&disk), dir, &[spec]).expect("whole");
    assert!(same(&regions, std::slice::from_ref(&region)));
    let pages = dir.join("image-b-large.pages");
    for page in [4_900, 2_700, 5_002] {
        disk.flip(&pages, page * 4096 + 9, 1).expect("there");
    }
    let refused = CheckpointStore::open(shared(&disk), dir, &[spec]).map(drop);
    assert!(
        matches!(
            refused,
            Err(CheckpointError::Damaged(Problem::Page { page: 2_700, .. }))
        ),
        "{refused:?}"
    );
}
