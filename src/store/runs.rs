//! Run records: what a machine did, kept for `reprove log` and as evidence.
//!
//! A run is a directory of files: `record.json`, which only its writer can read, attachments such as
//! `console.log`, and `run.json`, which names the derivation, the moment of saving, and size and SHA-256 of every
//! other file. The run's id is the SHA-256 of `run.json`. So an id stands for every byte of the run, a damaged
//! run is found out, and two equal runs have two ids, because they were not saved in the same microsecond (if
//! they were, they are one and the same to the last bit).

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{Store, StoreError, error::Context as _, names, paths::to_json, read_record};
use crate::nix::store_path::StorePath;

/// The file that names all others.
const INDEX: &str = "run.json";
/// The caller's own record.
const RECORD: &str = "record.json";

/// A run's id: SHA-256 over its `run.json`. Printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub [u8; 32]);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(RunId).ok_or_else(|| format!("{text:?} is no run id: 64 hexadecimal digits in lower case"))
    }
}

impl schemars::JsonSchema for RunId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RunId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 over its bytes, in hexadecimal.
    pub sha256: String,
}

/// What `run.json` says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    derivation: StorePath,
    saved: u64,
    parts: BTreeMap<String, Part>,
}

/// A run in the store.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The derivation that was built.
    pub derivation: StorePath,
    /// When it was saved, in microseconds since 1970 by the host's clock: only good for an order.
    pub saved: u64,
    /// Its files, by name.
    pub parts: BTreeMap<String, Part>,
    dir: PathBuf,
}

impl Store {
    /// Saves a run of `derivation`: the record, and files that belong to it by name. All or nothing, also when
    /// killed; durable when it returns.
    pub fn save_run(
        &self,
        derivation: &StorePath,
        record: &impl Serialize,
        attachments: &[(&str, &[u8])],
    ) -> Result<RunId, StoreError> {
        let scratch = self.scratch()?;
        let mut parts = BTreeMap::new();
        let record = to_json(record, "a run")?;
        for (name, bytes) in [(RECORD, record.as_slice())].iter().chain(attachments) {
            if !is_attachment_name(name) || parts.contains_key(*name) {
                return Err(StoreError::AttachmentName { name: (*name).to_owned() });
            }
            write_durably(&scratch.path().join(name), bytes)?;
            let sha256 = HEXLOWER.encode(&Sha256::digest(bytes));
            parts.insert((*name).to_owned(), Part { size: bytes.len() as u64, sha256 });
        }
        let index = to_json(&Index { derivation: derivation.clone(), saved: now(), parts }, "a run")?;
        let id = RunId(Sha256::digest(&index).into());
        write_durably(&scratch.path().join(INDEX), &index)?;
        scratch.place(&self.run_dir(id))?;
        Ok(id)
    }

    /// The run with that id, or `None`.
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let dir = self.run_dir(id);
        let file = dir.join(INDEX);
        let damaged = |why: String| StoreError::Damaged { file: file.clone(), why };
        let Some(text) = read_record(&file)? else {
            return if dir.is_dir() { Err(damaged("it is missing".to_owned())) } else { Ok(None) };
        };
        if Sha256::digest(&text) != id.0.into() {
            return Err(damaged("its hash is not the run's id".to_owned()));
        }
        let index: Index = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(Run { id, derivation: index.derivation, saved: index.saved, parts: index.parts, dir }))
    }

    /// Every run, newest first. A run that cannot be read is an error in its place, at the end.
    pub fn runs(&self) -> Result<Vec<Result<Run, StoreError>>, StoreError> {
        let mut runs = Vec::new();
        for id in self.run_ids()? {
            runs.extend(self.run(id).transpose());
        }
        runs.sort_by_key(|run| match run {
            Ok(run) => (0, std::cmp::Reverse(run.saved), Some(run.id)),
            Err(_) => (1, std::cmp::Reverse(0), None),
        });
        Ok(runs)
    }

    /// The runs of one derivation, newest first. Runs that cannot be read are passed over: whose they are is
    /// what cannot be read.
    pub fn runs_of(&self, derivation: &StorePath) -> Result<Vec<Run>, StoreError> {
        Ok(self.runs()?.into_iter().flatten().filter(|run| run.derivation == *derivation).collect())
    }

    /// The ids that begin with these hexadecimal digits, as a person abbreviates them.
    pub fn run_ids_starting(&self, digits: &str) -> Result<Vec<RunId>, StoreError> {
        Ok(self.run_ids()?.into_iter().filter(|id| id.to_string().starts_with(digits)).collect())
    }

    fn run_ids(&self) -> Result<Vec<RunId>, StoreError> {
        let names = names(&self.dir("runs"))?;
        Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
    }

    pub(super) fn run_dir(&self, id: RunId) -> PathBuf {
        self.dir("runs").join(id.to_string())
    }
}

impl Run {
    /// The record, as the type it was saved as.
    pub fn record<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        let text = read_record(&self.dir.join(RECORD))?;
        let text = text.ok_or_else(|| StoreError::NoAttachment { run: self.id, name: RECORD.to_owned() })?;
        serde_json::from_slice(&text)
            .map_err(|source| StoreError::Record { of: format!("run {}", self.id), source })
    }

    /// One of its files, open for reading.
    pub fn open(&self, name: &str) -> Result<File, StoreError> {
        if !self.parts.contains_key(name) {
            return Err(StoreError::NoAttachment { run: self.id, name: name.to_owned() });
        }
        let path = self.dir.join(name);
        File::open(&path).context("open", &path)
    }

    /// Re-hashes every file of the run; what is wrong with the first that is not what it was.
    pub(super) fn damage(&self) -> Result<Option<(PathBuf, String)>, StoreError> {
        for (name, part) in &self.parts {
            let file = self.dir.join(name);
            if !is_attachment_name(name) {
                return Ok(Some((file, "it cannot be the name of a part".to_owned())));
            }
            if !file.is_file() {
                return Ok(Some((file, "it is missing".to_owned())));
            }
            let found = super::nars::hash_file(&file)?;
            if found.size != part.size || HEXLOWER.encode(&found.hash.0) != part.sha256 {
                return Ok(Some((file, "its hash is not the one it was saved with".to_owned())));
            }
        }
        Ok(None)
    }
}

/// Names that need no care anywhere: no path, no control character, no hidden file.
fn is_attachment_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    name != INDEX && !name.starts_with('.') && (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions)?;
        file.sync_all()
    };
    write().context("write", path)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
