//! The `bench-harness` program: see [`tidegate_bench_harness::cli`].

use std::process::ExitCode;

#[cfg(not(feature = "system-alloc"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate_bench_harness::cli::run()
}
