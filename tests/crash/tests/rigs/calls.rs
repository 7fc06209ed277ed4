//! Calls of a real hub fail, at every kind of place where it changes files, and behind each the power goes too: what such a call
//! should have made durable is gone then, and whoever was answered in spite of it finds that out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_test_crash::mount::Mount;
use tidegate_test_crash::trace::{self, Injection, Told};

use crate::power::PATIENCE;
use crate::rig::{CLIENTS, all_held, assert_whole, leaves_held, load_until, look, number, seeded, wait_for_leaves};

/// How many of what there are fail, unless all do.
const TRIALS: u64 = 4;
/// Calls that are not reached before the clients got so many leaves are given up: another round meets them.
const REACHED: u64 = 400;
/// Leaves of a life that is looked at, and of one that has checkpoints in it.
const LOOKED_AT: [u64; 2] = [100, 1_500];
const ERRORS: [&str; 2] = ["error=EIO", "error=ENOSPC"];

type Sites = BTreeMap<trace::Site, BTreeSet<PathBuf>>;

/// A directory on a disk whose power can be cut, if there is one.
struct Rig {
    disk: Option<Mount>,
    site: Site,
    random: ChaCha8Rng,
    paid: u64,
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The hub has said why and ended.
    Ended,
    /// It did not start.
    NotStarted,
    /// It goes on: it had no room, and nothing depended on it.
    WentOn,
    /// The call was not made in time.
    NotReached,
}

impl Rig {
    fn new(seed: u64) -> Self {
        let disk = match Mount::ext4(64) {
            Ok(disk) => Some(disk),
            Err(why) => {
                eprintln!("without power losses: {why} (needs root, loop devices, mkfs.ext4)");
                None
            }
        };
        let parent = disk.as_ref().map(Mount::path);
        Self {
            site: Site::format_in(CLIENTS, seed, 500, parent.as_deref()),
            disk,
            random: ChaCha8Rng::seed_from_u64(seed),
            paid: 0,
        }
    }

    /// Every call on every kind of file that a life with checkpoints makes.
    fn learn(&mut self, leaves: u64) -> Sites {
        let file = self.site.path("trace");
        let words = trace::words(&file, None);
        let mut hub = self
            .site
            .start_below(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let site = &self.site;
        self.paid += load_until(site, &mut hub, &mut self.random, |hub| {
            wait_for_leaves(site, leaves);
            Box::new(move || hub.kill_below())
        });
        drop(hub);
        let told = trace::read(&file, &self.site.data());
        self.check("the life that was only looked at");
        told.sites
    }

    /// The power goes behind a failure; what is left must hold everything that anybody has.
    fn check(&self, what: &str) {
        if let Some(disk) = &self.disk {
            disk.cut_power().expect("an ext4, and root");
            disk.power_on();
        }
        let log = look(&self.site);
        assert_eq!(log.missing, 0, "{what}: receipts that the log does not hold: {log:?}");
    }

    fn trial(&mut self, injection: &Injection, files: &BTreeSet<PathBuf>) -> (Fate, Told) {
        let file = self.site.path("trace");
        let words = trace::words(&file, Some((injection, &trace::files_to_come(files))));
        let started = self
            .site
            .try_start(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let fate = match started {
            Ok(mut hub) => self.watch(&mut hub, &file),
            Err(_) => Fate::NotStarted,
        };
        let told = trace::read(&file, &self.site.data());
        self.check(&format!("{injection:?}"));
        (fate, told)
    }

    /// Has the clients pay until the failure has had its effect.
    fn watch(&mut self, hub: &mut Hub, file: &std::path::Path) -> Fate {
        let mut fate = Fate::NotReached;
        let (site, data) = (&self.site, self.site.data());
        self.paid += load_until(site, hub, &mut self.random, |hub| {
            let (goal, began) = (leaves_held(site) + REACHED, Instant::now());
            let reached = || leaves_held(site) >= goal || began.elapsed() > PATIENCE;
            while hub.is_running() && !reached() && trace::read(file, &data).injected == 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
            if trace::read(file, &data).injected > 0 {
                // Time to stop in, or to go on.
                let hit = Instant::now();
                while hub.is_running() && hit.elapsed() < Duration::from_secs(1) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                fate = if hub.is_running() { Fate::WentOn } else { Fate::Ended };
            }
            Box::new(move || {
                if hub.is_running() {
                    hub.kill_below();
                }
            })
        });
        if fate == Fate::Ended {
            assert_eq!(hub.wait_end(PATIENCE), 1, "a hub whose disk fails ends with its code");
        }
        fate
    }
}

/// What is to fail: everything in every way, or the log's own calls and then any.
fn plan(sites: &Sites, all: bool, random: &mut ChaCha8Rng) -> Vec<Injection> {
    let count = if all { 0 } else { number("TIDEGATE_CRASH_CALLS", TRIALS) };
    let mut injections: Vec<Injection> = Vec::new();
    let mut add = |site: &trace::Site, instead, random: &mut ChaCha8Rng| {
        // The log makes hundreds of calls, an image dozens, a folder few.
        let when = match site.kind.as_str() {
            "wal/log-*.seg" => random.random_range(1..60),
            "state/image-*.pages" => random.random_range(1..12),
            _ => random.random_range(1..3),
        };
        injections.push(Injection {
            site: site.clone(),
            instead,
            when: when.to_string(),
        });
    };
    if all {
        for (site, instead) in sites.keys().flat_map(|site| ERRORS.map(|error| (site, error))) {
            add(site, instead, random);
        }
    } else {
        let of_log = sites
            .keys()
            .filter(|site| site.kind == "wal/log-*.seg" && site.call != "rename");
        of_log.take(2).for_each(|site| add(site, ERRORS[0], random));
        let known: Vec<_> = sites.keys().collect();
        for _ in 2..count {
            add(
                known[random.random_range(0..known.len())],
                ERRORS[random.random_range(0..2)],
                random,
            );
        }
    }
    injections
}

#[test]
fn a_call_that_fails_is_never_taken_for_done() {
    if let Err(why) = trace::available() {
        return eprintln!("skipped: {why}");
    }
    let seed = seeded();
    println!("TIDEGATE_CRASH_SEED={seed}");
    let began = Instant::now();
    let mut rig = Rig::new(seed);
    let all = std::env::var("TIDEGATE_CRASH_CALLS").is_ok_and(|amount| amount == "all");
    let sites = rig.learn(LOOKED_AT[usize::from(all)]);
    let of_log = |call: &str| {
        sites
            .keys()
            .any(|site| site.call == call && site.kind == "wal/log-*.seg")
    };
    assert!(
        of_log("fdatasync") && of_log("pwritev"),
        "a life was looked at: {sites:?}"
    );
    let (mut hit, mut slowest) = (BTreeMap::<String, u64>::new(), 0.0_f64);
    let injections = plan(&sites, all, &mut rig.random);
    for injection in &injections {
        let (fate, told) = rig.trial(injection, &sites[&injection.site]);
        let what = format!(
            "{} {} {} {}",
            injection.site.call, injection.site.kind, injection.instead, injection.when
        );
        println!(
            "{what}: {fate:?}, {} failed, end after {:?} s",
            told.injected, told.until_end_s
        );
        match fate {
            Fate::WentOn => assert_eq!(injection.instead, "error=ENOSPC", "{what}: the hub goes on"),
            Fate::Ended | Fate::NotStarted => {
                let said = rig.site.errors();
                assert!(said.contains("TG-"), "{what}: the hub ended without a word: {said}");
                slowest = slowest.max(told.until_end_s.unwrap_or(0.0));
            }
            Fate::NotReached => continue,
        }
        *hit.entry(format!("{} {}", injection.site.call, injection.site.kind))
            .or_default() += 1;
    }
    println!(
        "{} calls were to fail, at {} of {} kinds of sites one did, {} states paid, {} leaves held, 0 missing; the slowest end came \
         {slowest:.2} s after its failure; {:.1} s",
        injections.len(),
        hit.len(),
        sites.len(),
        rig.paid,
        all_held(&rig.site).len(),
        began.elapsed().as_secs_f64()
    );
    assert!(rig.paid > 0 && !hit.is_empty(), "nothing was tried");
    drop(assert_whole(&rig.site, "after all of them"));
}
