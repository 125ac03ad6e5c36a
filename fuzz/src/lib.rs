//! What the fuzz targets share: decisions read from the fuzzer's bytes, calls of the oracle, and tables in memory.

#[allow(clippy::new_without_default, reason = "private to each test, public here")]
#[path = "../../tests/support/mod.rs"]
pub mod support;

mod input;
mod table;

pub use input::Input;
pub use table::{SENTINEL, Table};
