//! Blocks of the settlement ledger, for whoever follows it.

use tidegate_types::{Fixed, Height};

use crate::cursor::{Put, Take};
use crate::lengths::{MAX_BLOCK_PIECE, MAX_BLOCKS};
use crate::{Item, Items, Reader, WireError};

/// An encoded block, or a piece of one: `length u32 | 0 × 4 | bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockBytes<'a>(pub &'a [u8]);

impl<'a> Item<'a> for BlockBytes<'a> {
    const MIN_LEN: usize = 8;

    fn read_item(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let len = u32::read(r)?;
        r.pad(4)?;
        Ok(Self(r.blob(len, "bytes of a block", MAX_BLOCK_PIECE)?))
    }

    fn put_item(&self, out: &mut Vec<u8>) {
        out.count(self.0.len(), "bytes of a block", MAX_BLOCK_PIECE);
        out.pad(4);
        out.list(self.0);
    }
}

/// Blocks in the order of their heights: `tip u32 | from u32 | offset u32 | left u32 | count u32 | 0 × 4 | blocks`.
///
/// A block that is wider than [`MAX_BLOCK_PIECE`] comes in pieces, each alone in its page: one that begins at byte `offset` of the
/// block and is followed by `left` more bytes, which are asked for next. Otherwise both are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPage<'a> {
    /// The height of the newest block, final or not.
    pub tip: Height,
    /// The height of the first block here. Above what was asked for if the blocks below are not kept any more.
    pub from: Height,
    /// Where in its block the only piece begins.
    pub offset: u32,
    /// How many bytes of that block follow it.
    pub left: u32,
    /// The blocks, at most 1 024; none if there is none of that height yet.
    pub blocks: Items<'a, BlockBytes<'a>>,
}

impl<'a> BlockPage<'a> {
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (tip, from) = (Height::read(r)?, Height::read(r)?);
        let (offset, left) = (u32::read(r)?, u32::read(r)?);
        let count = u32::read(r)?;
        r.pad(4)?;
        Ok(Self {
            tip,
            from,
            offset,
            left,
            blocks: Items::read(r, count, "blocks", MAX_BLOCKS)?,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.tip);
        out.put(&self.from);
        out.put(&self.offset);
        out.put(&self.left);
        out.count(self.blocks.len(), "blocks", MAX_BLOCKS);
        out.pad(4);
        self.blocks.put(out);
    }
}
