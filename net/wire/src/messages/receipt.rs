//! `Receipt`: the leaves of one batch that concern one connection, under the header that the hub signed once.
//!
//! ```text
//! message  signed header 248 | entries u32 | 0 × 4 | entry*                                     at most 1 MiB
//! entry    leaf index u32 | path u32 | credits u32 | outcomes u32 | answers u32 | flags u16 | in-lock changes u16   24 bytes
//!          flag bit 0: final terms follow; bit 1: the path ends where it meets that of the entry before
//!          private part 216 | public part 96 | path × 32 | credits × 80 | outcomes × 96 | answers × 16
//!          in-lock changes × 104 | final terms 96, if flag bit 0
//! answer   request u64 | c u64
//! ```
//!
//! One receipt answers many requests: each entry names those that its leaf answers, and the header's request id is zero.

use tidegate_types::{ClientCounter, Digest, Fixed, fixed_struct};

use super::Body;
use crate::cursor::{Put, Take};
use crate::frame::{HEADER_LEN, Header, VERSION};
use crate::lengths::{
    CREDIT_LEN, FINAL_TERMS_LEN, IN_CHANGE_LEN, LEAF_PRIVATE_LEN, LEAF_PUBLIC_LEN, MAX_ANSWERS, MAX_CREDITS,
    MAX_IN_CHANGES, MAX_OUTCOMES, MAX_PATH, MAX_RECEIPT_BODY, OUTCOME_LEN, RECEIPT_HEAD_LEN, SIGNED_HEADER_LEN,
};
use crate::{Item, Items, Kind, Reader, WireError};

/// A request that a leaf answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The id of the request.
    pub request: u64,
    /// The counter of the state that it brought; the newest accepted one for a request without a state.
    pub counter: ClientCounter,
}
fixed_struct!(Answer {
    request: u64,
    counter: ClientCounter
});

/// One leaf with its path and everything its roots stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptEntry<'a> {
    /// The leaf's place in the batch.
    pub index: u32,
    /// The private part.
    pub private: &'a [u8; LEAF_PRIVATE_LEN],
    /// The public part.
    pub public: &'a [u8; LEAF_PUBLIC_LEN],
    /// From the leaf to the header's root.
    pub path: &'a [Digest],
    /// The path ends where it meets that of the entry before, whose index is lower
    /// (`tidegate_crypto::merkle::SharedPaths`). Only in a session whose client has asked for it, never in a message's first entry.
    pub shared: bool,
    /// Under the credited root, in order.
    pub credits: &'a [[u8; CREDIT_LEN]],
    /// Under the outcomes root, in order.
    pub outcomes: &'a [[u8; OUTCOME_LEN]],
    /// The requests that this leaf answers.
    pub answers: Items<'a, Answer>,
    /// What it does to in-locks, in order.
    pub in_changes: &'a [[u8; IN_CHANGE_LEN]],
    /// What a final leaf promises.
    pub final_terms: Option<&'a [u8; FINAL_TERMS_LEN]>,
}

/// The counts of an entry, which fix its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EntryShape {
    /// The leaf's place in the batch.
    pub index: u32,
    /// Digests of the path.
    pub path: usize,
    /// Whether the path ends where it meets that of the entry before.
    pub shared: bool,
    /// Credits.
    pub credits: usize,
    /// Outcomes.
    pub outcomes: usize,
    /// Answers.
    pub answers: usize,
    /// Changes to in-locks.
    pub in_changes: usize,
    /// Whether final terms follow.
    pub final_terms: bool,
}

const SHAPE_LEN: usize = 24;

impl EntryShape {
    /// Width of the entry in bytes.
    #[must_use]
    pub const fn entry_len(&self) -> usize {
        SHAPE_LEN + self.content_len()
    }

    /// Width of what follows the counts.
    const fn content_len(&self) -> usize {
        LEAF_PRIVATE_LEN
            + LEAF_PUBLIC_LEN
            + self.path * Digest::LEN
            + self.credits * CREDIT_LEN
            + self.outcomes * OUTCOME_LEN
            + self.answers * Answer::LEN
            + self.in_changes * IN_CHANGE_LEN
            + if self.final_terms { FINAL_TERMS_LEN } else { 0 }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.index);
        out.count(self.path, "path digests", MAX_PATH);
        out.count(self.credits, "credits", MAX_CREDITS);
        out.count(self.outcomes, "outcomes", MAX_OUTCOMES);
        out.count(self.answers, "answers", MAX_ANSWERS);
        assert!(self.in_changes <= MAX_IN_CHANGES, "more changes than slots allow");
        let changes = u32::try_from(self.in_changes).expect("the cap is far below 2¹⁶");
        out.put(&(changes << 16 | u32::from(self.shared) << 1 | u32::from(self.final_terms)));
    }
}

impl ReceiptEntry<'_> {
    /// Its counts.
    #[must_use]
    pub fn shape(&self) -> EntryShape {
        EntryShape {
            index: self.index,
            path: self.path.len(),
            shared: self.shared,
            credits: self.credits.len(),
            outcomes: self.outcomes.len(),
            answers: self.answers.len(),
            in_changes: self.in_changes.len(),
            final_terms: self.final_terms.is_some(),
        }
    }

    fn put_content(&self, out: &mut Vec<u8>) {
        out.list(self.private);
        out.list(self.public);
        out.list(self.path);
        out.list(self.credits);
        out.list(self.outcomes);
        self.answers.put(out);
        out.list(self.in_changes);
        if let Some(terms) = self.final_terms {
            out.list(terms);
        }
    }
}

impl<'a> Item<'a> for ReceiptEntry<'a> {
    const MIN_LEN: usize = SHAPE_LEN + LEAF_PRIVATE_LEN + LEAF_PUBLIC_LEN;

    fn read_item(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let index = u32::read(r)?;
        let (path, credits, outcomes, answers) = (u32::read(r)?, u32::read(r)?, u32::read(r)?, u32::read(r)?);
        let flags = r.flags(0xffff_0003)?;
        let (has_terms, shared, in_changes) = (flags & 1 == 1, flags & 2 == 2, flags >> 16);
        Ok(Self {
            index,
            private: r.view()?,
            public: r.view()?,
            path: r.list(path, "path digests", MAX_PATH)?,
            shared,
            credits: r.list(credits, "credits", MAX_CREDITS)?,
            outcomes: r.list(outcomes, "outcomes", MAX_OUTCOMES)?,
            answers: Items::read(r, answers, "answers", MAX_ANSWERS)?,
            in_changes: r.list(in_changes, "in-lock changes", MAX_IN_CHANGES)?,
            final_terms: has_terms.then(|| r.view()).transpose()?,
        })
    }

    fn put_item(&self, out: &mut Vec<u8>) {
        self.shape().put(out);
        self.put_content(out);
    }
}

/// The leaves of one batch for one connection; [`ReceiptWriter`] writes them without gathering them first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The header, as the hub signed it.
    pub header: &'a [u8; SIGNED_HEADER_LEN],
    /// The leaves.
    pub entries: Items<'a, ReceiptEntry<'a>>,
}

/// More entries than these do not fit a receipt.
const MAX_ENTRIES: usize = (MAX_RECEIPT_BODY - RECEIPT_HEAD_LEN) / ReceiptEntry::MIN_LEN;

impl<'a> Body<'a> for Receipt<'a> {
    const KIND: Kind = Kind::Receipt;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        if r.remaining() > MAX_RECEIPT_BODY {
            return Err(WireError::TooMany {
                field: "bytes of a receipt",
                count: r.remaining() as u64,
                max: MAX_RECEIPT_BODY as u64,
            });
        }
        let header = r.view()?;
        let count = u32::read(r)?;
        r.pad(4)?;
        Ok(Self {
            header,
            entries: Items::read(r, count, "entries", MAX_ENTRIES)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.list(self.header);
        out.count(self.entries.len(), "entries", MAX_ENTRIES);
        out.pad(4);
        self.entries.put(out);
    }
}

/// Writes receipts of one batch straight into an output buffer; begins another message when one is full.
///
/// After each call the buffer ends with a whole message, so there is nothing to finish.
#[derive(Debug)]
pub struct ReceiptWriter<'o> {
    out: &'o mut Vec<u8>,
    header: &'o [u8; SIGNED_HEADER_LEN],
    /// Where the message that is being filled begins, and how many entries it has.
    open: Option<(usize, u32)>,
    /// The index of its newest entry.
    last: u32,
}

impl<'o> ReceiptWriter<'o> {
    /// A writer that appends to `out`, for the batch of `header`.
    #[must_use]
    pub fn new(out: &'o mut Vec<u8>, header: &'o [u8; SIGNED_HEADER_LEN]) -> Self {
        Self {
            out,
            header,
            open: None,
            last: 0,
        }
    }

    /// The leaf behind which an entry of this shape would stand; none if it would begin a message.
    #[must_use]
    pub fn before(&self, shape: &EntryShape) -> Option<u32> {
        self.fits(shape.entry_len()).map(|_| self.last)
    }

    /// Appends a leaf.
    ///
    /// # Panics
    /// If a list is above its cap.
    pub fn push(&mut self, entry: &ReceiptEntry<'_>) {
        self.push_with(&entry.shape(), |out| entry.put_content(out));
    }

    /// Appends a leaf whose parts `write` appends in the order of the layout: private, public, path, credits, outcomes,
    /// answers, in-lock changes, final terms.
    ///
    /// # Panics
    /// If a count is above its cap, or `write` appends another width than `shape` says.
    pub fn push_with(&mut self, shape: &EntryShape, write: impl FnOnce(&mut Vec<u8>)) {
        let (start, count) = self.room_for(shape.entry_len());
        shape.put(self.out);
        let content = self.out.len();
        write(self.out);
        assert_eq!(
            self.out.len(),
            content + shape.content_len(),
            "the entry is as wide as its counts say"
        );
        self.open = Some((start, count + 1));
        self.last = shape.index;
        self.patch(start, count + 1);
    }

    /// Where the message begins that has room for `len` more bytes, and its entries so far.
    fn room_for(&mut self, len: usize) -> (usize, u32) {
        self.fits(len).unwrap_or_else(|| (self.begin(), 0))
    }

    /// The message that is being filled, if it has room for `len` more bytes.
    fn fits(&self, len: usize) -> Option<(usize, u32)> {
        self.open
            .filter(|(start, _)| self.out.len() - start - HEADER_LEN + len <= MAX_RECEIPT_BODY)
    }

    fn begin(&mut self) -> usize {
        let start = self.out.len();
        let head = Header {
            len: 0,
            kind: Kind::Receipt.code(),
            version: VERSION,
            request: 0,
        };
        self.out.list(&head.encode());
        self.out.list(self.header);
        self.out.pad(8);
        start
    }

    /// Writes length and count of the message at `start`.
    fn patch(&mut self, start: usize, count: u32) {
        let len = u32::try_from(self.out.len() - start - HEADER_LEN).expect("a receipt is at most 1 MiB");
        self.out[start..start + 4].copy_from_slice(&len.to_le_bytes());
        let at = start + HEADER_LEN + SIGNED_HEADER_LEN;
        self.out[at..at + 4].copy_from_slice(&count.to_le_bytes());
    }
}
