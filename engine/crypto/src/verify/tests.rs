//! Scalars and digits, which every path shares, against big integers, with words at their bounds.

use num_bigint::BigUint;

use super::comb::{Digits, Shape, recode};
use super::scalar::{L, is_reduced, reduce_wide};

/// Miri takes a thousand times as long.
const fn rounds(full: usize) -> usize {
    if cfg!(miri) { full / 100 } else { full }
}

/// A plain generator of test numbers (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }
}

fn big(words: &[u64; 4]) -> BigUint {
    words.iter().rev().fold(BigUint::ZERO, |sum, word| (sum << 64) + *word)
}

/// Scalars at the ends of their range and anywhere.
fn scalars(numbers: &mut Numbers) -> Vec<[u64; 4]> {
    let l_minus_1 = [L[0] - 1, L[1], L[2], L[3]];
    let mut scalars = vec![
        [0; 4],
        [1, 0, 0, 0],
        l_minus_1,
        [L[0] - 2, L[1], L[2], L[3]],
        [u64::MAX, u64::MAX, 0, 0],
    ];
    while scalars.len() < 8 + rounds(392) {
        let words = [numbers.next(), numbers.next(), numbers.next(), numbers.next() >> 3];
        if is_reduced(&words) {
            scalars.push(words);
        }
    }
    scalars
}

#[test]
fn digits_sum_to_the_scalar() {
    fn check<const T: usize, const V: usize, const N: usize>(scalars: &[[u64; 4]]) {
        let shape = &Shape::new(T, V, N / V);
        let l = big(&L);
        for eight in scalars.as_chunks::<8>().0 {
            let digits = Digits::<N>::new::<T, V>(eight);
            for (lane, scalar) in eight.iter().enumerate() {
                let b = recode(shape, scalar);
                assert!(big(&b).bits() <= 254);
                let ones = (BigUint::from(1_u8) << (shape.teeth * N)) - 1_u8;
                assert_eq!((big(&b) * 2_u8 + (&l << 10) - ones % &l) % &l, big(scalar), "recode");
                // The columns, put together again, are the bits of b.
                let mut bits = BigUint::ZERO;
                for column in 0..N {
                    let negative = digits.negative(column) >> lane & 1 == 1;
                    let row = digits.row(lane, column);
                    let top = 1 << (shape.teeth - 1);
                    let signs = if negative { !row & (top - 1) } else { row | top };
                    for tooth in 0..shape.teeth {
                        bits.set_bit((tooth * N + column) as u64, signs >> tooth & 1 == 1);
                    }
                }
                assert_eq!(bits, big(&b), "lane {lane}");
            }
        }
    }
    let scalars = scalars(&mut Numbers(7));
    // The shapes of the lanes, and those of the portable path.
    check::<16, 1, 16>(&scalars);
    check::<8, 2, 32>(&scalars);
    check::<5, 1, 51>(&scalars);
    check::<13, 1, 20>(&scalars);
}

#[test]
fn scalars_are_reduced_below_the_order_only() {
    assert!(is_reduced(&[L[0] - 1, L[1], L[2], L[3]]) && is_reduced(&[0; 4]));
    assert!(is_reduced(&[u64::MAX, u64::MAX, u64::MAX, L[3] - 1]) && is_reduced(&[u64::MAX, L[1] - 1, 0, L[3]]));
    assert!(!is_reduced(&L) && !is_reduced(&[L[0] + 1, L[1], L[2], L[3]]) && !is_reduced(&[u64::MAX; 4]));
    assert!(!is_reduced(&[0, 0, 1, L[3]]) && !is_reduced(&[0, L[1] + 1, 0, L[3]]));
}

#[test]
fn wide_numbers_keep_their_value_mod_l() {
    let mut numbers = Numbers(8);
    let l = big(&L);
    let edges = [0, 1, u64::MAX, 1 << 60, (1 << 60) - 1, L[0], L[1], L[3]];
    for round in 0..rounds(20_000) {
        let x = [(); 8].map(|()| {
            if round % 2 == 0 {
                edges[(numbers.next() % 8) as usize]
            } else {
                numbers.next()
            }
        });
        let value = x.iter().rev().fold(BigUint::ZERO, |sum, word| (sum << 64) + *word);
        let reduced = big(&reduce_wide(&x));
        assert_eq!(&reduced % &l, value % &l);
        assert!(reduced < (BigUint::from(1_u8) << 254) + (BigUint::from(1_u8) << 126));
    }
}
