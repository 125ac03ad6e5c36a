//! The fuzzer's bytes as decisions: shapes, values, options.
//!
//! The first eight bytes seed a generator that goes on where the bytes end: short inputs, too, make large tables, and each
//! later byte replaces one random decision.

use crate::support::oracle::Call;
use crate::support::{LOG_CLAMPS, Rng, SPECIAL};
use xent::{EmptyRow, LogClamp, Reduction};

pub struct Input<'a> {
    bytes: &'a [u8],
    rng: Rng,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut input = Self { bytes, rng: Rng(0) };
        input.rng = Rng(u64::from_le_bytes(input.take()));
        input
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| match self.bytes.split_first() {
            Some((&byte, rest)) => {
                self.bytes = rest;
                byte
            }
            None => (self.rng.bits() >> 56) as u8,
        })
    }

    pub fn bits(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// One of `0..n`, for n up to 65536.
    pub fn below(&mut self, n: usize) -> usize {
        if n <= 256 { usize::from(self.take::<1>()[0]) % n } else { usize::from(u16::from_le_bytes(self.take())) % n }
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((u32::from_le_bytes(self.take()) >> 8) as f32 / 16_777_216.0)
    }

    pub fn vec<T>(&mut self, len: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..len).map(|_| item(self)).collect()
    }

    /// Up to 8 rows of 1 to 300 classes; short rows as often as long ones, and now and then up to 79 of them.
    pub fn shape(&mut self) -> (usize, usize) {
        let classes = if self.one_in(2) { 1 + self.below(20) } else { 1 + self.below(300) };
        let most = if classes <= 20 && self.one_in(4) { 79 } else { 8 };
        (self.below(most + 1), classes)
    }

    /// Mostly ordinary, now and then any f32 at all.
    pub fn logit(&mut self) -> f32 {
        match self.below(16) {
            0..=10 => self.uniform(-10.0, 10.0),
            11..=13 => self.uniform(-200.0, 200.0),
            14 => self.pick(SPECIAL),
            _ => f32::from_bits(u32::from_le_bytes(self.take())),
        }
    }

    pub fn probability(&mut self) -> f32 {
        match self.below(16) {
            0..=9 => self.uniform(0.0, 1.0),
            10 => 0.0,
            11 => 1.0,
            12 => self.uniform(0.0, 1e-6),
            13 => self.uniform(0.999_999, 1.0),
            _ => self.logit(),
        }
    }

    pub fn log_probability(&mut self) -> f32 {
        if self.one_in(8) { self.logit() } else { self.uniform(-50.0, 0.0) }
    }

    /// From 0 to 5, mostly 0 or 1.
    pub fn label(&mut self) -> f32 {
        match self.below(16) {
            0..=6 => 0.0,
            7..=10 => 1.0,
            11..=14 => self.uniform(0.0, 1.0),
            _ => self.uniform(0.0, 5.0),
        }
    }

    fn weight(&mut self) -> f32 {
        match self.below(8) {
            0 => 0.0,
            1 | 2 => 1.0,
            _ => self.uniform(0.01, 10.0),
        }
    }

    fn weights(&mut self, len: usize) -> Option<Vec<f32>> {
        self.one_in(2).then(|| self.vec(len, Self::weight))
    }

    pub fn reduction(&mut self) -> Reduction {
        match self.below(7) {
            0 => Reduction::Sum,
            1 => Reduction::MeanOverWeights,
            2 => Reduction::MeanOverRows,
            3 => Reduction::MeanOverAllRows,
            4 => Reduction::MeanOverElements,
            5 => Reduction::MeanOverNonZeroWeights,
            _ => Reduction::MeanOver(self.uniform(0.5, 50.0).into()),
        }
    }

    pub fn log_clamp(&mut self) -> LogClamp {
        self.pick(&LOG_CLAMPS)
    }

    /// A table of `value`s with any options that the oracle's tolerance is made for.
    pub fn call(&mut self, value: impl FnMut(&mut Self) -> f32) -> Call {
        let (rows, classes) = self.shape();
        let x = self.vec(rows * classes, value);
        Call {
            class_weights: self.weights(classes),
            row_weights: self.weights(rows),
            pos_weights: self.weights(classes),
            ignore_index: self.one_in(2).then_some(-100),
            reduction: self.reduction(),
            grad_scale: if self.one_in(2) { 1.0 } else { self.uniform(-2.0, 100.0) },
            label_smoothing: if self.one_in(2) { 0.0 } else { self.uniform(0.0, 1.0) },
            empty_row: self.pick(&[EmptyRow::Nan, EmptyRow::Zero]),
            log_clamp: self.log_clamp(),
            ..Call::new(&x, classes)
        }
    }

    /// `per_row` classes for each row of the call, some of them ignored if it has an ignore index.
    pub fn classes(&mut self, call: &Call, per_row: usize) -> Vec<i64> {
        self.vec(call.x.len() / call.classes * per_row, |input| match call.ignore_index {
            Some(ignored) if input.one_in(6) => ignored,
            _ => input.below(call.classes) as i64,
        })
    }
}
