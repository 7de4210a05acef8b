//! The text of a `.drv` file: `Derive([…],[…],[…],"system","builder",[…],[…])`.
//!
//! Nix manual, "Derivation ATerm format". The grammar is fixed, so reading it needs neither recursion nor a stack.
//! Every derivation has exactly one canonical text; any other text is an error even where Nix would read it,
//! because what we would write back then differs from what was read, and so would the `.drv` path.

mod error;
mod parse;
mod write;

pub use error::{AtermError, AtermErrorKind};
pub use parse::{MAX_LEN, parse};
pub use write::serialise;
pub(super) use write::{Outputs, write};
