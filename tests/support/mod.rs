//! What the tests share: backends, lengths, values, guarded buffers, the ULP measure and the table of bounds.
//! `oracle` compares whole calls with `xent::reference`; the fuzz targets use it too.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

pub mod oracle;
pub mod unary;

use xent::{Backend, LogClamp};

/// Largest errors in ULP of the exact value, on every backend: those that the crate claims for every input, which README.md
/// prints, and those of the tests' hard rows that no search for large errors has made. `tests/accuracy.rs` holds both to
/// them.
///
/// In a row that was sought, one exponential errs upwards, all others downwards, and all roundings of the sum and after it
/// go one way. Elsewhere most of that cancels.
pub const BOUNDS: &[(&str, f64, f64)] = &[
    ("exp", 1.0, 1.0),
    ("ln", 1.0, 1.0),
    ("log1p", 1.0, 1.0),
    ("sigmoid", 2.0, 2.0),
    ("log_sigmoid", 2.0, 2.0),
    ("softplus", 2.0, 2.0),
    ("softmax", 7.0, 4.0),
    ("log_softmax", 6.0, 4.0),
    ("log_sum_exp", 6.0, 2.0),
    ("softmax loss", 6.0, 4.0),
    ("softmax loss gradient", 7.0, 4.0),
    ("sigmoid loss", 4.0, 4.0),
    ("sigmoid loss gradient", 4.0, 4.0),
];

/// What the crate claims for every input.
pub const fn bound(name: &str) -> f64 {
    bounds(name).1
}

/// What hard rows keep that were not sought for their errors.
pub const fn usual_bound(name: &str) -> f64 {
    bounds(name).2
}

const fn bounds(name: &str) -> (&str, f64, f64) {
    let mut i = 0;
    while i < BOUNDS.len() {
        if is_same(BOUNDS[i].0.as_bytes(), name.as_bytes()) {
            return BOUNDS[i];
        }
        i += 1;
    }
    panic!("no such bound")
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Every backend that this machine has. Those it lacks are named, once a test binary.
pub fn backends() -> Vec<Backend> {
    static REPORT: std::sync::Once = std::sync::Once::new();
    let here: Vec<Backend> = Backend::available().collect();
    REPORT.call_once(|| {
        for &name in Backend::NAMES {
            if here.iter().all(|backend| backend.name() != name) {
                eprintln!("NOT RUN: backend {name} is not available on this machine");
            }
        }
    });
    here
}

/// Lengths around every lane, chunk (16) and block (128) boundary.
pub fn lengths() -> Vec<usize> {
    let mut lengths: Vec<usize> = (1..=35).collect();
    lengths.extend([47, 48, 49, 63, 64, 65, 100, 127, 128, 129, 130, 143, 144, 145, 160, 255, 256, 257, 300, 1000]);
    lengths
}

/// Every clamp policy that has a name, and a large summand.
pub const LOG_CLAMPS: [LogClamp; 7] = [
    LogClamp::None,
    LogClamp::CAFFE,
    LogClamp::BURN,
    LogClamp::KERAS,
    LogClamp::PYTORCH,
    LogClamp::TENSORFLOW,
    LogClamp::AddEps(0.9),
];

/// Values where functions change their ways.
pub const SPECIAL: &[f32] = &[
    0.0,
    -0.0,
    f32::from_bits(1),
    -1e-40,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-30,
    0.5,
    -0.5,
    1.0,
    -1.0,
    core::f32::consts::LN_2,
    17.0,
    -17.0,
    87.3,
    -87.33655,
    88.722_84,
    -88.7,
    90.0,
    -100.0,
    -103.97208,
    -104.0,
    1e4,
    -1e4,
    1e38,
    -1e38,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// SplitMix64: a fixed sequence a seed.
pub struct Rng(pub u64);

impl Rng {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.bits() >> 40) as f32 / 16_777_216.0)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    pub fn row(&mut self, len: usize, low: f32, high: f32) -> Vec<f32> {
        (0..len).map(|_| self.uniform(low, high)).collect()
    }
}

/// The distance of two neighbouring f32 at the size of an exact value.
pub fn ulp(exact: f64) -> f64 {
    let exponent = exact.abs().log2().floor().max(-126.0);
    (exponent - 23.0).exp2()
}

/// The error of `got` in ULP of the exact value. Infinite where one is NaN or infinite and the other is not, or the
/// infinities differ in sign; a result at most half an ULP beyond the largest f32 may be infinite.
pub fn ulp_error(got: f32, exact: f64) -> f64 {
    if got.is_nan() || exact.is_nan() {
        return if got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if exact.is_infinite() || got.is_infinite() {
        let rounded = exact as f32;
        return if got == rounded { 0.0 } else { f64::INFINITY };
    }
    (f64::from(got) - exact).abs() / ulp(exact)
}

/// The error of a sum of two terms in ULP of the sum or of the larger term, whichever is larger.
pub fn error_of_sum(got: f32, [a, b]: [f64; 2]) -> f64 {
    let exact = a + b;
    let error = ulp_error(got, exact);
    if error == 0.0 || error.is_infinite() {
        return error;
    }
    error * ulp(exact) / ulp(exact.abs().max(a.abs()).max(b.abs()))
}

/// The worst of many errors, with its input.
pub struct Worst {
    pub ulp: f64,
    pub at: String,
}

impl Worst {
    pub fn new() -> Self {
        Self { ulp: 0.0, at: String::new() }
    }

    pub fn see(&mut self, got: f32, exact: f64, at: impl FnOnce() -> String) {
        self.see_error(ulp_error(got, exact), || {
            format!("{}: got {got:e} ({:#010x}), exact {exact:e}", at(), got.to_bits())
        });
    }

    pub fn see_error(&mut self, ulp: f64, at: impl FnOnce() -> String) {
        if ulp > self.ulp {
            *self = Self { ulp, at: at() };
        }
    }

    pub fn assert(&self, what: &str, bound: f64) {
        assert!(self.ulp <= bound, "{what}: {:.3} ULP exceeds {bound} at {}", self.ulp, self.at);
        println!("{what}: {:.3} ULP at {}", self.ulp, self.at);
    }
}

/// A buffer with sentinels around it, from any offset of a cache line.
pub struct Guarded {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

const SENTINEL: f32 = -123.456;
const MARGIN: usize = 20;

impl Guarded {
    pub fn new(values: &[f32], offset: usize) -> Self {
        let start = MARGIN + offset;
        let mut memory = vec![SENTINEL; start + values.len() + MARGIN];
        memory[start..start + values.len()].copy_from_slice(values);
        Self { memory, start, len: values.len() }
    }

    pub fn slice(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }

    /// The values, after a check that nothing was written around them.
    pub fn checked(&self) -> &[f32] {
        let outside = self.memory[..self.start].iter().chain(&self.memory[self.start + self.len..]);
        assert!(outside.copied().all(|x| x == SENTINEL), "written outside the buffer");
        &self.memory[self.start..self.start + self.len]
    }
}

/// Equal bits, where all NaNs are one.
pub fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

pub fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}
