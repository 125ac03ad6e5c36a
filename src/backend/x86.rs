//! What CPU and operating system have, asked without std.
//!
//! Features that the whole build has are not asked for. Others are asked once: the answer is always the same, so it
//! does not matter which thread writes it down.

#[cfg(target_arch = "x86")]
pub(super) use core::arch::x86 as arch;
#[cfg(target_arch = "x86_64")]
pub(super) use core::arch::x86_64 as arch;

use crate::lane::{COLUMNS, Grid, Lane, fill_by_fours, take_by_fours};
use core::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets, of which each has all of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Level {
    Unknown,
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// And AVX-512 F, BW, DQ and VL, and F16C.
    Avx512,
}

/// What every machine that runs this program has.
const BUILT_IN: Level = if cfg!(not(all(target_feature = "avx2", target_feature = "fma"))) {
    Level::Baseline
} else if cfg!(all(
    target_feature = "avx512f",
    target_feature = "avx512bw",
    target_feature = "avx512dq",
    target_feature = "avx512vl"
)) {
    Level::Avx512
} else {
    Level::Avx2
};

/// Whether there is an operating system that keeps wide registers and lets programs ask: not in firmware, kernels and
/// enclaves, nor in an interpreter.
const MAY_ASK: bool = cfg!(not(any(target_os = "none", target_os = "uefi", target_env = "sgx", miri)));

pub(super) fn level() -> Level {
    static ASKED: AtomicU8 = AtomicU8::new(Level::Unknown as u8);
    const BASELINE: u8 = Level::Baseline as u8;
    const AVX2: u8 = Level::Avx2 as u8;
    const AVX512: u8 = Level::Avx512 as u8;

    if BUILT_IN == Level::Avx512 || !MAY_ASK {
        return BUILT_IN;
    }
    // Relaxed: the value stands for itself, no other memory depends on it.
    match ASKED.load(Ordering::Relaxed) {
        BASELINE => Level::Baseline,
        AVX2 => Level::Avx2,
        AVX512 => Level::Avx512,
        _ => {
            let level = ask().max(BUILT_IN);
            ASKED.store(level as u8, Ordering::Relaxed);
            level
        }
    }
}

/// Lane methods that are an expression of intrinsics on registers.
macro_rules! on_registers {
    ($($name:ident $(<const $number:ident: $of:ty>)? ($($x:ident: $in:ty),*) -> $out:ty { $value:expr })*) => {$(
        #[inline(always)]
        fn $name $(<const $number: $of>)? (self, $($x: $in),*) -> $out {
            // SAFETY: the token is the proof that the instructions exist. No memory is touched.
            unsafe { $value }
        }
    )*};
}
pub(super) use on_registers;

/// Registers of four floats of each of several rows: how columns are loaded and stored.
#[allow(unsafe_code, reason = "pointers to rows")]
pub(super) trait OfRows: Lane {
    /// The first floats, `width` of them, of every fourth of the `rows` rows from `row` on, and something where there are
    /// no more.
    ///
    /// # Safety
    /// All must be there to read, and `width` is 1 to 4.
    unsafe fn load_rows(self, row: *const f32, stride: usize, width: usize, rows: usize) -> Self::V;

    /// Writes what [`load_rows`](Self::load_rows) loads.
    ///
    /// # Safety
    /// All must be there to write, and `width` is at most 4.
    unsafe fn store_rows(self, row: *mut f32, stride: usize, width: usize, rows: usize, of_rows: Self::V);

    /// All groups of four lanes as matrices of four rows of four.
    fn transposed(self, four: [Self::V; COLUMNS]) -> [Self::V; COLUMNS];
}

/// Whether a slice of length `len` has the first `width` elements of all rows that are in a vector.
#[inline(always)]
fn has_rows<L: Lane>(at: Grid, width: usize, len: usize) -> bool {
    let last = at.rows.min(L::N).checked_sub(1);
    let needed = last.and_then(|last| last.checked_mul(at.stride)).and_then(|last| last.checked_add(width));
    needed.is_some_and(|needed| needed <= len)
}

/// [`Lane::columns`]
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) fn columns<L: OfRows>(l: L, from: &[f32], at: Grid, columns: &mut [L::V]) {
    if !has_rows::<L>(at, columns.len(), from.len()) {
        return; // A table that was checked has them.
    }
    let of_rows = {
        #[inline(always)]
        |rows: usize, columns: &mut [L::V]| {
            fill_by_fours(
                columns,
                #[inline(always)]
                |first, width| {
                    let rows_from = {
                        #[inline(always)]
                        |i| {
                            let row = from.as_ptr().wrapping_add(i * at.stride + first);
                            // SAFETY: the first `rows` rows are there, with all columns; a four has one column at least.
                            unsafe { l.load_rows(row, at.stride, width, rows.saturating_sub(i)) }
                        }
                    };
                    l.transposed([rows_from(0), rows_from(1), rows_from(2), rows_from(3)])
                },
            );
        }
    };
    // What is there of whole vectors needs no questions.
    if at.rows >= L::N { of_rows(L::N, columns) } else { of_rows(at.rows, columns) }
}

/// [`Lane::store_columns`]
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) fn store_columns<L: OfRows>(l: L, columns: &[L::V], to: &mut [f32], at: Grid) {
    if !has_rows::<L>(at, columns.len(), to.len()) {
        return; // As above.
    }
    let to = to.as_mut_ptr();
    let of_rows = {
        #[inline(always)]
        |rows: usize| {
            take_by_fours(
                columns,
                l.splat(0.0),
                #[inline(always)]
                |first, width, four| {
                    let [a, b, c, d] = l.transposed(four);
                    let store = {
                        #[inline(always)]
                        |i, of_rows| {
                            let row = to.wrapping_add(i * at.stride + first);
                            // SAFETY: the first `rows` rows are there, with all columns; a four has no more than that.
                            unsafe { l.store_rows(row, at.stride, width, rows.saturating_sub(i), of_rows) }
                        }
                    };
                    store(0, a);
                    store(1, b);
                    store(2, c);
                    store(3, d);
                },
            );
        }
    };
    if at.rows >= L::N { of_rows(L::N) } else { of_rows(at.rows) }
}

/// The first floats at a place, `width` of them.
///
/// # Safety
/// They must be there to read, and `width` is 1 to 4.
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) unsafe fn load_first(from: *const f32, width: usize) -> arch::__m128 {
    use arch::*;
    // SAFETY: reads as many floats as there are. The build has SSE2; none of these loads asks for more than the
    // alignment of a float.
    unsafe {
        match width {
            1 => _mm_load_ss(from),
            2 => _mm_castsi128_ps(_mm_loadl_epi64(from.cast())),
            3 => _mm_movelh_ps(_mm_castsi128_ps(_mm_loadl_epi64(from.cast())), _mm_load_ss(from.add(2))),
            _ => _mm_loadu_ps(from),
        }
    }
}

/// Writes what [`load_first`] loads, or nothing where `width` is 0.
///
/// # Safety
/// They must be there to write, and `width` is at most 4.
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) unsafe fn store_first(to: *mut f32, a: arch::__m128, width: usize) {
    use arch::*;
    // SAFETY: writes as many floats as there are. The build has SSE2; none of these stores asks for more than
    // the alignment of a float.
    unsafe {
        match width {
            0 => {}
            1 => _mm_store_ss(to, a),
            2 => _mm_storel_epi64(to.cast(), _mm_castps_si128(a)),
            3 => {
                _mm_storel_epi64(to.cast(), _mm_castps_si128(a));
                _mm_store_ss(to.add(2), _mm_movehl_ps(a, a));
            }
            _ => _mm_storeu_ps(to, a),
        }
    }
}

/// CPUID and XGETBV: a feature is there if the CPU has it and the system keeps its registers.
#[allow(unsafe_code, unused_unsafe, reason = "older Rust has CPUID as unsafe")]
fn ask() -> Level {
    use arch::{__cpuid, __cpuid_count};

    const LEAF_7: u32 = 7;
    // Leaf 1, ECX
    const FMA_XSAVE_OSXSAVE_AVX: u32 = 1 << 12 | 1 << 26 | 1 << 27 | 1 << 28;
    const F16C: u32 = 1 << 29;
    // Leaf 7, EBX
    const AVX2: u32 = 1 << 5;
    const AVX512_F_DQ_BW_VL: u32 = 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31;
    // XCR0: SSE and AVX registers; mask registers and both halves of the ZMM registers.
    const YMM: u64 = 0x06;
    const ZMM: u64 = 0xe6;

    // SAFETY: the build has SSE2, and every CPU with SSE2 has CPUID.
    let highest = unsafe { __cpuid(0) }.eax;
    if highest < LEAF_7 {
        return Level::Baseline;
    }
    // SAFETY: as above; both leaves are at most the highest.
    let (leaf_1, leaf_7) = unsafe { (__cpuid(1), __cpuid_count(LEAF_7, 0)) };
    if leaf_1.ecx & FMA_XSAVE_OSXSAVE_AVX != FMA_XSAVE_OSXSAVE_AVX || leaf_7.ebx & AVX2 == 0 {
        return Level::Baseline;
    }
    // SAFETY: XSAVE and OSXSAVE are set: the CPU has XGETBV and the system has turned it on.
    let kept = unsafe { kept_registers() };
    if kept & YMM != YMM {
        Level::Baseline
    } else if kept & ZMM != ZMM || leaf_7.ebx & AVX512_F_DQ_BW_VL != AVX512_F_DQ_BW_VL || leaf_1.ecx & F16C == 0 {
        // To the compiler, AVX-512 has F16C.
        Level::Avx2
    } else {
        Level::Avx512
    }
}

/// XCR0: the registers that the system saves for each thread.
#[allow(unsafe_code, reason = "a feature that only CPUID can tell of")]
#[target_feature(enable = "xsave")]
fn kept_registers() -> u64 {
    // SAFETY: the function has the feature that the instruction needs, and register 0 exists wherever that does.
    unsafe { arch::_xgetbv(0) }
}
