//! Rule 4 in big integers, written down as RFC 8032 has it: one addition law, one bit at a time, no trick. Slow; only the
//! doubles of a key are kept, since most cases share their key with many.

use std::sync::LazyLock;

use num_bigint::BigUint;
use sha2::{Digest as _, Sha512};

/// The number of little-endian bytes.
pub(crate) fn number(bytes: &[u8]) -> BigUint {
    BigUint::from_bytes_le(bytes)
}

/// The 32 little-endian bytes of a number below 2^256.
pub(crate) fn bytes(number: &BigUint) -> [u8; 32] {
    let mut bytes = [0; 32];
    let short = number.to_bytes_le();
    bytes[..short.len()].copy_from_slice(&short);
    bytes
}

/// p = 2^255 − 19.
pub(crate) fn prime() -> BigUint {
    (BigUint::from(1_u8) << 255) - 19_u8
}

/// L = 2^252 + 27742317777372353535851937790883648493.
pub(crate) fn order() -> BigUint {
    (BigUint::from(1_u8) << 252) + 27_742_317_777_372_353_535_851_937_790_883_648_493_u128
}

/// Bytes that a lenient decoder takes for the identity: y = 1 or 1 + p, either sign. The first is canonical.
pub(crate) fn identity_forms() -> [[u8; 32]; 4] {
    let one = bytes(&BigUint::from(1_u8));
    let raised = bytes(&(prime() + 1_u8));
    let signed = |mut form: [u8; 32]| {
        form[31] |= 0x80;
        form
    };
    [one, raised, signed(one), signed(raised)]
}

/// A point x = X/Z, y = Y/Z.
#[derive(Clone)]
struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
}

impl Point {
    fn affine(x: BigUint, y: BigUint) -> Self {
        Self {
            x,
            y,
            z: BigUint::from(1_u8),
        }
    }

    fn identity() -> Self {
        Self::affine(BigUint::ZERO, BigUint::from(1_u8))
    }
}

/// The curve's constants, computed from their definitions once.
struct Curve {
    p: BigUint,
    d: BigUint,
}

impl Curve {
    fn new() -> Self {
        let p = prime();
        // d = −121665/121666.
        let d = (&p - 121_665_u32) * BigUint::from(121_666_u32).modpow(&(&p - 2_u8), &p) % &p;
        Self { p, d }
    }

    fn inverse(&self, x: &BigUint) -> BigUint {
        x.modpow(&(&self.p - 2_u8), &self.p)
    }

    /// The addition law of −x² + y² = 1 + d·x²·y², with the denominators multiplied out.
    fn add(&self, a: &Point, b: &Point) -> Point {
        let p = &self.p;
        let zz = &a.z * &b.z % p;
        let (xx, yy) = (&a.x * &b.x % p, &a.y * &b.y % p);
        let cross = (&a.x * &b.y + &a.y * &b.x) % p;
        let all = &self.d * (&xx * &yy % p) % p;
        let square = &zz * &zz % p;
        let (less, more) = ((&square + p - &all) % p, (&square + &all) % p);
        Point {
            x: &zz * cross % p * &less % p,
            y: &zz * (yy + xx) % p * &more % p,
            z: less * more % p,
        }
    }

    fn negative(&self, point: &Point) -> Point {
        Point {
            x: (&self.p - &point.x) % &self.p,
            ..point.clone()
        }
    }

    fn encode(&self, point: &Point) -> [u8; 32] {
        let inverse = self.inverse(&point.z);
        let (x, y) = (&point.x * &inverse % &self.p, &point.y * &inverse % &self.p);
        let mut encoding = bytes(&y);
        encoding[31] |= u8::from(x.bit(0)) << 7;
        encoding
    }

    /// The point of a canonical encoding (RFC 8032, 5.1.3).
    fn decode(&self, encoding: &[u8; 32]) -> Point {
        let p = &self.p;
        let mut y_bytes = *encoding;
        y_bytes[31] &= 0x7f;
        let y = number(&y_bytes);
        let yy = &y * &y % p;
        let xx = (&yy + p - 1_u8) * self.inverse(&(&self.d * &yy + 1_u8)) % p;
        let mut x = xx.modpow(&((p + 3_u8) / 8_u8), p);
        if &x * &x % p != xx {
            x = x * BigUint::from(2_u8).modpow(&((p - 1_u8) / 4_u8), p) % p;
        }
        assert!(&x * &x % p == xx, "keys are points");
        if x.bit(0) != (encoding[31] >> 7 == 1) {
            x = p - x;
        }
        Point::affine(x, y)
    }
}

static CURVE: LazyLock<Curve> = LazyLock::new(Curve::new);

static BASE: LazyLock<Powers> = LazyLock::new(|| {
    let y = BigUint::from(4_u8) * CURVE.inverse(&BigUint::from(5_u8)) % &CURVE.p;
    Powers::of(&bytes(&y))
});

/// A point and its doubles: element i is `[2^i]P`.
pub(crate) struct Powers {
    encoding: [u8; 32],
    doubles: Vec<Point>,
}

impl Powers {
    /// Of the point with this canonical encoding.
    pub(crate) fn of(encoding: &[u8; 32]) -> Self {
        let point = CURVE.decode(encoding);
        let doubles = core::iter::successors(Some(point), |point| Some(CURVE.add(point, point)));
        Self {
            encoding: *encoding,
            doubles: doubles.take(253).collect(),
        }
    }

    /// `[scalar]P` for a scalar below L: the sum of the doubles whose bits are set.
    fn times(&self, scalar: &BigUint) -> Point {
        assert!(scalar < &order(), "L < 2^253");
        let set = (0..).zip(&self.doubles).filter(|(bit, _)| scalar.bit(*bit));
        set.fold(Point::identity(), |sum, (_, double)| CURVE.add(&sum, double))
    }

    /// The verdict of rule 4, if this is a key of rule 3.
    pub(crate) fn verdict(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let (r, s) = signature.split_at(32);
        let s = number(s);
        if s >= order() {
            return false;
        }
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(self.encoding)
            .chain_update(message);
        let k = number(&hash.finalize()) % order();
        let minus_ka = CURVE.negative(&self.times(&k));
        let computed = CURVE.add(&BASE.times(&s), &minus_ka);
        r == CURVE.encode(&computed) && r != CURVE.encode(&Point::identity())
    }
}
