//! A folder as an archive, the same bytes on every host.
//!
//! Nothing of the file system gets into it but names, contents, link targets and who may execute what: names are sorted by
//! their bytes, times are one time, owners are 0, permissions are read and write for the owner and read for everybody else.
//! An uncompressed archive is, byte for byte, what GNU tar writes with
//! `--sort=name --mtime=@N --owner=0 --group=0 --numeric-owner --hard-dereference --format=gnu --mode=go=rX,u+rw,a-s`.
//!
//! No deflate encoder writes what another writes, so two projects that must agree about compressed archives have to agree
//! about the encoder as well: it is named, pinned, and part of this program; the hash of the archive inside is told too.

mod deflate;
mod error;
mod folder;
mod tar;
mod zip;

use std::{
    fs::File,
    io::{self, BufWriter, Seek as _, Write},
    path::Path,
};

use schemars::JsonSchema;
use serde::Serialize;

use super::digest::{Digest, Hashing};
use folder::Folder;

pub use error::{ArchiveError, EXPLANATIONS};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An uncompressed tar archive in GNU's format.
    Tar,
    /// The same, in gzip.
    TarGz,
    /// The same, in zstd.
    TarZst,
    /// A zip file.
    Zip,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Format::Tar, Format::TarGz, Format::TarZst, Format::Zip];

    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Tar => ".tar",
            Format::TarGz => ".tar.gz",
            Format::TarZst => ".tar.zst",
            Format::Zip => ".zip",
        }
    }

    /// The format of a file of this name, by its ending.
    pub fn of(name: &Path) -> Option<Self> {
        let name = name.file_name()?.to_str()?;
        let found = Format::ALL.into_iter().find(|format| name.ends_with(format.ending()));
        found.or_else(|| name.ends_with(".tgz").then_some(Format::TarGz))
    }

    /// Who compresses it, and how hard: with another version or level, the same archive gives other bytes.
    pub fn compressor(self) -> Option<String> {
        match self {
            Format::Tar => None,
            Format::TarGz | Format::Zip => Some(format!("{}, level {}", deflate::NAME, deflate::LEVEL)),
            Format::TarZst => {
                Some(format!("libzstd {}, level {ZSTD_LEVEL}", zstd::zstd_safe::version_string()))
            }
        }
    }
}

/// The highest level that needs no more memory to unpack than every zstd gives it.
const ZSTD_LEVEL: i32 = 19;

/// How an archive is written.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// As what.
    pub format: Format,
    /// The name that the folder has in the archive: one component, no slash.
    pub root: &'a [u8],
    /// The time of every entry, in seconds since 1970. A zip file cannot say a time before 1980, and says 1980 then.
    pub mtime: u64,
}

/// The latest time that every reader of tar archives understands: eleven octal digits, in the year 2242.
pub const MAX_MTIME: u64 = (1 << 33) - 1;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Archive {
    /// Its format.
    pub format: Format,
    /// The file.
    #[serde(flatten)]
    pub digest: Digest,
    /// The uncompressed tar archive in it; a zip file has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tar: Option<Digest>,
    /// Who compressed it; nobody did with a plain tar archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressor: Option<String>,
    /// The time of its entries, in seconds since 1970.
    pub mtime: u64,
    /// How many entries it has, the root included.
    pub entries: u64,
}

/// Writes the folder at `path` to the empty file `out`.
///
/// # Errors
/// Sockets, devices and pipes are refused, and files that are written to in the meantime. See [`ArchiveError`].
pub fn archive(path: &Path, options: Options<'_>, out: &File) -> Result<Archive, ArchiveError> {
    check(options)?;
    let mut folder = Folder::new(path, options.root);
    let failed = ArchiveError::Output;
    let tar = match options.format {
        Format::Zip => {
            let mut zip = zip::Writer::new(BufWriter::new(out), options.mtime);
            folder.walk(|entry, contents| zip.add(entry, contents))?;
            zip.finish().map_err(failed)?;
            None
        }
        Format::Tar => Some(write_tar(&mut folder, options, BufWriter::new(out))?.1),
        Format::TarGz => {
            let gzip = deflate::Gzip::new(BufWriter::new(out)).map_err(failed)?;
            let (gzip, digest) = write_tar(&mut folder, options, gzip)?;
            gzip.finish().and_then(|mut out| out.flush()).map_err(failed)?;
            Some(digest)
        }
        Format::TarZst => {
            let zstd = zstd_encoder(BufWriter::new(out)).map_err(failed)?;
            let (zstd, digest) = write_tar(&mut folder, options, zstd)?;
            zstd.finish().and_then(|mut out| out.flush()).map_err(failed)?;
            Some(digest)
        }
    };
    let mut written = out;
    let digest = written.rewind().and_then(|()| Digest::of(written)).map_err(failed)?;
    Ok(Archive {
        format: options.format,
        digest,
        tar,
        compressor: options.format.compressor(),
        mtime: options.mtime,
        entries: folder.entries(),
    })
}

fn check(options: Options<'_>) -> Result<(), ArchiveError> {
    let root = options.root;
    if root.is_empty() || root == b"." || root == b".." || root.contains(&b'/') || root.contains(&0) {
        return Err(ArchiveError::Root { name: root.to_vec() });
    }
    if options.mtime > MAX_MTIME {
        return Err(ArchiveError::Time { mtime: options.mtime });
    }
    Ok(())
}

fn write_tar<W: Write>(
    folder: &mut Folder,
    options: Options<'_>,
    out: W,
) -> Result<(W, Digest), ArchiveError> {
    let mut tar = tar::Writer::new(Hashing::new(out), options.mtime);
    folder.walk(|entry, contents| tar.add(entry, contents))?;
    let (mut out, digest) = tar.finish().map_err(ArchiveError::Output)?.finish();
    out.flush().map_err(ArchiveError::Output)?;
    Ok((out, digest))
}

/// One thread: how several share the work depends on their number. The checksum makes a damaged file an error.
fn zstd_encoder<W: Write>(out: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}
