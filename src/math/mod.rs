//! Elementary functions of vectors: our own, of IEEE operations alone, so that each has one result a family.

mod exp;
mod ln;

pub(crate) use exp::{OVER_TWO_64, exp, exp_nonpos, factor, scaled_exp_of_minus, scaled_one, sigmoid};
pub(crate) use ln::{ln, log1p, log1p_of_rest, log1p_of_scaled, log1p_of_unit};

/// ln 2 to 15 bits: times a whole number of 9 bits it is exact.
const LN2_HI: f32 = 0.693_145_75;
/// What is left of ln 2.
const LN2_LO: f32 = 1.428_606_8e-6;
