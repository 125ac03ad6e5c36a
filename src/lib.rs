// README.md is the front page of the documentation, and its examples are tests.
#![doc = include_str!("../README.md")]
#![no_std]

pub mod activation;
mod backend;
mod error;
mod kernel;
mod lane;
pub mod loss;
mod math;
pub mod reference;
mod rows;
mod targets;

pub use activation::{
    LogSigmoid, LogSoftmax, LogSumExp, Sigmoid, Softmax, Softplus, log_softmax, log_sum_exp, sigmoid, softmax,
};
pub use backend::Backend;
pub use error::Error;
pub use loss::{
    EmptyRow, LogClamp, MultiLabelGradient, MultiLabelSoftmaxCrossEntropy, NllLoss, NoPositives, PositivesScale,
    ProbabilityBinaryCrossEntropy, ProbabilityCrossEntropy, Reduction, SigmoidCrossEntropy, SoftmaxCrossEntropy,
    Totals,
};
pub use rows::{Rows, RowsMut};
pub use targets::{ClassIndices, HotClasses, IntoTargets};
