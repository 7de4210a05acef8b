//! `/terminal`: makes the terminal that the builder's standard output and error are.
//!
//! As Nix 2.8 does it (`startBuilder` in `local-derivation-goal.cc`): a pseudo-terminal in raw mode, so that bytes
//! pass unchanged; its slave belongs to the builder alone, who may open `/dev/stderr` anew.

use super::{OnFailure, Program, ProgramError, calls::Call};
use crate::machine::Arch;

const AT_FDCWD: u64 = -100i64 as u64;
/// `_IOW('T', 0x31, int)`, `asm-generic/ioctls.h`.
const TIOCSPTLCK: u64 = 0x4004_5431;
const TCSETS: u64 = 0x5402;

/// `struct termios` of `asm-generic/termbits.h`: what Linux gives a new terminal, after `cfmakeraw`.
fn raw() -> Vec<u8> {
    const ONLCR: u32 = 0o4;
    const B38400_CS8_CREAD: u32 = 0o17 | 0o60 | 0o200;
    const ECHOE_ECHOK_ECHOCTL_ECHOKE: u32 = 0o20 | 0o40 | 0o1000 | 0o4000;
    const LINE: u8 = 0;
    // INTR, QUIT, ERASE, KILL, EOF, TIME, MIN, SWTC, START, STOP, SUSP, EOL, REPRINT, DISCARD, WERASE, LNEXT, EOL2
    const CHARACTERS: [u8; 19] = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];
    let flags = [0, ONLCR, B38400_CS8_CREAD, ECHOE_ECHOK_ECHOCTL_ECHOKE];
    let mut out: Vec<u8> = flags.iter().flat_map(|flags: &u32| flags.to_le_bytes()).collect();
    out.push(LINE);
    out.extend_from_slice(&CHARACTERS);
    out
}

/// A program whose descriptor 0 is the master of a new terminal: unlocks the slave, which is `slave`, makes it raw, and
/// gives it to user `uid`.
pub fn terminal(arch: Arch, slave: &str, uid: u32) -> Result<Vec<u8>, ProgramError> {
    let mut program = Program::new(arch);
    let slave = program.path(slave.as_bytes())?;
    let unlocked = program.bytes(&0u32.to_le_bytes());
    let raw = program.bytes(&raw());
    let say = |text: &[u8]| OnFailure::Say(text.to_vec());
    program.call(Call::Ioctl, &[0, TIOCSPTLCK, unlocked], say(b"terminal: cannot unlock it"));
    program.call(Call::Ioctl, &[0, TCSETS, raw], say(b"terminal: cannot set its modes"));
    let owner = [AT_FDCWD, slave, u64::from(uid), 0, 0];
    program.call(Call::Fchownat, &owner, say(b"terminal: cannot give it to the builder"));
    program.call(Call::Fchmodat, &[AT_FDCWD, slave, 0o600], say(b"terminal: cannot set its mode"));
    program.call(Call::ExitGroup, &[0], OnFailure::Ignore);
    program.finish()
}
