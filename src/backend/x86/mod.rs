//! The backends of x86, and what they share: AVX2 and AVX-512, which the machine is asked for when the program runs, and
//! one lane that has their bits on any machine.

pub(super) mod avx2;
pub(super) mod avx512;
mod columns;
mod detect;
pub(super) mod fused_scalar;

#[cfg(target_arch = "x86")]
use core::arch::x86 as arch;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64 as arch;

/// `Token`, `detect` and `run` of a level, and `with_features`: `#[target_feature]` takes no generics.
macro_rules! token {
    ($level:ident, $features:literal) => {
        /// Made by [`detect`] alone: the proof that the CPU has the instructions and the system keeps the registers.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) struct Token(());

        pub(crate) fn detect() -> Option<Token> {
            if super::detect::level() >= super::detect::Level::$level { Some(Token(())) } else { None }
        }

        pub(crate) fn run<O: crate::lane::Op>(token: Token, op: &mut O) -> O::Out {
            with_features(
                token,
                #[inline(always)]
                || op.run(token),
            )
        }

        /// Calls a function that may use the features, apart from its caller.
        #[allow(unsafe_code, reason = "calls a function with more features than the build")]
        fn with_features<T>(_: Token, f: impl FnOnce() -> T) -> T {
            #[inline(never)]
            #[target_feature(enable = $features)]
            fn call<T>(f: impl FnOnce() -> T) -> T {
                let line = super::CacheLine(0);
                core::hint::black_box(&line);
                f()
            }
            // SAFETY: the token is the proof of these features.
            unsafe { call(f) }
        }
    };
}
use token;

/// A variable that makes the compiler align the frame of its function, which it decides before it knows what it spills. In a
/// frame that is not aligned, vectors may lie across cache lines, from which they are not forwarded to a load.
#[repr(align(64))]
struct CacheLine(#[allow(dead_code, reason = "only its place counts")] u8);

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
use on_registers;

/// Lane methods that are the same for every [`token`].
macro_rules! shared_lane_methods {
    () => {
        fn apart<O: crate::lane::Op>(self, op: &mut O) -> O::Out {
            run(self, op)
        }
        #[inline(always)]
        fn fence(self) {
            // SAFETY: the instruction is of SSE, which every build with this backend has. No memory is touched.
            unsafe { _mm_sfence() }
        }
        #[inline(always)]
        fn prefetch(self, chunk: &crate::lane::Chunk) {
            // SAFETY: a hint: nothing is read, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(chunk.as_ptr().cast()) }
        }
        #[inline(always)]
        fn columns(self, from: &[f32], at: crate::lane::Grid, columns: &mut [Self::V]) {
            super::columns::load(self, from, at, columns);
        }
        #[inline(always)]
        fn store_columns(self, columns: &[Self::V], to: &mut [f32], at: crate::lane::Grid) {
            super::columns::store(self, columns, to, at);
        }
        fn columns_apart(self, from: &[f32], at: crate::lane::Grid, columns: &mut [Self::V]) {
            with_features(
                self,
                #[inline(always)]
                || self.columns(from, at, columns),
            );
        }
        fn store_columns_apart(self, columns: &[Self::V], to: &mut [f32], at: crate::lane::Grid) {
            with_features(
                self,
                #[inline(always)]
                || self.store_columns(columns, to, at),
            );
        }
    };
}
use shared_lane_methods;
