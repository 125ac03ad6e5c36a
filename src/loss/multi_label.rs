//! Several classes a row, from one softmax.

use super::{EmptyRow, Kind, Loss, Reduction, Sealed, TakesIndices, target};
use crate::kernel::softmax_loss::{Dense, MultiHot};
use crate::{Error, HotClasses, Rows};

/// Softmax loss with several labels a row, divided by the number M of those that are not 0.
///
/// ```text
/// l = (1/M) sum_{t_i != 0} -q_i log softmax(x)_i        dl/dx_i = (T softmax(x)_i - q_i) / M
/// q_i = w_i t_i,  T = sum q,  M = number of t_i that are not 0
/// ```
///
/// The multi-label form of equation (5) of the article named in [`reference`](crate::reference), with real labels. The
/// article's printed backward takes every positive label as 1, which is the gradient of another loss unless all of them
/// are; it is there as [`MultiLabelGradient::PyCaffeCompat`].
///
/// Targets are dense rows of labels, or lists of hot classes with label 1 ([`HotClasses`]). Labels may be any real
/// numbers. The divisor follows [`positives_scale`](Loss::positives_scale), a row without positives follows
/// [`no_positives`](Loss::no_positives).
///
/// The default reduction is [`Reduction::MeanOverWeights`], over the rows that have positives; the article divides by
/// all rows, [`Reduction::MeanOverAllRows`]. Special cases and accuracy are those of
/// [`SoftmaxCrossEntropy`](super::SoftmaxCrossEntropy).
///
/// ```
/// use xent::{HotClasses, MultiLabelSoftmaxCrossEntropy};
///
/// let logits = [2.0, -1.0, 0.5];
/// let loss = MultiLabelSoftmaxCrossEntropy::new();
/// let dense = loss.loss(&logits, &[1.0, 0.0, 1.0])?;
/// let listed = loss.loss(&logits, HotClasses::padded(&[2_u8, 0], 2))?;
/// assert!((dense.sum - listed.sum).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "multi-label softmax loss")]
#[doc(alias = "SoftmaxLoss")]
#[doc(alias = "PyCaffe")]
#[doc(alias = "hashtag loss")]
pub type MultiLabelSoftmaxCrossEntropy<'a> = Loss<'a, MultiLabelSoftmax>;

/// [`MultiLabelSoftmaxCrossEntropy`].
#[derive(Clone, Copy, Debug)]
pub struct MultiLabelSoftmax {
    scale: PositivesScale,
    no_positives: NoPositives,
    gradient: MultiLabelGradient,
    empty_row: EmptyRow,
}

/// The divisor of a row of several labels.
///
/// ```
/// use xent::{MultiLabelSoftmaxCrossEntropy, PositivesScale as Scale};
///
/// for (scale, divisor) in [(Scale::CountNonzero, 2.0), (Scale::SumLabels, 5.0), (Scale::None, 1.0)] {
///     let mut gradient = [0.0; 3];
///     let loss = MultiLabelSoftmaxCrossEntropy::new().positives_scale(scale);
///     loss.loss_grad(&[1.0, 1.0, f32::NEG_INFINITY], &[4.0, 1.0, 0.0], &mut gradient)?;
///     assert_eq!(gradient, [(2.5 - 4.0) / divisor, (2.5 - 1.0) / divisor, 0.0]);
/// }
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PositivesScale {
    /// By M, the number of labels that are not 0 (of classes listed): the article's.
    #[default]
    CountNonzero,
    /// By T, the sum of the weighted labels, which makes q / T a distribution; a row with T = 0 has loss and gradient
    /// 0.
    SumLabels,
    /// By nothing.
    None,
}

/// How to treat a row whose labels are all 0, or of which nothing is listed.
///
/// ```
/// use xent::{Error, MultiLabelSoftmaxCrossEntropy, NoPositives, Rows};
///
/// let (logits, labels) = (Rows::new(&[7.0; 4], 2), Rows::new(&[1.0, 0.0, 0.0, 0.0], 2));
/// let loss = MultiLabelSoftmaxCrossEntropy::new();
/// assert_eq!(loss.loss(logits, labels)?.rows, 1); // NoPositives::Skip
/// assert_eq!(loss.no_positives(NoPositives::Error).loss(logits, labels), Err(Error::NoPositives { row: 1 }));
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoPositives {
    /// Loss 0 and gradient 0, whatever is in it, and not counted.
    #[default]
    Skip,
    /// [`Error::NoPositives`](crate::Error::NoPositives).
    Error,
}

/// Which backward a multi-label loss has.
///
/// ```
/// use xent::{MultiLabelGradient as Gradient, MultiLabelSoftmaxCrossEntropy};
///
/// let loss = MultiLabelSoftmaxCrossEntropy::new();
/// for (gradient, expected) in [(Gradient::True, [-1.0, 1.0]), (Gradient::PyCaffeCompat, [-0.5, 0.5])] {
///     let mut x = [7.0, 7.0];
///     loss.gradient(gradient).loss_grad_in_place(&mut x, &[2.0, 0.0])?;
///     assert_eq!(x, expected);
/// }
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiLabelGradient {
    /// The gradient of the loss, `(T p_i - q_i) / M`.
    #[default]
    True,
    /// The one that the article's PyCaffe layer prints, `p_i - [t_i != 0] / M`, for dense labels without class weights
    /// and divided by the count; anything else is [`Error::Conflict`]. The two are the same if every label is 0 or 1.
    PyCaffeCompat,
}

impl<'a> MultiLabelSoftmaxCrossEntropy<'a> {
    /// Divided by the count of positives, rows without any skipped, true gradient, mean over the weights.
    pub const fn new() -> Self {
        let kind = MultiLabelSoftmax {
            scale: PositivesScale::CountNonzero,
            no_positives: NoPositives::Skip,
            gradient: MultiLabelGradient::True,
            empty_row: EmptyRow::Nan,
        };
        Self::with(kind, Reduction::MeanOverWeights)
    }

    /// The divisor of a row.
    ///
    /// ```
    /// use xent::{MultiLabelSoftmaxCrossEntropy, PositivesScale};
    ///
    /// let loss = MultiLabelSoftmaxCrossEntropy::new();
    /// let divided = loss.loss(&[0.5, 0.0], &[1.0, 1.0])?.sum;
    /// let whole = loss.positives_scale(PositivesScale::None).loss(&[0.5, 0.0], &[1.0, 1.0])?.sum;
    /// assert!((whole - 2.0 * divided).abs() < 1e-6);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn positives_scale(mut self, scale: PositivesScale) -> Self {
        self.kind.scale = scale;
        self
    }

    /// How to treat a row whose labels are all 0, or of which nothing is listed.
    ///
    /// ```
    /// use xent::{Error, MultiLabelSoftmaxCrossEntropy, NoPositives};
    ///
    /// let loss = MultiLabelSoftmaxCrossEntropy::new().no_positives(NoPositives::Error);
    /// assert_eq!(loss.loss(&[0.5, 0.0], &[0.0, 0.0]), Err(Error::NoPositives { row: 0 }));
    /// ```
    pub const fn no_positives(mut self, policy: NoPositives) -> Self {
        self.kind.no_positives = policy;
        self
    }

    /// Which backward to compute.
    ///
    /// ```
    /// use xent::{MultiLabelGradient, MultiLabelSoftmaxCrossEntropy};
    ///
    /// let mut x = [7.0, 7.0];
    /// let loss = MultiLabelSoftmaxCrossEntropy::new().gradient(MultiLabelGradient::PyCaffeCompat);
    /// loss.loss_grad_in_place(&mut x, &[2.0, 0.0])?;
    /// assert_eq!(x, [-0.5, 0.5]); // the true one is [-1, 1]
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn gradient(mut self, gradient: MultiLabelGradient) -> Self {
        self.kind.gradient = gradient;
        self
    }

    /// How to treat a row of nothing but -inf.
    ///
    /// ```
    /// use xent::{EmptyRow, MultiLabelSoftmaxCrossEntropy};
    ///
    /// let mut x = [f32::NEG_INFINITY; 2];
    /// let loss = MultiLabelSoftmaxCrossEntropy::new().empty_row(EmptyRow::Zero);
    /// let totals = loss.loss_grad_in_place(&mut x, &[1.0, 1.0])?;
    /// assert_eq!((totals.sum, totals.rows, x), (0.0, 0, [0.0; 2])); // NaN, 1 and NaN without
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn empty_row(mut self, policy: EmptyRow) -> Self {
        self.kind.empty_row = policy;
        self
    }

    fn labelled(&self, x: Rows<'_>, targets: &'a Rows<'a>) -> Result<Dense<'a>, Error> {
        self.takes_labels()?;
        targets.check_like(x, "targets")?;
        let binarize = self.kind.gradient == MultiLabelGradient::PyCaffeCompat;
        if binarize && self.class_weights.is_some() {
            return conflicts_with("class_weights");
        }
        if binarize && self.kind.scale != PositivesScale::CountNonzero {
            return conflicts_with("positives_scale");
        }
        self.check_positives(targets.iter().position(|t| t.iter().all(|&t| t == 0.0)))?;
        Ok(Dense {
            targets,
            class_weights: self.class_weights,
            on: 1.0,
            off: 0.0,
            needs_positive: true,
            scale: self.kind.scale,
            binarize,
            empty_row: self.kind.empty_row,
        })
    }

    fn hot(&self, x: Rows<'_>, targets: &'a HotClasses<'a>) -> Result<MultiHot<'a>, Error> {
        if self.kind.gradient == MultiLabelGradient::PyCaffeCompat {
            return conflicts_with("HotClasses");
        }
        targets.check(self.backend, x.rows(), x.classes(), self.ignore_index)?;
        self.check_positives((0..x.rows()).find(|&row| targets.row(row, self.ignore_index).next().is_none()))?;
        Ok(MultiHot {
            targets,
            ignore_index: self.ignore_index,
            class_weights: self.class_weights,
            scale: self.kind.scale,
            empty_row: self.kind.empty_row,
        })
    }

    fn check_positives(&self, without: Option<usize>) -> Result<(), Error> {
        match (self.kind.no_positives, without) {
            (NoPositives::Error, Some(row)) => Err(Error::NoPositives { row }),
            _ => Ok(()),
        }
    }
}

fn conflicts_with<T>(with: &'static str) -> Result<T, Error> {
    Err(Error::Conflict { option: "MultiLabelGradient::PyCaffeCompat", with })
}

impl Default for MultiLabelSoftmaxCrossEntropy<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Sealed for MultiLabelSoftmax {}
impl TakesIndices for MultiLabelSoftmax {}
impl Kind for MultiLabelSoftmax {
    const INPUT: &'static str = "logits";
    fn check(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }
    fn label_is_valid(t: f32) -> bool {
        t.is_finite()
    }
}

target!(Rows for MultiLabelSoftmax, MultiLabelSoftmaxCrossEntropy::labelled);
target!(HotClasses for MultiLabelSoftmax, MultiLabelSoftmaxCrossEntropy::hot);
