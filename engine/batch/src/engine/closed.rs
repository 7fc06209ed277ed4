//! The payment ids that busy payers have closed, so that a new one is told from all of them by one line of memory (rule 5).
//!
//! A channel's closed payments stand in pages, each found through the one before. With one payment a state they are five pages; with
//! sixteen they are 74, and to look at all of them for every state was a quarter of what the sequencer did. So for a channel with
//! more than [`PAGES`] of them there is a short mark of each id here:
//!
//! ```text
//! hash(channel, first bytes of the id) ─▶ line, mark        line  mark 2 × 31 | full 2     64 bytes
//! ```
//!
//! Invariant: while a channel is [listed](ClosedIds::is_listed), each payment on its pages has its mark in its line, as often as
//! there are payments of that mark, or the line is full. So [`ClosedIds::may_hold`] is never wrong when it says no; when it says yes
//! the pages decide. A line that was full once says yes for good. Nothing of this is state: what a batch comes to does not depend
//! on it, and it is not kept. The hash has a secret, so nobody outside can fill a line.

use core::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::Engine;
use super::pay::print_of;
use crate::slots::Slots;

/// Up to so many pages are looked through; they are asked for ahead.
const PAGES: usize = 6;
/// Lines: four megabytes, made for the first channel that needs them.
const LINES: usize = 1 << 16;
/// Marks with which another channel is listed no more: lines would fill up.
const MARKS_MAX: usize = LINES * Line::PLACES / 4;

/// Marks of ids, zero where there is none; behind them whether there were ever too many.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line {
    marks: [u16; Self::PLACES],
    full: bool,
}

const _: () = assert!(size_of::<Line>() == 64);

impl Line {
    const PLACES: usize = 31;

    fn add(&mut self, mark: u16) {
        match self.marks.iter_mut().find(|place| **place == 0) {
            Some(place) => *place = mark,
            None => self.full = true,
        }
    }

    fn remove(&mut self, mark: u16) {
        if let Some(place) = self.marks.iter_mut().find(|place| **place == mark) {
            *place = 0;
        }
    }

    fn may_hold(&self, mark: u16) -> bool {
        // All are compared before any is looked at: the processor does that in one go.
        self.marks
            .iter()
            .fold(self.full, |alike, &place| alike | (place == mark))
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct ClosedIds {
    lines: Vec<Line>,
    /// One bit per channel.
    listed: Vec<u64>,
    marks: usize,
    secret: RandomState,
}

impl ClosedIds {
    /// True if all closed payments of a channel have their marks here.
    fn is_listed(&self, slot: u32) -> bool {
        let word = self.listed.get(slot as usize / 64);
        word.is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    fn list(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if self.listed.len() <= word {
            self.listed.resize(word + 1, 0);
        }
        if self.lines.is_empty() {
            let empty = Line {
                marks: [0; Line::PLACES],
                full: false,
            };
            self.lines.resize(LINES, empty);
        }
        self.listed[word] |= 1 << (slot % 64);
    }

    fn unlist(&mut self, slot: u32) {
        self.listed[slot as usize / 64] &= !(1 << (slot % 64));
    }

    /// The line of an id, and its mark there.
    fn place(&self, slot: u32, print: u32) -> (usize, u16) {
        let hash = self.secret.hash_one((slot, print));
        #[expect(clippy::cast_possible_truncation, reason = "the rest of the hash is another's")]
        let (line, mark) = ((hash >> 32) as usize % LINES, hash as u16);
        (line, mark.max(1))
    }

    fn add(&mut self, slot: u32, print: u32) {
        let (line, mark) = self.place(slot, print);
        self.lines[line].add(mark);
        self.marks += 1;
    }

    fn remove(&mut self, slot: u32, print: u32) {
        let (line, mark) = self.place(slot, print);
        self.lines[line].remove(mark);
        self.marks -= 1;
    }

    /// False only if no closed payment of this channel has an id that begins so.
    pub(super) fn may_hold(&self, slot: u32, print: u32) -> bool {
        !self.is_listed(slot) || {
            let (line, mark) = self.place(slot, print);
            self.lines[line].may_hold(mark)
        }
    }

    /// A listed channel has closed another payment.
    pub(super) fn note_closed(&mut self, slot: u32, print: u32) {
        if self.is_listed(slot) {
            self.add(slot, print);
        }
    }

    /// A closed payment of a channel is forgotten; it is the `last` that was left of its pages.
    pub(super) fn note_forgotten(&mut self, slot: u32, print: u32, last: bool) {
        if self.is_listed(slot) {
            self.remove(slot, print);
            if last {
                self.unlist(slot);
            }
        }
    }
}

impl<S: Slots> Engine<S> {
    /// Lists a channel whose closed payments have come to too many pages to look through.
    pub(super) fn list_if_busy(&mut self, slot: u32) {
        let oldest = self.record(slot).answer_oldest;
        if self.closed.is_listed(slot)
            || self.closed.marks >= MARKS_MAX
            || self.answer_pages(oldest).nth(PAGES).is_none()
        {
            return;
        }
        let mut closed = core::mem::take(&mut self.closed);
        closed.list(slot);
        for page in self.answer_pages(oldest) {
            let held = &page.payments[page.first as usize..page.end as usize];
            held.iter()
                .for_each(|payment| closed.add(slot, print_of(&payment.payment_id)));
        }
        self.closed = closed;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain multiset, with so few ids that marks meet and lines fill up.
        #[test]
        fn no_closed_payment_is_overlooked(steps in prop::collection::vec((any::<bool>(), 0_u32..3, 0_u32..40), 1..400)) {
            let mut ids = ClosedIds::default();
            (0..3).for_each(|slot| ids.list(slot));
            let mut model: HashMap<(u32, u32), u32> = HashMap::new();
            for (closes, slot, print) in steps {
                let held = model.entry((slot, print)).or_default();
                if closes {
                    *held += 1;
                    ids.note_closed(slot, print);
                } else if *held > 0 {
                    *held -= 1;
                    ids.note_forgotten(slot, print, false);
                }
                for (&(slot, print), &held) in &model {
                    prop_assert!(held == 0 || ids.may_hold(slot, print));
                }
            }
        }
    }

    #[test]
    fn nearly_every_new_id_is_told_apart() {
        let mut ids = ClosedIds::default();
        ids.list(7);
        (0..1_024).for_each(|print| ids.note_closed(7, print));
        let alike = (1_024..101_024).filter(|&print| ids.may_hold(7, print)).count();
        assert!(alike < 10, "{alike} of 100 000");
        assert!(
            ids.may_hold(8, 5_000),
            "the pages of another channel have to be looked at"
        );
        (0..1_024).for_each(|print| ids.note_forgotten(7, print, print == 1_023));
        assert!(!ids.is_listed(7) && ids.marks == 0);
        assert!(ids.lines.iter().all(|line| line.marks == [0; Line::PLACES]));
    }

    #[test]
    fn a_line_that_was_full_tells_nothing_apart() {
        let mut line = Line {
            marks: [0; Line::PLACES],
            full: false,
        };
        (1..=31).for_each(|mark| line.add(mark));
        assert!(!line.may_hold(32) && line.may_hold(31));
        line.add(32);
        (1..=31).for_each(|mark| line.remove(mark));
        assert!(line.may_hold(32));
    }
}
