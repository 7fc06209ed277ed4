//! What lies in a data directory, part by part, as rows for an operator in trouble: the log, the tables, the checkpoints.
//!
//! Each kind of row is made in two ways: from the files of a directory that nobody uses, with every sum checked, or by a
//! running hub for its admin endpoint, from what it knows without reading anything much. What the second cannot say is
//! absent.

mod checkpoints;
mod forwards;
mod log;
mod tables;

pub use checkpoints::{CheckpointRow, CheckpointRows, RegionRow};
pub use forwards::{ForwardRow, ForwardRows};
pub use log::{LogEnd, LogRows, SegmentRow};
pub use tables::{TableRow, TableRows};
