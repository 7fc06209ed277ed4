//! The project beside what others built, in one run on one machine: payments beside TigerBeetle's transfers, signatures beside
//! ed25519-dalek and ring, durable batches beside general stores.
//!
//! A peer that is not here is "not run", with the word that brings it; never a number from elsewhere. What a comparison is not,
//! stands with its rows: TigerBeetle checks no signature and answers with no receipt; a general store does more than this
//! project's storage can.

mod hub;
pub(super) mod tigerbeetle;

use std::path::Path;

use super::{Suite, SuiteError, storage, verify};
use crate::measure::Bench;

/// Everybody.
pub(super) struct PeersSuite;

impl Suite for PeersSuite {
    fn name(&self) -> &'static str {
        "peers"
    }

    fn about(&self) -> &'static str {
        "the hub beside TigerBeetle (where --tigerbeetle names its binary), the verifier beside dalek and ring, storage \
         beside general stores"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        hub::run(bench, folder)?;
        tigerbeetle::run(bench, folder)?;
        bench.ratio_of_peers(
            "TigerBeetle transfers / own payments",
            tigerbeetle::TRANSFERS,
            hub::PAYMENTS,
        );
        verify::beside_libraries(bench)?;
        let records = bench.size("records", 1_000_000, 5_000);
        storage::beside_stores(bench, records, folder)
    }
}
