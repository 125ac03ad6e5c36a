//! One pass over a row: the only loops over elements, with their tails, and the one order of every sum.
//!
//! ```text
//! lane l of a quad    q_l = (x_l + x_(l+16)) + (x_(l+32) + x_(l+48))    4 chunks of 16 elements
//! lane l of a block   part_l = q_l + q'_l                               2 quads: 128 elements
//! lane l of the row   hi_l + lo_l = sum of its parts                    two-sum: the rounding errors are summed in lo_l
//! row                 lanes l and l + 8 are added, then l and l + 4, l and l + 2, l and l + 1, by two-sum again
//! ```
//!
//! An element meets at most 3 additions that lose their rounding error, and the last, so the error does not grow with the
//! length. What is missing at the end of a row is 0. The order depends on positions alone, never on `Lane::N`.

use super::{Chunk, LANES, Lane};

/// Chunks in a quad.
const QUAD: usize = 4;
/// Quads in a block.
const QUADS: usize = 2;
/// Elements in a block.
const BLOCK: usize = QUADS * QUAD * LANES;

/// Where a pass reads its row and, if it has somewhere, writes one.
pub(crate) trait Span {
    fn read(&self) -> &[f32];
    fn write(&mut self) -> Option<&mut [f32]>;
    /// What to bring near, element by element.
    #[inline(always)]
    fn ahead(&self) -> &[f32] {
        &[]
    }
    /// Both, where they are two.
    #[inline(always)]
    fn apart(&mut self) -> Option<(&[f32], &mut [f32])> {
        None
    }
    /// Makes both of one length, which they are: it tells the compiler so.
    #[inline(always)]
    fn trim(&mut self) {}
}

pub(crate) struct ReadOnly<'a>(pub(crate) &'a [f32]);

/// Read only, while what is read next is brought near.
pub(crate) struct Ahead<'a> {
    pub(crate) row: &'a [f32],
    pub(crate) next: &'a [f32],
}

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

impl Span for Ahead<'_> {
    #[inline(always)]
    fn read(&self) -> &[f32] {
        self.row
    }
    #[inline(always)]
    fn write(&mut self) -> Option<&mut [f32]> {
        None
    }
    #[inline(always)]
    fn ahead(&self) -> &[f32] {
        self.next
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
    #[inline(always)]
    fn apart(&mut self) -> Option<(&[f32], &mut [f32])> {
        Some((self.from, self.to))
    }
    #[inline(always)]
    fn trim(&mut self) {
        let len = self.from.len().min(self.to.len());
        self.from = self.from.get(..len).unwrap_or_default();
        self.to = core::mem::take(&mut self.to).get_mut(..len).unwrap_or_default();
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

    /// The vector of a row of `len` at element `i`, with what stands past the end.
    #[inline(always)]
    fn part<L: Lane>(&self, l: L, i: usize, len: usize) -> L::V {
        match *self {
            Self::Splat(x, fill) => l.load_part([x; LANES].get(..len - i).unwrap_or(&[x; LANES]), fill),
            Self::Slice(slice, fill) => l.load_part(slice.get(i..).unwrap_or_default(), fill),
        }
    }

    #[inline(always)]
    fn whole<L: Lane>(&self, l: L, block: usize, c: usize, k: usize) -> L::V {
        match *self {
            Self::Splat(x, _) => l.splat(x),
            Self::Slice(slice, fill) => match chunk(slice, block, c) {
                Some(whole) => l.load(whole, k),
                None => l.splat(fill),
            },
        }
    }
}

/// Chunk `c` of a block.
#[inline(always)]
fn chunk(row: &[f32], block: usize, c: usize) -> Option<&Chunk> {
    row.as_chunks::<BLOCK>().0.get(block)?.as_chunks().0.get(c)
}

#[inline(always)]
fn chunk_mut(row: &mut [f32], block: usize, c: usize) -> Option<&mut Chunk> {
    row.as_chunks_mut::<BLOCK>().0.get_mut(block)?.as_chunks_mut().0.get_mut(c)
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
    let (_, sums) = pass(l, span, None, fill, further, f);
    sums
}

/// `f` of every vector of a row that is too long for the caches, written past them where it goes to another place: what is
/// written is not read before, and pushes nothing out.
#[inline(always)]
pub(crate) fn map_streamed<L: Lane, S: Span>(l: L, span: &mut S, f: impl Fn(L::V) -> L::V) {
    span.trim();
    let Some((from, to)) = span.apart() else {
        walk(
            l,
            span,
            0.0,
            [],
            #[inline(always)]
            |x, []| (f(x), []),
        );
        return;
    };
    // From where on a whole chunk is aligned as any vector wants to be.
    let start = to.as_ptr().align_offset(size_of::<Chunk>()).min(to.len());
    let (Some((from_head, from)), Some((to_head, to))) = (from.split_at_checked(start), to.split_at_mut_checked(start))
    else {
        return;
    };
    let ((from, from_tail), (to, to_tail)) = (from.as_chunks(), to.as_chunks_mut());
    for (chunk, to) in from.iter().zip(to) {
        for k in 0..LANES / L::N {
            l.stream(f(l.load(chunk, k)), to, k);
        }
    }
    l.fence();
    for (from, to) in [(from_head, to_head), (from_tail, to_tail)] {
        for (from, to) in from.chunks(L::N).zip(to.chunks_mut(L::N)) {
            l.store_part(f(l.load_part(from, 0.0)), to);
        }
    }
}

/// [`walk`], where the first term is what `f` writes, is not negative, is at most `one`, and is not summed but counted if it is
/// `one`: returns the count too. Where four elements or more are `one`, some of them may be summed.
///
/// In short rows, each element is compared. In long ones, the blocks that may have `one` are known by a lane whose part is at
/// least that: at most three of them are in a row whose sum without it is small enough to matter. They are left for the end.
#[inline(always)]
pub(crate) fn walk_without<L: Lane, S: Span, const I: usize, const J: usize>(
    l: L,
    span: &mut S,
    one: f32,
    fill: f32,
    further: [Stream<'_>; I],
    f: impl Fn(L::V, [L::V; I]) -> (L::V, [L::V; J]),
) -> (f32, [f32; J]) {
    pass(l, span, Some(one), fill, further, f)
}

/// Elements of the longest row in which [`walk_without`] compares each.
const COMPARED: usize = 2048;

/// Blocks of a longer row that it looks through again.
const LATER: usize = 3;

#[inline(always)]
fn pass<L: Lane, S: Span, const I: usize, const J: usize>(
    l: L,
    span: &mut S,
    one: Option<f32>,
    fill: f32,
    further: [Stream<'_>; I],
    f: impl Fn(L::V, [L::V; I]) -> (L::V, [L::V; J]),
) -> (f32, [f32; J]) {
    span.trim();
    let (zero, compared) = (l.splat(0.0), l.splat(one.unwrap_or(f32::NAN)));
    let (len, vectors) = (span.read().len(), LANES / L::N);
    let compares = one.is_some() && len <= COMPARED;
    let mut sums = Sums::<L, J>::new(l);

    // Without lanes, a loop without unrolling serves all.
    let whole_blocks = if L::N == 1 { 0 } else { len / BLOCK };
    for block in 0..whole_blocks {
        for k in 0..vectors {
            for c in [0, QUAD] {
                let mut terms = quad(l, span, &further, (block, c, k), &f);
                if compares {
                    sums.count(l, k, compared, &mut terms);
                }
                sums.add(l, k, terms);
            }
        }
        if let Some(one) = one.filter(|_| !compares) {
            sums.leave_for_later(l, one, block);
        }
        sums.end_block(l);
    }

    for start in (whole_blocks * BLOCK..len).step_by(BLOCK) {
        let compares = compares || (one.is_some() && len - start < BLOCK);
        for k in 0..vectors {
            for first in (start + k * L::N..len.min(start + BLOCK)).step_by(QUAD * LANES) {
                let mut terms = [[zero; J]; QUAD];
                for (i, terms) in (first..len).step_by(LANES).zip(&mut terms) {
                    let (y, new) = part(l, span, fill, &further, i, &f);
                    if let Some(to) = span.write().and_then(|row| row.get_mut(i..)) {
                        l.store_part(y, to);
                    }
                    *terms = new;
                }
                if compares {
                    sums.count(l, k, compared, &mut terms);
                }
                sums.add(l, k, terms);
            }
        }
        if let Some(one) = one.filter(|_| !compares) {
            sums.leave_for_later(l, one, start / BLOCK);
        }
        sums.end_block(l);
    }

    for block in sums.later.into_iter().take(sums.later_count) {
        for k in 0..vectors {
            for first in (block * BLOCK + k * L::N..).step_by(QUAD * LANES).take(QUADS) {
                let mut terms = [[zero; J]; QUAD];
                for (i, terms) in (first..).step_by(LANES).zip(&mut terms) {
                    // What was written is the first term.
                    let y = match span.write() {
                        Some(row) => l.load_part(row.get(i..).unwrap_or_default(), 0.0),
                        None => part(l, span, fill, &further, i, &f).0,
                    };
                    if let Some(term) = terms.first_mut() {
                        *term = y;
                    }
                }
                sums.count(l, k, compared, &mut terms);
                sums.add(l, k, terms);
            }
        }
        sums.end_block(l);
    }
    sums.total(l)
}

/// `f` of the vectors at element `k * N` of four chunks of a whole block, written; their terms.
///
/// Written out, for a loop may keep the terms in memory.
#[inline(always)]
fn quad<L: Lane, S: Span, F: Fn(L::V, [L::V; I]) -> (L::V, [L::V; J]), const I: usize, const J: usize>(
    l: L,
    span: &mut S,
    further: &[Stream<'_>; I],
    (block, c, k): (usize, usize, usize),
    f: &F,
) -> [[L::V; J]; QUAD] {
    [
        whole(l, span, further, (block, c, k), f),
        whole(l, span, further, (block, c + 1, k), f),
        whole(l, span, further, (block, c + 2, k), f),
        whole(l, span, further, (block, c + 3, k), f),
    ]
}

#[inline(always)]
fn whole<L: Lane, S: Span, F: Fn(L::V, [L::V; I]) -> (L::V, [L::V; J]), const I: usize, const J: usize>(
    l: L,
    span: &mut S,
    further: &[Stream<'_>; I],
    (block, c, k): (usize, usize, usize),
    f: &F,
) -> [L::V; J] {
    let zero = l.splat(0.0);
    let Some(x) = chunk(span.read(), block, c) else { return [zero; J] };
    let mut others = [zero; I];
    for (other, stream) in others.iter_mut().zip(further) {
        *other = stream.whole(l, block, c, k);
    }
    let (y, terms) = f(l.load(x, k), others);
    if let (Some(next), 0) = (chunk(span.ahead(), block, c), k) {
        l.prefetch(next);
    }
    if let Some(to) = span.write().and_then(|row| chunk_mut(row, block, c)) {
        l.store(y, to, k);
    }
    terms
}

/// `f` of the vector at element `i`, which may reach beyond the row.
#[inline(always)]
fn part<L: Lane, S: Span, F: Fn(L::V, [L::V; I]) -> (L::V, [L::V; J]), const I: usize, const J: usize>(
    l: L,
    span: &S,
    fill: f32,
    further: &[Stream<'_>; I],
    i: usize,
    f: &F,
) -> (L::V, [L::V; J]) {
    let x = span.read();
    let mut others = [l.splat(0.0); I];
    for (other, stream) in others.iter_mut().zip(further) {
        *other = stream.part(l, i, x.len());
    }
    f(l.load_part(x.get(i..).unwrap_or_default(), fill), others)
}

/// The largest element; -inf where there is none. A NaN may be passed over: what depends on every element sees it.
#[inline(always)]
pub(crate) fn max<L: Lane>(l: L, row: &[f32]) -> f32 {
    /// Registers, so that the next does not wait for the one before.
    const LARGEST: usize = 4;
    let mut largest = [l.splat(f32::NEG_INFINITY); LARGEST];
    let (blocks, tail) = row.as_chunks::<BLOCK>();
    for block in blocks {
        for (c, chunk) in block.as_chunks().0.iter().enumerate() {
            for k in 0..LANES / L::N {
                if let Some(largest) = largest.get_mut((c * (LANES / L::N) + k) % LARGEST) {
                    *largest = l.max(l.load(chunk, k), *largest);
                }
            }
        }
    }
    let [mut a, b, c, d] = largest;
    for part in tail.chunks(L::N) {
        a = l.max(l.load_part(part, f32::NEG_INFINITY), a);
    }
    let mut lanes = [f32::NEG_INFINITY; LANES];
    l.store(l.max(l.max(a, b), l.max(c, d)), &mut lanes, 0);
    // -0 and +0 are equal, and which of them a maximum gives depends on the order: + 0.0 leaves only +0.
    fold(lanes, |a, b| if a > b { a } else { b }) + 0.0
}

/// `J` sums over a row.
struct Sums<L: Lane, const J: usize> {
    /// Of the block so far.
    part: [L::Wide; J],
    hi: [L::Wide; J],
    lo: [L::Wide; J],
    /// First terms that were counted.
    ones: L::Wide,
    /// The blocks whose first terms are left for the end.
    later: [usize; LATER],
    later_count: usize,
}

impl<L: Lane, const J: usize> Sums<L, J> {
    #[inline(always)]
    fn new(l: L) -> Self {
        let zero = [l.splat_wide(0.0); J];
        Self { part: zero, hi: zero, lo: zero, ones: l.splat_wide(0.0), later: [0; LATER], later_count: 0 }
    }

    /// `part += ` the terms of a quad.
    #[inline(always)]
    fn add(&mut self, l: L, k: usize, terms: [[L::V; J]; QUAD]) {
        let [a, b, c, d] = terms;
        let terms = a.into_iter().zip(b).zip(c.into_iter().zip(d));
        for (part, ((a, b), (c, d))) in self.part.iter_mut().zip(terms) {
            if let Some(part) = part.as_mut().get_mut(k) {
                *part = l.add(*part, l.add(l.add(a, b), l.add(c, d)));
            }
        }
    }

    /// Counts the first terms of a quad that are `one`, and makes them 0.
    #[inline(always)]
    fn count(&mut self, l: L, k: usize, one: L::V, terms: &mut [[L::V; J]; QUAD]) {
        let Some(ones) = self.ones.as_mut().get_mut(k) else { return };
        for terms in terms {
            if let Some(term) = terms.first_mut() {
                *term = counted(l, *term, one, ones);
            }
        }
    }

    /// Takes the first terms of the block out of its sum, if `one` may be among them.
    #[inline(always)]
    fn leave_for_later(&mut self, l: L, one: f32, block: usize) {
        let Some(part) = self.part.first_mut() else { return };
        let mut largest = l.splat(0.0);
        for &lane in part.as_ref() {
            largest = l.max(lane, largest);
        }
        if l.any(l.gt(largest, l.splat(one.next_down())))
            && let Some(later) = self.later.get_mut(self.later_count)
        {
            *later = block;
            self.later_count += 1;
            *part = l.splat_wide(0.0);
        }
    }

    /// `hi + lo += part`
    #[inline(always)]
    fn end_block(&mut self, l: L) {
        for ((part, hi), lo) in self.part.iter_mut().zip(&mut self.hi).zip(&mut self.lo) {
            for ((part, hi), lo) in part.as_mut().iter_mut().zip(hi.as_mut()).zip(lo.as_mut()) {
                let (sum, error) = two_sum(l, *hi, *part);
                *lo = l.add(*lo, error);
                *hi = sum;
                *part = l.splat(0.0);
            }
        }
    }

    #[inline(always)]
    fn total(self, l: L) -> (f32, [f32; J]) {
        let mut totals = [0.0; J];
        for ((total, hi), lo) in totals.iter_mut().zip(self.hi).zip(self.lo) {
            *total = sum_of_lanes(to_chunk(l, hi), to_chunk(l, lo));
        }
        // Whole numbers, exact in any order.
        (fold(to_chunk(l, self.ones), |a, b| a + b), totals)
    }
}

/// A term, or 0 and one more in `ones` where it is `one`.
#[inline(always)]
pub(crate) fn counted<L: Lane>(l: L, term: L::V, one: L::V, ones: &mut L::V) -> L::V {
    let is_one = l.eq(term, one);
    *ones = l.select(is_one, l.add(*ones, l.splat(1.0)), *ones);
    l.select(is_one, l.splat(0.0), term)
}

/// Knuth's two-sum: `a + b` rounded, and exactly what that rounding lost, whichever of them is larger.
#[inline(always)]
pub(crate) fn two_sum<L: Lane>(l: L, a: L::V, b: L::V) -> (L::V, L::V) {
    let sum = l.add(a, b);
    let of_b = l.sub(sum, a);
    let of_a = l.sub(sum, of_b);
    (sum, l.add(l.sub(a, of_a), l.sub(b, of_b)))
}

/// The lanes, folded by halves.
#[inline(always)]
fn fold(mut lanes: Chunk, f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        let Some((lanes, others)) = lanes.split_at_mut_checked(half) else { break };
        for (lane, &other) in lanes.iter_mut().zip(&*others) {
            *lane = f(*lane, other);
        }
    }
    let [first, ..] = lanes;
    first
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
            let sum = *hi + other_hi;
            let of_other = sum - *hi;
            let error = (*hi - (sum - of_other)) + (other_hi - of_other);
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
