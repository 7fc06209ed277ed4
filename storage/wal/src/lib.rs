//! The log: records that are durable before anything that depends on them is shown.
//!
//! ```text
//! log-0000000000000007.seg      a segment: a file of fixed size, written with zeros before its first use
//! ┌────────┬─────────┬──────┬────────┬─────────┬──────┬───────────────────────────┐
//! │ header │ payload │ 0..0 │ header │ payload │ 0..0 │ zeros, or an older life's │
//! └────────┴─────────┴──────┴────────┴─────────┴──────┴───────────────────────────┘
//! ▲ 4 KiB page              ▲ 4 KiB page              ▲ 4 KiB page
//!
//! header, 64 B, little endian:
//!  0 magic u32       4 crc32c u32 of all that follows, padding included
//!  8 identity u64    the log's own number, unknown to those who supply payloads
//! 16 segment u64     the number in the file's name: bytes of a recycled file never look fresh
//! 24 lsn u64        32 synced u64: the highest LSN known durable when this record was written
//! 40 length u32     44 previous u32: the crc32c field of the record before
//! 48 epoch u32      how often the log had been opened         52 zeros
//! ```
//!
//! A record begins at a page, so a later write never touches a page that a synced record lies in, and its header lies
//! in one sector. One append is one write, one [`Log::sync`] one `fdatasync`. A record that does not fit in the rest of
//! a segment starts the next. Segments are prepared by [`Segments::prepare`], which another thread may call, and renamed
//! to serve again once a checkpoint covers them ([`Segments::recycle`]).
//!
//! [`Log::open`] gives a [`Replay`]: every record in order, up to the first that is not whole. What follows decides: a
//! valid later record that says that the bad one was durable is *damage* and refused by file, offset and LSN; otherwise
//! it is a *torn tail* of what nobody was promised, and is erased. `storage/README.md` has the argument.
//!
//! Nothing here knows what a payload means, retries a failed write or sync, or deletes a record that no checkpoint covers.

mod error;
mod log;
mod reader;
mod record;
mod recover;
mod scan;
mod segments;
mod survey;

pub use error::LogError;
pub use log::Log;
pub use reader::LogReader;
pub use record::{HEADER_BYTES, PAGE_BYTES, record_bytes};
pub use recover::Replay;
pub use scan::{Place, Record, Tail};
pub use segments::{Counters, Segments};
pub use survey::{SegmentInfo, Survey, survey};
pub use tidegate_disk::Lsn;

/// What a log is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The log's own number, stored in every record. Choose it at random and show it to nobody: whoever knew it could
    /// put bytes into a payload that pass for a record once their file is recycled.
    pub identity: u64,
    /// The length of a new segment: a multiple of [`PAGE_BYTES`]. A record with its header must fit in it.
    pub segment_bytes: u64,
    /// How many segments beyond the active one are kept ready at most; recycled ones above that are removed.
    pub ready_max: usize,
}

impl LogConfig {
    /// The default length of a segment: 64 MiB.
    pub const SEGMENT_BYTES: u64 = 64 << 20;

    /// Default sizes for the log `identity`.
    #[must_use]
    pub const fn new(identity: u64) -> Self {
        Self {
            identity,
            segment_bytes: Self::SEGMENT_BYTES,
            ready_max: 4,
        }
    }

    /// The longest payload that fits in a new segment, in bytes.
    #[must_use]
    pub const fn payload_max(&self) -> u64 {
        let room = self.segment_bytes.saturating_sub(HEADER_BYTES as u64);
        if room > u32::MAX as u64 { u32::MAX as u64 } else { room }
    }
}
