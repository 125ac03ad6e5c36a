//! Every loss of class indices and hot lists, by all its methods on every backend, against `xent::reference`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent::PositivesScale;
use xent_fuzz::Input;
use xent_fuzz::support::oracle::{self, Call};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    // The indices start anywhere in their allocation.
    let start = input.below(4);
    let skipping = |classes: Vec<i64>| [vec![-7; start], classes].concat();
    match input.below(4) {
        0 => {
            let call = input.call(Input::logit);
            oracle::softmax_indexed(&call, &skipping(input.classes(&call, 1))[start..]);
        }
        1 => {
            let call = input.call(Input::probability);
            oracle::probability_indexed(&call, &skipping(input.classes(&call, 1))[start..]);
        }
        2 => {
            let call = input.call(Input::log_probability);
            oracle::nll(&call, &skipping(input.classes(&call, 1))[start..]);
        }
        _ => {
            let scales = [PositivesScale::CountNonzero, PositivesScale::SumLabels, PositivesScale::None];
            let call = Call { positives_scale: input.pick(&scales), ..input.call(Input::logit) };
            let per_row = input.below(5);
            oracle::multi_hot(&call, &skipping(input.classes(&call, per_row))[start..], per_row);
        }
    }
});
