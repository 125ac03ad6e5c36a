//! Every activation, loss and gradient of this crate in plain scalar `f64`, straight from the formulas.
//!
//! Read this module to learn what the rest of the crate computes; compare with it to test the rest.
//! It shares no code with the kernels. Nothing here is fast.
//!
//! Source of the numbered formulas: Raúl Gómez, *Understanding Categorical Cross-Entropy Loss, Binary
//! Cross-Entropy Loss, Softmax Loss, Logistic Loss, Focal Loss and all those confusing names*.
//!
//! # Formulas
//!
//! A model gives one score, a *logit*, for each of C classes: a row s. Labels t say what is true: a row
//! of zeros with a one at the right class (*one-hot*), or any other numbers.
//!
//! ```text
//! Activations turn logits into probabilities.
//!   (1)  σ(x)    = 1 / (1 + e^−x)                      sigmoid: each logit for itself
//!   (2)  p_i     = e^s_i / Σ_j e^s_j                   softmax: all classes of a row together
//!
//! Cross-entropy compares probabilities p with labels t.
//!   (3)  CE      = −Σ_i t_i ln p_i
//!   (4)  CE      = −t ln p − (1 − t) ln(1 − p)         two classes, p and t given for one of them
//!
//! Softmax cross-entropy is (3) of (2); one class c is right.
//!   (5)  CE      = −ln p_c
//!   (6)  ∂CE/∂s_c = p_c − 1                            the right class
//!   (7)  ∂CE/∂s_n = p_n                                every other class
//!
//! Sigmoid cross-entropy is (4) of (1); each class is a question of its own.
//!   (8)  CE      = −t ln σ(x) − (1 − t) ln(1 − σ(x))
//!   (9)  CE      = −ln σ(x) if t = 1,  −ln(1 − σ(x)) if t = 0
//!   (10) ∂CE/∂x  = t (σ(x) − 1) + (1 − t) σ(x)
//! ```
//!
//! Typed in as they stand they overflow for large logits, and small losses cancel to 0. The same
//! formulas in a form that does neither, with m = s_k the largest logit and r = Σ_{j≠k} e^(s_j − m):
//!
//! ```text
//!   (A)  1 − σ(x)  = σ(−x)
//!   (B)  −ln σ(x)  = softplus(−x),  softplus(x) = ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|)
//!   (C)  ln p_i    = (s_i − m) − ln(1 + r),   p_i = e^(s_i − m) / (1 + r),   1 − p_k = r / (1 + r)
//!   (D)  ∂CE/∂s_i  = T p_i − q_i                       any labels q with T = Σ_j q_j; (6), (7) for one-hot
//!   (E)            = p_i Σ_{j≠i} q_j − q_i (1 − p_i)   the same, for p_i near 1
//! ```
//!
//! In (C) every exponent is ≤ 0, so nothing overflows, and r leaves out the 1 of the largest logit: a
//! loss of 10⁻³⁰ is in r whole, while 1 + r would have rounded it away before the logarithm. For the same
//! reason ln(1 + r) is `log1p(r)`.
//!
//! # Labels, weights, smoothing
//!
//! There is one softmax cross-entropy, for a row q of any real numbers. What other libraries call options
//! are ways to make that row: [`one_hot`], then [`smooth`], then [`weigh`] with the class weights. A sum
//! over rows becomes a mean with the denominator of your choice: [`mean`].
//!
//! # Special cases
//!
//! - A term with weight 0 is 0, also where the other factor is infinite: a class with logit −∞ and label 0 costs
//!   nothing.
//! - A NaN in a row of logits makes the loss and all gradients of that row NaN, whatever the labels.
//! - A row with a logit +∞, or with nothing but −∞, has no softmax (∞/∞, 0/0): all NaN.
//! - A logit −∞ has probability exactly 0; as the right class it costs +∞ and its gradient is −1.
//! - A row of one class: probability 1, loss 0, gradient 0.
//! - An empty row: nothing is written, sums are 0, `log_sum_exp` is −∞.
//! - Losses that are zero are +0.
//! - Gradients from outputs ([`softmax_backward`], [`log_softmax_backward`]) are plain IEEE arithmetic: 0·∞ in them is
//!   NaN.
//! - Slices that belong together have the same length. Where they do not, the surplus is left alone. Nothing here
//!   panics.
//!
//! # Accuracy
//!
//! A few units in the last place of `f64` (relative 10⁻¹⁵), tails and subnormal results included, beyond
//! what rounding `s_i − m` costs (relative |s_i − m|·2⁻⁵³). Sums carry their rounding error along, so long
//! rows lose nothing. Gradients are as exact relative to the larger of the two terms they subtract.

use libm::{exp, expm1, log, log1p};

// ---------------------------------------------------------------------------------------------------
// Sigmoid and its relatives
// ---------------------------------------------------------------------------------------------------

/// The logistic function (1): `σ(x) = 1 / (1 + e^−x) = e^x / (1 + e^x)`.
///
/// The first form for x ≥ 0, the second below: neither overflows. σ(−∞) = 0, σ(+∞) = 1.
///
/// ```
/// use xent::reference::sigmoid;
/// assert_eq!(sigmoid(0.0), 0.5);
/// assert_eq!(sigmoid(-700.0), libm::exp(-700.0));
/// ```
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + exp(-x))
    } else {
        let e = exp(x);
        e / (1.0 + e)
    }
}

/// `σ′(x) = σ(x) (1 − σ(x)) = σ(x) σ(−x)`, by (A).
///
/// ```
/// use xent::reference::sigmoid_derivative;
/// assert_eq!(sigmoid_derivative(0.0), 0.25);
/// assert_eq!(sigmoid_derivative(40.0), sigmoid_derivative(-40.0)); // not 0
/// ```
#[must_use]
pub fn sigmoid_derivative(x: f64) -> f64 {
    sigmoid(x) * sigmoid(-x)
}

/// `ln σ(x) = −softplus(−x)`, by (B). Never above 0; 0 at +∞, −∞ at −∞.
///
/// ```
/// use xent::reference::log_sigmoid;
/// assert_eq!(log_sigmoid(0.0), -libm::log(2.0));
/// assert_eq!(log_sigmoid(88.0), -libm::exp(-88.0)); // −6.05e-39, though σ(88) rounds to 1
/// assert_eq!(log_sigmoid(-1e9), -1e9); // though σ(−1e9) rounds to 0
/// ```
#[must_use]
pub fn log_sigmoid(x: f64) -> f64 {
    0.0 - softplus(-x) // and not −softplus(−x), which is −0 at +∞
}

/// `(ln σ)′(x) = 1 − σ(x) = σ(−x)`, by (A).
///
/// ```
/// use xent::reference::log_sigmoid_derivative;
/// assert_eq!(log_sigmoid_derivative(0.0), 0.5);
/// assert_eq!(log_sigmoid_derivative(f64::NEG_INFINITY), 1.0);
/// ```
#[must_use]
pub fn log_sigmoid_derivative(x: f64) -> f64 {
    sigmoid(-x)
}

/// `softplus(x) = ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|)`, (B).
///
/// Both terms are ≥ 0, so nothing cancels.
///
/// ```
/// use xent::reference::softplus;
/// assert_eq!(softplus(0.0), libm::log(2.0));
/// assert_eq!(softplus(1000.0), 1000.0);
/// assert_eq!(softplus(-100.0), libm::exp(-100.0));
/// ```
#[must_use]
pub fn softplus(x: f64) -> f64 {
    // `max` drops a NaN; the second term brings it back.
    x.max(0.0) + log1p(exp(-x.abs()))
}

/// `softplus′(x) = σ(x)`.
///
/// ```
/// use xent::reference::softplus_derivative;
/// assert_eq!(softplus_derivative(0.0), 0.5);
/// ```
#[must_use]
pub fn softplus_derivative(x: f64) -> f64 {
    sigmoid(x)
}

// ---------------------------------------------------------------------------------------------------
// Softmax and its relatives: one row of logits
// ---------------------------------------------------------------------------------------------------

/// What (C) needs to know of a row of logits.
struct Row {
    /// k, the class with the largest logit; the first of them if several share it.
    top: usize,
    /// m = s_k.
    max: f64,
    /// r = Σ_{j≠k} e^(s_j − m); NaN for a row that has no softmax.
    rest: f64,
}

impl Row {
    fn new(s: &[f64]) -> Self {
        let (top, max) = largest(s);
        let rest = if max.is_finite() { total(except(top, s.iter().map(|s_j| exp(s_j - max)))) } else { f64::NAN };
        Row { top, max, rest }
    }

    /// p_i of (C), for the logit s_i.
    fn p(&self, s_i: f64) -> f64 {
        exp(s_i - self.max) / (1.0 + self.rest)
    }

    /// ln p_i of (C), for the logit s_i.
    fn log_p(&self, s_i: f64) -> f64 {
        (s_i - self.max) - log1p(self.rest)
    }

    /// 1 − p_k of (C): the probability that it is *not* the top class.
    fn not_top(&self) -> f64 {
        self.rest / (1.0 + self.rest)
    }
}

/// Log-sum-exp: `lse(s) = ln Σ_j e^s_j = m + ln(1 + r)`.
///
/// NaN if there is a NaN; else +∞ if there is a +∞; −∞ if the row is empty or all −∞.
///
/// ```
/// use xent::reference::log_sum_exp;
/// assert_eq!(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + libm::log(2.0));
/// assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
/// ```
#[must_use]
pub fn log_sum_exp(s: &[f64]) -> f64 {
    let row = Row::new(s);
    if row.max.is_finite() { row.max + log1p(row.rest) } else { row.max }
}

/// Gradient of [`log_sum_exp`], times the gradient `d` from above: `ds_i = d p_i`.
///
/// ```
/// use xent::reference::log_sum_exp_backward;
/// let mut ds = [0.0; 2];
/// log_sum_exp_backward(&[3.0, 3.0], 10.0, &mut ds);
/// assert_eq!(ds, [5.0, 5.0]);
/// ```
pub fn log_sum_exp_backward(s: &[f64], d: f64, ds: &mut [f64]) {
    let row = Row::new(s);
    for (ds_i, &s_i) in ds.iter_mut().zip(s) {
        *ds_i = d * row.p(s_i);
    }
}

/// Softmax (2): `p_i = e^s_i / Σ_j e^s_j`, in the form (C).
///
/// ```
/// use xent::reference::softmax;
/// let mut p = [0.0; 3];
/// softmax(&[1000.0, 1000.0, f64::NEG_INFINITY], &mut p);
/// assert_eq!(p, [0.5, 0.5, 0.0]);
/// ```
pub fn softmax(s: &[f64], p: &mut [f64]) {
    let row = Row::new(s);
    for (p_i, &s_i) in p.iter_mut().zip(s) {
        *p_i = row.p(s_i);
    }
}

/// Gradient of [`softmax`] from its output `p` and the gradient `dp` from above:
/// `ds_i = p_i (dp_i − Σ_j p_j dp_j)`.
///
/// ```
/// use xent::reference::softmax_backward;
/// let mut ds = [0.0; 2];
/// softmax_backward(&[0.5, 0.5], &[1.0, 0.0], &mut ds);
/// assert_eq!(ds, [0.25, -0.25]);
/// ```
pub fn softmax_backward(p: &[f64], dp: &[f64], ds: &mut [f64]) {
    let mean_dp = total(p.iter().zip(dp).map(|(p_j, dp_j)| p_j * dp_j));
    for ((ds_i, &p_i), &dp_i) in ds.iter_mut().zip(p).zip(dp) {
        *ds_i = p_i * (dp_i - mean_dp);
    }
}

/// Log-softmax, the logarithm of (2): `ln p_i = (s_i − m) − ln(1 + r)`, (C).
///
/// ```
/// use xent::reference::log_softmax;
/// let mut lp = [0.0; 2];
/// log_softmax(&[0.0, -100.0], &mut lp);
/// assert_eq!(lp[0], -libm::exp(-100.0)); // not 0
/// assert_eq!(lp[1], -100.0);
/// ```
pub fn log_softmax(s: &[f64], lp: &mut [f64]) {
    let row = Row::new(s);
    for (lp_i, &s_i) in lp.iter_mut().zip(s) {
        *lp_i = row.log_p(s_i);
    }
}

/// Gradient of [`log_softmax`] from its output `lp` and the gradient `dlp` from above:
/// `ds_i = dlp_i − p_i Σ_j dlp_j` with `p_i = e^lp_i`.
///
/// For the likeliest class as `dlp_i (1 − p_i) − p_i Σ_{j≠i} dlp_j`, which is (E).
///
/// ```
/// use xent::reference::log_softmax_backward;
/// let half = -libm::log(2.0);
/// let mut ds = [0.0; 2];
/// log_softmax_backward(&[half, half], &[-1.0, 0.0], &mut ds); // (6) and (7)
/// assert!((ds[0] + 0.5).abs() < 1e-15 && (ds[1] - 0.5).abs() < 1e-15);
/// ```
pub fn log_softmax_backward(lp: &[f64], dlp: &[f64], ds: &mut [f64]) {
    let (top, _) = largest(lp);
    let sum_dlp = sum(dlp);
    let sum_others = total(except(top, dlp.iter().copied()));
    for (i, ((ds_i, &lp_i), &dlp_i)) in ds.iter_mut().zip(lp).zip(dlp).enumerate() {
        *ds_i = if i == top { dlp_i * -expm1(lp_i) - exp(lp_i) * sum_others } else { dlp_i - exp(lp_i) * sum_dlp };
    }
}

// ---------------------------------------------------------------------------------------------------
// Labels
// ---------------------------------------------------------------------------------------------------

/// The label row of one class: `t_c = 1` for the class, 0 for every other. All 0 if there is no such
/// class.
///
/// ```
/// use xent::reference::one_hot;
/// let mut t = [0.0; 3];
/// one_hot(1, &mut t);
/// assert_eq!(t, [0.0, 1.0, 0.0]);
/// ```
pub fn one_hot(class: usize, t: &mut [f64]) {
    t.fill(0.0);
    if let Some(t_c) = t.get_mut(class) {
        *t_c = 1.0;
    }
}

/// Label smoothing: `t_c ← (1 − ε) t_c + ε / C`.
///
/// ```
/// use xent::reference::smooth;
/// let mut t = [0.0, 1.0];
/// smooth(0.5, &mut t);
/// assert_eq!(t, [0.25, 0.75]);
/// ```
pub fn smooth(epsilon: f64, t: &mut [f64]) {
    let share = epsilon / t.len() as f64;
    for t_c in t {
        *t_c = *t_c * (1.0 - epsilon) + share;
    }
}

/// Class weights: `t_c ← w_c t_c`. After [`smooth`], so that a class keeps its weight wherever its term
/// stands.
///
/// ```
/// use xent::reference::weigh;
/// let mut t = [0.25, 0.75];
/// weigh(&[4.0, 2.0], &mut t);
/// assert_eq!(t, [1.0, 1.5]);
/// ```
pub fn weigh(class_weights: &[f64], t: &mut [f64]) {
    for (t_c, w_c) in t.iter_mut().zip(class_weights) {
        *t_c *= w_c;
    }
}

/// `T = Σ_c t_c`, the sum of a label row.
///
/// ```
/// use xent::reference::sum;
/// assert_eq!(sum(&[2.0, 0.0, 0.5]), 2.5);
/// ```
#[must_use]
pub fn sum(t: &[f64]) -> f64 {
    total(t.iter().copied())
}

/// M, the number of positive classes: those whose label is not 0.
///
/// ```
/// use xent::reference::count_nonzero;
/// assert_eq!(count_nonzero(&[2.0, 0.0, 0.5]), 2.0);
/// ```
#[must_use]
pub fn count_nonzero(t: &[f64]) -> f64 {
    t.iter().filter(|&&t_c| t_c != 0.0).count() as f64
}

// ---------------------------------------------------------------------------------------------------
// Softmax cross-entropy: logits in, one loss for the row
// ---------------------------------------------------------------------------------------------------

/// Softmax cross-entropy, (3) of (2): `CE = −Σ_c q_c ln p_c`, with ln p_c by (C).
///
/// For a one-hot row this is (5). The labels q may be any real numbers: smoothed, weighted, negative, of
/// any sum.
///
/// ```
/// use xent::reference::softmax_cross_entropy;
/// assert_eq!(softmax_cross_entropy(&[7.0, 7.0], &[1.0, 0.0]), libm::log(2.0));
///
/// let sure = softmax_cross_entropy(&[40.0, 0.0, 0.0], &[1.0, 0.0, 0.0]);
/// assert_eq!(sure, 2.0 * libm::exp(-40.0)); // 8.5e-18, not 0
/// ```
#[must_use]
pub fn softmax_cross_entropy(s: &[f64], q: &[f64]) -> f64 {
    let row = Row::new(s);
    total(s.iter().zip(q).map(|(&s_c, &q_c)| -weighted(q_c, row.log_p(s_c))))
}

/// Gradient of [`softmax_cross_entropy`]: `ds_i = T p_i − q_i` with `T = Σ_c q_c`, (D).
///
/// For a one-hot row this is (6) and (7). Without the T it would be wrong for every row of labels that does
/// not sum to 1. The top class uses (E), as `p_i − 1` would cancel where p_i is near 1.
///
/// ```
/// use xent::reference::softmax_cross_entropy_grad;
/// let mut ds = [0.0; 2];
/// softmax_cross_entropy_grad(&[7.0, 7.0], &[3.0, 1.0], &mut ds);
/// assert_eq!(ds, [4.0 * 0.5 - 3.0, 4.0 * 0.5 - 1.0]);
///
/// softmax_cross_entropy_grad(&[100.0, 0.0], &[1.0, 0.0], &mut ds);
/// assert_eq!(ds, [-libm::exp(-100.0), libm::exp(-100.0)]); // the first is not 0
/// ```
pub fn softmax_cross_entropy_grad(s: &[f64], q: &[f64], ds: &mut [f64]) {
    scaled_gradient(s, q.iter().copied(), 1.0, ds);
}

/// The multi-label softmax loss of the article: `CE = scale · Σ_p t_p · −ln p_p`, over the classes whose
/// label is not 0.
///
/// The article's scale is 1/M, one over the number of positive classes. 1/T makes the labels a
/// distribution; 1 leaves them as they are. `mean(1.0, count_nonzero(t))` is 1/M, and 0 for a row without
/// positive classes.
///
/// ```
/// use xent::reference::{count_nonzero, mean, multi_label_softmax};
/// let t = [1.0, 0.0, 1.0, 0.0];
/// let loss = multi_label_softmax(&[0.0; 4], &t, mean(1.0, count_nonzero(&t)));
/// assert_eq!(loss, libm::log(4.0));
/// ```
#[must_use]
pub fn multi_label_softmax(s: &[f64], t: &[f64], scale: f64) -> f64 {
    scale * softmax_cross_entropy(s, t)
}

/// Gradient of [`multi_label_softmax`]: `ds_i = scale · (T p_i − t_i)`.
///
/// For labels 0 and 1 and scale 1/M that is `p_i − 1/M` for a positive class and `p_i` for a negative one:
/// the article's two expressions. For other labels the article's own code differs: [`pycaffe_backward`].
///
/// ```
/// use xent::reference::multi_label_softmax_grad;
/// let mut ds = [0.0; 4];
/// multi_label_softmax_grad(&[0.0; 4], &[1.0, 0.0, 1.0, 0.0], 0.5, &mut ds);
/// assert_eq!(ds, [-0.25, 0.25, -0.25, 0.25]);
/// ```
pub fn multi_label_softmax_grad(s: &[f64], t: &[f64], scale: f64, ds: &mut [f64]) {
    scaled_gradient(s, t.iter().copied(), scale, ds);
}

/// The backward pass of the article's PyCaffe layer as printed: `ds_i = p_i − 1/M` where `t_i ≠ 0`, and
/// `p_i` elsewhere.
///
/// It looks only at whether a label is 0, not at its value, so it is the gradient of the loss with labels
/// `1[t ≠ 0]`: that of [`multi_label_softmax`] with scale 1/M if and only if all labels are 0 or 1. For
/// training take [`multi_label_softmax_grad`]. Without positive classes (M = 0) the printed code divides by
/// zero; here the gradient is 0.
///
/// ```
/// use xent::reference::pycaffe_backward;
/// let mut ds = [0.0; 4];
/// pycaffe_backward(&[0.0; 4], &[2.0, 0.0, 0.5, 0.0], &mut ds);
/// assert_eq!(ds, [-0.25, 0.25, -0.25, 0.25]);
/// ```
pub fn pycaffe_backward(s: &[f64], t: &[f64], ds: &mut [f64]) {
    let hot = t.iter().map(|&t_c| if t_c == 0.0 { 0.0 } else { 1.0 });
    scaled_gradient(s, hot, mean(1.0, count_nonzero(t)), ds);
}

/// `scale · (T p_i − q_i)` by (D), and for the top class by (E).
fn scaled_gradient(s: &[f64], q: impl Iterator<Item = f64> + Clone, scale: f64, ds: &mut [f64]) {
    let row = Row::new(s);
    let q = q.take(s.len());
    let sum_q = total(q.clone());
    let sum_others = total(except(row.top, q.clone()));
    for (i, ((ds_i, &s_i), q_i)) in ds.iter_mut().zip(s).zip(q).enumerate() {
        let gradient =
            if i == row.top { row.p(s_i) * sum_others - q_i * row.not_top() } else { sum_q * row.p(s_i) - q_i };
        *ds_i = scale * gradient;
    }
}

// ---------------------------------------------------------------------------------------------------
// Sigmoid cross-entropy: one logit in, its loss out
// ---------------------------------------------------------------------------------------------------

/// Sigmoid cross-entropy (8) of one logit, with a weight for positive examples:
/// `CE = w t softplus(−x) + (1 − t) softplus(x)`, where w is `pos_weight`.
///
/// By (A) and (B) that is `−w t ln σ(x) − (1 − t) ln(1 − σ(x))`. For t = 1 or 0 one term is left, (9), and
/// the other is 0 even where it would be 0·∞. Linear in t, so a t outside `[0, 1]` simply extends the line.
///
/// ```
/// use xent::reference::sigmoid_cross_entropy;
/// assert_eq!(sigmoid_cross_entropy(0.0, 1.0, 1.0), libm::log(2.0));
/// assert_eq!(sigmoid_cross_entropy(100.0, 1.0, 1.0), libm::exp(-100.0)); // not 0
/// assert_eq!(sigmoid_cross_entropy(f64::INFINITY, 1.0, 1.0), 0.0);
/// assert_eq!(sigmoid_cross_entropy(f64::INFINITY, 0.0, 1.0), f64::INFINITY);
/// ```
#[must_use]
pub fn sigmoid_cross_entropy(x: f64, t: f64, pos_weight: f64) -> f64 {
    weighted(pos_weight * t, softplus(-x)) + weighted(1.0 - t, softplus(x))
}

/// Gradient of [`sigmoid_cross_entropy`], (10) with `pos_weight` w: `(1 − t) σ(x) − w t σ(−x)`.
///
/// With w = 1 this is `σ(x) − t`, but does not cancel for t = 1 and large x.
///
/// ```
/// use xent::reference::sigmoid_cross_entropy_grad;
/// assert_eq!(sigmoid_cross_entropy_grad(0.0, 1.0, 1.0), -0.5);
/// assert_eq!(sigmoid_cross_entropy_grad(100.0, 1.0, 1.0), -libm::exp(-100.0)); // not 0
/// ```
#[must_use]
pub fn sigmoid_cross_entropy_grad(x: f64, t: f64, pos_weight: f64) -> f64 {
    (1.0 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x)
}

// ---------------------------------------------------------------------------------------------------
// Cross-entropy on probabilities
// ---------------------------------------------------------------------------------------------------

/// What to do about `ln 0` when a loss starts from probabilities.
///
/// Each variant gives the logarithm of p, and the D(p) that gradients use in place of `d ln p / dp = 1/p`.
/// Starting from logits needs none of this: see [`softmax_cross_entropy`] and [`sigmoid_cross_entropy`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clamp {
    /// `ln p`, and D = `1/p`. Probability 0 costs +∞.
    None,
    /// `max(ln p, ln ε)`, and D = `1 / max(p, ε)`: a large slope below ε. Caffe has ε = 10⁻²⁰.
    MinProb(f64),
    /// `max(ln p, ln ε)`, and D = `1/p` for p ≥ ε, else 0: no slope below ε. Keras has ε = 10⁻⁷; it also
    /// clips p near 1, which this does not.
    Clip(f64),
    /// `max(ln p, l)`, and D = `1 / max(p, 10⁻¹²)`. PyTorch has l = −100.
    MinLog(f64),
    /// `ln(p + ε)`, but not above 0 for p ≤ 1, and D = `1 / (p + ε)`. TensorFlow's `log_loss` has
    /// ε = 10⁻⁷.
    AddEps(f64),
}

/// A probability, and how far it is above 1: near 1 the second number holds the digits.
struct Probability {
    value: f64,
    minus_one: f64,
}

impl Probability {
    /// p itself.
    fn of(p: f64) -> Self {
        let value = p + 0.0; // turns −0 into 0
        Probability { value, minus_one: p - 1.0 }
    }

    /// 1 − p.
    fn opposite(p: f64) -> Self {
        Probability { value: 1.0 - p, minus_one: 0.0 - p }
    }

    fn log(&self) -> f64 {
        if self.value < 0.5 { log(self.value) } else { log1p(self.minus_one) }
    }

    /// ln min(p + ε, max(p, 1)).
    fn log_plus(&self, epsilon: f64) -> f64 {
        if self.value < 0.5 {
            log(at_most(self.value + epsilon, 1.0))
        } else {
            let cap = at_least(self.minus_one, 0.0);
            log1p(at_most(self.minus_one + epsilon, cap))
        }
    }

    fn clamped_log(&self, clamp: Clamp) -> f64 {
        match clamp {
            Clamp::None => self.log(),
            Clamp::MinProb(epsilon) | Clamp::Clip(epsilon) => at_least(self.log(), log(epsilon)),
            Clamp::MinLog(lowest) => at_least(self.log(), lowest),
            Clamp::AddEps(epsilon) => self.log_plus(epsilon),
        }
    }

    fn clamped_log_derivative(&self, clamp: Clamp) -> f64 {
        let p = self.value;
        match clamp {
            Clamp::None => 1.0 / p,
            Clamp::MinProb(epsilon) => 1.0 / at_least(p, epsilon),
            Clamp::Clip(epsilon) if p < epsilon => 0.0,
            Clamp::Clip(_) => 1.0 / p,
            Clamp::MinLog(_) => 1.0 / at_least(p, 1e-12),
            Clamp::AddEps(epsilon) => 1.0 / (p + epsilon),
        }
    }
}

/// `ln p` under a [`Clamp`]. NaN for NaN.
///
/// ```
/// use xent::reference::{Clamp, clamped_log};
/// assert_eq!(clamped_log(0.0, Clamp::None), f64::NEG_INFINITY);
/// assert_eq!(clamped_log(0.0, Clamp::MinLog(-100.0)), -100.0);
/// assert_eq!(clamped_log(0.0, Clamp::AddEps(1e-7)), libm::log(1e-7));
/// assert_eq!(clamped_log(1.0, Clamp::AddEps(1e-7)), 0.0);
/// ```
#[must_use]
pub fn clamped_log(p: f64, clamp: Clamp) -> f64 {
    Probability::of(p).clamped_log(clamp)
}

/// D(p), which stands for `d ln p / dp` under a [`Clamp`]. NaN for NaN.
///
/// ```
/// use xent::reference::{Clamp, clamped_log_derivative};
/// assert_eq!(clamped_log_derivative(0.5, Clamp::None), 2.0);
/// assert_eq!(clamped_log_derivative(0.0, Clamp::MinProb(0.25)), 4.0);
/// assert_eq!(clamped_log_derivative(0.0, Clamp::Clip(0.25)), 0.0);
/// ```
#[must_use]
pub fn clamped_log_derivative(p: f64, clamp: Clamp) -> f64 {
    Probability::of(p).clamped_log_derivative(clamp)
}

/// Cross-entropy (3) on probabilities: `CE = −Σ_c q_c ln p_c`, each logarithm under the [`Clamp`].
///
/// A class with label 0 is not read. Nothing checks that p is a distribution.
///
/// ```
/// use xent::reference::{Clamp, cross_entropy};
/// assert_eq!(cross_entropy(&[0.25, 0.75], &[1.0, 0.0], Clamp::None), libm::log(4.0));
/// assert_eq!(cross_entropy(&[1.0, 0.0], &[1.0, 0.0], Clamp::None), 0.0);
/// ```
#[must_use]
pub fn cross_entropy(p: &[f64], q: &[f64], clamp: Clamp) -> f64 {
    let used = p.iter().zip(q).filter(|&(_, &q_c)| q_c != 0.0);
    total(used.map(|(&p_c, &q_c)| -q_c * clamped_log(p_c, clamp)))
}

/// Gradient of [`cross_entropy`]: `dp_c = −q_c D(p_c)`, and 0 where the label is 0.
///
/// ```
/// use xent::reference::{Clamp, cross_entropy_grad};
/// let mut dp = [0.0; 2];
/// cross_entropy_grad(&[0.25, 0.75], &[1.0, 0.0], Clamp::None, &mut dp);
/// assert_eq!(dp, [-4.0, 0.0]);
/// ```
pub fn cross_entropy_grad(p: &[f64], q: &[f64], clamp: Clamp, dp: &mut [f64]) {
    for ((dp_c, &p_c), &q_c) in dp.iter_mut().zip(p).zip(q) {
        *dp_c = if q_c == 0.0 { 0.0 } else { 0.0 - q_c * clamped_log_derivative(p_c, clamp) };
    }
}

/// Binary cross-entropy (4) of one probability: `CE = −t ln p − (1 − t) ln(1 − p)`, both logarithms under
/// the [`Clamp`].
///
/// `ln(1 − p)` is `log1p(−p)`, so p = 1 and p = 0 are treated alike. A term with weight 0 is 0. NaN unless
/// 0 ≤ p ≤ 1.
///
/// ```
/// use xent::reference::{Clamp, binary_cross_entropy};
/// assert_eq!(binary_cross_entropy(0.5, 0.5, Clamp::None), libm::log(2.0));
/// assert_eq!(binary_cross_entropy(1.0, 1.0, Clamp::None), 0.0);
/// assert_eq!(binary_cross_entropy(1.0, 0.0, Clamp::MinLog(-100.0)), 100.0);
/// assert_eq!(binary_cross_entropy(1e-300, 0.0, Clamp::None), 1e-300);
/// ```
#[must_use]
pub fn binary_cross_entropy(p: f64, t: f64, clamp: Clamp) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let yes = weighted(t, Probability::of(p).clamped_log(clamp));
    let no = weighted(1.0 - t, Probability::opposite(p).clamped_log(clamp));
    0.0 - yes - no
}

/// Gradient of [`binary_cross_entropy`]: `−t D(p) + (1 − t) D(1 − p)`. NaN unless 0 ≤ p ≤ 1.
///
/// ```
/// use xent::reference::{Clamp, binary_cross_entropy_grad};
/// assert_eq!(binary_cross_entropy_grad(0.25, 1.0, Clamp::None), -4.0);
/// assert_eq!(binary_cross_entropy_grad(0.0, 1.0, Clamp::MinLog(-100.0)), -1e12);
/// ```
#[must_use]
pub fn binary_cross_entropy_grad(p: f64, t: f64, clamp: Clamp) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let yes = weighted(t, Probability::of(p).clamped_log_derivative(clamp));
    let no = weighted(1.0 - t, Probability::opposite(p).clamped_log_derivative(clamp));
    no - yes
}

// ---------------------------------------------------------------------------------------------------
// Negative log-likelihood, and means
// ---------------------------------------------------------------------------------------------------

/// Negative log-likelihood from log-probabilities: `−lp_c`, so that `nll(log_softmax(s), c)` is (5).
///
/// NaN if there is no such class.
///
/// ```
/// use xent::reference::nll;
/// assert_eq!(nll(&[-0.5, -2.0], 1), 2.0);
/// assert!(nll(&[-0.5, -2.0], 2).is_nan());
/// ```
#[must_use]
pub fn nll(lp: &[f64], class: usize) -> f64 {
    lp.get(class).map_or(f64::NAN, |lp_c| 0.0 - lp_c)
}

/// Gradient of [`nll`]: −1 at the class, 0 elsewhere.
///
/// ```
/// use xent::reference::nll_grad;
/// let mut dlp = [7.0; 3];
/// nll_grad(1, &mut dlp);
/// assert_eq!(dlp, [0.0, -1.0, 0.0]);
/// ```
pub fn nll_grad(class: usize, dlp: &mut [f64]) {
    dlp.fill(0.0);
    if let Some(d) = dlp.get_mut(class) {
        *d = -1.0;
    }
}

/// `sum / weight`, and 0 when the weight is 0: the mean of nothing.
///
/// ```
/// use xent::reference::mean;
/// assert_eq!(mean(3.0, 2.0), 1.5);
/// assert_eq!(mean(0.0, 0.0), 0.0);
/// ```
#[must_use]
pub fn mean(sum: f64, weight: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { sum / weight }
}

// ---------------------------------------------------------------------------------------------------
// Small tools
// ---------------------------------------------------------------------------------------------------

/// Weight times value with 0·∞ = 0. A NaN stays a NaN.
fn weighted(weight: f64, value: f64) -> f64 {
    if weight == 0.0 && value.is_infinite() { 0.0 } else { weight * value }
}

/// The larger of the two; x if it is NaN, where `f64::max` would return the bound.
fn at_least(x: f64, bound: f64) -> f64 {
    if x < bound { bound } else { x }
}

/// The smaller of the two; x if it is NaN.
fn at_most(x: f64, bound: f64) -> f64 {
    if x > bound { bound } else { x }
}

/// The first of the largest elements and its place; a NaN if there is one; (0, −∞) for an empty row.
fn largest(s: &[f64]) -> (usize, f64) {
    s.iter()
        .copied()
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (i, s_i)| if s_i > best.1 || s_i.is_nan() { (i, s_i) } else { best })
}

/// All terms but the one at `place`.
fn except(place: usize, terms: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    terms.enumerate().filter(move |&(i, _)| i != place).map(|(_, term)| term)
}

/// The sum of the terms, with what each addition rounds off added at the end (Neumaier's summation).
fn total(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    if sum.is_finite() { sum + lost } else { sum }
}
