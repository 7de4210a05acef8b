//! Bytes from anywhere, and the one question about them: are they what the hash names?
//!
//! Bytes are written to a private file first and hashed there, then handed on; between the two nobody else
//! can change them.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use crate::nix::hash::{Algorithm, Hash, Hasher};
use crate::nix::make_path::Method;
use crate::nix::nar::{NarWriteError, Writer};
use crate::store::{Nar, Store, StoreError};

/// Largest input: larger than any source archive, small enough that an endless stream ends.
pub(super) const MAX_INPUT: u64 = 16 << 30;

/// As what a stream of bytes is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A plain file.
    File,
    /// A file its owner may execute.
    Executable,
    /// A NAR: a whole tree.
    Nar,
}

/// Bytes in an unnamed file of ours.
#[derive(Debug)]
pub(super) struct Contents {
    file: File,
    size: u64,
}

impl Contents {
    /// Takes everything a reader gives, up to [`MAX_INPUT`].
    pub(super) fn read(reader: impl Read) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        let size = io::copy(&mut reader.take(MAX_INPUT + 1), &mut file)?;
        if size > MAX_INPUT {
            return Err(io::Error::other(format!("it is longer than {MAX_INPUT} bytes")));
        }
        Ok(Contents { file, size })
    }

    /// An unnamed file of ours that was written already.
    pub(super) fn of(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Contents { file, size })
    }

    /// The bytes from the start.
    pub(super) fn bytes(&self) -> io::Result<impl Read + '_> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::with_capacity(256 << 10, file.take(self.size)))
    }

    /// As what the bytes have the hash wanted; the error holds the hash that they have as the likeliest form.
    pub(super) fn form(&self, method: Method, wanted: &Hash) -> io::Result<Result<Form, Hash>> {
        let algorithm = wanted.algorithm();
        let plain = self.hash(algorithm)?;
        if method == Method::Flat {
            return Ok(if plain == *wanted { Ok(Form::File) } else { Err(plain) });
        }
        if plain == *wanted {
            return Ok(Ok(Form::Nar));
        }
        let mut likeliest = None;
        for form in [Form::File, Form::Executable] {
            let hash = self.nar_hash(form == Form::Executable, algorithm)?;
            if hash == *wanted {
                return Ok(Ok(form));
            }
            likeliest.get_or_insert(hash);
        }
        Ok(Err(match likeliest {
            Some(hash) if !self.starts_like_a_nar()? => hash,
            _ => plain,
        }))
    }

    /// Puts the bytes into the store, as a NAR.
    pub(super) fn import(&self, store: &Store, form: Form) -> Result<Nar, ImportError> {
        match form {
            // From a stranger: the store checks it against the format.
            Form::Nar => Ok(store.import_nar(self.bytes()?, None)?),
            Form::File | Form::Executable => {
                Ok(self.nar_of_file(form == Form::Executable, store.nar_sink()?)?.finish()?)
            }
        }
    }

    /// The hash of the bytes themselves.
    pub(super) fn hash(&self, algorithm: Algorithm) -> io::Result<Hash> {
        let mut hasher = Hasher::new(algorithm);
        io::copy(&mut self.bytes()?, &mut hasher)?;
        Ok(hasher.finish())
    }

    /// The hash of the NAR that holds the bytes as one file.
    pub(super) fn nar_hash(&self, executable: bool, algorithm: Algorithm) -> io::Result<Hash> {
        Ok(self.nar_of_file(executable, Hasher::new(algorithm))?.finish())
    }

    fn nar_of_file<W: io::Write>(&self, executable: bool, out: W) -> io::Result<W> {
        let mut writer = Writer::new(out);
        let written = writer.regular(executable, self.size, self.bytes()?);
        written.and_then(|()| writer.finish()).map_err(|error| match error {
            NarWriteError::Io(error) => error,
            other => io::Error::other(other),
        })
    }

    fn starts_like_a_nar(&self) -> io::Result<bool> {
        let mut start = Vec::new();
        self.bytes()?.take(21).read_to_end(&mut start)?;
        Ok(start == b"\x0d\0\0\0\0\0\0\0nix-archive-1")
    }
}

/// Why good bytes could not be put into the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A NAR of a tree with one file in it, `path` below its root.
pub(super) fn tree_of_one(path: &str, executable: bool, bytes: &[u8]) -> Result<Contents, NarWriteError> {
    let file = tempfile::tempfile()?;
    let mut writer = Writer::new(&file);
    let names: Vec<&str> = path.split('/').collect();
    for name in &names {
        writer.directory()?;
        writer.entry(name.as_bytes())?;
    }
    writer.regular(executable, bytes.len() as u64, bytes)?;
    for _ in &names {
        writer.leave()?;
    }
    writer.finish()?;
    Ok(Contents::of(file)?)
}
