//! A workload: payments signed before a run, in a file that the run reads front to back.
//!
//! ```text
//! head      magic 8 "TGWORK01" | ledger 32 | hub 32 | seed 8 | profile 4 | channels 4 | connections 4 | payments 4
//!           distance 4 | expiry 4 | fee 8 | CRC-32C 4
//! channels  channels × (id 32 | capacity 8 | opening share 8)                     CRC-32C 4
//! sections  connections × (payments 4 | CRC-32C of its records 4)                 CRC-32C 4
//! records   connection 0's, connection 1's, …                                     408 bytes each
//! record    number 4 | payer 4 | payee 4 | body length 4 | amount 8 | print 8 | body of the `Pay`, zeros behind
//! ```
//!
//! A payment's number is its place in the plan: at an even rate it is due `number / rate` after the start. Within a section
//! numbers rise. `print` is the first 8 bytes of the payment id. Payment `i` of a channel is settled by the state of payment
//! `i + distance`, so that state may be sent once the receipt of payment `i` is there.
//!
//! The checksums find truncation and damage; nothing here guards against who wants to deceive the generator.

mod read;
mod sign;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use tidegate_ledger::GenesisError;
use tidegate_types::{Amount, ChannelId, DecodeError, Fixed, Height, KeyBytes, LedgerId, fixed_struct};

pub use read::{Section, Workload};
pub(crate) use sign::print;
pub use write::{Prepared, prepare};

use crate::profile::Profile;

const MAGIC: [u8; 8] = *b"TGWORK01";

/// State, signature, length, and the operations settle and add.
pub(crate) const BODY_LEN_MAX: usize = 160 + 64 + 8 + 8 + 136;
/// Width of a record.
pub const RECORD_LEN: usize = RecordHead::LEN + BODY_LEN_MAX;

/// What a workload was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    magic: [u8; 8],
    /// The ledger that its states are signed for.
    pub ledger: LedgerId,
    /// The key that signs the hub's batches.
    pub hub: KeyBytes,
    /// Keys and choices follow from it.
    pub seed: u64,
    /// CRC-32C of the profile, so that a workload is not run as another.
    pub profile: u32,
    /// Channels, paying or not.
    pub channels: u32,
    /// Sections.
    pub connections: u32,
    /// Payments in all sections.
    pub payments: u32,
    /// A payment is settled by the state of the payment so many later.
    pub distance: u32,
    /// The expiry of every lock.
    pub expiry: Height,
    /// The fee of every payment.
    pub fee: Amount,
}
fixed_struct!(Head {
    magic: [u8; 8],
    ledger: LedgerId,
    hub: KeyBytes,
    seed: u64,
    profile: u32,
    channels: u32,
    connections: u32,
    payments: u32,
    distance: u32,
    expiry: Height,
    fee: Amount,
});

/// One channel of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    /// Its name on the ledger.
    pub id: ChannelId,
    /// The value of its funding output.
    pub capacity: Amount,
    /// Its client's part at the opening.
    pub opening_share: Amount,
}
fixed_struct!(ChannelRow {
    id: ChannelId,
    capacity: Amount,
    opening_share: Amount
});

/// The payments of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SectionRow {
    payments: u32,
    crc: u32,
}
fixed_struct!(SectionRow {
    payments: u32,
    crc: u32
});

/// What stands before a payment's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its place in the plan.
    pub number: u32,
    /// The channel that pays.
    pub payer: u32,
    /// The channel that is paid.
    pub payee: u32,
    /// Bytes of the body.
    pub body_len: u32,
    /// How much.
    pub amount: Amount,
    /// The first bytes of the payment id.
    pub print: u64,
}
fixed_struct!(RecordHead {
    number: u32,
    payer: u32,
    payee: u32,
    body_len: u32,
    amount: Amount,
    print: u64
});

/// Where the records begin and end, in bytes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    records: u64,
}

const CRC_LEN: usize = 4;

impl Layout {
    const fn new(channels: u32, connections: u32) -> Self {
        let at_channels = (Head::LEN + CRC_LEN) as u64;
        let at_sections = at_channels + channels as u64 * ChannelRow::LEN as u64 + CRC_LEN as u64;
        Self {
            records: at_sections + connections as u64 * SectionRow::LEN as u64 + CRC_LEN as u64,
        }
    }

    const fn file_len(&self, payments: u32) -> u64 {
        self.records + payments as u64 * RECORD_LEN as u64
    }
}

/// The checksum by which a workload names its profile.
#[must_use]
pub fn profile_crc(profile: &Profile) -> u32 {
    crc32c::crc32c(format!("{profile:?}").as_bytes())
}

/// Why a workload cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The operating system says no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The genesis is none.
    #[error("{}: {error}", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Why.
        error: GenesisError,
    },
    /// The genesis opens other channels than the profile.
    #[error("{} does not hold the channels of this profile and seed: {what}; make it with `format --channels`", path.display())]
    OtherChannels {
        /// The file.
        path: PathBuf,
        /// What is different.
        what: &'static str,
    },
    /// No lock of the profile can be as long as the run.
    #[error("the channels in {} expire too early for locks of {expiry} blocks", path.display())]
    ExpiryTooLate {
        /// The genesis.
        path: PathBuf,
        /// The locks' expiry.
        expiry: Height,
    },
    /// The channels hold nothing to pay.
    #[error("the channels of this profile hold nothing that could be paid")]
    NothingToPay,
    /// Something else begins otherwise.
    #[error("{} is no workload of this version", .0.display())]
    Magic(PathBuf),
    /// The file has another length than its head asks for.
    #[error("{} is {found} bytes long instead of {expected}: it is truncated or was extended", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What its head asks for.
        expected: u64,
    },
    /// A checksum does not hold.
    #[error("{} is damaged: the checksum of its {part} does not hold", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Which part.
        part: &'static str,
    },
    /// A value does not decode.
    #[error("{} does not decode: {error}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        error: DecodeError,
    },
    /// It was made for something else.
    #[error("{} was made for another {what}; prepare it anew", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What is different.
        what: &'static str,
    },
}

impl WorkloadError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
