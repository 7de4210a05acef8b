//! Writes the text of a derivation.

use std::collections::BTreeSet;

use crate::nix::{
    derivation::{Derivation, Output},
    store_path::StorePath,
};

/// The canonical text.
pub fn serialise(derivation: &Derivation) -> Vec<u8> {
    let inputs = derivation.input_drvs.iter().map(|(path, outputs)| (path.to_string(), outputs));
    write(derivation, inputs, Outputs::Stated)
}

/// Whether the paths of a derivation's own outputs are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::nix) enum Outputs {
    /// As the derivation states them.
    Stated,
    /// As empty strings, also in the environment: how an output's path is computed that is not known yet.
    Masked,
}

/// The text with other names for the input derivations, in the order given.
pub(in crate::nix) fn write<'a>(
    derivation: &Derivation,
    inputs: impl IntoIterator<Item = (String, &'a BTreeSet<String>)>,
    outputs: Outputs,
) -> Vec<u8> {
    let masked = outputs == Outputs::Masked;
    // Near enough that the text does not move while it grows.
    let texts: usize = derivation.env.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    let paths = derivation.outputs.len() + derivation.input_drvs.len() + derivation.input_srcs.len();
    let mut out = Vec::with_capacity(256 + texts + 96 * paths);
    out.extend_from_slice(b"Derive(");
    list(&mut out, &derivation.outputs, |out, (name, output)| {
        let (path, algorithm, hash) = match output {
            Output::InputAddressed { path } => (Some(path), String::new(), String::new()),
            Output::Fixed { path, method, hash } => {
                (Some(path), format!("{}{}", method.prefix(), hash.algorithm()), hash.to_base16())
            }
            Output::Floating { method, algorithm } => {
                (None, format!("{}{algorithm}", method.prefix()), String::new())
            }
            Output::Deferred => (None, String::new(), String::new()),
            Output::Impure { method, algorithm } => {
                (None, format!("{}{algorithm}", method.prefix()), "impure".to_owned())
            }
        };
        let path = path.filter(|_| !masked).map(StorePath::to_string).unwrap_or_default();
        tuple(out, [name.as_bytes(), path.as_bytes(), algorithm.as_bytes(), hash.as_bytes()]);
    });
    out.push(b',');
    list(&mut out, inputs, |out, (path, outputs)| {
        out.push(b'(');
        string(out, path.as_bytes());
        out.push(b',');
        list(out, outputs, |out, name| string(out, name.as_bytes()));
        out.push(b')');
    });
    out.push(b',');
    list(&mut out, &derivation.input_srcs, |out, path| string(out, path.to_string().as_bytes()));
    out.push(b',');
    string(&mut out, &derivation.system);
    out.push(b',');
    string(&mut out, &derivation.builder);
    out.push(b',');
    list(&mut out, &derivation.args, |out, arg| string(out, arg));
    out.push(b',');
    list(&mut out, &derivation.env, |out, (key, value)| {
        let own = masked && std::str::from_utf8(key).is_ok_and(|key| derivation.outputs.contains_key(key));
        tuple(out, [key.as_slice(), if own { b"" } else { value.as_slice() }]);
    });
    out.push(b')');
    out
}

fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (n, value) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        item(out, value);
    }
    out.push(b']');
}

fn tuple<const N: usize>(out: &mut Vec<u8>, fields: [&[u8]; N]) {
    for (n, field) in fields.into_iter().enumerate() {
        out.push(if n == 0 { b'(' } else { b',' });
        string(out, field);
    }
    out.push(b')');
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    // Most texts have nothing to escape: they are copied in pieces.
    while let Some(at) = first_special(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\t",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte stands that is written as an escape.
fn first_special(text: &[u8]) -> Option<usize> {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
    // A block is looked at to its end whatever is found, which compilers turn into a few vector instructions.
    const BLOCK: usize = 64;
    let in_block = |block: &[u8]| block.iter().fold(false, |any, byte| any | special(byte));
    let block = text.chunks(BLOCK).position(in_block)? * BLOCK;
    text[block..].iter().position(special).map(|at| block + at)
}
