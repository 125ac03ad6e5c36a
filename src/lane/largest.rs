//! The largest element of a row.

use super::span::{Place, Vs, load_part, load_whole};
use super::sums::fold;
use super::{Arithmetic, BLOCK, Group, LANES, Lane, QUAD, QUADS, groups};

/// At least the least finite number, so that -inf less it is -inf and not NaN. A NaN may be passed over: what depends on
/// every element sees it.
#[inline(always)]
pub(crate) fn largest<L: Lane>(l: L, row: &[f32]) -> f32 {
    let (vectors, blocks) = (LANES / L::N, row.len() / BLOCK);
    let mut largest = l.splat_wide(f32::MIN);
    for block in 0..blocks {
        for k in 0..vectors {
            let of_block = of_block(l, row, block, k);
            if let Some(largest) = largest.as_mut().get_mut(k) {
                *largest = l.max(of_block, *largest);
            }
        }
    }
    for quad in blocks * QUADS..row.len().div_ceil(QUAD * LANES) {
        for k in 0..vectors {
            let of_quad = of_quad(l, row, quad, k);
            if let Some(largest) = largest.as_mut().get_mut(k) {
                *largest = l.max(of_quad, *largest);
            }
        }
    }
    let [largest] = fold(
        l,
        [largest],
        #[inline(always)]
        |[a], [b]| [l.max(a, b)],
    );
    // -0 and +0 are equal, and which of them a maximum gives depends on the order: + 0.0 leaves only +0.
    l.first(largest) + 0.0
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
