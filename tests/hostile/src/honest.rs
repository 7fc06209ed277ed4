//! Honest clients that pay each other by a timetable, and what each payment took.
//!
//! ```text
//! client 0 ─▶ 1 ─▶ 2 … ─▶ 0     one payment of each every `every`, due at fixed times whether the last one is answered or not
//! ```
//!
//! A payment's time is counted from the moment when it was due, so that one slow answer is not one bad figure but as many as it
//! held up. What a client's thread stood ready and had no processor is left out, as the kernel counts it: these clients share the
//! hub's machine, and a busy hub's threads are in front of them there as nobody is on a machine of their own.

use std::thread;
use std::time::{Duration, Instant};

use tidegate_channel::wallet::{LockStatus, SettleOn};
use tidegate_client::store::MemoryStore;
use tidegate_client::{Client, Payment};
use tidegate_test_crash::load::key;
use tidegate_types::{Amount, ChannelId};

use crate::target::Target;

/// Locks that one state settles: a few, so that most rounds are one payment and nothing else.
const SETTLE_EVERY: usize = 8;

/// One honest client, connected.
#[derive(Debug)]
pub struct Honest {
    client: Client<MemoryStore>,
    own: ChannelId,
    payment: Payment,
    paid: usize,
}

/// The first `count` clients of a target; each pays the next one.
///
/// # Panics
/// If one is not served.
#[must_use]
pub fn connect(target: &Target, count: usize) -> Vec<Honest> {
    (0..count)
        .map(|number| Honest::connect(target, number, count))
        .collect()
}

impl Honest {
    fn connect(target: &Target, number: usize, count: usize) -> Self {
        let (site, payee) = (&target.site, (number + 1) % count);
        let (options, store) = (site.options(&target.hub), MemoryStore::default());
        let connected = Client::connect(&options, &site.seeds[number], store, SettleOn::Delivered);
        let mut client = connected.expect("an honest client connects");
        let own = site.channels[number];
        client.sync(&own).expect("its channel is there");
        let payment = Payment {
            payee: key(site, payee),
            payee_channel: site.channels[payee],
            amount: Amount::from_sat(3).expect("small"),
            fee: None,
            payment_id: None,
            hash: None,
        };
        Self {
            client,
            own,
            payment,
            paid: 0,
        }
    }

    fn pay(&mut self) {
        let paid = self
            .client
            .pay(&self.own, &[self.payment])
            .expect("an honest client is served");
        assert_eq!(paid[0].status, LockStatus::Delivered);
        self.paid += 1;
    }

    /// Takes back the room of what was delivered. Not timed: it asks once for each of these locks.
    fn settle(&mut self) {
        if self.paid.is_multiple_of(SETTLE_EVERY) {
            self.client.settle(&self.own).expect("an honest client is served");
        }
    }

    /// Pays `rounds` times, `every` so often from `begin` on.
    fn keep_paying(&mut self, begin: Instant, every: Duration, rounds: u32) -> Vec<Duration> {
        let mut took = Vec::new();
        for round in 0..rounds {
            let due = begin + every * round;
            let stood = stood_ready();
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.pay();
            took.push(due.elapsed().saturating_sub(stood_ready().saturating_sub(stood)));
            self.settle();
        }
        took
    }
}

/// How long this thread has waited for a processor since it began: the second figure of `schedstat`, in nanoseconds (kernel:
/// Documentation/scheduler/sched-stats.rst). Nothing where the kernel does not tell.
fn stood_ready() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().nth(1).and_then(|figure| figure.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Has all of them pay for `span`, each once in `every`, and tells what their payments took.
///
/// # Panics
/// If one is refused, or not answered.
#[must_use]
pub fn pay_for(crowd: &mut [Honest], every: Duration, span: Duration) -> Latencies {
    let rounds = u32::try_from(span.as_nanos() / every.as_nanos()).expect("few");
    // None of them asks in step with the others.
    let step = every / u32::try_from(crowd.len()).expect("few");
    let begin = Instant::now();
    let took = thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(crowd.iter_mut())
            .map(|(number, honest)| scope.spawn(move || honest.keep_paying(begin + step * number, every, rounds)))
            .collect();
        let joined = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("all are served"));
        joined.collect()
    });
    Latencies::new(took)
}

/// What payments took.
#[derive(Clone, Debug)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    fn new(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    /// How many payments there were.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that `percent` of a hundred payments took at most.
    ///
    /// # Panics
    /// If there was no payment.
    #[must_use]
    pub fn quantile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).clamp(1, self.0.len());
        self.0[rank - 1]
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, max] = [50, 99, 100].map(|percent| self.quantile(percent).as_secs_f64() * 1e3);
        let count = self.count();
        write!(
            f,
            "p50 {p50:.2} ms, p99 {p99:.2} ms, at most {max:.2} ms ({count} payments)"
        )
    }
}
