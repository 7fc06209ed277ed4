//! Outputs keep their contract: scripts, dashboards and acceptance checks call the keys of a result by name.
//!
//! [`result::check`] reads a result of `tidegate benchmark` or `loadgen run` (`tidegate.result/1`) and lists everything
//! that is missing, of another kind, or not good. The binary `check-result FILE…` does the same for scripts.
//!
//! Nothing here runs a hub or judges a speed.

pub mod result;
