//! Four lanes by the `wide` crate, which picks the instructions when it is built: SSE2, NEON or simd128.

use super::BUILD_IS_FUSED;
use crate::lane::{Arithmetic, Chunk, Four, Grid, Lane, Op, fill_by_fours, take_by_fours};
use wide::{f32x4, i8x16, i32x4, u32x4};

/// Of the build's own target features, so any machine that runs the program has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(());

#[inline(always)]
pub(super) const fn detect() -> Option<Token> {
    Some(Token(()))
}

/// Apart from its callers: one copy of each operation.
#[inline(never)]
pub(super) fn run<O: Op>(token: Token, op: &mut O) -> O::Out {
    op.run(token)
}

#[inline(always)]
fn bits(a: f32x4) -> u32x4 {
    wide::bytemuck::cast(a)
}

#[inline(always)]
fn floats(a: u32x4) -> f32x4 {
    wide::bytemuck::cast(a)
}

/// The bytes 4 k to 4 k + 3 that entry k of a table has.
#[inline(always)]
fn bytes_of_entries(index: u32x4) -> u32x4 {
    index * u32x4::splat(0x0404_0404) + u32x4::splat(0x0302_0100)
}

/// The bytes of these numbers, 0 for those from 16 on.
#[inline(always)]
fn shuffled(entries: [f32; 4], bytes: u32x4) -> u32x4 {
    let entries: i8x16 = wide::bytemuck::cast(f32x4::new(entries));
    wide::bytemuck::cast(entries.shuffle_zeroing(wide::bytemuck::cast(bytes)))
}

impl Arithmetic for Token {
    type V = f32x4;
    type M = f32x4;
    const FUSED: bool = BUILD_IS_FUSED;

    #[inline(always)]
    fn splat(self, x: f32) -> f32x4 {
        f32x4::splat(x)
    }
    #[inline(always)]
    fn add(self, a: f32x4, b: f32x4) -> f32x4 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32x4, b: f32x4) -> f32x4 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32x4, b: f32x4) -> f32x4 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32x4, b: f32x4) -> f32x4 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
        if BUILD_IS_FUSED { a.mul_add(b, c) } else { a * b + c }
    }
    #[inline(always)]
    fn mul_sub(self, a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
        if BUILD_IS_FUSED { a.mul_sub(b, c) } else { a * b - c }
    }
    #[inline(always)]
    fn max(self, a: f32x4, b: f32x4) -> f32x4 {
        // `maxps` is this very choice; other sets' instructions treat NaN in other ways.
        if cfg!(target_feature = "sse2") { a.fast_max(b) } else { a.simd_gt(b).select(a, b) }
    }
    #[inline(always)]
    fn min(self, a: f32x4, b: f32x4) -> f32x4 {
        if cfg!(target_feature = "sse2") { a.fast_min(b) } else { a.simd_lt(b).select(a, b) }
    }

    #[inline(always)]
    fn gt(self, a: f32x4, b: f32x4) -> f32x4 {
        a.simd_gt(b)
    }
    #[inline(always)]
    fn eq(self, a: f32x4, b: f32x4) -> f32x4 {
        a.simd_eq(b)
    }
    #[inline(always)]
    fn is_negative(self, a: f32x4) -> f32x4 {
        let bits: i32x4 = wide::bytemuck::cast(a);
        wide::bytemuck::cast(bits >> 31)
    }
    #[inline(always)]
    fn select(self, mask: f32x4, yes: f32x4, no: f32x4) -> f32x4 {
        mask.select(yes, no)
    }

    // Integers: a mask is -1.
    #[inline(always)]
    fn count(self, mask: f32x4, count: f32x4) -> f32x4 {
        floats(bits(count) - bits(mask))
    }
    #[inline(always)]
    fn of_count(self, count: f32x4) -> f32x4 {
        f32x4::from_i32x4(wide::bytemuck::cast(count))
    }

    #[inline(always)]
    fn bits_and(self, a: f32x4, b: f32x4) -> f32x4 {
        a & b
    }
    #[inline(always)]
    fn bits_or(self, a: f32x4, b: f32x4) -> f32x4 {
        a | b
    }
    #[inline(always)]
    fn bits_xor(self, a: f32x4, b: f32x4) -> f32x4 {
        a ^ b
    }
    #[inline(always)]
    fn bits_add(self, a: f32x4, b: f32x4) -> f32x4 {
        floats(bits(a) + bits(b))
    }
    #[inline(always)]
    fn bits_sub(self, a: f32x4, b: f32x4) -> f32x4 {
        floats(bits(a) - bits(b))
    }
    #[inline(always)]
    fn bits_shl<const BITS: u32>(self, a: f32x4) -> f32x4 {
        floats(bits(a) << BITS)
    }
    #[inline(always)]
    fn has_none_of(self, of: u32, a: f32x4) -> bool {
        bits(a) & u32x4::splat(of) == u32x4::splat(0)
    }
    #[inline(always)]
    fn bits_shr<const BITS: u32>(self, a: f32x4) -> f32x4 {
        floats(bits(a) >> BITS)
    }
    #[inline(always)]
    fn pick_of_4(self, table: &[f32; 4], index: f32x4) -> f32x4 {
        floats(shuffled(*table, bytes_of_entries(bits(index) & u32x4::splat(3))))
    }
    #[inline(always)]
    fn pick_of_8(self, &[a, b, c, d, e, f, g, h]: &[f32; 8], index: f32x4) -> f32x4 {
        let bytes = bytes_of_entries(bits(index) & u32x4::splat(7));
        // Either half gives 0 where the entry is in the other.
        let (low, high) = (shuffled([a, b, c, d], bytes), shuffled([e, f, g, h], bytes ^ u32x4::splat(0x1010_1010)));
        floats(low | high)
    }
}

impl Lane for Token {
    type Wide = [f32x4; 4];
    type Group = Four<Self>;
    type LargeGroup = Four<Self>;
    const N: usize = 4;

    #[inline(always)]
    fn group(self) -> Four<Self> {
        Four(self)
    }
    #[inline(always)]
    fn large_group(self) -> Four<Self> {
        Four(self)
    }
    #[inline(always)]
    fn splat_wide(self, x: f32) -> [f32x4; 4] {
        [f32x4::splat(x); 4]
    }
    #[inline(always)]
    fn first(self, a: f32x4) -> f32 {
        let [first, ..] = a.to_array();
        first
    }
    #[inline(always)]
    fn bits(self, mask: f32x4) -> u32 {
        mask.to_bitmask()
    }
    #[inline(always)]
    fn swapped<const DISTANCE: usize>(self, a: f32x4) -> f32x4 {
        let [a, b, c, d] = a.to_array();
        f32x4::new(if DISTANCE == 1 { [b, a, d, c] } else { [c, d, a, b] })
    }
    #[inline(always)]
    fn load(self, chunk: &Chunk, k: usize) -> f32x4 {
        chunk.as_chunks().0.get(k).copied().map(f32x4::new).unwrap_or_default()
    }
    #[inline(always)]
    fn store(self, a: f32x4, chunk: &mut Chunk, k: usize) {
        if let Some(to) = chunk.as_chunks_mut().0.get_mut(k) {
            *to = a.to_array();
        }
    }

    #[inline(always)]
    fn deinterleaved(self, a: f32x4, b: f32x4) -> [f32x4; 2] {
        let ([a, b, c, d], [e, f, g, h]) = (a.to_array(), b.to_array());
        [f32x4::new([a, c, e, g]), f32x4::new([b, d, f, h])]
    }
    #[inline(always)]
    fn interleaved(self, a: f32x4, b: f32x4) -> [f32x4; 2] {
        let ([a, c, e, g], [b, d, f, h]) = (a.to_array(), b.to_array());
        [f32x4::new([a, b, c, d]), f32x4::new([e, f, g, h])]
    }
    #[inline(always)]
    fn columns(self, from: &[f32], at: Grid, columns: &mut [f32x4]) {
        fill_by_fours(
            columns,
            #[inline(always)]
            |first, width| {
                let row = {
                    #[inline(always)]
                    |i: usize| {
                        let start = i.wrapping_mul(at.stride).wrapping_add(first);
                        part(from.get(start..).and_then(|row| row.get(..width)).unwrap_or_default())
                    }
                };
                f32x4::transpose([row(0), row(1), row(2), row(3)])
            },
        );
    }
    #[inline(always)]
    fn store_columns(self, columns: &[f32x4], to: &mut [f32], at: Grid) {
        take_by_fours(
            columns,
            f32x4::ZERO,
            #[inline(always)]
            |first, width, four| {
                for (i, row) in f32x4::transpose(four).iter().enumerate().take(at.rows) {
                    let start = i.wrapping_mul(at.stride).wrapping_add(first);
                    if let Some(to) = to.get_mut(start..).and_then(|row| row.get_mut(..width)) {
                        self.store_part(*row, to);
                    }
                }
            },
        );
    }
}

/// Up to four floats, and zeros.
#[inline(always)]
fn part(from: &[f32]) -> f32x4 {
    f32x4::new(match *from {
        [a] => [a, 0.0, 0.0, 0.0],
        [a, b] => [a, b, 0.0, 0.0],
        [a, b, c] => [a, b, c, 0.0],
        [a, b, c, d, ..] => [a, b, c, d],
        [] => [0.0; 4],
    })
}
