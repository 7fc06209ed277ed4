//! R15: overload degrades fairly. A crowd of hostile peers stands beside a few honest ones, who are served as if they were alone,
//! or nearly so.
//!
//! Few peers and no figure here; `TIDEGATE_HOSTILE_LONG=1` makes them a thousand, and holds what honest payments took beside them
//! against what they took while the same crowd stood before another hub of this machine. That comparison is needed because the crowd
//! runs here too, a thousand threads on two processors. In milliseconds, three runs of a virtual machine: alone p50 0.7 to 0.8, p99
//! 1.8; the crowd before another hub 0.5 to 0.6 and 3.1 to 4.4; before theirs 1.0 to 1.2 and 8.0 to 9.4: 4.4 to 5.2 times alone, where
//! R15 wants 3. The 99th percentiles of the hub's own stages (`/metrics`) came to less than 3 ms together, and no round of its loop took more
//! than 1.5. In one second that was traced, sequencer and log waited 62 times for more than a millisecond for a processor, 168 ms in
//! all: 109 behind the loop's thread, 55 behind the crowd; in 114 of them the other processor ran the crowd. Whether that is the
//! whole of it is not shown: a loop that slept 20 µs between such rounds was no better (10.5 at p99).

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_test_hostile::attack::{Attack, Tally, clients_of};
use tidegate_test_hostile::honest::{Latencies, connect, pay_for};
use tidegate_test_hostile::target::Target;

/// The process of the crowd.
const CROWD: &str = env!("CARGO_BIN_EXE_crowd");
/// Honest clients.
const HONEST: usize = 10;
/// Each pays once in this time.
const EVERY: Duration = Duration::from_millis(50);
/// How long the crowd may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a payment beside the crowd may take, in times of what it takes while the crowd is busy elsewhere on this machine.
const RATIO_MAX: f64 = 3.0;
/// Strangers are held to the bounds on networks here, though all of them come from loopback; and checkpoints are as far apart as
/// a hub's are, not as those of the rigs that look for what they break.
const SETTINGS: [&str; 2] = ["limits.exempt_loopback=false", "storage.checkpoint_bytes=67108864"];

#[test]
fn a_hostile_crowd_does_not_hold_up_the_honest() {
    let long = std::env::var_os("TIDEGATE_HOSTILE_LONG").is_some();
    let (peers, span, settling) = if long {
        (1_000, Duration::from_secs(20), Duration::from_secs(5))
    } else {
        (40, Duration::from_secs(1), Duration::from_millis(500))
    };
    let mut target = Target::of(HONEST + clients_of(peers), 41, &SETTINGS);
    let mut honest = connect(&target, HONEST);
    let alone = pay_for(&mut honest, EVERY, span);
    let elsewhere = long.then(|| {
        let other = Target::of(HONEST + clients_of(peers), 42, &SETTINGS);
        let attack = Attack::begin(CROWD.as_ref(), &other, HONEST, peers);
        thread::sleep(settling);
        let elsewhere = pay_for(&mut honest, EVERY, span);
        attack.end();
        elsewhere
    });
    let attack = Attack::begin(CROWD.as_ref(), &target, HONEST, peers);
    thread::sleep(settling);
    let before = target.usage();
    let began = Instant::now();
    let beside = pay_for(&mut honest, EVERY, span);
    let used = target.usage().cpu - before.cpu;
    print(&alone, elsewhere.as_ref(), &beside, attack.tally());
    println!("the hub used {used:.1?} of processors in {:.1?}", began.elapsed());
    assert_attacked(attack.tally());
    // Who comes only now gets in too.
    target.assert_serves("a hostile crowd, and beside it");
    attack.end();
    target.assert_serves("a hostile crowd");
    if let Some(elsewhere) = elsewhere {
        let ratio = ratio(&elsewhere, &beside);
        assert!(
            ratio <= RATIO_MAX,
            "the honest were held up: {ratio:.2} times as long at p99"
        );
    }
}

fn ratio(without: &Latencies, beside: &Latencies) -> f64 {
    beside.quantile(99).as_secs_f64() / without.quantile(99).as_secs_f64()
}

fn print(alone: &Latencies, elsewhere: Option<&Latencies>, beside: &Latencies, tally: &Tally) {
    println!("honest alone:          {alone}");
    if let Some(elsewhere) = elsewhere {
        println!("the hostile elsewhere: {elsewhere}");
        println!("p99 beside / elsewhere: {:.2}", ratio(elsewhere, beside));
    }
    println!("beside the hostile:    {beside}");
    println!("p99 beside / alone: {:.2}", ratio(alone, beside));
    println!("{tally:?}");
}

/// Every kind has been at work, or nothing was withstood. The crowd runs when nobody else does, which may take it a while.
fn assert_attacked(tally: &Tally) {
    let began = Instant::now();
    for (kind, done) in [
        ("greedy", &tally.answered),
        ("never reading", &tally.unread_bytes),
        ("cut", &tally.cut),
        ("storm", &tally.handshakes),
    ] {
        while done.load(Ordering::Relaxed) == 0 {
            assert!(began.elapsed() < PATIENCE, "{kind}: {tally:?}");
            thread::sleep(EVERY);
        }
    }
}
