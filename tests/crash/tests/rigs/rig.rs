//! Load, ends and questions that the tests share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tidegate_client::Connection;
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::state;
use tidegate_table::{SlotInfo, superblocks};
use tidegate_test_crash::check::{self, InLog};
use tidegate_test_crash::held::{self, Held};
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_test_crash::load::{Payer, held_path};
use tidegate_types::{Digest, Fixed as _};

pub(crate) const CLIENTS: usize = 6;

pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Where the time of a run goes.
#[derive(Debug)]
pub(crate) struct Clock {
    laps: BTreeMap<&'static str, Duration>,
    last: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            laps: BTreeMap::new(),
            last: Instant::now(),
        }
    }

    /// What was done since the last lap.
    pub(crate) fn lap(&mut self, what: &'static str) {
        *self.laps.entry(what).or_default() += self.last.elapsed();
        self.last = Instant::now();
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Duration = self.laps.values().sum();
        write!(f, "{:.1} s", all.as_secs_f64())?;
        for (what, lap) in &self.laps {
            write!(f, ", {what} {:.1}", lap.as_secs_f64())?;
        }
        Ok(())
    }
}

/// The number of a dead or living hub's newest checkpoint, and the last record that it covers.
pub(crate) fn checkpoint(site: &Site) -> (u64, u64) {
    let slots = superblocks(&RealDisk, &state::state_dir(&site.data())).expect("a hub's state");
    let whole = slots.iter().filter_map(SlotInfo::whole);
    whole
        .map(|found| (found.sequence, found.lsn.get()))
        .max()
        .unwrap_or_default()
}

/// How many checkpoints have been written in the life of a directory.
pub(crate) fn newest_checkpoint(site: &Site) -> u64 {
    checkpoint(site).0
}

/// The headers in a dead hub's log, by number; the value in its channels is their capacity.
pub(crate) fn dead_log(site: &Site) -> BTreeMap<u64, Digest> {
    let data = site.data();
    let verdict = site.run(&["verify", "--data", data.to_str().expect("a UTF-8 path"), "--json"]);
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

/// How many leaves the clients hold.
pub(crate) fn leaves_held(site: &Site) -> u64 {
    let bytes = |index| std::fs::metadata(held_path(site, index)).map_or(0, |file| file.len());
    (0..CLIENTS).map(bytes).sum::<u64>() / Held::LEN as u64
}

/// Until the clients hold so many leaves more than now. A moment by the clock would come too early on a busy machine; one that is
/// busier than that proves nothing.
pub(crate) fn wait_for_leaves(site: &Site, more: u64) {
    let (goal, began) = (leaves_held(site) + more, Instant::now());
    while leaves_held(site) < goal && began.elapsed() < Duration::from_secs(120) {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Kills the hub at a random moment of its load, soon after the clients got up to `most` leaves; how many states were paid.
pub(crate) fn load_and_kill(site: &Site, hub: &mut Hub, random: &mut ChaCha8Rng, most: u64) -> u64 {
    let (more, then) = (
        random.random_range(1..=most),
        Duration::from_millis(random.random_range(0..30)),
    );
    load_until(site, hub, random, |hub| {
        wait_for_leaves(site, more);
        thread::sleep(then);
        Box::new(move || hub.kill())
    })
}

/// Has all clients pay while `watch` looks on. What `watch` returns is done last, when nobody counts a client's trouble any
/// more; how many states were paid.
pub(crate) fn load_until<'h>(
    site: &Site,
    hub: &'h mut Hub,
    random: &mut ChaCha8Rng,
    watch: impl FnOnce(&'h mut Hub) -> Box<dyn FnOnce() + 'h>,
) -> u64 {
    let options = site.options(hub);
    let ended_by_us = AtomicBool::new(false);
    let seeds: Vec<u64> = (0..CLIENTS).map(|_| random.random()).collect();
    let ended = thread::scope(|scope| {
        let run = |(index, seed)| {
            let (options, killed) = (&options, &ended_by_us);
            scope.spawn(move || Payer::new(site, index, seed).run(options, killed))
        };
        let threads: Vec<_> = seeds.into_iter().enumerate().map(run).collect();
        let end = watch(hub);
        ended_by_us.store(true, Ordering::SeqCst);
        end();
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

/// Every leaf that a client holds.
pub(crate) fn all_held(site: &Site) -> Vec<Held> {
    (0..CLIENTS)
        .flat_map(|index| held::read(&held_path(site, index)))
        .collect()
}

/// What a dead hub's log holds of its clients' receipts.
pub(crate) fn look(site: &Site) -> InLog {
    check::in_log(&all_held(site), &dead_log(site))
}

/// Looks a dead hub's directory through, starts it again and asks it: nothing that a client holds may be missing. Returns the
/// hub.
pub(crate) fn assert_whole(site: &Site, what: &str) -> Hub {
    let log = look(site);
    assert_eq!(log.missing, 0, "{what}: receipts that the log does not hold: {log:?}");
    let hub = site.start();
    assert_nothing_is_missing(site, &hub);
    hub
}

/// Asks a restarted hub for what every client holds.
pub(crate) fn assert_nothing_is_missing(site: &Site, hub: &Hub) {
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
pub(crate) fn missing(site: &Site, hub: &Hub, index: usize, held: &[Held]) -> Vec<Held> {
    let identity = SecretKey::from_seed(*site.seeds[index]);
    let mut connection = Connection::connect(&site.options(hub), identity).expect("the hub answers");
    let headers = check::headers(site.ledger, connection.hello().hub);
    let newest = held.last().map_or(0, |leaf| leaf.counter);
    let told = check::ask(&mut connection, &headers, site.channels[index], newest);
    check::missing(held, &told).into_iter().copied().collect()
}

/// The seed of this run: the one that is asked for, or a new one.
pub(crate) fn seeded() -> u64 {
    number("TIDEGATE_CRASH_SEED", rand_seed())
}

/// A new moment for every run; printed, so that it can be repeated.
pub(crate) fn rand_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("a clock after 1970").as_nanos() % 1_000_000_007).expect("below 2^30")
}
