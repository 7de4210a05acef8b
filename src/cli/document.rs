//! `--json FILE` and its like: a result for machines, and as a page.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::Failure;
use crate::report::{diff::Detail, html, junit, sarif, subject::Report};

/// Where the document goes.
#[derive(Debug, Args)]
pub struct JsonTo {
    /// Write the result as a JSON document to FILE; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Where the document goes, found to be writable.
pub struct Json<'a> {
    path: Option<&'a Path>,
}

impl JsonTo {
    /// Looks whether the document can be written, before hours of work are done for it.
    pub fn open(&self) -> Result<Json<'_>, Failure> {
        let json = Json { path: self.json.as_deref() };
        if let Some(path) = json.path.filter(|_| !json.is_stdout()) {
            writable(path).map_err(|error| Failure::io(path.display().to_string(), &error))?;
        }
        Ok(json)
    }
}

impl Json<'_> {
    /// Whether the document takes standard output, so that nothing else may be printed there.
    pub fn is_stdout(&self) -> bool {
        self.path.is_some_and(is_stdout)
    }

    /// Writes `document` if a document was asked for.
    pub fn write(&self, document: &impl Serialize) -> Result<(), Failure> {
        match self.path {
            Some(path) => deliver(path, &pretty(document)?),
            None => Ok(()),
        }
    }
}

/// How much a person is shown.
#[derive(Debug, Args)]
pub struct Shown {
    /// Show every place and range that was kept, not the first few
    #[arg(long, short = 'v', visible_alias = "verbose")]
    full: bool,
}

impl Shown {
    /// How much of each difference is written.
    pub fn detail(&self) -> Detail {
        if self.full { Detail::Full } else { Detail::Short }
    }
}

/// Where the views of a report go.
#[derive(Debug, Args)]
pub struct ReportTo {
    #[command(flatten)]
    json: JsonTo,
    /// Write the report as one page, which needs nothing else, to FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the causes as SARIF 2.1.0, for code hosts, to FILE
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write the verdicts as JUnit's XML, for build servers, to FILE
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Where they go, found to be writable.
pub struct Views<'a> {
    /// The document of the verb's own schema.
    pub json: Json<'a>,
    to: &'a ReportTo,
}

impl ReportTo {
    /// As [`JsonTo::open`].
    pub fn open(&self) -> Result<Views<'_>, Failure> {
        let paths = [&self.html, &self.sarif, &self.junit].into_iter().flatten();
        for path in paths.filter(|path| !is_stdout(path)) {
            writable(path).map_err(|error| Failure::io(path.display().to_string(), &error))?;
        }
        let views = Views { json: self.json.open()?, to: self };
        if views.on_stdout() > 1 {
            return Err(Failure::usage("only one report can go to standard output"));
        }
        Ok(views)
    }
}

impl Views<'_> {
    /// How many of them take standard output.
    fn on_stdout(&self) -> usize {
        let paths =
            [self.json.path, self.to.html.as_deref(), self.to.sarif.as_deref(), self.to.junit.as_deref()];
        paths.into_iter().flatten().filter(|path| is_stdout(path)).count()
    }

    /// Whether one of them takes standard output, so that nothing else may be printed there.
    pub fn is_stdout(&self) -> bool {
        self.on_stdout() > 0
    }

    /// Writes those that were asked for, besides the JSON document.
    pub fn write<'r>(&self, report: impl FnOnce() -> Report<'r>) -> Result<(), Failure> {
        let ReportTo { html, sarif, junit, .. } = self.to;
        if html.is_none() && sarif.is_none() && junit.is_none() {
            return Ok(());
        }
        let report = report();
        if let Some(path) = html {
            deliver(path, html::page(&report).as_bytes())?;
        }
        if let Some(path) = sarif {
            deliver(path, &pretty(&sarif::document(&report))?)?;
        }
        if let Some(path) = junit {
            deliver(path, junit::document(&report).as_bytes())?;
        }
        Ok(())
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A JSON document as it is written.
fn pretty(document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut text = serde_json::to_vec_pretty(document)
        .map_err(|error| Failure::io("the JSON document", &error.into()))?;
    text.push(b'\n');
    Ok(text)
}

/// Puts a document where it was asked for. A file appears whole or not at all.
pub(super) fn deliver(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let written = match path.metadata() {
        _ if is_stdout(path) => std::io::stdout().write_all(text),
        // A device or a pipe is written to; replacing it would destroy it.
        Ok(metadata) if !metadata.is_file() => {
            std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text))
        }
        _ => replace(path, text),
    };
    written.map_err(|error| Failure::io(path.display().to_string(), &error))
}

/// Whether a document can be put at `path`: what is there stays as it is.
fn writable(path: &Path) -> std::io::Result<()> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?),
        _ => tempfile::Builder::new().tempfile_in(folder_of(&real(path))).map(drop),
    }
}

/// What a link points to is replaced, not the link.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let path = &real(path);
    let folder = folder_of(path);
    // Readable by whoever collects results: the document holds nothing secret.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(folder)?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}
