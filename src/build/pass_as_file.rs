//! Variables in the environment, but for those named in `passAsFile`: these go into files.

use super::{
    attributes::{placeholders, rewrite, tokens},
    environment::Environment,
};
use crate::nix::{
    derivation::Derivation,
    hash::{Algorithm, Hash},
};

/// Adds the derivation's variables; the value of one named in `passAsFile` goes into a file whose path is in
/// `<name>Path`.
pub fn add(environment: &mut Environment, derivation: &Derivation, build_dir: &str) {
    let files = derivation.env_get("passAsFile").map(tokens).unwrap_or_default();
    let placeholders = placeholders(derivation);
    // Nix goes through the variables in the order of their names: a later one replaces a `<name>Path`.
    for (name, value) in &derivation.env {
        if !files.contains(name) {
            environment.variables.insert(name.clone(), value.clone());
            continue;
        }
        let file = format!(".attr-{}", Hash::of(Algorithm::Sha256, name).to_base32());
        let variable = [name.as_slice(), b"Path"].concat();
        environment.variables.insert(variable, format!("{build_dir}/{file}").into_bytes());
        environment.files.insert(file.into_bytes(), rewrite(value, &placeholders));
    }
}
