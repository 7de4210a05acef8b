//! The system calls Nix forbids builders: set-id bits on files and extended attributes, which a store does not keep.
//!
//! Nix's `filter-syscalls`, on by default: `chmod` and its kin with a set-uid or set-gid bit give EPERM, `setxattr`
//! and its kin ENOTSUP. Here as a seccomp filter in classic BPF (Linux, `userspace-api/seccomp_filter`).

use crate::machine::Arch;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOTSUP: u32 = 95;
const SET_ID_BITS: u32 = 0o6000;

/// Offset in `struct seccomp_data` of an argument's low half.
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

/// The filter as an array of `struct sock_filter`, 8 bytes each.
pub fn filter(arch: Arch) -> Vec<u8> {
    struct Calls {
        audit: u32,
        mode_is_second: &'static [u32],
        mode_is_third: &'static [u32],
        attributes: &'static [u32],
    }
    let calls = match arch {
        Arch::X86_64 => Calls {
            audit: 0xc000_003e,
            mode_is_second: &[90, 91],    // chmod, fchmod
            mode_is_third: &[268, 452],   // fchmodat, fchmodat2
            attributes: &[188, 189, 190], // setxattr, lsetxattr, fsetxattr
        },
        Arch::Riscv64 => Calls {
            audit: 0xc000_00f3,
            mode_is_second: &[52],
            mode_is_third: &[53, 452],
            attributes: &[5, 6, 7],
        },
    };
    // The tail: allow, second, third, attributes; jumps count from the instruction behind them.
    let comparisons = calls.mode_is_second.len() + calls.mode_is_third.len() + calls.attributes.len();
    let mut out = Vec::new();
    let mut emit = |code: u16, yes: usize, no: usize, k: u32| {
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&[yes as u8, no as u8]);
        out.extend_from_slice(&k.to_le_bytes());
    };
    emit(LOAD, 0, 0, 4);
    emit(JUMP_IF_EQUAL, 0, 1 + comparisons, calls.audit);
    emit(LOAD, 0, 0, 0);
    let targets = [(calls.mode_is_second, 1), (calls.mode_is_third, 3), (calls.attributes, 6)];
    let mut left = comparisons;
    for (numbers, target) in targets {
        for number in numbers {
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
    out
}
