//! Laws that hold whatever the numbers are, in f64 or to a few ULP.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::{Rng, backends, same_bits, to_f64};
use xent::{
    Backend, HotClasses, LogSoftmax, LogSumExp, MultiLabelSoftmaxCrossEntropy, ProbabilityBinaryCrossEntropy,
    ProbabilityCrossEntropy, Reduction, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy,
    reference,
};

fn rows() -> impl Iterator<Item = Vec<f32>> {
    let mut rng = Rng(11);
    (0..400).map(move |_| {
        let (len, spread) = (1 + rng.below(200), [0.1, 3.0, 30.0][rng.below(3)]);
        rng.row(len, -spread, spread)
    })
}

#[test]
fn probabilities_sum_to_one() {
    for backend in backends() {
        for mut row in rows() {
            Softmax::new().backend(backend).forward_in_place(&mut row).unwrap();
            let sum: f64 = to_f64(&row).iter().sum();
            assert!((sum - 1.0).abs() < 4e-7, "{backend}: {sum}");
            assert!(row.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }
}

/// Adding to all logits what rounds nothing changes no bit.
#[test]
fn a_common_offset_is_nothing() {
    for backend in backends() {
        for row in rows() {
            let quantized: Vec<f32> = row.iter().map(|x| (x * 64.0).round() / 64.0).collect();
            let offset: Vec<f32> = quantized.iter().map(|x| x + 4096.0).collect();
            for loss in [0.0, 0.1].map(|e| SoftmaxCrossEntropy::new().label_smoothing(e).backend(backend)) {
                let (mut a, mut b) = (vec![0.0; row.len()], vec![0.0; row.len()]);
                let of_row = loss.loss_grad(&quantized, &[0_u8], &mut a).unwrap();
                let of_offset = loss.loss_grad(&offset, &[0_u8], &mut b).unwrap();
                assert_eq!((of_row, a), (of_offset, b), "{backend}");
            }
        }
    }
}

#[test]
fn sigmoids_of_opposites_sum_to_one() {
    for backend in backends() {
        for row in rows() {
            let (mut a, mut b) = (row.clone(), row.iter().map(|x| -x).collect::<Vec<_>>());
            Sigmoid::new().backend(backend).forward_in_place(&mut a).unwrap();
            Sigmoid::new().backend(backend).forward_in_place(&mut b).unwrap();
            assert!(a.iter().zip(&b).all(|(a, b)| (f64::from(*a) + f64::from(*b) - 1.0).abs() < 1.2e-7));
        }
    }
}

/// The gradient of any softmax loss has the sum 0.
#[test]
fn gradient_rows_sum_to_zero() {
    for backend in backends() {
        for mut row in rows() {
            let labels: Vec<f32> = row.iter().map(|x| x.abs().fract()).collect();
            let total: f64 = to_f64(&labels).iter().sum();
            let loss = SoftmaxCrossEntropy::new().backend(backend);
            loss.loss_grad_in_place(&mut row, &labels[..]).unwrap();
            let sum: f64 = to_f64(&row).iter().sum();
            assert!(sum.abs() <= 1e-6 * total.max(1e-30), "{backend}: {sum} of {total}");
        }
    }
}

/// softmax is exp of log_softmax.
#[test]
fn log_softmax_is_the_log_of_softmax() {
    for backend in backends() {
        for row in rows() {
            let (mut p, mut log_p) = (row.clone(), row.clone());
            Softmax::new().backend(backend).forward_in_place(&mut p).unwrap();
            LogSoftmax::new().backend(backend).forward_in_place(&mut log_p).unwrap();
            for (p, log_p) in p.iter().zip(&log_p) {
                let (p, exp) = (f64::from(*p), f64::from(*log_p).exp());
                assert!((p / exp - 1.0).abs() < 1e-6 * (1.0 + f64::from(log_p.abs())), "{backend}: {p} {exp}");
            }
        }
    }
}

/// The gradient is the derivative of the loss: central differences of the f64 reference, and the kernel's gradient
/// beside them. Labels such as [2, 0, 0.5, 0] tell the true gradient from the ones that only sum to 0.
#[test]
fn gradients_are_derivatives() {
    let mut rng = Rng(13);
    for _ in 0..100 {
        let n = 2 + rng.below(8);
        let (x, t) = (rng.row(n, -3.0, 3.0), rng.row(n, 0.0, 2.0));
        let t: Vec<f32> = t.iter().enumerate().map(|(i, &t)| if i % 3 == 1 { 0.0 } else { t }).collect();
        let (x64, t64) = (to_f64(&x), to_f64(&t));
        let scale = 1.0 / reference::count_nonzero(&t64);
        let derivative = |loss: &dyn Fn(&[f64]) -> f64, i: usize| {
            let h = 1e-5;
            let moved = |by: f64| {
                let mut x = x64.clone();
                x[i] += by;
                loss(&x)
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        };
        for backend in backends() {
            let mut gradient = vec![0.0; n];
            let loss = MultiLabelSoftmaxCrossEntropy::new().reduction(Reduction::Sum).backend(backend);
            loss.loss_grad(&x, &t[..], &mut gradient).unwrap();
            for i in 0..n {
                let exact = derivative(&|x| reference::multi_label_softmax(x, &t64, scale), i);
                assert!((f64::from(gradient[i]) - exact).abs() < 1e-6, "{backend}: {} {exact}", gradient[i]);
            }
            let loss = SigmoidCrossEntropy::new().pos_weight(1.7).reduction(Reduction::Sum).backend(backend);
            loss.loss_grad(&x, &t[..], &mut gradient).unwrap();
            for i in 0..n {
                let element = |x: f64| reference::sigmoid_cross_entropy(x, t64[i], f64::from(1.7_f32));
                let exact = derivative(&|x| element(x[i]), i);
                assert!((f64::from(gradient[i]) - exact).abs() < 1e-6, "{backend}: {} {exact}", gradient[i]);
            }
            // Backwards of the activations, against differences of their forwards in direction dy.
            let dy = &t;
            let through = |forward: fn(&[f64], &mut [f64])| {
                let dy = to_f64(dy);
                move |x: &[f64]| {
                    let mut y = vec![0.0; n];
                    forward(x, &mut y);
                    y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
                }
            };
            let (mut y, mut dx) = (vec![0.0; n], vec![0.0; n]);
            Softmax::new().backend(backend).forward(&x, &mut y).unwrap();
            Softmax::new().backend(backend).backward_from_output(&y, dy, &mut dx).unwrap();
            let sum = through(reference::softmax);
            assert!((0..n).all(|i| (f64::from(dx[i]) - derivative(&sum, i)).abs() < 1e-6));
            LogSoftmax::new().backend(backend).forward(&x, &mut y).unwrap();
            LogSoftmax::new().backend(backend).backward_from_output(&y, dy, &mut dx).unwrap();
            let sum = through(reference::log_softmax);
            assert!((0..n).all(|i| (f64::from(dx[i]) - derivative(&sum, i)).abs() < 3e-6));
        }
    }
}

/// A row does not depend on the others, and the totals of parts add up to those of the whole.
#[test]
fn parts_add_up() {
    let mut rng = Rng(17);
    for backend in backends() {
        let (x, classes) = (rng.row(120, -5.0, 5.0), 6);
        let targets: Vec<u8> = (0..20).map(|_| rng.below(classes) as u8).collect();
        let loss = SoftmaxCrossEntropy::new().ignore_index(3).reduction(Reduction::Sum).backend(backend);
        let mut gradient = vec![0.0; 120];
        let whole = loss.loss_grad(Rows::new(&x, 6), &targets[..], RowsMut::new(&mut gradient, 6)).unwrap();
        let mut parts = xent::Totals::default();
        for rows in [0..7, 7..8, 8..8, 8..20] {
            let (x, elements) = (&x[rows.start * 6..rows.end * 6], rows.start * 6..rows.end * 6);
            let mut part = vec![0.0; x.len()];
            parts += loss.loss_grad(Rows::new(x, 6), &targets[rows], RowsMut::new(&mut part, 6)).unwrap();
            assert_eq!(part, gradient[elements], "{backend}");
        }
        assert!((parts.sum - whole.sum).abs() < 1e-12 && (parts.weight, parts.rows) == (whole.weight, whole.rows));
    }
}

/// One huge term among many equal small ones: every addition to it rounds the same way.
#[test]
fn a_huge_term_does_not_gather_errors() {
    for backend in backends() {
        for classes in [20, 100, 128, 240, 300, 1000] {
            let mut row = vec![-10.387; classes];
            (row[1], row[classes - 1]) = (-59_164.0, 0.0);
            let loss = SoftmaxCrossEntropy::new().label_smoothing(0.4313).backend(backend);
            let got = loss.loss(&row, &[0_u8]).unwrap().sum;
            let mut q = vec![0.0; classes];
            reference::one_hot(0, &mut q);
            reference::smooth(f64::from(0.4313_f32), &mut q);
            let exact = reference::softmax_cross_entropy(&to_f64(&row), &q);
            let error = support::ulp_error(got as f32, exact);
            assert!(error <= support::usual_bound("softmax loss"), "{backend}, {classes} classes: {error} ULP");
        }
    }
}

/// A masked class has probability 0 under any scale.
#[test]
fn masked_classes_have_no_gradient() {
    for backend in backends() {
        let mut gradient = [7.0; 2];
        let loss = SoftmaxCrossEntropy::new().grad_scale(1e30).backend(backend);
        loss.loss_grad(&[0.0, f32::NEG_INFINITY], &[0_u8], &mut gradient).unwrap();
        assert_eq!(gradient, [0.0, 0.0]);
        let mut dx = [7.0; 3];
        let lse = LogSumExp::new().backend(backend);
        lse.backward_from_input(&[0.0, f32::NEG_INFINITY, -200.0], &[1e38], &mut dx).unwrap();
        assert_eq!(dx, [1e38, 0.0, 0.0]);
    }
}

/// A scale, or large labels, multiply the gradient and nothing else, as far as floats reach.
#[test]
fn scales_multiply_gradients() {
    let mut rng = Rng(26);
    for (backend, classes) in backends().into_iter().flat_map(|backend| [2, 10, 40, 200, 1000].map(|n| (backend, n))) {
        let x = rng.row(classes, -9.0, 9.0);
        let labels: Vec<f32> = (0..classes).map(|i| f32::from(i % 3 == 1)).collect();
        let hot: Vec<usize> = (0..classes).filter(|i| i % 3 == 1).collect();
        let softmax = SoftmaxCrossEntropy::new().reduction(Reduction::Sum).backend(backend);
        let multi_label = MultiLabelSoftmaxCrossEntropy::new().reduction(Reduction::Sum).backend(backend);
        let gradients = |scale: f32| {
            let large: Vec<f32> = labels.iter().map(|label| label * scale).collect();
            let (scaled, smoothed) = (softmax.grad_scale(scale), softmax.grad_scale(scale).label_smoothing(0.25));
            let mut all = [(); 7].map(|()| x.clone());
            let [index, of_class, dense, smooth, of_large, many, listed] = &mut all;
            scaled.loss_grad_in_place(index, &[1_u8]).unwrap();
            smoothed.loss_grad_in_place(of_class, &[1_u8]).unwrap();
            scaled.loss_grad_in_place(dense, &labels[..]).unwrap();
            smoothed.loss_grad_in_place(smooth, &labels[..]).unwrap();
            softmax.loss_grad_in_place(of_large, &large[..]).unwrap();
            multi_label.grad_scale(scale).loss_grad_in_place(many, &labels[..]).unwrap();
            multi_label.grad_scale(scale).loss_grad_in_place(listed, HotClasses::padded(&hot[..], hot.len())).unwrap();
            all
        };
        let plain = gradients(1.0);
        for scale in [1e-30, 1e-10, 1e10, 1e20, 1e30] {
            for (kind, (got, plain)) in gradients(scale).iter().zip(&plain).enumerate() {
                for (i, (&got, &plain)) in got.iter().zip(plain).enumerate() {
                    let (got, expected) = (f64::from(got) / f64::from(scale), f64::from(plain));
                    let label = f64::from(labels[i]) + 0.25 / classes as f64;
                    let close = (got - expected).abs() <= 1e-6 * expected.abs().max(label);
                    assert!(close, "{backend}, gradient {kind} of class {i} of {classes}: {got}, not {expected}");
                }
            }
        }
    }
}

/// The derivative of sigmoid from its input, in the tails too, where from the output it is lost.
#[test]
fn sigmoid_derivatives_from_the_input() {
    for backend in backends() {
        let x: Vec<f32> = (-103_000..103_000).map(|i| i as f32 * 1e-3).collect();
        let (mut dx, ones) = (vec![0.0; x.len()], vec![1.0; x.len()]);
        Sigmoid::new().backend(backend).backward_from_input(&x, &ones, &mut dx).unwrap();
        let mut worst = support::Worst::new();
        for (&x, &dx) in x.iter().zip(&dx) {
            worst.see(dx, reference::sigmoid_derivative(x.into()), || format!("{x:e}"));
        }
        worst.assert(&format!("sigmoid derivative on {backend}"), support::bound("sigmoid loss gradient"));
    }
}

/// A row has the same bits whatever the rows beside it, and on the backend that a call takes by itself, which looks at
/// how many rows there are.
#[test]
fn rows_do_not_depend_on_their_neighbours() {
    let mut rng = Rng(25);
    for classes in [2, 10, 31, 32, 33, 47, 64, 65, 100, 127, 128, 129, 700, 4096, 4097] {
        // More than are pending at once, and than are joined to add up their terms.
        let many = match classes {
            0..=32 => 3000 / classes + 50,
            33..=128 => 83,
            _ => 28,
        };
        for rows in [1, 2, 5, 7, 8, 9, 16, 17, 27, 33, 65, many] {
            let x = rng.row(rows * classes, -9.0, 9.0);
            let labels = rng.row(rows * classes, 0.0, 1.0);
            let targets: Vec<usize> = (0..rows).map(|row| row * 7 % classes).collect();
            for backend in backends() {
                let mut tables = vec![of_table(Some(backend), &x, &labels, &targets)];
                if backend == Backend::active() {
                    tables.push(of_table(None, &x, &labels, &targets));
                }
                for row in 0..rows {
                    let here = row * classes..(row + 1) * classes;
                    let alone = of_table(Some(backend), &x[here.clone()], &labels[here], &targets[row..=row]);
                    for together in &tables {
                        for ((name, alone), (_, together)) in alone.iter().zip(together) {
                            let there = &together[row * alone.len()..][..alone.len()];
                            assert!(same_bits(alone, there), "{name}, row {row} of {rows}x{classes} on {backend}");
                        }
                    }
                }
            }
        }
    }
}

/// What the operations make of a table, by name, one after the other for each row.
fn of_table(backend: Option<Backend>, x: &[f32], labels: &[f32], targets: &[usize]) -> Vec<(&'static str, Vec<f32>)> {
    let (rows, classes) = (targets.len(), x.len() / targets.len());
    let table = Rows::new(x, classes);
    let (mut softmax, mut log_softmax, mut lse) = (Softmax::new(), LogSoftmax::new(), LogSumExp::new());
    let mut loss = SoftmaxCrossEntropy::new().reduction(Reduction::Sum);
    let mut sigmoid_loss = SigmoidCrossEntropy::new().reduction(Reduction::Sum);
    let mut of_probabilities = ProbabilityCrossEntropy::new().reduction(Reduction::Sum);
    let mut binary = ProbabilityBinaryCrossEntropy::new().reduction(Reduction::Sum);
    if let Some(backend) = backend {
        (softmax, log_softmax, lse) = (softmax.backend(backend), log_softmax.backend(backend), lse.backend(backend));
        (loss, sigmoid_loss) = (loss.backend(backend), sigmoid_loss.backend(backend));
        (of_probabilities, binary) = (of_probabilities.backend(backend), binary.backend(backend));
    }
    let (mut p, mut log_p, mut sums) = (x.to_vec(), x.to_vec(), vec![7.0; rows]);
    softmax.forward(table, RowsMut::new(&mut p, classes)).unwrap();
    log_softmax.forward_in_place(RowsMut::new(&mut log_p, classes)).unwrap();
    lse.forward(table, &mut sums).unwrap();
    let (upstream, mut of_softmax, mut of_log) = (Rows::new(labels, classes), x.to_vec(), x.to_vec());
    softmax.backward_from_output(Rows::new(&p, classes), upstream, RowsMut::new(&mut of_softmax, classes)).unwrap();
    log_softmax.backward_from_output(Rows::new(&log_p, classes), upstream, RowsMut::new(&mut of_log, classes)).unwrap();
    let (probabilities, labels_of_p) = (Rows::new(&p, classes), Rows::new(labels, classes));
    let (mut losses, mut gradient) = (vec![7.0; rows], x.to_vec());
    of_probabilities
        .losses_grad(probabilities, labels_of_p, &mut losses, RowsMut::new(&mut gradient, classes))
        .unwrap();
    let mut of_p = vec![("cross-entropy", losses), ("cross-entropy gradient", gradient)];
    let (mut losses, mut gradient) = (vec![7.0; rows], p.clone());
    binary.losses_grad_in_place(RowsMut::new(&mut gradient, classes), labels_of_p, &mut losses).unwrap();
    of_p.extend([("binary cross-entropy", losses), ("binary cross-entropy gradient", gradient)]);
    let mut all = vec![("softmax", p), ("log_softmax", log_p), ("log_sum_exp", sums)];
    all.extend([("softmax backward", of_softmax), ("log_softmax backward", of_log)]);
    let weights: Vec<f32> = (0..classes).map(|class| (class % 7) as f32 / 4.0).collect();
    for (smoothing, weighted) in [(0.0, false), (0.1, false), (0.0, true), (0.1, true)] {
        let (mut losses, mut gradient) = (vec![7.0; rows], x.to_vec());
        let mut loss = loss.label_smoothing(smoothing);
        if weighted {
            loss = loss.class_weights(&weights).ignore_index(1);
        }
        loss.losses_grad_in_place(RowsMut::new(&mut gradient, classes), targets, &mut losses).unwrap();
        all.extend([("softmax loss", losses), ("softmax loss gradient", gradient)]);
    }
    let labels = Rows::new(labels, classes);
    let (mut losses, mut gradient) = (vec![7.0; rows], x.to_vec());
    loss.losses_grad(table, labels, &mut losses, RowsMut::new(&mut gradient, classes)).unwrap();
    all.extend([("softmax loss of labels", losses), ("softmax loss gradient of labels", gradient)]);
    let mut multi = MultiLabelSoftmaxCrossEntropy::new().reduction(Reduction::Sum);
    if let Some(backend) = backend {
        multi = multi.backend(backend);
    }
    let (mut losses, mut gradient) = (vec![7.0; rows], x.to_vec());
    multi.losses_grad(table, labels, &mut losses, RowsMut::new(&mut gradient, classes)).unwrap();
    all.extend([("multi-label loss", losses), ("multi-label loss gradient", gradient)]);
    for (pos_weight, smoothing) in [(1.0, 0.0), (2.5, 0.1)] {
        let (mut losses, mut gradient) = (vec![7.0; rows], x.to_vec());
        let sigmoid_loss = sigmoid_loss.pos_weight(pos_weight).label_smoothing(smoothing);
        sigmoid_loss.losses_grad(table, labels, &mut losses, RowsMut::new(&mut gradient, classes)).unwrap();
        all.extend([("sigmoid loss", losses), ("sigmoid loss gradient", gradient)]);
    }
    let (mut losses, mut gradient) = (vec![7.0; rows], x.to_vec());
    let sigmoid_loss = sigmoid_loss.class_weights(&weights);
    sigmoid_loss.losses_grad(table, labels, &mut losses, RowsMut::new(&mut gradient, classes)).unwrap();
    all.extend([("weighted sigmoid loss", losses), ("weighted sigmoid loss gradient", gradient)]);
    all.extend(of_p);
    all
}
