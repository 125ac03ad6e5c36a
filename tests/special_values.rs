//! The corners: every row of the tables of edge cases (a test a table, an entry a row, under the row's name), the rules
//! behind them, and class indices of every integer type. On every backend, by every method, in place and out of place.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::excessive_precision, reason = "tests")]
#![allow(clippy::type_complexity, reason = "a tuple is an entry of a table, and says itself what it holds")]

mod support;

use core::f64::consts::LN_2;
use core::fmt::Debug;
use support::{backends, same_bits, ulp, ulp_error};
use xent::loss::{Kind, Loss, Target};
use xent::{
    Backend, ClassIndices, EmptyRow, Error, HotClasses, IntoTargets, LogClamp, LogSigmoid, LogSoftmax, LogSumExp,
    MultiLabelGradient, MultiLabelSoftmaxCrossEntropy, NllLoss, NoPositives, PositivesScale,
    ProbabilityBinaryCrossEntropy, ProbabilityCrossEntropy, Reduction, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy,
    Softmax, SoftmaxCrossEntropy, Totals,
};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;
/// Golden values.
const GINF: f64 = f64::INFINITY;
const GNAN: f64 = f64::NAN;
const LN_3: f64 = 1.098_612_288_668_109_8;
const THIRD: f64 = 1.0 / 3.0;
/// Softmax of [1, 2], and of [1, 2] with a masked class between.
const P1: f64 = 0.268_941_421_369_995_1;
const P2: f64 = 0.731_058_578_630_004_9;
/// -ln of P1 and P2.
const L1: f64 = 1.313_261_687_518_222_8;
const L2: f64 = 0.313_261_687_518_222_8;

/// What stands in an output before the call.
const UNWRITTEN: f32 = 7.0;

/// Positions in a longer row: every lane, the edges of chunks and blocks.
const PLACES: [usize; 11] = [0, 1, 2, 3, 7, 8, 14, 15, 16, 127, 128];

/// `row` behind `at` copies of `pad` and before 18 more.
fn padded<T: Copy>(row: &[T], pad: T, at: usize) -> Vec<T> {
    let mut long = vec![pad; at + row.len() + 18];
    long[at..][..row.len()].copy_from_slice(row);
    long
}

/// Whole and half numbers, infinities, NaN and the sign of 0 as they are; other golden values to 4 ULP of `size`,
/// subnormal ones to their rounding.
fn agrees(got: f32, golden: f64, size: f64) -> bool {
    if !golden.is_finite() || (2.0 * golden).fract() == 0.0 {
        return same_bits(&[got], &[golden as f32]);
    }
    let ulps = if golden.abs() < f32::MIN_POSITIVE.into() { 0.51 } else { 4.0 };
    ulp_error(got, golden) * ulp(golden) <= ulps * ulp(size)
}

/// What a loss gives for a batch.
#[derive(Clone, Debug)]
struct Outcome {
    totals: Totals,
    losses: Vec<f32>,
    gradient: Vec<f32>,
}

/// Calls all six methods. They must agree to the bit, also in what they refuse; where they do, nothing may be written.
fn call<'a, K, T>(
    name: &str,
    loss: Loss<'a, K>,
    (rows, classes): (usize, usize),
    x: &[f32],
    targets: T,
) -> Result<Outcome, Error>
where
    K: Kind + Copy,
    T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
{
    let input = Rows::strided(x, rows, classes, classes);
    fn table(data: &mut [f32], (rows, classes): (usize, usize)) -> RowsMut<'_> {
        RowsMut::strided(data, rows, classes, classes)
    }
    let shape = (rows, classes);
    let mut losses: [Vec<f32>; 3] = core::array::from_fn(|_| vec![UNWRITTEN; rows]);
    let mut apart = [vec![UNWRITTEN; x.len()], vec![UNWRITTEN; x.len()]];
    let mut in_place = [x.to_vec(), x.to_vec()];
    let results = [
        loss.loss(input, targets),
        loss.losses(input, targets, &mut losses[0]),
        loss.loss_grad(input, targets, table(&mut apart[0], shape)),
        loss.losses_grad(input, targets, &mut losses[1], table(&mut apart[1], shape)),
        loss.loss_grad_in_place(table(&mut in_place[0], shape), targets),
        loss.losses_grad_in_place(table(&mut in_place[1], shape), targets, &mut losses[2]),
    ];
    for other in &results[1..] {
        assert_eq!(text(other), text(&results[0]), "{name}: the methods disagree");
    }
    let totals = match results[0] {
        Ok(totals) => totals,
        Err(error) => {
            let outputs = losses.iter().chain(&apart).flatten();
            assert!(outputs.copied().all(|y| y == UNWRITTEN), "{name}: written in spite of {error}");
            assert!(in_place.iter().all(|y| same_bits(y, x)), "{name}: overwritten in spite of {error}");
            return Err(error);
        }
    };
    assert!(losses.iter().all(|other| same_bits(other, &losses[0])), "{name}: {losses:?}");
    for other in apart.iter().chain(&in_place) {
        assert!(same_bits(other, &apart[0]), "{name}: {other:?} is not {:?}", apart[0]);
    }
    let ([losses, ..], [gradient, _]) = (losses, apart);
    Ok(Outcome { totals, losses, gradient })
}

/// For comparisons in which NaN equals NaN.
fn text(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// A table under test. It collects what does not hold, so that one run names every such row, and panics in the end.
struct Table {
    wrong: Vec<String>,
}

impl Table {
    fn new() -> Self {
        Self { wrong: vec![] }
    }

    fn see(&mut self, name: &str, holds: bool, message: impl FnOnce() -> String) {
        // Two messages are enough to see what is wrong.
        let name = format!("{name}: ");
        if !holds && self.wrong.iter().filter(|message| message.starts_with(&name)).count() < 2 {
            self.wrong.push(name + &message());
        }
    }

    fn values(&mut self, name: &str, what: &str, backend: Backend, got: &[f32], golden: &[f64]) {
        self.within(name, what, backend, got, golden, 0.0);
    }

    /// Gradients cancel: their errors are in ULP of the row's largest.
    fn gradients(&mut self, name: &str, backend: Backend, got: &[f32], golden: &[f64], classes: usize) {
        for (got, golden) in got.chunks(classes.max(1)).zip(golden.chunks(classes.max(1))) {
            let largest = golden.iter().filter(|g| g.is_finite()).fold(0.0_f64, |size, g| size.max(g.abs()));
            self.within(name, "gradient", backend, got, golden, largest);
        }
        self.see(name, got.len() == golden.len(), || format!("gradient ({backend}): {} elements", got.len()));
    }

    fn within(&mut self, name: &str, what: &str, backend: Backend, got: &[f32], golden: &[f64], size: f64) {
        self.see(name, got.len() == golden.len(), || format!("{what} ({backend}): {} elements", got.len()));
        let mut pairs = got.iter().zip(golden);
        if let Some(i) = pairs.position(|(&got, &golden)| !agrees(got, golden, size.max(golden.abs()))) {
            let (got, golden, len) = (got[i], golden[i], golden.len());
            self.see(name, false, || format!("{what} {i} of {len} ({backend}) is {got:e}, golden {golden:e}"));
        }
    }

    fn accepted(&mut self, name: &str, backend: Backend, got: Result<Outcome, Error>) -> Option<Outcome> {
        self.see(name, got.is_ok(), || format!("({backend}) is refused: {:?}", got.as_ref().err()));
        got.ok()
    }

    /// A row by itself: its loss and its gradient.
    fn row<'a, K, T>(&mut self, name: &str, loss: Loss<'a, K>, x: &[f32], targets: T, golden: f64, gradient: &[f64])
    where
        K: Kind + Copy,
        T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
    {
        for backend in backends() {
            let loss = loss.reduction(Reduction::Sum).backend(backend);
            let Some(got) = self.accepted(name, backend, call(name, loss, (1, x.len()), x, targets)) else { continue };
            self.values(name, "loss", backend, &got.losses, &[golden]);
            self.gradients(name, backend, &got.gradient, gradient, x.len());
            self.values(name, "sum", backend, &[got.totals.sum as f32], &[golden]);
        }
    }

    /// A batch with its totals: losses, gradient, weight and rows used.
    fn batch<'a, K, T>(
        &mut self,
        name: &str,
        loss: Loss<'a, K>,
        shape: (usize, usize),
        (x, targets): (&[f32], T),
        (losses, gradient): (&[f64], &[f64]),
        (weight, rows): (f64, usize),
    ) where
        K: Kind + Copy,
        T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
    {
        for backend in backends() {
            let got = self.accepted(name, backend, call(name, loss.backend(backend), shape, x, targets));
            let Some(Outcome { totals, losses: l, gradient: g }) = got else { continue };
            self.values(name, "losses", backend, &l, losses);
            self.gradients(name, backend, &g, gradient, shape.1);
            let sum = l.iter().fold(0.0, |sum, &l| sum + f64::from(l));
            let mean = if weight == 0.0 { 0.0 } else { sum / weight };
            let golden = (Totals { sum, weight, rows }, mean);
            self.see(name, text(&(totals, totals.mean())) == text(&golden), || {
                format!("totals ({backend}) are {totals:?}, mean {}, golden {golden:?}", totals.mean())
            });
        }
    }

    /// A call that is refused with exactly this error.
    fn refused<'a, K, T>(
        &mut self,
        name: &str,
        loss: Loss<'a, K>,
        shape: (usize, usize),
        (x, targets): (&[f32], T),
        error: Error,
    ) where
        K: Kind + Copy,
        T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
    {
        for backend in backends() {
            let got = call(name, loss.backend(backend), shape, x, targets).map(|outcome| outcome.totals);
            self.see(name, text(&got) == text(&Err::<Totals, _>(error)), || {
                format!("({backend}) is {got:?}, should be {error:?}")
            });
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.wrong.is_empty(), "these do not hold:\n{}", self.wrong.join("\n"));
        }
    }
}

/// `y = f(x)` of one row, to another slice and in place.
macro_rules! forward {
    ($activation:expr, $x:expr) => {{
        let (activation, x): (_, &[f32]) = ($activation, &$x);
        let (mut y, mut in_place) = (vec![UNWRITTEN; x.len()], x.to_vec());
        activation.forward(x, &mut y).unwrap();
        activation.forward_in_place(&mut in_place).unwrap();
        assert!(same_bits(&y, &in_place), "{y:?} {in_place:?}");
        y
    }};
}

/// `dx` at `x` for `dy = 1`, to another slice and in place.
macro_rules! slope {
    ($activation:expr, $method:ident, $in_place:ident, $at:expr) => {{
        let (activation, at): (_, &[f32]) = ($activation, &$at);
        let (mut dx, mut in_place) = (vec![UNWRITTEN; at.len()], vec![1.0; at.len()]);
        activation.$method(at, &vec![1.0; at.len()], &mut dx).unwrap();
        activation.$in_place(at, &mut in_place).unwrap();
        assert!(same_bits(&dx, &in_place), "{dx:?} {in_place:?}");
        dx
    }};
}

#[test]
fn table_3_1_sigmoid_and_log_sigmoid() {
    // name, x, sigmoid and its slope, log-sigmoid and its slope
    let rows: &[(&str, f32, [f64; 4])] = &[
        ("NaN", NAN, [GNAN; 4]),
        ("+inf", INF, [1.0, 0.0, 0.0, 0.0]),
        ("-inf", -INF, [0.0, 0.0, -GINF, 1.0]),
        ("+1e38", 1e38, [1.0, 0.0, 0.0, 0.0]),
        ("-1e38", -1e38, [0.0, 0.0, -1e38, 1.0]),
        ("x = -88", -88.0, [6.054_601_895_401_186e-39, 6.054_601_895_401_186e-39, -88.0, 1.0]),
        ("x = -89", -89.0, [2.227_363_561_795_743_8e-39, 2.227_363_561_795_743_8e-39, -89.0, 1.0]),
        ("x = -103", -103.0, [1.852_116_769_517_975_4e-45, 1.852_116_769_517_975_4e-45, -103.0, 1.0]),
        ("x subnormal", 1e-40, [0.5, 0.25, -LN_2, 0.5]),
        ("-x subnormal", -1e-40, [0.5, 0.25, -LN_2, 0.5]),
        (
            "log-sigmoid(88)",
            88.0,
            [1.0, 6.054_601_895_401_186e-39, -6.054_601_895_401_186e-39, 6.054_601_895_401_186e-39],
        ),
    ];
    let mut table = Table::new();
    for backend in backends() {
        let (sigmoid, log_sigmoid) = (Sigmoid::new().backend(backend), LogSigmoid::new().backend(backend));
        for none in [forward!(sigmoid, []), forward!(log_sigmoid, [])] {
            table.see("empty", none.is_empty(), || "not empty".into());
        }
        for &(name, x, golden) in rows {
            for at in PLACES {
                let x = padded(&[x], 0.0, at);
                let mut all = [
                    forward!(sigmoid, x),
                    slope!(sigmoid, backward_from_input, backward_from_input_in_place, x),
                    forward!(log_sigmoid, x),
                    slope!(log_sigmoid, backward_from_input, backward_from_input_in_place, x),
                ];
                let got = all.each_ref().map(|y| y[at]);
                table.values(name, "[sigmoid, slope, log-sigmoid, slope]", backend, &got, &golden);
                // Where y is 1 for a finite x, its slope is gone.
                if x[at] <= 0.0 || x[at] > 100.0 || x[at].is_nan() {
                    let dx = slope!(sigmoid, backward_from_output, backward_from_output_in_place, all[0]);
                    table.values(name, "slope of sigmoid from output", backend, &[dx[at]], &golden[1..2]);
                }
                for (y, at_0) in all.iter_mut().zip([0.5, 0.25, -LN_2, 0.5]) {
                    y.remove(at);
                    table.values(name, "beside it", backend, y, &vec![at_0; y.len()]);
                }
            }
        }
    }
}

#[test]
fn table_3_2_softmax_log_softmax_and_log_sum_exp() {
    let certain = (0.999_999_995_877_692_8, 2.061_153_613_941_849_6e-9);
    // -2e38, as f32 subtracts.
    let span = f64::from(1e38_f32 - 3e38_f32);
    // name, x, softmax, log-softmax, log-sum-exp
    let rows: &[(&str, &[f32], &[f64], &[f64], f64)] = &[
        ("one class", &[3.5], &[1.0], &[0.0], 3.5),
        ("one class", &[-1e38], &[1.0], &[0.0], -1e38),
        ("one NaN", &[NAN, 1.0, 2.0], &[GNAN; 3], &[GNAN; 3], GNAN),
        ("one NaN", &[1.0, 2.0, NAN], &[GNAN; 3], &[GNAN; 3], GNAN),
        ("one NaN beside +inf", &[INF, NAN, 2.0], &[GNAN; 3], &[GNAN; 3], GNAN),
        ("one NaN beside -inf", &[-INF, NAN, -INF], &[GNAN; 3], &[GNAN; 3], GNAN),
        ("one +inf", &[1.0, INF, 2.0], &[GNAN; 3], &[GNAN; 3], GINF),
        ("two +inf", &[INF, INF, 2.0], &[GNAN; 3], &[GNAN; 3], GINF),
        ("some -inf", &[1.0, -INF, 2.0], &[P1, 0.0, P2], &[-L1, -GINF, -L2], 2.0 + L2),
        ("all -inf", &[-INF; 3], &[GNAN; 3], &[GNAN; 3], -GINF),
        ("single class = -inf", &[-INF], &[GNAN], &[GNAN], -GINF),
        ("[1e38,-1e38,3e38]", &[1e38, -1e38, 3e38], &[0.0, 0.0, 1.0], &[span, -GINF, 0.0], 3e38),
        ("[3e38,-3e38,0]", &[3e38, -3e38, 0.0], &[1.0, 0.0, 0.0], &[0.0, -GINF, -3e38], 3e38),
        ("[1e-40,2e-40,0]", &[1e-40, 2e-40, 0.0], &[THIRD; 3], &[-LN_3; 3], LN_3),
        (
            "log p of the max at [20,0,0]",
            &[20.0, 0.0, 0.0],
            &[certain.0, certain.1, certain.1],
            &[-4.122_307_236_380_407_5e-9, -20.000_000_004_122_307, -20.000_000_004_122_307],
            20.000_000_004_122_307,
        ),
    ];
    let mut table = Table::new();
    for backend in backends() {
        let softmax = |policy| Softmax::new().empty_row(policy).backend(backend);
        let log_softmax = |policy| LogSoftmax::new().empty_row(policy).backend(backend);
        let log_sum_exp = |x: &[f32]| {
            let mut out = [UNWRITTEN];
            LogSumExp::new().backend(backend).forward(x, &mut out).unwrap();
            out
        };

        table.see("C = 0", forward!(softmax(EmptyRow::Nan), []).is_empty(), || "softmax not empty".into());
        table.see("C = 0", forward!(log_softmax(EmptyRow::Nan), []).is_empty(), || "log-softmax not empty".into());
        let no_classes = text(&Err::<(), _>(Error::NoClasses { argument: "x" }));
        let (none, mut out) = (Rows::strided(&[], 2, 0, 0), [UNWRITTEN; 2]);
        for refused in [
            softmax(EmptyRow::Nan).forward(none, RowsMut::strided(&mut [], 2, 0, 0)),
            softmax(EmptyRow::Nan).forward_in_place(RowsMut::strided(&mut [], 2, 0, 0)),
            log_softmax(EmptyRow::Nan).forward(none, RowsMut::strided(&mut [], 2, 0, 0)),
            log_softmax(EmptyRow::Nan).forward_in_place(RowsMut::strided(&mut [], 2, 0, 0)),
            LogSumExp::new().backend(backend).forward(none, &mut out),
        ] {
            table.see("C = 0", text(&refused) == no_classes, || format!("{refused:?} ({backend})"));
        }
        table.values("C = 0", "log-sum-exp of 2 rows", backend, &out, &[UNWRITTEN.into(); 2]);

        for &(name, x, p, log_p, lse) in rows {
            let all_masked = x.iter().all(|&x| x == -INF);
            let nan = p.iter().all(|p| p.is_nan());
            let pad = if nan { (GNAN, GNAN) } else { (0.0, -GINF) };
            // Masked classes around it change nothing.
            let long = PLACES.map(|at| (padded(x, -INF, at), padded(p, pad.0, at), padded(log_p, pad.1, at)));
            for (x, p, log_p) in [(x.to_vec(), p.to_vec(), log_p.to_vec())].iter().chain(&long) {
                for policy in [EmptyRow::Nan, EmptyRow::Zero] {
                    let (y, log_y) = (forward!(softmax(policy), *x), forward!(log_softmax(policy), *x));
                    let (zero, masked) = (vec![0.0; p.len()], vec![-GINF; p.len()]);
                    let left_out = all_masked && policy == EmptyRow::Zero;
                    let (p, log_p) = if left_out { (&zero, &masked) } else { (p, log_p) };
                    table.values(name, "softmax", backend, &y, p);
                    table.values(name, "log-softmax", backend, &log_y, log_p);
                }
                table.values(name, "log-sum-exp", backend, &log_sum_exp(x), &[lse]);
            }
        }
    }
    table.values("C = 0", "log-sum-exp", Backend::active(), &[xent::log_sum_exp(&[])], &[-GINF]);
}

#[test]
fn table_3_3_softmax_cross_entropy_of_a_class_index() {
    const PLAIN: SoftmaxCrossEntropy = SoftmaxCrossEntropy::new();
    let spread = &[1e38, -1e38, 3e38];
    // 2e38, as f32 subtracts.
    let span = f64::from(3e38_f32 - 1e38_f32);
    // name, x, target, loss, gradient
    let rows: &[(&str, &[f32], usize, f64, &[f64])] = &[
        ("one class", &[3.5], 0, 0.0, &[0.0]),
        ("NaN anywhere in row", &[NAN, 1.0, 2.0], 0, GNAN, &[GNAN; 3]),
        ("NaN anywhere in row", &[NAN, 1.0, 2.0], 1, GNAN, &[GNAN; 3]),
        ("NaN anywhere in row", &[-INF, 1.0, NAN], 0, GNAN, &[GNAN; 3]),
        ("NaN anywhere in row", &[-INF, -INF, NAN], 0, GNAN, &[GNAN; 3]),
        ("+inf at target", &[INF, 0.0, 1.0], 0, GNAN, &[GNAN; 3]),
        ("+inf elsewhere", &[1.0, INF, 2.0], 0, GNAN, &[GNAN; 3]),
        ("-inf at target", &[-INF, 0.0, 1.0], 0, GINF, &[-1.0, P1, P2]),
        ("-inf elsewhere", &[1.0, -INF, 2.0], 0, L1, &[-P2, 0.0, P2]),
        ("all -inf", &[-INF; 3], 1, GNAN, &[GNAN; 3]),
        ("1e38 spread", spread, 0, span, &[-1.0, 0.0, 1.0]),
        ("1e38 spread, beyond the largest f32", spread, 1, GINF, &[0.0, -1.0, 1.0]),
        ("1e38 spread, target at the top", spread, 2, 0.0, &[0.0; 3]),
        ("offset 1e8, [2,-1] (rounds to equal)", &[1e8 + 2.0, 1e8 - 1.0], 0, LN_2, &[-0.5, 0.5]),
        (
            "offset 1e6, [2,-1] (exact)",
            &[1e6 + 2.0, 1e6 - 1.0],
            0,
            0.048_587_351_573_742_06,
            &[-0.047_425_873_177_566_78, 0.047_425_873_177_566_78],
        ),
        (
            "confident [20,0,0]",
            &[20.0, 0.0, 0.0],
            0,
            4.122_307_236_380_407_5e-9,
            &[-4.122_307_227_883_699e-9, 2.061_153_613_941_849_6e-9, 2.061_153_613_941_849_6e-9],
        ),
        ("subnormal logits", &[1e-40, -2e-40, 0.0], 1, LN_3, &[THIRD, -2.0 * THIRD, THIRD]),
    ];
    let mut table = Table::new();
    for &(name, x, target, loss, gradient) in rows {
        table.row(name, PLAIN, x, &[target], loss, gradient);
        let pad = if gradient[0].is_nan() { GNAN } else { 0.0 };
        for at in PLACES {
            table.row(name, PLAIN, &padded(x, -INF, at), &[at + target], loss, &padded(gradient, pad, at));
        }
    }

    let left_out = PLAIN.empty_row(EmptyRow::Zero);
    table.batch("all -inf", left_out, (1, 3), (&[-INF; 3], &[1_u8]), (&[0.0], &[0.0; 3]), (0.0, 0));
    let masked = &[1.0, -INF, 2.0];
    let smoothed = PLAIN.label_smoothing(0.3);
    let name = "smoothing > 0 with a masked (-inf) class";
    table.row(name, smoothed, masked, &[0_u8], GINF, &[P1 - 0.8, -0.1, P2 - 0.1]);
    let name = "weight 0 and log p = -inf";
    table.row(name, PLAIN.class_weights(&[0.0, 1.0, 1.0]), &[-INF, 0.0, 1.0], &[0_u8], 0.0, &[0.0; 3]);
    let golden = [-0.557_952_720_767_004_4, 0.0, 0.557_952_720_767_004_4];
    let weights = [1.0, 0.0, 1.0];
    table.row(name, smoothed.class_weights(&weights), masked, &[0_u8], 1.081_935_518_766_400_6, &golden);

    table.batch("N = 0", PLAIN, (0, 3), (&[], &[0_u8; 0]), (&[], &[]), (0.0, 0));
    let error = Error::NoClasses { argument: "logits" };
    table.refused("C = 0, N > 0", PLAIN, (2, 0), (&[], &[0_u8, 0]), error);
    let x = &[NAN, NAN, -INF, 1.0, -INF, 2.0];
    let ignoring = PLAIN.ignore_index(-100);
    let golden = &[0.0, 0.0, 0.0, -P2, 0.0, P2];
    table.batch("NaN in an *ignored* row", ignoring, (2, 3), (x, &[-100, 0]), (&[0.0, L1], golden), (1.0, 1));
    let x = &[0.0, 1.0, 2.0, NAN, 4.0, 5.0];
    let error = |target| Error::TargetOutOfRange { row: 1, target, classes: 3 };
    table.refused("target = C", PLAIN, (2, 3), (x, &[0_u8, 3]), error(3));
    table.refused("target = -1", PLAIN, (2, 3), (x, &[2_i64, -1]), error(-1));
    table.refused("target = -1", ignoring, (2, 3), (x, &[-100_i64, -1]), error(-1));
    table.batch("all ignored", ignoring, (2, 3), (x, &[-100, -100]), (&[0.0; 2], &[0.0; 6]), (0.0, 0));
    let none = [0.0; 3];
    let weightless = PLAIN.class_weights(&none);
    table.batch("all weights 0", weightless, (2, 3), (x, &[0_u8, 2]), (&[0.0; 2], &[0.0; 6]), (0.0, 2));
    let weightless = PLAIN.row_weights(&none[..2]);
    table.batch("all weights 0", weightless, (2, 3), (x, &[0_u8, 2]), (&[0.0; 2], &[0.0; 6]), (0.0, 2));
}

/// Softmax of [1, 2, 3] and its log-sum-exp.
const P123: [f64; 3] = [0.090_030_573_170_380_46, 0.244_728_471_054_797_64, 0.665_240_955_774_821_8];
const LSE123: f64 = 3.407_605_964_444_380_6;

#[test]
fn table_3_4_softmax_cross_entropy_of_dense_labels() {
    const PLAIN: SoftmaxCrossEntropy = SoftmaxCrossEntropy::new();
    let x = &[1.0, 2.0, 3.0];
    let masked = &[1.0, -INF, 2.0];
    let overflow = &[3e38, -3e38, 0.0];
    let [p1, p2, p3] = P123;
    // name, x, labels, loss, gradient
    let rows: &[(&str, &[f32], &[f32], f64, &[f64])] = &[
        (
            "labels sum to T != 1",
            x,
            &[0.5, 0.2, 0.7],
            1.770_648_350_222_132_8,
            &[-0.373_957_197_561_467_4, 0.142_619_859_476_716_68, 0.231_337_338_084_750_43],
        ),
        ("all-zero labels", x, &[0.0; 3], 0.0, &[0.0; 3]),
        ("label 0 at -inf logit", masked, &[1.0, 0.0, 0.0], L1, &[-P2, 0.0, P2]),
        ("label 0 at -inf logit", masked, &[0.5, 0.0, 0.5], (L1 + L2) / 2.0, &[P1 - 0.5, 0.0, P2 - 0.5]),
        ("label > 0 at -inf logit", masked, &[0.5, 0.5, 0.0], GINF, &[P1 - 0.5, -0.5, P2]),
        ("negative label", x, &[2.0, -1.0, 0.0], LSE123, &[p1 - 2.0, p2 + 1.0, p3]),
        ("NaN label", x, &[0.0, NAN, 1.0], GNAN, &[GNAN; 3]),
        ("inf label", x, &[INF, 0.0, 0.0], GNAN, &[GNAN; 3]),
        ("inf label", x, &[0.0, 0.0, INF], GNAN, &[GNAN; 3]),
        ("one class, t=1", &[3.5], &[1.0], 0.0, &[0.0]),
        ("one-hot 0 on [3e38,-3e38,0] (span overflows)", overflow, &[1.0, 0.0, 0.0], 0.0, &[0.0; 3]),
        ("one-hot 1 on [3e38,-3e38,0] (span overflows)", overflow, &[0.0, 1.0, 0.0], GINF, &[1.0, -1.0, 0.0]),
    ];
    let mut table = Table::new();
    for &(name, x, t, loss, gradient) in rows {
        table.row(name, PLAIN, x, t, loss, gradient);
        let pad = if gradient[0].is_nan() { GNAN } else { 0.0 };
        for at in PLACES {
            let (x, t) = (padded(x, -INF, at), padded(t, 0.0, at));
            table.row(name, PLAIN, &x, &t[..], loss, &padded(gradient, pad, at));
        }
    }

    let none = Rows::strided(&[], 2, 0, 0);
    let error = Error::NoClasses { argument: "logits" };
    table.refused("C = 0", PLAIN, (2, 0), (&[], none), error);
    table.batch("C = 0, N = 0", PLAIN, (0, 0), (&[], Rows::strided(&[], 0, 0, 0)), (&[], &[]), (0.0, 0));
    for (name, value) in [("negative label", -1.0), ("NaN label", NAN), ("inf label", INF)] {
        let t = [0.5, 0.5, 0.0, 0.0, 1.0, value];
        let error = Error::InvalidTarget { row: 1, index: 2, value };
        let x = &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0];
        table.refused(name, PLAIN.validate(true), (2, 3), (x, Rows::new(&t, 3)), error);
    }
    let ignoring = PLAIN.ignore_index(255);
    let (x, classes) = (&[NAN; 6], &[255_u8; 2]);
    for reduction in [Reduction::Sum, Reduction::MeanOverWeights] {
        let loss = ignoring.reduction(reduction);
        table.batch("`ignore_class`, all ignored", loss, (2, 3), (x, classes), (&[0.0; 2], &[0.0; 6]), (0.0, 0));
    }
}

#[test]
fn table_3_5_multi_label_softmax_cross_entropy() {
    const PLAIN: MultiLabelSoftmaxCrossEntropy = MultiLabelSoftmaxCrossEntropy::new();
    const PYCAFFE: MultiLabelSoftmaxCrossEntropy = PLAIN.gradient(MultiLabelGradient::PyCaffeCompat);
    let x = &[1.0, 2.0, 3.0, 0.5];
    let masked = &[1.0, -INF, 2.0];
    let p = [0.085_368_893_509_788_89, 0.232_056_711_943_314_48, 0.630_795_543_247_466_8, 0.051_778_851_299_429_81];
    let [p1, p2, p3, p4] = p;
    let binary = &[p1 - 0.5, p2, p3 - 0.5, p4];
    let real = &[-0.893_288_883_112_763_9, 0.290_070_889_929_143_1, 0.538_494_429_059_333_4, 0.064_723_564_124_287_26];
    let real_loss = 2.575_966_861_446_064;
    // name, configuration, x, labels, loss, gradient
    type Entry<'a> = (&'a str, MultiLabelSoftmaxCrossEntropy<'static>, &'a [f32], &'a [f32], f64, &'a [f64]);
    let rows: &[Entry<'_>] = &[
        ("M = 0 (no positive)", PLAIN, x, &[0.0; 4], 0.0, &[0.0; 4]),
        ("M = 0 (no positive), NaN", PLAIN, &[NAN, 1.0], &[0.0; 2], 0.0, &[0.0; 2]),
        ("M = 0 (no positive)", PYCAFFE, x, &[0.0; 4], 0.0, &[0.0; 4]),
        ("labels 0/1", PLAIN, x, &[1.0, 0.0, 1.0, 0.0], 1.460_773_489_156_851_1, binary),
        ("labels 0/1", PYCAFFE, x, &[1.0, 0.0, 1.0, 0.0], 1.460_773_489_156_851_1, binary),
        ("labels real", PLAIN, x, &[2.0, 0.0, 0.5, 0.0], real_loss, real),
        ("labels real, as PyCaffe", PYCAFFE, x, &[2.0, 0.0, 0.5, 0.0], real_loss, binary),
        ("negative labels", PLAIN, x, &[1.0, -1.0, 0.0, 0.0], 0.5, &[-0.5, 0.5, 0.0, 0.0]),
        (
            "negative labels",
            PLAIN,
            x,
            &[-2.0, 0.0, 1.0, 0.0],
            -2.230_386_744_578_426,
            &[0.957_315_553_245_105_5, -p2 / 2.0, -0.815_397_771_623_733_4, -p4 / 2.0],
        ),
        ("negative labels, as PyCaffe", PYCAFFE, x, &[-2.0, 0.0, 1.0, 0.0], -2.230_386_744_578_426, binary),
        ("NaN label", PLAIN, x, &[NAN, 0.0, 1.0, 0.0], GNAN, &[GNAN; 4]),
        ("NaN label, as PyCaffe", PYCAFFE, x, &[NAN, 0.0, 1.0, 0.0], GNAN, binary),
        ("hot p underflows (s_max - s_p > about 104)", PLAIN, &[200.0, 0.0], &[0.0, 1.0], 200.0, &[1.0, -1.0]),
        ("NaN / +inf score", PLAIN, &[NAN, 0.0, 1.0], &[0.0, 1.0, 1.0], GNAN, &[GNAN; 3]),
        ("NaN / +inf score", PYCAFFE, &[0.0, NAN, 1.0], &[0.0, 1.0, 1.0], GNAN, &[GNAN; 3]),
        ("NaN / +inf score", PLAIN, &[INF, 0.0, 1.0], &[0.0, 1.0, 1.0], GNAN, &[GNAN; 3]),
        ("-inf at a non-hot class", PLAIN, masked, &[1.0, 0.0, 0.0], L1, &[-P2, 0.0, P2]),
        ("-inf at a non-hot class", PYCAFFE, masked, &[1.0, 0.0, 0.0], L1, &[-P2, 0.0, P2]),
        ("-inf at a hot class", PLAIN, masked, &[1.0, 1.0, 0.0], GINF, &[P1 - 0.5, -0.5, P2]),
        ("-inf at a hot class", PYCAFFE, masked, &[1.0, 1.0, 0.0], GINF, &[P1 - 0.5, -0.5, P2]),
        ("all -inf", PLAIN, &[-INF; 3], &[1.0, 0.0, 1.0], GNAN, &[GNAN; 3]),
        ("all -inf", PLAIN.empty_row(EmptyRow::Zero), &[-INF; 3], &[1.0, 0.0, 1.0], 0.0, &[0.0; 3]),
        ("all classes hot", PLAIN, x, &[1.0; 4], 1.835_773_489_156_851_1, &p.map(|p| p - 0.25)),
        ("all classes hot", PYCAFFE, x, &[1.0; 4], 1.835_773_489_156_851_1, &p.map(|p| p - 0.25)),
        ("one class", PLAIN, &[3.5], &[1.0], 0.0, &[0.0]),
        ("one class", PLAIN, &[3.5], &[2.5], 0.0, &[0.0]),
        ("one class", PYCAFFE, &[3.5], &[1.0], 0.0, &[0.0]),
    ];
    let mut table = Table::new();
    for &(name, config, x, t, loss, gradient) in rows {
        table.row(name, config, x, t, loss, gradient);
        let pad = if gradient[0].is_nan() { GNAN } else { 0.0 };
        for at in PLACES {
            let (x, t) = (padded(x, -INF, at), padded(t, 0.0, at));
            // Times a negative sum of labels, the nothing of a masked class is -0.
            if t.iter().sum::<f32>() < 0.0 {
                continue;
            }
            table.row(name, config, &x, &t[..], loss, &padded(gradient, pad, at));
        }
        // Any finite label is valid.
        if t.iter().all(|t| t.is_finite()) {
            table.row(name, config.validate(true), x, t, loss, gradient);
        }
        // The same labels as a list of classes, where they are 0 and 1.
        let is_pycaffe = text(&config).contains("PyCaffeCompat");
        if !is_pycaffe && t.iter().all(|&t| t == 0.0 || t == 1.0) {
            let hot: Vec<i64> = (0_i64..).zip(t).map(|(class, &t)| if t == 1.0 { class } else { -1 }).collect();
            let listed = HotClasses::padded(&hot[..], hot.len());
            table.row(name, config.ignore_index(-1), x, listed, loss, gradient);
        }
    }

    // M = 0 in a batch, and the two denominators.
    let x = &[1.0, 2.0, NAN, 4.0];
    let (t, hot) = ([0.0, 1.0, 0.0, 0.0], [1_u8, 255]);
    let (dense, listed) = (Rows::new(&t, 2), HotClasses::padded(&hot, 1));
    let ignoring = PLAIN.ignore_index(255);
    for (reduction, weight) in
        [(Reduction::MeanOverWeights, 1.0), (Reduction::MeanOverRows, 1.0), (Reduction::MeanOverAllRows, 2.0)]
    {
        let golden = [P1 / weight, -P1 / weight, 0.0, 0.0];
        let name = "M = 0 (no positive)";
        table.batch(name, PLAIN.reduction(reduction), (2, 2), (x, dense), (&[L2, 0.0], &golden), (weight, 1));
        table.batch(name, PYCAFFE.reduction(reduction), (2, 2), (x, dense), (&[L2, 0.0], &golden), (weight, 1));
        table.batch(name, ignoring.reduction(reduction), (2, 2), (x, listed), (&[L2, 0.0], &golden), (weight, 1));
    }
    for config in [PLAIN, PYCAFFE] {
        let strict = config.no_positives(NoPositives::Error);
        table.refused("M = 0 (no positive)", strict, (2, 2), (x, dense), Error::NoPositives { row: 1 });
    }
    let strict = ignoring.no_positives(NoPositives::Error);
    table.refused("M = 0 (no positive)", strict, (2, 2), (x, listed), Error::NoPositives { row: 1 });

    for (name, value) in [("NaN label", NAN), ("inf label", -INF)] {
        let t = [0.0, 1.0, value, 0.0];
        let error = Error::InvalidTarget { row: 1, index: 0, value };
        table.refused(name, PLAIN.validate(true), (2, 2), (x, Rows::new(&t, 2)), error);
    }
    let none = Rows::strided(&[], 0, 2, 2);
    table.batch("empty batch", PLAIN, (0, 2), (&[], none), (&[], &[]), (0.0, 0));
    table.batch("empty batch", PLAIN, (0, 2), (&[], HotClasses::padded(&[0_u8; 0], 3)), (&[], &[]), (0.0, 0));

    // Side effects: a second call gives the same, and the gradient has the upstream one as a factor.
    let x = &[1.0, 2.0, 3.0, 0.5];
    for backend in backends() {
        let loss = PLAIN.backend(backend).reduction(Reduction::Sum);
        let call = |scale| call("side effects", loss.grad_scale(scale), (1, 4), x, &[2.0, 0.0, 0.5, 0.0]).unwrap();
        let (once, again, half) = (call(1.0), call(1.0), call(-0.5));
        table.see("side effects", text(&once) == text(&again), || format!("{once:?} and then {again:?}"));
        let halved: Vec<f32> = once.gradient.iter().map(|g| g * -0.5).collect();
        table.see("side effects", same_bits(&half.gradient, &halved), || format!("{half:?} of {once:?}"));
    }
}

/// What the policies make of the logarithm of 0, and of its derivative.
const POLICIES: [(LogClamp, f64, f64); 6] = [
    (LogClamp::None, GINF, GINF),
    (LogClamp::CAFFE, 46.051_701_891_615_394, 1e20),
    (LogClamp::BURN, 43.668_272_375_276_55, 9.223_372_036_854_776e18),
    (LogClamp::KERAS, 16.118_095_639_272_223, 0.0),
    (LogClamp::PYTORCH, 100.0, 1e12),
    (LogClamp::TENSORFLOW, 16.118_095_639_272_223, 1e7),
];

/// The derivative of a policy's logarithm at 1.
fn slope_at_1(policy: LogClamp) -> f64 {
    if policy == LogClamp::TENSORFLOW { 0.999_999_900_000_008_8 } else { 1.0 }
}

#[test]
fn table_3_6_cross_entropy_of_probabilities_and_nll() {
    const PLAIN: ProbabilityCrossEntropy = ProbabilityCrossEntropy::new();
    let mut table = Table::new();
    // An entry as class index and as one-hot labels; the target is class 0.
    let mut see = |name: &str, policy: LogClamp, x: &[f32], loss: f64, gradient: &[f64]| {
        let name = &format!("{name}, {policy:?}");
        let mut one_hot = vec![0.0; x.len()];
        one_hot[0] = 1.0;
        table.row(name, PLAIN.log_clamp(policy), x, &[0_u8], loss, gradient);
        table.row(name, PLAIN.log_clamp(policy), x, &one_hot[..], loss, gradient);
        for at in PLACES {
            let (x, one_hot) = (padded(x, 0.25, at), padded(&one_hot, 0.0, at));
            let (gradient, class) = (&padded(gradient, 0.0, at), u8::try_from(at).unwrap());
            table.row(name, PLAIN.log_clamp(policy), &x, &[class], loss, gradient);
            table.row(name, PLAIN.log_clamp(policy), &x, &one_hot[..], loss, gradient);
        }
    };
    for (policy, loss, slope) in POLICIES {
        see("p = 0 at hot", policy, &[0.0, 0.75, 0.25], loss, &[0.0 - slope, 0.0, 0.0]);
        see("p = 1 at hot", policy, &[1.0, 0.0, 0.0], 0.0, &[-slope_at_1(policy), 0.0, 0.0]);
        see("NaN at hot", policy, &[NAN, 0.5, 0.5], GNAN, &[GNAN, 0.0, 0.0]);
        see("NaN elsewhere", policy, &[1.0, NAN, INF], 0.0, &[-slope_at_1(policy), 0.0, 0.0]);
        see("all zeros row", policy, &[0.0; 3], loss, &[0.0 - slope, 0.0, 0.0]);
        let slope_at_2 = if policy == LogClamp::TENSORFLOW { 1.0 / (2.0 + 1e-7) } else { 0.5 };
        see("p > 1: row sums to 4 ([2,2])", policy, &[2.0, 2.0], -LN_2, &[-slope_at_2, 0.0]);
    }
    // As documented: ln p is NaN below 0, and the slope has its own rule.
    for (policy, slope) in [
        (LogClamp::None, -9.999_999_850_988_39),
        (LogClamp::CAFFE, 1e20),
        (LogClamp::KERAS, 0.0),
        (LogClamp::PYTORCH, 1e12),
        (LogClamp::TENSORFLOW, -10.000_009_850_998_31),
    ] {
        see("p < 0", policy, &[-0.1, 0.6, 0.5], GNAN, &[0.0 - slope, 0.0, 0.0]);
    }
    see("subnormal p = 1e-40", LogClamp::None, &[1e-40, 1.0], 92.103_409_109_664_88, &[-GINF, 0.0]);
    see("subnormal p = 1e-40", LogClamp::PYTORCH, &[1e-40, 1.0], 92.103_409_109_664_88, &[-1e12, 0.0]);
    see("subnormal p = 1e-40", LogClamp::CAFFE, &[1e-40, 1.0], 46.051_701_891_615_394, &[-1e20, 0.0]);

    for (value, name) in [(2.0, "p > 1"), (-0.1, "p < 0"), (NAN, "NaN"), (INF, "p > 1")] {
        let x = &[0.5, 0.5, 0.0, 1.0, 0.0, value];
        let error = Error::NotAProbability { argument: "probabilities", row: 1, index: 2, value };
        let one_hot = Rows::new(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 3);
        table.refused(name, PLAIN.validate(true), (2, 3), (x, &[0_u8, 0]), error);
        table.refused(name, PLAIN.validate(true), (2, 3), (x, one_hot), error);
    }
    let (x, error) = (&[2.0, 2.0], Error::NotAProbability { argument: "probabilities", row: 0, index: 0, value: 2.0 });
    table.refused("row sums to 4 ([2,2])", PLAIN.validate(true), (1, 2), (x, &[1_u8]), error);
    let error = Error::TargetOutOfRange { row: 1, target: 3, classes: 3 };
    table.refused("out-of-range label", PLAIN, (2, 3), (&[0.5; 6], &[0_u8, 3]), error);
    table.batch("N = 0", PLAIN, (0, 3), (&[], &[0_u8; 0]), (&[], &[]), (0.0, 0));
    table.batch("N = 0", PLAIN, (0, 3), (&[], Rows::strided(&[], 0, 3, 3)), (&[], &[]), (0.0, 0));

    // NLL: the input is log p.
    const NLL: NllLoss = NllLoss::new();
    table.row("p = 0 at hot, NLL", NLL, &[-INF, -0.5], &[0_u8], GINF, &[-1.0, 0.0]);
    table.row("p = 1 at hot, NLL", NLL, &[0.0, -INF], &[0_u8], 0.0, &[-1.0, 0.0]);
    table.row("p > 1, NLL", NLL, &[2.5, -0.5], &[0_u8], -2.5, &[-1.0, 0.0]);
    // The gradient does not depend on the input.
    table.row("NaN at hot, NLL", NLL, &[NAN, -0.5], &[0_u8], GNAN, &[-1.0, 0.0]);
    table.row("NaN elsewhere, NLL", NLL, &[-0.5, NAN], &[0_u8], 0.5, &[-1.0, 0.0]);
    let log = 1e-40_f32.ln();
    table.row("subnormal p = 1e-40, NLL", NLL, &[log, 0.0], &[0_u8], 92.103_409_109_664_88, &[-1.0, 0.0]);
    for value in [0.5, NAN] {
        let error = Error::NotAProbability { argument: "log_probabilities", row: 1, index: 0, value };
        let x = &[-0.5, -INF, value, -0.5];
        table.refused("p > 1, NLL", NLL.validate(true), (2, 2), (x, &[0_u8, 1]), error);
    }
    let error = Error::TargetOutOfRange { row: 0, target: -1, classes: 2 };
    table.refused("out-of-range label, NLL", NLL, (1, 2), (&[-0.5; 2], &[-1_i8]), error);
    table.batch("N = 0, NLL", NLL, (0, 2), (&[], &[0_u8; 0]), (&[], &[]), (0.0, 0));
}

#[test]
fn table_3_7_binary_cross_entropy_of_probabilities() {
    const PLAIN: ProbabilityBinaryCrossEntropy = ProbabilityBinaryCrossEntropy::new();
    let mut table = Table::new();
    let mut see = |name: &str, policy: LogClamp, p: f32, t: f32, loss: f64, gradient: f64| {
        let name = &format!("{name}, {policy:?}");
        let config = PLAIN.log_clamp(policy);
        table.row(name, config, &[p], &[t], loss, &[gradient]);
        for at in PLACES {
            // Beside it p = 0 where t = 0, which costs nothing.
            let (x, t) = (padded(&[p], 0.0, at), padded(&[t], 0.0, at));
            table.row(name, config, &x, &t[..], loss, &padded(&[gradient], slope_at_1(policy), at));
        }
    };
    for (policy, loss, slope) in POLICIES {
        let at_1 = slope_at_1(policy);
        see("0, 1", policy, 0.0, 1.0, loss, 0.0 - slope);
        see("1, 0", policy, 1.0, 0.0, loss, slope);
        see("0, 0", policy, 0.0, 0.0, 0.0, at_1);
        see("1, 1", policy, 1.0, 1.0, 0.0, -at_1);
        see("0, .5", policy, 0.0, 0.5, loss / 2.0, at_1 / 2.0 - slope / 2.0);
        for t in [0.0, 0.5, 1.0] {
            see("NaN", policy, NAN, t, GNAN, GNAN);
            for p in [-0.1, 1.1, INF, -INF] {
                see("-0.1, 1.1, inf", policy, p, t, GNAN, GNAN);
            }
        }
        see("t NaN", policy, 0.25, NAN, GNAN, GNAN);
        see("t NaN", policy, 0.0, NAN, GNAN, GNAN);
        see("t NaN", policy, 1.0, NAN, GNAN, GNAN);
    }
    for (policy, loss, slope) in [
        (LogClamp::None, 92.103_409_109_664_88, GINF),
        (LogClamp::PYTORCH, 92.103_409_109_664_88, 1e12),
        (LogClamp::CAFFE, 46.051_701_891_615_394, 1e20),
        (LogClamp::KERAS, 16.118_095_639_272_223, 0.0),
        (LogClamp::TENSORFLOW, 16.118_095_639_272_223, 1e7),
    ] {
        see("1e-40, 1", policy, 1e-40, 1.0, loss, 0.0 - slope);
    }
    see("t = 2", LogClamp::PYTORCH, 1.0, 2.0, -100.0, -1e12);
    see("t = 2", LogClamp::None, 0.5, 2.0, LN_2, -6.0);

    for (name, x, error) in [
        ("NaN", NAN, None),
        ("-0.1, 1.1, inf", -0.1, None),
        ("-0.1, 1.1, inf", 1.1, None),
        ("-0.1, 1.1, inf", INF, None),
        ("t = 2", 0.5, Some(2.0)),
        ("t < 0", 0.5, Some(-0.5)),
        ("t NaN", 0.5, Some(NAN)),
    ] {
        let (p, t) = ([0.5, 0.0, 1.0, x], [0.0, 0.5, 1.0, error.unwrap_or(1.0)]);
        let error = match error {
            Some(value) => Error::InvalidTarget { row: 1, index: 1, value },
            None => Error::NotAProbability { argument: "probabilities", row: 1, index: 1, value: x },
        };
        table.refused(name, PLAIN.validate(true), (2, 2), (&p, Rows::new(&t, 2)), error);
    }
    table.batch("empty", PLAIN, (0, 2), (&[], Rows::strided(&[], 0, 2, 2)), (&[], &[]), (0.0, 0));
    table.batch("empty", PLAIN, (0, 0), (&[], &[0.0_f32; 0]), (&[], &[]), (0.0, 0));
}

#[test]
fn table_3_8_binary_cross_entropy_with_logits() {
    const PLAIN: SigmoidCrossEntropy = SigmoidCrossEntropy::new();
    let tiny = 6.054_601_895_401_186e-39;
    // name, configuration, x, target, loss, gradient
    type Entry<'a> = (&'a str, SigmoidCrossEntropy<'static>, f32, f32, f64, f64);
    let rows: &[Entry<'_>] = &[
        ("+inf, 0", PLAIN, INF, 0.0, GINF, 1.0),
        ("+inf, 1", PLAIN, INF, 1.0, 0.0, 0.0),
        ("-inf, 0", PLAIN, -INF, 0.0, 0.0, 0.0),
        ("-inf, 1", PLAIN, -INF, 1.0, GINF, -1.0),
        ("+inf, .5", PLAIN, INF, 0.5, GINF, 0.5),
        ("-inf, .5", PLAIN, -INF, 0.5, GINF, -0.5),
        ("NaN", PLAIN, NAN, 0.0, GNAN, GNAN),
        ("NaN", PLAIN, NAN, 0.5, GNAN, GNAN),
        ("NaN", PLAIN, NAN, 1.0, GNAN, GNAN),
        ("+1e38, 0", PLAIN, 1e38, 0.0, 1e38, 1.0),
        ("+1e38, 1", PLAIN, 1e38, 1.0, 0.0, 0.0),
        ("-1e38, 0", PLAIN, -1e38, 0.0, 0.0, 0.0),
        ("-1e38, 1", PLAIN, -1e38, 1.0, 1e38, -1.0),
        ("17, 1", PLAIN, 17.0, 1.0, 4.139_937_633_089_748e-8, -4.139_937_547_394_330_6e-8),
        ("-88, 0", PLAIN, -88.0, 0.0, tiny, tiny),
        ("88, 1", PLAIN, 88.0, 1.0, tiny, -tiny),
        ("t = 2", PLAIN, 1.0, 2.0, -0.686_738_312_481_777_1, -1.268_941_421_369_995_2),
        ("t = 2", PLAIN, 1e38, 2.0, -1e38, -1.0),
        ("pos_weight 3, x=2, t=.5", PLAIN.pos_weight(3.0), 2.0, 0.5, 1.253_856_022_085_945_2, 0.261_594_155_955_764_85),
        (
            "pos_weight 3, x=2, t=.5",
            PLAIN.pos_weights(&[3.0]),
            2.0,
            0.5,
            1.253_856_022_085_945_2,
            0.261_594_155_955_764_85,
        ),
        ("pos_weight 0, x=-inf, t=1", PLAIN.pos_weight(0.0), -INF, 1.0, 0.0, 0.0),
        ("t = +inf", PLAIN, 1.0, INF, GNAN, -GINF),
        ("t = -inf", PLAIN, -1.0, -INF, GNAN, GINF),
        ("pos_weight 3, t = +inf", PLAIN.pos_weight(3.0), 1.0, INF, GNAN, -GINF),
        ("pos_weight 3, t = -inf", PLAIN.pos_weight(3.0), -1.0, -INF, GNAN, GINF),
        ("t = NaN", PLAIN, 1.0, NAN, GNAN, GNAN),
    ];
    let mut table = Table::new();
    for &(name, config, x, t, loss, gradient) in rows {
        table.row(name, config, &[x], &[t], loss, &[gradient]);
        let is_per_class = text(&config).contains("PerClass");
        for at in PLACES.into_iter().filter(|_| !is_per_class) {
            // Beside it -inf where t = 0, which costs nothing.
            let (x, t) = (padded(&[x], -INF, at), padded(&[t], 0.0, at));
            table.row(name, config, &x, &t[..], loss, &padded(&[gradient], 0.0, at));
        }
    }

    for value in [2.0, -0.5, NAN] {
        let t = [0.0, 0.5, 1.0, value];
        let error = Error::InvalidTarget { row: 1, index: 1, value };
        table.refused("t = 2", PLAIN.validate(true), (2, 2), (&[INF, 0.0, 1.0, 2.0], Rows::new(&t, 2)), error);
    }
    table.batch("N = 0", PLAIN, (0, 2), (&[], Rows::strided(&[], 0, 2, 2)), (&[], &[]), (0.0, 0));
    table.batch("N = 0", PLAIN, (0, 0), (&[], &[0.0_f32; 0]), (&[], &[]), (0.0, 0));

    let ignoring = PLAIN.ignore_value(-1.0);
    let (x, t) = (&[NAN, INF, -INF, 2.0], [-1.0; 4]);
    table.batch("all ignored", ignoring, (2, 2), (x, Rows::new(&t, 2)), (&[0.0; 2], &[0.0; 4]), (0.0, 0));
    // Elements one by one: the first row has one left, the second both.
    let (x, t) = (&[NAN, INF, -INF, 88.0], [-1.0, 0.5, 0.0, 1.0]);
    let sum = ignoring.reduction(Reduction::Sum);
    let golden: (&[f64], &[f64]) = (&[GINF, tiny], &[0.0, 0.5, 0.0, -tiny]);
    table.batch("some ignored", sum, (2, 2), (x, Rows::new(&t, 2)), golden, (3.0, 2));
    // The value is compared as it is, not truncated.
    let (x, t) = (&[0.0, 0.0], [0.0, 0.75]);
    let ignoring = PLAIN.ignore_value(0.0);
    table.batch("ignored exactly", ignoring, (1, 2), (x, &t), (&[LN_2], &[0.0, -0.25]), (1.0, 1));
}

/// An element that is ignored is no invalid one: not by the value that marks it, nor by what stands in the input.
#[test]
fn ignored_elements_are_not_checked() {
    let mut table = Table::new();
    let loss = SigmoidCrossEntropy::new().ignore_value(-1.0);
    let half: (&[f64], &[f64]) = (&[LN_2], &[0.0, 0.5]);
    table.batch(
        "all ignored, validated",
        loss.validate(true),
        (1, 2),
        (&[0.0; 2], &[-1.0; 2]),
        (&[0.0], &[0.0; 2]),
        (0.0, 0),
    );
    table.batch("some ignored, validated", loss.validate(true), (1, 2), (&[0.0; 2], &[-1.0, 0.0]), half, (1.0, 1));
    table.batch("some ignored, finite", loss.check_finite(true), (1, 2), (&[NAN, 0.0], &[-1.0, 0.0]), half, (1.0, 1));
}

/// R3: structure errors come before anything is written.
#[test]
fn structure_errors() {
    let mut table = Table::new();
    let (x, t) = (&[NAN, 1.0, 2.0, 3.0, 4.0, 5.0], &[0_u8, 2]);
    let shape = (2, 3);
    let softmax = SoftmaxCrossEntropy::new();
    let mut see = |name: &str, loss: SoftmaxCrossEntropy<'_>, targets: &[u8], error| {
        table.refused(name, loss, shape, (x, targets), error);
    };
    let length = |argument, expected, found| Error::Length { argument, expected, found };
    see("length of targets", softmax, &[0, 1, 2], length("targets", 2, 3));
    see("length of row weights", softmax.row_weights(&[1.0; 3]), t, length("row_weights", 2, 3));
    see("length of class weights", softmax.class_weights(&[1.0; 2]), t, length("class_weights", 3, 2));
    for value in [-1.0, NAN, INF] {
        let (weights, index) = ([1.0, value, value], 1);
        let (argument, loss) = ("class_weights", softmax.class_weights(&weights));
        see("class weight", loss, t, Error::Weight { argument, index, value });
        let (argument, loss) = ("row_weights", softmax.row_weights(&weights[..2]));
        see("row weight", loss, t, Error::Weight { argument, index, value });
    }
    let parameter = |name, value| Error::Parameter { name, value };
    see("smoothing", softmax.label_smoothing(-0.5), t, parameter("label_smoothing", -0.5));
    see("smoothing", softmax.label_smoothing(1.5), t, parameter("label_smoothing", 1.5));
    see("smoothing", softmax.label_smoothing(NAN), t, parameter("label_smoothing", GNAN));
    see("scale", softmax.grad_scale(INF), t, parameter("grad_scale", GINF));
    for denominator in [-1.0, GNAN, GINF] {
        let loss = softmax.reduction(Reduction::MeanOver(denominator));
        see("denominator", loss, t, parameter("reduction", denominator));
    }
    // Their inverses are not finite in f32.
    see("small denominator", softmax.reduction(Reduction::MeanOver(1e-40)), t, parameter("reduction", 1e-40));
    let tiny = f32::from_bits(1);
    see("small weights", softmax.row_weights(&[tiny; 2]), t, parameter("reduction", 2.0 * f64::from(tiny)));
    let p = ProbabilityCrossEntropy::new();
    for (policy, value) in [
        (LogClamp::MinProb(-0.5), -0.5),
        (LogClamp::Clip(1.5), 1.5),
        (LogClamp::AddEps(NAN), GNAN),
        (LogClamp::MinLog(0.5), 0.5),
    ] {
        table.refused("clamp", p.log_clamp(policy), shape, (x, t), parameter("log_clamp", value));
    }
    let sigmoid = SigmoidCrossEntropy::new();
    let labels = Rows::new(&[0.5; 6], 3);
    table.refused("pos_weight", sigmoid.pos_weight(-1.0), shape, (x, labels), parameter("pos_weight", -1.0));
    table.refused(
        "pos_weight",
        sigmoid.pos_weight(1e19),
        shape,
        (x, labels),
        parameter("pos_weight", f64::from(1e19_f32)),
    );
    let error = Error::Weight { argument: "pos_weights", index: 2, value: 1e19 };
    table.refused("pos_weights", sigmoid.pos_weights(&[0.0, 1.0, 1e19]), shape, (x, labels), error);
    let error = length("pos_weights", 3, 2);
    table.refused("length of pos_weights", sigmoid.pos_weights(&[1.0; 2]), shape, (x, labels), error);
    let error = Error::Shape { argument: "targets", expected: (2, 3), found: (3, 2) };
    table.refused("shape of labels", sigmoid, shape, (x, Rows::new(&[0.5; 6], 2)), error);
    let error = Error::Conflict { option: "ignore_index", with: "dense labels" };
    table.refused("conflict", softmax.ignore_index(0), shape, (x, labels), error);
    table.refused("conflict", p.ignore_index(0), shape, (x, labels), error);
    table.refused("conflict", MultiLabelSoftmaxCrossEntropy::new().ignore_index(0), shape, (x, labels), error);
    let pycaffe = MultiLabelSoftmaxCrossEntropy::new().gradient(MultiLabelGradient::PyCaffeCompat);
    let option = "MultiLabelGradient::PyCaffeCompat";
    let error = Error::Conflict { option, with: "positives_scale" };
    table.refused("conflict", pycaffe.positives_scale(PositivesScale::None), shape, (x, labels), error);
    let error = Error::Conflict { option, with: "class_weights" };
    table.refused("conflict", pycaffe.class_weights(&[1.0; 3]), shape, (x, labels), error);
    let error = Error::Conflict { option, with: "HotClasses" };
    table.refused("conflict", pycaffe, shape, (x, HotClasses::padded(&[0_u8, 1], 1)), error);

    // Layouts.
    for (input, error) in [
        (Rows::strided(x, 2, 3, 2), Error::Stride { argument: "logits", stride: 2, classes: 3 }),
        (Rows::strided(x, 3, 3, 3), length("logits", 9, 6)),
        (Rows::strided(x, usize::MAX, 3, 3), Error::Overflow { argument: "logits", rows: usize::MAX, stride: 3 }),
        (Rows::new(x, 4), Error::Ragged { argument: "logits", len: 6, classes: 4 }),
    ] {
        let (mut losses, mut gradient) = ([UNWRITTEN; 2], [UNWRITTEN; 6]);
        let got = softmax.losses_grad(input, t, &mut losses, RowsMut::new(&mut gradient, 3));
        table.see("layout", got == Err(error), || format!("{got:?}, should be {error:?}"));
        table.see("layout", losses == [UNWRITTEN; 2] && gradient == [UNWRITTEN; 6], || "written".into());
    }
    let (mut losses, mut gradient) = ([UNWRITTEN; 3], [UNWRITTEN; 6]);
    let input = Rows::new(x, 3);
    let got = softmax.losses_grad(input, t, &mut losses, RowsMut::new(&mut gradient, 3));
    table.see("length of losses", got == Err(length("losses", 2, 3)), || format!("{got:?}"));
    let got = softmax.losses_grad(input, t, &mut losses[..2], RowsMut::new(&mut gradient, 2));
    let error = Error::Shape { argument: "gradient", expected: (2, 3), found: (3, 2) };
    table.see("shape of gradient", got == Err(error), || format!("{got:?}"));
    table.see("layout", losses == [UNWRITTEN; 3] && gradient == [UNWRITTEN; 6], || "written".into());
}

/// A row that is alone may have any stride.
#[test]
fn largest_strides() {
    for backend in backends() {
        for classes in 1..=2 {
            let x = &[3.0, 3.0][..classes];
            let (rows, mut y) = (Rows::strided(x, 1, classes, usize::MAX), [UNWRITTEN; 2]);
            let y = &mut y[..classes];
            Softmax::new().backend(backend).forward(rows, RowsMut::strided(y, 1, classes, usize::MAX)).unwrap();
            assert_eq!(y, &[1.0 / classes as f32; 2][..classes]);
            let loss = SoftmaxCrossEntropy::new().backend(backend);
            let totals = loss.loss_grad(rows, rows, RowsMut::strided(y, 1, classes, usize::MAX)).unwrap();
            assert_eq!(totals.rows, 1);
            assert_eq!(y, &[0.0; 2][..classes]);
        }
    }
}

/// How far a NaN in the input reaches in the gradient.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Row,
    Element,
    Nowhere,
}

/// R4: a NaN at each of the positions `read` of the middle one of three rows leaves the others their bits, and
/// `check_finite` refuses it.
fn nan_stays<'a, K, T>(
    table: &mut Table,
    argument: &'static str,
    loss: Loss<'a, K>,
    (x, targets): (&[f32], T),
    read: &[usize],
    reach: Reach,
) where
    K: Kind + Copy,
    T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
{
    let name = core::any::type_name::<K>();
    let classes = x.len() / 3;
    for backend in backends() {
        let loss = loss.reduction(Reduction::Sum).backend(backend);
        let clean = call(name, loss.check_finite(true), (3, classes), x, targets).unwrap();
        for &index in read {
            let mut x = x.to_vec();
            x[classes + index] = NAN;
            let got = call(name, loss, (3, classes), &x, targets).unwrap();
            let (mut losses, mut gradient) = (clean.losses.clone(), clean.gradient.clone());
            losses[1] = NAN;
            match reach {
                Reach::Row => gradient[classes..2 * classes].fill(NAN),
                Reach::Element => gradient[classes + index] = NAN,
                Reach::Nowhere => {}
            }
            table.see(name, same_bits(&got.losses, &losses), || format!("NaN at {index}: losses {:?}", got.losses));
            let holds = same_bits(&got.gradient, &gradient) && got.totals.sum.is_nan();
            table.see(name, holds, || format!("NaN at {index}: {got:?}"));
            for value in [NAN, INF, -INF] {
                x[classes + index] = value;
                let error = Error::NonFinite { argument, row: 1, index };
                table.refused(name, loss.check_finite(true), (3, classes), (&x, targets), error);
            }
        }
    }
}

#[test]
fn nan_stays_in_its_row() {
    const CLASSES: usize = 35;
    let mut table = Table::new();
    let mut rng = support::Rng(4);
    let (logits, p) = (rng.row(3 * CLASSES, -3.0, 3.0), rng.row(3 * CLASSES, 0.1, 0.9));
    let labels = rng.row(3 * CLASSES, 0.1, 0.9);
    let labels = Rows::new(&labels, CLASSES);
    let every: Vec<usize> = (0..CLASSES).collect();
    let classes = &[34_u16, 17, 0];
    let hot = HotClasses::padded(&[34_i32, 1, 17, 2, 0, 3], 2);

    let softmax = SoftmaxCrossEntropy::new();
    for softmax in [softmax, softmax.empty_row(EmptyRow::Zero), softmax.label_smoothing(0.25)] {
        nan_stays(&mut table, "logits", softmax, (&logits, classes), &every, Reach::Row);
        nan_stays(&mut table, "logits", softmax, (&logits, labels), &every, Reach::Row);
    }
    let multi_label = MultiLabelSoftmaxCrossEntropy::new();
    nan_stays(&mut table, "logits", multi_label, (&logits, labels), &every, Reach::Row);
    nan_stays(&mut table, "logits", multi_label, (&logits, hot), &every, Reach::Row);
    let pycaffe = multi_label.gradient(MultiLabelGradient::PyCaffeCompat);
    nan_stays(&mut table, "logits", pycaffe, (&logits, labels), &every, Reach::Row);
    let sigmoid = SigmoidCrossEntropy::new();
    nan_stays(&mut table, "logits", sigmoid, (&logits, labels), &every, Reach::Element);
    for (policy, ..) in POLICIES {
        let probability = ProbabilityCrossEntropy::new().log_clamp(policy);
        nan_stays(&mut table, "probabilities", probability, (&p, classes), &[17], Reach::Element);
        nan_stays(&mut table, "probabilities", probability, (&p, labels), &every, Reach::Element);
        let binary = ProbabilityBinaryCrossEntropy::new().log_clamp(policy);
        nan_stays(&mut table, "probabilities", binary, (&p, labels), &every, Reach::Element);
    }
    // The gradient of NLL does not depend on the input.
    nan_stays(&mut table, "log_probabilities", NllLoss::new(), (&logits, classes), &[17], Reach::Nowhere);

    // `check_finite` looks at dense labels, too.
    let (x, t) = (&[0.5; 6], [0.5, 0.5, 0.5, 0.5, NAN, 0.5]);
    let (t, error) = (Rows::new(&t, 3), Error::NonFinite { argument: "targets", row: 1, index: 1 });
    table.refused("softmax", softmax.check_finite(true), (2, 3), (x, t), error);
    table.refused("multi-label", multi_label.check_finite(true), (2, 3), (x, t), error);
    table.refused("sigmoid", sigmoid.check_finite(true), (2, 3), (x, t), error);
    table.refused("probability", ProbabilityCrossEntropy::new().check_finite(true), (2, 3), (x, t), error);
    table.refused("binary", ProbabilityBinaryCrossEntropy::new().check_finite(true), (2, 3), (x, t), error);
}

/// R5: NaN in the first of two rows, which is ignored or has no weight: the second is as if by itself, the first is 0
/// (+0 to the bit), and the checks of values pass it over.
#[test]
fn ignored_rows_are_not_read() {
    /// `lone`: the loss and the targets for the second row by itself; `rows`: how many count.
    fn see<'a, K, T, U>(
        table: &mut Table,
        name: &str,
        loss: Loss<'a, K>,
        (x, targets): (&[f32; 4], T),
        lone: (Loss<'a, K>, U),
        rows: usize,
    ) where
        K: Kind + Copy,
        T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
        U: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
    {
        for backend in backends() {
            let alone = call(name, lone.0.backend(backend), (1, 2), &x[2..], lone.1).unwrap();
            let losses = [&[0.0], &alone.losses[..]].concat();
            let gradient = [&[0.0, 0.0], &alone.gradient[..]].concat();
            let loss = loss.backend(backend);
            for loss in [loss, loss.check_finite(true).validate(true)] {
                let got = call(name, loss, (2, 2), x, targets);
                let Some(got) = table.accepted(name, backend, got) else { continue };
                let holds = got.totals == Totals { rows, ..alone.totals };
                let holds = holds && same_bits(&got.losses, &losses) && same_bits(&got.gradient, &gradient);
                table.see(name, holds, || format!("({backend}) is {got:?}, alone {alone:?}"));
            }
        }
    }
    let mut table = Table::new();
    let t = &mut table;
    let (logits, p, log_p) = (&[NAN, INF, 0.5, -0.25], &[NAN, 7.0, 0.5, 0.25], &[NAN, 7.0, -0.5, -0.25]);
    let weights = [0.0, 1.0];
    let (one, ignored, zero_one) = (&[1_i32], &[-100_i32, 1], &[0_i32, 1]);
    let (lone, dense, nan) = ([0.75, 0.25], [0.0, 0.0, 0.75, 0.25], [NAN, -7.0, 0.75, 0.25]);
    let (lone, dense, nan) = (Rows::new(&lone, 2), Rows::new(&dense, 2), Rows::new(&nan, 2));
    let (lone_hot, hot) = (HotClasses::padded(&[1_i32, 0], 2), HotClasses::padded(&[-100_i32, -100, 1, 0], 2));

    let plain = SoftmaxCrossEntropy::new();
    for loss in [plain, plain.label_smoothing(0.25)] {
        see(t, "softmax, ignore index", loss.ignore_index(-100), (logits, ignored), (loss, one), 1);
        see(t, "softmax, ignore index in range", loss.ignore_index(0), (logits, zero_one), (loss, one), 1);
        see(t, "softmax, row weight 0", loss.row_weights(&weights), (logits, zero_one), (loss, one), 2);
    }
    see(t, "softmax, class weight 0", plain.class_weights(&weights), (logits, zero_one), (plain, one), 2);
    let loss = plain.reduction(Reduction::MeanOverNonZeroWeights);
    see(t, "softmax of labels, row weight 0", loss.row_weights(&weights), (logits, nan), (loss, lone), 2);

    let loss = MultiLabelSoftmaxCrossEntropy::new();
    see(t, "multi-label, no positives", loss, (logits, dense), (loss, lone), 1);
    see(t, "multi-label, row weight 0", loss.row_weights(&weights), (logits, nan), (loss, lone), 2);
    see(t, "multi-label, nothing listed", loss.ignore_index(-100), (logits, hot), (loss, lone_hot), 1);

    let loss = SigmoidCrossEntropy::new().reduction(Reduction::MeanOverWeights);
    see(t, "sigmoid, row weight 0", loss.row_weights(&weights), (logits, nan), (loss, lone), 2);
    let loss = ProbabilityBinaryCrossEntropy::new().reduction(Reduction::MeanOverWeights);
    see(t, "binary, row weight 0", loss.row_weights(&weights), (p, nan), (loss, lone), 2);

    let loss = ProbabilityCrossEntropy::new();
    see(t, "probability, ignore index", loss.ignore_index(-100), (p, ignored), (loss, one), 1);
    see(t, "probability, row weight 0", loss.row_weights(&weights), (p, zero_one), (loss, one), 2);
    see(t, "probability, class weight 0", loss.class_weights(&weights), (p, zero_one), (loss, one), 2);
    see(t, "probability of labels, row weight 0", loss.row_weights(&weights), (p, nan), (loss, lone), 2);
    let loss = NllLoss::new();
    see(t, "nll, ignore index", loss.ignore_index(-100), (log_p, ignored), (loss, one), 1);
    see(t, "nll, row weight 0", loss.row_weights(&weights), (log_p, zero_one), (loss, one), 2);
    see(t, "nll, class weight 0", loss.class_weights(&weights), (log_p, zero_one), (loss, one), 2);
}

/// R7: a fully masked row between two others, under both policies.
#[test]
fn fully_masked_rows() {
    fn see<'a, K, T>(table: &mut Table, name: &str, both: [Loss<'a, K>; 2], targets: T)
    where
        K: Kind + Copy,
        T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
    {
        let ordinary = &[1.0, 2.0, 0.5, -0.5, 0.25, 1.0, 3.0, -1.0, 0.0];
        let mut masked = *ordinary;
        masked[3..6].fill(-INF);
        let mut half_masked = masked;
        half_masked[4] = NAN;
        for backend in backends() {
            for (loss, policy) in both.into_iter().zip([EmptyRow::Nan, EmptyRow::Zero]) {
                // A sum: the gradients of the others do not depend on what is counted.
                let loss = loss.reduction(Reduction::Sum).backend(backend);
                let [ordinary, got, nan] =
                    [ordinary, &masked, &half_masked].map(|x| call(name, loss, (3, 3), x, targets).unwrap());
                let (of_masked, used) = match policy {
                    EmptyRow::Nan => (NAN, 3),
                    EmptyRow::Zero => (0.0, 2),
                };
                // NaN is no mask: a row that holds one is NaN under both.
                for (got, value, used) in [(got, of_masked, used), (nan, NAN, 3)] {
                    let Outcome { mut losses, mut gradient, .. } = ordinary.clone();
                    losses[1] = value;
                    gradient[3..6].fill(value);
                    let holds = same_bits(&got.losses, &losses) && same_bits(&got.gradient, &gradient);
                    let holds = holds && got.totals.rows == used && got.totals.weight == used as f64;
                    table.see(name, holds, || format!("{policy:?} ({backend}): {got:?}"));
                }
            }
        }
    }

    let mut table = Table::new();
    let labels = [0.5, 0.5, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0];
    let labels = Rows::new(&labels, 3);
    let loss = SoftmaxCrossEntropy::new();
    let both = [loss, loss.empty_row(EmptyRow::Zero)];
    see(&mut table, "softmax, class index", both, &[0_u8, 1, 2]);
    see(&mut table, "softmax, labels", both, labels);
    let smoothed = both.map(|loss| loss.label_smoothing(0.25));
    see(&mut table, "softmax, smoothed class index", smoothed, &[0_u8, 1, 2]);
    see(&mut table, "softmax, smoothed labels", smoothed, labels);
    let loss = MultiLabelSoftmaxCrossEntropy::new();
    let both = [loss, loss.empty_row(EmptyRow::Zero)];
    see(&mut table, "multi-label, labels", both, labels);
    see(&mut table, "multi-label, listed", both, HotClasses::padded(&[0_u8, 1, 1, 2, 2, 0], 2));
    let pycaffe = both.map(|loss| loss.gradient(MultiLabelGradient::PyCaffeCompat));
    see(&mut table, "multi-label, as PyCaffe", pycaffe, labels);

    // Activations of a table.
    let x = [1.0, -INF, 2.0, -INF, -INF, -INF, 2.0, 1.0, -INF];
    for backend in backends() {
        for (policy, p, log) in [(EmptyRow::Nan, GNAN, GNAN), (EmptyRow::Zero, 0.0, -GINF)] {
            let softmax = Softmax::new().empty_row(policy).backend(backend);
            let log_softmax = LogSoftmax::new().empty_row(policy).backend(backend);
            let (mut y, mut log_y) = ([UNWRITTEN; 9], [UNWRITTEN; 9]);
            softmax.forward(Rows::new(&x, 3), RowsMut::new(&mut y, 3)).unwrap();
            log_softmax.forward(Rows::new(&x, 3), RowsMut::new(&mut log_y, 3)).unwrap();
            table.values("softmax", "y", backend, &y, &[P1, 0.0, P2, p, p, p, P2, P1, 0.0]);
            let golden = [-L1, -GINF, -L2, log, log, log, -L2, -L1, -GINF];
            table.values("log-softmax", "y", backend, &log_y, &golden);
            let (mut in_place, mut log_in_place) = (x, x);
            softmax.forward_in_place(RowsMut::new(&mut in_place, 3)).unwrap();
            log_softmax.forward_in_place(RowsMut::new(&mut log_in_place, 3)).unwrap();
            table.see("softmax", same_bits(&y, &in_place), || format!("in place {in_place:?}"));
            table.see("log-softmax", same_bits(&log_y, &log_in_place), || format!("in place {log_in_place:?}"));

            // The sum of the upstream gradient is 8 in the first and the last row.
            let (y, log_y, dy) =
                (Rows::new(&y, 3), Rows::new(&log_y, 3), [8.0, 0.0, 0.0, -1.0, NAN, INF, 0.0, 0.0, 8.0]);
            let (mut dx, mut log_dx) = (dy, [UNWRITTEN; 9]);
            softmax.backward_from_output_in_place(y, RowsMut::new(&mut dx, 3)).unwrap();
            log_softmax.backward_from_output(log_y, Rows::new(&dy, 3), RowsMut::new(&mut log_dx, 3)).unwrap();
            let left_out = if policy == EmptyRow::Zero { 0.0 } else { GNAN };
            table.see("softmax backward", dx[3..6].iter().all(|&dx| agrees(dx, left_out, 1.0)), || text(&dx));
            let p = [8.0 - 8.0 * P1, 0.0, -8.0 * P2, left_out, left_out, left_out, -8.0 * P2, -8.0 * P1, 8.0];
            table.within("log-softmax backward", "dx", backend, &log_dx, &p, 8.0);
            let mut log_dx_in_place = dy;
            log_softmax.backward_from_output_in_place(log_y, RowsMut::new(&mut log_dx_in_place, 3)).unwrap();
            table.see("log-softmax backward", same_bits(&log_dx, &log_dx_in_place), || text(&log_dx_in_place));
        }
        let mut out = [UNWRITTEN; 3];
        LogSumExp::new().backend(backend).forward(Rows::new(&x, 3), &mut out).unwrap();
        table.values("log-sum-exp", "out", backend, &out, &[2.0 + L2, -GINF, 2.0 + L2]);
    }
}

/// A class with logit -inf has the gradient 0 whatever is multiplied with it, and so has the right side of a sigmoid.
#[test]
fn factors_bring_nothing_back() {
    for backend in backends() {
        for factor in [1e-30, 1.0_f32, 5.4e11, 5.6e11, 1e20, f32::MAX] {
            for classes in [2_usize, 3, 10, 33, 128, 129, 1000, (1 << 18) + 3] {
                let name = format!("{classes} classes times {factor:e} ({backend})");
                let mut x: Vec<f32> = (0..classes).map(|i| if i % 2 == 0 { 0.5 } else { -INF }).collect();
                let ones = classes.div_ceil(2) as f64;
                // Not 0 as a probability times the largest factors.
                if classes > 2 {
                    x[classes - 1 - classes % 2] = -95.0;
                }
                let ordinary = f64::from(factor) / ones;
                let small = f64::from(factor) * (-95.5_f64).exp() / ones;
                let see = |dx: &[f32], class: usize| {
                    for (i, (&x, &dx)) in x.iter().zip(dx).enumerate().filter(|&(i, _)| i != class) {
                        let golden = if x == -INF {
                            0.0
                        } else if x == -95.0 {
                            small
                        } else {
                            ordinary
                        };
                        let error = if golden == 0.0 { f64::from(dx.abs()) } else { ulp_error(dx, golden) };
                        assert!(error == 0.0 || golden != 0.0 && error < 8.0, "{name}: {dx:e} for {golden:e} at {i}");
                    }
                };
                let mut dx = vec![UNWRITTEN; classes];
                let log_sum_exp = LogSumExp::new().backend(backend);
                let x = Rows::new(&x, classes);
                log_sum_exp.backward_from_input(x, &[factor], RowsMut::new(&mut dx, classes)).unwrap();
                see(&dx, classes);
                let loss = SoftmaxCrossEntropy::new().backend(backend).grad_scale(factor);
                loss.loss_grad(x, &[0_u8], RowsMut::new(&mut dx, classes)).unwrap();
                see(&dx, 0);
                let mut labels = vec![0.0; classes];
                labels[0] = 1.0;
                loss.loss_grad(x, Rows::new(&labels, classes), RowsMut::new(&mut dx, classes)).unwrap();
                see(&dx, 0);
            }
            for classes in [1, 10, 33, 300] {
                let pos_weight = factor.min(9e18); // up to 2^63
                let loss = SigmoidCrossEntropy::new().backend(backend).reduction(Reduction::Sum).pos_weight(pos_weight);
                let mut dx = vec![UNWRITTEN; classes];
                loss.loss_grad(&*vec![INF; classes], &*vec![1.0; classes], &mut *dx).unwrap();
                assert!(dx.iter().all(|&dx| dx == 0.0), "sigmoid, {classes} classes times {pos_weight:e} ({backend})");
            }
        }
    }
}

/// R8: the mean of nothing is 0, its gradient +0, and the denominator tells.
#[test]
fn means_of_nothing() {
    let mut table = Table::new();
    let nothing: (&[f64], &[f64]) = (&[0.0; 2], &[0.0; 4]);
    let x = &[NAN, 1.0, 2.0, 3.0];
    let weights = [0.0; 2];
    let labels = Rows::new(&[0.5, 0.25, 0.5, 0.75], 2);
    let ignored = Rows::new(&[-1.0; 4], 2);
    let softmax = SoftmaxCrossEntropy::new().ignore_index(255);
    let sigmoid = SigmoidCrossEntropy::new().ignore_value(-1.0);
    // The reduction; its denominator where all rows are ignored, and where all have weight 0 (by rows, by elements).
    for (reduction, if_ignored, rows, elements) in [
        (Reduction::Sum, 0.0, 0.0, 0.0),
        (Reduction::MeanOverWeights, 0.0, 0.0, 0.0),
        (Reduction::MeanOverRows, 0.0, 2.0, 2.0),
        (Reduction::MeanOverAllRows, 2.0, 2.0, 2.0),
        (Reduction::MeanOverElements, 0.0, 4.0, 4.0),
        (Reduction::MeanOverNonZeroWeights, 0.0, 0.0, 0.0),
        (Reduction::MeanOver(0.0), 0.0, 0.0, 0.0),
        (Reduction::MeanOver(8.0), 8.0, 8.0, 8.0),
    ] {
        let name = &text(&reduction);
        let none = if let Reduction::MeanOver(d) = reduction { d } else { 0.0 };
        let (softmax, sigmoid) = (softmax.reduction(reduction), sigmoid.reduction(reduction));
        table.batch(name, softmax, (0, 2), (&[], &[0_u8; 0]), (&[], &[]), (none, 0));
        table.batch(name, sigmoid, (0, 2), (&[], Rows::strided(&[], 0, 2, 2)), (&[], &[]), (none, 0));
        table.batch(name, softmax, (2, 2), (x, &[255_u8; 2]), nothing, (if_ignored, 0));
        table.batch(name, sigmoid, (2, 2), (x, ignored), nothing, (if_ignored, 0));
        let multi_label = MultiLabelSoftmaxCrossEntropy::new().reduction(reduction);
        table.batch(name, multi_label, (2, 2), (x, Rows::new(&[0.0; 4], 2)), nothing, (if_ignored, 0));
        let probability = ProbabilityCrossEntropy::new().ignore_index(255).reduction(reduction);
        table.batch(name, probability, (2, 2), (x, &[255_u8; 2]), nothing, (if_ignored, 0));
        let nll = NllLoss::new().ignore_index(255).reduction(reduction);
        table.batch(name, nll, (2, 2), (x, &[255_u8; 2]), nothing, (if_ignored, 0));

        for softmax in [softmax.row_weights(&weights), softmax.class_weights(&weights)] {
            table.batch(name, softmax, (2, 2), (x, &[0_u8, 1]), nothing, (rows, 2));
        }
        for sigmoid in [sigmoid.row_weights(&weights), sigmoid.class_weights(&weights)] {
            table.batch(name, sigmoid, (2, 2), (x, labels), nothing, (elements, 2));
        }
        let binary = ProbabilityBinaryCrossEntropy::new().reduction(reduction);
        for binary in [binary.row_weights(&weights), binary.class_weights(&weights)] {
            table.batch(name, binary, (2, 2), (x, labels), nothing, (elements, 2));
        }
    }
    // A denominator of 0 for a sum that is not: the mean and the gradient are 0 all the same.
    let loss = SoftmaxCrossEntropy::new().reduction(Reduction::MeanOver(0.0));
    let golden: (&[f64], &[f64]) = (&[L1, L2], &[0.0; 4]);
    table.batch("MeanOver(0)", loss, (2, 2), (&[1.0, 2.0, 3.0, 4.0], &[0_u8, 1]), golden, (0.0, 2));
}

/// The same batch, and the same refusals, with indices of every integer type.
#[test]
fn indices_of_every_integer_type() {
    let mut table = Table::new();
    let x = &[1.0, -INF, 2.0, NAN, INF, -INF, 2.0, 1.0, -INF];
    let golden: (&[f64], &[f64]) = (&[L1, 0.0, L2], &[-P2, 0.0, P2, 0.0, 0.0, 0.0, -P1, P1, 0.0]);
    let sum = SoftmaxCrossEntropy::new().reduction(Reduction::Sum);
    macro_rules! widths {
        ($($integer:ty: $sentinel:expr;)*) => {$(
            let name = stringify!($integer);
            let sentinel: $integer = $sentinel;
            let index = i64::try_from(sentinel).unwrap();
            let classes: [$integer; 3] = [0, sentinel, 0];
            let loss = sum.ignore_index(index);
            table.batch(name, loss, (3, 3), (x, &classes), golden, (2.0, 2));
            table.batch(name, loss, (3, 3), (x, &classes[..]), golden, (2.0, 2));
            table.batch(name, loss, (3, 3), (x, ClassIndices::from(&classes)), golden, (2.0, 2));
            table.batch(name, loss, (3, 3), (x, ClassIndices::from(&classes[..])), golden, (2.0, 2));

            let nll = NllLoss::new().reduction(Reduction::Sum).ignore_index(index);
            let golden: (&[f64], &[f64]) = (&[-1.0, 0.0, -2.0], &[-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0]);
            table.batch(name, nll, (3, 3), (x, &classes), golden, (2.0, 2));
            let hot: [$integer; 6] = [0, sentinel, sentinel, sentinel, sentinel, 0];
            let golden: (&[f64], &[f64]) = (&[L1, 0.0, L2], &[-P2, 0.0, P2, 0.0, 0.0, 0.0, -P1, P1, 0.0]);
            let loss = MultiLabelSoftmaxCrossEntropy::new().reduction(Reduction::Sum).ignore_index(index);
            table.batch(name, loss, (3, 3), (x, HotClasses::padded(&hot, 2)), golden, (2.0, 2));
            table.batch(name, loss, (3, 3), (x, HotClasses::padded(&hot[..], 2)), golden, (2.0, 2));

            // The sentinel is out of range where it is not the ignore index; so are others, and the type's ends.
            let error = Error::TargetOutOfRange { row: 1, target: index, classes: 3 };
            table.refused(name, sum, (3, 3), (x, &classes), error);
            let error = Error::TargetOutOfRange { row: 2, target: 3, classes: 3 };
            let classes: [$integer; 3] = [0, sentinel, 3];
            table.refused(name, sum.ignore_index(index), (3, 3), (x, &classes), error);
            for end in [<$integer>::MIN, <$integer>::MAX].into_iter().filter(|&end| end != 0) {
                let target = i64::try_from(end).unwrap_or(i64::MAX);
                let error = Error::TargetOutOfRange { row: 1, target, classes: 3 };
                let classes: [$integer; 3] = [0, end, 0];
                table.refused(name, sum, (3, 3), (x, &classes), error);
            }
        )*};
    }
    widths! {
        u8: u8::MAX;
        u16: u16::MAX;
        u32: u32::MAX;
        u64: u32::MAX.into();
        usize: 0xffff_ffff;
        i8: -100;
        i16: -100;
        i32: -100;
        i64: -100;
        isize: -100;
    }
}

/// An index beyond `i64` is out of range, also where the ignore index is the largest `i64`.
#[test]
fn indices_beyond_i64() {
    let mut table = Table::new();
    let error = Error::TargetOutOfRange { row: 1, target: i64::MAX, classes: 2 };
    for loss in [SoftmaxCrossEntropy::new(), SoftmaxCrossEntropy::new().ignore_index(i64::MAX)] {
        table.refused("u64::MAX", loss, (2, 2), (&[0.0; 4], &[0, u64::MAX]), error);
        table.refused("i64::MAX + 1", loss, (2, 2), (&[0.0; 4], &[0, 1_u64 << 63]), error);
    }
}
