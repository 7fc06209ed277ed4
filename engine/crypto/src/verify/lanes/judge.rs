//! From signatures to verdicts: the checks before the multiplication, the grouping into lanes, the comparison after it.

use std::sync::OnceLock;

use super::super::comb::{Digits, Shape};
use super::super::decompressed::Decompressed;
use super::super::engine::{Engine, Job, Table};
use super::super::scalar::{is_reduced, reduce_wide, words};
use super::super::single::{IDENTITY, verdict};
use super::build::{base_table, projective_rows, tables};
use super::decompress::{decompress, limbs, load_encodings, pack, unpack};
use super::field::Field;
use super::multiply::{BASE, BASE_ROWS, COLD, HOT, HOT_ROWS, HotTable, Lanes, WARM, WARM_ROWS, WarmTable, cold, comb};
use super::point::Point;
use super::power::invert_all;
use super::row::Row;
use super::sha512::{Message, sha512};
use super::vector::{Cpu, Mask};
use crate::keys::PublicKey;

/// A key as the lanes want it: its bytes, and the canonical x of −A. The y is in the bytes. One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(in super::super) struct KeyPoint {
    bytes: [u8; 32],
    negative_x: [u64; 4],
}

/// What is left of a signature after the checks that need no curve.
struct Prepared<'a> {
    /// Which job.
    job: usize,
    key: &'a KeyPoint,
    message: Message<'a>,
    s: [u64; 4],
    /// Congruent to the hash mod L; set by [`hash_all`].
    k: [u64; 4],
}

/// Eight of the prepared signatures, by index.
type Members = [usize; 8];

/// The eight-lane verifier of a processor that has the instructions, and the table of the base point.
pub(in super::super) struct Lanes8 {
    cpu: Cpu,
    base: &'static [Row; BASE_ROWS],
    /// For a signature that is alone with its key, without a table.
    decompressed: Decompressed,
}

static BASE_TABLE: OnceLock<Box<[Row; BASE_ROWS]>> = OnceLock::new();

impl Lanes8 {
    /// The engine, if this processor can run it. The first call builds the table of the base point, in some milliseconds.
    pub(in super::super) fn detect() -> Option<Self> {
        let cpu = Cpu::detect()?;
        // SAFETY: `cpu` proves every instruction that `base_table` is compiled for.
        let base = BASE_TABLE.get_or_init(|| unsafe { base_table(cpu) });
        Some(Self {
            cpu,
            base,
            decompressed: Decompressed::new(),
        })
    }
}

impl Engine for Lanes8 {
    type Key = KeyPoint;
    type Hot = HotTable;
    type Warm = WarmTable;
    const CHUNK_MAX: usize = 512;

    fn key(&self, key: &PublicKey) -> KeyPoint {
        let bytes = *key.bytes().as_bytes();
        self.decompressed.keep(key.verifying_key());
        // SAFETY: `self.cpu` proves every instruction that `negative_x` is compiled for.
        let negative_x = unsafe { negative_x(self.cpu, &bytes) };
        KeyPoint { bytes, negative_x }
    }

    fn bytes(key: &KeyPoint) -> &[u8; 32] {
        &key.bytes
    }

    fn hot_tables(&self, keys: &[KeyPoint]) -> Vec<Box<HotTable>> {
        // SAFETY: `self.cpu` proves every instruction that `build_tables` is compiled for.
        keys.chunks(8)
            .flat_map(|keys| unsafe { build_tables(self.cpu, &HOT, keys) })
            .collect()
    }

    fn warm_tables(&self, keys: &[KeyPoint]) -> Vec<Box<WarmTable>> {
        // SAFETY: `self.cpu` proves every instruction that `build_tables` is compiled for.
        keys.chunks(8)
            .flat_map(|keys| unsafe { build_tables(self.cpu, &WARM, keys) })
            .collect()
    }

    fn judge(&self, jobs: &[Job<'_, Self>], valid: &mut [bool]) {
        assert_eq!(jobs.len(), valid.len(), "one verdict per job");
        if let ([job], [valid]) = (jobs, &mut *valid)
            && !matches!(job.table, Table::Hot(_))
        {
            *valid = self.by_dalek(job);
            return;
        }
        // SAFETY: `self.cpu` proves every instruction that `judge` is compiled for.
        unsafe { judge(self, jobs, valid) }
    }

    fn name(&self) -> &'static str {
        "avx512ifma-8lane"
    }
}

/// The most signatures without a table that go to dalek, one by one. Eight lanes cost the same for one signature as for
/// eight: without a table as much as 2.7 of dalek on a Zen 4 and 1.8 on a Zen 5, with a small table 1.35 and 0.9, with a large one
/// less than one. So two go to dalek, and a key with a small table that is alone.
const FEW: usize = 2;

impl Lanes8 {
    fn by_dalek(&self, job: &Job<'_, Self>) -> bool {
        verdict(&self.decompressed.get(&job.key.bytes), job.message, job.signature)
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn negative_x(cpu: Cpu, bytes: &[u8; 32]) -> [u64; 4] {
    let (x, found) = decompress(cpu, &[bytes; 8]);
    assert_eq!(found, 0xff, "a key of rule 3 is a point");
    let x = x.neg().canonical().store();
    pack(&[x[0][0], x[1][0], x[2][0], x[3][0], x[4][0]])
}

/// x and y of the negatives of up to eight keys; the last key stands in the lanes that are left.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn load_keys(cpu: Cpu, keys: &[&KeyPoint; 8]) -> (Field, Field) {
    let (mut x, mut y) = ([[0; 8]; 5], [[0; 8]; 5]);
    for (lane, key) in keys.iter().enumerate() {
        for (limb, (from_x, from_y)) in unpack(&key.negative_x).into_iter().zip(limbs(&key.bytes)).enumerate() {
            x[limb][lane] = from_x;
            y[limb][lane] = from_y;
        }
    }
    (Field::load(cpu, &x), Field::load(cpu, &y))
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn build_tables<const ROWS: usize>(cpu: Cpu, shape: &Shape, keys: &[KeyPoint]) -> Vec<Box<[Row; ROWS]>> {
    let last = keys
        .len()
        .checked_sub(1)
        .expect("tables are built for at least one key");
    let (x, y) = load_keys(cpu, &[0, 1, 2, 3, 4, 5, 6, 7].map(|lane: usize| &keys[lane.min(last)]));
    let tables = tables(shape, &x, &y).into_iter().take(keys.len());
    tables
        .map(|rows| rows.into_boxed_slice().try_into().expect("the shape has ROWS rows"))
        .collect()
}

/// Everything that decides before the curve: `None` is invalid.
fn prepare<'a>(index: usize, job: &Job<'a, Lanes8>) -> Option<Prepared<'a>> {
    let (r, s) = job.signature.as_bytes().split_first_chunk::<32>()?;
    let s = words(s.try_into().ok()?);
    if !is_reduced(&s) || *r == IDENTITY {
        return None;
    }
    let message = Message {
        r,
        key: &job.key.bytes,
        body: job.message,
    };
    Some(Prepared {
        job: index,
        key: job.key,
        message,
        s,
        k: [0; 4],
    })
}

/// Sets the k of all.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn hash_all(cpu: Cpu, prepared: &mut [Prepared<'_>]) {
    for group in prepared.chunks_mut(8) {
        let mut messages = [group[0].message; 8];
        for (message, member) in messages.iter_mut().zip(group.iter()) {
            *message = member.message;
        }
        let hashes = sha512(cpu, &messages);
        for (member, hash) in group.iter_mut().zip(&hashes) {
            member.k = reduce_wide(hash);
        }
    }
}

/// Eight signatures after the multiplication, to be compared with R.
struct Computed {
    members: Members,
    point: Point,
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn judge(engine: &Lanes8, jobs: &[Job<'_, Lanes8>], valid: &mut [bool]) {
    let Lanes8 { cpu, base, .. } = *engine;
    valid.fill(false);
    let mut prepared: Vec<Prepared<'_>> = Vec::with_capacity(jobs.len());
    prepared.extend(jobs.iter().enumerate().filter_map(|(index, job)| prepare(index, job)));
    let tiers = Tiers::of(jobs, &prepared);
    for member in tiers.take_few(&mut prepared) {
        valid[member] = engine.by_dalek(&jobs[member]);
    }
    hash_all(cpu, &mut prepared);
    let (mut hot, mut warm, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for (index, member) in prepared.iter().enumerate() {
        match tiers.table(member) {
            Table::Hot(table) => hot.push((index, *table)),
            Table::Warm(table) => warm.push((index, *table)),
            Table::None => bare.push(index),
        }
    }
    let mut computed = Vec::with_capacity(jobs.len() / 8 + 6);
    by_tables::<HOT_ROWS, 8, 2, 32>(cpu, base, &prepared, &hot, &mut computed);
    by_tables::<WARM_ROWS, 5, 1, 51>(cpu, base, &prepared, &warm, &mut computed);
    for group in bare.chunks(8) {
        computed.push(bare_keys(cpu, base, &prepared, fill(group)));
    }
    compare(cpu, &prepared, &computed, valid);
}

/// With which table each signature is judged.
struct Tiers<'a> {
    jobs: &'a [Job<'a, Lanes8>],
    /// Only one of the keys has a small table: it is judged without.
    warm_is_alone: bool,
}

impl<'a> Tiers<'a> {
    fn of(jobs: &'a [Job<'a, Lanes8>], prepared: &[Prepared<'_>]) -> Self {
        let is_warm = |member: &&Prepared<'_>| matches!(jobs[member.job].table, Table::Warm(_));
        let warm_is_alone = prepared.iter().filter(is_warm).count() == 1;
        Self { jobs, warm_is_alone }
    }

    fn table(&self, member: &Prepared<'_>) -> &'a Table<'a, Lanes8> {
        match &self.jobs[member.job].table {
            Table::Warm(_) if self.warm_is_alone => &Table::None,
            table => table,
        }
    }

    /// Takes out those that would fill at most [`FEW`] lanes of the last group without tables, before anything is spent on
    /// them, and gives their jobs.
    fn take_few(&self, prepared: &mut Vec<Prepared<'_>>) -> Vec<usize> {
        let is_bare = |member: &Prepared<'_>| matches!(self.table(member), Table::None);
        let few = prepared.iter().filter(|member| is_bare(member)).count() % 8;
        let mut taken = Vec::new();
        while few <= FEW && taken.len() < few {
            let last = prepared.iter().rposition(is_bare).expect("there are as many");
            taken.push(prepared.remove(last).job);
        }
        taken
    }
}

/// Eight members of a group of 1 to 8: the last one fills the lanes that are left, and is judged there once more.
#[inline(always)]
fn fill<T: Copy>(group: &[T]) -> [T; 8] {
    let last = group.len() - 1;
    let mut members = [group[last]; 8];
    members[..=last].copy_from_slice(group);
    members
}

/// Keys with tables, sixteen at a time as long as there are more than eight.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn by_tables<const ROWS: usize, const T: usize, const V: usize, const N: usize>(
    cpu: Cpu,
    base: &[Row; BASE_ROWS],
    prepared: &[Prepared<'_>],
    members: &[(usize, &[Row; ROWS])],
    computed: &mut Vec<Computed>,
) {
    for sixteen in members.chunks(16) {
        if let Some((first, second)) = sixteen.split_at_checked(8).filter(|(_, second)| !second.is_empty()) {
            let lanes = [
                table_lanes::<ROWS, T, V, N>(prepared, &fill(first)),
                table_lanes::<ROWS, T, V, N>(prepared, &fill(second)),
            ];
            let [one, two] = comb::<2, ROWS, V, N>(cpu, &lanes, base);
            computed.push(Computed {
                members: indices(&fill(first)),
                point: one,
            });
            computed.push(Computed {
                members: indices(&fill(second)),
                point: two,
            });
        } else {
            let [point] = comb::<1, ROWS, V, N>(cpu, &[table_lanes::<ROWS, T, V, N>(prepared, &fill(sixteen))], base);
            computed.push(Computed {
                members: indices(&fill(sixteen)),
                point,
            });
        }
    }
}

#[inline(always)]
fn indices<T: Copy>(members: &[(usize, T); 8]) -> Members {
    let mut indices = [0; 8];
    for (index, member) in indices.iter_mut().zip(members) {
        *index = member.0;
    }
    indices
}

/// The tables and digits of eight signatures.
#[inline(always)]
fn table_lanes<'t, const ROWS: usize, const T: usize, const V: usize, const N: usize>(
    prepared: &[Prepared<'_>],
    members: &[(usize, &'t [Row; ROWS]); 8],
) -> Lanes<'t, ROWS, N> {
    let mut tables = [members[0].1; 8];
    for (table, member) in tables.iter_mut().zip(members) {
        *table = member.1;
    }
    let (k, s) = scalars(prepared, &indices(members));
    Lanes {
        tables,
        digits: Digits::new::<T, V>(&k),
        base_digits: Digits::new::<{ BASE.teeth }, 1>(&s),
    }
}

/// k and S of eight signatures.
#[inline(always)]
fn scalars(prepared: &[Prepared<'_>], members: &Members) -> ([[u64; 4]; 8], [[u64; 4]; 8]) {
    let (mut k, mut s) = ([[0; 4]; 8], [[0; 4]; 8]);
    for (lane, member) in members.iter().enumerate() {
        k[lane] = prepared[*member].k;
        s[lane] = prepared[*member].s;
    }
    (k, s)
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn bare_keys(cpu: Cpu, base: &[Row; BASE_ROWS], prepared: &[Prepared<'_>], members: Members) -> Computed {
    let (x, y) = load_keys(cpu, &members.map(|member| prepared[member].key));
    let rows = projective_rows(&COLD, &Point::from_affine(&x, &y));
    let (k, s) = scalars(prepared, &members);
    let digits = Digits::new::<{ COLD.teeth }, 1>(&k);
    let point = cold(cpu, &rows, &digits, base, &Digits::new::<{ BASE.teeth }, 1>(&s));
    Computed { members, point }
}

/// Compares the encodings of the points with the bytes of R: y limb by limb, x by its lowest bit.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn compare(cpu: Cpu, prepared: &[Prepared<'_>], computed: &[Computed], valid: &mut [bool]) {
    if computed.is_empty() {
        return;
    }
    let mut inverses: Vec<Field> = computed.iter().map(|group| group.point.z).collect();
    invert_all(cpu, &mut inverses);
    for (group, inverse) in computed.iter().zip(&inverses) {
        let (x, y) = group.point.affine(inverse);
        let mut encodings = [prepared[group.members[0]].message.r; 8];
        for (encoding, member) in encodings.iter_mut().zip(&group.members) {
            *encoding = prepared[*member].message.r;
        }
        // The encoding's y is taken as it is, not reduced: a non-canonical R equals no canonical y.
        let (expected, signs): (Field, Mask) = load_encodings(cpu, &encodings);
        let equal = y.canonical().same_limbs(&expected) & !(x.canonical().odd() ^ signs);
        for (lane, member) in group.members.iter().enumerate() {
            valid[prepared[*member].job] = equal >> lane & 1 == 1;
        }
    }
}
