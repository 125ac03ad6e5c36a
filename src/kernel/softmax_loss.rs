//! Softmax cross-entropy with any labels, and its gradient, from the statistics of [`softmax`](super::softmax).
//!
//! ```text
//! with labels q (class weights and smoothing in them), T = sum q, and m, r of the logits s
//! (1)  loss   = sum_{q_i != 0} q_i (m - s_i) + T log1p(r)
//! (2)  dL/ds_i = T p_i - q_i,  p_i = exp(s_i - m) / (1 + r)
//! (3)         = (T - q_i) p_i - q_i (1 - p_i),  1 - p_i = r / (1 + r), where exp(s_i - m) = 1
//! ```
//!
//! A row of -inf alone has r = -1 and is NaN by itself; where it is to be taken as 0, it is not active.
//!
//! Both terms of (1) are sums of non-negative numbers for q >= 0: nothing cancels, a tiny loss keeps its digits, and a
//! common offset of the logits is gone before anything is rounded away. (3) is (2) without the cancellation of p - 1 at
//! a class that is nearly certain; any other p is at most about 1/2, where (2) loses nothing.

use super::batch::{ROWS, store};
use super::elementwise::abs;
use super::short::{self, Held, Last, Layout, columns_of, ones_of, unchanged, weights_of};
use super::softmax::{Ahead, Leave, Rescale, again, inverse_of, inverse_of_pair, inverse_of_row, rest_of, rest_of_all};
use super::{Parts, RowLoss, Share, weight_at};
use crate::lane::{Arithmetic, Group, LANES, Lane, Span, Stream, walk, walk_without};
use crate::loss::{EmptyRow, PositivesScale};
use crate::math::{factor, log1p_of_scaled, scaled_exp_of_minus, scaled_one};
use crate::targets::Class;
use crate::{ClassIndices, HotClasses, Rows};

/// What both kinds of labels need of a row of logits.
struct Row {
    /// As [`Rescale`] takes it.
    scaled_inverse: f32,
    /// 1 / (1 + r)
    inverse: f32,
    /// r / (1 + r)
    rest: f32,
    r: f32,
}

impl Row {
    #[inline(always)]
    fn new<L: Lane>(l: L, r: f32) -> Self {
        let scaled_inverse = inverse_of_row(l, r);
        let inverse = scaled_inverse * factor::<L>();
        Self { scaled_inverse, inverse, rest: r * inverse, r }
    }

    /// (3) of one class, times `scale`.
    #[inline(always)]
    fn certain(&self, q: f32, total: f32, scale: f32) -> f32 {
        ((total - q) * scale) * self.inverse - (q * scale) * self.rest
    }
}

/// A term of the first sum of (1).
#[inline(always)]
fn distance_of(q: f32, m: f32, s: f32) -> f32 {
    if q == 0.0 { 0.0 } else { q * (m - s) }
}

/// Labels that are 0 but for a few hot classes: one pass for the statistics, one to scale the exponentials.
#[inline(always)]
fn hot<L: Lane>(
    l: L,
    mut span: Span<'_>,
    mut ahead: Ahead<'_>,
    scale: f32,
    normalize: impl Fn(f32, f32) -> f32,
    labels: impl Iterator<Item = (usize, f32)> + Clone,
) -> Parts {
    let look = ahead.here(l, span.read());
    let (mut distance, mut total, mut count) = (0.0, 0.0, 0.0);
    // Before the pass: in place, it overwrites the logits.
    for (class, q) in labels.clone() {
        let s = span.read().get(class).copied().unwrap_or(f32::NAN);
        total += q;
        count += 1.0;
        distance += distance_of(q, look.largest.value, s);
    }
    let row = Row::new(l, look.rest(l, &mut span, Leave::Exps));
    ahead.go_on(l);
    let factor = normalize(count, total);
    let scale = scale * factor;
    if span.is_written() {
        let rescale = Rescale::new(l, l.splat(total * scale), l.splat(row.scaled_inverse));
        // What an exponential of 1 becomes, by which it is known again after the pass. Others do where they are next to
        // it or underflow, and there both forms agree.
        let ones = l.first(rescale.apply(l, l.splat(scaled_one::<L>())));
        rescale.row(l, &mut span, look.largest.value);
        let exps = span.write();
        for (class, q) in labels.clone() {
            if let Some(gradient) = exps.get_mut(class).filter(|gradient| **gradient != ones) {
                *gradient -= q * scale;
            }
        }
        for (class, _) in labels.clone() {
            if let Some(gradient) = exps.get_mut(class).filter(|gradient| **gradient == ones) {
                // Listed more than once, the class has the sum of its labels.
                let q = labels.clone().filter(|&(other, _)| other == class).map(|(_, q)| q).sum();
                *gradient = row.certain(q, total, scale);
            }
        }
    }
    Parts { linear: factor * distance, slope: factor * total, r: row.r }
}

/// What turns exponentials and labels into a gradient.
struct Slope<A: Arithmetic> {
    total: A::V,
    scale: A::V,
    inverse: A::V,
    rest: A::V,
    /// From an exponential to p T scale.
    rescale: Rescale<A>,
}

impl<A: Arithmetic> Slope<A> {
    #[inline(always)]
    fn new(l: A, total: A::V, scale: A::V, r: A::V) -> Self {
        let scaled_inverse = inverse_of(l, r);
        let inverse = l.mul(scaled_inverse, l.splat(factor::<A>()));
        let rescale = Rescale::new(l, l.mul(total, scale), scaled_inverse);
        Self { total, scale, inverse, rest: l.mul(r, inverse), rescale }
    }

    /// The same in each vector of a group.
    #[inline(always)]
    fn repeat<G: Group<A>>(&self, g: G) -> Slope<G> {
        Slope {
            total: g.repeat(self.total),
            scale: g.repeat(self.scale),
            inverse: g.repeat(self.inverse),
            rest: g.repeat(self.rest),
            rescale: self.rescale.repeat(g),
        }
    }

    /// (2), or (3) where the exponential is 1.
    #[inline(always)]
    fn gradient(&self, l: A, e: A::V, q: A::V) -> A::V {
        let scaled = l.mul(q, self.scale);
        let certain = l.sub(l.mul(l.mul(l.sub(self.total, q), self.scale), self.inverse), l.mul(scaled, self.rest));
        let uncertain = l.sub(self.rescale.apply(l, e), scaled);
        l.select(l.eq(e, l.splat(scaled_one::<A>())), certain, uncertain)
    }
}

/// Labels `q_i = w_i (on t_i + off)` of every class, all divided by the number of positives if so wished. Label smoothing
/// has on = 1 - epsilon, off = epsilon / C.
pub(crate) struct Dense<'a> {
    pub(crate) targets: &'a Rows<'a>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) on: f32,
    pub(crate) off: f32,
    /// Whether a row without a label that is not 0 is left out.
    pub(crate) needs_positive: bool,
    /// By what the row is divided.
    pub(crate) scale: PositivesScale,
    /// The gradient takes every label that is not 0 as 1.
    pub(crate) binarize: bool,
    pub(crate) empty_row: EmptyRow,
}

/// (1) and what it needs beside the exponentials, before the row is divided: T, the first sum, and how many t are not 0.
struct Sums<V> {
    r: V,
    total: V,
    distance: V,
    nonzero: V,
}

impl Dense<'_> {
    fn weights(&self) -> Stream<'_> {
        Stream::or(self.class_weights, 1.0)
    }

    #[inline(always)]
    fn label<A: Arithmetic>(&self, l: A, t: A::V, w: A::V) -> A::V {
        l.weigh(w, l.mul_add(l.splat(self.on), t, l.splat(self.off)))
    }

    #[inline(always)]
    fn label_of_gradient<A: Arithmetic>(&self, l: A, t: A::V, w: A::V) -> A::V {
        if self.binarize { not_zero(l, t) } else { self.label(l, t, w) }
    }

    /// A scaled exponential, and the terms of an element.
    #[inline(always)]
    fn terms<A: Arithmetic>(&self, l: A, m: A::V, x: A::V, [t, w]: [A::V; 2]) -> (A::V, [A::V; 4]) {
        let distance = l.sub(m, x);
        let e = scaled_exp_of_minus(l, distance);
        let q = self.label(l, t, w);
        (e, [e, q, l.weigh(q, distance), not_zero(l, t)])
    }

    /// (1) and (2) of a row, or of rows.
    #[inline(always)]
    fn settle<A: Arithmetic>(&self, l: A, sums: Sums<A::V>, scale: A::V) -> (Parts<A::V>, Slope<A>) {
        let Sums { r, total, distance, nonzero } = sums;
        // An infinite label is no label: its row is NaN.
        let size = abs(l, total);
        let total = l.select(l.eq(size, l.splat(f32::INFINITY)), l.splat(f32::NAN), total);
        let divided = positives_scale(l, self.scale, nonzero, total);
        // The article's printed backward has the labels 1, and as many of them as are not 0.
        let of_gradient = if self.binarize { nonzero } else { total };
        let slope = Slope::new(l, of_gradient, l.mul(scale, divided), r);
        (Parts { linear: l.mul(divided, distance), slope: l.mul(divided, total), r }, slope)
    }
}

/// 1, or 0 where it is that.
#[inline(always)]
fn not_zero<A: Arithmetic>(l: A, t: A::V) -> A::V {
    l.zero_without(t, l.splat(1.0))
}

/// The factor of a multi-label row with `count` labels that are not 0 and the sum `total`; 1/0 is taken as 0.
#[inline(always)]
fn positives_scale<A: Arithmetic>(l: A, scale: PositivesScale, count: A::V, total: A::V) -> A::V {
    let divisor = match scale {
        PositivesScale::CountNonzero => count,
        PositivesScale::SumLabels => total,
        PositivesScale::None => return l.splat(1.0),
    };
    l.zero_without(divisor, l.div(l.splat(1.0), divisor))
}

impl<'a> RowLoss for Dense<'a> {
    const HAS_LOG: bool = true;
    const TAKES_COLUMNS: bool = true;

    #[inline(always)]
    fn labels(&self) -> Option<Rows<'_>> {
        Some(*self.targets)
    }

    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        let is_empty = self.needs_positive && self.targets.row(row).iter().all(|&t| t == 0.0);
        if is_empty || left_out(self.empty_row, x) { Share::NONE } else { Share::of_row(1.0, x.len()) }
    }

    fn uniform_share(&self, classes: usize) -> Option<Share> {
        let uniform = !self.needs_positive && self.empty_row == EmptyRow::Nan;
        uniform.then(|| Share::of_row(1.0, classes))
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, mut ahead: Ahead<'_>, scale: f32) -> Parts {
        let (g, largest) = (l.group(), ahead.largest(l, span.read()));
        let m = g.splat(largest.value);
        let streams = [Stream::Slice(self.targets.row(row)), self.weights()];
        let (ones, [sum, total, distance, nonzero]) = walk_without(
            l,
            &mut span,
            scaled_one::<L>(),
            f32::NEG_INFINITY,
            streams,
            #[inline(always)]
            |x, of_x, to| {
                let (e, terms) = self.terms(g, m, x, of_x);
                to.put(g, e);
                terms
            },
            #[inline(always)]
            |span, _| again(l, span, largest.value, Leave::Exps, largest.lane),
        );
        let sums = Sums {
            r: l.splat(rest_of(l, ones, sum)),
            total: l.splat(total),
            distance: l.splat(distance),
            nonzero: l.splat(nonzero),
        };
        let (parts, slope) = self.settle(l, sums, l.splat(scale));
        ahead.go_on(l);
        if span.is_written() {
            let slope = slope.repeat(g);
            walk(
                l,
                &mut Span::in_place(span.write()),
                0.0,
                streams,
                #[inline(always)]
                |e, [t, w], to| to.put(g, slope.gradient(g, e, self.label_of_gradient(g, t, w))),
            );
        }
        Parts { linear: l.first(parts.linear), slope: l.first(parts.slope), r: l.first(parts.r) }
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        l: R,
        layout: Y,
        _: R::V,
        Held { max: m, columns, further: labels }: Held<'_, R::V>,
        scale: R::V,
    ) -> (Parts<R::V>, impl Last<L::V> + use<'a, L, R, Y>) {
        let mut terms = DenseTerms::<R, _> { dense: self, layout, labels, m, ones: l.splat(0.0) };
        let [sum, total, distance, nonzero] = layout.sums(l, columns, &mut terms);
        let r = rest_of_all(l, ones_of(l, layout, terms.ones), sum);
        let (parts, slope) = self.settle(l, Sums { r, total, distance, nonzero }, scale);
        for (i, e) in columns.iter_mut().enumerate() {
            let [t, w] = terms.of_columns(l, i);
            *e = slope.gradient(l, *e, self.label_of_gradient(l, t, w));
        }
        (parts, unchanged)
    }
}

/// Scaled exponentials of columns and the terms of dense labels.
struct DenseTerms<'a, R: Arithmetic, Y> {
    dense: &'a Dense<'a>,
    layout: Y,
    labels: &'a [R::V],
    m: R::V,
    ones: R::V,
}

impl<R: Arithmetic, Y: Layout<R>> DenseTerms<'_, R, Y> {
    /// t and w of the columns from `first` on.
    #[inline(always)]
    fn of_columns<G: Group<R>>(&self, g: G, first: usize) -> [G::V; 2] {
        [columns_of(g, self.labels, first), weights_of(g, self.layout, self.dense.weights(), first)]
    }
}

impl<R: Arithmetic, Y: Layout<R>> short::Terms<R, 4> for DenseTerms<'_, R, Y> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, first: usize, x: G::V) -> (G::V, [G::V; 4]) {
        let (e, [term, q, distance, nonzero]) = self.dense.terms(g, g.repeat(self.m), x, self.of_columns(g, first));
        (e, [short::count_ones(g, term, &mut self.ones), q, distance, nonzero])
    }
}

/// A row of nothing but -inf, where the policy is to leave it out.
#[inline(always)]
fn left_out(policy: EmptyRow, x: &[f32]) -> bool {
    policy == EmptyRow::Zero && x.iter().all(|&x| x == f32::NEG_INFINITY)
}

/// Class indices: `q_i = w_i [i = class]`.
pub(crate) struct Indexed<'a> {
    pub(crate) targets: &'a ClassIndices<'a>,
    pub(crate) ignore_index: Option<i64>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) empty_row: EmptyRow,
}

/// The classes of the rows in a vector, by their marks. A row along the lanes has few vectors, for which columns stand
/// here too.
#[derive(Clone, Copy)]
struct HotOfRows<A: Arithmetic, Y> {
    layout: Y,
    marks: A::V,
}

impl<A: Arithmetic, Y: Layout<A>> HotOfRows<A, Y> {
    #[inline(always)]
    fn is(self, l: A, column: usize) -> A::M {
        l.eq(self.marks, self.layout.marks(l, column))
    }

    /// Columns in which the hot ones are sought one after the other; of more, only those are looked at that a row names.
    #[inline(always)]
    const fn are_few<L: Lane>(columns: usize) -> bool
    where
        A: Group<L>,
    {
        columns <= 3 * A::VECTORS * L::N
    }

    /// Gives `f` every column that is hot in some row, and perhaps others: all of few, or one for each row.
    #[inline(always)]
    fn for_each<L: Lane>(self, l: A, columns: usize, mut f: impl FnMut(usize))
    where
        A: Group<L>,
    {
        if Self::are_few::<L>(columns) {
            for column in 0..columns {
                f(column);
            }
            return;
        }
        let mut marks = [[0.0; LANES]; ROWS / LANES];
        store(l, 0, self.marks, &mut marks);
        for &mark in marks.as_flattened().iter().take(A::VECTORS * L::N) {
            f(ClassIndices::of_mark(mark));
        }
    }

    /// The hot one of each row's columns.
    #[inline(always)]
    fn of<L: Lane>(self, l: A, columns: &[A::V]) -> A::V
    where
        A: Group<L>,
    {
        let mut hot = l.splat(0.0);
        self.for_each(
            l,
            columns.len(),
            #[inline(always)]
            |i| {
                if let Some(&column) = columns.get(i) {
                    hot = l.select(self.is(l, i), column, hot);
                }
            },
        );
        self.only(l, hot)
    }

    /// 1 without weights.
    #[inline(always)]
    fn weight<L: Lane>(self, l: A, class_weights: Option<&[f32]>, columns: usize) -> A::V
    where
        A: Group<L>,
    {
        let Some(weights) = class_weights.filter(|_| Y::HAS_WEIGHTS) else { return l.splat(1.0) };
        let mut hot = l.splat(0.0);
        self.for_each(
            l,
            columns,
            #[inline(always)]
            |i| hot = l.select(self.is(l, i), self.layout.weights(l, Stream::Slice(weights), i), hot),
        );
        self.only(l, hot)
    }

    /// What is not +0 in at most one lane of a row.
    #[inline(always)]
    fn only(self, l: A, of_lanes: A::V) -> A::V {
        self.layout.across(
            l,
            of_lanes,
            #[inline(always)]
            |a, b| l.bits_or(a, b),
        )
    }

    /// Puts the hot one of each row into its column, and `f` of what is in a column into all others.
    #[inline(always)]
    fn put<L: Lane>(self, l: A, hot: A::V, columns: &mut [A::V], f: impl Fn(A::V) -> A::V)
    where
        A: Group<L>,
    {
        if Self::are_few::<L>(columns.len()) {
            for (i, column) in columns.iter_mut().enumerate() {
                *column = l.select(self.is(l, i), hot, f(*column));
            }
            return;
        }
        // Not in place: a blend with what is in memory would become a masked store, which takes long.
        let mut named = [(usize::MAX, hot); LANES];
        let mut rest = named.iter_mut();
        self.for_each(
            l,
            columns.len(),
            #[inline(always)]
            |i| {
                if let (Some(named), Some(&column)) = (rest.next(), columns.get(i)) {
                    *named = (i, l.select(self.is(l, i), hot, f(column)));
                }
            },
        );
        for column in columns.iter_mut() {
            *column = f(*column);
        }
        for (i, named) in named {
            if let Some(column) = columns.get_mut(i) {
                *column = named;
            }
        }
    }
}

impl Indexed<'_> {
    /// (1) and (2) of two columns, with one exponential, as that of the larger logit is 1.
    ///
    /// ```text
    /// (4)  loss = q ((m - s_hot) + log1p(e)),  dL/ds_other = q p_other = -dL/ds_hot,  e = exp(-|s_hot - s_other|)
    /// ```
    #[inline(always)]
    fn pair<L: Lane, R: Group<L>, Y: Layout<R>>(
        r: R,
        q: R::V,
        marks: R::V,
        [x, y]: [&mut R::V; 2],
        scale: R::V,
    ) -> Parts<R::V> {
        let second = ClassIndices::mark(1);
        let [of_hot, e] = r.pass(
            [marks, *x, *y],
            #[inline(always)]
            |u, [marks, x, y]| {
                let (is_second, m) = (u.eq(marks, u.splat(second)), u.max(x, y));
                let (hot, other) = (u.select(is_second, y, x), u.select(is_second, x, y));
                // One of them is 0, or one is NaN: where a logit is, or the larger is infinite.
                let (of_hot, of_other) = (u.sub(m, hot), u.sub(m, other));
                [of_hot, scaled_exp_of_minus(u, u.add(of_hot, of_other))]
            },
        );
        let [linear] = r.pass(
            [q, of_hot, e],
            #[inline(always)]
            |u, [q, of_hot, e]| {
                let loss = u.add(of_hot, log1p_of_scaled(u, e));
                [if Y::HAS_WEIGHTS { u.weigh(q, loss) } else { loss }]
            },
        );
        let [of_x, of_y] = r.pass(
            [marks, r.mul(q, scale), of_hot, e],
            #[inline(always)]
            |u, [marks, factor, of_hot, e]| {
                let (zero, one) = (u.splat(0.0), u.splat(scaled_one::<L>()));
                let inverse = inverse_of_pair(u, u.mul(e, u.splat(1.0 / scaled_one::<L>())));
                let rescale = Rescale::for_rows::<R, Y>(u, factor, inverse);
                let of_other = rescale.apply_for_rows::<R, Y>(u, u.select(u.gt(of_hot, zero), one, e));
                let (is_second, of_hot) = (u.eq(marks, u.splat(second)), u.sub(zero, of_other));
                [u.select(is_second, of_other, of_hot), u.select(is_second, of_hot, of_other)]
            },
        );
        (*x, *y) = (of_x, of_y);
        Parts { linear, slope: r.splat(0.0), r: r.splat(0.0) }
    }
}

impl<'a> RowLoss for Indexed<'a> {
    const HAS_LOG: bool = true;
    const HAS_LOG_OF_PAIR: bool = false;
    const TAKES_COLUMNS: bool = true;
    const IS_UNROLLED: bool = true;
    const TAKES_BLOCKS: bool = true;

    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        let Class::Index(class) = self.targets.class(row, self.ignore_index) else { return Share::NONE };
        if left_out(self.empty_row, x) {
            return Share::NONE;
        }
        Share::of_row(weight_at(self.class_weights, class), x.len())
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, ahead: Ahead<'_>, scale: f32) -> Parts {
        let Class::Index(class) = self.targets.class(row, self.ignore_index) else { return Parts::default() };
        let weight = weight_at(self.class_weights, class);
        hot(l, span, ahead, scale, |_, _| 1.0, core::iter::once((class, weight)))
    }

    fn uniform_share(&self, classes: usize) -> Option<Share> {
        let uniform = self.ignore_index.is_none() && self.class_weights.is_none() && self.empty_row == EmptyRow::Nan;
        uniform.then(|| Share::of_row(1.0, classes))
    }

    #[inline(always)]
    fn classes(&self) -> Option<ClassIndices<'_>> {
        Some(*self.targets)
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        r: R,
        layout: Y,
        marks: R::V,
        mut held: Held<'_, R::V>,
        scale: R::V,
    ) -> (Parts<R::V>, impl Last<L::V> + use<'a, L, R, Y>) {
        let (l, m, classes) = (r.base(), held.max, HotOfRows::<R, _> { layout, marks });
        let q = classes.weight(r, self.class_weights, held.columns.len());
        let is_pair = Y::HAS_COLUMNS && held.columns.len() == 2;
        let (mut hot, mut rescale) = (r.splat(0.0), Rescale::none(r));
        let parts = if let (true, [x, y]) = (is_pair, &mut *held.columns) {
            Self::pair::<L, R, Y>(r, q, marks, [x, y], scale)
        } else {
            let logit = classes.of(r, held.columns);
            let rest = short::rest(r, layout, &mut held, true);
            let inverse = inverse_of(r, rest);
            let distance = r.sub(m, logit);
            // Once more, which is less than to look for it in many columns.
            let again = held.columns.len() > 4;
            hot = if again { scaled_exp_of_minus(r, distance) } else { classes.of(r, held.columns) };

            let scaled = r.mul(q, scale);
            let is_one = r.eq(hot, r.splat(scaled_one::<R>()));
            let certain = r.mul(scaled, r.mul(rest, r.mul(inverse, r.splat(factor::<R>()))));
            rescale = Rescale::for_rows::<R, Y>(r, scaled, inverse);
            hot = r.select(is_one, r.sub(r.splat(0.0), certain), r.sub(rescale.apply_for_rows::<R, Y>(r, hot), scaled));
            Parts { linear: if Y::HAS_WEIGHTS { r.weigh(q, distance) } else { distance }, slope: q, r: rest }
        };
        if Y::HAS_WEIGHTS && !is_pair {
            classes.put(
                r,
                hot,
                held.columns,
                #[inline(always)]
                |e| rescale.apply(r, e),
            );
        }
        let last = {
            #[inline(always)]
            move |v: usize, i: usize, e: L::V| {
                if Y::HAS_WEIGHTS || is_pair {
                    return e;
                }
                let is_hot = l.eq(r.at(marks, v), r.at(layout.marks(r, i), v));
                l.select(is_hot, r.at(hot, v), rescale.at::<L>(r, v).apply_for_rows::<R, Y>(l, e))
            }
        };
        (parts, last)
    }
}

/// Class indices with label smoothing: `q_i = w_i (on [i = class] + off)`.
pub(crate) struct Smoothed<'a> {
    labels: Indexed<'a>,
    on: f32,
    off: f32,
    /// The sum of `w_i off` over all classes.
    spread: f32,
}

impl<'a> Smoothed<'a> {
    /// on = 1 - epsilon, off = epsilon / C
    pub(crate) fn new(labels: Indexed<'a>, epsilon: f32, classes: usize) -> Self {
        let off = epsilon / classes as f32;
        let spread = match labels.class_weights {
            Some(weights) => weights.iter().map(|&weight| f64::from(weight) * f64::from(off)).sum::<f64>() as f32,
            None => epsilon,
        };
        Self { labels, on: 1.0 - epsilon, off, spread }
    }

    /// A scaled exponential, and the terms of an element but for what the class has more.
    #[inline(always)]
    fn terms<A: Arithmetic>(&self, l: A, m: A::V, x: A::V, w: A::V) -> (A::V, [A::V; 2]) {
        let distance = l.sub(m, x);
        let e = scaled_exp_of_minus(l, distance);
        (e, [e, l.weigh(l.mul(w, l.splat(self.off)), distance)])
    }

    #[inline(always)]
    fn of_class<L: Lane>(
        &self,
        l: L,
        (mut span, mut ahead): (Span<'_>, Ahead<'_>),
        class: usize,
        weights: Stream<'_>,
        scale: f32,
    ) -> Parts {
        let (g, largest) = (l.group(), ahead.largest(l, span.read()));
        let m = g.splat(largest.value);
        let (weight, s) = (weights.at(class), span.read().get(class).copied().unwrap_or(f32::NAN));
        let more = weight * self.on;
        let total = more + self.spread;
        let of_class = distance_of(more, largest.value, s);
        let (ones, [sum, distance]) = walk_without(
            l,
            &mut span,
            scaled_one::<L>(),
            f32::NEG_INFINITY,
            [weights],
            #[inline(always)]
            |x, [w], to| {
                let (e, terms) = self.terms(g, m, x, w);
                to.put(g, e);
                terms
            },
            #[inline(always)]
            |span, _| again(l, span, largest.value, Leave::Exps, largest.lane),
        );
        let r = rest_of(l, ones, sum);
        ahead.go_on(l);
        if span.is_written() {
            let slope = Slope::new(l, l.splat(total), l.splat(scale), l.splat(r));
            let exps = span.write();
            // Before the pass, which is in place.
            let e = exps.get(class).copied().unwrap_or(f32::NAN);
            let of_class = l.first(slope.gradient(l, l.splat(e), l.splat(more + weight * self.off)));
            let slope = slope.repeat(g);
            walk(
                l,
                &mut Span::in_place(&mut *exps),
                0.0,
                [weights],
                #[inline(always)]
                |e, [w], to| to.put(g, slope.gradient(g, e, g.mul(w, g.splat(self.off)))),
            );
            if let Some(gradient) = exps.get_mut(class) {
                *gradient = of_class;
            }
        }
        Parts { linear: of_class + distance, slope: total, r }
    }
}

impl<'a> RowLoss for Smoothed<'a> {
    const HAS_LOG: bool = true;
    const TAKES_COLUMNS: bool = true;

    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        let share = self.labels.share(row, x);
        // Smoothed labels reach classes whose weight is not 0.
        Share { active: share.rows > 0, ..share }
    }

    fn uniform_share(&self, classes: usize) -> Option<Share> {
        self.labels.uniform_share(classes)
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, ahead: Ahead<'_>, scale: f32) -> Parts {
        let Class::Index(class) = self.labels.targets.class(row, self.labels.ignore_index) else {
            return Parts::default();
        };
        // Loops of their own: where there are none, weights cost nothing.
        match self.labels.class_weights {
            None => self.of_class(l, (span, ahead), class, Stream::Splat(1.0), scale),
            Some(weights) => self.of_class(l, (span, ahead), class, Stream::Slice(weights), scale),
        }
    }

    #[inline(always)]
    fn classes(&self) -> Option<ClassIndices<'_>> {
        self.labels.classes()
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        l: R,
        layout: Y,
        marks: R::V,
        Held { max: m, columns, .. }: Held<'_, R::V>,
        scale: R::V,
    ) -> (Parts<R::V>, impl Last<L::V> + use<'a, L, R, Y>) {
        let classes = HotOfRows::<R, _> { layout, marks };
        let (weight, logit) = (classes.weight(l, self.labels.class_weights, columns.len()), classes.of(l, columns));
        let more = l.mul(weight, l.splat(self.on));
        let total = l.add(more, l.splat(self.spread));
        let mut terms = SmoothedTerms::<R, _> { loss: self, layout, m, ones: l.splat(0.0) };
        let [sum, distance] = layout.sums(l, columns, &mut terms);
        let r = rest_of_all(l, ones_of(l, layout, terms.ones), sum);
        let slope = Slope::new(l, total, scale, r);
        let of_class = l.add(more, l.mul(weight, l.splat(self.off)));
        for (i, e) in columns.iter_mut().enumerate() {
            let off = l.mul(terms.weights(l, i), l.splat(self.off));
            *e = slope.gradient(l, *e, l.select(classes.is(l, i), of_class, off));
        }
        let linear = l.add(l.weigh(more, l.sub(m, logit)), distance);
        (Parts { linear, slope: total, r }, unchanged)
    }
}

/// Scaled exponentials of columns and the terms of smoothed labels.
struct SmoothedTerms<'a, R: Arithmetic, Y> {
    loss: &'a Smoothed<'a>,
    layout: Y,
    m: R::V,
    ones: R::V,
}

impl<R: Arithmetic, Y: Layout<R>> SmoothedTerms<'_, R, Y> {
    #[inline(always)]
    fn weights<G: Group<R>>(&self, g: G, first: usize) -> G::V {
        weights_of(g, self.layout, Stream::or(self.loss.labels.class_weights, 1.0), first)
    }
}

impl<R: Arithmetic, Y: Layout<R>> short::Terms<R, 2> for SmoothedTerms<'_, R, Y> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, first: usize, x: G::V) -> (G::V, [G::V; 2]) {
        let (e, [term, distance]) = self.loss.terms(g, g.repeat(self.m), x, self.weights(g, first));
        (e, [short::count_ones(g, term, &mut self.ones), distance])
    }
}

/// Multi-label rows as lists of their hot classes.
pub(crate) struct MultiHot<'a> {
    pub(crate) targets: &'a HotClasses<'a>,
    pub(crate) ignore_index: Option<i64>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) scale: PositivesScale,
    pub(crate) empty_row: EmptyRow,
}

impl RowLoss for MultiHot<'_> {
    const HAS_LOG: bool = true;

    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        let positive = self.targets.row(row, self.ignore_index).next().is_some();
        if !positive || left_out(self.empty_row, x) { Share::NONE } else { Share::of_row(1.0, x.len()) }
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, ahead: Ahead<'_>, scale: f32) -> Parts {
        let labels = self.targets.row(row, self.ignore_index);
        let labels = labels.map(|class| (class, weight_at(self.class_weights, class)));
        let normalize = {
            #[inline(always)]
            |count, total| l.first(positives_scale(l, self.scale, l.splat(count), l.splat(total)))
        };
        hot(l, span, ahead, scale, normalize, labels)
    }
}
