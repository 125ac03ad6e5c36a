//! The one error type: what was wrong with the arguments, found before anything is written.

use core::fmt;

/// Why a call was refused. Nothing has been written when one of these comes back.
///
/// `argument` names the parameter; a loss names its input by what it holds: `logits`, `probabilities` or
/// `log_probabilities`. Values that are merely unfortunate (NaN, infinities)
/// are not errors unless a configuration asks for [`check_finite`](crate::loss::Loss::check_finite) or
/// [`validate`](crate::loss::Loss::validate).
///
/// ```
/// use xent::{Error, SoftmaxCrossEntropy};
///
/// let refused = SoftmaxCrossEntropy::new().loss(&[0.0, 1.0, 2.0], &[7_u8]);
/// assert_eq!(refused, Err(Error::TargetOutOfRange { row: 0, target: 7, classes: 3 }));
/// assert_eq!(refused.unwrap_err().to_string(), "targets: row 0 holds class 7, outside 0..3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A slice has the wrong number of elements.
    Length {
        /// The parameter.
        argument: &'static str,
        /// Elements it must have.
        expected: usize,
        /// Elements it has.
        found: usize,
    },
    /// A slice does not divide into whole rows.
    Ragged {
        /// The parameter.
        argument: &'static str,
        /// Elements it has.
        len: usize,
        /// Elements in a row.
        classes: usize,
    },
    /// Two tables that belong together differ in shape.
    Shape {
        /// The parameter.
        argument: &'static str,
        /// Rows and classes it must have.
        expected: (usize, usize),
        /// Rows and classes it has.
        found: (usize, usize),
    },
    /// There are rows, but they have no classes.
    NoClasses {
        /// The parameter.
        argument: &'static str,
    },
    /// The row stride is smaller than a row.
    Stride {
        /// The parameter.
        argument: &'static str,
        /// Elements from one row's start to the next.
        stride: usize,
        /// Elements in a row.
        classes: usize,
    },
    /// Rows times stride does not fit in `usize`.
    Overflow {
        /// The parameter.
        argument: &'static str,
        /// Rows asked for.
        rows: usize,
        /// Elements from one row's start to the next.
        stride: usize,
    },
    /// A class index is neither in `0..classes` nor the ignore index.
    TargetOutOfRange {
        /// The row that holds it.
        row: usize,
        /// The index (at most `i64::MAX`).
        target: i64,
        /// Number of classes.
        classes: usize,
    },
    /// A weight is negative, infinite, NaN, or above the largest that its documentation states.
    Weight {
        /// The parameter.
        argument: &'static str,
        /// Position of the weight.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// An option is outside the range that its documentation states.
    Parameter {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// Two options cannot be used together.
    Conflict {
        /// One of them.
        option: &'static str,
        /// The other.
        with: &'static str,
    },
    /// `check_finite` found a NaN or an infinity.
    NonFinite {
        /// The parameter.
        argument: &'static str,
        /// Row of the first such element.
        row: usize,
        /// Its position in the row.
        index: usize,
    },
    /// `validate` found a probability outside `0..=1`, or the logarithm of one above 0.
    NotAProbability {
        /// The parameter.
        argument: &'static str,
        /// Row of the first such element.
        row: usize,
        /// Its position in the row.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// `validate` found a label that the loss does not define: negative or not finite, or above 1 where labels are
    /// probabilities.
    InvalidTarget {
        /// Row of the first such label.
        row: usize,
        /// Its position in the row.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// All labels of a row are 0 and the policy is [`NoPositives::Error`](crate::loss::NoPositives::Error).
    NoPositives {
        /// The row.
        row: usize,
    },
    /// The backend does not exist, or this machine cannot run it.
    BackendUnavailable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { argument, expected, found } => {
                write!(f, "{argument}: {found} elements where {expected} are needed")
            }
            Self::Ragged { argument, len, classes } => {
                write!(f, "{argument}: {len} elements do not divide into rows of {classes}")
            }
            Self::Shape { argument, expected, found } => write!(
                f,
                "{argument}: {} rows of {} where {} rows of {} are needed",
                found.0, found.1, expected.0, expected.1
            ),
            Self::NoClasses { argument } => write!(f, "{argument}: rows of no classes"),
            Self::Stride { argument, stride, classes } => {
                write!(f, "{argument}: a row stride of {stride} is less than a row of {classes}")
            }
            Self::Overflow { argument, rows, stride } => {
                write!(f, "{argument}: {rows} rows of stride {stride} exceed the address space")
            }
            Self::TargetOutOfRange { row, target, classes } => {
                write!(f, "targets: row {row} holds class {target}, outside 0..{classes}")
            }
            Self::Weight { argument, index, value } => {
                write!(f, "{argument}: weight {index} is {value}, outside its range")
            }
            Self::Parameter { name, value } => write!(f, "{name}: {value} is outside its range"),
            Self::Conflict { option, with } => write!(f, "{option} cannot be combined with {with}"),
            Self::NonFinite { argument, row, index } => {
                write!(f, "{argument}: row {row} is not finite at {index}")
            }
            Self::NotAProbability { argument, row, index, value } => {
                write!(f, "{argument}: row {row} holds {value} at {index}, outside its range")
            }
            Self::InvalidTarget { row, index, value } => {
                write!(f, "targets: row {row} holds the label {value} at {index}, outside its range")
            }
            Self::NoPositives { row } => write!(f, "targets: row {row} has no label other than 0"),
            Self::BackendUnavailable => f.write_str("backend: this machine or build does not have it"),
        }
    }
}

impl core::error::Error for Error {}

pub(crate) fn check_length(argument: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { argument, expected, found }) }
}
