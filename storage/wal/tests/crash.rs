//! Kills, power losses and errors at every site of the log's life: what was synced is there, whole and in order.
//!
//! The owner here is the smallest that behaves as the hub does: it appends, syncs, counts a record as promised only
//! then, and recycles only below a checkpoint (a number that the test remembers for it).

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk, Op};
use tidegate_wal::{Log, LogConfig, LogError, Lsn};

const DIR: &str = "/log";
const CONFIG: LogConfig = LogConfig {
    identity: 0x1234_5678_9abc_def0,
    segment_bytes: 5 * 4096,
    ready_max: 2,
};

/// What the owner of the log knows, and a kill does not take from it.
#[derive(Clone, Default)]
struct Owner {
    /// Every record handed to `append`, by number: a later try of the same number replaces the earlier.
    tried: BTreeMap<u64, Vec<u8>>,
    promised: u64,
    covered: u64,
    life: u64,
    created: bool,
}

/// Lengths on both sides of a page and up to most of a segment.
fn payload(lsn: u64, life: u64) -> Vec<u8> {
    let lengths = [0, 1, 100, 4031, 4032, 4033, 9000, 15000];
    let length = lengths[usize::try_from((lsn.wrapping_mul(7) ^ life) % 8).expect("small")];
    (0..length)
        .map(|i: u64| (i ^ lsn.wrapping_mul(31) ^ life.wrapping_mul(97)).to_le_bytes()[0])
        .collect()
}

impl Owner {
    /// Opens the log (or makes it), checks what it replays, and appends `count` records.
    fn live(&mut self, disk: &FaultyDisk, count: u64) -> Result<(), LogError> {
        self.life += 1;
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut log = if self.created {
            self.replay(shared)?
        } else {
            disk.create_dir_all(Path::new(DIR)).map_err(LogError::Failed)?;
            let log = match Log::create(Arc::clone(&shared), Path::new(DIR), CONFIG, Lsn::FIRST) {
                Err(LogError::Exists { .. }) => self.replay(shared)?,
                other => other?,
            };
            self.created = true;
            log
        };
        for step in 0..count {
            let (lsn, bytes) = (log.next_lsn().get(), payload(log.next_lsn().get(), self.life));
            self.tried.insert(lsn, bytes.clone());
            let (head, rest) = bytes.split_at(bytes.len() / 3);
            assert_eq!(log.append(&[head, rest])?.get(), lsn);
            if step % 3 != 1 {
                self.promised = log.sync()?.get();
            }
            if step % 5 == 4 {
                self.covered = self.promised.saturating_sub(2);
                log.segments().recycle(Lsn::new(self.covered + 1))?;
                log.segments().prepare()?;
            }
        }
        Ok(())
    }

    fn replay(&mut self, disk: Arc<dyn Disk>) -> Result<Log, LogError> {
        let mut replay = Log::open(disk, Path::new(DIR), CONFIG, Lsn::new(self.covered + 1))?;
        let mut next = self.covered + 1;
        let mut found = Vec::new();
        while let Some(record) = replay.next_record()? {
            assert_eq!(record.lsn.get(), next, "records come in order, from the first needed");
            assert_eq!(
                Some(record.payload),
                self.tried.get(&next).map(Vec::as_slice),
                "record {next} is what was appended"
            );
            found.push(next);
            next += 1;
        }
        assert!(
            next > self.promised,
            "promised up to {}, found up to {}",
            self.promised,
            next - 1
        );
        let (log, tail) = replay.finish()?;
        assert_eq!(tail.next, log.next_lsn());
        assert_eq!(log.next_lsn().get(), next);
        // From now on the owner may answer for what it has seen.
        self.promised = next - 1;
        self.created = true;
        Ok(log)
    }
}

/// One trial: a fault in the first life, then one in the second, then a life without.
fn trial(kind: FaultKind, first: u64, second: u64, seed: u64) -> (bool, bool) {
    let mut owner = Owner::default();
    let disk = FaultyDisk::new();
    disk.arm(Fault {
        site: first,
        kind,
        seed,
    });
    let ended = owner.live(&disk, 25);
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
    let ended = owner.live(&disk, 8);
    assert_eq!(
        ended.is_err(),
        disk.has_failed(),
        "a failure is never hidden: {ended:?}"
    );
    let failed_again = disk.has_failed();

    let disk = if seed.is_multiple_of(2) {
        disk.restart()
    } else {
        disk.crash(seed.wrapping_mul(5))
    };
    owner.live(&disk, 8).expect("no fault is planned");
    (failed, failed_again)
}

#[test]
fn kill_at_every_site() {
    let (mut first, mut trials) = (1, 0);
    while trial(FaultKind::Kill, first, u64::MAX, 0).0 {
        for seed in 0..40 {
            // All second sites within reach, and with each site both kinds of ending of each life.
            trial(FaultKind::Kill, first, 1 + (first + seed * 7) % 40, seed + first * 41);
            trials += 1;
        }
        first += 1;
    }
    assert!(trials > 3000, "{trials} trials");
}

#[test]
fn errors_at_every_site() {
    for kind in [FaultKind::Eio, FaultKind::NoSpace] {
        let mut first = 1;
        while trial(kind, first, u64::MAX, 1).0 {
            for seed in 0..4 {
                trial(kind, first, 1 + (first + seed * 5) % 40, seed + first * 4);
            }
            first += 1;
        }
        assert!(first > 60, "{first} sites");
    }
}

#[test]
fn the_story_passes_every_kind_of_site() {
    let disk = FaultyDisk::new();
    Owner::default().live(&disk, 25).expect("no fault is planned");
    let count = disk.site_count();
    for op in [Op::Create, Op::Allocate, Op::Write, Op::Sync, Op::Rename, Op::SyncDir] {
        assert!(count.get(&op).is_some_and(|n| *n > 1), "{op}: {count:?}");
    }
}

#[test]
fn after_a_failed_sync_nothing_is_taken() {
    for kind in [FaultKind::Eio, FaultKind::NoSpace] {
        let disk = FaultyDisk::new();
        disk.create_dir_all(Path::new(DIR)).expect("folder");
        let mut log = Log::create(Arc::new(disk.clone()), Path::new(DIR), CONFIG, Lsn::FIRST).expect("room");
        log.append_sync(&[b"one"]).expect("no fault yet");
        log.append(&[b"two"]).expect("no fault yet");
        disk.arm(Fault {
            site: disk.sites() + 1,
            kind,
            seed: 4,
        });
        assert!(matches!(log.sync(), Err(LogError::Failed(_))));
        let sites = disk.sites();
        assert_eq!(log.sync(), Err(LogError::Poisoned));
        assert_eq!(log.append(&[b"three"]), Err(LogError::Poisoned));
        assert_eq!(log.segments().prepare(), Err(LogError::Poisoned));
        assert_eq!(disk.sites(), sites, "the disk is not asked again");
        assert_eq!(log.synced_lsn(), Lsn::FIRST);
    }
}

#[test]
fn a_full_disk_refuses_and_the_log_goes_on_when_there_is_room() {
    let disk = FaultyDisk::new();
    disk.create_dir_all(Path::new(DIR)).expect("folder");
    let mut log = Log::create(Arc::new(disk.clone()), Path::new(DIR), CONFIG, Lsn::FIRST).expect("room");
    disk.limit_space(Some(CONFIG.segment_bytes + 4096));
    let big = vec![7; 9000];
    log.append_sync(&[&big]).expect("the first segment has room");
    assert!(matches!(log.append(&[&big]), Err(LogError::NoSpace(_))));
    assert!(matches!(log.segments().prepare(), Err(LogError::NoSpace(_))));
    assert_eq!(
        disk.list(Path::new(DIR)).expect("list").len(),
        1,
        "what was begun is removed again"
    );
    log.append_sync(&[b"small ones still fit"])
        .expect("room in the segment");
    disk.limit_space(None);
    assert_eq!(log.append_sync(&[&big]).expect("room again"), Lsn::new(3));
}
