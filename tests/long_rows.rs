//! Rows long enough for the other ways through them: more than a block of 128 elements, from where on all exponentials are
//! added up, and those of a lane again where it alone has reached 1; more than 2^14, where this is done part by part; more
//! than 2^18, of which the fused family finds the statistics with one read of memory; and more than 2^21, where the blocks
//! of that begin to grow. Against the reference, and the same bits in a family.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::oracle::shifted;
use support::{Rng, Worst, backends, same_bits, to_f64, ulp, usual_bound};
use xent::loss::{Kind, Loss, Target};
use xent::{Backend, IntoTargets, LogSoftmax, LogSumExp, Softmax, SoftmaxCrossEntropy, reference};

const LENGTHS: [usize; 20] = [
    129,
    130,
    255,
    256,
    257,
    300,
    384,
    511,
    512,
    513,
    2047,
    2048,
    2049,
    4096,
    5003,
    (2 << 14) + 5003,
    1 << 18,
    (1 << 18) + 1,
    BEYOND_THE_CACHES,
    LONGEST,
];
/// Read once for its statistics; neither whole blocks nor whole vectors.
const BEYOND_THE_CACHES: usize = (1 << 18) + 5003;
/// Of this, few rows, for the time.
const LONGEST: usize = (1 << 21) + 5003;

/// Where in a row of some length its largest elements are.
type Largest = fn(usize) -> Vec<usize>;

const PLACES: [Largest; 8] = [
    |_| vec![0],
    |len| vec![len - 1],
    |len| vec![len / 2],
    |len| vec![0, len - 1],
    // In many lanes: all but one are summed.
    |len| (0..7).map(|i| i * (len / 7)).collect(),
    |len| (len / 3..len / 3 + 5).collect(),
    // In one lane: all are counted.
    |len| (0..7).map(|i| len / 2 + 16 * i - 48).collect(),
    |len| vec![len - 1, len - 17, 16 + (len - 1) % 16],
];

fn rows(len: usize) -> Vec<Vec<f32>> {
    let mut rng = Rng(len as u64);
    let mut rows = vec![vec![1.5; len], rng.row(len, -10.0, 10.0)];
    // Ever larger: each block has another maximum.
    rows.push((0..len).map(|i| 20.0 * i as f32 / len as f32).collect());
    // One lane alone reaches 1, although the others are more than that together.
    rows.push((0..len).map(|i| if i == len / 3 { 0.0 } else { -(len as f32 / 8.0).ln() }).collect());
    if len == LONGEST {
        return rows;
    }
    for places in PLACES {
        // Nearly certain, and not at all.
        for (low, high) in [(-40.0, -20.0), (-1.0, 0.0)] {
            let mut row = rng.row(len, low, high);
            for place in places(len) {
                row[place] = 0.25;
            }
            row[len / 5] = f32::NEG_INFINITY;
            rows.push(row);
        }
    }
    rows
}

fn softmax(backend: Backend, x: &[f32]) -> Vec<f32> {
    let (mut apart, mut in_place) = (vec![7.0; x.len()], x.to_vec());
    Softmax::new().backend(backend).forward(x, &mut apart).unwrap();
    Softmax::new().backend(backend).forward_in_place(&mut in_place).unwrap();
    assert!(same_bits(&apart, &in_place), "{backend}, {} elements: in place", x.len());
    apart
}

#[test]
fn are_near_the_reference() {
    for len in LENGTHS {
        for (n, x) in rows(len).iter().enumerate() {
            let exact_x = to_f64(x);
            let (mut p, mut log_p) = (vec![0.0; len], vec![0.0; len]);
            reference::softmax(&exact_x, &mut p);
            reference::log_softmax(&exact_x, &mut log_p);
            // What rounding the distance to the largest costs is not counted.
            let largest = exact_x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let allowed = |i: usize| if exact_x[i].is_finite() { (largest - exact_x[i]) / 16_777_216.0 } else { 0.0 };
            let class = (0..len).find(|&i| exact_x[i] == largest).unwrap();
            let loss = -log_p[class];

            for backend in backends() {
                let got = softmax(backend, x);
                let mut worst = Worst::new();
                for (i, &y) in got.iter().enumerate() {
                    let near = f64::from(y).clamp(p[i] * (1.0 - allowed(i)), p[i] * (1.0 + allowed(i)));
                    worst.see(y, near, || format!("element {i} of {len}, row {n}"));
                }
                assert!(worst.ulp <= usual_bound("softmax"), "{backend}: {:.3} ULP at {}", worst.ulp, worst.at);

                let mut gradient = vec![7.0; len];
                let totals =
                    SoftmaxCrossEntropy::new().backend(backend).loss_grad(x, &[class as u64], &mut gradient).unwrap();
                let error = (totals.sum - loss).abs() / ulp(loss);
                assert!(
                    error <= usual_bound("softmax loss"),
                    "{backend}: loss {:e} of row {n}, exactly {loss:e}",
                    totals.sum
                );
                let alone = SoftmaxCrossEntropy::new().backend(backend).loss(x, &[class as u64]).unwrap();
                assert_eq!(alone, totals, "{backend}, row {n} of {len}");
                for (i, &g) in gradient.iter().enumerate() {
                    if i == class {
                        let exact = -(-loss).exp_m1().abs();
                        let error = (f64::from(g) - exact).abs() / ulp(exact);
                        assert!(
                            error <= usual_bound("softmax loss gradient"),
                            "{backend}: {g:e} of row {n}, exactly {exact:e}"
                        );
                    } else {
                        assert_eq!(g.to_bits(), got[i].to_bits(), "{backend}: element {i} of {len}, row {n}");
                    }
                }
            }
        }
    }
}

/// The least finite number is what stands for a maximum until one is found.
#[test]
fn the_least_number_is_a_maximum() {
    for len in LENGTHS.into_iter().filter(|&len| len <= 5003) {
        for place in [0, len / 2, len - 1] {
            let (mut x, mut expected) = (vec![f32::NEG_INFINITY; len], vec![0.0; len]);
            (x[place], expected[place]) = (f32::MIN, 1.0);
            for backend in backends() {
                assert_eq!(softmax(backend, &x), expected, "{backend}: {place} of {len}");
                let totals = SoftmaxCrossEntropy::new().backend(backend).loss(&x, &[place as u64]).unwrap();
                assert_eq!(totals.sum, 0.0, "{backend}: {place} of {len}");
            }
        }
    }
}

#[test]
fn have_the_same_bits_in_a_family() {
    for len in LENGTHS {
        let mut rows = rows(len);
        rows.push(vec![f32::NEG_INFINITY; len]);
        for fault in [f32::NAN, f32::INFINITY] {
            let mut row = vec![0.5; len];
            row[len / 2] = fault;
            rows.push(row);
        }
        for (n, x) in rows.iter().enumerate() {
            for is_fused in [false, true] {
                let mut first: Option<[Vec<f32>; 3]> = None;
                for backend in backends().into_iter().filter(|backend| backend.is_fused() == is_fused) {
                    let (mut log, mut log_in_place) = (vec![7.0; len], x.clone());
                    LogSoftmax::new().backend(backend).forward(x, &mut log).unwrap();
                    LogSoftmax::new().backend(backend).forward_in_place(&mut log_in_place).unwrap();
                    assert!(same_bits(&log, &log_in_place), "{backend}, {len} elements: in place");
                    let mut losses = [0.0];
                    SoftmaxCrossEntropy::new().backend(backend).losses(x, &[3_u8], &mut losses).unwrap();
                    let new = [softmax(backend, x), log, losses.to_vec()];
                    let same = first.as_ref().is_none_or(|old| old.iter().zip(&new).all(|(a, b)| same_bits(a, b)));
                    assert!(same, "{backend}: row {n} of {len}");
                    first = Some(new);
                }
            }
        }
    }
}

/// Scales so small that they are applied in two products, the second in a pass of its own, give the gradient that they
/// should, subnormal where it is that small: of a class like others, and of one that is nearly certain.
#[test]
fn have_small_gradients_for_small_scales() {
    for (len, is_certain) in [129, 1000, BEYOND_THE_CACHES].into_iter().flat_map(|len| [(len, false), (len, true)]) {
        let class = len / 3;
        let mut x = Rng(len as u64 + 1).row(len, -10.0, 10.0);
        if is_certain {
            x[class] = 40.0;
        }
        let s = shifted(&x);
        let (mut q, mut of_loss, mut p) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
        reference::one_hot(class, &mut q);
        reference::softmax_cross_entropy_grad(&s, &q, &mut of_loss);
        reference::softmax(&s, &mut p);
        for (backend, scale) in backends().into_iter().flat_map(|backend| [1e-10, 1e-30, 1e-38].map(|s| (backend, s))) {
            let loss = SoftmaxCrossEntropy::new().grad_scale(scale).backend(backend);
            let lse = LogSumExp::new().backend(backend);
            let targets = [class as u64];
            let [mut gradient, mut dx] = [(); 2].map(|()| vec![7.0; len]);
            let [mut gradient_in_place, mut dx_in_place] = [(); 2].map(|()| x.clone());
            loss.loss_grad(&x, &targets, &mut gradient).unwrap();
            loss.loss_grad_in_place(&mut gradient_in_place, &targets).unwrap();
            lse.backward_from_input(&x, &[scale], &mut dx).unwrap();
            lse.backward_from_input_in_place(&[scale], &mut dx_in_place).unwrap();
            assert!(same_bits(&gradient_in_place, &gradient) && same_bits(&dx_in_place, &dx), "{backend}: in place");
            for (name, got, exact) in [("loss", gradient, &of_loss), ("log_sum_exp", dx, &p)] {
                let mut worst = Worst::new();
                for (i, (&got, &exact)) in got.iter().zip(exact).enumerate() {
                    worst.see(got, exact * f64::from(scale), || format!("element {i} of {len}"));
                }
                // One more for the scale.
                let bound = usual_bound("softmax loss gradient") + 1.0;
                worst.assert(&format!("{name}, gradient times {scale} on {backend}"), bound);
            }
        }
    }
}

/// The loss of labels q that are not negative and its gradient, apart and in place.
fn assert_loss_is_near<'a, K, T>(loss: Loss<'a, K>, targets: T, x: &[f32], q: &[f64])
where
    K: Kind + Copy,
    T: IntoTargets<'a, Targets: Target<'a, K>> + Copy,
{
    let s = shifted(x);
    let (mut p, mut exact) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    reference::softmax(&s, &mut p);
    reference::softmax_cross_entropy_grad(&s, q, &mut exact);
    let (exact_loss, total) = (reference::softmax_cross_entropy(&s, q), reference::sum(q));
    for backend in backends() {
        let loss = loss.backend(backend);
        let (mut gradient, mut in_place) = (vec![7.0; x.len()], x.to_vec());
        let totals = loss.loss_grad(x, targets, &mut gradient).unwrap();
        assert_eq!(loss.loss_grad_in_place(&mut in_place, targets), Ok(totals), "{backend}");
        assert!(same_bits(&in_place, &gradient), "{backend}: in place");

        let (mut losses, mut gradients) = (Worst::new(), Worst::new());
        losses.see_error((totals.sum - exact_loss).abs() / ulp(exact_loss), || format!("{totals:?}"));
        for (i, (&got, &exact)) in gradient.iter().zip(&exact).enumerate() {
            // In ULP of the larger of its terms T p and q; a class that has all the labels has none that cancel.
            let terms = if q[i] == total { 0.0 } else { q[i].max(total * p[i]) };
            let error = (f64::from(got) - exact).abs() / ulp(exact.abs().max(terms));
            gradients.see_error(error, || format!("element {i}: {got:e}, exactly {exact:e}"));
        }
        losses.assert(&format!("loss on {backend}"), usual_bound("softmax loss"));
        gradients.assert(&format!("gradient on {backend}"), usual_bound("softmax loss gradient"));
    }
}

#[test]
fn have_losses_near_the_reference_with_any_labels() {
    let (len, smoothing) = (BEYOND_THE_CACHES, 0.1_f32);
    let mut rng = Rng(11);
    let mut certain = rng.row(len, -40.0, -20.0);
    let class = len / 3;
    certain[class] = 0.25;
    let labels: Vec<f32> = (0..len).map(|i| if i % 3 == 0 { 0.0 } else { rng.uniform(0.0, 1.0) }).collect();
    let mut q = vec![0.0; len];
    for x in [rng.row(len, -10.0, 10.0), certain] {
        let loss = SoftmaxCrossEntropy::new();
        assert_loss_is_near(loss, &labels[..], &x, &to_f64(&labels));
        reference::one_hot(class, &mut q);
        assert_loss_is_near(loss, &[class as u64], &x, &q);
        reference::smooth(smoothing.into(), &mut q);
        assert_loss_is_near(loss.label_smoothing(smoothing), &[class as u64], &x, &q);
    }
}
