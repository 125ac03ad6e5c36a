//! What is timed: operations, shapes, contenders.

use crate::batch::{Batch, Exact, Shape};
use crate::{libm_loop, rten};
use candle_core::Tensor;
use xent::activation::Exp;
use xent::{LogSoftmax, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy, reference};

pub type Run = fn(&mut Batch);

pub struct Op {
    pub name: &'static str,
    pub shapes: &'static [&'static [Shape]],
    pub contenders: &'static [(&'static str, Run)],
    pub exact: fn(&Batch) -> Exact,
}

pub const IN_CACHE: &[Shape] = &[(1, 1024), (1, 4096), (1, 16_384)];
const IN_MEMORY: &[Shape] = &[(1, 1 << 22)];
/// Where softmax is compared with one pass of exp over the same numbers.
pub const BESIDE_EXP: &[Shape] = &[(1, 1024), (1, 4096), (64, 1024), (16, 4096)];
pub const ROW: &[Shape] = &[(1, 10)];
pub const SHORT_ROWS: &[Shape] = &[(4096, 2), (1024, 10)];
/// Longer ones that are still taken many at once.
pub const ROWS_OF_A_BLOCK: &[Shape] = &[(256, 33), (256, 64), (256, 100)];
pub const LONG_ROWS: &[Shape] =
    &[(64, 128), (64, 256), (64, 1000), (64, 1024), (16, 4096), (2, 32_000), (8, 32_000), (8, 131_072)];

const ELEMENTS: &[&[Shape]] = &[IN_CACHE, &[(64, 1024), (16, 4096)], IN_MEMORY];
const TABLES: &[&[Shape]] = &[&[(1, 10), (1, 1024), (1, 4096)], SHORT_ROWS, ROWS_OF_A_BLOCK, LONG_ROWS];

/// xent's fastest backend is `xent`, its portable vectors are `wide`. candle allocates its results, as its callers must.
pub const OPS: &[Op] = &[
    Op {
        name: "exp",
        shapes: ELEMENTS,
        contenders: &[
            ("xent", |b| Exp::new().forward(&b.x[..], &mut b.y[..]).unwrap()),
            ("rten", |b| rten::exp(&b.x, &mut b.y)),
            ("candle", |b| b.candle.forward(Tensor::exp)),
            ("libm", |b| map(b, libm::expf)),
        ],
        exact: |b| each(b, f64::exp),
    },
    Op {
        name: "exp in place",
        shapes: &[IN_CACHE],
        contenders: &[
            ("xent", |b| Exp::new().forward_in_place(b.restored()).unwrap()),
            ("rten", |b| rten::exp_in_place(b.restored())),
            ("libm", |b| b.restored().iter_mut().for_each(|x| *x = libm::expf(*x))),
        ],
        exact: |b| each(b, f64::exp),
    },
    Op {
        name: "sigmoid",
        shapes: &[IN_CACHE, IN_MEMORY],
        contenders: &[
            ("xent", |b| Sigmoid::new().forward(&b.x[..], &mut b.y[..]).unwrap()),
            ("rten", |b| rten::sigmoid(&b.x, &mut b.y)),
            ("candle", |b| b.candle.forward(candle_nn::ops::sigmoid)),
            ("libm", |b| map(b, libm_loop::sigmoid)),
        ],
        exact: |b| each(b, reference::sigmoid),
    },
    Op {
        name: "sigmoid in place",
        shapes: &[IN_CACHE],
        contenders: &[
            ("xent", |b| Sigmoid::new().forward_in_place(b.restored()).unwrap()),
            ("rten", |b| rten::sigmoid_in_place(b.restored())),
            ("libm", |b| b.restored().iter_mut().for_each(|x| *x = libm_loop::sigmoid(*x))),
        ],
        exact: |b| each(b, reference::sigmoid),
    },
    Op {
        name: "softmax",
        shapes: TABLES,
        contenders: &[
            ("xent", |b| softmax(b, Softmax::new())),
            ("wide", |b| softmax(b, Softmax::new().backend(b.wide))),
            ("rten", |b| b.rows().for_each(|(x, y)| rten::softmax(x, y))),
            ("candle", |b| b.candle.forward(candle_nn::ops::softmax_last_dim)),
            ("libm", |b| b.rows().for_each(|(x, y)| libm_loop::softmax(x, y))),
        ],
        exact: |b| each_row(b, reference::softmax),
    },
    Op {
        name: "softmax in place",
        shapes: &[SHORT_ROWS, LONG_ROWS],
        contenders: &[
            ("xent", |b| {
                let classes = b.shape.1;
                Softmax::new().forward_in_place(RowsMut::new(b.restored(), classes)).unwrap();
            }),
            ("rten", |b| b.restored_rows().for_each(rten::softmax_in_place)),
            ("libm", |b| b.restored_rows().for_each(libm_loop::softmax_in_place)),
        ],
        exact: |b| each_row(b, reference::softmax),
    },
    Op {
        name: "log_softmax",
        shapes: TABLES,
        contenders: &[
            ("xent", |b| {
                let (x, y) = b.tables();
                LogSoftmax::new().forward(x, y).unwrap();
            }),
            ("rten", |b| b.rows().for_each(|(x, y)| rten::log_softmax(x, y))),
            ("candle", |b| b.candle.forward(|x| candle_nn::ops::log_softmax(x, 1))),
            ("libm", |b| b.rows().for_each(|(x, y)| libm_loop::log_softmax(x, y))),
        ],
        exact: |b| each_row(b, reference::log_softmax).of_differences(),
    },
    Op {
        name: "softmax loss+grad",
        shapes: &[ROW, SHORT_ROWS, ROWS_OF_A_BLOCK, LONG_ROWS],
        contenders: &[
            ("xent", |b| b.loss = softmax_loss_grad(SoftmaxCrossEntropy::new(), &b.x, &b.targets, &mut b.y)),
            ("wide", |b| {
                let op = SoftmaxCrossEntropy::new().backend(b.wide);
                b.loss = softmax_loss_grad(op, &b.x, &b.targets, &mut b.y);
            }),
            ("candle", |b| b.loss = b.candle.index_loss_grad(candle_nn::loss::cross_entropy)),
            ("libm", |b| {
                let (rows, classes) = b.shape;
                let share = 1.0 / rows as f32;
                let tables = b.x.chunks_exact(classes).zip(b.y.chunks_exact_mut(classes)).zip(&b.targets);
                let losses = tables.map(|((x, dx), &t)| libm_loop::softmax_cross_entropy(x, t, share, dx));
                b.loss = f64::from(losses.sum::<f32>() * share);
            }),
        ],
        exact: |b| exact_softmax_loss_grad(&b.x, &b.targets),
    },
    // What it costs that a loss of nearly nothing keeps its digits.
    Op {
        name: "certain loss+grad",
        shapes: &[LONG_ROWS],
        contenders: &[("xent", |b| {
            b.loss = softmax_loss_grad(SoftmaxCrossEntropy::new(), &b.certain, &b.targets, &mut b.y);
        })],
        exact: |b| exact_softmax_loss_grad(&b.certain, &b.targets),
    },
    Op {
        name: "sigmoid loss+grad",
        shapes: &[SHORT_ROWS, &[(64, 1000)]],
        contenders: &[
            ("xent", |b| {
                let classes = b.shape.1;
                let (x, labels) = (Rows::new(&b.x, classes), Rows::new(&b.labels, classes));
                let totals = SigmoidCrossEntropy::new().loss_grad(x, labels, RowsMut::new(&mut b.y, classes));
                b.loss = totals.unwrap().mean();
            }),
            ("candle", |b| b.loss = b.candle.dense_loss_grad(candle_nn::loss::binary_cross_entropy_with_logit)),
            ("libm", |b| {
                let share = 1.0 / b.x.len() as f32;
                let tables = b.x.chunks_exact(b.shape.1).zip(b.labels.chunks_exact(b.shape.1));
                let tables = tables.zip(b.y.chunks_exact_mut(b.shape.1));
                let losses = tables.map(|((x, t), dx)| libm_loop::sigmoid_cross_entropy(x, t, share, dx));
                b.loss = f64::from(losses.sum::<f32>() * share);
            }),
        ],
        exact: exact_sigmoid_loss_grad,
    },
];

/// What operations in place do before each call, as `exp` of `exp` of `exp` is infinite. Its time is taken off theirs: in
/// memory, nothing would be left of them.
pub const COPY: Op = Op {
    name: "copy",
    shapes: &[IN_CACHE, SHORT_ROWS, LONG_ROWS],
    contenders: &[("copy", |b| {
        b.restored();
    })],
    exact: |b| each(b, |x| x),
};

fn softmax(b: &mut Batch, op: Softmax) {
    let (x, y) = b.tables();
    op.forward(x, y).unwrap();
}

fn softmax_loss_grad(op: SoftmaxCrossEntropy<'_>, x: &[f32], targets: &[u32], dx: &mut [f32]) -> f64 {
    let classes = x.len() / targets.len();
    op.loss_grad(Rows::new(x, classes), targets, RowsMut::new(dx, classes)).unwrap().mean()
}

fn map(b: &mut Batch, f: impl Fn(f32) -> f32) {
    b.y.iter_mut().zip(b.x.iter()).for_each(|(y, x)| *y = f(*x));
}

// --- the same in f64 ----------------------------------------------------------------------------------------------------

fn each(b: &Batch, f: impl Fn(f64) -> f64) -> Exact {
    Exact { y: b.x.iter().map(|&x| f(x.into())).collect(), terms: vec![0.0; b.x.len()], loss: None }
}

fn each_row(b: &Batch, f: impl Fn(&[f64], &mut [f64])) -> Exact {
    let x = to_f64(&b.x);
    let mut y = vec![0.0; x.len()];
    x.chunks_exact(b.shape.1).zip(y.chunks_exact_mut(b.shape.1)).for_each(|(x, y)| f(x, y));
    Exact { terms: vec![0.0; y.len()], y, loss: None }
}

fn exact_softmax_loss_grad(x: &[f32], targets: &[u32]) -> Exact {
    let (rows, classes) = (targets.len(), x.len() / targets.len());
    let x = to_f64(x);
    let (mut y, mut terms, mut loss) = (vec![0.0; x.len()], vec![0.0; x.len()], 0.0);
    let mut one_hot = vec![0.0; classes];
    let tables = x.chunks_exact(classes).zip(y.chunks_exact_mut(classes)).zip(terms.chunks_exact_mut(classes));
    for (((x, y), terms), &target) in tables.zip(targets) {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        terms.iter_mut().zip(x).filter(|(_, x)| **x == largest).for_each(|(term, _)| *term = 1.0);
        terms[target as usize] = 1.0;
        reference::one_hot(target as usize, &mut one_hot);
        reference::softmax_cross_entropy_grad(x, &one_hot, y);
        loss += reference::softmax_cross_entropy(x, &one_hot);
    }
    mean(y, terms, loss, rows)
}

fn exact_sigmoid_loss_grad(b: &Batch) -> Exact {
    let (x, labels) = (to_f64(&b.x), to_f64(&b.labels));
    let loss = x.iter().zip(&labels).map(|(&x, &t)| reference::sigmoid_cross_entropy(x, t, 1.0)).sum();
    let y = x.iter().zip(&labels).map(|(&x, &t)| reference::sigmoid_cross_entropy_grad(x, t, 1.0)).collect();
    mean(y, vec![1.0; x.len()], loss, x.len())
}

fn mean(mut y: Vec<f64>, mut terms: Vec<f64>, loss: f64, of: usize) -> Exact {
    y.iter_mut().chain(&mut terms).for_each(|y| *y /= of as f64);
    Exact { y, terms, loss: Some(loss / of as f64) }
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}
