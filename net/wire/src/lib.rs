//! Messages as bytes: framing, layouts and codec, all pure functions over byte slices.

pub mod frame;
