//! Instruction sets: one file each, with the choice among them and the dispatch here and nowhere else.

mod scalar;

// Cargo.toml asks for the `wide` crate under the same condition.
#[cfg_attr(
    not(any(
        target_feature = "sse2",
        target_feature = "simd128",
        all(target_arch = "aarch64", target_feature = "neon")
    )),
    path = "absent.rs"
)]
mod wide;

#[cfg_attr(not(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse2")), path = "absent_x86.rs")]
mod x86;

use crate::Error;
use crate::lane::Op;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use x86::{avx2, avx512, fused_scalar};

/// Whether the build has FMA everywhere, and all targets need not give the same bits.
const BUILD_IS_FUSED: bool = cfg!(any(target_feature = "fma", all(target_arch = "aarch64", target_feature = "neon")))
    && !cfg!(feature = "cross-platform-bits");

/// An instruction set that this machine has: the proof that it may be used.
///
/// | name | lanes | where | family |
/// |---|---|---|---|
/// | `fused_scalar` | 1 | x86 with SSE2, where the build has no FMA | fused, in software |
/// | `scalar` | 1 | everywhere | separate; fused where the build has FMA |
/// | `wide` | 4 | x86 with SSE2, AArch64 with NEON, wasm with simd128 | separate; fused on NEON and where the build has FMA |
/// | `avx2` | 8 | x86 with AVX2 and FMA, asked when the program runs | fused |
/// | `avx512` | 16 | x86 with AVX-512 F, BW, DQ and VL, and F16C, asked when the program runs | fused |
///
/// Every backend of a family gives the same bits: the *separate* family rounds a multiplication before the addition
/// behind it, the *fused* family ([`is_fused`](Self::is_fused)) rounds once. With the cargo feature
/// `cross-platform-bits` there is the separate family alone.
///
/// A backend is chosen for one configuration (`.backend(b)` on every activation and loss), for the whole program
/// ([`force`](Self::force)), or at build time with `RUSTFLAGS='--cfg xent_backend="scalar"'`. Left alone, calls take
/// the fastest there is.
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
    FusedScalar(fused_scalar::Token),
    Scalar(scalar::Token),
    Wide(wide::Token),
    Avx2(avx2::Token),
    Avx512(avx512::Token),
}

/// Position in `NAMES` of the backend forced for the program, or `AUTOMATIC`.
static FORCED: AtomicU8 = AtomicU8::new(AUTOMATIC);
const AUTOMATIC: u8 = u8::MAX;

impl Backend {
    /// One lane: there is no machine without it.
    ///
    /// ```
    /// assert!(xent::Backend::available().any(|backend| backend == xent::Backend::SCALAR));
    /// ```
    pub const SCALAR: Self = Self(Kind::Scalar(scalar::TOKEN));

    /// Every backend that this version knows, slowest first, whether this machine has it or not.
    ///
    /// ```
    /// for name in xent::Backend::NAMES {
    ///     println!("{name}: {}", if xent::Backend::named(name).is_ok() { "here" } else { "elsewhere" });
    /// }
    /// ```
    pub const NAMES: &'static [&'static str] = &["fused_scalar", "scalar", "wide", "avx2", "avx512"];

    /// The backend at a position of `NAMES`, if this machine has it.
    fn nth(position: usize) -> Option<Self> {
        match position {
            0 => fused_scalar::detect().map(Kind::FusedScalar),
            1 => Some(Kind::Scalar(scalar::TOKEN)),
            2 => wide::detect().map(Kind::Wide),
            3 => avx2::detect().map(Kind::Avx2),
            4 => avx512::detect().map(Kind::Avx512),
            _ => None,
        }
        .map(Self)
    }

    const fn position(self) -> u8 {
        match self.0 {
            Kind::FusedScalar(_) => 0,
            Kind::Scalar(_) => 1,
            Kind::Wide(_) => 2,
            Kind::Avx2(_) => 3,
            Kind::Avx512(_) => 4,
        }
    }

    /// The backends that this machine has, slowest first.
    ///
    /// ```
    /// use xent::Backend;
    ///
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
    /// program, else the fastest. That is not `avx512` for up to eight short rows, of which `avx2` makes the same bits in
    /// less time.
    ///
    /// ```
    /// let backend = xent::Backend::active();
    /// println!("computing on {backend}");
    /// assert!(xent::Backend::available().any(|available| available == backend));
    /// ```
    #[inline]
    pub fn active() -> Self {
        Self::active_for(usize::MAX)
    }

    /// [`active`](Self::active) for what can use so many lanes.
    #[inline]
    fn active_for(width: usize) -> Self {
        if cfg!(xent_backend = "scalar") {
            return Self::SCALAR;
        }
        // `avx2` gives the same bits as `avx512`, and a processor may take twice the time for twice the lanes, full or not.
        let suits = |backend: &Self| width > 8 || !matches!(backend.0, Kind::Avx512(_));
        // Relaxed: the value stands for itself, no other memory depends on it.
        match FORCED.load(Ordering::Relaxed) {
            AUTOMATIC => Self::available().rfind(suits),
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
            Kind::FusedScalar(_) => "fused_scalar",
            Kind::Scalar(_) => "scalar",
            Kind::Wide(_) => "wide",
            Kind::Avx2(_) => "avx2",
            Kind::Avx512(_) => "avx512",
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
        match self.0 {
            Kind::FusedScalar(_) => true,
            Kind::Scalar(_) | Kind::Wide(_) => BUILD_IS_FUSED,
            Kind::Avx2(_) | Kind::Avx512(_) => !cfg!(feature = "cross-platform-bits"),
        }
    }

    /// Runs an operation on the lanes asked for, or on those that suit it: the one dispatch, once a call.
    #[inline(always)]
    pub(crate) fn run<O: Op>(asked: Option<Self>, op: &mut O) -> O::Out {
        match asked.unwrap_or_else(|| Self::active_for(op.width())).0 {
            Kind::FusedScalar(token) => fused_scalar::run(token, op),
            Kind::Scalar(token) => scalar::run(token, op),
            Kind::Wide(token) => wide::run(token, op),
            Kind::Avx2(token) => avx2::run(token, op),
            Kind::Avx512(token) => avx512::run(token, op),
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
