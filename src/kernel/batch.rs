//! A loss over the rows of a table: one row after the other, or short rows many at once.

use super::softmax::Ahead;
use super::{IS_FIRMWARE, Parts, RowLoss, Table, share_of, short, weight_at};
use crate::lane::{Chunk, Group, LANES, Lane, Op, place};
use crate::math::log1p;
use crate::{ClassIndices, Rows};

/// A [`RowLoss`] over a table.
pub(crate) struct Batch<'a, 't, K> {
    pub(crate) table: &'a mut Table<'t>,
    pub(crate) kernel: &'a K,
    pub(crate) row_weights: Option<&'a [f32]>,
    pub(crate) losses: Option<&'a mut [f32]>,
    /// Of the gradient.
    pub(crate) scale: f32,
}

impl<K: RowLoss> Op for Batch<'_, '_, K> {
    /// The sum of the losses.
    type Out = f64;

    fn width(&self) -> usize {
        if self.kernel.takes_columns() { short::width(self.table.as_rows(), K::HAS_LOG) } else { usize::MAX }
    }

    #[inline(always)]
    fn run<L: Lane>(self, l: L) -> f64 {
        let Batch { table, kernel, row_weights, losses, scale } = self;
        let (rows, classes) = (table.as_rows().rows(), table.as_rows().classes());
        let mut pending = Pending::new(losses);
        let taken = if kernel.takes_columns() { short::taken::<L>(table.as_rows(), K::HAS_LOG) } else { 0 };
        if taken > 0 {
            let is_uniform = row_weights.is_none() && kernel.uniform_share(classes).is_some();
            let (mut marks, mut weights) = (OfRows::ZEROS, OfRows::ZEROS);
            let (marks, weights, pending) = (&mut marks, &mut weights, &mut pending);
            let mut short_rows = ShortRows { kernel, row_weights, is_uniform, scale, marks, weights, pending };
            short::for_each_group(l, table, taken, K::IS_UNROLLED, &mut short_rows);
        }
        if taken < rows {
            l.apart(LongRows { table, kernel, row_weights, scale, first: taken, pending: &mut pending });
        }
        pending.sum.total()
    }
}

/// Rows one by one, apart from short ones: each loop has registers and a stack of its own.
struct LongRows<'a, 't, 'p, K> {
    table: &'a mut Table<'t>,
    kernel: &'a K,
    row_weights: Option<&'a [f32]>,
    scale: f32,
    first: usize,
    pending: &'a mut Pending<'p>,
}

impl<K: RowLoss> Op for LongRows<'_, '_, '_, K> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(self, l: L) {
        let LongRows { table, kernel, row_weights, scale, first, pending } = self;
        let (rows, classes) = (table.as_rows().rows(), table.as_rows().classes());
        let all_are_active = row_weights.is_none() && kernel.uniform_share(classes).is_some_and(|share| share.active);
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
            pending.set(row, weight, parts);
            if Pending::are_due(row + 1, rows) {
                pending.finish(l, K::HAS_LOG, row + 1);
            }
        }
    }
}

struct ShortRows<'a, 'p, K> {
    kernel: &'a K,
    row_weights: Option<&'a [f32]>,
    is_uniform: bool,
    scale: f32,
    /// Of the rows that are pending.
    marks: &'a mut OfRows,
    /// 0 of those that are not active; unless all are like each other.
    weights: &'a mut OfRows,
    pending: &'a mut Pending<'p>,
}

impl<K: RowLoss> short::Columns for ShortRows<'_, '_, K> {
    fn further(&self) -> Option<Rows<'_>> {
        self.kernel.labels()
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>>(
        &mut self,
        r: R,
        first: usize,
        x: Rows<'_>,
        columns: &mut [R::V],
        labels: &mut [R::V],
    ) {
        let (l, zero, rows) = (r.base(), r.splat(0.0), x.rows());
        if first.is_multiple_of(ROWS) {
            match self.kernel.classes() {
                Some(classes) if rows > 1 => l.apart(Marks { classes, first, to: self.marks }),
                _ => {}
            }
            if !self.is_uniform {
                set_active_weights(self.kernel, self.row_weights, x, first, self.weights);
            }
        }
        let marks = match self.kernel.classes() {
            Some(classes) if rows == 1 => r.splat(classes.mark_at(first)),
            _ => self.marks.load(r, first),
        };
        let weights = if self.is_uniform { r.splat(1.0) } else { self.weights.load(r, first) };
        let parts = self.kernel.columns(r, marks, columns, labels, r.mul(weights, r.splat(self.scale)));
        self.pending.set_vectors(r, K::HAS_LOG, first, weights, parts);
        if !self.is_uniform {
            // What is not active may be NaN.
            let inactive = r.eq(weights, zero);
            for column in columns {
                *column = r.zero_where(inactive, *column);
            }
        }
        let end = rows.min(first + R::VECTORS * L::N);
        if Pending::are_due(end, rows) {
            self.pending.finish(l, K::HAS_LOG, end);
        }
    }
}

/// [`ClassIndices::marks`], apart from the kernels: its loops, one for each type of integer, are long.
struct Marks<'a> {
    classes: ClassIndices<'a>,
    first: usize,
    to: &'a mut OfRows,
}

impl Op for Marks<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(self, _: L) {
        self.classes.marks(self.first, self.to.0.as_flattened_mut());
    }
}

/// The row weights of the rows from `first` on, 0 of those that are not active.
#[inline(never)]
fn set_active_weights<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, x: Rows<'_>, first: usize, to: &mut OfRows) {
    for (row, to) in (first..x.rows()).zip(to.0.as_flattened_mut()) {
        let is_active = share_of(kernel, row_weights, row, x.row(row)).active;
        *to = if is_active { weight_at(row_weights, row) } else { 0.0 };
    }
}

/// Rows of which the losses are finished at once: the logarithms of one group of rows need not wait for those of
/// another, nor the next row for them.
pub(super) const ROWS: usize = CHUNKS * LANES;
/// On small machines, few: they are on the stack.
const CHUNKS: usize = if IS_FIRMWARE { 1 } else { 4 };

/// A number for each of `ROWS` rows, in whole cache lines: a vector across two is not handed on from a store to a load.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct OfRows([Chunk; CHUNKS]);

impl OfRows {
    pub(super) const ZEROS: Self = Self([[0.0; LANES]; CHUNKS]);

    pub(super) fn at(&self, row: usize) -> f32 {
        self.0.as_flattened().get(row % ROWS).copied().unwrap_or_default()
    }

    /// The numbers of the rows from `row` on.
    #[inline(always)]
    fn load<L: Lane, R: Group<L>>(&self, r: R, row: usize) -> R::V {
        let l = r.base();
        r.of(
            #[inline(always)]
            |v| {
                let (chunk, k) = place::<L>((row + v * L::N) % ROWS);
                match self.0.get(chunk) {
                    Some(chunk) => l.load(chunk, k),
                    None => l.splat(0.0),
                }
            },
        )
    }

    #[inline(always)]
    pub(super) fn store<L: Lane, R: Group<L>>(&mut self, r: R, row: usize, a: R::V) {
        r.for_each(
            a,
            #[inline(always)]
            |v, a| {
                let (chunk, k) = place::<L>((row + v * L::N) % ROWS);
                if let Some(chunk) = self.0.get_mut(chunk) {
                    r.base().store(a, chunk, k);
                }
            },
        );
    }
}

/// What is known of up to `ROWS` rows when their exponentials are done, and the sum of the losses of those before.
struct Pending<'a> {
    linear: OfRows,
    slope: OfRows,
    r: OfRows,
    weight: OfRows,
    losses: Option<&'a mut [f32]>,
    sum: Sum,
}

impl<'a> Pending<'a> {
    fn new(losses: Option<&'a mut [f32]>) -> Self {
        let zeros = OfRows::ZEROS;
        Self { linear: zeros, slope: zeros, r: zeros, weight: zeros, losses, sum: Sum::default() }
    }

    #[inline(always)]
    fn set(&mut self, row: usize, weight: f32, parts: Parts) {
        let i = row % ROWS;
        let numbers = [parts.linear, parts.slope, parts.r, weight];
        for (of_rows, number) in
            [&mut self.linear, &mut self.slope, &mut self.r, &mut self.weight].into_iter().zip(numbers)
        {
            if let Some(of_row) = of_rows.0.as_flattened_mut().get_mut(i) {
                *of_row = number;
            }
        }
    }

    /// Of many rows.
    #[inline(always)]
    fn set_vectors<L: Lane, R: Group<L>>(
        &mut self,
        r: R,
        has_log: bool,
        first: usize,
        weights: R::V,
        parts: Parts<R::V>,
    ) {
        self.linear.store(r, first, parts.linear);
        self.weight.store(r, first, weights);
        if has_log {
            self.slope.store(r, first, parts.slope);
            self.r.store(r, first, parts.r);
        }
    }

    /// Whether rows up to `end` must be finished: there is no room for more, or they are the last of all.
    #[inline(always)]
    fn are_due(end: usize, rows: usize) -> bool {
        end.is_multiple_of(ROWS) || end == rows
    }

    /// The losses of all that are pending, of which the last is before row `end`.
    #[inline(always)]
    fn finish<L: Lane>(&mut self, l: L, has_log: bool, end: usize) {
        if has_log {
            l.apart(Finish { pending: self, end });
        } else {
            self.add_up(l, false, end);
        }
    }

    #[inline(always)]
    fn add_up<L: Lane>(&mut self, l: L, has_log: bool, end: usize) {
        let first = (end - 1) / ROWS * ROWS;
        let mut losses = OfRows::ZEROS;
        for row in (first..end).step_by(L::N) {
            let mut loss = self.linear.load(l, row);
            if has_log {
                loss = l.add(loss, l.mul(self.slope.load(l, row), log1p(l, self.r.load(l, row))));
            }
            // What is not active may be NaN. + 0.0: a loss of nothing is +0.
            let loss = l.add(l.weigh(self.weight.load(l, row), loss), l.splat(0.0));
            losses.store(l, row, loss);
        }
        let losses = losses.0.as_flattened().get(..end - first).unwrap_or_default();
        self.sum.add(losses);
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
    fn run<L: Lane>(self, l: L) {
        self.pending.add_up(l, true, self.end);
    }
}

/// The sum of the losses of many rows, in parts so that an addition need not wait for the one before.
#[derive(Default)]
struct Sum([f64; Self::PARTS]);

impl Sum {
    const PARTS: usize = 8;

    /// Of the next rows, which are a multiple of `PARTS` unless they are the last.
    #[inline(always)]
    fn add(&mut self, losses: &[f32]) {
        let (parts, rest) = losses.as_chunks::<{ Self::PARTS }>();
        for part in parts {
            for (i, sum) in self.0.iter_mut().enumerate() {
                *sum += f64::from(part.get(i).copied().unwrap_or_default());
            }
        }
        for (sum, &loss) in self.0.iter_mut().zip(rest) {
            *sum += f64::from(loss);
        }
    }

    fn total(self) -> f64 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}
