//! Tables in memory, and the images of them that survive.
//!
//! ```text
//! Region: anonymous map, reserved once, never moves          checkpoint files in one folder
//! ┌──────┬──────┬──────┬─────────┐  dirty pages, sorted      ┌ image-a-NAME.pages  image-a-NAME.sums ┐
//! │ slot │ slot │ slot │ not yet │ ────────────────────────► └ image-b-NAME.pages  image-b-NAME.sums ┘
//! └──────┴──────┴──────┴─────────┘  into the older image     then one of two superblocks in `superblock`
//! ```
//!
//! A [`Region`] is fixed-size slots of bytes with a bitmap of changed pages. A [`HashTable`] puts keys and values of
//! plain data into one. A [`CheckpointStore`] writes a set of regions as one image at one log number, and gives back
//! the newest whole one. A [`SealedWriter`] puts parts of whatever kind into one file that says by itself whether it is
//! whole.
//!
//! Live state is never a writable map of a file: the kernel would write pages of batches that are not durable, and
//! every first write to a page would wait for it. Nothing here knows what a slot means or when a checkpoint is due.

mod checkpoint;
mod hash;
#[allow(unsafe_code, reason = "memory that a checkpoint copies from while its owner writes")]
mod memory;
mod pages;
#[allow(unsafe_code, reason = "references into that memory")]
mod pin;
#[allow(unsafe_code, reason = "references into that memory")]
mod region;
mod sealed;

pub use checkpoint::{
    CheckpointError, CheckpointStore, ImageReader, Loaded, META_BYTES_MAX, Problem, Progress, RegionInfo, Report,
    SlotInfo, Spent, Step, SuperblockInfo, check_image, load, superblocks, verify,
};
pub use hash::{HashTable, HashTableError};
pub use pages::{PAGE_BYTES, PageSet};
pub use region::{Region, RegionError, RegionSpec, SLOT_ALIGN};
pub use sealed::{
    PART_NAME_BYTES_MAX, Sealed, SealedError, SealedFault, SealedItem, SealedReader, SealedWriter, unfinished,
};
pub use tidegate_disk::Lsn;
