//! xent's functions with C names, for comparisons from other languages.
//!
//! All but [`xent_backend`] return 0, or 1 where an argument is wrong; nothing is written then.

use core::ffi::c_char;
use std::ffi::{CStr, CString};
use std::sync::OnceLock;
use xent::activation::Exp;
use xent::{Backend, Error, LogSoftmax, Rows, RowsMut, Sigmoid, SigmoidCrossEntropy, Softmax, SoftmaxCrossEntropy};

/// The softmax of each row of `x` into `y`.
///
/// # Safety
/// `x` and `y` are null or point to `rows * classes` floats each, and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_softmax(x: *const f32, y: *mut f32, rows: usize, classes: usize) -> i32 {
    // SAFETY: the caller's promise.
    let tables = unsafe { (table(x, rows, classes), table_mut(y, rows, classes)) };
    let (Some(x), Some(y)) = tables else { return 1 };
    status(Softmax::new().forward(x, y))
}

/// The log-softmax of each row of `x` into `y`.
///
/// # Safety
/// `x` and `y` are null or point to `rows * classes` floats each, and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_log_softmax(x: *const f32, y: *mut f32, rows: usize, classes: usize) -> i32 {
    // SAFETY: the caller's promise.
    let tables = unsafe { (table(x, rows, classes), table_mut(y, rows, classes)) };
    let (Some(x), Some(y)) = tables else { return 1 };
    status(LogSoftmax::new().forward(x, y))
}

/// `exp` of each element of `x` into `y`.
///
/// # Safety
/// `x` and `y` are null or point to `len` floats each, and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_exp(x: *const f32, y: *mut f32, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    let tables = unsafe { (table(x, 1, len), table_mut(y, 1, len)) };
    let (Some(x), Some(y)) = tables else { return 1 };
    status(Exp::new().forward(x, y))
}

/// The sigmoid of each element of `x` into `y`.
///
/// # Safety
/// `x` and `y` are null or point to `len` floats each, and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_sigmoid(x: *const f32, y: *mut f32, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    let tables = unsafe { (table(x, 1, len), table_mut(y, 1, len)) };
    let (Some(x), Some(y)) = tables else { return 1 };
    status(Sigmoid::new().forward(x, y))
}

/// The mean softmax cross-entropy of the logits `x` for one class index a row, and its gradient into `dx`.
///
/// # Safety
/// `x` and `dx` are null or point to `rows * classes` floats each, `targets` to `rows` indices and `mean_loss` to one
/// number; nothing that is written overlaps anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_softmax_cross_entropy_grad(
    x: *const f32,
    targets: *const i64,
    dx: *mut f32,
    rows: usize,
    classes: usize,
    mean_loss: *mut f64,
) -> i32 {
    // SAFETY: the caller's promise.
    let arguments =
        unsafe { (table(x, rows, classes), slice(targets, rows), table_mut(dx, rows, classes), mean_loss.as_mut()) };
    let (Some(x), Some(targets), Some(dx), Some(mean_loss)) = arguments else { return 1 };
    status(SoftmaxCrossEntropy::new().loss_grad(x, targets, dx).map(|totals| *mean_loss = totals.mean()))
}

/// The mean sigmoid cross-entropy of the logits `x` for one label each, and its gradient into `dx`.
///
/// # Safety
/// `x`, `targets` and `dx` are null or point to `rows * classes` floats each, `mean_loss` to one number; nothing that is
/// written overlaps anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_sigmoid_cross_entropy_grad(
    x: *const f32,
    targets: *const f32,
    dx: *mut f32,
    rows: usize,
    classes: usize,
    mean_loss: *mut f64,
) -> i32 {
    // SAFETY: the caller's promise.
    let arguments = unsafe {
        (table(x, rows, classes), table(targets, rows, classes), table_mut(dx, rows, classes), mean_loss.as_mut())
    };
    let (Some(x), Some(targets), Some(dx), Some(mean_loss)) = arguments else { return 1 };
    status(SigmoidCrossEntropy::new().loss_grad(x, targets, dx).map(|totals| *mean_loss = totals.mean()))
}

/// Makes all calls use the backend of this name, if there is one here.
///
/// # Safety
/// `name` is null or points to a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xent_force_backend(name: *const c_char) -> i32 {
    if name.is_null() {
        return 1;
    }
    // SAFETY: not null, and the rest is the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    status(Backend::named(&name.to_string_lossy()).map(Backend::force))
}

/// The name of the backend that the first call of this found active. Not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn xent_backend() -> *const c_char {
    static NAME: OnceLock<CString> = OnceLock::new();
    NAME.get_or_init(|| CString::new(Backend::active().name()).unwrap_or_default()).as_ptr()
}

fn status(result: Result<(), Error>) -> i32 {
    i32::from(result.is_err())
}

/// # Safety
/// As [`slice`], with `rows * classes` floats.
unsafe fn table<'a>(x: *const f32, rows: usize, classes: usize) -> Option<Rows<'a>> {
    // SAFETY: the caller's promise.
    unsafe { slice(x, rows.checked_mul(classes)?) }.map(|x| Rows::new(x, classes))
}

/// # Safety
/// As [`table`], and nothing else refers to the floats.
unsafe fn table_mut<'a>(y: *mut f32, rows: usize, classes: usize) -> Option<RowsMut<'a>> {
    let len = rows.checked_mul(classes)?;
    // SAFETY: not null, and the rest is the caller's promise.
    (!y.is_null()).then(|| RowsMut::new(unsafe { core::slice::from_raw_parts_mut(y, len) }, classes))
}

/// # Safety
/// `x` is null or points to `len` elements that nobody changes while `'a` lasts.
unsafe fn slice<'a, T>(x: *const T, len: usize) -> Option<&'a [T]> {
    // SAFETY: not null, and the rest is the caller's promise.
    (!x.is_null()).then(|| unsafe { core::slice::from_raw_parts(x, len) })
}
