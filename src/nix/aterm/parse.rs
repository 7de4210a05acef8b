//! Reads the text of a derivation.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{
    AtermError,
    AtermErrorKind::{self, Duplicate, NotCanonical, Syntax, Trailing, Truncated, Unsupported},
};
use crate::nix::{
    derivation::{Derivation, Output, OutputsError},
    hash::{Algorithm, Hash},
    make_path::Method,
    store_path::{StorePath, check_name},
    text::shown,
};

/// Longest text read. The largest `.drv` files known are a few hundred kilobytes; an environment that the Linux
/// kernel would still hand to a builder is far smaller than this.
pub const MAX_LEN: usize = 64 << 20;

/// Reads a canonical derivation.
pub fn parse(text: &[u8]) -> Result<Derivation, AtermError> {
    if text.len() > MAX_LEN {
        return Err(AtermError { offset: MAX_LEN, what: AtermErrorKind::TooLong { len: text.len() } });
    }
    let mut cursor = Cursor { text, at: 0 };
    if text.starts_with(b"DrvWithVersion(") {
        cursor.expect(b"DrvWithVersion(", "`DrvWithVersion(`")?;
        let version = cursor.string()?;
        let what = format!("derivation format version {} (dynamic derivations)", shown(&version));
        return Err(cursor.error(Unsupported { what }));
    }
    cursor.expect(b"Derive(", "`Derive(`")?;
    let mut outputs = BTreeMap::new();
    cursor.sorted_list("output", Cursor::output, |name, output| {
        outputs.insert(name, output);
    })?;
    let outputs_end = cursor.at;
    cursor.expect(b",", "`,`")?;
    let mut input_drvs = BTreeMap::new();
    cursor.sorted_list("input derivation", Cursor::input_drv, |path, outputs| {
        input_drvs.insert(path, outputs);
    })?;
    cursor.expect(b",", "`,`")?;
    let mut input_srcs = BTreeSet::new();
    cursor.sorted_list(
        "input source",
        |cursor| Ok((cursor.store_path()?, ())),
        |path, ()| {
            input_srcs.insert(path);
        },
    )?;
    cursor.expect(b",", "`,`")?;
    let system = cursor.string()?;
    cursor.expect(b",", "`,`")?;
    let builder = cursor.string()?;
    cursor.expect(b",", "`,`")?;
    let mut args = Vec::new();
    cursor.list(|cursor| {
        args.push(cursor.string()?);
        Ok(())
    })?;
    cursor.expect(b",", "`,`")?;
    let mut env = BTreeMap::new();
    cursor.sorted_list("environment variable", Cursor::variable, |key, value| {
        env.insert(key, value);
    })?;
    cursor.expect(b")", "`)`")?;
    if cursor.at < text.len() {
        return Err(cursor.error(Trailing { len: text.len() - cursor.at }));
    }
    let derivation = Derivation { outputs, input_drvs, input_srcs, system, builder, args, env };
    derivation.check_outputs().map_err(|error| AtermError { offset: outputs_end, what: error.into() })?;
    Ok(derivation)
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn error(&self, what: AtermErrorKind) -> AtermError {
        AtermError { offset: self.at, what }
    }

    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// What is wrong when the text does not go on with `expected`.
    fn unexpected(&self, expected: &'static str) -> AtermError {
        match self.rest() {
            [] => self.error(Truncated { expected }),
            rest => self.error(Syntax { expected, found: shown(&rest[..rest.len().min(20)]) }),
        }
    }

    fn eat(&mut self, token: u8) -> bool {
        let found = self.text.get(self.at) == Some(&token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &[u8], name: &'static str) -> Result<(), AtermError> {
        if self.rest().starts_with(token) {
            self.at += token.len();
            return Ok(());
        }
        if token.starts_with(self.rest()) {
            // A proper beginning of the token: the text was cut within it.
            self.at = self.text.len();
        }
        Err(self.unexpected(name))
    }

    /// A string with its escapes: `\"`, `\\`, `\n`, `\r`, `\t`, and every other byte as it is.
    fn string(&mut self) -> Result<Vec<u8>, AtermError> {
        self.expect(b"\"", "a string")?;
        let mut out = Vec::new();
        loop {
            let plain =
                self.rest().iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t'));
            let Some(plain) = plain else {
                self.at = self.text.len();
                return Err(self.error(Truncated { expected: "the end of a string" }));
            };
            out.extend_from_slice(&self.rest()[..plain]);
            self.at += plain;
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(out);
                }
                [b'\\', escaped, ..] => {
                    out.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'"' | b'\\' => *escaped,
                        _ => return Err(self.error(NotCanonical("a needless escape in a string"))),
                    });
                    self.at += 2;
                }
                [b'\\'] => {
                    self.at = self.text.len();
                    return Err(self.error(Truncated { expected: "an escaped character" }));
                }
                _ => return Err(self.error(NotCanonical("an unescaped control character in a string"))),
            }
        }
    }

    fn store_path(&mut self) -> Result<StorePath, AtermError> {
        let offset = self.at;
        let text = self.string()?;
        StorePath::parse(&text).map_err(|error| AtermError { offset, what: error.into() })
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), AtermError>) -> Result<(), AtermError> {
        self.expect(b"[", "`[`")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(b']') {
                return Ok(());
            }
            self.expect(b",", "`,` or `]`")?;
        }
    }

    /// A list in strictly ascending order of keys.
    fn sorted_list<K: Ord + Clone + AsBytes, V>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(K, V), AtermError>,
        mut keep: impl FnMut(K, V),
    ) -> Result<(), AtermError> {
        let mut last: Option<K> = None;
        self.list(|cursor| {
            let offset = cursor.at;
            let (key, value) = item(cursor)?;
            let fail = |what| Err(AtermError { offset, what });
            match &last {
                Some(last) if *last == key => return fail(Duplicate { what, key: shown(key.as_bytes()) }),
                Some(last) if *last > key => return fail(NotCanonical("a list that is not sorted")),
                _ => {}
            }
            last = Some(key.clone());
            keep(key, value);
            Ok(())
        })
    }

    fn output_name(&mut self) -> Result<String, AtermError> {
        let offset = self.at;
        let text = self.string()?;
        match check_name(&text) {
            Ok(name) => Ok(name.to_owned()),
            Err(error) => Err(AtermError { offset, what: OutputsError::Name(error).into() }),
        }
    }

    fn output(&mut self) -> Result<(String, Output), AtermError> {
        let offset = self.at;
        self.expect(b"(", "`(`")?;
        let name = self.output_name()?;
        let mut field = || -> Result<Vec<u8>, AtermError> {
            self.expect(b",", "`,`")?;
            self.string()
        };
        let (path, algorithm, hash) = (field()?, field()?, field()?);
        self.expect(b")", "`)`")?;
        let output =
            make_output(&name, &path, &algorithm, &hash).map_err(|what| AtermError { offset, what })?;
        Ok((name, output))
    }

    fn input_drv(&mut self) -> Result<(StorePath, BTreeSet<String>), AtermError> {
        self.expect(b"(", "`(`")?;
        let offset = self.at;
        let path = self.store_path()?;
        if !path.is_derivation() {
            return Err(AtermError { offset, what: AtermErrorKind::NoDerivation { path } });
        }
        self.expect(b",", "`,`")?;
        let mut outputs = BTreeSet::new();
        self.sorted_list(
            "output name",
            |cursor| Ok((cursor.output_name()?, ())),
            |name, ()| {
                outputs.insert(name);
            },
        )?;
        self.expect(b")", "`)`")?;
        Ok((path, outputs))
    }

    fn variable(&mut self) -> Result<(Vec<u8>, Vec<u8>), AtermError> {
        self.expect(b"(", "`(`")?;
        let key = self.string()?;
        self.expect(b",", "`,`")?;
        let value = self.string()?;
        self.expect(b")", "`)`")?;
        Ok((key, value))
    }
}

/// The four strings of an output say which kind it is.
fn make_output(name: &str, path: &[u8], algorithm: &[u8], hash: &[u8]) -> Result<Output, AtermErrorKind> {
    let wrong = |why| AtermErrorKind::Output { name: shown(name.as_bytes()), why };
    if algorithm.is_empty() {
        return match (path, hash) {
            ([], []) => Ok(Output::Deferred),
            (_, []) => Ok(Output::InputAddressed { path: StorePath::parse(path)? }),
            _ => Err(wrong("has a hash but no algorithm")),
        };
    }
    let (method, bare) = match algorithm.iter().position(|byte| *byte == b':') {
        None => (Method::Flat, algorithm),
        Some(colon) => match &algorithm[..colon] {
            b"r" => (Method::Recursive, &algorithm[colon + 1..]),
            method => {
                let what = format!("output {} addressed by method {}", shown(name.as_bytes()), shown(method));
                return Err(Unsupported { what });
            }
        },
    };
    let algorithm = Algorithm::parse(bare)?;
    match (path, hash) {
        ([], b"impure") => Ok(Output::Impure { method, algorithm }),
        (_, b"impure") => Err(wrong("is impure and yet has a path")),
        ([], []) => Ok(Output::Floating { method, algorithm }),
        (_, []) => Err(wrong("has an algorithm and a path but no hash")),
        ([], _) => Err(wrong("has a hash but no path")),
        _ => {
            let path = StorePath::parse(path)?;
            let parsed = Hash::parse(hash, Some(algorithm))?;
            if parsed.to_base16().as_bytes() != hash {
                return Err(NotCanonical("a hash that is not in lower-case base-16"));
            }
            Ok(Output::Fixed { path, method, hash: parsed })
        }
    }
}

/// What a message shows of a key.
trait AsBytes {
    fn as_bytes(&self) -> &[u8];
}

impl AsBytes for String {
    fn as_bytes(&self) -> &[u8] {
        str::as_bytes(self)
    }
}

impl AsBytes for Vec<u8> {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl AsBytes for StorePath {
    fn as_bytes(&self) -> &[u8] {
        self.base_name().as_bytes()
    }
}
