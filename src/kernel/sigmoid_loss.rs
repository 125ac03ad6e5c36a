//! Binary cross-entropy with logits, element by element, and its gradient.
//!
//! ```text
//! with the smoothed t and 1 - t, each from the label itself: t (1 - s) + s / 2 and (1 - t) (1 - s) + s / 2
//! a = pos_weight t,  b = 1 - t,  e = exp(-|x|);  near = b and far = -a if x >= 0, else near = -a and far = b
//! (1)  loss   = a softplus(-x) + b softplus(x) = near x + (a + b) log1p(e)
//! (2)  dL/dx  = b sigmoid(x) - a sigmoid(-x) = (near + far e) / (1 + e)
//! (3)         = near - sign(x) e / (1 + e), where a + b = 1
//! ```
//!
//! A term whose weight is 0 is 0 whatever the logit is, so an infinite logit on the right side costs nothing. For t in
//! [0, 1] nothing cancels in (1), and neither sigmoid of (2) is found as 1 minus the other. Both numbers of (3) are at
//! most twice the larger of the two products with sigmoids, so what is rounded away is small beside that.

use super::elementwise::{abs, neg};
use super::short::{Held, Last, Layout, columns_of, unchanged, weights_of};
use super::softmax::Ahead;
use super::{Parts, RowLoss, Share, put_gradient, short, weight_at};
use crate::Rows;
use crate::lane::{Arithmetic, Group, Lane, Span, Stream, To, walk, walk_large, walk_terms};
use crate::math::{log1p_of_scaled, scaled_exp_of_minus, scaled_one};

pub(crate) struct Logits<'a> {
    pub(crate) targets: &'a Rows<'a>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) pos_weights: Stream<'a>,
    pub(crate) label_smoothing: f32,
    /// NaN, which no target equals, where none is ignored.
    pub(crate) ignore_value: f32,
}

impl Logits<'_> {
    /// Whether the targets are all there is.
    fn is_plain(&self) -> bool {
        self.class_weights.is_none()
            && matches!(self.pos_weights, Stream::Splat(1.0))
            && self.label_smoothing == 0.0
            && self.ignore_value.is_nan()
    }

    /// Gradient of an element with a class weight and a pos_weight, and how to find the loss.
    #[inline(always)]
    fn weighted<A: Arithmetic>(
        &self,
        l: A,
        x: A::V,
        t: A::V,
        [w, pos_weight]: [A::V; 2],
        scale: A::V,
    ) -> (A::V, impl FnOnce() -> A::V) {
        let (on, off) = (l.splat(1.0 - self.label_smoothing), l.splat(self.label_smoothing * 0.5));
        let w = l.select(l.eq(t, l.splat(self.ignore_value)), l.splat(0.0), w);
        let a = l.mul(pos_weight, l.mul_add(t, on, off));
        let b = l.mul_add(l.sub(l.splat(1.0), t), on, off);
        let (is_negative, minus_a, one) = (l.is_negative(x), neg(l, a), l.splat(scaled_one::<A>()));
        let (near, far) = (l.select(is_negative, minus_a, b), l.select(is_negative, b, minus_a));
        let e = scaled_exp_of_minus_size(l, x);
        // Both sides of the fraction scaled. The weights are in it, so that a small result is rounded once.
        let gradient = l.div(l.mul_add(far, e, l.mul(near, one)), l.add(one, e));
        (
            l.mul(l.weigh(w, gradient), scale),
            #[inline(always)]
            move || l.weigh(w, l.weigh_add(near, x, l.weigh(l.add(a, b), log1p_of_scaled(l, e)))),
        )
    }
}

impl<'a> RowLoss for Logits<'a> {
    const TAKES_COLUMNS: bool = true;
    const MAY_HAVE_TERMS: bool = true;

    fn ignores(&self, row: usize, index: usize) -> bool {
        self.targets.row(row).get(index) == Some(&self.ignore_value)
    }

    #[inline(always)]
    fn labels(&self) -> Option<Rows<'_>> {
        Some(*self.targets)
    }

    #[inline(always)]
    fn share(&self, row: usize, _: &[f32]) -> Share {
        elements_share(self.targets.row(row), self.class_weights, self.ignore_value)
    }

    fn uniform_share(&self, classes: usize) -> Option<Share> {
        let uniform = self.class_weights.is_none() && self.ignore_value.is_nan();
        uniform.then(|| Share::of_elements(classes))
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, _: Ahead<'_>, scale: f32) -> Parts {
        let g = l.group();
        let targets = Stream::Slice(self.targets.row(row));
        let [loss] = if self.is_plain() {
            // Behind the end x is -inf and t is 0, of which the loss is 0.
            let (large, large_scale) = (l.large_group(), l.large_group().splat(scale));
            walk_large(
                l,
                &mut span,
                f32::NEG_INFINITY,
                [targets],
                #[inline(always)]
                |x, [t], to| put_gradient(large, to, plain(large, x, t, large_scale)),
                #[inline(always)]
                |x, [t], to| put_gradient(g, to, plain(g, x, t, g.splat(scale))),
            )
        } else {
            walk(
                l,
                &mut span,
                0.0,
                [targets, Stream::or(self.class_weights, 1.0), self.pos_weights],
                #[inline(always)]
                |x, [t, w, pos_weight], to| {
                    put_gradient(g, to, self.weighted(g, x, t, [w, pos_weight], g.splat(scale)))
                },
            )
        };
        Parts::linear(loss)
    }

    fn has_terms(&self) -> bool {
        self.class_weights.is_none() && matches!(self.pos_weights, Stream::Splat(_))
    }

    #[inline(always)]
    fn terms<L: Lane>(&self, l: L, first: usize, mut span: Span<'_>, scale: f32, terms: &mut [f32]) {
        let (g, large) = (l.group(), l.large_group());
        let targets = Stream::Slice(self.targets.joined(first, terms.len()));
        let places = (&mut span, terms);
        if self.is_plain() {
            let large_scale = large.splat(scale);
            let of_units = {
                #[inline(always)]
                |x, [t]: [_; 1], to: To<'_>| put_gradient(large, to, plain(large, x, t, large_scale))
            };
            walk_terms(
                l,
                places,
                f32::NEG_INFINITY,
                [targets],
                (large, of_units),
                #[inline(always)]
                |x, [t], to| put_gradient(g, to, plain(g, x, t, g.splat(scale))),
            );
        } else {
            let of_group = {
                #[inline(always)]
                |x, [t, pos_weight]: [_; 2], to: To<'_>| {
                    put_gradient(g, to, self.weighted(g, x, t, [g.splat(1.0), pos_weight], g.splat(scale)))
                }
            };
            walk_terms(l, places, 0.0, [targets, self.pos_weights], (g, of_group), of_group);
        }
    }

    fn fill(&self) -> f32 {
        // As in a row alone.
        if self.is_plain() { f32::NEG_INFINITY } else { 0.0 }
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        r: R,
        layout: Y,
        _: R::V,
        Held { columns, further: targets, .. }: Held<'_, R::V>,
        scale: R::V,
    ) -> (Parts<R::V>, impl Last<L::V> + use<'a, L, R, Y>) {
        let [linear] = if self.is_plain() {
            layout.sums(r, columns, &mut Plain::<R> { targets, scale })
        } else {
            layout.sums(r, columns, &mut Weighted::<R, _> { loss: self, layout, targets, scale })
        };
        (Parts { linear, slope: r.splat(0.0), r: r.splat(0.0) }, unchanged)
    }
}

/// Elements of columns.
struct Plain<'a, R: Arithmetic> {
    targets: &'a [R::V],
    scale: R::V,
}

/// Elements of columns.
struct Weighted<'a, R: Arithmetic, Y> {
    loss: &'a Logits<'a>,
    layout: Y,
    targets: &'a [R::V],
    scale: R::V,
}

impl<R: Arithmetic> short::Terms<R, 1> for Plain<'_, R> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, first: usize, x: G::V) -> (G::V, [G::V; 1]) {
        let (gradient, loss) = plain(g, x, columns_of(g, self.targets, first), g.repeat(self.scale));
        (gradient, [loss()])
    }
}

impl<R: Arithmetic, Y: Layout<R>> short::Terms<R, 1> for Weighted<'_, R, Y> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, first: usize, x: G::V) -> (G::V, [G::V; 1]) {
        let of_classes = weights_of(g, self.layout, Stream::or(self.loss.class_weights, 1.0), first);
        let weights = [of_classes, weights_of(g, self.layout, self.loss.pos_weights, first)];
        let targets = columns_of(g, self.targets, first);
        let (gradient, loss) = self.loss.weighted(g, x, targets, weights, g.repeat(self.scale));
        (gradient, [loss()])
    }
}

/// Gradient, by (3), of an element where the targets are all there is, and how to find the loss: then a + b is 1, and an
/// infinite or NaN label makes the loss NaN by `near`.
#[inline(always)]
fn plain<A: Arithmetic>(l: A, x: A::V, t: A::V, scale: A::V) -> (A::V, impl FnOnce() -> A::V) {
    let e = scaled_exp_of_minus_size(l, x);
    let other_side = l.div(e, l.add(l.splat(scaled_one::<A>()), e));
    // While the division goes on, and not before: there is no register for it.
    let near = l.sub(l.select(l.is_negative(x), l.splat(0.0), l.splat(1.0)), t);
    let signed = l.bits_or(other_side, l.bits_and(x, l.splat(-0.0)));
    (
        l.mul(l.sub(near, signed), scale),
        #[inline(always)]
        move || l.mul_add(near, l.to_weigh(near, x), log1p_of_scaled(l, e)),
    )
}

/// e, scaled.
#[inline(always)]
fn scaled_exp_of_minus_size<A: Arithmetic>(l: A, x: A::V) -> A::V {
    scaled_exp_of_minus(l, abs(l, x))
}

/// The share of a row whose elements are terms of their own, each with the weight of its class.
#[inline(always)]
pub(super) fn elements_share(targets: &[f32], class_weights: Option<&[f32]>, ignore_value: f32) -> Share {
    if class_weights.is_none() && ignore_value.is_nan() {
        return Share::of_elements(targets.len());
    }
    let mut row = Share::NONE;
    for (class, &target) in targets.iter().enumerate() {
        if target != ignore_value {
            row = row.and(Share::of_row(weight_at(class_weights, class), 1));
        }
    }
    Share { rows: row.rows.min(1), ..row }
}
