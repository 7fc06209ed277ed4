//! Integers mod L, the order of the base point, as four or eight little-endian words.

/// L, the order of the base point, in words.
pub(super) const L: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// x − L if x ≥ L, else x.
pub(super) const fn reduce_once(x: &[u64; 4]) -> [u64; 4] {
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
pub(super) fn sum(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut carry = false;
    let mut result = [0; 4];
    for i in 0..4 {
        (result[i], carry) = a[i].carrying_add(b[i], carry);
    }
    debug_assert!(!carry, "both summands are below 2L");
    result
}

/// L − 2^252, in words.
const C: [u64; 2] = [L[0], L[1]];

/// Little-endian words.
pub(super) fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    [0, 1, 2, 3].map(|index| u64::from_le_bytes(words[index]))
}

/// A number ≡ x mod L and < 2^254 + 2^126: reduced as far as `comb::recode` needs it.
///
/// With `2^252 ≡ −C` (C < 2^125) and x = h·2^252 + l: `x ≡ l − h·C`. Here h < 2^260, so `h·C = h1·2^252 + l1 < 2^385` with
/// h1 < 2^133, `h1·C = h2·2^252 + l2 < 2^258` with h2 < 2^6, and `x ≡ l − l1 + l2 − h2·C`. The positive part is < 2^253, the
/// negative one < 2^252 + 2^131 < 2L, so adding 2L makes it positive and < 2^253 + 2L.
pub(super) fn reduce_wide(x: &[u64; 8]) -> [u64; 4] {
    let (h, l) = split(x);
    let (h1, l1) = split(&times_c(&h));
    let (h2, l2) = split(&times_c(&h1));
    let rest = times_c(&h2);
    let positive = sum(&sum(&l, &l2), &TWICE_L);
    let negative = sum(&l1, &[rest[0], rest[1], rest[2], rest[3]]);
    difference(&positive, &negative)
}

const TWICE_L: [u64; 4] = [L[0] << 1, L[1] << 1 | L[0] >> 63, L[1] >> 63, L[3] << 1];

/// `x / 2^252` and `x mod 2^252`.
#[inline(always)]
fn split(x: &[u64; 8]) -> ([u64; 5], [u64; 4]) {
    let high = [
        x[3] >> 60 | x[4] << 4,
        x[4] >> 60 | x[5] << 4,
        x[5] >> 60 | x[6] << 4,
        x[6] >> 60 | x[7] << 4,
        x[7] >> 60,
    ];
    (high, [x[0], x[1], x[2], x[3] & (u64::MAX >> 4)])
}

/// `h·C`.
#[inline(always)]
fn times_c(h: &[u64; 5]) -> [u64; 8] {
    let mut product = [0; 8];
    for (start, c) in C.into_iter().enumerate() {
        let mut carry = 0;
        for (index, word) in h.iter().enumerate() {
            (product[start + index], carry) = word.carrying_mul_add(c, product[start + index], carry);
        }
        product[start + 5] = carry;
    }
    product
}

/// a − b for a ≥ b.
#[inline(always)]
fn difference(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut borrow = false;
    let mut result = [0; 4];
    for i in 0..4 {
        (result[i], borrow) = a[i].borrowing_sub(b[i], borrow);
    }
    debug_assert!(!borrow, "2L exceeds the negative part");
    result
}
