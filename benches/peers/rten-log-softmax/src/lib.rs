//! rten-vecmath's log-softmax of a row.

use rten_simd::SimdOp;
use std::mem::MaybeUninit;

pub fn log_softmax(x: &[f32], y: &mut [MaybeUninit<f32>]) {
    rten_vecmath::LogSoftmax::new(x, y).dispatch();
}
