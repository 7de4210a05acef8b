//! `/entropy`: credits a seed to the kernel's random pool.

use sha2::{Digest as _, Sha256};

use super::{OnFailure, Program, ProgramError, calls::Call};
use crate::machine::Arch;

const AT_FDCWD: u64 = -100i64 as u64;
const O_WRONLY: u64 = 1;
/// `_IOW('R', 3, int[2])`, `linux/random.h`.
const RNDADDENTROPY: u64 = 0x4008_5203;
/// `_IO('R', 7)`.
const RNDRESEEDCRNG: u64 = 0x5207;

/// A program that credits 32 bytes drawn from `seed` to the random pool, makes the kernel's generator take them at
/// once, and exits 0.
pub fn entropy(arch: Arch, seed: u64) -> Result<Vec<u8>, ProgramError> {
    let bytes =
        Sha256::new().chain_update(b"reprove-entropy/1\0").chain_update(seed.to_le_bytes()).finalize();
    let mut info = Vec::new();
    info.extend_from_slice(&(8 * bytes.len() as u32).to_le_bytes()); // bits credited
    info.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    info.extend_from_slice(&bytes);

    let mut program = Program::new(arch);
    let device = program.path(b"/dev/urandom")?;
    let info = program.bytes(&info);
    // With descriptor 0 free, the device becomes descriptor 0.
    program.call(Call::Close, &[0], OnFailure::Ignore);
    let say = |text: &[u8]| OnFailure::Say(text.to_vec());
    program.call(Call::Openat, &[AT_FDCWD, device, O_WRONLY], say(b"entropy: cannot open /dev/urandom"));
    program.call(Call::Ioctl, &[0, RNDADDENTROPY, info], say(b"entropy: RNDADDENTROPY failed"));
    program.call(Call::Ioctl, &[0, RNDRESEEDCRNG], OnFailure::Ignore);
    program.call(Call::ExitGroup, &[0], OnFailure::Ignore);
    program.finish()
}
