//! NARs by hash.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::{Pending, Store, StoreError, error::Context as _};
use crate::nix::{
    hash::NarHash,
    nar::{NarHasher, Reader},
};

/// Bytes gathered before they are hashed and written; larger does not get faster.
const BUFFER: usize = 256 << 10;

/// A NAR in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nar {
    /// SHA-256 over its bytes.
    pub hash: NarHash,
    /// Its length in bytes.
    pub size: u64,
}

impl Store {
    /// A place to write a NAR whose hash is not yet known. What is written is hashed, not parsed: for writers of
    /// ours; what others wrote goes through [`Store::import_nar`].
    pub fn nar_sink(&self) -> Result<NarSink<'_>, StoreError> {
        let hashing = Hashing { file: self.pending()?, hasher: NarHasher::default() };
        Ok(NarSink { store: self, out: BufWriter::with_capacity(BUFFER, hashing) })
    }

    /// Takes a NAR from outside: every byte is checked against the format while it is written, and against
    /// `expected` when that is known. How much is read is the caller's to bound.
    ///
    /// # Errors
    /// [`StoreError::NotANar`] and [`StoreError::HashMismatch`]; nothing of it is then in the store.
    pub fn import_nar(&self, nar: impl Read, expected: Option<NarHash>) -> Result<Nar, StoreError> {
        let Import { nar, file } = import(self, nar, expected)?;
        file.replace(&self.nar_path(&nar.hash))?;
        Ok(nar)
    }

    /// The NAR with that hash, open for reading, or `None`.
    pub fn nar(&self, hash: &NarHash) -> Result<Option<File>, StoreError> {
        let path = self.nar_path(hash);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.context("open", &path).map(Some),
        }
    }

    /// Where the NAR with that hash is or would be.
    pub fn nar_path(&self, hash: &NarHash) -> PathBuf {
        self.dir("nar").join(format!("{}.nar", hash.to_base32()))
    }

    /// The size in bytes of the NAR with that hash, or `None`.
    pub fn nar_size(&self, hash: &NarHash) -> Result<Option<u64>, StoreError> {
        let path = self.nar_path(hash);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => Ok(Some(found.context("look at", &path)?.len())),
        }
    }
}

/// A NAR from outside that is written and has no name yet.
pub(super) struct Import {
    pub(super) nar: Nar,
    pub(super) file: Pending,
}

/// Writes a NAR from outside, and checks it meanwhile.
pub(super) fn import(store: &Store, nar: impl Read, expected: Option<NarHash>) -> Result<Import, StoreError> {
    let mut tee = Tee { from: nar, to: store.nar_sink()?, failed: None };
    let mut reader = Reader::new(&mut tee);
    let checked = loop {
        match reader.next_event() {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(StoreError::NotANar(error)),
        }
    };
    if let Some(error) = tee.failed {
        return Err(error).context("write to", &store.dir("tmp"));
    }
    checked?;
    tee.to.written(expected)
}

/// Takes the bytes of one NAR. Dropped before [`NarSink::finish`], it leaves nothing.
pub struct NarSink<'store> {
    store: &'store Store,
    out: BufWriter<Hashing>,
}

impl NarSink<'_> {
    /// Gives the NAR its name; durable when this returns. A NAR that was there is replaced by the same bytes, so
    /// that importing again mends one that got damaged.
    pub fn finish(self) -> Result<Nar, StoreError> {
        self.finish_as(None)
    }

    /// As [`NarSink::finish`], but refuses bytes with another hash than `expected` and leaves nothing of them.
    pub fn finish_as(self, expected: Option<NarHash>) -> Result<Nar, StoreError> {
        let store = self.store;
        let Import { nar, file } = self.written(expected)?;
        file.replace(&store.nar_path(&nar.hash))?;
        Ok(nar)
    }

    fn written(self, expected: Option<NarHash>) -> Result<Import, StoreError> {
        let tmp = self.store.dir("tmp");
        let hashing =
            self.out.into_inner().map_err(io::IntoInnerError::into_error).context("write to", &tmp)?;
        let (hash, size) = hashing.hasher.finish();
        let nar = Nar { hash, size };
        if let Some(expected) = expected.filter(|expected| *expected != nar.hash) {
            return Err(StoreError::HashMismatch { expected, got: nar.hash });
        }
        Ok(Import { nar, file: hashing.file })
    }
}

impl Write for NarSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes what is read from it to a sink as well.
struct Tee<'store, R> {
    from: R,
    to: NarSink<'store>,
    /// Why the sink took no more; who reads only learns that it ended.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n]).map_err(|error| {
            self.failed = Some(error);
            io::Error::other("the store takes no more")
        })?;
        Ok(n)
    }
}

/// Hashes and counts what is written to a file.
struct Hashing {
    file: Pending,
    hasher: NarHasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.file().write(bytes)?;
        self.hasher.write_all(&bytes[..n])?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes a NAR file that is in the store.
pub(super) fn hash_file(path: &Path) -> Result<Nar, StoreError> {
    let mut file = File::open(path).context("open", path)?;
    let mut hasher = NarHasher::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).and_then(|n| hasher.write_all(&buffer[..n]).map(|()| n)) {
            Ok(0) => {
                let (hash, size) = hasher.finish();
                return Ok(Nar { hash, size });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("read", path),
        }
    }
}
