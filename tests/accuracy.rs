//! Errors of the activations in ULP of the exact value, on every backend, against the table of bounds.
//!
//! One-argument functions on every 4096th f32 here and on all of them in `exhaustive.rs`; softmax and its relatives on
//! rows chosen to be hard: many equal terms, mixed scales, near ties, long rows.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::oracle::shifted;
use support::{BOUNDS, Rng, Worst, backends, bound, to_f64, unary};
use xent::{
    LogSoftmax, LogSumExp, Reduction, Rows, RowsMut, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy, reference,
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

#[test]
fn softmax_and_its_relatives() {
    let rows = hard_rows();
    for backend in backends() {
        let (mut softmax, mut log_softmax, mut lse) = (Worst::new(), Worst::new(), Worst::new());
        let (mut losses, mut gradients) = (Worst::new(), Worst::new());
        let mut sums = 0.0_f64;
        for row in &rows {
            let (n, exact) = (row.len(), shifted(row));
            let at = |i: usize| format!("element {i} of {n}, row {:?}...", &row[..n.min(4)]);
            let (mut y, mut expected) = (vec![0.0; n], vec![0.0; n]);

            Softmax::new().backend(backend).forward(row, &mut y).unwrap();
            reference::softmax(&exact, &mut expected);
            (0..n).for_each(|i| softmax.see(y[i], expected[i], || at(i)));
            sums = sums.max((to_f64(&y).iter().sum::<f64>() - 1.0).abs());

            LogSoftmax::new().backend(backend).forward(row, &mut y).unwrap();
            reference::log_softmax(&exact, &mut expected);
            (0..n).for_each(|i| log_softmax.see(y[i], expected[i], || at(i)));

            let mut out = [0.0];
            LogSumExp::new().backend(backend).forward(row, &mut out).unwrap();
            let (m, log) = (f64::from(row[0]) - exact[0], reference::log_sum_exp(&exact));
            // In ULP of the larger of its two terms: the sum may cancel.
            let scale = support::ulp(m + log) / support::ulp(m.abs().max(log));
            if (m + log).abs() > 0.5 * m.abs().max(log) || scale >= 1.0 {
                lse.see(out[0], m + log, || at(0));
            }

            let class = n / 2;
            let loss = SoftmaxCrossEntropy::new().backend(backend);
            let totals = loss.loss_grad(row, &[class], &mut y).unwrap();
            let mut q = vec![0.0; n];
            reference::one_hot(class, &mut q);
            losses.see(totals.sum as f32, reference::softmax_cross_entropy(&exact, &q), || at(class));
            reference::softmax_cross_entropy_grad(&exact, &q, &mut expected);
            (0..n).for_each(|i| gradients.see(y[i], expected[i], || at(i)));
        }
        softmax.assert(&format!("softmax on {backend}"), bound("softmax"));
        log_softmax.assert(&format!("log_softmax on {backend}"), bound("log_softmax"));
        lse.assert(&format!("log_sum_exp on {backend}"), bound("log_sum_exp"));
        losses.assert(&format!("softmax loss on {backend}"), bound("softmax loss"));
        gradients.assert(&format!("softmax loss gradient on {backend}"), bound("softmax loss gradient"));
        assert!(sums < 1e-6, "probabilities of a row sum to 1 only within {sums:e}");
    }
}

/// Error of a sum of two terms in ULP of the sum or of the larger term, whichever is larger.
fn error_of_sum(got: f32, [a, b]: [f64; 2]) -> f64 {
    let exact = a + b;
    let size = exact.abs().max(a.abs()).max(b.abs());
    support::ulp_error(got, exact) * support::ulp(exact) / support::ulp(size)
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
    for (name, ulp) in BOUNDS {
        let line = format!("| {name} | {ulp} |");
        assert!(readme.contains(&line), "README.md has no line {line:?}");
    }
}
