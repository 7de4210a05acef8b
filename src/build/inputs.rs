//! The input closure of a derivation.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    machine::Region,
    nix::{derivation::Derivation, hash::NarHash, store_path::StorePath},
};

/// One store object a build may use.
#[derive(Clone)]
pub struct InputObject {
    /// Its NAR, whole.
    pub nar: Region,
    /// The hash of that NAR.
    pub nar_hash: NarHash,
    /// What it refers to, itself included when it does.
    pub references: BTreeSet<StorePath>,
}

/// A whole input closure by path.
pub type Inputs = BTreeMap<StorePath, InputObject>;

/// The closure of `roots`, themselves included; a path that is not in `inputs` is in the result, its references are not.
pub fn closure(inputs: &Inputs, roots: impl IntoIterator<Item = StorePath>) -> BTreeSet<StorePath> {
    let mut found = BTreeSet::new();
    let mut left: Vec<StorePath> = roots.into_iter().collect();
    while let Some(path) = left.pop() {
        if found.contains(&path) {
            continue;
        }
        if let Some(object) = inputs.get(&path) {
            left.extend(object.references.iter().cloned());
        }
        found.insert(path);
    }
    found
}

/// A path that is needed and not in `inputs`, and what needs it; `None` when the closure is complete.
///
/// The paths of input derivations' outputs are not known from the derivation alone; that they are there is the
/// caller's to see to.
pub fn missing<'a>(
    derivation: &'a Derivation,
    inputs: &'a Inputs,
) -> Option<(&'a StorePath, Option<&'a StorePath>)> {
    let sources = derivation.input_srcs.iter().map(|path| (path, None));
    let references =
        inputs.iter().flat_map(|(path, object)| object.references.iter().map(move |r| (r, Some(path))));
    sources.chain(references).find(|(path, _)| !inputs.contains_key(*path))
}
