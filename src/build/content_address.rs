//! The content address of an input, when its path was made from its contents: recomputed, not believed.

use std::io::Read as _;

use super::{error::ContractError, inputs::InputObject};
use crate::nix::{
    hash::{Algorithm, Hash, Hasher},
    make_path::{Method, fixed_output_path, source_path},
    nar::{Contents, Node},
    store_path::StorePath,
};

/// The `ca` that Nix's database has for the object: `fixed:r:sha256:…`, `fixed:sha256:…` or `text:sha256:…`; `None` when
/// its path is not made from its contents.
pub fn content_address(path: &StorePath, object: &InputObject) -> Result<Option<String>, ContractError> {
    let others = object.references.iter().filter(|reference| *reference != path);
    if source_path(path.name(), &object.nar_hash.0, others).is_ok_and(|found| found == *path) {
        return Ok(Some(format!("fixed:r:{}", object.nar_hash.to_nix())));
    }
    let unreadable = |_| ContractError::Input(path.clone());
    let tree =
        Node::read(object.nar.reader(0, object.nar.len())).map_err(|_| ContractError::Input(path.clone()))?;
    let Node::Regular { contents, .. } = tree else { return Ok(None) };
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha1, Algorithm::Md5] {
        let hash = hash_contents(object, contents, algorithm).map_err(unreadable)?;
        if fixed_output_path(path.name(), Method::Flat, &hash).is_ok_and(|found| found == *path) {
            return Ok(Some(format!("fixed:{algorithm}:{}", hash.to_base32())));
        }
        if algorithm == Algorithm::Sha256 && is_text(path, object, contents).map_err(unreadable)? {
            return Ok(Some(format!("text:sha256:{}", hash.to_base32())));
        }
    }
    Ok(None)
}

fn hash_contents(object: &InputObject, contents: Contents, algorithm: Algorithm) -> std::io::Result<Hash> {
    let mut hasher = Hasher::new(algorithm);
    let mut reader = object.nar.reader(contents.offset, contents.size);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Largest text that is looked at; `builtins.toFile` and `.drv` files are far smaller.
const TEXT_MAX: u64 = 64 << 20;

fn is_text(path: &StorePath, object: &InputObject, contents: Contents) -> std::io::Result<bool> {
    if contents.size > TEXT_MAX {
        return Ok(false);
    }
    let mut text = Vec::new();
    object.nar.reader(contents.offset, contents.size).read_to_end(&mut text)?;
    let found = crate::nix::make_path::text_path(path.name(), &text, &object.references);
    Ok(found.is_ok_and(|found| found == *path))
}
