//! A Nix binary cache, read: narinfo files and the NARs they name.
//!
//! Nix manual, "Binary Cache". Everything a cache says is only believed as far as hashes carry it: the NAR must have
//! the hash and size that the narinfo states, and the narinfo must be about the path that was asked for. Whether the
//! narinfo itself is believed is [`Trust`]'s to say.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::web::Web;

use crate::{
    nix::{
        narinfo::{Compression, NarInfo, NarInfoError},
        signature::{self, PublicKey},
        store_path::{STORE_DIR, StorePath},
    },
    store::{Nar, Store, StoreError},
};

/// A narinfo is a few hundred bytes; one of a path with ten thousand references has under a megabyte.
const MAX_NARINFO: u64 = 4 << 20;
/// Says which store a cache is of.
const CACHE_INFO: &str = "nix-cache-info";
/// It has three short lines.
const MAX_CACHE_INFO: u64 = 64 << 10;
/// Larger than any path of nixpkgs, small enough that what a cache promises cannot fill every disk.
const MAX_NAR: u64 = 16 << 30;
/// What `xz -9` needs is 65 MiB.
const XZ_MEMORY: u64 = 96 << 20;
/// A whole transfer, however large.
const TOTAL_TIME: Duration = Duration::from_secs(4 * 3600);

/// Whose word is taken for what a cache says about a path.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One of these keys must have signed it.
    Signed(Vec<PublicKey>),
    /// The cache's own.
    Unsigned,
}

impl Trust {
    /// The name of the key that signed `info`, if one must have.
    ///
    /// # Errors
    /// [`CacheError::Unsigned`] when none has.
    pub fn check(&self, info: &NarInfo, cache: &BinaryCache) -> Result<Option<String>, CacheError> {
        match self {
            Trust::Unsigned => Ok(None),
            Trust::Signed(keys) => match signature::signer(keys, info) {
                Some(key) => Ok(Some(key.name().to_owned())),
                None => {
                    let names = info.signatures.iter().filter_map(|signature| signature.split_once(':'));
                    let names: Vec<&str> = names.map(|(name, _)| name).collect();
                    Err(CacheError::Unsigned {
                        url: cache.url(&format!("{}.narinfo", info.store_path.hash_part())),
                        path: info.store_path.clone(),
                        signed_by: if names.is_empty() { "nobody".to_owned() } else { names.join(", ") },
                    })
                }
            },
        }
    }
}

/// The files of a cache that lies elsewhere than this room knows of.
pub trait CacheFiles: fmt::Debug + Send + Sync {
    /// The file of a name below the cache's address; `None` when it is not there. How much is read is the caller's to bound.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Read>>>;
}

/// A binary cache by its address: `http://…`, `https://…` or `file://…`.
#[derive(Clone, Debug)]
pub struct BinaryCache {
    address: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Web(Web),
    Elsewhere(Arc<dyn CacheFiles>),
}

/// Why a cache could not give what it was asked for. That it has no such path is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Not an address of a cache.
    #[error("`{0}` is no address of a binary cache: http://, https:// or file:///absolute/folder")]
    Address(String),
    /// It could not be read.
    #[error("{url}: {source}")]
    Io {
        /// What was asked for.
        url: String,
        /// The answer.
        source: io::Error,
    },
    /// Its narinfo is none.
    #[error("{url}: {source}")]
    NarInfo {
        /// The narinfo.
        url: String,
        /// What is wrong with it.
        source: NarInfoError,
    },
    /// It answered with something else than it was asked for.
    #[error("{url}: {problem}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// No trusted key has signed it.
    #[error(
        "{url}: no trusted key has signed {path} (signatures of: {signed_by}); name one with \
         --trusted-public-keys, or take the cache's word with --trust-unsigned"
    )]
    Unsigned {
        /// The narinfo.
        url: String,
        /// The path it is about.
        path: StorePath,
        /// Whose signatures it has, as it says.
        signed_by: String,
    },
    /// The NAR is none, or not the one that was promised, or our store failed.
    #[error("{url}: {source}")]
    Store {
        /// The NAR.
        url: String,
        /// What is wrong.
        source: StoreError,
    },
}

impl CacheError {
    /// The stable code.
    pub fn code(&self) -> crate::code::Code {
        crate::code::Code(match self {
            CacheError::Address(_) => 480,
            CacheError::Io { .. } => 481,
            CacheError::NarInfo { .. } | CacheError::Answer { .. } => 482,
            CacheError::Store { .. } => 483,
            CacheError::Unsigned { .. } => 484,
        })
    }
}

/// What the codes of this module mean.
pub const EXPLANATIONS: &[crate::code::Explanation] = &[
    crate::code::Explanation {
        code: crate::code::Code(480),
        title: "not the address of a binary cache",
        text: "A cache is named by http://, https://, or file:// and an absolute folder.",
    },
    crate::code::Explanation {
        code: crate::code::Code(481),
        title: "a binary cache could not be read",
        text: "The network, the server or the folder failed. That a path is not there is no error; this is.",
    },
    crate::code::Explanation {
        code: crate::code::Code(482),
        title: "a binary cache gave a wrong answer",
        text: "The narinfo is malformed, is about another path than the one asked for, or names a NAR outside of the cache. \
               Nothing of it is used.",
    },
    crate::code::Explanation {
        code: crate::code::Code(483),
        title: "a NAR from a binary cache is not the one promised",
        text: "Its hash or size is not what the narinfo states, or it is no valid NAR. Nothing of it is used.",
    },
    crate::code::Explanation {
        code: crate::code::Code(484),
        title: "what a binary cache says is not signed by a trusted key",
        text: "A cache could say anything about a path. It is believed when a key named with --trusted-public-keys signed \
               it, or when the cache is named with --trust-unsigned. Nix's own cache publishes its key; keys are spelled \
               NAME:BASE64, as in nix.conf.",
    },
];

impl BinaryCache {
    /// The cache at `address`.
    pub fn new(address: &str) -> Result<Self, CacheError> {
        let address = address.trim_end_matches('/').to_owned();
        let plain = !address.contains(['?', '#', ' ', '\n', '\r', '\t']);
        let place = match address.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Place::Folder(PathBuf::from(path)),
            Some(("http" | "https", _)) if plain => Place::Web(Web::new(&address, TOTAL_TIME)),
            _ => return Err(CacheError::Address(address)),
        };
        Ok(BinaryCache { address, place })
    }

    /// The cache that consists of these files, called `address`.
    pub fn over(address: &str, files: Arc<dyn CacheFiles>) -> Self {
        BinaryCache { address: address.trim_end_matches('/').to_owned(), place: Place::Elsewhere(files) }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The store whose paths it has, as its `nix-cache-info` says; `None` when it has none, or that says nothing of it.
    pub fn store_dir(&self) -> Result<Option<String>, CacheError> {
        let Some(reader) = self.open(CACHE_INFO)? else { return Ok(None) };
        let mut text = Vec::new();
        let read = reader.take(MAX_CACHE_INFO + 1).read_to_end(&mut text);
        read.map_err(|source| CacheError::Io { url: self.url(CACHE_INFO), source })?;
        if text.len() as u64 > MAX_CACHE_INFO {
            let problem = format!("longer than {MAX_CACHE_INFO} bytes");
            return Err(CacheError::Answer { url: self.url(CACHE_INFO), problem });
        }
        let text = String::from_utf8_lossy(&text);
        let dir = text.lines().find_map(|line| line.strip_prefix("StoreDir:"));
        Ok(dir.map(|dir| dir.trim().to_owned()))
    }

    /// Whether it may have paths of ours: that it is of another store is an error, and so is a folder or bucket that is no cache. What
    /// only answers for names need not say.
    pub fn check_store_dir(&self) -> Result<(), CacheError> {
        let answer = |problem: String| Err(CacheError::Answer { url: self.url(CACHE_INFO), problem });
        match self.store_dir()? {
            Some(dir) if dir != STORE_DIR => answer(format!("it is of the store {dir}, not of {STORE_DIR}")),
            None if !matches!(self.place, Place::Web(_)) => {
                answer("it is not there, or names no store: this is no binary cache".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What it knows about `path`; `None` when it does not have it.
    pub fn narinfo(&self, path: &StorePath) -> Result<Option<NarInfo>, CacheError> {
        let name = format!("{}.narinfo", path.hash_part());
        let url = self.url(&name);
        let Some(reader) = self.open(&name)? else { return Ok(None) };
        let mut text = Vec::new();
        let read = reader.take(MAX_NARINFO + 1).read_to_end(&mut text);
        read.map_err(|source| CacheError::Io { url: url.clone(), source })?;
        if text.len() as u64 > MAX_NARINFO {
            return Err(CacheError::Answer { url, problem: format!("longer than {MAX_NARINFO} bytes") });
        }
        let info =
            NarInfo::parse(&text).map_err(|source| CacheError::NarInfo { url: url.clone(), source })?;
        if info.store_path != *path {
            return Err(CacheError::Answer {
                url,
                problem: format!("it is about {}, not {path}", info.store_path),
            });
        }
        Ok(Some(info))
    }

    /// Takes the NAR that `info` names into `store`: whole, with the hash and size that were promised, or not at all.
    pub fn fetch(&self, info: &NarInfo, store: &Store) -> Result<Nar, CacheError> {
        let url = self.url(&info.url);
        let relative = !info.url.contains("://")
            && !info.url.starts_with('/')
            && info.url.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !relative {
            return Err(CacheError::Answer { url, problem: "the NAR lies outside of the cache".to_owned() });
        }
        if let Some(problem) = beyond_limits(info) {
            return Err(CacheError::Answer { url, problem });
        }
        let Some(body) = self.open(&info.url)? else {
            return Err(CacheError::Answer { url, problem: "the NAR is not there".to_owned() });
        };
        let body = Box::new(body.take(most_compressed(info)));
        let nar =
            unpacked(info.compression, body).map_err(|source| CacheError::Io { url: url.clone(), source })?;
        // One byte more than promised is enough to see that it is too long.
        let nar = nar.take(info.nar_size.saturating_add(1));
        store.import_nar(nar, Some(info.nar_hash)).map_err(|source| CacheError::Store { url, source })
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read>>, CacheError> {
        let failed = |source| CacheError::Io { url: self.url(name), source };
        match &self.place {
            Place::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(error)),
            },
            Place::Elsewhere(files) => files.open(name).map_err(failed),
            Place::Web(web) => {
                let body = web.get(self.url(name)).map_err(failed)?;
                Ok(body.map(|body| Box::new(body) as Box<dyn Read>))
            }
        }
    }
}

/// What a compressed NAR may have at most: what the cache says, and never much more than the NAR itself.
fn most_compressed(info: &NarInfo) -> u64 {
    let incompressible = info.nar_size + info.nar_size / 8 + (1 << 20);
    info.file_size.unwrap_or(incompressible).min(incompressible)
}

fn beyond_limits(info: &NarInfo) -> Option<String> {
    let (nar, file) = (info.nar_size, info.file_size.unwrap_or(0));
    if nar > MAX_NAR {
        return Some(format!("the NAR is said to have {nar} bytes, more than the {MAX_NAR} that are taken"));
    }
    let most = most_compressed(info);
    (file > most).then(|| format!("the compressed NAR is said to have {file} bytes, the NAR in it {nar}"))
}

fn unpacked(compression: Compression, body: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    Ok(match compression {
        Compression::None => body,
        Compression::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::read::XzDecoder::new_stream(body, stream))
        }
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(body)),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
        Compression::Zstd => Box::new(zstd::Decoder::new(body)?),
        other => return Err(io::Error::other(format!("compression {} is not supported", other.name()))),
    })
}

#[cfg(test)]
mod tests;
