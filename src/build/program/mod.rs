//! Programs of system calls: static ELF files made of a table of calls and a short loop that walks it.
//!
//! What happens inside the guest between `init` and the builder is data written by the host, so no byte of a path
//! or an environment ever passes through a shell. A row of the table is a call number, six arguments, and a
//! message; a call that fails ends the program with exit code [`FAILED`] after the message went to standard
//! error, unless the row's result is ignored.

mod calls;
mod code;
mod enter;
mod entropy;
mod filter;
mod repeat;
mod terminal;
mod watch;

pub use enter::{Enter, Input, InputKind, enter};
pub use entropy::entropy;
pub use terminal::terminal;
pub use watch::{watch_files, watch_processes};

use crate::machine::Arch;
use calls::Call;

/// Exit code of a program one of whose calls failed.
pub const FAILED: u8 = 125;
/// Longest argument or `NAME=value` that Linux passes to a program, in bytes, its NUL included.
pub const STRING_MAX: usize = 128 << 10;

/// Where the file is loaded; below 2 GiB, so that addresses fit in the instructions that load them.
const BASE: u64 = 0x40_0000;
/// Offset of the data, behind headers and code.
const DATA: u64 = 0x1000;
/// Largest file: far below the next address that matters, far above any environment Linux takes.
const FILE_MAX: usize = 256 << 20;

/// Why there can be no such program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The operating system's strings end at a NUL.
    #[error("{0} holds a NUL byte, which no program can be given")]
    Nul(String),
    /// Longer than [`STRING_MAX`].
    #[error(
        "{what} is {length} bytes long; Linux passes at most {STRING_MAX} (\"Argument list too long\"): \
         use `passAsFile` or `__structuredAttrs`"
    )]
    TooLong {
        /// Which argument or variable.
        what: String,
        /// Its length with its NUL.
        length: usize,
    },
    /// More than the address space set aside.
    #[error("the program would be larger than {} MiB", FILE_MAX >> 20)]
    TooLarge,
}

/// What a failed call means.
enum OnFailure {
    Ignore,
    /// Print this and exit.
    Say(Vec<u8>),
}

/// A program being written.
pub struct Program {
    arch: Arch,
    rows: Vec<[u64; 9]>,
    data: Vec<u8>,
}

impl Program {
    /// A program without calls.
    pub fn new(arch: Arch) -> Program {
        Program { arch, rows: Vec::new(), data: Vec::new() }
    }

    /// Adds bytes and gives their address, a multiple of 8.
    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let address = BASE + DATA + self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        address
    }

    /// Adds a string with its final NUL; `what` names it in errors.
    fn string(&mut self, text: &[u8], what: impl FnOnce() -> String) -> Result<u64, ProgramError> {
        if text.contains(&0) {
            return Err(ProgramError::Nul(what()));
        }
        if text.len() >= STRING_MAX {
            return Err(ProgramError::TooLong { what: what(), length: text.len() + 1 });
        }
        let address = self.bytes(text);
        self.data.push(0);
        Ok(address)
    }

    /// Adds a path with its final NUL.
    fn path(&mut self, path: &[u8]) -> Result<u64, ProgramError> {
        self.string(path, || format!("the path `{}`", path.escape_ascii()))
    }

    /// Adds an array of addresses with its final null.
    fn pointers(&mut self, addresses: &[u64]) -> u64 {
        let bytes: Vec<u8> = addresses.iter().chain([&0]).flat_map(|a| a.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    fn call(&mut self, call: Call, arguments: &[u64], on_failure: OnFailure) {
        let mut row = [0; 9];
        row[0] = call.number(self.arch);
        row[1..=arguments.len()].copy_from_slice(arguments);
        if let OnFailure::Say(mut message) = on_failure {
            message.push(b'\n');
            row[7] = self.bytes(&message);
            row[8] = message.len() as u64;
        }
        self.rows.push(row);
    }

    /// The ELF file; the last call must be one that does not come back.
    fn finish(mut self) -> Result<Vec<u8>, ProgramError> {
        let rows: Vec<u8> = self.rows.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        let table = self.bytes(&rows);
        if self.data.len() > FILE_MAX {
            return Err(ProgramError::TooLarge);
        }
        Ok(code::elf(self.arch, table, &self.data))
    }
}

#[cfg(test)]
mod tests;
