//! Sixteen lanes: AVX-512.

use super::arch::*;
use super::columns::{PartsOfRows, load_first, store_first};
use super::{on_registers, shared_lane_methods, token};
use crate::lane::{Arithmetic, Chunk, Eight, Four, LANES, Lane};

token!(Avx512, "avx512f,avx512bw,avx512dq,avx512vl");

/// A mask of the first `count` lanes.
#[inline(always)]
fn first_lanes(count: usize) -> __mmask16 {
    if count < LANES { (1 << count) - 1 } else { __mmask16::MAX }
}

#[allow(unsafe_code, reason = "intrinsics")]
impl Arithmetic for Token {
    type V = __m512;
    type M = __mmask16;
    const FUSED: bool = !cfg!(feature = "cross-platform-bits");

    on_registers! {
        splat(x: f32) -> __m512 { _mm512_set1_ps(x) }

        add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
        mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
        mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            if Self::FUSED { _mm512_fmadd_ps(a, b, c) } else { _mm512_add_ps(_mm512_mul_ps(a, b), c) }
        }
        mul_sub(a: __m512, b: __m512, c: __m512) -> __m512 {
            if Self::FUSED { _mm512_fmsub_ps(a, b, c) } else { _mm512_sub_ps(_mm512_mul_ps(a, b), c) }
        }
        max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }

        gt(a: __m512, b: __m512) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
        eq(a: __m512, b: __m512) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
        is_negative(a: __m512) -> __mmask16 { _mm512_movepi32_mask(_mm512_castps_si512(a)) }
        select(mask: __mmask16, yes: __m512, no: __m512) -> __m512 { _mm512_mask_blend_ps(mask, no, yes) }

        // Not the mask of what becomes 0 and then its inverse, as the compiler would have it.
        zero_below(x: __m512, least: __m512, a: __m512) -> __m512 {
            _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, least), a)
        }
        zero_without(weight: __m512, a: __m512) -> __m512 {
            _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(weight, _mm512_setzero_ps()), a)
        }
        to_weigh(weight: __m512, a: __m512) -> __m512 {
            _mm512_fixupimm_ps::<0>(a, weight, _mm512_set1_epi32(BY_KIND))
        }

        scale(a: __m512, n: __m512) -> Option<__m512> { Some(_mm512_scalef_ps(a, n)) }

        bits_and(a: __m512, b: __m512) -> __m512 { _mm512_and_ps(a, b) }
        bits_or(a: __m512, b: __m512) -> __m512 { _mm512_or_ps(a, b) }
        bits_xor(a: __m512, b: __m512) -> __m512 { _mm512_xor_ps(a, b) }
        bits_add(a: __m512, b: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        }
        bits_sub(a: __m512, b: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        }
        bits_shl<const BITS: u32>(a: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_slli_epi32::<BITS>(_mm512_castps_si512(a)))
        }
        bits_shr<const BITS: u32>(a: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_srli_epi32::<BITS>(_mm512_castps_si512(a)))
        }
    }

    /// The table in each quarter, which is as far as the instruction reaches; it looks at the lowest two bits of each
    /// index.
    #[inline(always)]
    fn pick_of_4(self, table: &[f32; 4], index: __m512) -> __m512 {
        // SAFETY: reads the 4 floats of the table. Unaligned loads are allowed.
        unsafe {
            let table = _mm512_broadcast_f32x4(_mm_loadu_ps(table.as_ptr()));
            _mm512_permutevar_ps(table, _mm512_castps_si512(index))
        }
    }
    /// The table in each half: the instruction looks at the lowest four bits of each index.
    #[inline(always)]
    fn pick_of_8(self, table: &[f32; 8], index: __m512) -> __m512 {
        // SAFETY: reads the 8 floats of the table. Unaligned loads are allowed.
        unsafe {
            let table = _mm512_broadcast_f32x8(_mm256_loadu_ps(table.as_ptr()));
            _mm512_permutexvar_ps(_mm512_castps_si512(index), table)
        }
    }
}

/// What `vfixupimmps` makes of a number, by four bits for each kind that a weight may be of: for NaN (kinds 0 and 1) and
/// infinities (4 and 5) NaN, which is 3; for zeros (2) +0, which is 8; for others the number itself, which is 0.
const BY_KIND: i32 = 0x33_0833;

#[allow(unsafe_code, reason = "intrinsics")]
impl Lane for Token {
    type Wide = [__m512; 1];
    type Group = Four<Self>;
    type LargeGroup = Eight<Self>;
    const N: usize = 16;

    shared_lane_methods! {}

    on_registers! {
        splat_wide(x: f32) -> [__m512; 1] { [_mm512_set1_ps(x)] }
        first(a: __m512) -> f32 { _mm512_cvtss_f32(a) }
        swapped<const DISTANCE: usize>(a: __m512) -> __m512 {
            match DISTANCE {
                1 => _mm512_permute_ps::<0xb1>(a),
                2 => _mm512_permute_ps::<0x4e>(a),
                4 => _mm512_shuffle_f32x4::<0xb1>(a, a),
                _ => _mm512_shuffle_f32x4::<0x4e>(a, a),
            }
        }
    }

    #[inline(always)]
    fn group(self) -> Four<Self> {
        Four(self)
    }
    #[inline(always)]
    fn large_group(self) -> Eight<Self> {
        Eight(self)
    }
    #[inline(always)]
    fn bits(self, mask: __mmask16) -> u32 {
        mask.into()
    }
    #[inline(always)]
    fn load(self, chunk: &Chunk, _: usize) -> __m512 {
        // SAFETY: reads 16 floats, the chunk's. Unaligned loads are allowed.
        unsafe { _mm512_loadu_ps(chunk.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, a: __m512, chunk: &mut Chunk, _: usize) {
        // SAFETY: writes 16 floats, the chunk's. Unaligned stores are allowed.
        unsafe { _mm512_storeu_ps(chunk.as_mut_ptr(), a) }
    }
    #[inline(always)]
    fn stream(self, a: __m512, chunk: &mut Chunk, _: usize) {
        if chunk.as_ptr().cast::<__m512>().is_aligned() {
            // SAFETY: writes 16 floats, the chunk's, which is aligned to 64 bytes. `fence` is the caller's to call.
            unsafe { _mm512_stream_ps(chunk.as_mut_ptr(), a) }
        } else {
            self.store(a, chunk, 0);
        }
    }
    #[inline(always)]
    fn load_part(self, from: &[f32], fill: f32) -> __m512 {
        if let Some(from) = from.first_chunk() {
            return self.load(from, 0);
        }
        // An empty slice may be anywhere, and to suppress the fault there takes very long.
        if from.is_empty() {
            return self.splat(fill);
        }
        // SAFETY: reads the lanes of the mask: no more than the slice has.
        unsafe { _mm512_mask_loadu_ps(self.splat(fill), first_lanes(from.len()), from.as_ptr()) }
    }
    #[inline(always)]
    fn store_part(self, a: __m512, to: &mut [f32]) {
        if let Some(to) = to.first_chunk_mut() {
            return self.store(a, to, 0);
        }
        if to.is_empty() {
            return;
        }
        // SAFETY: writes the lanes of the mask: no more than the slice has.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first_lanes(to.len()), a) }
    }

    #[inline(always)]
    fn deinterleaved(self, a: __m512, b: __m512) -> [__m512; 2] {
        [two_of(self, EVEN, a, b), two_of(self, ODD, a, b)]
    }
    #[inline(always)]
    fn interleaved(self, a: __m512, b: __m512) -> [__m512; 2] {
        [two_of(self, LOW_PAIRS, a, b), two_of(self, HIGH_PAIRS, a, b)]
    }
}

// Lanes of two vectors: the second has 16 to 31.
const EVEN: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
const ODD: [i32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
const LOW_PAIRS: [i32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
const HIGH_PAIRS: [i32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];

const LOW_FOURS: [i32; 16] = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const HIGH_FOURS: [i32; 16] = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];

/// The vector itself, of which the compiler does not know what made it: it would make each part of it alone, in more
/// instructions.
#[target_feature(enable = "avx512f")]
#[inline]
#[allow(unsafe_code, reason = "a register that looks changed")]
fn whole(mut a: __m512) -> __m512 {
    // SAFETY: there is no instruction.
    unsafe { core::arch::asm!("/* {0} */", inout(zmm_reg) a, options(pure, nomem, nostack, preserves_flags)) }
    a
}

/// The lanes of two vectors that are named.
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
fn two_of(_: Token, lanes: [i32; 16], a: __m512, b: __m512) -> __m512 {
    // SAFETY: the token is the proof that the instruction exists. The load reads the 16 integers of the array.
    unsafe { _mm512_permutex2var_ps(a, _mm512_loadu_si512(lanes.as_ptr().cast()), b) }
}

#[allow(unsafe_code, reason = "intrinsics")]
impl PartsOfRows for Token {
    #[inline(always)]
    unsafe fn load_rows(self, row: *const f32, stride: usize, width: usize, rows: usize) -> __m512 {
        let of_row = {
            #[inline(always)]
            // SAFETY: the caller has these rows.
            |i| unsafe { if i < rows { load_first(row.wrapping_add(i * stride), width) } else { _mm_setzero_ps() } }
        };
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe {
            let of_rows = _mm512_castps128_ps512(of_row(0));
            let of_rows = _mm512_insertf32x4::<1>(of_rows, of_row(4));
            let of_rows = _mm512_insertf32x4::<2>(of_rows, of_row(8));
            _mm512_insertf32x4::<3>(of_rows, of_row(12))
        }
    }
    #[inline(always)]
    unsafe fn store_rows(self, row: *mut f32, stride: usize, width: usize, rows: usize, of_rows: __m512) {
        let store = {
            #[inline(always)]
            |i, of_row| {
                if i < rows {
                    // SAFETY: the caller has this row.
                    unsafe { store_first(row.wrapping_add(i * stride), of_row, width) }
                }
            }
        };
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe {
            let of_rows = whole(of_rows);
            store(0, _mm512_castps512_ps128(of_rows));
            store(4, _mm512_extractf32x4_ps::<1>(of_rows));
            store(8, _mm512_extractf32x4_ps::<2>(of_rows));
            store(12, _mm512_extractf32x4_ps::<3>(of_rows));
        }
    }
    #[inline(always)]
    fn transposed(self, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe {
            let (ab, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (cd, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            [
                _mm512_shuffle_ps::<0x44>(ab, cd),
                _mm512_shuffle_ps::<0xee>(ab, cd),
                _mm512_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm512_shuffle_ps::<0xee>(ab_high, cd_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load_eights(self, row: *const f32, stride: usize) -> __m512 {
        // SAFETY: the caller has the rows, and a token. Unaligned loads are allowed.
        unsafe {
            let first = _mm512_castps256_ps512(_mm256_loadu_ps(row));
            _mm512_insertf32x8::<1>(first, _mm256_loadu_ps(row.wrapping_add(4 * stride)))
        }
    }
    #[inline(always)]
    unsafe fn store_eights(self, row: *mut f32, stride: usize, of_rows: __m512) {
        // SAFETY: the caller has the rows, and a token. Unaligned stores are allowed.
        unsafe {
            let of_rows = whole(of_rows);
            _mm256_storeu_ps(row, _mm512_castps512_ps256(of_rows));
            _mm256_storeu_ps(row.wrapping_add(4 * stride), _mm512_extractf32x8_ps::<1>(of_rows));
        }
    }
    #[inline(always)]
    fn joined(self, [first, second]: [__m512; 2]) -> [__m512; 2] {
        // SAFETY: the token is the proof that the instruction exists. No memory is touched.
        unsafe { [_mm512_shuffle_f32x4::<0x88>(first, second), _mm512_shuffle_f32x4::<0xdd>(first, second)] }
    }
    #[inline(always)]
    fn halves(self, [a, b]: [__m512; 2]) -> [__m512; 2] {
        [two_of(self, LOW_FOURS, a, b), two_of(self, HIGH_FOURS, a, b)]
    }
}
