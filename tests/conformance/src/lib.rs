//! Outputs keep their contract, and objects their layout: others build on both.
//!
//! [`result::check`] reads a result of `tidegate benchmark` or `loadgen run` (`tidegate.result/1`) and lists everything
//! that is missing, of another kind, or not good. The binary `check-result FILE…` does the same for scripts.
//!
//! [`vectors`] tells one small story ([`cast`]) in bytes, digests and signatures, for whoever writes a second
//! implementation; the binary `write-vectors DIR` writes them. The tests bend the same objects.
//!
//! Nothing here runs a hub or judges a speed.

pub mod cast;
pub mod result;
pub mod vectors;
