//! Arguments that do not fit: no call panics or touches what is not its own, and a call that is refused writes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xent::loss::{Kind, Loss, NoPositives, Target};
use xent::{
    ClassIndices, EmptyRow, Error, HotClasses, IntoTargets, LogClamp, LogSoftmax, LogSumExp, MultiLabelGradient,
    MultiLabelSoftmaxCrossEntropy, NllLoss, PositivesScale, ProbabilityBinaryCrossEntropy, ProbabilityCrossEntropy,
    Reduction, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy,
};
use xent_fuzz::{Input, SENTINEL};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let input = &mut input;
    let shape = (input.below(9), if input.one_in(2) { input.below(20) } else { input.below(301) });
    let mut x = Memory::new(input, shape, Input::logit);
    let mut to = Memory::new(input, shape, |_| SENTINEL);
    let labels = Memory::new(input, shape, Input::label);
    if input.one_in(3) {
        activation(input, &labels, &mut x, &mut to);
    } else {
        loss(input, shape, &labels, &mut x, &mut to);
    }
});

/// A number that is mostly `near`, or next to it, and sometimes as large as they come.
fn number(input: &mut Input<'_>, near: usize) -> usize {
    match input.below(64) {
        0 => 0,
        1 => near.wrapping_add(1),
        2 => near.wrapping_sub(1),
        3 => usize::MAX,
        4 => usize::MAX / 2 + input.below(3),
        5 => (usize::MAX / near.max(1)).wrapping_add(input.below(3)),
        6 => 1 << input.below(64),
        7 => input.bits() as usize,
        8 => input.below(400),
        _ => near,
    }
}

/// A length that can be allocated: mostly `near`.
fn length(input: &mut Input<'_>, near: usize) -> usize {
    match number(input, near) {
        len if len <= 4096 => len,
        _ => near.min(4096),
    }
}

/// A number for an option: mostly in 0..=1.
fn option(input: &mut Input<'_>) -> f32 {
    match input.below(16) {
        0 => input.logit(),
        1 => 0.0,
        2 => 1.0,
        3 => input.pick(&[1e-45, 1e-40, 9.3e18, f32::MAX]),
        _ => input.uniform(0.0, 1.0),
    }
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    OneRow,
    Packed(usize),
    Strided(usize, usize, usize),
}

/// Memory that is taken for a table, whether it holds one or not.
#[derive(Clone)]
struct Memory {
    values: Vec<f32>,
    start: usize,
    layout: Layout,
}

impl Memory {
    fn new<'a>(
        input: &mut Input<'a>,
        (rows, classes): (usize, usize),
        value: impl FnMut(&mut Input<'a>) -> f32,
    ) -> Self {
        let gap = input.pick(&[0, 0, 1, 3]);
        let (layout, len) = match input.below(8) {
            0 => (Layout::OneRow, rows * classes),
            1..=3 => (Layout::Packed(number(input, classes)), rows * classes),
            _ => {
                let stride = number(input, classes + gap);
                (Layout::Strided(number(input, rows), number(input, classes), stride), rows * (classes + gap))
            }
        };
        let start = input.below(16);
        let len = start + length(input, len);
        Self { values: input.vec(len, value), start, layout }
    }

    fn rows(&self) -> Rows<'_> {
        let values = &self.values[self.start..];
        match self.layout {
            Layout::OneRow => Rows::from(values),
            Layout::Packed(classes) => Rows::new(values, classes),
            Layout::Strided(rows, classes, stride) => Rows::strided(values, rows, classes, stride),
        }
    }

    fn rows_mut(&mut self) -> RowsMut<'_> {
        let values = &mut self.values[self.start..];
        match self.layout {
            Layout::OneRow => RowsMut::from(values),
            Layout::Packed(classes) => RowsMut::new(values, classes),
            Layout::Strided(rows, classes, stride) => RowsMut::strided(values, rows, classes, stride),
        }
    }

    fn is_in_row(&self, position: usize) -> bool {
        match (position.checked_sub(self.start), self.layout) {
            (None, _) => false,
            (Some(_), Layout::OneRow | Layout::Packed(_)) => true,
            (Some(i), Layout::Strided(rows, classes, stride)) => {
                i.checked_div(stride).is_some_and(|row| row < rows) && i % stride < classes
            }
        }
    }

    /// Compares with the memory as it was before a call that may have changed what is in the rows, or nothing.
    fn check(&self, before: &Self, may_change: bool) {
        for (i, (now, then)) in self.values.iter().zip(&before.values).enumerate() {
            let unchanged = now.to_bits() == then.to_bits();
            assert!(unchanged || may_change && self.is_in_row(i), "element {i} of {:?} is written", self.layout);
        }
    }

    /// Panics if an element of a row is what it was.
    fn check_written(&self) {
        for (i, x) in self.values.iter().enumerate() {
            assert!(!self.is_in_row(i) || x.to_bits() != SENTINEL.to_bits(), "element {i} is not written");
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Writes {
    Nothing,
    X,
    To,
}

/// One call, and whether it was good. A refused one has written nothing; a good one its rows and nothing else.
fn checked<T>(
    x: &mut Memory,
    to: &mut Memory,
    writes: Writes,
    call: impl FnOnce(&mut Memory, &mut Memory) -> Result<T, Error>,
) -> bool {
    let (x_before, to_before) = (x.clone(), to.clone());
    let result = call(x, to);
    x.check(&x_before, result.is_ok() && writes == Writes::X);
    to.check(&to_before, result.is_ok() && writes == Writes::To);
    if result.is_ok() && writes == Writes::To {
        to.check_written();
    }
    if let Err(error) = &result {
        assert!(!error.to_string().is_empty());
    }
    result.is_ok()
}

/// One number a row: all of them written, or none.
fn check_vector(numbers: &[f32], written: bool) {
    assert!(numbers.iter().all(|x| (x.to_bits() != SENTINEL.to_bits()) == written), "{numbers:?}, written: {written}");
}

fn activation(input: &mut Input<'_>, at: &Memory, x: &mut Memory, to: &mut Memory) {
    use Writes::{Nothing, To, X};
    let len = length(input, x.rows().rows());
    let dy = input.vec(len, Input::logit);
    match input.below(11) {
        0 => checked(x, to, To, |x, to| Sigmoid::new().forward(x.rows(), to.rows_mut())),
        1 => checked(x, to, X, |x, _| Sigmoid::new().forward_in_place(x.rows_mut())),
        2 => checked(x, to, To, |x, to| Softmax::new().forward(x.rows(), to.rows_mut())),
        3 => checked(x, to, X, |x, _| LogSoftmax::new().forward_in_place(x.rows_mut())),
        4 => checked(x, to, To, |x, to| Sigmoid::new().backward_from_input(at.rows(), x.rows(), to.rows_mut())),
        5 => checked(x, to, X, |x, _| Sigmoid::new().backward_from_output_in_place(at.rows(), x.rows_mut())),
        6 => checked(x, to, To, |x, to| Softmax::new().backward_from_output(at.rows(), x.rows(), to.rows_mut())),
        7 => checked(x, to, X, |x, _| LogSoftmax::new().backward_from_output_in_place(at.rows(), x.rows_mut())),
        8 => checked(x, to, To, |x, to| LogSumExp::new().backward_from_input(x.rows(), &dy, to.rows_mut())),
        9 => checked(x, to, X, |x, _| LogSumExp::new().backward_from_input_in_place(&dy, x.rows_mut())),
        _ => {
            let mut out = vec![SENTINEL; dy.len()];
            let good = checked(x, to, Nothing, |x, _| LogSumExp::new().forward(x.rows(), &mut out));
            check_vector(&out, good);
            good
        }
    };
}

/// What every kind of loss has.
struct Options {
    class_weights: Option<Vec<f32>>,
    row_weights: Option<Vec<f32>>,
    reduction: Reduction,
    grad_scale: f32,
    check_finite: bool,
    validate: bool,
}

impl Options {
    fn new(input: &mut Input<'_>, (rows, classes): (usize, usize)) -> Self {
        let weights = |input: &mut Input<'_>, near| {
            input.one_in(3).then(|| {
                let len = length(input, near);
                let is_wild = input.one_in(4);
                input.vec(len, |input| if is_wild { option(input) } else { input.uniform(0.0, 9.0) })
            })
        };
        Self {
            class_weights: weights(input, classes),
            row_weights: weights(input, rows),
            reduction: if input.one_in(8) { Reduction::MeanOver(option(input).into()) } else { input.reduction() },
            grad_scale: option(input),
            check_finite: input.one_in(4),
            validate: input.one_in(4),
        }
    }
}

fn log_clamp(input: &mut Input<'_>) -> LogClamp {
    let value = option(input);
    match input.below(8) {
        0 => LogClamp::MinProb(value),
        1 => LogClamp::Clip(value),
        2 => LogClamp::MinLog(-value),
        3 => LogClamp::AddEps(value),
        _ => input.log_clamp(),
    }
}

fn loss(input: &mut Input<'_>, shape: (usize, usize), labels: &Memory, x: &mut Memory, to: &mut Memory) {
    let options = Options::new(input, shape);
    let empty_row = input.pick(&[EmptyRow::Nan, EmptyRow::Zero]);
    let (smoothing, clamp) = (option(input), log_clamp(input));
    let ignore = [-100, -1, 0, 2, i64::MAX, i64::MIN, 255];
    let ignore = input.one_in(2).then(|| input.pick(&ignore));

    macro_rules! ignoring {
        ($loss:expr) => {
            if let Some(index) = ignore { $loss.ignore_index(index) } else { $loss }
        };
    }
    let softmax = SoftmaxCrossEntropy::new().label_smoothing(smoothing).empty_row(empty_row);
    let probability = ProbabilityCrossEntropy::new().log_clamp(clamp);
    let multi_label = MultiLabelSoftmaxCrossEntropy::new()
        .empty_row(empty_row)
        .no_positives(if input.one_in(4) { NoPositives::Error } else { NoPositives::Skip })
        .positives_scale(input.pick(&[PositivesScale::CountNonzero, PositivesScale::SumLabels, PositivesScale::None]))
        .gradient(input.pick(&[MultiLabelGradient::True, MultiLabelGradient::PyCaffeCompat]));

    let kind = input.below(9);
    match kind {
        0 => run(input, &options, ignoring!(softmax), labels.rows(), x, to),
        1 => run(input, &options, ignoring!(probability), labels.rows(), x, to),
        2 => run(input, &options, ignoring!(multi_label), labels.rows(), x, to),
        3 => {
            let loss = ProbabilityBinaryCrossEntropy::new().log_clamp(clamp);
            run(input, &options, loss, labels.rows(), x, to);
        }
        4 => {
            let len = length(input, shape.1);
            let weights = input.vec(len, |input| if input.one_in(64) { option(input) } else { 2.0 });
            let loss = SigmoidCrossEntropy::new().label_smoothing(smoothing);
            let loss = if input.one_in(2) { loss.pos_weight(option(input)) } else { loss.pos_weights(&weights) };
            let loss = if input.one_in(2) { loss.ignore_value(option(input)) } else { loss };
            run(input, &options, loss, labels.rows(), x, to);
        }
        _ => {
            let near = input.pick(&[1, 1, 2, 5]);
            let per_row = if kind == 8 { number(input, near) } else { 1 };
            let len = length(input, shape.0 * per_row.min(5));
            let is_wild = input.one_in(4);
            let raw = input.vec(len, |input| match input.below(32) {
                0 if is_wild => number(input, shape.1) as i64,
                1 if is_wild => -1,
                2 => ignore.unwrap_or(0),
                _ => input.below(shape.1.max(1)) as i64,
            });
            /// The indices in one of the integer types.
            macro_rules! in_width {
                ($($integer:ty),*) => {{
                    let mut width = input.below([$(size_of::<$integer>()),*].len());
                    $(
                        if width == 0 {
                            let indices: Vec<$integer> = raw.iter().map(|&index| index as $integer).collect();
                            let indices = ClassIndices::from(&indices[..]);
                            match kind {
                                5 => run(input, &options, ignoring!(softmax), indices, x, to),
                                6 => run(input, &options, ignoring!(probability), indices, x, to),
                                7 => run(input, &options, ignoring!(NllLoss::new()), indices, x, to),
                                _ => {
                                    let hot = HotClasses::padded(indices, per_row);
                                    run(input, &options, ignoring!(multi_label), hot, x, to);
                                }
                            }
                        }
                        width = width.wrapping_sub(1);
                    )*
                    let _ = width;
                }};
            }
            in_width!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
        }
    }
}

fn run<'a, K, T>(
    input: &mut Input<'_>,
    options: &'a Options,
    loss: Loss<'a, K>,
    targets: T,
    x: &mut Memory,
    to: &mut Memory,
) where
    K: Kind + Copy,
    T: IntoTargets<'a, Targets: Target<'a, K>>,
{
    let mut loss = loss
        .reduction(options.reduction)
        .grad_scale(options.grad_scale)
        .check_finite(options.check_finite)
        .validate(options.validate);
    if let Some(weights) = &options.class_weights {
        loss = loss.class_weights(weights);
    }
    if let Some(weights) = &options.row_weights {
        loss = loss.row_weights(weights);
    }
    let len = length(input, x.rows().rows());
    let mut losses = vec![SENTINEL; len];
    let (good, has_losses) = match input.below(6) {
        0 => (checked(x, to, Writes::Nothing, |x, _| loss.loss(x.rows(), targets)), false),
        1 => (checked(x, to, Writes::Nothing, |x, _| loss.losses(x.rows(), targets, &mut losses)), true),
        2 => (checked(x, to, Writes::To, |x, to| loss.loss_grad(x.rows(), targets, to.rows_mut())), false),
        3 => (checked(x, to, Writes::X, |x, _| loss.loss_grad_in_place(x.rows_mut(), targets)), false),
        4 => {
            (checked(x, to, Writes::To, |x, to| loss.losses_grad(x.rows(), targets, &mut losses, to.rows_mut())), true)
        }
        _ => (checked(x, to, Writes::X, |x, _| loss.losses_grad_in_place(x.rows_mut(), targets, &mut losses)), true),
    };
    check_vector(&losses, good && has_losses);
}
