//! Instruction sets: one file each, with detection and dispatch here and nowhere else.

mod scalar;

// The targets that have the vectors: Cargo.toml asks for the `wide` crate under the same condition.
#[cfg(any(target_feature = "sse2", target_feature = "simd128", all(target_arch = "aarch64", target_feature = "neon")))]
mod wide;
#[cfg(not(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
mod wide {
    //! No vectors in this target: a token that nobody can get, of a type whose kernels are there already.
    pub(super) use super::scalar::Scalar as Wide;

    pub(super) const fn detect() -> Option<Wide> {
        None
    }
}

use crate::Error;
use crate::lane::Op;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

/// Whether `mul_add` rounds once: in hardware that does, unless all targets are to give the same bits.
const FUSED: bool = cfg!(any(target_feature = "fma", all(target_arch = "aarch64", target_feature = "neon")))
    && !cfg!(feature = "cross-platform-bits");

/// An instruction set that this machine has: the proof that it may be used.
///
/// | name | lanes | where | family |
/// |---|---|---|---|
/// | `scalar` | 1 | everywhere | separate; fused where the build has FMA |
/// | `wide` | 4 | x86 with SSE2, AArch64 with NEON, wasm with simd128 | separate; fused on NEON and where the build has FMA |
///
/// Every backend of a family gives the same bits: the *separate* family rounds a multiplication before the addition
/// behind it, the *fused* family ([`is_fused`](Self::is_fused)) rounds once. With the cargo feature
/// `cross-platform-bits` there is the separate family alone.
///
/// A backend is chosen for one configuration (`.backend(b)` on every activation and loss), for the whole program
/// ([`force`](Self::force)), or at build time with `RUSTFLAGS='--cfg xent_backend="scalar"'`. Left alone, calls take the
/// fastest there is.
///
/// ```
/// use xent::{Backend, Sigmoid};
///
/// for backend in Backend::available() {
///     let mut y = [0.0; 3];
///     Sigmoid::new().backend(backend).forward(&[-1.0, 0.0, 1.0], &mut y)?;
///     assert_eq!(y[1], 0.5);
/// }
/// assert!(Backend::named("abacus").is_err());
/// # Ok::<(), xent::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar(scalar::Scalar),
    Wide(wide::Wide),
}

/// Position in `NAMES` of the backend forced for the program, or `AUTOMATIC`.
static FORCED: AtomicU8 = AtomicU8::new(AUTOMATIC);
const AUTOMATIC: u8 = u8::MAX;

impl Backend {
    /// One lane: there is no machine without it.
    ///
    /// ```
    /// assert_eq!(xent::Backend::available().next(), Some(xent::Backend::SCALAR));
    /// ```
    pub const SCALAR: Self = Self(Kind::Scalar(scalar::TOKEN));

    /// Every backend that this version knows, slowest first, whether this machine has it or not.
    ///
    /// ```
    /// for name in xent::Backend::NAMES {
    ///     println!("{name}: {}", if xent::Backend::named(name).is_ok() { "here" } else { "elsewhere" });
    /// }
    /// ```
    pub const NAMES: [&'static str; 2] = ["scalar", "wide"];

    /// The backend at a position of `NAMES`, if this machine has it.
    fn nth(position: usize) -> Option<Self> {
        match position {
            0 => Some(Self::SCALAR),
            1 => wide::detect().map(Kind::Wide).map(Self),
            _ => None,
        }
    }

    const fn position(self) -> u8 {
        match self.0 {
            Kind::Scalar(_) => 0,
            Kind::Wide(_) => 1,
        }
    }

    /// The backends that this machine has, slowest first.
    ///
    /// ```
    /// use xent::Backend;
    ///
    /// assert_eq!(Backend::available().next(), Some(Backend::SCALAR));
    /// assert!(Backend::available().all(|backend| Backend::NAMES.contains(&backend.name())));
    /// ```
    pub fn available() -> impl DoubleEndedIterator<Item = Self> {
        (0..Self::NAMES.len()).filter_map(Self::nth)
    }

    /// The backend of that name.
    ///
    /// # Errors
    /// [`Error::BackendUnavailable`] where there is none or this machine lacks it.
    ///
    /// ```
    /// use xent::{Backend, Error};
    ///
    /// assert_eq!(Backend::named("scalar")?, Backend::SCALAR);
    /// assert_eq!(Backend::named("abacus"), Err(Error::BackendUnavailable));
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Self, Error> {
        Self::available().find(|backend| backend.name() == name).ok_or(Error::BackendUnavailable)
    }

    /// The backend that calls take when nothing else is asked for: the one of the build, else the one forced for the
    /// program, else the fastest.
    ///
    /// ```
    /// let backend = xent::Backend::active();
    /// println!("computing on {backend}");
    /// assert!(xent::Backend::available().any(|available| available == backend));
    /// ```
    #[inline]
    pub fn active() -> Self {
        if cfg!(xent_backend = "scalar") {
            return Self::SCALAR;
        }
        // Relaxed: the value stands for itself, no other memory depends on it.
        match FORCED.load(Ordering::Relaxed) {
            AUTOMATIC => Self::available().next_back(),
            position => Self::nth(position.into()),
        }
        .unwrap_or(Self::SCALAR)
    }

    /// Makes this the backend of every later call of the program that does not name one, unless the build named one.
    ///
    /// ```
    /// use xent::Backend;
    ///
    /// Backend::SCALAR.force();
    /// assert_eq!(Backend::active(), Backend::SCALAR);
    /// ```
    pub fn force(self) {
        FORCED.store(self.position(), Ordering::Relaxed);
    }

    /// Undoes [`force`](Self::force).
    ///
    /// ```
    /// use xent::Backend;
    ///
    /// let before = Backend::active();
    /// Backend::SCALAR.force();
    /// Backend::unforce();
    /// assert_eq!(Backend::active(), before);
    /// ```
    pub fn unforce() {
        FORCED.store(AUTOMATIC, Ordering::Relaxed);
    }

    /// Its name, one of [`NAMES`](Self::NAMES).
    ///
    /// ```
    /// assert_eq!(xent::Backend::SCALAR.name(), "scalar");
    /// ```
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar(_) => "scalar",
            Kind::Wide(_) => "wide",
        }
    }

    /// Whether it multiplies and adds with one rounding.
    ///
    /// ```
    /// use xent::{Backend, Sigmoid};
    ///
    /// let sigmoid = |backend| {
    ///     let mut x = [0.1, -2.0, 3.7];
    ///     Sigmoid::new().backend(backend).forward_in_place(&mut x).map(|()| x)
    /// };
    /// for backend in Backend::available().filter(|backend| backend.is_fused() == Backend::SCALAR.is_fused()) {
    ///     assert_eq!(sigmoid(backend)?, sigmoid(Backend::SCALAR)?); // one family, the same bits
    /// }
    /// # Ok::<(), xent::Error>(())
    /// ```
    pub const fn is_fused(self) -> bool {
        FUSED
    }

    /// Runs an operation on its lanes: the one dispatch, once a call.
    #[inline(always)]
    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        match self.0 {
            Kind::Scalar(token) => op.run(token),
            Kind::Wide(token) => op.run(token),
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
