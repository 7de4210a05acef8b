//! Differences in, causes out (pure).
//!
//! [`diagnose`] reads a [`Comparison`](crate::diff::Comparison) and says why the two sides differ: [`Cause`]s, ranked, each with evidence on both
//! sides and a fix. What a rule explains is not explained again; what no rule explains is `unexplained`, with the
//! number of bytes left over. A [`Proof`] (a setting of the machine that was changed alone and flipped the bits)
//! turns a guess into a fact, and explains what is left over.

pub mod accepted;
mod catalogue;
mod cause;
mod passage;
mod rules;
mod tokens;
pub mod trace;

#[cfg(test)]
mod tests;

pub use accepted::{Accepted, Judgement};
pub use catalogue::{CATALOGUE, Entry, find};
pub use cause::{Cause, Confidence, Evidence, Proof, Quote, Site};
pub use rules::diagnose;
