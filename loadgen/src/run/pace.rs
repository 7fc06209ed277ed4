//! Wakes the generator whenever a payment is due; in a closed loop answers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tidegate_reactor::Sender;

use super::schedule::Clock;
use crate::cli::{Arrivals, Rate};

/// The shortest time between two wakes: payments due within it go out together.
const SHORTEST: Duration = Duration::from_micros(200);

/// When the generator is to be woken. Written by it, read by the thread that wakes it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the load begins, in nanoseconds of the run's clock; zero for never.
    start: AtomicU64,
    period: AtomicU64,
}

impl Pace {
    /// A step begins at `start`.
    pub(super) fn begin(&self, rate: Rate, arrivals: Arrivals, start: u64) {
        let Rate::PerSecond(rate) = rate else {
            return self.end();
        };
        let period = match arrivals {
            Arrivals::Even => Duration::from_secs_f64(1.0 / rate).max(SHORTEST),
            Arrivals::Poisson => SHORTEST,
        };
        self.period.store(nanos(period), Ordering::Relaxed);
        self.start.store(start, Ordering::Release);
    }

    /// Nothing is due any more.
    pub(super) fn end(&self) {
        self.start.store(0, Ordering::Release);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a period is short")
}

/// Starts the thread. It ends when `over` is set, or the reactor has ended.
pub(super) fn start(pace: Arc<Pace>, clock: Clock, over: Arc<AtomicBool>, sender: Sender) -> thread::JoinHandle<()> {
    let pacer = thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        let (mut started, mut next) = (0, 0);
        while !over.load(Ordering::Acquire) {
            let start = pace.start.load(Ordering::Acquire);
            if start == 0 {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            if start != started {
                (started, next) = (start, start);
            }
            let now = clock.now();
            if next > now {
                // Not longer, so that the end of a slow run is noticed.
                thread::sleep(Duration::from_nanos(next - now).min(Duration::from_millis(100)));
                continue;
            }
            if sender.wake().is_err() {
                return;
            }
            let period = pace.period.load(Ordering::Relaxed).max(1);
            next += ((now - next) / period + 1) * period;
        }
    });
    pacer.expect("a thread can be started")
}
