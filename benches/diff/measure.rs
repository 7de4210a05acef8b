//! One program compares two things: as a whole process, its output read and thrown away.

use std::{
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::system::{self, Used};

/// Who compares what.
pub struct Course<'a> {
    pub program: &'a Path,
    pub verb: &'a str,
    pub a: &'a Path,
    pub b: &'a Path,
    /// A folder of its own, for temporary files and state.
    pub folder: &'a Path,
}

/// What it took.
#[derive(Clone, Copy)]
pub struct Measured {
    /// Exit code; none if it was stopped.
    pub code: Option<i32>,
    /// Seconds from start to end.
    pub wall: f64,
    /// CPU seconds, user and system, with children.
    pub cpu: f64,
    /// Most memory of one process, in bytes.
    pub memory: u64,
    /// Seconds from start to the end of the first line of output; none if there was no line.
    pub first: Option<f64>,
    /// Whether it was stopped because it took too long.
    pub stopped: bool,
}

/// Runs once to warm up, then `runs` times: the run of median wall-clock time.
pub fn median(course: &Course<'_>, runs: usize) -> Measured {
    measure(course, None);
    let mut all: Vec<Measured> = (0..runs).map(|_| measure(course, None)).collect();
    all.sort_by(|x, y| x.wall.total_cmp(&y.wall));
    all[runs / 2]
}

/// Runs a course, at most for `limit` seconds.
pub fn measure(course: &Course<'_>, limit: Option<f64>) -> Measured {
    let start = Instant::now();
    // It is waited for by another call, which says what it used.
    #[allow(clippy::zombie_processes)]
    let mut child = Command::new(course.program)
        .arg(course.verb)
        .args([course.a, course.b])
        .env("TMPDIR", course.folder)
        .env("REPROVE_STATE", course.folder.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, receive) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut first = None;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = stdout.read(&mut buffer).unwrap();
            if first.is_none() && buffer[..count].contains(&b'\n') {
                first = Some(start.elapsed().as_secs_f64());
            }
            if count == 0 {
                // Nobody listens any more when it took too long.
                let _ = send.send(());
                return first;
            }
        }
    });
    let limit = limit.map_or(Duration::MAX, Duration::from_secs_f64);
    let stopped = receive.recv_timeout(limit).is_err();
    if stopped {
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process_group(group, Signal::KILL).unwrap();
    }
    let first = reader.join().unwrap();
    let Used { code, cpu, memory } = system::wait(&child);
    Measured { code, wall: start.elapsed().as_secs_f64(), cpu, memory, first, stopped }
}

/// A program on the PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}
