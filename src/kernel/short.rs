//! Rows of at most 32 elements: `N` of them at once, a row in each lane, a column behind the other.
//!
//! What [`walk`](crate::lane::walk) adds up lane by lane, chunk after chunk, is here added up row by row, column after
//! column, in the same order: quads of 4, blocks of 8, and two-sum between blocks. A row has the same bits whichever
//! rows are beside it, and on however many lanes.

use super::{RowMap, Table};
use crate::Rows;
use crate::lane::{COLUMNS, Four, Grid, Group, Lane, counted, two_sum};
use crate::math::{OVER_TWO_64, TWO_64, exp_nonpos_times_2_64};

/// Elements of the longest row that is taken this way.
pub(super) const LONGEST: usize = 32;

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
pub(super) fn for_each_group<L: Lane>(
    l: L,
    table: &mut Table<'_>,
    unrolled: bool,
    mut f: impl FnMut(usize, Rows<'_>, &mut [L::V]),
) {
    // The commonest heads have code of their own, without loops over columns, if it is not too long for that.
    match table.as_rows().classes() {
        2 if unrolled && L::N > 4 => of_classes::<L, 2>(l, table, 2, &mut f),
        10 if unrolled && L::N > 4 => of_classes::<L, 10>(l, table, 10, &mut f),
        classes => of_classes::<L, LONGEST>(l, table, classes, &mut f),
    }
}

#[inline(always)]
fn of_classes<L: Lane, const MOST: usize>(
    l: L,
    table: &mut Table<'_>,
    classes: usize,
    f: &mut impl FnMut(usize, Rows<'_>, &mut [L::V]),
) {
    let rows = table.as_rows().rows();
    let mut columns = [l.splat(0.0); MOST];
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
pub(super) fn load<L: Lane>(l: L, rows: Rows<'_>, row: usize, columns: &mut [L::V]) {
    let (data, stride) = rows.data_from(row);
    let rows = rows.rows() - row;
    if rows == 1 {
        // Into all lanes, which is faster than to fill the others with something else.
        for (i, column) in columns.iter_mut().enumerate() {
            *column = l.splat(data.get(i).copied().unwrap_or_default());
        }
        return;
    }
    l.columns(data, Grid { stride, rows }, columns);
}

#[inline(always)]
fn store<L: Lane>(l: L, columns: &[L::V], data: &mut [f32], stride: usize, rows: usize) {
    if rows == 1 {
        for (i, &column) in columns.iter().enumerate() {
            if let Some(to) = data.get_mut(i) {
                *to = l.first(column);
            }
        }
        return;
    }
    l.store_columns(columns, data, Grid { stride, rows });
}

/// The maximum of each row, as [`Peak`](crate::lane::Peak) has it.
#[inline(always)]
pub(super) fn max<L: Lane>(l: L, columns: &[L::V]) -> L::V {
    let lowest = l.splat(f32::MIN);
    let (mut even, mut odd) = (lowest, lowest);
    let (pairs, last) = columns.as_chunks::<2>();
    for &[a, b] in pairs {
        (even, odd) = (l.max(a, even), l.max(b, odd));
    }
    for &last in last {
        even = l.max(last, even);
    }
    // + 0.0: one zero, not the one that was seen last.
    l.add(l.max(even, odd), l.splat(0.0))
}

/// What a pass over columns does with one of them, or with four side by side.
pub(super) trait Terms<L: Lane> {
    /// What the columns become, and what of them is added up. `first` is the number of the first.
    fn of<G: Group<L>>(&mut self, g: G, first: usize, x: G::V) -> (G::V, G::V);
}

/// The sum over the columns.
#[inline(always)]
pub(super) fn sum<L: Lane>(l: L, columns: &mut [L::V], terms: &mut impl Terms<L>) -> L::V {
    let zero = l.splat(0.0);
    let (mut part, mut hi, mut lo) = (zero, zero, zero);
    let (fours, rest) = columns.as_chunks_mut();
    let end = fours.len() * COLUMNS;
    for (i, four) in fours.iter_mut().enumerate() {
        part = l.add(part, sum_of_four(l, four, i * COLUMNS, terms));
        if i == 1 {
            // The first block: nothing is lost.
            (part, hi) = (zero, part);
        } else if i % 2 == 1 {
            let (sum, error) = two_sum(l, hi, part);
            (part, hi, lo) = (zero, sum, l.add(lo, error));
        }
    }
    let mut last = [zero; COLUMNS];
    for (i, x) in rest.iter_mut().enumerate() {
        if let Some(last) = last.get_mut(i) {
            (*x, *last) = terms.of(l, end + i, *x);
        }
    }
    part = l.add(part, Four(l).sum(last));
    if end < 2 * COLUMNS {
        return part;
    }
    let (sum, error) = two_sum(l, hi, part);
    lo = l.add(lo, error);
    // As in a longer row, an infinite sum is right without its errors.
    l.select(l.eq(lo, lo), l.add(sum, lo), sum)
}

#[inline(always)]
fn sum_of_four<L: Lane>(l: L, columns: &mut [L::V; COLUMNS], first: usize, terms: &mut impl Terms<L>) -> L::V {
    let mut added = [l.splat(0.0); COLUMNS];
    if L::N > 1 {
        (*columns, added) = terms.of(Four(l), first, *columns);
    } else {
        // Where there is one lane, size counts.
        for (i, x) in columns.iter_mut().enumerate() {
            if let Some(added) = added.get_mut(i) {
                (*x, *added) = terms.of(l, first + i, *x);
            }
        }
    }
    Four(l).sum(added)
}

/// `2^64 exp(x - m)`, but where it is 1, which is counted.
struct Exps<L: Lane> {
    m: L::V,
    ones: L::V,
    /// Whether the columns become their exponentials.
    keep: bool,
}

impl<L: Lane> Terms<L> for Exps<L> {
    #[inline(always)]
    fn of<G: Group<L>>(&mut self, g: G, _: usize, x: G::V) -> (G::V, G::V) {
        let e = exp_nonpos_times_2_64(g, g.sub(x, g.repeat(self.m)));
        let mut new = g.splat(0.0);
        let term = counted(g, e, g.splat(TWO_64), &mut new);
        self.ones = g.lane().add(self.ones, g.sum(new));
        (if self.keep { e } else { x }, term)
    }
}

/// r of each row, (1) of [`softmax`](super::softmax). `2^64 exp(x - m)` is left in the columns if it is to be kept.
#[inline(always)]
pub(super) fn rest<L: Lane>(l: L, columns: &mut [L::V], m: L::V, keep: bool) -> L::V {
    let mut exps = Exps { m, ones: l.splat(0.0), keep };
    let sum = sum(l, columns, &mut exps);
    l.add(l.sub(exps.ones, l.splat(1.0)), l.mul(sum, l.splat(OVER_TWO_64)))
}
