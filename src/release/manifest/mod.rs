//! Manifests: what a release consists of, file by file.
//!
//! A manifest says nothing of who made it, where or when: whoever builds the same release writes the same bytes, and signs
//! them. It comes in two forms. The document (`reprove.manifest/1`) binds each digest to the file's name, to a target and to
//! the version, and is read in the one spelling that [`Manifest::to_json`] writes, so that no two readers can understand it
//! differently. The plain form is `sha256sum`'s, for whoever has nothing else.

mod error;
mod make;
mod name;
mod plain;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::digest::{Digest, Sha256};

pub use error::{EXPLANATIONS, ManifestError};
pub use make::{Input, artefact};
pub use name::check as check_name;

/// The version of the document.
pub const SCHEMA: &str = "reprove.manifest/1";

/// Longest manifest, in bytes: some ten thousand artefacts.
pub const MAX_LEN: u64 = 4 << 20;

/// What is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The project's name.
    pub name: String,
    /// Its version, as it is tagged.
    pub version: String,
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Which release; the plain form does not say.
    pub release: Option<Release>,
    /// The files, by name.
    pub artefacts: Vec<Artefact>,
}

/// One file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Its name, without a folder.
    pub file: String,
    /// The platform it is for; none for what is for all of them, and in the plain form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its length in bytes; the plain form does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its SHA-256.
    pub sha256: Sha256,
    /// Of a compressed tar archive, the archive inside: what stays the same when another encoder compresses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tar: Option<Digest>,
}

/// The document.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: String,
    /// The project's name.
    name: String,
    /// The version, as it is tagged.
    version: String,
    /// The files, sorted by the bytes of their names.
    artefacts: Vec<Artefact>,
}

impl Manifest {
    /// The manifest of a release.
    ///
    /// # Errors
    /// No artefact, names that cannot be, and names that are there twice; see [`ManifestError`].
    pub fn new(release: Release, mut artefacts: Vec<Artefact>) -> Result<Self, ManifestError> {
        artefacts.sort_by(|a, b| a.file.cmp(&b.file));
        let manifest = Manifest { release: Some(release), artefacts };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads either form.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() as u64 > MAX_LEN {
            return Err(ManifestError::TooLong);
        }
        let text =
            str::from_utf8(text).map_err(|error| ManifestError::NotText { at: error.valid_up_to() })?;
        if !text.starts_with('{') {
            return plain::parse(text);
        }
        let malformed = |why: &dyn std::fmt::Display| ManifestError::Malformed { why: why.to_string() };
        let document: Document = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        if document.schema != SCHEMA {
            return Err(malformed(&format!("its schema is `{}`, not {SCHEMA}", document.schema)));
        }
        let Document { name, version, artefacts, .. } = document;
        let manifest = Manifest { release: Some(Release { name, version }), artefacts };
        manifest.check()?;
        match manifest.to_json() {
            Some(written) if written == text => Ok(manifest),
            _ => Err(ManifestError::NotCanonical),
        }
    }

    /// The document; a manifest that was read in the plain form has none.
    pub fn to_json(&self) -> Option<String> {
        let release = self.release.clone()?;
        let document = Document {
            schema: SCHEMA.to_owned(),
            name: release.name,
            version: release.version,
            artefacts: self.artefacts.clone(),
        };
        // Writing strings and numbers to memory cannot fail.
        serde_json::to_string_pretty(&document).ok().map(|text| text + "\n")
    }

    /// The plain form, for `sha256sum -c`.
    pub fn to_plain(&self) -> String {
        self.artefacts.iter().map(|artefact| format!("{}  {}\n", artefact.sha256, artefact.file)).collect()
    }

    /// The line of `file`.
    pub fn artefact(&self, file: &str) -> Option<&Artefact> {
        self.artefacts.iter().find(|artefact| artefact.file == file)
    }

    /// What must hold of every manifest, in either form.
    fn check(&self) -> Result<(), ManifestError> {
        if self.artefacts.is_empty() {
            return Err(ManifestError::Empty);
        }
        if let Some(release) = &self.release {
            name::check(&release.name)?;
            name::check(&release.version)?;
        }
        let mut folded = std::collections::BTreeMap::new();
        for artefact in &self.artefacts {
            name::check(&artefact.file)?;
            artefact.target.as_deref().map_or(Ok(()), name::check)?;
            // Where file systems fold case, the second of them would take the first one's place.
            if let Some(other) = folded.insert(artefact.file.to_lowercase(), &artefact.file) {
                return Err(ManifestError::Twice { file: artefact.file.clone(), other: other.clone() });
            }
        }
        match self.artefacts.windows(2).find(|pair| pair[0].file >= pair[1].file) {
            Some(pair) => Err(ManifestError::NotSorted { file: pair[1].file.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
