//! When a direction changes its key.
//!
//! Both ends count the frames of a direction and their plaintext bytes, the identity proof included, and change the key
//! before the first frame that comes after a limit was reached. No message says so: the counts agree because a lost or
//! repeated frame ends the session.

/// The counts at which a direction changes its key. At least one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyLimits {
    /// Frames under one key.
    pub frames: u64,
    /// Plaintext bytes under one key; the frame that reaches them is still under it.
    pub bytes: u64,
}

impl Default for RekeyLimits {
    fn default() -> Self {
        Self {
            frames: 1 << 20,
            bytes: 1 << 30,
        }
    }
}

/// How much one key has been used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyUse {
    frames: u64,
    bytes: u64,
}

impl KeyUse {
    /// True if the next frame needs a new key, which then counts from zero.
    pub(crate) const fn due(&mut self, limits: RekeyLimits) -> bool {
        let due = self.frames >= limits.frames || self.bytes >= limits.bytes;
        if due {
            *self = Self { frames: 0, bytes: 0 };
        }
        due
    }

    /// Counts a frame of `bytes` plaintext bytes.
    pub(crate) const fn count(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_after_its_last_frame_or_byte() {
        let limits = RekeyLimits { frames: 3, bytes: 100 };
        let mut usage = KeyUse::default();
        let mut dues = Vec::new();
        for bytes in [1, 1, 1, 1, 99, 1, 100, 1] {
            dues.push(usage.due(limits));
            usage.count(bytes);
        }
        assert_eq!(dues, [false, false, false, true, false, true, false, true]);
    }
}
