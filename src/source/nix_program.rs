//! The `nix` program as a source: it builds a fixed-output derivation natively, with the network.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::contents::Contents;
use super::fixed_output::FixedOutput;
use super::tool::{Tool, ToolError};
use crate::nix::make_path::Method;
use crate::store::{TreeError, write_nar};

const FIX: &str =
    "install Nix (Debian: `apt-get install nix-bin`), or add the file by hand: `reprove source add FILE`";

/// As the caller of a machine wants it: no daemon, no build users, nothing substituted (what comes must come
/// from where the derivation says), no registry.
const SETTINGS: &str = "experimental-features = nix-command flakes\nbuild-users-group =\nsubstituters =\nflake-registry =\nsandbox = true\nsandbox-fallback = false\nbuilders =\npost-build-hook =\npre-build-hook =\n";

/// What the `nix` program may build to get a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Natively {
    /// Only what it fetches itself (`builtin:fetchurl`).
    Builtins,
    /// Also derivations with inputs, all of which it builds on this machine first: for nixpkgs' `fetchurl`
    /// that is a whole toolchain.
    Anything,
}

/// The `nix` program and the store directory it works in, which holds the derivations.
#[derive(Clone, Debug)]
pub struct NixProgram {
    root: PathBuf,
    natively: Natively,
}

/// Why it did not give the source.
#[derive(Debug, thiserror::Error)]
pub(super) enum NixProgramError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("the output of nix cannot be read: {0}")]
    Tree(#[from] TreeError),
    #[error("the output of nix cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl NixProgram {
    /// Works in the store below `root` (`<root>/nix/store/…`), never in the host's.
    pub fn new(root: &Path, natively: Natively) -> Self {
        NixProgram { root: root.to_owned(), natively }
    }

    /// Whether it may build this one.
    pub(super) fn takes(&self, fixed: &FixedOutput) -> bool {
        fixed.is_builtin || self.natively == Natively::Anything
    }

    /// Has it built, and reads what came out; nothing is believed about it.
    pub(super) fn realise(&self, fixed: &FixedOutput) -> Result<Contents, NixProgramError> {
        // Caches and profiles that it makes in passing.
        let home = tempfile::tempdir()?;
        Tool::new("nix-store", FIX)
            .env("NIX_CONFIG", SETTINGS)
            .env("HOME", home.path())
            .env("XDG_CACHE_HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .args(["--store".as_ref(), self.root.as_os_str(), "--realise".as_ref()])
            .args([fixed.drv.to_string()])
            .run()?;
        let output = self.root.join("nix/store").join(fixed.path.base_name());
        match fixed.method {
            Method::Flat => {
                let metadata = std::fs::symlink_metadata(&output)?;
                if !metadata.is_file() {
                    return Err(std::io::Error::other("it is no regular file").into());
                }
                Ok(Contents::read(File::open(output)?)?)
            }
            Method::Recursive => {
                let file = tempfile::tempfile()?;
                write_nar(&output, &file)?;
                Ok(Contents::of(file)?)
            }
        }
    }
}
