//! Throughput in elements, ids `op/backend/rows x classes`: `cargo bench`.
//!
//! Shapes in L1, L2, L3 and memory, short rows, an odd length; out of place, in place, and from an unaligned start. Each
//! result is compared with the reference before it is timed. `cargo test --benches` runs every benchmark once. Comparisons
//! with other crates and frameworks, and with the machine's limits, are beside this file: see README.md.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's entry points have no docs; a benchmark may panic")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use xent::activation::Exp;
use xent::{
    Backend, LogSoftmax, LogSumExp, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy,
    reference,
};

/// Rows and classes: in L1, L2, L3 and memory; short rows, and longer ones that are taken many at once; an odd length; one
/// short row.
const SHAPES: [(usize, usize); 9] =
    [(1, 1000), (64, 1000), (8, 131_072), (4, 1 << 22), (4096, 2), (1024, 10), (256, 100), (1, 1003), (1, 10)];

fn logits(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919) % 2003) as f32 / 100.0 - 10.0).collect()
}

fn bench(
    c: &mut Criterion,
    op: &str,
    check: impl Fn(Backend),
    mut run: impl FnMut(Backend, usize, &[f32], &mut [f32]),
) {
    let mut group = c.benchmark_group(op);
    for (rows, classes) in SHAPES {
        let x = logits(rows * classes);
        let mut y = x.clone();
        group.throughput(Throughput::Elements(x.len() as u64));
        for backend in Backend::available() {
            check(backend);
            group.bench_function(BenchmarkId::new(backend.name(), format!("{rows}x{classes}")), |b| {
                b.iter(|| run(backend, classes, &x, &mut y));
            });
        }
    }
}

/// An activation must be near the reference on a small row before it is timed.
fn near(forward: impl Fn(&[f32], &mut [f32]), exact: impl Fn(&[f64], &mut [f64])) {
    let x = logits(37);
    let (mut y, mut expected) = (vec![0.0; 37], vec![0.0; 37]);
    forward(&x, &mut y);
    exact(&x.iter().map(|&x| x.into()).collect::<Vec<f64>>(), &mut expected);
    for (y, expected) in y.iter().zip(&expected) {
        assert!((f64::from(*y) - expected).abs() <= 1e-5 * expected.abs(), "{y} {expected}");
    }
}

fn activations(c: &mut Criterion) {
    let elementwise = |f: fn(f64) -> f64| move |x: &[f64], y: &mut [f64]| x.iter().zip(y).for_each(|(x, y)| *y = f(*x));
    bench(
        c,
        "exp",
        |b| near(|x, y| Exp::new().backend(b).forward(x, y).unwrap(), elementwise(f64::exp)),
        |b, _, x, y| Exp::new().backend(b).forward(x, y).unwrap(),
    );
    bench(
        c,
        "sigmoid",
        |b| near(|x, y| Sigmoid::new().backend(b).forward(x, y).unwrap(), elementwise(reference::sigmoid)),
        |b, _, x, y| Sigmoid::new().backend(b).forward(x, y).unwrap(),
    );
    bench(
        c,
        "softmax",
        |b| near(|x, y| Softmax::new().backend(b).forward(x, y).unwrap(), reference::softmax),
        |b, classes, x, y| {
            Softmax::new().backend(b).forward(Rows::new(x, classes), RowsMut::new(y, classes)).unwrap();
        },
    );
    bench(
        c,
        "softmax_in_place",
        |_| (),
        |b, classes, _, y| Softmax::new().backend(b).forward_in_place(RowsMut::new(y, classes)).unwrap(),
    );
    bench(
        c,
        "softmax_unaligned",
        |_| (),
        |b, classes, x, y| {
            // One element less, from the second on: no row starts where a vector would like it.
            let (rows, classes) = (x.len() / classes, classes - 1);
            let (from, to) = (x.get(1..).unwrap(), y.get_mut(1..).unwrap());
            let stride = classes + 1;
            let from = Rows::strided(from, rows, classes, stride);
            Softmax::new().backend(b).forward(from, RowsMut::strided(to, rows, classes, stride)).unwrap();
        },
    );
    bench(
        c,
        "log_softmax",
        |b| near(|x, y| LogSoftmax::new().backend(b).forward(x, y).unwrap(), reference::log_softmax),
        |b, classes, x, y| {
            LogSoftmax::new().backend(b).forward(Rows::new(x, classes), RowsMut::new(y, classes)).unwrap();
        },
    );
    bench(
        c,
        "log_sum_exp",
        |_| (),
        |b, classes, x, y| {
            let out = y.get_mut(..x.len() / classes).unwrap();
            LogSumExp::new().backend(b).forward(Rows::new(x, classes), out).unwrap();
        },
    );
    bench(
        c,
        "softmax_backward",
        |_| (),
        |b, classes, x, dx| {
            let x = Rows::new(x, classes);
            Softmax::new().backend(b).backward_from_output(x, x, RowsMut::new(dx, classes)).unwrap();
        },
    );
}

fn losses(c: &mut Criterion) {
    let one_hot = |x: &[f64], ds: &mut [f64]| {
        let mut q = vec![0.0; x.len()];
        reference::one_hot(0, &mut q);
        reference::softmax_cross_entropy_grad(x, &q, ds);
    };
    let targets = vec![0_u32; 4096];
    bench(
        c,
        "softmax_cross_entropy_grad",
        |b| {
            let gradient = |x: &[f32], dx: &mut [f32]| {
                SoftmaxCrossEntropy::new().backend(b).loss_grad(x, &[0_u8], dx).unwrap();
            };
            near(gradient, one_hot);
        },
        |b, classes, x, dx| {
            let (loss, targets) = (SoftmaxCrossEntropy::new().backend(b), targets.get(..x.len() / classes).unwrap());
            loss.loss_grad(Rows::new(x, classes), targets, RowsMut::new(dx, classes)).unwrap();
        },
    );
    bench(
        c,
        "softmax_cross_entropy_grad_in_place",
        |_| (),
        |b, classes, x, dx| {
            let (loss, targets) = (SoftmaxCrossEntropy::new().backend(b), targets.get(..x.len() / classes).unwrap());
            loss.loss_grad_in_place(RowsMut::new(dx, classes), targets).unwrap();
        },
    );
    let labels: Vec<f32> = logits(4 << 22).iter().map(|x| f32::from(*x > 0.0)).collect();
    bench(
        c,
        "sigmoid_cross_entropy_grad",
        |_| (),
        |b, classes, x, dx| {
            let (loss, labels) = (SigmoidCrossEntropy::new().backend(b), labels.get(..x.len()).unwrap());
            loss.loss_grad(Rows::new(x, classes), Rows::new(labels, classes), RowsMut::new(dx, classes)).unwrap();
        },
    );
    bench(
        c,
        "softmax_cross_entropy_grad_of_labels",
        |_| (),
        |b, classes, x, dx| {
            let (loss, labels) = (SoftmaxCrossEntropy::new().backend(b), labels.get(..x.len()).unwrap());
            loss.loss_grad(Rows::new(x, classes), Rows::new(labels, classes), RowsMut::new(dx, classes)).unwrap();
        },
    );
    bench(
        c,
        "softmax_cross_entropy_grad_smoothed",
        |_| (),
        |b, classes, x, dx| {
            let targets = targets.get(..x.len() / classes).unwrap();
            let loss = SoftmaxCrossEntropy::new().label_smoothing(0.1).backend(b);
            loss.loss_grad(Rows::new(x, classes), targets, RowsMut::new(dx, classes)).unwrap();
        },
    );
}

criterion_group! {
    name = throughput;
    config = Criterion::default().sample_size(10).measurement_time(core::time::Duration::from_millis(500))
        .warm_up_time(core::time::Duration::from_millis(200));
    targets = activations, losses
}
criterion_main!(throughput);
