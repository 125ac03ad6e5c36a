//! The cross-entropy family: per-row losses, totals and gradients.
//!
//! A loss is a configuration, built in `const` context where wanted, and six methods that do the work, the same for
//! all:
//!
//! | method | gives | writes |
//! |---|---|---|
//! | [`loss`](Loss::loss) | totals | nothing |
//! | [`losses`](Loss::losses) | totals | the loss of each row |
//! | [`loss_grad`](Loss::loss_grad) | totals | the gradient, to another table |
//! | [`loss_grad_in_place`](Loss::loss_grad_in_place) | totals | the gradient, over the input |
//! | [`losses_grad`](Loss::losses_grad) | totals | both |
//! | [`losses_grad_in_place`](Loss::losses_grad_in_place) | totals | both |
//!
//! The name says what the input is: `Softmax...` and `Sigmoid...` take logits and apply the activation themselves,
//! `Probability...` takes its output, [`NllLoss`] takes log-probabilities.
//!
//! ```text
//! row loss   L_n = v_n l(x_n, t_n)                     v_n: row weight; l: the loss of one row, class weights in it
//! totals     sum = sum_n L_n, weight = the denominator that the reduction names
//! gradient   grad_scale * dL_n / dx_n, divided by the denominator if the reduction is a mean
//! ```
//!
//! A row is ignored if its target is the ignore index (or its policy says so): whatever is in it, its loss and gradient
//! are 0 and it counts in no denominator but [`Reduction::MeanOverAllRows`]. A term whose label or weight is 0 is 0,
//! whatever it is multiplied with. NaN and infinities give what IEEE arithmetic gives in their own row, and so in
//! [`Totals::sum`], and in no other row's loss or gradient. Targets, weights and options are checked before anything is
//! written.

mod binary;
mod categorical;
mod multi_label;
mod options;

pub use binary::{ProbabilityBinaryCrossEntropy, SigmoidCrossEntropy};
pub use categorical::{NllLoss, ProbabilityCrossEntropy, SoftmaxCrossEntropy};
pub use multi_label::{MultiLabelGradient, MultiLabelSoftmaxCrossEntropy, NoPositives, PositivesScale};
pub use options::{EmptyRow, LogClamp, Reduction, Totals};

/// What tells the losses apart: the `K` of [`Loss`].
///
/// ```
/// use xent::loss::{Loss, kind};
///
/// /// The losses of a network with two heads.
/// struct Heads<'a> {
///     class: Loss<'a, kind::Softmax>,
///     tags: Loss<'a, kind::Sigmoid<'a>>,
/// }
/// let heads = Heads { class: xent::SoftmaxCrossEntropy::new(), tags: xent::SigmoidCrossEntropy::new() };
/// assert_eq!(heads.class.loss(&[9.0], &[0_u8])?.rows + heads.tags.loss(&[9.0], &[1.0])?.rows, 2);
/// # Ok::<(), xent::Error>(())
/// ```
pub mod kind {
    pub use super::binary::{ProbabilityBinary, Sigmoid};
    pub use super::categorical::{Nll, Probability, Softmax};
    pub use super::multi_label::MultiLabelSoftmax;
}

use crate::error::check_length;
use crate::kernel::{Batch, RowLoss, Table, share_of, shares_of};
use crate::{Backend, Error, IntoTargets, Rows, RowsMut};
use core::ops::RangeInclusive;

/// A loss: its configuration, and the methods that compute it. Use it by the names of its kinds:
/// [`SoftmaxCrossEntropy`], [`MultiLabelSoftmaxCrossEntropy`], [`SigmoidCrossEntropy`], [`ProbabilityCrossEntropy`],
/// [`ProbabilityBinaryCrossEntropy`], [`NllLoss`].
///
/// ```
/// use xent::{Reduction, Rows, RowsMut, SoftmaxCrossEntropy};
///
/// const LOSS: SoftmaxCrossEntropy = SoftmaxCrossEntropy::new().label_smoothing(0.1).ignore_index(-100);
///
/// let logits = [2.0, 1.0, 0.1, 0.5, 2.5, 0.3];
/// let mut gradient = [0.0; 6];
/// let totals = LOSS.loss_grad(Rows::new(&logits, 3), &[0_i64, -100], RowsMut::new(&mut gradient, 3))?;
/// assert_eq!((totals.rows, &gradient[3..]), (1, &[0.0; 3][..]));
/// assert!((totals.mean() - 0.5137).abs() < 1e-4);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a loss computes nothing until one of its methods is called"]
pub struct Loss<'a, K> {
    kind: K,
    class_weights: Option<&'a [f32]>,
    row_weights: Option<&'a [f32]>,
    ignore_index: Option<i64>,
    reduction: Reduction,
    grad_scale: f32,
    check_finite: bool,
    validate: bool,
    backend: Option<Backend>,
}

mod sealed {
    /// Kinds and targets are this crate's.
    pub trait Sealed {}
}
use sealed::Sealed;

/// A kind of loss.
///
/// ```
/// use xent::loss::{Kind, Loss, Target};
/// use xent::{Error, IntoTargets, NllLoss, Rows};
///
/// fn mean<'a, K, T>(loss: Loss<'a, K>, x: Rows<'_>, targets: T) -> Result<f64, Error>
/// where
///     K: Kind + Copy,
///     T: IntoTargets<'a, Targets: Target<'a, K>>,
/// {
///     Ok(loss.loss(x, targets)?.mean())
/// }
/// assert_eq!(mean(NllLoss::new(), Rows::new(&[-2.0, -0.5], 2), &[1_u8])?, 0.5);
/// # Ok::<(), xent::Error>(())
/// ```
pub trait Kind: Sealed {
    #[doc(hidden)]
    const INPUT: &'static str;
    #[doc(hidden)]
    fn check(&self, classes: usize) -> Result<(), Error>;
    #[doc(hidden)]
    fn input_is_valid(_: f32) -> bool {
        true
    }
    #[doc(hidden)]
    fn label_is_valid(_: f32) -> bool {
        true
    }
}

/// A kind of loss whose targets are class indices.
///
/// ```
/// use xent::loss::{Loss, TakesIndices};
///
/// fn without_padding<K: TakesIndices + Copy>(loss: Loss<'_, K>) -> Loss<'_, K> {
///     loss.ignore_index(-1)
/// }
/// assert_eq!(without_padding(xent::NllLoss::new()).loss(&[-2.0, -0.5], &[-1_i8])?.rows, 0);
/// # Ok::<(), xent::Error>(())
/// ```
pub trait TakesIndices: Kind {}

/// Targets that a loss of kind `K` is defined for.
///
/// | loss | [`ClassIndices`](crate::ClassIndices) | [`Rows`] of labels | [`HotClasses`](crate::HotClasses) |
/// |---|---|---|---|
/// | [`SoftmaxCrossEntropy`] | yes | yes | |
/// | [`MultiLabelSoftmaxCrossEntropy`] | | yes | yes |
/// | [`SigmoidCrossEntropy`] | | yes | |
/// | [`ProbabilityCrossEntropy`] | yes | yes | |
/// | [`ProbabilityBinaryCrossEntropy`] | | yes | |
/// | [`NllLoss`] | yes | | |
///
/// ```
/// use xent::{HotClasses, MultiLabelSoftmaxCrossEntropy, SoftmaxCrossEntropy};
///
/// let logits = [2.0, -1.0, 0.5];
/// let loss = SoftmaxCrossEntropy::new();
/// let (index, labels) = (loss.loss(&logits, &[2_u16])?, loss.loss(&logits, &[0.0, 0.0, 1.0])?);
/// let hot = MultiLabelSoftmaxCrossEntropy::new().loss(&logits, HotClasses::padded(&[2_u16], 1))?;
/// assert!((index.sum - labels.sum).abs() < 1e-6 && (index.sum - hot.sum).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
pub trait Target<'a, K>: Sealed {
    #[doc(hidden)]
    fn evaluate(self, loss: &Loss<'a, K>, table: &mut Table<'_>, losses: Option<&mut [f32]>) -> Result<Totals, Error>;
}

/// Implements [`Target`] by the function that checks the targets and makes a kernel of them.
///
/// Methods of a concrete type are compiled here, once, and not again in each crate that calls them; each is linked only
/// where it is called. A generic function could do neither.
macro_rules! target {
    ($targets:ident for $kind:ty, $kernel:expr) => {
        impl<'a> crate::loss::Target<'a, $kind> for crate::$targets<'a> {
            fn evaluate(
                self,
                loss: &Loss<'a, $kind>,
                table: &mut crate::kernel::Table<'_>,
                losses: Option<&mut [f32]>,
            ) -> Result<crate::Totals, Error> {
                loss.evaluate(table, losses, |x| $kernel(loss, x, &self))
            }
        }
    };
}
use target;

impl Sealed for crate::ClassIndices<'_> {}
impl Sealed for crate::HotClasses<'_> {}
impl Sealed for Rows<'_> {}

impl<'a, K: Kind + Copy> Loss<'a, K> {
    const fn with(kind: K, reduction: Reduction) -> Self {
        Self {
            kind,
            class_weights: None,
            row_weights: None,
            ignore_index: None,
            reduction,
            grad_scale: 1.0,
            check_finite: false,
            validate: false,
            backend: None,
        }
    }

    /// A weight for each class, by which the class's term is multiplied: 0 or positive, and finite.
    ///
    /// ```
    /// let loss = xent::NllLoss::new().class_weights(&[1.0, 3.0]);
    /// let totals = loss.loss(&[-2.0, -0.5], &[1_u8])?;
    /// assert_eq!((totals.sum, totals.weight), (1.5, 3.0));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn class_weights(mut self, weights: &'a [f32]) -> Self {
        self.class_weights = Some(weights);
        self
    }

    /// A weight for each row, by which its loss is multiplied: 0 or positive, and finite.
    ///
    /// ```
    /// use xent::{NllLoss, Rows};
    ///
    /// let log_p = Rows::new(&[-2.0, -0.5, -1.0, -4.0], 2);
    /// let totals = NllLoss::new().row_weights(&[0.5, 2.0]).loss(log_p, &[0_u8, 1])?;
    /// assert_eq!((totals.sum, totals.weight), (1.0 + 8.0, 0.5 + 2.0));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn row_weights(mut self, weights: &'a [f32]) -> Self {
        self.row_weights = Some(weights);
        self
    }

    /// What [`Totals::weight`] is, and what the gradient is the gradient of. A denominator so small that
    /// `grad_scale` over it, the factor of the gradient, is no finite f32 is refused, by calls without a gradient too.
    ///
    /// ```
    /// use xent::{NllLoss, Reduction};
    ///
    /// let mut gradient = [0.0; 2];
    /// let loss = NllLoss::new().reduction(Reduction::MeanOver(8.0));
    /// let totals = loss.loss_grad(&[-2.0, -0.5], &[0_u8], &mut gradient)?;
    /// assert_eq!((totals.sum, totals.mean(), gradient), (2.0, 0.25, [-0.125, 0.0]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Multiplies the gradient (by default 1): the upstream gradient, a loss weight, a loss scale. The loss is not scaled.
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// let totals = xent::NllLoss::new().grad_scale(1024.0).loss_grad(&[-2.0, -0.5], &[1_u8], &mut gradient)?;
    /// assert_eq!((totals.sum, gradient), (0.5, [0.0, -1024.0]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn grad_scale(mut self, scale: f32) -> Self {
        self.grad_scale = scale;
        self
    }

    /// Refuses NaN and infinities in the input and in dense targets, except in ignored rows.
    ///
    /// ```
    /// use xent::{Error, SoftmaxCrossEntropy};
    ///
    /// let logits = [1.0, f32::NAN];
    /// assert!(SoftmaxCrossEntropy::new().loss(&logits, &[0_u8])?.sum.is_nan());
    /// let refused = SoftmaxCrossEntropy::new().check_finite(true).loss(&logits, &[0_u8]);
    /// assert_eq!(refused, Err(Error::NonFinite { argument: "logits", row: 0, index: 1 }));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn check_finite(mut self, check: bool) -> Self {
        self.check_finite = check;
        self
    }

    /// Refuses values outside the domain: probabilities outside [0, 1], log-probabilities above 0, labels that are not
    /// finite, negative labels where they are a distribution (all losses but the multi-label softmax loss), and binary
    /// labels above 1. Left off, such values take part in the formula as they are.
    ///
    /// ```
    /// use xent::{Error, ProbabilityCrossEntropy};
    ///
    /// let p = [1.0, 1.5];
    /// assert_eq!(ProbabilityCrossEntropy::new().loss(&p, &[0_u8])?.sum, 0.0);
    /// let refused = ProbabilityCrossEntropy::new().validate(true).loss(&p, &[0_u8]);
    /// assert_eq!(refused, Err(Error::NotAProbability { argument: "probabilities", row: 0, index: 1, value: 1.5 }));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn validate(mut self, validate: bool) -> Self {
        self.validate = validate;
        self
    }

    /// The backend of this loss, in place of [`Backend::active`].
    ///
    /// ```
    /// use xent::{Backend, SoftmaxCrossEntropy};
    ///
    /// for backend in Backend::available() {
    ///     let mut gradient = [0.0; 2];
    ///     SoftmaxCrossEntropy::new().backend(backend).loss_grad(&[7.0, 7.0], &[0_u8], &mut gradient)?;
    ///     assert_eq!(gradient, [-0.5, 0.5]);
    /// }
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// The totals over all rows.
    ///
    /// # Errors
    /// Shapes, targets, weights and options that do not fit: see [`Error`].
    ///
    /// ```
    /// use xent::{Rows, SoftmaxCrossEntropy};
    ///
    /// let logits = Rows::new(&[0.0, 0.0, 0.0, f32::NEG_INFINITY], 2);
    /// let totals = SoftmaxCrossEntropy::new().loss(logits, &[1_u8, 0])?; // ln 2 and 0
    /// assert_eq!((totals.weight, totals.rows), (2.0, 2));
    /// assert!((totals.mean() - 0.5 * core::f64::consts::LN_2).abs() < 1e-7);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[inline]
    pub fn loss<'x, T>(&self, x: impl Into<Rows<'x>>, targets: T) -> Result<Totals, Error>
    where
        T: IntoTargets<'a, Targets: Target<'a, K>>,
    {
        targets.into_targets().evaluate(self, &mut Table::ReadOnly(x.into()), None)
    }

    /// The loss of each row (0 for ignored ones) into `losses`, which has one element a row; and the totals.
    ///
    /// Of the losses over a row's classes together, this is "reduction none". A binary loss gives the sum over the row: for
    /// one loss an element, pass a table of one class, `Rows::new(x, 1)`.
    ///
    /// # Errors
    /// As [`loss`](Self::loss).
    ///
    /// ```
    /// use xent::{NllLoss, Rows};
    ///
    /// let mut losses = [f32::NAN; 3];
    /// let log_p = Rows::new(&[-2.0, -0.5, -1.0, -4.0, -3.0, -0.25], 2);
    /// let totals = NllLoss::new().ignore_index(-1).losses(log_p, &[0_i8, -1, 1], &mut losses)?;
    /// assert_eq!((losses, totals.sum), ([2.0, 0.0, 0.25], 2.25));
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[inline]
    pub fn losses<'x, T>(&self, x: impl Into<Rows<'x>>, targets: T, losses: &mut [f32]) -> Result<Totals, Error>
    where
        T: IntoTargets<'a, Targets: Target<'a, K>>,
    {
        targets.into_targets().evaluate(self, &mut Table::ReadOnly(x.into()), Some(losses))
    }

    /// The totals, and the gradient with respect to `x` into `gradient`, a table of the same shape.
    ///
    /// # Errors
    /// As [`loss`](Self::loss); nothing is written then.
    ///
    /// ```
    /// use xent::{Rows, RowsMut, SoftmaxCrossEntropy};
    ///
    /// let mut gradient = [0.0; 4];
    /// let (logits, to) = (Rows::new(&[0.0; 4], 2), RowsMut::new(&mut gradient, 2));
    /// let totals = SoftmaxCrossEntropy::new().loss_grad(logits, &[0_u8, 1], to)?;
    /// assert!((totals.mean() - core::f64::consts::LN_2).abs() < 1e-7);
    /// assert_eq!(gradient, [-0.25, 0.25, 0.25, -0.25]); // of the mean over two rows
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[inline]
    pub fn loss_grad<'x, 'g, T>(
        &self,
        x: impl Into<Rows<'x>>,
        targets: T,
        gradient: impl Into<RowsMut<'g>>,
    ) -> Result<Totals, Error>
    where
        T: IntoTargets<'a, Targets: Target<'a, K>>,
    {
        let mut table = Table::Between { from: x.into(), to: gradient.into() };
        targets.into_targets().evaluate(self, &mut table, None)
    }

    /// The totals, and the gradient with respect to `x` in place of `x`.
    ///
    /// # Errors
    /// As [`loss`](Self::loss); nothing is written then.
    ///
    /// ```
    /// use xent::{RowsMut, SoftmaxCrossEntropy};
    ///
    /// let mut x = [0.0; 4];
    /// SoftmaxCrossEntropy::new().loss_grad_in_place(RowsMut::new(&mut x, 2), &[0_u8, 1])?;
    /// assert_eq!(x, [-0.25, 0.25, 0.25, -0.25]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[inline]
    pub fn loss_grad_in_place<'x, T>(&self, x: impl Into<RowsMut<'x>>, targets: T) -> Result<Totals, Error>
    where
        T: IntoTargets<'a, Targets: Target<'a, K>>,
    {
        targets.into_targets().evaluate(self, &mut Table::InPlace(x.into()), None)
    }

    /// [`losses`](Self::losses) and [`loss_grad`](Self::loss_grad) in one pass.
    ///
    /// # Errors
    /// As [`loss`](Self::loss); nothing is written then.
    ///
    /// ```
    /// use xent::{NllLoss, Rows, RowsMut};
    ///
    /// let (mut losses, mut gradient) = ([0.0; 2], [0.0; 4]);
    /// let (log_p, to) = (Rows::new(&[-2.0, -0.5, -1.0, -4.0], 2), RowsMut::new(&mut gradient, 2));
    /// NllLoss::new().losses_grad(log_p, &[0_u8, 1], &mut losses, to)?;
    /// assert_eq!((losses, gradient), ([2.0, 4.0], [-0.5, 0.0, 0.0, -0.5]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[inline]
    pub fn losses_grad<'x, 'g, T>(
        &self,
        x: impl Into<Rows<'x>>,
        targets: T,
        losses: &mut [f32],
        gradient: impl Into<RowsMut<'g>>,
    ) -> Result<Totals, Error>
    where
        T: IntoTargets<'a, Targets: Target<'a, K>>,
    {
        let mut table = Table::Between { from: x.into(), to: gradient.into() };
        targets.into_targets().evaluate(self, &mut table, Some(losses))
    }

    /// [`losses`](Self::losses) and [`loss_grad_in_place`](Self::loss_grad_in_place) in one pass.
    ///
    /// # Errors
    /// As [`loss`](Self::loss); nothing is written then.
    ///
    /// ```
    /// use xent::{NllLoss, RowsMut};
    ///
    /// let (mut losses, mut x) = ([0.0; 2], [-2.0, -0.5, -1.0, -4.0]);
    /// NllLoss::new().losses_grad_in_place(RowsMut::new(&mut x, 2), &[0_u8, 1], &mut losses)?;
    /// assert_eq!((losses, x), ([2.0, 4.0], [-0.5, 0.0, 0.0, -0.5]));
    /// # Ok::<(), xent::Error>(())
    /// ```
    #[inline]
    pub fn losses_grad_in_place<'x, T>(
        &self,
        x: impl Into<RowsMut<'x>>,
        targets: T,
        losses: &mut [f32],
    ) -> Result<Totals, Error>
    where
        T: IntoTargets<'a, Targets: Target<'a, K>>,
    {
        targets.into_targets().evaluate(self, &mut Table::InPlace(x.into()), Some(losses))
    }

    /// All checks, then the denominator, then the one dispatch.
    fn evaluate<R: RowLoss>(
        &self,
        table: &mut Table<'_>,
        losses: Option<&mut [f32]>,
        kernel: impl FnOnce(Rows<'_>) -> Result<R, Error>,
    ) -> Result<Totals, Error> {
        table.check(K::INPUT, "gradient")?;
        let x = table.as_rows();
        let rows = x.rows();
        self.check(x, losses.as_deref())?;
        let kernel = kernel(x)?;
        if self.check_finite || self.validate {
            self.check_values(table, &kernel)?;
        }

        let shares = shares_of(&kernel, self.row_weights, table);
        let denominator = self.reduction.denominator(shares, rows);
        let mut scale = self.grad_scale;
        if self.reduction != Reduction::Sum {
            scale = if denominator == 0.0 { 0.0 } else { (f64::from(scale) / denominator) as f32 };
            parameter("reduction", denominator, scale.is_finite())?;
        }
        let mut batch = Batch { table, kernel: &kernel, row_weights: self.row_weights, scale, losses };
        let sum = Backend::run(self.backend, &mut batch);
        Ok(Totals { sum, weight: denominator, rows: shares.rows })
    }

    fn check(&self, x: Rows<'_>, losses: Option<&[f32]>) -> Result<(), Error> {
        if let Some(losses) = losses {
            check_length("losses", x.rows(), losses.len())?;
        }
        if let Some(weights) = self.row_weights {
            check_weights("row_weights", x.rows(), weights, 0.0..=f32::MAX)?;
        }
        if let Some(weights) = self.class_weights {
            check_weights("class_weights", x.classes(), weights, 0.0..=f32::MAX)?;
        }
        parameter("grad_scale", self.grad_scale.into(), self.grad_scale.is_finite())?;
        if let Reduction::MeanOver(denominator) = self.reduction {
            parameter("reduction", denominator, denominator.is_finite() && denominator >= 0.0)?;
        }
        self.kind.check(x.classes())
    }

    /// The values of the rows that are read.
    fn check_values<R: RowLoss>(&self, table: &Table<'_>, kernel: &R) -> Result<(), Error> {
        let x = table.as_rows();
        for row in 0..x.rows() {
            let values = x.row(row);
            if !share_of(kernel, self.row_weights, row, values).active {
                continue;
            }
            let labels = kernel.labels().map(|labels| labels.row(row)).unwrap_or_default();
            if self.check_finite {
                for (argument, values) in [(K::INPUT, values), ("targets", labels)] {
                    let wrong = values.iter().enumerate().find(|&(i, x)| !x.is_finite() && !kernel.ignores(row, i));
                    if let Some((index, _)) = wrong {
                        return Err(Error::NonFinite { argument, row, index });
                    }
                }
            }
            if self.validate {
                let used = |&(index, _): &(usize, &f32)| !kernel.ignores(row, index);
                if let Some((index, &value)) =
                    values.iter().enumerate().filter(used).find(|&(_, &x)| !K::input_is_valid(x))
                {
                    return Err(Error::NotAProbability { argument: K::INPUT, row, index, value });
                }
                if let Some((index, &value)) =
                    labels.iter().enumerate().filter(used).find(|&(_, &t)| !K::label_is_valid(t))
                {
                    return Err(Error::InvalidTarget { row, index, value });
                }
            }
        }
        Ok(())
    }
}

impl<K: TakesIndices + Copy> Loss<'_, K> {
    /// The class index of rows to leave out, in `0..classes` or not; by default there is none. PyTorch's default is
    /// -100. Dense labels have no index: both together are an [`Error::Conflict`]. Indices above `i64::MAX` cannot be
    /// ignored.
    ///
    /// ```
    /// use xent::{NllLoss, Rows};
    ///
    /// let log_p = Rows::new(&[-2.0, -0.5, f32::NAN, f32::NAN], 2);
    /// let totals = NllLoss::new().ignore_index(-100).loss(log_p, &[1_i64, -100])?;
    /// assert_eq!((totals.mean(), totals.rows), (0.5, 1));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn ignore_index(mut self, index: i64) -> Self {
        self.ignore_index = Some(index);
        self
    }

    fn takes_labels(&self) -> Result<(), Error> {
        match self.ignore_index {
            Some(_) => Err(Error::Conflict { option: "ignore_index", with: "dense labels" }),
            None => Ok(()),
        }
    }
}

fn check_weights(
    argument: &'static str,
    expected: usize,
    weights: &[f32],
    allowed: RangeInclusive<f32>,
) -> Result<(), Error> {
    check_length(argument, expected, weights.len())?;
    match weights.iter().enumerate().find(|&(_, weight)| !allowed.contains(weight)) {
        Some((index, &value)) => Err(Error::Weight { argument, index, value }),
        None => Ok(()),
    }
}

fn parameter(name: &'static str, value: f64, in_range: bool) -> Result<(), Error> {
    if in_range { Ok(()) } else { Err(Error::Parameter { name, value }) }
}

fn check_label_smoothing(epsilon: f32) -> Result<(), Error> {
    parameter("label_smoothing", epsilon.into(), (0.0..=1.0).contains(&epsilon))
}
