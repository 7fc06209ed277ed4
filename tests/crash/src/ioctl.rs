//! The one control call that the rigs need: a file system that stops, as if its power had gone.
#![allow(unsafe_code, reason = "a control call of the file system")]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `EXT4_IOC_SHUTDOWN` of Linux (fs/ext4/ext4.h), the same number as `XFS_IOC_GOINGDOWN`.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// Nothing more is written, the journal's own buffers neither: `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const NO_LOG_FLUSH: u32 = 2;

/// Stops the file system mounted at `mount` at once: what it has not written is lost, and every later call fails.
///
/// # Errors
/// As the kernel refuses: not this kind of file system, not root.
pub fn cut_power(mount: &Path) -> io::Result<()> {
    let root = File::open(mount)?;
    // SAFETY: the call reads one u32 by the pointer that `Setter` gives it, and writes nothing.
    let request = unsafe { Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH) };
    // SAFETY: as above; the descriptor is open, and the kernel checks whether its file system knows the call.
    unsafe { ioctl(&root, request) }?;
    Ok(())
}
