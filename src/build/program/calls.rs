//! Numbers of the system calls the programs make: Linux's `asm/unistd_64.h` and `asm-generic/unistd.h`.

use crate::machine::Arch;

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Chdir,
    Chroot,
    Close,
    Execve,
    ExitGroup,
    Fchmodat,
    Fchownat,
    Ioctl,
    Mkdirat,
    Mknodat,
    Mount,
    Openat,
    Personality,
    Prctl,
    Prlimit64,
    Seccomp,
    Setgroups,
    Setresgid,
    Setresuid,
    Setsid,
    Symlinkat,
    Umask,
    Umount2,
    Unshare,
    Write,
}

impl Call {
    /// Its number.
    pub fn number(self, arch: Arch) -> u64 {
        let (x86_64, riscv64) = match self {
            Call::Chdir => (80, 49),
            Call::Chroot => (161, 51),
            Call::Close => (3, 57),
            Call::Execve => (59, 221),
            Call::ExitGroup => (231, 94),
            Call::Fchmodat => (268, 53),
            Call::Fchownat => (260, 54),
            Call::Ioctl => (16, 29),
            Call::Mkdirat => (258, 34),
            Call::Mknodat => (259, 33),
            Call::Mount => (165, 40),
            Call::Openat => (257, 56),
            Call::Personality => (135, 92),
            Call::Prctl => (157, 167),
            Call::Prlimit64 => (302, 261),
            Call::Seccomp => (317, 277),
            Call::Setgroups => (116, 159),
            Call::Setresgid => (119, 149),
            Call::Setresuid => (117, 147),
            Call::Setsid => (112, 157),
            Call::Symlinkat => (266, 36),
            Call::Umask => (95, 166),
            Call::Umount2 => (166, 39),
            Call::Unshare => (272, 97),
            Call::Write => (1, 64),
        };
        match arch {
            Arch::X86_64 => x86_64,
            Arch::Riscv64 => riscv64,
        }
    }
}
