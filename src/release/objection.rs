//! Objections: "I built this release, and got other bytes", signed like a manifest and shown beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::digest::Sha256;
use crate::code::{Code, Explanation};

/// The version of the document.
pub const SCHEMA: &str = "reprove.objection/1";

/// Longest objection, in bytes.
pub const MAX_LEN: u64 = 4 << 20;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    #[schemars(extend("const" = SCHEMA))]
    schema: String,
    /// The SHA-256 of the manifest that is objected to.
    pub manifest: Sha256,
    /// What came out otherwise.
    pub artefacts: Vec<Objected>,
}

/// One artefact that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objected {
    /// Its name.
    pub file: String,
    /// What the manifest lists.
    pub published: Sha256,
    /// What came out.
    pub rebuilt: Sha256,
    /// Why, as far as it is known: ids of `reprove explain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

/// Why a file is no objection.
#[derive(Debug, thiserror::Error)]
#[error("the objection cannot be read: {why}")]
pub struct ObjectionError {
    why: String,
}

impl ObjectionError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(1251)
    }
}

impl Objection {
    /// An objection to a manifest.
    pub fn new(manifest: Sha256, artefacts: Vec<Objected>) -> Self {
        Objection { schema: SCHEMA.to_owned(), manifest, artefacts }
    }

    /// Reads a document.
    pub fn parse(text: &[u8]) -> Result<Self, ObjectionError> {
        let malformed = |why: String| ObjectionError { why };
        if text.len() as u64 > MAX_LEN {
            return Err(malformed("it has more than 4 MiB".to_owned()));
        }
        let read: Self = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if read.schema != SCHEMA {
            return Err(malformed(format!("its schema is `{}`, not {SCHEMA}", read.schema)));
        }
        Ok(read)
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[Explanation {
    code: Code(1251),
    title: "an objection cannot be read",
    text: "It is no document of reprove.objection/1, as `reprove release reproduce --objection` writes it. Somebody may have \
           wanted to say something; ask them.",
}];
