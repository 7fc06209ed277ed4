//! What can be measured. A new suite is a file here, a type that is a [`Suite`], and a line in [`ALL`].

mod commit;
mod connections;
mod e2e;
mod execute;
mod hub;
mod merkle;
pub mod net;
mod peers;
pub mod recovery;
mod scale;
mod sign;
pub mod storage;
mod verify;

use std::path::Path;

use crate::{
    measure::{Bench, Measured},
    report::{Environment, Report, SCHEMA},
};

/// A group of rows that are measured together and may be compared.
pub trait Suite: Sync {
    /// The word on the command line.
    fn name(&self) -> &'static str;

    /// What it measures, in one line.
    fn about(&self) -> &'static str;

    /// Measures. Files go into `folder`, which is empty and removed afterwards.
    ///
    /// # Errors
    /// [`SuiteError`] when something under measurement failed: there is no number then.
    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError>;
}

/// All suites, in the order in which they are listed.
pub const ALL: &[&dyn Suite] = &[
    &verify::Verify,
    &sign::Sign,
    &merkle::Merkle,
    &execute::Execute,
    &commit::Commit,
    &storage::Storage,
    &recovery::Recovery,
    &net::Net,
    &peers::PeersSuite,
    &scale::Channels,
    &e2e::EndToEnd,
];

/// Why a suite has no result.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A file could not be written, synced, or made.
    #[error("file: {0}")]
    Io(#[from] std::io::Error),
    /// The log failed.
    #[error("log: {0}")]
    Log(#[from] tidegate_wal::LogError),
    /// A store failed.
    #[error("store: {0}")]
    Store(#[from] storage::StoreFault),
    /// The hub's state failed.
    #[error("state: {0}")]
    State(#[from] tidegate_hub::state::StateError),
    /// The engine failed.
    #[error("engine: {0}")]
    Engine(#[from] tidegate_batch::EngineError),
    /// The engine took not all that it must.
    #[error("{0}")]
    Refused(#[from] recovery::Refused),
    /// The channels hold another sum than was put into them: a fault of the engine.
    #[error("the channels hold {held} sat of a capacity of {capacity} sat")]
    NotConserved {
        /// What all channels hold.
        held: u128,
        /// What they were opened with.
        capacity: u128,
    },
    /// The load on the network failed.
    #[error("network: {0}")]
    Load(#[from] net::load::LoadError),
    /// A session failed.
    #[error("session: {0}")]
    Session(#[from] tidegate_session::SessionError),
    /// Threads could not be started.
    #[error("threads: {0}")]
    Pool(#[from] rayon::ThreadPoolBuildError),
    /// No verifier could be had.
    #[error("verifier: {0}")]
    Backend(#[from] tidegate_crypto::verify::BackendError),
}

/// The suite of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Suite> {
    ALL.iter().copied().find(|suite| suite.name() == name)
}

/// Runs a suite in a folder of its own below `parent`, and removes that.
///
/// # Errors
/// [`SuiteError`].
pub fn run(suite: &dyn Suite, mut bench: Bench, parent: &Path, allocator: &str) -> Result<Report, SuiteError> {
    // A peer runs in a folder of its own, so that the path must not be relative.
    let parent = std::path::absolute(parent)?;
    let folder = tempfile::Builder::new().prefix(".bench-harness-").tempdir_in(parent)?;
    suite.run(&mut bench, folder.path())?;
    let backend = tidegate_crypto::verify::Verifier::new(tidegate_crypto::verify::VerifierConfig::default())?.backend();
    let extra_work_percent = bench.extra_work().percent;
    let Measured { rows, ratios, not_run } = bench.finish();
    Ok(Report {
        schema: SCHEMA.to_owned(),
        suite: suite.name().to_owned(),
        rows,
        ratios,
        not_run,
        paired: None,
        extra_work_percent,
        environment: Environment::capture(Some(folder.path()), allocator, backend, std::env::args().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::Scale, peers::Peers};

    /// Every suite runs, leaves nothing behind, and names its rows by the rule.
    #[test]
    fn every_suite_runs_tiny() {
        let parent = tempfile::tempdir().expect("a folder");
        for suite in ALL {
            let report = run(*suite, Bench::new(Scale::Tiny, Peers::Leave), parent.path(), "system")
                .unwrap_or_else(|error| panic!("{error}"));
            assert!(!report.ratios.is_empty(), "{} compares nothing", report.suite);
            for row in &report.rows {
                let (operation, keys) = row.name.split_once('/').expect("module::op/key=value");
                assert!(operation.contains("::"), "{}", row.name);
                assert!(keys.split(',').all(|key| key.contains('=')), "{}", row.name);
                assert!(row.value > 0.0 && row.n > 0, "{row:?}");
            }
        }
        assert_eq!(parent.path().read_dir().expect("still there").count(), 0);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|suite| suite.name()).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(find("nothing").is_none());
    }
}
