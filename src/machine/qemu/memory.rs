//! Files that live in memory only: a machine's RAM, its console, and what it boots from.
//!
//! They have no name and go with their last user, so a run that is killed at any moment leaves nothing behind.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom};

/// Bytes moved at a time.
const CHUNK: usize = 1 << 20;

/// An empty file in memory. Closed when a program is executed, unless it is handed on (see `child`).
pub fn anonymous(name: &str) -> io::Result<File> {
    let fd: OwnedFd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    Ok(File::from(fd))
}

/// A file in memory that holds `bytes`.
pub fn holding(name: &str, bytes: &[u8]) -> io::Result<File> {
    let file = anonymous(name)?;
    file.write_all_at(bytes, 0)?;
    Ok(file)
}

/// The path by which a program that inherits `file` opens it.
pub fn path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Copies the first `len` bytes of `from` to `offset` in `to`; holes stay holes.
pub fn copy(from: &File, len: u64, to: &File, offset: u64) -> io::Result<()> {
    if from.metadata()?.len() < len {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the input drive is shorter than it says"));
    }
    let mut buffer = vec![0; CHUNK];
    let mut position = 0;
    while let Some(data) = next(from, SeekFrom::Data(position))?.filter(|data| *data < len) {
        let hole = next(from, SeekFrom::Hole(data))?.unwrap_or(len).min(len);
        position = data;
        while position < hole {
            let chunk = &mut buffer[..(hole - position).min(CHUNK as u64) as usize];
            from.read_exact_at(chunk, position)?;
            to.write_all_at(chunk, offset + position)?;
            position += chunk.len() as u64;
        }
    }
    Ok(())
}

/// Gives the host its memory back for a range nobody will look at again.
pub fn forget(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, offset, len)?)
}

/// The next data or hole; none when there is nothing but a hole up to the end.
fn next(file: &File, from: SeekFrom) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, from) {
        Ok(offset) => Ok(Some(offset)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
