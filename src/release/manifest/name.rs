//! Names in a manifest.

use super::ManifestError;

/// Longest name in bytes: what file systems take.
const MAX: usize = 255;

/// Whether `name` can be the name of a file, a target, a release or a version: one that means the same to every file
/// system, shell and reader, and cannot be mistaken for another one by a person.
pub fn check(name: &str) -> Result<(), ManifestError> {
    let wrong = |why| Err(ManifestError::Name { name: name.to_owned(), why });
    if name.is_empty() || name.len() > MAX {
        return wrong("it has to have 1 to 255 bytes");
    }
    if name == "." || name == ".." {
        return wrong("it is a folder");
    }
    if name.starts_with([' ', '-']) || name.ends_with(' ') {
        return wrong("it begins with a space or a dash, or ends with a space");
    }
    let bad = |c: char| !(c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric()) || matches!(c, '/' | '\\');
    if name.contains(bad) {
        return wrong(
            "it holds a slash, a backslash or something that is neither a letter nor a digit nor ASCII",
        );
    }
    Ok(())
}
