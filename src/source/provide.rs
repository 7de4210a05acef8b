//! Finds a fixed-output input, wherever it is, and puts it into the store.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::apt::{Apt, AptError};
use super::contents::{Contents, ImportError, tree_of_one};
use super::deb::Deb;
use super::error::SourceError;
use super::files::Files;
use super::fixed_output::FixedOutput;
use super::mirror::Mirror;
use super::nix_program::{NixProgram, NixProgramError};
use super::pin::{AptPart, AptPin, PypiPin};
use super::pypi::{self, PypiError};
use super::tool::ToolError;
use crate::nix::hash::{Algorithm, Hash, Hasher};
use crate::nix::make_path::Method;
use crate::nix::nar::{Event, Reader};
use crate::store::{Origin, PathInfo, Store, StoreError};

/// Where inputs are looked for. Without more, only on this machine: the store, the file folder and
/// `file://` URLs. Networks are added one by one, by whoever may say so.
pub struct Provider<'store> {
    store: &'store Store,
    shelf: Option<&'store dyn Shelf>,
    mirrors: Vec<Mirror>,
    packages: Option<Apt>,
    nix: Option<NixProgram>,
}

/// Somebody who keeps sources, near enough to be asked before any network.
pub trait Shelf: Send + Sync {
    /// Where a source would lie, for people.
    fn place(&self, fixed: &FixedOutput) -> String;

    /// What lies there: the file, or the NAR of a tree; `None` when it has none. It is hashed before it is used.
    fn find(&self, fixed: &FixedOutput) -> io::Result<Option<Box<dyn Read + Send>>>;
}

/// An input that is in the store now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    /// Its record.
    pub info: PathInfo,
    /// Where it was found this time: `store` when it was there already.
    pub place: String,
}

/// A place that was looked at, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The place: a folder, a URL, a program.
    pub place: String,
    /// What it said.
    pub answer: Answer,
}

/// What a place that could not help said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does not have it.
    NotThere,
    /// It was not asked, and why.
    NotAsked(&'static str),
    /// It could not say.
    Failed(String),
    /// It has something else under that name.
    WrongHash(Hash),
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match &self.answer {
            Answer::NotThere => write!(f, "{place}: not there"),
            Answer::NotAsked(why) => write!(f, "{place}: not asked, {why}"),
            Answer::Failed(why) => write!(f, "{place}: {why}"),
            Answer::WrongHash(got) => write!(f, "{place}: wrong hash, got {got}"),
        }
    }
}

/// One place's way to bytes; `None` when it does not have them.
type Found = Result<Option<Contents>, Answer>;

impl<'store> Provider<'store> {
    /// Looks only on this machine.
    pub fn new(store: &'store Store) -> Self {
        Provider { store, shelf: None, mirrors: Vec::new(), packages: None, nix: None }
    }

    /// Also looks on a shelf, right after this machine.
    #[must_use]
    pub fn with_shelf(mut self, shelf: &'store dyn Shelf) -> Self {
        self.shelf = Some(shelf);
        self
    }

    /// Also asks a hashed mirror.
    #[must_use]
    pub fn with_mirror(mut self, mirror: Mirror) -> Self {
        self.mirrors.push(mirror);
        self
    }

    /// Also asks the machine's package clients for `apt:` and `pypi:` URLs.
    #[must_use]
    pub fn with_packages(mut self, apt: Apt) -> Self {
        self.packages = Some(apt);
        self
    }

    /// Also lets the `nix` program fetch.
    #[must_use]
    pub fn with_nix(mut self, nix: NixProgram) -> Self {
        self.nix = Some(nix);
        self
    }

    /// The input, from the first place whose bytes have the hash. A place with other bytes is remembered and
    /// passed over.
    ///
    /// # Errors
    /// [`SourceError::HashMismatch`] when only wrong bytes were found, [`SourceError::Missing`] when none were;
    /// both list every place.
    pub fn provide(&self, fixed: &FixedOutput) -> Result<Provided, SourceError> {
        if fixed.computed_path().as_ref() != Some(&fixed.path) {
            return Err(SourceError::PathMismatch { drv: fixed.drv.clone(), path: fixed.path.clone() });
        }
        if let Some(info) = self.store.path(&fixed.path)? {
            return self.held(fixed, info);
        }
        let mut tried = Vec::new();
        // Nearest first: what lies on this machine, then what the user named, then what takes longest.
        let places = self.local_places(fixed).chain(self.remote_places(fixed));
        for (place, look) in places {
            let answer = match look() {
                Ok(Some(contents)) => match self.take(fixed, &contents, &place)? {
                    Ok(provided) => return Ok(provided),
                    Err(answer) => answer,
                },
                Ok(None) => Answer::NotThere,
                Err(answer) => answer,
            };
            tried.push(Tried { place, answer });
        }
        Err(SourceError::not_found(fixed, tried))
    }

    /// What is there already. Bits that were taken on somebody's word are read again: under the path of a source only the
    /// bytes with its hash may lie.
    fn held(&self, fixed: &FixedOutput, info: PathInfo) -> Result<Provided, SourceError> {
        let from = match &info.origin {
            Origin::Built { .. } | Origin::Source { .. } => {
                return Ok(Provided { info, place: "store".to_owned() });
            }
            Origin::HostStore => "the host's store",
            Origin::Substituted { from, .. } => from.as_str(),
        };
        let got = self.hash_of(fixed, &info)?;
        if got == fixed.hash {
            return Ok(Provided { info, place: "store".to_owned() });
        }
        let place = format!("our store, taken from {from}; to drop it: reprove store forget {}", info.path);
        Err(SourceError::not_found(fixed, vec![Tried { place, answer: Answer::WrongHash(got) }]))
    }

    /// The hash of a path of our store, as `fixed` takes it.
    fn hash_of(&self, fixed: &FixedOutput, info: &PathInfo) -> Result<Hash, SourceError> {
        let path = self.store.nar_path(&info.nar_hash);
        let io = |source| SourceError::Io { path: path.clone(), source };
        let nar = File::open(&path).map_err(io)?;
        let mut hasher = Hasher::new(fixed.hash.algorithm());
        match fixed.method {
            Method::Recursive => {
                std::io::copy(&mut { nar }, &mut hasher).map_err(io)?;
            }
            Method::Flat => {
                let mut reader = Reader::new(std::io::BufReader::new(nar));
                let root = reader.next_event().map_err(|error| io(std::io::Error::other(error)))?;
                let Some(Event::Regular { .. }) = root else {
                    return Err(io(std::io::Error::other(
                        "a source with a flat hash is one file, this is not",
                    )));
                };
                std::io::copy(&mut reader.contents(), &mut hasher).map_err(io)?;
            }
        }
        Ok(hasher.finish())
    }

    fn local_places<'a>(&'a self, fixed: &'a FixedOutput) -> impl Iterator<Item = (String, Look<'a>)> {
        let folder: (String, Look<'a>) = (
            "file folder".to_owned(),
            Box::new(|| {
                let found = Files::of(self.store).find(fixed.method, &fixed.hash).map_err(failed)?;
                Ok(found.map(|(contents, _)| contents))
            }),
        );
        let urls = fixed.urls.iter().filter_map(|url| Some((url, url.strip_prefix("file://")?)));
        std::iter::once(folder)
            .chain(urls.map(|(url, path)| (url.clone(), Box::new(move || file_url(path)) as Look<'a>)))
            .chain(self.shelf.map(|shelf| {
                let look = move || {
                    let found = shelf.find(fixed).map_err(failed)?;
                    found.map(Contents::read).transpose().map_err(failed)
                };
                (shelf.place(fixed), Box::new(look) as Look<'a>)
            }))
    }

    fn remote_places<'a>(&'a self, fixed: &'a FixedOutput) -> impl Iterator<Item = (String, Look<'a>)> {
        let mirrors = self.mirrors.iter().map(|mirror| {
            let look: Look<'a> = Box::new(|| mirror.fetch(&fixed.hash).map_err(failed));
            (mirror.url(&fixed.hash), look)
        });
        let urls = fixed.urls.iter().filter(|url| !url.starts_with("file://")).map(|url| {
            let look: Look<'a> = Box::new(|| self.package(fixed, url));
            (url.clone(), look)
        });
        let nix: (String, Look<'a>) = ("nix program".to_owned(), Box::new(|| self.nix(fixed)));
        mirrors.chain(urls).chain(std::iter::once(nix))
    }

    fn package(&self, fixed: &FixedOutput, url: &str) -> Found {
        if url.starts_with("apt:") {
            let Some(apt) = &self.packages else {
                return Err(Answer::NotAsked("package clients may not be used"));
            };
            let pin: AptPin = url.parse().map_err(failed)?;
            return package_file(apt, &pin, fixed).map(Some).map_err(|error| apt_answer(&error));
        }
        if url.starts_with("pypi:") {
            if self.packages.is_none() {
                return Err(Answer::NotAsked("package clients may not be used"));
            }
            let pin: PypiPin = url.parse().map_err(failed)?;
            let fetched = pypi::fetch(&pin, fixed.method, &fixed.hash);
            return fetched.map(Some).map_err(|error| match &error {
                PypiError::Tool(tool) => tool_answer(tool, &error, fixed),
                _ => failed(error),
            });
        }
        Err(Answer::NotAsked("only the nix program fetches from the URLs of a derivation"))
    }

    fn nix(&self, fixed: &FixedOutput) -> Found {
        match &self.nix {
            None => Err(Answer::NotAsked("it may not use the network")),
            Some(nix) if !nix.takes(fixed) => {
                Err(Answer::NotAsked("it would have to build the derivation's inputs on this machine first"))
            }
            Some(nix) => nix.realise(fixed).map(Some).map_err(|error| match &error {
                NixProgramError::Tool(tool) => tool_answer(tool, &error, fixed),
                _ => failed(error),
            }),
        }
    }

    /// Puts bytes into the store if they are the right ones; the inner error is for the next place to go on.
    fn take(
        &self,
        fixed: &FixedOutput,
        contents: &Contents,
        place: &str,
    ) -> Result<Result<Provided, Answer>, SourceError> {
        let form = match contents.form(fixed.method, &fixed.hash) {
            Ok(Ok(form)) => form,
            Ok(Err(got)) => return Ok(Err(Answer::WrongHash(got))),
            Err(error) => return Ok(Err(failed(error))),
        };
        let nar = match contents.import(self.store, form) {
            Ok(nar) => nar,
            // The bytes have the hash and are no tree all the same: the derivation names nonsense.
            Err(ImportError::Store(error @ StoreError::NotANar(_))) => return Ok(Err(failed(error))),
            Err(ImportError::Store(error)) => return Err(error.into()),
            Err(ImportError::Io(source)) => {
                return Err(SourceError::Io { path: PathBuf::from(place), source });
            }
        };
        let info = PathInfo {
            path: fixed.path.clone(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            // Contents named by their hash refer to nothing in the store.
            references: BTreeSet::new(),
            deriver: Some(fixed.drv.clone()),
            origin: Origin::Source { place: place.to_owned() },
        };
        self.store.register(&info)?;
        Ok(Ok(Provided { info, place: place.to_owned() }))
    }
}

type Look<'a> = Box<dyn Fn() -> Found + 'a>;

fn failed(error: impl fmt::Display) -> Answer {
    Answer::Failed(error.to_string())
}

/// A program that checks the hash itself never hands wrong bytes over; it says what it got.
fn tool_answer(tool: &ToolError, error: &dyn fmt::Display, fixed: &FixedOutput) -> Answer {
    tool.got(fixed.hash.algorithm()).map_or_else(|| failed(error), Answer::WrongHash)
}

fn apt_answer(error: &SourceError) -> Answer {
    let SourceError::Apt(AptError::HashMismatch { got, .. }) = error else { return failed(error) };
    Hash::parse(got.as_bytes(), Some(Algorithm::Sha256)).map_or_else(|_| failed(error), Answer::WrongHash)
}

/// The file a pin names; for a member, the NAR of a tree with that file at its path.
fn package_file(apt: &Apt, pin: &AptPin, fixed: &FixedOutput) -> Result<Contents, SourceError> {
    let is_flat_sha256 = fixed.method == Method::Flat && fixed.hash.algorithm() == Algorithm::Sha256;
    let known = (is_flat_sha256 && !matches!(pin.part, AptPart::Member { .. }))
        .then(|| fixed.hash.bytes().try_into().ok())
        .flatten();
    let fetched = apt.fetch(pin, known)?;
    let io = |source| SourceError::Io { path: fetched.path.clone(), source };
    let file = File::open(&fetched.path).map_err(io)?;
    let AptPart::Member { path, .. } = &pin.part else {
        return Contents::read(file).map_err(io);
    };
    let member = Deb::open(std::io::BufReader::new(file)).and_then(|mut deb| deb.member(path.as_bytes()));
    let member = member.map_err(|source| SourceError::Deb { pin: pin.to_string(), source })?;
    tree_of_one(path, member.executable, &member.bytes).map_err(|error| io(std::io::Error::other(error)))
}

fn file_url(path: &str) -> Found {
    let path = PathBuf::from(percent_decoded(path).ok_or_else(|| failed("not a file URL of this machine"))?);
    // Opened first and looked at then, without waiting: a pipe or device would be read without an end, and so would
    // the files of `/proc` that say they are empty.
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = match rustix::fs::open(&path, flags | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed("no regular file"));
    }
    Contents::read(file.take(metadata.len())).map(Some).map_err(failed)
}

/// An absolute path without `%XX`; `None` for a URL with a host.
fn percent_decoded(path: &str) -> Option<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = path.strip_prefix("localhost").unwrap_or(path).as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            decoded.extend(data_encoding::HEXLOWER_PERMISSIVE.decode(bytes.get(at + 1..at + 3)?).ok()?);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    (decoded.first() == Some(&b'/') && !decoded.contains(&0)).then(|| std::ffi::OsString::from_vec(decoded))
}

#[cfg(test)]
mod tests;
