//! Rows of at most 32 elements: `N` of them at once, a row in each lane, a column behind the other.
//!
//! What [`walk`](crate::lane::walk) adds up lane by lane, chunk after chunk, is here added up row by row, column after column,
//! in the same order: quads of 4, blocks of 8, and two-sum between blocks. A row has the same bits whichever rows are beside
//! it, and on however many lanes.

use super::{RowMap, Table};
use crate::Rows;
use crate::lane::{COLUMNS, LANES, Lane, two_sum};
use crate::math::{OVER_TWO_64, TWO_64};

/// Elements of the longest row that is taken this way.
const LONGEST: usize = 32;

/// What an activation does to short rows.
pub(crate) trait Short: RowMap {
    /// `row` is the first of those in `columns`.
    fn columns<L: Lane>(&self, l: L, row: usize, columns: &mut [L::V]);
}

/// Whether the rows of a table are taken this way.
pub(super) fn are_short(rows: Rows<'_>) -> bool {
    (1..=LONGEST).contains(&rows.classes())
}

/// Gives `f` the columns of all rows, `N` rows at a time, with the number of the first and the table as it stands, and
/// writes what it leaves in the columns.
#[inline(always)]
pub(super) fn for_each_group<L: Lane, T: Table>(l: L, table: &mut T, mut f: impl FnMut(usize, Rows<'_>, &mut [L::V])) {
    let (rows, classes) = (table.as_rows().rows(), table.as_rows().classes());
    let mut columns = [l.splat(0.0); LONGEST];
    let Some(columns) = columns.get_mut(..classes) else { return };
    for row in (0..rows).step_by(L::N) {
        load(l, table.as_rows(), row, columns);
        f(row, table.as_rows(), columns);
        if let Some((data, stride)) = table.write_from(row) {
            store(l, columns, data, stride, rows - row);
        }
    }
}

/// Four columns of `N` rows.
type Four = [f32; LANES * COLUMNS];

/// Rows from `row` on; where there are no more, anything.
#[inline(always)]
fn load<L: Lane>(l: L, rows: Rows<'_>, row: usize, columns: &mut [L::V]) {
    let (data, stride) = rows.data_from(row);
    let count = (rows.rows() - row).min(L::N);
    for (four, columns) in columns.chunks_mut(COLUMNS).enumerate() {
        let from = data.get(four * COLUMNS..).unwrap_or_default();
        // Beyond the last column, the next elements are loaded and dropped.
        let loaded = if count == L::N && from.len() >= (L::N - 1).saturating_mul(stride).saturating_add(COLUMNS) {
            l.columns(from, stride)
        } else if count == 1 {
            let mut scratch = [0.0; COLUMNS];
            copy_rows(from, stride, &mut scratch, COLUMNS, count, columns.len());
            l.columns(&scratch, 0)
        } else {
            let mut scratch: Four = [0.0; LANES * COLUMNS];
            copy_rows(from, stride, &mut scratch, COLUMNS, count, columns.len());
            l.columns(&scratch, COLUMNS)
        };
        for (to, column) in columns.iter_mut().zip(loaded) {
            *to = column;
        }
    }
}

#[inline(always)]
fn store<L: Lane>(l: L, columns: &[L::V], data: &mut [f32], stride: usize, rows: usize) {
    let count = rows.min(L::N);
    for (four, columns) in columns.chunks(COLUMNS).enumerate() {
        let to = data.get_mut(four * COLUMNS..).unwrap_or_default();
        if let (Ok(columns), true) = (columns.try_into(), count == L::N) {
            l.store_columns(columns, to, stride);
        } else {
            let mut padded = [l.splat(0.0); COLUMNS];
            for (to, column) in padded.iter_mut().zip(columns) {
                *to = *column;
            }
            let mut scratch: Four = [0.0; LANES * COLUMNS];
            l.store_columns(padded, &mut scratch, COLUMNS);
            copy_rows(&scratch, COLUMNS, to, stride, count, columns.len());
        }
    }
}

/// Copies the first `width` elements, at most 4, of each row.
#[inline(always)]
fn copy_rows(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize, rows: usize, width: usize) {
    #[inline(always)]
    fn copy<const WIDTH: usize>(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize, rows: usize) {
        for row in 0..rows {
            let from = from.get(row * from_stride..).and_then(|row| row.first_chunk::<WIDTH>());
            let to = to.get_mut(row * to_stride..).and_then(|row| row.first_chunk_mut::<WIDTH>());
            if let (Some(from), Some(to)) = (from, to) {
                *to = *from;
            }
        }
    }
    // A copy of known width is a move or two.
    match width {
        1 => copy::<1>(from, from_stride, to, to_stride, rows),
        2 => copy::<2>(from, from_stride, to, to_stride, rows),
        3 => copy::<3>(from, from_stride, to, to_stride, rows),
        _ => copy::<4>(from, from_stride, to, to_stride, rows),
    }
}

/// The maximum of each row, as what to subtract from its elements: 0 for a row of -inf.
#[inline(always)]
pub(super) fn shift_of<L: Lane>(l: L, columns: &[L::V]) -> L::V {
    let lowest = l.splat(f32::NEG_INFINITY);
    let mut m = lowest;
    for &x in columns {
        m = l.max(x, m);
    }
    // + 0.0: one zero, not the one that was seen last.
    l.select(l.eq(m, lowest), l.splat(0.0), l.add(m, l.splat(0.0)))
}

/// r of each row, (1) of [`softmax`](super::softmax), from what `exp` makes of each column: `2^64 exp(x - shift)`.
#[inline(always)]
pub(super) fn rest<L: Lane>(l: L, columns: &mut [L::V], exp: impl Fn(&mut L::V) -> L::V) -> L::V {
    let (zero, one) = (l.splat(0.0), l.splat(TWO_64));
    let (mut ones, mut hi, mut lo) = (zero, zero, zero);
    for block in columns.chunks_mut(2 * COLUMNS) {
        let mut part = zero;
        for four in block.chunks_mut(COLUMNS) {
            let mut terms = [zero; COLUMNS];
            for (x, term) in four.iter_mut().zip(&mut terms) {
                let e = exp(x);
                let is_one = l.eq(e, one);
                ones = l.add(ones, l.select(is_one, l.splat(1.0), zero));
                *term = l.select(is_one, zero, e);
            }
            let [a, b, c, d] = terms;
            part = l.add(part, l.add(l.add(a, b), l.add(c, d)));
        }
        let (sum, error) = two_sum(l, hi, part);
        (hi, lo) = (sum, l.add(lo, error));
    }
    l.add(l.sub(ones, l.splat(1.0)), l.mul(l.add(hi, lo), l.splat(OVER_TWO_64)))
}
