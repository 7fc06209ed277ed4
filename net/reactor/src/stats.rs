//! Counters that another thread may read while the reactor runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter with one writer. Readers see some recent value.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Only the reactor's thread writes, so a load and a store suffice, and no locked instruction is paid.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.get().wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// What a reactor has done since it was made. All but [`Stats::connections`] and [`Stats::half_open`] only rise.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that the loop went round.
    pub turns: Counter,
    /// Reads, writes, accepts and polls.
    pub syscalls: Counter,
    /// Bytes read from sockets.
    pub bytes_in: Counter,
    /// Bytes written to sockets.
    pub bytes_out: Counter,
    /// Frames opened.
    pub frames_in: Counter,
    /// Frames sealed.
    pub frames_out: Counter,
    /// Messages delivered.
    pub messages_in: Counter,
    /// Connections accepted and kept.
    pub accepted: Counter,
    /// Connections closed as they came, for want of room or descriptors.
    pub refused: Counter,
    /// Connections closed as they came, since their prefix has too many or begins too many.
    pub refused_by_prefix: Counter,
    /// Strangers that were asked to come again with a cookie.
    pub sent_away: Counter,
    /// Connections that this side began again, since a hub under load asked for it.
    pub redialled: Counter,
    /// Strangers' turns that waited for processor time.
    pub handshakes_deferred: Counter,
    /// Connections that are gone.
    pub closed: Counter,
    /// Connections now, in and out.
    pub connections: Counter,
    /// Of these, incoming ones whose peer is not known yet.
    pub half_open: Counter,
}
