//! What the truth may look like: class indices in any integer width, lists of hot classes, or dense rows of labels
//! ([`Rows`]).

use crate::error::check_length;
use crate::lane::{Lane, Op};
use crate::{Backend, Error, Rows};

/// Everything that a loss takes as its `targets`: a slice or array of class indices, [`ClassIndices`], [`HotClasses`],
/// dense labels as [`Rows`], or a slice or array of `f32` as one row of dense labels. A `Vec` goes in as `&vec[..]`.
///
/// [`Target`](crate::loss::Target) lists which of them each loss is defined for.
///
/// ```
/// use xent::{ClassIndices, IntoTargets, Rows};
///
/// let indices: ClassIndices = (&[2_u8, 0]).into_targets(); // one for each of two rows
/// let labels: Rows = (&[0.0, 0.0, 1.0]).into_targets(); // of one row
/// assert_eq!((indices.len(), labels.rows(), labels.classes()), (2, 1, 3));
/// ```
pub trait IntoTargets<'a> {
    /// [`ClassIndices`], [`HotClasses`] or [`Rows`].
    type Targets;
    /// The conversion, which copies nothing.
    ///
    /// ```
    /// assert_eq!(xent::IntoTargets::into_targets(&[2_u8, 0]).len(), 2);
    /// ```
    fn into_targets(self) -> Self::Targets;
}

/// One class index for each row, in any integer width.
///
/// Slices and arrays of every integer type convert into it, so losses take them as they are: `&[3_u8, 1]`,
/// `&labels[..]`.
///
/// ```
/// use xent::{ClassIndices, NllLoss, Rows};
///
/// let log_p = Rows::new(&[-2.0, -0.5, -1.0, -4.0], 2);
/// let labels = vec![0_u64, 1];
/// assert_eq!(NllLoss::new().loss(log_p, &labels[..])?, NllLoss::new().loss(log_p, &[0_i8, 1])?);
/// assert_eq!(NllLoss::new().loss(log_p, ClassIndices::from(&labels[..]))?.sum, 6.0);
/// # Ok::<(), xent::Error>(())
/// ```
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
    ///
    /// ```
    /// assert_eq!(xent::ClassIndices::from(&[3_u8, 1]).len(), 2);
    /// ```
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// let none: [i32; 0] = [];
    /// assert!(xent::ClassIndices::from(&none).is_empty() && !xent::ClassIndices::from(&[0_u8]).is_empty());
    /// ```
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class at `position`; past the end there are only ignored ones.
    pub(crate) fn class(&self, position: usize, ignore: Option<i64>) -> Class {
        match self.0.get(position).flatten() {
            Some(index) if Some(index) != ignore => usize::try_from(index).map_or(Class::Ignored, Class::Index),
            _ => Class::Ignored,
        }
    }

    /// A class below 2^23 as the float 2^23 + class, so that vectors of floats compare classes: its bits are those of the
    /// class and a constant, which any vector unit makes of an integer by an AND and an OR.
    #[inline(always)]
    pub(crate) const fn mark(class: usize) -> f32 {
        f32::from_bits(0x4b00_0000 | (class as u32 & 0x7f_ffff))
    }

    /// The class of a mark.
    #[inline(always)]
    pub(crate) const fn of_mark(mark: f32) -> usize {
        (mark.to_bits() & 0x7f_ffff) as usize
    }

    /// The mark of the class at `position`; where there is none, that of any.
    pub(crate) fn mark_at(&self, position: usize) -> f32 {
        match self.class(position, None) {
            Class::Index(class) => Self::mark(class),
            Class::Ignored => Self::mark(0),
        }
    }

    /// The marks of the classes from `position` on; where there are fewer, what `to` has. Ignored rows may have that of
    /// any class.
    #[inline(always)]
    pub(crate) fn marks(&self, position: usize, to: &mut [f32]) {
        self.0.marks(position, to);
    }

    /// Refuses an index outside `0..classes` that is not to be ignored. `per_row` of them belong to a row.
    pub(crate) fn check(
        &self,
        backend: Option<Backend>,
        per_row: usize,
        classes: usize,
        ignore: Option<i64>,
    ) -> Result<(), Error> {
        // Of a few, the dispatch would cost more than it saves.
        let are_below = if self.len() < WORTH_DISPATCHING {
            self.0.are_below(classes)
        } else {
            Backend::run(backend, &mut AreBelow { indices: &self.0, classes })
        };
        if are_below {
            return Ok(());
        }
        for position in 0..self.len() {
            let Some(target) = self.0.get(position) else { break };
            let class = target.and_then(|target| usize::try_from(target).ok());
            let is_ignored = target.is_some() && target == ignore;
            if class.is_none_or(|class| class >= classes) && !is_ignored {
                let row = position.checked_div(per_row).unwrap_or_default();
                return Err(Error::TargetOutOfRange { row, target: target.unwrap_or(i64::MAX), classes });
            }
        }
        Ok(())
    }
}

impl<'a> HotClasses<'a> {
    /// `per_row` positions for each row: the hot classes, and the ignore index where there are fewer.
    ///
    /// ```
    /// use xent::{HotClasses, MultiLabelSoftmaxCrossEntropy, RowsMut};
    ///
    /// let mut x = [7.0; 4];
    /// let hot = HotClasses::padded(&[0_i32, 1, 0, -1], 2); // row 0: both classes; row 1: class 0
    /// let loss = MultiLabelSoftmaxCrossEntropy::new().ignore_index(-1);
    /// loss.loss_grad_in_place(RowsMut::new(&mut x, 2), hot)?;
    /// assert_eq!(x, [0.0, 0.0, -0.25, 0.25]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn padded(indices: impl Into<ClassIndices<'a>>, per_row: usize) -> Self {
        Self { indices: indices.into(), per_row }
    }

    pub(crate) fn check(
        &self,
        backend: Option<Backend>,
        rows: usize,
        classes: usize,
        ignore: Option<i64>,
    ) -> Result<(), Error> {
        let argument = "targets";
        let expected =
            rows.checked_mul(self.per_row).ok_or(Error::Overflow { argument, rows, stride: self.per_row })?;
        check_length(argument, expected, self.indices.len())?;
        self.indices.check(backend, self.per_row, classes, ignore)
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

/// Indices of which the check is worth the instructions of a backend.
const WORTH_DISPATCHING: usize = 64;

/// [`Indices::are_below`] with the instructions of a backend: the compiler makes vectors of it.
struct AreBelow<'a> {
    indices: &'a Indices<'a>,
    classes: usize,
}

impl Op for AreBelow<'_> {
    type Out = bool;

    #[inline(always)]
    fn run<L: Lane>(&mut self, _: L) -> bool {
        self.indices.are_below(self.classes)
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

            /// Whether all are in 0..classes, in one loop without branches and without comparisons, which SSE2 lacks for 64
            /// bits: the sign of an index, or of the last class less the index, shows one that is not.
            #[inline(always)]
            fn are_below(&self, classes: usize) -> bool {
                let last = (classes as i64).wrapping_sub(1);
                let signs = match self {
                    $(Self::$variant(indices) => {
                        indices.iter().fold(last, |signs, &index| signs | index as i64 | last.wrapping_sub(index as i64))
                    })*
                };
                signs >= 0
            }

            /// With the instructions of a kernel it is several times as fast.
            #[inline(always)]
            fn marks(&self, position: usize, to: &mut [f32]) {
                match self {
                    $(Self::$variant(indices) => {
                        for (to, &index) in to.iter_mut().zip(indices.get(position..).unwrap_or_default()) {
                            *to = ClassIndices::mark(index as usize);
                        }
                    })*
                }
            }

            /// The index at a position, if there is one; `None` in place of an index beyond `i64::MAX`, which no slice has.
            fn get(&self, position: usize) -> Option<Option<i64>> {
                match self {
                    $(Self::$variant(indices) => {
                        indices.get(position).map(|&index| i64::try_from(index).ok())
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
