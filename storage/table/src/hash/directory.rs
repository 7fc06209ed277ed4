//! Which chunk the keys of a hash are in.

/// A chunk tells its keys apart by at most so many bits: the directory has at most 2²⁸ entries. With hashes that nobody chooses
/// it takes some 10¹⁰ keys to come that far.
pub(super) const DEPTH_MAX: u32 = 28;

/// Chunks by the first bits of a hash. In memory only: the chunks' heads say it all.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    /// So many bits are looked at.
    bits: u32,
    /// 2^bits chunk numbers; a chunk of fewer bits stands there as often as they leave open.
    chunks: Vec<u32>,
}

/// A chunk that has not been placed.
const NONE: u32 = u32::MAX;

impl Directory {
    /// Of one chunk that has all keys.
    pub(super) fn new() -> Self {
        Self {
            bits: 0,
            chunks: vec![0],
        }
    }

    /// Of chunks with these depths and prefixes, in their order; `None` unless every hash has exactly one.
    pub(super) fn of(chunks: &[(u32, u64)]) -> Option<Self> {
        let bits = chunks.iter().map(|(depth, _)| *depth).max()?;
        if bits > DEPTH_MAX {
            return None;
        }
        let mut directory = Self {
            bits,
            chunks: vec![NONE; 1 << bits],
        };
        for (number, &(depth, prefix)) in (0..).zip(chunks) {
            let places = directory.places(depth, prefix)?;
            for place in &mut directory.chunks[places] {
                if std::mem::replace(place, number) != NONE {
                    return None;
                }
            }
        }
        (!directory.chunks.contains(&NONE)).then_some(directory)
    }

    /// The chunk of a hash.
    pub(super) fn chunk(&self, hash: u64) -> usize {
        // In two shifts: with no bits it would be one by 64.
        let place = usize::try_from((hash >> 1) >> (u64::BITS - 1 - self.bits)).expect("at most 28 bits");
        self.chunks[place] as usize
    }

    /// The keys of `prefix`, `depth` bits of it, are in chunk `number` from now on.
    pub(super) fn set(&mut self, depth: u32, prefix: u64, number: u32) {
        while self.bits < depth {
            self.bits += 1;
            self.chunks = self.chunks.iter().flat_map(|chunk| [*chunk; 2]).collect();
        }
        let places = self.places(depth, prefix).expect("a prefix has its bits and no more");
        self.chunks[places].fill(number);
    }

    /// Where a chunk's number stands.
    fn places(&self, depth: u32, prefix: u64) -> Option<std::ops::Range<usize>> {
        let open = self.bits.checked_sub(depth)?;
        let first = usize::try_from(prefix).ok().filter(|prefix| prefix >> depth == 0)? << open;
        Some(first..first + (1 << open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_has_one_chunk() {
        let directory = Directory::of(&[(1, 0), (2, 2), (2, 3)]).expect("they share all hashes");
        let chunks = [0, 1 << 62, 2 << 62, 3 << 62, u64::MAX].map(|hash| directory.chunk(hash));
        assert_eq!(chunks, [0, 0, 1, 2, 2]);
        for bad in [
            &[(1, 0), (2, 2)][..],
            &[(1, 0), (1, 1), (2, 3)],
            &[(1, 0), (1, 2)],
            &[],
            &[(29, 0)],
        ] {
            assert!(Directory::of(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_split_moves_half_of_a_chunk() {
        let mut directory = Directory::new();
        assert_eq!(directory.chunk(u64::MAX), 0);
        directory.set(1, 1, 1);
        directory.set(2, 1, 2);
        let chunks = [0, 1 << 62, 2 << 62, 3 << 62].map(|hash| directory.chunk(hash));
        assert_eq!(chunks, [0, 2, 1, 1]);
    }
}
