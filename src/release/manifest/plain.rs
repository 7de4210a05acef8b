//! The plain form: what `sha256sum` writes, and `sha256sum -c` reads.

use super::{Artefact, Manifest, ManifestError};

/// Reads it: a digest, two spaces (or a space and `*`), a name, on each line. Lines may be in any order.
pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let Some(lines) = text.strip_suffix('\n') else {
        return Err(ManifestError::Line { line: text.lines().count().max(1), why: "it is not ended" });
    };
    let artefact = |(index, line): (usize, &str)| {
        let wrong = |why| ManifestError::Line { line: index + 1, why };
        let (digest, rest) = line.split_at_checked(64).ok_or_else(|| wrong("it is no digest and a name"))?;
        let sha256 =
            digest.parse().map_err(|_| wrong("it does not begin with 64 lower-case hexadecimal digits"))?;
        let file = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"));
        let file = file.ok_or_else(|| wrong("between digest and name are to be two spaces"))?.to_owned();
        Ok(Artefact { file, target: None, size: None, sha256, tar: None })
    };
    let mut artefacts = lines.split('\n').enumerate().map(artefact).collect::<Result<Vec<_>, _>>()?;
    artefacts.sort_by(|a, b| a.file.cmp(&b.file));
    let manifest = Manifest { release: None, artefacts };
    manifest.check()?;
    Ok(manifest)
}
