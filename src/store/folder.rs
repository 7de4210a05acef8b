//! A folder as something to compare, its files where they are.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    vec,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::{
    FileContent, TreeError,
    pack::{kind, sorted_names},
};
use crate::{
    diff::{Content, Entry, Tree, join},
    nix::nar::{self, NarErrorKind},
};

/// Bytes of paths and link targets listed; a NAR's listing holds as many of names.
const MAX_TEXT: usize = 256 << 20;

/// Neither follows a link nor waits for a pipe that was put there in the meantime.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A folder as a NAR would list it. Files are opened when they are compared; like [`super::pack`], it never follows a
/// link and never opens a path of more than one component.
pub struct FolderTree {
    root: OwnedFd,
    entries: BTreeMap<Vec<u8>, Entry>,
}

/// A directory that is being listed.
struct Level {
    dir: OwnedFd,
    path: Vec<u8>,
    names: vec::IntoIter<Vec<u8>>,
}

impl FolderTree {
    /// Lists the folder at `path`.
    ///
    /// # Errors
    /// [`TreeError::Special`] for sockets, devices and pipes; [`TreeError::Unrepresentable`] when it is nested deeper
    /// than NARs are, or has more entries than are listed.
    pub fn open(path: &Path) -> Result<Self, TreeError> {
        let (root, level) =
            (directory(CWD, path.as_os_str(), path)?, directory(CWD, path.as_os_str(), path)?);
        let mut entries = BTreeMap::from([(Vec::new(), Entry::Directory)]);
        let mut text = 0;
        let mut open = vec![Level::list(level, Vec::new(), path)?];
        while let Some(level) = open.last_mut() {
            let Some(name) = level.names.next() else {
                open.pop();
                continue;
            };
            let here = join(&level.path, &name);
            let at = || path.join(OsStr::from_bytes(&here));
            let (entry, inside) = look(level.dir.as_fd(), OsStr::from_bytes(&name), &at)?;
            text += here.len() + if let Entry::Symlink(target) = &entry { target.len() } else { 0 };
            let too_many = entries.len() >= nar::MAX_ENTRIES || text > MAX_TEXT;
            if too_many || (inside.is_some() && open.len() >= nar::MAX_DEPTH) {
                let what = if too_many { NarErrorKind::Entries } else { NarErrorKind::Depth };
                return Err(TreeError::Unrepresentable { path: at(), what });
            }
            if let Some(inside) = inside {
                open.push(Level::list(inside, here.clone(), &at())?);
            }
            entries.insert(here, entry);
        }
        Ok(FolderTree { root, entries })
    }
}

impl Level {
    fn list(dir: OwnedFd, path: Vec<u8>, at: &Path) -> Result<Self, TreeError> {
        let names = sorted_names(&dir).map_err(failed("list", at))?;
        Ok(Level { dir, path, names: names.into_iter() })
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> TreeError {
    move |error| TreeError::Io { what, path: path.to_owned(), source: error.into() }
}

fn directory(dir: BorrowedFd<'_>, name: &OsStr, at: &Path) -> Result<OwnedFd, TreeError> {
    openat(dir, name, FLAGS | OFlags::DIRECTORY, Mode::empty()).map_err(failed("open", at))
}

/// What an entry is; a directory is opened.
fn look(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    at: &dyn Fn() -> PathBuf,
) -> Result<(Entry, Option<OwnedFd>), TreeError> {
    let stat =
        statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failed("look at", &at())(error))?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => (Entry::Directory, Some(directory(dir, name, &at())?)),
        FileType::Symlink => {
            let target = readlinkat(dir, name, Vec::new()).map_err(|error| failed("read", &at())(error))?;
            (Entry::Symlink(target.into_bytes()), None)
        }
        FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            (Entry::Regular { executable: nar::is_executable(stat.st_mode), size }, None)
        }
        other => return Err(TreeError::Special { path: at(), kind: kind(other) }),
    })
}

impl Tree for FolderTree {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>> {
        let (folders, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        let mut dir: Option<OwnedFd> = None;
        for folder in folders.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let at = dir.as_ref().unwrap_or(&self.root);
            dir = Some(openat(at, folder, FLAGS | OFlags::DIRECTORY, Mode::empty())?);
        }
        let file = File::from(openat(dir.as_ref().unwrap_or(&self.root), name, FLAGS, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file any more"));
        }
        Ok(Box::new(FileContent::new(file)?))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;
    use crate::{diff::NarTree, store::pack};

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("a/b/c")).unwrap();
        fs::create_dir(at("a-")).unwrap();
        fs::write(at("a/b/c/program"), "run").unwrap();
        fs::set_permissions(at("a/b/c/program"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(at("a/text"), "").unwrap();
        symlink("nowhere/\u{e9}", at("a/link")).unwrap();
        folder
    }

    #[test]
    fn it_lists_what_its_nar_lists_and_reads_the_same() {
        let folder = folder();
        let tree = FolderTree::open(folder.path()).unwrap();
        let (node, nar) = pack(folder.path()).unwrap();
        let packed = NarTree::new(FileContent::new(nar).unwrap(), &node);
        assert_eq!(tree.entries(), packed.entries());
        let read = |tree: &dyn Tree| {
            let content = tree.open(b"a/b/c/program").unwrap();
            let mut bytes = vec![0; content.len() as usize];
            content.read_exact_at(0, &mut bytes).unwrap();
            bytes
        };
        assert_eq!((read(&tree), read(&packed)), (b"run".to_vec(), b"run".to_vec()));
    }

    #[test]
    fn what_became_a_link_is_not_followed() {
        let folder = folder();
        let tree = FolderTree::open(folder.path()).unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("c")).unwrap();
        fs::write(outside.path().join("c/program"), "secret").unwrap();
        fs::rename(folder.path().join("a/b"), folder.path().join("a/old")).unwrap();
        symlink(outside.path(), folder.path().join("a/b")).unwrap();
        assert!(tree.open(b"a/b/c/program").is_err());
        fs::remove_file(folder.path().join("a/text")).unwrap();
        symlink(outside.path().join("c/program"), folder.path().join("a/text")).unwrap();
        assert!(tree.open(b"a/text").is_err());
    }

    #[test]
    fn sockets_and_deep_folders_are_refused_as_nars_refuse_them() {
        let folder = folder();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("a/socket")).unwrap();
        assert!(matches!(FolderTree::open(folder.path()), Err(TreeError::Special { kind: "socket", .. })));
        for depth in [nar::MAX_DEPTH - 1, nar::MAX_DEPTH] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("d/".repeat(depth))).unwrap();
            assert_eq!(FolderTree::open(folder.path()).is_ok(), pack(folder.path()).is_ok(), "{depth}");
        }
    }
}
