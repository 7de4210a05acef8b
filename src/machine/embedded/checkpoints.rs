//! Checkpoints: states of long runs, kept so that a run goes on after its process was killed.
//!
//! A run has a folder of its own, which its process locks while it lives. The folder's name is a hash over the machine's version,
//! the root of its state when the drives were attached, which of several runs of the same it is, and how often roots are taken. The
//! root commits to all that was put into the machine: kernel, initial file system, device tree and command line, memory, rate, drives.
//!
//! In the folder is one file, compressed by zstd: what the run has left so far (see [`write_trail`]), and what its state has beyond
//! the attached machine, as [`riscv::Machine::save_delta`] writes it. A new one takes the old one's place whole. A file that cannot be used is as good as none.
//!
//! When a state is kept depends on the guest alone: it is at a multiple of 2^[`riscv::FLUSH_INTERVAL`] steps, where the caches of
//! translations are empty anyway, so that a run which is kept, or goes on from there, is the run that neither is.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use reprove_riscv as riscv;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::course::Trail;
use super::roots::{self, Roots};
use crate::machine::RootAt;

/// How a checkpoint begins, uncompressed.
const TRAIL: &[u8; 16] = b"reprove-trail/1\n";

/// Runs that nobody goes on with and whose state is kept at most; one takes some hundred megabytes.
const ABANDONED: usize = 16;

/// Bytes moved at a time.
const BUFFER: usize = 1 << 20;

/// Fast rather than small (twice as fast as level 1, for half as many bytes more): the run waits.
const COMPRESSION: i32 = -5;

/// Where states of long runs are kept, and how often.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    every: u8,
    take_up: bool,
}

impl Checkpoints {
    /// The least `every` there can be.
    pub const LEAST: u8 = riscv::FLUSH_INTERVAL as u8;

    /// States in `folder`, which need not be there yet, of runs at every 2^`every` instructions.
    pub fn new(folder: PathBuf, every: u8) -> Checkpoints {
        Checkpoints { folder, every: every.clamp(Checkpoints::LEAST, 62), take_up: true }
    }

    /// The same, but every run begins at its beginning.
    #[must_use]
    pub fn anew(self) -> Checkpoints {
        Checkpoints { take_up: false, ..self }
    }

    /// The place of a run that begins with the state `first`, the one called `round` of the runs that begin so, of which a root is
    /// taken every 2^`roots` steps.
    pub fn place(&self, first: &riscv::state::Hash, round: &str, roots: Option<u8>) -> Place {
        let version = riscv::VERSION;
        let which = format!("reprove-checkpoint/1\nengine {version}\nroots {roots:?}\nround {round}\n");
        let key = Sha256::new().chain_update(which).chain_update(first).finalize();
        let folder = self.folder.join(data_encoding::HEXLOWER.encode(&key));
        let mut place = Place { folder, checkpoints: self.clone(), lock: Lock::NotYet, due: 0, naming: None };
        if place.folder.is_dir() {
            place.own();
        }
        place
    }

    /// Removes the runs that were abandoned first until there is room for one more.
    fn make_room(&self) -> io::Result<()> {
        let mut abandoned = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let folder = entry?.path();
            if let Ok(Some(lock)) = lock(&folder) {
                let kept = fs::metadata(folder.join(STATE)).and_then(|file| file.modified());
                abandoned.push((kept.unwrap_or(SystemTime::UNIX_EPOCH), folder, lock));
            }
        }
        abandoned.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let surplus = (abandoned.len() + 1).saturating_sub(ABANDONED);
        for (_, folder, _lock) in &abandoned[..surplus] {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }
}

/// The file that a state is in.
const STATE: &str = "state";
/// The file that a state is written to.
const UNFINISHED: &str = "unfinished";

/// Whether a run's folder is its own.
enum Lock {
    /// There is none yet.
    NotYet,
    /// It is, as long as this is open.
    Held { _folder: File },
    /// It is not: another process is at the very same run, or keeping the state failed.
    Without,
}

/// Where the state of one run is kept.
pub struct Place {
    folder: PathBuf,
    checkpoints: Checkpoints,
    lock: Lock,
    /// Instructions retired when the next state is to be kept.
    due: u64,
    /// Brings the last state to the disk and gives it its name, while the run goes on.
    naming: Option<JoinHandle<io::Result<()>>>,
}

impl Place {
    /// Makes the folder this run's own, if it is nobody else's.
    fn own(&mut self) {
        self.lock = match lock(&self.folder) {
            Ok(Some(folder)) => Lock::Held { _folder: folder },
            Ok(None) | Err(_) => Lock::Without,
        };
    }

    /// Puts `machine`, whose base is the state that the run began with, into the state that was kept last, and gives what the run had
    /// left by then: a console of at most `most` bytes that begins with `console`. None when there is nothing.
    ///
    /// # Errors
    /// When the file is not what was written, or cannot be read: the machine is of no use then. [`Place::clear`] removes it.
    pub fn take_up(
        &mut self,
        machine: &mut riscv::Machine,
        console: &[u8],
        most: u64,
    ) -> io::Result<Option<Trail>> {
        self.schedule(machine);
        let Lock::Held { .. } = self.lock else { return Ok(None) };
        if !self.checkpoints.take_up {
            return Ok(None);
        }
        let file = match File::open(self.folder.join(STATE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut input = BufReader::with_capacity(BUFFER, zstd::Decoder::new(file)?);
        let trail = read_trail(&mut input, most)?;
        if !trail.console.starts_with(console) {
            return Err(invalid("its console is another run's"));
        }
        machine.load_delta(&mut input)?;
        self.schedule(machine);
        Ok(Some(trail))
    }

    /// When the next state is to be kept.
    fn schedule(&mut self, machine: &riscv::Machine) {
        let every = self.checkpoints.every;
        self.due = ((machine.clock().retired() >> every) + 1) << every;
    }

    /// Whether the state is to be kept now.
    pub fn is_due(&self, machine: &riscv::Machine) -> bool {
        let clock = machine.clock();
        clock.retired() >= self.due && clock.now().is_multiple_of(1 << riscv::FLUSH_INTERVAL)
    }

    /// Keeps the state. After an error nothing is tried any more; what was kept before stays.
    pub fn keep(&mut self, machine: &mut riscv::Machine, trail: &Trail) -> io::Result<()> {
        self.schedule(machine);
        if let Lock::NotYet = self.lock {
            fs::create_dir_all(&self.checkpoints.folder)?;
            self.checkpoints.make_room()?;
            match fs::create_dir(&self.folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.own(),
            }
        }
        let Lock::Held { .. } = self.lock else { return Ok(()) };
        let written = self.settle().and_then(|()| self.write(machine, trail));
        if written.is_err() {
            let _ = fs::remove_file(self.folder.join(UNFINISHED));
            self.due = u64::MAX;
        }
        written
    }

    fn write(&mut self, machine: &mut riscv::Machine, trail: &Trail) -> io::Result<()> {
        let unfinished = self.folder.join(UNFINISHED);
        let file = BufWriter::with_capacity(BUFFER, File::create(&unfinished)?);
        let mut out = zstd::Encoder::new(file, COMPRESSION)?;
        write_trail(&mut out, trail)?;
        machine.save_delta(&mut out)?;
        let file = out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        let state = self.folder.join(STATE);
        self.naming = Some(thread::spawn(move || {
            file.sync_data()?;
            fs::rename(unfinished, state)
        }));
        Ok(())
    }

    /// Waits until the last state has its name.
    fn settle(&mut self) -> io::Result<()> {
        match self.naming.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(named) => {
                named.unwrap_or_else(|_| Err(io::Error::other("the thread that names a state failed")))
            }
        }
    }

    /// Removes what was kept.
    pub fn clear(&mut self) -> io::Result<()> {
        let _ = self.settle(); // it goes anyway
        let Lock::Held { .. } = self.lock else { return Ok(()) };
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.lock = Lock::NotYet;
                Ok(())
            }
        }
    }
}

impl Drop for Place {
    /// The folder is locked until nothing is written to it any more.
    fn drop(&mut self) {
        let _ = self.settle();
    }
}

/// The lock of a run's folder; none when somebody else has it, or removed the folder meanwhile.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::MetadataExt as _;
    let file = File::open(folder)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(folder)?);
    Ok(((ours.dev(), ours.ino()) == (there.dev(), there.ino()) && there.is_dir()).then_some(file))
}

/// Writes what a run has left: [`TRAIL`], then in 8 bytes each, little-endian, the length of the console, the number of roots, and
/// every how many steps they are taken as a power of two (255: they are not); the console; the roots, each behind its step; the
/// SHA-256 of all this.
fn write_trail(out: &mut dyn Write, trail: &Trail) -> io::Result<()> {
    let taken = trail.roots.as_ref().map_or(&[][..], |roots| &roots.taken);
    let every = trail.roots.as_ref().map_or(NO_ROOTS, |roots| u64::from(roots.every));
    let mut bytes = TRAIL.to_vec();
    for number in [trail.console.len() as u64, taken.len() as u64, every] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(&trail.console);
    for at in taken {
        bytes.extend(at.step.to_le_bytes());
        bytes.extend(at.root);
    }
    out.write_all(&bytes)?;
    out.write_all(&Sha256::digest(&bytes))
}

/// In place of how often roots are taken when none are.
const NO_ROOTS: u64 = 255;

/// Reads what [`write_trail`] wrote; a console is at most `most` bytes long.
fn read_trail(input: &mut dyn Read, most: u64) -> io::Result<Trail> {
    let mut hash = Sha256::new();
    let mut read = |len: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut *input).take(len).read_to_end(&mut bytes)?;
        hash.update(&bytes);
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    };
    if read(TRAIL.len() as u64)? != TRAIL {
        return Err(invalid("it does not begin as a checkpoint does"));
    }
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(u64::MAX, |number| u64::from_le_bytes(*number));
    let (console, count, every) = (number(&read(8)?), number(&read(8)?), number(&read(8)?));
    if console > most || count > roots::MOST as u64 || every > NO_ROOTS {
        return Err(invalid("it has more than a run can leave"));
    }
    let console = read(console)?;
    let mut taken = Vec::new();
    for _ in 0..count {
        let step = number(&read(8)?);
        let root = read(32)?.try_into().map_err(|_| invalid("a root is cut off"))?;
        taken.push(RootAt { step, root });
    }
    let roots = (every != NO_ROOTS).then_some(Roots { every: every as u8, taken });
    let expected = hash.finalize();
    let mut found = [0; 32];
    input.read_exact(&mut found)?;
    if found != *expected {
        return Err(invalid("it is not what was written"));
    }
    Ok(Trail { console, roots })
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
