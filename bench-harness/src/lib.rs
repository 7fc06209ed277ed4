//! Benchmarks of the project's own parts: suites that measure rows, compare them in ratios, and report where they ran.
//!
//! ```text
//! suites     what is measured: one file each, all listed in one registry
//! device     what the kernel counts: bytes on the disk, memory
//! measure    how: warm-up, repetitions, median and spread; full or tiny
//! peers      other people's code, measured by programs of a workspace of its own
//! instructions counted by callgrind, beside a recorded baseline
//! signatures what is signed and verified
//! report     the result `tidegate.bench/1`: rows, ratios, environment; a table for people
//! stats      what repetitions say: median, outliers, tests on ranks
//! compare    whether B is slower than A: two results, or two programs in turns
//! plot       lines and bars as SVG
//! page       one HTML file of many results, to be read without a network
//! ```
//!
//! Nothing here judges a number against a target or keeps one from an earlier run.

pub mod cli;
pub mod compare;
pub mod device;
pub mod instructions;
pub mod measure;
pub mod page;
pub mod peers;
pub mod plot;
pub mod report;
pub mod signatures;
pub mod stats;
pub mod suites;
