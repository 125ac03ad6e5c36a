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

use super::short;
use super::softmax::{Ahead, Leave, Rescale, inverse_of, rest_of};
use super::{Parts, RowLoss, Share, Side, weight_at};
use crate::lane::{Arithmetic, Lane, Peak, Span, Stream, walk, walk_without};
use crate::loss::{EmptyRow, PositivesScale};
use crate::math::{OVER_TWO_64, factor, scaled_exp_nonpos, scaled_one};
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
        let scaled_inverse = l.first(inverse_of(l, l.splat(r)));
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
        distance += distance_of(q, look.peak.largest, s);
    }
    let row = Row::new(l, look.rest(l, &mut span, Leave::Exps));
    let factor = normalize(count, total);
    let scale = scale * factor;
    if span.is_written() {
        let rescale = Rescale::new(l, l.splat(total * scale), l.splat(row.scaled_inverse));
        // What an exponential of 1 becomes, by which it is known again after the pass. Others do where they are next to
        // it or underflow, and there both forms agree.
        let ones = l.first(rescale.apply(l, l.splat(scaled_one::<L>())));
        ahead.go_on(l);
        rescale.row(l, &mut span, look.peak);
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

/// Dense labels `q_i = w_i (on t_i + off)`, with `hot` more at one class.
struct Dense<'a> {
    labels: Stream<'a>,
    weights: Stream<'a>,
    on: f32,
    off: f32,
    hot: Option<(usize, f32)>,
    /// The gradient takes every label that is not 0 as 1.
    binarize: bool,
}

#[inline(always)]
fn dense<L: Lane>(
    l: L,
    mut span: Span<'_>,
    labels: &Dense<'_>,
    scale: f32,
    normalize: impl Fn(f32, f32) -> f32,
) -> Parts {
    let peak = Peak::of(l, span.read());
    let g = l.group();
    let (zero, one, m) = (g.splat(0.0), g.splat(1.0), g.splat(peak.largest));
    let (on, off) = (g.splat(labels.on), g.splat(labels.off));
    let (hot_class, hot_label) = labels.hot.unwrap_or((usize::MAX, 0.0));
    let hot_logit = span.read().get(hot_class).copied();

    let streams = [labels.labels, labels.weights];
    let (ones, [sum, mut total, mut distance, nonzero]) = walk_without(
        l,
        &mut span,
        (scaled_one::<L>(), peak),
        f32::NEG_INFINITY,
        streams,
        #[inline(always)]
        |x, [t, w]| {
            let e = scaled_exp_nonpos(g, g.sub(x, m));
            let q = g.weigh(w, g.mul_add(on, t, off));
            let nonzero = g.select(g.eq(t, zero), zero, one);
            (e, [e, q, g.weigh(q, g.sub(m, x)), nonzero])
        },
    );
    let row = Row::new(l, rest_of(l, ones, sum));
    let (mut hot_total, mut hot_gradient) = (hot_label, 0.0);
    if let Some(s) = hot_logit {
        total += hot_label;
        distance += distance_of(hot_label, peak.largest, s);
        hot_total += labels.weights.at(hot_class) * labels.off;
    }

    // An infinite label is no label: its row is NaN.
    total = if total.is_infinite() { f32::NAN } else { total };
    let factor = normalize(nonzero, total);
    let scale = scale * factor;
    // The article's printed backward has the labels 1, and as many of them as are not 0.
    let gradient_total = if labels.binarize { nonzero } else { total };
    if span.is_written() {
        let exps = span.write();
        // p T scale of an exponential e is e * per_exp * OVER_TWO_64.
        let per_exp = (gradient_total * row.scaled_inverse) * scale;
        if let (Some(&e), Some(_)) = (exps.get(hot_class), labels.hot) {
            hot_gradient = if e == scaled_one::<L>() {
                row.certain(hot_total, gradient_total, scale)
            } else {
                (e * per_exp) * OVER_TWO_64 - hot_total * scale
            };
        }
        let (inverse, rest) = (g.splat(row.inverse), g.splat(row.rest));
        let (total, per_exp, scale) = (g.splat(gradient_total), g.splat(per_exp), g.splat(scale));
        let (e_of_one, over_two_64) = (g.splat(scaled_one::<L>()), g.splat(OVER_TWO_64));
        walk(
            l,
            &mut Span::in_place(&mut *exps),
            0.0,
            streams,
            #[inline(always)]
            |e, [t, w]| {
                let q = if labels.binarize {
                    g.select(g.eq(t, zero), zero, one)
                } else {
                    g.weigh(w, g.mul_add(on, t, off))
                };
                let scaled = g.mul(q, scale);
                let certain = g.sub(g.mul(g.mul(g.sub(total, q), scale), inverse), g.mul(scaled, rest));
                let uncertain = g.sub(g.mul(g.mul(e, per_exp), over_two_64), scaled);
                (g.select(g.eq(e, e_of_one), certain, uncertain), [])
            },
        );
        if let Some(gradient) = exps.get_mut(hot_class) {
            *gradient = hot_gradient;
        }
    }
    Parts { linear: factor * distance, slope: factor * total, r: row.r }
}

/// A row of nothing but -inf, where the policy is to leave it out.
#[inline(always)]
fn left_out(policy: EmptyRow, x: &[f32]) -> bool {
    policy == EmptyRow::Zero && x.iter().all(|&x| x == f32::NEG_INFINITY)
}

/// Class indices, with label smoothing: `q_i = w_i ((1 - epsilon) [i = class] + epsilon / C)`.
pub(crate) struct Indexed<'a> {
    pub(crate) targets: ClassIndices<'a>,
    pub(crate) ignore_index: Option<i64>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) label_smoothing: f32,
    pub(crate) empty_row: EmptyRow,
}

impl RowLoss for Indexed<'_> {
    const HAS_LOG: bool = true;

    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        let Class::Index(class) = self.targets.class(row, self.ignore_index) else { return Share::NONE };
        if left_out(self.empty_row, x) {
            return Share::NONE;
        }
        let share = Share::of_row(weight_at(self.class_weights, class), x.len());
        // Smoothed labels reach classes whose weight is not 0.
        Share { active: share.active || self.label_smoothing != 0.0, ..share }
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, ahead: Ahead<'_>, scale: f32) -> Parts {
        let Class::Index(class) = self.targets.class(row, self.ignore_index) else { return Parts::default() };
        let weight = weight_at(self.class_weights, class);
        if self.label_smoothing == 0.0 {
            return hot(l, span, ahead, scale, |_, _| 1.0, core::iter::once((class, weight)));
        }
        let classes = span.read().len();
        let labels = Dense {
            labels: Stream::Splat(0.0),
            weights: Stream::or(self.class_weights, 1.0),
            on: 0.0,
            off: self.label_smoothing / classes as f32,
            hot: Some((class, weight * (1.0 - self.label_smoothing))),
            binarize: false,
        };
        dense(l, span, &labels, scale, |_, _| 1.0)
    }

    fn takes_columns(&self) -> bool {
        self.label_smoothing == 0.0
    }

    fn uniform_share(&self, classes: usize) -> Option<Share> {
        let uniform = self.ignore_index.is_none() && self.class_weights.is_none() && self.empty_row == EmptyRow::Nan;
        uniform.then(|| Share::of_row(1.0, classes))
    }

    #[inline(always)]
    fn marks(&self, row: usize, to: &mut [f32]) {
        self.targets.marks(row, to);
    }

    #[inline(always)]
    fn columns<L: Lane, R: Side<L>>(
        &self,
        l: R,
        row: usize,
        class: R::V,
        columns: &mut [R::V],
        _: &mut [R::V],
        scale: R::V,
    ) -> Parts<R::V> {
        let mut q = l.splat(1.0);
        if self.class_weights.is_some() {
            q = l.of_rows(
                row,
                #[inline(always)]
                |row| match self.targets.class(row, self.ignore_index) {
                    Class::Index(class) => weight_at(self.class_weights, class),
                    Class::Ignored => 1.0,
                },
            );
        }
        let is_hot = {
            #[inline(always)]
            |column: usize| l.eq(class, l.splat(ClassIndices::mark(column)))
        };

        let m = short::max(l, columns);
        let mut logit = l.splat(0.0);
        for (i, &x) in columns.iter().enumerate() {
            logit = l.select(is_hot(i), x, logit);
        }
        let r = short::rest(l, columns, m, true);
        let inverse = inverse_of(l, r);
        let mut hot = l.splat(0.0);
        if columns.len() > 4 {
            // Once more, which is less than to look for it in all columns.
            hot = scaled_exp_nonpos(l, l.sub(logit, m));
        } else {
            for (i, &e) in columns.iter().enumerate() {
                hot = l.select(is_hot(i), e, hot);
            }
        }

        let scaled = l.mul(q, scale);
        let is_one = l.eq(hot, l.splat(scaled_one::<R>()));
        let certain = l.mul(scaled, l.mul(r, l.mul(inverse, l.splat(factor::<R>()))));
        let rescale = Rescale::new(l, scaled, inverse);
        let hot = l.select(is_one, l.sub(l.splat(0.0), certain), l.sub(rescale.apply(l, hot), scaled));
        // In one pass: a blend with what is in memory would become a masked store, which takes long.
        for (i, e) in columns.iter_mut().enumerate() {
            *e = l.select(is_hot(i), hot, rescale.apply(l, *e));
        }
        Parts { linear: l.weigh(q, l.sub(m, logit)), slope: q, r }
    }
}

/// Rows of labels, with label smoothing: `q_i = w_i ((1 - epsilon) t_i + epsilon / C)`.
pub(crate) struct Labelled<'a> {
    pub(crate) targets: Rows<'a>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) label_smoothing: f32,
    pub(crate) empty_row: EmptyRow,
}

impl RowLoss for Labelled<'_> {
    const HAS_LOG: bool = true;

    fn labels(&self, row: usize) -> &[f32] {
        self.targets.row(row)
    }

    #[inline(always)]
    fn share(&self, _: usize, x: &[f32]) -> Share {
        if left_out(self.empty_row, x) { Share::NONE } else { Share::of_row(1.0, x.len()) }
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, _: Ahead<'_>, scale: f32) -> Parts {
        let targets = self.targets.row(row);
        let labels = Dense {
            labels: Stream::Slice(targets),
            weights: Stream::or(self.class_weights, 1.0),
            on: 1.0 - self.label_smoothing,
            off: self.label_smoothing / targets.len() as f32,
            hot: None,
            binarize: false,
        };
        dense(l, span, &labels, scale, |_, _| 1.0)
    }
}

/// The factor of a multi-label row with `count` labels that are not 0 and the sum `total`; 1/0 is taken as 0.
#[inline(always)]
fn positives_scale(scale: PositivesScale, count: f32, total: f32) -> f32 {
    let divisor = match scale {
        PositivesScale::CountNonzero => count,
        PositivesScale::SumLabels => total,
        PositivesScale::None => 1.0,
    };
    if divisor == 0.0 { 0.0 } else { 1.0 / divisor }
}

/// Multi-label rows of real labels: `q_i = w_i t_i`, all divided by the number of positives.
pub(crate) struct MultiLabelled<'a> {
    pub(crate) targets: Rows<'a>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) scale: PositivesScale,
    pub(crate) binarize: bool,
    pub(crate) empty_row: EmptyRow,
}

impl RowLoss for MultiLabelled<'_> {
    const HAS_LOG: bool = true;

    fn labels(&self, row: usize) -> &[f32] {
        self.targets.row(row)
    }

    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        let positive = self.targets.row(row).iter().any(|&t| t != 0.0);
        if !positive || left_out(self.empty_row, x) { Share::NONE } else { Share::of_row(1.0, x.len()) }
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, span: Span<'_>, _: Ahead<'_>, scale: f32) -> Parts {
        let labels = Dense {
            labels: Stream::Slice(self.targets.row(row)),
            weights: Stream::or(self.class_weights, 1.0),
            on: 1.0,
            off: 0.0,
            hot: None,
            binarize: self.binarize,
        };
        dense(l, span, &labels, scale, |count, total| positives_scale(self.scale, count, total))
    }
}

/// Multi-label rows as lists of their hot classes.
pub(crate) struct MultiHot<'a> {
    pub(crate) targets: HotClasses<'a>,
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
        hot(l, span, ahead, scale, |count, total| positives_scale(self.scale, count, total), labels)
    }
}
