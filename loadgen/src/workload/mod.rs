//! A workload: payments signed before a run, in a file that the run reads front to back.
//!
//! ```text
//! head      magic 8 "TGWORK03" | ledger 32 | hub 32 | seed 8 | profile 4 | channels 4 | connections 4 | states 4
//!           payments per state 4 | distance 4 | expiry 4 | 0 × 4 | fee 8 | CRC-32C 4
//! channels  channels × (number 4 | id 32)                                         CRC-32C 4
//! sections  connections × (states 4 | CRC-32C of its records 4)                   CRC-32C 4
//! records   connection 0's, connection 1's, …                                     one width for all of a file
//! record    number 4 | payer 4 | body length 4 | n × (payee 4 | amount 8 | print 8) | body of the `Pay`, zeros behind
//! ```
//!
//! Only the channels that take part are listed, by rising numbers of the profile; payers and payees are places in that list,
//! so that what a run keeps in memory follows its payments and not the size of the hub.
//!
//! A state's number is the place of its first payment in the plan: at an even rate it is due `number / rate` after the start.
//! Within a section numbers rise. `print` is the first 8 bytes of a payment id. What state `i` of a channel pays is settled
//! by its state `i + distance`, which may be sent once the receipt of state `i` is there.
//!
//! The checksums find truncation and damage; nothing here guards against who wants to deceive the generator.

mod quick_sign;
mod read;
mod sign;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use tidegate_channel::ClientState;
use tidegate_ledger::GenesisError;
use tidegate_types::{
    Amount, ChannelId, DecodeError, Fixed, Height, KeyBytes, LedgerId, LockSlot, SignatureBytes, fixed_struct,
};

pub use read::{Record, Section, Workload};
pub(crate) use sign::print;
pub use write::{Prepared, prepare};

use crate::profile::Profile;

const MAGIC: [u8; 8] = *b"TGWORK03";

/// The widest body of a state that adds so many locks: state, signature, length, and as many settles as adds.
const fn body_len_max(per_state: usize) -> usize {
    ClientState::LEN + SignatureBytes::LEN + 8 + per_state * (SETTLE_LEN + ADD_LEN)
}

/// Width of the records of a file.
#[must_use]
pub const fn record_len(per_state: u32) -> usize {
    let per_state = per_state as usize;
    RecordHead::LEN + per_state * Part::LEN + body_len_max(per_state)
}

/// Bytes of an encoded operation that settles, and of one that adds.
const SETTLE_LEN: usize = 8;
const ADD_LEN: usize = 136;

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
    /// Channels that take part, paying or not.
    pub channels: u32,
    /// Sections.
    pub connections: u32,
    /// States in all sections.
    pub states: u32,
    /// Payments that each state adds.
    pub per_state: u32,
    /// A payment is settled by the state so many behind its own.
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
    states: u32,
    per_state: u32,
    distance: u32,
    expiry: Height,
    pad 4,
    fee: Amount,
});

impl Head {
    /// Payments in all sections.
    #[must_use]
    pub const fn payments(&self) -> u64 {
        self.states as u64 * self.per_state as u64
    }
}

/// Which slots the locks of a payer take. Wallets take the lowest that is free; a payer that settles in every state what it added
/// `distance` states before comes to the same ones in turn, and to no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    /// Payments that each state adds.
    per_state: usize,
    /// How many slots there are in turn.
    all: usize,
}

impl Slots {
    pub(crate) const fn new(per_state: u32, distance: u32) -> Self {
        let all = (distance as usize + 1) * per_state as usize;
        Self {
            per_state: per_state as usize,
            all: if all < LockSlot::COUNT { all } else { LockSlot::COUNT },
        }
    }

    /// The slot of payment `index` of state `ordinal`.
    pub(crate) const fn of(self, ordinal: u32, index: usize) -> usize {
        (ordinal as usize * self.per_state + index) % self.all
    }

    /// Which payment of state `ordinal` is in this slot.
    pub(crate) const fn index_of(self, ordinal: u32, slot: usize) -> usize {
        (self.all + slot - self.of(ordinal, 0)) % self.all
    }
}

/// One channel that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    /// Its number in the profile.
    pub number: u32,
    /// Its name on the ledger.
    pub id: ChannelId,
}
fixed_struct!(ChannelRow {
    number: u32,
    id: ChannelId
});

/// The states of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SectionRow {
    states: u32,
    crc: u32,
}
fixed_struct!(SectionRow { states: u32, crc: u32 });

/// What stands before a state's payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// The place of its first payment in the plan.
    pub number: u32,
    /// The channel that pays: its place in the list.
    pub payer: u32,
    /// Bytes of the body.
    pub body_len: u32,
}
fixed_struct!(RecordHead {
    number: u32,
    payer: u32,
    body_len: u32
});

/// One payment of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The channel that is paid: its place in the list.
    pub payee: u32,
    /// How much.
    pub amount: Amount,
    /// The first bytes of the payment id.
    pub print: u64,
}
fixed_struct!(Part {
    payee: u32,
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

    const fn file_len(&self, head: &Head) -> u64 {
        self.records + head.states as u64 * record_len(head.per_state) as u64
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
