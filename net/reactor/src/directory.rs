//! The slots of a reactor: which ids are alive, what waits for each, and what the handler asked for.
//!
//! Connections themselves are elsewhere, so that a handler can queue for any of them while one lends it a message.

use crate::dial::Dial;
use crate::id::ConnId;
use tidegate_session::Millis;

use crate::config::Config;
use crate::outbox::OutboxError;
use crate::pace::Pace;
use crate::queue::{CHUNK_BYTES, Pool, SendQueue};

/// Emptied vectors that are kept for other connections.
const POOLED_MAX: usize = 256;

/// What is noted about one slot.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    generation: u32,
    live: bool,
    /// Plaintext to be sealed.
    queue: SendQueue,
    pace: Pace,
    touched: bool,
    closing: bool,
    paused: bool,
    resting: bool,
}

/// What the loop must know of a slot to settle it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// More was queued than may wait.
    pub(crate) overflow: bool,
    /// It is to be closed.
    pub(crate) closing: bool,
}

/// The slots of a reactor: which ids are alive, and what handlers asked for.
#[derive(Debug)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
    free: Vec<u32>,
    connections_max: usize,
    send_bytes_max: usize,
    send_recent_max: usize,
    send_pool_bytes: usize,
    /// Plaintext that waits, of all connections.
    waiting_bytes: usize,
    pool: Pool,
    touched: Vec<ConnId>,
    pub(crate) paused_all: bool,
    pub(crate) resumed_all: bool,
    /// The reactor is stopping: no connection begins.
    pub(crate) stopping: bool,
    pub(crate) connects: Vec<(ConnId, Dial)>,
}

impl Directory {
    pub(crate) const fn new(config: &Config) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            connections_max: config.connections_max,
            send_bytes_max: config.send_bytes_max,
            send_recent_max: config.send_recent_max,
            send_pool_bytes: config.send_pool_bytes,
            waiting_bytes: 0,
            pool: Pool::new(),
            touched: Vec::new(),
            paused_all: false,
            resumed_all: false,
            stopping: false,
            connects: Vec::new(),
        }
    }

    /// A live id, if there is room for one more.
    pub(crate) fn allocate(&mut self) -> Option<ConnId> {
        if self.stopping {
            return None;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.entries.len() < self.connections_max => {
                self.entries.push(Entry::default());
                u32::try_from(self.entries.len() - 1).ok()?
            }
            None => return None,
        };
        let entry = &mut self.entries[slot as usize];
        entry.live = true;
        Some(ConnId::new(slot, entry.generation))
    }

    /// Makes `conn` stale.
    pub(crate) fn release(&mut self, conn: ConnId) {
        let Some(entry) = self.entry(conn) else { return };
        let queue = core::mem::take(&mut entry.queue);
        *entry = Entry {
            generation: conn.generation().wrapping_add(1),
            ..Entry::default()
        };
        self.waiting_bytes -= queue.len();
        queue.into_vectors().for_each(|vector| self.recycle(vector));
        self.free
            .push(u32::try_from(conn.slot()).expect("ids hold slots in 32 bits"));
    }

    pub(crate) fn entry(&mut self, conn: ConnId) -> Option<&mut Entry> {
        live(&mut self.entries, conn)
    }

    fn peek(&self, conn: ConnId) -> Option<&Entry> {
        self.entries
            .get(conn.slot())
            .filter(|entry| entry.live && entry.generation == conn.generation())
    }

    /// True if nothing may be delivered from `conn` now.
    pub(crate) fn holds_back(&self, conn: ConnId) -> bool {
        let held = |entry: &Entry| entry.paused || entry.resting || entry.closing;
        self.paused_all || self.peek(conn).is_none_or(held)
    }

    /// True if the handler asked for a pause, which is not idleness of the peer.
    pub(crate) fn is_paused(&self, conn: ConnId) -> bool {
        self.paused_all || self.peek(conn).is_some_and(|entry| entry.paused)
    }

    /// Nothing is delivered from `conn` until [`Directory::end_rest`].
    pub(crate) fn begin_rest(&mut self, conn: ConnId) {
        if let Some(entry) = self.entry(conn) {
            entry.resting = true;
        }
    }

    /// True if there was a rest to end.
    pub(crate) fn end_rest(&mut self, conn: ConnId) -> bool {
        let rested = self
            .entry(conn)
            .is_some_and(|entry| core::mem::replace(&mut entry.resting, false));
        if rested {
            self.touch(conn);
        }
        rested
    }

    pub(crate) fn queued(&self, conn: ConnId) -> usize {
        self.peek(conn).map_or(0, |entry| entry.queue.len())
    }

    /// Notes that the loop must look at `conn` before it sleeps.
    pub(crate) fn touch(&mut self, conn: ConnId) {
        if let Some(entry) = self.entry(conn)
            && !core::mem::replace(&mut entry.touched, true)
        {
            self.touched.push(conn);
        }
    }

    /// True if something was asked for that the loop has not done.
    pub(crate) const fn has_work(&self) -> bool {
        !self.touched.is_empty() || !self.connects.is_empty() || self.resumed_all
    }

    /// The connections to be looked at. Give the vector back to [`Directory::return_touched`].
    pub(crate) fn take_touched(&mut self) -> Vec<ConnId> {
        core::mem::take(&mut self.touched)
    }

    /// Keeps the memory of an emptied vector.
    pub(crate) fn return_touched(&mut self, emptied: Vec<ConnId>) {
        if self.touched.is_empty() {
            self.touched = emptied;
        }
    }

    /// What was asked for `conn`. From here on it can be touched again.
    pub(crate) fn settling(&mut self, conn: ConnId) -> Asked {
        self.entry(conn).map_or_else(Asked::default, |entry| {
            entry.touched = false;
            Asked {
                overflow: entry.queue.has_overflown(),
                closing: entry.closing,
            }
        })
    }

    /// True if `conn` is to be closed.
    pub(crate) fn is_closing(&self, conn: ConnId) -> bool {
        self.peek(conn).is_some_and(|entry| entry.closing)
    }

    /// As [`Directory::close`], and nothing if that was asked for before.
    pub(crate) fn close_once(&mut self, conn: ConnId) {
        if !self.is_closing(conn) {
            self.close(conn);
        }
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        if let Some(entry) = self.entry(conn) {
            entry.closing = true;
            self.touch(conn);
        }
    }

    /// Lets `write` append plaintext for `conn`, within its bound.
    pub(crate) fn append(
        &mut self,
        conn: ConnId,
        now: Millis,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), OutboxError>,
    ) -> Result<(), OutboxError> {
        let Some(entry) = live(&mut self.entries, conn).filter(|entry| !entry.closing) else {
            return Err(OutboxError::Gone);
        };
        let max = if self.waiting_bytes < self.send_pool_bytes {
            self.send_bytes_max + entry.pace.allowance(now)
        } else {
            self.send_bytes_max
                .min(self.send_pool_bytes / self.connections_max.max(1))
        };
        let before = entry.queue.len();
        let result = entry.queue.append(max, &mut self.pool, write);
        self.waiting_bytes += entry.queue.len() - before;
        if !core::mem::replace(&mut entry.touched, true) {
            self.touched.push(conn);
        }
        result
    }

    /// As [`Directory::append`] of a whole vector, which is taken as it is if nothing waits.
    pub(crate) fn append_vec(&mut self, conn: ConnId, now: Millis, plaintext: Vec<u8>) -> Result<(), OutboxError> {
        let count = plaintext.len();
        let whole = match self.entry(conn).filter(|entry| !entry.closing) {
            Some(entry) => entry.queue.put(plaintext),
            None => Err(plaintext),
        };
        let Err(plaintext) = whole else {
            self.waiting_bytes += count;
            self.touch(conn);
            return Ok(());
        };
        let result = self.append(conn, now, |out| {
            out.extend_from_slice(&plaintext);
            Ok(())
        });
        self.recycle(plaintext);
        result
    }

    /// The first `count` bytes at most that wait for `conn`.
    pub(crate) fn waiting(&self, conn: ConnId, count: usize) -> &[u8] {
        self.peek(conn).map_or(&[], |entry| entry.queue.waiting(count))
    }

    /// Forgets the first `count` bytes that wait for `conn`: they are sealed, which they are only once its socket has taken what was sealed
    /// before.
    pub(crate) fn sealed(&mut self, conn: ConnId, now: Millis, count: usize) {
        let most = self.send_recent_max;
        let Some(entry) = self.entry(conn) else { return };
        entry.pace.took(count, now, most);
        let emptied = entry.queue.sealed(count);
        self.waiting_bytes -= count;
        if let Some(vector) = emptied {
            self.recycle(vector);
        }
    }

    fn recycle(&mut self, mut plain: Vec<u8>) {
        if (1..=CHUNK_BYTES).contains(&plain.capacity()) && self.pool.len() < POOLED_MAX {
            plain.clear();
            self.pool.push(plain);
        }
    }
}

fn live(entries: &mut [Entry], conn: ConnId) -> Option<&mut Entry> {
    entries
        .get_mut(conn.slot())
        .filter(|entry| entry.live && entry.generation == conn.generation())
}

impl Entry {
    pub(crate) const fn pause(&mut self) {
        self.paused = true;
    }

    /// True if there was a pause to end.
    pub(crate) const fn resume(&mut self) -> bool {
        core::mem::replace(&mut self.paused, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Outbox;

    const NOW: Millis = Millis::new(0);

    fn directory(connections_max: usize, send_bytes_max: usize, send_pool_bytes: usize) -> Directory {
        Directory::new(&Config {
            connections_max,
            send_bytes_max,
            send_pool_bytes,
            ..Config::default()
        })
    }

    #[test]
    fn a_stale_id_reaches_nobody() {
        let mut directory = directory(1, 100, 1_000);
        let old = directory.allocate().unwrap();
        assert_eq!(directory.allocate(), None);
        directory.release(old);
        let new = directory.allocate().unwrap();
        assert_eq!((old.slot(), new.slot()), (0, 0));
        assert_ne!(old, new);
        let mut out = Outbox {
            directory: &mut directory,
            now: NOW,
        };
        assert_eq!(out.send(old, b"late"), Err(OutboxError::Gone));
        out.close(old);
        out.pause_reading(old);
        assert_eq!(out.send(new, b"here"), Ok(()));
        assert_eq!((out.queued(old), out.queued(new)), (0, 4));
        assert!(!directory.holds_back(new));
        assert_eq!(directory.waiting(new, 9), b"here");
    }

    #[test]
    fn the_bound_holds_to_the_byte_and_stays_reached() {
        let mut directory = directory(4, 100, 1_000);
        let conn = directory.allocate().unwrap();
        assert_eq!(directory.append_vec(conn, NOW, vec![1; 60]), Ok(()));
        assert_eq!(directory.append_vec(conn, NOW, vec![2; 40]), Ok(()));
        assert_eq!(directory.append_vec(conn, NOW, vec![3; 1]), Err(OutboxError::Full));
        directory.sealed(conn, NOW, 60);
        assert_eq!(
            directory.append_vec(conn, NOW, vec![3; 1]),
            Err(OutboxError::Full),
            "it is to be closed"
        );
        assert_eq!(directory.waiting(conn, 100), [2; 40]);
    }

    #[test]
    fn a_peer_that_has_taken_much_may_have_as_much_waiting_for_a_while() {
        let mut directory = directory(4, 100, 10 << 20);
        let conn = directory.allocate().unwrap();
        for taken in [1 << 20, 5_000] {
            assert_eq!(directory.append_vec(conn, NOW, vec![1; taken]), Ok(()));
            directory.sealed(conn, NOW, taken);
        }
        for piece in [90, 5_000] {
            assert_eq!(directory.append_vec(conn, NOW, vec![2; piece]), Ok(()));
        }
        let later = Millis::new(10_000);
        assert_eq!(directory.append_vec(conn, later, vec![3; 1]), Err(OutboxError::Full));
    }

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        let mut directory = directory(4, 1000, 10_000);
        let conn = directory.allocate().unwrap();
        let (mut written, mut read) = (0u8, 0u8);
        for round in 0..200usize {
            for _ in 0..round % 9 {
                directory
                    .append(conn, NOW, |out| {
                        out.push(written);
                        Ok(())
                    })
                    .unwrap();
                written = written.wrapping_add(1);
            }
            let part = directory.waiting(conn, round % 11).to_vec();
            for &byte in &part {
                assert_eq!(byte, read);
                read = read.wrapping_add(1);
            }
            directory.sealed(conn, NOW, part.len());
            assert_eq!(directory.queued(conn), usize::from(written.wrapping_sub(read)));
        }
    }

    #[test]
    fn one_piece_is_taken_whole_if_nothing_waits() {
        let mut directory = directory(4, 100, 1_000);
        let (a, b) = (directory.allocate().unwrap(), directory.allocate().unwrap());
        assert_eq!(directory.append_vec(a, NOW, vec![1; 300]), Ok(()));
        let piece = |out: &mut Vec<u8>| {
            out.extend_from_slice(&[2; 300]);
            Ok(())
        };
        assert_eq!(directory.append(b, NOW, piece), Ok(()));
        assert_eq!(directory.append_vec(a, NOW, vec![1; 1]), Err(OutboxError::Full));
        assert_eq!(directory.append(b, NOW, piece), Err(OutboxError::Full));
    }

    /// Four peers share 400 bytes: what is over that is asked of those with more than 100.
    #[test]
    fn when_the_pool_is_used_up_only_who_has_more_than_its_share_is_closed() {
        let mut directory = directory(4, 300, 400);
        let peers: Vec<ConnId> = (0..4).map(|_| directory.allocate().unwrap()).collect();
        for (&peer, count) in peers.iter().zip([250, 150, 60, 0]) {
            assert_eq!(directory.append_vec(peer, NOW, vec![7; count]), Ok(()));
        }
        assert_eq!(
            directory.append_vec(peers[2], NOW, vec![7; 30]),
            Ok(()),
            "within its share"
        );
        assert_eq!(directory.append_vec(peers[1], NOW, vec![7; 30]), Err(OutboxError::Full));
        assert_eq!(directory.waiting_bytes, 250 + 150 + 60 + 30);
        directory.release(peers[0]);
        directory.sealed(peers[1], NOW, 150);
        assert_eq!(directory.waiting_bytes, 90);
        assert_eq!(
            directory.append_vec(peers[2], NOW, vec![7; 200]),
            Ok(()),
            "there is room again"
        );
        directory.release(peers[2]);
        assert_eq!(directory.waiting_bytes, 0);
    }
}
