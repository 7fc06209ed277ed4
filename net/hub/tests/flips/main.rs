//! R4: every byte of every file of a small data directory, flipped. Each flip is reported by name, or told as a note, or
//! the answer is provably the one without it; nothing panics, and nothing opens to another state.
//!
//! The short form samples. `TIDEGATE_FLIPS=all cargo test --release -p tidegate-hub --test flips -- --nocapture` flips
//! them all; `TIDEGATE_FLIPS=N` takes N single flips. With `TIDEGATE_FLIPS_PART=3/20` it is the third of twenty parts (the first is
//! `0/20`), each with every twentieth byte: `scripts/crash-loop flips` goes through them.

#[path = "../rig/mod.rs"]
mod rig;

mod disk;
mod fate;
mod world;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fate::{Fate, Tally};
use tidegate_table::{PAGE_BYTES, Problem, SlotInfo, check_image, superblocks};
use world::World;

/// Single flips of the short form, in each of the two directories.
const SHORT: usize = 1_000;
/// Byte positions of the short form that are flipped in all pages of the images at once.
const SHORT_POSITIONS: usize = 24;
/// The long form takes hours.
const PROGRESS_EVERY: Duration = Duration::from_secs(20);
/// One single flip of so many is also opened for writing, as a start would.
const OPEN_EVERY: usize = 20;

/// How many flips there are to be.
#[derive(Clone, Copy)]
enum Amount {
    All,
    Some(usize),
}

fn amount() -> Amount {
    match std::env::var("TIDEGATE_FLIPS").as_deref() {
        Ok("all") => Amount::All,
        Ok(number) => Amount::Some(number.parse().expect("TIDEGATE_FLIPS is `all` or a number")),
        Err(_) => Amount::Some(SHORT),
    }
}

/// What is left of `all` in the part that is asked for.
fn part<T>(all: Vec<T>) -> Vec<T> {
    let Ok(text) = std::env::var("TIDEGATE_FLIPS_PART") else {
        return all;
    };
    let numbers = text
        .split_once('/')
        .and_then(|(at, of)| Some((at.parse::<usize>().ok()?, of.parse::<usize>().ok()?)));
    let (at, of) = numbers
        .filter(|(at, of)| at < of)
        .expect("TIDEGATE_FLIPS_PART is as 3/20");
    all.into_iter().skip(at).step_by(of).collect()
}

/// A number that is spread over all 64 bits (SplitMix64).
fn mixed(n: u64) -> u64 {
    let mut z = n
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The bit that is flipped at a place.
fn mask(at: usize) -> u8 {
    1 << (mixed(at as u64) % 8)
}

/// All places of files whose bytes are flipped one at a time: all but the pages of images.
fn single_places(world: &World) -> Vec<(PathBuf, usize)> {
    let files = world.files().iter().filter(|(path, _)| !fate::is_pages(path));
    files
        .flat_map(|(path, bytes)| (0..bytes.len()).map(|at| (path.clone(), at)))
        .collect()
}

fn chosen(world: &World) -> Vec<(PathBuf, usize)> {
    let places = single_places(world);
    match amount() {
        // The others are flipped by groups.
        Amount::All => part(
            places
                .into_iter()
                .filter(|(path, at)| world.is_live(path, *at))
                .collect(),
        ),
        Amount::Some(count) => {
            // Half of them where something is, the rest anywhere: most of a log is zeros.
            let live: Vec<_> = places
                .iter()
                .filter(|(path, at)| world.is_live(path, *at))
                .cloned()
                .collect();
            let pick = |from: &[(PathBuf, usize)], n: usize| {
                let at = usize::try_from(mixed(n as u64) % from.len() as u64).expect("an index");
                from[at].clone()
            };
            (0..count)
                .map(|n| pick(if n % 2 == 0 { &live } else { &places }, n))
                .collect()
        }
    }
}

/// Runs `each` on all of `work`, on as many threads as there are cores.
fn on_all_cores<T: Sync>(work: &[T], each: impl Fn(&T, &mut Tally) + Sync) -> Tally {
    let (next, threads) = (
        AtomicUsize::new(0),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    let run = || {
        let (mut tally, mut told) = (Tally::default(), Instant::now());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = work.get(at) else { break };
            each(item, &mut tally);
            if told.elapsed() > PROGRESS_EVERY {
                println!("{at} of {}", work.len());
                told = Instant::now();
            }
        }
        tally
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let tallies = workers
            .into_iter()
            .map(|worker| worker.join().expect("it says what is wrong"));
        tallies.fold(Tally::default(), Tally::with)
    })
}

fn flip_single_bytes(world: &World) -> Tally {
    let clean = world.verdict(&[]).expect("no panic");
    assert!(clean.ok, "{clean:?}");
    let places: Vec<_> = chosen(world).into_iter().enumerate().collect();
    on_all_cores(&places, |(n, (path, at)), tally| {
        let flip = [(path.clone(), *at, mask(*at))];
        let fate = match world.verdict(&flip) {
            Ok(found) => fate::judge(world, &clean, &found, path, *at),
            Err(panic) => Fate::Silent(format!("verify panics: {panic}")),
        };
        assert!(
            !matches!(fate, Fate::Silent(_)),
            "{} byte {at}: {fate:?}",
            path.display()
        );
        if n % OPEN_EVERY == 0 {
            world
                .open(&clean, path, *at, mask(*at))
                .unwrap_or_else(|what| panic!("{} byte {at}: {what}", path.display()));
            tally.opened += 1;
        }
        tally.note(&fate);
    })
}

/// Bytes that no answer may depend on, flipped by groups: in every page the one at the same position. If the answer is that of the
/// clean directory with all of them flipped, none has changed it, unless two of them did so that one hid the other: they are
/// a page apart, and no sum is over both. A group with another answer is looked through byte by byte.
fn flip_dead_bytes(world: &World) -> Tally {
    let clean = world.verdict(&[]).expect("no panic");
    let positions = page_positions();
    let dead: Vec<_> = single_places(world)
        .into_iter()
        .filter(|(path, at)| !world.is_live(path, *at))
        .collect();
    on_all_cores(&positions, |position, tally| {
        let group = dead.iter().filter(|(_, at)| at % PAGE_BYTES == *position);
        let flips: Vec<_> = group.map(|(path, at)| (path.clone(), *at, mask(*at))).collect();
        let found = world.verdict(&flips).expect("no panic");
        if found.ok && fate::answers(&found) == fate::answers(&clean) {
            let count = if found.notes == clean.notes {
                &mut tally.unaffected
            } else {
                &mut tally.noted
            };
            *count += flips.len();
            return;
        }
        for flip in flips {
            let (path, at) = (flip.0.clone(), flip.1);
            let found = world.verdict(&[flip]).expect("no panic");
            tally.note(&fate::judge(world, &clean, &found, &path, at));
        }
    })
}

/// The positions in a page whose bytes are flipped in all pages at once.
fn page_positions() -> Vec<usize> {
    match amount() {
        Amount::All => part((0..PAGE_BYTES).collect()),
        Amount::Some(_) => (0..SHORT_POSITIONS as u64)
            .map(|n| usize::try_from(mixed(n) % PAGE_BYTES as u64).expect("small"))
            .collect(),
    }
}

/// Each page has a sum of its own, so one look judges a flip in every page at once: each must be named, and nothing else.
fn flip_pages(world: &World) -> Tally {
    let positions = page_positions();
    on_all_cores(&positions, |position, tally| {
        let places = world.files().iter().filter(|(path, _)| fate::is_pages(path));
        let flips: Vec<_> = places
            .flat_map(|(path, bytes)| {
                let starts = (0..bytes.len()).step_by(PAGE_BYTES);
                starts.map(move |start| (path.clone(), start + position, mask(start + position)))
            })
            .collect();
        let disk = world.disk(&flips);
        let slots = superblocks(&*disk, &world.state_dir()).expect("readable");
        let mut named = BTreeSet::new();
        for found in slots.iter().filter_map(SlotInfo::whole) {
            let (_, problems) = check_image(&*disk, &world.state_dir(), found, &mut |_| {}).expect("readable");
            named.extend(problems.into_iter().map(|problem| match problem {
                Problem::Page { file, offset, .. } => (file, offset),
                other => panic!("position {position}: {other}"),
            }));
        }
        let flipped = flips.iter().map(|(path, at, _)| (path.clone(), (at - position) as u64));
        assert!(
            named == flipped.collect(),
            "position {position}: a page is not named, or another one is"
        );
        // The whole check names all pages of the newest image, and tells of the other.
        let verdict = world.verdict(&flips).expect("no panic");
        assert_eq!(verdict.problems.len(), world.newest_pages(), "position {position}");
        assert!(!verdict.notes.is_empty());
        tally.pages += flips.len();
    })
}

#[test]
fn no_flipped_byte_goes_unseen() {
    for world in [World::stopped(), World::killed()] {
        let tally = flip_single_bytes(&world)
            .with(flip_dead_bytes(&world))
            .with(flip_pages(&world));
        println!("{}: {tally}", world.name());
        assert!(tally.reported > 0 && tally.unaffected > 0, "{tally}");
        assert!(tally.all() > 5_000, "{tally}");
    }
}
