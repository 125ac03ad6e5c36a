//! A loss over the rows of a table: one row after the other, or short rows many at once.

use super::{Parts, RowLoss, Table, share_of, short, weight_at};
use crate::Rows;
use crate::lane::{Lane, Op};
use crate::math::log1p;

/// A [`RowLoss`] over a table.
pub(crate) struct Batch<'a, K> {
    pub(crate) table: Table<'a>,
    pub(crate) kernel: &'a K,
    pub(crate) row_weights: Option<&'a [f32]>,
    pub(crate) losses: Option<&'a mut [f32]>,
    /// Of the gradient.
    pub(crate) scale: f32,
}

impl<K: RowLoss> Op for Batch<'_, K> {
    /// The sum of the losses.
    type Out = f64;

    #[inline(always)]
    fn run<L: Lane>(self, l: L) -> f64 {
        if self.kernel.takes_columns() && short::are_short(self.table.as_rows()) {
            self.short_rows(l)
        } else {
            self.rows(l)
        }
    }
}

impl<K: RowLoss> Batch<'_, K> {
    #[inline(always)]
    fn rows<L: Lane>(mut self, l: L) -> f64 {
        let (rows, classes) = (self.table.as_rows().rows(), self.table.as_rows().classes());
        let all_are_active =
            self.row_weights.is_none() && self.kernel.uniform_share(classes).is_some_and(|share| share.active);
        let mut pending = Pending::new(self.losses);
        for row in 0..rows {
            let is_active =
                all_are_active || share_of(self.kernel, self.row_weights, row, self.table.as_rows().row(row)).active;
            let mut span = self.table.span(row);
            let (mut weight, mut parts) = (0.0, Parts::default());
            if is_active {
                weight = weight_at(self.row_weights, row);
                parts = self.kernel.row(l, row, span, weight * self.scale);
            } else {
                span.write().fill(0.0);
            }
            pending.set(row, weight, parts);
            if row % ROWS == ROWS - 1 || row + 1 == rows {
                pending.finish(l, K::HAS_LOG, row + 1);
            }
        }
        pending.sum.total()
    }

    /// `N` at once, of which some may not be active.
    #[inline(always)]
    fn short_rows<L: Lane>(mut self, l: L) -> f64 {
        let (rows, classes) = (self.table.as_rows().rows(), self.table.as_rows().classes());
        let is_uniform = self.row_weights.is_none() && self.kernel.uniform_share(classes).is_some();
        let (kernel, row_weights, scale) = (self.kernel, self.row_weights, self.scale);
        let mut pending = Pending::new(self.losses);
        let mut marks = [0.0; ROWS];
        short::for_each_group(
            l,
            &mut self.table,
            K::HAS_LOG,
            #[inline(always)]
            |first, x: Rows<'_>, columns| {
                let (at, zero) = (first % ROWS, l.splat(0.0));
                if at == 0 {
                    kernel.marks(first, &mut marks);
                }
                let marks = marks.get(at..).unwrap_or_default();
                let mark = match marks {
                    // A number that was written alone is not there yet to be loaded with others.
                    &[mark, ..] if rows - first == 1 => l.splat(mark),
                    _ => l.load_part(marks, 0.0),
                };
                let mut weights = l.splat(1.0);
                if !is_uniform {
                    let mut of_rows = [0.0; ROWS];
                    for (row, weight) in (first..rows).zip(&mut of_rows).take(L::N) {
                        if share_of(kernel, row_weights, row, x.row(row)).active {
                            *weight = weight_at(row_weights, row);
                        }
                    }
                    weights = l.load_part(&of_rows, 0.0);
                }
                let parts = kernel.columns(l, first, mark, columns, l.mul(weights, l.splat(scale)));
                pending.set_vector(l, K::HAS_LOG, first, weights, parts);
                if !is_uniform {
                    // What is not active may be NaN.
                    let inactive = l.eq(weights, zero);
                    for column in columns {
                        *column = l.select(inactive, zero, *column);
                    }
                }
                if at + L::N == ROWS || first + L::N >= rows {
                    pending.finish(l, K::HAS_LOG, rows.min(first + L::N));
                }
            },
        );
        pending.sum.total()
    }
}

/// Rows of which the losses are finished at once: the logarithms of one group of rows need not wait for those of another,
/// nor the next row for them. A multiple of `LANES`.
const ROWS: usize = 32;

/// What is known of up to `ROWS` rows when their exponentials are done, and the sum of the losses of those before.
struct Pending<'a> {
    linear: [f32; ROWS],
    slope: [f32; ROWS],
    r: [f32; ROWS],
    weight: [f32; ROWS],
    losses: Option<&'a mut [f32]>,
    sum: Sum,
}

impl<'a> Pending<'a> {
    fn new(losses: Option<&'a mut [f32]>) -> Self {
        let zeros = [0.0; ROWS];
        Self { linear: zeros, slope: zeros, r: zeros, weight: zeros, losses, sum: Sum::default() }
    }

    #[inline(always)]
    fn set(&mut self, row: usize, weight: f32, parts: Parts) {
        let i = row % ROWS;
        let all = (self.linear.get_mut(i), self.slope.get_mut(i), self.r.get_mut(i), self.weight.get_mut(i));
        if let (Some(linear), Some(slope), Some(r), Some(of_row)) = all {
            (*linear, *slope, *r, *of_row) = (parts.linear, parts.slope, parts.r, weight);
        }
    }

    /// Of `N` rows.
    #[inline(always)]
    fn set_vector<L: Lane>(&mut self, l: L, has_log: bool, first: usize, weights: L::V, parts: Parts<L::V>) {
        let at = first % ROWS;
        l.store_part(parts.linear, self.linear.get_mut(at..).unwrap_or_default());
        l.store_part(weights, self.weight.get_mut(at..).unwrap_or_default());
        if has_log {
            l.store_part(parts.slope, self.slope.get_mut(at..).unwrap_or_default());
            l.store_part(parts.r, self.r.get_mut(at..).unwrap_or_default());
        }
    }

    /// The losses of all that are pending, of which the last is before row `end`.
    #[inline(always)]
    fn finish<L: Lane>(&mut self, l: L, has_log: bool, end: usize) {
        let first = (end - 1) / ROWS * ROWS;
        let mut losses = [0.0; ROWS];
        for at in (0..end - first).step_by(L::N) {
            let load = {
                #[inline(always)]
                |of_rows: &[f32; ROWS]| l.load_part(of_rows.get(at..).unwrap_or_default(), 0.0)
            };
            let mut loss = load(&self.linear);
            if has_log {
                loss = l.add(loss, l.mul(load(&self.slope), log1p(l, load(&self.r))));
            }
            // What is not active may be NaN. + 0.0: a loss of nothing is +0.
            let loss = l.add(l.weigh(load(&self.weight), loss), l.splat(0.0));
            l.store_part(loss, losses.get_mut(at..).unwrap_or_default());
        }
        let losses = losses.get(..end - first).unwrap_or_default();
        self.sum.add(losses);
        if let Some(to) = self.losses.as_mut().and_then(|to| to.get_mut(first..end)) {
            for (to, &loss) in to.iter_mut().zip(losses) {
                *to = loss;
            }
        }
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
