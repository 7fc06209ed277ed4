//! How much of one peer's requests may wait for the sequencer.
//!
//! ```text
//!  Front: take 1, 2, 3 … of a peer ─▶ group + Processed(7) ─▶ sequencer: a batch takes it, processed = 7
//!         pause the peer at its bound   ◄──────── regain what was marked up to 7, read it again ◄──┘
//! ```
//!
//! One greedy peer so waits for its own requests, while there is still room in the queue for those of the others. When all
//! of them together fill the queue, reading pauses altogether.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use tidegate_reactor::{ConnId, Outbox};

/// Bytes of one peer's requests that may wait.
const BYTES_MAX: u64 = 1 << 20;

/// The newest mark whose group was processed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processed(Arc<AtomicU64>);

impl Processed {
    pub(crate) fn set(&self, mark: u64) {
        self.0.store(mark, Ordering::SeqCst);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What waits of one peer.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    messages: u32,
    bytes: u64,
    paused: bool,
}

/// Part of a group: of whom, and how much.
#[derive(Clone, Copy, Debug)]
struct Part {
    conn: ConnId,
    messages: u32,
    bytes: u64,
}

/// See the [module](self).
pub(crate) struct Credits {
    messages_max: u32,
    used: HashMap<ConnId, Used>,
    /// How many of them are paused.
    paused: usize,
    /// What the group under way holds.
    parts: Vec<Part>,
    marks: VecDeque<(u64, Vec<Part>)>,
    last_mark: u64,
    processed: Processed,
}

impl Credits {
    pub(crate) fn new(messages_max: u32, processed: Processed) -> Self {
        Self {
            messages_max,
            used: HashMap::new(),
            paused: 0,
            parts: Vec::new(),
            marks: VecDeque::new(),
            last_mark: 0,
            processed,
        }
    }

    /// A request of `bytes` goes to the sequencer; at its bound the peer is not read any further.
    pub(crate) fn take(&mut self, conn: ConnId, bytes: usize, out: &mut Outbox<'_>) {
        let bytes = bytes as u64;
        // Messages of one peer come together, one turn's worth.
        match self.parts.last_mut().filter(|part| part.conn == conn) {
            Some(part) => {
                part.messages += 1;
                part.bytes += bytes;
            }
            None => self.parts.push(Part {
                conn,
                messages: 1,
                bytes,
            }),
        }
        let used = self.used.entry(conn).or_default();
        used.messages += 1;
        used.bytes += bytes;
        if !used.paused && (used.messages >= self.messages_max || used.bytes >= BYTES_MAX) {
            used.paused = true;
            self.paused += 1;
            out.pause_reading(conn);
        }
    }

    /// The mark that goes behind the group under way, if there is any request in it.
    pub(crate) fn mark(&mut self) -> Option<u64> {
        if self.parts.is_empty() {
            return None;
        }
        self.last_mark += 1;
        self.marks.push_back((self.last_mark, std::mem::take(&mut self.parts)));
        Some(self.last_mark)
    }

    /// Gives back what was processed; a peer that has half of its credit again is read again.
    pub(crate) fn regain(&mut self, out: &mut Outbox<'_>) {
        let done = self.processed.get();
        while self.marks.front().is_some_and(|(mark, _)| *mark <= done) {
            let (_, parts) = self.marks.pop_front().expect("it is there");
            for part in parts {
                self.give_back(part, out);
            }
        }
    }

    fn give_back(&mut self, part: Part, out: &mut Outbox<'_>) {
        // A peer that is gone has nothing to get back.
        let Some(used) = self.used.get_mut(&part.conn) else {
            return;
        };
        used.messages -= part.messages;
        used.bytes -= part.bytes;
        if used.paused && used.messages <= self.messages_max / 2 && used.bytes <= BYTES_MAX / 2 {
            used.paused = false;
            self.paused -= 1;
            out.resume_reading(part.conn);
        }
        if used.messages == 0 && !used.paused {
            self.used.remove(&part.conn);
        }
    }

    pub(crate) fn forget(&mut self, conn: ConnId) {
        if self.used.remove(&conn).is_some_and(|used| used.paused) {
            self.paused -= 1;
        }
    }

    /// True while a peer is paused.
    pub(crate) const fn holds_anyone(&self) -> bool {
        self.paused > 0
    }
}
