//! How short rows lie in vectors: side by side, one in each lane, or one along the lanes.

use super::{OfBlocks, Terms, sums_of_rows};
use crate::ClassIndices;
use crate::kernel::weight_at;
use crate::lane::{Arithmetic, Group, LANE_NUMBERS, Lane, Stream, across};

/// What [`SideBySide`] and [`Along`] do not have in common. `vector` counts the vectors of the rows from 0 on.
pub(crate) trait Layout<R: Arithmetic>: Copy {
    /// Whether a vector is a column.
    const HAS_COLUMNS: bool;
    /// Whether rows or classes may have weights other than 1, or the scale of a gradient may be small.
    const HAS_WEIGHTS: bool;

    /// The marks of the classes in a vector.
    fn marks(self, r: R, vector: usize) -> R::V;
    /// The weights of the classes in a vector, 0 behind the last class.
    fn weights(self, r: R, weights: Stream<'_>, vector: usize) -> R::V;
    /// In each lane the factor of its row, 1 without `factors`, which are of all rows; `row` is the first of these.
    fn factors<L: Lane>(self, r: R, factors: Option<&[f32]>, row: usize) -> R::V
    where
        R: Group<L>;
    /// In each lane the number of its row, of numbers side by side.
    fn spread(self, r: R, numbers: R::V) -> R::V;
    /// Brings together, over each row and into all its lanes, what `f` made lane by lane. `f` must not care which of two
    /// comes first.
    fn across(self, r: R, a: R::V, f: impl Fn(R::V, R::V) -> R::V) -> R::V;
    /// The sums over each row, in all its lanes.
    fn sums<L: Lane, const J: usize>(self, r: R, vectors: &mut [R::V], terms: &mut impl Terms<R, J>) -> [R::V; J]
    where
        R: Group<L>;
}

/// A row in each lane.
#[derive(Clone, Copy)]
pub(crate) struct SideBySide<const HAS_WEIGHTS: bool>;

impl<R: Arithmetic, const HAS_WEIGHTS: bool> Layout<R> for SideBySide<HAS_WEIGHTS> {
    const HAS_COLUMNS: bool = true;
    const HAS_WEIGHTS: bool = HAS_WEIGHTS;

    #[inline(always)]
    fn marks(self, r: R, column: usize) -> R::V {
        r.splat(ClassIndices::mark(column))
    }
    #[inline(always)]
    fn weights(self, r: R, weights: Stream<'_>, column: usize) -> R::V {
        r.splat(weights.at(column))
    }
    #[inline(always)]
    fn factors<L: Lane>(self, r: R, factors: Option<&[f32]>, row: usize) -> R::V
    where
        R: Group<L>,
    {
        let Some(factors) = factors else { return r.splat(1.0) };
        r.of(
            #[inline(always)]
            |v| r.base().load_part(factors.get(row + v * L::N..).unwrap_or_default(), 1.0),
        )
    }
    #[inline(always)]
    fn spread(self, _: R, numbers: R::V) -> R::V {
        numbers
    }
    #[inline(always)]
    fn across(self, _: R, a: R::V, _: impl Fn(R::V, R::V) -> R::V) -> R::V {
        a
    }
    #[inline(always)]
    fn sums<L: Lane, const J: usize>(self, r: R, columns: &mut [R::V], terms: &mut impl Terms<R, J>) -> [R::V; J]
    where
        R: Group<L>,
    {
        sums_of_rows(r, columns, terms)
    }
}

/// One row along the lanes. What belongs to the row is in all of them.
#[derive(Clone, Copy)]
pub(crate) struct Along {
    pub(super) classes: usize,
}

impl<A: Lane> Layout<A> for Along {
    const HAS_COLUMNS: bool = false;
    const HAS_WEIGHTS: bool = true;

    #[inline(always)]
    fn marks(self, a: A, vector: usize) -> A::V {
        // Exact: marks are whole numbers.
        a.add(a.load(&LANE_NUMBERS, 0), a.splat(ClassIndices::mark(vector * A::N)))
    }
    #[inline(always)]
    fn weights(self, a: A, weights: Stream<'_>, vector: usize) -> A::V {
        match weights {
            Stream::Splat(weight) => {
                let is_class = a.gt(a.splat(ClassIndices::mark(self.classes)), self.marks(a, vector));
                a.select(is_class, a.splat(weight), a.splat(0.0))
            }
            Stream::Slice(weights) => a.load_part(weights.get(vector * A::N..).unwrap_or_default(), 0.0),
        }
    }
    #[inline(always)]
    fn factors<L: Lane>(self, a: A, factors: Option<&[f32]>, row: usize) -> A::V
    where
        A: Group<L>,
    {
        a.splat(weight_at(factors, row))
    }
    #[inline(always)]
    fn spread(self, a: A, numbers: A::V) -> A::V {
        a.splat(a.first(numbers))
    }
    #[inline(always)]
    fn across(self, a: A, of_lanes: A::V, f: impl Fn(A::V, A::V) -> A::V) -> A::V {
        let [all] = across(
            a,
            [of_lanes],
            #[inline(always)]
            |[x], [y]| [f(x, y)],
        );
        all
    }
    /// In the order of rows side by side: neighbours are added, then pairs, then the two quads of a block, which is half
    /// of 16 lanes or two vectors of 4.
    #[inline(always)]
    fn sums<L: Lane, const J: usize>(self, a: A, vectors: &mut [A::V], terms: &mut impl Terms<A, J>) -> [A::V; J]
    where
        A: Group<L>,
    {
        let (mut sums, mut part) = (OfBlocks::new(a), [a.splat(0.0); J]);
        let vectors_of_block = if A::N > 4 { 1 } else { 2 };
        for (i, x) in vectors.iter_mut().enumerate() {
            let (y, terms) = terms.of(a, i, *x);
            *x = y;
            for (j, part) in part.iter_mut().enumerate() {
                let Some(&term) = terms.get(j) else { break };
                let pairs = a.add(term, a.swapped::<1>(term));
                let quads = a.add(pairs, a.swapped::<2>(pairs));
                *part = a.add(*part, quads);
                if A::N > 4 {
                    *part = a.add(*part, a.swapped::<4>(quads));
                }
            }
            if (i + 1) % vectors_of_block == 0 {
                // Of 16 lanes; the upper half of them has the blocks in another order, and does not count.
                let mut second = part;
                sums.end_block(a, &mut part, i + 1 == vectors_of_block);
                if A::N > 8 {
                    for part in &mut second {
                        *part = a.swapped::<8>(*part);
                    }
                    sums.end_block(a, &mut second, false);
                }
            }
        }
        if A::N <= 4 {
            // A quad that is left over, or nothing.
            sums.end_block(a, &mut part, false);
        }
        let mut totals = sums.total(a);
        if A::N > 8 {
            for total in &mut totals {
                *total = self.spread(a, *total);
            }
        }
        totals
    }
}
