//! Runs a program and keeps a bounded part of what it says.

use std::{
    fs::File,
    io::{self, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Most bytes taken from standard output.
const MAX_STDOUT: usize = 1 << 20;
/// Bytes kept of standard error, the last ones.
const KEPT_STDERR: usize = 64 << 10;
/// How long a program that was told to stop may take for it.
const GRACE: Duration = Duration::from_secs(10);

/// How a program ended and what it said.
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// The end of standard error, at most 64 KiB.
    pub stderr: Vec<u8>,
}

/// Why a program gave no result.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started, or could not be talked to.
    Io(io::Error),
    /// It took longer than it may and was ended; the end of what it said.
    TimedOut(Vec<u8>),
    /// It wrote more than it may.
    TooMuch,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

/// What is given to a program's standard input.
pub type Feed<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + Send + 'a;

/// Runs `command` for at most `limit`. A program that does not want all of its input is not an error here: its
/// exit status says what it thinks of that.
pub fn run(command: &mut Command, limit: Duration, feed: Option<&mut Feed>) -> Result<Finished, Failure> {
    run_keeping(command, limit, MAX_STDOUT, feed.map_or(Input::Nothing, Input::Fed))
}

/// The standard input of a program.
pub enum Input<'f, 'w> {
    /// None.
    Nothing,
    /// A file, which the program has open until it ends, whatever becomes of this process.
    Open(File),
    /// What is written meanwhile.
    Fed(&'f mut Feed<'w>),
}

/// As [`run`], with at most `most` bytes of standard output.
pub fn run_keeping(
    command: &mut Command,
    limit: Duration,
    most: usize,
    input: Input<'_, '_>,
) -> Result<Finished, Failure> {
    let (stdin, feed) = match input {
        Input::Nothing => (Stdio::null(), None),
        Input::Open(file) => (Stdio::from(file), None),
        Input::Fed(feed) => (Stdio::piped(), Some(feed)),
    };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("no pipes to the program").into());
    };
    let stdin = child.stdin.take();
    let deadline = Instant::now() + limit;
    thread::scope(|scope| {
        let (done, all_done) = mpsc::channel::<()>();
        let done_too = done.clone();
        let stdout = scope.spawn(move || {
            let kept = keep_first(stdout, most);
            drop(done);
            kept
        });
        let stderr = scope.spawn(move || {
            let kept = keep_last(stderr);
            drop(done_too);
            kept
        });
        let fed = scope.spawn(move || match (feed, stdin) {
            (Some(feed), Some(mut stdin)) => feed(&mut stdin),
            _ => Ok(()),
        });
        // Nothing is ever sent: the channel closes when both pipes have.
        let timed_out = match all_done.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                end(&mut child, &all_done)?;
                true
            }
            _ => false,
        };
        let status = child.wait()?;
        let panicked = || io::Error::other("a reader of the program's output failed");
        let stderr = stderr.join().map_err(|_| panicked())??;
        let stdout = stdout.join().map_err(|_| panicked())??;
        let fed = fed.join().map_err(|_| panicked())?;
        if timed_out {
            return Err(Failure::TimedOut(stderr));
        }
        match fed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        let stdout = stdout.ok_or(Failure::TooMuch)?;
        Ok(Finished { status, stdout, stderr })
    })
}

/// Asks a program to stop (`nix` then ends its builds), and ends it if it does not.
fn end(child: &mut Child, all_done: &mpsc::Receiver<()>) -> io::Result<()> {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    match all_done.recv_timeout(GRACE) {
        Err(mpsc::RecvTimeoutError::Timeout) => child.kill(),
        _ => Ok(()),
    }
}

/// Everything, or `None` when it is more than `most`; reads to the end in any case.
fn keep_first(mut from: impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut kept = Vec::new();
    from.by_ref().take(most as u64 + 1).read_to_end(&mut kept)?;
    io::copy(&mut from, &mut io::sink())?;
    Ok((kept.len() <= most).then_some(kept))
}

/// The last [`KEPT_STDERR`] bytes.
fn keep_last(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(kept),
            Ok(count) => {
                kept.extend_from_slice(&buffer[..count]);
                if kept.len() > 2 * KEPT_STDERR {
                    kept.drain(..kept.len() - KEPT_STDERR);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_never_ends_is_ended() {
        let result = run(&mut shell("echo busy >&2; exec sleep 1000"), Duration::from_millis(300), None);
        assert!(matches!(result, Err(Failure::TimedOut(stderr)) if stderr == b"busy\n"));
    }

    #[test]
    fn a_program_that_prints_without_end_costs_no_memory() {
        let result = run(&mut shell("head -c 50000000 /dev/zero; exit 3"), Duration::from_secs(60), None);
        assert!(matches!(result, Err(Failure::TooMuch)));
        let finished =
            run(&mut shell("head -c 5000000 /dev/zero >&2; echo end >&2"), Duration::from_secs(60), None)
                .ok()
                .unwrap();
        assert!(finished.stderr.len() <= 2 * KEPT_STDERR && finished.stderr.ends_with(b"end\n"));
    }

    #[test]
    fn a_program_that_does_not_read_its_input_has_its_say() {
        let mut feed = |out: &mut dyn Write| out.write_all(&vec![0; 10_000_000]);
        let finished =
            run(&mut shell("exec <&-; echo no >&2; exit 7"), Duration::from_secs(60), Some(&mut feed))
                .ok()
                .unwrap();
        assert_eq!((finished.status.code(), finished.stderr.as_slice()), (Some(7), &b"no\n"[..]));
    }
}
