//! The program `loadgen`. `tidegate loadgen` is the same.

use std::process::ExitCode;

#[cfg(not(feature = "system-alloc"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(tidegate_loadgen::cli::run(std::env::args_os()))
}
