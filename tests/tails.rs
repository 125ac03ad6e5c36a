//! Every length around the lane, chunk and block boundaries, from every alignment, between guards.
//!
//! Each operation on each backend is compared, bit for bit, with itself on a plain buffer, in place and out of place,
//! with the rows one at a time, and with the other backends of its family.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::{Guarded, Rng, backends, lengths, same_bits};
use xent::activation::{Exp, Ln, Log1p};
use xent::{
    Backend, Error, LogSigmoid, LogSoftmax, LogSumExp, MultiLabelSoftmaxCrossEntropy, NllLoss,
    ProbabilityBinaryCrossEntropy, ProbabilityCrossEntropy, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax,
    SoftmaxCrossEntropy, Softplus,
};

/// One operation with a table to read, labels for the losses and gradients for the backwards, and a table to write.
struct Operation {
    name: &'static str,
    apart: fn(Backend, Rows<'_>, Rows<'_>, RowsMut<'_>) -> Result<(), Error>,
    in_place: fn(Backend, RowsMut<'_>, Rows<'_>) -> Result<(), Error>,
}

macro_rules! forward {
    ($($name:ident),*) => {[$(Operation {
        name: stringify!($name),
        apart: |backend, x, _, y| $name::new().backend(backend).forward(x, y),
        in_place: |backend, x, _| $name::new().backend(backend).forward_in_place(x),
    }),*]};
}

macro_rules! backward {
    ($($name:ident::$method:ident::$in_place:ident),*) => {[$(Operation {
        name: concat!(stringify!($name), "::", stringify!($method)),
        apart: |backend, dy, at, dx| $name::new().backend(backend).$method(at, dy, dx),
        in_place: |backend, dy, at| $name::new().backend(backend).$in_place(at, dy),
    }),*]};
}

macro_rules! labelled {
    ($($name:ident),*) => {[$(Operation {
        name: stringify!($name),
        apart: |backend, x, t, dx| $name::new().backend(backend).loss_grad(x, t, dx).map(drop),
        in_place: |backend, x, t| $name::new().backend(backend).loss_grad_in_place(x, t).map(drop),
    }),*]};
}

/// The class of a row comes from its labels, so that the signature stays one.
fn classes(labels: Rows<'_>) -> Vec<usize> {
    labels.iter().map(|row| (row[0] * 1e6) as usize % row.len()).collect()
}

macro_rules! indexed {
    ($($name:ident),*) => {[$(Operation {
        name: concat!(stringify!($name), " of indices"),
        apart: |backend, x, t, dx| {
            $name::new().backend(backend).loss_grad(x, &classes(t)[..], dx).map(drop)
        },
        in_place: |backend, x, t| {
            $name::new().backend(backend).loss_grad_in_place(x, &classes(t)[..]).map(drop)
        },
    }),*]};
}

fn operations() -> Vec<Operation> {
    let mut all = vec![];
    all.extend(forward!(Sigmoid, LogSigmoid, Softplus, Softmax, LogSoftmax, Exp, Ln, Log1p));
    all.extend(backward!(
        Sigmoid::backward_from_input::backward_from_input_in_place,
        Sigmoid::backward_from_output::backward_from_output_in_place,
        LogSigmoid::backward_from_input::backward_from_input_in_place,
        Softplus::backward_from_input::backward_from_input_in_place,
        Softmax::backward_from_output::backward_from_output_in_place,
        LogSoftmax::backward_from_output::backward_from_output_in_place
    ));
    all.extend(labelled!(
        SoftmaxCrossEntropy,
        MultiLabelSoftmaxCrossEntropy,
        SigmoidCrossEntropy,
        ProbabilityCrossEntropy,
        ProbabilityBinaryCrossEntropy
    ));
    all.extend(indexed!(SoftmaxCrossEntropy, ProbabilityCrossEntropy, NllLoss));
    all
}

#[test]
fn lengths_alignments_and_guards() {
    let mut rng = Rng(3);
    for operation in operations() {
        for len in lengths() {
            // Probabilities serve every operation as input, and as labels.
            let (x, t) = (rng.row(len, 0.01, 0.99), rng.row(len, 0.01, 0.99));
            let mut before: Option<(Backend, Vec<f32>)> = None;
            for backend in backends() {
                let what = format!("{} on {backend}, length {len}", operation.name);
                let mut plain = vec![0.0; len];
                (operation.apart)(backend, (&x).into(), (&t).into(), (&mut plain).into()).unwrap();
                assert!(plain.iter().all(|y| y.is_finite()), "{what}: {plain:?}");
                for offset in [0, 1, 2, 3, 5, 7, 9, 15] {
                    let (mut from, mut to) = (Guarded::new(&x, offset), Guarded::new(&vec![7.0; len], offset ^ 2));
                    (operation.apart)(backend, from.slice().as_ref().into(), (&t).into(), to.slice().into()).unwrap();
                    assert!(same_bits(to.checked(), &plain), "{what}, offset {offset}");
                    (operation.in_place)(backend, from.slice().into(), (&t).into()).unwrap();
                    assert!(same_bits(from.checked(), &plain), "{what}, in place, offset {offset}");
                }
                if let Some((other, previous)) = &before
                    && other.is_fused() == backend.is_fused()
                {
                    assert!(same_bits(previous, &plain), "{what}: other bits than {other}");
                }
                before = Some((backend, plain));
            }
        }
    }
}

/// A batch is its rows one at a time, bit for bit, however far apart they lie.
#[test]
fn a_batch_is_its_rows() {
    let mut rng = Rng(4);
    for operation in operations() {
        for (rows, classes) in [
            (1, 1),
            (3, 1),
            (7, 2),
            (35, 3),
            (5, 10),
            (19, 10),
            (4, 17),
            (3, 32),
            (33, 9),
            (18, 40),
            (20, 100),
            (2, 130),
        ] {
            let (x, t) = (rng.row(rows * classes, 0.01, 0.99), rng.row(rows * classes, 0.01, 0.99));
            for backend in backends() {
                let what = format!("{} on {backend}, {rows} x {classes}", operation.name);
                let mut batch = vec![0.0; rows * classes];
                let table = RowsMut::new(&mut batch, classes);
                (operation.apart)(backend, Rows::new(&x, classes), Rows::new(&t, classes), table).unwrap();
                // The mean divides by rows or elements: one row at a time is that many times larger.
                let single = |row: usize| {
                    let mut y = vec![0.0; classes];
                    let at = row * classes..(row + 1) * classes;
                    (operation.apart)(backend, x[at.clone()].into(), t[at].into(), (&mut y).into()).unwrap();
                    y
                };
                let is_loss = operation.name.contains("Entropy") || operation.name.contains("Nll");
                for row in 0..rows {
                    let (one, of_batch) = (single(row), &batch[row * classes..(row + 1) * classes]);
                    if is_loss {
                        for (a, b) in one.iter().zip(of_batch) {
                            let scaled = a / rows as f32;
                            // Up to the roundings of the two scales, in terms of up to 1 that cancel.
                            let close = (scaled - b).abs() <= 4.0 * f32::EPSILON * scaled.abs().max(1.0);
                            assert!(close, "{what}: {scaled:e} {b:e}");
                        }
                    } else {
                        assert!(same_bits(&one, of_batch), "{what}: row {row}");
                    }
                }

                let stride = classes + 5;
                let (mut apart, mut t_apart) =
                    (Guarded::new(&vec![f32::NAN; rows * stride], 1), vec![f32::NAN; rows * stride]);
                for row in 0..rows {
                    apart.slice()[row * stride..][..classes].copy_from_slice(&x[row * classes..][..classes]);
                    t_apart[row * stride..][..classes].copy_from_slice(&t[row * classes..][..classes]);
                }
                let mut y = vec![0.0; rows * classes];
                let (table, t_apart) = (Rows::new(&x, classes), Rows::strided(&t_apart, rows, classes, stride));
                (operation.apart)(backend, table, t_apart, RowsMut::new(&mut y, classes)).unwrap();
                assert!(same_bits(&y, &batch), "{what}: strided targets");
                let table = RowsMut::strided(apart.slice(), rows, classes, stride);
                (operation.in_place)(backend, table, Rows::new(&t, classes)).unwrap();
                for row in 0..rows {
                    let (row_of_batch, here) = (&batch[row * classes..][..classes], &apart.checked()[row * stride..]);
                    assert!(same_bits(&here[..classes], row_of_batch), "{what}: strided row {row}");
                    assert!(here[classes..stride].iter().all(|x| x.is_nan()), "{what}: written between rows");
                }
            }
        }
    }
}

#[test]
fn log_sum_exp_of_every_length() {
    let mut rng = Rng(5);
    for len in lengths() {
        let x = rng.row(len, -20.0, 20.0);
        let mut before: Vec<(bool, u32, Vec<f32>)> = vec![];
        for backend in backends() {
            let lse = LogSumExp::new().backend(backend);
            let (mut out, mut dx) = ([0.0], vec![0.0; len]);
            lse.forward(&x, &mut out).unwrap();
            lse.backward_from_input(&x, &[2.0], &mut dx).unwrap();
            let mut in_place = Guarded::new(&x, 3);
            lse.backward_from_input_in_place(&[2.0], in_place.slice()).unwrap();
            assert!(same_bits(in_place.checked(), &dx));
            for (fused, bits, gradient) in &before {
                let same = *bits == out[0].to_bits() && same_bits(gradient, &dx);
                assert!(*fused != backend.is_fused() || same, "{backend}, length {len}");
            }
            before.push((backend.is_fused(), out[0].to_bits(), dx));
        }
    }
}
