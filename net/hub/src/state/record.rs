//! One record of the log: one batch.
//!
//! ```text
//! header 184 | input count u32 | 0 × 4 | inputs …        as `Engine::append_logged` writes them
//! ```
//!
//! The header holds the outcome digest and the leaves' root, so a replay that meets the same header has met the same
//! outcomes (rule 16).

use tidegate_batch::{Executed, Input, InputError};
use tidegate_channel::BatchHeader;
use tidegate_types::{DecodeError, Fixed, Reader};

use super::HubEngine;

/// Appends the record of the batch that the engine has just executed to `out`: what the log makes durable.
///
/// # Panics
/// At 2³² inputs, which no batch holds.
pub fn append(engine: &HubEngine, executed: &Executed, inputs: &[Input], out: &mut Vec<u8>) {
    executed.header.append_to(out);
    u32::try_from(inputs.len())
        .expect("a batch has fewer than 2³² inputs")
        .append_to(out);
    0_u32.append_to(out);
    engine.append_logged(inputs, executed, out);
}

/// The header of a record.
///
/// # Errors
/// As [`read`].
pub(crate) fn header(bytes: &[u8]) -> Result<BatchHeader, InputError> {
    Ok(BatchHeader::read(&mut Reader::new(bytes))?)
}

/// Reads a record into `inputs`, in an engine whose newest batch is the one before. Returns its header.
///
/// # Errors
/// [`InputError`] if the bytes are no record; they carried a good checksum, so this is another version's log.
pub(crate) fn read(engine: &mut HubEngine, bytes: &[u8], inputs: &mut Vec<Input>) -> Result<BatchHeader, InputError> {
    let mut r = Reader::new(bytes);
    let header = BatchHeader::read(&mut r)?;
    let count = u32::read(&mut r)?;
    r.pad(4)?;
    engine.read_logged(&mut r, count, inputs)?;
    r.finish().map_err(|error: DecodeError| InputError::Decode(error))?;
    Ok(header)
}
