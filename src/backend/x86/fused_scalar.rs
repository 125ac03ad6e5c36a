//! One lane whose `mul_add` rounds once, on a build without that instruction: slow, and the bits of `avx2` and `avx512`
//! wherever they are wanted.

use crate::backend::{BUILD_IS_FUSED, scalar::Scalar};
use crate::lane::Op;

pub(crate) type Token = Scalar<true>;

/// Nothing where the scalar backend is fused already, or no backend may be.
#[inline(always)]
pub(crate) const fn detect() -> Option<Token> {
    if BUILD_IS_FUSED || cfg!(feature = "cross-platform-bits") { None } else { Some(Scalar(())) }
}

/// Apart from its callers: one copy of each operation.
#[inline(never)]
pub(crate) fn run<O: Op>(token: Token, op: &mut O) -> O::Out {
    op.run(token)
}
