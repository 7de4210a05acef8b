//! `--json FILE`: the machine-readable form of a result.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::Failure;

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
        self.path.is_some_and(|path| path.as_os_str() == "-")
    }

    /// Writes `document` if a document was asked for. A file appears whole or not at all.
    pub fn write(&self, document: &impl Serialize) -> Result<(), Failure> {
        let Some(path) = self.path else { return Ok(()) };
        let mut text = serde_json::to_vec_pretty(document)
            .map_err(|error| Failure::io("the JSON document", &error.into()))?;
        text.push(b'\n');
        let written = match path.metadata() {
            _ if self.is_stdout() => std::io::stdout().write_all(&text),
            // A device or a pipe is written to; replacing it would destroy it.
            Ok(metadata) if !metadata.is_file() => {
                std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(&text))
            }
            _ => replace(path, &text),
        };
        written.map_err(|error| Failure::io(path.display().to_string(), &error))
    }
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

fn folder_of(path: &Path) -> &Path {
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
