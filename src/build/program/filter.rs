//! The system calls Nix forbids builders: set-id bits on files and extended attributes, which a store does not keep.
//!
//! Nix's `filter-syscalls`, on by default: `chmod` and its kin with a set-uid or set-gid bit give EPERM, `setxattr`
//! and its kin ENOTSUP. Here as a seccomp filter in classic BPF (Linux, `userspace-api/seccomp_filter`).

use crate::machine::Arch;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const KILL_THREAD: u32 = 0;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOTSUP: u32 = 95;
const SET_ID_BITS: u32 = 0o6000;

/// Offset in `struct seccomp_data` of an argument's low half.
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

/// The system calls of one of the interfaces a kernel has.
struct Interface {
    /// Its `AUDIT_ARCH_…`, `linux/audit.h`.
    audit: u32,
    /// `chmod` and `fchmod`.
    mode_is_second: &'static [u32],
    /// `fchmodat` and `fchmodat2`.
    mode_is_third: &'static [u32],
    /// `setxattr`, `lsetxattr`, `fsetxattr`.
    attributes: &'static [u32],
}

/// Set in the numbers of x32's system calls, which have the `AUDIT_ARCH` of x86_64.
const X32: u32 = 0x4000_0000;

/// Those Nix names: for x86_64 also the 32-bit one and x32.
fn interfaces(arch: Arch) -> &'static [Interface] {
    match arch {
        Arch::X86_64 => &[
            Interface {
                audit: 0xc000_003e,
                mode_is_second: &[90, 91, X32 | 90, X32 | 91],
                mode_is_third: &[268, 452, X32 | 268, X32 | 452],
                attributes: &[188, 189, 190, X32 | 188, X32 | 189, X32 | 190],
            },
            Interface {
                audit: 0x4000_0003,
                mode_is_second: &[15, 94],
                mode_is_third: &[306, 452],
                attributes: &[226, 227, 228],
            },
        ],
        Arch::Riscv64 => &[Interface {
            audit: 0xc000_00f3,
            mode_is_second: &[52],
            mode_is_third: &[53, 452],
            attributes: &[5, 6, 7],
        }],
    }
}

/// The filter as an array of `struct sock_filter`, 8 bytes each.
///
/// A system call through any other interface ends its thread, as libseccomp, which Nix uses, has it.
pub fn filter(arch: Arch) -> Vec<u8> {
    let mut out = Vec::new();
    let mut emit = |code: u16, yes: usize, no: usize, k: u32| {
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&[yes as u8, no as u8]);
        out.extend_from_slice(&k.to_le_bytes());
    };
    emit(LOAD, 0, 0, 4);
    for Interface { audit, mode_is_second, mode_is_third, attributes } in interfaces(arch) {
        // Behind the comparisons: allow, second, third, attributes; jumps count from the instruction behind them.
        let mut left = mode_is_second.len() + mode_is_third.len() + attributes.len();
        emit(JUMP_IF_EQUAL, 0, 1 + left + 8, *audit);
        emit(LOAD, 0, 0, 0);
        for (numbers, target) in [(mode_is_second, 1), (mode_is_third, 3), (attributes, 6)] {
            for number in *numbers {
                left -= 1;
                emit(JUMP_IF_EQUAL, left + target, 0, *number);
            }
        }
        emit(RETURN, 0, 0, ALLOW);
        emit(LOAD, 0, 0, argument(1));
        emit(JUMP_IF_ANY_BIT, 2, 4, SET_ID_BITS);
        emit(LOAD, 0, 0, argument(2));
        emit(JUMP_IF_ANY_BIT, 0, 2, SET_ID_BITS);
        emit(RETURN, 0, 0, ERRNO | EPERM);
        emit(RETURN, 0, 0, ERRNO | ENOTSUP);
        emit(RETURN, 0, 0, ALLOW);
    }
    emit(RETURN, 0, 0, KILL_THREAD);
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What the filter says of a call: a classic BPF machine, as far as it is used here.
    fn verdict(filter: &[u8], audit: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [number.to_le_bytes(), audit.to_le_bytes()].concat();
        data.extend([0; 8]);
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let row = &filter[8 * at..8 * at + 8];
            let (code, yes, no) = (u16::from_le_bytes([row[0], row[1]]), row[2], row[3]);
            let k = word(&row[4..]);
            at += 1;
            let jump = |met| usize::from(if met { yes } else { no });
            match code {
                LOAD => accumulator = word(&data[k as usize..k as usize + 4]),
                JUMP_IF_EQUAL => at += jump(accumulator == k),
                JUMP_IF_ANY_BIT => at += jump(accumulator & k != 0),
                RETURN => return k,
                _ => panic!("{code:#x}"),
            }
        }
    }

    /// The number of a system call in the kernel's own headers, which the C compiler's package brings.
    fn number(header: &str, call: &str) -> u32 {
        let path = format!("/usr/include/{header}");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}; install libc6-dev"));
        let prefix = format!("#define __NR_{call} ");
        let line =
            text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{call}"));
        let line = line.trim().trim_start_matches('(').trim_end_matches(')');
        match line.strip_prefix("__X32_SYSCALL_BIT + ") {
            Some(number) => X32 + number.parse::<u32>().unwrap(),
            None => line.parse().unwrap(),
        }
    }

    const EPERMS: u32 = ERRNO | EPERM;
    const ENOTSUPS: u32 = ERRNO | ENOTSUP;

    fn check(arch: Arch, audit: u32, header: &str, seconds: &[&str]) {
        let filter = filter(arch);
        let ask = |call: &str, arguments| verdict(&filter, audit, number(header, call), arguments);
        for call in seconds {
            for (mode, expected) in [(0o4755, EPERMS), (0o2755, EPERMS), (0o6000, EPERMS), (0o1777, ALLOW)] {
                assert_eq!(ask(call, [0o6000, mode, 0o6000, 0, 0, 0]), expected, "{arch} {call} {mode:o}");
            }
        }
        for (mode, expected) in [(0o4755, EPERMS), (0o2755, EPERMS), (0o1777, ALLOW)] {
            assert_eq!(ask("fchmodat", [0o6000, 0o6000, mode, 0o6000, 0, 0]), expected, "{arch} {mode:o}");
            let fchmodat2 = 452 | (number(header, "fchmod") & X32);
            assert_eq!(
                verdict(&filter, audit, fchmodat2, [0, 0, mode, 0, 0, 0]),
                expected,
                "{arch} {mode:o}"
            );
        }
        for call in ["setxattr", "lsetxattr", "fsetxattr"] {
            assert_eq!(ask(call, [0; 6]), ENOTSUPS, "{arch} {call}");
        }
        for call in ["getxattr", "removexattr", "write", "openat", "execve", "fchown"] {
            assert_eq!(ask(call, [0o6000; 6]), ALLOW, "{arch} {call}");
        }
    }

    #[test]
    fn every_interface_of_x86_64_is_filtered() {
        check(Arch::X86_64, 0xc000_003e, "x86_64-linux-gnu/asm/unistd_64.h", &["chmod", "fchmod"]);
        check(Arch::X86_64, 0xc000_003e, "x86_64-linux-gnu/asm/unistd_x32.h", &["chmod", "fchmod"]);
        check(Arch::X86_64, 0x4000_0003, "x86_64-linux-gnu/asm/unistd_32.h", &["chmod", "fchmod"]);
    }

    #[test]
    fn riscv64_is_filtered_and_nothing_else_runs() {
        check(Arch::Riscv64, 0xc000_00f3, "asm-generic/unistd.h", &["fchmod"]);
        // riscv32, arm64.
        for audit in [0x4000_00f3, 0xc000_00b7] {
            assert_eq!(verdict(&filter(Arch::Riscv64), audit, 64, [0; 6]), KILL_THREAD);
            assert_eq!(verdict(&filter(Arch::X86_64), audit, 1, [0; 6]), KILL_THREAD);
        }
    }
}
