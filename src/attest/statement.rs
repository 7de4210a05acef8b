//! In-toto statements v1: this, of these bits.
//!
//! Format: in-toto attestation framework, "Statement" and "ResourceDescriptor", v1.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nix::{hash::NarHash, store_path::StorePath};

/// The type of every statement.
pub const TYPE: &str = "https://in-toto.io/Statement/v1";

/// A statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about: the NAR of a store path.
    pub subject: Vec<Resource>,
    /// What is said.
    pub predicate_type: String,
    /// The saying itself.
    pub predicate: serde_json::Value,
}

/// Something with a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// SHA-256 in hexadecimal digits, under `sha256`.
    pub digest: BTreeMap<String, String>,
    /// What else is known of it: `storePath` of a subject.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Resource {
    /// Something by its SHA-256.
    pub fn new(name: &str, sha256: &str) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), sha256.to_owned())]);
        Resource { name: name.to_owned(), digest, annotations: BTreeMap::new() }
    }

    /// The NAR of a store path.
    pub fn nar(path: &StorePath, hash: NarHash) -> Self {
        let mut resource =
            Resource::new(&format!("{}.nar", path.base_name()), &data_encoding::HEXLOWER.encode(&hash.0));
        resource.annotations.insert("storePath".to_owned(), path.to_string());
        resource
    }
}

impl Statement {
    /// A statement about the NAR of a store path.
    pub fn new(path: &StorePath, hash: NarHash, predicate_type: &str, predicate: serde_json::Value) -> Self {
        Statement {
            kind: TYPE.to_owned(),
            subject: vec![Resource::nar(path, hash)],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }
}
