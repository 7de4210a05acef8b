//! The input closure of a derivation.

use std::collections::{BTreeMap, BTreeSet};

use super::error::BuildError;
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

/// Refuses inputs of more than `limit` bytes in all, as NARs.
pub fn check_size(inputs: &Inputs, limit: u64) -> Result<(), BuildError> {
    let bytes = inputs.values().fold(0u64, |sum, object| sum.saturating_add(object.nar.len()));
    match inputs.iter().max_by_key(|(_, object)| object.nar.len()) {
        Some((largest, _)) if bytes > limit => {
            Err(BuildError::InputsTooLarge { bytes, limit, paths: inputs.len(), largest: largest.clone() })
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::build::Outcome;

    #[test]
    fn inputs_beyond_the_cap_are_refused_with_the_way_out() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let inputs: Inputs = [("a", 1000), ("b", 3000), ("c", 1)]
            .into_iter()
            .map(|(name, len)| {
                let nar = Region::new(Arc::clone(&file), 0, len);
                let path = format!("/nix/store/00000000000000000000000000000000-{name}").parse().unwrap();
                (path, InputObject { nar, nar_hash: NarHash::of(b""), references: BTreeSet::new() })
            })
            .collect();
        assert!(check_size(&inputs, 4001).is_ok());
        assert!(check_size(&Inputs::new(), 0).is_ok());
        let error = check_size(&inputs, 4000).unwrap_err();
        let text = error.to_string();
        for part in ["4001 bytes", "at most 4000", "-b)", "3 paths", "--input-size"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!((error.outcome(), error.code().to_string().as_str()), (Outcome::NotTried, "RP0707"));
    }
}
