//! Which paths a test takes: all of this processor, or the one that `TIDEGATE_CPU` names.
#![allow(
    clippy::disallowed_methods,
    reason = "the path is the caller's, by an environment variable"
)]

use tidegate_crypto::verify::{Backend, Verifier, VerifierConfig};

/// The path that `TIDEGATE_CPU` forces.
///
/// # Panics
/// If there is no such path.
pub(crate) fn forced() -> Option<Backend> {
    let word = std::env::var("TIDEGATE_CPU").ok()?;
    Some(
        word.parse()
            .unwrap_or_else(|error| panic!("TIDEGATE_CPU={word}: {error}")),
    )
}

/// The forced path, or that of the processor.
pub(crate) fn chosen() -> Backend {
    forced().unwrap_or_default()
}

/// A verifier on the chosen path.
///
/// # Panics
/// If this processor does not have it.
pub(crate) fn verifier(memory_budget_bytes: usize) -> Verifier {
    Verifier::new(VerifierConfig {
        backend: chosen(),
        memory_budget_bytes,
    })
    .expect("a path of this processor")
}

/// A verifier on each path that is to be tested and that this processor has.
pub(crate) fn verifiers(memory_budget_bytes: usize) -> impl Iterator<Item = Verifier> {
    let all = [Backend::Auto, Backend::Avx512, Backend::Avx2, Backend::Portable];
    let wanted = all
        .into_iter()
        .filter(|backend| forced().is_none_or(|forced| forced == *backend));
    wanted.filter_map(move |backend| {
        Verifier::new(VerifierConfig {
            backend,
            memory_budget_bytes,
        })
        .ok()
    })
}
