//! What caches say against each other, for a terminal, as JSON, and as a report.

mod json;
mod subjects;
mod terminal;

pub use json::{document, schema};
pub use subjects::subjects;
pub use terminal::write;

use crate::mirror::challenge::{Given, Said, Verdict};

/// A verdict as it is spelled.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agree => "agree",
        Verdict::Diverged => "diverged",
        Verdict::NotChecked => "not-checked",
    }
}

/// Whether a cache gives what it says, as it is spelled, and what is to be said of it.
fn given(said: &Said) -> (&'static str, Option<&str>) {
    match &said.given {
        Given::NotAsked => ("not-asked", None),
        Given::Shown => ("shown", None),
        Given::Lie(why) => ("lie", Some(why)),
        Given::Failed(failed) => ("failed", Some(&failed.why)),
    }
}
