//! Tables of rows: one row, or a batch of rows that lie one behind the other or a stride apart.

use crate::Error;

/// A table to read: `rows` rows of `classes` elements.
///
/// Every argument that is a table takes `impl Into<Rows>`, and anything that borrows as `[f32]` converts into one row:
/// `&x`, `&[1.0, 2.0]`, `&vec`. A batch says how long its rows are. The layout is checked by the call that uses it, which knows
/// the argument's name.
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
                return Err(Error::NoClasses { argument, rows: len });
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
            return Err(Error::NoClasses { argument, rows });
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
    pub const fn new(data: &'a [f32], classes: usize) -> Self {
        Self { layout: Layout::packed(data.len(), classes), data }
    }

    /// `rows` rows of `classes` elements, of which each starts `stride` elements after the one before. What lies between
    /// them is not read.
    pub const fn strided(data: &'a [f32], rows: usize, classes: usize, stride: usize) -> Self {
        Self { data, layout: Layout::strided(rows, classes, stride) }
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.layout.rows
    }

    /// Elements in a row.
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

    /// The rows, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [f32]> {
        (0..self.rows()).map(move |row| self.row(row))
    }

    /// Whether the rows lie without gaps, so that [`flat`](Self::flat) makes one row of them.
    pub(crate) fn is_gapless(&self) -> bool {
        self.layout.stride == self.layout.classes
    }

    pub(crate) fn flat(self) -> Self {
        Self { layout: self.layout.flat(), ..self }
    }
}

impl<'a> RowsMut<'a> {
    /// Rows of `classes` elements, one behind the other: there are `data.len() / classes` of them.
    pub const fn new(data: &'a mut [f32], classes: usize) -> Self {
        Self { layout: Layout::packed(data.len(), classes), data }
    }

    /// `rows` rows of `classes` elements, of which each starts `stride` elements after the one before. What lies between
    /// them is neither read nor written.
    pub const fn strided(data: &'a mut [f32], rows: usize, classes: usize, stride: usize) -> Self {
        Self { data, layout: Layout::strided(rows, classes, stride) }
    }

    /// The same table, to read.
    pub const fn as_rows(&self) -> Rows<'_> {
        Rows { data: self.data, layout: self.layout }
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let start = row.wrapping_mul(self.layout.stride);
        self.data.get_mut(start..).and_then(|rest| rest.get_mut(..self.layout.classes)).unwrap_or_default()
    }

    pub(crate) fn flat(self) -> Self {
        Self { layout: self.layout.flat(), ..self }
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
