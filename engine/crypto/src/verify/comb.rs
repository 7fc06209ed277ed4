//! Signed combs: `[k]P` from a table of a point's own combinations.
//!
//! A scalar b of n = T·V·E bits stands for `Σ ±2^i·P`, plus where bit i is set and minus where it is not, so every digit
//! is a sign and none is zero. The bits are cut into T teeth of V·E bits, each tooth into V combs of E columns:
//!
//! ```text
//! bit (tooth i, comb v, column j) = i·V·E + v·E + j
//!
//!   tooth T−1              …     tooth 1                    tooth 0
//!   [comb V−1 | … | comb 0]      [comb V−1 | … | comb 0]    [comb V−1 | … | comb 0]
//!      └ E columns ┘
//! ```
//!
//! The T signs of one column choose `±A_(T−1) ± … ± A_0` with `A_i = 2^(i·V·E + v·E)·P`. When the topmost sign is plus the
//! other T − 1 bits number the row; when it is minus the row of the inverted bits is taken negated. So one comb has 2^(T−1)
//! rows, and a multiplication costs E doublings and V·E additions.
//!
//! [`recode`] finds a b of k: `Σ ±2^i = 2b − (2^n − 1)`, hence `b ≡ (k + 2^n − 1)/2 mod L`. It may be taken mod L since every
//! point here is of order L (protocol rule 3).

use super::scalar::{L, reduce_once, sum};

/// The measures of a comb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// T.
    pub(super) teeth: usize,
    /// V.
    pub(super) combs: usize,
    /// E.
    pub(super) columns: usize,
    /// `2^n − 1 mod L`.
    offset: [u64; 4],
}

impl Shape {
    /// # Panics
    /// Unless 254 ≤ T·V·E and T ≤ 16. Bits from 256 on are minus.
    pub(super) const fn new(teeth: usize, combs: usize, columns: usize) -> Self {
        let bits = teeth * combs * columns;
        assert!(
            bits >= 254 && teeth <= 16,
            "every scalar must fit, and a column must fit a u16"
        );
        // 2^n − 1 by n times x → 2x + 1 mod L.
        let mut offset = [0; 4];
        let mut bit = 0;
        while bit < bits {
            offset = reduce_once(&shifted(&offset));
            bit += 1;
        }
        Self {
            teeth,
            combs,
            columns,
            offset,
        }
    }

    /// Rows of one comb.
    pub(super) const fn comb_rows(&self) -> usize {
        1 << (self.teeth - 1)
    }

    /// Rows of the whole table.
    pub(super) const fn rows(&self) -> usize {
        self.combs * self.comb_rows()
    }

    /// Bits of one tooth.
    pub(super) const fn tooth_bits(&self) -> usize {
        self.combs * self.columns
    }
}

/// `2x + 1`, for x < 2^255.
const fn shifted(x: &[u64; 4]) -> [u64; 4] {
    [
        x[0] << 1 | 1,
        x[1] << 1 | x[0] >> 63,
        x[2] << 1 | x[1] >> 63,
        x[3] << 1 | x[2] >> 63,
    ]
}

/// A b of any k < 2^255: see the head of the module. It is < 2^254 + 2^253; for the k of `scalar::reduce_wide` it is < 2^254.
pub(super) fn recode(shape: &Shape, k: &[u64; 4]) -> [u64; 4] {
    debug_assert!(k[3] >> 63 == 0, "scalars come below 2^255");
    // Halving mod L: an odd number is made even by adding L. All stays below 2^255 + 2L < 2^256.
    let x = sum(k, &shape.offset);
    let x = if x[0] & 1 == 1 { sum(&x, &L) } else { x };
    let half = [
        x[0] >> 1 | x[1] << 63,
        x[1] >> 1 | x[2] << 63,
        x[2] >> 1 | x[3] << 63,
        x[3] >> 1,
    ];
    reduce_once(&half)
}

/// The digits of eight scalars for a comb of N columns in all (V·E, ordered as bits are: comb v, column j at v·E + j).
pub(super) struct Digits<const N: usize> {
    /// `rows[lane][c]`: the row of column c.
    rows: [[u16; N]; 8],
    /// Bit `lane` of `negative[c]`: that row is to be taken negated.
    negative: [u8; N],
}

impl<const N: usize> Digits<N> {
    /// The digits of eight scalars below 2^255 for V combs of T teeth.
    #[inline(always)]
    pub(super) fn new<const T: usize, const V: usize>(scalars: &[[u64; 4]; 8]) -> Self {
        let shape = const { Shape::new(T, V, N / V) };
        let mut digits = Self {
            rows: [[0; N]; 8],
            negative: [0; N],
        };
        let mut signs = [[0; 8]; 8];
        for (lane, scalar) in scalars.iter().enumerate() {
            let b = recode(&shape, scalar);
            let mut teeth = [0; 16];
            for (tooth, bits) in teeth[..T].iter_mut().enumerate() {
                *bits = field_of_bits(&b, tooth * N, N);
            }
            for (byte, columns) in digits.rows[lane].chunks_mut(8).enumerate() {
                signs[byte][lane] = rows_of::<T>(&teeth, byte, columns);
            }
        }
        for (signs, negative) in signs.iter().zip(digits.negative.chunks_mut(8)) {
            let columns = (!transpose(u64::from_le_bytes(*signs))).to_le_bytes();
            negative.copy_from_slice(&columns[..negative.len()]);
        }
        digits
    }

    /// The row of column `column` in lane `lane`.
    #[inline]
    pub(super) fn row(&self, lane: usize, column: usize) -> usize {
        usize::from(self.rows[lane][column])
    }

    /// The lanes whose rows of column `column` are to be taken negated.
    #[inline]
    pub(super) fn negative(&self, column: usize) -> u8 {
        self.negative[column]
    }
}

/// The lowest bit of each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The rows of the columns 8·byte and up, at most eight; gives their topmost bits.
#[inline(always)]
fn rows_of<const T: usize>(teeth: &[u64; 16], byte: usize, rows: &mut [u16]) -> u8 {
    // Column c of the low eight teeth is byte c of `low`, of the others byte c of `high`.
    let low = transpose(collect(teeth, 0, byte));
    let high = if T > 8 { transpose(collect(teeth, 8, byte)) } else { 0 };
    let top = T - 1;
    let signs = if T > 8 { high >> (top % 8) } else { low >> top } & ONES;
    // Inverts all bits of a negative column; what stands at the topmost then is cut off.
    let invert = (ONES - signs) * 0xff;
    let (low, high) = ((low ^ invert).to_le_bytes(), (high ^ invert).to_le_bytes());
    for (row, (low, high)) in rows.iter_mut().zip(low.into_iter().zip(high)) {
        *row = u16::from_le_bytes([low, high]) & ((1 << top) - 1);
    }
    // Gathers the lowest bits of eight bytes into the highest byte.
    signs.wrapping_mul(0x0102_0408_1020_4080).to_le_bytes()[7]
}

/// `count ≤ 64` bits of `b` from bit `start` on.
#[inline(always)]
fn field_of_bits(b: &[u64; 4], start: usize, count: usize) -> u64 {
    let (word, shift) = (start / 64, start % 64);
    let low = if word < 4 { b[word] >> shift } else { 0 };
    let high = if shift > 0 && word < 3 {
        b[word + 1] << (64 - shift)
    } else {
        0
    };
    (low | high) & (u64::MAX >> (64 - count))
}

/// Byte `byte` of each of eight words, as the rows of an 8 × 8 bit matrix.
#[inline(always)]
fn collect(words: &[u64; 16], first: usize, byte: usize) -> u64 {
    let mut rows = [0; 8];
    for (row, word) in rows.iter_mut().zip(&words[first..]) {
        *row = word.to_le_bytes()[byte];
    }
    u64::from_le_bytes(rows)
}

/// The 8 × 8 bit matrix whose columns are the bytes of `x` (Hacker's Delight, 7-3).
#[inline(always)]
fn transpose(x: u64) -> u64 {
    let swap = |x: u64, shift: u32, mask: u64| {
        let t = (x ^ x >> shift) & mask;
        x ^ t ^ t << shift
    };
    let x = swap(x, 7, 0x00aa_00aa_00aa_00aa);
    let x = swap(x, 14, 0x0000_cccc_0000_cccc);
    swap(x, 28, 0x0000_0000_f0f0_f0f0)
}
