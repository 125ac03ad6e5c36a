//! Learns to read handwritten digits, four times: one small network with four losses.
//!
//! 1. Softmax loss: which of the ten digits is it?
//! 2. Sigmoid cross-entropy, each class against the rest: is it a 0? Is it a 1? ...
//! 3. Multi-label softmax loss: which of six attributes does it have?
//! 4. Sigmoid cross-entropy on the same attributes.
//!
//! `cargo run --release --example digits` prints the same numbers each time, and fails if too much of the test set is
//! misread. The network is plain loops in `network.rs`; its activations, losses and their gradients are xent's.
//! `DATA.md` says where the images come from.

#![allow(clippy::indexing_slicing, reason = "rows, classes and tables have one length each")]

mod data;
mod network;

use core::array;
use core::error::Error;
use data::{Random, Sample};
use network::Network;
use std::time::Instant;
use xent::{
    Backend, MultiLabelSoftmaxCrossEntropy, Reduction, Rows, RowsMut, SigmoidCrossEntropy, Softmax,
    SoftmaxCrossEntropy, Totals,
};

const CLASSES: usize = 10;
const LABELS: usize = 6;

/// What a digit can be, several at once; each digit is at least one of them.
const ATTRIBUTES: [(&str, &[u8]); LABELS] = [
    ("even", &[0, 2, 4, 6, 8]),
    ("prime", &[2, 3, 5, 7]),
    ("square", &[0, 1, 4, 9]),
    ("multiple of 3", &[0, 3, 6, 9]),
    ("5 or more", &[5, 6, 7, 8, 9]),
    ("has a loop", &[0, 4, 6, 8, 9]),
];

const SOFTMAX_LOSS: SoftmaxCrossEntropy = SoftmaxCrossEntropy::new();
const MULTI_LABEL_LOSS: MultiLabelSoftmaxCrossEntropy = MultiLabelSoftmaxCrossEntropy::new();
/// The mean over rows, as the two above: its own default, the mean over elements, has a gradient that much smaller.
const SIGMOID_LOSS: SigmoidCrossEntropy = SigmoidCrossEntropy::new().reduction(Reduction::MeanOverRows);

const EPOCHS: usize = 20;
const BATCH: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let (train, test) = data::split(1400, &mut Random(1));
    let (images, digits) = data::batch(&test);
    println!("{} digits to learn from, {} to test; backend {}", train.len(), test.len(), Backend::active());

    println!("\n1. Softmax loss, one class of ten");
    let network = learn(&train, CLASSES, |logits, digits| {
        SOFTMAX_LOSS.loss_grad_in_place(RowsMut::new(logits, CLASSES), digits)
    })?;
    let logits = network.logits(&images)?;
    report_classes(&logits, &digits)?;
    show_hardest(&test, &logits, &digits)?;

    println!("\n2. Sigmoid cross-entropy, each class against the rest");
    let network = learn(&train, CLASSES, |logits, digits| {
        let targets = labels(digits, one_hot);
        SIGMOID_LOSS.loss_grad_in_place(RowsMut::new(logits, CLASSES), Rows::new(&targets, CLASSES))
    })?;
    report_classes(&network.logits(&images)?, &digits)?;

    println!("\n3. Multi-label softmax loss, six attributes");
    let network = learn(&train, LABELS, |logits, digits| {
        let targets = labels(digits, attributes);
        MULTI_LABEL_LOSS.loss_grad_in_place(RowsMut::new(logits, LABELS), Rows::new(&targets, LABELS))
    })?;
    // The k attributes of a digit share the probability, 1 / k each, and the others have none of it. As k is not known,
    // those with more than a quarter of the largest share are taken as present.
    let mut shares = network.logits(&images)?;
    Softmax::new().forward_in_place(RowsMut::new(&mut shares, LABELS))?;
    report_attributes(&shares, &digits, |shares| shares[largest(shares)] / 4.0)?;

    println!("\n4. Sigmoid cross-entropy, six attributes");
    let network = learn(&train, LABELS, |logits, digits| {
        let targets = labels(digits, attributes);
        SIGMOID_LOSS.loss_grad_in_place(RowsMut::new(logits, LABELS), Rows::new(&targets, LABELS))
    })?;
    // Each attribute is a question of its own, and a logit of 0 is a probability of one half.
    report_attributes(&network.logits(&images)?, &digits, |_| 0.0)?;

    println!("\n{:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Trains a network of `outputs` logits. `loss` turns the logits of a batch into their gradient, given the digits.
fn learn(
    samples: &[Sample],
    outputs: usize,
    loss: impl Fn(&mut [f32], &[u8]) -> Result<Totals, xent::Error>,
) -> Result<Network, xent::Error> {
    let mut random = Random(2);
    let mut network = Network::new(outputs, &mut random);
    let mut samples = samples.to_vec();
    print!("   train loss of each epoch:");
    for epoch in 0..EPOCHS {
        random.shuffle(&mut samples);
        let mut sums = Totals::default();
        for batch in samples.chunks(BATCH) {
            let (images, digits) = data::batch(batch);
            let totals = network.step(&images, |logits| loss(logits, &digits))?;
            sums.sum += totals.sum;
            sums.weight += totals.weight;
        }
        print!("{}{:.4}", if epoch % 10 == 0 { "\n   " } else { " " }, sums.mean());
    }
    println!();
    Ok(network)
}

/// One row of labels for each digit, one behind the other.
fn labels<const N: usize>(digits: &[u8], row: fn(u8) -> [f32; N]) -> Vec<f32> {
    digits.iter().flat_map(|&digit| row(digit)).collect()
}

fn one_hot(digit: u8) -> [f32; CLASSES] {
    array::from_fn(|class| f32::from(class == usize::from(digit)))
}

fn attributes(digit: u8) -> [f32; LABELS] {
    ATTRIBUTES.map(|(_, digits)| f32::from(digits.contains(&digit)))
}

/// Prints confusions and accuracy, where the class with the largest logit is the prediction.
fn report_classes(logits: &[f32], digits: &[u8]) -> Result<(), String> {
    let mut confusion = [[0; CLASSES]; CLASSES];
    for (logits, &digit) in logits.chunks_exact(CLASSES).zip(digits) {
        confusion[usize::from(digit)][largest(logits)] += 1;
    }
    println!("   each digit of the test set, and how often it was read as 0 to 9:");
    for (digit, counts) in confusion.iter().enumerate() {
        println!("   {digit} {counts:2?}");
    }
    let right: usize = (0..CLASSES).map(|class| confusion[class][class]).sum();
    pass("test accuracy", right, digits.len(), 0.95)
}

/// Prints accuracies, where the attributes whose value is above the row's threshold are the predictions.
fn report_attributes(values: &[f32], digits: &[u8], threshold: impl Fn(&[f32]) -> f32) -> Result<(), String> {
    let mut right = [0; LABELS];
    let mut all_right = 0;
    for (values, &digit) in values.chunks_exact(LABELS).zip(digits) {
        let threshold = threshold(values);
        let truth = attributes(digit);
        let hits: [bool; LABELS] = array::from_fn(|label| (values[label] > threshold) == (truth[label] == 1.0));
        for (right, hit) in right.iter_mut().zip(hits) {
            *right += usize::from(hit);
        }
        all_right += usize::from(hits == [true; LABELS]);
    }
    for ((attribute, _), right) in ATTRIBUTES.iter().zip(right) {
        pass(attribute, right, digits.len(), 0.95)?;
    }
    pass("all six at once", all_right, digits.len(), 0.9)
}

/// Prints the share of the test set that was read right, and fails where it is below the bar.
fn pass(what: &str, right: usize, all: usize, bar: f64) -> Result<(), String> {
    let share = right as f64 / all as f64;
    println!("   {what}: {share:.4}");
    if share >= bar { Ok(()) } else { Err(format!("{what} is {share:.4}, below {bar}")) }
}

/// Prints the test image with the highest loss, and the probability of each class.
fn show_hardest(samples: &[Sample], logits: &[f32], digits: &[u8]) -> Result<(), xent::Error> {
    let mut losses = vec![0.0; digits.len()];
    SOFTMAX_LOSS.losses(Rows::new(logits, CLASSES), digits, &mut losses)?;
    let hardest = largest(&losses);

    let mut p = [0.0; CLASSES];
    Softmax::new().forward(&logits[hardest * CLASSES..][..CLASSES], &mut p)?;
    println!("   the hardest image shows {}, with loss {:.2}:", digits[hardest], losses[hardest]);
    for line in samples[hardest].pixels.chunks_exact(8) {
        let drawn: String = line.iter().map(|&ink| [' ', '.', ':', 'o', '#'][usize::from(ink / 4)]).collect();
        println!("      {drawn}");
    }
    println!("   probabilities of 0 to 9: {p:.3?}");
    Ok(())
}

/// Where the largest value is.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or_default()
}
