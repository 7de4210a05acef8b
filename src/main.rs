//! The `reprove` program; everything lives in the library.

use std::{panic, process::ExitCode};

use reprove::cli::{self, Exit};

fn main() -> ExitCode {
    // A panic is a defect of ours. Left alone it would exit with 101, which says that a build took too long.
    panic::catch_unwind(cli::run).unwrap_or(Exit::Internal).into()
}
