//! `exportReferencesGraph`: closures of inputs, written down for the builder.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    attributes::tokens,
    content_address::content_address,
    environment::Environment,
    error::ContractError,
    inputs::{Inputs, closure},
};
use crate::nix::{
    derivation::Derivation,
    store_path::{STORE_DIR, StorePath},
    text::shown,
};

const NAME: &str = "exportReferencesGraph";

/// Adds the files of a derivation without structured attributes: pairs of a file name and a path in the store. The
/// format is that of `nix-store --register-validity` without hashes and with empty derivers.
pub fn add_files(
    environment: &mut Environment,
    derivation: &Derivation,
    inputs: &Inputs,
) -> Result<(), ContractError> {
    let tokens = derivation.env_get(NAME).map(tokens).unwrap_or_default();
    for pair in tokens.chunks(2) {
        let [file, path] = pair else {
            return Err(ContractError::attribute(NAME, "has an odd number of tokens"));
        };
        if !is_file_name(file) {
            return Err(ContractError::Graph { text: shown(file), why: "is no valid file name" });
        }
        let mut text = String::new();
        for path in exported(inputs, [object_of(path)?])? {
            let references = inputs.get(&path).map(|object| &object.references);
            text.push_str(&format!("{path}\n\n{}\n", references.map_or(0, BTreeSet::len)));
            for reference in references.into_iter().flatten() {
                text.push_str(&format!("{reference}\n"));
            }
        }
        environment.graphs.insert(file.clone(), text.into_bytes());
    }
    Ok(())
}

/// The closure of some paths as the JSON that structured attributes get.
pub fn json_graph(inputs: &Inputs, paths: &[Vec<u8>]) -> Result<Value, ContractError> {
    let roots = paths.iter().map(|path| object_of(path)).collect::<Result<Vec<_>, _>>()?;
    let size = |path: &StorePath| inputs.get(path).map_or(0, |object| object.nar.len());
    let mut list = Vec::new();
    for path in exported(inputs, roots)? {
        let Some(object) = inputs.get(&path) else { continue };
        let closure_size: u64 = closure(inputs, [path.clone()]).iter().map(size).sum();
        let references: Vec<String> = object.references.iter().map(ToString::to_string).collect();
        let mut entry = json!({
            "closureSize": closure_size,
            "narHash": object.nar_hash.to_nix(),
            "narSize": object.nar.len(),
            "path": path.to_string(),
            "references": references,
        });
        if let Some(ca) = content_address(&path, object)? {
            entry["ca"] = Value::String(ca);
        }
        list.push(entry);
    }
    Ok(Value::Array(list))
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
