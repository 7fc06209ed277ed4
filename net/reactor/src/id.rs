//! Names of connections.

use core::fmt;

/// One connection of one reactor: a slot, and how often the slot was used before. An id whose connection is gone names
/// nothing, whoever sits in the slot now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

impl ConnId {
    pub(crate) const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The slot: below the most connections a reactor takes, and no two live connections share one. Good as an index.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// How often the slot was used before.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// One number that is different for all connections of a reactor.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The id that [`ConnId::as_u64`] made this number of.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
        Self {
            slot: u32::from_le_bytes([a, b, c, d]),
            generation: u32::from_le_bytes([e, f, g, h]),
        }
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({}.{})", self.slot, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_names_the_id() {
        let id = ConnId::new(0x0102_0304, 0xfffe_fdfc);
        assert_eq!(ConnId::from_u64(id.as_u64()), id);
        assert_eq!(id.as_u64(), 0xfffe_fdfc_0102_0304);
    }
}
