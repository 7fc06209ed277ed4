//! Notices when a `RUSTFLAGS` variable dropped the flag of `.cargo/config.toml` that compiles the AVX-512 code of
//! curve25519-dalek in: without it every dalek path silently runs at AVX2 speed.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]

use std::env;

/// What rustc is given, as one argument or as the value of a separate `--cfg`.
const FLAG: &str = "curve25519_dalek_backend=\"avx512\"";

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rustc-check-cfg=cfg(dalek_avx512_compiled)");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("x86_64") {
        return;
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if flags.split('\u{1f}').any(|flag| flag.ends_with(FLAG)) {
        println!("cargo::rustc-cfg=dalek_avx512_compiled");
    } else {
        println!(
            "cargo::warning=built without the AVX-512 code of curve25519-dalek: a RUSTFLAGS variable (or a cargo \
             configuration of higher rank) replaced the flags of .cargo/config.toml. Unset it, or add to it: \
             --cfg curve25519_dalek_backend=\"avx512\""
        );
    }
}
