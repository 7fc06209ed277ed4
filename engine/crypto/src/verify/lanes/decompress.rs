//! Encodings of points, eight at a time.

use super::super::scalar::words;
use super::field::{Field, LOW_51, Limbs};
use super::point::D;
use super::power::sqrt_ratio;
use super::vector::{Cpu, Mask};

/// The 255 low bits of an encoding as limbs; bit 255, the sign of x, is dropped.
pub(super) fn limbs(bytes: &[u8; 32]) -> Limbs {
    let words = words(bytes);
    unpack(&[words[0], words[1], words[2], words[3] & (u64::MAX >> 1)])
}

/// 255 bits in four words to limbs of 51 bits.
pub(super) fn unpack(w: &[u64; 4]) -> Limbs {
    [
        w[0] & LOW_51,
        (w[0] >> 51 | w[1] << 13) & LOW_51,
        (w[1] >> 38 | w[2] << 26) & LOW_51,
        (w[2] >> 25 | w[3] << 39) & LOW_51,
        w[3] >> 12 & LOW_51,
    ]
}

/// Limbs of 51 bits to four words: the inverse of [`unpack`].
pub(super) fn pack(l: &Limbs) -> [u64; 4] {
    [
        l[0] | l[1] << 51,
        l[1] >> 13 | l[2] << 38,
        l[2] >> 26 | l[3] << 25,
        l[3] >> 39 | l[4] << 12,
    ]
}

/// Elements and sign bits of eight encodings.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn load_encodings(cpu: Cpu, encodings: &[&[u8; 32]; 8]) -> (Field, Mask) {
    let mut columns = [[0; 8]; 5];
    let mut signs = 0;
    for (lane, bytes) in encodings.iter().enumerate() {
        for (column, limb) in columns.iter_mut().zip(limbs(bytes)) {
            column[lane] = limb;
        }
        signs |= (bytes[31] >> 7) << lane;
    }
    (Field::load(cpu, &columns), signs)
}

/// The canonical x of eight encodings and the lanes that encode a point (RFC 8032, 5.1.3). What the other lanes hold
/// means nothing. Encodings that are not canonical are taken as they come: rule 3 is checked elsewhere.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn decompress(cpu: Cpu, encodings: &[&[u8; 32]; 8]) -> (Field, Mask) {
    let (y, signs) = load_encodings(cpu, encodings);
    let yy = y.square();
    let u = yy.sub(&Field::one(cpu));
    let v = yy.mul(&Field::splat(cpu, D)).add(&Field::one(cpu));
    let (root, found) = sqrt_ratio(&u, &v);
    let x = root.canonical();
    (x.blend(&x.neg().canonical(), x.odd() ^ signs), found)
}
