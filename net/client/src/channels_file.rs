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
//! There may be ten million channels, so they are written and read one after the other; [`ChannelsFile`] holds all of a file
//! for those who have few.
//!
//! Nothing here checks keys or sums: the genesis does.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
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

/// Writes a file, channel by channel.
#[derive(Debug)]
pub struct ChannelsWriter<W> {
    out: W,
    terms: PlannedTerms,
    count: u32,
    crc: u32,
}

impl ChannelsWriter<BufWriter<File>> {
    /// Begins a file. One that is there is replaced.
    ///
    /// # Errors
    /// [`ChannelsFileError::Io`].
    pub fn create(path: &Path, terms: PlannedTerms) -> Result<Self, ChannelsFileError> {
        let begun = File::create(path).and_then(|file| Self::begin(BufWriter::with_capacity(IO_BYTES, file), terms));
        begun.map_err(|source| io_error("write", path, source))
    }
}

impl<W: Write + Seek> ChannelsWriter<W> {
    fn begin(mut out: W, terms: PlannedTerms) -> io::Result<Self> {
        // The head comes last, when the count is known: a file whose making was interrupted begins with zeros.
        out.write_all(&[0; HEAD_LEN])?;
        Ok(Self {
            out,
            terms,
            count: 0,
            crc: 0,
        })
    }

    /// Adds a channel.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// At 2³² channels: no genesis holds as many.
    pub fn push(&mut self, channel: &PlannedChannel) -> io::Result<()> {
        let mut bytes = [0; PlannedChannel::LEN];
        channel.encode_into(&mut bytes);
        self.count = self.count.checked_add(1).expect("fewer than 2³² channels");
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        self.out.write_all(&bytes)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What the operating system says; the file is none then.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.crc.to_le_bytes())?;
        self.out.seek(SeekFrom::Start(0))?;
        let mut head = MAGIC.to_vec();
        self.count.append_to(&mut head);
        self.terms.append_to(&mut head);
        crc32c::crc32c(&head).append_to(&mut head);
        head.extend([0; 4]);
        self.out.write_all(&head)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a file, channel by channel.
#[derive(Debug)]
pub struct ChannelsReader<R> {
    input: R,
    path: PathBuf,
    terms: PlannedTerms,
    count: u32,
    left: u32,
    crc: u32,
}

impl ChannelsReader<BufReader<File>> {
    /// Opens a file and checks its head and length.
    ///
    /// # Errors
    /// [`ChannelsFileError`].
    pub fn open(path: &Path) -> Result<Self, ChannelsFileError> {
        let fail = |source| io_error("read", path, source);
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        Self::over(path, BufReader::with_capacity(IO_BYTES, file), len)
    }
}

impl<R: Read> ChannelsReader<R> {
    /// Reads from `input`, which holds `len` bytes. `path` is what complaints call it.
    fn over(path: &Path, mut input: R, len: u64) -> Result<Self, ChannelsFileError> {
        let fail = |source| io_error("read", path, source);
        let mut head = Vec::with_capacity(HEAD_LEN);
        input
            .by_ref()
            .take(HEAD_LEN as u64)
            .read_to_end(&mut head)
            .map_err(fail)?;
        if head.len() < HEAD_LEN && head.starts_with(&MAGIC) {
            return Err(length_error(path, len, HEAD_LEN as u64));
        }
        if head.len() < HEAD_LEN {
            return Err(ChannelsFileError::Magic(path.to_owned()));
        }
        let (count, terms) = read_head(path, &head)?;
        let expected = HEAD_LEN as u64 + u64::from(count) * PlannedChannel::LEN as u64 + CRC_LEN as u64;
        if len != expected {
            return Err(length_error(path, len, expected));
        }
        Ok(Self {
            input,
            path: path.to_owned(),
            terms,
            count,
            left: count,
            crc: 0,
        })
    }

    /// What all channels need.
    #[must_use]
    pub const fn terms(&self) -> &PlannedTerms {
        &self.terms
    }

    /// How many channels the file holds.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The next channel; `None` behind the last, whose checksum has held then.
    ///
    /// # Errors
    /// [`ChannelsFileError`]. What came before may be damaged too then.
    pub fn next_channel(&mut self) -> Result<Option<PlannedChannel>, ChannelsFileError> {
        let fail = |source| io_error("read", &self.path, source);
        if self.left == 0 {
            let mut crc = [0; CRC_LEN];
            self.input.read_exact(&mut crc).map_err(fail)?;
            if self.crc.to_le_bytes() != crc {
                return Err(checksum_error(&self.path, "channels"));
            }
            return Ok(None);
        }
        let mut bytes = [0; PlannedChannel::LEN];
        self.input.read_exact(&mut bytes).map_err(fail)?;
        self.left -= 1;
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        let decoded = PlannedChannel::decode(&bytes);
        decoded.map(Some).map_err(|error| ChannelsFileError::Decode {
            path: self.path.clone(),
            error,
        })
    }
}

/// Bytes that are read and written at once.
const IO_BYTES: usize = 1 << 20;

impl ChannelsFile {
    /// Writes a new file. One that is there is replaced.
    ///
    /// # Errors
    /// [`ChannelsFileError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ChannelsFileError> {
        let mut writer = ChannelsWriter::create(path, self.terms)?;
        let pushed = self.channels.iter().try_for_each(|channel| writer.push(channel));
        let written = pushed.and_then(|()| writer.finish());
        written.map(drop).map_err(|source| io_error("write", path, source))
    }

    /// Reads a file, all of it.
    ///
    /// # Errors
    /// [`ChannelsFileError`].
    pub fn read(path: &Path) -> Result<Self, ChannelsFileError> {
        Self::collect(ChannelsReader::open(path)?)
    }

    fn collect(mut reader: ChannelsReader<impl Read>) -> Result<Self, ChannelsFileError> {
        let mut channels = Vec::new();
        while let Some(channel) = reader.next_channel()? {
            channels.push(channel);
        }
        Ok(Self {
            terms: reader.terms,
            channels,
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
        Err(checksum_error(path, part))
    }
}

fn checksum_error(path: &Path, part: &'static str) -> ChannelsFileError {
    ChannelsFileError::Checksum {
        path: path.to_owned(),
        part,
    }
}

fn length_error(path: &Path, found: u64, expected: u64) -> ChannelsFileError {
    ChannelsFileError::Length {
        path: path.to_owned(),
        found,
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
        let reader = ChannelsReader::over(Path::new("file"), bytes, bytes.len() as u64);
        reader.and_then(ChannelsFile::collect)
    }

    fn encode(file: &ChannelsFile) -> Vec<u8> {
        let mut writer = ChannelsWriter::begin(io::Cursor::new(Vec::new()), file.terms).unwrap();
        file.channels.iter().for_each(|channel| writer.push(channel).unwrap());
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn a_file_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("channels");
        sample().write(&path).unwrap();
        assert_eq!(ChannelsFile::read(&path).unwrap(), sample());
        assert_eq!(std::fs::read(&path).unwrap(), encode(&sample()));
        let mut reader = ChannelsReader::open(&path).unwrap();
        assert_eq!((reader.count(), *reader.terms()), (2, sample().terms));
        assert_eq!(reader.next_channel().unwrap(), Some(sample().channels[0]));
    }

    #[test]
    fn no_shortened_or_changed_file_reads() {
        let bytes = encode(&sample());
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
