//! `--json FILE`: the machine-readable form of a result.

use std::{io::Write as _, path::PathBuf};

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

impl JsonTo {
    /// Whether the document takes standard output, so that nothing else may be printed there.
    pub fn is_stdout(&self) -> bool {
        self.json.as_deref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// Writes `document` if a document was asked for. A file appears whole or not at all.
    pub fn write(&self, document: &impl Serialize) -> Result<(), Failure> {
        let Some(path) = &self.json else { return Ok(()) };
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

fn replace(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    // What a link points to is replaced, not the link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    // Readable by whoever collects results: the document holds nothing secret.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(folder)?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}
