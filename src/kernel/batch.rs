//! A loss over the rows of a table: one row after the other, or short rows many at once.

use super::short::{Held, Last, Layout, unchanged};
use super::softmax::{Ahead, SMALL};
use super::{IS_FIRMWARE, Parts, RowLoss, Table, share_of, short, uniform_share, weight_at};
use crate::lane::{Arithmetic, BLOCK, Chunk, Four, Group, LANES, Lane, Op, place};
use crate::math::log1p_of_rest;
use crate::{ClassIndices, Rows};
use core::ops::Range;

/// A [`RowLoss`] over a table.
pub(crate) struct Batch<'a, 't, K> {
    pub(crate) table: &'a mut Table<'t>,
    pub(crate) kernel: &'a K,
    pub(crate) row_weights: Option<&'a [f32]>,
    /// Of the gradient.
    pub(crate) scale: f32,
    /// Receives the loss of each row.
    pub(crate) losses: Option<&'a mut [f32]>,
}

/// The sum of the losses.
impl<K: RowLoss> Op for Batch<'_, '_, K> {
    type Out = f64;

    fn width(&self) -> usize {
        if K::TAKES_COLUMNS { short::width(self.table.as_rows(), K::HAS_LOG) } else { usize::MAX }
    }

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) -> f64 {
        let rows = self.table.as_rows().rows();
        // All else stays in the batch, which goes on to the rows.
        let losses = self.losses.take();
        // To make room for many rows takes a tenth of a call of few. Made here, it is stored by vectors as wide as those that
        // will be loaded.
        let (mut few, mut many);
        let mut pending = if rows <= LANES {
            few = Room::<1>::new();
            few.pending(losses)
        } else {
            many = Room::<CHUNKS>::new();
            many.pending(losses)
        };
        let pending = &mut pending;
        let kernel = self.kernel;
        let is_uniform = uniform_share(kernel, self.row_weights, self.table).is_some();
        let short = short::taken::<L>(self.table.as_rows(), K::HAS_LOG);
        // Of rows that would go by columns, fewer than there are lanes are not worth a second loop.
        let fewest = if K::TAKES_COLUMNS { LANES } else { 2 };
        let are_joined =
            short >= fewest && is_uniform && kernel.has_terms() && self.table.is_gapless_with(kernel.labels());
        let mut taken = 0;
        // What is constant comes first, so that what is never called is not compiled.
        if const { K::MAY_HAVE_TERMS && L::N > 1 } && are_joined {
            taken = short;
            l.apart(&mut JoinedRows { batch: self, end: taken, pending });
        } else if const { K::TAKES_COLUMNS } && short > 0 {
            taken = short;
            let Batch { row_weights, scale, .. } = *self;
            let mut short_rows = ShortRows { kernel, row_weights, is_uniform, scale, pending };
            // A small scale needs a second product. Of fewer rows, a function more would cost more than it saves.
            let are_blocks = is_uniform && scale.abs() >= SMALL && taken >= 8 * L::N;
            let first = if const { K::TAKES_BLOCKS } && are_blocks {
                short::for_each_block(l, self.table, taken, &mut short_rows)
            } else {
                0
            };
            short::for_each_group(l, self.table, first..taken, &mut short_rows);
        }
        if taken < rows {
            l.apart(&mut LongRows { batch: self, first: taken, pending });
        }
        pending.sum.total()
    }
}

/// Rows one by one, apart from short ones: each loop has registers and a stack of its own.
struct LongRows<'b, 'a, 't, 'p, K> {
    batch: &'b mut Batch<'a, 't, K>,
    first: usize,
    pending: &'b mut Pending<'p>,
}

impl<K: RowLoss> Op for LongRows<'_, '_, '_, '_, K> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        let LongRows { batch: &mut Batch { ref mut table, kernel, row_weights, scale, .. }, first, ref mut pending } =
            *self;
        let all_are_active = uniform_share(kernel, row_weights, table).is_some_and(|share| share.active);
        let rows = table.as_rows().rows();
        let mut look = None;
        for row in first..rows {
            let is_active = all_are_active || share_of(kernel, row_weights, row, table.as_rows().row(row)).active;
            let (mut span, next) = table.span_and_next(row);
            let (mut weight, mut parts) = (0.0, Parts::default());
            if is_active {
                weight = weight_at(row_weights, row);
                let ahead = Ahead::new(&mut look, if all_are_active { next } else { &[] });
                parts = kernel.row(l, row, span, ahead, weight * scale);
            } else {
                span.write().fill(0.0);
            }
            pending.set(l, row, weight, parts);
            if Pending::are_due(row + 1, rows) {
                pending.finish(l, K::HAS_LOG, true, row + 1);
            }
        }
    }
}

/// Short rows whose elements are terms of their own: element by element, and then the terms of each row are added up.
struct JoinedRows<'b, 'a, 't, 'p, K> {
    batch: &'b mut Batch<'a, 't, K>,
    end: usize,
    pending: &'b mut Pending<'p>,
}

/// Elements of the rows that are joined: enough for as many of the longest as there are lanes.
const TERMS: usize = LANES * BLOCK;
const FEW_TERMS: usize = TERMS / 8;

impl<K: RowLoss> Op for JoinedRows<'_, '_, '_, '_, K> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        let JoinedRows { batch: &mut Batch { ref mut table, kernel, scale, .. }, end, ref mut pending } = *self;
        let (rows, classes) = (table.as_rows().rows(), table.as_rows().classes());
        // As much as is needed: to clear all would cost few rows a tenth.
        let (mut few, mut many);
        let terms: &mut [f32] = if end * classes <= FEW_TERMS {
            few = [0.0; FEW_TERMS];
            &mut few
        } else {
            many = [0.0; TERMS];
            &mut many
        };
        // Multiples of the rows in a group of vectors, so that none reaches over the end of what is pending.
        let joined = match TERMS.checked_div(classes).unwrap_or_default() {
            room if room >= ROWS => room - room % ROWS,
            room if room >= 2 * LANES => 2 * LANES,
            _ => LANES,
        };
        let mut first = 0;
        while first < end {
            let joined = joined.min(end - first);
            let Some(terms) = terms.get_mut(..joined * classes) else { break };
            kernel.terms(l, first, table.joined(first, joined), scale, terms);
            let terms = Rows::new(terms, classes);
            let mut add_up = AddUp { first, end: first + joined, rows, by_columns: K::TAKES_COLUMNS, pending };
            short::for_each_group(l, &mut Table::ReadOnly(terms), 0..joined, &mut add_up);
            first += joined;
        }
    }
}

/// The losses of rows from the terms of their elements.
struct AddUp<'a, 'p> {
    /// The rows, of all.
    first: usize,
    end: usize,
    rows: usize,
    /// Whether a row alone would be added up by columns.
    by_columns: bool,
    pending: &'a mut Pending<'p>,
}

impl<'a, 'p> short::Columns for AddUp<'a, 'p> {
    const IS_UNROLLED: bool = true;
    const HAS_MAX: bool = false;

    fn fill(&self) -> Option<f32> {
        self.by_columns.then_some(0.0)
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &mut self,
        r: R,
        layout: Y,
        row: usize,
        _: &Table<'_>,
        Held { columns, .. }: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'a, 'p, L, R, Y> {
        let [linear] = if self.by_columns {
            layout.sums(r, columns, &mut short::Themselves)
        } else {
            // Of columns: no row is along the lanes without `fill`.
            short::sums_of_lanes(r, columns, &mut short::Themselves)
        };
        let zero = r.splat(0.0);
        self.pending.set_vectors(r, false, self.first + row, Parts { linear, slope: zero, r: zero });
        let end = self.end.min(self.first + row + R::VECTORS * L::N);
        if Pending::are_due(end, self.rows) {
            self.pending.finish(r.base(), false, false, end);
        }
        unchanged
    }
}

struct ShortRows<'a, 'p, K> {
    kernel: &'a K,
    row_weights: Option<&'a [f32]>,
    /// All rows are active and have the weight 1.
    is_uniform: bool,
    scale: f32,
    pending: &'a mut Pending<'p>,
}

impl<'a, 'p, K: RowLoss> short::Columns for ShortRows<'a, 'p, K> {
    const IS_UNROLLED: bool = K::IS_UNROLLED;
    const HAS_MAX: bool = K::HAS_LOG;
    const HAS_WEIGHTS: bool = true;

    #[inline(always)]
    fn further(&self) -> Option<Rows<'_>> {
        self.kernel.labels()
    }

    fn fill(&self) -> Option<f32> {
        Some(self.kernel.fill())
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &mut self,
        r: R,
        layout: Y,
        first: usize,
        table: &Table<'_>,
        Held { max, columns, further }: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'a, 'p, K, L, R, Y> {
        let is_uniform = !Y::HAS_WEIGHTS || self.is_uniform;
        let (l, rows) = (r.base(), table.as_rows().rows());
        if first.is_multiple_of(ROWS) {
            match self.kernel.classes() {
                Some(classes) if rows > 1 => l.apart(&mut Marks { classes, first, to: self.pending.marks }),
                _ => {}
            }
            if !is_uniform {
                set_active_weights(self.kernel, self.row_weights, table.as_rows(), first, self.pending.weights);
            }
        }
        let marks = match self.kernel.classes() {
            Some(classes) if R::VECTORS == 1 && rows == 1 => r.splat(classes.mark_at(first)),
            _ => layout.spread(r, load(r, first, self.pending.marks)),
        };
        let weights = if is_uniform { r.splat(1.0) } else { layout.spread(r, load(r, first, self.pending.weights)) };
        let has_log = if Y::HAS_COLUMNS && columns.len() == 2 { K::HAS_LOG_OF_PAIR } else { K::HAS_LOG };
        let held = Held { max, columns: &mut *columns, further };
        let (parts, last) = self.kernel.columns(r, layout, marks, held, r.mul(weights, r.splat(self.scale)));
        if !is_uniform {
            // What is not active may be NaN.
            let inactive = r.eq(weights, r.splat(0.0));
            for column in columns {
                *column = r.zero_where(inactive, *column);
            }
        }
        if !Y::HAS_COLUMNS && rows == 1 {
            let loss = loss_of(r, has_log, Some(weights), parts);
            self.pending.set_only_row(l.first(r.at(loss, 0)));
            return last;
        }
        self.pending.set_vectors(r, has_log, first, parts);
        let end = rows.min(first + R::VECTORS * L::N);
        if Pending::are_due(end, rows) {
            self.pending.finish(l, has_log, Y::HAS_WEIGHTS, end);
        }
        last
    }
}

/// [`ClassIndices::marks`], apart from the kernels: its loops, one for each type of integer, are long.
struct Marks<'a> {
    classes: ClassIndices<'a>,
    first: usize,
    to: &'a mut [Chunk],
}

impl Op for Marks<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, _: L) {
        self.classes.marks(self.first, self.to.as_flattened_mut());
    }
}

/// The row weights of the rows from `first` on, 0 of those that are not active.
#[inline(never)]
fn set_active_weights<K: RowLoss>(
    kernel: &K,
    row_weights: Option<&[f32]>,
    x: Rows<'_>,
    first: usize,
    to: &mut [Chunk],
) {
    for (row, to) in (first..x.rows()).zip(to.as_flattened_mut()) {
        let is_active = share_of(kernel, row_weights, row, x.row(row)).active;
        *to = if is_active { weight_at(row_weights, row) } else { 0.0 };
    }
}

/// Rows of which the losses are finished at once: the logarithms of one group of rows need not wait for those of
/// another, nor the next row for them.
pub(super) const ROWS: usize = CHUNKS * LANES;
/// On small machines, few: they are on the stack.
const CHUNKS: usize = if IS_FIRMWARE { 1 } else { 4 };

/// Numbers of rows, in whole cache lines: stores are not forwarded to loads across two.
#[repr(align(64))]
struct Room<const N: usize> {
    marks: [Chunk; N],
    weights: [Chunk; N],
    linear: [Chunk; N],
    slope: [Chunk; N],
    r: [Chunk; N],
}

impl<const N: usize> Room<N> {
    /// Not a constant, which would be copied.
    #[inline(always)]
    fn new() -> Self {
        let zeros = [[0.0; LANES]; N];
        Self { marks: zeros, weights: [[1.0; LANES]; N], linear: zeros, slope: zeros, r: zeros }
    }

    fn pending<'a>(&'a mut self, losses: Option<&'a mut [f32]>) -> Pending<'a> {
        let Self { marks, weights, linear, slope, r } = self;
        Pending { marks, weights, linear, slope, r, losses, sum: Sum::default() }
    }
}

/// What is known of up to `ROWS` rows when their exponentials are done, and the sum of the losses of those before.
struct Pending<'a> {
    /// Of the classes.
    marks: &'a mut [Chunk],
    /// 0 of rows that are not active.
    weights: &'a mut [Chunk],
    linear: &'a mut [Chunk],
    slope: &'a mut [Chunk],
    r: &'a mut [Chunk],
    losses: Option<&'a mut [f32]>,
    sum: Sum,
}

/// Where the chunks of the rows from `row` on, at most `ROWS`, begin and end, and their vector in the first of them. Bounds
/// are checked once for a group: with a check for each vector, the compiler sinks the arithmetic before it into each branch,
/// and vectors no longer overlap.
#[inline(always)]
fn places<L: Lane, R: Group<L>>(row: usize) -> (Range<usize>, usize) {
    let (chunk, k) = place::<L>(row % ROWS);
    (chunk..chunk + (R::VECTORS * L::N).div_ceil(LANES), k)
}

/// The numbers of the rows from `row` on.
#[inline(always)]
fn load<L: Lane, R: Group<L>>(r: R, row: usize, numbers: &[Chunk]) -> R::V {
    let (l, (chunks, first)) = (r.base(), places::<L, R>(row));
    let Some(numbers) = numbers.get(chunks) else { return r.splat(0.0) };
    r.of(
        #[inline(always)]
        |v| {
            let (chunk, k) = place::<L>((first + v) * L::N);
            numbers.get(chunk).map_or(l.splat(0.0), |chunk| l.load(chunk, k))
        },
    )
}

/// Puts what [`load`] takes.
#[inline(always)]
pub(super) fn store<L: Lane, R: Group<L>>(r: R, row: usize, numbers: R::V, to: &mut [Chunk]) {
    let (chunks, first) = places::<L, R>(row);
    let Some(to) = to.get_mut(chunks) else { return };
    r.for_each(
        numbers,
        #[inline(always)]
        |v, numbers| {
            let (chunk, k) = place::<L>((first + v) * L::N);
            if let Some(chunk) = to.get_mut(chunk) {
                r.base().store(numbers, chunk, k);
            }
        },
    );
}

/// A loss from its parts.
#[inline(always)]
fn loss_of<R: Arithmetic>(r: R, has_log: bool, weight: Option<R::V>, parts: Parts<R::V>) -> R::V {
    let mut loss = parts.linear;
    if has_log {
        loss = r.add(loss, r.mul(parts.slope, log1p_of_rest(r, parts.r)));
    }
    if let Some(weight) = weight {
        // What is not active may be NaN.
        loss = r.weigh(weight, loss);
    }
    // + 0.0: a loss of nothing is +0.
    r.add(loss, r.splat(0.0))
}

impl Pending<'_> {
    /// The loss of a row that has no others beside it, which need not wait.
    #[inline(always)]
    fn set_only_row(&mut self, loss: f32) {
        self.sum.only = loss.into();
        if let Some(to) = self.losses.as_mut().and_then(|to| to.first_mut()) {
            *to = loss;
        }
    }

    #[inline(always)]
    fn set<L: Lane>(&mut self, l: L, row: usize, weight: f32, parts: Parts) {
        let Self { weights, linear, slope, r, .. } = self;
        for (numbers, number) in [(weights, weight), (linear, parts.linear), (slope, parts.slope), (r, parts.r)] {
            if row.is_multiple_of(L::N) {
                // All of the vector, although the next rows come one by one: a load of it need not wait for one lane.
                store(l, row, l.splat(number), numbers);
            } else if let Some(of_row) = numbers.as_flattened_mut().get_mut(row % ROWS) {
                *of_row = number;
            }
        }
    }

    /// Of the rows from `row` on.
    #[inline(always)]
    fn set_vectors<L: Lane, R: Group<L>>(&mut self, r: R, has_log: bool, row: usize, parts: Parts<R::V>) {
        store(r, row, parts.linear, self.linear);
        if has_log {
            store(r, row, parts.slope, self.slope);
            store(r, row, parts.r, self.r);
        }
    }

    /// Whether rows up to `end` must be finished: there is no room for more, or they are the last of all.
    #[inline(always)]
    fn are_due(end: usize, rows: usize) -> bool {
        end.is_multiple_of(ROWS) || end == rows
    }

    /// The losses of all that are pending, of which the last is before row `end`.
    #[inline(always)]
    fn finish<L: Lane>(&mut self, l: L, has_log: bool, has_weights: bool, end: usize) {
        if has_log {
            l.apart(&mut Finish { pending: self, end });
        } else {
            self.add_up(l, false, has_weights, end);
        }
    }

    /// The losses of the rows from `row` on.
    #[inline(always)]
    fn losses_of<L: Lane, R: Group<L>>(&self, r: R, has_log: bool, has_weights: bool, row: usize) -> R::V {
        let zero = r.splat(0.0);
        let mut parts = Parts { linear: load(r, row, self.linear), slope: zero, r: zero };
        if has_log {
            (parts.slope, parts.r) = (load(r, row, self.slope), load(r, row, self.r));
        }
        let weight = if has_weights { Some(load(r, row, self.weights)) } else { None };
        loss_of(r, has_log, weight, parts)
    }

    #[inline(always)]
    fn add_up<L: Lane>(&mut self, l: L, has_log: bool, has_weights: bool, end: usize) {
        let first = (end - 1) / ROWS * ROWS;
        let mut losses = [[0.0; LANES]; CHUNKS];
        let mut row = first;
        // Where there is one lane, size counts.
        while L::N > 1 && row + 4 * L::N <= end {
            store::<L, _>(Four(l), row, self.losses_of::<L, _>(Four(l), has_log, has_weights, row), &mut losses);
            row += 4 * L::N;
        }
        for row in (row..end).step_by(L::N) {
            store::<L, _>(l, row, self.losses_of::<L, _>(l, has_log, has_weights, row), &mut losses);
        }
        let losses = losses.as_flattened();
        self.sum.add(losses, end - first);
        if let Some(to) = self.losses.as_mut().and_then(|to| to.get_mut(first..end)) {
            for (to, &loss) in to.iter_mut().zip(losses) {
                *to = loss;
            }
        }
    }
}

/// [`Pending::finish`] with logarithms, apart from the kernels: it needs many registers, and seldom.
struct Finish<'a, 'p> {
    pending: &'p mut Pending<'a>,
    end: usize,
}

impl Op for Finish<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        self.pending.add_up(l, true, true, self.end);
    }
}

/// The sum of the losses of many rows, in parts so that an addition need not wait for the one before.
#[derive(Default)]
struct Sum {
    parts: [f64; Self::PARTS],
    /// The loss of a row that is the only one. Not a part: they are loaded as vectors, to which a store of one is not
    /// forwarded.
    only: f64,
}

impl Sum {
    const PARTS: usize = 8;

    /// Of the next rows, which are a multiple of `PARTS` unless they are the last: the first of `losses`.
    #[inline(always)]
    fn add(&mut self, losses: &[f32], rows: usize) {
        let (parts, _) = losses.as_chunks::<{ Self::PARTS }>();
        // In registers: where the compiler does not know that the losses are elsewhere, it adds them one by one.
        let mut sums = self.parts;
        for part in parts.iter().take(rows / Self::PARTS) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum += part.get(i).map_or(0.0, |&loss| f64::from(loss));
            }
        }
        let rest = rows % Self::PARTS;
        if let Some(part) = parts.get(rows / Self::PARTS).filter(|_| rest > 0) {
            // To all sums, since masked stores are slow and are not forwarded to loads.
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum += part.get(i).map_or(0.0, |&loss| if i < rest { f64::from(loss) } else { 0.0 });
            }
        }
        self.parts = sums;
    }

    fn total(&self) -> f64 {
        let [a, b, c, d, e, f, g, h] = self.parts;
        ((a + b) + (c + d)) + ((e + f) + (g + h)) + self.only
    }
}
