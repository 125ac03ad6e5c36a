//! The order of sums over a row, but of those in `kernel::short`.
//!
//! ```text
//! lane l of a quad    q_l = (x_l + x_(l+16)) + (x_(l+32) + x_(l+48))    4 chunks of 16 elements
//! lane l of a block   part_l = q_l + q'_l                               2 quads: 128 elements
//! lane l of the row   hi_l + lo_l = sum of its parts                    two-sum: the rounding errors are summed in lo_l
//! row                 lanes l and l + 8 are added, then l and l + 4, l and l + 2, l and l + 1, by two-sum again
//! ```
//!
//! An element meets at most 3 additions that lose their rounding error, and the last, so the error does not grow with
//! the length. What is missing at the end of a row is 0. The order depends on positions, and in
//! [`walk_without`](super::walk_without) on whether the sum reaches 2, and else on which lane has reached 1; never on
//! `Lane::N`.

use super::{Arithmetic, Four, Grid, Group, LANE_NUMBERS, LANES, Lane, QUAD, groups, units_of_block};

/// `J` sums over a row.
pub(super) struct Sums<L: Lane, const J: usize> {
    /// Of the units of a block, which are added up only when the first of the next is there: then nothing waits for them.
    first: [L::Wide; J],
    second: [L::Wide; J],
    /// Of the blocks before.
    hi: [L::Wide; J],
    lo: [L::Wide; J],
    /// The count of first terms that were not added.
    ones: L::Wide,
}

impl<L: Lane, const J: usize> Sums<L, J> {
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        let zero = [l.splat_wide(0.0); J];
        Self { first: zero, second: zero, hi: zero, lo: zero, ones: l.splat_wide(0.0) }
    }

    /// The terms of the vectors `k` of a unit, of which the groups are given one by one. Units come in order, from the first of
    /// a block on. If there is a `one`, the first terms are counted where they are that, and not added.
    #[inline(always)]
    pub(super) fn add_unit<G: Group<L>>(
        &mut self,
        g: G,
        (unit, k): (usize, usize),
        one: Option<f32>,
        mut group: impl FnMut(usize) -> Option<[G::V; J]>,
    ) {
        let l = g.base();
        let mut of_groups = [[l.splat(0.0); QUAD]; J];
        for i in 0..groups::<L, G>() {
            let Some(mut terms) = group(i * G::VECTORS) else { break };
            if let (Some(one), Some(ones), Some(first)) = (one, self.ones.as_mut().get_mut(k), terms.first_mut()) {
                *first = counted(g, *first, g.splat(one), ones);
            }
            for (j, of_groups) in of_groups.iter_mut().enumerate() {
                if let (Some(of_group), Some(&terms)) = (of_groups.get_mut(i), terms.get(j)) {
                    *of_group = g.sum(terms);
                }
            }
        }
        // Said, not left to be found: some builds did not unroll loops over vectors, and exp took 12 % longer in them.
        if J == 0 {
            return;
        }
        // Known at compile time where a block is one unit.
        let is_first = unit % units_of_block::<L, G>() == 0;
        if is_first {
            self.end_block(l, k);
        }
        let of_unit = if is_first { &mut self.first } else { &mut self.second };
        for (of_unit, &of_groups) in of_unit.iter_mut().zip(&of_groups) {
            if let Some(of_unit) = of_unit.as_mut().get_mut(k) {
                let [first, ..] = of_groups;
                *of_unit = if groups::<L, G>() == 1 { first } else { Group::<L>::sum(Four(l), of_groups) };
            }
        }
    }

    /// `hi + lo += first + second` in the vectors `k`; both are 0 again.
    #[inline(always)]
    fn end_block(&mut self, l: L, k: usize) {
        for (((first, second), hi), lo) in
            self.first.iter_mut().zip(&mut self.second).zip(&mut self.hi).zip(&mut self.lo)
        {
            let units = (first.as_mut().get_mut(k), second.as_mut().get_mut(k));
            let (Some(first), Some(second)) = units else { return };
            let (Some(hi), Some(lo)) = (hi.as_mut().get_mut(k), lo.as_mut().get_mut(k)) else { return };
            let (sum, error) = two_sum(l, *hi, l.add(*first, *second));
            (*hi, *lo) = (sum, l.add(*lo, error));
            (*first, *second) = (l.splat(0.0), l.splat(0.0));
        }
    }

    /// Adds the last block. To be called when all units are there.
    #[inline(always)]
    pub(super) fn end_row(&mut self, l: L) {
        for k in 0..LANES / L::N {
            self.end_block(l, k);
        }
    }

    #[inline(always)]
    pub(super) fn total(&self, l: L) -> [f32; J] {
        self.added(l, 0.0, 0.0)
    }

    /// How many first terms are `one`, and the sums, of which the first is without those. Either they were counted, or all
    /// first terms were added, of which none is larger.
    ///
    /// A sum of 2 `one` or more has lost little to a `one`: that is taken from it, and others stay in it. Of a smaller one,
    /// `again` is asked for both of the lane that has the `one`, as [`sum_of_lane`] finds them.
    #[inline(always)]
    pub(super) fn total_without(
        mut self,
        l: L,
        one: f32,
        were_counted: bool,
        again: impl FnOnce(usize) -> (f32, f32),
    ) -> (f32, [f32; J]) {
        let (ones, less, more) = if were_counted {
            (self.count(l), 0.0, 0.0)
        } else if self.first_sum(l) < 2.0 * one {
            let below = l.splat(one.next_down());
            let has_one = {
                #[inline(always)]
                |hi| l.gt(hi, below)
            };
            let lanes = self.hi.first().map_or(0, |&hi| bits_of_lanes(l, hi, has_one));
            if lanes == 0 {
                none_is_one()
            } else {
                // No other lane has: the sum would be larger. They have lost nothing to it, as long as they do not meet it.
                let (ones, sum) = again(lanes.trailing_zeros() as usize);
                self.leave_out(l, has_one);
                (ones, 0.0, sum)
            }
        } else {
            (1.0, one, 0.0)
        };
        (ones, self.added(l, less, more))
    }

    /// The first sum, before its rounding errors are added.
    #[inline(always)]
    fn first_sum(&self, l: L) -> f32 {
        let Some(&hi) = self.hi.first() else { return 0.0 };
        let [sum] = fold(
            l,
            [hi],
            #[inline(always)]
            |[a], [b]| [l.add(a, b)],
        );
        l.first(sum)
    }

    /// Makes the first sum 0 in some lanes.
    #[inline(always)]
    fn leave_out(&mut self, l: L, which: impl Fn(L::V) -> L::M) {
        if let (Some(hi), Some(lo)) = (self.hi.first_mut(), self.lo.first_mut()) {
            for (hi, lo) in hi.as_mut().iter_mut().zip(lo.as_mut()) {
                let which = which(*hi);
                (*hi, *lo) = (l.zero_where(which, *hi), l.zero_where(which, *lo));
            }
        }
    }

    #[inline(always)]
    fn count(&self, l: L) -> f32 {
        let mut ones = self.ones;
        for ones in ones.as_mut() {
            *ones = l.of_count(*ones);
        }
        // Whole numbers, exact in any order.
        let [ones] = fold(
            l,
            [ones],
            #[inline(always)]
            |[a], [b]| [l.add(a, b)],
        );
        l.first(ones)
    }

    /// The sums; `less` is taken from the first, and `more` added to it.
    #[inline(always)]
    fn added(&self, l: L, less: f32, more: f32) -> [f32; J] {
        let mut totals = [0.0; J];
        for (j, total) in totals.iter_mut().enumerate() {
            let (Some(&hi), Some(&lo)) = (self.hi.get(j), self.lo.get(j)) else { break };
            let [hi, lo] = fold(
                l,
                [hi, lo],
                #[inline(always)]
                |[hi, lo], [other_hi, other_lo]| {
                    let (sum, error) = two_sum(l, hi, other_hi);
                    [sum, l.add(l.add(lo, other_lo), error)]
                },
            );
            let (mut hi, mut lo) = (l.first(hi), l.first(lo));
            if j == 0 {
                (hi, lo) = (hi - less, lo + more);
            }
            let sum = hi + lo;
            *total = if sum.is_nan() { without_errors(hi) } else { sum };
        }
        totals
    }
}

/// How often `f` gives `one` for an element of a lane, and the sum of what else it gives. It must give +0 for `fill`, which
/// is behind the last element.
///
/// The elements are added up in lanes of their own: the next belongs to the next.
#[inline(always)]
pub(crate) fn sum_of_lane<L: Lane>(
    l: L,
    (row, lane): (&[f32], usize),
    one: f32,
    fill: f32,
    f: impl Fn(L::V) -> L::V,
) -> (f32, f32) {
    let (mut hi, mut lo, mut ones) = (l.splat_wide(0.0), l.splat_wide(0.0), l.splat(0.0));
    for part in row.chunks(LANES * LANES) {
        for (k, (hi, lo)) in hi.as_mut().iter_mut().zip(lo.as_mut()).enumerate() {
            let from = part.get(k * L::N * LANES + lane..).unwrap_or_default();
            let rows = from.len().div_ceil(LANES);
            if rows == 0 {
                break;
            }
            // Through memory, it would wait for all stores before.
            let mut elements = [l.splat(fill)];
            l.columns(from, Grid { stride: LANES, rows }, &mut elements);
            let [mut elements] = elements;
            if rows < L::N {
                let is_there = l.gt(l.splat(rows as f32), l.load(&LANE_NUMBERS, 0));
                elements = l.select(is_there, elements, l.splat(fill));
            }
            let term = f(elements);
            let is_one = l.eq(term, l.splat(one));
            ones = l.count(is_one, ones);
            let (sum, error) = two_sum(l, *hi, l.zero_where(is_one, term));
            (*hi, *lo) = (sum, l.add(*lo, error));
        }
    }
    let add = {
        #[inline(always)]
        |[a]: [L::V; 1], [b]: [L::V; 1]| [l.add(a, b)]
    };
    for (hi, &lo) in hi.as_mut().iter_mut().zip(lo.as_ref()) {
        *hi = l.add(*hi, lo);
    }
    let ([sum], [ones]) = (fold(l, [hi], add), across(l, [l.of_count(ones)], add));
    (l.first(ones), l.first(sum))
}

/// An infinite sum has lost inf - inf, and is right without that. Out of line, so that the others need not wait to
/// know.
#[cold]
#[inline(never)]
fn without_errors(hi: f32) -> f32 {
    hi
}

/// Nothing to take out. Out of line, so that the sum need not wait to know.
#[cold]
#[inline(never)]
fn none_is_one() -> (f32, f32, f32) {
    (0.0, 0.0, 0.0)
}

/// The terms of a group, or 0 and one more in `ones` where they are `one`.
#[inline(always)]
pub(crate) fn counted<A: Arithmetic, G: Group<A>>(g: G, terms: G::V, one: G::V, ones: &mut A::V) -> G::V {
    let are_one = g.eq(terms, one);
    g.for_each_mask(
        are_one,
        #[inline(always)]
        |are_one| *ones = g.base().count(are_one, *ones),
    );
    g.zero_where(are_one, terms)
}

/// Knuth's two-sum: `a + b` rounded, and exactly what that rounding lost, whichever of them is larger.
#[inline(always)]
pub(crate) fn two_sum<L: Arithmetic>(l: L, a: L::V, b: L::V) -> (L::V, L::V) {
    let sum = l.add(a, b);
    let of_b = l.sub(sum, a);
    let of_a = l.sub(sum, of_b);
    (sum, l.add(l.sub(a, of_a), l.sub(b, of_b)))
}

/// The virtual lanes for which `f` is true, by their bits.
#[inline(always)]
pub(super) fn bits_of_lanes<L: Lane>(l: L, wide: L::Wide, f: impl Fn(L::V) -> L::M) -> u32 {
    let mut bits = 0;
    for (k, &v) in wide.as_ref().iter().enumerate() {
        bits |= l.bits(f(v)) << (k * L::N);
    }
    bits
}

/// The virtual lanes, folded by halves: the result is in all lanes. `f` must not care which of two comes first.
#[inline(always)]
pub(super) fn fold<L: Lane, const K: usize>(
    l: L,
    mut wides: [L::Wide; K],
    f: impl Fn([L::V; K], [L::V; K]) -> [L::V; K],
) -> [L::V; K] {
    let mut half = LANES / L::N / 2;
    while half > 0 {
        for k in 0..half {
            let folded = f(vectors_at(l, &wides, k), vectors_at(l, &wides, k + half));
            for (i, wide) in wides.iter_mut().enumerate() {
                if let (Some(to), Some(&folded)) = (wide.as_mut().get_mut(k), folded.get(i)) {
                    *to = folded;
                }
            }
        }
        half /= 2;
    }
    across(l, vectors_at(l, &wides, 0), f)
}

/// The lanes of a vector, as [`fold`] folds them.
#[inline(always)]
pub(crate) fn across<L: Lane, const K: usize>(
    l: L,
    mut v: [L::V; K],
    f: impl Fn([L::V; K], [L::V; K]) -> [L::V; K],
) -> [L::V; K] {
    if L::N > 8 {
        v = f(v, swapped::<L, K, 8>(l, v));
    }
    if L::N > 4 {
        v = f(v, swapped::<L, K, 4>(l, v));
    }
    if L::N > 2 {
        v = f(v, swapped::<L, K, 2>(l, v));
    }
    if L::N > 1 {
        v = f(v, swapped::<L, K, 1>(l, v));
    }
    v
}

#[inline(always)]
fn vectors_at<L: Lane, const K: usize>(l: L, wides: &[L::Wide; K], k: usize) -> [L::V; K] {
    let mut vectors = [l.splat(0.0); K];
    for (i, to) in vectors.iter_mut().enumerate() {
        if let Some(&vector) = wides.get(i).and_then(|wide| wide.as_ref().get(k)) {
            *to = vector;
        }
    }
    vectors
}

#[inline(always)]
fn swapped<L: Lane, const K: usize, const DISTANCE: usize>(l: L, mut vectors: [L::V; K]) -> [L::V; K] {
    for vector in &mut vectors {
        *vector = l.swapped::<DISTANCE>(*vector);
    }
    vectors
}
