//! Sigmoid, its log and softplus, and their derivatives: the others from one exponential of -|x|, which is at most 1
//! and so cannot overflow.
//!
//! ```text
//! (1)  sigmoid(x)     = 1 / (1 + exp(-x))
//! with e = exp(-|x|)
//! (2)  log_sigmoid(x) = min(x, 0) - log1p(e)
//! (3)  softplus(x)    = max(x, 0) + log1p(e)
//! (4)  sigmoid'(x)    = e / (1 + e)^2
//! ```

use super::RowMap;
use crate::Rows;
use crate::lane::{Arithmetic, Lane, Span, Stream, walk, walk_large};
use crate::math::{exp, exp_nonpos, ln, log1p, log1p_of_unit, sigmoid};

/// A function of one number.
pub(crate) trait Unary {
    fn apply<A: Arithmetic>(&self, a: A, x: A::V) -> A::V;
}

/// The factor that turns `dy` into `dx`, as a function of the input or of the output.
pub(crate) trait Derivative {
    fn derivative<A: Arithmetic>(&self, a: A, at: A::V) -> A::V;
}

/// `exp(-|x|)`
#[inline(always)]
fn exp_neg_abs<A: Arithmetic>(l: A, x: A::V) -> A::V {
    exp_nonpos(l, l.bits_or(x, l.splat(-0.0)))
}

/// -x
#[inline(always)]
pub(super) fn neg<A: Arithmetic>(l: A, x: A::V) -> A::V {
    l.bits_xor(x, l.splat(-0.0))
}

/// |x|
#[inline(always)]
pub(super) fn abs<A: Arithmetic>(l: A, x: A::V) -> A::V {
    l.bits_and(x, l.splat_bits(0x7fff_ffff))
}

macro_rules! functions {
    ($($trait:ident::$method:ident: $($name:ident = |$l:ident, $x:ident| $value:expr),* $(,)?);* $(;)?) => {$($(
        pub(crate) struct $name;

        impl $trait for $name {
            #[inline(always)]
            fn $method<A: Arithmetic>(&self, $l: A, $x: A::V) -> A::V {
                $value
            }
        }
    )*)*};
}

functions! {
    Unary::apply:
        Exp = |l, x| exp(l, x),
        Ln = |l, x| ln(l, x),
        Log1p = |l, x| log1p(l, x),
        Sigmoid = |l, x| sigmoid(l, x),
        LogSigmoid = |l, x| l.sub(l.min(x, l.splat(0.0)), log1p_of_unit(l, exp_neg_abs(l, x))),
        Softplus = |l, x| l.add(l.max(x, l.splat(0.0)), log1p_of_unit(l, exp_neg_abs(l, x)));
    Derivative::derivative:
        // The derivatives at an input.
        SigmoidAt = |l, x| {
            let (one, e) = (l.splat(1.0), exp_neg_abs(l, x));
            let denominator = l.add(one, e);
            let lost = l.sub(e, l.sub(denominator, one));
            let quotient = l.div(e, l.mul(denominator, denominator));
            l.sub(quotient, l.mul(quotient, l.add(lost, lost)))
        },
        LogSigmoidAt = |l, x| sigmoid(l, neg(l, x)),
        SoftplusAt = |l, x| sigmoid(l, x),
        // The derivative of sigmoid where its output is y.
        SigmoidOf = |l, y| l.mul(y, l.sub(l.splat(1.0), y));
}

/// `y = f(x)`
pub(crate) struct Map<F>(pub(crate) F);

impl<F: Unary> RowMap for Map<F> {
    #[inline(always)]
    fn row<L: Lane>(&self, l: L, _: usize, mut span: Span<'_>) {
        // In passes as short as these it pays to know at compile time which of the two it is, and that
        // both are of one length.
        if let Some((from, to)) = span.both() {
            let len = from.len().min(to.len());
            let (from, to) = (from.get(..len).unwrap_or_default(), to.get_mut(..len).unwrap_or_default());
            self.pass(l, &mut Span::apart(from, to));
        } else {
            self.pass(l, &mut Span::in_place(span.write()));
        }
    }
}

impl<F: Unary> Map<F> {
    #[inline(always)]
    fn pass<L: Lane>(&self, l: L, span: &mut Span<'_>) {
        let (large, g) = (l.large_group(), l.group());
        walk_large(
            l,
            span,
            0.0,
            [],
            #[inline(always)]
            |x, [], to| to.put(large, self.0.apply(large, x)),
            #[inline(always)]
            |x, [], to| to.put(g, self.0.apply(g, x)),
        );
    }
}

/// `dx = dy * derivative(at)`, where the span reads `dy`
pub(crate) struct Chain<'a, D> {
    pub(crate) derivative: D,
    pub(crate) at: Rows<'a>,
}

impl<D: Derivative> RowMap for Chain<'_, D> {
    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>) {
        let (g, at) = (l.group(), Stream::Slice(self.at.row(row)));
        walk(
            l,
            &mut span,
            0.0,
            [at],
            #[inline(always)]
            |dy, [at], to| to.put(g, g.mul(dy, self.derivative.derivative(g, at))),
        );
    }
}
