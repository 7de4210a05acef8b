//! Hash modulo: the identity of a derivation up to how its fixed-output inputs are fetched, and from it the paths of
//! input-addressed outputs.
//!
//! Nix manual, "Derivation outputs, input-addressed": the text of the derivation is hashed with every input derivation
//! replaced by *its* hash modulo. A fixed-output derivation's hash modulo depends on its output alone, so that two
//! mirrors of one file are one. Inputs that share a hash modulo become one input with the union of the outputs wanted;
//! Nix 2.35.0 to 2.35.2 keep only one of them instead and give other paths.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest as _, Sha256};

use super::{
    aterm,
    derivation::{Derivation, Output},
    make_path::{output_path, text_path},
    store_path::{StorePath, StorePathError},
};

/// Why a hash modulo cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuloError {
    /// An input is not in the table: inputs must be added before what needs them.
    #[error("{derivation} needs {input}, which was not given")]
    MissingInput {
        /// The derivation looked at.
        derivation: StorePath,
        /// Its input.
        input: StorePath,
    },
    /// An input has no such output.
    #[error("{derivation} needs output `{output}` of {input}, which has no such output")]
    MissingOutput {
        /// The derivation looked at.
        derivation: StorePath,
        /// Its input.
        input: StorePath,
        /// The output.
        output: String,
    },
    /// Derivations that need each other; no honest store has them.
    #[error("derivations need each other in a circle: {}", .cycle.iter().map(StorePath::to_string).collect::<Vec<_>>().join(" → "))]
    Cycle {
        /// The members, each needing the next; the first is there again at the end.
        cycle: Vec<StorePath>,
    },
    /// The path given for a derivation does not end in `.drv`.
    #[error("{path} is not the path of a derivation: it does not end in `.drv`")]
    NoDerivation {
        /// The path.
        path: StorePath,
    },
    /// The derivation's name and an output's make no valid name together.
    #[error("{derivation}: {error}")]
    Name {
        /// The derivation looked at.
        derivation: StorePath,
        /// What is wrong with the name.
        error: StorePathError,
    },
}

/// What is known of one derivation.
#[derive(Clone, Debug)]
struct Entry {
    // None when some path in its closure is known only after a build.
    modulo: Option<[u8; 32]>,
    outputs: Box<[String]>,
}

/// Hashes modulo by derivation path: add derivations leaves first, each once.
#[derive(Clone, Debug, Default)]
pub struct HashModulos {
    entries: HashMap<StorePath, Entry>,
}

/// Whether the path stated for an output is the one it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputCheck {
    /// It is.
    Equal,
    /// It is not.
    Different {
        /// What the derivation states; `None` for a deferred output that need not be.
        stated: Option<StorePath>,
        /// What it must be.
        computed: StorePath,
    },
    /// A path is stated although it can be known only after a build of some input.
    Unfounded {
        /// What the derivation states.
        stated: StorePath,
    },
    /// The path is known only after a build (floating, deferred or impure); nothing was checked.
    NotComputable {
        /// The kind of output, in words.
        kind: &'static str,
    },
}

/// What [`HashModulos::check_paths`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathCheck {
    /// The path that the derivation's own text must have.
    pub drv_path: StorePath,
    /// Every output by name.
    pub outputs: BTreeMap<String, OutputCheck>,
}

impl PathCheck {
    /// Whether the derivation lies where its text says, and no output states a wrong path.
    pub fn is_right(&self, drv_path: &StorePath) -> bool {
        self.drv_path == *drv_path
            && self
                .outputs
                .values()
                .all(|check| matches!(check, OutputCheck::Equal | OutputCheck::NotComputable { .. }))
    }
}

impl HashModulos {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a derivation is in the table.
    pub fn contains(&self, drv_path: &StorePath) -> bool {
        self.entries.contains_key(drv_path)
    }

    /// The hash modulo of a derivation in the table; `None` also when it is not computable before a build.
    pub fn get(&self, drv_path: &StorePath) -> Option<[u8; 32]> {
        self.entries.get(drv_path)?.modulo
    }

    /// Adds a derivation whose inputs are all in the table.
    pub fn insert(&mut self, drv_path: &StorePath, derivation: &Derivation) -> Result<(), ModuloError> {
        if self.contains(drv_path) {
            return Ok(());
        }
        let modulo = match derivation.computed_fixed_path(derivation_name(drv_path)?) {
            Some(path) => {
                let path = path.map_err(|error| name_error(drv_path, error))?;
                fixed_modulo(derivation, &path)
            }
            None => self.modulo(drv_path, derivation, aterm::Outputs::Stated)?,
        };
        let outputs = derivation.outputs.keys().cloned().collect();
        self.entries.insert(drv_path.clone(), Entry { modulo, outputs });
        Ok(())
    }

    /// Adds a derivation and, leaves first, everything it needs; `resolve` reads a derivation by its path.
    /// Neither depth nor width of the closure costs stack.
    pub fn insert_closure<E: From<ModuloError>>(
        &mut self,
        root: &StorePath,
        mut resolve: impl FnMut(&StorePath) -> Result<Derivation, E>,
    ) -> Result<(), E> {
        struct Frame {
            path: StorePath,
            derivation: Derivation,
            // Inputs not looked at yet.
            pending: Vec<StorePath>,
        }
        let mut frame = |path: StorePath| -> Result<Frame, E> {
            let derivation = resolve(&path)?;
            let pending = derivation.input_drvs.keys().rev().cloned().collect();
            Ok(Frame { path, derivation, pending })
        };
        if self.contains(root) {
            return Ok(());
        }
        let mut active = BTreeSet::from([root.clone()]);
        let mut stack = vec![frame(root.clone())?];
        while let Some(top) = stack.last_mut() {
            match top.pending.pop() {
                Some(input) if self.contains(&input) => {}
                Some(input) if active.contains(&input) => {
                    let members = stack.iter().map(|frame| &frame.path).skip_while(|path| **path != input);
                    let cycle = members.cloned().chain([input.clone()]).collect();
                    return Err(ModuloError::Cycle { cycle }.into());
                }
                Some(input) => {
                    active.insert(input.clone());
                    stack.push(frame(input)?);
                }
                None => {
                    self.insert(&top.path, &top.derivation)?;
                    active.remove(&top.path);
                    stack.pop();
                }
            }
        }
        Ok(())
    }

    /// Computes the paths a derivation must have and compares them with those it states; its inputs must be in the
    /// table. The derivation itself need not be.
    pub fn check_paths(
        &self,
        drv_path: &StorePath,
        derivation: &Derivation,
    ) -> Result<PathCheck, ModuloError> {
        Ok(PathCheck {
            drv_path: own_path(drv_path, derivation)?,
            outputs: self.check_outputs(drv_path, derivation)?,
        })
    }

    /// The outputs' part of [`check_paths`](Self::check_paths).
    pub fn check_outputs(
        &self,
        drv_path: &StorePath,
        derivation: &Derivation,
    ) -> Result<BTreeMap<String, OutputCheck>, ModuloError> {
        let name = derivation_name(drv_path)?;
        let own_name = |error| name_error(drv_path, error);
        let mut outputs = BTreeMap::new();
        let fixed = derivation.computed_fixed_path(name).transpose().map_err(own_name)?;
        // Only a derivation whose outputs follow from its inputs needs the hash.
        let modulo = match derivation.outputs.values().next() {
            Some(Output::InputAddressed { .. } | Output::Deferred) => {
                self.modulo(drv_path, derivation, aterm::Outputs::Masked)?
            }
            _ => None,
        };
        for (output_name, output) in &derivation.outputs {
            let computed = match (output, &fixed, &modulo) {
                (Output::Fixed { .. }, Some(path), _) => Some(path.clone()),
                (Output::InputAddressed { .. } | Output::Deferred, _, Some(modulo)) => {
                    Some(output_path(name, output_name, modulo).map_err(own_name)?)
                }
                _ => None,
            };
            let check = match (computed, output.path()) {
                (Some(computed), Some(stated)) if computed == *stated => OutputCheck::Equal,
                (Some(computed), stated) => OutputCheck::Different { stated: stated.cloned(), computed },
                (None, Some(stated)) => OutputCheck::Unfounded { stated: stated.clone() },
                (None, None) => OutputCheck::NotComputable { kind: output.kind() },
            };
            outputs.insert(output_name.clone(), check);
        }
        Ok(outputs)
    }

    /// The hash of the text with hashes in the place of input derivations; `None` when one of those is not known.
    fn modulo(
        &self,
        drv_path: &StorePath,
        derivation: &Derivation,
        outputs: aterm::Outputs,
    ) -> Result<Option<[u8; 32]>, ModuloError> {
        let mut inputs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut known = true;
        for (input, wanted) in &derivation.input_drvs {
            let entry = self.entries.get(input).ok_or_else(|| ModuloError::MissingInput {
                derivation: drv_path.clone(),
                input: input.clone(),
            })?;
            if let Some(output) = wanted.iter().find(|name| !entry.outputs.contains(name)) {
                return Err(ModuloError::MissingOutput {
                    derivation: drv_path.clone(),
                    input: input.clone(),
                    output: output.clone(),
                });
            }
            match entry.modulo {
                Some(modulo) => {
                    let key = data_encoding::HEXLOWER.encode(&modulo);
                    inputs.entry(key).or_default().extend(wanted.iter().cloned());
                }
                None => known = false,
            }
        }
        let known = known
            && derivation
                .outputs
                .values()
                .all(|output| matches!(output, Output::InputAddressed { .. } | Output::Deferred));
        Ok(known.then(|| {
            let inputs = inputs.iter().map(|(hash, outputs)| (hash.clone(), outputs));
            Sha256::digest(aterm::write(derivation, inputs, outputs)).into()
        }))
    }
}

/// The path that a derivation's text must have, under the name in `drv_path`.
pub fn own_path(drv_path: &StorePath, derivation: &Derivation) -> Result<StorePath, ModuloError> {
    text_path(drv_path.name(), &derivation.serialise(), derivation.references())
        .map_err(|error| name_error(drv_path, error))
}

fn fixed_modulo(derivation: &Derivation, path: &StorePath) -> Option<[u8; 32]> {
    let (method, hash) = derivation.fixed_output()?;
    let text = format!("fixed:out:{}{}:{}:{path}", method.prefix(), hash.algorithm(), hash.to_base16());
    Some(Sha256::digest(text).into())
}

fn derivation_name(drv_path: &StorePath) -> Result<&str, ModuloError> {
    drv_path.derivation_name().ok_or_else(|| ModuloError::NoDerivation { path: drv_path.clone() })
}

fn name_error(drv_path: &StorePath, error: StorePathError) -> ModuloError {
    ModuloError::Name { derivation: drv_path.clone(), error }
}
