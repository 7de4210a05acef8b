//! `/watch-files` and `/watch-processes`: write down which files a build wrote, and which processes it was made of.
//!
//! Both run in `init`'s world under SCHED_FIFO: on the machine's one processor they run before the process that gave them
//! something to see runs on, so that they see each file as it was left and each process as it was started. What they write is
//! read by `diagnose::trace`, which has the formats.
//!
//! Sources: fanotify(7); `linux/cn_proc.h` and `linux/connector.h`; `Documentation/crypto/userspace-if.rst`;
//! `linux/filter.h`.

use super::{
    OnFailure,
    calls::Call,
    repeat::{DECIMAL, Repeat},
};
use crate::machine::Arch;

/// Where the guest keeps what they write, and where `init` waits for their being ready.
const FILES: &str = "/dev/observed/files";
const FILES_READY: &str = "/dev/observed/files-ready";
const PROCESSES: &str = "/dev/observed/processes";
const PROCESSES_READY: &str = "/dev/observed/processes-ready";

const AT_FDCWD: u64 = -100i64 as u64;
/// O_WRONLY, O_CREAT, O_EXCL, O_APPEND.
const O_NEW: u64 = 0o1 | 0o100 | 0o200 | 0o2000;
const SCHED_FIFO: u64 = 1;
/// Longest path that Linux gives.
const PATH: u64 = 4096;
/// Most bytes of a command line that are kept: twice the longest single argument.
const COMMAND: u64 = 256 << 10;

/// Descriptors as they are given when 3 and above are free.
const FIRST: u64 = 3;

fn say(text: &str) -> OnFailure {
    OnFailure::Say(text.as_bytes().to_vec())
}

/// Closes what may be open, and goes before every other process.
fn begin(program: &mut Repeat, name: &str) {
    for descriptor in FIRST..FIRST + 5 {
        program.call(Call::Close, &[descriptor], &[], OnFailure::Ignore);
    }
    let priority = program.bytes(&50u32.to_le_bytes());
    let failed = say(&format!("{name}: cannot go before other processes"));
    program.call(Call::SchedSetscheduler, &[0, SCHED_FIFO, priority], &[], failed);
}

/// Opens the log and says that it is ready.
fn ready(program: &mut Repeat, log: &str, ready: &str) {
    let (log_path, ready_path) = (program.path(log), program.path(ready));
    let failed = || say(&format!("cannot make {log}"));
    program.call(Call::Openat, &[AT_FDCWD, log_path, O_NEW, 0o600], &[], failed());
    program.call(Call::Mkdirat, &[AT_FDCWD, ready_path, 0o700], &[], failed());
}

/// A program that writes down every file below `/root` that is closed after it could be written to: when, by whom, its path,
/// its length and its SHA-256. Bytes of a record, all numbers little-endian: the event as fanotify gives it (24), the time
/// since boot in seconds and nanoseconds (16), how many bytes were hashed (8), its length (8), bytes of the hash (8), the hash
/// (32), bytes of the path (8), the path.
pub fn watch_files(arch: Arch) -> Vec<u8> {
    const AF_ALG: u64 = 38;
    const SOCK_SEQPACKET: u64 = 5;
    const FAN_UNLIMITED_QUEUE: u64 = 0x10;
    const O_LARGEFILE: u64 = 0o100_000;
    const FAN_MARK_ADD_FILESYSTEM: u64 = 0x1 | 0x100;
    const FAN_CLOSE_WRITE: u64 = 8;
    const CLOCK_MONOTONIC: u64 = 1;
    const SEEK_END: u64 = 2;
    /// More than sendfile sends at once.
    const MOST: u64 = 0x7fff_f000;
    let (alg, hash, events, log, file) = (FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4);

    let mut program = Repeat::new(arch);
    begin(&mut program, "watch-files");
    let mut address = vec![0; 88];
    address[0] = AF_ALG as u8;
    address[2..6].copy_from_slice(b"hash");
    address[24..30].copy_from_slice(b"sha256");
    let address = program.bytes(&address);
    let no_hash = || say("watch-files: the kernel does not hash");
    program.call(Call::Socket, &[AF_ALG, SOCK_SEQPACKET, 0], &[], no_hash());
    program.call(Call::Bind, &[alg, address, 88], &[], no_hash());
    program.call(Call::Accept4, &[alg, 0, 0, 0], &[], no_hash());
    let no_events = || say("watch-files: no events of files");
    program.call(Call::FanotifyInit, &[FAN_UNLIMITED_QUEUE, O_LARGEFILE], &[], no_events());
    let root = program.path("/root");
    let mark = [events, FAN_MARK_ADD_FILESYSTEM, FAN_CLOSE_WRITE, AT_FDCWD, root];
    program.call(Call::FanotifyMark, &mark, &[], no_events());
    ready(&mut program, FILES, FILES_READY);

    let own_file = program.path(&format!("/proc/self/fd/{file}"));
    let record = program.bytes(&[0; 104]);
    let path = program.buffer(PATH);
    let again = program.here();
    program.call(Call::Read, &[events, record, 24], &[], no_events());
    program.call(Call::ClockGettime, &[CLOCK_MONOTONIC, record + 24], &[], OnFailure::Ignore);
    program.call(Call::Sendfile, &[hash, file, 0, MOST], &[record + 40], OnFailure::Ignore);
    program.call(Call::Lseek, &[file, 0, SEEK_END], &[record + 48], OnFailure::Ignore);
    program.call(Call::Read, &[hash, record + 64, 32], &[record + 56], OnFailure::Ignore);
    let write_path = program.here().next().next();
    let results = [record + 96, write_path.argument(3)];
    program.call(Call::Readlinkat, &[AT_FDCWD, own_file, path, PATH], &results, OnFailure::Ignore);
    let full = say("watch-files: no room for more");
    program.call(Call::Write, &[log, record, 104], &[], full);
    program.call(Call::Write, &[log, path, 0], &[], OnFailure::Ignore);
    program.call(Call::Close, &[file], &[], OnFailure::Ignore);
    program.finish(again)
}

/// A program that writes down every process that forks or executes: the kernel's message, the command line and the working
/// directory of the process that did. Bytes of a record, all numbers little-endian: bytes of the message (8), of the command
/// line (8), of the working directory (8), each of them negative when there is none; then these.
pub fn watch_processes(arch: Arch) -> Vec<u8> {
    const AF_NETLINK: u64 = 16;
    const SOCK_DGRAM: u64 = 2;
    const NETLINK_CONNECTOR: u64 = 11;
    const SOL_SOCKET: u64 = 1;
    const SO_ATTACH_FILTER: u64 = 26;
    const SO_RCVBUFFORCE: u64 = 33;
    const CN_IDX_PROC: u32 = 1;
    /// Where the event starts in a message: behind `nlmsghdr` and `cn_msg`.
    const EVENT: u64 = 16 + 20;
    /// Where the process that forks or executes stands, as the group of its threads.
    const PROCESS: u64 = EVENT + 16 + 4;
    const MESSAGE: u64 = 256;
    let (socket, log, file) = (FIRST, FIRST + 1, FIRST + 2);

    let mut program = Repeat::new(arch);
    begin(&mut program, "watch-processes");
    let no_events = || say("watch-processes: no events of processes");
    program.call(Call::Socket, &[AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR], &[], no_events());
    let room = program.bytes(&(32u32 << 20).to_le_bytes());
    let arguments = [socket, SOL_SOCKET, SO_RCVBUFFORCE, room, 4];
    program.call(Call::Setsockopt, &arguments, &[], no_events());
    let filter = program.bytes(&only_forks_and_executions(EVENT as u32));
    let header = program.bytes(&[4u64.to_le_bytes(), filter.to_le_bytes()].concat());
    let arguments = [socket, SOL_SOCKET, SO_ATTACH_FILTER, header, 16];
    program.call(Call::Setsockopt, &arguments, &[], no_events());
    let group = [AF_NETLINK as u32, 0, CN_IDX_PROC].map(u32::to_le_bytes).concat();
    let group = program.bytes(&group);
    program.call(Call::Bind, &[socket, group, 12], &[], no_events());
    // nlmsghdr: length, NLMSG_DONE, no sequence, no sender; cn_msg: index, value, sequence, acknowledgement, length; listen.
    let listen = [40u32, 3, 0, 0, CN_IDX_PROC, 1, 0, 0, 4, 1].map(u32::to_le_bytes).concat();
    let listen = program.bytes(&listen);
    program.call(Call::Sendto, &[socket, listen, 40, 0, 0, 0], &[], no_events());
    ready(&mut program, PROCESSES, PROCESSES_READY);

    // In front of the number: `/proc`, and then as many slashes as it leaves.
    let field = |name: &str| format!("/proc/{}/{name}", "/".repeat(DECIMAL));
    let end = ("/proc/".len() + DECIMAL) as u64;
    let command_path = program.path(&field("cmdline"));
    let folder_path = program.path(&field("cwd"));
    let header = program.bytes(&[0; 24]);
    let message = program.buffer(MESSAGE);
    let folder = program.buffer(PATH);
    let command = program.buffer(COMMAND);
    let again = program.here();
    // Behind the seven rows that look come the one that writes the header and those that write the three parts.
    let parts = (0..8).fold(again, |row, _| row.next());
    let lengths = |n: usize| {
        let part = (0..n).fold(parts, |row, _| row.next());
        [header + 8 * n as u64, part.argument(3)]
    };
    program.call(Call::Read, &[socket, message, MESSAGE], &lengths(0), no_events());
    program.decimal(message + PROCESS, command_path + end);
    program.decimal(message + PROCESS, folder_path + end);
    program.call(Call::Openat, &[AT_FDCWD, command_path, 0], &[], OnFailure::Ignore);
    program.call(Call::Read, &[file, command, COMMAND], &lengths(1), OnFailure::Ignore);
    program.call(Call::Close, &[file], &[], OnFailure::Ignore);
    let arguments = [AT_FDCWD, folder_path, folder, PATH];
    program.call(Call::Readlinkat, &arguments, &lengths(2), OnFailure::Ignore);
    let full = say("watch-processes: no room for more");
    program.call(Call::Write, &[log, header, 24], &[], full);
    for buffer in [message, command, folder] {
        program.call(Call::Write, &[log, buffer, 0], &[], OnFailure::Ignore);
    }
    program.finish(again)
}

/// A filter of four instructions that lets messages through whose event is a fork (1) or an execution (2).
fn only_forks_and_executions(event: u32) -> Vec<u8> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    // The filter reads the word as big-endian, and it is little-endian: both bits are in its first byte.
    let which = (1u32 | 2).swap_bytes();
    let instructions: [(u16, u8, u8, u32); 4] =
        [(LOAD_WORD, 0, 0, event), (JUMP_IF_SET, 0, 1, which), (RETURN, 0, 0, u32::MAX), (RETURN, 0, 0, 0)];
    let mut out = Vec::new();
    for (code, if_true, if_false, operand) in instructions {
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&[if_true, if_false]);
        out.extend_from_slice(&operand.to_le_bytes());
    }
    out
}
