//! Signatures and objections that lie beside a manifest.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    cli::{Failure, document::folder_of, read::bounded},
    release::{
        objection,
        quorum::{Found, FoundObjection},
        signature,
    },
};

/// Files beside a manifest that are looked at: whoever can write there could put millions.
const MAX_FILES: usize = 1000;

/// How the files are called, behind the name of what they are about.
const OBJECTION: &str = ".objection.json";
const SIGNATURES: [&str; 2] = [".sig", ".asc"];

/// What lies beside a manifest.
pub struct Beside {
    /// Signatures of the manifest: `MANIFEST.*.sig` and `MANIFEST.*.asc`.
    pub signatures: Vec<Found>,
    /// Objections, `MANIFEST.*.objection.json`, each with its own signatures.
    pub objections: Vec<FoundObjection>,
}

impl Beside {
    /// Looks beside `manifest`, and into the files that are named besides.
    pub fn of(manifest: &Path, named: &[PathBuf]) -> Result<Self, Failure> {
        let failed = |path: &Path, error| Failure::io(path.display().to_string(), &error);
        let folder = folder_of(manifest);
        let name = manifest.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut files = BTreeSet::new();
        for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let file = entry.map_err(|error| failed(folder, error))?.file_name();
            // What is not UTF-8 is called like nothing that is looked for.
            let Ok(file) = file.into_string() else { continue };
            let is_about_it = file.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.'));
            let is_looked_for =
                file.ends_with(OBJECTION) || SIGNATURES.iter().any(|ending| file.ends_with(ending));
            if is_about_it && is_looked_for {
                files.insert(file);
            }
            if files.len() > MAX_FILES {
                return Err(Failure::usage(format!(
                    "{}: more than {MAX_FILES} signatures and objections beside the manifest",
                    folder.display()
                )));
            }
        }
        let read = |file: &str, limit| found(&folder.join(file), file, limit);
        let of = |objection: &str| {
            let objection = format!("{objection}.");
            let signatures =
                files.iter().filter(move |file| !file.ends_with(OBJECTION) && file.starts_with(&objection));
            signatures.cloned().collect::<Vec<String>>()
        };
        let (mut objections, mut taken) = (Vec::new(), BTreeSet::new());
        for file in files.iter().filter(|file| file.ends_with(OBJECTION)) {
            let signatures = of(file);
            taken.extend(signatures.iter().cloned());
            let signatures =
                signatures.iter().map(|file| read(file, signature::MAX_LEN)).collect::<Result<_, _>>()?;
            objections.push(FoundObjection { document: read(file, objection::MAX_LEN)?, signatures });
        }
        let rest = files.iter().filter(|file| !file.ends_with(OBJECTION) && !taken.contains(*file));
        let mut signatures: Vec<Found> =
            rest.map(|file| read(file, signature::MAX_LEN)).collect::<Result<_, _>>()?;
        for path in named {
            signatures.push(found(path, &path.to_string_lossy(), signature::MAX_LEN)?);
        }
        Ok(Beside { signatures, objections })
    }
}

fn found(path: &Path, file: &str, limit: u64) -> Result<Found, Failure> {
    let bytes = bounded(path, limit).map_err(|error| Failure::io(path.display().to_string(), &error))?;
    Ok(Found { file: file.to_owned(), bytes })
}
