//! One class a row: the softmax loss, and its second half on probabilities and on log-probabilities.

use super::{EmptyRow, Kind, LogClamp, Loss, Reduction, Sealed, TakesIndices, Target, check_label_smoothing, target};
use crate::error::check_length;
use crate::kernel::{Table, probability, softmax_loss};
use crate::{Backend, ClassIndices, Error, PositivesScale, Rows, Totals};

/// Categorical cross-entropy of logits: softmax and cross-entropy in one, also called softmax loss.
///
/// ```text
/// index targets  l = -w_c log softmax(x)_c                                  dl/dx_i = w_c (softmax(x)_i - [i = c])
/// labels q       l = -sum_{q_i != 0} q_i log softmax(x)_i, T = sum q        dl/dx_i = T softmax(x)_i - q_i
/// smoothing e    q_i = w_i ((1 - e) t_i + e / C), t one-hot for index targets
/// ```
///
/// Equations (5) to (7) of the article named in [`reference`](crate::reference). Labels may be any real numbers and
/// need not sum to 1: the gradient is the true one, where TensorFlow and ggml have p - q.
///
/// The default reduction is [`Reduction::MeanOverWeights`], PyTorch's for index targets; PyTorch divides by the number
/// of rows for probability targets with class weights, [`Reduction::MeanOverRows`].
///
/// Special cases: a class with logit -inf has probability 0, and loss +inf if its label is not 0 (smoothing gives every
/// class one). +inf and NaN make their row NaN. A row of -inf alone follows [`empty_row`](Loss::empty_row). Losses down
/// to the smallest subnormal are kept: [20, 0, 0] with target 0 is 4.1223e-9, not 0.
///
/// Accuracy: the loss is within 6 ULP of the sum of its terms' absolute values (the loss itself for labels that are not
/// negative), each element of the gradient within 7 ULP of itself or of the larger of its two terms, whichever is larger.
/// Not in this: the rounding of each logit's distance to the largest (relative |s - m| 2^-24), one rounding for each weight,
/// and two where more than one class has a label. The bounds are not proved, but those of the worst rows that a search
/// found; the README has what was measured.
///
/// ```
/// use xent::{Rows, SoftmaxCrossEntropy};
///
/// let logits = [1.0, 2.0, 3.0, 0.5, -1.0, 2.0];
/// let weights = [1.0, 2.0, 4.0];
/// let loss = SoftmaxCrossEntropy::new().class_weights(&weights).label_smoothing(0.3);
/// let totals = loss.loss(Rows::new(&logits, 3), &[0_u8, 2])?;
/// assert!((totals.mean() - 0.793_047_55).abs() < 1e-6); // PyTorch's golden value
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "softmax loss")]
#[doc(alias = "SoftmaxLoss")]
#[doc(alias = "categorical cross-entropy")]
#[doc(alias = "categorical_crossentropy")]
#[doc(alias = "CategoricalCrossentropy")]
#[doc(alias = "SparseCategoricalCrossentropy")]
#[doc(alias = "SoftmaxWithLoss")]
#[doc(alias = "SoftmaxWithLossLayer")]
#[doc(alias = "CrossEntropyLoss")]
#[doc(alias = "cross_entropy")]
#[doc(alias = "cross_entropy_loss")]
#[doc(alias = "softmax_cross_entropy")]
#[doc(alias = "sparse_softmax_cross_entropy")]
#[doc(alias = "softmax_cross_entropy_with_logits")]
#[doc(alias = "sparse_softmax_cross_entropy_with_logits")]
#[doc(alias = "softmax_cross_entropy_with_integer_labels")]
#[doc(alias = "safe_softmax_cross_entropy")]
#[doc(alias = "SoftmaxCrossEntropyLoss")]
pub type SoftmaxCrossEntropy<'a> = Loss<'a, Softmax>;

/// Cross-entropy of probabilities: what is behind an activation that was applied before.
///
/// ```text
/// index targets  l = -w_c log p_c                       dl/dp_c = -w_c D(p_c), 0 elsewhere
/// labels t       l = -sum_{q_i != 0} q_i log p_i        dl/dp_i = -q_i D(p_i),  q_i = w_i t_i
/// ```
///
/// Equation (3) of the article named in [`reference`](crate::reference), the *multinomial logistic loss*. log p and its
/// slope D follow [`log_clamp`](Loss::log_clamp). Index targets read nothing but the target's probability. The
/// probabilities are taken as they are, not divided by their sum as Keras does. From logits, [`SoftmaxCrossEntropy`] is
/// more exact and needs no clamp.
///
/// The default reduction is [`Reduction::MeanOverWeights`]: without weights, Caffe's mean over rows.
///
/// Accuracy: 4 ULP of the sizes of the loss's terms added up, and of each element of the gradient, beyond a rounding for
/// each weight and what rounding p + e costs under [`LogClamp::AddEps`].
///
/// ```
/// use xent::{LogClamp, ProbabilityCrossEntropy};
///
/// let p = [0.0, 0.75, 0.25];
/// let caffe = ProbabilityCrossEntropy::new().log_clamp(LogClamp::CAFFE);
/// assert!((caffe.loss(&p, &[0_u8])?.sum - 46.0517).abs() < 1e-4);
/// assert_eq!(ProbabilityCrossEntropy::new().loss(&p, &[0_u8])?.sum, f64::INFINITY);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "MultinomialLogisticLoss")]
#[doc(alias = "multinomial logistic loss")]
#[doc(alias = "logistic loss")]
#[doc(alias = "cross-entropy loss")]
#[doc(alias = "categorical_crossentropy")]
#[doc(alias = "sparse_categorical_crossentropy")]
#[doc(alias = "InfogainLoss")]
pub type ProbabilityCrossEntropy<'a> = Loss<'a, Probability>;

/// Negative log-likelihood of log-probabilities, the output of [`LogSoftmax`](crate::LogSoftmax).
///
/// ```text
/// l = -w_c x_c        dl/dx_c = -w_c, 0 elsewhere
/// ```
///
/// Reads nothing but the target's element. The default reduction is [`Reduction::MeanOverWeights`], PyTorch's. From
/// logits, [`SoftmaxCrossEntropy`] does this and the log-softmax in one pass. Exact but for a rounding for each weight.
///
/// ```
/// use xent::NllLoss;
///
/// let log_p = [-0.2, -1.8];
/// assert_eq!(NllLoss::new().loss(&log_p, &[1_i32])?.mean(), f64::from(1.8_f32));
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "NLLLoss")]
#[doc(alias = "nll_loss")]
#[doc(alias = "NegativeLogLikelihoodLoss")]
#[doc(alias = "negative log-likelihood")]
#[doc(alias = "nll")]
pub type NllLoss<'a> = Loss<'a, Nll>;

/// [`SoftmaxCrossEntropy`].
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    label_smoothing: f32,
    empty_row: EmptyRow,
}

/// [`ProbabilityCrossEntropy`].
#[derive(Clone, Copy, Debug)]
pub struct Probability {
    log_clamp: LogClamp,
}

/// [`NllLoss`].
#[derive(Clone, Copy, Debug)]
pub struct Nll(());

impl<'a> SoftmaxCrossEntropy<'a> {
    /// No weights, no smoothing, nothing ignored, mean over the weights.
    pub const fn new() -> Self {
        Self::with(Softmax { label_smoothing: 0.0, empty_row: EmptyRow::Nan }, Reduction::MeanOverWeights)
    }

    /// The share of each label that is spread evenly over all classes, from 0 to 1.
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// let loss = xent::SoftmaxCrossEntropy::new().label_smoothing(0.5); // label 0.75 for 1, 0.25 for 0
    /// loss.loss_grad(&[7.0, 7.0], &[0_u8], &mut gradient)?;
    /// assert_eq!(gradient, [0.5 - 0.75, 0.5 - 0.25]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn label_smoothing(mut self, epsilon: f32) -> Self {
        self.kind.label_smoothing = epsilon;
        self
    }

    /// How to treat a row of nothing but -inf.
    ///
    /// ```
    /// use xent::{EmptyRow, SoftmaxCrossEntropy};
    ///
    /// let mut x = [f32::NEG_INFINITY; 2];
    /// let totals = SoftmaxCrossEntropy::new().empty_row(EmptyRow::Zero).loss_grad_in_place(&mut x, &[0_u8])?;
    /// assert_eq!((totals.sum, totals.rows, x), (0.0, 0, [0.0; 2])); // NaN, 1 and NaN without
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn empty_row(mut self, policy: EmptyRow) -> Self {
        self.kind.empty_row = policy;
        self
    }

    fn indexed(&self, x: Rows<'_>, targets: &'a ClassIndices<'a>) -> Result<softmax_loss::Indexed<'a>, Error> {
        check_indices(self.backend, targets, x, self.ignore_index)?;
        Ok(softmax_loss::Indexed {
            targets,
            ignore_index: self.ignore_index,
            class_weights: self.class_weights,
            empty_row: self.kind.empty_row,
        })
    }

    fn smoothed(&self, x: Rows<'_>, targets: &'a ClassIndices<'a>) -> Result<softmax_loss::Smoothed<'a>, Error> {
        Ok(softmax_loss::Smoothed::new(self.indexed(x, targets)?, self.kind.label_smoothing, x.classes()))
    }

    fn labelled(&self, x: Rows<'_>, targets: &'a Rows<'a>) -> Result<softmax_loss::Dense<'a>, Error> {
        self.takes_labels()?;
        targets.check_like(x, "targets")?;
        let epsilon = self.kind.label_smoothing;
        Ok(softmax_loss::Dense {
            targets,
            class_weights: self.class_weights,
            on: 1.0 - epsilon,
            off: epsilon / x.classes() as f32,
            needs_positive: false,
            scale: PositivesScale::None,
            binarize: false,
            empty_row: self.kind.empty_row,
        })
    }
}

impl<'a> ProbabilityCrossEntropy<'a> {
    /// No weights, no clamp, nothing ignored, mean over the weights.
    pub const fn new() -> Self {
        Self::with(Probability { log_clamp: LogClamp::None }, Reduction::MeanOverWeights)
    }

    /// What stands for log p near 0.
    ///
    /// ```
    /// use xent::{LogClamp, ProbabilityCrossEntropy};
    ///
    /// let mut gradient = [f32::NAN; 2];
    /// let loss = ProbabilityCrossEntropy::new().log_clamp(LogClamp::MinLog(-100.0));
    /// assert_eq!(loss.loss(&[0.0, 1.0], &[0_u8])?.sum, 100.0);
    /// loss.log_clamp(LogClamp::Clip(1e-7)).loss_grad(&[0.0, 1.0], &[0_u8], &mut gradient)?;
    /// assert_eq!(gradient, [0.0, 0.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn log_clamp(mut self, policy: LogClamp) -> Self {
        self.kind.log_clamp = policy;
        self
    }

    fn indexed(&self, x: Rows<'_>, targets: &'a ClassIndices<'a>) -> Result<probability::Indexed<'a>, Error> {
        check_indices(self.backend, targets, x, self.ignore_index)?;
        Ok(probability::Indexed {
            targets,
            ignore_index: self.ignore_index,
            class_weights: self.class_weights,
            clamp: Some(self.kind.log_clamp),
        })
    }

    fn labelled(
        &self,
        x: Rows<'_>,
        targets: &'a Rows<'a>,
    ) -> Result<probability::Labelled<'a, probability::Distribution>, Error> {
        self.takes_labels()?;
        targets.check_like(x, "targets")?;
        Ok(probability::Labelled {
            targets,
            class_weights: self.class_weights,
            clamp: self.kind.log_clamp,
            formula: probability::Distribution,
        })
    }
}

impl<'a> NllLoss<'a> {
    /// No weights, nothing ignored, mean over the weights.
    pub const fn new() -> Self {
        Self::with(Nll(()), Reduction::MeanOverWeights)
    }

    fn indexed(&self, x: Rows<'_>, targets: &'a ClassIndices<'a>) -> Result<probability::Indexed<'a>, Error> {
        check_indices(self.backend, targets, x, self.ignore_index)?;
        Ok(probability::Indexed {
            targets,
            ignore_index: self.ignore_index,
            class_weights: self.class_weights,
            clamp: None,
        })
    }
}

impl Default for SoftmaxCrossEntropy<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for ProbabilityCrossEntropy<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for NllLoss<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Sealed for Softmax {}
impl TakesIndices for Softmax {}
impl Kind for Softmax {
    const INPUT: &'static str = "logits";
    fn check(&self, _: usize) -> Result<(), Error> {
        check_label_smoothing(self.label_smoothing)
    }
    fn label_is_valid(t: f32) -> bool {
        t.is_finite() && t >= 0.0
    }
}

impl Sealed for Probability {}
impl TakesIndices for Probability {}
impl Kind for Probability {
    const INPUT: &'static str = "probabilities";
    fn check(&self, _: usize) -> Result<(), Error> {
        self.log_clamp.check()
    }
    fn input_is_valid(p: f32) -> bool {
        (0.0..=1.0).contains(&p)
    }
    fn label_is_valid(t: f32) -> bool {
        t.is_finite() && t >= 0.0
    }
}

impl Sealed for Nll {}
impl TakesIndices for Nll {}
impl Kind for Nll {
    const INPUT: &'static str = "log_probabilities";
    fn check(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }
    fn input_is_valid(log: f32) -> bool {
        log <= 0.0
    }
}

impl<'a> Target<'a, Softmax> for ClassIndices<'a> {
    fn evaluate(
        self,
        loss: &SoftmaxCrossEntropy<'a>,
        table: &mut Table<'_>,
        losses: Option<&mut [f32]>,
    ) -> Result<Totals, Error> {
        if loss.kind.label_smoothing == 0.0 {
            loss.evaluate(table, losses, |x| loss.indexed(x, &self))
        } else {
            loss.evaluate(table, losses, |x| loss.smoothed(x, &self))
        }
    }
}
target!(Rows for Softmax, SoftmaxCrossEntropy::labelled);
target!(ClassIndices for Probability, ProbabilityCrossEntropy::indexed);
target!(Rows for Probability, ProbabilityCrossEntropy::labelled);
target!(ClassIndices for Nll, NllLoss::indexed);

fn check_indices(
    backend: Option<Backend>,
    targets: &ClassIndices<'_>,
    x: Rows<'_>,
    ignore_index: Option<i64>,
) -> Result<(), Error> {
    check_length("targets", x.rows(), targets.len())?;
    targets.check(backend, 1, x.classes(), ignore_index)
}
