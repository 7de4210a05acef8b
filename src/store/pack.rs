//! From a tree on the disk to its NAR.
//!
//! Never follows a symbolic link, never looks at a file by a path of more than one component: a tree that is
//! changed while it is read gives an error or the NAR of some tree, never a file from elsewhere.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    vec,
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};

use super::{Nar, Store, StoreError, TreeError, error::Context as _, tree_error::while_writing};
use crate::nix::nar::{Node, Writer};

/// Packs the tree at `path` into an unnamed temporary file, and lists it; the offsets are into that file.
pub fn pack(path: &Path) -> Result<(Node, File), TreeError> {
    let temporary =
        |source| TreeError::Io { what: "use a temporary file for", path: path.to_owned(), source };
    let file = tempfile::tempfile().map_err(temporary)?;
    write_nar(path, &file)?;
    io::Seek::rewind(&mut &file).map_err(temporary)?;
    let node = Node::read(&file).map_err(TreeError::NotANar)?;
    Ok((node, file))
}

/// Writes the NAR of the tree at `path`, which may be a file or a link, too. The owner's permission to execute is
/// all that counts of a mode.
///
/// # Errors
/// [`TreeError::Special`] for sockets, devices and pipes; [`TreeError::Unrepresentable`] when it is nested deeper
/// than NARs are.
pub fn write_nar<W: Write>(path: &Path, out: W) -> Result<W, TreeError> {
    let mut writer = Writer::new(out);
    let mut at = path.to_owned();
    let mut open: Vec<Level> = Vec::new();
    open.extend(write_node(&mut writer, CWD, path.as_os_str(), &at)?);
    while let Some(level) = open.last_mut() {
        let Some(name) = level.names.next() else {
            writer.leave().map_err(|error| while_writing(error, &at))?;
            open.pop();
            // The root stays: whatever its path looks like, it is what was asked for.
            if !open.is_empty() {
                at.pop();
            }
            continue;
        };
        let name = OsStr::from_bytes(&name);
        at.push(name);
        writer.entry(name.as_bytes()).map_err(|error| while_writing(error, &at))?;
        let entered = write_node(&mut writer, level.dir.as_fd(), name, &at)?;
        if entered.is_none() {
            at.pop();
        }
        open.extend(entered);
    }
    writer.finish().map_err(|error| while_writing(error, path))
}

/// A directory that is being written.
struct Level {
    dir: OwnedFd,
    names: vec::IntoIter<Vec<u8>>,
}

/// Writes one file or link, or begins a directory.
fn write_node<W: Write>(
    writer: &mut Writer<W>,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    at: &Path,
) -> Result<Option<Level>, TreeError> {
    let failed = |what| {
        move |error: rustix::io::Errno| TreeError::Io { what, path: at.to_owned(), source: error.into() }
    };
    let written = |error| while_writing(error, at);
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at"))?;
    // A file put there in the meantime must neither be followed nor block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let fd = openat(dir, name, flags | OFlags::DIRECTORY, Mode::empty()).map_err(failed("open"))?;
            let names = sorted_names(&fd).map_err(failed("list"))?;
            writer.directory().map_err(written)?;
            Ok(Some(Level { dir: fd, names: names.into_iter() }))
        }
        FileType::Symlink => {
            let target = readlinkat(dir, name, Vec::new()).map_err(failed("read"))?;
            writer.symlink(target.as_bytes()).map_err(written)?;
            Ok(None)
        }
        FileType::RegularFile => {
            let fd = openat(dir, name, flags, Mode::empty()).map_err(failed("open"))?;
            let stat = fstat(&fd).map_err(failed("look at"))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(TreeError::Changed { path: at.to_owned() });
            }
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            let executable = stat.st_mode & 0o100 != 0;
            let mut contents = Watched { file: File::from(fd), failed: false };
            writer.regular(executable, size, &mut contents).map_err(|error| {
                match while_writing(error, at) {
                    TreeError::Output(source) if contents.failed => {
                        TreeError::Io { what: "read", path: at.to_owned(), source }
                    }
                    error => error,
                }
            })?;
            Ok(None)
        }
        other => Err(TreeError::Special { path: at.to_owned(), kind: kind(other) }),
    }
}

pub(crate) fn sorted_names(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "file of an unknown type",
    }
}

/// Remembers whether it was the reading that failed.
struct Watched {
    file: File,
    failed: bool,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer);
        self.failed |= read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

impl Store {
    /// Packs the tree at `path` into the store.
    pub fn add_tree(&self, path: &Path) -> Result<Nar, StoreError> {
        match write_nar(path, self.nar_sink()?) {
            Ok(sink) => sink.finish(),
            Err(TreeError::Output(error)) => Err(error).context("write to", &self.dir("tmp")),
            Err(error) => Err(error.into()),
        }
    }
}
