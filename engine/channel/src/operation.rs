//! What a client state does to the locks: 0 to 32 operations under one signature (rule 8).
//!
//! ```text
//! each    kind 1 | slot 1 | condition 1 | 0 | expiry 4      condition and expiry are zero unless it adds
//! add     … then the lock's content, 128 bytes               kind 1
//! settle  …                                                  kind 2
//! drop    …                                                  kind 3
//! release … then the lock's id, 32 bytes (slot zero)         kind 4
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{DecodeError, Digest, Fixed, Height, LockId, LockSlot, Reader, Writer};

use crate::Lock;

/// The most operations that one state carries.
pub const MAX_OPERATIONS: usize = 32;
/// The most locks that one state adds.
pub const MAX_ADDS: usize = 16;

/// One change to the locks of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opens an out-lock.
    Add {
        /// Where; must be free.
        slot: LockSlot,
        /// What.
        lock: Lock,
    },
    /// Pays an out-lock: amount and fee move to the debit.
    Settle {
        /// Which.
        slot: LockSlot,
    },
    /// Takes an out-lock back.
    Drop {
        /// Which.
        slot: LockSlot,
    },
    /// Gives up an in-lock for good.
    Release {
        /// Which.
        lock: LockId,
    },
}

/// Why bytes are no list of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationsError {
    /// An operation is not encoded as it must be.
    #[error("an operation does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// More than [`MAX_OPERATIONS`], or more than [`MAX_ADDS`] of them add a lock.
    #[error("a state carries at most {MAX_OPERATIONS} operations, {MAX_ADDS} of them adds")]
    TooMany,
}

const HEAD_LEN: usize = 8;
/// The block of the hash function.
pub(crate) const BLOCK_LEN: usize = 64;

impl Operation {
    /// Width of the encoding in bytes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEAD_LEN
            + match self {
                Self::Add { .. } => Lock::CONTENT_LEN,
                Self::Settle { .. } | Self::Drop { .. } => 0,
                Self::Release { .. } => LockId::LEN,
            }
    }

    fn write(&self, w: &mut Writer<'_>) {
        let (kind, slot) = match self {
            Self::Add { slot, .. } => (1_u8, Some(*slot)),
            Self::Settle { slot } => (2, Some(*slot)),
            Self::Drop { slot } => (3, Some(*slot)),
            Self::Release { .. } => (4, None),
        };
        kind.write(w);
        match slot {
            Some(slot) => slot.write(w),
            None => w.pad(1),
        }
        match self {
            Self::Add { lock, .. } => {
                lock.condition.code().write(w);
                w.pad(1);
                lock.expiry.write(w);
                lock.put_content(w);
            }
            Self::Settle { .. } | Self::Drop { .. } => w.pad(6),
            Self::Release { lock } => {
                w.pad(6);
                lock.write(w);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = u8::read(r)?;
        let slot = LockSlot::read(r)?;
        let condition = u8::read(r)?;
        r.pad(1)?;
        let expiry = Height::read(r)?;
        if kind == 1 {
            return Ok(Self::Add {
                slot,
                lock: Lock::get_content(r, expiry, condition)?,
            });
        }
        if condition != 0 || expiry != Height::ZERO {
            return Err(DecodeError::NonZeroPadding);
        }
        match kind {
            2 => Ok(Self::Settle { slot }),
            3 => Ok(Self::Drop { slot }),
            4 if slot.index() == 0 => Ok(Self::Release { lock: LockId::read(r)? }),
            4 => Err(DecodeError::NonZeroPadding),
            _ => Err(DecodeError::UnknownValue {
                field: "operation",
                value: kind.into(),
            }),
        }
    }
}

/// Appends the encodings of `operations` to `out`, one behind the other.
pub fn encode_operations(operations: &[Operation], out: &mut Vec<u8>) {
    for operation in operations {
        let start = out.len();
        out.resize(start + operation.encoded_len(), 0);
        operation.write(&mut Writer::new(&mut out[start..]));
    }
}

/// Writes the encodings of `operations` over the start of `bytes`.
///
/// # Panics
/// If they do not fit.
pub(crate) fn write_operations(operations: &[Operation], bytes: &mut [u8]) {
    let mut start = 0;
    for operation in operations {
        operation.write(&mut Writer::new(&mut bytes[start..]));
        start += operation.encoded_len();
    }
}

/// How many operations the encodings in `bytes` hold: exact for adds with fewer than 17 settles and drops, a guess for others.
fn count_guess(bytes: &[u8]) -> usize {
    let adds = bytes.len() / (HEAD_LEN + Lock::CONTENT_LEN);
    (bytes.len() - adds * Lock::CONTENT_LEN)
        .div_ceil(HEAD_LEN)
        .min(MAX_OPERATIONS)
}

/// Reads a list of operations that fills `bytes` exactly into `out`, which is cleared first.
///
/// # Errors
/// [`OperationsError`]; `out` then holds what was read before.
pub fn decode_operations(bytes: &[u8], out: &mut Vec<Operation>) -> Result<(), OperationsError> {
    out.clear();
    out.reserve_exact(count_guess(bytes));
    let mut r = Reader::new(bytes);
    let mut adds = 0;
    while r.remaining() > 0 {
        let operation = Operation::read(&mut r)?;
        adds += usize::from(matches!(operation, Operation::Add { .. }));
        if out.len() == MAX_OPERATIONS || adds > MAX_ADDS {
            return Err(OperationsError::TooMany);
        }
        out.push(operation);
    }
    Ok(())
}

/// The longest encoding of a list: [`MAX_OPERATIONS`], of them [`MAX_ADDS`] adds and the others releases.
pub const MAX_ENCODED: usize =
    MAX_ADDS * (HEAD_LEN + Lock::CONTENT_LEN) + (MAX_OPERATIONS - MAX_ADDS) * (HEAD_LEN + LockId::LEN);

/// The digest of an encoded list that the client state names; zero for an empty list.
///
/// Zeros fill the last block, so that many lists are hashed side by side ([`crate::many`]). No two lists meet: an
/// operation says by its kind how long it is, and no kind is zero.
///
/// # Panics
/// Beyond [`MAX_ENCODED`] bytes, which encode no list.
#[must_use]
pub fn operations_digest(encoded: &[u8]) -> Digest {
    let mut bytes = [0; MAX_ENCODED.next_multiple_of(BLOCK_LEN)];
    bytes[..encoded.len()].copy_from_slice(encoded);
    match encoded.len().next_multiple_of(BLOCK_LEN) {
        0 => Digest::ZERO,
        padded => hash(Domain::Ops, &bytes[..padded]),
    }
}
