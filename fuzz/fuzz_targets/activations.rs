//! Every activation, forward and backward, on every backend: in place as out of place, backends of a family bit for bit
//! alike, and all within their bounds of `xent::reference`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent::activation::{Exp, Ln, Log1p};
use xent::{Backend, EmptyRow, Error, LogSigmoid, LogSoftmax, LogSumExp, Sigmoid, Softmax, Softplus, reference};
use xent_fuzz::support::{backends, bound, error_of_sum, oracle, same_bits, to_f64, ulp, ulp_error};
use xent_fuzz::{Input, Table};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (rows, classes) = input.shape();
    let (x, dy, to) =
        (table(&mut input, rows, classes), table(&mut input, rows, classes), table(&mut input, rows, classes));
    let to = to.blank();
    let empty_row = input.pick(&[EmptyRow::Nan, EmptyRow::Zero]);
    let left_out = |x: &[f32]| empty_row == EmptyRow::Zero && x.iter().all(|&x| x == f32::NEG_INFINITY);
    // The exact values of a backward, 0 where all of the output is `of_empty`.
    let unless_left_out = |of_empty: f64, backward: fn(&[f64], &[f64]) -> Vec<Term>| {
        move |y: &[f64], dy: &[f64]| {
            let is_left_out = empty_row == EmptyRow::Zero && y.iter().all(|&y| y == of_empty);
            if is_left_out { vec![Term::ZERO; classes] } else { backward(y, dy) }
        }
    };
    let (softmax, log_softmax) = (Softmax::new().empty_row(empty_row), LogSoftmax::new().empty_row(empty_row));

    /// Checks a forward; `$exact` gives the exact values of a row.
    macro_rules! forward {
        ($name:literal, $activation:expr, $exact:expr) => {{
            let out = |backend, y: &mut Table| $activation.backend(backend).forward(x.rows(), y.rows_mut());
            let over = |backend, x: &mut Table| $activation.backend(backend).forward_in_place(x.rows_mut());
            for (backend, y) in everywhere(&x, &to, out, over) {
                for row in 0..rows {
                    let exact: Vec<f64> = $exact(x.row(row));
                    for (&y, &exact) in y.row(row).iter().zip(&exact) {
                        let error = ulp_error(y, exact);
                        let x = x.row(row);
                        assert!(
                            error <= const { bound($name) },
                            "{backend} {}: {y:e}, {error} ULP from {exact:e}, of {x:?}",
                            $name
                        );
                    }
                }
            }
        }};
    }
    /// Checks a backward at a table; `$terms` gives the exact values of a row.
    macro_rules! backward {
        ($activation:expr, $method:ident, $in_place:ident, $at:expr, $terms:expr) => {{
            let at = &$at;
            let out =
                |backend, dx: &mut Table| $activation.backend(backend).$method(at.rows(), dy.rows(), dx.rows_mut());
            let over = |backend, dy: &mut Table| $activation.backend(backend).$in_place(at.rows(), dy.rows_mut());
            for (backend, dx) in everywhere(&dy, &to, out, over) {
                for row in 0..rows {
                    let terms: Vec<Term> = $terms(&to_f64(at.row(row)), &to_f64(dy.row(row)));
                    for (i, (&dx, term)) in dx.row(row).iter().zip(&terms).enumerate() {
                        let (at, dy) = (at.row(row), dy.row(row));
                        assert!(
                            term.is_met(dx, ULPS),
                            "{backend}: {dx:e} at {i}, exactly {term:?}, at {at:?}, dy {dy:?}"
                        );
                    }
                }
            }
        }};
    }
    macro_rules! from_input {
        ($activation:expr, $slope:expr) => {
            backward!($activation, backward_from_input, backward_from_input_in_place, x, |x, dy| chain(x, dy, $slope))
        };
    }
    macro_rules! from_output {
        ($activation:expr, $y:expr, $terms:expr) => {
            backward!($activation, backward_from_output, backward_from_output_in_place, $y, $terms)
        };
    }

    match input.below(15) {
        0 => forward!("exp", Exp::new(), |x| map(x, f64::exp)),
        1 => forward!("ln", Ln::new(), |x| map(x, f64::ln)),
        2 => forward!("log1p", Log1p::new(), |x| map(x, f64::ln_1p)),
        3 => forward!("sigmoid", Sigmoid::new(), |x| map(x, reference::sigmoid)),
        4 => forward!("log_sigmoid", LogSigmoid::new(), |x| map(x, reference::log_sigmoid)),
        5 => forward!("softplus", Softplus::new(), |x| map(x, reference::softplus)),
        6 => forward!("softmax", softmax, |x| {
            let mut y = vec![0.0; classes];
            if !left_out(x) {
                reference::softmax(&oracle::shifted(x), &mut y);
            }
            y
        }),
        7 => forward!("log_softmax", log_softmax, |x| {
            let mut y = vec![f64::NEG_INFINITY; classes];
            if !left_out(x) {
                reference::log_softmax(&oracle::shifted(x), &mut y);
            }
            y
        }),
        8 => from_input!(Sigmoid::new(), reference::sigmoid_derivative),
        9 => from_input!(LogSigmoid::new(), reference::log_sigmoid_derivative),
        10 => from_input!(Softplus::new(), reference::softplus_derivative),
        11 => from_output!(Sigmoid::new(), x, |y, dy| chain(y, dy, |y| y * (1.0 - y))),
        12 => {
            let mut y = x.clone();
            softmax.forward_in_place(y.rows_mut()).unwrap();
            from_output!(softmax, y, unless_left_out(0.0, softmax_backward));
        }
        13 => {
            let mut y = x.clone();
            log_softmax.forward_in_place(y.rows_mut()).unwrap();
            from_output!(log_softmax, y, unless_left_out(f64::NEG_INFINITY, log_softmax_backward));
        }
        _ => log_sum_exp(&x, &to, &input.vec(rows, Input::logit)),
    }
});

fn table(input: &mut Input<'_>, rows: usize, classes: usize) -> Table {
    let (gap, start) = (input.pick(&[0, 0, 1, 3, 4]), input.below(16));
    Table::new(&input.vec(rows * classes, Input::logit), classes, gap, start)
}

/// The results of every backend, after the checks that need no exact values. `from` is what is overwritten in place.
fn everywhere(
    from: &Table,
    to: &Table,
    out_of_place: impl Fn(Backend, &mut Table) -> Result<(), Error>,
    in_place: impl Fn(Backend, &mut Table) -> Result<(), Error>,
) -> Vec<(Backend, Table)> {
    let mut results: Vec<(Backend, Table)> = vec![];
    for backend in backends() {
        let (mut result, mut over) = (to.clone(), from.clone());
        out_of_place(backend, &mut result).unwrap();
        in_place(backend, &mut over).unwrap();
        result.check_gaps();
        over.check_gaps();
        assert!(result.same_rows(&over), "{backend}: in place differs");
        for (other, before) in &results {
            let alike = other.is_fused() != backend.is_fused() || result.same_rows(before);
            assert!(alike, "{other} and {backend} differ");
        }
        results.push((backend, result));
    }
    results
}

fn map(x: &[f32], exact: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|&x| exact(x.into())).collect()
}

/// The smallest f32.
const TINY: f64 = 1.401_298_464_324_817e-45;
/// Softmax kernels take exp(x - m) below this, exp(-131), as 0: a large factor makes the rest visible.
const LEAST_EXP: f64 = 1.3e-57;

/// What an element of a gradient should be.
#[derive(Clone, Debug)]
struct Term {
    exact: f64,
    /// Of its largest term, in whose ULP errors count.
    size: f64,
    /// What underflow on the way may cost.
    slack: f64,
    /// The largest finite number on the way.
    largest: f64,
}

/// The bound where no sum of exponentials is on the way.
const ULPS: f64 = bound("sigmoid loss gradient");

impl Term {
    const ZERO: Self = Self { exact: 0.0, size: 0.0, slack: 0.0, largest: 0.0 };

    /// Whether `got` is that, within `ulps`.
    fn is_met(&self, got: f32, ulps: f64) -> bool {
        if self.largest > f64::from(f32::MAX) * 0.99 {
            return true; // beyond f32 on the way
        }
        if self.exact.is_infinite() || self.slack.is_infinite() {
            return !got.is_finite(); // an infinity times a factor that is 0 in f64, in f32 or in both
        }
        // One more for the product with dy.
        let tolerance = (ulps + 1.0) * ulp(self.size) + self.slack;
        ulp_error(got, self.exact) == 0.0 || (f64::from(got) - self.exact).abs() <= tolerance
    }
}

/// `dx = dy * slope(at)`
fn chain(at: &[f64], dy: &[f64], slope: impl Fn(f64) -> f64) -> Vec<Term> {
    let term = |(&at, &dy): (&f64, &f64)| {
        let (exact, largest) = (dy * slope(at), if at.is_finite() { slope(at).abs() } else { 0.0 });
        Term { exact, size: exact.abs(), slack: 2.0 * dy.abs() * TINY, largest }
    };
    at.iter().zip(dy).map(term).collect()
}

/// `dx_i = y_i dy_i - y_i sum_j y_j dy_j`
fn softmax_backward(y: &[f64], dy: &[f64]) -> Vec<Term> {
    let mut exact = vec![0.0; y.len()];
    reference::softmax_backward(y, dy, &mut exact);
    let sum: f64 = y.iter().zip(dy).map(|(y, dy)| (y * dy).abs()).sum();
    let largest = finite(sum + largest(dy));
    let term = |((&y, &dy), exact): ((&f64, &f64), f64)| Term {
        exact,
        size: y * sum.max(dy.abs()),
        slack: y * 300.0 * TINY,
        largest,
    };
    y.iter().zip(dy).zip(exact).map(term).collect()
}

/// `dx_i = dy_i - exp(y_i) sum_j dy_j`
fn log_softmax_backward(y: &[f64], dy: &[f64]) -> Vec<Term> {
    let mut exact = vec![0.0; y.len()];
    reference::log_softmax_backward(y, dy, &mut exact);
    let sum: f64 = dy.iter().map(|dy| dy.abs()).sum();
    let term = |((&y, &dy), exact): ((&f64, &f64), f64)| Term {
        exact,
        size: dy.abs().max(y.exp() * sum),
        slack: 2.0 * sum * TINY,
        largest: finite(sum),
    };
    y.iter().zip(dy).zip(exact).map(term).collect()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest, x| largest.max(x.abs()))
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { 0.0 }
}

/// One number a row, and its backward: `dx_i = softmax(x)_i dy`.
fn log_sum_exp(x: &Table, to: &Table, dy: &[f32]) {
    let mut before: Vec<(Backend, Vec<f32>)> = vec![];
    for backend in backends() {
        let mut y = vec![7.0; x.len()];
        LogSumExp::new().backend(backend).forward(x.rows(), &mut y).unwrap();
        for (row, &y) in y.iter().enumerate() {
            let shifted = oracle::shifted(x.row(row));
            let m = x.row(row).iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let m = if m.is_finite() { f64::from(m) } else { 0.0 };
            let log = reference::log_sum_exp(&shifted);
            let error = error_of_sum(y, [m, log]);
            assert!(
                error <= const { bound("log_sum_exp") },
                "{backend}: {y:e}, {error} ULP from {:e}, of {:?}",
                m + log,
                x.row(row)
            );
        }
        for (other, before) in &before {
            let alike = other.is_fused() != backend.is_fused() || same_bits(before, &y);
            assert!(alike, "{other} and {backend} differ");
        }
        before.push((backend, y));
    }

    let out =
        |backend, dx: &mut Table| LogSumExp::new().backend(backend).backward_from_input(x.rows(), dy, dx.rows_mut());
    let over =
        |backend, x: &mut Table| LogSumExp::new().backend(backend).backward_from_input_in_place(dy, x.rows_mut());
    for (backend, dx) in everywhere(x, to, out, over) {
        for (row, &dy) in dy.iter().enumerate() {
            let mut exact = vec![0.0; x.row(row).len()];
            reference::log_sum_exp_backward(&oracle::shifted(x.row(row)), dy.into(), &mut exact);
            for (&dx, exact) in dx.row(row).iter().zip(exact) {
                let term = Term { exact, size: exact.abs(), slack: f64::from(dy.abs()) * LEAST_EXP, largest: 0.0 };
                let is_met = term.is_met(dx, const { bound("softmax loss gradient") });
                assert!(is_met, "{backend}: {dx:e}, exactly {exact:e}, at {:?}, dy {dy:e}", x.row(row));
            }
        }
    }
}
