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
//! [`recode`] finds the b of k: `Σ ±2^i = 2b − (2^n − 1)`, hence `b = (k + 2^n − 1)/2 mod L`, which is < 2^253. It may be
//! taken mod L since every point here is of order L (protocol rule 3).

/// L, the order of the base point, in words.
pub(super) const L: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

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
    /// Unless 253 ≤ T·V·E and T ≤ 16.
    pub(super) const fn new(teeth: usize, combs: usize, columns: usize) -> Self {
        let bits = teeth * combs * columns;
        assert!(
            bits >= 253 && teeth <= 16,
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

/// x − L if x ≥ L, else x.
const fn reduce_once(x: &[u64; 4]) -> [u64; 4] {
    let mut result = [0; 4];
    let mut borrow = false;
    let mut i = 0;
    while i < 4 {
        let (low, first) = x[i].overflowing_sub(L[i]);
        let (low, second) = low.overflowing_sub(borrow as u64);
        result[i] = low;
        borrow = first || second;
        i += 1;
    }
    if borrow { *x } else { result }
}

/// True if x < L.
pub(super) fn is_reduced(x: &[u64; 4]) -> bool {
    x.iter().rev().lt(L.iter().rev())
}

/// Wrapping sum of words; the callers' sums stay below 2^256.
fn sum(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut carry = false;
    let mut result = [0; 4];
    for i in 0..4 {
        (result[i], carry) = a[i].carrying_add(b[i], carry);
    }
    debug_assert!(!carry, "both summands are below 2L");
    result
}

/// The b of k < L: see the head of the module.
pub(super) fn recode(shape: &Shape, k: &[u64; 4]) -> [u64; 4] {
    debug_assert!(is_reduced(k), "scalars come reduced");
    let x = sum(k, &shape.offset);
    // Now x < 2L. Half of it mod L: make it even by adding L, which keeps it below 3L < 2^254.
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
    /// The digits of eight scalars below L for a comb of `shape`.
    pub(super) fn new(shape: &Shape, scalars: &[[u64; 4]; 8]) -> Self {
        assert_eq!(shape.tooth_bits(), N, "the shape's columns are counted by the type");
        let mut digits = Self {
            rows: [[0; N]; 8],
            negative: [0; N],
        };
        let teeth = scalars.map(|scalar| {
            let b = recode(shape, &scalar);
            let mut teeth = [0; 16];
            for (tooth, bits) in teeth[..shape.teeth].iter_mut().enumerate() {
                *bits = field_of_bits(&b, tooth * N, N);
            }
            teeth
        });
        for byte in 0..N.div_ceil(8) {
            digits.fill(shape.teeth, byte, &teeth);
        }
        digits
    }

    /// The columns 8·byte and up, at most eight.
    fn fill(&mut self, count: usize, byte: usize, teeth: &[[u64; 16]; 8]) {
        let start = 8 * byte;
        let end = N.min(start + 8);
        let mut plus = [0; 8];
        for (lane, teeth) in teeth.iter().enumerate() {
            // Column c of the low eight teeth is byte c of `low`, of the others byte c of `high`.
            let low = transpose(collect(teeth[..8].as_array().expect("8 of 16"), byte));
            let high = if count > 8 {
                transpose(collect(teeth[8..].as_array().expect("8 of 16"), byte))
            } else {
                0
            };
            let top = count - 1;
            let signs = if top < 8 { low >> top } else { high >> (top - 8) } & ONES;
            // Inverts all bits of a negative column; what stands at the topmost then is cut off.
            let invert = (ONES - signs) * 0xff;
            let mask = (1_u16 << top) - 1;
            let (low, high) = ((low ^ invert).to_le_bytes(), (high ^ invert).to_le_bytes());
            for (column, row) in self.rows[lane][start..end].iter_mut().enumerate() {
                *row = u16::from_le_bytes([low[column], high[column]]) & mask;
            }
            // Gathers the lowest bits of eight bytes into one byte.
            plus[lane] = (signs.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8;
        }
        let negative = (!transpose(u64::from_le_bytes(plus))).to_le_bytes();
        self.negative[start..end].copy_from_slice(&negative[..end - start]);
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

/// `count ≤ 64` bits of `b` from bit `start` on.
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

/// Byte `byte` of each word, as the rows of an 8 × 8 bit matrix.
fn collect(words: &[u64; 8], byte: usize) -> u64 {
    let mut rows = 0;
    for (row, word) in words.iter().enumerate() {
        rows |= (word >> (8 * byte) & 0xff) << (8 * row);
    }
    rows
}

/// The 8 × 8 bit matrix whose columns are the bytes of `x` (Hacker's Delight, 7-3).
fn transpose(x: u64) -> u64 {
    let swap = |x: u64, shift: u32, mask: u64| {
        let t = (x ^ x >> shift) & mask;
        x ^ t ^ t << shift
    };
    let x = swap(x, 7, 0x00aa_00aa_00aa_00aa);
    let x = swap(x, 14, 0x0000_cccc_0000_cccc);
    swap(x, 28, 0x0000_0000_f0f0_f0f0)
}
