//! Binary cross-entropy with logits, element by element, and its gradient.
//!
//! ```text
//! with the smoothed t and 1 - t, each from the label itself: t (1 - s) + s / 2 and (1 - t) (1 - s) + s / 2
//! a = pos_weight t,  b = 1 - t,  e = exp(-|x|)
//! (1)  loss  = a softplus(-x) + b softplus(x) = (b if x >= 0, else a) |x| + (a + b) log1p(e)
//! (2)  dL/dx = b sigmoid(x) - a sigmoid(-x),  sigmoid(|x|) = 1 / (1 + e),  sigmoid(-|x|) = e / (1 + e)
//! ```
//!
//! A term whose weight is 0 is 0 whatever the logit is, so an infinite logit on the right side costs nothing. For t in
//! [0, 1] nothing cancels in (1), and neither sigmoid is found as 1 minus the other.

use super::elementwise::{exp_neg_abs, quotient};
use super::{RowLoss, Share, weight_at};
use crate::Rows;
use crate::lane::{Lane, Span, Stream, walk};
use crate::math::log1p_of_unit;

pub(crate) struct Logits<'a> {
    pub(crate) targets: Rows<'a>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) pos_weights: Stream<'a>,
    pub(crate) label_smoothing: f32,
    /// NaN, which no target equals, where none is ignored.
    pub(crate) ignore_value: f32,
}

impl RowLoss for Logits<'_> {
    fn ignores(&self, row: usize, index: usize) -> bool {
        self.targets.row(row).get(index) == Some(&self.ignore_value)
    }

    fn labels(&self, row: usize) -> &[f32] {
        self.targets.row(row)
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
    fn row<L: Lane, S: Span>(&self, l: L, row: usize, mut span: S, scale: f32) -> f32 {
        let (zero, one) = (l.splat(0.0), l.splat(1.0));
        let (on, off) = (l.splat(1.0 - self.label_smoothing), l.splat(self.label_smoothing * 0.5));
        let (ignored, scale) = (l.splat(self.ignore_value), l.splat(scale));
        let targets = Stream::Slice(self.targets.row(row), 0.0);
        let weights = Stream::or(self.class_weights, 1.0);
        let [loss] = walk(
            l,
            &mut span,
            0.0,
            [targets, weights, self.pos_weights],
            #[inline(always)]
            |x, [t, w, pos_weight]| {
                let w = l.select(l.eq(t, ignored), zero, w);
                let (a, b) = (l.mul(pos_weight, l.mul_add(t, on, off)), l.mul_add(l.sub(one, t), on, off));
                let e = exp_neg_abs(l, x);
                let size = l.bits_and(x, l.splat_bits(0x7fff_ffff));
                let linear = l.weigh(l.select(l.is_negative(x), a, b), size);
                let loss = l.add(linear, l.weigh(l.add(a, b), log1p_of_unit(l, e)));
                let gradient = {
                    // A quotient each: a product by e would have its errors and those of the quotient.
                    let (larger, smaller) = (quotient(l, one, e), quotient(l, e, e));
                    let at_x = l.select(l.is_negative(x), smaller, larger);
                    let at_minus_x = l.select(l.is_negative(x), larger, smaller);
                    l.sub(l.mul(b, at_x), l.mul(a, at_minus_x))
                };
                (l.mul(l.weigh(w, gradient), scale), [l.weigh(w, loss)])
            },
        );
        loss
    }
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
