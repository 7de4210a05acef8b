//! `reprove release verify`: whether files are what enough contributors say they are.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;

use super::beside::Beside;
use crate::{
    cli::{
        Context, Exit, Failure,
        document::{JsonTo, folder_of},
        read::named,
        signers,
    },
    release::{
        digest::Digest,
        files::{self, FileError},
        manifest::{self, Manifest},
        quorum::{Quorum, QuorumError},
    },
    report::release::Checked,
};

/// Check files against a manifest, and the manifest against the signatures of those who have to agree.
///
/// Without FILES every file of the manifest is looked for beside it. Signatures are the files MANIFEST.*.sig and
/// MANIFEST.*.asc beside it, objections MANIFEST.*.objection.json. A signature that does not count is told, and takes
/// nothing from the others.
///
/// Exit codes: 0 every file is as listed and enough contributors agree, 102 a file has other bytes, 121 too few agree, or
/// nobody said anything about this file or version, 122 a file is missing.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub struct VerifyRelease {
    /// The manifest, in either form
    manifest: PathBuf,
    /// Check only these files
    files: Vec<PathBuf>,
    /// Who has to agree: keep this file where those who publish the manifest cannot change it
    #[arg(long, value_name = "FILE")]
    signers: PathBuf,
    /// Another file of signatures of the manifest
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// The version that it has to be of
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Check the signatures only, no file
    #[arg(long, conflicts_with = "files")]
    no_files: bool,
    #[command(flatten)]
    json: JsonTo,
}

impl VerifyRelease {
    /// Checks and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let signers = signers::read(&self.signers)?;
        let bytes = named(&self.manifest, manifest::MAX_LEN)?;
        let manifest =
            Manifest::parse(&bytes).map_err(|error| Failure::from(error).about(self.manifest.display()))?;
        let beside = Beside::of(&self.manifest, &self.signature)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let checked = Checked {
            digest: Digest::of(bytes.as_slice()).map_err(|error| Failure::io("the manifest", &error))?.sha256,
            files: self.paths(&manifest).iter().map(|path| check(context, &manifest, path)).collect(),
            quorum: Quorum::of(&signers, &bytes, &beside.signatures, &beside.objections, now),
            version: self
                .version
                .as_deref()
                .map_or(Ok(()), |version| files::check_version(&manifest, version)),
            manifest,
        };
        if !json.is_stdout() {
            checked
                .write(&mut anstream::stdout().lock())
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&checked.document())?;
        Ok(exit(&checked))
    }

    /// The files to look at.
    fn paths(&self, manifest: &Manifest) -> Vec<PathBuf> {
        if self.no_files {
            return Vec::new();
        }
        if !self.files.is_empty() {
            return self.files.clone();
        }
        let folder = folder_of(&self.manifest);
        manifest.artefacts.iter().map(|artefact| folder.join(&artefact.file)).collect()
    }
}

fn check(context: &Context, manifest: &Manifest, path: &Path) -> (String, Result<Digest, FileError>) {
    context.progress.step(&format!("reading {}", path.display()));
    let result = files::check(manifest, path);
    context.progress.end_step();
    (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), result)
}

/// Says what is wrong, and how bad that is.
fn exit(checked: &Checked) -> Exit {
    let files = checked.files.iter().filter_map(|(_, result)| result.as_ref().err());
    let failures = files.chain(checked.version.as_ref().err()).map(failure);
    let quorum = checked.quorum.check().err().map(|error| missing(&error, checked));
    failures.chain(quorum).fold(Exit::Success, |exit, failure| {
        failure.print();
        exit.and(failure.exit)
    })
}

fn failure(error: &FileError) -> Failure {
    let exit = match error {
        error if error.is_mismatch() => Exit::HASH_MISMATCH,
        FileError::Unlisted { .. } | FileError::OtherVersion { .. } => Exit::Unsigned,
        _ => Exit::NotChecked,
    };
    Failure::new(error.code(), error, exit)
}

/// Too few agree, and which signatures did not count.
fn missing(error: &QuorumError, checked: &Checked) -> Failure {
    let mut failure = Failure::new(error.code(), error, Exit::Unsigned);
    let idle =
        checked.quorum.signatures.iter().filter_map(|judged| Some((judged, judged.result.as_ref().err()?)));
    failure.notes.extend(idle.map(|(judged, why)| format!("{} {}: {why}", why.code(), judged.file)));
    let objected = &checked.quorum.objected;
    if !objected.is_empty() {
        failure.notes.push(format!("objected to it, and not counted: {}", objected.join(", ")));
    }
    if checked.quorum.signatures.is_empty() {
        failure = failure.hint(
            "signatures lie beside the manifest, as MANIFEST.NAME.sig or .asc; or name them: --signature",
        );
    }
    failure
}
