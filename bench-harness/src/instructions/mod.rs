//! Instructions of the hot kernels, counted by callgrind: a number that does not depend on what else the machine does.
//!
//! ```text
//! kernels    what is counted, in a process of its own, below callgrind
//! callgrind  runs that process and reads what was counted
//! baseline   the recorded counts, and what has changed since
//! ```
//!
//! A count is no time: it says nothing of memory, and the eight lanes of AVX-512 are not among it, since the tool does not
//! know their instructions. It is for noticing that code does more than it did.

mod baseline;
mod callgrind;
pub mod kernels;

#[cfg(test)]
pub(crate) use baseline::tests::counts;
pub use baseline::{Baseline, BaselineError, Changed, Comparison};
pub use callgrind::{CountError, count};

/// The hidden verb that runs the kernels below callgrind.
pub const WORK: &str = "instructions-work";

/// The instructions of one kernel.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The kernel.
    pub name: String,
    /// Instructions of one operation.
    pub instructions: f64,
}
