//! The input drive: an image on disk, hashed as it is written.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use sha2::{Digest as _, Sha256};

use super::erofs::{self, ErofsError, Image};
use crate::machine::Drive;

/// Writes `image` into `file`, which must be empty, and hashes it on the way.
pub fn write_drive(image: &Image, file: File) -> Result<Drive, ErofsError> {
    let mut hashed = Hashed { file: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new() };
    let len = erofs::write(image, &mut hashed)?;
    let file = hashed.file.into_inner().map_err(|error| ErofsError::Write(error.into_error()))?;
    Ok(Drive { file, len, sha256: hashed.hash.finalize().into() })
}

struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
