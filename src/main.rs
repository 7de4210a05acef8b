//! The `reprove` program; everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    reprove::cli::run().into()
}
