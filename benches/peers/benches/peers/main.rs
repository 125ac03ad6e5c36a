//! xent next to its peers, one thread each, in one run: `cargo bench`, `cargo bench -- --quick`, `cargo bench -- exp`
//! for the operations with `exp` in their name, `cargo bench -- --check` for the comparison of results alone.
//!
//! Every result is compared with `xent::reference` before it is timed. A contender's batch of calls takes 1 to 2 ms; in
//! each round all batches of the run take turns in one order and then in the other, and the fastest of a contender's
//! batches counts: what else the machine does hits all contenders alike, and leaves the minimum alone.

mod batch;
mod libm_loop;
mod ops;
mod report;
mod rten;

use batch::{Batch, Shape};
use ops::{COPY, OPS, Op, Run};
use report::Times;
use std::process::ExitCode;
use std::time::Instant;
use xent::Backend;

const ROUNDS: u32 = 100;
const QUICK_ROUNDS: u32 = 5;

/// Nanoseconds that a batch of calls takes at least; at most about twice as many, or one call.
const BATCH: f64 = 1e6;

fn main() -> ExitCode {
    // One thread: candle's own pool counts by the variable, and rayon's one thread is this one, so that nothing is even
    // handed over.
    // SAFETY: there are no other threads yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().expect("no other pool");

    // glibc then keeps what is freed, up to such a size, in place of handing it back to the kernel and faulting it in again
    // at candle's next result: a peer is not to be timed for that.
    drop(std::hint::black_box(vec![0_u8; (32 << 20) - (1 << 16)]));

    let (options, filters): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with('-'));
    let rounds = if options.iter().any(|option| option == "--quick") { QUICK_ROUNDS } else { ROUNDS };
    let asked = |op: &&Op| filters.is_empty() || filters.iter().any(|filter| op.name.contains(filter));
    let ops: Vec<&Op> = OPS.iter().filter(asked).chain([&COPY]).collect();

    report::header();
    let mut field = match Field::checked(&ops) {
        Ok(field) => field,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} contenders with right results", field.contenders.len());
    if options.iter().any(|option| option == "--check") {
        return ExitCode::SUCCESS;
    }
    println!("{rounds} rounds\n");
    field.calibrate();
    for _ in 0..rounds {
        field.round();
    }
    let times = field.times();
    report::table(&times);
    report::bars(&times);
    ExitCode::SUCCESS
}

/// Who takes part, on which numbers.
struct Field {
    batches: Vec<Batch>,
    contenders: Vec<Contender>,
}

struct Contender {
    op: &'static str,
    who: &'static str,
    run: Run,
    batch: usize,
    calls: u32,
    /// Nanoseconds of a call.
    fastest: f64,
}

impl Field {
    fn checked(ops: &[&Op]) -> Result<Self, String> {
        let mut field = Self { batches: Vec::new(), contenders: Vec::new() };
        for op in ops {
            for &shape in op.shapes.iter().copied().flatten() {
                let batch = field.batch(shape);
                let exact = (op.exact)(&field.batches[batch]);
                for &(who, run) in op.contenders {
                    if who == "wide" && Backend::named(who).is_err() {
                        continue;
                    }
                    field.batches[batch]
                        .check(run, &exact)
                        .map_err(|wrong| format!("{who} is wrong: {} {}: {wrong}", op.name, batch::name(shape)))?;
                    let contender = Contender { op: op.name, who, run, batch, calls: 1, fastest: f64::INFINITY };
                    field.contenders.push(contender);
                }
            }
        }
        Ok(field)
    }

    /// One batch a shape, whatever is computed from it: all contenders read and write the same addresses.
    fn batch(&mut self, shape: Shape) -> usize {
        self.batches.iter().position(|batch| batch.shape == shape).unwrap_or_else(|| {
            self.batches.push(Batch::new(shape));
            self.batches.len() - 1
        })
    }

    fn calibrate(&mut self) {
        for contender in &mut self.contenders {
            while contender.time(&mut self.batches) < BATCH {
                contender.calls *= 2;
            }
            contender.fastest = f64::INFINITY;
        }
    }

    fn round(&mut self) {
        for contender in &mut self.contenders {
            contender.time(&mut self.batches);
        }
        for contender in self.contenders.iter_mut().rev() {
            contender.time(&mut self.batches);
        }
    }

    fn times(&self) -> Times {
        let key = |c: &Contender| (c.op, c.who, self.batches[c.batch].shape);
        Times::new(self.contenders.iter().map(|contender| (key(contender), contender.fastest)))
    }
}

impl Contender {
    /// Nanoseconds of a batch of calls, after one that brings the numbers back into the caches.
    fn time(&mut self, batches: &mut [Batch]) -> f64 {
        let batch = &mut batches[self.batch];
        (self.run)(batch);
        let start = Instant::now();
        for _ in 0..self.calls {
            (self.run)(batch);
        }
        let elapsed = start.elapsed().as_secs_f64() * 1e9;
        self.fastest = self.fastest.min(elapsed / f64::from(self.calls));
        elapsed
    }
}
