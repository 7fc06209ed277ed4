//! What the program says when it cannot do what it was asked: one line with a stable code and what to do.
//!
//! ```text
//! error[TG-0202]: DIR is in use by process 4711; stop that hub first, or give another --data
//! ```
//!
//! [`Code`] numbers are a contract: scripts match on them. A code is never given a second meaning, and never reused.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tidegate_channel::FailReason;
use tidegate_client::channels_file::ChannelsFileError;
use tidegate_client::key_file::KeyFileError;
use tidegate_client::{ClientError, ConnectionError, StepError, StoreError};
use tidegate_disk::DiskError;
use tidegate_ledger::GenesisError;
use tidegate_loadgen::profile::ProfileError;

use crate::config::ConfigError;
use crate::keys::HubKeysError;
use crate::pipeline::ServeError;
use crate::state::StateError;

macro_rules! codes {
    ($($(#[doc = $about:literal])+ $name:ident = $number:literal,)+) => {
        /// The stable code of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code {
            $($(#[doc = $about])+ $name = $number,)+
        }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What it means, in one line.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($about),+),)+
                }
            }
        }
    };
}

codes! {
    /// The command line is not understood (exit code 2).
    Syntax = 100,
    /// A configuration file cannot be read.
    ConfigUnreadable = 101,
    /// A configuration file, variable or flag has an unknown key, or a value of the wrong kind.
    ConfigSyntax = 102,
    /// A value of the configuration breaks a rule, or does not fit another.
    ConfigRule = 103,
    /// The processor lacks the back end that the configuration asks for.
    Backend = 104,
    /// A text is no amount, or an amount is out of range.
    BadAmount = 110,
    /// A text is neither a public key nor a key file.
    BadKey = 111,
    /// A text is no hub address.
    BadAddress = 112,
    /// A workload profile does not exist or does not hold.
    BadProfile = 113,
    /// A text is no id of the kind that was asked for.
    BadId = 114,
    /// The data directory is not empty.
    DirUsed = 201,
    /// The data directory is in use by another process.
    DirLocked = 202,
    /// There is no hub in the data directory.
    DirNotFormatted = 203,
    /// The hub's key file is damaged.
    HubKeysDamaged = 204,
    /// A file or folder cannot be read or written.
    Files = 205,
    /// The disk is full.
    DiskFull = 206,
    /// A genesis does not decode or breaks a rule.
    GenesisBad = 207,
    /// A channels file is truncated, damaged or of another kind.
    ChannelsFileBad = 208,
    /// The configuration contradicts the genesis of the data directory.
    GenesisMismatch = 209,
    /// The hub's state cannot be read or replayed.
    StateBad = 210,
    /// The settlement ledger of the data directory cannot be read or replayed.
    LedgerBad = 211,
    /// A verification found problems.
    VerifyFailed = 212,
    /// There is no channel of that id.
    NoChannel = 213,
    /// The system gives no random bytes.
    NoRandomness = 214,
    /// A key file exists already.
    KeyExists = 301,
    /// A key file is damaged, or open to others.
    KeyFileBad = 302,
    /// A key file needs its password, or another.
    KeyPassword = 303,
    /// The hub could not be started, or stopped by a failure.
    HubFailed = 401,
    /// The operator's endpoint of a hub does not answer.
    AdminUnreachable = 402,
    /// The verb needs an option that this build does not work without.
    NotOffered = 403,
    /// The hub cannot be reached, or the session broke.
    HubUnreachable = 501,
    /// The hub refuses.
    HubRefused = 502,
    /// The wallet cannot be read or written, or does not allow the step.
    Wallet = 503,
    /// A payment failed; the money stays with the payer.
    PaymentFailed = 504,
    /// The key has too little on the ledger.
    Funds = 505,
    /// It is not clear which channel is meant.
    WhichChannel = 506,
    /// The hub's answer is wrong, or did not become final in time.
    HubAnswer = 507,
    /// The hub of a benchmark did not start, or ended early.
    BenchmarkHub = 601,
    /// The load generator of a benchmark failed.
    BenchmarkLoad = 602,
    /// The audit of a benchmark found a fault.
    BenchmarkAudit = 603,
    /// The benchmark was interrupted.
    Interrupted = 604,
    /// The result of a benchmark may not be believed.
    BenchmarkInvalid = 605,
}

impl Code {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TG-{:04}", self.number())
    }
}

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
    /// The ledger's blocks cannot be read back.
    #[error("the blocks of the ledger: {0}")]
    LedgerRead(#[from] tidegate_settle::QueryError),
    /// A verification found something.
    #[error("{count} problems in {}, the first: {first}", dir.display())]
    Verify {
        /// The data directory.
        dir: PathBuf,
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// No such channel.
    #[error("there is no channel {0}")]
    NoChannel(tidegate_types::ChannelId),
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
            Self::LedgerCreate { source, .. } => ledger_create_code(source),
            Self::LedgerOpen { source, .. } => ledger_open_code(source),
            Self::LedgerRead(_) => Code::LedgerBad,
            Self::Verify { .. } => Code::VerifyFailed,
            Self::NoChannel(_) => Code::NoChannel,
            Self::KeyFile(error) => key_file_code(error),
            Self::Serve(error) => serve_code(error),
            Self::Admin { .. } | Self::AdminAnswer { .. } => Code::AdminUnreachable,
            Self::Client(error) => client_code(error),
            Self::WhichChannel(_) => Code::WhichChannel,
            Self::PaymentFailed(_) => Code::PaymentFailed,
            Self::Child { what, .. } if what.starts_with("loadgen") => Code::BenchmarkLoad,
            Self::Child { .. } | Self::BenchmarkHub(_) => Code::BenchmarkHub,
            Self::BenchmarkAudit(_) => Code::BenchmarkAudit,
            Self::Interrupted => Code::Interrupted,
            Self::BenchmarkInvalid(_) => Code::BenchmarkInvalid,
            Self::NotOffered(_) => Code::NotOffered,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub const fn advice(code: Code) -> &'static str {
        match code {
            Code::Syntax => "run the same verb with --help",
            Code::ConfigUnreadable => "check --config and the file's permissions",
            Code::ConfigSyntax => "`tidegate config show` lists every key",
            Code::ConfigRule => "`tidegate config show` says what each key means",
            Code::Backend => "set cpu.backend (TIDEGATE_CPU) to auto",
            Code::BadAmount => "give KEY=AMOUNT with a whole number of satoshi, at most 2^53 in all",
            Code::BadKey => "give 64 hex digits, the path of a key file (`tidegate key new --out FILE`), or `hub`",
            Code::BadAddress => "copy it whole, as `tidegate format` or `tidegate start` prints it: tg1…@HOST:PORT",
            Code::BadProfile => "give a built-in name or fix the file at that line",
            Code::BadId => "give 64 hex digits",
            Code::DirUsed => "give a new or empty directory; nothing in this one was changed",
            Code::DirLocked => "stop that process first, or give another --data",
            Code::DirNotFormatted => "make one first: tidegate format --data DIR",
            Code::HubKeysDamaged => "put back the file from your backup; without it this hub cannot sign",
            Code::Files => "check the path, its permissions and the disk",
            Code::DiskFull => "free room on the device and try again",
            Code::GenesisBad => "give another --genesis, --fund or --channels",
            Code::ChannelsFileBad => "make it again: tidegate loadgen prepare channels --profile P --out FILE",
            Code::GenesisMismatch => "put that key back to what the genesis says: it was fixed by `tidegate format`",
            Code::StateBad | Code::LedgerBad => "keep a copy of the directory as it is, and restore a backup",
            Code::VerifyFailed => "do not start a hub on this directory; --json lists every problem",
            Code::NoChannel => "`tidegate export --data DIR` lists all channels",
            Code::NoRandomness => "the system is not fit to make keys",
            Code::KeyExists => "give another --out; a key is never overwritten",
            Code::KeyFileBad => "give a file made by `tidegate key new`, readable by its owner alone",
            Code::KeyPassword => "give the password on the terminal, by --password-file, or in TIDEGATE_PASSWORD",
            Code::HubFailed => "nothing that was answered is lost; fix the cause and start again",
            Code::AdminUnreachable => "check --admin and that the hub runs",
            Code::NotOffered => "see --help",
            Code::HubUnreachable => "check the address and that the hub runs; nothing that was confirmed is lost",
            Code::HubRefused => "see the reason; nothing has changed",
            Code::Wallet => "check --wallet; a wallet belongs to one key and one process at a time",
            Code::PaymentFailed => "the amount is back in your channel; see the reason",
            Code::Funds => "fund the key in the genesis (`tidegate format --fund KEY=AMOUNT`) or by a transaction",
            Code::WhichChannel => "name it; `tidegate channel list` shows them all",
            Code::HubAnswer => "the same verb may be tried again; the wallet keeps what it has signed",
            Code::BenchmarkHub => "see the hub's last lines above",
            Code::BenchmarkLoad => "see the generator's last lines above",
            Code::BenchmarkAudit => "this is a fault of the hub; keep the result file and report it",
            Code::Interrupted => "nothing was left behind",
            Code::BenchmarkInvalid => "the report's notes say all; run again on an idle machine",
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
            Self::advice(code)
        )
    }
}

const fn config_code(error: &ConfigError) -> Code {
    match error {
        ConfigError::Read { .. } => Code::ConfigUnreadable,
        ConfigError::Syntax { .. } | ConfigError::Override { .. } => Code::ConfigSyntax,
        ConfigError::Breach { .. } => Code::ConfigRule,
    }
}

const fn disk_code(error: &DiskError) -> Code {
    match error {
        DiskError::NoSpace { .. } => Code::DiskFull,
        DiskError::Locked { .. } => Code::DirLocked,
        DiskError::NotFound { .. }
        | DiskError::AlreadyExists { .. }
        | DiskError::UnexpectedEnd { .. }
        | DiskError::Io { .. } => Code::Files,
    }
}

const fn hub_keys_code(error: &HubKeysError) -> Code {
    match error {
        HubKeysError::Random(_) => Code::NoRandomness,
        HubKeysError::Disk(error) => disk_code(error),
        HubKeysError::Damaged { .. } => Code::HubKeysDamaged,
    }
}

fn state_code(error: &StateError) -> Code {
    match error {
        StateError::Disk(error) => disk_code(error),
        StateError::Exists { .. } => Code::DirUsed,
        StateError::Unfinished => Code::DirNotFormatted,
        _ => Code::StateBad,
    }
}

fn serve_code(error: &ServeError) -> Code {
    match error {
        ServeError::Disk(error) => disk_code(error),
        ServeError::State(error) => state_code(error),
        ServeError::Ledger(error) => ledger_open_code(error),
        ServeError::LedgerRead(_) => Code::LedgerBad,
        ServeError::Backend(_) => Code::Backend,
        _ => Code::HubFailed,
    }
}

fn ledger_create_code(error: &tidegate_settle::CreateError) -> Code {
    match error {
        tidegate_settle::CreateError::Genesis(_) => Code::GenesisBad,
        tidegate_settle::CreateError::Exists { .. } => Code::DirUsed,
        tidegate_settle::CreateError::Disk(error) => disk_code(error),
        tidegate_settle::CreateError::Log(_) => Code::LedgerBad,
    }
}

fn ledger_open_code(error: &tidegate_settle::OpenError) -> Code {
    match error {
        tidegate_settle::OpenError::NoNode { .. } => Code::DirNotFormatted,
        tidegate_settle::OpenError::Disk(error) => disk_code(error),
        _ => Code::LedgerBad,
    }
}

fn client_code(error: &ClientError) -> Code {
    match error {
        ClientError::Connection(ConnectionError::Remote { .. } | ConnectionError::Busy { .. })
        | ClientError::Refused { .. }
        | ClientError::RefusedOther(_) => Code::HubRefused,
        ClientError::Connection(_) => Code::HubUnreachable,
        ClientError::Step(StepError::Store(StoreError::Disk(error))) => disk_code(error),
        ClientError::Step(_) | ClientError::Behind { .. } | ClientError::Range(_) => Code::Wallet,
        ClientError::KeyFile(error) => key_file_code(error),
        ClientError::NoFunds { .. } => Code::Funds,
        ClientError::HubKey(_)
        | ClientError::Open(_)
        | ClientError::Unexpected(_)
        | ClientError::OtherAnswer
        | ClientError::NotFinal { .. } => Code::HubAnswer,
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self::Client(Box::new(error))
    }
}

const fn key_file_code(error: &KeyFileError) -> Code {
    match error {
        KeyFileError::Exists(_) => Code::KeyExists,
        KeyFileError::PasswordNeeded(_) | KeyFileError::Wrong(_) => Code::KeyPassword,
        KeyFileError::Random(_) => Code::NoRandomness,
        KeyFileError::Io { .. } => Code::Files,
        KeyFileError::Permissions { .. } | KeyFileError::Malformed { .. } | KeyFileError::Kdf { .. } => {
            Code::KeyFileBad
        }
    }
}
