//! The largest element of a row, and which block has it.

use super::span::{Place, Vs, load_part, load_whole};
use super::sums::fold;
use super::{Arithmetic, BLOCK, Group, LANES, Lane, QUAD, QUADS, groups};

#[derive(Clone, Copy)]
pub(crate) struct Peak {
    /// At least the least finite number, so that -inf less it is -inf and not NaN. A NaN may be passed over: what
    /// depends on every element sees it.
    pub(crate) largest: f32,
    /// In a row of more than a block, one that has it: the first of the lowest lane that has it, on every backend; what is
    /// behind the whole blocks, if none of these has. None: not known, all have to be looked through.
    pub(super) block: Option<usize>,
}

impl Peak {
    /// Where it is not known, for passes that seek nothing.
    pub(crate) fn anywhere(largest: f32) -> Self {
        Self { largest, block: None }
    }

    #[inline(always)]
    pub(crate) fn of<L: Lane>(l: L, row: &[f32]) -> Self {
        let (vectors, blocks) = (LANES / L::N, row.len() / BLOCK);
        let mut largest = l.splat_wide(f32::NEG_INFINITY);
        let mut numbers = l.splat_wide(0.0);
        for block in 0..blocks {
            let number = l.splat_bits(block as u32);
            for k in 0..vectors {
                let of_block = of_block(l, row, block, k);
                if let (Some(largest), Some(numbers)) = (largest.as_mut().get_mut(k), numbers.as_mut().get_mut(k)) {
                    *numbers = l.select(l.gt(of_block, *largest), number, *numbers);
                    *largest = l.max(of_block, *largest);
                }
            }
        }
        let of_blocks = largest;
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
        let largest_of_all = l.first(l.max(largest, l.splat(f32::MIN))) + 0.0;
        if row.len() <= BLOCK {
            return Self { largest: largest_of_all, block: None };
        }

        let (mut lane, mut of_lanes) = (None, [0.0; LANES]);
        for k in 0..vectors {
            if let (Some(&of_blocks), Some(&numbers)) = (of_blocks.as_ref().get(k), numbers.as_ref().get(k)) {
                l.store(numbers, &mut of_lanes, k);
                lane = match (lane, l.first_true(l.eq(of_blocks, largest))) {
                    (None, Some(i)) => Some(k * L::N + i),
                    (lane, _) => lane,
                };
            }
        }
        let number = lane.and_then(|lane| of_lanes.get(lane)).map_or(blocks, |number| number.to_bits() as usize);
        Self { largest: largest_of_all, block: Some(number) }
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
