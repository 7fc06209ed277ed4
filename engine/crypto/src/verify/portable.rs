//! The path of every processor: ed25519-dalek with its key kept decompressed, and for keys in use the combs of [`super::comb`]
//! over dalek's points. Dalek chooses its own vector code for the former.

use std::sync::OnceLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::traits::Identity as _;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};

use super::backend::dalek_name;
use super::comb::{Digits, Shape};
use super::engine::{Engine, Job, Table};
use super::prefetch::prefetch;
use super::scalar::{is_reduced, reduce_wide, words};
use super::single::{IDENTITY, verdict};
use crate::keys::PublicKey;

/// The comb of a key: 256 points, 40 KiB, 15 doublings and 32 additions.
const KEY: Shape = Shape::new(8, 2, 16);
/// The comb of the base point, shared by all: 2^12 points, 640 KiB, 20 additions.
const BASE: Shape = Shape::new(13, 1, BASE_COLUMNS);
const BASE_COLUMNS: usize = 20;
/// Columns of one of a key's two combs.
const KEY_COLUMNS: usize = 16;

/// The comb of a negated key.
pub(super) type KeyTable = [EdwardsPoint; KEY.rows()];

/// Nothing: a small table saves too little here.
pub(super) enum Never {}

static BASE_TABLE: OnceLock<Vec<EdwardsPoint>> = OnceLock::new();

/// Dalek and combs over its points.
pub(super) struct Portable {
    base: &'static [EdwardsPoint],
}

impl Portable {
    /// The engine. The first call builds the table of the base point.
    pub(super) fn new() -> Self {
        let base = BASE_TABLE.get_or_init(|| table(&BASE, ED25519_BASEPOINT_POINT));
        Self { base }
    }

    /// `[S]B − [k]A` of up to eight keys with tables.
    fn multiply(&self, group: &[Prepared<'_>]) -> Vec<EdwardsPoint> {
        let (mut k, mut s) = ([[0; 4]; 8], [[0; 4]; 8]);
        for (lane, member) in group.iter().enumerate() {
            (k[lane], s[lane]) = (member.k, member.s);
        }
        let digits = Digits::<{ KEY.tooth_bits() }>::new::<{ KEY.teeth }, { KEY.combs }>(&k);
        let base_digits = Digits::<BASE_COLUMNS>::new::<{ BASE.teeth }, 1>(&s);
        let mut points = Vec::with_capacity(group.len());
        for (lane, member) in group.iter().enumerate() {
            // While one signature is computed the rows of the next come near: a thousand tables do not stay in a cache.
            let next = group.get(lane + 1).map(|next| (lane + 1, next.table));
            let mut point = EdwardsPoint::identity();
            for column in (0..BASE_COLUMNS).rev() {
                point = point + point;
                for comb in 0..KEY.combs {
                    if column < KEY_COLUMNS {
                        let at = comb * KEY_COLUMNS + column;
                        let first = comb * KEY.comb_rows();
                        if let Some((lane, table)) = next {
                            prefetch_point(&table[first + digits.row(lane, at)]);
                        }
                        point = step(&point, &member.table[first..], &digits, lane, at);
                    }
                }
                point = step(&point, self.base, &base_digits, lane, column);
            }
            points.push(point);
        }
        points
    }
}

fn prefetch_point(point: &EdwardsPoint) {
    prefetch(point, &[0, 64, 128, size_of::<EdwardsPoint>() - 1]);
}

/// Adds or subtracts the row of one column.
fn step<const N: usize>(
    point: &EdwardsPoint,
    rows: &[EdwardsPoint],
    digits: &Digits<N>,
    lane: usize,
    column: usize,
) -> EdwardsPoint {
    let row = &rows[digits.row(lane, column)];
    if digits.negative(column) >> lane & 1 == 1 {
        point - row
    } else {
        point + row
    }
}

/// The combs of a point (see [`super::comb`]): row `v·2^(T−1) + m`.
fn table(shape: &Shape, point: EdwardsPoint) -> Vec<EdwardsPoint> {
    let mut powers = Vec::with_capacity(shape.teeth * shape.combs);
    let mut power = point;
    for _ in 0..shape.teeth * shape.combs {
        powers.push(power);
        for _ in 0..shape.columns {
            power = power + power;
        }
    }
    let mut rows = Vec::with_capacity(shape.rows());
    for comb in 0..shape.combs {
        let teeth: Vec<EdwardsPoint> = powers[comb..].iter().step_by(shape.combs).copied().collect();
        let (top, lower) = teeth.split_last().expect("a comb has teeth");
        let start = rows.len();
        rows.push(lower.iter().fold(*top, |sum, tooth| sum - tooth));
        for tooth in lower {
            let double = tooth + tooth;
            for index in start..rows.len() {
                rows.push(rows[index] + double);
            }
        }
    }
    rows
}

/// A signature of a key with a table, after the checks that need no curve.
struct Prepared<'a> {
    job: usize,
    table: &'a KeyTable,
    r: &'a [u8; 32],
    k: [u64; 4],
    s: [u64; 4],
}

/// `None` is invalid.
fn prepare<'a>(index: usize, job: &Job<'a, Portable>, table: &'a KeyTable) -> Option<Prepared<'a>> {
    let (r, s) = job.signature.as_bytes().split_first_chunk::<32>()?;
    let s = words(s.try_into().ok()?);
    if !is_reduced(&s) || *r == IDENTITY {
        return None;
    }
    let hash: [u8; 64] = Sha512::new()
        .chain_update(r)
        .chain_update(job.key.as_bytes())
        .chain_update(job.message)
        .finalize()
        .into();
    let mut wide = [0; 8];
    for (word, bytes) in wide.iter_mut().zip(hash.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Some(Prepared {
        job: index,
        table,
        r,
        k: reduce_wide(&wide),
        s,
    })
}

impl Engine for Portable {
    type Key = VerifyingKey;
    type Hot = KeyTable;
    type Warm = Never;
    const CHUNK_MAX: usize = 64;

    fn key(&self, key: &PublicKey) -> VerifyingKey {
        *key.verifying_key()
    }

    fn bytes(key: &VerifyingKey) -> &[u8; 32] {
        key.as_bytes()
    }

    fn hot_tables(&self, keys: &[VerifyingKey]) -> Vec<Box<KeyTable>> {
        let boxed = |key: &VerifyingKey| table(&KEY, -key.to_edwards()).into_boxed_slice().try_into();
        keys.iter().map(|key| boxed(key).expect("the shape's rows")).collect()
    }

    fn warm_tables(&self, _: &[VerifyingKey]) -> Vec<Box<Never>> {
        Vec::new()
    }

    fn judge(&self, jobs: &[Job<'_, Self>], valid: &mut [bool]) {
        valid.fill(false);
        if let ([job], [valid]) = (jobs, &mut *valid) {
            // The inversion at the end is not shared then, and dalek's vector code is as fast.
            *valid = verdict(job.key, job.message, job.signature);
            return;
        }
        let mut prepared = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            match job.table {
                Table::Hot(table) => prepared.extend(prepare(index, job, table)),
                Table::Warm(_) | Table::None => valid[index] = verdict(job.key, job.message, job.signature),
            }
        }
        if prepared.is_empty() {
            // Dalek inverts once even for no points, a quarter of a verification.
            return;
        }
        let points: Vec<EdwardsPoint> = prepared.chunks(8).flat_map(|group| self.multiply(group)).collect();
        let encodings = EdwardsPoint::compress_batch_alloc(&points);
        for (member, encoding) in prepared.iter().zip(encodings) {
            valid[member.job] = encoding.as_bytes() == member.r;
        }
    }

    fn name(&self) -> &'static str {
        dalek_name()
    }
}
