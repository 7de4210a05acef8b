//! From the guest's two logs to what was seen, with every file joined to the process that closed it.
//!
//! Formats: `docs/guest-protocol.md`, section "What is written down"; `linux/cn_proc.h`, `linux/fanotify.h`.

use std::collections::HashMap;

use super::{Process, Trace, Written};

/// Bytes of a process's record before the message, and of a file's before the path.
const PROCESS_HEAD: usize = 24;
const FILE_HEAD: usize = 104;
/// Where the event starts in a message of the kernel, behind `nlmsghdr` and `cn_msg`.
const EVENT: usize = 36;
/// Of a command line the guest keeps no more; one as long as that may go on.
const LONGEST_COMMAND: usize = 256 << 10;
const FORK: u32 = 1;
const EXEC: u32 = 2;
/// A file that is closed because its process executes another program can come after the execution. No program gets as far as
/// closing a file in as few nanoseconds, which are at most as many instructions.
const AT_ONCE: u64 = 50_000;

/// A log that is not as the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest's log of {log} is malformed at byte {offset}: {why}")]
pub struct TraceError {
    /// `processes` or `files`.
    pub log: &'static str,
    /// Where.
    pub offset: usize,
    /// What is wrong.
    pub why: &'static str,
}

/// What happened to processes, in order.
struct Change {
    nanoseconds: u64,
    process: u32,
    what: What,
}

enum What {
    /// It is a copy of another now, up to its program.
    Fork { parent: u32 },
    /// It is another program now.
    Exec(Process),
}

pub(super) fn parse(processes: &[u8], files: &[u8]) -> Result<Trace, TraceError> {
    let mut changes = changes(processes)?.into_iter().peekable();
    let mut trace = Trace::default();
    let mut running: HashMap<u32, (usize, u64)> = HashMap::new();
    let mut log = Log { name: "files", bytes: files, at: 0 };
    while !log.is_over() {
        let (nanoseconds, process, mut written) = file(&mut log)?;
        while let Some(change) = changes.next_if(|change| change.nanoseconds <= nanoseconds) {
            apply(change, &mut trace, &mut running);
        }
        written.process = running
            .get(&process)
            .filter(|(_, since)| nanoseconds.saturating_sub(*since) > AT_ONCE)
            .map(|(index, _)| *index);
        trace.written.push(written);
    }
    changes.for_each(|change| apply(change, &mut trace, &mut running));
    Ok(trace)
}

fn apply(change: Change, trace: &mut Trace, running: &mut HashMap<u32, (usize, u64)>) {
    match change.what {
        What::Fork { parent } => match running.get(&parent).copied() {
            Some(program) => running.insert(change.process, program),
            // A number can have been another process's before.
            None => running.remove(&change.process),
        },
        What::Exec(process) => {
            trace.processes.push(process);
            running.insert(change.process, (trace.processes.len() - 1, change.nanoseconds))
        }
    };
}

/// A log, read from its beginning.
struct Log<'a> {
    name: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Log<'a> {
    fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn wrong(&self, why: &'static str) -> TraceError {
        TraceError { log: self.name, offset: self.at, why }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], TraceError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| self.wrong("it is cut short"))?;
        self.at += count;
        Ok(taken)
    }

    /// As many bytes as a length says; none when it is negative, which is the number of an error.
    fn part(&mut self, length: i64) -> Result<Option<&'a [u8]>, TraceError> {
        match usize::try_from(length) {
            Ok(length) => self.take(length).map(Some),
            Err(_) if length < 0 => Ok(None),
            Err(_) => Err(self.wrong("a length is larger than memory")),
        }
    }
}

/// The little-endian number at `at`; zero behind the end.
fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn changes(bytes: &[u8]) -> Result<Vec<Change>, TraceError> {
    let mut log = Log { name: "processes", bytes, at: 0 };
    let mut changes: Vec<Change> = Vec::new();
    while !log.is_over() {
        let head = log.take(PROCESS_HEAD)?;
        let lengths = [0, 8, 16].map(|at| i64::from_le_bytes(number(head, at)));
        let message = log.part(lengths[0])?.unwrap_or_default();
        let command = log.part(lengths[1])?;
        let folder = log.part(lengths[2])?;
        let event = message.get(EVENT..).unwrap_or_default();
        if event.len() < 32 {
            return Err(log.wrong("a message of the kernel is too short"));
        }
        let word = |at: usize| u32::from_le_bytes(number(event, at));
        let nanoseconds = u64::from_le_bytes(number(event, 8));
        if changes.last().is_some_and(|before| before.nanoseconds > nanoseconds) {
            return Err(log.wrong("time goes back"));
        }
        let (process, what) = match word(0) {
            // Both of them as groups of threads: pid and tgid of the parent, then of the child.
            FORK if word(20) == word(28) => continue,
            FORK => (word(28), What::Fork { parent: word(20) }),
            EXEC => (word(20), What::Exec(program(command.unwrap_or_default(), folder))),
            _ => continue,
        };
        changes.push(Change { nanoseconds, process, what });
    }
    Ok(changes)
}

fn program(command: &[u8], folder: Option<&[u8]>) -> Process {
    let words = command.strip_suffix(b"\0").unwrap_or(command);
    Process {
        command: match command {
            [] => Vec::new(),
            _ => words.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
        },
        cut: command.len() >= LONGEST_COMMAND,
        folder: folder.map(<[u8]>::to_vec),
    }
}

/// When a file was closed, by which process, and the file.
fn file(log: &mut Log<'_>) -> Result<(u64, u32, Written), TraceError> {
    let head = log.take(FILE_HEAD)?;
    let signed = |at: usize| i64::from_le_bytes(number(head, at));
    let path = log.part(signed(96))?.map(<[u8]>::to_vec);
    let seconds = u64::from_le_bytes(number(head, 24));
    let rest = u64::from_le_bytes(number(head, 32));
    let nanoseconds = seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let (hashed, size, digest) = (signed(40), signed(48), signed(56));
    let whole = hashed == size && digest == 32;
    let written = Written {
        path,
        size: u64::try_from(size).ok(),
        sha256: whole.then(|| number(head, 64)),
        process: None,
    };
    Ok((nanoseconds, u32::from_le_bytes(number(head, 20)), written))
}
