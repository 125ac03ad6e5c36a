//! Eight lanes: AVX2 with FMA.

use super::arch::*;
use super::columns::{PartsOfRows, load_first, store_first};
use super::{on_registers, shared_lane_methods, token};
use crate::lane::{Arithmetic, Chunk, Four, Lane};

token!(Avx2, "avx2,fma");

/// All ones in the first `count` lanes, none in the others.
#[inline(always)]
fn first_lanes(count: usize) -> &'static [i32; 8] {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    ONES.get(8_usize.saturating_sub(count)..).and_then(|lanes| lanes.first_chunk()).unwrap_or(&[0; 8])
}

#[allow(unsafe_code, reason = "intrinsics")]
impl Arithmetic for Token {
    type V = __m256;
    type M = __m256;
    const FUSED: bool = !cfg!(feature = "cross-platform-bits");

    on_registers! {
        splat(x: f32) -> __m256 { _mm256_set1_ps(x) }

        add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
        mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
        mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            if Self::FUSED { _mm256_fmadd_ps(a, b, c) } else { _mm256_add_ps(_mm256_mul_ps(a, b), c) }
        }
        mul_sub(a: __m256, b: __m256, c: __m256) -> __m256 {
            if Self::FUSED { _mm256_fmsub_ps(a, b, c) } else { _mm256_sub_ps(_mm256_mul_ps(a, b), c) }
        }
        max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }

        gt(a: __m256, b: __m256) -> __m256 { _mm256_cmp_ps::<_CMP_GT_OQ>(a, b) }
        eq(a: __m256, b: __m256) -> __m256 { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
        zero_where(mask: __m256, a: __m256) -> __m256 { _mm256_andnot_ps(mask, a) }
        // Integers: a mask is -1.
        count(mask: __m256, count: __m256) -> __m256 {
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(count), _mm256_castps_si256(mask)))
        }
        of_count(count: __m256) -> __m256 { _mm256_cvtepi32_ps(_mm256_castps_si256(count)) }
        select(mask: __m256, yes: __m256, no: __m256) -> __m256 { _mm256_blendv_ps(no, yes, mask) }

        bits_and(a: __m256, b: __m256) -> __m256 { _mm256_and_ps(a, b) }
        bits_or(a: __m256, b: __m256) -> __m256 { _mm256_or_ps(a, b) }
        bits_xor(a: __m256, b: __m256) -> __m256 { _mm256_xor_ps(a, b) }
        bits_add(a: __m256, b: __m256) -> __m256 {
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        }
        bits_sub(a: __m256, b: __m256) -> __m256 {
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        }
        bits_shl<const BITS: u32>(a: __m256) -> __m256 {
            _mm256_castsi256_ps(_mm256_sll_epi32(_mm256_castps_si256(a), _mm_cvtsi32_si128(BITS as i32)))
        }
        bits_shr<const BITS: u32>(a: __m256) -> __m256 {
            _mm256_castsi256_ps(_mm256_srl_epi32(_mm256_castps_si256(a), _mm_cvtsi32_si128(BITS as i32)))
        }
    }

    #[inline(always)]
    fn has_none_of(self, bits: u32, a: __m256) -> bool {
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe { _mm256_testz_si256(_mm256_castps_si256(a), _mm256_set1_epi32(bits.cast_signed())) != 0 }
    }

    /// A mask as it is: blends look at the sign bit alone.
    #[inline(always)]
    fn is_negative(self, a: __m256) -> __m256 {
        a
    }

    /// The table in each half, which is as far as the instruction reaches; it looks at the lowest two bits of each
    /// index.
    #[inline(always)]
    fn pick_of_4(self, table: &[f32; 4], index: __m256) -> __m256 {
        // SAFETY: reads the 4 floats of the table. Unaligned loads are allowed.
        unsafe { _mm256_permutevar_ps(_mm256_broadcast_ps(&_mm_loadu_ps(table.as_ptr())), _mm256_castps_si256(index)) }
    }
    /// The instruction looks at the lowest three bits of each index.
    #[inline(always)]
    fn pick_of_8(self, table: &[f32; 8], index: __m256) -> __m256 {
        // SAFETY: reads the 8 floats of the table. Unaligned loads are allowed.
        unsafe { _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr()), _mm256_castps_si256(index)) }
    }
}

#[allow(unsafe_code, reason = "intrinsics")]
impl Lane for Token {
    type Wide = [__m256; 2];
    type Group = Four<Self>;
    type LargeGroup = Four<Self>;
    const N: usize = 8;

    shared_lane_methods! {}

    on_registers! {
        splat_wide(x: f32) -> [__m256; 2] { [_mm256_set1_ps(x); 2] }
        first(a: __m256) -> f32 { _mm256_cvtss_f32(a) }
        swapped<const DISTANCE: usize>(a: __m256) -> __m256 {
            match DISTANCE {
                1 => _mm256_permute_ps::<0xb1>(a),
                2 => _mm256_permute_ps::<0x4e>(a),
                _ => _mm256_permute2f128_ps::<1>(a, a),
            }
        }
    }

    #[inline(always)]
    fn group(self) -> Four<Self> {
        Four(self)
    }
    #[inline(always)]
    fn large_group(self) -> Four<Self> {
        Four(self)
    }
    #[inline(always)]
    fn bits(self, mask: __m256) -> u32 {
        // SAFETY: the token is the proof that the instruction exists. No memory is touched.
        unsafe { _mm256_movemask_ps(mask) }.cast_unsigned()
    }
    #[inline(always)]
    fn load(self, chunk: &Chunk, k: usize) -> __m256 {
        match chunk.as_chunks::<8>().0.get(k) {
            // SAFETY: reads 8 floats, the array's. Unaligned loads are allowed.
            Some(from) => unsafe { _mm256_loadu_ps(from.as_ptr()) },
            None => self.splat(0.0),
        }
    }
    #[inline(always)]
    fn store(self, a: __m256, chunk: &mut Chunk, k: usize) {
        if let Some(to) = chunk.as_chunks_mut::<8>().0.get_mut(k) {
            // SAFETY: writes 8 floats, the array's. Unaligned stores are allowed.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), a) }
        }
    }
    #[inline(always)]
    fn stream(self, a: __m256, chunk: &mut Chunk, k: usize) {
        match chunk.as_chunks_mut::<8>().0.get_mut(k) {
            Some(to) if to.as_ptr().cast::<__m256>().is_aligned() => {
                // SAFETY: writes 8 floats, the array's, which is aligned to 32 bytes. `fence` is the caller's to call.
                unsafe { _mm256_stream_ps(to.as_mut_ptr(), a) }
            }
            _ => self.store(a, chunk, k),
        }
    }
    #[inline(always)]
    fn load_part(self, from: &[f32], fill: f32) -> __m256 {
        if let Some(from) = from.first_chunk::<8>() {
            // SAFETY: reads 8 floats, the array's. Unaligned loads are allowed.
            return unsafe { _mm256_loadu_ps(from.as_ptr()) };
        }
        // An empty slice may be anywhere, and to suppress the fault there takes very long.
        if from.is_empty() {
            return self.splat(fill);
        }
        let lanes = first_lanes(from.len());
        // SAFETY: reads the 8 integers of `lanes`, and of `from` the lanes that are set: no more than it has.
        unsafe {
            let lanes = _mm256_loadu_si256(lanes.as_ptr().cast());
            _mm256_blendv_ps(self.splat(fill), _mm256_maskload_ps(from.as_ptr(), lanes), _mm256_castsi256_ps(lanes))
        }
    }
    #[inline(always)]
    fn store_part(self, a: __m256, to: &mut [f32]) {
        if let Some(to) = to.first_chunk_mut::<8>() {
            // SAFETY: writes 8 floats, the array's. Unaligned stores are allowed.
            return unsafe { _mm256_storeu_ps(to.as_mut_ptr(), a) };
        }
        // In parts: a masked store takes longer than all of these.
        // SAFETY: writes 4 floats where there are as many, and of the rest no more than there are.
        unsafe {
            let low = _mm256_castps256_ps128(a);
            match to.split_first_chunk_mut::<4>() {
                Some((first, rest)) => {
                    _mm_storeu_ps(first.as_mut_ptr(), low);
                    store_first(rest.as_mut_ptr(), _mm256_extractf128_ps::<1>(a), rest.len());
                }
                None => store_first(to.as_mut_ptr(), low, to.len()),
            }
        }
    }

    #[inline(always)]
    fn deinterleaved(self, a: __m256, b: __m256) -> [__m256; 2] {
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe {
            let (even, odd) = (_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xdd>(a, b));
            let (even, odd) = (_mm256_castps_pd(even), _mm256_castps_pd(odd));
            let (even, odd) = (_mm256_permute4x64_pd::<0xd8>(even), _mm256_permute4x64_pd::<0xd8>(odd));
            [_mm256_castpd_ps(even), _mm256_castpd_ps(odd)]
        }
    }
    #[inline(always)]
    fn interleaved(self, a: __m256, b: __m256) -> [__m256; 2] {
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }
}

#[allow(unsafe_code, reason = "intrinsics")]
impl PartsOfRows for Token {
    #[inline(always)]
    unsafe fn load_rows(self, row: *const f32, stride: usize, width: usize, rows: usize) -> __m256 {
        let of_row = {
            #[inline(always)]
            // SAFETY: the caller has these rows.
            |i| unsafe { if i < rows { load_first(row.wrapping_add(i * stride), width) } else { _mm_setzero_ps() } }
        };
        // SAFETY: the token is the proof that the instruction exists. No memory is touched.
        unsafe { _mm256_set_m128(of_row(4), of_row(0)) }
    }
    #[inline(always)]
    unsafe fn store_rows(self, row: *mut f32, stride: usize, width: usize, rows: usize, of_rows: __m256) {
        // SAFETY: the caller has these rows, and a token.
        unsafe {
            if rows > 0 {
                store_first(row, _mm256_castps256_ps128(of_rows), width);
            }
            if rows > 4 {
                store_first(row.wrapping_add(4 * stride), _mm256_extractf128_ps::<1>(of_rows), width);
            }
        }
    }
    #[inline(always)]
    fn transposed(self, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: the token is the proof that the instructions exist. No memory is touched.
        unsafe {
            let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load_eights(self, row: *const f32, _: usize) -> __m256 {
        // SAFETY: the caller has the row, and a token. Unaligned loads are allowed.
        unsafe { _mm256_loadu_ps(row) }
    }
    #[inline(always)]
    unsafe fn store_eights(self, row: *mut f32, _: usize, of_rows: __m256) {
        // SAFETY: the caller has the row, and a token. Unaligned stores are allowed.
        unsafe { _mm256_storeu_ps(row, of_rows) }
    }
    #[inline(always)]
    fn joined(self, [first, second]: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: the token is the proof that the instruction exists. No memory is touched.
        unsafe { [_mm256_permute2f128_ps::<0x20>(first, second), _mm256_permute2f128_ps::<0x31>(first, second)] }
    }
    #[inline(always)]
    fn halves(self, columns: [__m256; 2]) -> [__m256; 2] {
        self.joined(columns)
    }
}
