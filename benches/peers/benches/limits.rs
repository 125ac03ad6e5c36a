//! What benches/limits.py runs. It stands here to be built as the comparison with the peers is: what is looked at and
//! timed is what a program gets.
//!
//! ```text
//! limits trace OP BACKEND SHAPE     an operation once on a table, `rows x classes`, between two breakpoints
//! limits time SECONDS L1 A,B C      lines of `section name nanoseconds cycles nanoseconds-of-a-cycle`: operations on tables
//!                                   in L1, `op/shape,...`; plain loops A, B one after the other, and C
//! ```

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::asm;
    use std::cell::RefCell;
    use std::hint::black_box;
    use std::ops::{Deref, DerefMut};
    use std::time::{Duration, Instant};
    use xent::activation::Exp;
    use xent::{Backend, LogSoftmax, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy};

    const LONG_ROWS: usize = 2;
    const LONG_CLASSES: usize = 1 << 24;
    const BACKENDS: [&str; 2] = ["avx2", "avx512"];
    /// A timed batch takes about as long: short enough to fit between two interruptions.
    const BATCH: Duration = Duration::from_micros(50);

    /// Floats that start on a cache line.
    struct Floats {
        memory: Vec<f32>,
        start: usize,
    }

    impl Floats {
        fn new(values: impl ExactSizeIterator<Item = f32>) -> Self {
            const LINE: usize = 64;
            let mut memory: Vec<f32> = Vec::with_capacity(values.len() + LINE / size_of::<f32>());
            let start = memory.as_ptr().align_offset(LINE);
            memory.resize(start, 0.0);
            memory.extend(values);
            Self { memory, start }
        }
    }

    impl Deref for Floats {
        type Target = [f32];
        fn deref(&self) -> &[f32] {
            &self.memory[self.start..]
        }
    }

    impl DerefMut for Floats {
        fn deref_mut(&mut self) -> &mut [f32] {
            &mut self.memory[self.start..]
        }
    }

    struct Tables {
        x: Floats,
        y: Floats,
        labels: Floats,
        targets: Vec<u32>,
        classes: usize,
    }

    impl Tables {
        fn new(rows: usize, classes: usize) -> Self {
            let x = Floats::new((0..rows * classes).map(|i| ((i * 7919) % 2003) as f32 / 100.0 - 10.0));
            let y = Floats::new(x.iter().copied());
            let labels = Floats::new(x.iter().map(|&x| f32::from(x > 0.0)));
            let targets = (0..rows).map(|row| (row * 7 % classes) as u32).collect();
            Self { x, y, labels, targets, classes }
        }

        /// Of a shape as the arguments have it.
        fn of(shape: &str) -> Self {
            let (rows, classes) = shape.split_once('x').expect("rows x classes");
            Self::new(rows.parse().expect("rows"), classes.parse().expect("classes"))
        }

        fn pair(&mut self) -> (Rows<'_>, RowsMut<'_>) {
            (Rows::new(&self.x, self.classes), RowsMut::new(&mut self.y, self.classes))
        }

        /// The input of what works in place.
        fn restore(&mut self) {
            self.y.copy_from_slice(&self.x);
        }

        fn in_place(&mut self) -> RowsMut<'_> {
            RowsMut::new(&mut self.y, self.classes)
        }
    }

    type Run = fn(&mut Tables, Backend);

    const OPS: [(&str, Run); 6] = [
        ("exp", |t, b| Exp::new().backend(b).forward(&t.x[..], &mut t.y[..]).unwrap()),
        ("sigmoid", |t, b| Sigmoid::new().backend(b).forward(&t.x[..], &mut t.y[..]).unwrap()),
        ("softmax", softmax),
        ("log_softmax", |t, b| {
            let (x, y) = t.pair();
            LogSoftmax::new().backend(b).forward(x, y).unwrap();
        }),
        ("softmax_loss_grad", loss_grad),
        ("sigmoid_loss_grad", |t, b| {
            let (x, labels) = (Rows::new(&t.x, t.classes), Rows::new(&t.labels, t.classes));
            let dx = RowsMut::new(&mut t.y, t.classes);
            black_box(SigmoidCrossEntropy::new().backend(b).loss_grad(x, labels, dx).unwrap());
        }),
    ];

    const LONG_OPS: [(&str, Run); 4] = [
        ("softmax", softmax),
        ("softmax_in_place", |t, b| Softmax::new().backend(b).forward_in_place(t.in_place()).unwrap()),
        ("softmax_loss_grad", loss_grad),
        ("softmax_loss_grad_in_place", |t, b| {
            let dx = RowsMut::new(&mut t.y, t.classes);
            black_box(SoftmaxCrossEntropy::new().backend(b).loss_grad_in_place(dx, &t.targets[..]).unwrap());
        }),
    ];

    fn softmax(t: &mut Tables, b: Backend) {
        let (x, y) = t.pair();
        Softmax::new().backend(b).forward(x, y).unwrap();
    }

    fn loss_grad(t: &mut Tables, b: Backend) {
        let (x, dx) = (Rows::new(&t.x, t.classes), RowsMut::new(&mut t.y, t.classes));
        black_box(SoftmaxCrossEntropy::new().backend(b).loss_grad(x, &t.targets[..], dx).unwrap());
    }

    /// Reads `x` or `y`, writes `y`.
    type PlainLoop = unsafe fn(&[f32], &mut [f32]);

    const PLAIN_LOOPS: [&str; 6] = ["read", "fill", "fill_streamed", "update", "copy", "copy_streamed"];

    fn plain_loop(name: &str, backend: &str) -> PlainLoop {
        let position = PLAIN_LOOPS.iter().position(|known| *known == name).expect("a plain loop");
        if backend == "avx512" { avx512::LOOPS[position] } else { avx2::LOOPS[position] }
    }

    macro_rules! plain_loops {
        ($module:ident, $feature:literal, $vector:ident, $lanes:literal, $add:ident, $splat:ident, $stream:ident) => {
            /// In the order of `PLAIN_LOOPS`. Volatile, so that none becomes memset or memcpy, which choose by
            /// themselves whether to stream.
            ///
            /// # Safety
            /// The machine has the feature, and tables start on a cache line.
            mod $module {
                use super::PlainLoop;
                use core::arch::x86_64::{_mm_sfence, $add, $splat, $stream, $vector};
                use std::hint::black_box;

                pub(super) const LOOPS: [PlainLoop; 6] = [read, fill, fill_streamed, update, copy, copy_streamed];

                fn vectors(x: &[f32]) -> impl Iterator<Item = *const $vector> {
                    x.as_chunks::<$lanes>().0.iter().map(|from| from.as_ptr().cast())
                }

                fn vectors_mut(y: &mut [f32]) -> impl Iterator<Item = *mut $vector> {
                    y.as_chunks_mut::<$lanes>().0.iter_mut().map(|to| to.as_mut_ptr().cast())
                }

                #[target_feature(enable = $feature)]
                unsafe fn read(x: &[f32], _: &mut [f32]) {
                    let mut sums = [$splat(0.0); 8];
                    for block in x.as_chunks::<{ 8 * $lanes }>().0 {
                        for (sum, from) in sums.iter_mut().zip(vectors(block)) {
                            // SAFETY: a whole vector.
                            *sum = $add(*sum, unsafe { from.read_volatile() });
                        }
                    }
                    black_box(sums);
                }

                #[target_feature(enable = $feature)]
                unsafe fn fill(_: &[f32], y: &mut [f32]) {
                    for to in vectors_mut(y) {
                        // SAFETY: a whole vector.
                        unsafe { to.write_volatile($splat(0.5)) };
                    }
                }

                #[target_feature(enable = $feature)]
                unsafe fn fill_streamed(_: &[f32], y: &mut [f32]) {
                    for to in vectors_mut(y) {
                        // SAFETY: a whole vector.
                        unsafe { $stream(to.cast(), $splat(0.5)) };
                    }
                    _mm_sfence();
                }

                #[target_feature(enable = $feature)]
                unsafe fn update(_: &[f32], y: &mut [f32]) {
                    for to in vectors_mut(y) {
                        // SAFETY: a whole vector.
                        unsafe { to.write_volatile($add(to.read_volatile(), $splat(0.5))) };
                    }
                }

                #[target_feature(enable = $feature)]
                unsafe fn copy(x: &[f32], y: &mut [f32]) {
                    for (from, to) in vectors(x).zip(vectors_mut(y)) {
                        // SAFETY: whole vectors.
                        unsafe { to.write_volatile(from.read_volatile()) };
                    }
                }

                #[target_feature(enable = $feature)]
                unsafe fn copy_streamed(x: &[f32], y: &mut [f32]) {
                    for (from, to) in vectors(x).zip(vectors_mut(y)) {
                        // SAFETY: whole vectors.
                        unsafe { $stream(to.cast(), from.read_volatile()) };
                    }
                    _mm_sfence();
                }
            }
        };
    }

    plain_loops!(avx2, "avx2", __m256, 8, _mm256_add_ps, _mm256_set1_ps, _mm256_stream_ps);
    plain_loops!(avx512, "avx512f", __m512, 16, _mm512_add_ps, _mm512_set1_ps, _mm512_stream_ps);

    /// Plain loops, one after the other on each row.
    fn go_through(tables: &mut Tables, loops: &[PlainLoop]) {
        for (x, y) in tables.x.chunks(tables.classes).zip(tables.y.chunks_mut(tables.classes)) {
            for run in loops {
                // SAFETY: only asked for where the backend of the same name is there; rows are whole cache lines.
                unsafe { run(x, y) };
            }
        }
    }

    /// Nanoseconds of a cycle now: additions that wait for each other take one each.
    fn clock() -> f64 {
        const ADDITIONS: u32 = 200 * 100;
        let mut x = 1_u64;
        let start = Instant::now();
        for _ in 0..ADDITIONS / 100 {
            // SAFETY: changes one register and the flags.
            unsafe { asm!(".rept 100", "add {x}, {x}", ".endr", x = inout(reg) x, options(nomem, nostack)) };
        }
        black_box(x);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ADDITIONS)
    }

    fn run_of(op: &str) -> Run {
        OPS.into_iter().find(|(name, _)| *name == op).expect("an operation").1
    }

    pub fn trace(op: &str, backend: &str, shape: &str) {
        let run = run_of(op);
        let Ok(backend) = Backend::named(backend) else { return };
        let mut tables = Tables::of(shape);
        run(&mut tables, backend);
        // SAFETY: stops in the tracer, which goes on behind it.
        unsafe { asm!("int3") };
        run(&mut tables, backend);
        // SAFETY: as above.
        unsafe { asm!("int3") };
    }

    struct Contender<'a> {
        name: String,
        run: Box<dyn FnMut() + 'a>,
        /// Brings back what the run or another has overwritten; not timed.
        restore: Box<dyn FnMut() + 'a>,
        calls: u32,
        nanoseconds: f64,
        cycles: Vec<f64>,
        clocks: Vec<f64>,
    }

    impl<'a> Contender<'a> {
        fn new(name: String, mut run: impl FnMut() + 'a) -> Self {
            run();
            let start = Instant::now();
            run();
            let calls = BATCH.as_nanos() / start.elapsed().as_nanos().max(1);
            let calls = u32::try_from(calls).unwrap().max(1);
            let (run, restore) = (Box::new(run), Box::new(|| ()));
            Self { name, run, restore, calls, nanoseconds: f64::INFINITY, cycles: Vec::new(), clocks: Vec::new() }
        }

        /// That overwrites its input, once a turn.
        fn once(self, restore: impl FnMut() + 'a) -> Self {
            Self { restore: Box::new(restore), calls: 1, ..self }
        }

        fn turn(&mut self) {
            (self.restore)();
            if self.calls > 1 {
                // Not counted: brings the tables back into L1.
                (self.run)();
            }
            let before = clock();
            let start = Instant::now();
            for _ in 0..self.calls {
                (self.run)();
            }
            let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(self.calls);
            self.nanoseconds = self.nanoseconds.min(nanoseconds);
            // The clock changes with the load, from one millisecond to the next.
            let clock = before.min(clock());
            self.cycles.push(nanoseconds / clock);
            self.clocks.push(clock);
        }
    }

    fn median(mut numbers: Vec<f64>) -> f64 {
        numbers.sort_unstable_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    }

    /// All take turns. Nanoseconds of the fastest turn of each count, and the median of cycles: a clock that looks slow, as
    /// it was interrupted, makes few of them.
    fn interleave(mut contenders: Vec<Contender<'_>>, seconds: f64) {
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < seconds {
            contenders.iter_mut().for_each(Contender::turn);
        }
        for Contender { name, nanoseconds, cycles, clocks, .. } in contenders {
            println!("{name} {nanoseconds} {} {}", median(cycles), median(clocks));
        }
    }

    /// `skeletons` are plain loops with commas between their names.
    pub fn time(seconds: f64, in_l1: &str, skeletons: &[&str]) {
        let backends: Vec<(&str, Backend)> =
            BACKENDS.iter().filter_map(|name| Some((*name, Backend::named(name).ok()?))).collect();

        let mut contenders = Vec::new();
        for op_and_shape in in_l1.split(',') {
            let (op, shape) = op_and_shape.split_once('/').expect("an operation and a shape");
            let run = run_of(op);
            for &(name, backend) in &backends {
                let mut tables = Tables::of(shape);
                contenders.push(Contender::new(format!("L1 {op}/{name}/{shape}"), move || run(&mut tables, backend)));
            }
        }
        interleave(contenders, seconds);

        let tables = &RefCell::new(Tables::new(LONG_ROWS, LONG_CLASSES));
        let mut contenders = Vec::new();
        for &(name, backend) in &backends {
            for skeleton in PLAIN_LOOPS.iter().chain(skeletons) {
                let loops: Vec<_> = skeleton.split(',').map(|part| plain_loop(part, name)).collect();
                let run = move || go_through(&mut tables.borrow_mut(), &loops);
                contenders.push(Contender::new(format!("plain {skeleton}/{name}"), run));
            }
            for (op, run) in LONG_OPS {
                let run = move || run(&mut tables.borrow_mut(), backend);
                let contender = Contender::new(format!("long {op}/{name}"), run);
                let is_in_place = op.ends_with("in_place");
                contenders.push(if is_in_place { contender.once(|| tables.borrow_mut().restore()) } else { contender });
            }
        }
        interleave(contenders, seconds * 2.0);
    }
}

fn main() {
    #[cfg(target_arch = "x86_64")]
    {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["trace", op, backend, shape] => x86_64::trace(op, backend, shape),
            ["time", seconds, in_l1, ref skeletons @ ..] => {
                x86_64::time(seconds.parse().expect("seconds"), in_l1, skeletons);
            }
            _ => println!("run by benches/limits.py"),
        }
    }
}
