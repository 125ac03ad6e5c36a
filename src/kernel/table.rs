//! What an operation works through.

use crate::lane::Span;
use crate::{Error, Rows, RowsMut};

/// Rows to read and, if the operation writes, rows of the same shape to write. Which of the three it is stays open
/// until the program runs, so that there is one body of each operation, not three.
#[derive(Debug)]
pub enum Table<'a> {
    ReadOnly(Rows<'a>),
    Between { from: Rows<'a>, to: RowsMut<'a> },
    InPlace(RowsMut<'a>),
}

impl<'a> Table<'a> {
    /// The rows as they stand.
    pub(crate) fn as_rows(&self) -> Rows<'_> {
        match self {
            Self::ReadOnly(rows) | Self::Between { from: rows, .. } => *rows,
            Self::InPlace(rows) => rows.as_rows(),
        }
    }

    /// Refuses a layout that its slice does not have; `from` and `to` are the arguments' names.
    pub(crate) fn check(&self, from: &'static str, to: &'static str) -> Result<(), Error> {
        self.as_rows().check(from)?;
        match self {
            Self::Between { from, to: rows } => rows.as_rows().check_like(*from, to),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_gapless(&self) -> bool {
        self.as_rows().is_gapless()
            && match self {
                Self::Between { to, .. } => to.as_rows().is_gapless(),
                _ => true,
            }
    }

    /// Whether neither this nor a further table, if there is one, has gaps.
    pub(crate) fn is_gapless_with(&self, further: Option<Rows<'_>>) -> bool {
        self.is_gapless() && further.is_none_or(|rows| rows.is_gapless())
    }

    /// All elements as one row, where there are no gaps.
    pub(crate) fn flatten(&mut self) {
        if !self.is_gapless() {
            return;
        }
        if let Self::ReadOnly(rows) | Self::Between { from: rows, .. } = self {
            *rows = rows.flat();
        }
        if let Self::Between { to: rows, .. } | Self::InPlace(rows) = self {
            rows.flatten();
        }
    }

    /// The span of a row, and the row behind it as it stands, if there is one.
    #[inline(always)]
    pub(crate) fn span_and_next(&mut self, row: usize) -> (Span<'_>, &[f32]) {
        let is_last = row + 1 == self.as_rows().rows();
        let (span, next) = match self {
            Self::ReadOnly(rows) => (Span::read_only(rows.row(row)), rows.row(row + 1)),
            Self::Between { from, to } => (Span::apart(from.row(row), to.row_mut(row)), from.row(row + 1)),
            Self::InPlace(rows) => {
                let (row, next) = rows.row_mut_and_next(row);
                (Span::in_place(row), next)
            }
        };
        (span, if is_last { &[] } else { next })
    }

    /// The span of some rows, joined into one, where there are no gaps.
    #[inline(always)]
    pub(super) fn joined(&mut self, first: usize, rows: usize) -> Span<'_> {
        let len = rows * self.as_rows().classes();
        match self {
            Self::ReadOnly(rows) => Span::read_only(rows.joined(first, len)),
            Self::Between { from, to } => {
                Span::apart(from.joined(first, len), to.data_from(first).0.get_mut(..len).unwrap_or_default())
            }
            Self::InPlace(rows) => Span::in_place(rows.data_from(first).0.get_mut(..len).unwrap_or_default()),
        }
    }

    /// Where it can be written: what starts with a row, and the stride.
    #[inline(always)]
    pub(super) fn write_from(&mut self, row: usize) -> Option<(&mut [f32], usize)> {
        match self {
            Self::ReadOnly(_) => None,
            Self::Between { to: rows, .. } | Self::InPlace(rows) => Some(rows.data_from(row)),
        }
    }
}
