//! The text of a `.drv` file: `Derive([…],[…],[…],"system","builder",[…],[…])`.
//!
//! Nix manual, "Derivation ATerm format". The grammar is fixed, so reading it needs neither recursion nor a stack.
//! Every derivation has exactly one canonical text; any other text is an error even where Nix would read it,
//! because what we would write back then differs from what was read, and so would the `.drv` path.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    derivation::{Derivation, Output, OutputsError},
    hash::{Algorithm, Hash, HashError},
    make_path::Method,
    store_path::{StorePath, StorePathError, check_name},
    text::shown,
};

/// Longest text read. The largest `.drv` files known are a few hundred kilobytes; an environment that the Linux
/// kernel would still hand to a builder is far smaller than this.
pub const MAX_LEN: usize = 64 << 20;

/// Why a text is no derivation, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("derivation, byte {offset}: {what}")]
pub struct AtermError {
    /// Offset into the text, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub what: AtermErrorKind,
}

/// What is wrong with a derivation's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtermErrorKind {
    /// More than [`MAX_LEN`] bytes.
    #[error("the text is {len} bytes long, more than the {MAX_LEN} that are read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// The text ends too early.
    #[error("the text ends where {expected} should be: the file is truncated")]
    Truncated {
        /// What should have come.
        expected: &'static str,
    },
    /// Something else than the grammar demands.
    #[error("found {found} where {expected} should be")]
    Syntax {
        /// What should have come.
        expected: &'static str,
        /// What came, escaped and shortened.
        found: String,
    },
    /// Text after the end.
    #[error("{len} more bytes after the end of the derivation")]
    Trailing {
        /// How many.
        len: usize,
    },
    /// Readable, but not as Nix would write it.
    #[error("not canonical: {0}; Nix would write this derivation differently and give it another path")]
    NotCanonical(&'static str),
    /// The same key twice.
    #[error("duplicate {what} {key}")]
    Duplicate {
        /// What kind of key.
        what: &'static str,
        /// The key, escaped and shortened.
        key: String,
    },
    /// A derivation that needs an experimental feature of Nix.
    #[error("unsupported: {what}")]
    Unsupported {
        /// What it needs.
        what: String,
    },
    /// A store path is invalid.
    #[error("{0}")]
    StorePath(#[from] StorePathError),
    /// An input derivation's path does not end in `.drv`.
    #[error("input derivation {path} does not end in `.drv`")]
    NoDerivation {
        /// The path.
        path: StorePath,
    },
    /// A hash is invalid.
    #[error("{0}")]
    Hash(#[from] HashError),
    /// Path, algorithm and hash of an output do not go together.
    #[error("output {name} {why}")]
    Output {
        /// The output, escaped and shortened.
        name: String,
        /// What is wrong with it, as a predicate.
        why: &'static str,
    },
    /// The outputs do not go together.
    #[error("{0}")]
    Outputs(#[from] OutputsError),
}

use AtermErrorKind::{Duplicate, NotCanonical, Syntax, Trailing, Truncated, Unsupported};

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

/// The canonical text.
pub fn serialise(derivation: &Derivation) -> Vec<u8> {
    let inputs = derivation.input_drvs.iter().map(|(path, outputs)| (path.to_string(), outputs));
    write(derivation, inputs, Outputs::Stated)
}

/// Whether the paths of a derivation's own outputs are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outputs {
    /// As the derivation states them.
    Stated,
    /// As empty strings, also in the environment: how an output's path is computed that is not known yet.
    Masked,
}

/// The text with other names for the input derivations, in the order given.
pub(super) fn write<'a>(
    derivation: &Derivation,
    inputs: impl IntoIterator<Item = (String, &'a BTreeSet<String>)>,
    outputs: Outputs,
) -> Vec<u8> {
    let masked = outputs == Outputs::Masked;
    let mut out = b"Derive(".to_vec();
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
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}
