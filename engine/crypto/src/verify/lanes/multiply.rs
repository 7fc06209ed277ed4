//! `[S]B − [k]A` in eight lanes: doublings shared by the comb of A and the comb of the base point.

use super::super::comb::{Digits, Shape};
use super::point::{Affine, Point, add_all, add_cached, double_all};
use super::row::{ProjectiveRows, Row, load_rows, prefetch_row};
use super::vector::Cpu;

/// The comb of the base point, shared by all: 2^15 rows, 3 MiB, 16 additions.
pub(super) const BASE: Shape = Shape::new(16, 1, BASE_COLUMNS);
pub(super) const BASE_COLUMNS: usize = 16;
pub(super) const BASE_ROWS: usize = BASE.rows();
/// The comb of a hot key: 256 rows, 24 KiB, 16 doublings and 32 additions.
pub(super) const HOT: Shape = Shape::new(8, 2, 16);
pub(in super::super) const HOT_ROWS: usize = HOT.rows();
/// The comb of a warm key: 16 rows, 1.5 KiB, 51 doublings and 51 additions.
pub(super) const WARM: Shape = Shape::new(5, 1, 51);
pub(in super::super) const WARM_ROWS: usize = WARM.rows();

/// The comb of a cold key, built for one use and never normalised.
pub(super) const COLD: Shape = WARM;
/// Rows of a hot key.
pub(in super::super) type HotTable = [Row; HOT_ROWS];
/// Rows of a warm key.
pub(in super::super) type WarmTable = [Row; WARM_ROWS];

/// Columns that rows are asked for ahead of their use: a column takes longer than a read of memory, and rows that wait take
/// up the first-level cache (12 KiB for two groups and two columns of a hot table).
const AHEAD: usize = 2;

/// The rows of one column in each lane.
#[inline(always)]
fn pick<'a, const ROWS: usize, const N: usize>(
    tables: &[&'a [Row; ROWS]; 8],
    digits: &Digits<N>,
    first_row: usize,
    column: usize,
) -> [&'a Row; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| &tables[lane][first_row + digits.row(lane, column)])
}

/// What one group of eight signatures brings to [`comb`].
pub(super) struct Lanes<'a, const ROWS: usize, const N: usize> {
    /// Lane l's table, of its key's point.
    pub(super) tables: [&'a [Row; ROWS]; 8],
    pub(super) digits: Digits<N>,
    pub(super) base_digits: Digits<BASE_COLUMNS>,
}

impl<const ROWS: usize, const N: usize> Lanes<'_, ROWS, N> {
    #[inline(always)]
    fn prefetch_key<const V: usize>(&self, comb: usize, column: usize) {
        for row in pick(&self.tables, &self.digits, comb * (ROWS / V), comb * (N / V) + column) {
            prefetch_row(row);
        }
    }

    #[inline(always)]
    fn prefetch_base(&self, base: &[Row; BASE_ROWS], column: usize) {
        for row in pick(&[base; 8], &self.base_digits, 0, column) {
            prefetch_row(row);
        }
    }

    #[inline(always)]
    fn key_summand<const V: usize>(&self, cpu: Cpu, comb: usize, column: usize) -> Affine {
        let at = comb * (N / V) + column;
        load_rows(
            cpu,
            &pick(&self.tables, &self.digits, comb * (ROWS / V), at),
            self.digits.negative(at),
        )
    }

    #[inline(always)]
    fn base_summand(&self, cpu: Cpu, base: &[Row; BASE_ROWS], column: usize) -> Affine {
        load_rows(
            cpu,
            &pick(&[base; 8], &self.base_digits, 0, column),
            self.base_digits.negative(column),
        )
    }
}

/// `[k]P + [s]B` for G groups, where lane l's P is the point of `tables[l]`, a table of shape (T, V, E) with
/// ROWS = V·2^(T−1) and N = V·E.
///
/// Rows are asked for before each addition, those that the same addition needs [`AHEAD`] columns on. A core keeps some two
/// dozen lines under way; all 96 of a column at once made it wait until most had come.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn comb<const G: usize, const ROWS: usize, const V: usize, const N: usize>(
    cpu: Cpu,
    groups: &[Lanes<'_, ROWS, N>; G],
    base: &[Row; BASE_ROWS],
) -> [Point; G] {
    let columns = N / V;
    for column in columns - AHEAD..columns {
        for group in groups {
            (0..V).for_each(|comb| group.prefetch_key::<V>(comb, column));
            if column < BASE_COLUMNS {
                group.prefetch_base(base, column);
            }
        }
    }
    let mut points = [Point::identity(cpu); G];
    let mut summands = [Affine::identity(cpu); G];
    for column in (0..columns).rev() {
        for comb in 0..V {
            if column >= AHEAD {
                groups
                    .iter()
                    .for_each(|group| group.prefetch_key::<V>(comb, column - AHEAD));
            }
            if comb == 0 && column + 1 < columns {
                double_all(&mut points);
            }
            for (summand, group) in summands.iter_mut().zip(groups) {
                *summand = group.key_summand::<V>(cpu, comb, column);
            }
            add_all(&mut points, &summands);
        }
        if (AHEAD..AHEAD + BASE_COLUMNS).contains(&column) {
            groups
                .iter()
                .for_each(|group| group.prefetch_base(base, column - AHEAD));
        }
        if column < BASE_COLUMNS {
            for (summand, group) in summands.iter_mut().zip(groups) {
                *summand = group.base_summand(cpu, base, column);
            }
            add_all(&mut points, &summands);
        }
    }
    points
}

/// [`comb`] for one group of keys without tables: `rows` were built for this use.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn cold(
    cpu: Cpu,
    rows: &ProjectiveRows,
    digits: &Digits<{ COLD.tooth_bits() }>,
    base: &[Row; BASE_ROWS],
    base_digits: &Digits<BASE_COLUMNS>,
) -> Point {
    let mut points = [Point::identity(cpu)];
    for column in (0..COLD.columns).rev() {
        if column + 1 < COLD.columns {
            double_all(&mut points);
        }
        let mut chosen = [0; 8];
        for (lane, row) in chosen.iter_mut().enumerate() {
            *row = digits.row(lane, column);
        }
        points[0] = add_cached(&points[0], &rows.load(cpu, &chosen, digits.negative(column)));
        if column < BASE_COLUMNS {
            let summand = load_rows(
                cpu,
                &pick(&[base; 8], base_digits, 0, column),
                base_digits.negative(column),
            );
            add_all(&mut points, &[summand]);
        }
    }
    points[0]
}
