//! The one-argument functions with what they should be.

use super::Worst;
use xent::activation::{Exp, Ln, Log1p};
use xent::{Backend, Error, LogSigmoid, RowsMut, Sigmoid, Softplus, reference};

pub struct Unary {
    pub name: &'static str,
    pub run: fn(Backend, RowsMut<'_>) -> Result<(), Error>,
    pub exact: fn(f64) -> f64,
}

pub const ALL: [Unary; 6] = [
    Unary { name: "exp", run: |backend, x| Exp::new().backend(backend).forward_in_place(x), exact: f64::exp },
    Unary { name: "ln", run: |backend, x| Ln::new().backend(backend).forward_in_place(x), exact: f64::ln },
    Unary { name: "log1p", run: |backend, x| Log1p::new().backend(backend).forward_in_place(x), exact: f64::ln_1p },
    Unary {
        name: "sigmoid",
        run: |backend, x| Sigmoid::new().backend(backend).forward_in_place(x),
        exact: reference::sigmoid,
    },
    Unary {
        name: "log_sigmoid",
        run: |backend, x| LogSigmoid::new().backend(backend).forward_in_place(x),
        exact: reference::log_sigmoid,
    },
    Unary {
        name: "softplus",
        run: |backend, x| Softplus::new().backend(backend).forward_in_place(x),
        exact: reference::softplus,
    },
];

impl Unary {
    /// The worst error over inputs given by their bits.
    pub fn worst(&self, backend: Backend, bits: impl Iterator<Item = u32>) -> Worst {
        let mut worst = Worst::new();
        let mut bits = bits.peekable();
        let mut x = Vec::with_capacity(4096);
        while bits.peek().is_some() {
            x.clear();
            x.extend(bits.by_ref().take(4096).map(f32::from_bits));
            let mut y = x.clone();
            (self.run)(backend, (&mut y).into()).unwrap();
            for (&x, &y) in x.iter().zip(&y) {
                worst.see(y, (self.exact)(x.into()), || format!("{}({x:e}, {:#010x})", self.name, x.to_bits()));
            }
        }
        worst
    }
}
