//! From a NAR to a tree on the disk.
//!
//! Every file is made in a directory held open, by a name of one component, never over something that is there,
//! never through a link: what the archive made cannot lead the next entry anywhere (`a -> /etc`, then `a/passwd`).

use std::{
    ffi::OsStr,
    fs::File,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{self, Read, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, Timespec, Timestamps, fchmod, futimens, mkdirat,
        openat, renameat, renameat_with, statat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::TreeError;
use crate::nix::nar::{Event, NarError, NarErrorKind, Reader};

/// Nix's canonical times: everything is of the first second of 1970.
const TIMES: Timestamps = {
    const SECOND_ONE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
    Timestamps { last_access: SECOND_ONE, last_modification: SECOND_ONE }
};

/// Bytes copied at once.
const BUFFER: usize = 256 << 10;

/// Unpacks a NAR to `to`, which must not exist, with Nix's canonical modes (0444, 0555) and times (1).
/// The tree is made under another name beside it and renamed when it is whole.
///
/// # Errors
/// [`TreeError::NotANar`], and then nothing is left; [`TreeError::Collision`] on a file system that does not
/// tell names apart as the NAR does.
pub fn unpack(nar: impl Read, to: &Path) -> Result<(), TreeError> {
    let (parent, name) = split(to)?;
    let io =
        |what, path: &Path, error: Errno| TreeError::Io { what, path: path.to_owned(), source: error.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, parent, flags, Mode::empty()).map_err(|error| io("open", parent, error))?;
    match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => {}
        Ok(_) => return Err(TreeError::Exists { path: to.to_owned() }),
        Err(error) => return Err(io("look at", to, error)),
    }
    let temporary = format!(".reprove-unpack-{:016x}", RandomState::new().build_hasher().finish());
    let temporary = OsStr::new(&temporary);
    let placed = restore(nar, dir.as_fd(), temporary, to).and_then(|()| {
        rename_new(dir.as_fd(), temporary, name).map_err(|error| match error {
            Errno::EXIST => TreeError::Exists { path: to.to_owned() },
            error => io("make", to, error),
        })
    });
    if placed.is_err() {
        // The first error is the one to tell.
        let _ = remove_at(dir.as_fd(), temporary);
    }
    placed
}

/// The directory to make something in, and its name there.
fn split(to: &Path) -> Result<(&Path, &OsStr), TreeError> {
    let wrong = |why| Err(TreeError::Destination { path: to.to_owned(), why });
    // By bytes: `Path` would take `a/.` and `a/` for `a`.
    let bytes = to.as_os_str().as_bytes();
    let (parent, name) = match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (&b"/"[..], &bytes[1..]),
        Some(slash) => (&bytes[..slash], &bytes[slash + 1..]),
        None => (&b"."[..], bytes),
    };
    match name {
        b"" if bytes.is_empty() => wrong("the path is empty"),
        b"" => wrong("a name must stand behind the last slash"),
        b"." | b".." => wrong("that is a directory that exists"),
        name => Ok((Path::new(OsStr::from_bytes(parent)), OsStr::from_bytes(name))),
    }
}

/// Renames within `dir`, never over anything.
fn rename_new(dir: BorrowedFd<'_>, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        // File systems that cannot do it at once (NFS): look first.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match statat(dir, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => renameat(dir, from, dir, to),
                Err(error) => Err(error),
            }
        }
        renamed => renamed,
    }
}

/// Makes what the NAR holds as the new entry `root` of `parent`; `shown` is what messages call it.
pub(super) fn restore(
    nar: impl Read,
    parent: BorrowedFd<'_>,
    root: &OsStr,
    shown: &Path,
) -> Result<(), TreeError> {
    let mut reader = Reader::new(nar);
    let mut place =
        Place { parent, open: Vec::new(), name: root.as_bytes().to_owned(), shown: shown.to_owned() };
    let mut buffer = vec![0; BUFFER];
    while let Some(event) = reader.next_event().map_err(TreeError::NotANar)? {
        match event {
            Event::Entry { name } => {
                place.shown.push(OsStr::from_bytes(&name));
                place.name = name;
                continue;
            }
            Event::Directory => {
                place.enter()?;
                continue;
            }
            Event::Leave => place.leave()?,
            Event::Symlink { target } => place.symlink(&target)?,
            Event::Regular { executable, .. } => {
                let mut file = place.create()?;
                copy(&mut reader, &mut file, &mut buffer, &place)?;
                place.seal(&file, if executable { 0o555 } else { 0o444 })?;
            }
        }
        if !place.open.is_empty() {
            place.shown.pop();
        }
    }
    Ok(())
}

/// Where the next node goes.
struct Place<'parent> {
    parent: BorrowedFd<'parent>,
    open: Vec<OwnedFd>,
    name: Vec<u8>,
    shown: PathBuf,
}

impl Place<'_> {
    fn dir(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.parent, AsFd::as_fd)
    }

    fn error(&self, what: &'static str, error: Errno) -> TreeError {
        match error {
            Errno::EXIST => TreeError::Collision { path: self.shown.clone() },
            error => TreeError::Io { what, path: self.shown.clone(), source: error.into() },
        }
    }

    fn enter(&mut self) -> Result<(), TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = mkdirat(self.dir(), &*self.name, Mode::RWXU)
            .and_then(|()| openat(self.dir(), &*self.name, flags, Mode::empty()))
            .map_err(|error| self.error("make", error))?;
        self.open.push(dir);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), TreeError> {
        match self.open.pop() {
            Some(dir) => self.seal(&dir, 0o555),
            None => Ok(()),
        }
    }

    fn symlink(&self, target: &[u8]) -> Result<(), TreeError> {
        symlinkat(target, self.dir(), &*self.name)
            .and_then(|()| utimensat(self.dir(), &*self.name, &TIMES, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(|error| self.error("make", error))
    }

    fn create(&self) -> Result<File, TreeError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(self.dir(), &*self.name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|error| self.error("make", error))
    }

    fn seal(&self, file: &impl AsFd, mode: u32) -> Result<(), TreeError> {
        fchmod(file, Mode::from_raw_mode(mode))
            .and_then(|()| futimens(file, &TIMES))
            .map_err(|error| self.error("set mode and time of", error))
    }
}

/// Copies a file's contents, telling a NAR that ends early from a disk that is full.
fn copy<R: Read>(
    reader: &mut Reader<R>,
    file: &mut File,
    buffer: &mut [u8],
    place: &Place<'_>,
) -> Result<(), TreeError> {
    loop {
        let read = reader.contents().read(buffer);
        match read {
            Ok(0) => return Ok(()),
            Ok(n) => file.write_all(&buffer[..n]).map_err(|source| TreeError::Io {
                what: "write",
                path: place.shown.clone(),
                source,
            })?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let offset = reader.offset();
                let error = error
                    .downcast::<NarError>()
                    .unwrap_or_else(|error| NarError { offset, what: NarErrorKind::Io(error) });
                return Err(TreeError::NotANar(error));
            }
        }
    }
}

/// Removes a file, a link (not what it leads to), or a directory with everything in it.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    Ok(remove_at(CWD, path.as_os_str())?)
}

/// As [`remove_tree`], by descriptors: nothing that is put there meanwhile leads elsewhere.
fn remove_at(parent: BorrowedFd<'_>, root: &OsStr) -> Result<(), Errno> {
    /// A directory being emptied.
    struct Level {
        dir: OwnedFd,
        name: Vec<u8>,
        entries: Vec<Vec<u8>>,
    }
    // Removes what is no directory; opens what is.
    let remove = |dir: BorrowedFd<'_>, name: Vec<u8>| -> Result<Option<Level>, Errno> {
        match unlinkat(dir, &*name, AtFlags::empty()) {
            // Linux says that it is a directory, POSIX that it is not permitted.
            Err(Errno::ISDIR | Errno::PERM) => {}
            done => return done.map(|()| None),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(dir, &*name, flags, Mode::empty())?;
        // Canonical directories are nobody's to write, not even to empty.
        fchmod(&opened, Mode::RWXU)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&opened)? {
            let entry = entry?.file_name().to_bytes().to_owned();
            if entry != b"." && entry != b".." {
                entries.push(entry);
            }
        }
        Ok(Some(Level { dir: opened, name, entries }))
    };
    let mut open: Vec<Level> = remove(parent, root.as_bytes().to_owned())?.into_iter().collect();
    while let Some(level) = open.last_mut() {
        if let Some(entry) = level.entries.pop() {
            let entered = remove(level.dir.as_fd(), entry)?;
            open.extend(entered);
        } else if let Some(Level { name, .. }) = open.pop() {
            let dir = open.last().map_or(parent, |level| level.dir.as_fd());
            unlinkat(dir, &*name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}
