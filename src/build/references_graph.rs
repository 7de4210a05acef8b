//! `exportReferencesGraph`: closures of inputs, written down for the builder.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    attributes::tokens,
    content_address::content_address,
    environment::Environment,
    error::ContractError,
    inputs::{InputObject, Inputs, closure},
};
use crate::nix::{
    derivation::Derivation,
    store_path::{STORE_DIR, StorePath},
    text::shown,
};

const NAME: &str = "exportReferencesGraph";

/// Most bytes of all graphs of a derivation together: each names a closure, and there is no end to how often. A closure of
/// 10,000 paths with ten references each takes 8 MiB.
pub const GRAPHS_MAX: usize = 32 << 20;

/// Adds the files of a derivation without structured attributes: pairs of a file name and a path in the store. The
/// format is that of `nix-store --register-validity` without hashes and with empty derivers.
pub fn add_files(
    environment: &mut Environment,
    derivation: &Derivation,
    inputs: &Inputs,
) -> Result<(), ContractError> {
    let tokens = derivation.env_get(NAME).map(tokens).unwrap_or_default();
    let mut graphs = Graphs::new(inputs);
    for pair in tokens.chunks(2) {
        let [file, path] = pair else {
            return Err(ContractError::attribute(NAME, "has an odd number of tokens"));
        };
        if !is_file_name(file) {
            return Err(ContractError::Graph { text: shown(file), why: "is no valid file name" });
        }
        let text = graphs.text(path)?;
        environment.graphs.insert(file.clone(), text.into_bytes());
    }
    Ok(())
}

/// Writes the graphs of one derivation, within bounds.
pub struct Graphs<'a> {
    inputs: &'a Inputs,
    /// Bytes that may still be written.
    left: usize,
    /// What JSON says of a path, for those asked for before: it takes reading them.
    entries: BTreeMap<StorePath, Value>,
}

impl<'a> Graphs<'a> {
    /// No graph yet.
    pub fn new(inputs: &'a Inputs) -> Graphs<'a> {
        Graphs { inputs, left: GRAPHS_MAX, entries: BTreeMap::new() }
    }

    /// The closure of the object that `path` lies in, as text.
    fn text(&mut self, path: &[u8]) -> Result<String, ContractError> {
        let mut text = String::new();
        for path in exported(self.inputs, [object_of(path)?])? {
            let references = self.inputs.get(&path).map(|object| &object.references);
            let before = text.len();
            text.push_str(&format!("{path}\n\n{}\n", references.map_or(0, BTreeSet::len)));
            for reference in references.into_iter().flatten() {
                text.push_str(&format!("{reference}\n"));
            }
            self.wrote(text.len() - before)?;
        }
        Ok(text)
    }

    /// The closure of some paths as the JSON that structured attributes get.
    pub fn json(&mut self, paths: &[Vec<u8>]) -> Result<Value, ContractError> {
        let roots = paths.iter().map(|path| object_of(path)).collect::<Result<Vec<_>, _>>()?;
        let mut list = Vec::new();
        for path in exported(self.inputs, roots)? {
            let Some(object) = self.inputs.get(&path) else { continue };
            // A name, quotes and a comma for each; the rest of an entry is shorter than 256 bytes.
            let length = |path: &StorePath| path.to_string().len() + 3;
            self.wrote(256 + length(&path) + object.references.iter().map(length).sum::<usize>())?;
            list.push(match self.entries.get(&path) {
                Some(entry) => entry.clone(),
                None => {
                    let entry = self.entry(&path, object)?;
                    self.entries.insert(path, entry.clone());
                    entry
                }
            });
        }
        Ok(Value::Array(list))
    }

    fn entry(&self, path: &StorePath, object: &InputObject) -> Result<Value, ContractError> {
        let size = |path: &StorePath| self.inputs.get(path).map_or(0, |object| object.nar.len());
        let closure_size: u64 = closure(self.inputs, [path.clone()]).iter().map(size).sum();
        let references: Vec<String> = object.references.iter().map(ToString::to_string).collect();
        let mut entry = json!({
            "closureSize": closure_size,
            "narHash": object.nar_hash.to_nix(),
            "narSize": object.nar.len(),
            "path": path.to_string(),
            "references": references,
        });
        if let Some(ca) = content_address(path, object)? {
            entry["ca"] = Value::String(ca);
        }
        Ok(entry)
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), ContractError> {
        self.left =
            self.left.checked_sub(bytes).ok_or(ContractError::GraphsTooLarge { limit: GRAPHS_MAX })?;
        Ok(())
    }
}

fn exported(
    inputs: &Inputs,
    roots: impl IntoIterator<Item = StorePath>,
) -> Result<BTreeSet<StorePath>, ContractError> {
    let roots: Vec<StorePath> = roots.into_iter().collect();
    if let Some(path) = roots.iter().find(|path| !inputs.contains_key(*path)) {
        let text = path.to_string();
        return Err(ContractError::Graph { text, why: "is not in the input closure of the derivation" });
    }
    let paths = closure(inputs, roots);
    match paths.iter().find(|path| path.is_derivation()) {
        // Nix adds the outputs of such derivations, which need not be inputs.
        Some(path) => Err(ContractError::Graph {
            text: path.to_string(),
            why: "is a derivation, whose outputs Nix would add to the graph: that is not supported",
        }),
        None => Ok(paths),
    }
}

/// The store object a path lies in.
fn object_of(path: &[u8]) -> Result<StorePath, ContractError> {
    let outside = || ContractError::Graph { text: shown(path), why: "is no path in the store" };
    let inside = path.strip_prefix(STORE_DIR.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
    let base = inside.and_then(|rest| rest.split(|byte| *byte == b'/').next()).ok_or_else(outside)?;
    StorePath::from_base_name(base).map_err(|_| outside())
}

/// `[A-Za-z_][A-Za-z0-9_.-]*`
fn is_file_name(name: &[u8]) -> bool {
    let first = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    first
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
        && name.len() <= 255
}
