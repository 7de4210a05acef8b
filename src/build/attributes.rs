//! Attributes that steer a build, wherever the derivation keeps them: in its environment, or in the JSON of
//! `__structuredAttrs`.
//!
//! Nix's rules: from the environment a flag is set when it is `1`, and a list is split at white space; from JSON a
//! flag is `true` and a list is an array of strings.

use serde_json::{Map, Value};

use super::error::ContractError;
use crate::nix::{derivation::Derivation, text::shown};

/// The attributes of one derivation.
pub enum Attributes<'a> {
    /// In the environment.
    Environment(&'a Derivation),
    /// Structured.
    Structured(Map<String, Value>),
}

impl<'a> Attributes<'a> {
    /// Reads them; an error when `__json` is no JSON object.
    pub fn of(derivation: &'a Derivation) -> Result<Self, ContractError> {
        let Some(json) = derivation.structured_attrs() else {
            return Ok(Attributes::Environment(derivation));
        };
        serde_json::from_slice(json)
            .map(Attributes::Structured)
            .map_err(|error| ContractError::Json(error.to_string()))
    }

    /// Whether a flag is set.
    pub fn flag(&self, name: &str) -> Result<bool, ContractError> {
        match self {
            Attributes::Environment(derivation) => Ok(derivation.env_get(name) == Some(b"1")),
            Attributes::Structured(map) => match map.get(name) {
                None => Ok(false),
                Some(Value::Bool(flag)) => Ok(*flag),
                Some(_) => Err(ContractError::attribute(name, "must be a boolean")),
            },
        }
    }

    /// A list of strings; `None` when there is no such attribute.
    pub fn list(&self, name: &str) -> Result<Option<Vec<Vec<u8>>>, ContractError> {
        match self {
            Attributes::Environment(derivation) => Ok(derivation.env_get(name).map(tokens)),
            Attributes::Structured(map) => map.get(name).map(|value| strings(name, value)).transpose(),
        }
    }
}

/// The tokens of a list in an environment variable.
pub fn tokens(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| b" \t\n\r".contains(byte))
        .filter(|token| !token.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// The strings of a JSON array.
pub fn strings(name: &str, value: &Value) -> Result<Vec<Vec<u8>>, ContractError> {
    let wrong = || ContractError::attribute(name, "must be a list of strings");
    let array = value.as_array().ok_or_else(wrong)?;
    array.iter().map(|item| item.as_str().map(|text| text.as_bytes().to_vec()).ok_or_else(wrong)).collect()
}

/// Replaces every `from` by its `to`, one pair after the other, as Nix rewrites placeholders.
pub fn rewrite(text: &[u8], pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    pairs.iter().fold(text.to_vec(), |text, (from, to)| {
        if bstr::ByteSlice::find(text.as_slice(), from).is_none() {
            return text;
        }
        bstr::ByteSlice::replace(text.as_slice(), from, to)
    })
}

/// What stands for the derivation's own outputs (`placeholder "out"`) and their paths.
pub fn placeholders(derivation: &Derivation) -> Vec<(Vec<u8>, Vec<u8>)> {
    let paths = derivation.outputs.iter().filter_map(|(name, output)| Some((name, output.path()?)));
    paths.map(|(name, path)| (placeholder(name).into_bytes(), path.to_string().into_bytes())).collect()
}

/// `placeholder "<output>"`.
pub fn placeholder(output: &str) -> String {
    use crate::nix::hash::{Algorithm, Hash};
    format!("/{}", Hash::of(Algorithm::Sha256, format!("nix-output:{output}").as_bytes()).to_base32())
}

impl ContractError {
    pub(super) fn attribute(name: &str, why: &'static str) -> Self {
        ContractError::Attribute { name: shown(name.as_bytes()), why }
    }
}
