//! What every verb starts from.

use std::path::PathBuf;

use super::{
    Cli, Failure,
    progress::{Detail, Progress},
};
use crate::store::Store;

/// The state directory and the way to tell a person what goes on.
pub struct Context {
    state: Option<PathBuf>,
    /// Progress on standard error.
    pub progress: Progress,
}

impl Context {
    pub(super) fn new(cli: &Cli) -> Self {
        let detail = match (cli.quiet, cli.print_build_logs) {
            (true, _) => Detail::Quiet,
            (false, true) => Detail::Logs,
            (false, false) => Detail::Progress,
        };
        Context { state: cli.state.clone(), progress: Progress::new(detail) }
    }

    /// Our store, in the state directory.
    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.state_dir()?)?)
    }

    /// The state directory: `--state`, `$REPROVE_STATE`, `$XDG_STATE_HOME/reprove`, `~/.local/state/reprove`.
    pub fn state_dir(&self) -> Result<PathBuf, Failure> {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let found = self
            .state
            .clone()
            .or_else(|| from("REPROVE_STATE"))
            .or_else(|| Some(from("XDG_STATE_HOME")?.join("reprove")))
            .or_else(|| Some(from("HOME")?.join(".local/state/reprove")));
        let dir = found.ok_or_else(|| {
            Failure::usage("there is no state directory: neither HOME nor XDG_STATE_HOME is set")
                .hint("name one with `--state DIR` or REPROVE_STATE")
        })?;
        std::path::absolute(&dir).map_err(|error| Failure::io(dir.display().to_string(), &error))
    }
}
