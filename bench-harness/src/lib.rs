//! Benchmarks of the project's own parts: suites that measure rows, compare them in ratios, and report where they ran.
//!
//! ```text
//! suites     what is measured: one file each, all listed in one registry
//! measure    how: warm-up, repetitions, median and spread; full or tiny
//! report     the result `tidegate.bench/1`: rows, ratios, environment; a table for people
//! ```
//!
//! Nothing here judges a number against a target, keeps one from an earlier run, or measures another program's work.

pub mod measure;
pub mod report;
pub mod suites;
