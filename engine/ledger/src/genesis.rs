//! The genesis: the constants, and the outputs that exist from the start.
//!
//! ```text
//! magic "TGGENES1" 8 | params 48 | time 8 | validator 32 | network name 32, zeros behind | output count 4 | outputs
//! ledger id     hash(LedgerId, all bytes)
//! outpoints     (txid of the genesis, index); its txid is hash(Txid, ledger id)
//! ```
//!
//! A genesis may hold millions of channels, so it stays bytes: [`Genesis`] borrows them and yields one output at a time. Whoever
//! reads them piece by piece from a file has a [`GenesisHead`] of them. No transaction has a body of 32 bytes, so no other has the txid of the genesis.

use core::fmt;
use std::collections::BTreeMap;

use hashbrown::HashSet;
use rayon::prelude::*;
use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_types::{
    Age, DecodeError, Fixed, Height, KeyBytes, LedgerId, OutPoint, Reader, Txid, UnixMillis, Writer, fixed_struct,
};

use crate::check::ends_by;
use crate::codec::Canonical;
use crate::{Condition, LedgerParams, Output, OutputError, ParamsError};

const MAGIC: [u8; 8] = *b"TGGENES1";

/// A ledger's name for people: 1 to 32 lower-case letters, digits and hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkName([u8; 32]);

impl NetworkName {
    /// The name `text`, or `None` if it is no name.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        let (name, padding) = bytes.split_at(len);
        let is_name = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        (len > 0 && name.iter().all(is_name) && padding.iter().all(|&b| b == 0)).then_some(Self(bytes))
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = self.0.iter().take_while(|&&b| b != 0);
        name.try_for_each(|&b| write!(f, "{}", char::from(b)))
    }
}

impl Fixed for NetworkName {
    const LEN: usize = 32;

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_bytes(r.array()?).ok_or(DecodeError::OutOfRange { field: "network name" })
    }
}

/// What stands before the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenesisHeader {
    /// The ledger's constants.
    pub params: LedgerParams,
    /// The time of the genesis.
    pub time: UnixMillis,
    /// The key of the solo validator.
    pub validator: KeyBytes,
    /// The ledger's name for people.
    pub network: NetworkName,
}
fixed_struct!(GenesisHeader {
    params: LedgerParams,
    time: UnixMillis,
    validator: KeyBytes,
    network: NetworkName
});

/// Why bytes are not a genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// They do not begin as one.
    #[error("not a genesis file of this version")]
    Magic,
    /// They do not decode.
    #[error("the genesis does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The constants do not hold.
    #[error("the constants of the genesis do not hold: {0}")]
    Params(#[from] ParamsError),
    /// The validator's key does not count.
    #[error("the validator's key does not count: {0}")]
    Validator(KeyError),
    /// An output may not be created.
    #[error("output {index} of the genesis: {error}")]
    Output {
        /// Which.
        index: u32,
        /// Why.
        error: OutputError,
    },
    /// A key in some output does not count.
    #[error("the genesis names the key {key}, which does not count: {error}")]
    Key {
        /// Which.
        key: KeyBytes,
        /// Why.
        error: KeyError,
    },
    /// A hub has two stakes.
    #[error("the hub {0} has two stakes")]
    TwoStakes(KeyBytes),
    /// A channel could outlive its hub's stake (rule 27).
    #[error(
        "output {index} of the genesis could outlive its hub's stake; it is to end at height {latest} at the latest"
    )]
    OutlivesStake {
        /// Which.
        index: u32,
        /// The latest expiry, with its windows, that the stake covers.
        latest: Height,
    },
    /// More channels would be open than could be disputed in time (rule 28).
    #[error("the genesis opens {channels} channels; with these constants only {max} could be disputed in time")]
    ChannelLimit {
        /// How many it opens.
        channels: u64,
        /// The limit.
        max: u64,
    },
}

/// A genesis without its outputs: what stands before them, and the name that follows from all of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenesisHead {
    /// What stands before the outputs.
    pub header: GenesisHeader,
    /// How many outputs there are.
    pub count: u32,
    /// The ledger's name.
    pub ledger: LedgerId,
}

impl GenesisHead {
    /// The width of what stands before the outputs, in bytes.
    pub const LEN: usize = MAGIC.len() + GenesisHeader::LEN + u32::LEN;

    /// Reads what stands before the outputs, and how many they are, from the front of a genesis.
    ///
    /// # Errors
    /// [`GenesisError::Magic`], [`GenesisError::Decode`], [`GenesisError::Params`].
    pub fn read_front(bytes: &[u8]) -> Result<(GenesisHeader, u32), GenesisError> {
        let mut r = Reader::new(bytes);
        if r.array() != Ok(MAGIC) {
            return Err(GenesisError::Magic);
        }
        let header = GenesisHeader::read(&mut r)?;
        header.params.check()?;
        Ok((header, u32::read(&mut r)?))
    }

    /// The outpoint of output `index`.
    #[must_use]
    pub fn outpoint(&self, index: u32) -> OutPoint {
        genesis_outpoint(&self.ledger, index)
    }
}

/// A genesis over its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Genesis<'a> {
    head: GenesisHead,
    outputs: &'a [u8],
}

impl<'a> Genesis<'a> {
    /// Reads the header and hashes the whole. Outputs are decoded as they are iterated over.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GenesisError> {
        let (header, count) = GenesisHead::read_front(bytes)?;
        let ledger = LedgerId::from_bytes(*hash(Domain::LedgerId, bytes).as_bytes());
        Ok(Self {
            head: GenesisHead { header, count, ledger },
            outputs: &bytes[GenesisHead::LEN..],
        })
    }

    /// All but the outputs.
    #[must_use]
    pub const fn head(&self) -> &GenesisHead {
        &self.head
    }

    /// What stands before the outputs.
    #[must_use]
    pub const fn header(&self) -> &GenesisHeader {
        &self.head.header
    }

    /// The ledger's name.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.head.ledger
    }

    /// How many outputs there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.head.count
    }

    /// The outputs, each with its outpoint. Ends after the first error, which may also be bytes behind the last output.
    #[must_use]
    pub fn outputs(&self) -> GenesisOutputs<'a> {
        GenesisOutputs {
            txid: genesis_txid(&self.head.ledger),
            next: 0,
            count: self.head.count,
            rest: Some(Reader::new(self.outputs)),
        }
    }

    /// Checks every rule, keys included: each key once, in parallel.
    ///
    /// # Errors
    /// [`GenesisError`], the first that applies.
    pub fn check(&self) -> Result<(), GenesisError> {
        PublicKey::register(self.head.header.validator).map_err(GenesisError::Validator)?;
        let params = &self.head.header.params;
        let mut seen = HashSet::new();
        let mut keys = Vec::new();
        let mut channels = 0_u64;
        let mut stakes = BTreeMap::new();
        for item in self.outputs() {
            let (outpoint, output) = item?;
            let check = output.check_dust(params).and_then(|()| output.check_form(params));
            check.map_err(|error| GenesisError::Output {
                index: outpoint.vout,
                error,
            })?;
            channels += u64::from(matches!(output.condition, Condition::Channel(_)));
            if let Condition::Stake(terms) = &output.condition
                && stakes.insert(terms.hub, terms.unbonding).is_some()
            {
                return Err(GenesisError::TwoStakes(terms.hub));
            }
            if output.condition.multi().is_some() {
                let error = OutputError::KeysNotShown;
                return Err(GenesisError::Output {
                    index: outpoint.vout,
                    error,
                });
            }
            keys.extend(output.condition.keys().filter(|&key| seen.insert(key)));
        }
        let max = params.open_channels_max();
        if channels > max {
            return Err(GenesisError::ChannelLimit { channels, max });
        }
        self.check_stakes(&stakes)?;
        let refused = keys
            .par_iter()
            .find_map_first(|&key| PublicKey::register(key).err().map(|error| (key, error)));
        refused.map_or(Ok(()), |(key, error)| Err(GenesisError::Key { key, error }))
    }
}

impl Genesis<'_> {
    /// No channel of a hub with a stake outlives the stake (rule 27).
    fn check_stakes(&self, stakes: &BTreeMap<KeyBytes, Age>) -> Result<(), GenesisError> {
        if stakes.is_empty() {
            return Ok(());
        }
        for item in self.outputs() {
            let (outpoint, output) = item?;
            let Condition::Channel(terms) = &output.condition else {
                continue;
            };
            let Some(unbonding) = stakes.get(&terms.hub) else {
                continue;
            };
            let latest = Height::ZERO.plus(*unbonding).unwrap_or(Height::MAX);
            if !ends_by(terms, latest, self.head.header.params.dispute_window_min) {
                return Err(GenesisError::OutlivesStake {
                    index: outpoint.vout,
                    latest,
                });
            }
        }
        Ok(())
    }
}

/// The outpoint of output `index` of the genesis of `ledger`.
#[must_use]
pub fn genesis_outpoint(ledger: &LedgerId, index: u32) -> OutPoint {
    OutPoint {
        txid: genesis_txid(ledger),
        vout: index,
    }
}

pub(crate) fn genesis_txid(ledger: &LedgerId) -> Txid {
    Txid::from_bytes(*hash(Domain::Txid, ledger.as_bytes()).as_bytes())
}

/// The outputs of a genesis, one at a time.
#[derive(Clone, Debug)]
pub struct GenesisOutputs<'a> {
    txid: Txid,
    next: u32,
    count: u32,
    rest: Option<Reader<'a>>,
}

impl Iterator for GenesisOutputs<'_> {
    type Item = Result<(OutPoint, Output), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut r = self.rest.take()?;
        if self.next == self.count {
            return r.finish().err().map(Err);
        }
        let outpoint = OutPoint {
            txid: self.txid,
            vout: self.next,
        };
        let output = Output::read(&mut r);
        if output.is_ok() {
            self.next += 1;
            self.rest = Some(r);
        }
        Some(output.map(|output| (outpoint, output)))
    }
}

/// Writes a genesis, output by output.
#[derive(Clone, Debug)]
pub struct GenesisWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl GenesisWriter {
    /// A genesis without outputs so far.
    #[must_use]
    pub fn new(header: &GenesisHeader) -> Self {
        let mut bytes = MAGIC.to_vec();
        header.append_to(&mut bytes);
        bytes.extend([0; u32::LEN]);
        Self { bytes, count: 0 }
    }

    /// Makes room for so many outputs more, so that millions of them are not copied as the bytes grow.
    pub fn reserve(&mut self, outputs: usize) {
        self.bytes.reserve(outputs * Output::LEN_MAX);
    }

    /// Adds an output and returns its index.
    ///
    /// # Panics
    /// At 2³² outputs.
    pub fn push(&mut self, output: &Output) -> u32 {
        let index = self.count;
        self.count = index.checked_add(1).expect("a genesis has fewer than 2³² outputs");
        output.encode(&mut self.bytes);
        index
    }

    /// The genesis's bytes, for [`Genesis::parse`].
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let at = MAGIC.len() + GenesisHeader::LEN;
        self.count.encode_into(&mut self.bytes[at..at + u32::LEN]);
        self.bytes
    }
}
