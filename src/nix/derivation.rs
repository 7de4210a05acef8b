//! Derivations: what to build, from what, with which program.
//!
//! Nix manual, "Derivation" and "Derivation ATerm format"; the text form is read and written by [`super::aterm`].

use std::collections::{BTreeMap, BTreeSet};

use super::{
    aterm::{self, AtermError},
    hash::{Algorithm, Hash},
    make_path::{Method, fixed_output_path},
    store_path::{StorePath, StorePathError, check_name},
};

/// One output of a derivation, by how its path comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The path follows from the derivation and its inputs, see [`super::hash_modulo`].
    InputAddressed {
        /// The path the derivation states.
        path: StorePath,
    },
    /// The contents are known beforehand by their hash.
    Fixed {
        /// The path the derivation states.
        path: StorePath,
        /// What the hash is over.
        method: Method,
        /// The hash of the contents.
        hash: Hash,
    },
    /// Content-addressed: the path is known only after the build.
    Floating {
        /// What the path will be computed over.
        method: Method,
        /// With which algorithm.
        algorithm: Algorithm,
    },
    /// Input-addressed, but some input's path is known only after a build, and so is this one.
    Deferred,
    /// Impure: built anew every time, with access to the network.
    Impure {
        /// What the path will be computed over.
        method: Method,
        /// With which algorithm.
        algorithm: Algorithm,
    },
}

impl Output {
    /// The path the derivation states, when it states one.
    pub fn path(&self) -> Option<&StorePath> {
        match self {
            Output::InputAddressed { path } | Output::Fixed { path, .. } => Some(path),
            Output::Floating { .. } | Output::Deferred | Output::Impure { .. } => None,
        }
    }

    /// The kind, in words for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Output::InputAddressed { .. } => "input-addressed",
            Output::Fixed { .. } => "fixed",
            Output::Floating { .. } => "floating content-addressed",
            Output::Deferred => "deferred",
            Output::Impure { .. } => "impure",
        }
    }
}

/// What is wrong with a derivation whose parts are each fine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputsError {
    /// There is no output.
    #[error("the derivation has no output")]
    None,
    /// Outputs of several kinds.
    #[error(
        "output `{first}` is {first_kind}, but `{second}` is {second_kind}: all outputs must be of one kind"
    )]
    Mixed {
        /// An output.
        first: String,
        /// Its kind.
        first_kind: &'static str,
        /// Another output.
        second: String,
        /// Its kind.
        second_kind: &'static str,
    },
    /// A fixed output that is not the only one, or not called `out`.
    #[error("fixed output `{name}` must be the only output and be called `out`")]
    Fixed {
        /// The output.
        name: String,
    },
    /// An output's name is taken by Nix or no valid name.
    #[error("output name: {0}")]
    Name(StorePathError),
    /// `drv` means the derivation itself.
    #[error("an output must not be called `drv`: Nix uses that name for the derivation itself")]
    Drv,
}

/// A derivation. Its own name is not in it but in its path, see [`StorePath::derivation_name`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// The outputs by name.
    pub outputs: BTreeMap<String, Output>,
    /// The derivations whose outputs this one needs, with the names of those outputs.
    pub input_drvs: BTreeMap<StorePath, BTreeSet<String>>,
    /// Plain store paths this one needs.
    pub input_srcs: BTreeSet<StorePath>,
    /// What can build it: `x86_64-linux`, `riscv64-linux`, `builtin`, …
    pub system: Vec<u8>,
    /// The program to run, or `builtin:<name>`.
    pub builder: Vec<u8>,
    /// The program's arguments, without its own name.
    pub args: Vec<Vec<u8>>,
    /// The environment; bytes, since Nix strings are.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Derivation {
    /// Reads the text of a `.drv` file. Only the one canonical text of a derivation is accepted, so
    /// [`serialise`](Self::serialise) always gives back what was read.
    pub fn parse(text: &[u8]) -> Result<Self, AtermError> {
        aterm::parse(text)
    }

    /// The canonical text.
    pub fn serialise(&self) -> Vec<u8> {
        aterm::serialise(self)
    }

    /// What a build needs to be there: input derivations and sources; these are what the `.drv` file refers to.
    pub fn references(&self) -> impl Iterator<Item = &StorePath> {
        self.input_drvs.keys().chain(&self.input_srcs)
    }

    /// Whether the contents of the output are known beforehand by their hash.
    pub fn is_fixed_output(&self) -> bool {
        self.fixed_output().is_some()
    }

    /// Method and hash of a fixed-output derivation.
    pub fn fixed_output(&self) -> Option<(Method, &Hash)> {
        match self.outputs.get("out") {
            Some(Output::Fixed { method, hash, .. }) if self.outputs.len() == 1 => Some((*method, hash)),
            _ => None,
        }
    }

    /// The path stated for an output; `None` when there is no such output or its path is not known before the build.
    pub fn output_path(&self, name: &str) -> Option<&StorePath> {
        self.outputs.get(name).and_then(Output::path)
    }

    /// The value of an environment variable.
    pub fn env_get(&self, key: &str) -> Option<&[u8]> {
        self.env.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// The JSON text of a derivation with `__structuredAttrs`: its attributes are there, not in the environment.
    pub fn structured_attrs(&self) -> Option<&[u8]> {
        self.env_get("__json")
    }

    /// The `<name>` of a `builtin:<name>` builder, which is a part of Nix and no program.
    pub fn builtin(&self) -> Option<&[u8]> {
        self.builder.strip_prefix(b"builtin:")
    }

    /// Checks that the outputs fit together: one kind, valid names, a fixed output alone and called `out`.
    pub fn check_outputs(&self) -> Result<(), OutputsError> {
        let (first, first_output) = self.outputs.iter().next().ok_or(OutputsError::None)?;
        for (name, output) in &self.outputs {
            if name == "drv" {
                return Err(OutputsError::Drv);
            }
            check_name(name.as_bytes()).map_err(OutputsError::Name)?;
            if matches!(output, Output::Fixed { .. }) && (self.outputs.len() > 1 || name != "out") {
                return Err(OutputsError::Fixed { name: name.clone() });
            }
            if output.kind() != first_output.kind() {
                return Err(OutputsError::Mixed {
                    first: first.clone(),
                    first_kind: first_output.kind(),
                    second: name.clone(),
                    second_kind: output.kind(),
                });
            }
        }
        Ok(())
    }

    /// The path that the fixed output of a derivation called `name` must have; `None` when it is not fixed-output.
    pub fn computed_fixed_path(&self, name: &str) -> Option<Result<StorePath, StorePathError>> {
        self.fixed_output().map(|(method, hash)| fixed_output_path(name, method, hash))
    }
}
