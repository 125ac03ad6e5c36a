//! Stands for an instruction set that this target does not have: a token that nobody can get.

use crate::lane::Op;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {}

#[inline(always)]
pub(crate) const fn detect() -> Option<Token> {
    None
}

#[inline(always)]
pub(crate) fn run<O: Op>(token: Token, _: &mut O) -> O::Out {
    match token {}
}
