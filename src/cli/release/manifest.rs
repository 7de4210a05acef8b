//! `reprove release manifest`: what a release consists of.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    cli::{Context, Exit, Failure, document::deliver},
    release::manifest::{Artefact, Document, Input, Manifest, ManifestError, Release, artefact},
};

/// Write the manifest of a release: the SHA-256 of each file, bound to its name, its target and the version.
///
/// A manifest says nothing of who made it, where or when: whoever builds the same release writes the same bytes.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub struct MakeManifest {
    /// The project
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The version, as it is tagged
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// Write the document to FILE; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    to: PathBuf,
    /// Also write the plain form, for `sha256sum -c`, to FILE
    #[arg(long, value_name = "FILE")]
    plain: Option<PathBuf>,
    /// The files; `TARGET=FILE` says for which platform one is, where its name does not say it
    #[arg(value_name = "[TARGET=]FILE", required = true)]
    files: Vec<String>,
}

impl MakeManifest {
    /// Reads the files, and writes what they are.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut artefacts = Vec::new();
        for file in &self.files {
            let input = input(file);
            context.progress.step(&format!("reading {}", input.path.display()));
            let read: Result<Artefact, ManifestError> = artefact(&input);
            context.progress.end_step();
            artefacts.push(read?);
        }
        let release = Release { name: self.name.clone(), version: self.version.clone() };
        let manifest = Manifest::new(release, artefacts)?;
        let json = manifest.to_json().unwrap_or_default();
        let written = |path: &Path, text: &str| deliver(path, text.as_bytes());
        self.plain.as_deref().map_or(Ok(()), |path| written(path, &manifest.to_plain()))?;
        written(&self.to, &json)?;
        Ok(Exit::Success)
    }
}

/// `TARGET=FILE`, or a file: what is before the equals sign is a target if it looks like one.
fn input(text: &str) -> Input {
    let is_target = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    match text.split_once('=') {
        Some((target, path)) if is_target(target) => {
            Input { path: path.into(), target: Some(target.to_owned()) }
        }
        _ => Input { path: text.into(), target: None },
    }
}

/// The JSON Schema of the document.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}
