//! The stable codes: what each means, and what to do.

use std::fmt;

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
    /// A line of a file of signatures cannot be read.
    SignatureFile = 115,
    /// A text is no payment request, or one that cannot be paid here.
    BadRequest = 116,
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
    /// A proof of a channel's state does not hold, or cannot be read.
    ProofFailed = 215,
    /// The data directory was restored from a backup and never signs again.
    Restored = 221,
    /// A backup is damaged, not finished, or of another version.
    BackupBad = 222,
    /// A backup of that name is there already, or is just being written.
    BackupThere = 223,
    /// The hub wrote checkpoints faster than a backup could be made.
    BackupOvertaken = 224,
    /// There is no ledger in the directory, and no genesis and key to make one of.
    NoLedger = 225,
    /// The key is not that of the ledger's validator.
    NotTheValidator = 226,
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
    /// No payment waits for that preimage, or under that name.
    NoInLock = 508,
    /// The ledger's endpoint cannot be reached, or does not take the transaction.
    LedgerUnreachable = 509,
    /// The channel cannot be topped up now.
    CannotMove = 510,
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

impl Code {
    /// What the user can do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Syntax => "run the same verb with --help",
            Self::ConfigUnreadable => "check --config and the file's permissions",
            Self::ConfigSyntax => "`tidegate config show` lists every key",
            Self::ConfigRule => "`tidegate config show` says what each key means",
            Self::Backend => "set cpu.backend (TIDEGATE_CPU) to auto",
            Self::BadAmount => "give KEY=AMOUNT with a whole number of satoshi, at most 2^53 in all",
            Self::BadKey => "give 64 hex digits, the path of a key file (`tidegate key new --out FILE`), or `hub`",
            Self::BadAddress => "copy it whole, as `tidegate format` or `tidegate start` prints it: tg1…@HOST:PORT",
            Self::BadProfile => "give a built-in name or fix the file at that line",
            Self::BadId => "give 64 hex digits",
            Self::BadRequest => "ask the payee for a new one (`tidegate channel request`)",
            Self::SignatureFile => "give one JSON object a line: {\"key\":HEX,\"message\":HEX,\"signature\":HEX}",
            Self::DirUsed => "give a new or empty directory; nothing in this one was changed",
            Self::DirLocked => "stop that process first, or give another --data",
            Self::DirNotFormatted => "make one first: tidegate format --data DIR",
            Self::HubKeysDamaged => "put back the file from your backup; without it this hub cannot sign",
            Self::Files => "check the path, its permissions and the disk",
            Self::DiskFull => "free room on the device and try again",
            Self::GenesisBad => "give another --genesis, --fund or --channels",
            Self::ChannelsFileBad => "make it again: tidegate loadgen prepare channels --profile P --out FILE",
            Self::GenesisMismatch => "put that key back to what the genesis says: it was fixed by `tidegate format`",
            Self::StateBad | Self::LedgerBad => "keep a copy of the directory as it is, and restore a backup",
            Self::VerifyFailed => "do not start a hub on this directory; --json lists every problem",
            Self::NoChannel => "`tidegate export --data DIR` lists all channels",
            Self::NoRandomness => "the system is not fit to make keys",
            Self::ProofFailed => {
                "believe nothing of what it says; ask for another (`tidegate inspect proof ID --admin ADDR`)"
            }
            Self::Restored => "`tidegate restore --help` names the way out: a new key, every channel closed",
            Self::BackupBad => "take an older backup; of an unfinished one run `tidegate backup` again",
            Self::BackupThere => "give another --to; a backup is never overwritten",
            Self::BackupOvertaken => "give a faster --to, or raise storage.checkpoint_bytes, and try again",
            Self::NoLedger => "give --genesis FILE and --key FILE at the first start",
            Self::NotTheValidator => "give --key the file whose key `tidegate format --validator` was given",
            Self::KeyExists => "give another --out; a key is never overwritten",
            Self::KeyFileBad => "give a file made by `tidegate key new`, readable by its owner alone",
            Self::KeyPassword => "give the password on the terminal, by --password-file, or in TIDEGATE_PASSWORD",
            Self::HubFailed => "nothing that was answered is lost; fix the cause and start again",
            Self::AdminUnreachable => "check --admin and that the hub runs",
            Self::NotOffered => "see --help",
            Self::HubUnreachable => "check the address and that the hub runs; nothing that was confirmed is lost",
            Self::HubRefused => "see the reason; nothing has changed",
            Self::Wallet => "check --wallet; a wallet belongs to one key and one process at a time",
            Self::PaymentFailed => "the amount is back in your channel; see the reason",
            Self::Funds => "fund the key in the genesis (`tidegate format --fund KEY=AMOUNT`) or by a transaction",
            Self::NoInLock => "`tidegate channel show` lists what waits for your preimages",
            Self::WhichChannel => "name it; `tidegate channel list` shows them all",
            Self::HubAnswer => "the same verb may be tried again; the wallet keeps what it has signed",
            Self::LedgerUnreachable => {
                "check --ledger and that `tidegate ledger` runs; nothing is lost by trying again"
            }
            Self::CannotMove => {
                "`tidegate channel show` settles and acknowledges what it can, and tells what is under way"
            }
            Self::BenchmarkHub => "see the hub's last lines above",
            Self::BenchmarkLoad => "see the generator's last lines above",
            Self::BenchmarkAudit => "this is a fault of the hub; keep the result file and report it",
            Self::Interrupted => "nothing was left behind",
            Self::BenchmarkInvalid => "the report's notes say all; run again on an idle machine",
        }
    }
}
