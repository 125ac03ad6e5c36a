//! What CPU and operating system have, asked without std.
//!
//! Features that the whole build has are not asked for. Others are asked once: the answer is always the same, so it
//! does not matter which thread writes it down.

use super::arch;
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
