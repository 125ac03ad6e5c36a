//! 64 pixels, 64 hidden sigmoid units, and as many logits as the task has classes; trained by gradient descent.

use crate::data::{PIXELS, Random};
use xent::{Error, Sigmoid, Totals};

const HIDDEN: usize = 64;
const LEARNING_RATE: f32 = 0.2;
const MOMENTUM: f32 = 0.9;

pub(crate) struct Network {
    hidden: Layer,
    output: Layer,
}

impl Network {
    pub(crate) fn new(classes: usize, random: &mut Random) -> Self {
        Self { hidden: Layer::new(PIXELS, HIDDEN, random), output: Layer::new(HIDDEN, classes, random) }
    }

    /// One row of logits for each image.
    pub(crate) fn logits(&self, images: &[f32]) -> Result<Vec<f32>, Error> {
        Ok(self.output.forward(&self.hidden_units(images)?))
    }

    fn hidden_units(&self, images: &[f32]) -> Result<Vec<f32>, Error> {
        let mut units = self.hidden.forward(images);
        Sigmoid::new().forward_in_place(&mut units)?;
        Ok(units)
    }

    /// One step down the gradient of `loss`, which turns the logits into their gradient.
    pub(crate) fn step(
        &mut self,
        images: &[f32],
        loss: impl FnOnce(&mut [f32]) -> Result<Totals, Error>,
    ) -> Result<Totals, Error> {
        let units = self.hidden_units(images)?;
        let mut logits = self.output.forward(&units);
        let totals = loss(&mut logits)?;

        let dlogits = logits;
        let mut dunits = self.output.backward(&dlogits);
        Sigmoid::new().backward_from_output_in_place(&units, &mut dunits)?;
        self.output.descend(&units, &dlogits);
        self.hidden.descend(images, &dunits);
        Ok(totals)
    }
}

/// `y = W x + b` for each row `x` of a batch.
struct Layer {
    inputs: usize,
    outputs: usize,
    /// The weights from each input to all outputs, input by input; last the biases, those of an input that is always 1.
    weights: Vec<f32>,
    /// The last change of each weight, of which momentum keeps a part.
    velocity: Vec<f32>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        let len = (inputs + 1) * outputs;
        let bound = 1.0 / (inputs as f32).sqrt();
        let weights = (0..len).map(|_| bound * random.uniform()).collect();
        Self { inputs, outputs, weights, velocity: vec![0.0; len] }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len() / self.inputs * self.outputs];
        for (x, y) in x.chunks_exact(self.inputs).zip(y.chunks_exact_mut(self.outputs)) {
            for (x, weights) in x.iter().chain(&[1.0]).zip(self.weights.chunks_exact(self.outputs)) {
                for (y, weight) in y.iter_mut().zip(weights) {
                    *y += x * weight;
                }
            }
        }
        y
    }

    /// The gradient with respect to `x`, from the one with respect to `y`.
    fn backward(&self, dy: &[f32]) -> Vec<f32> {
        let mut dx = vec![0.0; dy.len() / self.outputs * self.inputs];
        for (dx, dy) in dx.chunks_exact_mut(self.inputs).zip(dy.chunks_exact(self.outputs)) {
            for (dx, weights) in dx.iter_mut().zip(self.weights.chunks_exact(self.outputs)) {
                *dx = weights.iter().zip(dy).map(|(weight, dy)| weight * dy).sum();
            }
        }
        dx
    }

    /// Gradient descent with momentum: the gradient with respect to a weight is its input times `dy`.
    fn descend(&mut self, x: &[f32], dy: &[f32]) {
        self.velocity.iter_mut().for_each(|velocity| *velocity *= MOMENTUM);
        for (x, dy) in x.chunks_exact(self.inputs).zip(dy.chunks_exact(self.outputs)) {
            for (x, velocities) in x.iter().chain(&[1.0]).zip(self.velocity.chunks_exact_mut(self.outputs)) {
                for (velocity, dy) in velocities.iter_mut().zip(dy) {
                    *velocity -= LEARNING_RATE * x * dy;
                }
            }
        }
        for (weight, velocity) in self.weights.iter_mut().zip(&self.velocity) {
            *weight += velocity;
        }
    }
}
