//! A yes or no for each class: sigmoid cross-entropy, and its second half on probabilities.

use super::{Kind, LogClamp, Loss, Reduction, Sealed, check_label_smoothing, check_weights, parameter, target};
use crate::kernel::{probability, sigmoid_loss};
use crate::lane::Stream;
use crate::{Error, Rows};
use core::ops::RangeInclusive;

/// Binary cross-entropy with logits: sigmoid and cross-entropy in one, also called sigmoid cross-entropy loss.
///
/// ```text
/// l = sum_i w_i (P_i t_i softplus(-x_i) + (1 - t_i) softplus(x_i))
/// dl/dx_i = w_i ((1 - t_i) sigmoid(x_i) - P_i t_i sigmoid(-x_i))
/// smoothing e: t_i (1 - e) + e / 2 for t_i
/// ```
///
/// Equations (8) to (10) of the article named in [`reference`](crate::reference), with pos_weight P. Each element is a
/// problem of its own; the loss of a row is their sum. Targets are rows of labels in [0, 1]; others extend the formula
/// linearly.
///
/// The default reduction is [`Reduction::MeanOverElements`], PyTorch's (and so its MultiLabelSoftMarginLoss). The gradient
/// is smaller by a factor C than under [`Reduction::MeanOverRows`], Caffe's, which is what the default of the softmax
/// losses amounts to without weights: set the reduction when you swap one loss for the other.
///
/// Special cases: +inf with target 1 and -inf with target 0 cost 0, on the wrong side they cost +inf; NaN gives NaN.
/// Losses and gradients down to the smallest subnormal are kept.
///
/// Accuracy: the loss is within 4 ULP of the sum of its terms' absolute values (the loss itself for labels in [0, 1]),
/// each element of the gradient within 4 ULP of itself or of the larger of its two terms, whichever is larger. Each
/// weight adds a rounding.
///
/// ```
/// use xent::SigmoidCrossEntropy;
///
/// let mut gradient = [0.0; 1];
/// let loss = SigmoidCrossEntropy::new().pos_weight(3.0);
/// let totals = loss.loss_grad(&[2.0], &[0.5], &mut gradient)?;
/// assert!((totals.mean() - 1.253_856_1).abs() < 1e-6 && (gradient[0] - 0.261_594_06).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "sigmoid_cross_entropy")]
#[doc(alias = "sigmoid cross-entropy loss")]
#[doc(alias = "SigmoidCrossEntropyLoss")]
#[doc(alias = "sigmoid_cross_entropy_with_logits")]
#[doc(alias = "weighted_cross_entropy_with_logits")]
#[doc(alias = "sigmoid_binary_cross_entropy")]
#[doc(alias = "binary cross-entropy")]
#[doc(alias = "BCEWithLogitsLoss")]
#[doc(alias = "binary_cross_entropy_with_logits")]
#[doc(alias = "binary_cross_entropy_with_logit")]
#[doc(alias = "MultiLabelSoftMarginLoss")]
#[doc(alias = "multilabel_soft_margin_loss")]
#[doc(alias = "BinaryCrossentropy")]
#[doc(alias = "logistic loss")]
#[doc(alias = "log loss")]
pub type SigmoidCrossEntropy<'a> = Loss<'a, Sigmoid<'a>>;

/// Binary cross-entropy of probabilities: what is behind a sigmoid that was applied before.
///
/// ```text
/// l = sum_i -w_i (t_i log p_i + (1 - t_i) log(1 - p_i))        dl/dp_i = w_i ((1 - t_i) D(1 - p_i) - t_i D(p_i))
/// ```
///
/// Equation (4) of the article named in [`reference`](crate::reference). log p and its slope D follow
/// [`log_clamp`](Loss::log_clamp), and log(1 - p) is found without rounding 1 - p. A probability outside [0, 1] gives
/// NaN. From logits, [`SigmoidCrossEntropy`] is more exact and needs no clamp.
///
/// The default reduction is [`Reduction::MeanOverElements`], PyTorch's.
///
/// Accuracy: that of [`SigmoidCrossEntropy`], beyond what rounding p + e costs under [`LogClamp::AddEps`].
///
/// ```
/// use xent::{LogClamp, ProbabilityBinaryCrossEntropy};
///
/// let pytorch = ProbabilityBinaryCrossEntropy::new().log_clamp(LogClamp::PYTORCH);
/// assert_eq!(pytorch.loss(&[0.0, 1.0], &[1.0, 1.0])?.mean(), 50.0); // 100 and 0
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "BCELoss")]
#[doc(alias = "binary_cross_entropy")]
#[doc(alias = "binary_crossentropy")]
#[doc(alias = "log_loss")]
#[doc(alias = "log loss")]
#[doc(alias = "logistic loss")]
#[doc(alias = "BinaryCrossEntropyLoss")]
pub type ProbabilityBinaryCrossEntropy<'a> = Loss<'a, ProbabilityBinary>;

/// [`SigmoidCrossEntropy`].
#[derive(Clone, Copy, Debug)]
pub struct Sigmoid<'a> {
    pos_weights: PosWeights<'a>,
    label_smoothing: f32,
    ignore_value: Option<f32>,
}

/// Of more, the kernel's terms, which are scaled by less than 2^65, would overflow for labels in [0, 1].
const POS_WEIGHTS: RangeInclusive<f32> = 0.0..=9_223_372_036_854_775_808.0;

#[derive(Clone, Copy, Debug)]
enum PosWeights<'a> {
    All(f32),
    PerClass(&'a [f32]),
}

/// [`ProbabilityBinaryCrossEntropy`].
#[derive(Clone, Copy, Debug)]
pub struct ProbabilityBinary {
    log_clamp: LogClamp,
}

impl<'a> SigmoidCrossEntropy<'a> {
    /// No weights, no smoothing, nothing ignored, mean over the elements.
    pub const fn new() -> Self {
        let kind = Sigmoid { pos_weights: PosWeights::All(1.0), label_smoothing: 0.0, ignore_value: None };
        Self::with(kind, Reduction::MeanOverElements)
    }

    /// The weight of the positive label of every class, from 0 to 2^63.
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// xent::SigmoidCrossEntropy::new().pos_weight(4.0).loss_grad(&[0.0, 0.0], &[1.0, 0.0], &mut gradient)?;
    /// assert_eq!(gradient, [4.0 * -0.25, 0.25]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn pos_weight(mut self, weight: f32) -> Self {
        self.kind.pos_weights = PosWeights::All(weight);
        self
    }

    /// The weight of the positive label of each class, from 0 to 2^63.
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// xent::SigmoidCrossEntropy::new().pos_weights(&[2.0, 4.0]).loss_grad(&[0.0, 0.0], &[1.0, 1.0], &mut gradient)?;
    /// assert_eq!(gradient, [2.0 * -0.25, 4.0 * -0.25]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn pos_weights(mut self, weights: &'a [f32]) -> Self {
        self.kind.pos_weights = PosWeights::PerClass(weights);
        self
    }

    /// The share of each label that is spread evenly over yes and no, from 0 to 1.
    ///
    /// ```
    /// let mut gradient = [0.0; 1];
    /// let loss = xent::SigmoidCrossEntropy::new().label_smoothing(0.5); // label 0.75 for 1, 0.25 for 0
    /// loss.loss_grad(&[0.0], &[1.0], &mut gradient)?;
    /// assert_eq!(gradient, [0.5 - 0.75]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn label_smoothing(mut self, epsilon: f32) -> Self {
        self.kind.label_smoothing = epsilon;
        self
    }

    /// Leaves out the elements whose target is exactly this value. NaN, which equals nothing, leaves out none.
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// let loss = xent::SigmoidCrossEntropy::new().ignore_value(-1.0);
    /// let totals = loss.loss_grad(&[0.0, f32::NAN], &[1.0, -1.0], &mut gradient)?;
    /// assert_eq!((totals.weight, gradient), (1.0, [-0.5, 0.0]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn ignore_value(mut self, value: f32) -> Self {
        self.kind.ignore_value = Some(value);
        self
    }

    fn logits(&self, x: Rows<'_>, targets: &'a Rows<'a>) -> Result<sigmoid_loss::Logits<'a>, Error> {
        targets.check_like(x, "targets")?;
        Ok(sigmoid_loss::Logits {
            targets,
            class_weights: self.class_weights,
            pos_weights: match self.kind.pos_weights {
                PosWeights::All(weight) => Stream::Splat(weight),
                PosWeights::PerClass(weights) => Stream::Slice(weights),
            },
            label_smoothing: self.kind.label_smoothing,
            ignore_value: self.kind.ignore_value.unwrap_or(f32::NAN),
        })
    }
}

impl<'a> ProbabilityBinaryCrossEntropy<'a> {
    /// No weights, no clamp, mean over the elements.
    pub const fn new() -> Self {
        Self::with(ProbabilityBinary { log_clamp: LogClamp::None }, Reduction::MeanOverElements)
    }

    /// What stands for log p near 0, and for log(1 - p) near 1.
    ///
    /// ```
    /// use xent::{LogClamp, ProbabilityBinaryCrossEntropy};
    ///
    /// let loss = ProbabilityBinaryCrossEntropy::new();
    /// assert_eq!(loss.loss(&[1.0], &[0.0])?.sum, f64::INFINITY);
    /// assert_eq!(loss.log_clamp(LogClamp::MinLog(-100.0)).loss(&[1.0], &[0.0])?.sum, 100.0);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn log_clamp(mut self, policy: LogClamp) -> Self {
        self.kind.log_clamp = policy;
        self
    }

    fn binary(
        &self,
        x: Rows<'_>,
        targets: &'a Rows<'a>,
    ) -> Result<probability::Labelled<'a, probability::Binary>, Error> {
        targets.check_like(x, "targets")?;
        Ok(probability::Labelled {
            targets,
            class_weights: self.class_weights,
            clamp: self.kind.log_clamp,
            formula: probability::Binary,
        })
    }
}

impl Default for SigmoidCrossEntropy<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for ProbabilityBinaryCrossEntropy<'_> {
    fn default() -> Self {
        Self::new()
    }
}

fn is_binary_label(t: f32) -> bool {
    (0.0..=1.0).contains(&t)
}

impl Sealed for Sigmoid<'_> {}
impl Kind for Sigmoid<'_> {
    const INPUT: &'static str = "logits";
    fn check(&self, classes: usize) -> Result<(), Error> {
        check_label_smoothing(self.label_smoothing)?;
        match self.pos_weights {
            PosWeights::All(weight) => parameter("pos_weight", weight.into(), POS_WEIGHTS.contains(&weight)),
            PosWeights::PerClass(weights) => check_weights("pos_weights", classes, weights, POS_WEIGHTS),
        }
    }
    fn label_is_valid(t: f32) -> bool {
        is_binary_label(t)
    }
}

impl Sealed for ProbabilityBinary {}
impl Kind for ProbabilityBinary {
    const INPUT: &'static str = "probabilities";
    fn check(&self, _: usize) -> Result<(), Error> {
        self.log_clamp.check()
    }
    fn input_is_valid(p: f32) -> bool {
        (0.0..=1.0).contains(&p)
    }
    fn label_is_valid(t: f32) -> bool {
        is_binary_label(t)
    }
}

target!(Rows for Sigmoid<'a>, SigmoidCrossEntropy::logits);
target!(Rows for ProbabilityBinary, ProbabilityBinaryCrossEntropy::binary);
