//! Field elements against big integers, with limbs at their bounds.

use num_bigint::BigUint;

use super::super::decompress::{pack, unpack};
use super::super::field::{Field, Limbs, Wide};
use super::super::power::{invert, invert_all, sqrt_ratio};
use super::super::vector::Cpu;
use super::{Numbers, cpu};

/// C − 1, the largest limb of a carried element.
const CARRIED: u64 = (1 << 51) + (1 << 18) - 1;
/// The largest limb that fits.
const FITS: u64 = (1 << 52) - 1;
const ROUNDS: usize = 3000;

fn prime() -> BigUint {
    (BigUint::from(1_u8) << 255) - 19_u8
}

fn value(limbs: &Limbs) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 51) + *limb)
}

/// Eight values, lane by lane, not reduced.
fn values(element: &Field) -> [BigUint; 8] {
    let limbs = element.store();
    [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| value(&limbs.map(|limb| limb[lane])))
}

/// Limbs up to `max`: half of them at or next to a bound, the others anywhere.
fn random(cpu: Cpu, numbers: &mut Numbers, max: u64) -> Field {
    let edges = [
        0,
        1,
        18,
        19,
        20,
        (1 << 51) - 20,
        (1 << 51) - 19,
        (1 << 51) - 1,
        1 << 51,
        max - 1,
        max,
    ];
    let limb = |numbers: &mut Numbers| {
        let number = numbers.next();
        if number & 1 == 0 {
            edges[numbers.below(edges.len())]
        } else {
            (number >> 8) % (max + 1)
        }
    };
    let mut limbs = [[0; 8]; 5];
    for column in &mut limbs {
        for lane in column {
            *lane = limb(numbers);
        }
    }
    Field::load(cpu, &limbs)
}

/// Checks that `result` is carried and equals `expected` mod p in every lane.
fn check(result: &Field, expected: &[BigUint; 8], what: &str) {
    assert!(
        result.store().iter().flatten().all(|limb| *limb <= CARRIED),
        "{what}: a limb is not carried"
    );
    let p = prime();
    for (lane, (value, expected)) in values(result).iter().zip(expected).enumerate() {
        assert_eq!(value % &p, expected % &p, "{what}, lane {lane}");
    }
}

fn zip(a: &[BigUint; 8], b: &[BigUint; 8], f: impl Fn(&BigUint, &BigUint) -> BigUint) -> [BigUint; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| f(&a[lane], &b[lane]))
}

/// A multiple of p above every difference.
fn above() -> BigUint {
    prime() << 64
}

#[test]
fn products_of_all_that_fits_agree_with_big_integers() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(1);
    for _ in 0..ROUNDS {
        let (a, b) = (random(cpu, &mut numbers, FITS), random(cpu, &mut numbers, FITS));
        let (va, vb) = (values(&a), values(&b));
        check(&a.mul(&b), &zip(&va, &vb, |a, b| a * b), "mul");
        check(&a.square(), &zip(&va, &va, |a, b| a * b), "square");
    }
    let most = Field::splat(cpu, [FITS; 5]);
    let expected = values(&most).map(|value| &value * &value);
    check(&most.mul(&most), &expected, "the largest product");
    check(&most.square(), &expected, "the largest square");
}

#[test]
fn sums_and_differences_of_carried_elements_agree_with_big_integers() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(2);
    for _ in 0..ROUNDS {
        let (a, b) = (random(cpu, &mut numbers, CARRIED), random(cpu, &mut numbers, CARRIED));
        let (va, vb) = (values(&a), values(&b));
        check(&a.add(&b), &zip(&va, &vb, |a, b| a + b), "add");
        check(&a.sub(&b), &zip(&va, &vb, |a, b| above() + a - b), "sub");
        check(&a.neg(), &va.clone().map(|a| above() - a), "neg");
        let raw = a.negated_raw();
        assert!(raw.store().iter().flatten().all(|limb| *limb <= FITS));
        check(&raw.mul(&b), &zip(&va, &vb, |a, b| (above() - a) * b), "negated_raw");
        check(
            &a.blend(&b, 0b0101_0011),
            &[0, 1, 2, 3, 4, 5, 6, 7].map(|lane| {
                if 0b0101_0011 >> lane & 1 == 1 {
                    vb[lane].clone()
                } else {
                    va[lane].clone()
                }
            }),
            "blend",
        );
    }
}

#[test]
fn values_before_their_carries_agree_with_big_integers() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(3);
    for round in 0..ROUNDS {
        let max = if round % 2 == 0 { FITS } else { CARRIED };
        let [a, b, c, d] = [(); 4].map(|()| random(cpu, &mut numbers, max));
        let (ab, cd) = (
            zip(&values(&a), &values(&b), |a, b| a * b),
            zip(&values(&c), &values(&d), |a, b| a * b),
        );
        let (left, right): (Wide, Wide) = (a.product(&b), c.product(&d));
        check(&left.plus(&right).carry(), &zip(&ab, &cd, |a, b| a + b), "plus");
        let less = zip(&ab, &cd, |a, b| (above() << 256) + a - b);
        check(&left.raised().minus(&right).carry(), &less, "minus");
        let raised = a.raised_product(&b);
        check(&raised.minus(&right).carry(), &less, "product, minus");
        check(
            &raised.plus(&right).carry(),
            &zip(&ab, &cd, |a, b| a + b),
            "product, plus",
        );
        let squares = zip(&values(&a), &cd, |a, b| (above() << 256) + a * a - b);
        check(&a.raised_square().minus(&right).carry(), &squares, "square, minus");
        let most = left.doubled().doubled().raised().minus(&right.doubled()).carry();
        check(
            &most,
            &zip(&ab, &cd, |a, b| (above() << 256) + a * 4_u8 - b * 2_u8),
            "four less two",
        );
    }
}

#[test]
fn canonical_elements_are_below_the_prime() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(4);
    let p = prime();
    let low = (1 << 51) - 1;
    // Around 0, p and 2p, where the quotient changes.
    let edges: [Limbs; 8] = [
        [0; 5],
        [low - 18, low, low, low, low],
        [low - 17, low, low, low, low],
        [low - 19, low, low, low, low],
        [low, low, low, low, low],
        [1 << 51, low, low, low, low],
        [(1 << 51) + 18, 1 << 51, 1 << 51, 1 << 51, 1 << 51],
        [CARRIED; 5],
    ];
    let mut elements: Vec<Field> = edges.iter().map(|limbs| Field::splat(cpu, *limbs)).collect();
    elements.extend((0..ROUNDS).map(|_| random(cpu, &mut numbers, CARRIED)));
    for element in elements {
        let canonical = element.canonical();
        let expected = values(&element).map(|value| value % &p);
        assert_eq!(values(&canonical), expected);
        assert!(canonical.store().iter().flatten().all(|limb| *limb < 1 << 51));
        for (lane, expected) in expected.iter().enumerate() {
            assert_eq!(element.is_zero() >> lane & 1 == 1, *expected == BigUint::ZERO);
            assert_eq!(canonical.odd() >> lane & 1 == 1, expected.bit(0));
        }
    }
}

#[test]
fn inverses_and_roots_are_what_they_say() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(5);
    for _ in 0..50 {
        let mut many = [(); 5].map(|()| random(cpu, &mut numbers, CARRIED));
        let before = many;
        // SAFETY: `cpu` proves the instructions.
        let (single, root, found) = unsafe {
            invert_all(cpu, &mut many);
            let (root, found) = sqrt_ratio(&before[0], &before[1]);
            (invert(&before[0]), root, found)
        };
        for (inverse, element) in many.iter().chain([&single]).zip(before.iter().chain([&before[0]])) {
            check(&inverse.mul(element), &[(); 8].map(|()| BigUint::from(1_u8)), "inverse");
        }
        let ratio = before[0].mul(&many[1]);
        let square = root.square().sub(&ratio).is_zero();
        let p = prime();
        let half = (&p - 1_u8) / 2_u8;
        for (lane, value) in values(&ratio).iter().enumerate() {
            assert_eq!(
                found >> lane & 1 == 1,
                value.modpow(&half, &p) <= BigUint::from(1_u8),
                "Euler's criterion"
            );
            assert!(
                found >> lane & 1 == 0 || square >> lane & 1 == 1,
                "a root squares to the ratio"
            );
        }
    }
}

#[test]
fn packing_is_undone_by_unpacking() {
    let mut numbers = Numbers(6);
    for _ in 0..1000 {
        let limbs: Limbs = [(); 5].map(|()| numbers.next() & ((1 << 51) - 1));
        assert_eq!(unpack(&pack(&limbs)), limbs);
    }
}
