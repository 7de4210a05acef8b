//! What apt's programs print: package paragraphs and download lines.

use super::{AptError, Candidate};

/// A paragraph of `apt-cache show` or `apt-cache showsrc`, as far as we use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) package: String,
    pub(super) version: String,
    filename: String,
    size: String,
    sha256: String,
}

impl Listed {
    pub(super) fn into_candidate(self) -> Result<Candidate, AptError> {
        let bad = |line: &str| AptError::Output { program: "apt-cache", line: line.to_owned() };
        Ok(Candidate {
            sha256: sha256(&self.sha256).ok_or_else(|| bad(&format!("SHA256: {}", self.sha256)))?,
            size: self.size.parse().map_err(|_| bad(&format!("Size: {}", self.size)))?,
            package: self.package,
            version: self.version,
            filename: self.filename,
        })
    }

    /// Its file in the archive at `uri`; `None` for a path that leads elsewhere.
    pub(super) fn in_archive(self, uri: &str) -> Option<Download> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._~:%".contains(c);
        let goes_down = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
        if !self.filename.split('/').all(goes_down) {
            return None;
        }
        let name = self.filename.rsplit('/').next().unwrap_or_default().to_owned();
        Some(Download {
            uri: format!("{uri}/{}", self.filename),
            name,
            size: self.size.parse().ok()?,
            hash: format!("SHA256:{}", self.sha256),
        })
    }
}

/// Reads paragraphs of `Field: value`; each version once, in apt's order (newest first).
pub(super) fn parse(printed: &str) -> Result<Vec<Listed>, AptError> {
    let mut all: Vec<Listed> = Vec::new();
    for paragraph in printed.split("\n\n") {
        let mut listed = Listed::default();
        for line in paragraph.lines() {
            let Some((field, value)) = line.split_once(": ") else { continue };
            let place = match field {
                "Package" => &mut listed.package,
                "Version" => &mut listed.version,
                "Filename" => &mut listed.filename,
                "Size" => &mut listed.size,
                "SHA256" => &mut listed.sha256,
                _ => continue,
            };
            *place = value.trim().to_owned();
        }
        if !listed.version.is_empty() && !all.iter().any(|one| one.version == listed.version) {
            all.push(listed);
        }
    }
    Ok(all)
}

/// A line of `apt-get --print-uris`: `'<uri>' <file> <size> <algorithm>:<hash>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Download {
    pub(super) uri: String,
    pub(super) name: String,
    pub(super) size: u64,
    hash: String,
}

impl Download {
    pub(super) fn parse(line: &str) -> Result<Self, AptError> {
        let parsed = || {
            let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
            let mut words = rest.split_whitespace();
            let (name, size) = (words.next()?, words.next()?.parse().ok()?);
            // apt leaves the hash out for a file that lies on this machine already.
            let hash = words.next().unwrap_or_default();
            Some(Download { uri: uri.to_owned(), name: name.to_owned(), size, hash: hash.to_owned() })
        };
        parsed().ok_or_else(|| AptError::Output { program: "apt-get", line: line.to_owned() })
    }

    pub(super) fn sha256(&self) -> Result<[u8; 32], AptError> {
        let hash = self.hash.strip_prefix("SHA256:").and_then(sha256);
        hash.ok_or_else(|| AptError::Output { program: "apt-get", line: self.hash.clone() })
    }

    /// `<package>_<version>_<arch>.deb`, where `:` is written `%3a`.
    pub(super) fn package_and_version(&self) -> Result<(String, String), AptError> {
        let mut parts = self.name.split('_');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(package), Some(version), Some(_)) => {
                Ok((package.to_owned(), version.replace("%3a", ":").replace("%3A", ":")))
            }
            _ => Err(AptError::Output { program: "apt-get", line: self.name.clone() }),
        }
    }
}

fn sha256(hex: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}
