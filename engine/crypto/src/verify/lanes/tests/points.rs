//! Points, decompression and every comb against curve25519-dalek.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;

use super::super::super::comb::{Digits, Shape};
use super::super::super::scalar::{L, words};
use super::super::build::{base_table, projective_rows, tables};
use super::super::decompress::{decompress, load_encodings};
use super::super::multiply::{COLD, HOT, HOT_ROWS, Lanes, WARM, WARM_ROWS, cold, comb};
use super::super::point::{Affine, Point};
use super::super::power::invert;
use super::super::row::Row;
use super::super::vector::{Cpu, Mask};
use super::{Numbers, cpu};

fn scalar(numbers: &mut Numbers) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&numbers.bytes())
}

/// Eight points of the curve: multiples of the base point, the identity, torsion, sums of both.
fn points(numbers: &mut Numbers) -> [EdwardsPoint; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|_| {
        let point = EdwardsPoint::mul_base(&scalar(numbers));
        let torsion = EIGHT_TORSION[numbers.below(8)];
        match numbers.next() % 6 {
            0 => EdwardsPoint::identity(),
            1 => torsion,
            2 => point + torsion,
            _ => point,
        }
    })
}

/// The points in lanes.
fn load(cpu: Cpu, points: &[EdwardsPoint; 8]) -> Point {
    let (x, y) = coordinates(cpu, points);
    Point::from_affine(&x, &y)
}

fn coordinates(cpu: Cpu, points: &[EdwardsPoint; 8]) -> (super::super::field::Field, super::super::field::Field) {
    let encodings = points.map(|point| point.compress().0);
    // SAFETY: `cpu` proves the instructions.
    let ((x, found), (y, _)) = unsafe {
        (
            decompress(cpu, &encodings.each_ref()),
            load_encodings(cpu, &encodings.each_ref()),
        )
    };
    assert_eq!(found, 0xff, "these are points");
    (x, y)
}

/// The lanes that hold the expected points.
fn same(cpu: Cpu, point: &Point, expected: &[EdwardsPoint; 8]) -> Mask {
    let encodings = expected.map(|point| point.compress().0);
    // SAFETY: `cpu` proves the instructions.
    let (inverse, (y, signs)) = unsafe { (invert(&point.z), load_encodings(cpu, &encodings.each_ref())) };
    let (our_x, our_y) = point.affine(&inverse);
    our_y.canonical().same_limbs(&y) & !(our_x.canonical().odd() ^ signs)
}

#[test]
fn sums_and_doubles_of_any_points_agree_with_dalek() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(10);
    for round in 0..300 {
        let a = points(&mut numbers);
        let b = match round % 4 {
            0 => a,
            1 => a.map(|point| -point),
            _ => points(&mut numbers),
        };
        let (x, y) = coordinates(cpu, &b);
        let (ours_a, ours_b) = (load(cpu, &a), Point::from_affine(&x, &y));
        let sum = [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| a[lane] + b[lane]);
        let difference = [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| if lane < 3 { a[lane] - b[lane] } else { sum[lane] });
        let double = a.map(|point| point + point);
        assert_eq!(same(cpu, &ours_a.add_affine(&Affine::new(&x, &y)), &sum), 0xff);
        assert_eq!(same(cpu, &ours_a.add_cached(&ours_b.cached()), &sum), 0xff);
        assert_eq!(
            same(cpu, &ours_a.add_cached(&ours_b.cached().negate_in(0b111)), &difference),
            0xff
        );
        assert_eq!(same(cpu, &ours_a.double(), &double), 0xff);
        let twice_with_b = [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| double[lane] + double[lane] + b[lane]);
        let ours = ours_a.double().double().add_affine(&Affine::new(&x, &y));
        assert_eq!(same(cpu, &ours, &twice_with_b), 0xff);
    }
}

#[test]
fn decompression_agrees_with_dalek_on_any_bytes() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(11);
    let mut seen = [0; 2];
    for _ in 0..200 {
        let encodings: [[u8; 32]; 8] = [(); 8].map(|()| numbers.bytes());
        // SAFETY: `cpu` proves the instructions.
        let (x, found) = unsafe { decompress(cpu, &encodings.each_ref()) };
        for (lane, encoding) in encodings.iter().enumerate() {
            let theirs = CompressedEdwardsY(*encoding).decompress();
            assert_eq!(found >> lane & 1 == 1, theirs.is_some());
            seen[usize::from(theirs.is_some())] += 1;
            if let Some(point) = theirs {
                let (their_x, _) = coordinates(cpu, &[point; 8]);
                assert_eq!(x.same_limbs(&their_x) >> lane & 1, 1);
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 500), "both kinds occur: {seen:?}");
}

fn boxed<const ROWS: usize>(cpu: Cpu, shape: &Shape, points: &[EdwardsPoint; 8]) -> [Box<[Row; ROWS]>; 8] {
    let (x, y) = coordinates(cpu, points);
    // SAFETY: `cpu` proves the instructions.
    let tables = unsafe { tables(shape, &x, &y) };
    tables.map(|rows| rows.into_boxed_slice().try_into().expect("the shape's rows"))
}

#[test]
fn every_comb_agrees_with_dalek() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(12);
    // SAFETY: `cpu` proves the instructions.
    let base = unsafe { base_table(cpu) };
    for round in 0..40 {
        let keys = [(); 8].map(|()| EdwardsPoint::mul_base(&scalar(&mut numbers)));
        let hot = boxed::<HOT_ROWS>(cpu, &HOT, &keys);
        let warm = boxed::<WARM_ROWS>(cpu, &WARM, &keys);
        let mut draw = || {
            [(); 8].map(|()| {
                if round == 0 {
                    edge(&mut numbers)
                } else {
                    scalar(&mut numbers)
                }
            })
        };
        let (k, s): ([[Scalar; 8]; 2], [[Scalar; 8]; 2]) = ([draw(), draw()], [draw(), draw()]);
        let k_words = k.map(|k| k.map(|k| words(k.as_bytes())));
        let s_words = s.map(|s| s.map(|s| words(s.as_bytes())));
        let by_hot = [0, 1].map(|half: usize| Lanes {
            tables: hot.each_ref().map(|table| &**table),
            digits: Digits::new::<8, 2>(&k_words[half]),
            base_digits: Digits::new::<16, 1>(&s_words[half]),
        });
        let by_warm = [0, 1].map(|half: usize| Lanes {
            tables: warm.each_ref().map(|table| &**table),
            digits: Digits::new::<5, 1>(&k_words[half]),
            base_digits: Digits::new::<16, 1>(&s_words[half]),
        });
        // SAFETY: `cpu` proves the instructions.
        let (by_hot, by_warm) = unsafe {
            (
                comb::<2, HOT_ROWS, 2, 32>(cpu, &by_hot, &base),
                comb::<2, WARM_ROWS, 1, 51>(cpu, &by_warm, &base),
            )
        };
        for half in 0..2 {
            let expected = [0, 1, 2, 3, 4, 5, 6, 7]
                .map(|lane| keys[lane] * k[half][lane] + EdwardsPoint::mul_base(&s[half][lane]));
            let (digits, base_digits) = (
                Digits::new::<5, 1>(&k_words[half]),
                Digits::new::<16, 1>(&s_words[half]),
            );
            // SAFETY: `cpu` proves the instructions.
            let by_cold = unsafe {
                let rows = projective_rows(&COLD, &load(cpu, &keys));
                cold(cpu, &rows, &digits, &base, &base_digits)
            };
            for (point, path) in [(&by_hot[half], "hot"), (&by_warm[half], "warm"), (&by_cold, "cold")] {
                assert_eq!(same(cpu, point, &expected), 0xff, "{path}, round {round}");
            }
        }
    }
}

/// 0, 1, L − 1 and a few more where a digit could go wrong.
fn edge(numbers: &mut Numbers) -> Scalar {
    let l_minus_1 = -Scalar::ONE;
    assert_eq!(words(l_minus_1.as_bytes()), [L[0] - 1, L[1], L[2], L[3]]);
    let edges = [
        Scalar::ZERO,
        Scalar::ONE,
        l_minus_1,
        l_minus_1 - Scalar::ONE,
        Scalar::from(u128::MAX),
    ];
    edges[numbers.below(edges.len())]
}
