//! The builder's environment, its arguments, and the files it finds in its build directory.

use std::collections::BTreeMap;

use super::{
    attributes::{Attributes, placeholders, rewrite},
    error::ContractError,
    inputs::Inputs,
    pass_as_file, references_graph, structured_attrs,
};
use crate::{
    machine::Settings,
    nix::{derivation::Derivation, store_path::STORE_DIR},
};

/// What a builder is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Its environment variables.
    pub variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Its arguments, without its name.
    pub args: Vec<Vec<u8>>,
    /// Files in the build directory, the builder's: name and contents.
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Exported graphs of references, which Nix writes there too and does not give to the builder.
    pub graphs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Environment {
    /// What Nix would give the builder of `derivation` in its sandbox.
    pub fn of(
        derivation: &Derivation,
        attributes: &Attributes<'_>,
        settings: &Settings,
        inputs: &Inputs,
    ) -> Result<Environment, ContractError> {
        let mut environment = Environment::default();
        // The derivation's own variables may overrule these...
        environment.set("PATH", "/path-not-set");
        environment.set("HOME", "/homeless-shelter");
        environment.set("NIX_STORE", STORE_DIR);
        environment.set("NIX_BUILD_CORES", &settings.cores.to_string());
        let build_dir = &settings.build_dir;
        match attributes {
            Attributes::Environment(_) => {
                pass_as_file::add(&mut environment, derivation, build_dir);
                references_graph::add_files(&mut environment, derivation, inputs)?;
            }
            Attributes::Structured(map) => {
                structured_attrs::add(&mut environment, derivation, map, build_dir, inputs)?;
            }
        }
        // ... and not these.
        for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
            environment.set(name, build_dir);
        }
        environment.set("NIX_LOG_FD", "2");
        environment.set("TERM", "xterm-256color");

        let placeholders = placeholders(derivation);
        environment.args = derivation.args.iter().map(|text| rewrite(text, &placeholders)).collect();
        for value in environment.variables.values_mut() {
            *value = rewrite(value, &placeholders);
        }
        Ok(environment)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
}

#[cfg(test)]
mod tests;
