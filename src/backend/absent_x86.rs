//! Stands for `x86`, and for each backend in it, where the target has none of them.

#[path = "absent.rs"]
pub(super) mod absent;
pub(super) use absent::{self as avx2, self as avx512, self as fused_scalar};
