//! Points of edwards25519 (−x² + y² = 1 + d·x²·y²), eight at a time, one in each lane.
//!
//! The formulas are those of Hisil, Wong, Carter and Dawson (2008) for a = −1, in terms of Y + X and Y − X instead of X and
//! Y: an addition reads only these, and a doubling does as well with them:
//!
//! ```text
//! double:  E = S² − D²        G = 2·S·D      H = S² + D²       F = 4·Z² − G           with S = Y + X, D = Y − X
//! add b:   E = S·s − D·d      G = 2·Z·z + C  H = S·s + D·d     F = 2·Z·z − C, C = T·t with b = (s, d, z, t = 2d·T_b)
//! both:    X = E·F            Y = G·H        Z = F·G           T = E·H
//! ```
//!
//! Only an addition reads T, so a point keeps E and H, and the addition multiplies them: nobody else pays for T.
//!
//! (In the doubling E, F, G, H are four times those of the paper's `dbl-2008-hwcd` or twice, which cancels: x = E/G and
//! y = H/F.) So Y + X and Y − X come of sums of products before their carries, and four carries fall away.
//!
//! Since −1 is a square and d is not, the formulas are complete: they hold for every pair of points, equal ones and the
//! identity included, and Z never becomes zero.

use super::field::{Field, LOW_51, Limbs, Raised, Wide};
use super::vector::{Cpu, Mask};

/// The curve's d.
pub(super) const D: Limbs = [
    929_955_233_495_203,
    466_365_720_129_213,
    1_662_059_464_998_953,
    2_033_849_074_728_123,
    1_442_794_654_840_575,
];
/// 2d.
pub(super) const D2: Limbs = [
    1_859_910_466_990_425,
    932_731_440_258_426,
    1_072_319_116_312_658,
    1_815_898_335_770_999,
    633_789_495_995_903,
];

/// 1/2 = 2^254 − 9.
const HALF: Limbs = [LOW_51 - 8, LOW_51, LOW_51, LOW_51, LOW_51 >> 1];

/// Extended coordinates (x = X/Z, y = Y/Z, x·y = T/Z), as Y + X, Y − X, Z and the two factors of T.
#[derive(Clone, Copy)]
pub(super) struct Point {
    plus: Field,
    minus: Field,
    pub(super) z: Field,
    e: Field,
    h: Field,
}

/// An affine summand: y + x, y − x, 2d·x·y.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) plus: Field,
    pub(super) minus: Field,
    /// Fits; it need not be carried.
    pub(super) t2d: Field,
}

/// A projective summand: Y + X, Y − X, Z, 2d·T.
#[derive(Clone, Copy)]
pub(super) struct Cached {
    plus: Field,
    minus: Field,
    z: Field,
    /// Fits; it need not be carried.
    t2d: Field,
}

/// E, F, G, H: every formula makes its result of them by products alone.
struct Factors {
    e: Field,
    f: Field,
    g: Field,
    h: Field,
}

impl Factors {
    #[inline(always)]
    fn point(&self) -> Point {
        let x = self.e.product(&self.f);
        let y = self.g.raised_product(&self.h);
        Point {
            plus: y.plus(&x).carry(),
            minus: y.minus(&x).carry(),
            z: self.f.mul(&self.g),
            e: self.e,
            h: self.h,
        }
    }

    /// From the products of plus by plus and of minus by minus, T·2d·T and the doubled Z·Z.
    #[inline(always)]
    fn of_sum(plus: &Raised, minus: &Wide, t: &Wide, zz: &Raised) -> Self {
        Self {
            e: plus.minus(minus).carry(),
            h: plus.plus(minus).carry(),
            g: zz.plus(t).carry(),
            f: zz.minus(t).carry(),
        }
    }
}

impl Point {
    /// (0, 1).
    #[inline(always)]
    pub(super) fn identity(cpu: Cpu) -> Self {
        let (zero, one) = (Field::zero(cpu), Field::one(cpu));
        Self {
            plus: one,
            minus: one,
            z: one,
            e: zero,
            h: one,
        }
    }

    /// The point with affine coordinates x and y.
    #[inline(always)]
    pub(super) fn from_affine(x: &Field, y: &Field) -> Self {
        Self {
            plus: y.add(x),
            minus: y.sub(x),
            z: Field::one(x.cpu()),
            e: *x,
            h: *y,
        }
    }

    /// x and y, given 1/Z.
    #[inline(always)]
    pub(super) fn affine(&self, inverse: &Field) -> (Field, Field) {
        let half = inverse.mul(&Field::splat(inverse.cpu(), HALF));
        let x = self.plus.sub(&self.minus);
        let y = self.plus.add(&self.minus);
        (x.mul(&half), y.mul(&half))
    }

    #[inline(always)]
    fn double_factors(&self) -> Factors {
        let plus = self.plus.raised_square();
        let minus = self.minus.squared();
        let g = self.plus.product(&self.minus).doubled();
        let zz = self.z.squared().doubled().doubled().raised();
        Factors {
            e: plus.minus(&minus).carry(),
            h: plus.plus(&minus).carry(),
            f: zz.minus(&g).carry(),
            g: g.carry(),
        }
    }

    /// 2·self.
    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        self.double_factors().point()
    }

    #[inline(always)]
    fn t(&self) -> Field {
        self.e.mul(&self.h)
    }

    #[inline(always)]
    fn add_affine_factors(&self, b: &Affine) -> Factors {
        let plus = self.plus.raised_product(&b.plus);
        let minus = self.minus.product(&b.minus);
        Factors::of_sum(
            &plus,
            &minus,
            &self.t().product(&b.t2d),
            &Wide::of(&self.z).doubled().raised(),
        )
    }

    /// self + b.
    #[inline(always)]
    pub(super) fn add_affine(&self, b: &Affine) -> Self {
        self.add_affine_factors(b).point()
    }

    #[inline(always)]
    fn add_cached_factors(&self, b: &Cached) -> Factors {
        let plus = self.plus.raised_product(&b.plus);
        let minus = self.minus.product(&b.minus);
        Factors::of_sum(
            &plus,
            &minus,
            &self.t().product(&b.t2d),
            &self.z.product(&b.z).doubled().raised(),
        )
    }

    /// self + b.
    #[inline(always)]
    pub(super) fn add_cached(&self, b: &Cached) -> Self {
        self.add_cached_factors(b).point()
    }

    /// This point as a summand.
    #[inline(always)]
    pub(super) fn cached(&self) -> Cached {
        Cached {
            plus: self.plus,
            minus: self.minus,
            z: self.z,
            t2d: self.t().mul(&Field::splat(self.z.cpu(), D2)),
        }
    }
}

/// Doubles one or two groups of eight points. Two independent groups go through each step together, since one alone
/// leaves the multipliers idle while a product ends; out of line, so that the main loop fits the instruction cache.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn double_all<const G: usize>(points: &mut [Point; G]) {
    match points.as_mut_slice() {
        [first, second] => {
            let factors = [first.double_factors(), second.double_factors()];
            *first = factors[0].point();
            *second = factors[1].point();
        }
        any => any.iter_mut().for_each(|point| *point = point.double()),
    }
}

/// Adds to one or two groups of eight points.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn add_all<const G: usize>(points: &mut [Point; G], summands: &[Affine; G]) {
    match (points.as_mut_slice(), summands.as_slice()) {
        ([first, second], [to_first, to_second]) => {
            let factors = [first.add_affine_factors(to_first), second.add_affine_factors(to_second)];
            *first = factors[0].point();
            *second = factors[1].point();
        }
        (points, summands) => {
            points
                .iter_mut()
                .zip(summands)
                .for_each(|(point, summand)| *point = point.add_affine(summand));
        }
    }
}

/// [`Point::add_cached`], out of line.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn add_cached(point: &Point, summand: &Cached) -> Point {
    point.add_cached(summand)
}

impl Affine {
    /// The summand of the identity.
    #[inline(always)]
    pub(super) fn identity(cpu: Cpu) -> Self {
        let one = Field::one(cpu);
        Self {
            plus: one,
            minus: one,
            t2d: Field::zero(cpu),
        }
    }

    /// The summand of the affine point (x, y).
    #[inline(always)]
    pub(super) fn new(x: &Field, y: &Field) -> Self {
        Self {
            plus: y.add(x),
            minus: y.sub(x),
            t2d: x.mul(y).mul(&Field::splat(x.cpu(), D2)),
        }
    }
}

impl Cached {
    /// From its four parts in the order plus, minus, z, t2d.
    #[inline(always)]
    pub(super) fn from_parts([plus, minus, z, t2d]: [Field; 4]) -> Self {
        Self { plus, minus, z, t2d }
    }

    /// The inverse of [`Cached::from_parts`].
    #[inline(always)]
    pub(super) fn parts(&self) -> [Field; 4] {
        [self.plus, self.minus, self.z, self.t2d]
    }

    /// The negative in the lanes of `negative`: −(x, y) = (−x, y) swaps y + x and y − x.
    #[inline(always)]
    pub(super) fn negate_in(&self, negative: Mask) -> Self {
        Self {
            plus: self.plus.blend(&self.minus, negative),
            minus: self.minus.blend(&self.plus, negative),
            z: self.z,
            t2d: self.t2d.blend(&self.t2d.negated_raw(), negative),
        }
    }
}
