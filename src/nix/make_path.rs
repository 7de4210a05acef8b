//! Makes store paths from what they name.
//!
//! Nix manual, "Store path specification": a path is 20 bytes folded from the SHA-256 of
//! `<type>:sha256:<inner hash>:/nix/store:<name>`.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::{
    hash::{Algorithm, Hash},
    store_path::{STORE_DIR, StorePath, StorePathError},
};

/// What a fixed-output hash is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Over the bytes of a single file.
    Flat,
    /// Over the NAR of a tree; `r:` in derivations.
    Recursive,
}

impl Method {
    /// What stands before the algorithm in derivations and in what is hashed.
    pub const fn prefix(self) -> &'static str {
        match self {
            Method::Flat => "",
            Method::Recursive => "r:",
        }
    }
}

/// Folds a hash to 20 bytes by exclusive or, as Nix shortens hashes for store paths.
pub fn compress_hash(hash: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    for (n, byte) in hash.iter().enumerate() {
        out[n % 20] ^= byte;
    }
    out
}

/// SHA-256 in lower-case base-16.
pub(super) fn sha256_hex(data: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(data))
}

fn store_path(kind: &str, inner_hex: &str, name: &str) -> Result<StorePath, StorePathError> {
    let text = format!("{kind}:sha256:{inner_hex}:{STORE_DIR}:{name}");
    StorePath::from_digest(&compress_hash(&Sha256::digest(text)), name)
}

fn with_references<'a>(kind: &str, references: impl IntoIterator<Item = &'a StorePath>) -> String {
    // A set: Nix sorts them, and names each once.
    let references: BTreeSet<&StorePath> = references.into_iter().collect();
    references.into_iter().fold(kind.to_owned(), |text, path| format!("{text}:{path}"))
}

/// The path of a text file, such as a `.drv`, and what it refers to; `name` with its suffix.
pub fn text_path<'a>(
    name: &str,
    contents: &[u8],
    references: impl IntoIterator<Item = &'a StorePath>,
) -> Result<StorePath, StorePathError> {
    store_path(&with_references("text", references), &sha256_hex(contents), name)
}

/// The path of a source tree that refers to `references`, from the SHA-256 of its NAR.
pub fn source_path<'a>(
    name: &str,
    nar_sha256: &[u8; 32],
    references: impl IntoIterator<Item = &'a StorePath>,
) -> Result<StorePath, StorePathError> {
    let hex = data_encoding::HEXLOWER.encode(nar_sha256);
    store_path(&with_references("source", references), &hex, name)
}

/// The path of a fixed output named `name`.
pub fn fixed_output_path(name: &str, method: Method, hash: &Hash) -> Result<StorePath, StorePathError> {
    // A SHA-256 over a NAR says the same as for a source tree, so Nix gives both the same path.
    if method == Method::Recursive && hash.algorithm() == Algorithm::Sha256 {
        return store_path("source", &hash.to_base16(), name);
    }
    let inner = format!("fixed:out:{}{}:{}:", method.prefix(), hash.algorithm(), hash.to_base16());
    store_path("output:out", &sha256_hex(inner.as_bytes()), name)
}

/// The name of an output's store object: the derivation's name, and behind a dash the output's unless it is `out`.
pub fn output_path_name(derivation: &str, output: &str) -> String {
    if output == "out" { derivation.to_owned() } else { format!("{derivation}-{output}") }
}

/// The path of an input-addressed output, from the derivation's hash modulo ([`super::hash_modulo`]).
pub fn output_path(derivation: &str, output: &str, modulo: &[u8; 32]) -> Result<StorePath, StorePathError> {
    let hex = data_encoding::HEXLOWER.encode(modulo);
    store_path(&format!("output:{output}"), &hex, &output_path_name(derivation, output))
}
