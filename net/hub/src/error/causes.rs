//! Which code the errors of other rooms get.

use tidegate_client::key_file::KeyFileError;
use tidegate_client::{ClientError, ConnectionError, SpliceError, StepError, StoreError};
use tidegate_disk::DiskError;
use tidegate_table::{CheckpointError, SealedError};
use tidegate_wal::LogError;
use tidegate_wire::ErrorCode;

use super::Code;
use crate::backup::BackupError;
use crate::config::ConfigError;
use crate::forward::KeptError;
use crate::keys::HubKeysError;
use crate::pipeline::ServeError;
use crate::state::StateError;

pub(super) const fn config_code(error: &ConfigError) -> Code {
    match error {
        ConfigError::Read { .. } => Code::ConfigUnreadable,
        ConfigError::Syntax { .. } | ConfigError::Override { .. } => Code::ConfigSyntax,
        ConfigError::Breach { .. } => Code::ConfigRule,
    }
}

pub(super) const fn disk_code(error: &DiskError) -> Code {
    match error {
        DiskError::NoSpace { .. } => Code::DiskFull,
        DiskError::Locked { .. } => Code::DirLocked,
        DiskError::NotFound { .. }
        | DiskError::AlreadyExists { .. }
        | DiskError::UnexpectedEnd { .. }
        | DiskError::Io { .. } => Code::Files,
    }
}

pub(super) const fn hub_keys_code(error: &HubKeysError) -> Code {
    match error {
        HubKeysError::Random(_) => Code::NoRandomness,
        HubKeysError::Disk(error) => disk_code(error),
        HubKeysError::Damaged { .. } => Code::HubKeysDamaged,
    }
}

pub(super) fn state_code(error: &StateError) -> Code {
    match error {
        StateError::Disk(error) => disk_code(error),
        StateError::Exists { .. } => Code::DirUsed,
        StateError::Unfinished => Code::DirNotFormatted,
        StateError::Log(LogError::NoSpace(_)) | StateError::Checkpoint(CheckpointError::NoSpace(_)) => Code::DiskFull,
        StateError::Copy => Code::Restored,
        _ => Code::StateBad,
    }
}

pub(super) fn backup_code(error: &BackupError) -> Code {
    match error {
        BackupError::Sealed(SealedError::Disk(error)) | BackupError::Disk(error) => disk_code(error),
        BackupError::Sealed(SealedError::Exists { .. }) | BackupError::Busy { .. } => Code::BackupThere,
        BackupError::Sealed(SealedError::Damaged { .. }) | BackupError::Content { .. } => Code::BackupBad,
        BackupError::Overtaken { .. } => Code::BackupOvertaken,
        BackupError::State(error) => state_code(error),
        BackupError::Ledger(error) => ledger_open_code(error),
        BackupError::Blocks(_) => Code::LedgerBad,
        BackupError::NewLedger(error) => ledger_create_code(error),
        BackupError::Genesis(_) => Code::GenesisBad,
        BackupError::Journals(error) => match &**error {
            KeptError::Step(StepError::Store(StoreError::Disk(error))) => disk_code(error),
            KeptError::Folder(_) => Code::Files,
            _ => Code::Wallet,
        },
        BackupError::Random(_) => Code::NoRandomness,
    }
}

pub(super) fn serve_code(error: &ServeError) -> Code {
    match error {
        ServeError::Disk(error) => disk_code(error),
        ServeError::State(error) => state_code(error),
        ServeError::Ledger(error) => ledger_open_code(error),
        ServeError::LedgerRead(_) => Code::LedgerBad,
        ServeError::Backend(_) => Code::Backend,
        _ => Code::HubFailed,
    }
}

pub(super) fn ledger_create_code(error: &tidegate_settle::CreateError) -> Code {
    match error {
        tidegate_settle::CreateError::Genesis(_) => Code::GenesisBad,
        tidegate_settle::CreateError::Exists { .. } => Code::DirUsed,
        tidegate_settle::CreateError::Disk(error) => disk_code(error),
        tidegate_settle::CreateError::Log(LogError::NoSpace(_)) => Code::DiskFull,
        // There was nothing that could be bad.
        tidegate_settle::CreateError::Log(_) => Code::Files,
    }
}

pub(super) fn ledger_open_code(error: &tidegate_settle::OpenError) -> Code {
    match error {
        tidegate_settle::OpenError::NoNode { .. } => Code::DirNotFormatted,
        tidegate_settle::OpenError::Disk(error) => disk_code(error),
        _ => Code::LedgerBad,
    }
}

pub(super) fn client_code(error: &ClientError) -> Code {
    match error {
        ClientError::Connection(ConnectionError::Remote {
            code: ErrorCode::Unsettled | ErrorCode::OtherShares | ErrorCode::Expiring,
            ..
        }) => Code::CannotMove,
        ClientError::Step(StepError::Splice(error)) => splice_code(error),
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

/// The wallet's own reason, or the hub's fault.
const fn splice_code(error: &SpliceError) -> Code {
    match error {
        SpliceError::Rest(_)
        | SpliceError::Unfirm(_)
        | SpliceError::Amount(_)
        | SpliceError::Terms(_)
        | SpliceError::Moved(_)
        | SpliceError::NotASplice => Code::CannotMove,
        SpliceError::NotFinal
        | SpliceError::NotAsked(_)
        | SpliceError::OtherTerms
        | SpliceError::WrongBalances { .. } => Code::HubAnswer,
    }
}

pub(super) const fn key_file_code(error: &KeyFileError) -> Code {
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
