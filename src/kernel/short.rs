//! Rows of at most 32 elements: `N` of them at once, a row in each lane, a column behind the other.
//!
//! What [`walk`](crate::lane::walk) adds up lane by lane, chunk after chunk, is here added up row by row, column after column,
//! in the same order: quads of 4, blocks of 8, and two-sum between blocks. A row has the same bits whichever rows are beside
//! it, and on however many lanes.

use super::{RowMap, Table};
use crate::Rows;
use crate::lane::{COLUMNS, Grid, Lane, counted, two_sum};
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
    // The commonest heads have code of their own, without loops over columns.
    match table.as_rows().classes() {
        2 if L::N > 4 => of_classes(l, table, 2, &mut f),
        10 if L::N > 4 => of_classes(l, table, 10, &mut f),
        classes => of_classes(l, table, classes, &mut f),
    }
}

#[inline(always)]
fn of_classes<L: Lane, T: Table, F: FnMut(usize, Rows<'_>, &mut [L::V])>(
    l: L,
    table: &mut T,
    classes: usize,
    f: &mut F,
) {
    let rows = table.as_rows().rows();
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

/// Rows from `row` on; where there are no more, anything.
#[inline(always)]
fn load<L: Lane>(l: L, rows: Rows<'_>, row: usize, columns: &mut [L::V]) {
    let (data, stride) = rows.data_from(row);
    // A row that is alone is loaded into all lanes, which is faster than to fill them with something else.
    let (stride, rows) = if rows.rows() - row == 1 { (0, L::N) } else { (stride, rows.rows() - row) };
    let at = Grid { stride, rows, width: COLUMNS };
    let (fours, rest) = columns.as_chunks_mut();
    let mut start = 0;
    for four in fours {
        *four = l.columns(data.get(start..).unwrap_or_default(), at);
        start += COLUMNS;
    }
    if !rest.is_empty() {
        let four = l.columns(data.get(start..).unwrap_or_default(), Grid { width: rest.len(), ..at });
        for (to, column) in rest.iter_mut().zip(four) {
            *to = column;
        }
    }
}

#[inline(always)]
fn store<L: Lane>(l: L, columns: &[L::V], data: &mut [f32], stride: usize, rows: usize) {
    let at = Grid { stride, rows, width: COLUMNS };
    let (fours, rest) = columns.as_chunks();
    let mut start = 0;
    for four in fours {
        l.store_columns(*four, data.get_mut(start..).unwrap_or_default(), at);
        start += COLUMNS;
    }
    if !rest.is_empty() {
        let mut four = [l.splat(0.0); COLUMNS];
        for (to, column) in four.iter_mut().zip(rest) {
            *to = *column;
        }
        l.store_columns(four, data.get_mut(start..).unwrap_or_default(), Grid { width: rest.len(), ..at });
    }
}

/// The maximum of each row, as what to subtract from its elements: 0 for a row of -inf.
#[inline(always)]
pub(super) fn shift_of<L: Lane>(l: L, columns: &[L::V]) -> L::V {
    let lowest = l.splat(f32::NEG_INFINITY);
    let (mut even, mut odd) = (lowest, lowest);
    let (pairs, last) = columns.as_chunks::<2>();
    for &[a, b] in pairs {
        (even, odd) = (l.max(a, even), l.max(b, odd));
    }
    for &last in last {
        even = l.max(last, even);
    }
    let m = l.max(even, odd);
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
        let (fours, rest) = block.as_chunks_mut::<COLUMNS>();
        for [a, b, c, d] in fours {
            let exps = [exp(a), exp(b), exp(c), exp(d)];
            part = l.add(part, four_terms(l, exps, one, &mut ones));
        }
        if let [a, rest @ ..] = rest {
            let mut exps = [exp(a), zero, zero, zero];
            for (e, x) in exps.iter_mut().skip(1).zip(rest) {
                *e = exp(x);
            }
            part = l.add(part, four_terms(l, exps, one, &mut ones));
        }
        let (sum, error) = two_sum(l, hi, part);
        (hi, lo) = (sum, l.add(lo, error));
    }
    l.add(l.sub(ones, l.splat(1.0)), l.mul(l.add(hi, lo), l.splat(OVER_TWO_64)))
}

/// The sum of four exponentials, but of those that are `one`, which are counted.
#[inline(always)]
fn four_terms<L: Lane>(l: L, exps: [L::V; COLUMNS], one: L::V, ones: &mut L::V) -> L::V {
    let mut terms = exps;
    for term in &mut terms {
        *term = counted(l, *term, one, ones);
    }
    let [a, b, c, d] = terms;
    l.add(l.add(a, b), l.add(c, d))
}
