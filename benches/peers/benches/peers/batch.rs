//! The numbers that the contenders work on, and the check of what they make of them.

use crate::ops::Run;
use candle_core::{Device, Tensor, Var};
use std::ops::{Deref, DerefMut};
use xent::{Backend, Rows, RowsMut};

/// Rows and classes.
pub type Shape = (usize, usize);

pub fn name((rows, classes): Shape) -> String {
    format!("{rows}x{classes}")
}

pub struct Batch {
    pub shape: Shape,
    pub x: Floats,
    /// The same logits, but of the target of each row one that is nearly certain.
    pub certain: Floats,
    pub y: Floats,
    pub loss: f64,
    pub targets: Vec<u32>,
    pub labels: Floats,
    pub wide: Backend,
    pub candle: Candle,
}

impl Batch {
    pub fn new(shape: Shape) -> Self {
        let (rows, classes) = shape;
        let len = rows * classes;
        // In [-10, 10), where no peer overflows or flushes.
        let x = Floats::new(len, |i| ((i * 7919) % 2003) as f32 / 100.15 - 10.0);
        let labels = Floats::new(len, |i| (i % 3 == 0).into());
        let targets: Vec<u32> = (0..rows).map(|row| (row * 31 % classes) as u32).collect();
        let certain = Floats::new(len, |i| if targets[i / classes] as usize == i % classes { 30.0 } else { x[i] });
        let candle = Candle::new(shape, &x, &targets, &labels).expect("tensors of that shape");
        let wide = Backend::named("wide").unwrap_or(Backend::SCALAR);
        Self { shape, x, certain, y: Floats::new(len, |_| 0.0), loss: 0.0, targets, labels, wide, candle }
    }

    pub fn tables(&mut self) -> (Rows<'_>, RowsMut<'_>) {
        (Rows::new(&self.x, self.shape.1), RowsMut::new(&mut self.y, self.shape.1))
    }

    pub fn rows(&mut self) -> impl Iterator<Item = (&[f32], &mut [f32])> {
        self.x.chunks_exact(self.shape.1).zip(self.y.chunks_exact_mut(self.shape.1))
    }

    /// What an operation in place starts from.
    pub fn restored(&mut self) -> &mut [f32] {
        self.y.copy_from_slice(&self.x);
        &mut self.y
    }

    pub fn restored_rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let classes = self.shape.1;
        self.restored().chunks_exact_mut(classes)
    }

    /// Runs a contender; what is wrong with its result, if anything is.
    pub fn check(&mut self, run: Run, exact: &Exact) -> Result<(), String> {
        self.y.fill(f32::NAN);
        self.loss = f64::NAN;
        run(self);
        let tensor = self.candle.y.take().map(|y| y.flatten_all().and_then(|y| y.to_vec1::<f32>()).expect("floats"));
        let y = tensor.as_deref().unwrap_or(&self.y);

        let of_terms = if tensor.is_some() { 1e-5 } else { 1e-7 };
        for (i, ((&y, &exact), term)) in y.iter().zip(&exact.y).zip(&exact.terms).enumerate() {
            near(y.into(), exact, of_terms * term).map_err(|wrong| format!("element {i} is {wrong}"))?;
        }
        match exact.loss {
            Some(loss) => near(self.loss, loss, 0.0).map_err(|wrong| format!("the loss is {wrong}")),
            None => Ok(()),
        }
    }
}

/// A result in f64, straight from the formulas.
pub struct Exact {
    pub y: Vec<f64>,
    /// The size of the terms of which an element is the difference; 0 where none cancel.
    pub terms: Vec<f64>,
    pub loss: Option<f64>,
}

impl Exact {
    /// Elements that are differences of numbers about as large as the largest of them.
    pub fn of_differences(self) -> Self {
        let largest = self.y.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
        Self { terms: vec![largest; self.y.len()], ..self }
    }
}

/// Within 5e-4 of the value, for 131072 terms summed one after the other, and within a slack where terms cancel, as in
/// p - 1. candle's is wider: its gradient goes through each row's maximum too, and what does not cancel there stays with the
/// largest logits. A wrong formula, row or tail is far outside.
fn near(y: f64, exact: f64, slack: f64) -> Result<(), String> {
    let error = (y - exact).abs();
    if error <= 5e-4 * exact.abs() + slack { Ok(()) } else { Err(format!("{y:e}, not {exact:e}")) }
}

/// Floats that start with a cache line, wherever the allocator put them.
pub struct Floats {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl Floats {
    fn new(len: usize, value: impl Fn(usize) -> f32) -> Self {
        let memory = vec![0.0; len + 16];
        let start = memory.as_ptr().align_offset(64);
        let mut floats = Self { memory, start, len };
        floats.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
        floats
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

/// The same numbers as tensors, and the tensor that candle's last call made.
pub struct Candle {
    x: Tensor,
    variable: Var,
    targets: Tensor,
    labels: Tensor,
    y: Option<Tensor>,
}

type Loss = fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;

impl Candle {
    fn new(shape: Shape, x: &[f32], targets: &[u32], labels: &[f32]) -> candle_core::Result<Self> {
        let cpu = &Device::Cpu;
        let variable = Var::from_slice(x, shape, cpu)?;
        Ok(Self {
            x: variable.detach(),
            variable,
            targets: Tensor::from_slice(targets, shape.0, cpu)?,
            labels: Tensor::from_slice(labels, shape, cpu)?,
            y: None,
        })
    }

    pub fn forward(&mut self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) {
        self.y = None; // first, so that its memory can be had again
        self.y = Some(f(&self.x).expect("a tensor"));
    }

    /// The loss, with the gradient in `y`.
    pub fn index_loss_grad(&mut self, loss: Loss) -> f64 {
        self.y = None;
        let loss = loss(&self.variable, &self.targets).expect("a loss");
        self.backward(&loss)
    }

    pub fn dense_loss_grad(&mut self, loss: Loss) -> f64 {
        self.y = None;
        let loss = loss(&self.variable, &self.labels).expect("a loss");
        self.backward(&loss)
    }

    fn backward(&mut self, loss: &Tensor) -> f64 {
        self.y = loss.backward().expect("gradients").remove(&self.variable);
        loss.to_scalar::<f32>().expect("a number").into()
    }
}
