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
        let written =
            if self.is_stdout() { std::io::stdout().write_all(&text) } else { replace(path, &text) };
        written.map_err(|error| Failure::io(path.display().to_string(), &error))
    }
}

fn replace(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}
