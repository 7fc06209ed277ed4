//! Rows of tables: affine summands in memory, and how eight of them get into lanes.
//!
//! ```text
//! bytes  0..32  y + x        canonical, little endian
//!       32..64  y − x
//!       64..96  2d·x·y
//! ```
//!
//! 96 bytes aligned to 32 touch two cache lines, never three.

use super::super::prefetch::prefetch;
use super::decompress::pack;
use super::field::{Field, LOW_51};
use super::point::{Affine, Cached};
use super::vector::{Cpu, Mask, Vector};

/// One summand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(32))]
pub(in super::super) struct Row([[u64; 4]; 3]);

impl Row {
    /// The summand of the identity.
    pub(super) const IDENTITY: Self = Self([[1, 0, 0, 0], [1, 0, 0, 0], [0; 4]]);
}

/// Summands of eight points that need not be affine, made for one use. Row m of lane l lies together, so that picking a row
/// per lane reads eight runs of memory and not 160 single words.
pub(super) struct ProjectiveRows(Vec<[[u64; 24]; 8]>);

impl ProjectiveRows {
    /// Row m of lane l is lane l of `summands[m]`.
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn new(cpu: Cpu, summands: &[Cached]) -> Self {
        let mut rows = vec![[[0; 24]; 8]; summands.len()];
        for (row, summand) in rows.iter_mut().zip(summands) {
            let parts = summand.parts();
            let limb = |index: usize| {
                if index < 20 {
                    parts[index / 5].0[index % 5]
                } else {
                    Vector::splat(cpu, 0)
                }
            };
            for block in 0..3 {
                let mut columns = [Vector::splat(cpu, 0); 8];
                for (index, column) in columns.iter_mut().enumerate() {
                    *column = limb(8 * block + index);
                }
                for (lane, words) in transpose(&columns).into_iter().enumerate() {
                    row[lane][8 * block..8 * block + 8].copy_from_slice(&words.store());
                }
            }
        }
        Self(rows)
    }

    /// Row `chosen[l]` in lane l, negated where bit l of `negative` is set.
    #[inline(always)]
    pub(super) fn load(&self, cpu: Cpu, chosen: &[usize; 8], negative: Mask) -> Cached {
        let mut limbs = [Vector::splat(cpu, 0); 24];
        for block in 0..3 {
            let mut rows = [Vector::splat(cpu, 0); 8];
            for (lane, row) in rows.iter_mut().enumerate() {
                let words = self.0[chosen[lane]][lane].as_chunks::<8>().0;
                *row = Vector::load(cpu, &words[block]);
            }
            limbs[8 * block..8 * block + 8].copy_from_slice(&transpose(&rows));
        }
        let part = |p: usize| Field([limbs[p], limbs[p + 1], limbs[p + 2], limbs[p + 3], limbs[p + 4]]);
        Cached::from_parts([part(0), part(5), part(10), part(15)]).negate_in(negative)
    }
}

/// Register i of the result holds lane i of every register.
#[inline(always)]
pub(super) fn transpose(r: &[Vector; 8]) -> [Vector; 8] {
    let cpu = r[0].cpu();
    let pairs = |a: usize, b: usize| (r[a].interleave_even(r[b]), r[a].interleave_odd(r[b]));
    let ((e01, o01), (e23, o23)) = (pairs(0, 1), pairs(2, 3));
    let ((e45, o45), (e67, o67)) = (pairs(4, 5), pairs(6, 7));
    let first = Vector::load(cpu, &[0, 1, 8, 9, 4, 5, 12, 13]);
    let second = Vector::load(cpu, &[2, 3, 10, 11, 6, 7, 14, 15]);
    let lower = Vector::load(cpu, &[0, 1, 2, 3, 8, 9, 10, 11]);
    let upper = Vector::load(cpu, &[4, 5, 6, 7, 12, 13, 14, 15]);
    let quads = |a: Vector, b: Vector| (a.choose(first, b), a.choose(second, b));
    // Of rows 0 to 3 and 4 to 7: columns c and c + 4 in the two halves.
    let ((a04, a26), (a15, a37)) = (quads(e01, e23), quads(o01, o23));
    let ((b04, b26), (b15, b37)) = (quads(e45, e67), quads(o45, o67));
    [
        a04.choose(lower, b04),
        a15.choose(lower, b15),
        a26.choose(lower, b26),
        a37.choose(lower, b37),
        a04.choose(upper, b04),
        a15.choose(upper, b15),
        a26.choose(upper, b26),
        a37.choose(upper, b37),
    ]
}

/// Asks for a row to be brought into the cache.
#[inline]
pub(super) fn prefetch_row(row: &Row) {
    prefetch(row, &[0, size_of::<Row>() - 1]);
}

/// Part `part[l]` of row l, as four registers: register i holds word i of every lane.
#[inline(always)]
fn gather_words(cpu: Cpu, rows: &[&Row; 8], part: [usize; 8]) -> [Vector; 4] {
    let word = |lane: usize| &rows[lane].0[part[lane]];
    let p0 = Vector::load_halves(cpu, word(0), word(4));
    let p1 = Vector::load_halves(cpu, word(1), word(5));
    let p2 = Vector::load_halves(cpu, word(2), word(6));
    let p3 = Vector::load_halves(cpu, word(3), word(7));
    let (even_01, odd_01) = (p0.interleave_even(p1), p0.interleave_odd(p1));
    let (even_23, odd_23) = (p2.interleave_even(p3), p2.interleave_odd(p3));
    let first = Vector::load(cpu, &[0, 1, 8, 9, 4, 5, 12, 13]);
    let second = Vector::load(cpu, &[2, 3, 10, 11, 6, 7, 14, 15]);
    [
        even_01.choose(first, even_23),
        odd_01.choose(first, odd_23),
        even_01.choose(second, even_23),
        odd_01.choose(second, odd_23),
    ]
}

/// 255 bits in four words to limbs of 51 bits.
#[inline(always)]
fn unpack(w: &[Vector; 4]) -> Field {
    let low = Vector::splat(w[0].cpu(), LOW_51);
    Field([
        w[0].and(low),
        w[0].shift_right_into::<51>(w[1]).and(low),
        w[1].shift_right_into::<38>(w[2]).and(low),
        w[2].shift_right_into::<25>(w[3]).and(low),
        w[3].shift_right::<12>(),
    ])
}

/// Row l in lane l, negated where bit l of `negative` is set.
#[inline(always)]
pub(super) fn load_rows(cpu: Cpu, rows: &[&Row; 8], negative: Mask) -> Affine {
    let mut plus = [0; 8];
    let mut minus = [0; 8];
    for lane in 0..8 {
        plus[lane] = usize::from(negative >> lane & 1);
        minus[lane] = plus[lane] ^ 1;
    }
    let t2d = unpack(&gather_words(cpu, rows, [2; 8]));
    Affine {
        plus: unpack(&gather_words(cpu, rows, plus)),
        minus: unpack(&gather_words(cpu, rows, minus)),
        t2d: t2d.blend(&t2d.negated_raw(), negative),
    }
}

/// The rows of eight summands.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn store_rows(summand: &Affine) -> [Row; 8] {
    let parts = [&summand.plus, &summand.minus, &summand.t2d].map(|part| part.canonical().store());
    let mut rows = [Row::IDENTITY; 8];
    for (lane, row) in rows.iter_mut().enumerate() {
        for (words, part) in row.0.iter_mut().zip(&parts) {
            *words = pack(&[
                part[0][lane],
                part[1][lane],
                part[2][lane],
                part[3][lane],
                part[4][lane],
            ]);
        }
    }
    rows
}
