//! What can go wrong with `nix`.

use std::{io, path::PathBuf, process::ExitStatus};

use super::{Version, process::Failure, quote::quote};
use crate::{
    code::{Code, Explanation},
    graph::GraphError,
    nix::{aterm::AtermError, store_path::StorePath},
};

/// Why an installable gave no derivation, or a derivation no native build. What `nix` said is escaped and cut.
#[derive(Debug, thiserror::Error)]
pub enum FlakeError {
    /// Not spelled like an installable.
    #[error("`{}` is no installable: {why}", text.escape_debug())]
    Installable {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// No `nix` on the search path.
    #[error(
        "there is no `nix` on the search path: install Nix 2.8 or later, on Debian with `apt-get install nix-bin`"
    )]
    NixMissing,
    /// A `nix` older than 2.8.
    #[error("{} is Nix {version}; 2.8 or later is needed: install a newer one, on Debian 12 or later with `apt-get install nix-bin`", path.display())]
    NixTooOld {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        version: Version,
    },
    /// Something called `nix` that says nothing a Nix would.
    #[error("{} does not say which version of Nix it is; it printed `{printed}`", path.display())]
    NixVersion {
        /// Where it is.
        path: PathBuf,
        /// What it printed first.
        printed: String,
    },
    /// `nix` could not be run.
    #[error("{doing}: {error}")]
    Run {
        /// What it was to do.
        doing: String,
        /// The operating system's error.
        error: io::Error,
    },
    /// `nix` took too long.
    #[error("{doing} took too long and was stopped; nix said:\n{message}")]
    TooLong {
        /// What it was to do.
        doing: String,
        /// The end of what it said.
        message: String,
    },
    /// `nix` printed more than an answer.
    #[error("{doing}: nix printed more than 1 MiB")]
    TooMuch {
        /// What it was to do.
        doing: String,
    },
    /// The state directory cannot hold a store.
    #[error("{} cannot hold a Nix store: {why}", path.display())]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The evaluation failed.
    #[error("{installable} does not evaluate ({status}); nix said:\n{message}")]
    Evaluation {
        /// What was asked for.
        installable: String,
        /// How `nix` ended.
        status: ExitStatus,
        /// What it said.
        message: String,
    },
    /// The attribute is something else.
    #[error("{installable} is {found}, not a derivation")]
    NotADerivation {
        /// What was asked for.
        installable: String,
        /// What was found.
        found: String,
    },
    /// The derivation has no such output.
    #[error("{installable} has no output `{output}`; it has {}", there.join(", "))]
    NoSuchOutput {
        /// What was asked for.
        installable: String,
        /// The output.
        output: String,
        /// The outputs there are.
        there: Vec<String>,
    },
    /// A `.drv` file cannot be read.
    #[error("{drv}: cannot read {}: {why}", path.display())]
    Unreadable {
        /// The derivation.
        drv: StorePath,
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A `.drv` file that is no derivation.
    #[error("{drv}: {error}")]
    Derivation {
        /// The derivation.
        drv: StorePath,
        /// What is wrong, and where.
        error: AtermError,
    },
    /// The derivations do not go together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The store of our own does not work.
    #[error("{doing} failed; nix said:\n{message}")]
    Store {
        /// What was to be done.
        doing: &'static str,
        /// What `nix` said.
        message: String,
    },
    /// The native build failed.
    #[error("the native build of {drv} failed ({status}); nix said:\n{message}")]
    NativeBuild {
        /// What was built.
        drv: StorePath,
        /// How `nix` ended.
        status: ExitStatus,
        /// The end of what it said.
        message: String,
    },
    /// The native build took too long.
    #[error("the native build of {drv} took too long and was stopped; nix said:\n{message}")]
    NativeTimedOut {
        /// What was built.
        drv: StorePath,
        /// The end of what `nix` said.
        message: String,
    },
}

impl FlakeError {
    pub(super) fn of_failure(doing: &str, failure: Failure) -> FlakeError {
        let doing = doing.to_owned();
        match failure {
            Failure::Io(error) => FlakeError::Run { doing, error },
            Failure::TimedOut(stderr) => FlakeError::TooLong { doing, message: quote(&stderr) },
            Failure::TooMuch => FlakeError::TooMuch { doing },
        }
    }

    /// The error's code: 02xx, or that of the room a derivation's fault belongs to.
    pub fn code(&self) -> Code {
        match self {
            FlakeError::Installable { .. } => Code(201),
            FlakeError::NixMissing => Code(202),
            FlakeError::NixTooOld { .. } | FlakeError::NixVersion { .. } => Code(203),
            FlakeError::Run { .. } | FlakeError::TooMuch { .. } => Code(204),
            FlakeError::TooLong { .. } => Code(205),
            FlakeError::StateDir { .. } | FlakeError::Store { .. } => Code(206),
            FlakeError::Evaluation { .. } => Code(210),
            FlakeError::NotADerivation { .. } => Code(211),
            FlakeError::NoSuchOutput { .. } => Code(212),
            FlakeError::Unreadable { .. } => Code(213),
            FlakeError::Derivation { error, .. } => error.code(),
            FlakeError::Graph(error) => error.code(),
            FlakeError::NativeBuild { .. } => Code(220),
            FlakeError::NativeTimedOut { .. } => Code(221),
        }
    }
}

/// What every code of this room means.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(201),
        title: "not an installable",
        text: "What to build is named as for `nix build`: `.#attribute`, `path:folder#attribute`, \
               `git+file:///folder#attribute`, `/nix/store/….drv`, or the path of a .drv file whose inputs lie beside \
               it; behind it `^out`, `^dev,doc` or `^*` chooses outputs, all of them by default.",
    },
    Explanation {
        code: Code(202),
        title: "there is no `nix`",
        text: "Flakes are evaluated by the `nix` program, 2.8 or later; nothing of it needs to be running, and /nix is \
               not touched. On Debian: `apt-get install nix-bin`. Derivations given as .drv files need no `nix`.",
    },
    Explanation {
        code: Code(203),
        title: "`nix` is too old, or not Nix",
        text: "The first program called `nix` on the search path is older than 2.8 or does not print a version as Nix, \
               Lix and Determinate Nix do. Install a newer one or change PATH.",
    },
    Explanation {
        code: Code(204),
        title: "`nix` could not be run",
        text: "The operating system refused, or the program printed far more than an answer. The message says which.",
    },
    Explanation {
        code: Code(205),
        title: "an evaluation took too long",
        text: "Evaluation is stopped after ten minutes. A flake that computes without end is the usual cause; one that \
               fetches a lot needs a second try, since what was fetched is kept.",
    },
    Explanation {
        code: Code(206),
        title: "the Nix store of our own does not work",
        text: "Below the state directory lies a store that `nix` writes into. The message has what `nix` or the \
               operating system said: no space, no permission, a path that cannot be the root of a store. It can \
               be deleted at any time; it is filled anew.",
    },
    Explanation {
        code: Code(210),
        title: "an installable does not evaluate",
        text: "The message has what `nix` said. The attribute is looked for as `nix build` does it, for the system \
               given by --system. Settings in the flake's own nixConfig are never accepted, registries are not asked, \
               and nothing is built while evaluating (`--option allow-import-from-derivation true` allows that).",
    },
    Explanation {
        code: Code(211),
        title: "an attribute is not a derivation",
        text: "It is a set, a function or something else that cannot be built. Name an attribute below it.",
    },
    Explanation {
        code: Code(212),
        title: "a derivation has no such output",
        text: "Behind `^` stand names of outputs; the message lists those there are.",
    },
    Explanation {
        code: Code(213),
        title: "a .drv file cannot be read",
        text: "A derivation that is needed is not where it should be: beside the one that needs it. Give the whole \
               closure: `nix-store -qR <path>.drv` lists it.",
    },
    Explanation {
        code: Code(220),
        title: "a native build failed",
        text: "`nix` itself could not build the derivation on this machine; the message has the end of its log. There is \
               nothing to compare with, which says nothing about the build in the machine.",
    },
    Explanation {
        code: Code(221),
        title: "a native build took too long",
        text: "`nix` was stopped at the limit on time or on silence.",
    },
];
