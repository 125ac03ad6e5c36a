//! The one-argument functions on all 2^32 inputs, and all backends of a family bit for bit:
//! `cargo test --release --test exhaustive -- --ignored --nocapture` (some minutes).
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::{Worst, backends, bound, same_bits, unary};

fn all_inputs(function: &unary::Unary) {
    for backend in backends() {
        // One thread a quarter: the inputs are independent.
        let quarter = |start: u32| function.worst(backend, start..=start + (u32::MAX >> 2));
        let worst = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|i| scope.spawn(move || quarter(i << 30))).collect();
            let parts = threads.into_iter().map(|thread| thread.join().unwrap());
            parts.fold(Worst::new(), |a, b| if b.ulp > a.ulp { b } else { a })
        });
        worst.assert(&format!("{} on {backend}, all inputs", function.name), bound(function.name));
    }
}

macro_rules! exhaustive {
    ($($name:ident $index:literal),*) => {$(
        #[test]
        #[ignore = "all 2^32 inputs"]
        fn $name() {
            assert_eq!(unary::ALL[$index].name, stringify!($name));
            all_inputs(&unary::ALL[$index]);
        }
    )*};
}

exhaustive!(exp 0, ln 1, log1p 2, sigmoid 3, log_sigmoid 4, softplus 5);

/// Larger exponents never give smaller results, across all neighbouring f32.
#[test]
#[ignore = "all 2^32 inputs"]
fn exp_is_monotone() {
    for backend in backends() {
        let mut last = f32::NEG_INFINITY;
        let ascending = (0x8000_0000..=0xff80_0000_u32).rev().chain(0..=0x7f80_0000);
        let mut ascending = ascending.peekable();
        while ascending.peek().is_some() {
            let mut x: Vec<f32> = ascending.by_ref().take(65_536).map(f32::from_bits).collect();
            (unary::ALL[0].run)(backend, (&mut x).into()).unwrap();
            for y in x {
                assert!(y >= last, "{backend}: {y:e} after {last:e}");
                last = y;
            }
        }
    }
}

#[test]
#[ignore = "all 2^32 inputs"]
fn backends_of_a_family_agree() {
    let backends = backends();
    for function in unary::ALL {
        for start in (0..=u32::MAX).step_by(1 << 20) {
            let x: Vec<f32> = (start..=start + ((1 << 20) - 1)).map(f32::from_bits).collect();
            let mut results: Vec<(xent::Backend, Vec<f32>)> = vec![];
            for &backend in &backends {
                let mut y = x.clone();
                (function.run)(backend, (&mut y).into()).unwrap();
                for (other, previous) in &results {
                    let family = other.is_fused() == backend.is_fused();
                    assert!(!family || same_bits(previous, &y), "{}: {other}, {backend}, {start:#x}", function.name);
                }
                results.push((backend, y));
            }
        }
    }
}
