//! Every decoder takes any bytes: it never panics, never allocates much more than it was given, and what it accepts is
//! the one encoding of a value.
//!
//! ```text
//! targets     one function per decoder; true if the bytes were a value's encoding; panics if a promise is broken
//! session     the two targets that drive the session's state machine
//! signatures  the target that is no decoder: every path of the verifier gives one verdict
//! corpus      the first inputs: encodings that a target accepts, found by trying
//! disputes    those of evidence, and of transactions that bear it
//! outputs     those of what a ledger holds
//! messages    one of each message as it is frozen, and some that bear real leaves
//! mutate      seeded changes of an input
//! feed        a target under way, inputs counted
//! counting    an allocator that knows what a decoder asked for
//! ```
//!
//! `tests/smoke.rs` runs all of them for a bounded time from fixed seeds; `scripts/fuzz` for as long as asked, by the program
//! `fuzz-decoders`. A target is a plain function over bytes, so a coverage-guided fuzzer can call it as it is.
//!
//! Nothing here knows what a message means, or keeps a state between inputs.

pub mod corpus;
pub mod counting_allocator;
mod disputes;
pub mod feed;
mod messages;
pub mod mutate;
mod outputs;
mod session;
mod signatures;
pub mod targets;
