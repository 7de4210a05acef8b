//! What can go wrong when a document is to be signed.

use std::{io, path::PathBuf, process::ExitStatus};

use crate::{
    code::{Code, Explanation},
    nix::secret_key::SecretKeyError,
};

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Not a key.
    #[error("{}: {source}", file.display())]
    SecretKey {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: SecretKeyError,
    },
    /// `gpg` could not be run.
    #[error("gpg cannot be run: {0}")]
    NoGpg(#[source] io::Error),
    /// `gpg` did not sign; it has said why.
    #[error("gpg did not sign ({status})")]
    Gpg {
        /// How it ended.
        status: ExitStatus,
    },
}

impl SignError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            SignError::SecretKey { .. } => 1260,
            SignError::NoGpg(_) | SignError::Gpg { .. } => 1261,
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1260),
        title: "a secret key cannot be used",
        text: "It is one line NAME:BASE64, as `nix key generate-secret --key-name NAME-1` prints it, with the public key in \
               its second half.",
    },
    Explanation {
        code: Code(1261),
        title: "gpg did not sign",
        text: "It has said why on standard error. `gpg --list-secret-keys` shows the keys that there are.",
    },
];
