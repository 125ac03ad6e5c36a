//! The traits of lanes: all that an instruction set has to offer, and nothing that names one.

mod group;
mod largest;
mod span;
mod sums;
mod walk;

pub(crate) use group::{Eight, Four, Group};
pub(crate) use largest::Largest;
pub(crate) use span::{Span, Stream, To};
pub(crate) use sums::{across, counted, sum_of_lane, two_sum};
pub(crate) use walk::{map_in_place, map_streamed, walk, walk_large, walk_terms, walk_without};

/// Virtual lanes: in every sum, element `i` belongs to lane `i % LANES`, however many lanes a register has.
pub(crate) const LANES: usize = 16;

/// `LANES` consecutive elements.
pub(crate) type Chunk = [f32; LANES];

/// The number of each lane.
pub(crate) const LANE_NUMBERS: Chunk =
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// Chunks in a quad.
const QUAD: usize = 4;
/// Quads in a block.
const QUADS: usize = 2;
/// Elements in a block.
pub(crate) const BLOCK: usize = QUADS * QUAD * LANES;

/// Chunks that a pass takes at once: a quad, or as many as its groups have vectors.
const fn unit<L: Lane, G: Group<L>>() -> usize {
    if G::VECTORS > QUAD { G::VECTORS } else { QUAD }
}

/// Groups side by side in a unit.
const fn groups<L: Lane, G: Group<L>>() -> usize {
    unit::<L, G>() / G::VECTORS
}

/// Units in a block.
const fn units_of_block<L: Lane, G: Group<L>>() -> usize {
    BLOCK / LANES / unit::<L, G>()
}

/// Columns that are worked on side by side.
pub(crate) const COLUMNS: usize = 4;

/// The chunk, and the vector in it, that starts with an element.
#[inline(always)]
pub(crate) fn place<L: Lane>(element: usize) -> (usize, usize) {
    (element / LANES, element % LANES / L::N)
}

/// Where rows are that [`Lane::columns`] loads: the first at the start, the others a stride apart.
#[derive(Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) stride: usize,
    pub(crate) rows: usize,
}

/// Arithmetic on vectors of floats, as many lanes as they may have.
///
/// Every operation is the IEEE one in each lane, so two implementations that agree on [`mul_add`](Self::mul_add) give
/// the same bits in everything built on them.
pub(crate) trait Arithmetic: Copy {
    /// A vector of floats.
    type V: Copy;
    /// One truth value a lane.
    type M: Copy;
    /// Whether `mul_add` rounds once.
    const FUSED: bool;

    fn splat(self, x: f32) -> Self::V;

    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`: rounded once in the fused family, twice in the separate one.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a * b - c`, likewise.
    fn mul_sub(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`: a NaN on either side gives `b`.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`: a NaN on either side gives `b`.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;

    fn gt(self, a: Self::V, b: Self::V) -> Self::M;
    fn eq(self, a: Self::V, b: Self::V) -> Self::M;
    /// Whether the sign bit is set.
    fn is_negative(self, a: Self::V) -> Self::M;
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V;

    /// +0 where the mask, which a comparison made, is true, else `a`.
    #[inline(always)]
    fn zero_where(self, mask: Self::M, a: Self::V) -> Self::V {
        self.select(mask, self.splat(0.0), a)
    }

    /// A count that starts at +0, and 1 more where the mask, which a comparison made, is true. Only
    /// [`of_count`](Self::of_count) can read it.
    #[inline(always)]
    fn count(self, mask: Self::M, count: Self::V) -> Self::V {
        self.select(mask, self.add(count, self.splat(1.0)), count)
    }

    /// The number that was counted.
    #[inline(always)]
    fn of_count(self, count: Self::V) -> Self::V {
        count
    }

    /// +0 where `x < least`, else `a`, with a NaN too.
    #[inline(always)]
    fn zero_below(self, x: Self::V, least: Self::V, a: Self::V) -> Self::V {
        self.zero_where(self.gt(least, x), a)
    }

    /// +0 where the weight is 0, else `a`.
    #[inline(always)]
    fn zero_without(self, weight: Self::V, a: Self::V) -> Self::V {
        self.zero_where(self.eq(weight, self.splat(0.0)), a)
    }

    /// `a`, to be multiplied by a weight: +0 where that is 0, NaN where it is not finite. Of a 0 the sign may be lost.
    #[inline(always)]
    fn to_weigh(self, weight: Self::V, a: Self::V) -> Self::V {
        self.mul_add(weight, self.splat(0.0), self.zero_without(weight, a))
    }

    // The same registers as 32-bit integers.
    fn bits_and(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_or(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_xor(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_add(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_shl<const BITS: u32>(self, a: Self::V) -> Self::V;
    fn bits_shr<const BITS: u32>(self, a: Self::V) -> Self::V;
    /// In each lane the entry of the table that the lowest two bits of the index name.
    fn pick_of_4(self, table: &[f32; 4], index: Self::V) -> Self::V;
    /// The lowest three bits.
    fn pick_of_8(self, table: &[f32; 8], index: Self::V) -> Self::V;

    /// Whether no lane has any of these bits. It may say no where asking would take longer than what it saves.
    #[inline(always)]
    fn has_none_of(self, _bits: u32, _a: Self::V) -> bool {
        false
    }

    /// `a * 2^floor(n)`, rounded once, where there is an instruction for it.
    #[inline(always)]
    fn scale(self, _a: Self::V, _n: Self::V) -> Option<Self::V> {
        None
    }

    #[inline(always)]
    fn splat_bits(self, bits: u32) -> Self::V {
        self.splat(f32::from_bits(bits))
    }

    /// `weight * x`, and 0 where the weight is 0 whatever `x` is.
    #[inline(always)]
    fn weigh(self, weight: Self::V, x: Self::V) -> Self::V {
        self.zero_without(weight, self.mul(weight, x))
    }

    /// `weight * x + c` as by [`mul_add`](Self::mul_add), and `c`, which is not -0, where the weight is 0. An infinite weight
    /// is one like others, unlike in [`to_weigh`](Self::to_weigh).
    #[inline(always)]
    fn weigh_add(self, weight: Self::V, x: Self::V, c: Self::V) -> Self::V {
        self.mul_add(weight, self.zero_without(weight, x), c)
    }
}

/// The token of an instruction set, whose vectors are its registers; having one is the right to use it.
pub(crate) trait Lane: Arithmetic {
    /// `LANES / N` vectors: the virtual lanes.
    type Wide: Copy + AsRef<[Self::V]> + AsMut<[Self::V]>;
    /// The vectors that a pass works on side by side.
    type Group: Group<Self>;
    /// More of them, for passes that need few registers.
    type LargeGroup: Group<Self>;
    /// Lanes in a vector: a power of two, at most `LANES`.
    const N: usize;

    fn group(self) -> Self::Group;
    fn large_group(self) -> Self::LargeGroup;
    fn splat_wide(self, x: f32) -> Self::Wide;
    /// Runs an operation in a function of its own: what is seldom done would take registers from what is done often.
    #[inline(never)]
    fn apart<O: Op>(self, op: &mut O) -> O::Out {
        op.run(self)
    }
    /// The lowest lane.
    fn first(self, a: Self::V) -> f32;
    /// A bit for each lane: 1 where the mask is true.
    fn bits(self, mask: Self::M) -> u32;
    /// Lane `i` receives lane `i ^ DISTANCE`: a power of two less than `N`.
    fn swapped<const DISTANCE: usize>(self, a: Self::V) -> Self::V;
    /// The even lanes of both vectors, and the odd ones.
    fn deinterleaved(self, a: Self::V, b: Self::V) -> [Self::V; 2];
    /// The lanes of both vectors in turn.
    fn interleaved(self, a: Self::V, b: Self::V) -> [Self::V; 2];
    /// The vector at elements `k * N..` of a chunk, which must have it.
    fn load(self, chunk: &Chunk, k: usize) -> Self::V;
    /// Writes the vector at elements `k * N..` of a chunk, which must have it.
    fn store(self, a: Self::V, chunk: &mut Chunk, k: usize);

    /// Writes past the caches, if there is a way and the vector is aligned for it. [`fence`](Self::fence) must follow
    /// before anyone else may look.
    #[inline(always)]
    fn stream(self, a: Self::V, chunk: &mut Chunk, k: usize) {
        self.store(a, chunk, k);
    }
    /// Ends a series of [`stream`](Self::stream).
    #[inline(always)]
    fn fence(self) {}
    /// Asks for a chunk that will be read later, if there is a way.
    #[inline(always)]
    fn prefetch(self, _chunk: &Chunk) {}

    /// The first elements of a slice, `fill` where it has fewer than `N`.
    #[inline(always)]
    fn load_part(self, from: &[f32], fill: f32) -> Self::V {
        let mut chunk = [fill; LANES];
        for (to, from) in chunk.iter_mut().zip(from) {
            *to = *from;
        }
        self.load(&chunk, 0)
    }

    /// Writes as many elements as the slice has, at most `N`.
    #[inline(always)]
    fn store_part(self, a: Self::V, to: &mut [f32]) {
        let mut chunk = [0.0; LANES];
        self.store(a, &mut chunk, 0);
        for (to, from) in to.iter_mut().take(Self::N).zip(chunk) {
            *to = from;
        }
    }

    /// The columns of at most `N` rows, as many as there is room for; something where a row has none.
    fn columns(self, from: &[f32], at: Grid, columns: &mut [Self::V]);

    /// Writes what [`columns`](Self::columns) loads.
    fn store_columns(self, columns: &[Self::V], to: &mut [f32], at: Grid);

    /// [`columns`](Self::columns) in a function of its own, which all kernels share: it is long.
    #[inline(never)]
    fn columns_apart(self, from: &[f32], at: Grid, columns: &mut [Self::V]) {
        self.columns(from, at, columns);
    }

    /// [`store_columns`](Self::store_columns) likewise.
    #[inline(never)]
    fn store_columns_apart(self, columns: &[Self::V], to: &mut [f32], at: Grid) {
        self.store_columns(columns, to, at);
    }
}

/// Fills columns with what `f` has for four of them, from their first and their number, or for the last that are fewer.
#[inline(always)]
pub(crate) fn fill_by_fours<V: Copy>(columns: &mut [V], f: impl Fn(usize, usize) -> [V; COLUMNS]) {
    let mut first = 0;
    let (fours, rest) = columns.as_chunks_mut();
    for four in fours {
        *four = f(first, COLUMNS);
        first += COLUMNS;
    }
    if overlap(first, rest.len()) {
        let end = columns.len();
        if let Some(last) = columns.last_chunk_mut() {
            *last = f(end - COLUMNS, COLUMNS);
        }
    } else if !rest.is_empty() {
        let four = f(first, rest.len());
        for (i, column) in rest.iter_mut().enumerate() {
            if let Some(&of_four) = four.get(i) {
                *column = of_four;
            }
        }
    }
}

/// Gives `f` columns four by four, the last with `none` behind them, with the first and their number.
#[inline(always)]
pub(crate) fn take_by_fours<V: Copy>(columns: &[V], none: V, mut f: impl FnMut(usize, usize, [V; COLUMNS])) {
    let mut first = 0;
    let (fours, rest) = columns.as_chunks();
    for &four in fours {
        f(first, COLUMNS, four);
        first += COLUMNS;
    }
    if overlap(first, rest.len()) {
        if let Some(&last) = columns.last_chunk() {
            f(columns.len() - COLUMNS, COLUMNS, last);
        }
    } else if !rest.is_empty() {
        let mut four = [none; COLUMNS];
        for (i, of_four) in four.iter_mut().enumerate() {
            if let Some(&column) = rest.get(i) {
                *of_four = column;
            }
        }
        f(first, rest.len(), four);
    }
}

/// Whether two or three columns behind whole fours go with some of those: four are moved in fewer steps.
fn overlap(fours: usize, rest: usize) -> bool {
    fours > 0 && rest > 1
}

/// Work that runs on any lanes: what [`Backend::run`](crate::Backend::run) dispatches. It goes by reference, and so do
/// tables and targets: to copy a struct that was just written field by field defeats store-to-load forwarding.
pub(crate) trait Op {
    type Out;

    /// How many lanes it can use.
    fn width(&self) -> usize {
        usize::MAX
    }

    fn run<L: Lane>(&mut self, l: L) -> Self::Out;
}
