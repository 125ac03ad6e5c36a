//! Rows of at most a block: `N` of them at once, a row in each lane, a column behind the other. A row of 3 to 32
//! that is alone, or left over, lies along the lanes. What is said of columns in [`Columns`] and [`Terms`] is then true of the
//! vectors of that row.
//!
//! What [`walk`](crate::lane::walk) adds up lane by lane, chunk after chunk, is here added up row by row. Of up to 32
//! elements column after column, in the same order: quads of 4, blocks of 8, and two-sum between blocks. Of more, and in
//! losses that go row by row where they do not go this way, every 16th column belongs to a lane, and the lanes come
//! together as there: a row has the bits that it has alone. A row has the same bits whichever rows are beside it, and on
//! however many lanes.
//!
//! Of rows of two, the larger has the exponential 1, and only that of the other is found: [`rest_of_pair`], and the loss of
//! class indices. Rows of ten, the commonest heads, go four vectors of rows side by side where there are as many of at most
//! eight lanes, pass by pass but for the sums: one vector of rows alone is a chain of operations of which a processor's
//! window holds half.

mod layout;

use super::Table;
use super::batch::ROWS;
use super::softmax::{Ahead, rest_of_all};
use crate::Rows;
use crate::lane::{
    Arithmetic, BLOCK, COLUMNS, Eight, Four, Grid, Group, LANES, Lane, Op, Span, Stream, counted, place, two_sum,
};
use crate::math::{scaled_exp_of_minus, scaled_one};
use core::ops::Range;
pub(crate) use layout::Layout;
use layout::{Along, SideBySide};

/// Elements of the longest row that is always taken this way.
const SHORT: usize = 32;
/// Elements of the longest row that is taken this way where many are.
const LONGEST: usize = BLOCK;

/// What an activation does to short rows.
pub(crate) trait Short {
    /// As [`Columns::HAS_MAX`]. A row alone then waits, as in [`taken`].
    const HAS_MAX: bool;
    /// Whether it is made for [`for_each_block`] too.
    const TAKES_BLOCKS: bool = false;

    /// What it does to a long row.
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, ahead: Ahead<'_>);
    /// As [`Columns::further`].
    fn further(&self) -> Option<Rows<'_>> {
        None
    }
    /// As [`Columns::fill`].
    fn fill(&self) -> f32 {
        f32::NEG_INFINITY
    }
    /// As [`Columns::columns`].
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        r: R,
        layout: Y,
        first: usize,
        held: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<Self, L, R, Y>;
}

/// How many lanes the rows of a table fill. `waits` is as in [`taken`].
pub(super) fn width(rows: Rows<'_>, waits: bool) -> usize {
    match (rows.classes(), rows.rows()) {
        (1..=SHORT, rows) => rows,
        // More than half of eight lanes; fewer go one by one.
        (1..=LONGEST, rows @ 5..) if waits => rows,
        _ => usize::MAX,
    }
}

/// How many rows of a table are taken this way, from the first on: all short ones, and of longer ones those that fill
/// vectors. A row alone `waits` if its passes need a number that its lanes have to come together into: then more than half
/// of a vector is enough, and whole blocks are taken too where vectors are long.
#[inline(always)]
pub(super) fn taken<L: Lane>(rows: Rows<'_>, waits: bool) -> usize {
    let longest = if waits && L::N > 4 { LONGEST } else { LONGEST - 1 };
    match (rows.classes(), rows.rows()) {
        (1..=SHORT, rows) => rows,
        (classes, rows) if L::N > 1 && (1..=longest).contains(&classes) => {
            let more = rows % L::N;
            if waits && 2 * more > L::N { rows } else { rows - more }
        }
        _ => 0,
    }
}

/// What is done to the columns of many rows, a vector of them or some side by side.
pub(super) trait Columns {
    /// Whether it is short enough to be unrolled.
    const IS_UNROLLED: bool = false;
    /// Whether it takes the largest element of each row.
    const HAS_MAX: bool;
    /// Whether rows or classes may have weights other than 1.
    const HAS_WEIGHTS: bool = false;

    /// A table of the same shape that is read too.
    fn further(&self) -> Option<Rows<'_>> {
        None
    }
    /// What stands behind the end of a row along the lanes, so that its terms there are +0; 0 of a further table. None:
    /// a row alone does not go that way.
    fn fill(&self) -> Option<f32>;
    /// `first` is the number of the first row, and the table is as it stands. What it gives is for what is
    /// written.
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &mut self,
        r: R,
        layout: Y,
        first: usize,
        table: &Table<'_>,
        held: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<Self, L, R, Y>;
}

/// What vectors hold of some rows.
pub(crate) struct Held<'a, V> {
    /// The largest element of each row, if that is asked for.
    pub(super) max: V,
    pub(super) columns: &'a mut [V],
    /// The columns of the further table, if there is one, or as many to be used otherwise.
    pub(super) further: &'a mut [V],
}

/// What is to be done with a vector of a column before it is written, from its position in its group and the column.
pub(crate) trait Last<V>: Fn(usize, usize, V) -> V {}

impl<V, F: Fn(usize, usize, V) -> V> Last<V> for F {}

/// Columns that are as they should be.
#[inline(always)]
pub(super) fn unchanged<V>(_: usize, _: usize, column: V) -> V {
    column
}

/// Gives `f` the columns of these rows, the last of which is the last of those [`taken`], and writes what it leaves in them.
///
/// Each way has a function of its own, with registers and a stack of its own: all in one would also take several times
/// as long to compile. What is constant comes first, so that what is never called is not compiled.
#[inline(always)]
pub(super) fn for_each_group<L: Lane, F: Columns>(l: L, table: &mut Table<'_>, rows: Range<usize>, f: &mut F) {
    let classes = table.as_rows().classes();
    // A row that is left over has the lanes to itself, unless it is of two, which have formulas of their own, or of one.
    let end = rows.end;
    let fill = if L::N > 1 && end % L::N == 1 && (3..=SHORT).contains(&classes) { f.fill() } else { None };
    let (mut first, end) = (rows.start, end - usize::from(fill.is_some()));
    // What is pending of a batch has room for `ROWS`.
    if const { L::N > 1 && 4 * L::N <= ROWS }
        && classes == 2
        && first + 4 * L::N <= end
        && table.is_gapless_with(f.further())
    {
        first = l.apart(&mut RowsOfTwo::<_, true> { table, rows: first..end, f });
    }
    if first < end {
        // The commonest heads have code of their own, without loops over columns, if it is not too long for that.
        if const { L::N > 4 && F::IS_UNROLLED } && classes == 10 && table.is_gapless_with(f.further()) {
            l.apart(&mut SideBySideRows::<_, 10> { table, rows: first..end, f });
        } else if const { L::N > 1 } && classes > SHORT {
            l.apart(&mut SideBySideRows::<_, LONGEST> { table, rows: first..end, f });
        } else {
            apart(l, &mut SideBySideRows::<_, SHORT> { table, rows: first..end, f });
        }
    }
    if const { L::N > 1 }
        && let Some(fill) = fill
    {
        l.apart(&mut RowAlong { table, row: end, fill, f });
    }
}

/// Gives `f` the columns of whole blocks of the first rows, `end` of them, as [`for_each_group`] does. How many rows that
/// were.
#[inline(always)]
pub(super) fn for_each_block<L: Lane, F: Columns>(l: L, table: &mut Table<'_>, end: usize, f: &mut F) -> usize {
    // What is pending of a batch has room for `ROWS`.
    if const { L::N == 1 || 4 * L::N > ROWS } || end < 4 * L::N {
        return 0;
    }
    match table.as_rows().classes() {
        2 if const { F::HAS_WEIGHTS } && table.is_gapless_with(f.further()) => {
            l.apart(&mut RowsOfTwo::<_, false> { table, rows: 0..end, f })
        }
        10 if const { takes_block::<L>() } && table.is_gapless_with(f.further()) => {
            l.apart(&mut Blocks::<_, 10> { table, end, f })
        }
        _ => 0,
    }
}

/// Not where vectors are long, as has not been measured.
const fn takes_block<L: Lane>() -> bool {
    L::N <= 8
}

#[inline(always)]
fn apart<L: Lane, O: Op>(l: L, op: &mut O) -> O::Out {
    // Where there is one lane, size counts.
    if const { L::N == 1 } { op.run(l) } else { l.apart(op) }
}

/// A vector of rows at a time. Where room is for less than [`SHORT`], there is no more than needed, and no gaps.
struct SideBySideRows<'a, 't, F, const MOST: usize> {
    table: &'a mut Table<'t>,
    rows: Range<usize>,
    f: &'a mut F,
}

impl<F: Columns, const MOST: usize> Op for SideBySideRows<'_, '_, F, MOST> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        let Self { ref mut table, ref rows, ref mut f } = *self;
        let (end, classes) = (rows.end, if MOST < SHORT { MOST } else { table.as_rows().classes() });
        let (mut columns, mut further) = ([l.splat(0.0); MOST], [l.splat(0.0); MOST]);
        let (Some(columns), Some(further)) = (columns.get_mut(..classes), further.get_mut(..classes)) else { return };
        for row in rows.clone().step_by(L::N) {
            if MOST < SHORT {
                // Nothing of the last group is left in registers for this one.
                clear(l, columns);
                clear(l, further);
            }
            read::<L, MOST>(l, table.as_rows(), row, columns);
            if let Some(rows) = f.further() {
                read::<L, MOST>(l, rows, row, further);
            }
            let max = if F::HAS_MAX { max(l, SideBySide::<true>, columns) } else { l.splat(0.0) };
            let last = f.columns(l, SideBySide::<true>, row, table, Held { max, columns, further });
            if let Some((data, stride)) = table.write_from(row) {
                for (i, column) in columns.iter_mut().enumerate() {
                    *column = last(0, i, *column);
                }
                let stride = stride_of::<MOST>(stride);
                store::<L, MOST>(l, columns, data, Grid { stride, rows: end - row });
            }
        }
    }
}

/// Not by `fill`, as no columns here go by `zip`: where a build has no link-time optimisation, both are calls.
#[inline(always)]
#[allow(clippy::manual_slice_fill, reason = "as said")]
fn clear<L: Lane>(l: L, columns: &mut [L::V]) {
    for column in columns {
        *column = l.splat(0.0);
    }
}

/// A row along the lanes.
struct RowAlong<'a, 't, F> {
    table: &'a mut Table<'t>,
    row: usize,
    fill: f32,
    f: &'a mut F,
}

impl<F: Columns> Op for RowAlong<'_, '_, F> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        // In as many vectors as it fills, but a whole chunk at least: where their number is known, they stay in registers.
        match self.table.as_rows().classes() {
            ..=LANES => self.vectors(l, LANES / L::N),
            classes => self.vectors(l, classes.div_ceil(L::N)),
        }
    }
}

impl<F: Columns> RowAlong<'_, '_, F> {
    #[inline(always)]
    fn vectors<L: Lane>(&mut self, l: L, vectors: usize) {
        // Where there are lanes, they are four at least.
        const MOST: usize = SHORT / 4;
        let Self { ref mut table, row, fill, ref mut f } = *self;
        let (mut elements, mut further) = ([l.splat(fill); MOST], [l.splat(0.0); MOST]);
        let (Some(elements), Some(further)) = (elements.get_mut(..vectors), further.get_mut(..vectors)) else { return };
        load_row(l, table.as_rows().row(row), fill, elements);
        if let Some(rows) = f.further() {
            load_row(l, rows.row(row), 0.0, further);
        }
        let layout = Along { classes: table.as_rows().classes() };
        let max = if F::HAS_MAX { max(l, layout, elements) } else { l.splat(0.0) };
        let last = f.columns(l, layout, row, table, Held { max, columns: elements, further });
        let (mut span, _) = table.span_and_next(row);
        for (i, &vector) in elements.iter().enumerate() {
            l.store_part(last(0, i, vector), span.write().get_mut(i * L::N..).unwrap_or_default());
        }
    }
}

#[inline(always)]
fn load_row<L: Lane>(l: L, row: &[f32], fill: f32, vectors: &mut [L::V]) {
    for (i, vector) in vectors.iter_mut().enumerate() {
        *vector = l.load_part(row.get(i * L::N..).unwrap_or_default(), fill);
    }
}

/// Four vectors of rows of `CLASSES`, at most [`SHORT`], at a time, where there are no gaps between rows.
struct Blocks<'a, 't, F, const CLASSES: usize> {
    table: &'a mut Table<'t>,
    end: usize,
    f: &'a mut F,
}

impl<F: Columns, const CLASSES: usize> Op for Blocks<'_, '_, F, CLASSES> {
    type Out = usize;

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) -> usize {
        const { assert!(CLASSES <= SHORT) };
        let Self { ref mut table, end, ref mut f } = *self;
        let r = Four(l);
        let (mut columns, mut further) = ([r.splat(0.0); CLASSES], [r.splat(0.0); CLASSES]);
        let (columns, further, of_vector) =
            (columns.as_mut_slice(), further.as_mut_slice(), &mut [l.splat(0.0); CLASSES]);
        let mut row = 0;
        while row + 4 * L::N <= end {
            let mut largest = r.splat(0.0);
            for v in 0..4 {
                read::<L, CLASSES>(l, table.as_rows(), row + v * L::N, of_vector);
                if F::HAS_MAX {
                    Group::<L>::set(r, &mut largest, v, max(l, SideBySide::<false>, of_vector));
                }
                spread::<L, _>(r, of_vector, v, columns);
                if let Some(rows) = f.further() {
                    read::<L, CLASSES>(l, rows, row + v * L::N, of_vector);
                    spread::<L, _>(r, of_vector, v, further);
                }
            }
            let last =
                f.columns::<L, _, _>(r, SideBySide::<false>, row, table, Held { max: largest, columns, further });
            // Checked once for all vectors, as in `batch::places`.
            let size = L::N * CLASSES;
            if let Some((data, _)) = table.write_from(row) {
                let Some(data) = data.get_mut(..4 * size) else { break };
                Group::<L>::for_each(
                    r,
                    largest,
                    #[inline(always)]
                    |v, _| {
                        let mut of_vector = [l.splat(0.0); CLASSES];
                        for (i, of_vector) in of_vector.iter_mut().enumerate() {
                            if let Some(&column) = columns.get(i) {
                                *of_vector = last(v, i, Group::<L>::at(r, column, v));
                            }
                        }
                        if let Some(data) = data.get_mut(v * size..(v + 1) * size) {
                            store::<L, CLASSES>(l, &of_vector, data, Grid { stride: CLASSES, rows: L::N });
                        }
                    },
                );
            }
            row += 4 * L::N;
        }
        row
    }
}

/// Puts the columns of a vector of rows among those of others.
#[inline(always)]
fn spread<L: Lane, R: Group<L>>(r: R, of_vector: &[L::V], v: usize, columns: &mut [R::V]) {
    for (i, column) in columns.iter_mut().enumerate() {
        if let Some(&of_vector) = of_vector.get(i) {
            r.set(column, v, of_vector);
        }
    }
}

/// Some vectors of rows at a time, where there are no gaps between rows, since two columns are too few to fill the time
/// that one operation waits for another. Up to which row that was.
struct RowsOfTwo<'a, 't, F, const HAS_WEIGHTS: bool> {
    table: &'a mut Table<'t>,
    rows: Range<usize>,
    f: &'a mut F,
}

impl<F: Columns, const HAS_WEIGHTS: bool> Op for RowsOfTwo<'_, '_, F, HAS_WEIGHTS> {
    type Out = usize;

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) -> usize {
        if const { !HAS_WEIGHTS && takes_block::<L>() && 8 * L::N <= ROWS } {
            self.groups(l, Eight(l))
        } else {
            self.groups(l, Four(l))
        }
    }
}

impl<F: Columns, const HAS_WEIGHTS: bool> RowsOfTwo<'_, '_, F, HAS_WEIGHTS> {
    #[inline(always)]
    fn groups<L: Lane, R: Group<L>>(&mut self, l: L, r: R) -> usize {
        let Self { ref mut table, ref rows, ref mut f } = *self;
        let (step, layout) = (R::VECTORS * L::N, SideBySide::<HAS_WEIGHTS>);
        let mut row = rows.start;
        while row + step <= rows.end {
            let columns = &mut read_pairs::<L, R>(r, table.as_rows(), row);
            let further = &mut match f.further() {
                Some(rows) => read_pairs::<L, R>(r, rows, row),
                None => [r.splat(0.0); 2],
            };
            let max = if F::HAS_MAX { max(r, layout, columns) } else { r.splat(0.0) };
            let last = f.columns::<L, R, _>(r, layout, row, table, Held { max, columns, further });
            if let Some((data, _)) = table.write_from(row) {
                let Some(data) = data.as_chunks_mut().0.get_mut(..2 * step / LANES) else { break };
                let mut put = {
                    #[inline(always)]
                    |vector, i| {
                        let (chunk, k) = place::<L>(i * L::N);
                        if let Some(chunk) = data.get_mut(chunk) {
                            l.store(vector, chunk, k);
                        }
                    }
                };
                let [first, second] = *columns;
                r.for_each(
                    first,
                    #[inline(always)]
                    |v, first| {
                        let [low, high] = l.interleaved(last(v, 0, first), last(v, 1, r.at(second, v)));
                        put(low, 2 * v);
                        put(high, 2 * v + 1);
                    },
                );
            }
            row += step;
        }
        row
    }
}

/// Two columns of some vectors of rows, between which there are no gaps.
#[inline(always)]
fn read_pairs<L: Lane, R: Group<L>>(r: R, rows: Rows<'_>, row: usize) -> [R::V; 2] {
    let (l, data) = (r.base(), rows.data_from(row).0.as_chunks().0);
    // Looked for once, as what is pending is.
    let Some(data) = data.get(..2 * R::VECTORS * L::N / LANES) else { return [r.splat(0.0); 2] };
    let vector = {
        #[inline(always)]
        |i| {
            let (chunk, k) = place::<L>(i * L::N);
            data.get(chunk).map_or(l.splat(0.0), |chunk| l.load(chunk, k))
        }
    };
    let mut columns = [r.splat(0.0); 2];
    let [first, second] = &mut columns;
    r.for_each(
        r.splat(0.0),
        #[inline(always)]
        |v, _| {
            let [even, odd] = l.deinterleaved(vector(2 * v), vector(2 * v + 1));
            r.set(first, v, even);
            r.set(second, v, odd);
        },
    );
    columns
}

/// Whether columns, at most `MOST`, are read and written by functions that the kernels share: those of long rows, and of
/// rows that do not fill a vector. Where their number is known, they stay in registers.
#[inline(always)]
fn goes_apart<L: Lane, const MOST: usize>(at: Grid) -> bool {
    MOST > SHORT || MOST == SHORT && at.rows < L::N
}

/// Where the number of columns is known, so is the stride.
#[inline(always)]
const fn stride_of<const MOST: usize>(stride: usize) -> usize {
    if MOST < SHORT { MOST } else { stride }
}

#[inline(always)]
fn read<L: Lane, const MOST: usize>(l: L, rows: Rows<'_>, row: usize, columns: &mut [L::V]) {
    let (data, stride) = rows.data_from(row);
    let at = Grid { stride: stride_of::<MOST>(stride), rows: rows.rows() - row };
    if goes_apart::<L, MOST>(at) {
        l.columns_apart(data, at, columns);
    } else {
        l.columns(data, at, columns);
    }
}

#[inline(always)]
fn store<L: Lane, const MOST: usize>(l: L, columns: &[L::V], data: &mut [f32], at: Grid) {
    if goes_apart::<L, MOST>(at) {
        l.store_columns_apart(columns, data, at);
    } else {
        l.store_columns(columns, data, at);
    }
}

/// The maximum of each row, as [`Largest`](crate::lane::Largest) has it.
#[inline(always)]
pub(super) fn max<A: Arithmetic>(a: A, layout: impl Layout<A>, columns: &[A::V]) -> A::V {
    let lowest = a.splat(f32::MIN);
    let (mut even, mut odd) = (lowest, lowest);
    let (pairs, last) = columns.as_chunks::<2>();
    for &[x, y] in pairs {
        (even, odd) = (a.max(x, even), a.max(y, odd));
    }
    for &last in last {
        even = a.max(last, even);
    }
    let max = layout.across(
        a,
        a.max(even, odd),
        #[inline(always)]
        |x, y| a.max(x, y),
    );
    // + 0.0: one zero, not the one that was seen last.
    a.add(max, a.splat(0.0))
}

/// What a pass over columns does with one of them, or with four side by side.
pub(crate) trait Terms<R: Arithmetic, const J: usize> {
    /// What the columns become, and what of them is added up. `first` is the number of the first.
    fn of<G: Group<R>>(&mut self, g: G, first: usize, x: G::V) -> (G::V, [G::V; J]);
}

/// Columns that are added up as they are.
pub(super) struct Themselves;

impl<R: Arithmetic> Terms<R, 1> for Themselves {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, _: G, _: usize, x: G::V) -> (G::V, [G::V; 1]) {
        (x, [x])
    }
}

/// What a pass reads beside its columns: those from `first` on, 0 behind the last.
#[inline(always)]
pub(super) fn columns_of<R: Arithmetic, G: Group<R>>(g: G, columns: &[R::V], first: usize) -> G::V {
    g.of(
        #[inline(always)]
        |i| match columns.get(first + i) {
            Some(&column) => column,
            None => g.base().splat(0.0),
        },
    )
}

/// The weights of the columns from `first` on.
#[inline(always)]
pub(super) fn weights_of<R: Arithmetic, G: Group<R>>(
    g: G,
    layout: impl Layout<R>,
    weights: Stream<'_>,
    first: usize,
) -> G::V {
    g.of(
        #[inline(always)]
        |i| layout.weights(g.base(), weights, first + i),
    )
}

/// Scaled exponentials, or 0 and one more in `ones` where they are 1.
#[inline(always)]
pub(super) fn count_ones<R: Arithmetic, G: Group<R>>(g: G, e: G::V, ones: &mut R::V) -> G::V {
    counted(g, e, g.splat(scaled_one::<G>()), ones)
}

/// The sums over rows side by side.
#[inline(always)]
fn sums_of_rows<L: Lane, R: Group<L>, const J: usize>(
    l: R,
    columns: &mut [R::V],
    terms: &mut impl Terms<R, J>,
) -> [R::V; J] {
    if columns.len() > SHORT { sums_of_lanes(l, columns, terms) } else { sums_of_columns(l, columns, terms) }
}

/// In the order of a row alone.
#[inline(always)]
pub(super) fn sums_of_lanes<L: Lane, R: Group<L>, const J: usize>(
    l: R,
    columns: &mut [R::V],
    terms: &mut impl Terms<R, J>,
) -> [R::V; J] {
    const STEP: usize = LANES / COLUMNS;
    let (g, none) = (Four(l), [[l.splat(0.0); COLUMNS]; J]);
    let pairs = columns.len().div_ceil(2 * LANES);
    let (fours, rest) = columns.as_chunks_mut();
    let whole = fours.len();
    // The terms of four lanes in a chunk.
    let mut at = {
        #[inline(always)]
        |chunk: usize, lanes: usize| {
            let i = chunk * STEP + lanes;
            match fours.get_mut(i) {
                Some(four) => of_four(l, four, i * COLUMNS, terms),
                None if i == whole => of_last(l, rest, i * COLUMNS, terms),
                None => none,
            }
        }
    };
    let mut parts = [[[l.splat(0.0); COLUMNS]; STEP]; J];
    for lanes in 0..STEP {
        let (mut of_quads, mut half) = (none, none);
        for pair in 0..pairs {
            let of_pair = add_each(g, at(2 * pair, lanes), at(2 * pair + 1, lanes));
            if pair % 2 == 0 {
                half = of_pair;
            } else {
                of_quads = add_each(g, of_quads, add_each(g, half, of_pair));
                half = none;
            }
        }
        let of_lanes = add_each(g, of_quads, half);
        for (j, parts) in parts.iter_mut().enumerate() {
            if let (Some(part), Some(&of_lanes)) = (parts.get_mut(lanes), of_lanes.get(j)) {
                *part = of_lanes;
            }
        }
    }
    let mut sums = [l.splat(0.0); J];
    for (j, sum) in sums.iter_mut().enumerate() {
        if let Some(&parts) = parts.get(j) {
            *sum = come_together(l, parts);
        }
    }
    sums
}

/// The terms of columns that are fewer than four.
#[inline(always)]
fn of_last<L: Lane, R: Group<L>, const J: usize>(
    l: R,
    columns: &mut [R::V],
    first: usize,
    terms: &mut impl Terms<R, J>,
) -> [[R::V; COLUMNS]; J] {
    let mut added = [[l.splat(0.0); COLUMNS]; J];
    for (k, x) in columns.iter_mut().enumerate() {
        let (y, terms) = terms.of(l, first + k, *x);
        *x = y;
        for (j, added) in added.iter_mut().enumerate() {
            if let (Some(added), Some(&term)) = (added.get_mut(k), terms.get(j)) {
                *added = term;
            }
        }
    }
    added
}

#[inline(always)]
fn add_each<A: Arithmetic, const J: usize>(l: A, mut a: [A::V; J], b: [A::V; J]) -> [A::V; J] {
    for (j, a) in a.iter_mut().enumerate() {
        if let Some(&b) = b.get(j) {
            *a = l.add(*a, b);
        }
    }
    a
}

/// The lanes, four by four, as [`walk`](crate::lane::walk) folds them.
#[inline(always)]
fn come_together<A: Arithmetic>(l: A, [a, b, c, d]: [[A::V; COLUMNS]; LANES / COLUMNS]) -> A::V {
    let g = Four(l);
    let ((ac, lost_ac), (bd, lost_bd)) = (two_sum(g, a, c), two_sum(g, b, d));
    let (hi, lost) = two_sum(g, ac, bd);
    let ([a, b, c, d], [lo_a, lo_b, lo_c, lo_d]) = (hi, g.add(g.add(lost_ac, lost_bd), lost));
    let ((ac, lost_ac), (bd, lost_bd)) = (two_sum(l, a, c), two_sum(l, b, d));
    let (lo_ac, lo_bd) = (l.add(l.add(lo_a, lo_c), lost_ac), l.add(l.add(lo_b, lo_d), lost_bd));
    let (hi, lost) = two_sum(l, ac, bd);
    let sum = l.add(hi, l.add(l.add(lo_ac, lo_bd), lost));
    // As in a row alone, an infinite sum is right without its errors.
    l.select(l.eq(sum, sum), sum, hi)
}

/// Column after column.
#[inline(always)]
fn sums_of_columns<L: Lane, R: Group<L>, const J: usize>(
    l: R,
    columns: &mut [R::V],
    terms: &mut impl Terms<R, J>,
) -> [R::V; J] {
    let (mut part, mut sums) = ([l.splat(0.0); J], OfBlocks::new(l));
    let (fours, rest) = columns.as_chunks_mut();
    let end = fours.len() * COLUMNS;
    for (i, four) in fours.iter_mut().enumerate() {
        part = add_each(l, part, sums_of_four(l, of_four(l, four, i * COLUMNS, terms)));
        if i % 2 == 1 {
            sums.end_block(l, &mut part, i == 1);
        }
    }
    part = add_each(l, part, sums_of_four(l, of_last(l, rest, end, terms)));
    if end < 2 * COLUMNS {
        return part;
    }
    sums.end_block(l, &mut part, false);
    sums.total(l)
}

/// Sums of the blocks of short rows, with what their additions lost.
struct OfBlocks<A: Arithmetic, const J: usize> {
    hi: [A::V; J],
    lo: [A::V; J],
}

impl<A: Arithmetic, const J: usize> OfBlocks<A, J> {
    #[inline(always)]
    fn new(a: A) -> Self {
        let zero = [a.splat(0.0); J];
        Self { hi: zero, lo: zero }
    }

    /// `hi + lo += part`, and `part` is 0 again.
    #[inline(always)]
    fn end_block(&mut self, a: A, part: &mut [A::V; J], is_first: bool) {
        for j in 0..J {
            let all = (self.hi.get_mut(j), self.lo.get_mut(j), part.get_mut(j));
            let (Some(hi), Some(lo), Some(part)) = all else { return };
            if is_first {
                // Nothing is lost.
                *hi = *part;
            } else {
                let (sum, error) = two_sum(a, *hi, *part);
                (*hi, *lo) = (sum, a.add(*lo, error));
            }
            *part = a.splat(0.0);
        }
    }

    #[inline(always)]
    fn total(self, a: A) -> [A::V; J] {
        let mut totals = self.hi;
        for (j, hi) in totals.iter_mut().enumerate() {
            if let Some(&lo) = self.lo.get(j) {
                // As in a longer row, an infinite sum is right without its errors.
                *hi = a.select(a.eq(lo, lo), a.add(*hi, lo), *hi);
            }
        }
        totals
    }
}

#[inline(always)]
fn of_four<L: Lane, R: Group<L>, const J: usize>(
    l: R,
    columns: &mut [R::V; COLUMNS],
    first: usize,
    terms: &mut impl Terms<R, J>,
) -> [[R::V; COLUMNS]; J] {
    if L::N == 1 {
        // Where there is one lane, size counts.
        return of_last(l, columns, first, terms);
    }
    let (y, added) = terms.of(Four(l), first, *columns);
    *columns = y;
    added
}

#[inline(always)]
fn sums_of_four<L: Lane, R: Group<L>, const J: usize>(l: R, terms: [[R::V; COLUMNS]; J]) -> [R::V; J] {
    let mut sums = [l.splat(0.0); J];
    for (j, sum) in sums.iter_mut().enumerate() {
        if let Some(&terms) = terms.get(j) {
            *sum = Group::<R>::sum(Four(l), terms);
        }
    }
    sums
}

/// Scaled `exp(x - m)`, but where it is 1, which is counted.
struct Exps<R: Arithmetic> {
    m: R::V,
    ones: R::V,
    /// Whether the columns become their exponentials.
    keep: bool,
}

impl<R: Arithmetic> Terms<R, 1> for Exps<R> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, _: usize, x: G::V) -> (G::V, [G::V; 1]) {
        let e = scaled_exp_of_minus(g, g.sub(g.repeat(self.m), x));
        (if self.keep { e } else { x }, [count_ones(g, e, &mut self.ones)])
    }
}

/// Scaled exponentials, but where they are 1, which is counted.
struct CountOnes<R: Arithmetic> {
    ones: R::V,
}

impl<R: Arithmetic> Terms<R, 1> for CountOnes<R> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, _: usize, e: G::V) -> (G::V, [G::V; 1]) {
        (e, [count_ones(g, e, &mut self.ones)])
    }
}

/// r of each row, (1) of [`softmax`](super::softmax). Scaled exponentials are left in the columns if they are to be kept.
#[inline(always)]
pub(super) fn rest<L: Lane, R: Group<L>, Y: Layout<R>>(
    l: R,
    layout: Y,
    Held { max: m, columns, further }: &mut Held<'_, R::V>,
    keep: bool,
) -> R::V {
    let m = *m;
    if let (true, [x, y]) = (Y::HAS_COLUMNS, &mut **columns) {
        return rest_of_pair(l, [x, y], m, keep);
    }
    if R::VECTORS > 1 {
        let exps = if keep {
            for x in columns.iter_mut() {
                *x = scaled_exp_of_minus(l, l.sub(m, *x));
            }
            columns
        } else {
            for (i, &x) in columns.iter().enumerate() {
                if let Some(e) = further.get_mut(i) {
                    *e = scaled_exp_of_minus(l, l.sub(m, x));
                }
            }
            further
        };
        // Vector after vector: what is live of all four is more than there are registers.
        let (b, mut ones) = (l.base(), l.splat(0.0));
        let sum = l.of(
            #[inline(always)]
            |v| {
                let mut of_vector = [b.splat(0.0); SHORT];
                let Some(of_vector) = of_vector.get_mut(..exps.len()) else { return b.splat(0.0) };
                for (i, to) in of_vector.iter_mut().enumerate() {
                    if let Some(&e) = exps.get(i) {
                        *to = l.at(e, v);
                    }
                }
                let mut counts = CountOnes::<L> { ones: b.splat(0.0) };
                let [of_rows] = sums_of_columns::<L, L, 1>(b, of_vector, &mut counts);
                l.set(&mut ones, v, b.of_count(counts.ones));
                of_rows
            },
        );
        return rest_of_all(l, ones, sum);
    }
    let mut exps = Exps { m, ones: l.splat(0.0), keep };
    let [sum] = layout.sums::<L, 1>(l, columns, &mut exps);
    rest_of_all(l, ones_of(l, layout, exps.ones), sum)
}

/// [`rest`] of two columns, with one exponential, as that of the larger is 1.
#[inline(always)]
fn rest_of_pair<A: Arithmetic>(l: A, [x, y]: [&mut A::V; 2], m: A::V, keep: bool) -> A::V {
    let (zero, one) = (l.splat(0.0), l.splat(scaled_one::<A>()));
    let (of_x, of_y) = (l.sub(m, *x), l.sub(m, *y));
    // One of them is 0, or one is NaN, or both are infinite: where both columns are -inf.
    let e = scaled_exp_of_minus(l, l.add(of_x, of_y));
    if keep {
        let x_is_less = l.gt(of_x, zero);
        (*x, *y) = (l.select(x_is_less, e, one), l.select(x_is_less, one, e));
    }
    let missing = l.min(l.min(of_x, of_y), l.splat(1.0));
    l.mul_sub(e, l.splat(1.0 / scaled_one::<A>()), missing)
}

/// How many ones each row has, of what [`count_ones`] counted.
#[inline(always)]
pub(super) fn ones_of<R: Arithmetic>(r: R, layout: impl Layout<R>, ones: R::V) -> R::V {
    // Whole numbers, exact in any order.
    layout.across(
        r,
        r.of_count(ones),
        #[inline(always)]
        |a, b| r.add(a, b),
    )
}
