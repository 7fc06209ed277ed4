//! Keeping a node's folder small: images, densely archived blocks, and a log that is cut behind them.

use tidegate_disk::DiskError;
use tidegate_ledger::UtxoStore as _;
use tidegate_types::Height;
use tidegate_wal::{LogError, LogReader, Lsn};

use crate::archive::Archive;
use crate::files::Blocks;
use crate::{Node, QueryError, TickError, image};

/// Blocks that are archived by one write.
const CHUNK: usize = 1024;

/// When the next image is due.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) archive: Archive,
    /// Bytes of log behind the last image that were there when the node was opened.
    pub(crate) replayed: u64,
    /// Bytes of log that had been written when the last image was made.
    pub(crate) written: u64,
    /// The heights of the images of blocks that stand, ascending: those that can be opened, and those that can be once their
    /// block is final. The newest one that is final is never given up before a newer one is, nor the log behind it.
    pub(crate) images: Vec<Height>,
}

impl Keep {
    /// Blocks were undone, and this height is left: what images say of higher ones is worth nothing any more.
    pub(crate) fn undone_to(&mut self, height: Height) {
        self.images.retain(|image| *image <= height);
    }
}

impl Node {
    /// Makes an image if the log behind the last one has grown enough, and cuts the log.
    pub(crate) fn keep_small(&mut self) -> Result<(), TickError> {
        let (tip, depth) = (self.tip(), self.params().finality_depth.get());
        let Some(writer) = &self.writer else { return Ok(()) };
        let written = writer.log.counters().bytes;
        let since = writer.keep.replayed + written - writer.keep.written;
        let newest = writer.keep.images.last().copied().unwrap_or(Height::ZERO);
        let apart = tip.height.get().saturating_sub(newest.get());
        if since < self.options.image_log_bytes || apart <= depth {
            return Ok(());
        }
        match self.make_image() {
            Ok(()) => {}
            Err(QueryError::Disk(full @ DiskError::NoSpace { .. })) => {
                tracing::warn!(error = %full, "no room for an image of the ledger; the log grows on");
            }
            Err(QueryError::Disk(error)) => return Err(self.poison(LogError::Failed(error))),
            Err(QueryError::Log(error)) => return Err(self.poison(error)),
            Err(error) => {
                tracing::error!(%error, "the ledger's blocks cannot be archived; the log grows on");
            }
        }
        if let Some(writer) = &mut self.writer {
            (writer.keep.replayed, writer.keep.written) = (0, written);
        }
        Ok(())
    }

    fn make_image(&mut self) -> Result<(), QueryError> {
        let home = self.home.as_ref().ok_or(QueryError::NoFiles)?;
        let writer = self.writer.as_mut().ok_or(QueryError::NoFiles)?;
        let (disk, dir) = (&*home.disk, &home.dir);
        let tip = self.chain.tip();
        let store = self.chain.store();
        let head = image::Head::new(
            self.chain.ledger(),
            writer.log.synced_lsn().get(),
            tip,
            self.chain.supply(),
            (store.untouched(), store.later().len()),
            self.chain.open_channels(),
        );
        image::write(disk, dir, &head, store.untouched(), store.later().iter())?;
        let images = &mut writer.keep.images;
        let before = images.iter().rev().find(|height| **height <= tip.final_height).copied();
        images.retain(|height| Some(*height) == before);
        images.push(tip.height);
        for old in image::list(disk, dir)? {
            if !images.iter().any(|height| image::path(dir, *height) == old) {
                disk.remove(&old)?;
            }
        }
        // What is cut must never be needed again: the image before this one is final, and its block is.
        let Some(covered) = before else { return Ok(()) };
        let from = Lsn::new(writer.keep.archive.end().lsn).next();
        let reader = LogReader::open_near(disk, dir, home.log_identity, from)?;
        let mut blocks = Blocks::of_log(reader, self.chain.params().finality_depth);
        blocks.skip_to(writer.keep.archive.end().height);
        let mut chunk = Vec::new();
        while let Some((height, lsn, block)) = blocks.next_placed()? {
            if height > covered {
                break;
            }
            chunk.push((lsn, block));
            if chunk.len() == CHUNK {
                writer.keep.archive.append(&chunk)?;
                chunk.clear();
            }
        }
        writer.keep.archive.append(&chunk)?;
        let below = Lsn::new(writer.keep.archive.end().lsn).next();
        writer.log.segments().recycle(below)?;
        tracing::debug!(height = %tip.height, archived = %covered, "an image of the ledger was made");
        Ok(())
    }
}
