//! What a report says, whichever verb it is of: the one value that every view for people and tools is made from.

use crate::{
    diagnose::{Cause, Judgement},
    diff::Comparison,
};

/// A report.
pub struct Report<'a> {
    /// The verb: `verify`, `diff`.
    pub verb: &'static str,
    /// What it gives verdicts on.
    pub subjects: Vec<Subject<'a>>,
    /// What went wrong beside: text and code.
    pub problems: Vec<Problem>,
    /// The derivations, where it is about some.
    pub graph: Option<Picture>,
}

/// One thing with a verdict.
pub struct Subject<'a> {
    /// What it is: an installable and output, two files.
    pub name: String,
    /// What the verdict means.
    pub standing: Standing,
    /// The verdict in one word: `reproduced`, `different`.
    pub word: String,
    /// The level of assurance.
    pub level: Option<String>,
    /// Why it is neither good nor bad.
    pub reason: Option<String>,
    /// What else is known, with names.
    pub facts: Vec<(String, String)>,
    /// What differs.
    pub seen: Vec<Seen<'a>>,
    /// What of it is accepted, when anything can be.
    pub judgement: Option<&'a Judgement>,
}

/// What a verdict means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The bits were compared and are equal.
    Good,
    /// They were compared, and differ in nothing but what is accepted.
    Accepted,
    /// They were compared and differ.
    Bad,
    /// They were not compared. Never taken for good.
    Unknown,
}

impl Standing {
    /// A sign that can be read without colour.
    pub fn sign(self) -> &'static str {
        match self {
            Standing::Good => "✔",
            Standing::Accepted => "≈",
            Standing::Bad => "✘",
            Standing::Unknown => "?",
        }
    }
}

/// Two things that differ, and why.
pub struct Seen<'a> {
    /// What side a is.
    pub a: String,
    /// What side b is.
    pub b: String,
    /// Where they differ.
    pub comparison: &'a Comparison,
    /// Why.
    pub causes: &'a [Cause],
}

/// Something that went wrong.
pub struct Problem {
    /// Its stable code, `RP0710`.
    pub code: String,
    /// What it is.
    pub text: String,
}

/// Derivations and what they need.
pub struct Picture {
    /// Leaves first: a node needs only nodes before it.
    pub nodes: Vec<Spot>,
}

/// A derivation in a [`Picture`].
pub struct Spot {
    /// Its name.
    pub name: String,
    /// Longest way down to a leaf.
    pub depth: usize,
    /// What it needs, as indices.
    pub needs: Vec<usize>,
    /// What is known of it; nothing for what was only built from or taken.
    pub standing: Option<Standing>,
    /// In words: `reproduced`, `source`.
    pub word: String,
}
