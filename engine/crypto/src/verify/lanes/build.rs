//! Tables, built for eight points at a time: one doubling chain, one addition per row, one inversion for all rows.

use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;

use super::super::comb::Shape;
use super::decompress::{decompress, load_encodings};
use super::field::Field;
use super::multiply::{BASE, BASE_ROWS};
use super::point::{Affine, Cached, Point};
use super::power::invert_all;
use super::row::{ProjectiveRows, Row, store_rows};
use super::vector::Cpu;

/// The sign combinations of one comb whose teeth are given: row m is `A_(T−1) ± …`, plus where bit i of m is set. `teeth[i]`
/// is `A_i` and `doubled[i]` is `2·A_i`; the topmost comes as the point `top`.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn combinations(top: &Point, teeth: &[Cached], doubled: &[Cached], rows: &mut Vec<Point>) {
    let start = rows.len();
    let mut lowest = *top;
    for tooth in teeth {
        lowest = lowest.add_cached(&tooth.negate_in(0xff));
    }
    rows.push(lowest);
    for step in doubled {
        for index in start..rows.len() {
            let next = rows[index].add_cached(step);
            rows.push(next);
        }
    }
}

/// Row `v·2^(T−1) + m` of the table of each lane's point, in extended coordinates.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn projective_table(shape: &Shape, point: &Point) -> Vec<Point> {
    let last = shape.teeth - 1;
    let mut teeth: Vec<Vec<Cached>> = vec![Vec::with_capacity(last); shape.combs];
    let mut doubled = teeth.clone();
    let mut rows = Vec::with_capacity(shape.rows());
    let mut power = *point;
    for tooth in 0..shape.teeth {
        for comb in 0..shape.combs {
            if tooth == last {
                combinations(&power, &teeth[comb], &doubled[comb], &mut rows);
                if comb + 1 < shape.combs {
                    power = double_times(&power, shape.columns);
                }
                continue;
            }
            teeth[comb].push(power.cached());
            let next = power.double();
            doubled[comb].push(next.cached());
            power = double_times(&next, shape.columns - 1);
        }
    }
    rows
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn double_times(point: &Point, times: usize) -> Point {
    (0..times).fold(*point, |point, _| point.double())
}

/// The rows of one use: [`projective_table`] as summands.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn projective_rows(shape: &Shape, point: &Point) -> ProjectiveRows {
    let mut summands = Vec::with_capacity(shape.rows());
    for row in projective_table(shape, point) {
        summands.push(row.cached());
    }
    ProjectiveRows::new(point.z.cpu(), &summands)
}

/// The table of the base point. Its 2^15 rows are shared out to the lanes: lane l makes those whose three highest bits are l.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn base_table(cpu: Cpu) -> Box<[Row; BASE_ROWS]> {
    let bytes = ED25519_BASEPOINT_COMPRESSED.as_bytes();
    let (x, _) = decompress(cpu, &[bytes; 8]);
    let (y, _) = load_encodings(cpu, &[bytes; 8]);
    let last = BASE.teeth - 1;
    let (mut teeth, mut doubled) = (Vec::new(), Vec::new());
    let mut power = Point::from_affine(&x, &y);
    for _ in 0..last {
        teeth.push(power.cached());
        let next = power.double();
        doubled.push(next.cached());
        power = double_times(&next, BASE.columns - 1);
    }
    // Lanes whose number lacks bit 0, 1, 2.
    for (tooth, lacking) in teeth[last - 3..].iter().zip([0b0101_0101, 0b0011_0011, 0b0000_1111]) {
        power = power.add_cached(&tooth.negate_in(lacking));
    }
    let mut points = Vec::with_capacity(BASE_ROWS / 8);
    combinations(&power, &teeth[..last - 3], &doubled[..last - 3], &mut points);
    normalise(cpu, &points)
        .concat()
        .into_boxed_slice()
        .try_into()
        .expect("eight lanes make all rows")
}

/// The tables of eight points, given by canonical affine coordinates, as rows ready to be added: `shape.rows()` each.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn tables(shape: &Shape, x: &Field, y: &Field) -> [Vec<Row>; 8] {
    normalise(x.cpu(), &projective_table(shape, &Point::from_affine(x, y)))
}

/// The rows of each lane's points.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
fn normalise(cpu: Cpu, points: &[Point]) -> [Vec<Row>; 8] {
    let mut inverses: Vec<Field> = points.iter().map(|point| point.z).collect();
    invert_all(cpu, &mut inverses);
    let mut tables = [(); 8].map(|()| Vec::with_capacity(points.len()));
    for (point, inverse) in points.iter().zip(&inverses) {
        let (x, y) = point.affine(inverse);
        for (table, row) in tables.iter_mut().zip(store_rows(&Affine::new(&x, &y))) {
            table.push(row);
        }
    }
    tables
}
