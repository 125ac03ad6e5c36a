//! Output activations, forward and backward, over one row or a table of rows.
//!
//! | activation | forward | backward |
//! |---|---|---|
//! | [`Sigmoid`] | 1 / (1 + exp(-x)) | from input or output |
//! | [`LogSigmoid`] | ln sigmoid(x) | from input |
//! | [`Softplus`] | ln(1 + exp(x)) | from input |
//! | [`Softmax`] | exp(x_i) / sum exp(x_j) | from output |
//! | [`LogSoftmax`] | x_i - ln sum exp(x_j) | from output |
//! | [`LogSumExp`] | ln sum exp(x_j), one number a row | from input |
//! | [`Exp`], [`Ln`], [`Log1p`] | the elementary functions behind them | |
//!
//! Every method takes one row (`&x`, `&mut y`) or a table ([`Rows`], [`RowsMut`]), checks all shapes before it writes,
//! and dispatches once. `..._in_place` overwrites its last argument with the result.
//!
//! The backward methods multiply by the derivative, with `y` for the output, `dy` for the upstream gradient of a row and
//! sums over that row:
//!
//! | activation | `backward_from_input` at `x` | `backward_from_output` at `y` |
//! |---|---|---|
//! | [`Sigmoid`] | `dx = dy e / (1 + e)^2`, e = exp(-\|x\|) | `dx = dy y (1 - y)`, 0 where y is rounded to 1 |
//! | [`LogSigmoid`] | `dx = dy sigmoid(-x)` | |
//! | [`Softplus`] | `dx = dy sigmoid(x)` | |
//! | [`Softmax`] | | `dx_i = y_i (dy_i - sum y_j dy_j)` |
//! | [`LogSoftmax`] | | `dx_i = dy_i - exp(y_i) sum dy_j` |
//! | [`LogSumExp`] | `dx_i = softmax(x)_i dy` | |
//!
//! Elements of a gradient are within 4 ULP of the exact value at what is given, from log-softmax and softmax of the larger of
//! the two terms of the difference, with the sum in absolute values; of [`LogSumExp`], whose factor is a softmax, 7. One
//! more for the product with `dy`. So the class that is nearly certain loses its digits in the backward of a log-softmax;
//! [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy) keeps them. NaN and infinities give what IEEE arithmetic gives in
//! these formulas, but for rows of -inf alone, which follow [`EmptyRow`].

use crate::error::check_length;
use crate::kernel::elementwise::{self, Chain, Map};
use crate::kernel::softmax::{self, LogSoftmaxBackward, SoftmaxBackward};
use crate::kernel::{ForEachRow, ForEachRowOrGroup, Table};
use crate::loss::EmptyRow;
use crate::{Backend, Error, Rows, RowsMut};

/// An activation: its configuration, and the methods that compute it. Use it by its names: [`Sigmoid`], [`LogSigmoid`],
/// [`Softplus`], [`Softmax`], [`LogSoftmax`], [`LogSumExp`], [`Exp`], [`Ln`], [`Log1p`].
///
/// ```
/// use xent::{Rows, RowsMut, Softmax};
///
/// let logits = [1.0, 2.0, 3.0, 1.0, 1.0, 1.0];
/// let mut p = [0.0; 6];
/// Softmax::new().forward(Rows::new(&logits, 3), RowsMut::new(&mut p, 3))?; // two rows of three
///
/// let dp = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
/// let mut dlogits = [0.0; 6];
/// Softmax::new().backward_from_output(Rows::new(&p, 3), Rows::new(&dp, 3), RowsMut::new(&mut dlogits, 3))?;
/// assert!((dlogits[3] - 2.0 / 9.0).abs() < 1e-7);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "an activation computes nothing until one of its methods is called"]
pub struct Activation<F> {
    function: F,
    backend: Option<Backend>,
}

/// The logistic function, equation (1) of the article named in [`reference`](crate::reference).
///
/// Special cases: NaN is NaN, +inf is 1, -inf is 0. Subnormal results are kept: sigmoid(-103) is 1.4e-45. Accuracy: 2 ULP.
///
/// ```
/// let mut x = [-89.0, 0.0, f32::INFINITY];
/// xent::Sigmoid::new().forward_in_place(&mut x)?;
/// assert_eq!(x, [2.227_364e-39, 0.5, 1.0]);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "logistic function")]
#[doc(alias = "expit")]
pub type Sigmoid = Activation<function::Sigmoid>;

/// `ln(sigmoid(x)) = min(x, 0) - log1p(exp(-|x|))`.
///
/// Special cases: NaN is NaN, +inf is 0, -inf is -inf. Subnormal results are kept: log_sigmoid(88) is -6.05e-39.
/// Accuracy: 2 ULP.
///
/// ```
/// let mut y = [0.0; 1];
/// xent::LogSigmoid::new().forward(&[0.0], &mut y)?;
/// assert_eq!(y, [-core::f32::consts::LN_2]);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "logsigmoid")]
#[doc(alias = "log_sigmoid")]
pub type LogSigmoid = Activation<function::LogSigmoid>;

/// `ln(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))`.
///
/// Special cases: NaN is NaN, +inf is +inf, -inf is 0. Accuracy: 2 ULP.
///
/// ```
/// let mut y = [0.0; 1];
/// xent::Softplus::new().forward(&[-88.0], &mut y)?;
/// assert!(y[0] > 0.0);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "softplus")]
pub type Softplus = Activation<function::Softplus>;

/// Softmax of each row, equation (2) of the article named in [`reference`](crate::reference).
///
/// Special cases: an element of -inf has probability 0; +inf or NaN makes its row NaN; a row of -inf alone follows
/// [`empty_row`](Activation::empty_row); one class has probability 1 exactly.
///
/// Accuracy: 7 ULP, beyond what rounding each element's distance to the largest costs (relative |x - m| 2^-24). Not proved:
/// it is the bound of the worst rows that a search found; 3.2 was measured of other hard rows.
///
/// ```
/// let mut x = [f32::NEG_INFINITY, 7.0, 7.0];
/// xent::Softmax::new().forward_in_place(&mut x)?;
/// assert_eq!(x, [0.0, 0.5, 0.5]);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "softmax")]
#[doc(alias = "normalized exponential")]
pub type Softmax = Activation<function::Softmax>;

/// The logarithm of the softmax of each row.
///
/// Special cases: as [`Softmax`]; an element of -inf has log-probability -inf, and the class that is nearly certain
/// keeps its digits: the first of [20, 0, 0] is -4.1223e-9, not 0. Accuracy: 6 ULP, as [`Softmax`] beyond the rounding
/// of distances, and not proved.
///
/// ```
/// let mut y = [0.0; 3];
/// xent::LogSoftmax::new().forward(&[20.0, 0.0, 0.0], &mut y)?;
/// assert!((y[0] / -4.122_307e-9 - 1.0).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "log_softmax")]
pub type LogSoftmax = Activation<function::LogSoftmax>;

/// `ln sum exp(x_j)` of each row.
///
/// Special cases: a row of -inf alone is -inf; NaN makes it NaN; otherwise +inf makes it +inf. Accuracy: 6 ULP of the sum
/// of the absolute values of its terms, the largest element and a logarithm, as [`Softmax`] beyond the rounding of distances,
/// and not proved.
///
/// ```
/// let x = [1000.0, 1000.0];
/// let mut out = [0.0; 1];
/// xent::LogSumExp::new().forward(&x, &mut out)?;
/// assert!((out[0] - 1000.6931).abs() < 1e-4);
/// # Ok::<(), xent::Error>(())
/// ```
#[doc(alias = "logsumexp")]
#[doc(alias = "log_sum_exp")]
#[doc(alias = "ReduceLogSumExp")]
pub type LogSumExp = Activation<function::LogSumExp>;

/// The exponential function.
///
/// Special cases: NaN is NaN, above 88.723 it is +inf, below -103.973 it is 0. Subnormal results are kept. Accuracy: 1 ULP.
///
/// ```
/// let mut x = [0.0, 1.0, f32::NEG_INFINITY];
/// xent::activation::Exp::new().forward_in_place(&mut x)?;
/// assert_eq!(x, [1.0, core::f32::consts::E, 0.0]);
/// # Ok::<(), xent::Error>(())
/// ```
pub type Exp = Activation<function::Exp>;

/// The natural logarithm.
///
/// Special cases: -inf at 0, NaN below and of NaN, +inf at +inf. Accuracy: 1 ULP.
///
/// ```
/// let mut x = [1.0, 0.0];
/// xent::activation::Ln::new().forward_in_place(&mut x)?;
/// assert_eq!(x, [0.0, f32::NEG_INFINITY]);
/// # Ok::<(), xent::Error>(())
/// ```
pub type Ln = Activation<function::Ln>;

/// `ln(1 + x)`, x itself for tiny x.
///
/// Special cases: -inf at -1, NaN below and of NaN, +inf at +inf. Accuracy: 1 ULP.
///
/// ```
/// let mut x = [1e-30, -1.0];
/// xent::activation::Log1p::new().forward_in_place(&mut x)?;
/// assert_eq!(x, [1e-30, f32::NEG_INFINITY]);
/// # Ok::<(), xent::Error>(())
/// ```
pub type Log1p = Activation<function::Log1p>;

/// `y = softmax(x)` of one row on the active backend.
///
/// # Errors
/// Where the lengths differ.
///
/// ```
/// let mut p = [0.0; 2];
/// xent::softmax(&[0.0, 0.0], &mut p)?;
/// assert_eq!(p, [0.5, 0.5]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn softmax(x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    Softmax::new().forward(x, y)
}

/// `y = log_softmax(x)` of one row on the active backend.
///
/// # Errors
/// Where the lengths differ.
///
/// ```
/// let mut y = [0.0; 2];
/// xent::log_softmax(&[0.0, 0.0], &mut y)?;
/// assert_eq!(y, [-core::f32::consts::LN_2; 2]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn log_softmax(x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    LogSoftmax::new().forward(x, y)
}

/// `y = sigmoid(x)` element by element on the active backend.
///
/// # Errors
/// Where the lengths differ.
///
/// ```
/// let mut y = [0.0; 2];
/// xent::sigmoid(&[0.0, f32::NEG_INFINITY], &mut y)?;
/// assert_eq!(y, [0.5, 0.0]);
/// # Ok::<(), xent::Error>(())
/// ```
pub fn sigmoid(x: &[f32], y: &mut [f32]) -> Result<(), Error> {
    Sigmoid::new().forward(x, y)
}

/// `ln sum exp(x_j)` of one row on the active backend; -inf for an empty one.
///
/// ```
/// assert_eq!(xent::log_sum_exp(&[3.0]), 3.0);
/// assert_eq!(xent::log_sum_exp(&[]), f32::NEG_INFINITY);
/// ```
pub fn log_sum_exp(x: &[f32]) -> f32 {
    let mut out = [0.0];
    Backend::run(None, &mut softmax::LogSumExp { x: x.into(), out: &mut out });
    let [sum] = out;
    sum
}

/// What tells the activations apart: the `F` of [`Activation`].
///
/// ```
/// use xent::activation::{Activation, function};
///
/// /// A layer that keeps its activation.
/// struct Layer {
///     activation: Activation<function::Sigmoid>,
/// }
/// let (layer, mut x) = (Layer { activation: xent::Sigmoid::new() }, [0.0]);
/// layer.activation.forward_in_place(&mut x)?;
/// assert_eq!(x, [0.5]);
/// # Ok::<(), xent::Error>(())
/// ```
pub mod function {
    use crate::EmptyRow;

    macro_rules! functions {
        ($($name:ident)*) => {$(
            #[doc = concat!("[`", stringify!($name), "`](super::", stringify!($name), ").")]
            #[derive(Clone, Copy, Debug)]
            pub struct $name(pub(super) ());
        )*};
    }

    functions!(Sigmoid LogSigmoid Softplus LogSumExp Exp Ln Log1p);

    /// [`Softmax`](super::Softmax).
    #[derive(Clone, Copy, Debug)]
    pub struct Softmax(pub(super) EmptyRow);

    /// [`LogSoftmax`](super::LogSoftmax).
    #[derive(Clone, Copy, Debug)]
    pub struct LogSoftmax(pub(super) EmptyRow);
}

/// The functions that have each method; their own methods are compiled here, once, and linked where they are called.
mod has {
    use super::{Backend, Rows, Table};

    pub trait Forward {
        fn forward(&self, backend: Option<Backend>, table: &mut Table<'_>);
    }
    /// `dy` becomes `dx` in the table.
    pub trait FromInput {
        fn backward(&self, backend: Option<Backend>, x: Rows<'_>, table: &mut Table<'_>);
    }
    /// `dy` becomes `dx` in the table.
    pub trait FromOutput {
        fn backward(&self, backend: Option<Backend>, y: Rows<'_>, table: &mut Table<'_>);
    }
}
use has::{Forward, FromInput, FromOutput};

impl<F> Activation<F> {
    /// The backend of this activation, in place of [`Backend::active`].
    ///
    /// ```
    /// use xent::{Backend, Softmax};
    ///
    /// for backend in Backend::available() {
    ///     let mut x = [7.0, 7.0];
    ///     Softmax::new().backend(backend).forward_in_place(&mut x)?;
    ///     assert_eq!(x, [0.5, 0.5]);
    /// }
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn backend(mut self, backend: Backend) -> Self
    where
        F: Copy,
    {
        self.backend = Some(backend);
        self
    }
}

impl<F: Forward> Activation<F> {
    /// `y = f(x)`.
    ///
    /// # Errors
    /// Where the shapes of `x` and `y` differ, or their slices do not hold them.
    ///
    /// ```
    /// use xent::{Error, Sigmoid};
    ///
    /// let mut y = [0.0; 3];
    /// Sigmoid::new().forward(&[0.0, f32::INFINITY, f32::NEG_INFINITY], &mut y)?;
    /// assert_eq!(y, [0.5, 1.0, 0.0]);
    /// let refused = Sigmoid::new().forward(&[0.0], &mut y);
    /// assert_eq!(refused, Err(Error::Shape { argument: "y", expected: (1, 1), found: (1, 3) }));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn forward<'x, 'y>(&self, x: impl Into<Rows<'x>>, y: impl Into<RowsMut<'y>>) -> Result<(), Error> {
        let mut table = Table::Between { from: x.into(), to: y.into() };
        table.check("x", "y")?;
        self.function.forward(self.backend, &mut table);
        Ok(())
    }

    /// `x = f(x)`.
    ///
    /// # Errors
    /// Where the slice does not hold the table.
    ///
    /// ```
    /// let mut x = [7.0, 7.0, 0.0, f32::NEG_INFINITY];
    /// xent::Softmax::new().forward_in_place(xent::RowsMut::new(&mut x, 2))?; // two rows of two
    /// assert_eq!(x, [0.5, 0.5, 1.0, 0.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn forward_in_place<'x>(&self, x: impl Into<RowsMut<'x>>) -> Result<(), Error> {
        let mut table = Table::InPlace(x.into());
        table.check("x", "x")?;
        self.function.forward(self.backend, &mut table);
        Ok(())
    }
}

macro_rules! backward {
    ($has:ident, $method:ident, $in_place:ident, $at:literal, $doc:literal, $f:literal $value:literal $dx:literal) => {
        impl<F: $has> Activation<F> {
            #[doc = concat!("`dx`, the gradient with respect to the input, from `dy`, that with respect to the output, at the ", $doc)]
            ///
            /// # Errors
            /// Where the shapes differ, or the slices do not hold them.
            ///
            /// ```
            #[doc = concat!("let (", $at, ", mut dx) = (", $value, ", [0.0; 2]);")]
            #[doc = concat!("xent::", $f, "::new().", stringify!($method), "(&", $at, ", &[8.0, 0.0], &mut dx)?;")]
            #[doc = concat!("assert_eq!(dx, ", $dx, ");")]
            /// # Ok::<(), xent::Error>(())
            /// ```
            pub fn $method<'a, 'd, 'x>(
                &self,
                at: impl Into<Rows<'a>>,
                dy: impl Into<Rows<'d>>,
                dx: impl Into<RowsMut<'x>>,
            ) -> Result<(), Error> {
                let (at, mut table) = (at.into(), Table::Between { from: dy.into(), to: dx.into() });
                at.check($at)?;
                table.check("dy", "dx")?;
                table.as_rows().check_like(at, "dy")?;
                $has::backward(&self.function, self.backend, at, &mut table);
                Ok(())
            }

            #[doc = concat!("The same in place of `dy`, at the ", $doc)]
            ///
            /// # Errors
            /// Where the shapes differ, or the slices do not hold them.
            ///
            /// ```
            #[doc = concat!("let (", $at, ", mut dy) = (", $value, ", [8.0, 0.0]);")]
            #[doc = concat!("xent::", $f, "::new().", stringify!($in_place), "(&", $at, ", &mut dy)?;")]
            #[doc = concat!("assert_eq!(dy, ", $dx, ");")]
            /// # Ok::<(), xent::Error>(())
            /// ```
            pub fn $in_place<'a, 'd>(
                &self,
                at: impl Into<Rows<'a>>,
                dy: impl Into<RowsMut<'d>>,
            ) -> Result<(), Error> {
                let (at, mut table) = (at.into(), Table::InPlace(dy.into()));
                at.check($at)?;
                table.as_rows().check_like(at, "dy")?;
                $has::backward(&self.function, self.backend, at, &mut table);
                Ok(())
            }
        }
    };
}

backward! {
    FromInput, backward_from_input, backward_from_input_in_place, "x", "input `x`.",
    "Softplus" "[0.0, 0.0]" "[4.0, 0.0]"
}
backward! {
    FromOutput, backward_from_output, backward_from_output_in_place, "y", "output `y`.",
    "Softmax" "[0.5, 0.5]" "[2.0, -2.0]"
}

macro_rules! constructors {
    ($($name:ident $function:expr),*) => {$(
        impl $name {
            /// With default options, on the active backend.
            pub const fn new() -> Self {
                Self { function: $function, backend: None }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}

constructors! {
    Sigmoid function::Sigmoid(()), LogSigmoid function::LogSigmoid(()), Softplus function::Softplus(()),
    Softmax function::Softmax(EmptyRow::Nan), LogSoftmax function::LogSoftmax(EmptyRow::Nan),
    LogSumExp function::LogSumExp(()),
    Exp function::Exp(()), Ln function::Ln(()), Log1p function::Log1p(())
}

impl Softmax {
    /// How to treat a row of nothing but -inf.
    ///
    /// ```
    /// use xent::{EmptyRow, Softmax};
    ///
    /// let mut x = [f32::NEG_INFINITY; 2];
    /// Softmax::new().empty_row(EmptyRow::Zero).forward_in_place(&mut x)?;
    /// assert_eq!(x, [0.0; 2]); // NaN without
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn empty_row(mut self, policy: EmptyRow) -> Self {
        self.function = function::Softmax(policy);
        self
    }
}

impl LogSoftmax {
    /// How to treat a row of nothing but -inf.
    ///
    /// ```
    /// use xent::{EmptyRow, LogSoftmax};
    ///
    /// let mut x = [f32::NEG_INFINITY; 2];
    /// LogSoftmax::new().empty_row(EmptyRow::Zero).forward_in_place(&mut x)?;
    /// assert_eq!(x, [f32::NEG_INFINITY; 2]); // NaN without
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn empty_row(mut self, policy: EmptyRow) -> Self {
        self.function = function::LogSoftmax(policy);
        self
    }
}

/// Implements [`Forward`] by the kernel of a row.
macro_rules! forward {
    ($($function:ident |$self:ident| $op:ident, $map:expr, $flat:expr;)*) => {$(
        impl Forward for function::$function {
            fn forward(&$self, backend: Option<Backend>, table: &mut Table<'_>) {
                if $flat {
                    table.flatten();
                }
                Backend::run(backend, &mut $op { table, map: $map });
            }
        }
    )*};
}

forward! {
    Sigmoid |self| ForEachRow, Map(elementwise::Sigmoid), true;
    LogSigmoid |self| ForEachRow, Map(elementwise::LogSigmoid), true;
    Softplus |self| ForEachRow, Map(elementwise::Softplus), true;
    Exp |self| ForEachRow, Map(elementwise::Exp), true;
    Ln |self| ForEachRow, Map(elementwise::Ln), true;
    Log1p |self| ForEachRow, Map(elementwise::Log1p), true;
    Softmax |self| ForEachRowOrGroup, softmax::Softmax { empty_row: self.0, factors: None }, false;
    LogSoftmax |self| ForEachRowOrGroup, softmax::LogSoftmax { empty_row: self.0 }, false;
}

/// All elements of both as one row, where neither has gaps.
fn flatten_with<'a>(table: &mut Table<'_>, at: Rows<'a>) -> Rows<'a> {
    if !table.is_gapless_with(Some(at)) {
        return at;
    }
    table.flatten();
    at.flat()
}

/// Implements [`FromInput`] or [`FromOutput`] by the kernel of a row, which reads `dy`.
macro_rules! backward_kernels {
    ($($has:ident for $function:ident |$at:ident| $op:ident, $map:expr, $flat:expr;)*) => {$(
        impl $has for function::$function {
            fn backward(&self, backend: Option<Backend>, $at: Rows<'_>, table: &mut Table<'_>) {
                let $at = if $flat { flatten_with(table, $at) } else { $at };
                Backend::run(backend, &mut $op { table, map: $map });
            }
        }
    )*};
}

backward_kernels! {
    FromInput for Sigmoid |at| ForEachRow, Chain { derivative: elementwise::SigmoidAt, at }, true;
    FromInput for LogSigmoid |at| ForEachRow, Chain { derivative: elementwise::LogSigmoidAt, at }, true;
    FromInput for Softplus |at| ForEachRow, Chain { derivative: elementwise::SoftplusAt, at }, true;
    FromOutput for Sigmoid |at| ForEachRow, Chain { derivative: elementwise::SigmoidOf, at }, true;
}

impl FromOutput for function::Softmax {
    fn backward(&self, backend: Option<Backend>, y: Rows<'_>, table: &mut Table<'_>) {
        Backend::run(backend, &mut ForEachRowOrGroup { table, map: SoftmaxBackward { y } });
        leave_out(self.0, y, 0.0, table);
    }
}

impl FromOutput for function::LogSoftmax {
    fn backward(&self, backend: Option<Backend>, y: Rows<'_>, table: &mut Table<'_>) {
        Backend::run(backend, &mut ForEachRowOrGroup { table, map: LogSoftmaxBackward { y } });
        leave_out(self.0, y, f32::NEG_INFINITY, table);
    }
}

/// Gradients of 0 for the rows whose output says that they were left out.
fn leave_out(policy: EmptyRow, y: Rows<'_>, of_empty: f32, table: &mut Table<'_>) {
    if policy == EmptyRow::Zero {
        for (row, y) in y.iter().enumerate() {
            if y.iter().all(|&y| y == of_empty) {
                table.span_and_next(row).0.write().fill(0.0);
            }
        }
    }
}

impl LogSumExp {
    /// `out[n] = ln sum exp(x_nj)`: one number for each row of `x`.
    ///
    /// # Errors
    /// Where `out` has not one element a row, or the slice does not hold the table.
    ///
    /// ```
    /// let x = [3.0, f32::NEG_INFINITY, 1000.0, 1000.0];
    /// let mut out = [0.0; 2];
    /// xent::LogSumExp::new().forward(xent::Rows::new(&x, 2), &mut out)?; // two rows of two
    /// assert!(out[0] == 3.0 && (out[1] - 1000.6931).abs() < 1e-4);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn forward<'x>(&self, x: impl Into<Rows<'x>>, out: &mut [f32]) -> Result<(), Error> {
        let x = x.into();
        x.check("x")?;
        check_length("out", x.rows(), out.len())?;
        Backend::run(self.backend, &mut softmax::LogSumExp { x, out });
        Ok(())
    }

    /// `dx_n = softmax(x_n) dy_n`, with one `dy` for each row.
    ///
    /// # Errors
    /// Where the shapes differ, or the slices do not hold them.
    ///
    /// ```
    /// use xent::{LogSumExp, Rows, RowsMut};
    ///
    /// let mut dx = [0.0; 4];
    /// LogSumExp::new().backward_from_input(Rows::new(&[7.0; 4], 2), &[1.0, 8.0], RowsMut::new(&mut dx, 2))?;
    /// assert_eq!(dx, [0.5, 0.5, 4.0, 4.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn backward_from_input<'x, 'd>(
        &self,
        x: impl Into<Rows<'x>>,
        dy: &[f32],
        dx: impl Into<RowsMut<'d>>,
    ) -> Result<(), Error> {
        self.backward(Table::Between { from: x.into(), to: dx.into() }, dy, "dx")
    }

    /// The same in place of `x`.
    ///
    /// # Errors
    /// Where the shapes differ, or the slice does not hold the table.
    ///
    /// ```
    /// let mut x = [7.0; 4];
    /// xent::LogSumExp::new().backward_from_input_in_place(&[1.0, 8.0], xent::RowsMut::new(&mut x, 2))?;
    /// assert_eq!(x, [0.5, 0.5, 4.0, 4.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn backward_from_input_in_place<'x>(&self, dy: &[f32], x: impl Into<RowsMut<'x>>) -> Result<(), Error> {
        self.backward(Table::InPlace(x.into()), dy, "x")
    }

    fn backward(&self, mut table: Table<'_>, dy: &[f32], dx: &'static str) -> Result<(), Error> {
        table.check("x", dx)?;
        check_length("dy", table.as_rows().rows(), dy.len())?;
        let map = softmax::Softmax { empty_row: EmptyRow::Nan, factors: Some(dy) };
        Backend::run(self.backend, &mut ForEachRowOrGroup { table: &mut table, map });
        Ok(())
    }
}
