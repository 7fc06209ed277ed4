//! A disk of 16 MB fills up under a real hub: nobody is told anything that is not so, and the hub goes on when there is room.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tidegate_test_crash::hub::Site;
use tidegate_test_crash::mount::Mount;

use crate::rig::{
    CLIENTS, all_held, assert_nothing_is_missing, assert_whole, load_until, look, seeded, wait_for_leaves,
};

/// So many leaves are held before the disk is filled.
const BEFORE: u64 = 100;

#[test]
fn a_full_disk_gives_no_false_answer_and_the_hub_goes_on_when_there_is_room() {
    let disk = match Mount::small(16) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: {why} (needs root)"),
    };
    let seed = seeded();
    println!("TIDEGATE_CRASH_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let site = Site::format_in(CLIENTS, seed, 500, Some(&disk.path()));
    let mut hub = site.try_start(&[]).expect("there is room");
    let ballast = disk.path().join("ballast");
    let (mut when_full, mut after) = (0, 0);
    let paid = load_until(&site, &mut hub, &mut random, |hub| {
        wait_for_leaves(&site, BEFORE);
        fill(&ballast);
        wait_for_word(&site);
        when_full = count_when_still(&site);
        assert!(hub.is_running(), "a full disk is no reason to end");
        std::fs::remove_file(&ballast).expect("written here");
        after = count_above(&site, when_full);
        // Full again, and killed as it is.
        fill(&ballast);
        count_when_still(&site);
        Box::new(move || hub.kill())
    });
    assert!(when_full > 0 && after > when_full, "{when_full} leaves, then {after}");
    assert_eq!(
        look(&site).missing,
        0,
        "seed {seed}: what a dead hub on a full disk holds"
    );
    let on_full = start_on_full(&site);
    std::fs::remove_file(&ballast).expect("written here");
    drop(assert_whole(&site, &format!("full disk of seed {seed}")));
    println!(
        "16 MB full: {when_full} leaves held until payments stopped, {after} soon after there was room; {on_full}; {paid} states \
         paid, 0 missing"
    );
}

/// A start without room: it serves what it has, or says why not. Which of both.
fn start_on_full(site: &Site) -> &'static str {
    match site.try_start(&[]) {
        Ok(hub) => {
            assert_nothing_is_missing(site, &hub);
            "started on the full disk"
        }
        Err(code) => {
            let said = site.errors();
            assert!(code == 1 && said.contains("TG-0206"), "exit code {code}: {said}");
            "on the full disk the start is refused by TG-0206"
        }
    }
}

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("room for a name");
    for size in [1 << 16, 1 << 12] {
        while file.write_all(&vec![0xaa; size]).is_ok() {}
    }
}

/// Until the hub says why it is busy.
fn wait_for_word(site: &Site) {
    let began = Instant::now();
    while !site.errors().contains("no room for the log") {
        assert!(began.elapsed() < Duration::from_secs(120), "the disk never got full");
        std::thread::sleep(Duration::from_millis(20));
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
        std::thread::sleep(Duration::from_millis(50));
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
        std::thread::sleep(Duration::from_millis(20));
    }
}
