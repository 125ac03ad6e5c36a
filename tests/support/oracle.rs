//! Whole calls against `xent::reference`: every backend, every method, every option, values and bits.

use super::{backends, bound, same_bits, to_f64, ulp};
use xent::loss::{Kind, Loss, Target};
use xent::reference::{self, Clamp};
use xent::{
    Backend, ClassIndices, EmptyRow, HotClasses, IntoTargets, LogClamp, MultiLabelGradient,
    MultiLabelSoftmaxCrossEntropy, NllLoss, PositivesScale, ProbabilityBinaryCrossEntropy, ProbabilityCrossEntropy,
    Reduction, Rows, RowsMut, SigmoidCrossEntropy, SoftmaxCrossEntropy, Totals,
};

/// A table of input and the options that a loss is called with; each loss takes those it has.
#[derive(Clone, Debug)]
pub struct Call {
    pub classes: usize,
    pub class_weights: Option<Vec<f32>>,
    pub row_weights: Option<Vec<f32>>,
    pub ignore_index: Option<i64>,
    pub reduction: Reduction,
    pub grad_scale: f32,
    pub label_smoothing: f32,
    pub empty_row: EmptyRow,
    pub log_clamp: LogClamp,
    pub pos_weights: Option<Vec<f32>>,
    pub ignore_value: Option<f32>,
    pub positives_scale: PositivesScale,
    pub gradient: MultiLabelGradient,
    pub x: Vec<f32>,
}

impl Call {
    pub fn new(x: &[f32], classes: usize) -> Self {
        Self {
            classes,
            x: x.to_vec(),
            class_weights: None,
            row_weights: None,
            ignore_index: None,
            reduction: Reduction::Sum,
            grad_scale: 1.0,
            label_smoothing: 0.0,
            empty_row: EmptyRow::Nan,
            log_clamp: LogClamp::None,
            pos_weights: None,
            ignore_value: None,
            positives_scale: PositivesScale::CountNonzero,
            gradient: MultiLabelGradient::True,
        }
    }

    fn rows(&self) -> usize {
        self.x.len() / self.classes
    }

    fn row(&self, n: usize) -> &[f32] {
        &self.x[n * self.classes..][..self.classes]
    }

    fn row_weight(&self, n: usize) -> f64 {
        self.row_weights.as_ref().map_or(1.0, |w| w[n].into())
    }

    fn class_weights(&self) -> Vec<f64> {
        self.class_weights.as_ref().map_or(vec![1.0; self.classes], |w| to_f64(w))
    }

    fn is_left_out(&self, n: usize) -> bool {
        self.empty_row == EmptyRow::Zero && self.row(n).iter().all(|&x| x == f32::NEG_INFINITY)
    }
}

/// What a row should be. In the ULP of `..._size`, or of the result where that is larger, errors count: of the terms of
/// a loss all together, of a gradient's the largest.
struct Row {
    /// Counts in the denominators.
    used: bool,
    /// Weights of its terms: one a row, or one an element.
    weights: Vec<f64>,
    elements: usize,
    loss: f64,
    loss_size: f64,
    /// The largest number on the way to the loss.
    largest: f64,
    /// Terms of both signs: where the largest overflows, their sum may be anything that is not finite.
    mixed: bool,
    gradient: Vec<f64>,
    gradient_size: Vec<f64>,
    ulps: Ulps,
}

/// Bounds of the errors of a loss and its gradient.
#[derive(Clone, Copy)]
struct Ulps {
    loss: f64,
    gradient: f64,
}

const SOFTMAX: Ulps = Ulps { loss: bound("softmax loss"), gradient: bound("softmax loss gradient") };
/// Of all losses that are not of a softmax.
const TERMS: Ulps = Ulps { loss: bound("sigmoid loss"), gradient: bound("sigmoid loss gradient") };

impl Row {
    fn ignored(classes: usize) -> Self {
        let zero = vec![0.0; classes];
        Self {
            used: false,
            weights: vec![],
            elements: 0,
            loss: 0.0,
            loss_size: 0.0,
            largest: 0.0,
            mixed: false,
            gradient: zero.clone(),
            gradient_size: zero,
            ulps: TERMS,
        }
    }

    fn weightless(classes: usize, terms: usize) -> Self {
        Self { used: true, weights: vec![0.0; terms], elements: classes, ..Self::ignored(classes) }
    }
}

/// A row of logits with the maximum subtracted as f32 does it: bounds hold beyond what that rounding costs.
pub fn shifted(row: &[f32]) -> Vec<f64> {
    let m = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let m = if m.is_finite() { m } else { 0.0 };
    row.iter().map(|&s| f64::from(s - m)).collect()
}

/// Loss and gradient of a row of logits with weighted labels `q`, all times `factor`.
fn softmax_row(logits: &[f32], q: &[f64], factor: f64) -> Row {
    let s = shifted(logits);
    let mut log_p = vec![0.0; s.len()];
    reference::log_softmax(&s, &mut log_p);
    let mut gradient = vec![0.0; s.len()];
    reference::softmax_cross_entropy_grad(&s, q, &mut gradient);
    let total: f64 = q.iter().sum();
    let sum: f64 = q.iter().map(|q| q.abs()).sum();
    let sizes = log_p.iter().zip(q).map(|(&log_p, &q)| {
        // Of T p and q; where the class has all the labels, of q (1 - p) alone.
        let (p, rest) = (log_p.exp(), -log_p.exp_m1());
        if p > 0.5 && q == total { (q * rest).abs() } else { (sum * p).max(q.abs()) }
    });
    let terms = log_p.iter().zip(q).filter(|(_, q)| **q != 0.0);
    let size = terms.map(|(log_p, q)| (log_p * q).abs()).sum::<f64>();
    Row {
        used: true,
        weights: vec![1.0],
        elements: q.len(),
        loss: factor * reference::softmax_cross_entropy(&s, q),
        loss_size: factor.abs() * size,
        largest: size,
        mixed: q.iter().any(|&q| q < 0.0),
        gradient_size: sizes.map(|size| size * factor.abs()).collect(),
        gradient: gradient.iter().map(|g| g * factor).collect(),
        ulps: SOFTMAX,
    }
}

/// More roundings: of the reduction's scale, of the row weight times it, and of the products.
const SCALE_ULP: f64 = 2.0;

/// Whether `got` is within `ulps` of `exact`, in ULP of it or of the terms' `size`: terms of one sign add up to more than
/// the largest of them, and no result can be better than a rounding of itself. Subnormal numbers on the way are rounded
/// before they are multiplied by `weight`; where a number on the way is beyond the largest f32, so may be the result.
fn close(got: f32, exact: f64, size: f64, largest: f64, weight: f64, ulps: f64) -> bool {
    if exact.is_nan() || size.is_nan() {
        return got.is_nan();
    }
    if exact.is_infinite() {
        return got == exact as f32;
    }
    if largest > f64::from(f32::MAX) * 0.99 && got.is_infinite() {
        return true;
    }
    let subnormal = 2.0 * weight.abs().max(1.0) * ulp(0.0);
    (f64::from(got) - exact).abs() <= ulps * ulp(size.max(exact.abs())) + subnormal
}

fn denominator(reduction: Reduction, rows: &[Row], call: &Call) -> f64 {
    let used = || rows.iter().enumerate().filter(|(_, row)| row.used);
    let weights = || used().flat_map(|(n, row)| row.weights.iter().map(move |w| w * call.row_weight(n)));
    match reduction {
        Reduction::Sum | Reduction::MeanOverWeights => weights().sum(),
        Reduction::MeanOverRows => used().count() as f64,
        Reduction::MeanOverAllRows => rows.len() as f64,
        Reduction::MeanOverElements => used().map(|(_, row)| row.elements).sum::<usize>() as f64,
        Reduction::MeanOverNonZeroWeights => weights().filter(|&w| w != 0.0).count() as f64,
        Reduction::MeanOver(d) => d,
    }
}

/// Runs a loss by all its methods on all backends and compares with the rows that are expected.
fn check<'a, K, T>(loss: Loss<'a, K>, call: &'a Call, targets: T, expected: &[Row])
where
    K: Kind + Copy,
    T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
{
    let mut loss = loss.reduction(call.reduction).grad_scale(call.grad_scale);
    if let Some(weights) = &call.class_weights {
        loss = loss.class_weights(weights);
    }
    if let Some(weights) = &call.row_weights {
        loss = loss.row_weights(weights);
    }
    let (rows, classes) = (call.rows(), call.classes);
    let weight = denominator(call.reduction, expected, call);
    let mean = !matches!(call.reduction, Reduction::Sum);
    let scale = match (mean, weight) {
        (false, _) => f64::from(call.grad_scale),
        (true, 0.0) => 0.0,
        (true, _) => f64::from(call.grad_scale) / weight,
    };

    let mut before: Vec<(Backend, Vec<f32>, Vec<f32>)> = vec![];
    for backend in backends() {
        let loss = loss.backend(backend);
        let x = Rows::new(&call.x, classes);
        let mut losses = vec![7.0; rows];
        let mut gradient = vec![7.0; call.x.len()];
        let totals = loss.losses_grad(x, targets, &mut losses, RowsMut::new(&mut gradient, classes)).unwrap();

        for (n, row) in expected.iter().enumerate() {
            let v = call.row_weight(n);
            let (exact, size) = if v == 0.0 { (0.0, 0.0) } else { (row.loss * v, row.loss_size * v) };
            let heaviest = call.class_weights().into_iter().fold(1.0, f64::max);
            let heaviest = call.pos_weights.iter().flatten().fold(heaviest, |w, &p| w * f64::from(p.max(1.0)));
            let heaviest = heaviest * v * call.classes as f64;
            let overflow = row.mixed && row.largest > f64::from(f32::MAX) && !losses[n].is_finite();
            assert!(
                overflow || close(losses[n], exact, size, row.largest.max(size), heaviest, row.ulps.loss + SCALE_ULP),
                "{backend}: loss of row {n} is {:e}, exactly {exact:e} (terms {size:e})\n{call:?}",
                losses[n]
            );
            for i in 0..classes {
                let got = gradient[n * classes + i];
                let (exact, size) = match v {
                    0.0 => (0.0, 0.0),
                    _ => (row.gradient[i] * v * scale, row.gradient_size[i] * v * scale.abs()),
                };
                assert!(
                    close(got, exact, size, size, heaviest * scale, row.ulps.gradient + SCALE_ULP),
                    "{backend}: gradient {i} of row {n} is {got:e}, exactly {exact:e} (terms {size:e})\n{call:?}"
                );
                assert!(row.used && v != 0.0 || got.to_bits() == 0, "{backend}: an ignored row has gradient {got:e}");
            }
        }
        let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        // In f64, in whatever order.
        let size: f64 = losses.iter().map(|&loss| f64::from(loss.abs())).sum();
        let near =
            totals.sum == sum || (totals.sum - sum).abs() <= 1e-14 * size || (totals.sum.is_nan() && sum.is_nan());
        assert!(near, "{backend}: {totals:?} {sum}\n{call:?}");
        assert!((totals.weight - weight).abs() <= 1e-12 * weight, "{backend}: {totals:?}, weight {weight}\n{call:?}");
        assert_eq!(totals.rows, expected.iter().filter(|row| row.used).count(), "{backend}: {call:?}");

        let same = |other: Totals| {
            (other.weight, other.rows) == (totals.weight, totals.rows)
                && (other.sum.to_bits() == totals.sum.to_bits() || other.sum.is_nan() && totals.sum.is_nan())
        };
        assert!(same(loss.loss(x, targets).unwrap()), "{backend}: loss, {call:?}");
        let mut again = vec![7.0; rows];
        assert!(same(loss.losses(x, targets, &mut again).unwrap()), "{backend}: losses, {call:?}");
        assert!(same_bits(&again, &losses), "{backend}: losses, {call:?}");
        let mut again = vec![7.0; call.x.len()];
        assert!(same(loss.loss_grad(x, targets, RowsMut::new(&mut again, classes)).unwrap()), "{backend}: loss_grad");
        assert!(same_bits(&again, &gradient), "{backend}: loss_grad {call:?}");
        let mut again = call.x.clone();
        assert!(same(loss.loss_grad_in_place(RowsMut::new(&mut again, classes), targets).unwrap()));
        assert!(same_bits(&again, &gradient), "{backend}: in place {again:?} {gradient:?} {call:?}");
        let (mut again, mut losses_again) = (call.x.clone(), vec![7.0; rows]);
        let in_place = RowsMut::new(&mut again, classes);
        assert!(same(loss.losses_grad_in_place(in_place, targets, &mut losses_again).unwrap()));
        assert!(same_bits(&again, &gradient) && same_bits(&losses_again, &losses), "{backend}: {call:?}");

        // Rows a stride apart, from an odd start; what lies between them stays.
        let stride = classes + 3;
        let mut apart = vec![-5.5; rows * stride + 1];
        for n in 0..rows {
            apart[1 + n * stride..][..classes].copy_from_slice(call.row(n));
        }
        let table = RowsMut::strided(&mut apart[1..], rows, classes, stride);
        assert!(same(loss.loss_grad_in_place(table, targets).unwrap()));
        for n in 0..rows {
            let row = &apart[1 + n * stride..][..stride];
            assert!(same_bits(&row[..classes], &gradient[n * classes..][..classes]), "{backend}: strided {call:?}");
            assert!(row[classes..].iter().all(|&x| x == -5.5), "{backend}: written between rows, {call:?}");
        }

        for (other, other_losses, other_gradient) in &before {
            if other.is_fused() == backend.is_fused() {
                assert!(same_bits(other_losses, &losses), "{other} and {backend} differ in losses: {call:?}");
                assert!(same_bits(other_gradient, &gradient), "{other} and {backend} differ in gradients: {call:?}");
            }
        }
        before.push((backend, losses, gradient));
    }
}

fn class_of(call: &Call, class: i64) -> Option<usize> {
    (Some(class) != call.ignore_index).then(|| usize::try_from(class).unwrap())
}

pub fn softmax_indexed(call: &Call, classes: &[i64]) {
    let weights = call.class_weights();
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            let Some(class) = class_of(call, classes[n]).filter(|_| !call.is_left_out(n)) else {
                return Row::ignored(call.classes);
            };
            if weights[class] == 0.0 && call.label_smoothing == 0.0 {
                return Row::weightless(call.classes, 1);
            }
            let mut q = vec![0.0; call.classes];
            reference::one_hot(class, &mut q);
            reference::smooth(call.label_smoothing.into(), &mut q);
            reference::weigh(&weights, &mut q);
            Row { weights: vec![weights[class]], ..softmax_row(call.row(n), &q, 1.0) }
        })
        .collect();
    let mut loss = SoftmaxCrossEntropy::new().label_smoothing(call.label_smoothing).empty_row(call.empty_row);
    if let Some(index) = call.ignore_index {
        loss = loss.ignore_index(index);
    }
    check(loss, call, classes, &expected);
}

pub fn softmax_labelled(call: &Call, labels: &[f32]) {
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            if call.is_left_out(n) {
                return Row::ignored(call.classes);
            }
            let mut q = to_f64(&labels[n * call.classes..][..call.classes]);
            reference::smooth(call.label_smoothing.into(), &mut q);
            reference::weigh(&call.class_weights(), &mut q);
            softmax_row(call.row(n), &q, 1.0)
        })
        .collect();
    let loss = SoftmaxCrossEntropy::new().label_smoothing(call.label_smoothing).empty_row(call.empty_row);
    check(loss, call, Rows::new(labels, call.classes), &expected);
}

fn multi_label_row(call: &Call, n: usize, t: &[f64], count: f64) -> Row {
    if count == 0.0 || call.is_left_out(n) {
        return Row::ignored(call.classes);
    }
    let mut q = t.to_vec();
    reference::weigh(&call.class_weights(), &mut q);
    let divisor = match call.positives_scale {
        PositivesScale::CountNonzero => count,
        PositivesScale::SumLabels => q.iter().sum(),
        PositivesScale::None => 1.0,
    };
    let mut row = softmax_row(call.row(n), &q, reference::mean(1.0, divisor));
    if call.gradient == MultiLabelGradient::PyCaffeCompat {
        reference::pycaffe_backward(&shifted(call.row(n)), t, &mut row.gradient);
        row.gradient_size = row.gradient.iter().map(|_| 1.0).collect();
    }
    row
}

pub fn multi_labelled(call: &Call, labels: &[f32]) {
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            let t = to_f64(&labels[n * call.classes..][..call.classes]);
            multi_label_row(call, n, &t, reference::count_nonzero(&t))
        })
        .collect();
    let loss = MultiLabelSoftmaxCrossEntropy::new()
        .positives_scale(call.positives_scale)
        .gradient(call.gradient)
        .empty_row(call.empty_row);
    check(loss, call, Rows::new(labels, call.classes), &expected);
}

/// `hot`: `per_row` classes or ignore indices a row.
pub fn multi_hot(call: &Call, hot: &[i64], per_row: usize) {
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            let listed = hot[n * per_row..][..per_row].iter().filter_map(|&class| class_of(call, class));
            let mut t = vec![0.0; call.classes];
            let mut count = 0.0;
            for class in listed {
                t[class] += 1.0;
                count += 1.0;
            }
            multi_label_row(call, n, &t, count)
        })
        .collect();
    let mut loss = MultiLabelSoftmaxCrossEntropy::new().positives_scale(call.positives_scale).empty_row(call.empty_row);
    if let Some(index) = call.ignore_index {
        loss = loss.ignore_index(index);
    }
    check(loss, call, HotClasses::padded(hot, per_row), &expected);
}

/// A row whose elements are terms: `term` gives loss, gradient and their sizes, or nothing where it is ignored.
fn elementwise_row(call: &Call, term: impl Fn(usize) -> Option<(f64, f64, f64, f64)>) -> Row {
    let mut row = Row::ignored(call.classes);
    for (i, weight) in call.class_weights().into_iter().enumerate() {
        let Some((loss, loss_size, gradient, gradient_size)) = term(i) else { continue };
        row.used = true;
        row.elements += 1;
        row.mixed |= loss < loss_size * 0.999;
        row.largest = row.largest.max(loss_size).max(weight * loss_size);
        row.weights.push(weight);
        if weight != 0.0 {
            row.loss += weight * loss;
            row.loss_size += weight * loss_size;
            row.largest = row.largest.max(row.loss_size);
            row.gradient[i] = weight * gradient;
            row.gradient_size[i] = weight * gradient_size;
        }
    }
    row
}

pub fn sigmoid(call: &Call, labels: &[f32]) {
    let smoothing = f64::from(call.label_smoothing);
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            elementwise_row(call, |i| {
                let (x, t) = (f64::from(call.row(n)[i]), labels[n * call.classes + i]);
                if Some(t) == call.ignore_value {
                    return None;
                }
                let smooth = |t: f64| t * (1.0 - smoothing) + smoothing / 2.0;
                let label = f64::from(t);
                let t = smooth(label);
                let pos_weight = call.pos_weights.as_ref().map_or(1.0, |w| w[i].into());
                // With t = 1 and no weight on it there is no term, and no NaN to come through one.
                let no_term = pos_weight * t == 0.0 && t == 1.0;
                let loss = if no_term { 0.0 } else { reference::sigmoid_cross_entropy(x, t, pos_weight) };
                let zero_safe = |weight: f64, x: f64| if weight == 0.0 { 0.0 } else { (weight * x).abs() };
                // Labels outside [0, 1] cancel against the smoothing.
                let (a, b) = (pos_weight * smooth(label.abs()), smooth((1.0 - label).abs()));
                let size = zero_safe(a, reference::softplus(-x)) + zero_safe(b, reference::softplus(x));
                let gradient = reference::sigmoid_cross_entropy_grad(x, t, pos_weight);
                let gradient_size = (a * reference::sigmoid(-x)).abs().max((b * reference::sigmoid(x)).abs());
                Some((loss, size, gradient, gradient_size))
            })
        })
        .collect();
    let mut loss = SigmoidCrossEntropy::new().label_smoothing(call.label_smoothing);
    if let Some(weights) = &call.pos_weights {
        loss = loss.pos_weights(weights);
    }
    if let Some(value) = call.ignore_value {
        loss = loss.ignore_value(value);
    }
    check(loss, call, Rows::new(labels, call.classes), &expected);
}

fn clamp(policy: LogClamp) -> Clamp {
    match policy {
        LogClamp::None => Clamp::None,
        LogClamp::MinProb(p) => Clamp::MinProb(p.into()),
        LogClamp::Clip(p) => Clamp::Clip(p.into()),
        LogClamp::MinLog(log) => Clamp::MinLog(log.into()),
        LogClamp::AddEps(epsilon) => Clamp::AddEps(epsilon.into()),
    }
}

/// What rounding p + e to f32 makes of a logarithm near 0.
fn log_size(log: f64, policy: LogClamp) -> f64 {
    if matches!(policy, LogClamp::AddEps(_)) { log.abs().max(0.25) } else { log.abs() }
}

pub fn probability_indexed(call: &Call, classes: &[i64]) {
    indexed(call, classes, Some(call.log_clamp));
}

pub fn nll(call: &Call, classes: &[i64]) {
    indexed(call, classes, None);
}

fn indexed(call: &Call, classes: &[i64], policy: Option<LogClamp>) {
    let weights = call.class_weights();
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            let Some(class) = class_of(call, classes[n]) else { return Row::ignored(call.classes) };
            if weights[class] == 0.0 {
                return Row::weightless(call.classes, 1);
            }
            let x = f64::from(call.row(n)[class]);
            let (log, size, slope) = match policy {
                Some(policy) => {
                    let log = reference::clamped_log(x, clamp(policy));
                    (log, log_size(log, policy), reference::clamped_log_derivative(x, clamp(policy)))
                }
                None => (x, x.abs(), 1.0),
            };
            let mut row = Row::ignored(call.classes);
            row.gradient[class] = -weights[class] * slope;
            row.gradient_size[class] = row.gradient[class].abs();
            let loss = if weights[class] == 0.0 { 0.0 } else { -weights[class] * log };
            Row {
                used: true,
                elements: call.classes,
                weights: vec![weights[class]],
                loss,
                loss_size: size * weights[class],
                largest: size,
                ..row
            }
        })
        .collect();
    match policy {
        Some(policy) => {
            let mut loss = ProbabilityCrossEntropy::new().log_clamp(policy);
            if let Some(index) = call.ignore_index {
                loss = loss.ignore_index(index);
            }
            check(loss, call, ClassIndices::from(classes), &expected);
        }
        None => {
            let mut loss = NllLoss::new();
            if let Some(index) = call.ignore_index {
                loss = loss.ignore_index(index);
            }
            check(loss, call, classes, &expected);
        }
    }
}

pub fn probability_labelled(call: &Call, labels: &[f32]) {
    let policy = clamp(call.log_clamp);
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            let p = to_f64(call.row(n));
            let mut q = to_f64(&labels[n * call.classes..][..call.classes]);
            reference::weigh(&call.class_weights(), &mut q);
            let mut gradient = vec![0.0; call.classes];
            reference::cross_entropy_grad(&p, &q, policy, &mut gradient);
            let terms = p.iter().zip(&q).filter(|(_, q)| **q != 0.0);
            let size = terms.map(|(&p, q)| q.abs() * log_size(reference::clamped_log(p, policy), call.log_clamp)).sum();
            Row {
                used: true,
                weights: vec![1.0],
                elements: q.len(),
                loss: reference::cross_entropy(&p, &q, policy),
                loss_size: size,
                largest: size,
                mixed: false,
                gradient_size: gradient.iter().map(|g| g.abs()).collect(),
                gradient,
                ulps: TERMS,
            }
        })
        .collect();
    check(ProbabilityCrossEntropy::new().log_clamp(call.log_clamp), call, Rows::new(labels, call.classes), &expected);
}

pub fn probability_binary(call: &Call, labels: &[f32]) {
    let policy = clamp(call.log_clamp);
    let expected: Vec<Row> = (0..call.rows())
        .map(|n| {
            elementwise_row(call, |i| {
                let (p, t) = (f64::from(call.row(n)[i]), f64::from(labels[n * call.classes + i]));
                let weighted = |weight: f64, x: f64| if weight == 0.0 { 0.0 } else { weight.abs() * x };
                let size = weighted(t, log_size(reference::clamped_log(p, policy), call.log_clamp))
                    + weighted(1.0 - t, log_size(reference::clamped_log(1.0 - p, policy), call.log_clamp));
                let slopes = weighted(t, reference::clamped_log_derivative(p, policy).abs())
                    .max(weighted(1.0 - t, reference::clamped_log_derivative(1.0 - p, policy).abs()));
                let loss = reference::binary_cross_entropy(p, t, policy);
                Some((loss, size, reference::binary_cross_entropy_grad(p, t, policy), slopes))
            })
        })
        .collect();
    let loss = ProbabilityBinaryCrossEntropy::new().log_clamp(call.log_clamp);
    check(loss, call, Rows::new(labels, call.classes), &expected);
}
