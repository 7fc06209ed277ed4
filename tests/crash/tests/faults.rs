//! Disks that fail below a real hub: calls that return an error, no room, power that goes. After each the hub has everything that
//! any client holds, and what it could not make durable it has told nobody.
//!
//! `TIDEGATE_CRASH_EIO` sets the number of failing calls (2), `TIDEGATE_CRASH_POWER` that of power losses (3),
//! `TIDEGATE_CRASH_SEED` repeats a run's moments. Where a rig cannot be had (not root, no strace) the test says so and proves
//! nothing.

#[allow(dead_code, reason = "each test program uses a part")]
mod rig;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_test_crash::hub::Site;
use tidegate_test_crash::mount::Mount;

use rig::{CLIENTS, all_held, assert_whole, load_and_kill, load_until, number, rand_seed};

/// The calls that make a batch durable.
const CALLS: [&str; 2] = ["fdatasync", "pwrite64"];

fn can_trace() -> bool {
    let strace = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    strace.is_ok_and(|status| status.success())
}

#[test]
fn a_call_that_fails_ends_the_hub_and_loses_nothing() {
    if !can_trace() {
        eprintln!("skipped: no strace, or no leave to trace (apt-get install strace)");
        return;
    }
    let (trials, seed) = (
        number("TIDEGATE_CRASH_EIO", 2),
        number("TIDEGATE_CRASH_SEED", rand_seed()),
    );
    println!("TIDEGATE_CRASH_SEED={seed} TIDEGATE_CRASH_EIO={trials}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let site = Site::format(CLIENTS, seed, 500);
    let mut paid = 0;
    for trial in 0..trials {
        let call = CALLS[usize::try_from(trial).expect("few") % CALLS.len()];
        // Counted by thread: the log's thread makes one call of each kind per batch.
        let inject = format!("inject={call}:error=EIO:when={}+", random.random_range(20..80));
        let trace = format!("trace={call}");
        let outer = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        let mut hub = site.start_below(&outer);
        let mut code = 0;
        paid += load_until(&site, &mut hub, &mut random, |hub| {
            code = hub.wait_end(Duration::from_secs(120));
            Box::new(|| {})
        });
        assert_eq!(
            code, 1,
            "trial {trial}, {inject}: a hub whose disk fails ends with its code"
        );
        drop(hub);
        assert_whole(&site, &format!("trial {trial} of seed {seed}, {inject}")).stop(Duration::from_secs(60));
    }
    println!(
        "{trials} failing calls, {paid} states paid, {} leaves held, 0 missing",
        all_held(&site).len()
    );
    assert!(paid > 0, "a hub without load proves nothing");
}

#[test]
fn a_full_disk_gives_no_false_answer_and_the_hub_goes_on_when_there_is_room() {
    let disk = match Mount::small(16) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: {why} (needs root)"),
    };
    let seed = number("TIDEGATE_CRASH_SEED", rand_seed());
    println!("TIDEGATE_CRASH_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let site = Site::format_in(CLIENTS, seed, 500, Some(&disk.path()));
    let mut hub = site.start();
    let ballast = disk.path().join("ballast");
    let (mut when_full, mut after) = (0, 0);
    let paid = load_until(&site, &mut hub, &mut random, |hub| {
        fill(&ballast);
        when_full = count_when_still(&site);
        assert!(hub.is_running(), "a full disk is no reason to end");
        std::fs::remove_file(&ballast).expect("written here");
        after = count_above(&site, when_full);
        Box::new(move || hub.kill())
    });
    assert!(when_full > 0 && after > when_full, "{when_full} leaves, then {after}");
    assert_whole(&site, &format!("full disk of seed {seed}")).stop(Duration::from_secs(60));
    println!(
        "16 MB full: {when_full} leaves held until payments stopped, {after} soon after there was room, {paid} states paid, 0 missing"
    );
}

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("room for a name");
    for size in [1 << 16, 1 << 12] {
        while file.write_all(&vec![0xaa; size]).is_ok() {}
    }
}

/// How many leaves clients hold, once that has not changed for a second.
fn count_when_still(site: &Site) -> usize {
    let (mut count, mut since, began) = (0, Instant::now(), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        let now = all_held(site).len();
        if now != count {
            (count, since) = (now, Instant::now());
        }
        assert!(began.elapsed() < Duration::from_secs(120), "the disk never got full");
        thread::sleep(Duration::from_millis(50));
    }
    count
}

/// How many leaves clients hold, once there are more than `count`.
fn count_above(site: &Site, count: usize) -> usize {
    let began = Instant::now();
    loop {
        let now = all_held(site).len();
        if now > count {
            return now;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no payment after there was room"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_is_lost_when_the_power_goes() {
    let disk = match Mount::ext4(96) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: {why} (needs root, loop devices, mkfs.ext4)"),
    };
    let (losses, seed) = (
        number("TIDEGATE_CRASH_POWER", 3),
        number("TIDEGATE_CRASH_SEED", rand_seed()),
    );
    println!("TIDEGATE_CRASH_SEED={seed} TIDEGATE_CRASH_POWER={losses}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let site = Site::format_in(CLIENTS, seed, 500, Some(&disk.path()));
    let (mut hub, mut paid, mut torn) = (site.start(), 0, 0);
    for loss in 1..=losses {
        let moment = Duration::from_millis(random.random_range(50..600));
        paid += load_until(&site, &mut hub, &mut random, |_| {
            thread::sleep(moment);
            Box::new(|| disk.cut_power().expect("an ext4, and root"))
        });
        drop(hub);
        disk.power_on();
        torn += u64::from(random.random() && garble_behind_the_end(&site.data().join("wal"), &mut random));
        hub = assert_whole(&site, &format!("loss {loss} of seed {seed}"));
    }
    println!(
        "{losses} power losses, {torn} tails garbled, {paid} states paid, {} leaves held, 0 missing",
        all_held(&site).len()
    );
    assert!(paid > 0, "a hub without load proves nothing");
    // While the disk is still there.
    load_and_kill(&site, &mut hub, &mut random, 100);
}

/// Writes garbage behind the last record of the log, as a torn write may leave it. False if the segment ends there.
fn garble_behind_the_end(wal: &Path, random: &mut ChaCha8Rng) -> bool {
    const PAGE: usize = 4_096;
    let entries = std::fs::read_dir(wal).expect("a log");
    let mut segments: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    segments.sort();
    for path in segments.iter().rev() {
        let bytes = std::fs::read(path).expect("a segment");
        let Some(last) = bytes.iter().rposition(|&byte| byte != 0) else {
            continue;
        };
        let from = (last + 1).next_multiple_of(PAGE);
        let mut garbage = vec![0; random.random_range(1..3 * PAGE)];
        random.fill_bytes(&mut garbage);
        garbage.truncate(bytes.len().saturating_sub(from));
        let file = OpenOptions::new().write(true).open(path).expect("a segment");
        file.write_all_at(&garbage, from as u64)
            .expect("room inside the segment");
        return !garbage.is_empty();
    }
    false
}
