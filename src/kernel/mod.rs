//! One generic body for each operation, at every width: a row at a time, by passes of [`walk`](crate::lane::walk), or many
//! short rows at once.

pub(crate) mod elementwise;
pub(crate) mod probability;
mod short;
pub(crate) mod sigmoid_loss;
pub(crate) mod softmax;
pub(crate) mod softmax_loss;
mod table;

use crate::Rows;
use crate::lane::{LANES, Lane, Op, Span};
use crate::math::log1p;
pub(crate) use short::Short;
pub(crate) use table::Table;

/// What an activation, or its backward, does to a row.
pub(crate) trait RowMap {
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>);
}

/// A [`RowMap`] over a table.
pub(crate) struct ForEachRow<'a, M> {
    pub(crate) table: Table<'a>,
    pub(crate) map: M,
}

impl<M: RowMap> Op for ForEachRow<'_, M> {
    type Out = ();
    #[inline(always)]
    fn run<L: Lane>(mut self, l: L) {
        for row in 0..self.table.as_rows().rows() {
            self.map.row(l, row, self.table.span(row));
        }
    }
}

/// A [`Short`] over a table: short rows many at once, others one by one.
pub(crate) struct ForEachRowOrGroup<'a, M> {
    pub(crate) table: Table<'a>,
    pub(crate) map: M,
}

impl<M: Short> Op for ForEachRowOrGroup<'_, M> {
    type Out = ();
    #[inline(always)]
    fn run<L: Lane>(mut self, l: L) {
        if !short::are_short(self.table.as_rows()) {
            return ForEachRow { table: self.table, map: self.map }.run(l);
        }
        short::for_each_group(
            l,
            &mut self.table,
            true,
            #[inline(always)]
            |row, _, columns| self.map.columns(l, row, columns),
        );
    }
}

/// The loss of a row: `linear + slope * log1p(r)`. The logarithms of many rows are found at once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts {
    pub(crate) linear: f32,
    pub(crate) slope: f32,
    pub(crate) r: f32,
}

impl Parts {
    /// Of a loss that is already found.
    pub(crate) fn linear(loss: f32) -> Self {
        Self { linear: loss, ..Self::default() }
    }
}

/// What a loss does to a row.
pub(crate) trait RowLoss {
    /// Whether [`Parts`] have a logarithm.
    const HAS_LOG: bool = false;

    /// The row's part in the denominators; reads `x` only where the row is used.
    fn share(&self, row: usize, x: &[f32]) -> Share;

    /// The row's dense labels, if it has any.
    fn labels(&self, _row: usize) -> &[f32] {
        &[]
    }

    /// Whether an element of a used row is left out.
    fn ignores(&self, _row: usize, _index: usize) -> bool {
        false
    }

    /// The loss of a used row. Where the span can be written, it receives the gradient times `scale`.
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, scale: f32) -> Parts;

    /// The share of every row, if it does not depend on the row.
    fn uniform_share(&self, _classes: usize) -> Option<Share> {
        None
    }

    /// Whether it has [`columns`](Self::columns).
    fn takes_columns(&self) -> bool {
        false
    }

    /// The losses of the `N` short rows that start with `row`. The columns receive the gradient times `scale`.
    fn columns<L: Lane>(&self, l: L, _row: usize, _columns: &mut [L::V], _scale: L::V) -> L::V {
        l.splat(f32::NAN)
    }
}

/// A row's part in the denominators of a mean.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    /// Whether loss and gradient have to be computed: where not, they are 0 and the row is not read.
    pub(crate) active: bool,
    pub(crate) rows: usize,
    pub(crate) weight: f64,
    pub(crate) elements: usize,
    pub(crate) nonzero: usize,
}

impl Share {
    /// An ignored row.
    pub(crate) const NONE: Self = Self { active: false, rows: 0, weight: 0.0, elements: 0, nonzero: 0 };

    /// A row that is one term with a weight.
    pub(crate) fn of_row(weight: f32, elements: usize) -> Self {
        let active = weight != 0.0;
        Self { active, rows: 1, weight: weight.into(), elements, nonzero: active.into() }
    }

    /// A row whose elements are terms of their own.
    pub(crate) fn of_elements(elements: usize) -> Self {
        Self { active: true, rows: 1, weight: elements as f64, elements, nonzero: elements }
    }

    /// The same row with a row weight.
    fn weighted(self, row_weight: f32) -> Self {
        if row_weight == 0.0 {
            return Self { active: false, weight: 0.0, nonzero: 0, ..self };
        }
        Self { weight: self.weight * f64::from(row_weight), ..self }
    }

    /// That of many rows like this.
    fn times(self, rows: usize) -> Self {
        Self {
            active: self.active && rows > 0,
            rows: self.rows.wrapping_mul(rows),
            weight: self.weight * rows as f64,
            elements: self.elements.wrapping_mul(rows),
            nonzero: self.nonzero.wrapping_mul(rows),
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            active: self.active || other.active,
            rows: self.rows + other.rows,
            weight: self.weight + other.weight,
            elements: self.elements + other.elements,
            nonzero: self.nonzero + other.nonzero,
        }
    }
}

/// A [`RowLoss`] over a table.
pub(crate) struct Batch<'a, K> {
    pub(crate) table: Table<'a>,
    pub(crate) kernel: &'a K,
    pub(crate) row_weights: Option<&'a [f32]>,
    pub(crate) losses: Option<&'a mut [f32]>,
    /// Of the gradient.
    pub(crate) scale: f32,
}

/// The weight of a row or class: 1 where there are none.
pub(crate) fn weight_at(weights: Option<&[f32]>, i: usize) -> f32 {
    weights.and_then(|weights| weights.get(i)).copied().unwrap_or(1.0)
}

/// A row's share with its row weight.
#[inline]
pub(crate) fn share_of<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, row: usize, x: &[f32]) -> Share {
    kernel.share(row, x).weighted(weight_at(row_weights, row))
}

/// The shares of all rows together.
pub(crate) fn shares_of<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, x: Rows<'_>) -> Share {
    match kernel.uniform_share(x.classes()) {
        Some(share) if row_weights.is_none() => share.times(x.rows()),
        _ => (0..x.rows()).map(|row| share_of(kernel, row_weights, row, x.row(row))).fold(Share::NONE, Share::and),
    }
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

/// The sum of the losses of many rows, in parts so that an addition need not wait for the one before.
#[derive(Default)]
struct Sum([f64; Self::PARTS]);

impl Sum {
    const PARTS: usize = 8;

    /// Of the rows from `first` on, with what a group has behind the last.
    #[inline(always)]
    fn add<const N: usize>(&mut self, first: usize, losses: &[f32; N], rows: usize) {
        if N.is_multiple_of(Self::PARTS) && rows >= N && first.is_multiple_of(Self::PARTS) {
            for part in losses.as_chunks::<{ Self::PARTS }>().0 {
                for (i, sum) in self.0.iter_mut().enumerate() {
                    *sum += f64::from(part.get(i).copied().unwrap_or_default());
                }
            }
        } else {
            for (row, &loss) in (first..).zip(losses).take(rows) {
                if let Some(sum) = self.0.get_mut(row % Self::PARTS) {
                    *sum += f64::from(loss);
                }
            }
        }
    }

    fn total(self) -> f64 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}

/// What is known of up to `LANES` rows when their exponentials are done.
#[derive(Default)]
struct Pending {
    linear: [f32; LANES],
    slope: [f32; LANES],
    r: [f32; LANES],
    weight: [f32; LANES],
}

impl Pending {
    #[inline(always)]
    fn set(&mut self, i: usize, weight: f32, parts: Parts) {
        let all = (self.linear.get_mut(i), self.slope.get_mut(i), self.r.get_mut(i), self.weight.get_mut(i));
        if let (Some(linear), Some(slope), Some(r), Some(of_row)) = all {
            (*linear, *slope, *r, *of_row) = (parts.linear, parts.slope, parts.r, weight);
        }
    }

    /// Their losses.
    #[inline(always)]
    fn losses<L: Lane>(&self, l: L, has_log: bool, rows: usize) -> [f32; LANES] {
        let mut losses = [0.0; LANES];
        for k in 0..rows.div_ceil(L::N) {
            let mut loss = l.load(&self.linear, k);
            if has_log {
                loss = l.add(loss, l.mul(l.load(&self.slope, k), log1p(l, l.load(&self.r, k))));
            }
            // + 0.0: a loss of nothing is +0.
            l.store(l.add(l.mul(l.load(&self.weight, k), loss), l.splat(0.0)), &mut losses, k);
        }
        losses
    }
}

impl<K: RowLoss> Batch<'_, K> {
    #[inline(always)]
    fn rows<L: Lane>(mut self, l: L) -> f64 {
        let mut sum = Sum::default();
        let (rows, classes) = (self.table.as_rows().rows(), self.table.as_rows().classes());
        let all_are_active =
            self.row_weights.is_none() && self.kernel.uniform_share(classes).is_some_and(|share| share.active);
        for first in (0..rows).step_by(LANES) {
            let count = LANES.min(rows - first);
            let mut pending = Pending::default();
            for i in 0..count {
                let row = first + i;
                let is_active = all_are_active
                    || share_of(self.kernel, self.row_weights, row, self.table.as_rows().row(row)).active;
                let mut span = self.table.span(row);
                if is_active {
                    let weight = weight_at(self.row_weights, row);
                    pending.set(i, weight, self.kernel.row(l, row, span, weight * self.scale));
                } else {
                    span.write().fill(0.0);
                }
            }
            let losses = pending.losses(l, K::HAS_LOG, count);
            sum.add(first, &losses, count);
            if let Some(to) = self.losses.as_mut().and_then(|to| to.get_mut(first..)) {
                for (to, loss) in to.iter_mut().zip(losses) {
                    *to = loss;
                }
            }
        }
        sum.total()
    }

    /// `N` at once, of which some may not be active.
    #[inline(always)]
    fn short_rows<L: Lane>(mut self, l: L) -> f64 {
        let mut sum = Sum::default();
        let (rows, classes) = (self.table.as_rows().rows(), self.table.as_rows().classes());
        let is_uniform = self.row_weights.is_none() && self.kernel.uniform_share(classes).is_some();
        let (kernel, row_weights, scale) = (self.kernel, self.row_weights, self.scale);
        let mut losses = self.losses;
        short::for_each_group(
            l,
            &mut self.table,
            K::HAS_LOG,
            #[inline(always)]
            |first, x: Rows<'_>, columns| {
                let (mut weights, zero) = (l.splat(1.0), l.splat(0.0));
                if !is_uniform {
                    let mut of_rows = [0.0; LANES];
                    for (row, weight) in (first..rows).zip(&mut of_rows).take(L::N) {
                        if share_of(kernel, row_weights, row, x.row(row)).active {
                            *weight = weight_at(row_weights, row);
                        }
                    }
                    weights = l.load(&of_rows, 0);
                }
                let loss = kernel.columns(l, first, columns, l.mul(weights, l.splat(scale)));
                // + 0.0: a loss of nothing is +0.
                let mut loss = l.add(l.mul(weights, loss), zero);
                if !is_uniform {
                    // What is not active may be NaN.
                    let inactive = l.eq(weights, zero);
                    for column in columns {
                        *column = l.select(inactive, zero, *column);
                    }
                    loss = l.select(inactive, zero, loss);
                }
                let mut of_rows = [0.0; LANES];
                l.store(loss, &mut of_rows, 0);
                match of_rows.first_chunk::<{ Sum::PARTS }>() {
                    Some(eight) if L::N == Sum::PARTS => sum.add(first, eight, rows - first),
                    _ => sum.add(first, &of_rows, L::N.min(rows - first)),
                }
                if let Some(losses) = losses.as_mut().and_then(|losses| losses.get_mut(first..)) {
                    l.store_part(loss, losses);
                }
            },
        );
        sum.total()
    }
}
