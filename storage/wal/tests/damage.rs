//! Damage is refused by name, a torn tail is dropped, and bytes of an earlier life never look fresh.

use std::{path::Path, sync::Arc};

use tidegate_disk::{Disk, FaultyDisk, OpenMode, RealDisk};
use tidegate_wal::{Log, LogConfig, LogError, LogReader, Lsn, PAGE_BYTES, Place};

const DIR: &str = "/log";
const CONFIG: LogConfig = LogConfig {
    identity: 77,
    segment_bytes: 6 * 4096,
    ready_max: 2,
};

fn shared(disk: &FaultyDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn create(disk: &FaultyDisk) -> Log {
    disk.create_dir_all(Path::new(DIR)).expect("folder");
    Log::create(shared(disk), Path::new(DIR), CONFIG, Lsn::FIRST).expect("room")
}

fn payload(lsn: u64) -> Vec<u8> {
    let length = [50, 4032, 5000, 1, 9000][usize::try_from(lsn % 5).expect("small")];
    (0..length)
        .map(|i: u64| (i.wrapping_mul(lsn) >> 3).to_le_bytes()[0])
        .collect()
}

/// Numbers and payloads.
type Records = Vec<(u64, Vec<u8>)>;

/// Replays from `from` and ends the replay.
fn reopen(disk: &FaultyDisk, from: u64) -> Result<(Log, Records, bool), LogError> {
    let mut replay = Log::open(shared(disk), Path::new(DIR), CONFIG, Lsn::new(from))?;
    let mut records = Vec::new();
    while let Some(record) = replay.next_record()? {
        records.push((record.lsn.get(), record.payload.to_vec()));
    }
    let (log, tail) = replay.finish()?;
    Ok((log, records, tail.torn))
}

/// Where each record lies: place and bytes with padding.
fn places(disk: &FaultyDisk) -> Vec<(Place, u64)> {
    let mut reader = LogReader::open(disk, Path::new(DIR), CONFIG.identity, Lsn::FIRST).expect("a log");
    let mut places = Vec::new();
    while let Some(record) = reader.next_record().expect("readable") {
        let bytes = (record.payload.len() + 64).next_multiple_of(PAGE_BYTES) as u64;
        places.push((record.place, bytes));
    }
    places
}

#[test]
fn every_flip_is_refused_dropped_or_without_meaning() {
    let disk = FaultyDisk::new();
    let mut log = create(&disk);
    for lsn in 1..=12 {
        log.append_sync(&[&payload(lsn)]).expect("no fault");
    }
    log.segments().prepare().expect("room");
    let all: Vec<_> = (1..=12).map(|lsn| (lsn, payload(lsn))).collect();
    let places = places(&disk);
    let (mut refused, mut dropped, mut without_meaning) = (0, 0, 0);
    let dir = Path::new(DIR);
    for name in disk.list(dir).expect("list") {
        let path = dir.join(&name);
        for offset in (0..CONFIG.segment_bytes).filter(|o| o % 11 == 0 || o % 4096 < 70) {
            disk.flip(&path, offset, 1 << (offset % 8)).expect("inside");
            let hit = places.iter().position(|(place, bytes)| {
                place.file(dir) == path && (place.offset..place.offset + bytes).contains(&offset)
            });
            let read = LogReader::open(&disk, dir, CONFIG.identity, Lsn::FIRST).and_then(LogReader::tail);
            // A repair would erase the evidence, so it works on a copy.
            let flipped = offset;
            match (hit, reopen(&disk.crash(0), 1)) {
                (Some(at), Err(LogError::Damaged { file, offset, lsn, .. })) if at < 11 => {
                    assert_eq!(lsn.get(), at as u64 + 1);
                    let named = file == path && offset == places[at].0.offset;
                    // Without a header that can be read, the end of the record before is as near as one can come.
                    let before = at.checked_sub(1).map(|before| &places[before]);
                    let behind =
                        before.is_some_and(|(place, bytes)| file == place.file(dir) && offset == place.offset + bytes);
                    assert!(
                        named || behind && flipped - places[at].0.offset < 64,
                        "{name} {flipped}: {offset}"
                    );
                    assert!(matches!(read, Err(LogError::Damaged { .. })));
                    refused += 1;
                }
                (Some(11), Ok((log, records, _))) => {
                    assert_eq!((records.as_slice(), log.next_lsn()), (&all[..11], Lsn::new(12)));
                    assert_eq!(read.expect("a torn tail").next, Lsn::new(12));
                    // The checkpoint covers it, so it was there once.
                    assert!(matches!(reopen(&disk.crash(0), 13), Err(LogError::Damaged { .. })));
                    dropped += 1;
                }
                (None, Ok((_, records, torn))) => {
                    assert!(records == all && !torn, "{name} {flipped}");
                    without_meaning += 1;
                }
                (hit, other) => panic!("{name} {offset}: {hit:?} {:?}", other.map(|(_, records, _)| records)),
            }
            disk.flip(&path, offset, 1 << (offset % 8)).expect("back again");
        }
    }
    assert!(
        refused > 3000 && dropped > 300 && without_meaning > 500,
        "{refused} {dropped} {without_meaning}"
    );
}

/// What a checkpoint covers is not needed any more: its damage is told, and stops nobody.
#[test]
fn damage_that_the_checkpoint_covers_is_passed_over_and_told() {
    let disk = FaultyDisk::new();
    let mut log = create(&disk);
    for lsn in 1..=12 {
        log.append_sync(&[&payload(lsn)]).expect("no fault");
    }
    let places = places(&disk);
    for (at, (place, _)) in places.iter().enumerate().take(11) {
        // Its header, and the middle of its payload.
        for within in [9, 64 + payload(at as u64 + 1).len() as u64 / 2] {
            let (path, offset) = (place.file(Path::new(DIR)), place.offset + within);
            disk.flip(&path, offset, 0x40).expect("inside");
            // The record behind it is needed, or nothing is.
            for from in [at as u64 + 2, 12, 13] {
                let copy = disk.crash(0);
                let mut replay = Log::open(shared(&copy), Path::new(DIR), CONFIG, Lsn::new(from)).expect("opens");
                let mut records = Vec::new();
                while let Some(record) = replay.next_record().expect("readable") {
                    records.push((record.lsn.get(), record.payload.to_vec()));
                }
                let expected: Records = (from..=12).map(|lsn| (lsn, payload(lsn))).collect();
                assert_eq!(records, expected, "record {} damaged, from {from}", at + 1);
                let (mut log, tail) = replay.finish().expect("nothing that is needed is damaged");
                assert_eq!(tail.covered_damage, Some(*place), "record {} damaged", at + 1);
                assert_eq!((tail.torn, log.next_lsn()), (false, Lsn::new(13)));
                log.append_sync(&[&payload(13)]).expect("the log goes on");
                let (_, records, _) = reopen(&copy, 13).expect("as before");
                assert_eq!(records, [(13, payload(13))]);
            }
            // One record earlier it is needed.
            let needed = reopen(&disk.crash(0), at as u64 + 1);
            assert!(
                matches!(needed, Err(LogError::Damaged { .. })),
                "record {} is needed",
                at + 1
            );
            disk.flip(&path, offset, 0x40).expect("back again");
        }
    }
}

#[test]
fn an_unsynced_record_may_be_torn_before_a_whole_one() {
    for seed in 0..4 {
        let disk = FaultyDisk::new();
        let mut log = create(&disk);
        log.append_sync(&[b"one"]).expect("no fault");
        let second = log.place();
        log.append(&[&[2; 5000]]).expect("no fault");
        log.append(&[b"three, whole but never promised"]).expect("no fault");
        let disk = disk.restart();
        disk.flip(&second.file(Path::new(DIR)), second.offset + 2600 * seed, 0x80)
            .expect("inside");
        let (mut log, records, torn) = reopen(&disk, 1).expect("torn, not damaged");
        assert_eq!((records.len(), records[0].1.as_slice()), (1, b"one".as_slice()));
        assert!(torn);
        assert_eq!(log.append_sync(&[&[4; 5000]]), Ok(Lsn::new(2)));
        let (log, records, torn) = reopen(&disk.restart(), 1).expect("the old third is erased");
        assert_eq!((records.len(), torn, log.next_lsn()), (2, false, Lsn::new(3)));
    }
}

#[test]
fn recycled_bytes_never_look_fresh() {
    let disk = FaultyDisk::new();
    let mut log = create(&disk);
    let mut recycled = 0;
    for lsn in 1..=60 {
        // Records of one size: those of an earlier life lie exactly where the next would be.
        log.append_sync(&[&[lsn; 3000]]).expect("no fault");
        let covered = u64::from(lsn) - 1;
        log.segments().recycle(Lsn::new(covered + 1)).expect("no fault");
        recycled = log.counters().recycled;
        let copy = disk.restart();
        let (again, records, torn) = reopen(&copy, covered + 1).expect("whole");
        assert!(records == [(u64::from(lsn), vec![lsn; 3000])], "record {lsn}");
        assert!(!torn && again.next_lsn() == log.next_lsn(), "record {lsn}");
    }
    assert!(recycled > 5, "{recycled} recycled");
    let rest = disk.bytes(&log.place().file(Path::new(DIR))).expect("a file");
    let rest = &rest[usize::try_from(log.place().offset).expect("small")..];
    assert!(
        rest.is_empty() || rest.iter().any(|byte| *byte != 0),
        "recycled files are not zeroed"
    );
}

#[test]
fn a_replay_may_be_ended_early() {
    let disk = FaultyDisk::new();
    let mut log = create(&disk);
    for lsn in 1..=12 {
        log.append_sync(&[&payload(lsn)]).expect("no fault");
    }
    let mut replay = Log::open(shared(&disk), Path::new(DIR), CONFIG, Lsn::new(3)).expect("a log");
    assert_eq!(replay.next_record().expect("whole").expect("there").lsn, Lsn::new(3));
    let (log, tail) = replay.finish().expect("whole");
    assert_eq!((log.next_lsn(), tail.torn), (Lsn::new(13), false));
}

#[test]
fn another_logs_records_are_not_taken() {
    let disk = FaultyDisk::new();
    let mut log = create(&disk);
    log.append_sync(&[b"one"]).expect("no fault");
    let other = LogConfig { identity: 78, ..CONFIG };
    let mut replay = Log::open(shared(&disk), Path::new(DIR), other, Lsn::FIRST).expect("opens");
    assert_eq!(replay.next_record(), Ok(None));
}

#[test]
fn what_is_missing_is_named() {
    let dir = Path::new(DIR);
    let disk = FaultyDisk::new();
    disk.create_dir_all(dir).expect("folder");
    assert!(matches!(reopen(&disk, 1), Err(LogError::NoLog { .. })));
    let mut log = create(&disk);
    assert!(matches!(
        Log::create(shared(&disk), dir, CONFIG, Lsn::FIRST),
        Err(LogError::Exists { .. })
    ));
    for lsn in 1..=12 {
        log.append_sync(&[&payload(lsn)]).expect("no fault");
    }
    let files = disk.list(dir).expect("list");
    assert!(files.len() > 3);
    let without = |name: &str| {
        let copy = disk.crash(0);
        copy.remove(&dir.join(name)).expect("there");
        copy
    };
    let found = places(&disk)
        .iter()
        .find(|(place, _)| place.segment == 2)
        .map(|_| ())
        .is_some();
    assert!(found, "records lie in the second segment");
    assert!(matches!(
        reopen(&without(&files[0]), 1),
        Err(LogError::Gap { wanted: Lsn::FIRST, .. })
    ));
    let Err(LogError::MissingSegment { file }) = reopen(&without(&files[1]), 1) else {
        panic!("a hole")
    };
    assert_eq!(file, dir.join(&files[1]));
    // Without the last one the log ends early; what was covered by a checkpoint shows it.
    assert!(matches!(
        reopen(&without(files.last().expect("some")), 13),
        Err(LogError::Damaged { .. })
    ));
}

#[test]
fn a_file_that_was_cut_is_judged_like_any_other() {
    let disk = FaultyDisk::new();
    let mut log = create(&disk);
    for lsn in 1..=12 {
        log.append_sync(&[&payload(lsn)]).expect("no fault");
    }
    let places = places(&disk);
    let first_of_two = places[0].0;
    let file = disk
        .open(&first_of_two.file(Path::new(DIR)), OpenMode::Write)
        .expect("there");
    file.set_len(100).expect("cut");
    assert!(matches!(
        reopen(&disk, 1),
        Err(LogError::Damaged { lsn: Lsn::FIRST, .. })
    ));
}

#[test]
fn limits_are_kept_and_large_records_fit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let config = LogConfig {
        segment_bytes: 33 << 20,
        ..CONFIG
    };
    let bad = LogConfig {
        segment_bytes: 5000,
        ..CONFIG
    };
    let refused = Log::create(Arc::clone(&disk), folder.path(), bad, Lsn::FIRST).map(|_| ());
    assert_eq!(refused, Err(LogError::BadSegmentBytes { bytes: 5000 }));
    let mut log = Log::create(Arc::clone(&disk), folder.path(), config, Lsn::new(9)).expect("room");
    let large: Vec<u8> = (0..32_u32 << 20).map(|i| (i >> 12).to_le_bytes()[0]).collect();
    let segments = log.segments();
    log.append(&[b"small"]).expect("room");
    assert_eq!(segments.synced_lsn(), Lsn::new(8), "nothing is durable yet");
    assert_eq!(log.append_sync(&[&large[..1000], &large[1000..]]), Ok(Lsn::new(10)));
    assert_eq!(segments.synced_lsn(), Lsn::new(10));
    assert_eq!(log.append_sync(&[&large]), Ok(Lsn::new(11)));
    let too_large = vec![0; usize::try_from(config.payload_max()).expect("small") + 1];
    assert!(matches!(log.append(&[&too_large]), Err(LogError::TooLarge { .. })));
    assert_eq!(log.append(&[b"small"]), Ok(Lsn::new(12)));
    assert_eq!(log.append_sync(&[&too_large[1..]]), Ok(Lsn::new(13)), "the longest");
    let counters = log.counters();
    assert_eq!(
        (counters.records, counters.syncs, counters.prepared),
        (5, 4, 2),
        "a segment is synced when it is left"
    );
    drop((log, segments));
    let mut replay = Log::open(disk, folder.path(), config, Lsn::new(9)).expect("a log");
    let lengths: Vec<usize> = std::iter::from_fn(|| {
        let record = replay.next_record().expect("whole")?;
        Some(record.payload.len())
    })
    .collect();
    assert_eq!(lengths, [5, large.len(), large.len(), 5, too_large.len() - 1]);
    let (log, _) = replay.finish().expect("whole");
    assert_eq!(
        (log.next_lsn(), log.segments().synced_lsn()),
        (Lsn::new(14), Lsn::new(13))
    );
}
