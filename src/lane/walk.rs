//! One pass over a row: the only loops over elements.

use super::span::{LargeVs, Place, To, Vs, load_part, load_whole, prefetch, store_part, store_whole, stream};
use super::sums::Sums;
use super::{BLOCK, Chunk, Group, LANES, Lane, QUAD, QUADS, Span, Stream, groups, unit, units_of_block};
use core::ops::Range;

/// Calls `f` with the vectors of the row and of the further inputs, group by group, and with the place to write to, which
/// is nowhere if the row is only read. Returns the sums over the row of the `J` terms that `f` gives.
///
/// Past its end the row is padded with `fill` and each further input as it says; `f` must give terms of +0 there.
#[inline(always)]
pub(crate) fn walk<L: Lane, const I: usize, const J: usize>(
    l: L,
    span: &mut Span<'_>,
    fill: f32,
    further: [Stream<'_>; I],
    f: impl Fn(Vs<L>, [Vs<L>; I], To<'_>) -> [Vs<L>; J] + Copy,
) -> [f32; J] {
    let g = l.group();
    Pass { fill, further, has_quads: false }.over(l, span, None, (g, f), f).total(l)
}

/// [`walk`], of whole blocks in large groups, for which there is a function of its own.
#[inline(always)]
pub(crate) fn walk_large<L: Lane, const I: usize, const J: usize>(
    l: L,
    span: &mut Span<'_>,
    fill: f32,
    further: [Stream<'_>; I],
    large: impl Fn(LargeVs<L>, [LargeVs<L>; I], To<'_>) -> [LargeVs<L>; J],
    f: impl Fn(Vs<L>, [Vs<L>; I], To<'_>) -> [Vs<L>; J],
) -> [f32; J] {
    Pass { fill, further, has_quads: false }.over(l, span, None, (l.large_group(), large), f).total(l)
}

/// [`walk`], where the first term is not negative and at most `one`: its sum is without those that are `one`, and how many
/// they are comes with it.
///
/// In a row of up to a block, they are counted. In a longer one all are added up, and only where the sum is less than 2
/// `one`, so that the rest may have lost digits to the one that is in it, `again` is asked for both of that one's lane, as
/// [`sum_of_lane`](super::sum_of_lane) finds them. Elsewhere, all but one that are `one` are in the sum.
#[inline(always)]
pub(crate) fn walk_without<L: Lane, const I: usize, const J: usize>(
    l: L,
    span: &mut Span<'_>,
    one: f32,
    fill: f32,
    further: [Stream<'_>; I],
    f: impl Fn(Vs<L>, [Vs<L>; I], To<'_>) -> [Vs<L>; J] + Copy,
    again: impl FnOnce(&mut Span<'_>, usize) -> (f32, f32),
) -> (f32, [f32; J]) {
    let (g, are_counted) = (l.group(), span.read().len() <= BLOCK);
    let sums = Pass { fill, further, has_quads: true }.over(l, span, are_counted.then_some(one), (g, f), f);
    sums.total_without(
        l,
        one,
        are_counted,
        #[inline(always)]
        |lane| again(span, lane),
    )
}

/// [`walk`], where the one term of each element is not added up, but written to its place in `terms`, which are as many.
/// Whole units go in the groups of `g`.
#[inline(always)]
pub(crate) fn walk_terms<L: Lane, G: Group<L>, const I: usize>(
    l: L,
    (span, terms): (&mut Span<'_>, &mut [f32]),
    fill: f32,
    further: [Stream<'_>; I],
    (g, of_units): (G, impl Fn(G::V, [G::V; I], To<'_>) -> [G::V; 1]),
    f: impl Fn(Vs<L>, [Vs<L>; I], To<'_>) -> [Vs<L>; 1],
) {
    let (pass, len) = (Pass { fill, further, has_quads: false }, span.read().len());
    let unit = unit::<L, G>();
    let units = len / (unit * LANES);
    for at in places::<L, G>(0..units) {
        let [term] = pass.whole(g, span, at, &of_units);
        store_whole(g, terms, at, term);
    }
    for at in places::<L, L::Group>(units * unit / QUAD..len.div_ceil(QUAD * LANES)) {
        if let Some([term]) = pass.part(l.group(), span, len, at, &f) {
            store_part(l.group(), terms, at, term);
        }
    }
}

/// Where the groups of some units are.
#[inline(always)]
fn places<L: Lane, G: Group<L>>(units: Range<usize>) -> impl Iterator<Item = Place> {
    let (groups, vectors) = (groups::<L, G>(), LANES / L::N);
    (units.start * groups * vectors..units.end * groups * vectors).map(
        #[inline(always)]
        move |i| {
            let (i, group) = (i / groups, i % groups);
            Place { unit: i / vectors, chunk: group * G::VECTORS, k: i % vectors }
        },
    )
}

struct Pass<'a, const I: usize> {
    fill: f32,
    further: [Stream<'a>; I],
    /// Whether whole quads behind the last whole block have a loop of their own, or go as parts: shorter code.
    has_quads: bool,
}

impl<const I: usize> Pass<'_, I> {
    /// Whole blocks in the groups of `g`, what is left behind them in those of `l`, as a row whose first terms are counted
    /// where they are `one`.
    #[inline(always)]
    fn over<L: Lane, G: Group<L>, const J: usize>(
        &self,
        l: L,
        span: &mut Span<'_>,
        one: Option<f32>,
        (g, of_blocks): (G, impl Fn(G::V, [G::V; I], To<'_>) -> [G::V; J]),
        f: impl Fn(Vs<L>, [Vs<L>; I], To<'_>) -> [Vs<L>; J],
    ) -> Sums<L, J> {
        let len = span.read().len();
        let mut sums = Sums::<L, J>::new(l);
        // Without lanes, the last loop serves all.
        let unrolled = if L::N == 1 || one.is_some() { 0 } else { len / BLOCK };
        for block in 0..unrolled {
            let units = units_of_block::<L, G>();
            // A loop of its own in each block: the compiler unrolls it where there are enough registers.
            for unit in block * units..(block + 1) * units {
                add_unit(
                    g,
                    &mut sums,
                    unit,
                    None,
                    #[inline(always)]
                    |at| Some(self.whole(g, span, at, &of_blocks)),
                );
            }
        }
        let whole = if self.has_quads && L::N > 1 { len / (QUAD * LANES) } else { unrolled * QUADS };
        let g = l.group();
        for quad in unrolled * QUADS..whole {
            add_unit(
                g,
                &mut sums,
                quad,
                one,
                #[inline(always)]
                |at| Some(self.whole(g, span, at, &f)),
            );
        }
        for quad in whole..len.div_ceil(QUAD * LANES) {
            add_unit(
                g,
                &mut sums,
                quad,
                one,
                #[inline(always)]
                |at| self.part(g, span, len, at, &f),
            );
        }
        sums.end_row(l);
        sums
    }

    /// The terms of a group of a whole unit.
    #[inline(always)]
    fn whole<L: Lane, G: Group<L>, const J: usize>(
        &self,
        g: G,
        span: &mut Span<'_>,
        at: Place,
        f: &impl Fn(G::V, [G::V; I], To<'_>) -> [G::V; J],
    ) -> [G::V; J] {
        let zero = g.splat(0.0);
        let Some(x) = load_whole(g, span.read(), at) else { return [zero; J] };
        let mut others = [zero; I];
        for (i, other) in others.iter_mut().enumerate() {
            if let Some(stream) = self.further.get(i) {
                *other = stream.load_whole(g, at);
            }
        }
        // Not `f`: the reference is a function too, which is not inlined.
        let terms = (*f)(x, others, To { row: span.write(), at, is_whole: true });
        prefetch(g, span.to_bring_near(), at);
        terms
    }

    /// The terms of a group, if the row reaches it.
    #[inline(always)]
    fn part<L: Lane, G: Group<L>, const J: usize>(
        &self,
        g: G,
        span: &mut Span<'_>,
        len: usize,
        at: Place,
        f: &impl Fn(G::V, [G::V; I], To<'_>) -> [G::V; J],
    ) -> Option<[G::V; J]> {
        if at.element::<L, G>(0) >= len {
            return None;
        }
        let x = load_part(g, span.read(), at, self.fill);
        let mut others = [g.splat(0.0); I];
        for (i, other) in others.iter_mut().enumerate() {
            if let Some(stream) = self.further.get(i) {
                *other = stream.load_part(g, at, len);
            }
        }
        // Not `f`: the reference is a function too, which is not inlined.
        Some((*f)(x, others, To { row: span.write(), at, is_whole: false }))
    }
}

#[inline(always)]
fn add_unit<L: Lane, G: Group<L>, const J: usize>(
    g: G,
    sums: &mut Sums<L, J>,
    unit: usize,
    one: Option<f32>,
    mut group: impl FnMut(Place) -> Option<[G::V; J]>,
) {
    for k in 0..LANES / L::N {
        sums.add_unit(
            g,
            (unit, k),
            one,
            #[inline(always)]
            |chunk| group(Place { unit, chunk, k }),
        );
    }
}

/// `f` of every vector of a row, in place. Loads and stores keep to cache lines. The two ends, where they are not whole
/// lines, are vectors that may cross lines and overlap others: found first, written last.
#[inline(always)]
pub(crate) fn map_in_place<L: Lane>(
    l: L,
    row: &mut [f32],
    of_group: impl Fn(Vs<L>) -> Vs<L> + Copy,
    of_vector: impl Fn(L::V) -> L::V,
) {
    // Without lanes, shorter code.
    if L::N == 1 || row.len() < LANES {
        let of_group = {
            #[inline(always)]
            |x, []: [Vs<L>; 0], to: To<'_>| to.put(l.group(), of_group(x))
        };
        walk(l, &mut Span::in_place(row), 0.0, [], of_group);
        return;
    }
    let of_chunk = {
        #[inline(always)]
        |chunk: &Chunk| {
            let mut wide = l.splat_wide(0.0);
            for (k, v) in wide.as_mut().iter_mut().enumerate() {
                *v = of_vector(l.load(chunk, k));
            }
            wide
        }
    };
    let put = {
        #[inline(always)]
        |wide: L::Wide, to: &mut Chunk| {
            for (k, &v) in wide.as_ref().iter().enumerate() {
                l.store(v, to, k);
            }
        }
    };
    let start = row.as_ptr().align_offset(size_of::<Chunk>()) % LANES;
    let rest = (row.len() - start) % LANES;
    let head = row.first_chunk().filter(|_| start > 0).map(of_chunk);
    let tail = row.last_chunk().filter(|_| rest > 0).map(of_chunk);
    let middle = row.get_mut(start..).unwrap_or_default();
    let quads = middle.len() / (QUAD * LANES);
    for at in places::<L, L::Group>(0..quads) {
        if let Some(x) = load_whole(l.group(), middle, at) {
            store_whole(l.group(), middle, at, of_group(x));
        }
    }
    for chunk in middle.as_chunks_mut().0.iter_mut().skip(quads * QUAD) {
        put(of_chunk(chunk), chunk);
    }
    if let (Some(head), Some(to)) = (head, row.first_chunk_mut()) {
        put(head, to);
    }
    if let (Some(tail), Some(to)) = (tail, row.last_chunk_mut()) {
        put(tail, to);
    }
}

/// Units from what is read of a row that is too long for the caches to what is brought near meanwhile: two pages of memory,
/// of which processors do not look beyond the first by themselves.
const UNITS_AHEAD: usize = 32;

/// `f` of every vector of a row that is too long for the caches, written past them where it goes to another place: what
/// is written is not read before, and pushes nothing out.
#[inline(always)]
pub(crate) fn map_streamed<L: Lane>(l: L, span: &mut Span<'_>, f: impl Fn(Vs<L>) -> Vs<L> + Copy) {
    let g = l.group();
    let f_of_walk = {
        #[inline(always)]
        |x, []: [Vs<L>; 0], to: To<'_>| to.put(g, f(x))
    };
    let load = {
        #[inline(always)]
        |row: &[f32], at: Place| {
            prefetch(g, row, Place { unit: at.unit + UNITS_AHEAD, ..at });
            load_whole(g, row, at)
        }
    };
    let Some((from, to)) = span.both() else {
        let row = span.write();
        let quads = row.len() / (QUAD * LANES);
        for at in places::<L, L::Group>(0..quads) {
            if let Some(x) = load(row, at) {
                store_whole(g, row, at, f(x));
            }
        }
        let tail = row.get_mut(quads * QUAD * LANES..).unwrap_or_default();
        walk(l, &mut Span::in_place(tail), 0.0, [], f_of_walk);
        return;
    };
    // From where on a whole chunk is aligned as any vector wants to be.
    let start = to.as_ptr().align_offset(size_of::<Chunk>()).min(to.len());
    let (Some((from_head, from)), Some((to_head, to))) = (from.split_at_checked(start), to.split_at_mut_checked(start))
    else {
        return;
    };
    let end = from.len() - from.len() % (QUAD * LANES);
    let (Some((from, from_tail)), Some((to, to_tail))) = (from.split_at_checked(end), to.split_at_mut_checked(end))
    else {
        return;
    };
    for at in places::<L, L::Group>(0..end / (QUAD * LANES)) {
        if let Some(x) = load(from, at) {
            stream(g, to, at, f(x));
        }
    }
    l.fence();
    for (from, to) in [(from_head, to_head), (from_tail, to_tail)] {
        walk(l, &mut Span::apart(from, to), 0.0, [], f_of_walk);
    }
}
