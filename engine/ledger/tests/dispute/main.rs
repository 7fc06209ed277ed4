//! Closes that are started, disputed and settled; reveals, locks and stakes: each rule of sections 6 and 7 on a real chain.

#[path = "../common/mod.rs"]
mod common;

mod closes;
mod encodings;
mod flips;
mod locks;
mod notebook;
mod old_states;
mod spends;
mod stakes;
mod table;
mod world;
