//! The exponential function, in three ways that share their end.
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
//! *By eighths*, in the fused family where a common factor does not matter: n is a multiple of 1/8 and |r| <= ln 2 / 16,
//! so that q needs degree 1. 2^n is 2^floor(n) times one of eight numbers, picked by the three lowest bits. Rounding
//! 2^(k/8) would cost up to 0.34 ULP; the table has [`KAPPA`] 2^(k/8), with a factor of which all eight products are
//! floats to within 0.05 ULP. The f32 nearest to ln 2 is too large by almost exactly 2^-29. n is kept times 2^-28, so
//! that r^2 q + (n 2^-29) = (r^2 + n 2^-28) q, nearly, since q is nearly 1/2: one fused operation is the second step of
//! the reduction and the square in one.
//!
//! *By quarters*, in the fused family where the result is exp(x) itself: |r| <= ln 2 / 8, degree 2, and four numbers,
//! of which rounding costs at most 0.32 ULP.
//!
//! *By whole powers*, in the separate family, where permutes are slow or missing: n is whole, |r| <= ln 2 / 2, and q
//! has degree 4. ln 2 is subtracted in two parts (Cody and Waite), the first so short that its product with n is exact.
//!
//! exp(x) of either sign needs neither a factor nor x kept in range where all powers in a group of vectors are far from
//! subnormal and infinite, which one test tells.
//!
//! What was tried and is slower or less exact is listed in `benches/NOTES.md` of the repository.

use super::{LN2_HI, LN2_LO};
use crate::lane::Arithmetic;

const LOG2_E: f32 = core::f32::consts::LOG2_E;
const LN_2: f32 = core::f32::consts::LN_2;

const TWO_64: f32 = 18_446_744_073_709_551_616.0;
pub(crate) const OVER_TWO_64: f32 = 1.0 / TWO_64;

/// The factor of a table of powers. Its inverse is nearly a float too.
const KAPPA: f32 = 1.386_435_7;

/// -191 ln 2, where the power 2^(n + 64) has the bits of 0, and so the result is 0. For whole powers.
const LOWEST: f32 = -132.391_11;

/// exp(x) for x <= 0: at most 1, and 1 only where it rounds to 1. -inf gives 0, NaN gives NaN.
///
/// By whole powers in both families, for the sake of the logarithm behind it: ln(1 + x) magnifies its error, and by
/// quarters large errors are so frequent that it would have 2.15 ULP.
#[inline(always)]
pub(crate) fn exp_nonpos<L: Arithmetic>(l: L, x: L::V) -> L::V {
    whole::exp_nonpos(l, l.max(l.splat(LOWEST), x))
}

/// `scaled_one() * exp(-d)` for d >= 0, which is never subnormal: sums of it keep all digits, and in a product the power
/// of two can be taken out by the last rounding. Above about 132 it is 0.
///
/// Of d and not of -d, since m - x is one instruction with x in memory, x - m two. d is not clamped where the power is still
/// normal: the tiny rest would vanish in sums, but a product that underflows to 0 takes processors some 65 cycles.
#[inline(always)]
pub(crate) fn scaled_exp_of_minus<L: Arithmetic>(l: L, d: L::V) -> L::V {
    if L::FUSED {
        let shifted = eighths::shifted_of_minus(l, d);
        let (power, f) = eighths::power_and_rest_of_minus(l, d, shifted, 64);
        return l.zero_below(shifted, l.splat(eighths::LOWEST), l.mul_add(power, f, power));
    }
    let (power, f) = whole::power_and_rest_of_minus(l, l.min(l.splat(-LOWEST), d), 64);
    l.mul_add(power, f, power)
}

/// What [`scaled_exp_of_minus`] gives for 0, and for nothing that is not nearly 0.
pub(crate) const fn scaled_one<L: Arithmetic>() -> f32 {
    factor::<L>() * TWO_64
}

/// `scaled_one() / 2^64`
pub(crate) const fn factor<L: Arithmetic>() -> f32 {
    if L::FUSED { KAPPA } else { 1.0 }
}

/// exp(x) for all x. NaN gives NaN.
#[inline(always)]
pub(crate) fn exp<L: Arithmetic>(l: L, x: L::V) -> L::V {
    let near = if L::FUSED { quarters::exp_near_0(l, x) } else { whole::exp_near_0(l, x) };
    if let Some(y) = near {
        return y;
    }
    // Results are 0 below and infinite above.
    let x = l.min(l.splat(89.0), l.max(l.splat(-104.0), x));
    if L::FUSED { quarters::exp(l, x) } else { whole::exp(l, x) }
}

/// 1 / (1 + exp(-x)). NaN gives NaN.
///
/// ```text
/// (2)  sigmoid(x) = 1 / (1 + P + P f),  exp(-x) = P (1 + f) as in (1)
/// ```
///
/// One formula for both signs: the larger of 1 and P goes last, so that what is rounded before is small. All of it is
/// times 2^-64, so that nothing is infinite and division rounds a subnormal result; and times the factor of the table, of
/// which the quotient is free.
#[inline(always)]
pub(crate) fn sigmoid<L: Arithmetic>(l: L, x: L::V) -> L::V {
    // 1 from 18 on, 0 below -104.
    let x = l.min(l.splat(30.0), l.max(l.splat(-105.0), x));
    let one = l.splat(factor::<L>() * OVER_TWO_64);
    let (power, f) = power_and_rest_of_minus(l, x, -64);
    let sum = l.add(l.max(power, one), l.mul_add(power, f, l.min(power, one)));
    l.div(one, sum)
}

/// P and f of (1) for exp(-d), where P is times `2^more` and a factor that is known to [`factor`].
#[inline(always)]
fn power_and_rest_of_minus<L: Arithmetic>(l: L, d: L::V, more: i32) -> (L::V, L::V) {
    if L::FUSED {
        eighths::power_and_rest_of_minus(l, d, eighths::shifted_of_minus(l, d), more)
    } else {
        whole::power_and_rest_of_minus(l, d, more)
    }
}

/// (1) from the power and r, where `square` is r^2.
#[inline(always)]
fn end<L: Arithmetic>(l: L, power: L::V, r: L::V, square: L::V, q: L::V) -> L::V {
    let f = l.mul_add(square, q, r);
    l.mul_add(power, f, power)
}

/// What to multiply by in the end, so that the power 2^n / back is neither subnormal nor infinite: 2^64, or 2^-64 where n is
/// negative. The numbers that take the finer bits of n are 1.5 times a power of two, so a sum with one has a bit that is
/// missing where n < 0. From the sum, and not from the sign of x, since that is there to the end.
#[inline(always)]
fn back<L: Arithmetic>(l: L, shifted: L::V) -> L::V {
    const HALF: u32 = 1 << 22;
    const { assert!(HALF << 8 == 2.0_f32.to_bits() && OVER_TWO_64.to_bits() | HALF << 8 == TWO_64.to_bits()) };
    l.bits_or(l.bits_and(l.bits_shl::<8>(shifted), l.splat(2.0)), l.splat(OVER_TWO_64))
}

/// Whether 2^n is neither subnormal nor infinite for every n, by numbers from -64 up to less than 64, where that is soon
/// found. `shifted` is n plus `magic`, of which the last bit is worth `1 / parts`.
#[inline(always)]
fn is_near<L: Arithmetic>(l: L, shifted: L::V, magic: f32, parts: u32) -> bool {
    let above = l.bits_sub(shifted, l.splat(magic - 64.0));
    l.has_none_of(!(128 * parts - 1), above)
}

mod eighths {
    use super::{Arithmetic, KAPPA, LN_2, LOG2_E};

    /// 2^-28: the unit of n.
    const UNIT: f32 = 1.0 / 268_435_456.0;
    /// 1.5 * 2^20, of which the last bit is worth 1/8.
    const MAGIC: f32 = 1_572_864.0;
    /// What [`shifted_of_minus`] gives for 190 ln 2: the power 2^(n + 64) is subnormal below.
    pub(super) const LOWEST: f32 = (MAGIC - 190.0) * UNIT;

    /// KAPPA 2^(k/8), k = 0..8
    const EIGHTHS: [f32; 8] =
        [KAPPA, 1.511_918_9, 1.648_759_2, 1.797_984_7, 1.960_716_2, 2.138_176_2, 2.331_697_7, 2.542_734_4];
    /// The bits of these, less those that k itself adds to the exponent, and `more` there.
    const fn powers(more: i32) -> [f32; 8] {
        const fn power(eighth: f32, k: i32, more: i32) -> f32 {
            f32::from_bits((eighth.to_bits() as i32 - (k << 20) + (more << 23)) as u32)
        }
        let [a, b, c, d, e, f, g, h] = EIGHTHS;
        [
            power(a, 0, more),
            power(b, 1, more),
            power(c, 2, more),
            power(d, 3, more),
            power(e, 4, more),
            power(f, 5, more),
            power(g, 6, more),
            power(h, 7, more),
        ]
    }

    // q on |r| <= 0.0434, found by search on the rounded operations.
    const E2: f32 = 0.500_06;
    const E3: f32 = 0.166_62;

    /// n plus the number that takes its finer bits.
    #[inline(always)]
    pub(super) fn shifted_of_minus<L: Arithmetic>(l: L, d: L::V) -> L::V {
        l.mul_add(d, l.splat(-LOG2_E * UNIT), l.splat(MAGIC * UNIT))
    }

    #[inline(always)]
    pub(super) fn power_and_rest_of_minus<L: Arithmetic>(l: L, d: L::V, shifted: L::V, more: i32) -> (L::V, L::V) {
        let n = l.sub(shifted, l.splat(MAGIC * UNIT));
        let r = l.mul_sub(n, l.splat(-LN_2 / UNIT), d);
        let square = l.mul_add(r, r, n);
        let q = l.mul_add(l.splat(E3), r, l.splat(E2));
        let f = l.mul_add(square, q, r);
        // Last: before, it would hold a register, of which AVX2 has none to spare.
        let power = l.bits_add(l.bits_shl::<20>(shifted), l.pick_of_8(&powers(more), shifted));
        (power, f)
    }
}

mod quarters {
    use super::{Arithmetic, LOG2_E, back, end, is_near};

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
    /// With the bias: less the bits of a factor, they are those of the quotient by it.
    const TO_DIVIDE: [f32; 4] = powers(127);

    // q on |r| <= 0.0867, found by search on the rounded operations; relative error of (1) 1.1e-8.
    const Q: [f32; 3] = [0.041_809_704, 0.166_721_54, 0.499_999_67];

    /// n plus the number that takes its finer bits.
    #[inline(always)]
    fn shifted<L: Arithmetic>(l: L, x: L::V) -> L::V {
        l.mul_add(x, l.splat(LOG2_E), l.splat(MAGIC))
    }

    /// r and q.
    #[inline(always)]
    fn reduced<L: Arithmetic>(l: L, x: L::V, n: L::V) -> (L::V, L::V) {
        let r = l.mul_add(n, l.splat(-LN2_LO), l.mul_add(n, l.splat(-LN2_HI), x));
        let [e4, e3, e2] = Q;
        (r, l.mul_add(l.mul_add(l.splat(e4), r, l.splat(e3)), r, l.splat(e2)))
    }

    /// [`exp`], where every x is near 0 and that is soon found.
    #[inline(always)]
    pub(super) fn exp_near_0<L: Arithmetic>(l: L, x: L::V) -> Option<L::V> {
        let shifted = shifted(l, x);
        if !is_near(l, shifted, MAGIC, 4) {
            return None;
        }
        let (r, q) = reduced(l, x, l.sub(shifted, l.splat(MAGIC)));
        let square = l.mul(r, r);
        let power = l.bits_add(l.bits_shl::<21>(shifted), l.pick_of_4(&powers(0), shifted));
        Some(end(l, power, r, square, q))
    }

    /// At most 0.940 ULP.
    #[inline(always)]
    pub(super) fn exp<L: Arithmetic>(l: L, x: L::V) -> L::V {
        let shifted = shifted(l, x);
        let n = l.sub(shifted, l.splat(MAGIC));
        let (r, q) = reduced(l, x, n);
        let square = l.mul(r, r);
        if let Some(y) = l.scale(end(l, l.pick_of_4(&QUARTERS, shifted), r, square, q), n) {
            return y;
        }
        let back = back(l, shifted);
        let power = l.bits_add(l.bits_shl::<21>(shifted), l.pick_of_4(&TO_DIVIDE, shifted));
        let power = l.bits_sub(power, back);
        l.mul(end(l, power, r, square, q), back)
    }
}

mod whole {
    use super::{Arithmetic, LN2_HI, LN2_LO, LOG2_E, OVER_TWO_64, back, end, is_near};

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

    /// r and q.
    #[inline(always)]
    fn reduced<L: Arithmetic>(l: L, x: L::V, n: L::V) -> (L::V, L::V) {
        finely_reduced(l, l.mul_add(n, l.splat(-LN2_HI), x), n)
    }

    /// [`reduced`] of what the first part of ln 2 was taken from.
    #[inline(always)]
    fn finely_reduced<L: Arithmetic>(l: L, high: L::V, n: L::V) -> (L::V, L::V) {
        let r = l.mul_add(n, l.splat(-LN2_LO), high);
        let q = l.mul_add(l.splat(E6), r, l.splat(E5));
        let q = l.mul_add(q, r, l.splat(E4));
        let q = l.mul_add(q, r, l.splat(E3));
        (r, l.mul_add(q, r, l.splat(E2)))
    }

    #[inline(always)]
    pub(super) fn power_and_rest_of_minus<L: Arithmetic>(l: L, d: L::V, more: i32) -> (L::V, L::V) {
        let magic = l.splat(MAGIC + (127 + more) as f32);
        let shifted = l.mul_add(d, l.splat(-LOG2_E), magic);
        let n = l.sub(shifted, magic);
        let (r, q) = finely_reduced(l, l.mul_sub(n, l.splat(-LN2_HI), d), n);
        (l.bits_shl::<23>(shifted), l.mul_add(l.mul(r, r), q, r))
    }

    /// At most 0.963 ULP, 0.990 in the fused family.
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

    /// [`exp`], where every x is near 0 and that is soon found.
    #[inline(always)]
    pub(super) fn exp_near_0<L: Arithmetic>(l: L, x: L::V) -> Option<L::V> {
        let shifted = l.mul_add(x, l.splat(LOG2_E), l.splat(MAGIC));
        if !is_near(l, shifted, MAGIC, 1) {
            return None;
        }
        let (r, q) = reduced(l, x, l.sub(shifted, l.splat(MAGIC)));
        let power = l.bits_add(l.bits_shl::<23>(shifted), l.splat(1.0));
        Some(end(l, power, r, l.mul(r, r), q))
    }

    /// At most 0.963 ULP.
    #[inline(always)]
    pub(super) fn exp<L: Arithmetic>(l: L, x: L::V) -> L::V {
        let shifted = l.mul_add(x, l.splat(LOG2_E), l.splat(MAGIC));
        let (r, q) = reduced(l, x, l.sub(shifted, l.splat(MAGIC)));
        let back = back(l, shifted);
        let power = l.bits_sub(l.bits_add(l.bits_shl::<23>(shifted), l.splat_bits(254 << 23)), back);
        l.mul(end(l, power, r, l.mul(r, r), q), back)
    }
}
