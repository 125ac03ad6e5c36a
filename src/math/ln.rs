//! The natural logarithm, of x and of 1 + x.
//!
//! ```text
//! y = 2^e (1 + f),  1 + f in [3/4, 3/2)
//! ln y = e ln 2 + ln(1 + f),  ln(1 + f) = f + f^2 q(f)
//! ```
//!
//! For ln x, y is x. For ln(1 + x), e is that of the rounded 1 + x, but f = x 2^-e + (2^-e - 1) is found from x itself,
//! so that nothing of a small x is lost. e ln 2 is added in two parts, e * LN2_HI last and exact. From 0 to 1, one
//! polynomial of x does without e.

use super::{LN2_HI, LN2_LO, scaled_one};
use crate::lane::Arithmetic;

/// q, from its constant term on: minimax of (ln(1 + f) - f) / f^2, of which that is -1/2.
const Q: [f32; 9] = [
    -0.5,
    0.333_334_5,
    -0.250_000_98,
    0.199_908_06,
    -0.166_471_65,
    0.144_788_2,
    -0.131_629_85,
    0.104_645_304,
    -0.045_073_61,
];
/// The same on all of [0, 1]: relative error of ln(1 + x) 7.7e-9.
const Q_OF_UNIT: [f32; 9] = [
    -0.5,
    0.333_322_5,
    -0.249_750_78,
    0.197_741_76,
    -0.155_690_01,
    0.110_240_55,
    -0.060_909_346,
    0.021_868_23,
    -0.003_675_723_2,
];

/// 1.5 * 2^85, of which the last bit is worth 2^62.
const QUARTERS_OF_TWO_64: f32 = 5.802_844e25;
/// c_j over the scale of exponentials: of all numbers near the middle of its interval the one for which d_j and l_j are
/// floats to within 0.003 ULP. There are seven intervals.
const C: [f32; 8] = [
    3.910_034e-20,
    3.356_051_7e-20,
    2.881_699_2e-20,
    2.540_390_7e-20,
    2.270_150_7e-20,
    2.057_831_8e-20,
    1.957_885e-20,
    0.0,
];
/// d_j = c_j - 1
const D: [f32; 8] = [0.0, -0.141_682_21, -0.262_998_94, -0.350_289_34, -0.419_403_85, -0.473_704_87, -0.499_266_5, 0.0];
/// l_j = -ln c_j
const LN: [f32; 8] = [0.0, 0.152_780_86, 0.305_165_95, 0.431_228_16, 0.543_699_86, 0.641_893_15, 0.691_681_27, 0.0];
/// q on [-0.0643, 0.0905]: relative error of ln(1 + u) 3.3e-8.
const Q_OF_NEAR_1: [f32; 4] = [-0.499_998_9, 0.333_364_44, -0.250_931_83, 0.191_517_48];

/// The bits of 3/4, where the exponent of 1 + f changes.
const CUT: u32 = 0x3f40_0000;
const MANTISSA: u32 = 0x007f_ffff;
/// The bits of 2^23 + 256: or-ed with a signed byte e, they are the number 2^23 + 256 + e.
const BYTE: u32 = 0x4b00_0100;
const OF_BYTE: f32 = 8_388_864.0;

/// ln x: -inf at 0, NaN below; +inf gives +inf, NaN gives NaN.
#[inline(always)]
pub(crate) fn ln<L: Arithmetic>(l: L, x: L::V) -> L::V {
    let subnormal = l.gt(l.splat(f32::MIN_POSITIVE), x);
    let y = l.mul(x, l.select(subnormal, l.splat(8_388_608.0), l.splat(1.0)));
    let above_cut = l.bits_sub(y, l.splat_bits(CUT));
    let e = l.sub(exponent(l, above_cut), l.select(subnormal, l.splat(23.0), l.splat(0.0)));
    let mantissa = l.bits_and(above_cut, l.splat_bits(MANTISSA));
    let f = l.sub(l.bits_add(mantissa, l.splat_bits(CUT)), l.splat(1.0));
    at_edges(l, x, l.splat(0.0), assemble(l, e, f, polynomial(l, f, Q)))
}

/// ln(1 + x): -inf at -1, NaN below; +inf gives +inf, NaN gives NaN.
#[inline(always)]
pub(crate) fn log1p<L: Arithmetic>(l: L, x: L::V) -> L::V {
    at_edges(l, x, l.splat(-1.0), log1p_of_finite(l, x))
}

/// ln(1 + x) for finite x >= 0; NaN gives NaN, and so does -1.
#[inline(always)]
pub(crate) fn log1p_of_rest<L: Arithmetic>(l: L, x: L::V) -> L::V {
    l.select(l.gt(x, l.splat(-1.0)), log1p_of_finite(l, x), l.splat(f32::NAN))
}

/// ln(1 + x) for finite x > -1.
#[inline(always)]
fn log1p_of_finite<L: Arithmetic>(l: L, x: L::V) -> L::V {
    let above_cut = l.bits_sub(l.add(l.splat(1.0), x), l.splat_bits(CUT));
    let e = exponent(l, above_cut);
    let exponent_bits = l.bits_and(above_cut, l.splat_bits(!MANTISSA));
    let scaled = l.bits_sub(x, exponent_bits);
    // 4 * 2^-e, which is normal for every e.
    let four = l.bits_sub(l.splat(4.0), exponent_bits);
    let f = l.add(scaled, l.mul_add(four, l.splat(0.25), l.splat(-1.0)));
    assemble(l, e, f, polynomial(l, f, Q))
}

/// ln(1 + x) for x from 0 to 1; NaN gives NaN.
#[inline(always)]
pub(crate) fn log1p_of_unit<L: Arithmetic>(l: L, x: L::V) -> L::V {
    if L::FUSED {
        // Half of the operations, and softplus has 1.8 ULP instead of 1.7. With two roundings in place of each FMA, this
        // alone would have 1.55 instead of 0.99.
        return l.mul_add(l.mul(x, x), polynomial(l, x, Q_OF_UNIT), x);
    }
    // e is 0 or 1.
    let (half, one) = (l.splat(0.5), l.splat(1.0));
    let above_cut = l.gt(x, l.splat(0.5));
    let f = l.select(above_cut, l.mul(l.sub(x, one), half), x);
    assemble(l, l.select(above_cut, one, l.splat(0.0)), f, polynomial(l, f, Q))
}

/// ln(1 + x), where `scaled` is x times [`scaled_one`] and x is from 0 to 1; NaN gives NaN.
///
/// ```text
/// ln(1 + x) = l_j + ln(1 + u),  u = (1 + x) c_j - 1 = x c_j + d_j,  c_j near 1 / (1 + x)
/// ```
///
/// j is found as the whole part of an exponent is, by adding a number whose last bit is worth a quarter of 2^64. In the
/// fused family alone: half of the multiplications of [`log1p_of_unit`], for permutes.
#[inline(always)]
pub(crate) fn log1p_of_scaled<L: Arithmetic>(l: L, scaled: L::V) -> L::V {
    if !L::FUSED {
        return log1p_of_unit(l, l.mul(scaled, l.splat(1.0 / scaled_one::<L>())));
    }
    let j = l.add(scaled, l.splat(QUARTERS_OF_TWO_64));
    let u = l.mul_add(scaled, l.pick_of_8(&C, j), l.pick_of_8(&D, j));
    let [q0, q1, q2, q3] = Q_OF_NEAR_1;
    let square = l.mul(u, u);
    let q = l.mul_add(l.mul_add(l.splat(q3), u, l.splat(q2)), square, l.mul_add(l.splat(q1), u, l.splat(q0)));
    l.add(l.pick_of_8(&LN, j), l.mul_add(square, q, u))
}

/// e of y, from the bits of y less those of 3/4.
#[inline(always)]
fn exponent<L: Arithmetic>(l: L, above_cut: L::V) -> L::V {
    l.sub(l.bits_xor(l.bits_shr::<23>(above_cut), l.splat_bits(BYTE)), l.splat(OF_BYTE))
}

/// A polynomial of f in pairs, a chain of five: there are few other operations at hand to fill the time that each waits.
/// What is added last keeps a rounding of its own.
#[inline(always)]
fn polynomial<L: Arithmetic>(l: L, f: L::V, [c0, c1, c2, c3, c4, c5, c6, c7, c8]: [f32; 9]) -> L::V {
    let square = l.mul(f, f);
    let pair = {
        #[inline(always)]
        |high, low| l.mul_add(l.splat(high), f, l.splat(low))
    };
    let q = l.mul_add(pair(c8, c7), square, pair(c6, c5));
    let q = l.mul_add(q, square, pair(c4, c3));
    let q = l.mul_add(q, square, pair(c2, c1));
    l.mul_add(q, f, l.splat(c0))
}

/// e ln 2 + ln(1 + f).
#[inline(always)]
fn assemble<L: Arithmetic>(l: L, e: L::V, f: L::V, q: L::V) -> L::V {
    let small = l.mul_add(l.mul(f, f), q, l.mul(e, l.splat(LN2_LO)));
    l.mul_add(e, l.splat(LN2_HI), l.add(f, small))
}

/// The result where x is `edge` (-inf), below it (NaN), +inf or NaN (itself).
#[inline(always)]
fn at_edges<L: Arithmetic>(l: L, x: L::V, edge: L::V, result: L::V) -> L::V {
    let result = l.select(l.gt(l.splat(f32::INFINITY), x), result, x);
    let result = l.select(l.eq(x, edge), l.splat(f32::NEG_INFINITY), result);
    l.select(l.gt(edge, x), l.splat(f32::NAN), result)
}
