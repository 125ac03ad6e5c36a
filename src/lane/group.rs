//! Vectors side by side: one operation on all of them, then the next.
//!
//! An operation waits some cycles for the one before it in its own vector, and there are many such operations in an
//! exponential. Those of the other vectors of the group fill that time without looking far ahead for them.

use super::{Arithmetic, Lane};

/// Vectors of `L` as one.
pub(crate) trait Group<L: Lane>: Arithmetic {
    /// How many: one or four.
    const VECTORS: usize;

    fn lane(self) -> L;
    /// Of the vectors that `f` gives for each position.
    fn of(self, f: impl FnMut(usize) -> L::V) -> Self::V;
    /// The same vector at all positions.
    fn repeat(self, a: L::V) -> Self::V;
    /// Gives `f` the vectors with their positions.
    fn for_each(self, group: Self::V, f: impl FnMut(usize, L::V));
    /// `f(f(0, 1), f(2, 3))`
    fn reduce(self, group: Self::V, f: impl Fn(L::V, L::V) -> L::V) -> L::V;

    /// The vectors added up, in that order.
    #[inline(always)]
    fn sum(self, group: Self::V) -> L::V {
        let l = self.lane();
        self.reduce(
            group,
            #[inline(always)]
            |a, b| l.add(a, b),
        )
    }
}

/// A vector alone.
impl<L: Lane> Group<L> for L {
    const VECTORS: usize = 1;

    #[inline(always)]
    fn lane(self) -> L {
        self
    }
    #[inline(always)]
    fn of(self, mut f: impl FnMut(usize) -> L::V) -> L::V {
        f(0)
    }
    #[inline(always)]
    fn repeat(self, a: L::V) -> L::V {
        a
    }
    #[inline(always)]
    fn for_each(self, group: L::V, mut f: impl FnMut(usize, L::V)) {
        f(0, group);
    }
    #[inline(always)]
    fn reduce(self, group: L::V, _: impl Fn(L::V, L::V) -> L::V) -> L::V {
        group
    }
}

/// Four vectors.
#[derive(Clone, Copy)]
pub(crate) struct Four<L>(pub(crate) L);

impl<L: Lane> Group<L> for Four<L> {
    const VECTORS: usize = 4;

    #[inline(always)]
    fn lane(self) -> L {
        self.0
    }
    #[inline(always)]
    fn of(self, mut f: impl FnMut(usize) -> L::V) -> [L::V; 4] {
        [f(0), f(1), f(2), f(3)]
    }
    #[inline(always)]
    fn repeat(self, a: L::V) -> [L::V; 4] {
        [a; 4]
    }
    #[inline(always)]
    fn for_each(self, [a, b, c, d]: [L::V; 4], mut f: impl FnMut(usize, L::V)) {
        f(0, a);
        f(1, b);
        f(2, c);
        f(3, d);
    }
    #[inline(always)]
    fn reduce(self, [a, b, c, d]: [L::V; 4], f: impl Fn(L::V, L::V) -> L::V) -> L::V {
        f(f(a, b), f(c, d))
    }
}

/// Operations vector by vector.
macro_rules! by_vector {
    ($($name:ident $(<const $bits:ident: u32>)? ($($x:ident: $in:ident),*) -> $out:ident;)*) => {$(
        #[inline(always)]
        fn $name $(<const $bits: u32>)? (self, $($x: Self::$in),*) -> Self::$out {
            let l = self.0;
            by_vector!(@ l $name [$($bits)?] $($x)*)
        }
    )*};
    (@ $l:ident $name:ident [$($bits:ident)?] $a:ident) => {{
        let [a, b, c, d] = $a;
        [$l.$name$(::<$bits>)?(a), $l.$name$(::<$bits>)?(b), $l.$name$(::<$bits>)?(c), $l.$name$(::<$bits>)?(d)]
    }};
    (@ $l:ident $name:ident [] $a:ident $b:ident) => {{
        let ([a, b, c, d], [e, f, g, h]) = ($a, $b);
        [$l.$name(a, e), $l.$name(b, f), $l.$name(c, g), $l.$name(d, h)]
    }};
    (@ $l:ident $name:ident [] $a:ident $b:ident $c:ident) => {{
        let ([a, b, c, d], [e, f, g, h], [i, j, k, m]) = ($a, $b, $c);
        [$l.$name(a, e, i), $l.$name(b, f, j), $l.$name(c, g, k), $l.$name(d, h, m)]
    }};
}

impl<L: Lane> Arithmetic for Four<L> {
    type V = [L::V; 4];
    type M = [L::M; 4];
    const FUSED: bool = L::FUSED;

    by_vector! {
        add(a: V, b: V) -> V;
        sub(a: V, b: V) -> V;
        mul(a: V, b: V) -> V;
        div(a: V, b: V) -> V;
        mul_add(a: V, b: V, c: V) -> V;
        max(a: V, b: V) -> V;
        min(a: V, b: V) -> V;
        gt(a: V, b: V) -> M;
        eq(a: V, b: V) -> M;
        is_negative(a: V) -> M;
        select(mask: M, yes: V, no: V) -> V;
        bits_and(a: V, b: V) -> V;
        bits_or(a: V, b: V) -> V;
        bits_xor(a: V, b: V) -> V;
        bits_add(a: V, b: V) -> V;
        bits_sub(a: V, b: V) -> V;
        bits_shl<const BITS: u32>(a: V) -> V;
        bits_shr<const BITS: u32>(a: V) -> V;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [L::V; 4] {
        [self.0.splat(x); 4]
    }
    #[inline(always)]
    fn pick(self, table: &[f32; 4], [a, b, c, d]: [L::V; 4]) -> [L::V; 4] {
        let l = self.0;
        [l.pick(table, a), l.pick(table, b), l.pick(table, c), l.pick(table, d)]
    }
    #[inline(always)]
    fn scale(self, [a, b, c, d]: [L::V; 4], [e, f, g, h]: [L::V; 4]) -> Option<[L::V; 4]> {
        let l = self.0;
        Some([l.scale(a, e)?, l.scale(b, f)?, l.scale(c, g)?, l.scale(d, h)?])
    }
}
