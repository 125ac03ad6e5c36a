//! Cross-entropy of probabilities, binary cross-entropy of probabilities, and NLL of log-probabilities.
//!
//! ```text
//! with log p and D(p), which stands for d log p / dp, as the clamp policy has them
//! (1)  dense        loss = -sum_{q_i != 0} q_i log p_i        dL/dp_i = -q_i D(p_i)
//! (2)  class index  loss = -w_c log p_c                       dL/dp_c = -w_c D(p_c), 0 elsewhere
//! (3)  binary       loss = -t log p - (1 - t) log(1 - p)      dL/dp   = (1 - t) D(1 - p) - t D(p)
//! (4)  NLL          loss = -w_c lp_c                          dL/dlp_c = -w_c, 0 elsewhere
//! ```

use super::elementwise::neg;
use super::sigmoid_loss::elements_share;
use super::softmax::Ahead;
use super::{Parts, RowLoss, Share, put_gradient, weight_at};
use crate::lane::{Arithmetic, Lane, Span, Stream, To, walk, walk_terms};
use crate::loss::LogClamp;
use crate::math::{ln, log1p};
use crate::targets::Class;
use crate::{ClassIndices, Rows};

/// A clamp policy as the numbers that make it up, so that one body serves all of them.
#[derive(Clone, Copy)]
pub(crate) struct Clamp<V> {
    /// Added to the probability.
    epsilon: V,
    /// Whether that is anything.
    adds: bool,
    /// The least that the logarithm may be.
    min_log: V,
    /// The least that the divisor of D may be.
    min_divisor: V,
    /// D is 0 below this probability.
    cut: V,
}

impl<V: Copy> Clamp<V> {
    #[inline(always)]
    fn new<A: Arithmetic<V = V>>(l: A, policy: LogClamp) -> Self {
        let none = f32::NEG_INFINITY;
        let (epsilon, min_divisor, cut) = match policy {
            LogClamp::None => (0.0, none, none),
            LogClamp::MinProb(p) => (0.0, p, none),
            LogClamp::Clip(p) => (0.0, none, p),
            LogClamp::MinLog(_) => (0.0, 1e-12, none),
            LogClamp::AddEps(epsilon) => (epsilon, none, none),
        };
        let min_log = match policy {
            LogClamp::MinProb(p) | LogClamp::Clip(p) => ln(l, l.splat(p)),
            LogClamp::MinLog(log) => l.splat(log),
            LogClamp::None | LogClamp::AddEps(_) => l.splat(none),
        };
        Self {
            epsilon: l.splat(epsilon),
            adds: matches!(policy, LogClamp::AddEps(_)),
            min_log,
            min_divisor: l.splat(min_divisor),
            cut: l.splat(cut),
        }
    }

    /// log p. What is added to a probability never takes its logarithm above 0.
    #[inline(always)]
    fn log<A: Arithmetic<V = V>>(&self, l: A, p: V) -> V {
        let sum = l.min(l.max(l.splat(1.0), p), l.add(p, self.epsilon));
        l.max(self.min_log, ln(l, sum))
    }

    /// log(1 - p), from p itself: 1 - p is exact above 1/2 only.
    #[inline(always)]
    fn log_complement<A: Arithmetic<V = V>>(&self, l: A, p: V) -> V {
        let rest = l.min(l.splat(0.0), l.sub(self.epsilon, p));
        let log = log1p(l, rest);
        let log = if self.adds {
            let complement = l.min(l.splat(1.0), l.add(l.sub(l.splat(1.0), p), self.epsilon));
            l.select(l.gt(p, l.splat(0.5)), ln(l, complement), log)
        } else {
            log
        };
        l.max(self.min_log, log)
    }

    /// `weight * D(p)` by one division, and 0 where the weight is 0.
    #[inline(always)]
    fn slope<A: Arithmetic<V = V>>(&self, l: A, weight: V, p: V) -> V {
        let zero = l.splat(0.0);
        let slope = l.div(weight, l.max(self.min_divisor, l.add(p, self.epsilon)));
        let slope = l.select(l.gt(self.cut, p), zero, slope);
        l.select(l.eq(weight, zero), zero, slope)
    }
}

/// (2)
pub(crate) struct Indexed<'a> {
    pub(crate) targets: &'a ClassIndices<'a>,
    pub(crate) ignore_index: Option<i64>,
    pub(crate) class_weights: Option<&'a [f32]>,
    /// None: the input is a log-probability, (4).
    pub(crate) clamp: Option<LogClamp>,
}

impl Indexed<'_> {
    #[inline(always)]
    fn target(&self, row: usize) -> Option<(usize, f32)> {
        let Class::Index(class) = self.targets.class(row, self.ignore_index) else { return None };
        Some((class, weight_at(self.class_weights, class)))
    }
}

impl RowLoss for Indexed<'_> {
    #[inline(always)]
    fn share(&self, row: usize, x: &[f32]) -> Share {
        self.target(row).map_or(Share::NONE, |(_, weight)| Share::of_row(weight, x.len()))
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, _: Ahead<'_>, scale: f32) -> Parts {
        let Some((class, weight)) = self.target(row) else { return Parts::default() };
        let x = span.read().get(class).copied().unwrap_or(f32::NAN);
        let weight_of_gradient = -(weight * scale);
        let (log, slope) = match self.clamp {
            Some(policy) => {
                let clamp = Clamp::new(l, policy);
                let p = l.splat(x);
                (l.first(clamp.log(l, p)), l.first(clamp.slope(l, l.splat(weight_of_gradient), p)))
            }
            None => (x, weight_of_gradient),
        };
        let gradient = span.write();
        gradient.fill(0.0);
        if let Some(hot) = gradient.get_mut(class) {
            *hot = slope;
        }
        Parts::linear(-(weight * log))
    }
}

/// A loss of dense labels, of which each term depends on its element alone, and on the weight of its class.
pub(crate) struct Labelled<'a, F> {
    pub(crate) targets: &'a Rows<'a>,
    pub(crate) class_weights: Option<&'a [f32]>,
    pub(crate) clamp: LogClamp,
    pub(crate) formula: F,
}

/// The formula of a [`Labelled`] loss.
pub(crate) trait Formula {
    fn share(&self, targets: &[f32], class_weights: Option<&[f32]>) -> Share;

    /// Gradient of an element with its label and weight, and how to find its loss.
    fn element<A: Arithmetic>(
        &self,
        l: A,
        clamp: Clamp<A::V>,
        scale: A::V,
        p: A::V,
        of_p: [A::V; 2],
    ) -> (A::V, impl FnOnce() -> A::V);
}

/// (1) with `q_i = w_i t_i`
pub(crate) struct Distribution;

impl Formula for Distribution {
    fn share(&self, targets: &[f32], _: Option<&[f32]>) -> Share {
        Share::of_row(1.0, targets.len())
    }

    #[inline(always)]
    fn element<A: Arithmetic>(
        &self,
        l: A,
        clamp: Clamp<A::V>,
        scale: A::V,
        p: A::V,
        [t, w]: [A::V; 2],
    ) -> (A::V, impl FnOnce() -> A::V) {
        let q = neg(l, l.weigh(w, t));
        (
            clamp.slope(l, l.mul(q, scale), p),
            #[inline(always)]
            move || l.weigh(q, clamp.log(l, p)),
        )
    }
}

/// (3)
pub(crate) struct Binary;

impl Formula for Binary {
    fn share(&self, targets: &[f32], class_weights: Option<&[f32]>) -> Share {
        elements_share(targets, class_weights, f32::NAN)
    }

    #[inline(always)]
    fn element<A: Arithmetic>(
        &self,
        l: A,
        clamp: Clamp<A::V>,
        scale: A::V,
        p: A::V,
        [t, w]: [A::V; 2],
    ) -> (A::V, impl FnOnce() -> A::V) {
        let (zero, one, nan) = (l.splat(0.0), l.splat(1.0), l.splat(f32::NAN));
        // NaN outside [0, 1], where a term of weight 0 would hide it.
        let p = l.select(l.gt(p, one), nan, l.select(l.gt(zero, p), nan, p));
        let is_nan = l.add(l.mul(p, zero), zero);
        let (on, off) = (t, l.sub(one, t));
        let at_p = clamp.slope(l, l.mul(l.weigh(w, on), scale), p);
        let at_complement = clamp.slope(l, l.mul(l.weigh(w, off), scale), l.sub(one, p));
        (
            l.add(l.sub(at_complement, at_p), l.weigh(w, is_nan)),
            #[inline(always)]
            move || {
                let logs = l.add(l.weigh(on, clamp.log(l, p)), l.weigh(off, clamp.log_complement(l, p)));
                l.weigh(w, l.sub(is_nan, logs))
            },
        )
    }
}

impl<F: Formula> RowLoss for Labelled<'_, F> {
    const MAY_HAVE_TERMS: bool = true;

    #[inline(always)]
    fn labels(&self) -> Option<Rows<'_>> {
        Some(*self.targets)
    }

    #[inline(always)]
    fn share(&self, row: usize, _: &[f32]) -> Share {
        self.formula.share(self.targets.row(row), self.class_weights)
    }

    fn uniform_share(&self, _: usize) -> Option<Share> {
        self.class_weights.is_none().then(|| self.formula.share(self.targets.row(0), None))
    }

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, _: Ahead<'_>, scale: f32) -> Parts {
        let g = l.group();
        let streams = [Stream::Slice(self.targets.row(row)), Stream::or(self.class_weights, 1.0)];
        let (clamp, scale) = (Clamp::new(g, self.clamp), g.splat(scale));
        let [loss] = walk(
            l,
            &mut span,
            0.0,
            streams,
            #[inline(always)]
            |p, of_p, to| put_gradient(g, to, self.formula.element(g, clamp, scale, p, of_p)),
        );
        Parts::linear(loss)
    }

    fn has_terms(&self) -> bool {
        self.class_weights.is_none()
    }

    #[inline(always)]
    fn terms<L: Lane>(&self, l: L, first: usize, mut span: Span<'_>, scale: f32, terms: &mut [f32]) {
        let g = l.group();
        let streams = [Stream::Slice(self.targets.joined(first, terms.len())), Stream::Splat(1.0)];
        let (clamp, scale) = (Clamp::new(g, self.clamp), g.splat(scale));
        let of_group = {
            #[inline(always)]
            |p, of_p: [_; 2], to: To<'_>| put_gradient(g, to, self.formula.element(g, clamp, scale, p, of_p))
        };
        walk_terms(l, (&mut span, terms), 0.0, streams, (g, of_group), of_group);
    }
}
