//! What is known of a release: its files, who signed it, who objects.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::escape::escape;
use crate::{
    diff::date,
    release::{
        digest::{Digest, Sha256},
        files::FileError,
        manifest::Manifest,
        objection::Objected,
        quorum::{Judged, Quorum},
        signature::Signature,
    },
};

/// The version of the document.
pub const SCHEMA: &str = "reprove.release-verify/1";

/// A manifest that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The SHA-256 of its bytes.
    pub digest: Sha256,
    /// What it says.
    pub manifest: Manifest,
    /// Each file that was looked at, by name.
    pub files: Vec<(String, Result<Digest, FileError>)>,
    /// Who signed it.
    pub quorum: Quorum,
    /// Whether its version is the one that was asked for.
    pub version: Result<(), FileError>,
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// The SHA-256 of the manifest.
    manifest: Sha256,
    /// The project; the plain form does not say.
    name: Option<&'a str>,
    /// The version; the plain form does not say.
    version: Option<&'a str>,
    files: Vec<FileLine>,
    signatures: Vec<SignatureLine>,
    objections: Vec<ObjectionLine>,
    /// How many contributors have to agree.
    threshold: usize,
    /// Who does.
    agreed: &'a [String],
    /// Whether every file is what the manifest lists, enough agree, and it is the version that was asked for.
    verified: bool,
}

#[derive(Serialize, JsonSchema)]
struct FileLine {
    file: String,
    /// The code of what is wrong with it; none if it is what the manifest lists.
    error: Option<String>,
    /// The same for a person.
    message: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct SignatureLine {
    /// The file it is in.
    file: String,
    /// Whose it is, if it counts.
    contributor: Option<String>,
    /// The key's name or fingerprint, if it counts.
    key: Option<String>,
    /// When it says it was made, in seconds since 1970; ed25519 keys do not say.
    made: Option<u64>,
    /// The code of why it does not count.
    error: Option<String>,
    /// The same for a person.
    message: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ObjectionLine {
    /// The file it is in.
    file: String,
    /// Whether it is about this manifest.
    about_this: bool,
    /// What came out otherwise.
    artefacts: Vec<Objected>,
    signatures: Vec<SignatureLine>,
    /// Why it cannot be read.
    error: Option<String>,
}

impl Checked {
    /// Whether nothing is missing.
    pub fn is_verified(&self) -> bool {
        self.files.iter().all(|(_, result)| result.is_ok())
            && self.quorum.check().is_ok()
            && self.version.is_ok()
    }

    /// The document.
    pub fn document(&self) -> impl Serialize {
        let release = self.manifest.release.as_ref();
        let lines = |judged: &[Judged]| judged.iter().map(line).collect();
        Document {
            schema: SCHEMA,
            manifest: self.digest,
            name: release.map(|release| release.name.as_str()),
            version: release.map(|release| release.version.as_str()),
            files: self.files.iter().map(|(file, result)| file_line(file, result)).collect(),
            signatures: lines(&self.quorum.signatures),
            objections: self
                .quorum
                .objections
                .iter()
                .map(|said| ObjectionLine {
                    file: said.file.clone(),
                    about_this: matches!(said.objection, Ok(Some(_))),
                    artefacts: match &said.objection {
                        Ok(Some(objection)) => objection.artefacts.clone(),
                        _ => Vec::new(),
                    },
                    signatures: lines(&said.signatures),
                    error: said.objection.as_ref().err().map(ToString::to_string),
                })
                .collect(),
            threshold: self.quorum.threshold,
            agreed: &self.quorum.agreed,
            verified: self.is_verified(),
        }
    }

    /// For a person: what holds. What does not is the command line's to say.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(release) = &self.manifest.release {
            writeln!(out, "{} {}", escape(&release.name), escape(&release.version))?;
        }
        writeln!(out, "manifest    {}", self.digest)?;
        for (file, result) in &self.files {
            let said = if result.is_ok() { "as listed" } else { "NOT AS LISTED" };
            let target = self.manifest.artefact(file).and_then(|artefact| artefact.target.as_deref());
            let target = target.map(|target| format!("  (for {})", escape(target))).unwrap_or_default();
            writeln!(out, "{said:<13} {}{target}", escape(file))?;
        }
        self.quorum.signatures.iter().try_for_each(|judged| write_signature(out, "signed by", judged))?;
        for said in &self.quorum.objections {
            match &said.objection {
                Err(error) => {
                    writeln!(out, "not read      {}: {}", escape(&said.file), escape(&error.to_string()))?
                }
                Ok(None) => writeln!(out, "not about it  {}", escape(&said.file))?,
                Ok(Some(objection)) => {
                    said.signatures
                        .iter()
                        .try_for_each(|judged| write_signature(out, "OBJECTED BY", judged))?;
                    for Objected { file, published, rebuilt, causes } in &objection.artefacts {
                        let causes = if causes.is_empty() {
                            String::new()
                        } else {
                            format!(" ({})", causes.join(", "))
                        };
                        let (file, causes) = (escape(file), escape(&causes));
                        writeln!(out, "  {file}: published {published}, rebuilt {rebuilt}{causes}")?;
                    }
                }
            }
        }
        let agreed = self.quorum.agreed.join(", ");
        writeln!(
            out,
            "agreed        {} (needed: {}): {agreed}",
            self.quorum.agreed.len(),
            self.quorum.threshold
        )
    }
}

fn write_signature(out: &mut dyn Write, what: &str, judged: &Judged) -> io::Result<()> {
    match &judged.result {
        Ok(Signature { contributor, key, made }) => {
            let made = made.map(|made| format!(", {}", day(made))).unwrap_or_default();
            writeln!(out, "{what:<13} {contributor}  ({key}{made})")
        }
        Err(error) => writeln!(
            out,
            "not counted   {}: {} {}",
            escape(&judged.file),
            error.code(),
            escape(&error.to_string())
        ),
    }
}

fn day(seconds: u64) -> String {
    let (year, month, day) = date(i64::try_from(seconds).unwrap_or(i64::MAX));
    format!("{year:04}-{month:02}-{day:02}")
}

fn file_line(file: &str, result: &Result<Digest, FileError>) -> FileLine {
    let error = result.as_ref().err();
    FileLine {
        file: file.to_owned(),
        error: error.map(|error| error.code().to_string()),
        message: error.map(ToString::to_string),
    }
}

fn line(judged: &Judged) -> SignatureLine {
    let (good, bad) = (judged.result.as_ref().ok(), judged.result.as_ref().err());
    SignatureLine {
        file: judged.file.clone(),
        contributor: good.map(|good| good.contributor.clone()),
        key: good.map(|good| good.key.clone()),
        made: good.and_then(|good| good.made),
        error: bad.map(|bad| bad.code().to_string()),
        message: bad.map(ToString::to_string),
    }
}

/// The JSON Schema of the document.
pub fn schema() -> schemars::Schema {
    super::schema::of::<Document<'_>>()
}
