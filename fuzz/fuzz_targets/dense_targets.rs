//! Every loss of dense labels, by all its methods on every backend, against `xent::reference`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent::{MultiLabelGradient, PositivesScale};
use xent_fuzz::Input;
use xent_fuzz::support::oracle::{self, Call};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    // The labels start anywhere in their allocation.
    let start = input.below(16);
    match input.below(6) {
        0 => {
            let call = input.call(Input::logit);
            let labels = input.vec(start + call.x.len(), Input::label);
            oracle::softmax_labelled(&call, &labels[start..]);
        }
        1 => {
            let scale = input.pick(&[PositivesScale::CountNonzero, PositivesScale::None]);
            let mut call = Call { positives_scale: scale, ..input.call(Input::logit) };
            if input.one_in(3) {
                call.gradient = MultiLabelGradient::PyCaffeCompat;
                call.positives_scale = PositivesScale::CountNonzero;
                call.class_weights = None;
            }
            let labels =
                input.vec(
                    start + call.x.len(),
                    |input| {
                        if input.one_in(8) { input.uniform(-3.0, 0.0) } else { input.label() }
                    },
                );
            oracle::multi_labelled(&call, &labels[start..]);
        }
        2 => {
            // Labels of both signs could cancel in the sum that divides them.
            let call = Call { positives_scale: PositivesScale::SumLabels, ..input.call(Input::logit) };
            let labels = input.vec(start + call.x.len(), Input::label);
            oracle::multi_labelled(&call, &labels[start..]);
        }
        3 => {
            let mut call = input.call(Input::logit);
            call.ignore_value = input.one_in(3).then_some(1.0);
            let labels = input.vec(start + call.x.len(), Input::label);
            oracle::sigmoid(&call, &labels[start..]);
        }
        4 => {
            let call = input.call(Input::probability);
            let labels = input.vec(start + call.x.len(), Input::label);
            oracle::probability_labelled(&call, &labels[start..]);
        }
        _ => {
            let call = input.call(Input::probability);
            let labels = input.vec(start + call.x.len(), |input| match input.below(3) {
                0 => 0.0,
                1 => 1.0,
                _ => input.uniform(0.0, 1.0),
            });
            oracle::probability_binary(&call, &labels[start..]);
        }
    }
});
