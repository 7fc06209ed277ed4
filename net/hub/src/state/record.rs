//! One record of the log: one batch.
//!
//! ```text
//! header 184 | input count u32 | 0 × 4 | inputs …
//! ```
//!
//! The header holds the outcome digest and the leaves' root, so a replay that meets the same header has met the same
//! outcomes (rule 16).

use tidegate_batch::{Executed, Input, InputError};
use tidegate_channel::BatchHeader;
use tidegate_types::{DecodeError, Fixed, Reader};

/// A batch as the log holds it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) header: BatchHeader,
    pub(crate) inputs: Vec<Input>,
}

/// Appends the record of a batch to `out`: what the log makes durable.
///
/// # Panics
/// At 2³² inputs, which no batch holds.
pub fn append(executed: &Executed, inputs: &[Input], out: &mut Vec<u8>) {
    executed.header.append_to(out);
    u32::try_from(inputs.len())
        .expect("a batch has fewer than 2³² inputs")
        .append_to(out);
    0_u32.append_to(out);
    inputs.iter().for_each(|input| input.append_to(out));
}

/// Reads a record.
///
/// # Errors
/// [`InputError`] if the bytes are no record; they carried a good checksum, so this is another version's log.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, InputError> {
    let mut r = Reader::new(bytes);
    let header = BatchHeader::read(&mut r)?;
    let count = u32::read(&mut r)?;
    r.pad(4)?;
    let inputs = (0..count).map(|_| Input::read(&mut r)).collect::<Result<Vec<_>, _>>()?;
    r.finish().map_err(|error: DecodeError| InputError::Decode(error))?;
    Ok(Record { header, inputs })
}
