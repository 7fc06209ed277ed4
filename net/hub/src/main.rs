//! The `tidegate` program: a hub and its operator's tools. Everything is in [`tidegate_hub::cli`].

use std::process::ExitCode;

#[cfg(not(feature = "system-alloc"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate_hub::cli::main(std::env::args_os())
}
