//! What is being written: files and directories below `tmp/` until they are whole and get their name.
//!
//! Each entry is locked by its writer as long as the writer lives. An entry that can be locked by somebody
//! else was left by a process that was killed, and goes.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use tempfile::{NamedTempFile, TempDir};

use super::{StoreError, error::Context as _, lock, sync_dir, unpack::remove_tree};

/// Mode of what is in its place: nobody's to write.
const READ_ONLY: u32 = 0o444;

/// A file that is not yet in its place. Dropped before that, it is gone.
#[derive(Debug)]
pub struct Pending {
    file: NamedTempFile,
}

impl Pending {
    /// A new file in `tmp`, a folder on the file system of the file's later place; locked by us.
    pub fn new(tmp: &Path) -> Result<Pending, StoreError> {
        loop {
            let file = NamedTempFile::new_in(tmp).context("make a file in", tmp)?;
            lock::exclusive(file.as_file()).context("lock", file.path())?;
            if still_there(file.as_file(), file.path()).context("look at", file.path())? {
                return Ok(Pending { file });
            }
            // Another process took it for abandoned between its making and its locking; it removed it, too.
            let _ = file.into_temp_path().keep();
        }
    }

    /// The file, to be written.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Gives the file its name, durably, in place of whatever has that name; read-only from then on.
    pub fn replace(self, to: &Path) -> Result<(), StoreError> {
        self.seal()?;
        self.name_over(to)?;
        sync_parent(to)
    }

    /// As [`Pending::replace`], but what has that name stays, and the answer is then `false`.
    pub fn place(self, to: &Path) -> Result<bool, StoreError> {
        self.seal()?;
        let named = self.name(to)?;
        if named {
            sync_parent(to)?;
        }
        Ok(named)
    }

    /// Content and mode on the disk before the name is.
    pub(super) fn seal(&self) -> Result<(), StoreError> {
        self.close_to_writers()?;
        self.file.as_file().sync_all().context("write", self.file.path())
    }

    /// The mode of what is in its place; nothing of it need be on the disk.
    pub(super) fn close_to_writers(&self) -> Result<(), StoreError> {
        let mode = Permissions::from_mode(READ_ONLY);
        self.file.as_file().set_permissions(mode).context("write", self.file.path())
    }

    /// Gives a sealed file its name in place of whatever has it; the name need not be on the disk.
    pub(super) fn name_over(self, to: &Path) -> Result<(), StoreError> {
        let _locked_until_named = self.file.persist(to).context("write", to)?;
        Ok(())
    }

    /// As [`Pending::name_over`], but what has that name stays, and the answer is then `false`.
    pub(super) fn name(self, to: &Path) -> Result<bool, StoreError> {
        match self.file.persist_noclobber(to) {
            Ok(_locked_until_named) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error).context("write", to),
        }
    }
}

/// A directory of one's own, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Scratch {
    dir: Option<TempDir>,
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// A new directory in `tmp`, locked by us, mode 0700.
    pub(super) fn new(tmp: &Path) -> Result<Scratch, StoreError> {
        loop {
            let dir = TempDir::new_in(tmp).context("make a directory in", tmp)?;
            let path = dir.path().to_owned();
            let lock = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.context("open", &path)?,
            };
            lock::exclusive(&lock).context("lock", &path)?;
            if still_there(&lock, &path).context("look at", &path)? {
                return Ok(Scratch { dir: Some(dir), path, _lock: lock });
            }
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the directory the name `to`, durably; when a directory has that name, that one stays.
    pub(super) fn place(mut self, to: &Path) -> Result<(), StoreError> {
        sync_dir(&self.path)?;
        match fs::rename(&self.path, to) {
            Ok(()) => {
                if let Some(dir) = self.dir.take() {
                    let _ = dir.keep();
                }
                sync_parent(to)
            }
            // What a rename says over a directory that is not empty differs between file systems.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error).context("write", to),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take() {
            // What cannot be removed now is removed by the next process that opens the store.
            let _ = remove_tree(&dir.keep());
        }
    }
}

/// Removes what nobody is writing any more from a folder of [`Pending`] files.
pub fn sweep(tmp: &Path) -> Result<(), StoreError> {
    each_abandoned(tmp, |path| remove(path).context("remove", path))
}

/// How many entries nobody is writing any more.
pub(super) fn abandoned(tmp: &Path) -> Result<u64, StoreError> {
    let mut count = 0;
    each_abandoned(tmp, |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// Removes a file, a link or a whole directory; what is not there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match remove_tree(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Calls `visit` with each entry that nobody is writing, locked meanwhile.
fn each_abandoned(
    tmp: &Path,
    mut visit: impl FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for name in super::names(tmp)? {
        let path = tmp.join(name);
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
            .open(&path);
        let entry = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.context("open", &path)?,
        };
        if lock::attempt_exclusive(&entry).context("lock", &path)? {
            visit(&path)?;
        }
    }
    Ok(())
}

fn still_there(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(lock::same(&there, &file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_parent(of: &Path) -> Result<(), StoreError> {
    of.parent().map_or(Ok(()), sync_dir)
}
