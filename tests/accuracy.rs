//! Errors of the activations in ULP of the exact value, on every backend, against the table of bounds.
//!
//! One-argument functions on every 4096th f32 here and on all of them in `exhaustive.rs`; softmax and its relatives on
//! rows chosen to be hard (many equal terms, mixed scales, near ties, long rows) and on the worst that a search found.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::{Instant, SystemTime};
use support::oracle::shifted;
use support::{BOUNDS, Rng, Worst, backends, bound, error_of_sum, to_f64, unary, usual_bound};
use xent::{
    Backend, LogSoftmax, LogSumExp, Reduction, Rows, RowsMut, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy,
    reference,
};

#[test]
fn one_argument_functions() {
    for backend in backends() {
        for function in unary::ALL {
            let worst =
                function.worst(backend, (0..=u32::MAX / 4096).map(|i| i * 4096 + i.wrapping_mul(2_654_435_761) % 4096));
            worst.assert(&format!("{} on {backend}", function.name), bound(function.name));
        }
    }
}

#[test]
fn one_argument_functions_at_special_values() {
    for backend in backends() {
        for function in unary::ALL {
            let bits = support::SPECIAL.iter().flat_map(|x| (-2..=2).map(|step| x.to_bits().wrapping_add_signed(step)));
            let worst = function.worst(backend, bits);
            worst.assert(&format!("{} on {backend}, special values", function.name), bound(function.name));
        }
    }
}

/// Rows on which sums go wrong first.
fn hard_rows() -> Vec<Vec<f32>> {
    let mut rng = Rng(7);
    let mut rows = vec![];
    for len in support::lengths().into_iter().chain([4096, 50_000]) {
        rows.push(rng.row(len, -1.0, 1.0));
        rows.push(rng.row(len, -30.0, 30.0));
        rows.push(rng.row(len, -3000.0, 3000.0));
        // Equal terms: every addition rounds the same way.
        for distance in [0.0, 0.1, 1.3, 5.7, 17.0, 60.0, 100.0] {
            let mut row = vec![-distance; len];
            row[rng.below(len)] = 0.0;
            rows.push(row);
        }
        // A near tie, and an offset that rounds.
        let mut row = rng.row(len, 1e4 - 20.0, 1e4 - 5.0);
        row[0] = 1e4;
        row[len - 1] = 1e4_f32.next_down();
        rows.push(row);
    }
    // Every constant in turn: the worst rounding of repeated addition depends on its bits.
    for i in 0..500 {
        let mut row = vec![-0.01 * i as f32; 1 + rng.below(300)];
        row[0] = 0.0;
        rows.push(row);
    }
    rows
}

/// What is measured of a row.
const OF_ROWS: [&str; 5] = ["softmax", "log_softmax", "log_sum_exp", "softmax loss", "softmax loss gradient"];

/// The worst errors [`OF_ROWS`].
struct WorstOfRows([Worst; 5]);

impl WorstOfRows {
    fn new() -> Self {
        Self([(); 5].map(|()| Worst::new()))
    }

    /// Sees a row; the loss is that of `class`.
    fn see(&mut self, backend: Backend, row: &[f32], class: usize) {
        let Self([softmax, log_softmax, log_sum_exp, losses, gradients]) = self;
        let (n, exact) = (row.len(), shifted(row));
        let at = |i: usize| format!("element {i} of {n}, row {:?}...", &row[..n.min(4)]);
        let (mut y, mut expected) = (vec![0.0; n], vec![0.0; n]);

        Softmax::new().backend(backend).forward(row, &mut y).unwrap();
        reference::softmax(&exact, &mut expected);
        (0..n).for_each(|i| softmax.see(y[i], expected[i], || at(i)));
        let sum = to_f64(&y).iter().sum::<f64>();
        assert!((sum - 1.0).abs() < 1e-6, "{backend}: probabilities sum to {sum}, {}", at(0));

        LogSoftmax::new().backend(backend).forward(row, &mut y).unwrap();
        reference::log_softmax(&exact, &mut expected);
        (0..n).for_each(|i| log_softmax.see(y[i], expected[i], || at(i)));

        let mut out = [0.0];
        LogSumExp::new().backend(backend).forward(row, &mut out).unwrap();
        let terms = [f64::from(row[0]) - exact[0], reference::log_sum_exp(&exact)];
        log_sum_exp.see_error(error_of_sum(out[0], terms), || at(0));

        let loss = SoftmaxCrossEntropy::new().backend(backend);
        let totals = loss.loss_grad(row, &[class], &mut y).unwrap();
        let mut q = vec![0.0; n];
        reference::one_hot(class, &mut q);
        losses.see(totals.sum as f32, reference::softmax_cross_entropy(&exact, &q), || at(class));
        reference::softmax_cross_entropy_grad(&exact, &q, &mut expected);
        (0..n).for_each(|i| gradients.see(y[i], expected[i], || at(i)));
    }

    fn assert(&self, on: &str, bound: impl Fn(&str) -> f64) {
        for (name, worst) in OF_ROWS.iter().zip(&self.0) {
            worst.assert(&format!("{name} on {on}"), bound(name));
        }
    }
}

#[test]
fn softmax_and_its_relatives() {
    let rows = hard_rows();
    for backend in backends() {
        let mut worst = WorstOfRows::new();
        for row in &rows {
            worst.see(backend, row, row.len() / 2);
        }
        worst.assert(&format!("{backend}, hard rows"), usual_bound);
    }
}

/// A row of few values: each, and how often it follows. The first is the largest.
type Runs = [(f32, usize); 5];

fn row_of(runs: &Runs) -> Vec<f32> {
    runs.iter().flat_map(|&(x, n)| [x].repeat(n)).collect()
}

/// What searches such as `search_for_the_worst_rows` found, of the separate and of the fused family.
const WORST_ROWS: &[Runs] = &[
    [(0.0, 1), (-10.379805, 1), (-0.393_918_72, 46), (-3.873_628_1, 30), (0.0, 1)],
    [(0.0, 1), (-13.540945, 1), (-4.153416, 1), (-13.732438, 9), (0.0, 0)],
    [(0.0, 1), (-13.574042, 1), (-4.153966, 1), (-13.052557, 9), (0.0, 0)],
    [(0.0, 1), (-4.030_491_4, 1), (-0.104_838_17, 49), (-0.110_639_05, 29), (0.0, 2)],
    [(0.0, 1), (-4.829265, 1), (-2.883369, 1), (-11.777242, 6), (0.0, 0)],
    [(0.0, 1), (-5.580_614_6, 1), (-3.585_209_4, 1), (-13.749348, 9), (0.0, 0)],
    [(0.0, 1), (-0.293_584_6, 1), (-0.118_468_896, 108), (-12.363615, 252), (0.0, 0)],
    [(0.0, 1), (-3.831_748_7, 1), (-9.237818, 179), (-0.563_304_66, 8), (0.0, 0)],
];

#[test]
fn the_worst_rows_that_were_found() {
    for backend in backends() {
        let mut worst = WorstOfRows::new();
        for runs in WORST_ROWS {
            worst.see(backend, &row_of(runs), 0);
        }
        worst.assert(&format!("{backend}, worst rows found"), bound);
        // Otherwise they would be bad no longer, and others should be sought.
        for (name, worst) in OF_ROWS.iter().zip(&worst.0) {
            assert!(worst.ulp > usual_bound(name), "{name} on {backend}: only {} ULP", worst.ulp);
        }
    }
}

/// Climbs from random rows to rows with ever larger errors: minutes, the time per function in seconds in
/// `XENT_SEARCH_SECONDS`. `cargo test --release --test accuracy -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes; run by hand"]
fn search_for_the_worst_rows() {
    let seconds = std::env::var("XENT_SEARCH_SECONDS").map_or(30, |s| s.parse().unwrap());
    // Other rows each time.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut rng = Rng(now.as_nanos() as u64);
    let mut families: Vec<Backend> = vec![];
    for backend in backends().into_iter().rev() {
        // Those of a family have the same bits.
        if families.iter().all(|other| other.is_fused() != backend.is_fused()) {
            families.push(backend);
        }
    }
    for backend in families {
        for (function, name) in OF_ROWS.iter().enumerate() {
            let error_of = |runs: &Runs| {
                let mut worst = WorstOfRows::new();
                worst.see(backend, &row_of(runs), 0);
                worst.0[function].ulp
            };
            let start = Instant::now();
            let (mut error, mut runs) = climb(&mut rng, error_of);
            while start.elapsed().as_secs() < seconds {
                let next = climb(&mut rng, error_of);
                if next.0 > error {
                    (error, runs) = next;
                }
            }
            println!("{name} on {backend}: {error:.3} ULP of {runs:?}");
            assert!(error <= bound(name), "{name} on {backend}: {error} ULP of {runs:?}");
        }
    }
}

/// Starts at the worst of [`WORST_ROWS`] or of some random rows and changes it until many changes, one after the other,
/// have not made the error larger.
fn climb(rng: &mut Rng, error_of: impl Fn(&Runs) -> f64) -> (f64, Runs) {
    let value = |rng: &mut Rng| -rng.uniform(1e-3, 4.0) * rng.uniform(0.0, 4.0);
    // Up to a block and more.
    let count = |rng: &mut Rng| 1 + [0, rng.below(60), rng.below(300)][rng.below(3)];
    let random = |rng: &mut Rng| {
        [(0.0, 1), (value(rng), 1), (value(rng), count(rng)), (value(rng), count(rng)), (0.0, rng.below(3))]
    };
    let starts = if rng.below(4) == 0 { WORST_ROWS.to_vec() } else { (0..3000).map(|_| random(rng)).collect() };
    let with_error = |runs: Runs| (error_of(&runs), runs);
    let mut worst = starts.into_iter().map(with_error).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    let mut since = 0;
    while since < 6000 {
        let mut runs = worst.1;
        // All but the largest; 0 among them only in number.
        let i = 1 + rng.below(4);
        let (x, n) = &mut runs[i];
        match rng.below(8) {
            0 if i < 4 => *x = value(rng),
            1 | 2 if i > 1 => *n = (*n + rng.below(7)).saturating_sub(3),
            _ if i < 4 => {
                let most = [2, 20, 1000, 100_000][rng.below(4)];
                *x = f32::from_bits(x.to_bits() + rng.below(2 * most) as u32 - most as u32);
            }
            _ => continue,
        }
        let next = with_error(runs);
        since = if next.0 > worst.0 { 0 } else { since + 1 };
        if next.0 >= worst.0 {
            worst = next;
        }
    }
    worst
}

/// The sigmoid loss of single elements and its gradient. For a label in [0, 1] the two terms of the loss have one sign
/// and those of the gradient may cancel; for one outside it is the other way round. A large weight of positives makes
/// normal numbers of gradients that are subnormal without it.
#[test]
fn sigmoid_loss() {
    let bits = (0..=u32::MAX / 4096).map(|i| i * 4096 + i.wrapping_mul(2_654_435_761) % 4096);
    let all = bits.map(f32::from_bits).chain(support::SPECIAL.iter().copied());
    let x: Vec<f32> = all.filter(|x| x.is_finite()).collect();
    let plain = [0.0_f32, 1.0, 0.5, 0.01, 0.999, -0.75, 1.25, 3.0].map(|t| (t, 1.0_f32));
    for backend in backends() {
        let (mut losses, mut gradients) = (Worst::new(), Worst::new());
        for (t, pos_weight) in plain.into_iter().chain([(1.0, 1e6), (0.999, 0.25)]) {
            let (mut loss, mut gradient) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let (x_rows, targets) = (Rows::new(&x, 1), vec![t; x.len()]);
            SigmoidCrossEntropy::new()
                .pos_weight(pos_weight)
                .reduction(Reduction::Sum)
                .backend(backend)
                .losses_grad(x_rows, Rows::new(&targets, 1), &mut loss, RowsMut::new(&mut gradient, 1))
                .unwrap();
            for ((&x, &loss), &gradient) in x.iter().zip(&loss).zip(&gradient) {
                let (x, t, w) = (f64::from(x), f64::from(t), f64::from(pos_weight));
                let at = || format!("logit {x:e}, label {t}, weight {w}");
                let terms = [(1.0 - t) * reference::softplus(x), w * t * reference::softplus(-x)];
                // A weight is one more rounding, of what may be subnormal.
                if w == 1.0 {
                    losses.see_error(error_of_sum(loss, terms), at);
                }
                let terms = [(1.0 - t) * reference::sigmoid(x), -w * t * reference::sigmoid(-x)];
                gradients.see_error(error_of_sum(gradient, terms), at);
            }
        }
        losses.assert(&format!("sigmoid loss on {backend}"), bound("sigmoid loss"));
        gradients.assert(&format!("sigmoid loss gradient on {backend}"), bound("sigmoid loss gradient"));
    }
}

/// Rows of two, [x, 0], whose kernels have formulas of their own: with a row weight of 2, which changes no digit, too.
#[test]
fn two_classes() {
    let bits = (0..=u32::MAX / 4096).map(|i| i * 4096 + i.wrapping_mul(2_654_435_761) % 4096);
    let all = bits.map(f32::from_bits).chain(support::SPECIAL.iter().copied());
    let logits: Vec<f32> = all.filter(|x| x.is_finite()).flat_map(|x| [x, 0.0]).collect();
    let (rows, weights) = (Rows::new(&logits, 2), vec![2.0; logits.len() / 2]);
    for backend in backends() {
        let (mut p, mut log_p) = (vec![0.0; logits.len()], vec![0.0; logits.len()]);
        Softmax::new().backend(backend).forward(rows, RowsMut::new(&mut p, 2)).unwrap();
        LogSoftmax::new().backend(backend).forward(rows, RowsMut::new(&mut log_p, 2)).unwrap();
        let mut sums = vec![0.0; weights.len()];
        LogSumExp::new().backend(backend).forward(rows, &mut sums).unwrap();
        let mut worst = ["softmax", "log_softmax", "log_sum_exp", "softmax loss", "softmax loss gradient"]
            .map(|name| (name, Worst::new()));
        let mut see = |function: usize, got, exact, x: f64| {
            worst[function].1.see(got, exact, || format!("logits {x:e}, 0"));
        };
        for (i, row) in logits.chunks(2).enumerate() {
            let x = f64::from(row[0]);
            see(0, p[2 * i], reference::sigmoid(x), x);
            see(0, p[2 * i + 1], reference::sigmoid(-x), x);
            see(1, log_p[2 * i], -reference::softplus(-x), x);
            see(1, log_p[2 * i + 1], -reference::softplus(x), x);
            // Of m and a logarithm, which may cancel only where m is negative.
            see(2, sums[i], reference::softplus(x), x);
        }
        for class in [0_u8, 1] {
            let targets = vec![class; weights.len()];
            for weight in [1.0, 2.0] {
                let (mut losses, mut gradient) = (vec![0.0; weights.len()], vec![0.0; logits.len()]);
                let loss = SoftmaxCrossEntropy::new().reduction(Reduction::Sum).backend(backend);
                let loss = if weight == 1.0 { loss } else { loss.row_weights(&weights) };
                loss.losses_grad(rows, &targets[..], &mut losses, RowsMut::new(&mut gradient, 2)).unwrap();
                for (i, row) in logits.chunks(2).enumerate() {
                    let x = f64::from(row[0]);
                    let (of_class, sign) = if class == 0 { (x, 1.0) } else { (-x, -1.0) };
                    see(3, losses[i], weight * reference::softplus(-of_class), x);
                    see(4, gradient[2 * i], -sign * weight * reference::sigmoid(-of_class), x);
                    see(4, gradient[2 * i + 1], sign * weight * reference::sigmoid(-of_class), x);
                }
            }
        }
        for (name, worst) in worst {
            worst.assert(&format!("{name} of two classes on {backend}"), usual_bound(name));
        }
    }
}

/// Totals over many rows, and a row of many elements, lose nothing with their number.
#[test]
fn sums_do_not_lose_with_length() {
    let n = 3_000_000;
    let row: Vec<f32> = (0..n).map(|i| if i == 0 { 0.0 } else { -3.3 }).collect();
    let exact = ((n - 1) as f64 * f64::from(-3.3_f32).exp()).ln_1p();
    for backend in backends() {
        let mut out = [0.0];
        LogSumExp::new().backend(backend).forward(&row, &mut out).unwrap();
        assert!((f64::from(out[0]) / exact - 1.0).abs() < 1e-6, "{backend}: {} {exact}", out[0]);

        let targets = vec![0.0; n];
        let loss = SigmoidCrossEntropy::new().backend(backend);
        let one_row = loss.loss(&row, &targets[..]).unwrap();
        let rows = loss.loss(Rows::new(&row, 3), Rows::new(&targets, 3)).unwrap();
        let exact = core::f64::consts::LN_2 + (n - 1) as f64 * reference::softplus(f64::from(-3.3_f32));
        for totals in [one_row, rows] {
            assert!((totals.sum / exact - 1.0).abs() < 1e-6, "{backend}: {totals:?} {exact}");
        }
    }
}

/// README.md prints the table of bounds.
#[test]
fn the_readme_has_the_bounds() {
    let readme = include_str!("../README.md");
    for (name, ulp, _) in BOUNDS {
        let line = format!("| {name} | {ulp} |");
        assert!(readme.contains(&line), "README.md has no line {line:?}");
    }
}
