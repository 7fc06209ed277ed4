//! The power goes under load: an ext4 of the rig's own stops from one moment to the next, and what no sync had covered is gone.
//! Then sectors behind the end of what was promised are changed, as a disk may have left them.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_hub::state;
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_test_crash::mount::Mount;
use tidegate_test_crash::tail::Tail;
use tidegate_test_crash::trace::{self, Injection};

use crate::rig::{
    CLIENTS, Clock, all_held, assert_nothing_is_missing, checkpoint, load_until, look, number, seeded, wait_for_leaves,
};

/// Size of the file system, in MiB.
const DISK: u64 = 64;
/// A hub whose disk is gone has ended before this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Has the clients pay until they got up to `most` leaves, and cuts the power soon after; how many states were paid. The hub ends by
/// itself: its next sync fails.
fn load_and_cut(site: &Site, hub: &mut Hub, disk: &Mount, random: &mut ChaCha8Rng, most: u64) -> u64 {
    let (more, then) = (
        random.random_range(0..=most),
        Duration::from_millis(random.random_range(0..30)),
    );
    load_until(site, hub, random, |hub| {
        wait_for_leaves(site, more);
        std::thread::sleep(then);
        Box::new(move || {
            disk.cut_power().expect("an ext4, and root");
            assert_eq!(hub.wait_end(PATIENCE), 1, "a hub without a disk ends with its code");
        })
    })
}

/// Changes the tail of a dead hub's log; how many places were changed.
fn change_tail(site: &Site, random: &mut ChaCha8Rng) -> Vec<String> {
    let held = all_held(site);
    let promised = held.iter().map(|leaf| leaf.batch).max().unwrap_or(0);
    let tail = Tail::find(&state::wal_dir(&site.data()), promised, checkpoint(site).1).expect("a readable log");
    tail.map_or_else(Vec::new, |tail| tail.change(random).expect("a writable disk"))
}

#[test]
fn nothing_is_lost_when_the_power_goes() {
    let disk = match Mount::ext4(DISK) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: {why} (needs root, loop devices, mkfs.ext4)"),
    };
    let (losses, seed) = (number("TIDEGATE_CRASH_POWER", 3), seeded());
    println!("TIDEGATE_CRASH_SEED={seed} TIDEGATE_CRASH_POWER={losses}");
    let (mut clock, mut random) = (Clock::new(), ChaCha8Rng::seed_from_u64(seed));
    let site = Site::format_in(CLIENTS, seed, 500, Some(&disk.path()));
    let mut hub = site.try_start(&[]).expect("a new hub starts");
    let (mut paid, mut replayed, mut changed, mut twice) = (0, 0, 0, 0);
    for loss in 1..=losses {
        let most = if loss % 8 == 0 { 600 } else { 60 };
        clock.lap("start and format");
        paid += load_and_cut(&site, &mut hub, &disk, &mut random, most);
        clock.lap("load");
        drop(hub);
        disk.power_on();
        let mut what = change_tail(&site, &mut random);
        changed += what.len();
        // One recovery in four is itself cut off, at any moment of it or soon after.
        if random.random_ratio(1, 4) {
            twice += 1;
            let moment = Duration::from_millis(random.random_range(0..120));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(moment);
                    disk.cut_power().expect("an ext4, and root");
                });
                drop(site.try_start(&[]));
            });
            disk.power_on();
            what.push("cut again after the recovery".to_owned());
        }
        clock.lap("remount and change");
        let what = format!("loss {loss} of seed {seed}: {what:?}");
        assert_eq!(look(&site).missing, 0, "{what}");
        clock.lap("verify");
        hub = site
            .try_start(&[])
            .unwrap_or_else(|code| panic!("{what}: exit code {code}: {}", site.errors()));
        replayed += hub.replayed;
        clock.lap("start and format");
        assert_nothing_is_missing(&site, &hub);
        clock.lap("ask");
    }
    println!(
        "{losses} power losses ({twice} more within a recovery), {changed} places of tails changed, {paid} states paid, {} leaves \
         held, 0 missing; {replayed} batches replayed, {} checkpoints; {clock}",
        all_held(&site).len(),
        checkpoint(&site).0,
    );
    assert!(paid > 0, "a hub without load proves nothing");
    // While the disk is still there.
    hub.kill();
}

#[test]
fn a_disk_that_says_synced_and_has_not_is_found_out() {
    if let Err(why) = trace::available() {
        return eprintln!("skipped: {why}");
    }
    let disk = match Mount::ext4(DISK) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: {why} (needs root, loop devices, mkfs.ext4)"),
    };
    let seed = seeded();
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let site = Site::format_in(CLIENTS, seed, 500, Some(&disk.path()));
    let first = state::wal_dir(&site.data()).join("log-0000000000000001.seg");
    let lie = Injection::lie("fdatasync", "wal/log-*.seg");
    let words = trace::words(
        &site.path("trace"),
        Some((&lie, &trace::files_to_come(&[first].into()))),
    );
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut hub = site.start_below(&words);
    let paid = load_until(&site, &mut hub, &mut random, |hub| {
        wait_for_leaves(&site, 60);
        Box::new(|| {
            disk.cut_power().expect("an ext4, and root");
            hub.kill_below();
        })
    });
    drop(hub);
    disk.power_on();
    let log = look(&site);
    assert!(
        paid > 0 && log.missing > 0,
        "{paid} states were paid by a lie, and nobody noticed: {log:?}"
    );
}
