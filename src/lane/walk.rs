//! One pass over a row: the only loops over elements, with their tails, and the one order of every sum.
//!
//! ```text
//! lane l of a block   part_l = x_l + x_(l+16) + x_(l+32) + x_(l+48)   4 chunks of 16 elements, in order
//! lane l of the row   hi_l + lo_l = sum of its parts                  two-sum: the rounding errors are summed in lo_l
//! row                 lanes l and l + 8 are added, then l and l + 4, l and l + 2, l and l + 1, by two-sum again
//! ```
//!
//! An element meets at most 3 additions that lose their rounding error, and the last, so the error does not grow with the
//! length. The order depends on positions alone, never on `Lane::N`.

use super::{Chunk, LANES, Lane};

/// Chunks in a block.
const BLOCK: usize = 4;

/// Where a pass reads its row and, if it has somewhere, writes one.
pub(crate) trait Span {
    fn read(&self) -> &[f32];
    fn write(&mut self) -> Option<&mut [f32]>;
}

pub(crate) struct ReadOnly<'a>(pub(crate) &'a [f32]);

pub(crate) struct Apart<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [f32],
}

pub(crate) struct InPlace<'a>(pub(crate) &'a mut [f32]);

impl Span for ReadOnly<'_> {
    #[inline(always)]
    fn read(&self) -> &[f32] {
        self.0
    }
    #[inline(always)]
    fn write(&mut self) -> Option<&mut [f32]> {
        None
    }
}

impl Span for Apart<'_> {
    #[inline(always)]
    fn read(&self) -> &[f32] {
        self.from
    }
    #[inline(always)]
    fn write(&mut self) -> Option<&mut [f32]> {
        Some(self.to)
    }
}

impl Span for InPlace<'_> {
    #[inline(always)]
    fn read(&self) -> &[f32] {
        self.0
    }
    #[inline(always)]
    fn write(&mut self) -> Option<&mut [f32]> {
        Some(self.0)
    }
}

/// A further input of a pass.
#[derive(Clone, Copy)]
pub(crate) enum Stream<'a> {
    /// One value for every element; past the row's end there is the second.
    Splat(f32, f32),
    /// A value an element; past the row's end there is the second.
    Slice(&'a [f32], f32),
}

impl<'a> Stream<'a> {
    /// The slice, or `default` for every element; 0 past the end.
    #[inline(always)]
    pub(crate) fn or(slice: Option<&'a [f32]>, default: f32) -> Self {
        slice.map_or(Self::Splat(default, 0.0), |slice| Self::Slice(slice, 0.0))
    }

    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> f32 {
        match *self {
            Self::Splat(x, _) => x,
            Self::Slice(slice, fill) => slice.get(i).copied().unwrap_or(fill),
        }
    }

    /// The last `rest` elements, padded.
    #[inline(always)]
    fn tail(&self, rest: usize) -> Chunk {
        match *self {
            Self::Splat(x, fill) => padded([x; LANES].get(..rest).unwrap_or_default(), fill),
            Self::Slice(slice, fill) => padded(tail_of(slice), fill),
        }
    }

    #[inline(always)]
    fn vector<L: Lane>(&self, l: L, chunk: usize, k: usize) -> L::V {
        match *self {
            Self::Splat(x, _) => l.splat(x),
            Self::Slice(slice, fill) => match slice.as_chunks().0.get(chunk) {
                Some(whole) => l.load(whole, k),
                None => l.splat(fill),
            },
        }
    }
}

/// The end of a row, behind its last whole chunk.
#[inline(always)]
fn tail_of(row: &[f32]) -> &[f32] {
    row.as_chunks::<LANES>().1
}

#[inline(always)]
fn padded(tail: &[f32], fill: f32) -> Chunk {
    let mut chunk = [fill; LANES];
    for (to, from) in chunk.iter_mut().zip(tail) {
        *to = *from;
    }
    chunk
}

/// Calls `f` with every vector of the row and of the further inputs, writes the vector it gives where the row has somewhere to
/// write, and returns the sums over the row of the `J` terms it gives.
///
/// In the last vector the row is padded with `fill` and each further input as it says; `f` must give terms of +0 there.
#[inline(always)]
pub(crate) fn walk<L: Lane, S: Span, const I: usize, const J: usize>(
    l: L,
    span: &mut S,
    fill: f32,
    further: [Stream<'_>; I],
    f: impl Fn(L::V, [L::V; I]) -> (L::V, [L::V; J]),
) -> [f32; J] {
    let len = span.read().len();
    let mut sums = Sums::<L, J>::new(l);
    if L::N == 1 {
        for i in 0..len {
            let Some(&x) = span.read().get(i) else { break };
            let (y, terms) = f(l.splat(x), further.map(|stream| l.splat(stream.at(i))));
            if let Some(to) = span.write().and_then(|row| row.get_mut(i)) {
                *to = l.first(y);
            }
            sums.add(l, i % LANES, terms);
            if i % (LANES * BLOCK) == LANES * BLOCK - 1 {
                sums.end_block(l);
            }
        }
        return sums.total(l);
    }

    let vectors = LANES / L::N;
    for chunk in 0..len / LANES {
        for k in 0..vectors {
            let Some(row) = span.read().as_chunks().0.get(chunk) else { break };
            let (y, terms) = f(l.load(row, k), further.map(|stream| stream.vector(l, chunk, k)));
            if let Some(row) = span.write().and_then(|row| row.as_chunks_mut().0.get_mut(chunk)) {
                l.store(y, row, k);
            }
            sums.add(l, k, terms);
        }
        if chunk % BLOCK == BLOCK - 1 {
            sums.end_block(l);
        }
    }

    let rest = len % LANES;
    if rest > 0 {
        let mut row = padded(tail_of(span.read()), fill);
        let further = further.map(|stream| stream.tail(rest));
        for k in 0..rest.div_ceil(L::N) {
            let (y, terms) = f(l.load(&row, k), further.map(|chunk| l.load(&chunk, k)));
            l.store(y, &mut row, k);
            sums.add(l, k, terms);
        }
        if let Some(to) = span.write() {
            for (to, y) in to.as_chunks_mut::<LANES>().1.iter_mut().zip(row) {
                *to = y;
            }
        }
    }
    sums.total(l)
}

/// The largest element; -inf where there is none. A NaN may be passed over: what depends on every element sees it.
#[inline(always)]
pub(crate) fn max<L: Lane>(l: L, row: &[f32]) -> f32 {
    let mut lanes = l.splat_wide(f32::NEG_INFINITY);
    if L::N == 1 {
        let mut largest = l.splat(f32::NEG_INFINITY);
        for &x in row {
            largest = l.max(l.splat(x), largest);
        }
        return l.first(largest) + 0.0;
    }
    let (chunks, tail) = row.as_chunks();
    for chunk in chunks {
        for (k, lane) in lanes.as_mut().iter_mut().enumerate() {
            *lane = l.max(l.load(chunk, k), *lane);
        }
    }
    let tail = padded(tail, f32::NEG_INFINITY);
    for (k, lane) in lanes.as_mut().iter_mut().enumerate() {
        *lane = l.max(l.load(&tail, k), *lane);
    }
    // -0 and +0 are equal, and which of them a maximum gives depends on the order: + 0.0 leaves only +0.
    to_chunk(l, lanes).into_iter().fold(f32::NEG_INFINITY, |a, b| if a > b { a } else { b }) + 0.0
}

/// `J` sums over a row.
struct Sums<L: Lane, const J: usize> {
    part: [L::Wide; J],
    hi: [L::Wide; J],
    lo: [L::Wide; J],
    blocks: bool,
}

impl<L: Lane, const J: usize> Sums<L, J> {
    #[inline(always)]
    fn new(l: L) -> Self {
        let zero = [l.splat_wide(0.0); J];
        Self { part: zero, hi: zero, lo: zero, blocks: false }
    }

    #[inline(always)]
    fn add(&mut self, l: L, k: usize, terms: [L::V; J]) {
        for (part, term) in self.part.iter_mut().zip(terms) {
            if let Some(lane) = part.as_mut().get_mut(k) {
                *lane = l.add(*lane, term);
            }
        }
    }

    /// `hi + lo += part`
    #[inline(always)]
    fn end_block(&mut self, l: L) {
        self.blocks = true;
        for ((part, hi), lo) in self.part.iter_mut().zip(&mut self.hi).zip(&mut self.lo) {
            for ((part, hi), lo) in part.as_mut().iter_mut().zip(hi.as_mut()).zip(lo.as_mut()) {
                let (sum, error) = two_sum(*hi, *part, |a, b| l.add(a, b), |a, b| l.sub(a, b));
                *lo = l.add(*lo, error);
                *hi = sum;
            }
            *part = l.splat_wide(0.0);
        }
    }

    #[inline(always)]
    fn total(mut self, l: L) -> [f32; J] {
        // A row of less than one block is its part: the two-sum with 0 would give the same bits.
        if self.blocks {
            self.end_block(l);
        } else {
            self.hi = self.part;
        }
        let mut totals = [0.0; J];
        for ((total, hi), lo) in totals.iter_mut().zip(self.hi).zip(self.lo) {
            *total = sum_of_lanes(to_chunk(l, hi), to_chunk(l, lo));
        }
        totals
    }
}

/// Knuth's two-sum: `a + b` rounded, and exactly what that rounding lost, whichever of them is larger.
#[inline(always)]
fn two_sum<V: Copy>(a: V, b: V, add: impl Fn(V, V) -> V, sub: impl Fn(V, V) -> V) -> (V, V) {
    let sum = add(a, b);
    let of_b = sub(sum, a);
    let of_a = sub(sum, of_b);
    (sum, add(sub(a, of_a), sub(b, of_b)))
}

/// The virtual lanes `hi + lo`, folded by halves.
#[inline(always)]
fn sum_of_lanes(mut hi: Chunk, mut lo: Chunk) -> f32 {
    for half in [8, 4, 2, 1] {
        let (Some((hi, other_hi)), Some((lo, other_lo))) =
            (hi.split_at_mut_checked(half), lo.split_at_mut_checked(half))
        else {
            break;
        };
        for (((hi, lo), &other_hi), &other_lo) in hi.iter_mut().zip(lo).zip(&*other_hi).zip(&*other_lo) {
            let (sum, error) = two_sum(*hi, other_hi, |a, b| a + b, |a, b| a - b);
            *hi = sum;
            *lo = (*lo + other_lo) + error;
        }
    }
    let ([hi, ..], [lo, ..]) = (hi, lo);
    // An infinite sum has lost inf - inf; it is right without that.
    if lo.is_nan() { hi } else { hi + lo }
}

#[inline(always)]
fn to_chunk<L: Lane>(l: L, wide: L::Wide) -> Chunk {
    let mut chunk = [0.0; LANES];
    for (k, &vector) in wide.as_ref().iter().enumerate() {
        l.store(vector, &mut chunk, k);
    }
    chunk
}
