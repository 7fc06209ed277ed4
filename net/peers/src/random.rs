//! Numbers that nobody else can guess, from a seed that the program drew.

use tidegate_crypto::hash::{Domain, hash};

/// A sequence that follows from its seed: BLAKE3 of the seed and a counter.
#[derive(Clone)]
pub struct Random {
    seed: [u8; 32],
    counter: u64,
}

impl Random {
    /// The sequence of a seed, which must be drawn at random for each run.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.seed);
        bytes[32..40].copy_from_slice(&self.counter.to_le_bytes());
        self.counter += 1;
        let [a, b, c, d, e, f, g, h, ..] = *hash(Domain::PeerRandom, &bytes).as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// A number below `end`; 0 if that is 0. For ends far below 2⁶⁴ all are as likely.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.up_to(end)).unwrap_or(0)
    }

    /// As [`Random::below`], for what is counted in 64 bits.
    pub(crate) fn up_to(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }
}

/// Shows nothing of the seed.
impl core::fmt::Debug for Random {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}
