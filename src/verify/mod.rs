//! Rounds under varied settings, references to compare with, a verdict per output.

mod acceptance;
pub mod across;
mod brought;
mod builds;
pub mod closure;
pub mod conclusion;
pub mod derivation;
pub mod diagnosis;
pub mod divergence;
pub mod inputs;
pub mod isolate;
mod needs;
pub mod origin;
mod output;
pub mod reference;
pub mod replay;
pub mod rounds;
pub mod session;
pub mod target;
mod verdict;

use crate::code::{Code, Explanation};

pub use inputs::{Input, Inputs, UnknownInput};
pub use output::{Compared, Note, OutputResult};
pub use reference::{Against, Reference};
pub use verdict::{Level, Verdict};

/// Two NARs of our store could not be compared.
pub const NOT_COMPARED: Code = Code(1001);

/// What the codes of this room mean.
pub const EXPLANATIONS: &[Explanation] = &[Explanation {
    code: NOT_COMPARED,
    title: "bits that differ could not be compared",
    text: "Two builds gave other bits, and reading them back from our store failed before it could be said where they \
           differ. `reprove store verify` finds damage; after that, run the verification again.",
}];
