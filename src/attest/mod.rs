//! Statements: verdicts in the form that other tools understand, signed, to be checked without a network.
//!
//! | file | what |
//! |---|---|
//! | [`envelope`] | DSSE: a document, its type, and signatures over both |
//! | [`statement`] | in-toto statements v1 |
//! | [`provenance`] | the predicate of SLSA v1: how something was built |
//! | [`verdict`] | our own predicate: what several builds showed, and each machine run |
//! | [`make`] | from a document of `verify` and its run records to statements |
//! | [`check`] | what signed statements say |
//!
//! `docs/attest.md` describes the documents.

pub mod check;
pub mod envelope;
pub mod make;
pub mod provenance;
pub mod statement;
pub mod verdict;

use crate::code::{Code, Explanation};

/// Why there is no statement, or none that is to be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// Not what it has to be.
    #[error("it cannot be read: {why}")]
    Malformed {
        /// What is wrong, and where.
        why: String,
    },
    /// Signed by nobody who is believed.
    #[error("it is signed by none of the keys given{}", signed(by))]
    Untrusted {
        /// Names of keys that it says it is signed by.
        by: Vec<String>,
    },
    /// Statements about one output that cannot all be true.
    #[error("{path}: the statements contradict each other: {what}")]
    Contradiction {
        /// The store path.
        path: String,
        /// In what.
        what: &'static str,
    },
    /// A run record is missing.
    #[error("the record of run {run} is not in our store")]
    NoRun {
        /// The run.
        run: String,
    },
}

fn signed(by: &[String]) -> String {
    if by.is_empty() { String::new() } else { format!("; it says: {}", by.join(", ")) }
}

impl AttestError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            AttestError::Malformed { .. } => 1301,
            AttestError::Untrusted { .. } => 1302,
            AttestError::Contradiction { .. } => 1303,
            AttestError::NoRun { .. } => 1304,
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1301),
        title: "a document or a statement cannot be read",
        text: "Statements are made from what `reprove verify --json` writes, and come as lines of DSSE envelopes. docs/attest.md \
               describes them.",
    },
    Explanation {
        code: Code(1302),
        title: "a statement is signed by nobody who is believed",
        text: "None of the keys given signed these bytes. Get the key from its owner, not from where the statement came from.",
    },
    Explanation {
        code: Code(1303),
        title: "statements contradict each other",
        text: "They are about one store path, and speak of other bits. Nothing of them is believed.",
    },
    Explanation {
        code: Code(1304),
        title: "the record of a run is missing",
        text: "A statement says how the machine ran, which is in the run record. Make it where the verification was done, before \
               `reprove store gc`.",
    },
];
