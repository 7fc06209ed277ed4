//! The field of 2^255 − 19, eight elements at a time: one in each 64-bit lane of five AVX-512 registers.
//!
//! ```text
//! element of lane j = l0 + 2^51·l1 + 2^102·l2 + 2^153·l3 + 2^204·l4        l_i = lane j of register i
//! ```
//!
//! The IFMA instructions multiply the low 52 bits of two lanes and add the low or the high 52 bits of the 104-bit product
//! to a third. A high half stands for `2^52 = 2·2^51`, so high halves are doubled; what lands at weight 2^255 or above
//! comes back times 19.
//!
//! # Limb bounds
//!
//! An element **fits** if every limb is < 2^52, so that a multiplication cuts nothing off. It is **carried** if every limb
//! is < C = 2^51 + 2^18. A [`Wide`] is a value before its carries, a sum of products whose limbs are < P = 267·2^52 < 2^60.1
//! each. Each function gives carried elements; products take elements that fit, all others carried ones. A debug build checks
//! every bound named here at every call, of what comes in and of what goes out. The proof:
//!
//! - `carry` takes any limbs. It hands `c_i = l_i >> 51 < 2^13` to the next limb, and `19·c_4` to the first: a limb becomes
//!   < 2^51 + 19·2^13 < C.
//! - `product`: each half of a product is < 2^52. Before the folding by 19 the five high columns hold at most this many
//!   halves (a high half counts twice): column 5: 4 + 2·5 = 14, 6: 3 + 2·4 = 11, 7: 2 + 2·3 = 8, 8: 1 + 2·2 = 5, 9: 2·1 = 2.
//!   The result's columns hold at most 19·14 + 1 = 267, 19·11 + 2 + 2 = 213, 19·8 + 3 + 4 = 159, 19·5 + 4 + 6 = 105 and
//!   19·2 + 5 + 8 = 51 halves: small. `squared`: the same products, added in another order.
//! - `Wide::plus` and `doubled`: the formulas of `point` add at most four products (4·Z²): < 4P < 2^62.1.
//! - [`Raised`] is a value before its carries plus K = 1216·p, limb by limb: each limb of K is > 1068·2^51 = 2P. So a subtraction of
//!   at most two products does not wrap below zero; nothing exceeds 4P + K + 2P < 2^63.2. The products that make one start their
//!   columns at parts of K instead of at zero (1216 = 19·64: column 0 comes of column 5 times 19), which costs nothing.
//! - `add`: < 2C. `sub` is `a + 2p − b`: each limb of 2p (2^52 − 38 and 2^52 − 2) exceeds C.
//! - `negated_raw` is `2p − b` without a carry: limbs < 2^52, so it fits.
//! - `canonical` gives limbs < 2^51 of the value in [0, p); its proof stands beside it.

use super::vector::{Cpu, Mask, Vector};

/// Limbs of one element.
pub(super) type Limbs = [u64; 5];

/// 2^51 − 1.
pub(super) const LOW_51: u64 = (1 << 51) - 1;

/// The limbs of 2p.
const TWO_P: Limbs = [
    (1 << 52) - 38,
    (1 << 52) - 2,
    (1 << 52) - 2,
    (1 << 52) - 2,
    (1 << 52) - 2,
];

/// C, the bound of a carried element's limbs.
const CARRIED: u64 = (1 << 51) + (1 << 18);

/// P, the bound of one product's limbs.
const PRODUCT: u64 = 267 << 52;

/// 1216·p = K is RAISE times these: limbs of p.
const P_LIMBS: [u64; 2] = [LOW_51 - 18, LOW_51];
const RAISE: u64 = 19 * 64;

/// The inequalities of the proof above.
const _: () = {
    assert!(LOW_51 + 19 * (1 << 13) < CARRIED && CARRIED <= 1 << 52);
    assert!(TWO_P[0] >= CARRIED && TWO_P[0] + CARRIED <= u64::MAX >> 1);
    assert!(RAISE * P_LIMBS[0] >= 2 * PRODUCT);
    assert!(6 * PRODUCT < u64::MAX - RAISE * P_LIMBS[1]);
};

/// Eight field elements.
#[derive(Clone, Copy)]
pub(super) struct Field(pub(super) [Vector; 5]);

#[inline(always)]
fn times_19(a: Vector) -> Vector {
    a.times(Vector::splat(a.cpu(), 19))
}

#[inline(always)]
fn twice(a: Vector) -> Vector {
    a.add(a)
}

#[inline(always)]
fn sum(a: Vector, b: Vector) -> Vector {
    a.add(b)
}

/// The sums limb by limb.
#[inline(always)]
fn sums(a: &[Vector; 5], b: &[Vector; 5]) -> [Vector; 5] {
    [
        a[0].add(b[0]),
        a[1].add(b[1]),
        a[2].add(b[2]),
        a[3].add(b[3]),
        a[4].add(b[4]),
    ]
}

#[inline(always)]
fn lo(sum: Vector, a: Vector, b: Vector) -> Vector {
    sum.add_low(a, b)
}

#[inline(always)]
fn hi(sum: Vector, a: Vector, b: Vector) -> Vector {
    sum.add_high(a, b)
}

/// A value before its carries.
#[derive(Clone, Copy)]
pub(super) struct Wide([Vector; 5]);

impl Wide {
    /// A carried element.
    #[inline(always)]
    pub(super) fn of(element: &Field) -> Self {
        element.check_carried();
        Self(element.0)
    }

    /// self + b.
    #[inline(always)]
    pub(super) fn plus(&self, b: &Self) -> Self {
        let sum = sums(&self.0, &b.0);
        check(&sum, 4 * PRODUCT);
        Self(sum)
    }

    /// self + K.
    #[inline(always)]
    pub(super) fn raised(&self) -> Raised {
        check(&self.0, 4 * PRODUCT);
        let cpu = self.0[0].cpu();
        let (first, rest) = (
            Vector::splat(cpu, RAISE * P_LIMBS[0]),
            Vector::splat(cpu, RAISE * P_LIMBS[1]),
        );
        let a = &self.0;
        Raised([
            a[0].add(first),
            a[1].add(rest),
            a[2].add(rest),
            a[3].add(rest),
            a[4].add(rest),
        ])
    }

    /// 2·self.
    #[inline(always)]
    pub(super) fn doubled(&self) -> Self {
        self.plus(self)
    }

    /// The same value, carried.
    #[inline(always)]
    pub(super) fn carry(&self) -> Field {
        let r = &self.0;
        let cpu = r[0].cpu();
        let low = Vector::splat(cpu, LOW_51);
        let c = [
            r[0].shift_right::<51>(),
            r[1].shift_right::<51>(),
            r[2].shift_right::<51>(),
            r[3].shift_right::<51>(),
            r[4].shift_right::<51>(),
        ];
        let carried = Field([
            r[0].and(low).add_low(c[4], Vector::splat(cpu, 19)),
            r[1].and(low).add(c[0]),
            r[2].and(low).add(c[1]),
            r[3].and(low).add(c[2]),
            r[4].and(low).add(c[3]),
        ]);
        carried.check_carried();
        carried
    }
}

/// A value before its carries, plus K: from it others can be subtracted.
#[derive(Clone, Copy)]
pub(super) struct Raised([Vector; 5]);

impl Raised {
    /// self + b, for a b of at most two products.
    #[inline(always)]
    pub(super) fn plus(&self, b: &Wide) -> Wide {
        self.check();
        check(&b.0, 2 * PRODUCT);
        Wide(sums(&self.0, &b.0))
    }

    /// self − b, for a b of at most two products.
    #[inline(always)]
    pub(super) fn minus(&self, b: &Wide) -> Wide {
        self.check();
        check(&b.0, 2 * PRODUCT);
        let (a, b) = (&self.0, &b.0);
        Wide([
            a[0].sub(b[0]),
            a[1].sub(b[1]),
            a[2].sub(b[2]),
            a[3].sub(b[3]),
            a[4].sub(b[4]),
        ])
    }

    #[inline(always)]
    fn check(&self) {
        check(&self.0, 4 * PRODUCT + RAISE * P_LIMBS[1]);
    }
}

/// Stops a debug build if a limb is not below `bound`.
#[inline(always)]
fn check(limbs: &[Vector; 5], bound: u64) {
    if cfg!(debug_assertions) {
        for (index, limb) in limbs.iter().enumerate() {
            let below = limb.below(Vector::splat(limb.cpu(), bound));
            assert_eq!(below, 0xff, "limb {index} is not below {bound:#x}");
        }
    }
}

impl Field {
    /// `limbs` in every lane.
    #[inline(always)]
    pub(super) fn splat(cpu: Cpu, limbs: Limbs) -> Self {
        Self(limbs.map(|limb| Vector::splat(cpu, limb)))
    }

    #[inline(always)]
    pub(super) fn zero(cpu: Cpu) -> Self {
        Self([Vector::splat(cpu, 0); 5])
    }

    #[inline(always)]
    pub(super) fn one(cpu: Cpu) -> Self {
        Self::splat(cpu, [1, 0, 0, 0, 0])
    }

    /// The proof that went into this element.
    #[inline(always)]
    pub(super) fn cpu(&self) -> Cpu {
        self.0[0].cpu()
    }

    #[inline(always)]
    pub(super) fn add(&self, b: &Self) -> Self {
        Wide::of(self).plus(&Wide::of(b)).carry()
    }

    /// `a + 2p − b`, limb by limb, not carried.
    #[inline(always)]
    fn difference(a: &[Vector; 5], b: &Self) -> Wide {
        b.check_carried();
        let (first, rest) = (Vector::splat(b.cpu(), TWO_P[0]), Vector::splat(b.cpu(), TWO_P[1]));
        let b = &b.0;
        Wide([
            a[0].add(first).sub(b[0]),
            a[1].add(rest).sub(b[1]),
            a[2].add(rest).sub(b[2]),
            a[3].add(rest).sub(b[3]),
            a[4].add(rest).sub(b[4]),
        ])
    }

    #[inline(always)]
    pub(super) fn sub(&self, b: &Self) -> Self {
        self.check_carried();
        Self::difference(&self.0, b).carry()
    }

    #[inline(always)]
    pub(super) fn neg(&self) -> Self {
        Self::zero(self.cpu()).sub(self)
    }

    /// `−self`, not carried, but it fits: for one operand of a product.
    #[inline(always)]
    pub(super) fn negated_raw(&self) -> Self {
        Self(Self::difference(&Self::zero(self.cpu()).0, self).0)
    }

    #[inline(always)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        self.product(other).carry()
    }

    #[inline(always)]
    pub(super) fn square(&self) -> Self {
        self.squared().carry()
    }

    #[inline(always)]
    pub(super) fn product(&self, other: &Self) -> Wide {
        let product = self.product_from(other, 0);
        check(&product, PRODUCT);
        Wide(product)
    }

    /// The product plus K.
    #[inline(always)]
    pub(super) fn raised_product(&self, other: &Self) -> Raised {
        Raised(self.product_from(other, RAISE))
    }

    /// The product plus `raise`·p, for a `raise` divisible by 38.
    #[inline(always)]
    fn product_from(&self, other: &Self, raise: u64) -> [Vector; 5] {
        self.check(1 << 52);
        other.check(1 << 52);
        let cpu = self.cpu();
        let (a, b, zero) = (&self.0, &other.0, Vector::splat(cpu, 0));
        // What starts a column of high halves counts twice, and that of column 5 is folded by 19 beside.
        let (first, rest) = (
            Vector::splat(cpu, raise / 38 * P_LIMBS[0]),
            Vector::splat(cpu, raise / 2 * P_LIMBS[1]),
        );
        let h5 = hi(
            hi(hi(hi(hi(first, a[0], b[4]), a[1], b[3]), a[2], b[2]), a[3], b[1]),
            a[4],
            b[0],
        );
        let h6 = hi(hi(hi(hi(zero, a[1], b[4]), a[2], b[3]), a[3], b[2]), a[4], b[1]);
        let h7 = hi(hi(hi(zero, a[2], b[4]), a[3], b[3]), a[4], b[2]);
        let h8 = hi(hi(zero, a[3], b[4]), a[4], b[3]);
        let h9 = hi(zero, a[4], b[4]);
        let c5 = lo(lo(lo(lo(twice(h5), a[1], b[4]), a[2], b[3]), a[3], b[2]), a[4], b[1]);
        let c6 = lo(lo(lo(twice(h6), a[2], b[4]), a[3], b[3]), a[4], b[2]);
        let c7 = lo(lo(twice(h7), a[3], b[4]), a[4], b[3]);
        let c8 = lo(twice(h8), a[4], b[4]);
        let h1 = hi(rest, a[0], b[0]);
        let h2 = hi(hi(rest, a[0], b[1]), a[1], b[0]);
        let h3 = hi(hi(hi(rest, a[0], b[2]), a[1], b[1]), a[2], b[0]);
        let h4 = hi(hi(hi(hi(rest, a[0], b[3]), a[1], b[2]), a[2], b[1]), a[3], b[0]);
        let r0 = times_19(c5);
        let r1 = sum(times_19(c6), twice(h1));
        let r2 = sum(times_19(c7), twice(h2));
        let r3 = sum(times_19(c8), twice(h3));
        let r4 = sum(times_19(twice(h9)), twice(h4));
        [
            lo(r0, a[0], b[0]),
            lo(lo(r1, a[0], b[1]), a[1], b[0]),
            lo(lo(lo(r2, a[0], b[2]), a[1], b[1]), a[2], b[0]),
            lo(lo(lo(lo(r3, a[0], b[3]), a[1], b[2]), a[2], b[1]), a[3], b[0]),
            lo(
                lo(lo(lo(lo(r4, a[0], b[4]), a[1], b[3]), a[2], b[2]), a[3], b[1]),
                a[4],
                b[0],
            ),
        ]
    }

    #[inline(always)]
    pub(super) fn squared(&self) -> Wide {
        let square = self.squared_from(0);
        check(&square, PRODUCT);
        Wide(square)
    }

    /// The square plus K.
    #[inline(always)]
    pub(super) fn raised_square(&self) -> Raised {
        Raised(self.squared_from(RAISE))
    }

    /// The square plus `raise`·p, for a `raise` divisible by 76.
    #[inline(always)]
    fn squared_from(&self, raise: u64) -> [Vector; 5] {
        self.check(1 << 52);
        let cpu = self.cpu();
        let (a, zero) = (&self.0, Vector::splat(cpu, 0));
        let first = Vector::splat(cpu, raise / 38 * P_LIMBS[0]);
        let (twice_counted, counted_fourfold) = (
            Vector::splat(cpu, raise / 2 * P_LIMBS[1]),
            Vector::splat(cpu, raise / 4 * P_LIMBS[1]),
        );
        // Products of different limbs occur twice, of equal limbs once; a high half counts double beside that.
        let x5 = twice(hi(hi(zero, a[0], a[4]), a[1], a[3]));
        let x6 = twice(hi(hi(zero, a[1], a[4]), a[2], a[3]));
        let x7 = twice(hi(zero, a[2], a[4]));
        let x8 = twice(hi(zero, a[3], a[4]));
        let c5 = twice(sum(lo(lo(x5, a[1], a[4]), a[2], a[3]), hi(first, a[2], a[2])));
        let c6 = lo(twice(lo(x6, a[2], a[4])), a[3], a[3]);
        let c7 = twice(hi(lo(x7, a[3], a[4]), a[3], a[3]));
        let c8 = lo(twice(x8), a[4], a[4]);
        let c9 = twice(hi(zero, a[4], a[4]));
        let y2 = twice(hi(counted_fourfold, a[0], a[1]));
        let y3 = twice(hi(zero, a[0], a[2]));
        let y4 = twice(hi(hi(counted_fourfold, a[0], a[3]), a[1], a[2]));
        let c1 = twice(lo(hi(twice_counted, a[0], a[0]), a[0], a[1]));
        let c2 = lo(twice(lo(y2, a[0], a[2])), a[1], a[1]);
        let c3 = twice(sum(lo(lo(y3, a[0], a[3]), a[1], a[2]), hi(twice_counted, a[1], a[1])));
        let c4 = lo(twice(lo(lo(y4, a[0], a[4]), a[1], a[3])), a[2], a[2]);
        [
            lo(times_19(c5), a[0], a[0]),
            sum(times_19(c6), c1),
            sum(times_19(c7), c2),
            sum(times_19(c8), c3),
            sum(times_19(c9), c4),
        ]
    }

    /// `self` squared `times` times.
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn square_times(&self, times: u32) -> Self {
        let mut x = *self;
        for _ in 0..times {
            x = x.square();
        }
        x
    }

    /// The same values with limbs < 2^51 and below p.
    ///
    /// After one more carry every limb is ≤ 2^51 + 18, so the value is < 2^255 + 2^205 < 2p and the quotient by p is 0 or 1: it is 1 iff value + 19 ≥ 2^255,
    /// which the chain of carries of value + 19 finds. Adding 19 times the quotient and dropping bit 255 subtracts it.
    #[inline(always)]
    pub(super) fn canonical(&self) -> Self {
        self.check_carried();
        let r = Wide(self.0).carry().0;
        let low = Vector::splat(self.cpu(), LOW_51);
        let nineteen = Vector::splat(self.cpu(), 19);
        let mut q = sum(r[0], nineteen).shift_right::<51>();
        for limb in &r[1..] {
            q = sum(*limb, q).shift_right::<51>();
        }
        let r0 = lo(r[0], q, nineteen);
        let r1 = sum(r[1], r0.shift_right::<51>());
        let r2 = sum(r[2], r1.shift_right::<51>());
        let r3 = sum(r[3], r2.shift_right::<51>());
        let r4 = sum(r[4], r3.shift_right::<51>());
        Self([r0.and(low), r1.and(low), r2.and(low), r3.and(low), r4.and(low)])
    }

    /// The lanes that are zero mod p.
    #[inline(always)]
    pub(super) fn is_zero(&self) -> Mask {
        let c = self.canonical().0;
        c[0].or(c[1]).or(c[2].or(c[3])).or(c[4]).is_zero()
    }

    /// The lanes whose limbs are those of `other`; for canonical elements, equality.
    #[inline(always)]
    pub(super) fn same_limbs(&self, other: &Self) -> Mask {
        let (a, b) = (&self.0, &other.0);
        a[0].equal(b[0]) & a[1].equal(b[1]) & a[2].equal(b[2]) & a[3].equal(b[3]) & a[4].equal(b[4])
    }

    /// The lanes that are odd; for canonical elements, "negative" in the sense of RFC 8032.
    #[inline(always)]
    pub(super) fn odd(&self) -> Mask {
        self.0[0].meets(Vector::splat(self.cpu(), 1))
    }

    /// `b` in the lanes of `mask`, `self` in the others.
    #[inline(always)]
    pub(super) fn blend(&self, b: &Self, mask: Mask) -> Self {
        let a = self;
        Self([
            a.0[0].blend(b.0[0], mask),
            a.0[1].blend(b.0[1], mask),
            a.0[2].blend(b.0[2], mask),
            a.0[3].blend(b.0[3], mask),
            a.0[4].blend(b.0[4], mask),
        ])
    }

    /// Limb i of lane j is `limbs[i][j]`.
    #[inline(always)]
    pub(super) fn load(cpu: Cpu, limbs: &[[u64; 8]; 5]) -> Self {
        Self([
            Vector::load(cpu, &limbs[0]),
            Vector::load(cpu, &limbs[1]),
            Vector::load(cpu, &limbs[2]),
            Vector::load(cpu, &limbs[3]),
            Vector::load(cpu, &limbs[4]),
        ])
    }

    /// The inverse of [`Field::load`].
    #[inline(always)]
    pub(super) fn store(&self) -> [[u64; 8]; 5] {
        self.0.map(Vector::store)
    }

    #[inline(always)]
    fn check_carried(&self) {
        self.check(CARRIED);
    }

    #[inline(always)]
    fn check(&self, bound: u64) {
        check(&self.0, bound);
    }
}
