//! From a file to its line in a manifest.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _},
    path::{Path, PathBuf},
};

use super::{Artefact, ManifestError};
use crate::release::{archive::Format, digest::Digest, target};

/// Bytes that an archive is unpacked to, to know the digest of what is inside.
const MAX_UNPACKED: u64 = 64 << 30;

/// A file that is to be in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
    /// The platform it is for, if that is not to be read off its name.
    pub target: Option<String>,
}

/// Reads a file for its line.
pub fn artefact(input: &Input) -> Result<Artefact, ManifestError> {
    let path = &input.path;
    let failed = |source| ManifestError::Read { path: path.clone(), source };
    let file = path.file_name().and_then(|name| name.to_str());
    let file = file.ok_or_else(|| ManifestError::NoName { path: path.clone() })?.to_owned();
    super::name::check(&file)?;
    let opened = File::open(path).map_err(failed)?;
    if !opened.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    let digest = Digest::of(&opened).map_err(failed)?;
    let tar = inner_tar(path, opened).map_err(failed)?;
    let target = input.target.clone().or_else(|| target::of(&file).map(str::to_owned));
    Ok(Artefact { file, target, size: Some(digest.size), sha256: digest.sha256, tar })
}

/// The digest of the tar archive in a file that is called a compressed one.
fn inner_tar(path: &Path, mut file: File) -> io::Result<Option<Digest>> {
    file.rewind()?;
    let file = BufReader::new(file);
    let unpacked: Box<dyn Read> = match Format::of(path) {
        Some(Format::TarGz) => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Some(Format::TarZst) => Box::new(zstd::Decoder::with_buffer(file)?),
        Some(Format::Tar | Format::Zip) | None => return Ok(None),
    };
    let digest = Digest::of(unpacked.take(MAX_UNPACKED))?;
    if digest.size == MAX_UNPACKED {
        return Err(io::Error::other("it unpacks to more than 64 GiB"));
    }
    Ok(Some(digest))
}
