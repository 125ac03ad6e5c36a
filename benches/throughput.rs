//! Throughput in elements, ids `op/backend/rows x classes`: `cargo bench`.
//!
//! Shapes in L1, L2, L3 and memory, short rows, an odd length; out of place, in place, and from an unaligned start. What
//! each benchmark writes in its first run, before the timing, is compared with the reference: `cargo bench -- --test`
//! does no more than that. Comparisons with other crates and frameworks, and with the machine's limits, are beside this
//! file: see README.md.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "criterion's entry points have no docs; a benchmark may panic"
)]

use core::cell::LazyCell;
use core::hint::black_box;
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Instant;
use xent::activation::Exp;
use xent::reference::{Clamp, binary_cross_entropy, binary_cross_entropy_grad};
use xent::{
    Backend, Error, LogSoftmax, LogSumExp, ProbabilityBinaryCrossEntropy, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy,
    Softmax, SoftmaxCrossEntropy, reference,
};

/// Rows and classes: in L1, L2, L3 and memory; short rows, and longer ones that are taken many at once; an odd length; one
/// short row.
const SHAPES: [(usize, usize); 9] =
    [(1, 1000), (64, 1000), (8, 131_072), (4, 1 << 22), (4096, 2), (1024, 10), (256, 100), (1, 1003), (1, 10)];

/// Elements of the copies of a small table that are used up in place between two looks at the clock: they stay in L1, and
/// the clock adds about 2 % to 1x1000, less to others.
const COPIES: usize = 6144;

/// Elements of the largest table that is compared whole; of others, the first row and the last.
const COMPARED: usize = 1 << 20;

fn logits(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919) % 2003) as f32 / 100.0 - 10.0).collect()
}

#[derive(Clone, Copy)]
enum Memory {
    /// From one table to another.
    Apart,
    /// Each time in a fresh copy of the table: a gradient or a softmax is another input than logits.
    InPlace,
}

/// A row of a table of logits.
struct Row<'a> {
    number: usize,
    of_rows: usize,
    x: &'a [f64],
}

/// What becomes of a row.
struct Exact {
    /// Where in the output it starts.
    start: usize,
    /// Each element, and the largest term of the sum that it is: what cancels takes its digits along.
    elements: Vec<[f64; 2]>,
    loss: f64,
}

impl Exact {
    /// Elements that are no sums with cancellation, in the place of the row's.
    fn row(row: &Row<'_>, f: impl Fn(&[f64], &mut [f64])) -> Self {
        let mut y = vec![0.0; row.x.len()];
        f(row.x, &mut y);
        Self { start: row.number * y.len(), elements: y.iter().map(|&y| [y, y]).collect(), loss: 0.0 }
    }

    fn elementwise(row: &Row<'_>, f: fn(f64) -> f64) -> Self {
        Self::row(row, |x, y| x.iter().zip(y).for_each(|(x, y)| *y = f(*x)))
    }

    /// Softmax loss of any labels and its gradient, for the mean over the rows.
    fn softmax_loss(row: &Row<'_>, q: &[f64]) -> Self {
        let (total, scale) = (reference::sum(q), 1.0 / row.of_rows as f64);
        let (mut p, mut gradient) = (vec![0.0; q.len()], vec![0.0; q.len()]);
        reference::softmax(row.x, &mut p);
        reference::softmax_cross_entropy_grad(row.x, q, &mut gradient);
        // The gradient of a class that has all labels is -q (1 - p), and no sum.
        let term = |p: f64, q: f64| if q == total { 0.0 } else { q.max(total * p) };
        let elements = gradient.iter().zip(p.iter().zip(q)).map(|(g, (&p, &q))| [g * scale, term(p, q) * scale]);
        Self {
            start: row.number * q.len(),
            elements: elements.collect(),
            loss: reference::softmax_cross_entropy(row.x, q),
        }
    }

    /// A loss whose terms are elements, of labels that are 0 or 1, and its gradient, for the mean over the elements.
    fn of_elements(row: &Row<'_>, x: &[f64], t: &[f64], loss_and_gradient: fn(f64, f64) -> [f64; 2]) -> Self {
        let scale = 1.0 / (row.of_rows * t.len()) as f64;
        let mut exact = Self { start: row.number * t.len(), elements: vec![], loss: 0.0 };
        for (&x, &t) in x.iter().zip(t) {
            let [loss, gradient] = loss_and_gradient(x, t);
            exact.elements.push([gradient * scale; 2]);
            exact.loss += loss;
        }
        exact
    }
}

/// What becomes of a table.
struct Expected {
    rows: Vec<Exact>,
    /// The sum over all rows.
    loss: f64,
}

impl Expected {
    fn of(x: &[f32], classes: usize, exact: impl Fn(&Row<'_>) -> Exact) -> Self {
        let (of_rows, mut expected) = (x.len() / classes, Self { rows: vec![], loss: 0.0 });
        for (number, x_of_row) in x.chunks_exact(classes).enumerate() {
            let row = exact(&Row { number, of_rows, x: &to_f64(x_of_row) });
            expected.loss += row.loss;
            if x.len() <= COMPARED || number == 0 || number == of_rows - 1 {
                expected.rows.push(row);
            }
        }
        expected
    }

    fn check(&self, id: &str, y: &[f32], loss: f64) {
        let near = |got: f64, [exact, term]: [f64; 2]| (got - exact).abs() <= 1e-5 * exact.abs().max(term.abs());
        assert!(near(loss, [self.loss; 2]), "{id}: loss {loss:e}, exactly {:e}", self.loss);
        for Exact { start, elements, .. } in &self.rows {
            for (i, (&y, &exact)) in y[*start..][..elements.len()].iter().zip(elements).enumerate() {
                assert!(near(y.into(), exact), "{id}: element {}: {y:e}, exactly {:e}", start + i, exact[0]);
            }
        }
    }
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

/// Times `run`, which takes a backend, the number of classes, logits and an output, and gives the sum of the losses;
/// `exact` is what becomes of a row.
fn bench(
    c: &mut Criterion,
    op: &str,
    memory: Memory,
    exact: impl Fn(&Row<'_>) -> Exact,
    run: impl Fn(Backend, usize, &[f32], &mut [f32]) -> Result<f64, Error>,
) {
    let mut group = c.benchmark_group(op);
    for (rows, classes) in SHAPES {
        let x = logits(rows * classes);
        // Each copy starts at the same place of a cache line.
        let stride = x.len().next_multiple_of(16);
        let copies = match memory {
            Memory::Apart => 1,
            Memory::InPlace => (COPIES / stride).max(1),
        };
        let mut y = vec![0.0; copies * stride];
        // Not for shapes that are filtered out.
        let expected = LazyCell::new(|| Expected::of(&x, classes, &exact));
        group.throughput(Throughput::Elements(x.len() as u64));
        for backend in Backend::available() {
            // What the backend before has written is no result.
            y.fill(f32::NAN);
            let mut checked = false;
            let id = BenchmarkId::new(backend.name(), format!("{rows}x{classes}"));
            group.bench_function(id, |b| {
                let mut loss = f64::NAN;
                match memory {
                    Memory::Apart => b.iter(|| {
                        loss = run(backend, classes, &x, &mut y[..x.len()]).unwrap();
                        loss
                    }),
                    Memory::InPlace => b.iter_custom(|iterations| {
                        let (mut left, mut time) = (iterations, Duration::ZERO);
                        while left > 0 {
                            y.chunks_exact_mut(stride).for_each(|copy| copy[..x.len()].copy_from_slice(&x));
                            let start = Instant::now();
                            for copy in y.chunks_exact_mut(stride).take(left as usize) {
                                loss = black_box(run(backend, classes, &x, &mut copy[..x.len()]).unwrap());
                                left -= 1;
                            }
                            time += start.elapsed();
                        }
                        time
                    }),
                }
                if !checked {
                    expected.check(&format!("{op}/{backend}/{rows}x{classes}"), &y, loss);
                    checked = true;
                }
            });
        }
    }
}

fn activation(
    c: &mut Criterion,
    op: &str,
    memory: Memory,
    exact: impl Fn(&Row<'_>) -> Exact,
    run: impl Fn(Backend, usize, &[f32], &mut [f32]) -> Result<(), Error>,
) {
    bench(c, op, memory, exact, |b, classes, x, y| run(b, classes, x, y).map(|()| 0.0));
}

fn activations(c: &mut Criterion) {
    activation(
        c,
        "exp",
        Memory::Apart,
        |row| Exact::elementwise(row, f64::exp),
        |b, _, x, y| Exp::new().backend(b).forward(x, y),
    );
    activation(
        c,
        "sigmoid",
        Memory::Apart,
        |row| Exact::elementwise(row, reference::sigmoid),
        |b, _, x, y| Sigmoid::new().backend(b).forward(x, y),
    );
    activation(
        c,
        "softmax",
        Memory::Apart,
        |row| Exact::row(row, reference::softmax),
        |b, classes, x, y| Softmax::new().backend(b).forward(Rows::new(x, classes), RowsMut::new(y, classes)),
    );
    activation(
        c,
        "softmax_in_place",
        Memory::InPlace,
        |row| Exact::row(row, reference::softmax),
        |b, classes, _, y| Softmax::new().backend(b).forward_in_place(RowsMut::new(y, classes)),
    );
    // One element less, from the second on: no row starts where a vector would like it.
    activation(
        c,
        "softmax_unaligned",
        Memory::Apart,
        |row| {
            let start = row.number * row.x.len() + 1;
            Exact { start, ..Exact::row(&Row { x: &row.x[1..], ..*row }, reference::softmax) }
        },
        |b, stride, x, y| {
            let (rows, classes) = (x.len() / stride, stride - 1);
            let from = Rows::strided(&x[1..], rows, classes, stride);
            Softmax::new().backend(b).forward(from, RowsMut::strided(&mut y[1..], rows, classes, stride))
        },
    );
    activation(
        c,
        "log_softmax",
        Memory::Apart,
        |row| Exact::row(row, reference::log_softmax),
        |b, classes, x, y| LogSoftmax::new().backend(b).forward(Rows::new(x, classes), RowsMut::new(y, classes)),
    );
    activation(
        c,
        "log_sum_exp",
        Memory::Apart,
        |row| {
            let (sum, m) = (reference::log_sum_exp(row.x), row.x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            Exact { start: row.number, elements: vec![[sum, m.abs().max(sum - m)]], loss: 0.0 }
        },
        |b, classes, x, y| LogSumExp::new().backend(b).forward(Rows::new(x, classes), &mut y[..x.len() / classes]),
    );
    activation(
        c,
        "softmax_backward",
        Memory::Apart,
        |row| {
            let dot: f64 = row.x.iter().map(|x| x * x).sum();
            let exact = Exact::row(row, |x, dx| reference::softmax_backward(x, x, dx));
            let terms = row.x.iter().map(|x| x * dot.max(x.abs()));
            let elements = exact.elements.iter().zip(terms).map(|(&[dx, _], term)| [dx, term]).collect();
            Exact { elements, ..exact }
        },
        |b, classes, x, dx| {
            let x = Rows::new(x, classes);
            Softmax::new().backend(b).backward_from_output(x, x, RowsMut::new(dx, classes))
        },
    );
}

fn losses(c: &mut Criterion) {
    const SMOOTHING: f32 = 0.1;
    let targets = vec![0_u32; 4096];
    let one_hot = |row: &Row<'_>| {
        let mut q = vec![0.0; row.x.len()];
        reference::one_hot(0, &mut q);
        q
    };
    bench(
        c,
        "softmax_cross_entropy_grad",
        Memory::Apart,
        |row| Exact::softmax_loss(row, &one_hot(row)),
        |b, classes, x, dx| {
            let (loss, targets) = (SoftmaxCrossEntropy::new().backend(b), &targets[..x.len() / classes]);
            Ok(loss.loss_grad(Rows::new(x, classes), targets, RowsMut::new(dx, classes))?.sum)
        },
    );
    bench(
        c,
        "softmax_cross_entropy_grad_in_place",
        Memory::InPlace,
        |row| Exact::softmax_loss(row, &one_hot(row)),
        |b, classes, x, dx| {
            let (loss, targets) = (SoftmaxCrossEntropy::new().backend(b), &targets[..x.len() / classes]);
            Ok(loss.loss_grad_in_place(RowsMut::new(dx, classes), targets)?.sum)
        },
    );
    let labels: Vec<f32> = logits(4 << 22).iter().map(|x| f32::from(*x > 0.0)).collect();
    let labels_of = |row: &Row<'_>| to_f64(&labels[row.number * row.x.len()..][..row.x.len()]);
    bench(
        c,
        "sigmoid_cross_entropy_grad",
        Memory::Apart,
        |row| {
            Exact::of_elements(row, row.x, &labels_of(row), |x, t| {
                [reference::sigmoid_cross_entropy(x, t, 1.0), reference::sigmoid_cross_entropy_grad(x, t, 1.0)]
            })
        },
        |b, classes, x, dx| {
            let (loss, labels) = (SigmoidCrossEntropy::new().backend(b), Rows::new(&labels[..x.len()], classes));
            Ok(loss.loss_grad(Rows::new(x, classes), labels, RowsMut::new(dx, classes))?.sum)
        },
    );
    let probabilities: Vec<f32> = logits(4 << 22).iter().map(|x| 0.5 + x / 22.0).collect();
    let probabilities_of = |row: &Row<'_>| to_f64(&probabilities[row.number * row.x.len()..][..row.x.len()]);
    bench(
        c,
        "binary_cross_entropy_grad",
        Memory::Apart,
        |row| {
            Exact::of_elements(row, &probabilities_of(row), &labels_of(row), |p, t| {
                [binary_cross_entropy(p, t, Clamp::None), binary_cross_entropy_grad(p, t, Clamp::None)]
            })
        },
        |b, classes, x, dx| {
            let p = Rows::new(&probabilities[..x.len()], classes);
            let (loss, labels) =
                (ProbabilityBinaryCrossEntropy::new().backend(b), Rows::new(&labels[..x.len()], classes));
            Ok(loss.loss_grad(p, labels, RowsMut::new(dx, classes))?.sum)
        },
    );
    bench(
        c,
        "softmax_cross_entropy_grad_of_labels",
        Memory::Apart,
        |row| Exact::softmax_loss(row, &labels_of(row)),
        |b, classes, x, dx| {
            let (loss, labels) = (SoftmaxCrossEntropy::new().backend(b), Rows::new(&labels[..x.len()], classes));
            Ok(loss.loss_grad(Rows::new(x, classes), labels, RowsMut::new(dx, classes))?.sum)
        },
    );
    bench(
        c,
        "softmax_cross_entropy_grad_smoothed",
        Memory::Apart,
        |row| {
            let mut q = one_hot(row);
            reference::smooth(SMOOTHING.into(), &mut q);
            Exact::softmax_loss(row, &q)
        },
        |b, classes, x, dx| {
            let loss = SoftmaxCrossEntropy::new().label_smoothing(SMOOTHING).backend(b);
            let targets = &targets[..x.len() / classes];
            Ok(loss.loss_grad(Rows::new(x, classes), targets, RowsMut::new(dx, classes))?.sum)
        },
    );
}

criterion_group! {
    name = throughput;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_millis(500))
        .warm_up_time(Duration::from_millis(200));
    targets = activations, losses
}
criterion_main!(throughput);
