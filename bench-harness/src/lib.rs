//! Benchmarks of the project's own parts: suites that measure rows, compare them in ratios, and report where they ran.
//!
//! ```text
//! suites     what is measured: one file each, all listed in one registry
//! device     what the kernel counts: bytes on the disk, memory
//! measure    how: warm-up, repetitions, median and spread; full or tiny
//! peers      other people's code, measured by programs of a workspace of its own
//! signatures what is signed and verified
//! report     the result `tidegate.bench/1`: rows, ratios, environment; a table for people
//! ```
//!
//! Nothing here judges a number against a target or keeps one from an earlier run.

pub mod device;
pub mod measure;
pub mod peers;
pub mod report;
pub mod signatures;
pub mod suites;
