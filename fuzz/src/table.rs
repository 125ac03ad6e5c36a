//! Rows in memory: a stride apart, from any offset, with a sentinel wherever no row is.

use crate::support::same_bits;
use xent::{Rows, RowsMut};

/// A NaN that no computation makes: it is seen to be overwritten, and a result that has read it is NaN.
pub const SENTINEL: f32 = f32::from_bits(0x7fc5_e97e);

/// The last row ends where the allocation does, so AddressSanitizer guards it.
#[derive(Clone)]
pub struct Table {
    memory: Vec<f32>,
    start: usize,
    rows: usize,
    classes: usize,
    stride: usize,
}

impl Table {
    /// `gap` elements between rows, `start` before the first.
    pub fn new(values: &[f32], classes: usize, gap: usize, start: usize) -> Self {
        let (rows, stride) = (values.len() / classes, classes + gap);
        let len = if rows == 0 { 0 } else { (rows - 1) * stride + classes };
        let mut memory = vec![SENTINEL; start + len];
        for (row, values) in values.chunks(classes).enumerate() {
            memory[start + row * stride..][..classes].copy_from_slice(values);
        }
        Self { memory, start, rows, classes, stride }
    }

    /// A table of the same shape with nothing in it.
    pub fn blank(&self) -> Self {
        Self { memory: vec![SENTINEL; self.memory.len()], ..*self }
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows::strided(&self.memory[self.start..], self.rows, self.classes, self.stride)
    }

    pub fn rows_mut(&mut self) -> RowsMut<'_> {
        RowsMut::strided(&mut self.memory[self.start..], self.rows, self.classes, self.stride)
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.memory[self.start + row * self.stride..][..self.classes]
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Panics if anything was written before, or between, the rows.
    pub fn check_gaps(&self) {
        for (i, x) in self.memory.iter().enumerate() {
            let outside = i < self.start || (i - self.start) % self.stride >= self.classes;
            assert!(!outside || x.to_bits() == SENTINEL.to_bits(), "written outside the rows at {i}: {x:e}");
        }
    }

    /// Equal rows, where all NaNs are one.
    pub fn same_rows(&self, other: &Self) -> bool {
        self.rows == other.rows && (0..self.rows).all(|row| same_bits(self.row(row), other.row(row)))
    }
}
