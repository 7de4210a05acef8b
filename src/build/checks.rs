//! What a derivation says its outputs may refer to and how large they may be, checked as Nix checks it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    attributes::{Attributes, strings},
    error::ContractError,
    inputs::Inputs,
    outputs::Output,
};
use crate::nix::{store_path::StorePath, text::shown};

/// A check that an output failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It refers to what it must not.
    #[error("output `{output}` is not allowed to refer to {}, by `{attribute}`", list(paths))]
    References {
        /// The output.
        output: String,
        /// The attribute that forbids it.
        attribute: &'static str,
        /// What it refers to.
        paths: Vec<StorePath>,
    },
    /// It is too large.
    #[error("output `{output}` has {size} bytes, and `{attribute}` allows {limit}")]
    Size {
        /// The output.
        output: String,
        /// The attribute that limits it.
        attribute: &'static str,
        /// Bytes it has.
        size: u64,
        /// Bytes it may have.
        limit: u64,
    },
    /// Two outputs refer to each other.
    #[error("the outputs {} refer to each other in a cycle", outputs.join(", "))]
    Cycle {
        /// Those outputs.
        outputs: Vec<String>,
    },
}

fn list(paths: &[StorePath]) -> String {
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The outputs of one build by name, and what they can refer to.
pub struct Checks<'a> {
    /// The outputs.
    pub outputs: &'a BTreeMap<String, Output>,
    /// The input closure.
    pub inputs: &'a Inputs,
}

#[derive(Default)]
struct Limits {
    ignore_self: bool,
    max_size: Option<u64>,
    max_closure_size: Option<u64>,
    lists: BTreeMap<&'static str, Vec<Vec<u8>>>,
}

/// The attributes: whether they name what is allowed, and whether they are about the closure.
const LISTS: [(&str, bool, bool); 4] = [
    ("allowedReferences", true, false),
    ("allowedRequisites", true, true),
    ("disallowedReferences", false, false),
    ("disallowedRequisites", false, true),
];

impl Checks<'_> {
    /// Every check of every output, and that no two outputs refer to each other.
    pub fn run(&self, attributes: &Attributes<'_>) -> Result<Result<(), Violation>, ContractError> {
        for name in self.outputs.keys() {
            let Some(limits) = limits(attributes, name)? else { continue };
            if let Err(violation) = self.check(name, &limits)? {
                return Ok(Err(violation));
            }
        }
        Ok(self.no_cycle())
    }

    fn check(&self, name: &str, limits: &Limits) -> Result<Result<(), Violation>, ContractError> {
        let Some(output) = self.outputs.get(name) else { return Ok(Ok(())) };
        let (closure, closure_size) = self.closure(&output.path);
        for (attribute, size, limit) in [
            ("maxSize", output.nar_size, limits.max_size),
            ("maxClosureSize", closure_size, limits.max_closure_size),
        ] {
            if let Some(limit) = limit.filter(|limit| size > *limit) {
                return Ok(Err(Violation::Size { output: name.to_owned(), attribute, size, limit }));
            }
        }
        for (attribute, allowed, recursive) in LISTS {
            let Some(specifiers) = limits.lists.get(attribute) else { continue };
            let named = self.named(attribute, specifiers)?;
            let mut used = if recursive { closure.clone() } else { output.references.clone() };
            if recursive && limits.ignore_self {
                used.remove(&output.path);
            }
            let paths: Vec<StorePath> =
                used.into_iter().filter(|path| named.contains(path) != allowed).collect();
            if !paths.is_empty() {
                return Ok(Err(Violation::References { output: name.to_owned(), attribute, paths }));
            }
        }
        Ok(Ok(()))
    }

    /// The paths that a list names: store paths, or outputs of this derivation.
    fn named(&self, attribute: &str, specifiers: &[Vec<u8>]) -> Result<BTreeSet<StorePath>, ContractError> {
        let named = |specifier: &Vec<u8>| {
            if let Ok(path) = StorePath::parse(specifier) {
                return Ok(path);
            }
            let output = std::str::from_utf8(specifier).ok().and_then(|name| self.outputs.get(name));
            output.map(|output| output.path.clone()).ok_or_else(|| ContractError::Specifier {
                attribute: attribute.to_owned(),
                specifier: shown(specifier),
            })
        };
        specifiers.iter().map(named).collect()
    }

    /// The closure of an output over outputs and inputs, and the sum of its NARs' sizes.
    fn closure(&self, path: &StorePath) -> (BTreeSet<StorePath>, u64) {
        let own: BTreeMap<&StorePath, &Output> = self.outputs.values().map(|o| (&o.path, o)).collect();
        let (mut found, mut size) = (BTreeSet::new(), 0u64);
        let mut left = vec![path.clone()];
        while let Some(path) = left.pop() {
            if found.contains(&path) {
                continue;
            }
            if let Some(output) = own.get(&path) {
                size = size.saturating_add(output.nar_size);
                left.extend(output.references.iter().cloned());
            } else if let Some(object) = self.inputs.get(&path) {
                size = size.saturating_add(object.nar.len());
                left.extend(object.references.iter().cloned());
            }
            found.insert(path);
        }
        (found, size)
    }

    fn no_cycle(&self) -> Result<(), Violation> {
        // Take away outputs that refer to no other output that is left; what stays is in or behind a cycle.
        let mut left: BTreeMap<&String, &Output> = self.outputs.iter().collect();
        loop {
            let paths: BTreeSet<&StorePath> = left.values().map(|output| &output.path).collect();
            let before = left.len();
            left.retain(|_, output| {
                output
                    .references
                    .iter()
                    .any(|reference| *reference != output.path && paths.contains(reference))
            });
            if left.is_empty() {
                return Ok(());
            }
            if left.len() == before {
                return Err(Violation::Cycle { outputs: left.into_keys().cloned().collect() });
            }
        }
    }
}

/// What is to be checked of an output; `None` when nothing is.
fn limits(attributes: &Attributes<'_>, output: &str) -> Result<Option<Limits>, ContractError> {
    match attributes {
        Attributes::Environment(_) => {
            let mut limits = Limits { ignore_self: true, ..Limits::default() };
            for (attribute, ..) in LISTS {
                if let Some(list) = attributes.list(attribute)? {
                    limits.lists.insert(attribute, list);
                }
            }
            Ok(Some(limits))
        }
        Attributes::Structured(map) => {
            let of_output = match map.get("outputChecks") {
                None => return Ok(None),
                Some(Value::Object(checks)) => checks.get(output),
                Some(_) => return Err(ContractError::attribute("outputChecks", "must be an object")),
            };
            match of_output {
                None => Ok(None),
                Some(Value::Object(checks)) => structured_limits(checks).map(Some),
                Some(_) => Err(ContractError::attribute("outputChecks", "must hold objects")),
            }
        }
    }
}

fn structured_limits(checks: &Map<String, Value>) -> Result<Limits, ContractError> {
    let size = |name: &str| match checks.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or(ContractError::attribute(name, "must be a whole number, not negative")),
    };
    let ignore_self = match checks.get("ignoreSelfRefs") {
        None => false,
        Some(value) => {
            value.as_bool().ok_or(ContractError::attribute("ignoreSelfRefs", "must be a boolean"))?
        }
    };
    let mut limits = Limits {
        ignore_self,
        max_size: size("maxSize")?,
        max_closure_size: size("maxClosureSize")?,
        ..Limits::default()
    };
    for (attribute, ..) in LISTS {
        if let Some(value) = checks.get(attribute) {
            limits.lists.insert(attribute, strings(attribute, value)?);
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests;
