//! Powers of field elements: inverse and square root.

use super::field::{Field, Limbs};
use super::vector::{Cpu, Mask};

/// A square root of −1: 2^((p − 1)/4).
const SQRT_MINUS_1: Limbs = [
    1_718_705_420_411_056,
    234_908_883_556_509,
    2_233_514_472_574_048,
    2_117_202_627_021_982,
    765_476_049_583_133,
];

/// `x^(2^250 − 1)` and `x^11`, the common start of both chains.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn common_power(x: &Field) -> (Field, Field) {
    let x2 = x.square();
    let x9 = x.mul(&x2.square_times(2));
    let x11 = x2.mul(&x9);
    let ones_5 = x9.mul(&x11.square());
    let ones_10 = ones_5.square_times(5).mul(&ones_5);
    let ones_20 = ones_10.square_times(10).mul(&ones_10);
    let ones_40 = ones_20.square_times(20).mul(&ones_20);
    let ones_50 = ones_40.square_times(10).mul(&ones_10);
    let ones_100 = ones_50.square_times(50).mul(&ones_50);
    let ones_200 = ones_100.square_times(100).mul(&ones_100);
    (ones_200.square_times(50).mul(&ones_50), x11)
}

/// `1/x`, as `x^(p − 2)`; 0 for 0. `p − 2 = 2^5·(2^250 − 1) + 11`.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn invert(x: &Field) -> Field {
    let (ones_250, x11) = common_power(x);
    ones_250.square_times(5).mul(&x11)
}

/// Replaces each element by its inverse, at the price of one inversion and three products each. No element may be zero:
/// one zero would take its whole lane with it.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn invert_all(cpu: Cpu, elements: &mut [Field]) {
    let mut products = Vec::with_capacity(elements.len());
    let mut product = Field::one(cpu);
    for element in elements.iter() {
        debug_assert_eq!(
            element.is_zero(),
            0,
            "points of the curve have no Z of zero: the formulas are complete"
        );
        products.push(product);
        product = product.mul(element);
    }
    let mut inverse = invert(&product);
    for (element, before) in elements.iter_mut().zip(&products).rev() {
        let rest = inverse.mul(element);
        *element = inverse.mul(before);
        inverse = rest;
    }
}

/// A root of `u/v` (with either sign) and the lanes where there is one. For `v ≠ 0`; RFC 8032, 5.1.3, step 2 and 3.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn sqrt_ratio(u: &Field, v: &Field) -> (Field, Mask) {
    let v3 = v.square().mul(v);
    let v7 = v3.square().mul(v);
    let base = u.mul(&v7);
    // (u·v^7)^((p − 5)/8), and (p − 5)/8 = 2^252 − 3 = 4·(2^250 − 1) + 1.
    let power = common_power(&base).0.square_times(2).mul(&base);
    let root = u.mul(&v3).mul(&power);
    let check = v.mul(&root.square());
    let right = check.sub(u).is_zero();
    let wrong_sign = check.add(u).is_zero();
    let other = root.mul(&Field::splat(u.cpu(), SQRT_MINUS_1));
    (root.blend(&other, wrong_sign & !right), right | wrong_sign)
}
