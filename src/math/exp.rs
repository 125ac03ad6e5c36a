//! The exponential function, in two ways that share their end.
//!
//! ```text
//! x = n ln 2 + r
//! (1)  exp(x) = 2^n (1 + f),  f = r + r^2 q(r)
//! ```
//!
//! n is found by adding a number so large that the sum has no bits left for what is finer than n: its low bits are n,
//! and shifted into the exponent they are a power of two. The power carries a factor 2^64, so that it is never
//! subnormal: taking the factor out again is the only rounding of a subnormal result.
//!
//! *By quarters*, in the fused family: n is a multiple of 1/4 and |r| <= ln 2 / 8, so that q needs degree 2. 2^n is
//! 2^floor(n) times one of four numbers, picked by the two lowest bits; rounding these costs at most 0.32 ULP, where of
//! eight it would cost 0.34 and 1 ULP be out of reach. The f32 nearest to ln 2 is too large by almost exactly 2^-29. n
//! is kept times 2^-28, so that r^2 q + (n 2^-29) = (r^2 + n 2^-28) q, nearly, since q is nearly 1/2: for x <= 0, one
//! fused operation is the second step of the reduction and the square in one.
//!
//! *By whole powers*, in the separate family, where permutes are slow or missing: n is whole, |r| <= ln 2 / 2, and q
//! has degree 4. ln 2 is subtracted in two parts (Cody and Waite), the first so short that its product with n is exact.
//!
//! What was tried and is slower or less exact is listed in `benches/README.md`.

use super::{LN2_HI, LN2_LO};
use crate::lane::Arithmetic;

const LOG2_E: f32 = core::f32::consts::LOG2_E;
const LN_2: f32 = core::f32::consts::LN_2;

pub(crate) const TWO_64: f32 = 18_446_744_073_709_551_616.0;
pub(crate) const OVER_TWO_64: f32 = 1.0 / TWO_64;

/// -191 ln 2, where the power 2^(n + 64) has the bits of 0, and so the result is 0.
const LOWEST: f32 = -132.391_11;

/// exp(x) for x <= 0: at most 1, and 1 only where it rounds to 1. -inf gives 0, NaN gives NaN.
///
/// By whole powers in both families, for the sake of what stands behind it: x / (1 + x) and ln(1 + x) magnify its
/// error, and by quarters large errors are so frequent that these would have 2.30 and 2.15 ULP.
#[inline(always)]
pub(crate) fn exp_nonpos<L: Arithmetic>(l: L, x: L::V) -> L::V {
    whole::exp_nonpos(l, l.max(l.splat(LOWEST), x))
}

/// 2^64 exp(x) for x <= 0, which is never subnormal: sums of it keep all digits, and in a product the factor can be
/// taken out by the last rounding. Below -132.4 it is 0.
#[inline(always)]
pub(crate) fn exp_nonpos_times_2_64<L: Arithmetic>(l: L, x: L::V) -> L::V {
    let x = l.max(l.splat(LOWEST), x);
    if L::FUSED { quarters::exp_nonpos(l, x) } else { whole::exp_nonpos_times_2_64(l, x) }
}

/// exp(x) for all x. NaN gives NaN.
#[inline(always)]
pub(crate) fn exp<L: Arithmetic>(l: L, x: L::V) -> L::V {
    // Results are 0 below and infinite above.
    let x = l.min(l.splat(89.0), l.max(l.splat(-104.0), x));
    // The power is 2^n / back, which is neither subnormal nor infinite.
    let back = l.select(l.is_negative(x), l.splat(OVER_TWO_64), l.splat(TWO_64));
    if L::FUSED { quarters::exp(l, x, back) } else { whole::exp(l, x, back) }
}

/// (1) from the power and r, where `square` is r^2.
#[inline(always)]
fn end<L: Arithmetic>(l: L, power: L::V, r: L::V, square: L::V, q: L::V) -> L::V {
    let f = l.mul_add(square, q, r);
    l.mul_add(power, f, power)
}

mod quarters {
    use super::{Arithmetic, LN_2, LOG2_E, end};

    /// 2^-28: the unit of n for x <= 0.
    const UNIT: f32 = 1.0 / 268_435_456.0;
    /// 1.5 * 2^21, of which the last bit is worth 1/4.
    const MAGIC: f32 = 3_145_728.0;
    /// ln 2 to 12 bits, and what is left of it.
    const LN2_HI: f32 = 0.693_115_23;
    const LN2_LO: f32 = 3.194_618_3e-5;

    /// 2^(k/4), k = 0..4
    const QUARTERS: [f32; 4] = [1.0, 1.189_207_1, core::f32::consts::SQRT_2, 1.681_792_9];
    /// The bits of 2^(k/4), less those that k itself adds to the exponent, and `more` there.
    const fn powers(more: u32) -> [f32; 4] {
        const fn power(quarter: f32, k: u32, more: u32) -> f32 {
            f32::from_bits(quarter.to_bits() - (k << 21) + (more << 23))
        }
        let [a, b, c, d] = QUARTERS;
        [power(a, 0, more), power(b, 1, more), power(c, 2, more), power(d, 3, more)]
    }
    const TIMES_2_64: [f32; 4] = powers(64);
    /// Less the bits of a factor, they are those of the quotient by it.
    const TO_DIVIDE: [f32; 4] = powers(127);

    // q on |r| <= 0.0867, found by search on the rounded operations; relative error of (1) 1.6e-8 and 1.1e-8.
    const Q_NONPOS: [f32; 3] = [0.042_242_5, 0.166_712_8, 0.499_996_24];
    const Q: [f32; 3] = [0.041_809_704, 0.166_721_54, 0.499_999_67];

    #[inline(always)]
    fn q<L: Arithmetic>(l: L, r: L::V, [e4, e3, e2]: [f32; 3]) -> L::V {
        l.mul_add(l.mul_add(l.splat(e4), r, l.splat(e3)), r, l.splat(e2))
    }

    /// At most 0.977 ULP.
    #[inline(always)]
    pub(super) fn exp_nonpos<L: Arithmetic>(l: L, x: L::V) -> L::V {
        let magic = l.splat(MAGIC * UNIT);
        let shifted = l.mul_add(x, l.splat(LOG2_E * UNIT), magic);
        let power = l.bits_add(l.bits_shl::<21>(shifted), l.pick(&TIMES_2_64, shifted));
        let n = l.sub(shifted, magic);
        let r = l.mul_add(n, l.splat(-LN_2 / UNIT), x);
        end(l, power, r, l.mul_add(r, r, n), q(l, r, Q_NONPOS))
    }

    /// At most 0.940 ULP.
    #[inline(always)]
    pub(super) fn exp<L: Arithmetic>(l: L, x: L::V, back: L::V) -> L::V {
        let magic = l.splat(MAGIC);
        let shifted = l.mul_add(x, l.splat(LOG2_E), magic);
        let n = l.sub(shifted, magic);
        let r = l.mul_add(n, l.splat(-LN2_LO), l.mul_add(n, l.splat(-LN2_HI), x));
        let (square, q) = (l.mul(r, r), q(l, r, Q));
        if let Some(y) = l.scale(end(l, l.pick(&QUARTERS, shifted), r, square, q), n) {
            return y;
        }
        let power = l.bits_add(l.bits_shl::<21>(shifted), l.pick(&TO_DIVIDE, shifted));
        let power = l.bits_sub(power, back);
        l.mul(end(l, power, r, square, q), back)
    }
}

mod whole {
    use super::{Arithmetic, LN2_HI, LN2_LO, LOG2_E, OVER_TWO_64, end};

    /// 1.5 * 2^23, of which the last bit is worth 1.
    const MAGIC: f32 = 12_582_912.0;
    /// With the exponent bias, and 64 more: the power is 2^(n + 64).
    const TIMES_2_64: f32 = MAGIC + 127.0 + 64.0;

    // q on |r| <= 0.3466: minimax of (exp(r) - 1 - r) / r^2.
    const E2: f32 = 0.499_999_9;
    const E3: f32 = 0.166_665_26;
    const E4: f32 = 0.041_670_03;
    const E5: f32 = 0.008_369_611;
    const E6: f32 = 0.001_372_949_3;

    #[inline(always)]
    fn reduced<L: Arithmetic>(l: L, x: L::V, n: L::V) -> (L::V, L::V) {
        let r = l.mul_add(n, l.splat(-LN2_HI), x);
        let r = l.mul_add(n, l.splat(-LN2_LO), r);
        let q = l.mul_add(l.splat(E6), r, l.splat(E5));
        let q = l.mul_add(q, r, l.splat(E4));
        let q = l.mul_add(q, r, l.splat(E3));
        (r, l.mul_add(q, r, l.splat(E2)))
    }

    /// At most 0.963 ULP.
    #[inline(always)]
    pub(super) fn exp_nonpos_times_2_64<L: Arithmetic>(l: L, x: L::V) -> L::V {
        let shifted = l.mul_add(x, l.splat(LOG2_E), l.splat(TIMES_2_64));
        let (r, q) = reduced(l, x, l.sub(shifted, l.splat(TIMES_2_64)));
        end(l, l.bits_shl::<23>(shifted), r, l.mul(r, r), q)
    }

    /// At most 0.963 ULP.
    #[inline(always)]
    pub(super) fn exp_nonpos<L: Arithmetic>(l: L, x: L::V) -> L::V {
        let shifted = l.mul_add(x, l.splat(LOG2_E), l.splat(TIMES_2_64));
        let n = l.sub(shifted, l.splat(TIMES_2_64));
        let (r, q) = reduced(l, x, n);
        let square = l.mul(r, r);
        // The same bits: both round 1 + f, and then the result where it is subnormal.
        if let Some(y) = l.scale(end(l, l.splat(1.0), r, square, q), n) {
            return y;
        }
        l.mul(end(l, l.bits_shl::<23>(shifted), r, square, q), l.splat(OVER_TWO_64))
    }

    /// At most 0.963 ULP.
    #[inline(always)]
    pub(super) fn exp<L: Arithmetic>(l: L, x: L::V, back: L::V) -> L::V {
        let shifted = l.mul_add(x, l.splat(LOG2_E), l.splat(MAGIC));
        let (r, q) = reduced(l, x, l.sub(shifted, l.splat(MAGIC)));
        let power = l.bits_sub(l.bits_add(l.bits_shl::<23>(shifted), l.splat_bits(254 << 23)), back);
        l.mul(end(l, power, r, l.mul(r, r), q), back)
    }
}
