//! Tables of rows: one row, or a batch of rows that lie one behind the other or a stride apart.

use crate::Error;

/// A table to read: `rows` rows of `classes` elements.
///
/// Every argument that is a table takes `impl Into<Rows>`. Anything that borrows as `[f32]` (`&x`, `&[1.0, 2.0]`,
/// `&vec`) is **one** row, however long; a batch says with `Rows::new` how long its rows are. The layout is checked by
/// the call that uses it, which knows the argument's name.
///
/// ```
/// use xent::{Rows, Softmax};
///
/// let logits = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0];
/// let mut p = [0.0; 6];
/// Softmax::new().forward(Rows::new(&logits, 3), xent::RowsMut::new(&mut p, 3))?; // two rows of three
/// assert!((p[3] - 1.0 / 3.0).abs() < 1e-7);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    data: &'a [f32],
    layout: Layout,
}

/// A table to write, or to read and overwrite. See [`Rows`].
///
/// ```
/// use xent::{RowsMut, Softmax};
///
/// let mut x = [0.0, 0.0, f32::NEG_INFINITY, 7.0];
/// Softmax::new().forward_in_place(RowsMut::new(&mut x, 2))?; // two rows of two
/// assert_eq!(x, [0.5, 0.5, 0.0, 1.0]);
/// Softmax::new().forward_in_place(&mut x[..3])?; // one row of three
/// assert!((x[0] + x[1] + x[2] - 1.0).abs() < 1e-6);
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Debug)]
pub struct RowsMut<'a> {
    data: &'a mut [f32],
    layout: Layout,
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    rows: usize,
    classes: usize,
    stride: usize,
    /// The rows fill the slice to its last element.
    packed: bool,
}

impl Layout {
    const fn packed(len: usize, classes: usize) -> Self {
        let rows = match len.checked_div(classes) {
            Some(rows) => rows,
            None => 0,
        };
        Self { rows, classes, stride: classes, packed: true }
    }

    const fn one_row(len: usize) -> Self {
        Self::packed(len, len)
    }

    const fn strided(rows: usize, classes: usize, stride: usize) -> Self {
        Self { rows, classes, stride, packed: false }
    }

    fn check(self, len: usize, argument: &'static str) -> Result<(), Error> {
        let Self { rows, classes, stride, packed } = self;
        if packed {
            if classes == 0 && len > 0 {
                return Err(Error::NoClasses { argument });
            }
            if rows.wrapping_mul(classes) != len {
                return Err(Error::Ragged { argument, len, classes });
            }
            return Ok(());
        }
        if rows == 0 {
            return Ok(());
        }
        if classes == 0 {
            return Err(Error::NoClasses { argument });
        }
        if stride < classes {
            return Err(Error::Stride { argument, stride, classes });
        }
        let last = (rows - 1).checked_mul(stride).and_then(|start| start.checked_add(classes));
        let expected = last.ok_or(Error::Overflow { argument, rows, stride })?;
        if len < expected {
            return Err(Error::Length { argument, expected, found: len });
        }
        Ok(())
    }

    /// The same elements as one row, where nothing lies between the rows.
    fn flat(self) -> Self {
        if self.stride == self.classes { Self::one_row(self.rows.wrapping_mul(self.classes)) } else { self }
    }

    fn same_shape(self, other: Self, argument: &'static str) -> Result<(), Error> {
        let (expected, found) = ((other.rows, other.classes), (self.rows, self.classes));
        if expected == found { Ok(()) } else { Err(Error::Shape { argument, expected, found }) }
    }
}

impl<'a> Rows<'a> {
    /// Rows of `classes` elements, one behind the other: there are `data.len() / classes` of them.
    ///
    /// ```
    /// use xent::{Error, Rows, SoftmaxCrossEntropy};
    ///
    /// let logits = Rows::new(&[7.0; 6], 3);
    /// assert_eq!((logits.rows(), logits.classes()), (2, 3));
    /// let ragged = SoftmaxCrossEntropy::new().loss(Rows::new(&[7.0; 6], 4), &[0_u8]);
    /// assert_eq!(ragged, Err(Error::Ragged { argument: "logits", len: 6, classes: 4 }));
    /// ```
    pub const fn new(data: &'a [f32], classes: usize) -> Self {
        Self { layout: Layout::packed(data.len(), classes), data }
    }

    /// `rows` rows of `classes` elements, of which each starts `stride` elements after the one before. What lies
    /// between them is not read.
    ///
    /// ```
    /// use xent::{NllLoss, Rows};
    ///
    /// let data = [-1.0, -2.0, f32::NAN, -3.0, -4.0]; // nothing need lie behind the last row
    /// let log_p = Rows::strided(&data, 2, 2, 3);
    /// assert_eq!(NllLoss::new().loss(log_p, &[1_u8, 0])?.sum, 5.0);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn strided(data: &'a [f32], rows: usize, classes: usize, stride: usize) -> Self {
        Self { data, layout: Layout::strided(rows, classes, stride) }
    }

    /// Number of rows.
    ///
    /// ```
    /// assert_eq!(xent::Rows::new(&[7.0; 6], 3).rows(), 2);
    /// assert_eq!(xent::Rows::from(&[7.0; 6]).rows(), 1);
    /// ```
    pub const fn rows(&self) -> usize {
        self.layout.rows
    }

    /// Elements in a row.
    ///
    /// ```
    /// assert_eq!(xent::Rows::strided(&[7.0; 6], 2, 1, 4).classes(), 1);
    /// assert_eq!(xent::Rows::from(&[7.0; 6]).classes(), 6);
    /// ```
    pub const fn classes(&self) -> usize {
        self.layout.classes
    }

    pub(crate) fn check(&self, argument: &'static str) -> Result<(), Error> {
        self.layout.check(self.data.len(), argument)
    }

    /// Refuses a table that is not as large as `other`.
    pub(crate) fn check_like(&self, other: Rows<'_>, argument: &'static str) -> Result<(), Error> {
        self.check(argument)?;
        self.layout.same_shape(other.layout, argument)
    }

    /// Row `row`; empty where there is none.
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        let start = row.wrapping_mul(self.layout.stride);
        self.data.get(start..).and_then(|rest| rest.get(..self.layout.classes)).unwrap_or_default()
    }

    /// What starts with row `row`, and the stride.
    pub(crate) fn data_from(&self, row: usize) -> (&'a [f32], usize) {
        let start = row.wrapping_mul(self.layout.stride);
        (self.data.get(start..).unwrap_or_default(), self.layout.stride)
    }

    /// Elements of rows from one on, joined, where there are no gaps.
    pub(crate) fn joined(&self, first: usize, len: usize) -> &'a [f32] {
        self.data_from(first).0.get(..len).unwrap_or_default()
    }

    /// The rows, in order.
    ///
    /// ```
    /// let rows = xent::Rows::strided(&[1.0, 2.0, 0.0, 3.0, 4.0], 2, 2, 3);
    /// assert!(rows.iter().eq([[1.0, 2.0], [3.0, 4.0]]));
    /// ```
    pub fn iter(self) -> impl Iterator<Item = &'a [f32]> {
        (0..self.rows()).map(move |row| self.row(row))
    }

    /// Whether the rows lie without gaps, so that [`flat`](Self::flat) makes one row of them.
    pub(crate) fn is_gapless(&self) -> bool {
        self.layout.stride == self.layout.classes
    }

    /// All elements as one row, where there are no gaps.
    pub(crate) fn flat(self) -> Self {
        Self { layout: self.layout.flat(), ..self }
    }
}

impl<'a> RowsMut<'a> {
    /// Rows of `classes` elements, one behind the other: there are `data.len() / classes` of them.
    ///
    /// ```
    /// let mut y = [0.0; 4];
    /// xent::Softmax::new().forward(xent::Rows::new(&[7.0; 4], 2), xent::RowsMut::new(&mut y, 2))?;
    /// assert_eq!(y, [0.5; 4]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn new(data: &'a mut [f32], classes: usize) -> Self {
        Self { layout: Layout::packed(data.len(), classes), data }
    }

    /// `rows` rows of `classes` elements, of which each starts `stride` elements after the one before. What lies
    /// between them is neither read nor written.
    ///
    /// ```
    /// let mut x = [0.0, 0.0, 9.0, 0.0, 0.0, 9.0];
    /// xent::Sigmoid::new().forward_in_place(xent::RowsMut::strided(&mut x, 2, 2, 3))?;
    /// assert_eq!(x, [0.5, 0.5, 9.0, 0.5, 0.5, 9.0]);
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn strided(data: &'a mut [f32], rows: usize, classes: usize, stride: usize) -> Self {
        Self { data, layout: Layout::strided(rows, classes, stride) }
    }

    /// The same table, to read.
    ///
    /// ```
    /// let mut data = [1.0, 2.0, 3.0, 4.0];
    /// let table = xent::RowsMut::new(&mut data, 2);
    /// assert!(table.as_rows().iter().eq([[1.0, 2.0], [3.0, 4.0]]));
    /// ```
    pub const fn as_rows(&self) -> Rows<'_> {
        Rows { data: self.data, layout: self.layout }
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let start = row.wrapping_mul(self.layout.stride);
        self.data.get_mut(start..).and_then(|rest| rest.get_mut(..self.layout.classes)).unwrap_or_default()
    }

    /// A row, and the one behind it if there is one.
    pub(crate) fn row_mut_and_next(&mut self, row: usize) -> (&mut [f32], &[f32]) {
        let classes = self.layout.classes;
        let (rest, stride) = self.data_from(row);
        let Some((row, behind)) = rest.split_at_mut_checked(classes) else { return Default::default() };
        let next = behind.get(stride.wrapping_sub(classes)..).and_then(|next| next.get(..classes));
        (row, next.unwrap_or_default())
    }

    /// What starts with row `row`, and the stride.
    pub(crate) fn data_from(&mut self, row: usize) -> (&mut [f32], usize) {
        let start = row.wrapping_mul(self.layout.stride);
        (self.data.get_mut(start..).unwrap_or_default(), self.layout.stride)
    }

    /// All elements as one row, where there are no gaps.
    pub(crate) fn flatten(&mut self) {
        self.layout = self.layout.flat();
    }
}

/// One row.
impl<'a, T: AsRef<[f32]> + ?Sized> From<&'a T> for Rows<'a> {
    fn from(row: &'a T) -> Self {
        let data = row.as_ref();
        Self { data, layout: Layout::one_row(data.len()) }
    }
}

/// One row.
impl<'a, T: AsMut<[f32]> + ?Sized> From<&'a mut T> for RowsMut<'a> {
    fn from(row: &'a mut T) -> Self {
        let data = row.as_mut();
        Self { layout: Layout::one_row(data.len()), data }
    }
}
