//! Vectors side by side: one operation on all of them, then the next.
//!
//! An operation waits some cycles for the one before it in its own vector, and there are many such operations in an
//! exponential. Those of the other vectors of the group fill that time without looking far ahead for them.

use super::Arithmetic;

/// Vectors of `B` as one, which may be groups themselves.
pub(crate) trait Group<B: Arithmetic>: Arithmetic {
    /// How many.
    const VECTORS: usize;
    /// What a pass takes at a time.
    type Unit: Group<B>;

    fn base(self) -> B;
    /// The vector at a position.
    fn at(self, group: Self::V, i: usize) -> B::V;
    /// Puts a vector at a position.
    fn set(self, group: &mut Self::V, i: usize, a: B::V);
    /// Of the vectors that `f` gives for each position.
    fn of(self, f: impl FnMut(usize) -> B::V) -> Self::V;
    /// The same vector at all positions.
    fn repeat(self, a: B::V) -> Self::V;
    /// Gives `f` the vectors with their positions.
    fn for_each(self, group: Self::V, f: impl FnMut(usize, B::V));
    /// A pass of its own over the vectors: `f` of some after the others.
    fn pass<const K: usize, const J: usize>(
        self,
        x: [Self::V; K],
        f: impl Fn(Self::Unit, [<Self::Unit as Arithmetic>::V; K]) -> [<Self::Unit as Arithmetic>::V; J],
    ) -> [Self::V; J];
    /// Gives `f` the masks.
    fn for_each_mask(self, masks: Self::M, f: impl FnMut(B::M));
    /// `f(f(0, 1), f(2, 3))`, and on in pairs where there are more.
    fn reduce(self, group: Self::V, f: impl Fn(B::V, B::V) -> B::V) -> B::V;

    /// The vectors added up, in that order.
    #[inline(always)]
    fn sum(self, group: Self::V) -> B::V {
        let l = self.base();
        self.reduce(
            group,
            #[inline(always)]
            |a, b| l.add(a, b),
        )
    }
}

/// [`Group::pass`] of as many vectors: of eight in two steps.
macro_rules! pass {
    (8) => {
        #[inline(always)]
        fn pass<const K: usize, const J: usize>(
            self,
            x: [Self::V; K],
            f: impl Fn(Four<B>, [[B::V; 4]; K]) -> [[B::V; 4]; J],
        ) -> [Self::V; J] {
            let zero = self.0.splat(0.0);
            let (mut low, mut high) = ([[zero; 4]; K], [[zero; 4]; K]);
            for k in 0..K {
                let of_x = (x.get(k), low.get_mut(k), high.get_mut(k));
                if let (Some(&[a, b, c, d, e, f, g, h]), Some(low), Some(high)) = of_x {
                    (*low, *high) = ([a, b, c, d], [e, f, g, h]);
                }
            }
            let (low, high) = (f(Four(self.0), low), f(Four(self.0), high));
            let mut y = [[zero; 8]; J];
            for j in 0..J {
                let of_y = (y.get_mut(j), low.get(j), high.get(j));
                if let (Some(y), Some(&[a, b, c, d]), Some(&[e, f, g, h])) = of_y {
                    *y = [a, b, c, d, e, f, g, h];
                }
            }
            y
        }
    };
    ($all_at_once:literal) => {
        #[inline(always)]
        fn pass<const K: usize, const J: usize>(
            self,
            x: [Self::V; K],
            f: impl Fn(Self, [Self::V; K]) -> [Self::V; J],
        ) -> [Self::V; J] {
            f(self, x)
        }
    };
}

/// A vector alone.
impl<A: Arithmetic> Group<A> for A {
    const VECTORS: usize = 1;
    type Unit = A;

    #[inline(always)]
    fn base(self) -> A {
        self
    }
    #[inline(always)]
    fn at(self, group: A::V, _: usize) -> A::V {
        group
    }
    #[inline(always)]
    fn set(self, group: &mut A::V, _: usize, a: A::V) {
        *group = a;
    }
    #[inline(always)]
    fn of(self, mut f: impl FnMut(usize) -> A::V) -> A::V {
        f(0)
    }
    #[inline(always)]
    fn repeat(self, a: A::V) -> A::V {
        a
    }
    #[inline(always)]
    fn for_each(self, group: A::V, mut f: impl FnMut(usize, A::V)) {
        f(0, group);
    }
    pass!(1);
    #[inline(always)]
    fn for_each_mask(self, mask: A::M, mut f: impl FnMut(A::M)) {
        f(mask);
    }
    #[inline(always)]
    fn reduce(self, group: A::V, _: impl Fn(A::V, A::V) -> A::V) -> A::V {
        group
    }
}

/// Operations vector by vector, at these positions.
macro_rules! by_vector {
    ($at:tt: $($name:ident $(<const $bits:ident: u32>)? ($($x:ident: $in:ident),*) -> $out:ident;)*) => {$(
        #[inline(always)]
        fn $name $(<const $bits: u32>)? (self, $($x: Self::$in),*) -> Self::$out {
            let l = self.0;
            by_vector!(@ $at l $name [$($bits)?] $($x)*)
        }
    )*};
    (@ [$($i:literal)*] $l:ident $name:ident [] $a:ident) => { [$($l.$name($a[$i])),*] };
    (@ [$($i:literal)*] $l:ident $name:ident [$bits:ident] $a:ident) => { [$($l.$name::<$bits>($a[$i])),*] };
    (@ [$($i:literal)*] $l:ident $name:ident [] $a:ident $b:ident) => { [$($l.$name($a[$i], $b[$i])),*] };
    (@ [$($i:literal)*] $l:ident $name:ident [] $a:ident $b:ident $c:ident) => {
        [$($l.$name($a[$i], $b[$i], $c[$i])),*]
    };
}

macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident $vectors:tt [$($i:literal)*] |$f:ident, $v:ident| $reduced:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<B>(pub(crate) B);

        impl<B: Arithmetic> Group<B> for $name<B> {
            const VECTORS: usize = $vectors;
            type Unit = Four<B>;

            #[inline(always)]
            fn base(self) -> B {
                self.0
            }
            #[inline(always)]
            fn at(self, group: Self::V, i: usize) -> B::V {
                group.get(i).map_or(self.0.splat(0.0), |&vector| vector)
            }
            #[inline(always)]
            fn set(self, group: &mut Self::V, i: usize, a: B::V) {
                if let Some(vector) = group.get_mut(i) {
                    *vector = a;
                }
            }
            #[inline(always)]
            fn of(self, mut f: impl FnMut(usize) -> B::V) -> Self::V {
                [$(f($i)),*]
            }
            #[inline(always)]
            fn repeat(self, a: B::V) -> Self::V {
                [a; $vectors]
            }
            #[inline(always)]
            fn for_each(self, group: Self::V, mut f: impl FnMut(usize, B::V)) {
                $(f($i, group[$i]);)*
            }
            pass!($vectors);
            #[inline(always)]
            fn for_each_mask(self, masks: Self::M, mut f: impl FnMut(B::M)) {
                $(f(masks[$i]);)*
            }
            #[inline(always)]
            fn reduce(self, $v: Self::V, $f: impl Fn(B::V, B::V) -> B::V) -> B::V {
                $reduced
            }
        }

        impl<B: Arithmetic> Arithmetic for $name<B> {
            type V = [B::V; $vectors];
            type M = [B::M; $vectors];
            const FUSED: bool = B::FUSED;

            by_vector! {
                [$($i)*]:
                add(a: V, b: V) -> V;
                sub(a: V, b: V) -> V;
                mul(a: V, b: V) -> V;
                div(a: V, b: V) -> V;
                mul_add(a: V, b: V, c: V) -> V;
                mul_sub(a: V, b: V, c: V) -> V;
                max(a: V, b: V) -> V;
                min(a: V, b: V) -> V;
                gt(a: V, b: V) -> M;
                eq(a: V, b: V) -> M;
                is_negative(a: V) -> M;
                select(mask: M, yes: V, no: V) -> V;
                zero_where(mask: M, a: V) -> V;
                count(mask: M, count: V) -> V;
                of_count(count: V) -> V;
                zero_below(x: V, least: V, a: V) -> V;
                zero_without(weight: V, a: V) -> V;
                to_weigh(weight: V, a: V) -> V;
                bits_and(a: V, b: V) -> V;
                bits_or(a: V, b: V) -> V;
                bits_xor(a: V, b: V) -> V;
                bits_add(a: V, b: V) -> V;
                bits_sub(a: V, b: V) -> V;
                bits_shl<const BITS: u32>(a: V) -> V;
                bits_shr<const BITS: u32>(a: V) -> V;
            }

            #[inline(always)]
            fn splat(self, x: f32) -> Self::V {
                [self.0.splat(x); $vectors]
            }
            #[inline(always)]
            fn pick_of_4(self, table: &[f32; 4], index: Self::V) -> Self::V {
                [$(self.0.pick_of_4(table, index[$i])),*]
            }
            #[inline(always)]
            fn pick_of_8(self, table: &[f32; 8], index: Self::V) -> Self::V {
                [$(self.0.pick_of_8(table, index[$i])),*]
            }
            #[inline(always)]
            fn has_none_of(self, bits: u32, group: Self::V) -> bool {
                let of_any = Group::<B>::reduce(
                    self,
                    group,
                    #[inline(always)]
                    |a, b| self.0.bits_or(a, b),
                );
                self.0.has_none_of(bits, of_any)
            }
            #[inline(always)]
            fn scale(self, a: Self::V, n: Self::V) -> Option<Self::V> {
                Some([$(self.0.scale(a[$i], n[$i])?),*])
            }
        }
    )*};
}

groups! {
    /// Four vectors.
    Four 4 [0 1 2 3] |f, v| f(f(v[0], v[1]), f(v[2], v[3]));
    /// Eight vectors.
    Eight 8 [0 1 2 3 4 5 6 7]
        |f, v| f(f(f(v[0], v[1]), f(v[2], v[3])), f(f(v[4], v[5]), f(v[6], v[7])));
}
