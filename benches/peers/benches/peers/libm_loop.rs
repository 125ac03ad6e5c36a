//! The loops that one writes without a library, over the scalar functions that `no_std` has.

use libm::{expf, logf};

pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + expf(-x))
}

pub fn softmax(x: &[f32], y: &mut [f32]) {
    let max = max(x);
    let mut sum = 0.0;
    for (y, x) in y.iter_mut().zip(x) {
        *y = expf(x - max);
        sum += *y;
    }
    for y in y {
        *y /= sum;
    }
}

pub fn softmax_in_place(x: &mut [f32]) {
    let max = max(x);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = expf(*x - max);
        sum += *x;
    }
    for x in x {
        *x /= sum;
    }
}

pub fn log_softmax(x: &[f32], y: &mut [f32]) {
    let max = max(x);
    let mut sum = 0.0;
    for x in x {
        sum += expf(x - max);
    }
    let log_sum = logf(sum);
    for (y, x) in y.iter_mut().zip(x) {
        *y = x - max - log_sum;
    }
}

/// The loss of a row, and `share` times its gradient.
pub fn softmax_cross_entropy(x: &[f32], target: u32, share: f32, dx: &mut [f32]) -> f32 {
    let max = max(x);
    let mut sum = 0.0;
    for (dx, x) in dx.iter_mut().zip(x) {
        *dx = expf(x - max);
        sum += *dx;
    }
    let scale = share / sum;
    for dx in dx.iter_mut() {
        *dx *= scale;
    }
    dx[target as usize] -= share;
    logf(sum) + max - x[target as usize]
}

/// The loss of a row, and `share` times its gradient.
pub fn sigmoid_cross_entropy(x: &[f32], labels: &[f32], share: f32, dx: &mut [f32]) -> f32 {
    let mut loss = 0.0;
    for ((dx, &x), label) in dx.iter_mut().zip(x).zip(labels) {
        let e = expf(-x.abs());
        let p = if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
        *dx = share * (p - label);
        loss += x.max(0.0) - x * label + logf(1.0 + e);
    }
    loss
}

fn max(x: &[f32]) -> f32 {
    x.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}
