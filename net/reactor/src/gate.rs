//! Who may begin a handshake, and how much of the processor strangers get.
//!
//! ```text
//!  accepted ─▶ prefix: ≤ 8 half open, tokens left ─▶ half open (≤ 512 in all, then the kernel's queue waits)
//!                                                       │ many are: a cookie is asked for first
//!                                                       ▼
//!              turns of strangers draw on one bucket of processor time; peers that are known never wait for it
//! ```
//!
//! A prefix is what one customer of a network is usually given: /24 of IPv4, /48 of IPv6. Addresses that are exempt (loopback,
//! unless configured otherwise: benchmarks, and proxies that speak for many) are held to the total alone.
//!
//! Nothing here knows a socket or a clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tidegate_session::Millis;

/// Bounds on strangers. The defaults are those of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Connections of one prefix that may be half open.
    pub half_open_per_prefix_max: u32,
    /// Connections that one prefix may begin at once, and …
    pub prefix_burst: u32,
    /// … how many more each second.
    pub prefix_per_second: u32,
    /// Half-open connections from which on strangers must show a cookie.
    pub cookies_from: usize,
    /// What strangers' handshakes may take of one processor, in percent, while nothing was saved up.
    pub handshake_cpu_percent: u32,
    /// Connections, of all that there may be, that only peers take for which [`crate::Handler::has_place`] says so.
    pub reserved: usize,
    /// Loopback addresses are held to the total of half-open connections alone.
    pub exempt_loopback: bool,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            half_open_per_prefix_max: 8,
            prefix_burst: 64,
            prefix_per_second: 16,
            cookies_from: 256,
            handshake_cpu_percent: 50,
            reserved: 0,
            exempt_loopback: true,
        }
    }
}

/// Prefixes that are remembered; when there are more, those that owe nothing are forgotten.
const PREFIXES_MAX: usize = 16 * 1024;
/// From one look at all prefixes to the next.
const FORGET_EVERY_MILLIS: u64 = 1_000;
/// Processor time that may be saved up.
const CPU_SAVED_NANOS_MAX: i64 = 100_000_000;
/// A token, in thousandths: so buckets fill by the millisecond.
const TOKEN: u64 = 1_000;

/// The network that an address belongs to. `None` is exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(Option<[u8; 6]>);

impl Prefix {
    fn of(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                // No IPv6 network in use begins with these two.
                [0xff, 0xff, 0, a, b, c]
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                [a, b, c, d, e, f]
            }
        }))
    }
}

/// The address as a cookie is bound to it: IPv4 in IPv6's form.
pub(crate) fn address_bytes(address: IpAddr) -> [u8; 16] {
    let v6: Ipv6Addr = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.octets()
}

/// What is remembered of a prefix.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    half_open: u32,
    tokens: u64,
    filled: Millis,
}

/// Why a stranger was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many of its prefix are half open as may be.
    HalfOpen,
    /// Its prefix has begun too many of late.
    Rate,
    /// More prefixes are busy than can be remembered.
    Crowd,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Gate {
    bounds: Admission,
    prefixes: HashMap<[u8; 6], Bucket>,
    /// When prefixes were last forgotten: looking at all of them is not done for every stranger.
    forgotten: Option<Millis>,
    /// Processor time that strangers may take now; below zero they wait.
    cpu_nanos: i64,
    cpu_filled: Millis,
}

impl Gate {
    pub(crate) fn new(bounds: Admission, now: Millis) -> Self {
        Self {
            bounds,
            prefixes: HashMap::new(),
            forgotten: None,
            cpu_nanos: CPU_SAVED_NANOS_MAX,
            cpu_filled: now,
        }
    }

    /// Lets a stranger in, who is half open until [`Gate::leave`].
    pub(crate) fn admit(&mut self, address: IpAddr, now: Millis) -> Result<Prefix, Refusal> {
        if self.bounds.exempt_loopback && address.to_canonical().is_loopback() {
            return Ok(Prefix(None));
        }
        let prefix = Prefix::of(address);
        let key = prefix.0.expect("only exempt addresses have none");
        if self.prefixes.len() >= PREFIXES_MAX && !self.prefixes.contains_key(&key) {
            self.forget(now);
            if self.prefixes.len() >= PREFIXES_MAX {
                return Err(Refusal::Crowd);
            }
        }
        let full = u64::from(self.bounds.prefix_burst) * TOKEN;
        let rate = u64::from(self.bounds.prefix_per_second);
        let bucket = self.prefixes.entry(key).or_insert(Bucket {
            half_open: 0,
            tokens: full,
            filled: now,
        });
        bucket.fill(full, rate, now);
        if bucket.half_open >= self.bounds.half_open_per_prefix_max {
            return Err(Refusal::HalfOpen);
        }
        bucket.tokens = bucket.tokens.checked_sub(TOKEN).ok_or(Refusal::Rate)?;
        bucket.half_open += 1;
        Ok(prefix)
    }

    /// A connection that was let in is known now, or gone.
    pub(crate) fn leave(&mut self, prefix: Prefix) {
        if let Some(bucket) = prefix.0.and_then(|key| self.prefixes.get_mut(&key)) {
            bucket.half_open -= 1;
        }
    }

    /// True if a stranger must show a cookie.
    pub(crate) const fn asks_for_cookies(&self, half_open: usize) -> bool {
        half_open >= self.bounds.cookies_from
    }

    /// True if the work of strangers with this prefix may go on now.
    pub(crate) fn may_work(&mut self, prefix: Prefix, now: Millis) -> bool {
        prefix.0.is_none() || self.has_time(now)
    }

    /// True if strangers may take processor time now.
    pub(crate) fn has_time(&mut self, now: Millis) -> bool {
        let percent = i64::from(self.bounds.handshake_cpu_percent);
        let millis = i64::try_from(now.since(self.cpu_filled)).unwrap_or(i64::MAX);
        self.cpu_filled = now;
        let earned = millis.saturating_mul(percent * 10_000);
        self.cpu_nanos = self.cpu_nanos.saturating_add(earned).min(CPU_SAVED_NANOS_MAX);
        self.cpu_nanos > 0
    }

    /// A stranger's turn took this long.
    pub(crate) fn spend(&mut self, prefix: Prefix, time: Duration) {
        if prefix.0.is_some() {
            let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            self.cpu_nanos = self.cpu_nanos.saturating_sub(nanos);
        }
    }

    /// Forgets the prefixes that would be treated as new ones.
    fn forget(&mut self, now: Millis) {
        if self.forgotten.is_some_and(|last| now.since(last) < FORGET_EVERY_MILLIS) {
            return;
        }
        self.forgotten = Some(now);
        let full = u64::from(self.bounds.prefix_burst) * TOKEN;
        let rate = u64::from(self.bounds.prefix_per_second);
        self.prefixes.retain(|_, bucket| {
            bucket.fill(full, rate, now);
            bucket.half_open > 0 || bucket.tokens < full
        });
    }
}

impl Bucket {
    fn fill(&mut self, full: u64, rate: u64, now: Millis) {
        let earned = now.since(self.filled).saturating_mul(rate);
        self.filled = now;
        self.tokens = self.tokens.saturating_add(earned).min(full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_000);

    fn gate(bounds: Admission) -> Gate {
        Gate::new(bounds, NOW)
    }

    fn v4(third: u8, fourth: u8) -> IpAddr {
        IpAddr::from([198, 51, third, fourth])
    }

    #[test]
    fn a_prefix_has_so_many_half_open_and_others_are_not_touched() {
        let mut gate = gate(Admission::default());
        let inside: Vec<Prefix> = (0..8).map(|host| gate.admit(v4(1, host), NOW).unwrap()).collect();
        assert_eq!(gate.admit(v4(1, 200), NOW), Err(Refusal::HalfOpen));
        assert_eq!(gate.admit(v4(1, 201).to_canonical(), NOW), Err(Refusal::HalfOpen));
        assert!(gate.admit(v4(2, 1), NOW).is_ok());
        gate.leave(inside[3]);
        assert!(gate.admit(v4(1, 202), NOW).is_ok());
        assert_eq!(gate.admit(v4(1, 203), NOW), Err(Refusal::HalfOpen));
    }

    #[test]
    fn an_address_has_one_prefix_however_it_is_written() {
        let IpAddr::V4(plain) = v4(1, 1) else { unreachable!() };
        assert_eq!(Prefix::of(plain.into()), Prefix::of(plain.to_ipv6_mapped().into()));
        let v6 = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(v6("2001:db8:1::1"), v6("2001:db8:1:ffff::2"));
        assert_ne!(v6("2001:db8:1::1"), v6("2001:db8:2::1"));
    }

    #[test]
    fn a_prefix_begins_a_burst_and_then_so_many_a_second() {
        let mut gate = gate(Admission {
            prefix_burst: 10,
            prefix_per_second: 4,
            ..Admission::default()
        });
        let mut begin = |now| {
            let admitted = gate.admit(v4(9, 9), Millis::new(now));
            if let Ok(prefix) = admitted {
                gate.leave(prefix);
            }
            admitted.map(|_| ())
        };
        assert!((0..10).all(|_| begin(1_000).is_ok()));
        assert_eq!(begin(1_249), Err(Refusal::Rate));
        assert_eq!((begin(1_250), begin(1_250)), (Ok(()), Err(Refusal::Rate)));
        let later = (0..100).filter(|_| begin(61_250).is_ok()).count();
        assert_eq!(later, 10, "no more than a burst is saved up");
    }

    #[test]
    fn loopback_is_exempt_only_if_it_shall_be() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let mut open = gate(Admission::default());
        assert!((0..1_000).all(|_| open.admit(local, NOW).is_ok()));
        let mut closed = gate(Admission {
            exempt_loopback: false,
            ..Admission::default()
        });
        assert_eq!((0..1_000).filter(|_| closed.admit(local, NOW).is_ok()).count(), 8);
    }

    #[test]
    fn the_memory_of_prefixes_is_bounded_and_the_idle_are_forgotten_first() {
        let mut gate = gate(Admission::default());
        let v6 = |n: u32| {
            let [a, b, c, d] = n.to_be_bytes();
            IpAddr::from([0x20, 0x01, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        };
        for n in 0..u32::try_from(PREFIXES_MAX).unwrap() {
            let prefix = gate.admit(v6(n), NOW).unwrap();
            if n > 0 {
                gate.leave(prefix);
            }
        }
        assert_eq!(
            gate.admit(v6(u32::MAX), NOW),
            Err(Refusal::Crowd),
            "all of them owe something"
        );
        let later = NOW.after(1_000);
        assert!(gate.admit(v6(u32::MAX), later).is_ok());
        assert_eq!(gate.prefixes.len(), 2, "the one that is half open, and the new one");
    }

    #[test]
    fn strangers_wait_when_their_time_is_used_up() {
        let mut gate = gate(Admission::default());
        let stranger = gate.admit(v4(1, 1), NOW).unwrap();
        assert!(gate.may_work(stranger, NOW));
        gate.spend(stranger, Duration::from_millis(101));
        assert!(!gate.may_work(stranger, NOW));
        assert!(gate.may_work(Prefix(None), NOW), "who is exempt is not held to it");
        assert!(!gate.may_work(stranger, NOW.after(1)));
        assert!(gate.may_work(stranger, NOW.after(4)), "half of the time that passed");
        gate.spend(stranger, Duration::from_millis(3));
        assert!(!gate.may_work(stranger, NOW.after(4)));
    }
}
