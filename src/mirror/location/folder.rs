//! A mirror in a folder.
//!
//! What is written goes to `.tmp` in the folder first, as in our store: locked by its writer, synchronised, linked to its name
//! (which fails when there is one), and the folder synchronised. A killed writer leaves a file in `.tmp` that nobody has locked,
//! and the next one removes it. `object_store`'s own folders are not used: they put staged files beside the objects, where nobody
//! can tell a dead writer's from a living one's, and end a streamed upload by a rename that replaces what is there.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Once,
    time::SystemTime,
};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, fstat, openat};

use super::{Objects, Opened, Put};
use crate::store::{self, Pending, StoreError};

/// Where files are written. A name of no object: none begins with a dot.
const STAGING: &str = ".tmp";

/// Neither follows a link nor waits for a pipe: a folder that was copied from a stranger can hold anything.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A folder. It is made when something is written.
pub struct Folder {
    root: PathBuf,
    swept: Once,
}

impl Folder {
    /// The folder at an absolute path.
    pub fn new(root: PathBuf) -> Self {
        Folder { root, swept: Once::new() }
    }

    /// The file of a name; no component on the way to it is a link.
    fn file(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at: OwnedFd = match rustix::fs::open(&self.root, flags, Mode::empty()) {
            Ok(root) => root,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        for part in plain(name)?.split('/') {
            at = match openat(&at, part, FLAGS, Mode::empty()) {
                Ok(next) => next,
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(rustix::io::Errno::LOOP) => return Err(io::Error::other("it is a symbolic link")),
                Err(error) => return Err(error.into()),
            };
        }
        if FileType::from_raw_mode(fstat(&at)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Some(at.into()))
    }

    fn staging(&self) -> io::Result<PathBuf> {
        let staging = self.root.join(STAGING);
        make_durably(&staging)?;
        let mut swept = Ok(());
        self.swept.call_once(|| swept = store::sweep(&staging));
        swept.map_err(into_io)?;
        Ok(staging)
    }

    fn put(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Put> {
        let to = self.root.join(plain(name)?);
        if fs::symlink_metadata(&to).is_ok() {
            return Ok(Put::There);
        }
        let mut pending = Pending::new(&self.staging()?).map_err(into_io)?;
        write(pending.file())?;
        if let Some(folder) = to.parent() {
            make_durably(folder)?;
        }
        Ok(if pending.place(&to).map_err(into_io)? { Put::New } else { Put::There })
    }
}

impl Objects for Folder {
    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let size = file.metadata()?.len();
        Ok(Some(Opened { size, bytes: Box::new(file) }))
    }

    fn open_at(&self, name: &str, offset: u64) -> io::Result<Option<Opened>> {
        let Some(mut file) = self.file(name)? else { return Ok(None) };
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        Ok(Some(Opened { size, bytes: Box::new(file) }))
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(String, u64)) -> io::Result<()> {
        // Prefixes are whole folders or begin within one: what is below other folders is not looked at.
        let within = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut left = vec![within.to_owned()];
        while let Some(folder) = left.pop() {
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                // Names of ours are ASCII; another one is shown as well as it can be, and is nobody's.
                let part = entry.file_name().to_string_lossy().into_owned();
                let name = if folder.is_empty() { part } else { format!("{folder}/{part}") };
                if name == STAGING {
                    continue;
                }
                let metadata = match fs::symlink_metadata(entry.path()) {
                    // Removed since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    metadata => metadata?,
                };
                if metadata.is_dir() {
                    left.push(name);
                } else if name.starts_with(prefix) {
                    visit(name, metadata.len());
                }
            }
        }
        Ok(())
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> io::Result<Put> {
        self.put(name, |file| file.write_all(bytes))
    }

    fn put_new_file(&self, name: &str, file: &mut File) -> io::Result<Put> {
        self.put(name, |to| io::copy(file, to).map(drop))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let to = self.root.join(plain(name)?);
        let mut pending = Pending::new(&self.staging()?).map_err(into_io)?;
        pending.file().write_all(bytes)?;
        pending.replace(&to).map_err(into_io)
    }

    fn exchange(&self, name: &str, was: &[u8], bytes: &[u8]) -> io::Result<bool> {
        let to = self.root.join(plain(name)?);
        // Whoever replaces anything in this folder holds this lock, and nobody else changes what is there.
        let folder = File::open(&self.root)?;
        rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
        let Some(there) = self.file(name)? else { return Ok(false) };
        let mut now = Vec::new();
        there.take(was.len() as u64 + 1).read_to_end(&mut now)?;
        if now != was {
            return Ok(false);
        }
        let mut pending = Pending::new(&self.staging()?).map_err(into_io)?;
        pending.file().write_all(bytes)?;
        pending.replace(&to).map_err(into_io)?;
        Ok(true)
    }

    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        self.file(name)?.map(|file| file.metadata()?.modified()).transpose()
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(plain(name)?)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// A name that leads nowhere but below the folder.
fn plain(name: &str) -> io::Result<&str> {
    let is_plain = !name.contains('\0') && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if is_plain { Ok(name) } else { Err(io::Error::other(format!("{name:?} is no name of an object"))) }
}

/// Makes a folder and those above it, each durable before the next.
fn make_durably(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        if let Some(parent) = folder.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    File::open(parent)?.sync_all()
}

/// The operating system's answer in an error of our store's files.
fn into_io(error: StoreError) -> io::Error {
    match error {
        StoreError::Io { source, .. } | StoreError::Full { source, .. } => source,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, sync::Barrier, thread};

    use super::*;

    fn read(folder: &Folder, name: &str) -> io::Result<Option<String>> {
        let Some(mut opened) = folder.open(name)? else { return Ok(None) };
        let mut text = String::new();
        opened.bytes.read_to_string(&mut text)?;
        assert_eq!(opened.size, text.len() as u64);
        Ok(Some(text))
    }

    fn names(folder: &Folder, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        folder.list(prefix, &mut |name, _| names.push(name)).unwrap();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_once_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("a/b"));
        assert_eq!((read(&folder, "x").unwrap(), names(&folder, "")), (None, vec![]));
        assert_eq!(folder.put_new("nar/x", b"one").unwrap(), Put::New);
        assert_eq!(folder.put_new("nar/x", b"two").unwrap(), Put::There);
        assert_eq!(folder.put_new("y", b"").unwrap(), Put::New);
        assert_eq!(read(&folder, "nar/x").unwrap().as_deref(), Some("one"));
        assert_eq!(names(&folder, ""), ["nar/x", "y"]);
        assert_eq!(names(&folder, "nar/"), ["nar/x"]);
        assert_eq!(names(&folder, "nar/z"), [""; 0]);
        folder.delete("nar/x").unwrap();
        folder.delete("nar/x").unwrap();
        assert_eq!(read(&folder, "nar/x").unwrap(), None);
    }

    #[test]
    fn of_many_who_create_one_object_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(8);
        for round in 0..20 {
            let name = format!("claims/{round}");
            let one = |n: u8| {
                // Each has the folder open on its own, as processes have.
                let folder = Folder::new(dir.path().to_owned());
                barrier.wait();
                (folder.put_new(&name, &[b'0' + n]).unwrap() == Put::New).then_some(n)
            };
            let winners: Vec<u8> = thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|n| scope.spawn(move || one(n))).collect();
                all.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
            });
            let [winner] = winners[..] else { panic!("{winners:?}") };
            let folder = Folder::new(dir.path().to_owned());
            assert_eq!(read(&folder, &name).unwrap(), Some(winner.to_string()));
        }
    }

    #[test]
    fn of_many_who_add_to_one_object_nobody_loses_what_another_added() {
        let dir = tempfile::tempdir().unwrap();
        Folder::new(dir.path().to_owned()).put_new("x", b"").unwrap();
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for n in 0..4 {
                let barrier = &barrier;
                let folder = Folder::new(dir.path().to_owned());
                scope.spawn(move || {
                    barrier.wait();
                    for _ in 0..10 {
                        loop {
                            let was = read(&folder, "x").unwrap().unwrap();
                            if folder.exchange("x", was.as_bytes(), format!("{was}{n}").as_bytes()).unwrap() {
                                break;
                            }
                        }
                    }
                });
            }
        });
        let folder = Folder::new(dir.path().to_owned());
        let all = read(&folder, "x").unwrap().unwrap();
        assert!((0..4).all(|n| all.matches(&n.to_string()).count() == 10), "{all}");
        assert!(!folder.exchange("x", b"something else", b"").unwrap());
        assert!(!folder.exchange("y", b"", b"").unwrap());
        assert_eq!(names(&folder, ""), ["x"]);
    }

    #[test]
    fn links_pipes_and_ways_out_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("mirror"));
        folder.put_new("nar/x", b"one").unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        symlink("../secret", dir.path().join("mirror/link")).unwrap();
        symlink("..", dir.path().join("mirror/up")).unwrap();
        let pipe = dir.path().join("mirror/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for name in
            ["link", "up/secret", "pipe", "nar", "../secret", "nar/../../secret", "/etc/passwd", "", "./x"]
        {
            assert!(folder.open(name).is_err(), "{name}");
        }
        for name in ["../out", "a//b", "nar/../x"] {
            assert!(folder.put_new(name, b"").is_err(), "{name}");
            assert!(folder.delete(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays() {
        let dir = tempfile::tempdir().unwrap();
        let staging = dir.path().join(STAGING);
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("dead"), "half").unwrap();
        let mut living = Pending::new(&staging).unwrap();
        living.file().write_all(b"whole").unwrap();
        let folder = Folder::new(dir.path().to_owned());
        folder.put_new("x", b"").unwrap();
        assert!(!staging.join("dead").exists());
        assert!(living.place(&dir.path().join("y")).unwrap());
        assert_eq!(names(&folder, ""), ["x", "y"]);
    }
}
