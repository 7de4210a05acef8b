//! A folder with somebody who sees what is done to it: who lets it fail, or does something else meanwhile.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use reprove::mirror::location::{Folder, Location, Objects, Opened, Put};

/// What is about to be done.
pub enum Doing<'a> {
    /// An object is read.
    Reading(&'a str),
    /// Something is listed.
    Listing,
    /// An object is made, changed or removed.
    Writing,
}

/// A folder, and who sees what is done to it before it is done.
struct Watched<W> {
    folder: Folder,
    watch: W,
}

/// A folder that is watched.
pub fn watched(
    folder: &Path,
    watch: impl Fn(Doing<'_>) -> io::Result<()> + Send + Sync + 'static,
) -> Location {
    Location::of("watched", Box::new(Watched { folder: Folder::new(folder.to_owned()), watch }))
}

/// A folder that takes so many writes and no more, as if whoever writes had been killed then.
pub fn dying(folder: &Path, writes: usize) -> Location {
    let left = AtomicUsize::new(writes);
    let one_less = |left: usize| left.checked_sub(1);
    watched(folder, move |doing| match doing {
        Doing::Writing => match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("killed")),
        },
        _ => Ok(()),
    })
}

/// A folder in which something happens once, just before what `when` tells.
pub fn meanwhile(
    folder: &Path,
    when: impl Fn(&Doing<'_>) -> bool + Send + Sync + 'static,
    happens: impl FnOnce() + Send + 'static,
) -> Location {
    let happens: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(Some(Box::new(happens)));
    watched(folder, move |doing| {
        if when(&doing) {
            let happens = happens.lock().unwrap().take();
            happens.into_iter().for_each(|happens| happens());
        }
        Ok(())
    })
}

impl<W: Fn(Doing<'_>) -> io::Result<()> + Send + Sync> Objects for Watched<W> {
    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        (self.watch)(Doing::Reading(name))?;
        self.folder.open(name)
    }
    fn open_at(&self, name: &str, offset: u64) -> io::Result<Option<Opened>> {
        (self.watch)(Doing::Reading(name))?;
        self.folder.open_at(name, offset)
    }
    fn list(&self, prefix: &str, visit: &mut dyn FnMut(String, u64)) -> io::Result<()> {
        (self.watch)(Doing::Listing)?;
        self.folder.list(prefix, visit)
    }
    fn put_new(&self, name: &str, bytes: &[u8]) -> io::Result<Put> {
        (self.watch)(Doing::Writing)?;
        self.folder.put_new(name, bytes)
    }
    fn put_new_file(&self, name: &str, file: &mut File) -> io::Result<Put> {
        (self.watch)(Doing::Writing)?;
        self.folder.put_new_file(name, file)
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (self.watch)(Doing::Writing)?;
        self.folder.replace(name, bytes)
    }
    fn exchange(&self, name: &str, was: &[u8], bytes: &[u8]) -> io::Result<bool> {
        (self.watch)(Doing::Writing)?;
        self.folder.exchange(name, was, bytes)
    }
    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        self.folder.modified(name)
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        (self.watch)(Doing::Writing)?;
        self.folder.delete(name)
    }
}
