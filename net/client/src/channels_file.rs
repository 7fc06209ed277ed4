//! Channels files: many channels for a new hub's genesis, as a load generator plans them and `tidegate format` reads them.
//!
//! ```text
//! magic 8 "TGCHANS1" | count 4 | block interval ms 4 | margin 4 | ack interval ms 4 | longest lock 4 | dispute window 4
//! reserve 8 | fee 8 | CRC-32C 4 of all before | 0 × 4                                                      56 bytes
//! count × (client 32 | payout 32 | delegate 32 | capacity 8 | opening share 8)                        112 bytes each
//! CRC-32C 4 of the records
//! ```
//!
//! The header says under which terms the channels are to be used; a hub with other terms would refuse their payments.
//! The hub's own keys, the expiry and the evidence period are the hub's to add. Record `i` becomes output `i` of the
//! genesis, a channel with nonce `i`, so whoever wrote the file finds each channel in `DIR/genesis` by its index.
//!
//! Nothing here checks keys or sums: the genesis does.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tidegate_types::{Age, Amount, DecodeError, Fixed, KeyBytes, Reader, fixed_struct};

const MAGIC: [u8; 8] = *b"TGCHANS1";

/// The terms of business that the channels need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedTerms {
    /// Milliseconds between blocks.
    pub block_interval_ms: u32,
    /// Blocks by which everybody acts before a deadline.
    pub margin: Age,
    /// Milliseconds in which a credited payee acks at least once.
    pub ack_interval_ms: u32,
    /// The longest lock.
    pub max_lock: Age,
    /// Δ of every channel.
    pub dispute_window: Age,
    /// What each side of each channel keeps at least.
    pub reserve: Amount,
    /// The fee of every payment.
    pub fee: Amount,
}
fixed_struct!(PlannedTerms {
    block_interval_ms: u32,
    margin: Age,
    ack_interval_ms: u32,
    max_lock: Age,
    dispute_window: Age,
    reserve: Amount,
    fee: Amount,
});

/// One channel of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedChannel {
    /// Signs the client's states.
    pub client: KeyBytes,
    /// Receives the client's share at the end.
    pub payout: KeyBytes,
    /// A session with this identity may carry the channel; zero for none.
    pub delegate: KeyBytes,
    /// The value of the funding output.
    pub capacity: Amount,
    /// The client's share of it.
    pub opening_share: Amount,
}
fixed_struct!(PlannedChannel {
    client: KeyBytes,
    payout: KeyBytes,
    delegate: KeyBytes,
    capacity: Amount,
    opening_share: Amount,
});

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelsFile {
    /// What all channels need.
    pub terms: PlannedTerms,
    /// The channels, in order.
    pub channels: Vec<PlannedChannel>,
}

/// Why a channels file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChannelsFileError {
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
    /// Something else begins otherwise.
    #[error("{} is no channels file of this version", .0.display())]
    Magic(PathBuf),
    /// The file has another length than its count asks for.
    #[error("{} is {found} bytes long instead of {expected}: it is truncated or was extended", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What its header asks for.
        expected: u64,
    },
    /// A checksum does not hold.
    #[error("{} is damaged: the checksum of its {part} does not hold", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// `header` or `channels`.
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
}

const HEAD_LEN: usize = MAGIC.len() + u32::LEN + PlannedTerms::LEN + 4 + 4;
const CRC_LEN: usize = 4;

impl ChannelsFile {
    /// The file's bytes.
    ///
    /// # Panics
    /// At 2³² channels: no genesis holds as many.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.channels.len()).expect("fewer than 2³² channels");
        let mut bytes = Vec::with_capacity(HEAD_LEN + self.channels.len() * PlannedChannel::LEN + CRC_LEN);
        bytes.extend(MAGIC);
        count.append_to(&mut bytes);
        self.terms.append_to(&mut bytes);
        crc32c::crc32c(&bytes).append_to(&mut bytes);
        bytes.extend([0; 4]);
        self.channels.iter().for_each(|channel| channel.append_to(&mut bytes));
        crc32c::crc32c(&bytes[HEAD_LEN..]).append_to(&mut bytes);
        bytes
    }

    /// Writes a new file. One that is there is replaced.
    ///
    /// # Errors
    /// [`ChannelsFileError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ChannelsFileError> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).open(path);
        let written = opened.and_then(|mut file| file.write_all(&self.encode()));
        written.map_err(|source| io_error("write", path, source))
    }

    /// Reads a file, all of it.
    ///
    /// # Errors
    /// [`ChannelsFileError`].
    pub fn read(path: &Path) -> Result<Self, ChannelsFileError> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|source| io_error("read", path, source))?;
        Self::decode(path, &bytes)
    }

    /// Reads the bytes of a file. `path` is what complaints call it.
    ///
    /// # Errors
    /// [`ChannelsFileError`].
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self, ChannelsFileError> {
        let wrap = |error| ChannelsFileError::Decode {
            path: path.to_owned(),
            error,
        };
        let Some((head, body)) = bytes.split_at_checked(HEAD_LEN) else {
            return Err(if bytes.starts_with(&MAGIC) {
                length_error(path, bytes.len(), HEAD_LEN as u64)
            } else {
                ChannelsFileError::Magic(path.to_owned())
            });
        };
        let (count, terms) = read_head(path, head)?;
        let expected = HEAD_LEN as u64 + u64::from(count) * PlannedChannel::LEN as u64 + CRC_LEN as u64;
        if bytes.len() as u64 != expected {
            return Err(length_error(path, bytes.len(), expected));
        }
        let (records, crc) = body.split_at(body.len() - CRC_LEN);
        check_sum(path, records, crc, "channels")?;
        let channels = records.chunks_exact(PlannedChannel::LEN).map(PlannedChannel::decode);
        Ok(Self {
            terms,
            channels: channels.collect::<Result<_, _>>().map_err(wrap)?,
        })
    }
}

fn read_head(path: &Path, head: &[u8]) -> Result<(u32, PlannedTerms), ChannelsFileError> {
    if !head.starts_with(&MAGIC) {
        return Err(ChannelsFileError::Magic(path.to_owned()));
    }
    let (summed, rest) = head.split_at(HEAD_LEN - 8);
    let (crc, padding) = rest.split_at(CRC_LEN);
    check_sum(path, summed, crc, "header")?;
    let read = || {
        Reader::new(padding).pad(padding.len())?;
        let mut r = Reader::new(&summed[MAGIC.len()..]);
        Ok((u32::read(&mut r)?, PlannedTerms::read(&mut r)?))
    };
    read().map_err(|error| ChannelsFileError::Decode {
        path: path.to_owned(),
        error,
    })
}

fn check_sum(path: &Path, bytes: &[u8], crc: &[u8], part: &'static str) -> Result<(), ChannelsFileError> {
    if crc32c::crc32c(bytes).to_le_bytes() == *crc {
        Ok(())
    } else {
        Err(ChannelsFileError::Checksum {
            path: path.to_owned(),
            part,
        })
    }
}

fn length_error(path: &Path, found: usize, expected: u64) -> ChannelsFileError {
    ChannelsFileError::Length {
        path: path.to_owned(),
        found: found as u64,
        expected,
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> ChannelsFileError {
    ChannelsFileError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ChannelsFile {
        let amount = |sat| Amount::from_sat(sat).unwrap();
        let channel = |n: u8| PlannedChannel {
            client: KeyBytes::from_bytes([n; 32]),
            payout: KeyBytes::from_bytes([n + 1; 32]),
            delegate: KeyBytes::ZERO,
            capacity: amount(1_000),
            opening_share: amount(400),
        };
        ChannelsFile {
            terms: PlannedTerms {
                block_interval_ms: 500,
                margin: Age::new(6),
                ack_interval_ms: 1_000,
                max_lock: Age::new(100),
                dispute_window: Age::new(144),
                reserve: amount(10),
                fee: amount(1),
            },
            channels: vec![channel(1), channel(7)],
        }
    }

    fn decode(bytes: &[u8]) -> Result<ChannelsFile, ChannelsFileError> {
        ChannelsFile::decode(Path::new("file"), bytes)
    }

    #[test]
    fn a_file_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("channels");
        sample().write(&path).unwrap();
        assert_eq!(ChannelsFile::read(&path).unwrap(), sample());
    }

    #[test]
    fn no_shortened_or_changed_file_reads() {
        let bytes = sample().encode();
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            assert!(decode(&changed).is_err(), "byte {at}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(decode(&longer), Err(ChannelsFileError::Length { .. })));
    }
}
