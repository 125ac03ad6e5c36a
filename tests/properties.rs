//! Random calls against the oracle, and the laws that hold for all inputs.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod support;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::oracle::{self, Call};
use xent::{EmptyRow, LogClamp, MultiLabelGradient, PositivesScale, Reduction};

/// 300 cases of a fixed sequence, unless PROPTEST_CASES and PROPTEST_RNG_SEED say otherwise.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 300 };
    let rng_seed = if default.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { default.rng_seed };
    ProptestConfig { cases, rng_seed, ..default }
}

fn uniform(low: f32, high: f32) -> impl Strategy<Value = f32> + Clone {
    (0_u32..=1 << 24).prop_map(move |i| low + (high - low) * (i as f32 / 16_777_216.0))
}

/// Mostly ordinary logits, now and then any f32 at all.
fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        12 => uniform(-10.0, 10.0),
        3 => uniform(-200.0, 200.0),
        1 => prop::sample::select(support::SPECIAL),
        1 => any::<u32>().prop_map(f32::from_bits),
    ]
}

fn probability() -> impl Strategy<Value = f32> {
    prop_oneof![10 => uniform(0.0, 1.0), 2 => Just(0.0), 2 => Just(1.0), 1 => uniform(0.0, 1e-6), 1 => uniform(0.999_999, 1.0), 1 => logit()]
}

fn label() -> impl Strategy<Value = f32> {
    prop_oneof![6 => Just(0.0), 4 => Just(1.0), 3 => uniform(0.0, 1.0), 1 => uniform(0.0, 5.0)]
}

fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0), 2 => Just(1.0), 5 => uniform(0.01, 10.0)]
}

fn reduction() -> impl Strategy<Value = Reduction> {
    prop_oneof![
        Just(Reduction::Sum),
        Just(Reduction::MeanOverWeights),
        Just(Reduction::MeanOverRows),
        Just(Reduction::MeanOverAllRows),
        Just(Reduction::MeanOverElements),
        Just(Reduction::MeanOverNonZeroWeights),
        uniform(0.5, 50.0).prop_map(|d| Reduction::MeanOver(d.into())),
    ]
}

fn log_clamp() -> impl Strategy<Value = LogClamp> {
    prop::sample::select(&support::LOG_CLAMPS[..])
}

prop_compose! {
    fn shape()(rows in 0_usize..6, classes in prop_oneof![1_usize..20, 20_usize..300]) -> (usize, usize) {
        (rows, classes)
    }
}

/// A table of `values` with random options.
fn call<S: Strategy<Value = f32> + Clone>(values: S) -> impl Strategy<Value = Call> {
    shape().prop_flat_map(move |(rows, classes)| {
        let weights = |n| prop::option::of(prop::collection::vec(weight(), n));
        (
            prop::collection::vec(values.clone(), rows * classes),
            (weights(classes), weights(rows), weights(classes)),
            (reduction(), log_clamp()),
            (prop_oneof![Just(1.0_f32), uniform(-2.0, 100.0)], prop_oneof![2 => Just(0.0_f32), 1 => uniform(0.0, 1.0)]),
            any::<bool>(),
            prop::option::of(Just(-100_i64)),
        )
            .prop_map(
                move |(x, weights, (reduction, log_clamp), (grad_scale, label_smoothing), zero, ignore_index)| {
                    let (class_weights, row_weights, pos_weights) = weights;
                    let empty_row = if zero { EmptyRow::Zero } else { EmptyRow::Nan };
                    Call {
                        class_weights,
                        row_weights,
                        pos_weights,
                        reduction,
                        log_clamp,
                        grad_scale,
                        label_smoothing,
                        empty_row,
                        ignore_index,
                        ..Call::new(&x, classes)
                    }
                },
            )
    })
}

fn with_classes<S: Strategy<Value = f32> + Clone>(values: S) -> impl Strategy<Value = (Call, Vec<i64>)> {
    call(values).prop_flat_map(|call| {
        let rows = call.x.len() / call.classes;
        let ignore = call.ignore_index.unwrap_or(0);
        let class = prop_oneof![6 => 0..call.classes as i64, 1 => Just(ignore)];
        (Just(call), prop::collection::vec(class, rows))
    })
}

fn with_labels<S, T>(values: S, labels: T) -> impl Strategy<Value = (Call, Vec<f32>)>
where
    S: Strategy<Value = f32> + Clone,
    T: Strategy<Value = f32> + Clone,
{
    call(values).prop_flat_map(move |call| {
        let len = call.x.len();
        (Just(call), prop::collection::vec(labels.clone(), len))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn softmax_cross_entropy_of_indices((call, classes) in with_classes(logit().boxed())) {
        oracle::softmax_indexed(&call, &classes);
    }

    #[test]
    fn softmax_cross_entropy_of_labels((call, labels) in with_labels(logit().boxed(), label().boxed())) {
        oracle::softmax_labelled(&call, &labels);
    }

    #[test]
    fn multi_label_softmax_of_labels(
        (call, labels) in with_labels(logit().boxed(), prop_oneof![8 => label(), 1 => uniform(-3.0, 0.0)].boxed()),
        scale in prop::sample::select(vec![PositivesScale::CountNonzero, PositivesScale::None]),
        pycaffe in any::<bool>(),
    ) {
        let mut call = Call { positives_scale: scale, ..call };
        if pycaffe {
            call.gradient = MultiLabelGradient::PyCaffeCompat;
            call.positives_scale = PositivesScale::CountNonzero;
            call.class_weights = None;
        }
        oracle::multi_labelled(&call, &labels);
    }

    #[test]
    fn multi_label_softmax_by_the_sum_of_labels((call, labels) in with_labels(logit().boxed(), label().boxed())) {
        oracle::multi_labelled(&Call { positives_scale: PositivesScale::SumLabels, ..call }, &labels);
    }

    #[test]
    fn multi_label_softmax_of_hot_classes(
        ((call, first), second) in with_classes(logit().boxed()).prop_flat_map(|(call, first)| {
            let second = prop::collection::vec(0..call.classes as i64, first.len());
            (Just((call, first)), second)
        }),
        scale in prop::sample::select(vec![PositivesScale::CountNonzero, PositivesScale::SumLabels, PositivesScale::None]),
    ) {
        let hot: Vec<i64> = first.iter().zip(&second).flat_map(|(&a, &b)| [a, b]).collect();
        oracle::multi_hot(&Call { positives_scale: scale, ..call }, &hot, 2);
    }

    #[test]
    fn sigmoid_cross_entropy(
        (call, labels) in with_labels(logit().boxed(), label().boxed()),
        ignore_value in prop::option::of(Just(1.0_f32)),
    ) {
        oracle::sigmoid(&Call { ignore_value, ..call }, &labels);
    }

    #[test]
    fn cross_entropy_of_probabilities_of_indices((call, classes) in with_classes(probability().boxed())) {
        oracle::probability_indexed(&call, &classes);
    }

    #[test]
    fn cross_entropy_of_probabilities_of_labels((call, labels) in with_labels(probability().boxed(), label().boxed())) {
        oracle::probability_labelled(&call, &labels);
    }

    #[test]
    fn binary_cross_entropy_of_probabilities(
        (call, labels) in with_labels(probability().boxed(), prop_oneof![Just(0.0_f32), Just(1.0_f32), uniform(0.0, 1.0)].boxed()),
    ) {
        oracle::probability_binary(&call, &labels);
    }

    #[test]
    fn nll((call, classes) in with_classes(prop_oneof![9 => uniform(-50.0, 0.0), 1 => logit()].boxed())) {
        oracle::nll(&call, &classes);
    }
}
