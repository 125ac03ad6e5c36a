//! Softmax, log-softmax and log-sum-exp from one pair of statistics, and their backward passes.
//!
//! ```text
//! with m = max x_i, c elements whose exp(x_i - m) rounds to 1, and the sum over all others
//! (1)  r                = (c - 1) + sum exp(x_j - m)
//! (2)  log_sum_exp(x)   = m + log1p(r)
//! (3)  softmax(x)_i     = exp(x_i - m) / (1 + r)
//! (4)  log_softmax(x)_i = (x_i - m) - log1p(r)
//! (5)  softmax:         dx_i = y_i (dy_i - sum_j dy_j y_j)
//! (6)  log_softmax:     dx_i = dy_i - exp(y_i) sum_j dy_j
//! (7)  log_sum_exp:     dx_i = softmax(x)_i dy
//! ```
//!
//! The sum without the maximum keeps what 1 + r would round away: the log-probability of a class that is nearly
//! certain. c counts all such elements of a row of up to 128. Of a longer one, where r is 1 or more and little is rounded
//! away, c counts one for each part whose sum reaches 2, and the others are in the sum. In (4) the subtractions stay
//! apart, since m + log1p(r) would lose bits where |m| is large.
//!
//! Exponentials are kept scaled, 1 as [`scaled_one`], so that subnormal results are rounded once, at the end.
//!
//! A row of -inf alone has c = 0 and so r = -1, which no other row has; a NaN, or +inf - +inf, makes r NaN.

use super::elementwise::abs;
use super::short::{self, Held, Last, Layout, Short, columns_of, unchanged};
use super::{IS_FIRMWARE, Table, weight_at};
use crate::lane::{
    Arithmetic, BLOCK, Group, Lane, Largest, Op, Span, Stream, map_in_place, map_streamed, sum_of_lane, two_sum, walk,
    walk_without,
};
use crate::math::{
    OVER_TWO_64, exp, exp_nonpos, factor, log1p_of_rest, log1p_of_unit, scaled_exp_of_minus, scaled_one,
};
use crate::{EmptyRow, Rows};

/// What one look at a row finds: m, and for a long row r.
#[derive(Clone, Copy)]
pub(crate) struct FirstLook {
    pub(super) largest: Largest,
    r: Option<f32>,
}

/// Looks at rows one ahead: while what the lanes found in a row comes together into one number for its last pass, the
/// next row is read for the first time, and the other way round.
pub(crate) struct Ahead<'a> {
    /// Of the row whose turn it is, and then of the next.
    look: &'a mut Option<FirstLook>,
    next: &'a [f32],
}

/// Elements of the longest row that stays near at hand beside the one before it.
const LONGEST_AHEAD: usize = 4096;

impl<'a> Ahead<'a> {
    /// `next` may be empty.
    pub(super) fn new(look: &'a mut Option<FirstLook>, next: &'a [f32]) -> Self {
        Self { look, next }
    }

    /// That of the row whose turn it is.
    #[inline(always)]
    pub(super) fn here<L: Lane>(&mut self, l: L, x: &[f32]) -> FirstLook {
        match self.look.take() {
            Some(look) => look,
            None => FirstLook::at(l, x),
        }
    }

    /// m, where there is no other statistic to be found with it.
    #[inline(always)]
    pub(super) fn largest<L: Lane>(&mut self, l: L, x: &[f32]) -> Largest {
        match self.look.take() {
            Some(look) => look.largest,
            None => Largest::of(l, x),
        }
    }

    /// To be called between two passes.
    #[inline(always)]
    pub(super) fn go_on<L: Lane>(&mut self, l: L) {
        if (1..=LONGEST_AHEAD).contains(&self.next.len()) {
            *self.look = Some(FirstLook::at_short(l, self.next));
        }
    }
}

/// What the statistics leave in a row for the last pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// `exp(x_i - m)`, scaled
    Exps,
    /// `m - x_i`
    Distances,
}

/// Rows longer than this do not stay in the caches between passes: no exponentials are kept for the second, and the
/// statistics are found block by block. In the separate family, a second exponential costs more than the memory it
/// saves; and firmware has no such rows.
const fn longest_cached<L: Lane>() -> usize {
    if L::FUSED && !IS_FIRMWARE { 1 << 18 } else { usize::MAX }
}

/// Blocks of a long row: as many as there is room for, so that one and the next stay in the caches even of the longest.
const MOST_BLOCKS: usize = 256;
/// Elements of a block: so many that what stands between blocks costs nothing.
const SMALLEST_BLOCK: usize = 8192;

impl FirstLook {
    #[inline(always)]
    pub(super) fn at<L: Lane>(l: L, x: &[f32]) -> Self {
        if x.len() > longest_cached::<L>() {
            return Self::at_long(l, x);
        }
        Self::at_short(l, x)
    }

    /// m alone, as suffices for a row that is not long.
    #[inline(always)]
    fn at_short<L: Lane>(l: L, x: &[f32]) -> Self {
        Self { largest: Largest::of(l, x), r: None }
    }

    /// (1); something is left where the span can be written and the row is not long.
    #[inline(always)]
    pub(super) fn rest<L: Lane>(self, l: L, span: &mut Span<'_>, leave: Leave) -> f32 {
        match self.r {
            Some(r) => r,
            None => rest_of_row(l, span, self.largest, leave),
        }
    }

    /// Both with one read of memory: each block has a maximum of its own, and its sum is scaled at the end.
    #[inline(always)]
    fn at_long<L: Lane>(l: L, x: &[f32]) -> Self {
        // Whole blocks of sums.
        let block = x.len().div_ceil(MOST_BLOCKS).next_multiple_of(BLOCK).max(SMALLEST_BLOCK);
        let mut of_blocks = [(0.0, 0.0); MOST_BLOCKS];
        // Nothing more is asked of its lane.
        let mut largest = Largest { value: f32::MIN, lane: 0 };
        let (mut rest, mut blocks) = (x, 0);
        for of_block in &mut of_blocks {
            if rest.is_empty() {
                break;
            }
            blocks += 1;
            let (row, next) = rest.split_at(block.min(rest.len()));
            let of_row = Largest::of(l, row);
            // The exponentials leave the memory idle, so the next block comes meanwhile.
            *of_block = (of_row.value, rest_of_row(l, &mut Span::ahead(row, next), of_row, Leave::Exps));
            largest.value = largest.value.max(of_row.value);
            rest = next;
        }
        let (mut r, mut has_largest) = (0.0, false);
        for &(m_of_block, r_of_block) in of_blocks.iter().take(blocks) {
            if m_of_block == largest.value && !has_largest {
                has_largest = true;
                r += f64::from(r_of_block);
            } else {
                let scale = l.first(exp_nonpos(l, l.splat(m_of_block - largest.value)));
                r += f64::from(scale) * (1.0 + f64::from(r_of_block));
            }
        }
        Self { largest, r: Some(r as f32) }
    }
}

/// Elements of a part of a row, of which a lane is still near at hand when it is added up again.
const PART: usize = 1 << 14;

const _: () = assert!(PART.is_multiple_of(BLOCK) && SMALLEST_BLOCK.is_multiple_of(BLOCK), "sums are of whole blocks");

/// (1) of a row or a block of it.
#[inline(always)]
fn rest_of_row<L: Lane>(l: L, span: &mut Span<'_>, largest: Largest, leave: Leave) -> f32 {
    let len = span.read().len();
    // On firmware, one body serves all: a single part has the same bits.
    if len <= PART && !IS_FIRMWARE {
        // The lane of the largest: the same, but known before.
        let (ones, sum) = sum_of_exps(l, span, largest.value, leave, Some(largest.lane));
        return rest_of(l, ones, sum);
    }
    let (mut ones, mut sum, mut lost) = (0.0, l.splat(0.0), l.splat(0.0));
    for start in (0..len).step_by(PART) {
        let part = span.part(start..len.min(start + PART));
        let (ones_of_part, sum_of_part) = l.apart(&mut Part { span: part, m: largest.value, leave });
        ones += ones_of_part;
        let (more, error) = two_sum(l, sum, l.splat(sum_of_part));
        (sum, lost) = (more, l.add(lost, error));
    }
    rest_of(l, ones, l.first(l.add(sum, lost)))
}

/// [`sum_of_exps`] of a part of a row, which need not have the largest element.
struct Part<'a> {
    span: Span<'a>,
    m: f32,
    leave: Leave,
}

impl Op for Part<'_> {
    type Out = (f32, f32);

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) -> (f32, f32) {
        // In registers: what is written might be these.
        let (mut span, m) = (self.span.take(), self.m);
        // Loops of their own, each with the registers for its own.
        match self.leave {
            Leave::Exps => sum_of_exps(l, &mut span, m, Leave::Exps, None),
            Leave::Distances => sum_of_exps(l, &mut span, m, Leave::Distances, None),
        }
    }
}

/// c of (1), and the scaled sum of the other exponentials. `lane` is the only one that may have to be added up again, if it
/// is known.
#[inline(always)]
fn sum_of_exps<L: Lane>(l: L, span: &mut Span<'_>, m: f32, leave: Leave, lane: Option<usize>) -> (f32, f32) {
    let (g, of_group) = (l.group(), l.group().splat(m));
    let (ones, [sum]) = walk_without(
        l,
        span,
        scaled_one::<L>(),
        f32::NEG_INFINITY,
        [],
        #[inline(always)]
        |x, [], to| {
            let distance = g.sub(of_group, x);
            match leave {
                Leave::Exps => {
                    let e = scaled_exp_of_minus(g, distance);
                    to.put(g, e);
                    [e]
                }
                Leave::Distances => {
                    to.put(g, distance);
                    [scaled_exp_of_minus(g, distance)]
                }
            }
        },
        #[inline(always)]
        |span, found| again(l, span, m, leave, lane.unwrap_or(found)),
    );
    (ones, sum)
}

/// What [`walk_without`] asks for again, of a row whose pass is over.
#[inline(always)]
pub(super) fn again<L: Lane>(l: L, span: &mut Span<'_>, m: f32, leave: Leave, lane: usize) -> (f32, f32) {
    let left = span.is_written().then_some(leave);
    let row = if span.is_written() { &*span.write() } else { span.read() };
    l.apart(&mut LaneAgain { row, left, m, lane })
}

/// How many exponentials of a lane are 1, and the scaled sum of the others.
struct LaneAgain<'a> {
    row: &'a [f32],
    /// None: the elements as they were.
    left: Option<Leave>,
    m: f32,
    lane: usize,
}

impl Op for LaneAgain<'_> {
    type Out = (f32, f32);

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) -> (f32, f32) {
        let (lane, one) = ((self.row, self.lane), scaled_one::<L>());
        if self.left == Some(Leave::Exps) {
            return sum_of_lane(
                l,
                lane,
                one,
                0.0,
                #[inline(always)]
                |e| e,
            );
        }
        let (m, are_distances) = (l.splat(self.m), self.left.is_some());
        sum_of_lane(
            l,
            lane,
            one,
            if are_distances { f32::INFINITY } else { f32::NEG_INFINITY },
            #[inline(always)]
            |x| scaled_exp_of_minus(l, if are_distances { x } else { l.sub(m, x) }),
        )
    }
}

/// (1) from c and the scaled sum of the other exponentials.
#[inline(always)]
pub(super) fn rest_of<L: Lane>(l: L, ones: f32, sum: f32) -> f32 {
    l.first(rest_of_all(l, l.splat(ones), l.splat(sum)))
}

/// [`rest_of`] lane by lane.
#[inline(always)]
pub(super) fn rest_of_all<A: Arithmetic>(l: A, ones: A::V, sum: A::V) -> A::V {
    // Of a row of -inf alone, the sum may be 0 less what is 1.
    const { assert!(scaled_one::<A>() * (1.0 / scaled_one::<A>()) == 1.0) };
    l.mul_add(sum, l.splat(1.0 / scaled_one::<A>()), l.sub(ones, l.splat(1.0)))
}

/// `2^64 / scaled_one() / (1 + r)` for r >= 0, with the rounding error of 1 + r taken out to first order.
#[inline(always)]
pub(super) fn inverse_of<A: Arithmetic>(l: A, r: A::V) -> A::V {
    let one = l.splat(1.0);
    inverse_of_sum(l, l.max(one, r), l.min(r, one))
}

/// [`inverse_of`] for r <= 1.
#[inline(always)]
pub(super) fn inverse_of_pair<A: Arithmetic>(l: A, r: A::V) -> A::V {
    inverse_of_sum(l, l.splat(1.0), r)
}

#[inline(always)]
fn inverse_of_sum<A: Arithmetic>(l: A, larger: A::V, smaller: A::V) -> A::V {
    let sum = l.add(larger, smaller);
    let gained = l.sub(l.sub(sum, larger), smaller);
    let inverse = l.div(l.splat(1.0 / factor::<A>()), sum);
    l.mul_add(inverse, l.mul(l.mul(gained, l.splat(factor::<A>())), inverse), inverse)
}

/// [`inverse_of`] of one row. Only the lowest lane is used, so compilers divide one number, which takes less time.
#[inline(always)]
pub(super) fn inverse_of_row<L: Lane>(l: L, r: f32) -> f32 {
    l.first(inverse_of(l, l.splat(r)))
}

/// Factors below this are small: 2^-64 and the inverse of 2^33, times less, might be subnormal.
pub(super) const SMALL: f32 = 1.0 / 268_435_456.0;

/// What turns a scaled `e` into `factor * e / (1 + r)`, of which the rounding of small results is the last: the factor by
/// 2^64, or one after the other where that would lose digits.
#[derive(Clone, Copy)]
pub(super) struct Rescale<A: Arithmetic> {
    first: A::V,
    second: A::V,
}

impl<A: Arithmetic> Rescale<A> {
    /// With an inverse as [`inverse_of`] gives it, of a sum of at most 2^33 numbers up to 1.
    #[inline(always)]
    pub(super) fn new(l: A, factor: A::V, inverse: A::V) -> Self {
        // Known before the inverse is.
        let size = abs(l, factor);
        let is_small = l.gt(l.splat(SMALL), size);
        let (one, over_two_64) = (l.splat(1.0), l.splat(OVER_TWO_64));
        let first = l.mul(inverse, l.mul(factor, l.select(is_small, one, over_two_64)));
        Self { first, second: l.select(is_small, over_two_64, one) }
    }

    /// Of short rows: in one step where there are no weights, and so no small factors.
    #[inline(always)]
    pub(super) fn for_rows<R: Arithmetic, Y: Layout<R>>(l: A, factor: A::V, inverse: A::V) -> Self {
        if Y::HAS_WEIGHTS {
            return Self::new(l, factor, inverse);
        }
        Self { first: l.mul(inverse, l.mul(factor, l.splat(OVER_TWO_64))), second: l.splat(1.0) }
    }

    /// Changes nothing.
    #[inline(always)]
    pub(super) fn none(l: A) -> Self {
        Self { first: l.splat(1.0), second: l.splat(1.0) }
    }

    /// That of one vector of a group.
    #[inline(always)]
    pub(super) fn at<L: Arithmetic>(&self, r: A, v: usize) -> Rescale<L>
    where
        A: Group<L>,
    {
        Rescale { first: r.at(self.first, v), second: r.at(self.second, v) }
    }

    /// The same in each vector of a group.
    #[inline(always)]
    pub(super) fn repeat<G: Group<A>>(self, g: G) -> Rescale<G> {
        Rescale { first: g.repeat(self.first), second: g.repeat(self.second) }
    }

    #[inline(always)]
    pub(super) fn apply(self, l: A, e: A::V) -> A::V {
        l.mul(l.mul(e, self.first), self.second)
    }

    /// After [`for_rows`](Self::for_rows).
    #[inline(always)]
    pub(super) fn apply_for_rows<R: Arithmetic, Y: Layout<R>>(self, l: A, e: A::V) -> A::V {
        if Y::HAS_WEIGHTS { self.apply(l, e) } else { l.mul(e, self.first) }
    }
}

impl<L: Lane> Rescale<L> {
    #[inline(always)]
    pub(super) fn row(self, l: L, span: &mut Span<'_>, m: f32) {
        let g = l.group();
        let first = g.repeat(self.first);
        if span.read().len() > longest_cached::<L>() {
            let m = g.splat(m);
            map_streamed(
                l,
                span,
                #[inline(always)]
                |x| g.mul(scaled_exp_of_minus(g, g.sub(m, x)), first),
            );
        } else {
            map_in_place(
                l,
                span.write(),
                #[inline(always)]
                |e| g.mul(e, first),
                #[inline(always)]
                |e| l.mul(e, self.first),
            );
        }
        let second = l.first(self.second);
        if second != 1.0 {
            l.apart(&mut Times { row: span.write(), factor: second });
        }
    }
}

/// The second product of rows with small factors, which are rare.
struct Times<'a> {
    row: &'a mut [f32],
    factor: f32,
}

impl Op for Times<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        let factor = l.group().splat(self.factor);
        walk(
            l,
            &mut Span::in_place(self.row),
            0.0,
            [],
            #[inline(always)]
            |x, [], to| to.put(l.group(), l.group().mul(x, factor)),
        );
    }
}

/// `value` of each row, but what the policy says where r is -1, as in rows of -inf alone.
#[inline(always)]
fn unless_empty<A: Arithmetic>(l: A, policy: EmptyRow, r: A::V, value: A::V) -> A::V {
    let of_empty = match policy {
        EmptyRow::Zero => 0.0,
        EmptyRow::Nan => f32::NAN,
    };
    l.select(l.eq(r, l.splat(-1.0)), l.splat(of_empty), value)
}

/// `y = (3)`, times a factor a row.
pub(crate) struct Softmax<'a> {
    pub(crate) empty_row: EmptyRow,
    pub(crate) factors: Option<&'a [f32]>,
}

impl<'a> Short for Softmax<'a> {
    const HAS_MAX: bool = true;
    const TAKES_BLOCKS: bool = true;

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, mut ahead: Ahead<'_>) {
        let look = ahead.here(l, span.read());
        let r = look.rest(l, &mut span, Leave::Exps);
        let inverse = unless_empty(l, self.empty_row, l.splat(r), l.splat(inverse_of_row(l, r)));
        let rescale = Rescale::new(l, l.splat(weight_at(self.factors, row)), inverse);
        ahead.go_on(l);
        rescale.row(l, &mut span, look.largest.value);
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        r: R,
        layout: Y,
        first: usize,
        mut held: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'a, L, R, Y> {
        let rest = short::rest(r, layout, &mut held, true);
        let inverse = unless_empty(r, self.empty_row, rest, inverse_of(r, rest));
        // Without factors, one product.
        let factor = if self.factors.is_none() {
            r.mul(inverse, r.splat(OVER_TWO_64))
        } else {
            let rescale = Rescale::new(r, layout.factors(r, self.factors, first), inverse);
            for e in held.columns {
                *e = r.mul(*e, rescale.first);
            }
            rescale.second
        };
        #[inline(always)]
        move |v: usize, _: usize, e: L::V| r.base().mul(e, r.at(factor, v))
    }
}

/// `y = (4)`
pub(crate) struct LogSoftmax {
    pub(crate) empty_row: EmptyRow,
}

impl Short for LogSoftmax {
    const HAS_MAX: bool = true;
    const TAKES_BLOCKS: bool = true;

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, _: usize, mut span: Span<'_>, mut ahead: Ahead<'_>) {
        let look = ahead.here(l, span.read());
        let r = l.splat(look.rest(l, &mut span, Leave::Distances));
        let g = l.group();
        let log = unless_empty(l, self.empty_row, r, log1p_of_rest(l, r));
        // 0 stays +0.
        let minus_log = l.sub(l.splat(0.0), log);
        let minus_log_of_group = g.repeat(minus_log);
        ahead.go_on(l);
        let m = g.splat(look.largest.value);
        if span.read().len() > longest_cached::<L>() {
            map_streamed(
                l,
                &mut span,
                #[inline(always)]
                |x| g.sub(minus_log_of_group, g.sub(m, x)),
            );
        } else {
            map_in_place(
                l,
                span.write(),
                #[inline(always)]
                |distance| g.sub(minus_log_of_group, distance),
                #[inline(always)]
                |distance| l.sub(minus_log, distance),
            );
        }
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        r: R,
        layout: Y,
        _: usize,
        mut held: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<L, R, Y> {
        let (l, rest) = (r.base(), short::rest(r, layout, &mut held, false));
        let log = log_of::<R, Y>(r, held.columns.len(), rest);
        let (max, log) = (held.max, unless_empty(r, self.empty_row, rest, log));
        #[inline(always)]
        move |v: usize, _: usize, x: L::V| l.sub(l.sub(x, r.at(max, v)), r.at(log, v))
    }
}

/// `out = (2)`, a number for each row of a table that is only read.
pub(crate) struct LogSumExp<'a> {
    pub(crate) x: Rows<'a>,
    pub(crate) out: &'a mut [f32],
}

impl Op for LogSumExp<'_> {
    type Out = ();

    fn width(&self) -> usize {
        short::width(self.x, true)
    }

    #[inline(always)]
    fn run<L: Lane>(&mut self, l: L) {
        let taken = short::taken::<L>(self.x, true);
        let (table, mut sums) = (&mut Table::ReadOnly(self.x), LogSums { out: self.out });
        let first = short::for_each_block(l, table, taken, &mut sums);
        short::for_each_group(l, table, first..taken, &mut sums);
        let mut look = None;
        for (row, out) in sums.out.iter_mut().enumerate().skip(taken) {
            let (span, next) = table.span_and_next(row);
            *out = log_sum_exp(l, span, Ahead::new(&mut look, next));
        }
    }
}

/// (2) of a row.
#[inline(always)]
fn log_sum_exp<L: Lane>(l: L, mut span: Span<'_>, mut ahead: Ahead<'_>) -> f32 {
    let look = ahead.here(l, span.read());
    let r = look.rest(l, &mut span, Leave::Exps);
    ahead.go_on(l);
    let r = l.splat(r);
    unless_infinite(l.first(sum_of(l, l.splat(look.largest.value), r, log1p_of_rest(l, r))), span.read())
}

/// (2) of m, r and the logarithm, where m is not +inf.
#[inline(always)]
fn sum_of<A: Arithmetic>(l: A, m: A::V, r: A::V, log: A::V) -> A::V {
    // (1) of a row of -inf alone.
    l.select(l.eq(r, l.splat(-1.0)), l.splat(f32::NEG_INFINITY), l.add(m, log))
}

/// The logarithm of (2), or something where r is -1, of short rows: of two columns, r is at most 1.
#[inline(always)]
fn log_of<R: Arithmetic, Y: Layout<R>>(l: R, columns: usize, r: R::V) -> R::V {
    if Y::HAS_COLUMNS && columns == 2 { log1p_of_unit(l, r) } else { log1p_of_rest(l, r) }
}

/// `sum`, or what it is where +inf and nothing else made it NaN.
#[inline(always)]
fn unless_infinite(sum: f32, x: &[f32]) -> f32 {
    if sum.is_nan() && !x.iter().any(|x| x.is_nan()) { f32::INFINITY } else { sum }
}

struct LogSums<'a> {
    out: &'a mut [f32],
}

impl<'a> short::Columns for LogSums<'a> {
    const HAS_MAX: bool = true;

    fn fill(&self) -> Option<f32> {
        Some(f32::NEG_INFINITY)
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &mut self,
        r: R,
        layout: Y,
        first: usize,
        table: &Table<'_>,
        mut held: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'a, L, R, Y> {
        let rest = short::rest(r, layout, &mut held, false);
        let sum = sum_of(r, held.max, rest, log_of::<R, Y>(r, held.columns.len(), rest));
        let (l, x) = (r.base(), table.as_rows());
        r.for_each(
            sum,
            #[inline(always)]
            |v, sum| {
                let first = first + v * L::N;
                let out = self.out.get_mut(first..).unwrap_or_default();
                l.store_part(sum, out);
                if l.bits(l.eq(sum, sum)).count_ones() as usize != L::N {
                    for (i, sum) in out.iter_mut().take(L::N).enumerate() {
                        *sum = unless_infinite(*sum, x.row(first + i));
                    }
                }
            },
        );
        unchanged
    }
}

/// (5), where the span reads `dy`.
pub(crate) struct SoftmaxBackward<'a> {
    pub(crate) y: Rows<'a>,
}

impl<'a> Short for SoftmaxBackward<'a> {
    const HAS_MAX: bool = false;

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, _: Ahead<'_>) {
        let (g, y) = (l.group(), Stream::Slice(self.y.row(row)));
        let [dot] = walk(
            l,
            &mut Span::read_only(span.read()),
            0.0,
            [y],
            #[inline(always)]
            |dy, [y], _| [g.mul(dy, y)],
        );
        let dot = g.splat(dot);
        walk(
            l,
            &mut span,
            0.0,
            [y],
            #[inline(always)]
            |dy, [y], to| to.put(g, g.mul(y, g.sub(dy, dot))),
        );
    }
    #[inline(always)]
    fn further(&self) -> Option<Rows<'_>> {
        Some(self.y)
    }
    fn fill(&self) -> f32 {
        0.0
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        l: R,
        layout: Y,
        _: usize,
        Held { columns, further: y, .. }: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'a, L, R, Y> {
        let [dot] = layout.sums(l, columns, &mut Products::<R> { y });
        // As long, so that no step is checked.
        let y = y.get(..columns.len()).unwrap_or_default();
        for (i, dy) in columns.iter_mut().enumerate() {
            if let Some(&y) = y.get(i) {
                *dy = l.mul(y, l.sub(*dy, dot));
            }
        }
        unchanged
    }
}

/// The sum of (5).
struct Products<'a, R: Arithmetic> {
    y: &'a [R::V],
}

impl<R: Arithmetic> short::Terms<R, 1> for Products<'_, R> {
    #[inline(always)]
    fn of<G: Group<R>>(&mut self, g: G, first: usize, dy: G::V) -> (G::V, [G::V; 1]) {
        (dy, [g.mul(dy, columns_of(g, self.y, first))])
    }
}

/// (6), where the span reads `dy`.
pub(crate) struct LogSoftmaxBackward<'a> {
    pub(crate) y: Rows<'a>,
}

impl<'a> Short for LogSoftmaxBackward<'a> {
    const HAS_MAX: bool = false;

    #[inline(always)]
    fn row<L: Lane>(&self, l: L, row: usize, mut span: Span<'_>, _: Ahead<'_>) {
        let [sum] = walk(
            l,
            &mut Span::read_only(span.read()),
            0.0,
            [],
            #[inline(always)]
            |dy, [], _| [dy],
        );
        let (g, sum) = (l.group(), l.group().splat(sum));
        let y = Stream::Slice(self.y.row(row));
        walk(
            l,
            &mut span,
            0.0,
            [y],
            #[inline(always)]
            |dy, [y], to| to.put(g, g.sub(dy, g.mul(exp(g, y), sum))),
        );
    }
    #[inline(always)]
    fn further(&self) -> Option<Rows<'_>> {
        Some(self.y)
    }
    fn fill(&self) -> f32 {
        0.0
    }

    #[inline(always)]
    fn columns<L: Lane, R: Group<L>, Y: Layout<R>>(
        &self,
        l: R,
        layout: Y,
        _: usize,
        Held { columns, further: y, .. }: Held<'_, R::V>,
    ) -> impl Last<L::V> + use<'a, L, R, Y> {
        let [sum] = layout.sums(l, columns, &mut short::Themselves);
        // As long, so that no step is checked.
        let y = y.get(..columns.len()).unwrap_or_default();
        for (i, dy) in columns.iter_mut().enumerate() {
            if let Some(&y) = y.get(i) {
                *dy = l.sub(*dy, l.mul(exp(l, y), sum));
            }
        }
        unchanged
    }
}
