//! One generic body for each operation, at every width: a row at a time, by passes of [`walk`](crate::lane::walk), or
//! many short rows at once.

mod batch;
pub(crate) mod elementwise;
pub(crate) mod probability;
mod short;
pub(crate) mod sigmoid_loss;
pub(crate) mod softmax;
pub(crate) mod softmax_loss;
mod table;

use crate::lane::{Group, Lane, Op, Span, To};
use crate::{ClassIndices, Rows};
pub(crate) use batch::Batch;
pub(crate) use short::Short;
use short::{Held, Last, Layout};
use softmax::Ahead;
pub(crate) use table::Table;

/// Where stack and code are scarce.
const IS_FIRMWARE: bool = cfg!(all(target_os = "none", not(target_pointer_width = "64")));

/// What an activation, or its backward, does to a row.
pub(crate) trait RowMap {
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>);
}

/// A [`RowMap`] over a table.
pub(crate) struct ForEachRow<'t, 'a, M> {
    pub(crate) table: &'t mut Table<'a>,
    pub(crate) map: M,
}

impl<M: RowMap> Op for ForEachRow<'_, '_, M> {
    type Out = ();
    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        for row in 0..self.table.as_rows().rows() {
            let (span, _) = self.table.span_and_next(row);
            self.map.row(l, row, span);
        }
    }
}

/// A [`Short`] over a table: rows many at once, or one by one.
pub(crate) struct ForEachRowOrGroup<'t, 'a, M> {
    pub(crate) table: &'t mut Table<'a>,
    pub(crate) map: M,
}

impl<M: Short> Op for ForEachRowOrGroup<'_, '_, M> {
    type Out = ();

    fn width(&self) -> usize {
        short::width(self.table.as_rows(), M::HAS_MAX)
    }

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        let mut map = OfMap(&self.map);
        let taken = short::taken::<L>(self.table.as_rows(), M::HAS_MAX);
        let first = if const { M::TAKES_BLOCKS } { short::for_each_block(l, self.table, taken, &mut map) } else { 0 };
        short::for_each_group(l, self.table, first..taken, &mut map);
        let mut look = None;
        for row in taken..self.table.as_rows().rows() {
            let (span, next) = self.table.span_and_next(row);
            map.0.row(l, row, span, Ahead::new(&mut look, next));
        }
    }
}

/// A [`Short`] with columns.
struct OfMap<'m, M>(&'m M);

impl<'m, M: Short> short::Columns for OfMap<'m, M> {
    const IS_UNROLLED: bool = true;
    const HAS_MAX: bool = M::HAS_MAX;

    #[inline(always)]
    fn further(&self) -> Option<Rows<'_>> {
        self.0.further()
    }

    fn fill(&self) -> Option<f32> {
        Some(self.0.fill())
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &mut self,
        r: R,
        layout: Y,
        first: usize,
        _: &Table<'_>,
        held: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'m, M, L, R, Y> {
        self.0.columns(r, layout, first, held)
    }
}

/// The loss of a row, or of the rows in a vector: `linear + slope * log1p(r)`. The logarithms of many rows are found at
/// once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts<V = f32> {
    pub(crate) linear: V,
    pub(crate) slope: V,
    pub(crate) r: V,
}

impl Parts {
    /// Of a loss that is already found.
    pub(crate) fn linear(loss: f32) -> Self {
        Self { linear: loss, ..Self::default() }
    }
}

/// Writes a gradient, and then finds the loss, the one term of a pass.
#[inline(always)]
fn put_gradient<L: Lane, G: Group<L>>(g: G, to: To<'_>, (gradient, loss): (G::V, impl FnOnce() -> G::V)) -> [G::V; 1] {
    to.put(g, gradient);
    [loss()]
}

/// What a loss does to a row.
pub(crate) trait RowLoss {
    /// Whether [`Parts`] have a logarithm. Such losses have a maximum and a sum too, and so wait as in [`short::taken`].
    const HAS_LOG: bool = false;
    /// Whether those of two columns have.
    const HAS_LOG_OF_PAIR: bool = Self::HAS_LOG;
    /// Whether it has [`columns`](Self::columns).
    const TAKES_COLUMNS: bool = false;
    /// Whether those are short enough to be unrolled.
    const IS_UNROLLED: bool = false;
    /// Whether it is made for [`short::for_each_block`] too.
    const TAKES_BLOCKS: bool = false;
    /// Whether it may have [`terms`](Self::terms).
    const MAY_HAVE_TERMS: bool = false;

    /// The row's part in the denominators; reads `x` only where the row is used.
    fn share(&self, row: usize, x: &[f32]) -> Share;

    /// The dense labels, if it has any; [`columns`](Self::columns) takes them too.
    #[inline(always)]
    fn labels(&self) -> Option<Rows<'_>> {
        None
    }

    /// Whether an element of a used row is left out.
    fn ignores(&self, _row: usize, _index: usize) -> bool {
        false
    }

    /// The loss of a used row. Where the span can be written, it receives the gradient times `scale`.
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, ahead: Ahead<'_>, scale: f32) -> Parts;

    /// The share of every row, if it does not depend on the row.
    fn uniform_share(&self, _classes: usize) -> Option<Share> {
        None
    }

    /// Whether it has [`terms`](Self::terms). Such losses have no logarithm left in their [`Parts`].
    fn has_terms(&self) -> bool {
        false
    }

    /// The terms of all elements of rows that are joined into one, from `first` on, where each depends on its element
    /// alone. The span receives the gradient times `scale`.
    fn terms<L: Lane>(&self, _: L, _first: usize, _: Span<'_>, _scale: f32, _terms: &mut [f32]) {}

    /// The classes whose marks [`columns`](Self::columns) takes.
    #[inline(always)]
    fn classes(&self) -> Option<ClassIndices<'_>> {
        None
    }

    /// As [`short::Columns::fill`].
    fn fill(&self) -> f32 {
        f32::NEG_INFINITY
    }

    /// The losses of short rows, and what is to be done with each vector before it is written, as in
    /// [`short::Columns::columns`]: it receives the gradient times `scale`. Where there may be weights, nothing is left to be
    /// done. What an ignored row is given does not matter.
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        r: R,
        _layout: Y,
        _marks: R::V,
        _held: Held<'_, R::V>,
        _scale: R::V,
    ) -> (Parts<R::V>, impl Last<L::V> + use<Self, L, R, Y>) {
        let nan = r.splat(f32::NAN);
        (Parts { linear: nan, slope: nan, r: nan }, short::unchanged)
    }
}

/// A row's part in the denominators of a mean.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    /// Whether loss and gradient have to be computed: where not, they are 0, whatever the row has.
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

/// The weight of a row or class: 1 where there are none.
pub(crate) fn weight_at(weights: Option<&[f32]>, i: usize) -> f32 {
    weights.and_then(|weights| weights.get(i)).copied().unwrap_or(1.0)
}

/// A row's share with its row weight.
#[inline]
pub(crate) fn share_of<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, row: usize, x: &[f32]) -> Share {
    kernel.share(row, x).weighted(weight_at(row_weights, row))
}

/// The share of every row, where all have the same.
#[inline(always)]
fn uniform_share<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, table: &Table<'_>) -> Option<Share> {
    kernel.uniform_share(table.as_rows().classes()).filter(|_| row_weights.is_none())
}

/// The shares of all rows together.
#[inline]
pub(crate) fn shares_of<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, table: &Table<'_>) -> Share {
    match uniform_share(kernel, row_weights, table) {
        Some(share) => share.times(table.as_rows().rows()),
        None => shares_added_up(kernel, row_weights, table),
    }
}

#[inline(never)]
fn shares_added_up<K: RowLoss>(kernel: &K, row_weights: Option<&[f32]>, table: &Table<'_>) -> Share {
    let x = table.as_rows();
    (0..x.rows()).map(|row| share_of(kernel, row_weights, row, x.row(row))).fold(Share::NONE, Share::and)
}
