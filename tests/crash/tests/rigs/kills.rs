//! A loaded hub is killed at random moments; every receipt that any client held is still there.

use std::path::{Path, PathBuf};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tidegate_test_crash::check::{self, InLog};
use tidegate_test_crash::held::{self, Held};
use tidegate_test_crash::hub::Site;
use tidegate_test_crash::load::held_path;
use tidegate_types::Digest;

use crate::rig::{
    CLIENTS, Clock, all_held, assert_nothing_is_missing, dead_log, load_and_kill, load_until, look, missing,
    newest_checkpoint, number, seeded, wait_for_leaves,
};

/// Leaves that some clients hold at least.
const FEW: u64 = 30;
/// Leaves of many batches.
const PLENTY: u64 = 400;

#[test]
fn no_receipt_is_lost_by_kills_at_random_moments() {
    let (kills, seed) = (number("TIDEGATE_CRASH_KILLS", 20), seeded());
    println!("TIDEGATE_CRASH_SEED={seed} TIDEGATE_CRASH_KILLS={kills}");
    let (mut clock, mut random) = (Clock::new(), ChaCha8Rng::seed_from_u64(seed));
    let site = Site::format(CLIENTS, seed, 500);
    let (mut paid, mut replayed, mut log) = (0, 0, InLog::default());
    let mut hub = site.start();
    for kill in 1..=kills {
        // Every fourth life is long enough for checkpoints.
        let most = if kill % 4 == 0 { 800 } else { 60 };
        clock.lap("start and format");
        paid += load_and_kill(&site, &mut hub, &mut random, most);
        clock.lap("load");
        log = look(&site);
        assert_eq!(
            log.missing, 0,
            "kill {kill} of seed {seed}: receipts that the log does not hold: {log:?}"
        );
        clock.lap("verify");
        hub = site.start();
        replayed += hub.replayed;
        clock.lap("start and format");
        assert_nothing_is_missing(&site, &hub);
        clock.lap("ask");
    }
    let receipts = all_held(&site).iter().filter(|leaf| leaf.is_receipt()).count();
    let checkpoints = newest_checkpoint(&site);
    println!(
        "{kills} kills and restarts, {paid} states paid, {receipts} receipts held, 0 missing ({} in the log, {} behind a \
         checkpoint, all in their chains); {replayed} batches replayed, {checkpoints} checkpoints; {clock}",
        log.found, log.older,
    );
    assert!(receipts as u64 > kills, "a hub without load proves nothing");
}

#[test]
fn a_receipt_that_the_hub_never_gave_is_missing() {
    let seed = 7;
    let site = Site::format(CLIENTS, seed, 500);
    let mut hub = site.start();
    load_until(&site, &mut hub, &mut ChaCha8Rng::seed_from_u64(seed), |hub| {
        wait_for_leaves(&site, FEW);
        Box::new(move || hub.kill())
    });
    let headers = dead_log(&site);
    let hub = site.start();
    let (index, honest) = (0..CLIENTS)
        .map(|index| (index, held::read(&held_path(&site, index))))
        .find(|(_, held)| held.last().is_some_and(Held::is_receipt))
        .expect("some client was paid or has paid");
    assert_eq!(missing(&site, &hub, index, &honest), []);

    let newest = *honest.last().expect("found for that");
    let forged = Held {
        digest: Digest::from_bytes([9; 32]),
        header: Digest::from_bytes([8; 32]),
        ..newest
    };
    let beside = [honest.as_slice(), &[forged]].concat();
    assert_eq!(missing(&site, &hub, index, &beside), [forged], "only the forged one");
    assert_eq!(check::in_log(&[forged], &headers).missing, 1);

    // One leaf more than the hub ever made: it has forgotten what was promised.
    let ahead = Held {
        counter: newest.counter + 1,
        previous: newest.digest,
        digest: forged.digest,
        ..newest
    };
    let longer = [honest.as_slice(), &[ahead]].concat();
    assert!(missing(&site, &hub, index, &longer).contains(&ahead));
}

#[test]
fn a_hub_whose_log_lost_its_end_has_receipts_missing() {
    let seed = 8;
    let site = Site::format(CLIENTS, seed, 500);
    let mut hub = site.start();
    load_until(&site, &mut hub, &mut ChaCha8Rng::seed_from_u64(seed), |hub| {
        wait_for_leaves(&site, PLENTY);
        Box::new(move || hub.kill())
    });
    assert!(
        erase_end(&site.data().join("wal"), 20_000),
        "the log is longer than that"
    );
    let headers = dead_log(&site);
    assert!(
        check::in_log(&all_held(&site), &headers).missing > 0,
        "{} batches are left",
        headers.len()
    );
    let hub = site.start();
    let lost = (0..CLIENTS).map(|index| missing(&site, &hub, index, &held::read(&held_path(&site, index))).len());
    assert!(lost.sum::<usize>() > 0, "the hub forgot receipts, and nobody noticed");
}

/// Overwrites the last `bytes` bytes that were written to the newest log segment with zeros, as if they had never been.
fn erase_end(wal: &Path, bytes: usize) -> bool {
    let entries = std::fs::read_dir(wal).expect("a log");
    let mut segments: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    segments.sort();
    let written = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("a segment");
        let end = bytes.iter().rposition(|&byte| byte != 0)?;
        (end > 8_192).then(|| (path.clone(), bytes, end))
    };
    let Some((path, mut content, end)) = segments.iter().rev().find_map(written) else {
        return false;
    };
    let from = end.saturating_sub(bytes).max(4_096);
    content[from..=end].fill(0);
    std::fs::write(path, content).expect("a writable folder");
    true
}
