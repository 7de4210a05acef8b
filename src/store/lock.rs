//! Advisory locks (`flock`): released by the kernel when the process ends, however it ends.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::{Store, StoreError, error::Context as _};
use crate::nix::store_path::StorePath;

/// The only process, and in it the only thread, that works on a derivation; until dropped.
#[derive(Debug)]
#[must_use = "the lock is held as long as the guard lives"]
pub struct Guard {
    _file: File,
}

impl Store {
    /// Waits until nobody else works on `drv`. `waiting` is called once when that takes a wait, so that a person
    /// can be told; after a wait the work may well be done, so look again.
    pub fn lock(&self, drv: &StorePath, waiting: impl FnOnce()) -> Result<Guard, StoreError> {
        let path = self.dir("locks").join(format!("{}.lock", drv.base_name()));
        let file = open(&path)?;
        if !attempt(&file, FlockOperation::NonBlockingLockExclusive).context("lock", &path)? {
            waiting();
            wait(&file, FlockOperation::LockExclusive).context("lock", &path)?;
        }
        Ok(Guard { _file: file })
    }

    /// The lowest number that nobody else has who is at the same kind of work, until the guard is dropped: whoever begins again after
    /// being killed gets the one that they had, unless others have begun meanwhile.
    ///
    /// # Errors
    /// A state directory that cannot be written.
    pub fn number(&self, kind: &str) -> Result<(u32, Guard), StoreError> {
        let mut number = 0;
        loop {
            let path = self.dir("locks").join(format!("{kind}-{number}.lock"));
            let file = open(&path)?;
            if attempt(&file, FlockOperation::NonBlockingLockExclusive).context("lock", &path)? {
                return Ok((number, Guard { _file: file }));
            }
            number += 1;
        }
    }

    /// Runs `work` while no other process has this store open, or says [`StoreError::InUse`].
    pub(super) fn alone<T>(
        &mut self,
        work: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = self.dir("locks/in-use");
        if !attempt(&self.in_use, FlockOperation::NonBlockingLockExclusive).context("lock", &path)? {
            // A conversion that fails may have dropped the shared lock on the way.
            shared(&self.in_use).context("lock", &path)?;
            return Err(StoreError::InUse { root: self.root.clone() });
        }
        let done = work(self);
        shared(&self.in_use).context("lock", &path)?;
        done
    }
}

/// Opens a lock file, making it when needed. Never follows a link, never hands the file to a child.
pub(super) fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)
        .context("open", path)
}

/// Takes a shared lock, waiting while another process holds it alone.
pub(super) fn shared(file: &File) -> io::Result<()> {
    wait(file, FlockOperation::LockShared)
}

/// Takes the lock alone, if that is possible at once.
pub(super) fn attempt_exclusive(file: &File) -> io::Result<bool> {
    attempt(file, FlockOperation::NonBlockingLockExclusive)
}

/// Takes the lock alone, waiting for whoever has it.
pub(super) fn exclusive(file: &File) -> io::Result<()> {
    wait(file, FlockOperation::LockExclusive)
}

/// Whether two handles, or a handle and what a path leads to, are the same file.
pub(super) fn same(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

fn attempt(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn wait(file: &File, operation: FlockOperation) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| flock(file, operation))?)
}
