//! A loaded hub is killed at random moments; every receipt that any client held is still there.
//!
//! `TIDEGATE_CRASH_KILLS` sets how often (20), `TIDEGATE_CRASH_SEED` repeats the moments of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_client::Connection;
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::state;
use tidegate_test_crash::check::{self, InLog};
use tidegate_test_crash::held::{self, Held};
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_test_crash::load::{Payer, held_path};
use tidegate_types::Digest;

const CLIENTS: usize = 6;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// The headers in a dead hub's log, by number; the value in its channels is their capacity.
fn dead_log(site: &Site) -> BTreeMap<u64, Digest> {
    let verdict = site.run(&["verify", "--data", "hub", "--json"]);
    assert_eq!(verdict["ok"].as_bool(), Some(true), "{verdict}");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let found = state::inspect(&disk, &site.data(), &mut |_| {}).expect("a whole state");
    let (value, capacity) = found.engine.value();
    assert_eq!(value, capacity, "no satoshi is made or lost");
    found
        .headers
        .iter()
        .map(|header| (header.number.get(), header.digest()))
        .collect()
}

/// Kills the hub at a random moment of its load; how many states were paid.
fn load_and_kill(site: &Site, hub: &mut Hub, random: &mut ChaCha8Rng, longest: u64) -> u64 {
    let options = site.options(hub);
    let moment = Duration::from_millis(random.random_range(50..longest));
    let killed = AtomicBool::new(false);
    let seeds: Vec<u64> = (0..CLIENTS).map(|_| random.random()).collect();
    let ended = thread::scope(|scope| {
        let run = |(index, seed)| {
            let (options, killed) = (&options, &killed);
            scope.spawn(move || Payer::new(site, index, seed).run(options, killed))
        };
        let threads: Vec<_> = seeds.into_iter().enumerate().map(run).collect();
        thread::sleep(moment);
        killed.store(true, Ordering::SeqCst);
        hub.kill();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a client does not panic"))
            .collect::<Vec<_>>()
    });
    for (index, end) in ended.iter().enumerate() {
        assert!(
            end.stuck.is_none(),
            "client {index} cannot go on: {}",
            end.stuck.as_ref().expect("some")
        );
    }
    ended.iter().map(|end| end.paid).sum()
}

/// Asks a restarted hub for what every client holds.
fn assert_nothing_is_missing(site: &Site, hub: &Hub) {
    for index in 0..CLIENTS {
        let held = held::read(&held_path(site, index));
        assert_eq!(
            missing(site, hub, index, &held),
            Vec::<Held>::new(),
            "client {index} of {hub:?}"
        );
    }
}

/// The leaves of `held`, all of one client, to which the hub's own do not lead.
fn missing(site: &Site, hub: &Hub, index: usize, held: &[Held]) -> Vec<Held> {
    let identity = SecretKey::from_seed(*site.seeds[index]);
    let mut connection = Connection::connect(&site.options(hub), identity).expect("the hub answers");
    let headers = check::headers(site.ledger, connection.hello().hub);
    let newest = held.last().map_or(0, |leaf| leaf.counter);
    let told = check::ask(&mut connection, &headers, site.channels[index], newest);
    check::missing(held, &told).into_iter().copied().collect()
}

#[test]
fn no_receipt_is_lost_by_kills_at_random_moments() {
    let kills = number("TIDEGATE_CRASH_KILLS", 20);
    let seed = number("TIDEGATE_CRASH_SEED", rand_seed());
    println!("TIDEGATE_CRASH_SEED={seed} TIDEGATE_CRASH_KILLS={kills}");
    let began = Instant::now();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let site = Site::format(CLIENTS, seed, 500);
    let (mut paid, mut replayed, mut log) = (0, 0, InLog::default());
    let mut hub = site.start();
    for kill in 1..=kills {
        // Every fourth life is long enough for checkpoints.
        let longest = if kill % 4 == 0 { 5_000 } else { 1_000 };
        paid += load_and_kill(&site, &mut hub, &mut random, longest);
        let headers = dead_log(&site);
        let all: Vec<Held> = (0..CLIENTS)
            .flat_map(|index| held::read(&held_path(&site, index)))
            .collect();
        log = check::in_log(&all, &headers);
        assert_eq!(
            log.missing, 0,
            "kill {kill} of seed {seed}: receipts that the log does not hold: {log:?}"
        );
        hub = site.start();
        replayed += hub.replayed;
        assert_nothing_is_missing(&site, &hub);
    }
    let held: Vec<Vec<Held>> = (0..CLIENTS).map(|index| held::read(&held_path(&site, index))).collect();
    let receipts = held.iter().flatten().filter(|leaf| leaf.is_receipt()).count();
    println!(
        "{kills} kills and restarts, {paid} states paid, {receipts} receipts held, 0 missing ({} in the log, {} behind a \
         checkpoint, all in their chains); {replayed} batches replayed; {:.1} s",
        log.found,
        log.older,
        began.elapsed().as_secs_f64()
    );
    assert!(receipts as u64 > kills * 10, "a hub without load proves nothing");
}

#[test]
fn a_receipt_that_the_hub_never_gave_is_missing() {
    let seed = 7;
    let site = Site::format(CLIENTS, seed, 500);
    let mut hub = site.start();
    load_and_kill(&site, &mut hub, &mut ChaCha8Rng::seed_from_u64(seed), 1_000);
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
    load_and_kill(&site, &mut hub, &mut ChaCha8Rng::seed_from_u64(seed), 1_000);
    assert!(
        erase_end(&site.data().join("wal"), 20_000),
        "the log is longer than that"
    );
    let headers = dead_log(&site);
    let all: Vec<Held> = (0..CLIENTS)
        .flat_map(|index| held::read(&held_path(&site, index)))
        .collect();
    assert!(
        check::in_log(&all, &headers).missing > 0,
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

/// A new moment for every run; printed, so that it can be repeated.
fn rand_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("a clock after 1970").as_nanos() % 1_000_000_007).expect("below 2^30")
}
