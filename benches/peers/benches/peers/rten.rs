//! rten-vecmath at its best, as its callers can have it.
//!
//! It is fast where LLVM inlines all of an operation into the function that has the instruction set; what is left outside
//! is compiled without the instructions, and each of them becomes a call. That happens to the maximum of softmax as soon as
//! a crate has two callers of it, and makes the whole five times as slow. So `Softmax` has one instance here, dispatched row
//! by row, and `LogSoftmax` is in a crate of its own. Its own maximum stays outside even so: read its column with care, or
//! build with RUSTFLAGS=-Cllvm-args=-inline-threshold=5000, where it is about as fast as `Softmax`.

use rten_simd::{SimdOp, SimdUnaryOp};
use rten_vecmath::{Exp, Sigmoid, Softmax};
use std::mem::MaybeUninit;

pub fn exp(x: &[f32], y: &mut [f32]) {
    Exp {}.map(x, to_write(y));
}

pub fn exp_in_place(x: &mut [f32]) {
    Exp {}.map_mut(x);
}

pub fn sigmoid(x: &[f32], y: &mut [f32]) {
    Sigmoid {}.map(x, to_write(y));
}

pub fn sigmoid_in_place(x: &mut [f32]) {
    Sigmoid {}.map_mut(x);
}

pub fn softmax(x: &[f32], y: &mut [f32]) {
    Softmax::new(x, to_write(y)).dispatch();
}

pub fn softmax_in_place(x: &mut [f32]) {
    Softmax::new_mut(x).dispatch();
}

pub fn log_softmax(x: &[f32], y: &mut [f32]) {
    rten_log_softmax::log_softmax(x, to_write(y));
}

/// The type that rten-vecmath writes to.
fn to_write(y: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the same layout, and the operations above write numbers only.
    unsafe { &mut *(std::ptr::from_mut(y) as *mut [MaybeUninit<f32>]) }
}
