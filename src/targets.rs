//! What the truth may look like: class indices in any integer width, lists of hot classes, or dense rows of labels
//! ([`Rows`]).

use crate::{Error, Rows};

/// Everything that a loss takes as its `targets`: a slice or array of class indices, [`ClassIndices`], [`HotClasses`],
/// dense labels as [`Rows`], or a slice or array of `f32` as one row of dense labels.
///
/// [`Target`](crate::loss::Target) lists which of them each loss is defined for.
pub trait IntoTargets<'a> {
    /// [`ClassIndices`], [`HotClasses`] or [`Rows`].
    type Targets;
    /// The conversion, which copies nothing.
    fn into_targets(self) -> Self::Targets;
}

/// One class index for each row, in any integer width.
///
/// Slices and arrays of every integer type convert into it, so losses take them as they are: `&[3_u8, 1]`,
/// `&labels[..]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassIndices<'a>(Indices<'a>);

/// Lists of the hot classes of each row (multi-label targets), padded to one length with the loss's
/// [`ignore_index`](crate::loss::Loss::ignore_index).
///
/// Each listed class has label 1 and each other class 0; a class that is listed twice has label 2.
///
/// ```
/// use xent::{HotClasses, MultiLabelSoftmaxCrossEntropy, Rows};
///
/// let logits = [2.0, -1.0, 0.5, 0.0, 3.0, 1.0];
/// let hot = HotClasses::padded(&[0_i8, 2, 1, -1], 2); // row 0: classes 0 and 2; row 1: class 1
/// let loss = MultiLabelSoftmaxCrossEntropy::new().ignore_index(-1).loss(Rows::new(&logits, 3), hot)?;
/// assert_eq!(loss.rows, 2);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HotClasses<'a> {
    indices: ClassIndices<'a>,
    per_row: usize,
}

/// What stands at one position of a [`ClassIndices`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Index(usize),
    Ignored,
}

macro_rules! themselves {
    ($($targets:ty => $kind:ident),*) => {$(
        impl<'a> IntoTargets<'a> for $targets {
            type Targets = $kind<'a>;
            fn into_targets(self) -> $kind<'a> {
                self.into()
            }
        }
    )*};
}

themselves!(ClassIndices<'a> => ClassIndices, HotClasses<'a> => HotClasses, Rows<'a> => Rows, &'a [f32] => Rows);

impl<'a, const N: usize> IntoTargets<'a> for &'a [f32; N] {
    type Targets = Rows<'a>;
    fn into_targets(self) -> Rows<'a> {
        self.into()
    }
}

impl<'a> ClassIndices<'a> {
    /// Number of indices.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class at `position`; past the end there are only ignored ones.
    pub(crate) fn class(&self, position: usize, ignore: Option<i64>) -> Class {
        match self.0.get(position) {
            Some(index) if Some(index) != ignore => usize::try_from(index).map_or(Class::Ignored, Class::Index),
            _ => Class::Ignored,
        }
    }

    /// Refuses an index outside `0..classes` that is not to be ignored. `per_row` of them belong to a row.
    pub(crate) fn check(&self, per_row: usize, classes: usize, ignore: Option<i64>) -> Result<(), Error> {
        for position in 0..self.len() {
            let Some(target) = self.0.get(position) else { break };
            let in_range = usize::try_from(target).is_ok_and(|index| index < classes);
            if !in_range && Some(target) != ignore {
                let row = position.checked_div(per_row).unwrap_or_default();
                return Err(Error::TargetOutOfRange { row, target, classes });
            }
        }
        Ok(())
    }
}

impl<'a> HotClasses<'a> {
    /// `per_row` positions for each row: the hot classes, and the ignore index where there are fewer.
    pub fn padded(indices: impl Into<ClassIndices<'a>>, per_row: usize) -> Self {
        Self { indices: indices.into(), per_row }
    }

    pub(crate) fn check(&self, rows: usize, classes: usize, ignore: Option<i64>) -> Result<(), Error> {
        let (argument, found) = ("targets", self.indices.len());
        let expected =
            rows.checked_mul(self.per_row).ok_or(Error::Overflow { argument, rows, stride: self.per_row })?;
        if found != expected {
            return Err(Error::Length { argument, expected, found });
        }
        self.indices.check(self.per_row, classes, ignore)
    }

    /// The hot classes of a row.
    pub(crate) fn row(self, row: usize, ignore: Option<i64>) -> impl Iterator<Item = usize> + Clone + 'a {
        let start = row.wrapping_mul(self.per_row);
        (start..start.wrapping_add(self.per_row)).filter_map(move |position| {
            match self.indices.class(position, ignore) {
                Class::Index(class) => Some(class),
                Class::Ignored => None,
            }
        })
    }
}

macro_rules! index_widths {
    ($($variant:ident $integer:ty),*) => {
        /// A slice of each integer type: one match a row instead of one copy of every kernel a type.
        #[derive(Clone, Copy, Debug)]
        enum Indices<'a> {
            $($variant(&'a [$integer]),)*
        }

        impl Indices<'_> {
            const fn len(&self) -> usize {
                match self {
                    $(Self::$variant(indices) => indices.len(),)*
                }
            }

            /// The index at a position; one beyond `i64::MAX` is out of range for any slice, and `i64::MAX` says so.
            fn get(&self, position: usize) -> Option<i64> {
                match self {
                    $(Self::$variant(indices) => {
                        indices.get(position).map(|&index| i64::try_from(index).unwrap_or(i64::MAX))
                    })*
                }
            }
        }

        $(
            impl<'a> From<&'a [$integer]> for ClassIndices<'a> {
                fn from(indices: &'a [$integer]) -> Self {
                    Self(Indices::$variant(indices))
                }
            }

            impl<'a, const N: usize> From<&'a [$integer; N]> for ClassIndices<'a> {
                fn from(indices: &'a [$integer; N]) -> Self {
                    Self(Indices::$variant(indices))
                }
            }

            impl<'a> IntoTargets<'a> for &'a [$integer] {
                type Targets = ClassIndices<'a>;
                fn into_targets(self) -> ClassIndices<'a> {
                    self.into()
                }
            }

            impl<'a, const N: usize> IntoTargets<'a> for &'a [$integer; N] {
                type Targets = ClassIndices<'a>;
                fn into_targets(self) -> ClassIndices<'a> {
                    self.into()
                }
            }
        )*
    };
}

index_widths!(U8 u8, U16 u16, U32 u32, U64 u64, Usize usize, I8 i8, I16 i16, I32 i32, I64 i64, Isize isize);
