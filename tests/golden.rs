//! Values of other systems (PyTorch, TensorFlow, optax, ONNX), to f32 precision.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::excessive_precision, reason = "tests")]

mod support;

use support::backends;
use xent::{Reduction, Rows, RowsMut, SigmoidCrossEntropy, SoftmaxCrossEntropy};

const X: [f32; 6] = [1.0, 2.0, 3.0, 0.5, -1.0, 2.0];
const WEIGHTS: [f32; 3] = [1.0, 2.0, 4.0];

#[track_caller]
fn near(got: f64, golden: f64) {
    assert!((got - golden).abs() <= 4e-7 * golden.abs(), "{got:e} is not {golden:e}");
}

#[track_caller]
fn all_near(got: &[f32], golden: &[f64]) {
    assert_eq!(got.len(), golden.len());
    for (&got, &golden) in got.iter().zip(golden) {
        near(got.into(), golden);
    }
}

#[test]
fn pytorch_cross_entropy_with_weights_and_smoothing() {
    for backend in backends() {
        let loss = SoftmaxCrossEntropy::new().class_weights(&WEIGHTS).label_smoothing(0.3).backend(backend);
        let (mut losses, mut gradient) = ([0.0; 2], [0.0; 6]);
        let table = RowsMut::new(&mut gradient, 3);
        let totals = loss.reduction(Reduction::Sum).losses_grad(Rows::new(&X, 3), &[0_i64, 2], &mut losses, table);
        all_near(&losses, &[2.3706481, 1.5945897]);
        near(totals.unwrap().sum, 3.9652376);
        near(totals.unwrap().mean(), 0.79304755);
        all_near(&gradient[..3], &[-0.67395723, 0.14261988, 0.53133738]);

        // The same problem as one-hot probabilities has another mean.
        let one_hot = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let totals = loss.reduction(Reduction::MeanOverRows).loss(Rows::new(&X, 3), Rows::new(&one_hot, 3));
        near(totals.unwrap().mean(), 1.9826189);
    }
}

#[test]
fn pytorch_cross_entropy_with_probability_targets() {
    for backend in backends() {
        let mut gradient = [0.0; 3];
        let loss = SoftmaxCrossEntropy::new().backend(backend);
        let totals = loss.loss_grad(&X[..3], &[0.5, 0.2, 0.7], &mut gradient).unwrap();
        near(totals.mean(), 1.7706482);
        all_near(&gradient, &[-0.37395719, 0.14261988, 0.23133740]);
    }
}

#[test]
fn pytorch_multi_label_soft_margin_and_pos_weight() {
    for backend in backends() {
        let loss = SigmoidCrossEntropy::new().backend(backend);
        let targets = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        near(loss.loss(Rows::new(&X, 3), Rows::new(&targets, 3)).unwrap().mean(), 0.65050733);
        let mut gradient = [0.0];
        near(loss.pos_weight(3.0).loss_grad(&[2.0], &[0.5], &mut gradient).unwrap().mean(), 1.2538561);
        // 0.4404 - 0.1788: both systems round terms of that size.
        assert!((f64::from(gradient[0]) - 0.26159406).abs() <= 4e-7 * 0.44, "{gradient:?}");
    }
}

#[test]
fn tensorflow_smoothing() {
    for backend in backends() {
        let softmax = SoftmaxCrossEntropy::new().label_smoothing(0.3).backend(backend);
        near(softmax.loss(&X[..3], &[1.0, 0.0, 0.0]).unwrap().mean(), 2.1076059);
        near(softmax.loss(&X[..3], &[0_u8]).unwrap().mean(), 2.1076059);
        let sigmoid = SigmoidCrossEntropy::new().label_smoothing(0.3).backend(backend);
        near(sigmoid.loss(&X[..3], &[1.0, 0.0, 0.0]).unwrap().mean(), 1.6295923);
    }
}

/// optax's smooth_labels(0.3) of a one-hot row of 3 is 0.8 and 0.1 twice.
#[test]
fn optax_smoothing() {
    let smoothed = SoftmaxCrossEntropy::new().label_smoothing(0.3).loss(&X[..3], &[0_u8]).unwrap();
    let labels = SoftmaxCrossEntropy::new().loss(&X[..3], &[0.8, 0.1, 0.1]).unwrap();
    near(smoothed.sum, labels.sum);
}

/// The denominators of TensorFlow v1: weights [2, 0, 1] on losses of ln 2.
#[test]
fn tensorflow_reductions() {
    for backend in backends() {
        let loss = SigmoidCrossEntropy::new().row_weights(&[2.0, 0.0, 1.0]).backend(backend);
        let mean = |reduction| {
            let (x, t) = ([0.0; 3], [1.0; 3]);
            loss.reduction(reduction).loss(Rows::new(&x, 1), Rows::new(&t, 1)).unwrap()
        };
        let ln_2 = core::f64::consts::LN_2;
        near(mean(Reduction::MeanOverWeights).mean() / ln_2, 1.0);
        near(mean(Reduction::MeanOverNonZeroWeights).mean() / ln_2, 1.5);
        near(mean(Reduction::MeanOverElements).mean() / ln_2, 1.0);
        near(mean(Reduction::Sum).sum / ln_2, 3.0);
    }
}

#[test]
fn onnx_softmax_cross_entropy() {
    let loss = SoftmaxCrossEntropy::new().class_weights(&[2.0, 3.0]).ignore_index(-1);
    near(loss.loss(Rows::new(&[1.0, 2.0, 3.0, 4.0], 2), &[0_i64, -1]).unwrap().mean(), 1.3132617);
}

/// The issue that started it: PyTorch, TensorFlow and optax give 0 here.
#[test]
fn confident_losses_are_kept() {
    for backend in backends() {
        let mut gradient = [0.0; 3];
        let loss = SoftmaxCrossEntropy::new().backend(backend).loss_grad(&[20.0, 0.0, 0.0], &[0_u8], &mut gradient);
        near(loss.unwrap().sum, 4.1223072e-9);
        all_near(&gradient, &[-4.1223072e-9, 2.0611536e-9, 2.0611536e-9]);
    }
}

/// The two backwards of a multi-label row with real labels, N = 2 rows.
#[test]
fn multi_label_gradients() {
    use xent::{MultiLabelGradient, MultiLabelSoftmaxCrossEntropy};
    let (x, t) = ([1.0, 2.0, 3.0, 0.5, 0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0]);
    for (kind, golden) in [
        (MultiLabelGradient::True, [-0.4466, 0.1450, 0.2692, 0.0324]),
        (MultiLabelGradient::PyCaffeCompat, [-0.2073, 0.1160, 0.0654, 0.0259]),
    ] {
        for backend in backends() {
            let mut gradient = [0.0; 8];
            let loss = MultiLabelSoftmaxCrossEntropy::new().gradient(kind).backend(backend);
            loss.loss_grad(Rows::new(&x, 4), Rows::new(&t, 4), RowsMut::new(&mut gradient, 4)).unwrap();
            for (got, golden) in gradient.iter().zip(golden) {
                assert!((got - golden).abs() < 5.1e-5, "{gradient:?}");
            }
        }
    }
}
