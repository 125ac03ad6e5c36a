//! Softmax, log-softmax and log-sum-exp from one pair of statistics, and their backward passes.
//!
//! ```text
//! with m = max x_i, c the number of elements whose exp(x_i - m) rounds to 1, and the sum over all others
//! (1)  r                = (c - 1) + sum exp(x_j - m)
//! (2)  log_sum_exp(x)   = m + log1p(r)
//! (3)  softmax(x)_i     = exp(x_i - m) / (1 + r)
//! (4)  log_softmax(x)_i = (x_i - m) - log1p(r)
//! (5)  softmax:         dx_i = y_i (dy_i - sum_j dy_j y_j)
//! (6)  log_softmax:     dx_i = dy_i - exp(y_i) sum_j dy_j
//! (7)  log_sum_exp:     dx_i = softmax(x)_i dy
//! ```
//!
//! The sum without the maximum keeps what 1 + r would round away: the log-probability of a class that is nearly certain.
//! In (4) the subtractions stay apart, since m + log1p(r) would lose bits where |m| is large.
//!
//! Exponentials are kept as 2^64 exp(x_i - m), so that subnormal results are rounded once, at the end.
//!
//! A row of -inf alone has c = 0 and so r = -1, which no other row has; a NaN, or +inf - +inf, makes r NaN.

use super::{RowMap, weight_at};
use crate::lane::{InPlace, Lane, ReadOnly, Span, Stream, max, walk};
use crate::math::{OVER_TWO_64, TWO_64, exp, exp_nonpos_times_2_64, log1p};
use crate::{EmptyRow, Rows};

/// The maximum of a row, as what to subtract from its elements: 0 for a row of -inf, so that no inf - inf arises.
#[inline(always)]
pub(super) fn shift_of<L: Lane>(l: L, x: &[f32]) -> f32 {
    let m = max(l, x);
    if m == f32::NEG_INFINITY { 0.0 } else { m }
}

/// `2^64 exp(x - shift)`, and the two terms of (1): the same unless it is 2^64, and whether it is.
#[inline(always)]
pub(super) fn terms<L: Lane>(l: L, x: L::V, shift: L::V) -> (L::V, [L::V; 2]) {
    let (zero, one) = (l.splat(0.0), l.splat(1.0));
    let e = exp_nonpos_times_2_64(l, l.sub(x, shift));
    let is_one = l.eq(e, l.splat(TWO_64));
    (e, [l.select(is_one, zero, e), l.select(is_one, one, zero)])
}

/// (1) from the sums of those terms.
#[inline(always)]
pub(super) fn rest_of([sum, ones]: [f32; 2]) -> f32 {
    (ones - 1.0) + sum * OVER_TWO_64
}

/// 1 / (1 + r) for r >= 0, with the rounding error of 1 + r taken out to first order.
#[inline(always)]
pub(super) fn inverse_of(r: f32) -> f32 {
    let sum = 1.0 + r;
    let lost = if r < 1.0 { r - (sum - 1.0) } else { 1.0 - (sum - r) };
    let inverse = 1.0 / sum;
    inverse - inverse * (lost * inverse)
}

/// Turns `2^64 e` into `factor * e`: the one rounding of small results is the last.
#[inline(always)]
pub(super) fn rescale<L: Lane>(l: L, exps: &mut [f32], factor: f32) {
    let merged = factor * OVER_TWO_64;
    if merged.abs() >= f32::MIN_POSITIVE {
        let merged = l.splat(merged);
        walk(l, &mut InPlace(exps), 0.0, [], |e, []| (l.mul(e, merged), []));
    } else {
        let (factor, unscale) = (l.splat(factor), l.splat(OVER_TWO_64));
        walk(l, &mut InPlace(exps), 0.0, [], |e, []| (l.mul(l.mul(e, factor), unscale), []));
    }
}

/// (1) of a row; `2^64 exp(x_i - shift)` is left where the span can be written.
#[inline(always)]
fn rest<L: Lane, S: Span>(l: L, span: &mut S, shift: f32) -> f32 {
    let shift = l.splat(shift);
    rest_of(walk(l, span, f32::NEG_INFINITY, [], |x, []| terms(l, x, shift)))
}

/// Whether (1) is that of a row of -inf alone.
#[inline(always)]
fn is_empty_row(r: f32) -> bool {
    r == -1.0
}

/// `y = (3)`, times a factor a row.
pub(crate) struct Softmax<'a> {
    pub(crate) empty_row: EmptyRow,
    pub(crate) factors: Option<&'a [f32]>,
}

impl RowMap for Softmax<'_> {
    #[inline(always)]
    fn row<L: Lane, S: Span>(&self, l: L, row: usize, mut span: S) {
        let shift = shift_of(l, span.read());
        let r = rest(l, &mut span, shift);
        let factor = weight_at(self.factors, row);
        let scale = match self.empty_row {
            EmptyRow::Zero if is_empty_row(r) => 0.0,
            EmptyRow::Nan if is_empty_row(r) => f32::NAN,
            _ => factor * inverse_of(r),
        };
        if let Some(exps) = span.write() {
            rescale(l, exps, scale);
        }
    }
}

/// `y = (4)`
pub(crate) struct LogSoftmax {
    pub(crate) empty_row: EmptyRow,
}

impl RowMap for LogSoftmax {
    #[inline(always)]
    fn row<L: Lane, S: Span>(&self, l: L, _: usize, mut span: S) {
        let shift = shift_of(l, span.read());
        let r = rest(l, &mut ReadOnly(span.read()), shift);
        let log = match self.empty_row {
            EmptyRow::Zero if is_empty_row(r) => 0.0,
            EmptyRow::Nan if is_empty_row(r) => f32::NAN,
            _ => l.at(r, log1p),
        };
        let (shift, log) = (l.splat(shift), l.splat(log));
        walk(l, &mut span, 0.0, [], |x, []| (l.sub(l.sub(x, shift), log), []));
    }
}

/// (2) of a row.
#[inline(always)]
pub(crate) fn log_sum_exp<L: Lane>(l: L, x: &[f32]) -> f32 {
    let shift = shift_of(l, x);
    if shift == f32::INFINITY {
        return if x.iter().any(|x| x.is_nan()) { f32::NAN } else { shift };
    }
    let r = rest(l, &mut ReadOnly(x), shift);
    if is_empty_row(r) { f32::NEG_INFINITY } else { shift + l.at(r, log1p) }
}

/// (5), where the span reads `dy`.
pub(crate) struct SoftmaxBackward<'a> {
    pub(crate) y: Rows<'a>,
}

impl RowMap for SoftmaxBackward<'_> {
    #[inline(always)]
    fn row<L: Lane, S: Span>(&self, l: L, row: usize, mut span: S) {
        let y = Stream::Slice(self.y.row(row), 0.0);
        let [dot] = walk(l, &mut ReadOnly(span.read()), 0.0, [y], |dy, [y]| (dy, [l.mul(dy, y)]));
        let dot = l.splat(dot);
        walk(l, &mut span, 0.0, [y], |dy, [y]| (l.mul(y, l.sub(dy, dot)), []));
    }
}

/// (6), where the span reads `dy`.
pub(crate) struct LogSoftmaxBackward<'a> {
    pub(crate) y: Rows<'a>,
}

impl RowMap for LogSoftmaxBackward<'_> {
    #[inline(always)]
    fn row<L: Lane, S: Span>(&self, l: L, row: usize, mut span: S) {
        let [sum] = walk(l, &mut ReadOnly(span.read()), 0.0, [], |dy, []| (dy, [dy]));
        let sum = l.splat(sum);
        let y = Stream::Slice(self.y.row(row), 0.0);
        walk(l, &mut span, 0.0, [y], |dy, [y]| (l.sub(dy, l.mul(exp(l, y), sum)), []));
    }
}
