//! What a pass reads and writes, group by group: whole quads as they are, the last as far as it goes.

use super::{Arithmetic, BLOCK, Chunk, Group, LANES, Lane, QUAD, unit};
use core::ops::Range;

/// The vectors of a group.
pub(crate) type Vs<L> = <<L as Lane>::Group as Arithmetic>::V;
/// The vectors of a large group.
pub(super) type LargeVs<L> = <<L as Lane>::LargeGroup as Arithmetic>::V;

/// Where a pass reads its row and, if it writes, where to. Which of the three it is stays open until the program runs:
/// one body serves them all, and to ask costs nothing beside a group.
pub(crate) struct Span<'a> {
    /// None: what is written is read.
    from: Option<&'a [f32]>,
    /// As long as the row; empty where nothing is written.
    to: &'a mut [f32],
    /// What to bring near, element by element.
    ahead: &'a [f32],
}

impl<'a> Span<'a> {
    #[inline(always)]
    pub(crate) fn read_only(row: &'a [f32]) -> Self {
        Self { from: Some(row), to: &mut [], ahead: &[] }
    }

    /// Read only, while what is read next is brought near.
    #[inline(always)]
    pub(crate) fn ahead(row: &'a [f32], next: &'a [f32]) -> Self {
        Self { from: Some(row), to: &mut [], ahead: next }
    }

    /// Of one length.
    #[inline(always)]
    pub(crate) fn apart(from: &'a [f32], to: &'a mut [f32]) -> Self {
        Self { from: Some(from), to, ahead: &[] }
    }

    #[inline(always)]
    pub(crate) fn in_place(row: &'a mut [f32]) -> Self {
        Self { from: None, to: row, ahead: &[] }
    }

    /// The span, of which nothing is left.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::in_place(&mut []))
    }

    /// Some elements of the row.
    #[inline(always)]
    pub(crate) fn part(&mut self, part: Range<usize>) -> Span<'_> {
        Span {
            from: self.from.map(|from| from.get(part.clone()).unwrap_or_default()),
            ahead: self.ahead.get(part.clone()).unwrap_or_default(),
            to: self.to.get_mut(part).unwrap_or_default(),
        }
    }

    #[inline(always)]
    pub(crate) fn read(&self) -> &[f32] {
        match self.from {
            Some(from) => from,
            None => self.to,
        }
    }

    #[inline(always)]
    pub(crate) fn is_written(&self) -> bool {
        !self.to.is_empty()
    }

    /// Empty where nothing is written.
    #[inline(always)]
    pub(crate) fn write(&mut self) -> &mut [f32] {
        self.to
    }

    /// Both, where they are two.
    #[inline(always)]
    pub(crate) fn both(&mut self) -> Option<(&[f32], &mut [f32])> {
        Some((self.from?, self.to))
    }

    #[inline(always)]
    pub(super) fn to_bring_near(&self) -> &[f32] {
        self.ahead
    }
}

/// A further input of a pass: 0 past the end of the row.
#[derive(Clone, Copy)]
pub(crate) enum Stream<'a> {
    /// One value for every element.
    Splat(f32),
    /// A value an element.
    Slice(&'a [f32]),
}

impl<'a> Stream<'a> {
    /// The slice, or `default` for every element.
    #[inline(always)]
    pub(crate) fn or(slice: Option<&'a [f32]>, default: f32) -> Self {
        slice.map_or(Self::Splat(default), Self::Slice)
    }

    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> f32 {
        match *self {
            Self::Splat(x) => x,
            Self::Slice(slice) => slice.get(i).copied().unwrap_or_default(),
        }
    }

    /// A group at the end of a row of `len`.
    #[inline(always)]
    pub(super) fn load_part<L: Lane, G: Group<L>>(&self, g: G, at: Place, len: usize) -> G::V {
        let l = g.base();
        match *self {
            Self::Splat(x) => g.of(
                #[inline(always)]
                |v| match len.saturating_sub(at.element::<L, G>(v)) {
                    left if left >= L::N => l.splat(x),
                    left => l.load_part([x; LANES].get(..left).unwrap_or_default(), 0.0),
                },
            ),
            Self::Slice(slice) => load_part(g, slice, at, 0.0),
        }
    }

    /// A group of a whole unit.
    #[inline(always)]
    pub(super) fn load_whole<L: Lane, G: Group<L>>(&self, g: G, at: Place) -> G::V {
        match *self {
            Self::Splat(x) => g.splat(x),
            // Without a branch, so that the compiler may load it late: before it is needed, it would take a register.
            Self::Slice(slice) => load_of(g, whole_unit::<L, G>(slice, at.unit).unwrap_or(&NOTHING), at),
        }
    }
}

/// Where in a row a group is: in a unit, the vectors `k` of the chunks from `chunk` on.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) unit: usize,
    pub(super) chunk: usize,
    pub(super) k: usize,
}

impl Place {
    /// Where vector `v` of the group starts.
    #[inline(always)]
    pub(super) fn element<L: Lane, G: Group<L>>(self, v: usize) -> usize {
        (self.unit * unit::<L, G>() + self.chunk + v) * LANES + self.k * L::N
    }
}

/// Where what is found of a group goes.
pub(crate) struct To<'a> {
    /// Empty where nothing is written.
    pub(super) row: &'a mut [f32],
    pub(super) at: Place,
    /// Whether the unit is whole, or the group is at the end of the row.
    pub(super) is_whole: bool,
}

impl To<'_> {
    /// To be called as soon as `y` is known: no register need hold it then. Gives the terms of a pass that has none.
    #[inline(always)]
    pub(crate) fn put<L: Lane, G: Group<L>>(self, g: G, y: G::V) -> [G::V; 0] {
        if self.is_whole {
            store_whole(g, self.row, self.at, y);
        } else if !self.row.is_empty() {
            store_part(g, self.row, self.at, y);
        }
        []
    }
}

/// Loaded in place of a unit that is not there.
static NOTHING: [Chunk; BLOCK / LANES] = [[0.0; LANES]; BLOCK / LANES];

#[inline(always)]
fn whole_unit<L: Lane, G: Group<L>>(row: &[f32], i: usize) -> Option<&[Chunk]> {
    let unit: &[f32] = match unit::<L, G>() {
        QUAD => row.as_chunks::<{ QUAD * LANES }>().0.get(i)?,
        _ => row.as_chunks::<BLOCK>().0.get(i)?,
    };
    Some(unit.as_chunks().0)
}

#[inline(always)]
fn whole_unit_mut<L: Lane, G: Group<L>>(row: &mut [f32], i: usize) -> Option<&mut [Chunk]> {
    let unit: &mut [f32] = match unit::<L, G>() {
        QUAD => row.as_chunks_mut::<{ QUAD * LANES }>().0.get_mut(i)?,
        _ => row.as_chunks_mut::<BLOCK>().0.get_mut(i)?,
    };
    Some(unit.as_chunks_mut().0)
}

/// A group of a whole unit, if it is there.
#[inline(always)]
pub(super) fn load_whole<L: Lane, G: Group<L>>(g: G, row: &[f32], at: Place) -> Option<G::V> {
    Some(load_of(g, whole_unit::<L, G>(row, at.unit)?, at))
}

/// A group of the chunks of a unit.
#[inline(always)]
fn load_of<L: Lane, G: Group<L>>(g: G, unit: &[Chunk], at: Place) -> G::V {
    let l = g.base();
    g.of(
        #[inline(always)]
        |v| match unit.get(at.chunk + v) {
            Some(chunk) => l.load(chunk, at.k),
            None => l.splat(0.0),
        },
    )
}

/// A group at the end of a row, with `fill` behind it.
#[inline(always)]
pub(super) fn load_part<L: Lane, G: Group<L>>(g: G, row: &[f32], at: Place, fill: f32) -> G::V {
    let from = row.get(at.element::<L, G>(0)..).unwrap_or_default();
    g.of(
        #[inline(always)]
        |v| match from.get(v * LANES..) {
            Some(from) if !from.is_empty() => g.base().load_part(from, fill),
            _ => g.base().splat(fill),
        },
    )
}

/// Gives `put` the vectors of a group with their chunks of a whole unit, if it is there.
#[inline(always)]
fn each_whole<L: Lane, G: Group<L>>(g: G, row: &mut [f32], at: Place, y: G::V, put: impl Fn(L::V, &mut Chunk)) {
    let Some(chunks) = whole_unit_mut::<L, G>(row, at.unit) else { return };
    g.for_each(
        y,
        #[inline(always)]
        |v, y| {
            if let Some(chunk) = chunks.get_mut(at.chunk + v) {
                put(y, chunk);
            }
        },
    );
}

/// Writes a group of a whole unit.
#[inline(always)]
pub(super) fn store_whole<L: Lane, G: Group<L>>(g: G, row: &mut [f32], at: Place, y: G::V) {
    let l = g.base();
    each_whole(
        g,
        row,
        at,
        y,
        #[inline(always)]
        |y, chunk| l.store(y, chunk, at.k),
    );
}

/// Writes a group of a whole unit past the caches.
#[inline(always)]
pub(super) fn stream<L: Lane, G: Group<L>>(g: G, row: &mut [f32], at: Place, y: G::V) {
    let l = g.base();
    each_whole(
        g,
        row,
        at,
        y,
        #[inline(always)]
        |y, chunk| l.stream(y, chunk, at.k),
    );
}

/// Writes a group at the end of a row.
#[inline(always)]
pub(super) fn store_part<L: Lane, G: Group<L>>(g: G, row: &mut [f32], at: Place, y: G::V) {
    let to = row.get_mut(at.element::<L, G>(0)..).unwrap_or_default();
    g.for_each(
        y,
        #[inline(always)]
        |v, y| match to.get_mut(v * LANES..) {
            Some(to) if !to.is_empty() => g.base().store_part(y, to),
            _ => {}
        },
    );
}

/// Asks for what a group will read later.
#[inline(always)]
pub(super) fn prefetch<L: Lane, G: Group<L>>(g: G, row: &[f32], at: Place) {
    if let (Some(chunks), 0) = (whole_unit::<L, G>(row, at.unit), at.k) {
        for v in 0..G::VECTORS {
            if let Some(chunk) = chunks.get(at.chunk + v) {
                g.base().prefetch(chunk);
            }
        }
    }
}
