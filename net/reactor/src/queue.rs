//! Plaintext that waits for one peer.
//!
//! ```text
//!  sealed ◀─ first (from `head` on) ◀─ behind: chunks of 64 KiB ◀─ appended
//! ```
//!
//! A peer that takes what it is told has one short vector, or none. Only what waits longer is put into chunks: a single vector would be
//! copied each time it has to grow, and hold what is sealed already, so that a peer that does not read would take twice its bound.

use std::collections::VecDeque;

use crate::outbox::OutboxError;

/// Room in a chunk. Larger vectors are not kept for other peers when they are empty.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
/// Nothing more is put behind so many bytes of a chunk: what a message needs at most, nearly always, is left.
const FILLED_BYTES: usize = 48 << 10;

/// Emptied vectors, for whoever needs one next.
pub(crate) type Pool = Vec<Vec<u8>>;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// The first bytes; those before `head` are sealed.
    first: Vec<u8>,
    head: usize,
    behind: VecDeque<Vec<u8>>,
    /// Bytes that wait.
    len: usize,
    /// More was appended than may wait.
    overflow: bool,
}

impl SendQueue {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn has_overflown(&self) -> bool {
        self.overflow
    }

    /// Takes a whole vector if nothing waits, and gives it back otherwise.
    pub(crate) fn put(&mut self, plaintext: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.first.capacity() > 0 || self.overflow {
            return Err(plaintext);
        }
        self.len = plaintext.len();
        self.first = plaintext;
        Ok(())
    }

    /// Lets `write` append to what waits, which may be `max` bytes then. One piece is taken whole if nothing else waits: a receipt is as
    /// long as what it answers, and the wire bounds both.
    pub(crate) fn append(
        &mut self,
        max: usize,
        pool: &mut Pool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), OutboxError>,
    ) -> Result<(), OutboxError> {
        if self.overflow {
            return Err(OutboxError::Full);
        }
        let waiting = self.len;
        let tail = self.tail(pool);
        let before = tail.len();
        write(tail)?;
        let more = tail.len() - before;
        if waiting > 0 && waiting + more > max {
            tail.truncate(before);
            self.overflow = true;
            return Err(OutboxError::Full);
        }
        self.len += more;
        Ok(())
    }

    /// The vector that is appended to.
    fn tail(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.first.capacity() == 0 {
            self.first = pool.pop().unwrap_or_default();
        }
        let last = self.behind.back().unwrap_or(&self.first);
        if last.len() > FILLED_BYTES {
            let chunk = pool.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
            self.behind.push_back(chunk);
        }
        self.behind.back_mut().unwrap_or(&mut self.first)
    }

    /// The first bytes that wait, `count` at most. None only if there are none.
    pub(crate) fn waiting(&self, count: usize) -> &[u8] {
        let waiting = &self.first[self.head..];
        &waiting[..count.min(waiting.len())]
    }

    /// Forgets the first `count` bytes, which [`SendQueue::waiting`] has shown, and returns a vector that this has emptied.
    pub(crate) fn sealed(&mut self, count: usize) -> Option<Vec<u8>> {
        self.head += count;
        self.len -= count;
        if self.head < self.first.len() {
            return None;
        }
        self.head = 0;
        let next = self.behind.pop_front().unwrap_or_default();
        if self.behind.is_empty() {
            self.behind = VecDeque::new();
        }
        Some(std::mem::replace(&mut self.first, next))
    }

    /// The vectors that it holds.
    pub(crate) fn into_vectors(self) -> impl Iterator<Item = Vec<u8>> {
        std::iter::once(self.first).chain(self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(queue: &mut SendQueue, bytes: &[u8], max: usize) -> Result<(), OutboxError> {
        queue.append(max, &mut Pool::new(), |out| {
            out.extend_from_slice(bytes);
            Ok(())
        })
    }

    /// Against one long vector: whatever is appended and sealed, in whatever pieces.
    #[test]
    fn bytes_leave_chunks_in_the_order_in_which_they_came() {
        let (mut queue, mut model) = (SendQueue::default(), VecDeque::new());
        let mut next = 0u8;
        for round in 0..2_000usize {
            let piece: Vec<u8> = (0..round * 7 % 3_001)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            append(&mut queue, &piece, usize::MAX).unwrap();
            model.extend(piece);
            // Slower than they come, then faster.
            let part = if round < 1_000 { 600 } else { 4_000 };
            let sealed = queue.waiting(part).to_vec();
            assert!(sealed.is_empty() == (queue.len() == 0), "round {round}");
            assert!(model.drain(..sealed.len()).eq(sealed.iter().copied()), "round {round}");
            queue.sealed(sealed.len());
            assert_eq!(queue.len(), model.len());
        }
        assert!(queue.behind.is_empty(), "it has caught up");
    }

    /// What it holds of memory is what waits, and a chunk's room at either end.
    #[test]
    fn a_queue_at_its_bound_holds_little_more_than_that() {
        const MAX: usize = 350 << 10;
        let mut queue = SendQueue::default();
        append(&mut queue, &[1; 100], MAX).unwrap();
        for sealed in [0, 100, 30 << 10, 64 << 10, 200 << 10] {
            for _ in 0..sealed / 100 {
                queue.sealed(100.min(queue.waiting(100).len()));
            }
            while append(&mut queue, &[7; 200], MAX).is_ok() {}
            queue.overflow = false;
            let held: usize = [&queue.first].into_iter().chain(&queue.behind).map(Vec::capacity).sum();
            // A quarter of each chunk may be left empty, which is memory only once it is written.
            assert!(held <= MAX * 4 / 3 + 2 * CHUNK_BYTES, "{held} bytes for {MAX}");
            let touched: usize = [&queue.first].into_iter().chain(&queue.behind).map(Vec::len).sum();
            assert!(touched <= MAX + CHUNK_BYTES, "{touched} bytes for {MAX}");
        }
    }

    #[test]
    fn a_piece_that_is_refused_leaves_nothing_behind() {
        let mut queue = SendQueue::default();
        append(&mut queue, &[1; 50_000], 60_000).unwrap();
        assert_eq!(append(&mut queue, &[2; 10_001], 60_000), Err(OutboxError::Full));
        assert!(queue.has_overflown());
        assert_eq!((queue.len(), queue.waiting(usize::MAX)), (50_000, &[1; 50_000][..]));
        assert!(queue.sealed(50_000).is_some());
        assert_eq!((queue.len(), queue.waiting(1)), (0, &[][..]));
        assert_eq!(queue.put(vec![3]), Err(vec![3]), "it is to be closed");
    }
}
