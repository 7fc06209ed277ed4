//! Seeded changes of an input: the same seed makes the same inputs on every machine.

/// A sequence of numbers that follows from its seed (`SplitMix64`). For choices only, never for keys.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end as u64).max(1)).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// The longest input that is made, in bytes.
pub const LEN_MAX: usize = 1 << 14;

/// Values that decoders stumble over: ends of ranges, of lists, of sizes.
const CORNERS: [u64; 12] = [
    0,
    1,
    2,
    0x20,
    0x40,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 53,
    u64::MAX,
];

/// Changes `input` in one to four places, or in its length.
pub fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len());
        match random.below(8) {
            0 | 1 => flip_bit(input, at, random),
            2 => set_byte(input, at, random),
            3 => set_corner(input, at, random),
            4 => input.truncate(at),
            5 => extend(input, random),
            6 => repeat(input, at, random),
            _ => remove(input, at, random),
        }
    }
    input.truncate(LEN_MAX);
}

fn flip_bit(input: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn set_byte(input: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = input.get_mut(at) {
        *byte = random.byte();
    }
}

fn set_corner(input: &mut [u8], at: usize, random: &mut Random) {
    let corner = CORNERS[random.below(CORNERS.len())].to_le_bytes();
    let width = 1 << random.below(4);
    input
        .iter_mut()
        .skip(at)
        .zip(&corner[..width])
        .for_each(|(byte, value)| *byte = *value);
}

fn extend(input: &mut Vec<u8>, random: &mut Random) {
    let value = if random.below(2) == 0 { 0 } else { random.byte() };
    let count = random.below(256);
    input.resize(input.len() + count, value);
}

/// Doubles a stretch: an entry more than its list's count says.
fn repeat(input: &mut Vec<u8>, at: usize, random: &mut Random) {
    let end = (at + random.below(128)).min(input.len());
    let stretch = end - at;
    // Appended and turned into place: a vector of its own would be allocated for each.
    input.extend_from_within(at..end);
    input[at..].rotate_right(stretch);
}

fn remove(input: &mut Vec<u8>, at: usize, random: &mut Random) {
    let end = (at + random.below(64)).min(input.len());
    input.drain(at..end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_inputs() {
        let inputs = |seed| {
            let mut random = Random::new(seed);
            let mut input = vec![0; 64];
            (0..100).for_each(|_| mutate(&mut input, &mut random));
            input
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn every_length_is_borne_and_none_exceeds_the_limit() {
        let mut random = Random::new(3);
        let mut input = Vec::new();
        let mut longest = 0;
        for _ in 0..20_000 {
            mutate(&mut input, &mut random);
            longest = longest.max(input.len());
            if input.len() > 4_000 && random.below(50) == 0 {
                input.clear();
            }
        }
        assert!((500..=LEN_MAX).contains(&longest), "{longest}");
    }
}
