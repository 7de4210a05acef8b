//! `/enter`: from `init`'s world into the builder's.
//!
//! As Nix enters its sandbox when it has build users, as its daemon does: the builder is alone in its user namespace, so that whatever belongs to root or anybody else appears as 65534's.

use std::collections::BTreeMap;

use super::{OnFailure, Program, ProgramError, calls::Call, filter::filter};
use crate::machine::Arch;

const AT_FDCWD: u64 = -100i64 as u64;
const MS_BIND_RECURSIVE: u64 = 0x1000 | 0x4000;
const MS_MOVE: u64 = 0x2000;
const MNT_DETACH: u64 = 2;
const O_WRONLY: u64 = 1;
const S_IFREG: u64 = 0o100_000;
const CLONE_NEWUSER: u64 = 0x1000_0000;
const PR_SET_DUMPABLE: u64 = 4;
const PR_SET_NO_NEW_PRIVS: u64 = 38;
const SECCOMP_SET_MODE_FILTER: u64 = 1;
const ADDR_NO_RANDOMIZE: u64 = 0x4_0000;
const RLIMIT_CORE: u64 = 4;
const RLIMIT_NOFILE: u64 = 7;
/// Open files a builder may have. Nix leaves what its daemon has; a fixed value is one leak less.
const OPEN_FILES: u64 = 16_384;
/// What `init` has mounted for itself. A builder that could reach `/in` would read the run's token.
const OUTER_MOUNTS: [&str; 4] = ["/in", "/sys", "/proc", "/dev"];

/// What an input is at its top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link and its target: cannot be mounted, is made again.
    Symlink(Vec<u8>),
}

/// One store path of the input closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// `<hash>-<name>`.
    pub base_name: String,
    /// What it is.
    pub kind: InputKind,
}

/// What to become.
pub struct Enter<'a> {
    /// What is bound into `/nix/store`.
    pub inputs: &'a [Input],
    /// The builder: a path inside the root.
    pub builder: &'a [u8],
    /// Its arguments, without its name.
    pub args: &'a [Vec<u8>],
    /// Its whole environment; given in the order of names, as Nix does.
    pub env: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where it starts.
    pub build_dir: &'a str,
    /// Its user.
    pub uid: u32,
    /// Its group; the only one.
    pub gid: u32,
}

/// The program that `init` runs as process 1 of the build's namespaces.
pub fn enter(arch: Arch, job: &Enter<'_>) -> Result<Vec<u8>, ProgramError> {
    let mut program = Program::new(arch);
    for input in job.inputs {
        bring_in(&mut program, input)?;
    }
    own_root(&mut program, job)?;
    change_root(&mut program, job.build_dir)?;
    drop_privileges(&mut program, job);
    own_users(&mut program, job)?;
    restrict(&mut program, arch);
    become_builder(&mut program, job)?;
    program.finish()
}

fn say(text: String) -> OnFailure {
    OnFailure::Say(format!("enter: {text}").into_bytes())
}

fn bring_in(program: &mut Program, input: &Input) -> Result<(), ProgramError> {
    let name = &input.base_name;
    let inside = program.path(format!("/root/nix/store/{name}").as_bytes())?;
    let made = || say(format!("cannot make /nix/store/{name}"));
    match &input.kind {
        InputKind::Directory => program.call(Call::Mkdirat, &[AT_FDCWD, inside, 0o755], made()),
        InputKind::File => program.call(Call::Mknodat, &[AT_FDCWD, inside, S_IFREG | 0o444, 0], made()),
        InputKind::Symlink(target) => {
            let target = program.path(target)?;
            program.call(Call::Symlinkat, &[target, AT_FDCWD, inside], made());
            return Ok(());
        }
    }
    let outside = program.path(format!("/in/store/{name}").as_bytes())?;
    let arguments = [outside, inside, 0, MS_BIND_RECURSIVE, 0];
    program.call(Call::Mount, &arguments, say(format!("cannot bind /nix/store/{name}")));
    Ok(())
}

/// The store is open to the builder's group: it makes its outputs there. The root is not.
fn own_root(program: &mut Program, job: &Enter<'_>) -> Result<(), ProgramError> {
    for (path, mode) in [("/root", 0o750), ("/root/nix/store", 0o1775)] {
        let address = program.path(path.as_bytes())?;
        let owner = [AT_FDCWD, address, 0, u64::from(job.gid), 0];
        program.call(Call::Fchownat, &owner, say(format!("cannot give {path} to the builder's group")));
        let mode = [AT_FDCWD, address, mode];
        program.call(Call::Fchmodat, &mode, say(format!("cannot set the mode of {path}")));
    }
    Ok(())
}

fn change_root(program: &mut Program, build_dir: &str) -> Result<(), ProgramError> {
    let (root, here, top) = (program.path(b"/root")?, program.path(b".")?, program.path(b"/")?);
    let build = program.path(build_dir.as_bytes())?;
    program.call(Call::Chdir, &[root], say("cannot enter /root".to_owned()));
    // Nothing of the outer world stays in the namespace but the guest's first root. That is a ramfs, which can neither
    // be pivoted away nor unmounted; a root on top of it is what every Linux system has, and no path leads below.
    for path in OUTER_MOUNTS {
        let outer = program.path(path.as_bytes())?;
        program.call(Call::Umount2, &[outer, MNT_DETACH], say(format!("cannot unmount {path}")));
    }
    program.call(Call::Mount, &[here, top, 0, MS_MOVE, 0], say("cannot move /root to /".to_owned()));
    program.call(Call::Chroot, &[here], say("cannot change the root".to_owned()));
    program.call(Call::Chdir, &[build], say(format!("cannot enter {build_dir}")));
    Ok(())
}

fn drop_privileges(program: &mut Program, job: &Enter<'_>) {
    let limit = |n: u64| [n.to_le_bytes(), n.to_le_bytes()].concat();
    for (resource, value) in [(RLIMIT_CORE, 0), (RLIMIT_NOFILE, OPEN_FILES)] {
        let value = program.bytes(&limit(value));
        let arguments = [0, resource, value, 0];
        program.call(Call::Prlimit64, &arguments, say(format!("cannot set limit {resource}")));
    }
    let (uid, gid) = (u64::from(job.uid), u64::from(job.gid));
    program.call(Call::Umask, &[0o022], OnFailure::Ignore);
    // A session of its own, without a terminal; refused when it has one already.
    program.call(Call::Setsid, &[], OnFailure::Ignore);
    program.call(Call::Setgroups, &[0, 0], say("cannot drop groups".to_owned()));
    program.call(Call::Setresgid, &[gid; 3], say(format!("cannot become group {gid}")));
    program.call(Call::Setresuid, &[uid; 3], say(format!("cannot become user {uid}")));
}

/// A user namespace that holds the builder's user and group and nobody else.
fn own_users(program: &mut Program, job: &Enter<'_>) -> Result<(), ProgramError> {
    let Enter { uid, gid, .. } = job;
    program.call(Call::Unshare, &[CLONE_NEWUSER], say("cannot make a user namespace".to_owned()));
    // A process that changed its user does not own its files in /proc until it says that they hold no secret.
    program.call(Call::Prctl, &[PR_SET_DUMPABLE, 1, 0, 0, 0], OnFailure::Ignore);
    // Descriptors 0 to 2 are taken: what is opened next is 3.
    program.call(Call::Close, &[3], OnFailure::Ignore);
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{uid} {uid} 1")),
        ("gid_map", format!("{gid} {gid} 1")),
    ] {
        let path = program.path(format!("/proc/self/{file}").as_bytes())?;
        let bytes = program.bytes(text.as_bytes());
        let failed = || say(format!("cannot write {file}"));
        program.call(Call::Openat, &[AT_FDCWD, path, O_WRONLY], failed());
        program.call(Call::Write, &[3, bytes, text.len() as u64], failed());
        program.call(Call::Close, &[3], failed());
    }
    Ok(())
}

/// What cannot be undone any more.
fn restrict(program: &mut Program, arch: Arch) {
    let filter = filter(arch);
    let length = filter.len() as u64 / 8;
    let filter = program.bytes(&filter);
    let header = program.bytes(&[length.to_le_bytes(), filter.to_le_bytes()].concat());
    program.call(Call::Prctl, &[PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], say("cannot set no_new_privs".to_owned()));
    let arguments = [SECCOMP_SET_MODE_FILTER, 0, header];
    program.call(Call::Seccomp, &arguments, say("cannot filter system calls".to_owned()));
    program.call(Call::Personality, &[ADDR_NO_RANDOMIZE], say("cannot set the personality".to_owned()));
}

/// The rows that end in `execve`: argument 0 is the builder's base name, as Nix gives it.
pub(super) fn become_builder(program: &mut Program, job: &Enter<'_>) -> Result<(), ProgramError> {
    let base_name = job.builder.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let mut arguments = vec![program.string(base_name, || "the builder's name".to_owned())?];
    for (n, argument) in job.args.iter().enumerate() {
        arguments.push(program.string(argument, || format!("argument {} of the builder", n + 1))?);
    }
    let mut environment = Vec::new();
    for (name, value) in job.env {
        let both = [name.as_slice(), b"=", value].concat();
        let what = || format!("the environment variable `{}`", name.escape_ascii());
        environment.push(program.string(&both, what)?);
    }
    let path = program.path(job.builder)?;
    let arguments = program.pointers(&arguments);
    let environment = program.pointers(&environment);
    let failure = say(format!(
        "cannot execute the builder `{}`: no such file, not executable, or its arguments are too long",
        job.builder.escape_ascii()
    ));
    program.call(Call::Execve, &[path, arguments, environment], failure);
    Ok(())
}
