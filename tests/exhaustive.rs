//! The one-argument functions on all 2^32 inputs, every backend (`fused_scalar`: one in 61): errors against the bounds, and
//! the same bits within a family. `cargo test --release --test exhaustive -- --ignored --nocapture`, some ten minutes on two cores.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::{Worst, backends, bound, same_bits, unary};
use xent::Backend;

const CHUNK: u32 = 1 << 16;

/// `fused_scalar` is compared on one chunk of this many.
const SPARSE: u32 = 61;

/// The first backend of each family, and the others, which must give the same bits.
fn families() -> Vec<(Backend, Vec<Backend>)> {
    let mut families: Vec<(Backend, Vec<Backend>)> = vec![];
    // The fastest first.
    for backend in backends().into_iter().rev() {
        match families.iter_mut().find(|(first, _)| first.is_fused() == backend.is_fused()) {
            Some((_, others)) => others.push(backend),
            None => families.push((backend, vec![])),
        }
    }
    families
}

fn all_inputs(function: &unary::Unary) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (first, others) in families() {
        let others = &others;
        let part = |thread: usize| {
            let mut worst = Worst::new();
            for start in (0..=u32::MAX).step_by(CHUNK as usize).skip(thread).step_by(threads) {
                let bits = start..=start + (CHUNK - 1);
                let x: Vec<f32> = bits.clone().map(f32::from_bits).collect();
                let run = |backend| {
                    let mut y = x.clone();
                    (function.run)(backend, (&mut y).into()).unwrap();
                    y
                };
                let y = run(first);
                for &other in others {
                    // Software FMA takes minutes where the others take seconds.
                    if other.name() == "fused_scalar" && !(start / CHUNK).is_multiple_of(SPARSE) {
                        continue;
                    }
                    assert!(same_bits(&y, &run(other)), "{}: {first} and {other} differ at {start:#x}", function.name);
                }
                for (&x, &y) in x.iter().zip(&y) {
                    worst.see(y, (function.exact)(x.into()), || format!("{x:e} ({:#010x})", x.to_bits()));
                }
            }
            worst
        };
        let worst = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
            let parts = threads.into_iter().map(|thread| thread.join().unwrap());
            parts.fold(Worst::new(), |a, b| if b.ulp > a.ulp { b } else { a })
        });
        let same = others.iter().map(|other| format!(" = {other}")).collect::<String>();
        worst.assert(&format!("{} on {first}{same}, all inputs", function.name), bound(function.name));
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
    for (backend, _) in families() {
        let mut last = f32::NEG_INFINITY;
        let mut ascending = (0x8000_0000..=0xff80_0000_u32).rev().chain(0..=0x7f80_0000).peekable();
        while ascending.peek().is_some() {
            let mut x: Vec<f32> = ascending.by_ref().take(CHUNK as usize).map(f32::from_bits).collect();
            (unary::ALL[0].run)(backend, (&mut x).into()).unwrap();
            for y in x {
                assert!(y >= last, "{backend}: {y:e} after {last:e}");
                last = y;
            }
        }
    }
}
