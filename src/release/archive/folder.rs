//! A folder as the entries of its archive, in their order.
//!
//! Like `store::pack` it never follows a link and never opens a path of more than one component: a folder that is changed
//! while it is read gives an error or the archive of some folder, never a file from elsewhere.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    vec,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};

use super::ArchiveError;
use crate::store::{kind_of_file, sorted_names};

/// Entries of one archive, as many as our reader of tar archives takes.
const MAX_ENTRIES: u64 = 1_000_000;

/// Folders within folders; each is held open. The usual limit on open files is 1024.
const MAX_DEPTH: usize = 512;

/// Longest path in the archive: `PATH_MAX`, beyond which nobody could unpack it.
const MAX_PATH: usize = 4096;

/// Neither follows a link nor waits for a pipe that was put there in the meantime.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// One entry, with nothing left of the host.
#[derive(Debug)]
pub struct Entry {
    /// Its path, the root's name first, without a slash at its end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits as they are archived.
    pub mode: u32,
}

/// What an entry is.
#[derive(Debug)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A regular file of this many bytes.
    Regular(u64),
}

/// A folder that is archived.
pub struct Folder {
    path: PathBuf,
    root: Vec<u8>,
    entries: u64,
}

/// A directory whose entries are being written.
struct Level {
    dir: OwnedFd,
    path: Vec<u8>,
    names: vec::IntoIter<Vec<u8>>,
}

impl Folder {
    /// The folder at `path`, which is a folder named `root` in the archive.
    pub fn new(path: &Path, root: &[u8]) -> Self {
        Folder { path: path.to_owned(), root: root.to_owned(), entries: 0 }
    }

    /// How many entries there were.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Gives every entry to `add`, a folder before what is in it, names in the order of their bytes; that of a regular
    /// file with its contents, which have as many bytes as the entry says.
    pub fn walk(
        &mut self,
        mut add: impl FnMut(&Entry, &mut dyn Read) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        // The root itself may be a link to the folder: it is what was asked for.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = &self.path;
        let dir = openat(CWD, path, flags, Mode::empty()).map_err(failed("open", path))?;
        let stat = fstat(&dir).map_err(failed("look at", path))?;
        self.entries = 1;
        let mode = mode(stat.st_mode);
        add(&Entry { path: self.root.clone(), kind: Kind::Directory, mode }, &mut std::io::empty())?;
        let mut open = vec![Level::list(dir, self.root.clone(), path)?];
        while let Some(level) = open.last_mut() {
            let Some(name) = level.names.next() else {
                open.pop();
                continue;
            };
            let here = [level.path.as_slice(), b"/", &name].concat();
            let at = || self.path.join(OsStr::from_bytes(&here[self.root.len() + 1..]));
            let capped = |what, limit| ArchiveError::Cap { path: at(), what, limit };
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(capped("too many entries", MAX_ENTRIES));
            }
            if here.len() > MAX_PATH {
                return Err(capped("the path is too long in bytes", MAX_PATH as u64));
            }
            let Look { kind, mode, fd } = look(level.dir.as_fd(), OsStr::from_bytes(&name), &at)?;
            let entry = Entry { path: here.clone(), kind, mode };
            match (&entry.kind, fd) {
                (Kind::Directory, Some(dir)) => {
                    add(&entry, &mut std::io::empty())?;
                    if open.len() >= MAX_DEPTH {
                        return Err(capped("folders nested too deep", MAX_DEPTH as u64));
                    }
                    open.push(Level::list(dir, entry.path, &at())?);
                }
                (Kind::Regular(size), Some(fd)) => {
                    let mut contents = Contents { file: File::from(fd), left: *size, ended: None };
                    let added = add(&entry, &mut contents);
                    contents.verdict(&at)?;
                    added?;
                }
                _ => add(&entry, &mut std::io::empty())?,
            }
        }
        Ok(())
    }
}

impl Level {
    fn list(dir: OwnedFd, path: Vec<u8>, at: &Path) -> Result<Self, ArchiveError> {
        let names = sorted_names(&dir).map_err(failed("list", at))?;
        Ok(Level { dir, path, names: names.into_iter() })
    }
}

/// An entry's kind and mode; a folder and a regular file are opened.
struct Look {
    kind: Kind,
    mode: u32,
    fd: Option<OwnedFd>,
}

fn look(dir: BorrowedFd<'_>, name: &OsStr, at: &dyn Fn() -> PathBuf) -> Result<Look, ArchiveError> {
    let said = |what: &'static str| move |error| failed(what, &at())(error);
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(said("look at"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = readlinkat(dir, name, Vec::new()).map_err(said("read"))?.into_bytes();
            Ok(Look { kind: Kind::Symlink(target), mode: mode(stat.st_mode), fd: None })
        }
        FileType::Directory => {
            let fd = openat(dir, name, FLAGS | OFlags::DIRECTORY, Mode::empty()).map_err(said("open"))?;
            let stat = fstat(&fd).map_err(said("look at"))?;
            Ok(Look { kind: Kind::Directory, mode: mode(stat.st_mode), fd: Some(fd) })
        }
        FileType::RegularFile => {
            let fd = openat(dir, name, FLAGS, Mode::empty()).map_err(said("open"))?;
            let stat = fstat(&fd).map_err(said("look at"))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(ArchiveError::Changed { path: at() });
            }
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            Ok(Look { kind: Kind::Regular(size), mode: mode(stat.st_mode), fd: Some(fd) })
        }
        other => Err(ArchiveError::Special { path: at(), kind: kind_of_file(other) }),
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> ArchiveError {
    move |error| ArchiveError::Read { what, path: path.to_owned(), source: error.into() }
}

/// What GNU tar makes of a mode with `--mode=go=rX,u+rw,a-s` (symbolic links included): everybody else may read, and
/// search or execute if anybody may.
fn mode(raw: u32) -> u32 {
    let directory = FileType::from_raw_mode(raw) == FileType::Directory;
    let others = if directory || raw & 0o111 != 0 { 0o055 } else { 0o044 };
    raw & 0o700 | 0o600 | others
}

/// The contents of a file that has as many bytes as it was said to have, or is an error.
struct Contents {
    file: File,
    left: u64,
    ended: Option<Ended>,
}

/// How reading came to an end that it should not have.
enum Ended {
    Changed,
    Failed(std::io::Error),
}

impl Contents {
    /// After it was read: whether it could be, and was what it was said to be.
    fn verdict(mut self, at: &dyn Fn() -> PathBuf) -> Result<(), ArchiveError> {
        if self.ended.is_none() && self.left == 0 {
            match self.file.read(&mut [0]) {
                Ok(0) => {}
                Ok(_) => self.ended = Some(Ended::Changed),
                Err(error) => self.ended = Some(Ended::Failed(error)),
            }
        }
        match self.ended {
            None => Ok(()),
            Some(Ended::Changed) => Err(ArchiveError::Changed { path: at() }),
            Some(Ended::Failed(source)) => Err(ArchiveError::Read { what: "read", path: at(), source }),
        }
    }
}

impl Read for Contents {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        match self.file.read(&mut buffer[..want]) {
            Ok(0) => {
                self.ended = Some(Ended::Changed);
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = error.kind().into();
                self.ended = Some(Ended::Failed(error));
                Err(told)
            }
        }
    }
}
