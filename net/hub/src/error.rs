//! What the program says when it cannot do what it was asked: one line with a stable code and what to do.
//!
//! ```text
//! error[TG-0202]: DIR is in use by process 4711; stop that hub first, or give another --data
//! ```
//!
//! [`Code`] numbers are a contract: scripts match on them. A code is never given a second meaning, and never reused.

mod causes;
mod code;

use std::io;
use std::path::PathBuf;

use tidegate_channel::FailReason;
use tidegate_client::ClientError;
use tidegate_client::channels_file::ChannelsFileError;
use tidegate_client::key_file::KeyFileError;
use tidegate_disk::DiskError;
use tidegate_ledger::GenesisError;
use tidegate_loadgen::profile::ProfileError;

use crate::backup::BackupError;
use crate::config::ConfigError;
use crate::keys::HubKeysError;
use crate::pipeline::ServeError;
use crate::proof::ProofFileError;
use crate::state::StateError;

use causes::{
    backup_code, client_code, config_code, disk_code, hub_keys_code, key_file_code, ledger_create_code,
    ledger_open_code, serve_code, state_code,
};
pub use code::Code;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line; the text is clap's first line.
    #[error("{0}")]
    Syntax(String),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The back end for signatures.
    #[error("cpu.backend: {0}")]
    Backend(#[from] tidegate_crypto::verify::BackendError),
    /// Not `KEY=AMOUNT`, or not a whole number of satoshi.
    #[error("`{text}` is no amount: {why}")]
    Amount {
        /// What was given.
        text: String,
        /// Why not.
        why: &'static str,
    },
    /// Neither hex of a key nor a key file.
    #[error("`{text}` is no key: {why}")]
    Key {
        /// What was given.
        text: String,
        /// Why not.
        why: String,
    },
    /// Not an id.
    #[error("`{text}` is no {kind}: {source}")]
    Id {
        /// What was given.
        text: String,
        /// What was asked for.
        kind: &'static str,
        /// Why not.
        source: tidegate_types::DecodeError,
    },
    /// Not a hub's address.
    #[error("`{text}` is no hub address: {source}")]
    Address {
        /// What was given.
        text: String,
        /// Why not.
        source: tidegate_client::address::AddressError,
    },
    /// A workload profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A data directory that is not empty.
    #[error("{} is not empty: it holds {found}", dir.display())]
    DirUsed {
        /// The directory.
        dir: PathBuf,
        /// What was found first.
        found: &'static str,
    },
    /// A data directory without a hub.
    #[error("there is no hub in {}", .0.display())]
    NotFormatted(PathBuf),
    /// The hub's keys.
    #[error(transparent)]
    HubKeys(#[from] HubKeysError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file of the program's user.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A genesis.
    #[error("{origin}: {source}")]
    Genesis {
        /// Where it is from.
        origin: String,
        /// Why it does not hold.
        source: GenesisError,
    },
    /// A channels file.
    #[error(transparent)]
    ChannelsFile(#[from] ChannelsFileError),
    /// A key of the configuration that the genesis fixed otherwise.
    #[error("`{key}` is {configured}, but the genesis of {} says {fixed}", dir.display())]
    GenesisMismatch {
        /// The key.
        key: &'static str,
        /// Its value.
        configured: String,
        /// The genesis's.
        fixed: String,
        /// The data directory.
        dir: PathBuf,
    },
    /// The hub's state.
    #[error("the state in {}: {source}", dir.display())]
    State {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: Box<StateError>,
    },
    /// The hub's state cannot be made.
    #[error("cannot make the state in {}: {source}", dir.display())]
    StateCreate {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: Box<StateError>,
    },
    /// The ledger cannot be made.
    #[error("the ledger in {}: {source}", dir.display())]
    LedgerCreate {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: Box<tidegate_settle::CreateError>,
    },
    /// The ledger cannot be opened.
    #[error("the ledger in {}: {source}", dir.display())]
    LedgerOpen {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: Box<tidegate_settle::OpenError>,
    },
    /// The ledger's endpoint cannot be reached, or says no.
    #[error(transparent)]
    Ledger(#[from] tidegate_client::LedgerError),
    /// The wallet has no evidence to show.
    #[error("there is no evidence to show: {0}")]
    Evidence(#[from] tidegate_client::channel::EvidenceError),
    /// A tower failed.
    #[error(transparent)]
    Tower(#[from] tidegate_tower::server::TowerError),
    /// A text is no payment request.
    #[error(transparent)]
    Request(#[from] tidegate_client::RequestError),
    /// A payment request cannot be paid here.
    #[error("the request cannot be paid: {0}")]
    RequestUnpayable(&'static str),
    /// There is no ledger, and nothing to make one of.
    #[error("{} holds no ledger", .0.display())]
    NoLedger(PathBuf),
    /// Another key than the genesis names.
    #[error("the key is {key}, and the ledger's validator is {validator}")]
    NotTheValidator {
        /// The key that was given.
        key: tidegate_types::KeyBytes,
        /// The key in the genesis.
        validator: tidegate_types::KeyBytes,
    },
    /// The ledger's endpoint failed.
    #[error(transparent)]
    Endpoint(#[from] tidegate_settle::endpoint::EndpointError),
    /// The ledger's blocks cannot be read back.
    #[error("the blocks of the ledger: {0}")]
    LedgerRead(#[from] tidegate_settle::QueryError),
    /// A backup was not made, checked or restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A directory that was restored from a backup.
    #[error("{} was restored from a backup: later batches may have been signed, so it never signs again", .0.display())]
    Restored(PathBuf),
    /// A verification found something.
    #[error("{count} {} in {}, the first: {first}", if *count == 1 { "problem" } else { "problems" }, place.display())]
    Verify {
        /// The data directory or the backup.
        place: PathBuf,
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// No such channel.
    #[error("there is no channel {0}")]
    NoChannel(tidegate_types::ChannelId),
    /// A proof that does not hold.
    #[error("{}: {source}", path.display())]
    Proof {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: ProofFileError,
    },
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The hub.
    #[error("the hub: {0}")]
    Serve(#[from] ServeError),
    /// A hub's endpoint.
    #[error("the operator's endpoint {address}: {source}")]
    Admin {
        /// Its address.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// An endpoint's answer that is none.
    #[error("the operator's endpoint {address} answers {answer}")]
    AdminAnswer {
        /// Its address.
        address: String,
        /// What it said.
        answer: String,
    },
    /// A wallet's step.
    #[error(transparent)]
    Client(Box<ClientError>),
    /// It is not clear which channel is meant.
    #[error("{0}")]
    WhichChannel(&'static str),
    /// No lock waits that could be ended so.
    #[error("{0}")]
    NoInLock(&'static str),
    /// The hub did not deliver a payment.
    #[error("the payment failed: {0:?}")]
    PaymentFailed(FailReason),
    /// A process of a benchmark.
    #[error("`tidegate {what}` ended with {status}")]
    Child {
        /// Its verb.
        what: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The hub of a benchmark.
    #[error("the hub {0}")]
    BenchmarkHub(&'static str),
    /// What a benchmark's hub left behind.
    #[error("{0}")]
    BenchmarkAudit(&'static str),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A result that is not valid.
    #[error("the result is not valid: {0}")]
    BenchmarkInvalid(String),
    /// A file of signatures that cannot be read.
    #[error("{}, line {line}: {what}", path.display())]
    SignatureFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// An option that must be given.
    #[error("{0}")]
    NotOffered(&'static str),
}

impl Error {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Syntax(_) => Code::Syntax,
            Self::Config(error) => config_code(error),
            Self::Backend(_) => Code::Backend,
            Self::Amount { .. } => Code::BadAmount,
            Self::Key { .. } => Code::BadKey,
            Self::Id { .. } => Code::BadId,
            Self::Address { .. } => Code::BadAddress,
            Self::Profile(_) => Code::BadProfile,
            Self::DirUsed { .. } => Code::DirUsed,
            Self::NotFormatted(_) => Code::DirNotFormatted,
            Self::HubKeys(error) => hub_keys_code(error),
            Self::Disk(error) => disk_code(error),
            Self::Io { .. } => Code::Files,
            Self::Genesis { .. } => Code::GenesisBad,
            Self::ChannelsFile(_) => Code::ChannelsFileBad,
            Self::GenesisMismatch { .. } => Code::GenesisMismatch,
            Self::State { source, .. } => state_code(source),
            Self::StateCreate { source, .. } => match state_code(source) {
                // There was nothing that could be bad.
                Code::StateBad => Code::Files,
                other => other,
            },
            Self::LedgerCreate { source, .. } => ledger_create_code(source),
            Self::LedgerOpen { source, .. } => ledger_open_code(source),
            Self::LedgerRead(_) => Code::LedgerBad,
            Self::Ledger(_) | Self::Tower(_) => Code::LedgerUnreachable,
            Self::Evidence(_) => Code::Wallet,
            Self::Request(_) | Self::RequestUnpayable(_) => Code::BadRequest,
            Self::NoLedger(_) => Code::NoLedger,
            Self::NotTheValidator { .. } => Code::NotTheValidator,
            Self::Endpoint(_) => Code::HubFailed,
            Self::Backup(error) => backup_code(error),
            Self::Restored(_) => Code::Restored,
            Self::Verify { .. } => Code::VerifyFailed,
            Self::NoChannel(_) => Code::NoChannel,
            Self::Proof { .. } => Code::ProofFailed,
            Self::KeyFile(error) => key_file_code(error),
            Self::Serve(error) => serve_code(error),
            Self::Admin { .. } | Self::AdminAnswer { .. } => Code::AdminUnreachable,
            Self::Client(error) => client_code(error),
            Self::WhichChannel(_) => Code::WhichChannel,
            Self::NoInLock(_) => Code::NoInLock,
            Self::PaymentFailed(_) => Code::PaymentFailed,
            Self::Child { what, .. } if what.starts_with("loadgen") => Code::BenchmarkLoad,
            Self::Child { .. } | Self::BenchmarkHub(_) => Code::BenchmarkHub,
            Self::BenchmarkAudit(_) => Code::BenchmarkAudit,
            Self::Interrupted => Code::Interrupted,
            Self::BenchmarkInvalid(_) => Code::BenchmarkInvalid,
            Self::NotOffered(_) => Code::NotOffered,
            Self::SignatureFile { .. } => Code::SignatureFile,
        }
    }
}

impl Error {
    /// The whole line, without a line break.
    #[must_use]
    pub fn line(&self) -> String {
        let code = self.code();
        let what = self.to_string();
        let what: Vec<&str> = what.split_whitespace().collect();
        format!(
            "error[{code}]: {}; {}",
            what.join(" ").trim_end_matches(['.', ';']),
            code.advice()
        )
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self::Client(Box::new(error))
    }
}
