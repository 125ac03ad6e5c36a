//! The exponential function.
//!
//! ```text
//! n = round(x / ln 2),  r = x - n ln 2,  |r| <= 0.3466
//! exp(x) = 2^n (1 + f),  f = r + r^2 q(r)
//! ```
//!
//! n is found by adding 1.5 * 2^23: the sum has no bits left for a fraction, its low bits are n, and shifted into the
//! exponent they are a power of two. ln 2 is subtracted in two parts (Cody and Waite), the first of 15 bits, so that
//! n * LN2_HI is exact with one rounding or two. The power carries a factor 2^64 or 2^-64, so that it is never
//! subnormal or infinite itself: taking the factor out again is the only rounding of a subnormal result.

use super::{LN2_HI, LN2_LO};
use crate::lane::Lane;

const LOG2_E: f32 = core::f32::consts::LOG2_E;

// q: minimax of (exp(r) - 1 - r) / r^2.
const E2: f32 = 0.499_999_9;
const E3: f32 = 0.166_665_26;
const E4: f32 = 0.041_670_03;
const E5: f32 = 0.008_369_611;
const E6: f32 = 0.001_372_949_3;

/// 1.5 * 2^23, the exponent bias, and 64 more: the power is 2^(n + 64).
const TIMES_2_64: f32 = 12_582_912.0 + 127.0 + 64.0;
/// The power is 2^(n - 64).
const OVER_2_64: f32 = 12_582_912.0 + 127.0 - 64.0;
pub(crate) const TWO_64: f32 = 18_446_744_073_709_551_616.0;
pub(crate) const OVER_TWO_64: f32 = 1.0 / TWO_64;

/// Far below -104, where exp(x) rounds to 0, and the last whole number for which the power 2^(n + 64) is normal.
const LOWEST: f32 = -131.0;
/// Above, it is infinite.
const HIGHEST: f32 = 89.0;

/// exp(x) for x <= 0: at most 1, and 1 only where it rounds to 1. -inf gives 0, NaN gives NaN.
#[inline(always)]
pub(crate) fn exp_nonpos<L: Lane>(l: L, x: L::V) -> L::V {
    l.mul(exp_nonpos_times_2_64(l, x), l.splat(OVER_TWO_64))
}

/// 2^64 exp(x) for x <= 0, which is never subnormal: sums of it keep all digits, and in a product the factor can be
/// taken out by the last rounding. Below -131 it is 0.
#[inline(always)]
pub(crate) fn exp_nonpos_times_2_64<L: Lane>(l: L, x: L::V) -> L::V {
    let in_range = scaled(l, x, l.splat(TIMES_2_64));
    l.select(l.gt(l.splat(LOWEST), x), l.splat(0.0), in_range)
}

/// exp(x) for all x. NaN gives NaN.
#[inline(always)]
pub(crate) fn exp<L: Lane>(l: L, x: L::V) -> L::V {
    let x = l.min(l.splat(HIGHEST), l.max(l.splat(LOWEST), x));
    let positive = l.gt(x, l.splat(0.0));
    let magic = l.select(positive, l.splat(OVER_2_64), l.splat(TIMES_2_64));
    let back = l.select(positive, l.splat(TWO_64), l.splat(OVER_TWO_64));
    l.mul(scaled(l, x, magic), back)
}

/// exp(x) times the power of two that `magic` adds to the exponent.
#[inline(always)]
fn scaled<L: Lane>(l: L, x: L::V, magic: L::V) -> L::V {
    let shifted = l.mul_add(x, l.splat(LOG2_E), magic);
    let power = l.bits_shl::<23>(shifted);
    let n = l.sub(shifted, magic);
    let r = l.mul_add(n, l.splat(-LN2_HI), x);
    let r = l.mul_add(n, l.splat(-LN2_LO), r);
    let q = l.mul_add(l.splat(E6), r, l.splat(E5));
    let q = l.mul_add(q, r, l.splat(E4));
    let q = l.mul_add(q, r, l.splat(E3));
    let q = l.mul_add(q, r, l.splat(E2));
    let f = l.mul_add(l.mul(r, r), q, r);
    l.mul_add(power, f, power)
}
