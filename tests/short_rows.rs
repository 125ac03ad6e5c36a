//! Rows of 1 to 40 classes with something at every place: alone, a few, and as many as fill vectors with some left over.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod support;

use support::{Rng, backends, same_bits, ulp_error};
use xent::{Backend, Rows, RowsMut, Softmax, SoftmaxCrossEntropy};

/// Rows of a table in which one differs: that alone, beside others, and in the four and eight vectors of rows of two.
const ROWS: [usize; 4] = [1, 3, 37, 150];

fn softmax(backend: Backend, x: &[f32], classes: usize) -> Vec<f32> {
    let mut y = vec![7.0; x.len()];
    Softmax::new().backend(backend).forward(Rows::new(x, classes), RowsMut::new(&mut y, classes)).unwrap();
    y
}

fn losses_grad(backend: Backend, x: &[f32], classes: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / classes;
    let (mut losses, mut gradient) = (vec![7.0; rows], vec![7.0; x.len()]);
    let targets: Vec<usize> = (0..rows).map(|row| row % classes).collect();
    SoftmaxCrossEntropy::new()
        .backend(backend)
        .losses_grad(Rows::new(x, classes), &targets[..], &mut losses, RowsMut::new(&mut gradient, classes))
        .unwrap();
    (losses, gradient)
}

/// Gives `see` tables of random rows but for one, which has what `put` made of -40 everywhere, with its number and the two
/// places that `put` was given.
fn each_table(put: impl Fn(&mut [f32], usize, usize), see: impl Fn(Backend, &[f32], usize, usize, [usize; 2])) {
    for classes in 2..=40 {
        for rows in ROWS {
            let (one, mut rng) = (rows * 7 % classes, Rng((classes * rows) as u64));
            // One place with every other, and every place by itself.
            for (i, j) in (0..classes).flat_map(|other| [(one, other), (other, other)]) {
                let mut x = rng.row(rows * classes, -3.0, 3.0);
                let at = (i + j) % rows;
                let row = &mut x[at * classes..(at + 1) * classes];
                row.fill(-40.0);
                put(row, i, j);
                for backend in backends() {
                    see(backend, &x, classes, at, [i, j]);
                }
            }
        }
    }
}

#[test]
fn two_largest_have_a_half_each() {
    each_table(
        |row, i, j| (row[i], row[j]) = (2.5, 2.5),
        |backend, x, classes, at, [i, j]| {
            let y = &softmax(backend, x, classes)[at * classes..(at + 1) * classes];
            let expected = if i == j { 1.0 } else { 0.5 };
            assert_eq!((y[i], y[j]), (expected, expected), "{backend}, {classes} classes, row {at}: {i}, {j}");
        },
    );
}

#[test]
fn nan_takes_its_row_and_no_other() {
    each_table(
        |row, i, j| (row[j], row[i]) = (2.5, f32::NAN),
        |backend, x, classes, at, [i, j]| {
            let (y, (losses, gradient)) = (softmax(backend, x, classes), losses_grad(backend, x, classes));
            let place = format!("{backend}, {classes} classes, row {at}: {i}, {j}");
            for (row, loss) in losses.iter().enumerate() {
                let of_row = row * classes..(row + 1) * classes;
                let (y, gradient) = (&y[of_row.clone()], &gradient[of_row]);
                let are_nan = y.iter().chain(gradient).chain([loss]).filter(|x| x.is_nan()).count();
                assert_eq!(are_nan, if row == at { 2 * classes + 1 } else { 0 }, "{place}: row {row} has {y:?}");
            }
        },
    );
}

/// To the bit where that is a power of two, as long as all are counted; else within a unit in the last place.
#[test]
fn equal_logits_have_equal_shares() {
    for classes in (1_i32..=130).chain([255, 256, 257, 300, 512, 1000, 1024, 4096]) {
        let exact = 1.0 / f64::from(classes);
        let allowed = if classes <= 128 && classes & (classes - 1) == 0 { 0.0 } else { 1.0 };
        for rows in [1, 3, 37] {
            let x = vec![-1.5; rows * classes as usize];
            for backend in backends() {
                let y = softmax(backend, &x, classes as usize);
                let error = ulp_error(y[0], exact);
                assert!(error <= allowed, "{backend}, {rows} x {classes}: {:e} has {error} ULP", y[0]);
                assert!(y.iter().all(|&other| other == y[0]), "{backend}, {rows} x {classes}: {y:?}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone() {
    for classes in 1..=130 {
        let mut rng = Rng(classes as u64);
        // Many equal ones, and few.
        for step in [1.0, 16.0, 4096.0] {
            let x: Vec<f32> = rng.row(37 * classes, -3.0, 3.0).iter().map(|x| (x * step).round() / step).collect();
            for backend in backends() {
                let together = softmax(backend, &x, classes);
                for row in [0, 5, 36] {
                    let of_row = row * classes..(row + 1) * classes;
                    let alone = softmax(backend, &x[of_row.clone()], classes);
                    assert!(same_bits(&alone, &together[of_row]), "{backend}, {classes} classes, row {row}");
                }
            }
        }
    }
}
