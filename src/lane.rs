//! The lane trait: all that an instruction set has to offer, and nothing that names one.

mod walk;

pub(crate) use walk::{Apart, InPlace, ReadOnly, Span, Stream, max, walk};

/// Virtual lanes: in every sum, element `i` belongs to lane `i % LANES`, however many lanes a register has.
pub(crate) const LANES: usize = 16;

/// `LANES` consecutive elements.
pub(crate) type Chunk = [f32; LANES];

/// The token of an instruction set; having one is the right to use it.
///
/// Every operation is the IEEE one in each lane, so two implementations that agree on [`mul_add`](Self::mul_add) give
/// the same bits in everything built on them.
pub(crate) trait Lane: Copy {
    /// A vector of `N` floats.
    type V: Copy;
    /// One truth value a lane.
    type M: Copy;
    /// `LANES / N` vectors: the virtual lanes.
    type Wide: Copy + AsRef<[Self::V]> + AsMut<[Self::V]>;
    /// Lanes in a vector: a power of two, at most `LANES`.
    const N: usize;

    fn splat(self, x: f32) -> Self::V;
    fn splat_wide(self, x: f32) -> Self::Wide;
    /// The lowest lane.
    fn first(self, a: Self::V) -> f32;
    /// The vector at elements `k * N..` of a chunk, which must have it.
    fn load(self, chunk: &Chunk, k: usize) -> Self::V;
    /// Writes the vector at elements `k * N..` of a chunk, which must have it.
    fn store(self, a: Self::V, chunk: &mut Chunk, k: usize);

    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`: rounded once in the fused family, twice in the separate one.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`: a NaN on either side gives `b`.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`: a NaN on either side gives `b`.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;

    fn gt(self, a: Self::V, b: Self::V) -> Self::M;
    fn eq(self, a: Self::V, b: Self::V) -> Self::M;
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V;

    // The same registers as 32-bit integers.
    fn bits_and(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_or(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_xor(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_add(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn bits_shl<const BITS: u32>(self, a: Self::V) -> Self::V;
    fn bits_shr<const BITS: u32>(self, a: Self::V) -> Self::V;

    #[inline(always)]
    fn splat_bits(self, bits: u32) -> Self::V {
        self.splat(f32::from_bits(bits))
    }

    /// `weight * x`, and 0 where the weight is 0 whatever `x` is.
    #[inline(always)]
    fn weigh(self, weight: Self::V, x: Self::V) -> Self::V {
        let zero = self.splat(0.0);
        self.select(self.eq(weight, zero), zero, self.mul(weight, x))
    }

    /// A function of vectors at one value.
    #[inline(always)]
    fn at(self, x: f32, f: impl Fn(Self, Self::V) -> Self::V) -> f32 {
        self.first(f(self, self.splat(x)))
    }
}

/// Work that runs on any lanes: what [`Backend::run`](crate::Backend::run) dispatches.
pub(crate) trait Op {
    type Out;
    fn run<L: Lane>(self, l: L) -> Self::Out;
}
