//! The options and results that all losses share.

use super::parameter;
use crate::Error;
use crate::kernel::Share;

/// What the gradient is the gradient of, and the denominator that [`Totals::weight`] reports.
///
/// "Mean" has many denominators; these are theirs by name.
///
/// | reduction | denominator | who calls it the mean |
/// |---|---|---|
/// | `Sum` | gradient of the sum; `weight` as `MeanOverWeights` | reduction "sum" everywhere |
/// | `MeanOverWeights` | sum of the weights of the rows used | PyTorch and ONNX index targets, Caffe VALID, Liger, TensorFlow `weighted_mean` |
/// | `MeanOverRows` | rows used | PyTorch probability targets, Caffe sigmoid loss and BATCH_SIZE, KL "batchmean" |
/// | `MeanOverAllRows` | all rows, ignored ones too | Caffe FULL, candle, unweighted burn, the article's layer |
/// | `MeanOverElements` | elements used | PyTorch BCE losses and MultiLabelSoftMargin, Keras |
/// | `MeanOverNonZeroWeights` | rows (elements) whose weight is not 0 | TensorFlow v1 default |
/// | `MeanOver(d)` | `d` | gradient accumulation, weighted burn, counts that other machines know |
///
/// The *weight* of a row is its row weight times the class weight of its target (index targets), its row weight (dense
/// targets), or its row weight times the sum of the class weights of its elements (the binary losses).
///
/// ```
/// use xent::{NllLoss, Reduction, Rows};
///
/// let loss = NllLoss::new().class_weights(&[0.0, 5.0]).ignore_index(-1);
/// for (reduction, denominator) in [
///     (Reduction::Sum, 5.0),
///     (Reduction::MeanOverWeights, 5.0),
///     (Reduction::MeanOverRows, 2.0),
///     (Reduction::MeanOverAllRows, 3.0),
///     (Reduction::MeanOverElements, 4.0),
///     (Reduction::MeanOverNonZeroWeights, 1.0),
///     (Reduction::MeanOver(8.0), 8.0),
/// ] {
///     let totals = loss.reduction(reduction).loss(Rows::new(&[-2.0; 6], 2), &[0_i8, 1, -1])?;
///     assert_eq!((totals.sum, totals.weight), (10.0, denominator));
/// }
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The sum over the sum of weights.
    MeanOverWeights,
    /// The sum over the number of rows used.
    MeanOverRows,
    /// The sum over the number of all rows.
    MeanOverAllRows,
    /// The sum over the number of elements used.
    MeanOverElements,
    /// The sum over the number of terms whose weight is not 0.
    MeanOverNonZeroWeights,
    /// The sum over a number that the caller knows: 0, or positive, finite and not so small that [`reduction`] refuses it.
    ///
    /// [`reduction`]: crate::loss::Loss::reduction
    MeanOver(f64),
}

impl Reduction {
    pub(super) fn denominator(self, shares: Share, all_rows: usize) -> f64 {
        match self {
            Self::Sum | Self::MeanOverWeights => shares.weight,
            Self::MeanOverRows => shares.rows as f64,
            Self::MeanOverAllRows => all_rows as f64,
            Self::MeanOverElements => shares.elements as f64,
            Self::MeanOverNonZeroWeights => shares.nonzero as f64,
            Self::MeanOver(denominator) => denominator,
        }
    }
}

/// The losses of a batch in three numbers.
///
/// ```
/// use xent::{NllLoss, Rows, Totals};
///
/// let loss = NllLoss::new().class_weights(&[1.0, 3.0]);
/// let totals = loss.loss(Rows::new(&[-2.0, -0.5, -1.0, -4.0], 2), &[0_u8, 1])?;
/// assert_eq!(totals, Totals { sum: 2.0 + 3.0 * 4.0, weight: 1.0 + 3.0, rows: 2 });
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Sum of the losses.
    pub sum: f64,
    /// The denominator that the [`Reduction`] names.
    pub weight: f64,
    /// Rows used: all but the ignored ones.
    pub rows: usize,
}

impl Totals {
    /// `sum / weight`, and 0 where the weight is 0 (nothing to take the mean of). After [`Reduction::Sum`] it is the
    /// mean over the weights.
    ///
    /// ```
    /// use xent::Totals;
    ///
    /// assert_eq!(Totals { sum: 14.0, weight: 4.0, rows: 2 }.mean(), 3.5);
    /// assert_eq!(Totals::default().mean(), 0.0);
    /// ```
    pub fn mean(&self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { self.sum / self.weight }
    }
}

/// Adds the totals of another part of the batch: sums, rows, and denominators (so not those of
/// [`Reduction::MeanOver`], of which each part has the whole).
///
/// ```
/// use xent::{NllLoss, Rows, Totals};
///
/// let mut all = Totals::default();
/// all += NllLoss::new().loss(Rows::new(&[-2.0, -0.5, -1.0, -4.0], 2), &[0_u8, 1])?; // 2 and 4
/// all += NllLoss::new().loss(&[-9.0, -0.25], &[0_u8])?;
/// assert_eq!((all.mean(), all.rows), (5.0, 3)); // the mean of the means is 6
/// # Ok::<(), xent::Error>(())
/// ```
impl core::ops::AddAssign for Totals {
    fn add_assign(&mut self, part: Self) {
        self.sum += part.sum;
        self.weight += part.weight;
        self.rows += part.rows;
    }
}

/// How to treat a row of nothing but -inf: every class is masked.
///
/// ```
/// use xent::{EmptyRow, SoftmaxCrossEntropy};
///
/// let masked = [f32::NEG_INFINITY; 3];
/// let loss = SoftmaxCrossEntropy::new(); // EmptyRow::Nan
/// assert!(loss.loss(&masked, &[1_u8])?.sum.is_nan());
/// assert_eq!(loss.empty_row(EmptyRow::Zero).loss(&masked, &[1_u8])?, xent::Totals::default());
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyRow {
    /// NaN: what PyTorch, TensorFlow and JAX give.
    #[default]
    Nan,
    /// Probabilities 0 (log-probabilities -inf), loss 0, gradient 0, and not counted.
    Zero,
}

/// What stands for log p near p = 0, where the loss of a probability is infinite.
///
/// With D(p) for the derivative of log p in gradients:
///
/// | policy | log p | D(p) | whose |
/// |---|---|---|---|
/// | `None` | ln p | 1/p | the formula |
/// | `MinProb(e)` | max(ln p, ln e) | 1/max(p, e) | Caffe (1e-20), burn (1.08e-19) |
/// | `Clip(e)` | max(ln p, ln e) | 1/p, 0 below e | Keras (1e-7) |
/// | `MinLog(l)` | max(ln p, l) | 1/max(p, 1e-12) | PyTorch BCELoss (-100) |
/// | `AddEps(e)` | ln min(p + e, max(p, 1)) | 1/(p + e) | TensorFlow `log_loss` (1e-7) |
///
/// The logarithm is clamped, not the probability, and log(1 - p) has the same policy with 1 - p for p: a certain and
/// right prediction has loss 0 under every policy, where Keras has 1.19e-7 and TensorFlow -1.19e-7. The logarithm of a
/// negative p or of NaN is NaN under every policy. Clamped gradients
/// are not the derivatives of clamped losses (Caffe's and PyTorch's are huge, Keras's is 0 and cannot recover); losses
/// of logits need no clamp.
///
/// ```
/// use xent::{LogClamp, ProbabilityCrossEntropy};
///
/// assert_eq!(ProbabilityCrossEntropy::new().loss(&[0.0], &[0_u8])?.sum, f64::INFINITY); // LogClamp::None
/// for (policy, at_zero) in [
///     (LogClamp::CAFFE, 46.0517),
///     (LogClamp::BURN, 43.6683),
///     (LogClamp::KERAS, 16.1181),
///     (LogClamp::PYTORCH, 100.0),
///     (LogClamp::TENSORFLOW, 16.1181),
///     (LogClamp::MinProb(0.5), 0.6931),
/// ] {
///     let loss = ProbabilityCrossEntropy::new().log_clamp(policy);
///     assert!((loss.loss(&[0.0], &[0_u8])?.sum - at_zero).abs() < 1e-4);
///     assert_eq!(loss.loss(&[1.0], &[0_u8])?.sum, 0.0);
/// }
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LogClamp {
    /// As it is: -inf at 0.
    #[default]
    None,
    /// log p is at least the logarithm of this (0 to 1), and D divides by at least this.
    MinProb(f32),
    /// log p is at least the logarithm of this (0 to 1), and D is 0 below it.
    Clip(f32),
    /// log p is at least this (at most 0).
    MinLog(f32),
    /// This (0 to 1) is added to the probability, whose logarithm stays at most 0 up to p = 1.
    AddEps(f32),
}

impl LogClamp {
    /// Caffe's MultinomialLogisticLoss and InfogainLoss.
    pub const CAFFE: Self = Self::MinProb(1e-20);
    /// burn's cross-entropy on probabilities: the square root of the smallest normal f32.
    pub const BURN: Self = Self::MinProb(1.084_202_2e-19);
    /// Keras's losses on probabilities.
    pub const KERAS: Self = Self::Clip(1e-7);
    /// PyTorch's BCELoss.
    pub const PYTORCH: Self = Self::MinLog(-100.0);
    /// TensorFlow v1's log_loss.
    pub const TENSORFLOW: Self = Self::AddEps(1e-7);

    pub(super) fn check(self) -> Result<(), Error> {
        let (value, in_range) = match self {
            Self::None => return Ok(()),
            Self::MinProb(p) | Self::Clip(p) | Self::AddEps(p) => (p, (0.0..=1.0).contains(&p)),
            Self::MinLog(log) => (log, log <= 0.0),
        };
        parameter("log_clamp", value.into(), in_range)
    }
}
