//! The engine as a child process: started, watched, stopped, and never left behind.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::memory;
use crate::machine::limits::{Limits, Vigil};
use crate::machine::{End, MachineError, Watch};

/// How often the child and its console are looked at. Only how soon a person sees something depends on it.
const INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of the engine's own messages that are kept.
const LOG: u64 = 64 << 10;

/// Console bytes read at a time.
const CHUNK: usize = 64 << 10;

/// What is known about an engine that has ended.
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// All of the console, up to its cap.
    pub console: Vec<u8>,
    /// Its messages, and how it exited when that was not by itself.
    pub log: Vec<u8>,
    /// Wall-clock time from start to end.
    pub wall: Duration,
}

/// Runs `program` to its end. It inherits `files` (see [`memory::path`]) and writes the guest's console to `console`.
pub fn run(
    program: &Path,
    arguments: &[String],
    files: &[&File],
    console: &File,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<Outcome, MachineError> {
    let failed = |what: String| move |source| MachineError::Io { what, source };
    let log = memory::anonymous("log").map_err(failed("a file in memory".to_owned()))?;
    let messages = log.try_clone().map_err(failed("a file in memory".to_owned()))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
    inherit(&mut command, files);
    let mut vigil = Vigil::begin(limits);
    let child = command.spawn().map_err(failed(format!("starting {}", program.display())))?;
    let mut guard = Guard(child);
    let mut tail = Tail { file: console, bytes: Vec::new() };
    let end = follow(&mut guard.0, &mut tail, &mut vigil, watch)
        .map_err(failed(format!("looking after {}", program.display())))?;
    let wall = vigil.elapsed();

    let mut messages = vec![0; log.metadata().map_or(0, |log| log.len()).min(LOG) as usize];
    log.read_exact_at(&mut messages, 0).map_err(failed("reading the engine's messages".to_owned()))?;
    if let (End::EngineFailed, Some(status)) = (end.0, end.1) {
        messages.extend_from_slice(format!("{}: {status}\n", program.display()).as_bytes());
    }
    Ok(Outcome { end: end.0, console: tail.bytes, log: messages, wall })
}

/// Watches until the child ends or a limit is reached.
fn follow(
    child: &mut Child,
    tail: &mut Tail<'_>,
    vigil: &mut Vigil<'_>,
    watch: &mut dyn Watch,
) -> io::Result<(End, Option<ExitStatus>)> {
    loop {
        let ended = child.try_wait()?;
        tail.read(vigil.limits.console, watch)?;
        let stop = vigil.stop(tail.bytes.len() as u64, watch);
        if let Some(status) = ended {
            let end = match (stop == Some(End::ConsoleOverflow), status.success()) {
                (true, _) => End::ConsoleOverflow,
                (false, true) => End::PoweredOff,
                (false, false) => End::EngineFailed,
            };
            return Ok((end, Some(status)));
        }
        if let Some(end) = stop {
            return Ok((end, None));
        }
        thread::sleep(INTERVAL);
    }
}

/// The console as far as it has been read.
struct Tail<'a> {
    file: &'a File,
    bytes: Vec<u8>,
}

impl Tail<'_> {
    /// Reads what is new, up to `cap` bytes in all, and shows it.
    fn read(&mut self, cap: u64, watch: &mut dyn Watch) -> io::Result<()> {
        let mut buffer = [0; CHUNK];
        loop {
            let room = cap.saturating_sub(self.bytes.len() as u64).min(CHUNK as u64) as usize;
            let n = self.file.read_at(&mut buffer[..room], self.bytes.len() as u64)?;
            if n == 0 {
                return Ok(());
            }
            self.bytes.extend_from_slice(&buffer[..n]);
            watch.console(&buffer[..n]);
        }
    }
}

/// A child that does not outlive its owner.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hands `files` on to the child alone, and makes it die with the thread that started it.
///
/// The files stay close-on-exec in this process: another child started at the same moment must not hold gigabytes
/// of a guest's memory.
#[allow(unsafe_code)] // there is no safe way to run anything between fork and exec
fn inherit(command: &mut Command, files: &[&File]) {
    let inherited: Vec<RawFd> = files.iter().map(|file| file.as_fd().as_raw_fd()).collect();
    let parent = rustix::process::getpid();
    let prepare = move || {
        for fd in &inherited {
            // SAFETY: the files outlive the call to `spawn`, in which this runs.
            let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        }
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have died before the line above.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(prepare);
    }
}
