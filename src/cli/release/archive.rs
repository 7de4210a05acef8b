//! `reprove release archive`: a folder as an archive, the same bytes on every host.

use std::{
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{
    cli::{
        Context, Exit, Failure,
        document::{JsonTo, folder_of},
    },
    release::archive::{self, ArchiveError, Format, Options},
};

/// Write a folder as a tar archive, compressed or not, or as a zip file: the same bytes on every host.
///
/// An uncompressed archive is, byte for byte, what GNU tar writes with
/// `--sort=name --mtime=@N --owner=0 --group=0 --numeric-owner --hard-dereference --format=gnu --mode=go=rX,u+rw,a-s`
/// of the folder by its name. The compressors are part of this program; the digest of the archive inside is told, too,
/// for those who compress with others.
#[derive(Debug, Args)]
pub struct Archive {
    /// The folder
    folder: PathBuf,
    /// The archive; its ending is its format: .tar, .tar.gz or .tgz, .tar.zst, .zip
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The format, whatever the file is called
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<FormatName>,
    /// The name that the folder has in the archive [default: its own]
    #[arg(long, value_name = "NAME")]
    root: Option<std::ffi::OsString>,
    /// The time of every entry in seconds since 1970 [default: $SOURCE_DATE_EPOCH, or 1, as in Nix's store]
    #[arg(long, value_name = "SECONDS")]
    mtime: Option<u64>,
    #[command(flatten)]
    json: JsonTo,
}

/// A format on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    Tar,
    #[value(name = "tar.gz")]
    TarGz,
    #[value(name = "tar.zst")]
    TarZst,
    Zip,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Tar => Format::Tar,
            FormatName::TarGz => Format::TarGz,
            FormatName::TarZst => Format::TarZst,
            FormatName::Zip => Format::Zip,
        }
    }
}

/// The version of the document.
const SCHEMA: &str = "reprove.release-archive/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// Where it was written to.
    file: &'a str,
    #[serde(flatten)]
    archive: &'a archive::Archive,
}

impl Archive {
    /// Writes the archive; it appears under its name when it is whole.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let format = self.format()?;
        let folder = self
            .folder
            .canonicalize()
            .map_err(|error| Failure::io(self.folder.display().to_string(), &error))?;
        let to_failed = |error: &std::io::Error| Failure::io(self.to.display().to_string(), error);
        let beside = folder_of(&self.to).canonicalize().map_err(|error| to_failed(&error))?;
        if beside.starts_with(&folder) {
            return Err(Failure::usage(format!(
                "{} would be in the folder that is archived",
                self.to.display()
            )));
        }
        let root = self.root.as_deref().or(folder.file_name()).unwrap_or_default();
        let options = Options { format, root: root.as_bytes(), mtime: self.mtime()? };
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        let file = tempfile::Builder::new().permissions(readable).tempfile_in(&beside);
        let file = file.map_err(|error| to_failed(&error))?;
        context.progress.step(&format!("archiving {}", self.folder.display()));
        let written = archive::archive(&folder, options, file.as_file());
        context.progress.end_step();
        let archive = written?;
        file.persist(&self.to).map_err(|error| to_failed(&error.error))?;
        json.write(&Document { schema: SCHEMA, file: &self.to.to_string_lossy(), archive: &archive })?;
        if !json.is_stdout() {
            print(&archive, &self.to).map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(Exit::Success)
    }

    fn format(&self) -> Result<Format, Failure> {
        self.format.map(Format::from).or_else(|| Format::of(&self.to)).ok_or_else(|| {
            Failure::usage(format!("{}: its ending is not that of an archive", self.to.display()))
                .hint("call it .tar, .tar.gz, .tar.zst or .zip, or say --format")
        })
    }

    fn mtime(&self) -> Result<u64, Failure> {
        match (self.mtime, std::env::var_os("SOURCE_DATE_EPOCH")) {
            (Some(mtime), _) => Ok(mtime),
            (None, Some(text)) if !text.is_empty() => {
                text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    let text = text.to_string_lossy();
                    Failure::usage(format!("SOURCE_DATE_EPOCH is `{text}`: no number of seconds since 1970"))
                })
            }
            (None, _) => Ok(1),
        }
    }
}

fn print(archive: &archive::Archive, to: &Path) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    let name = crate::report::escape::escape_bytes(to.as_os_str().as_bytes());
    writeln!(out, "sha256      {}  {name}", archive.digest.sha256)?;
    if let (Some(compressor), Some(tar)) = (&archive.compressor, &archive.tar) {
        writeln!(out, "inner tar   {}", tar.sha256)?;
        writeln!(out, "compressor  {compressor}")?;
    }
    writeln!(out, "entries     {}, {} bytes", archive.entries, archive.digest.size)
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let exit = match &error {
            ArchiveError::Output(source) if source.kind() == std::io::ErrorKind::BrokenPipe => {
                Exit::BrokenPipe
            }
            _ => Exit::Usage,
        };
        Failure::new(error.code(), &error, exit)
    }
}
