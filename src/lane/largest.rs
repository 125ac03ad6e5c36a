//! The largest element of a row, and which lane has it.

use super::span::{Place, Vs, load_part, load_whole};
use super::sums::{bits_of_lanes, fold};
use super::{Arithmetic, BLOCK, Group, LANES, Lane, QUAD, QUADS, groups};

#[derive(Clone, Copy)]
pub(crate) struct Largest {
    /// At least the least finite number, so that -inf less it is -inf and not NaN. A NaN may be passed over: what depends
    /// on every element sees it.
    pub(crate) value: f32,
    /// The lowest lane that has it.
    pub(crate) lane: usize,
}

impl Largest {
    #[inline(always)]
    pub(crate) fn of<L: Lane>(l: L, row: &[f32]) -> Self {
        let (vectors, blocks) = (LANES / L::N, row.len() / BLOCK);
        let mut of_lanes = l.splat_wide(f32::NEG_INFINITY);
        for block in 0..blocks {
            for k in 0..vectors {
                let of_block = of_block(l, row, block, k);
                if let Some(of_lanes) = of_lanes.as_mut().get_mut(k) {
                    *of_lanes = l.max(of_block, *of_lanes);
                }
            }
        }
        for quad in blocks * QUADS..row.len().div_ceil(QUAD * LANES) {
            for k in 0..vectors {
                let of_quad = of_quad(l, row, quad, k);
                if let Some(of_lanes) = of_lanes.as_mut().get_mut(k) {
                    *of_lanes = l.max(of_quad, *of_lanes);
                }
            }
        }
        let [largest] = fold(
            l,
            [of_lanes],
            #[inline(always)]
            |[a], [b]| [l.max(a, b)],
        );
        let have_it = bits_of_lanes(
            l,
            of_lanes,
            #[inline(always)]
            |of_lanes| l.eq(of_lanes, largest),
        );
        // -0 and +0 are equal, and which of them a maximum gives depends on the order: + 0.0 leaves only +0.
        Self { value: l.first(l.max(largest, l.splat(f32::MIN))) + 0.0, lane: have_it.trailing_zeros() as usize }
    }
}

/// Lane by lane, of the vectors `k` of a whole block.
#[inline(always)]
fn of_block<L: Lane>(l: L, row: &[f32], block: usize, k: usize) -> L::V {
    let [first, second] = [block * QUADS, block * QUADS + 1];
    of_groups(
        l,
        #[inline(always)]
        |chunk| {
            let a = load_whole(l.group(), row, Place { unit: first, chunk, k });
            let b = load_whole(l.group(), row, Place { unit: second, chunk, k });
            match (a, b) {
                (Some(a), Some(b)) => l.group().max(a, b),
                _ => l.group().splat(f32::NEG_INFINITY),
            }
        },
    )
}

/// Lane by lane, of the vectors `k` of a quad.
#[inline(always)]
fn of_quad<L: Lane>(l: L, row: &[f32], quad: usize, k: usize) -> L::V {
    of_groups(
        l,
        #[inline(always)]
        |chunk| match load_whole(l.group(), row, Place { unit: quad, chunk, k }) {
            Some(whole) => whole,
            None => load_part(l.group(), row, Place { unit: quad, chunk, k }, f32::NEG_INFINITY),
        },
    )
}

/// Of the groups of four chunks.
#[inline(always)]
fn of_groups<L: Lane>(l: L, at_chunk: impl Fn(usize) -> Vs<L>) -> L::V {
    let g = l.group();
    let mut largest = at_chunk(0);
    for group in 1..groups::<L, L::Group>() {
        largest = g.max(at_chunk(group * QUAD / groups::<L, L::Group>()), largest);
    }
    g.reduce(
        largest,
        #[inline(always)]
        |a, b| l.max(a, b),
    )
}
