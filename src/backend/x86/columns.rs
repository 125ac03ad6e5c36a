//! Columns of rows that lie apart: eight floats of each row are loaded, or stored, and transposed in registers; four
//! where there are no more, or rows too few for a vector.

use super::arch::*;
use crate::lane::{COLUMNS, Grid, Lane, fill_by_fours, take_by_fours};

/// Registers of some floats of each of several rows: how columns are loaded and stored.
#[allow(unsafe_code, reason = "pointers to rows")]
pub(super) trait PartsOfRows: Lane {
    /// The first floats, `width` of them, of every fourth of the `rows` rows from `row` on, and something where there are
    /// no more.
    ///
    /// # Safety
    /// All must be there to read, and `width` is 1 to 4.
    unsafe fn load_rows(self, row: *const f32, stride: usize, width: usize, rows: usize) -> Self::V;

    /// Writes what [`load_rows`](Self::load_rows) loads.
    ///
    /// # Safety
    /// All must be there to write, and `width` is at most 4.
    unsafe fn store_rows(self, row: *mut f32, stride: usize, width: usize, rows: usize, of_rows: Self::V);

    /// All groups of four lanes as matrices of four rows of four.
    fn transposed(self, four: [Self::V; COLUMNS]) -> [Self::V; COLUMNS];

    /// The first eight floats of every fourth of the `N / 2` rows from `row` on.
    ///
    /// # Safety
    /// All must be there to read.
    unsafe fn load_eights(self, row: *const f32, stride: usize) -> Self::V;

    /// Writes what [`load_eights`](Self::load_eights) loads.
    ///
    /// # Safety
    /// All must be there to write.
    unsafe fn store_eights(self, row: *mut f32, stride: usize, of_rows: Self::V);

    /// Two columns, of which one vector has both for the first half of the rows, by four lanes in turn, and the other for
    /// the second half.
    fn joined(self, halves: [Self::V; 2]) -> [Self::V; 2];

    /// What [`joined`](Self::joined) joins.
    fn halves(self, columns: [Self::V; 2]) -> [Self::V; 2];
}

const EIGHT: usize = 8;

/// Eight columns of `N` rows.
///
/// # Safety
/// All must be there to read.
#[inline(always)]
#[allow(unsafe_code, reason = "pointers to rows")]
unsafe fn load_eight<L: PartsOfRows>(l: L, row: *const f32, stride: usize) -> [L::V; EIGHT] {
    let half = {
        #[inline(always)]
        |first: usize| {
            let rows_from = {
                #[inline(always)]
                // SAFETY: the caller has all rows.
                |i| unsafe { l.load_eights(row.wrapping_add((first + i) * stride), stride) }
            };
            l.transposed([rows_from(0), rows_from(1), rows_from(2), rows_from(3)])
        }
    };
    let ([a, b, c, d], [e, f, g, h]) = (half(0), half(L::N / 2));
    let ([a, e], [b, f]) = (l.joined([a, e]), l.joined([b, f]));
    let ([c, g], [d, h]) = (l.joined([c, g]), l.joined([d, h]));
    [a, b, c, d, e, f, g, h]
}

/// Writes what [`load_eight`] loads.
///
/// # Safety
/// All must be there to write.
#[inline(always)]
#[allow(unsafe_code, reason = "pointers to rows")]
unsafe fn store_eight<L: PartsOfRows>(l: L, [a, b, c, d, e, f, g, h]: [L::V; EIGHT], row: *mut f32, stride: usize) {
    let ([a, e], [b, f]) = (l.halves([a, e]), l.halves([b, f]));
    let ([c, g], [d, h]) = (l.halves([c, g]), l.halves([d, h]));
    for (first, half) in [(0, [a, b, c, d]), (L::N / 2, [e, f, g, h])] {
        for (i, of_rows) in l.transposed(half).into_iter().enumerate() {
            // SAFETY: the caller has all rows.
            unsafe { l.store_eights(row.wrapping_add((first + i) * stride), stride, of_rows) }
        }
    }
}

/// Whether a slice of length `len` has the first `width` elements of all rows that are in a vector.
#[inline(always)]
fn has_rows<L: Lane>(at: Grid, width: usize, len: usize) -> bool {
    let last = at.rows.min(L::N).checked_sub(1);
    let needed = last.and_then(|last| last.checked_mul(at.stride)).and_then(|last| last.checked_add(width));
    needed.is_some_and(|needed| needed <= len)
}

/// [`Lane::columns`]
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) fn load<L: PartsOfRows>(l: L, from: &[f32], at: Grid, columns: &mut [L::V]) {
    if !has_rows::<L>(at, columns.len(), from.len()) {
        return; // A table that was checked has them.
    }
    let from = from.as_ptr();
    let four = {
        #[inline(always)]
        |first: usize, width: usize, rows: usize| {
            let rows_from = {
                #[inline(always)]
                |i: usize| {
                    let row = from.wrapping_add(i.wrapping_mul(at.stride).wrapping_add(first));
                    // SAFETY: the first `rows` rows are there, with these columns from `from` on; a four has one at least.
                    unsafe { l.load_rows(row, at.stride, width, rows.saturating_sub(i)) }
                }
            };
            l.transposed([rows_from(0), rows_from(1), rows_from(2), rows_from(3)])
        }
    };
    // What is there of whole vectors needs no questions.
    if at.rows < L::N {
        return fill_by_fours(
            columns,
            #[inline(always)]
            |first, width| four(first, width, at.rows),
        );
    }
    let (eights, rest) = columns.as_chunks_mut();
    let mut first = 0;
    for eight in eights {
        // SAFETY: `N` rows are there with all columns, as `has_rows` says.
        *eight = unsafe { load_eight(l, from.wrapping_add(first), at.stride) };
        first += EIGHT;
    }
    if rest.len() >= COLUMNS
        && let Some(of_four) = rest.first_chunk_mut()
    {
        *of_four = four(first, COLUMNS, L::N);
    }
    // The last four, of which some are there already, take less than those that are not. To let `fill_by_fours` do this,
    // which has a loop over fours, took 3 to 7 classes up to a sixth longer.
    let (few, end) = (rest.len() % COLUMNS, columns.len());
    match columns.last_chunk_mut() {
        _ if few == 0 => {}
        Some(last) => *last = four(end - COLUMNS, COLUMNS, L::N),
        None => fill_by_fours(
            columns,
            #[inline(always)]
            |first, width| four(first, width, L::N),
        ),
    }
}

/// [`Lane::store_columns`]
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) fn store<L: PartsOfRows>(l: L, columns: &[L::V], to: &mut [f32], at: Grid) {
    if !has_rows::<L>(at, columns.len(), to.len()) {
        return; // As above.
    }
    let to = to.as_mut_ptr();
    let put_four = {
        #[inline(always)]
        |first: usize, width: usize, rows: usize, four| {
            let [a, b, c, d] = l.transposed(four);
            let store_from = {
                #[inline(always)]
                |i: usize, of_rows| {
                    let row = to.wrapping_add(i.wrapping_mul(at.stride).wrapping_add(first));
                    // SAFETY: the first `rows` rows are there, with these columns from `to` on; a four has no more than
                    // that.
                    unsafe { l.store_rows(row, at.stride, width, rows.saturating_sub(i), of_rows) }
                }
            };
            store_from(0, a);
            store_from(1, b);
            store_from(2, c);
            store_from(3, d);
        }
    };
    if at.rows < L::N {
        return take_by_fours(
            columns,
            l.splat(0.0),
            #[inline(always)]
            |first, width, four| put_four(first, width, at.rows, four),
        );
    }
    let (eights, rest) = columns.as_chunks();
    let mut first = 0;
    for &eight in eights {
        // SAFETY: `N` rows are there with all columns, as `has_rows` says.
        unsafe { store_eight(l, eight, to.wrapping_add(first), at.stride) };
        first += EIGHT;
    }
    if rest.len() >= COLUMNS
        && let Some(&four) = rest.first_chunk()
    {
        put_four(first, COLUMNS, L::N, four);
    }
    // As in `load`.
    match columns.last_chunk() {
        _ if rest.len().is_multiple_of(COLUMNS) => {}
        Some(&last) => put_four(columns.len() - COLUMNS, COLUMNS, L::N, last),
        None => take_by_fours(
            columns,
            l.splat(0.0),
            #[inline(always)]
            |first, width, four| put_four(first, width, L::N, four),
        ),
    }
}

/// The first floats at a place, `width` of them.
///
/// # Safety
/// They must be there to read, and `width` is 1 to 4.
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) unsafe fn load_first(from: *const f32, width: usize) -> __m128 {
    // SAFETY: reads as many floats as there are. The build has SSE2; none of these loads asks for more than the
    // alignment of a float.
    unsafe {
        match width {
            1 => _mm_load_ss(from),
            2 => _mm_castsi128_ps(_mm_loadl_epi64(from.cast())),
            3 => _mm_movelh_ps(_mm_castsi128_ps(_mm_loadl_epi64(from.cast())), _mm_load_ss(from.add(2))),
            _ => _mm_loadu_ps(from),
        }
    }
}

/// Writes what [`load_first`] loads, or nothing where `width` is 0.
///
/// # Safety
/// They must be there to write, and `width` is at most 4.
#[inline(always)]
#[allow(unsafe_code, reason = "intrinsics")]
pub(super) unsafe fn store_first(to: *mut f32, a: __m128, width: usize) {
    // SAFETY: writes as many floats as there are. The build has SSE2; none of these stores asks for more than
    // the alignment of a float.
    unsafe {
        match width {
            0 => {}
            1 => _mm_store_ss(to, a),
            2 => _mm_storel_epi64(to.cast(), _mm_castps_si128(a)),
            3 => {
                _mm_storel_epi64(to.cast(), _mm_castps_si128(a));
                _mm_store_ss(to.add(2), _mm_movehl_ps(a, a));
            }
            _ => _mm_storeu_ps(to, a),
        }
    }
}
