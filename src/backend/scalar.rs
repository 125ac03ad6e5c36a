//! One lane: `f32` itself. Microcontrollers, kernels without a float unit, and a forced choice anywhere.

use super::BUILD_IS_FUSED;
use crate::lane::{Arithmetic, Chunk, Grid, LANES, Lane, Op};

/// `SOFTWARE`: whether `mul_add` rounds once without the build having an instruction for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar<const SOFTWARE: bool>(pub(super) ());

pub(super) type Token = Scalar<false>;

pub(super) const TOKEN: Token = Scalar(());

/// Apart from its callers: one copy of each operation.
#[inline(never)]
pub(super) fn run<O: Op>(token: Token, op: &mut O) -> O::Out {
    op.run(token)
}

/// `a * b + c` rounded once, where the build has the instruction.
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics of the build's own target features")]
fn fused_mul_add(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "fma"))]
    {
        #[cfg(target_arch = "x86")]
        use core::arch::x86::{_mm_cvtss_f32, _mm_fmadd_ss, _mm_set_ss};
        #[cfg(target_arch = "x86_64")]
        use core::arch::x86_64::{_mm_cvtss_f32, _mm_fmadd_ss, _mm_set_ss};
        // SAFETY: the whole build has SSE and FMA. No memory is touched.
        unsafe { _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c))) }
    }
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    {
        use core::arch::aarch64::{vdup_n_f32, vfma_f32, vget_lane_f32};
        // SAFETY: the whole build has NEON. No memory is touched.
        unsafe { vget_lane_f32::<0>(vfma_f32(vdup_n_f32(c), vdup_n_f32(a), vdup_n_f32(b))) }
    }
    #[cfg(not(any(
        all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "fma"),
        all(target_arch = "aarch64", target_feature = "neon")
    )))]
    {
        a * b + c
    }
}

/// Not inlined: it is long, and used everywhere.
#[inline(never)]
fn software_fma(a: f32, b: f32, c: f32) -> f32 {
    libm::fmaf(a, b, c)
}

impl<const SOFTWARE: bool> Arithmetic for Scalar<SOFTWARE> {
    type V = f32;
    type M = bool;
    const FUSED: bool = SOFTWARE || BUILD_IS_FUSED;

    #[inline(always)]
    fn splat(self, x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        if SOFTWARE {
            software_fma(a, b, c)
        } else if BUILD_IS_FUSED {
            fused_mul_add(a, b, c)
        } else {
            a * b + c
        }
    }
    #[inline(always)]
    fn mul_sub(self, a: f32, b: f32, c: f32) -> f32 {
        self.mul_add(a, b, -c)
    }
    #[inline(always)]
    fn max(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn min(self, a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }

    #[inline(always)]
    fn gt(self, a: f32, b: f32) -> bool {
        a > b
    }
    #[inline(always)]
    fn eq(self, a: f32, b: f32) -> bool {
        a == b
    }
    #[inline(always)]
    fn is_negative(self, a: f32) -> bool {
        a.is_sign_negative()
    }
    #[inline(always)]
    fn select(self, mask: bool, yes: f32, no: f32) -> f32 {
        if mask { yes } else { no }
    }

    #[inline(always)]
    fn bits_and(self, a: f32, b: f32) -> f32 {
        f32::from_bits(a.to_bits() & b.to_bits())
    }
    #[inline(always)]
    fn bits_or(self, a: f32, b: f32) -> f32 {
        f32::from_bits(a.to_bits() | b.to_bits())
    }
    #[inline(always)]
    fn bits_xor(self, a: f32, b: f32) -> f32 {
        f32::from_bits(a.to_bits() ^ b.to_bits())
    }
    #[inline(always)]
    fn bits_add(self, a: f32, b: f32) -> f32 {
        f32::from_bits(a.to_bits().wrapping_add(b.to_bits()))
    }
    #[inline(always)]
    fn bits_sub(self, a: f32, b: f32) -> f32 {
        f32::from_bits(a.to_bits().wrapping_sub(b.to_bits()))
    }
    #[inline(always)]
    fn bits_shl<const BITS: u32>(self, a: f32) -> f32 {
        f32::from_bits(a.to_bits() << BITS)
    }
    #[inline(always)]
    fn bits_shr<const BITS: u32>(self, a: f32) -> f32 {
        f32::from_bits(a.to_bits() >> BITS)
    }
    #[inline(always)]
    fn pick_of_4(self, table: &[f32; 4], index: f32) -> f32 {
        table.get((index.to_bits() & 3) as usize).copied().unwrap_or_default()
    }
    #[inline(always)]
    fn pick_of_8(self, table: &[f32; 8], index: f32) -> f32 {
        table.get((index.to_bits() & 7) as usize).copied().unwrap_or_default()
    }
}

impl<const SOFTWARE: bool> Lane for Scalar<SOFTWARE> {
    type Wide = [f32; LANES];
    type Group = Self;
    type LargeGroup = Self;
    const N: usize = 1;

    #[inline(always)]
    fn group(self) -> Self {
        self
    }
    #[inline(always)]
    fn large_group(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat_wide(self, x: f32) -> [f32; LANES] {
        [x; LANES]
    }
    #[inline(always)]
    fn first(self, a: f32) -> f32 {
        a
    }
    #[inline(always)]
    fn bits(self, mask: bool) -> u32 {
        mask.into()
    }
    #[inline(always)]
    fn swapped<const DISTANCE: usize>(self, a: f32) -> f32 {
        a
    }
    #[inline(always)]
    fn deinterleaved(self, a: f32, b: f32) -> [f32; 2] {
        [a, b]
    }
    #[inline(always)]
    fn interleaved(self, a: f32, b: f32) -> [f32; 2] {
        [a, b]
    }
    #[inline(always)]
    fn load(self, chunk: &Chunk, k: usize) -> f32 {
        chunk.get(k).copied().unwrap_or_default()
    }
    #[inline(always)]
    fn store(self, a: f32, chunk: &mut Chunk, k: usize) {
        if let Some(to) = chunk.get_mut(k) {
            *to = a;
        }
    }

    #[inline(always)]
    fn load_part(self, from: &[f32], fill: f32) -> f32 {
        from.first().copied().unwrap_or(fill)
    }
    #[inline(always)]
    fn store_part(self, a: f32, to: &mut [f32]) {
        if let Some(to) = to.first_mut() {
            *to = a;
        }
    }
    #[inline(always)]
    fn columns(self, from: &[f32], _: Grid, columns: &mut [f32]) {
        for (to, &x) in columns.iter_mut().zip(from) {
            *to = x;
        }
    }
    #[inline(always)]
    fn store_columns(self, columns: &[f32], to: &mut [f32], _: Grid) {
        for (to, &y) in to.iter_mut().zip(columns) {
            *to = y;
        }
    }
}
