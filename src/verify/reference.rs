//! References: bits from elsewhere that ours are compared with.

use std::{
    fmt, fs,
    io::{self, Seek as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    graph::Node,
    machine::Engine,
    nix::{hash::NarHash, nar, narinfo::NarInfo, store_path::StorePath},
    source::binary_cache::{BinaryCache, CacheError},
    store::{Nar, Store, StoreError},
};

/// Where the bits to compare with come from, as `--against` spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The host's own `nix build` of the same derivation.
    Nix,
    /// An earlier build in our own store; compared with whenever there is one.
    OurStore,
    /// A store path, file or folder on this host, or a file that is a NAR.
    Path(PathBuf),
    /// A binary cache, by its address.
    Cache(String),
    /// Another kind of machine of ours.
    Machine(Engine),
    /// Round 1 once more, under the very same settings.
    Replay,
    /// The same attribute for another system.
    System(String),
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err("a reference is `nix`, a path, or the address of a binary cache".to_owned()),
            "nix" => Ok(Reference::Nix),
            address if address.contains("://") => match BinaryCache::new(address) {
                Ok(cache) => Ok(Reference::Cache(cache.address().to_owned())),
                Err(error) => Err(error.to_string()),
            },
            path => Ok(Reference::Path(PathBuf::from(path))),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Nix => f.write_str("nix"),
            Reference::OurStore => f.write_str("our store"),
            Reference::Path(path) => write!(f, "{}", path.display()),
            Reference::Cache(address) => f.write_str(address),
            Reference::Machine(engine) => write!(f, "machine {}", engine.name()),
            Reference::Replay => f.write_str("replay"),
            Reference::System(system) => f.write_str(system),
        }
    }
}

/// A reference, and which outputs it is for: `REFERENCE`, or `^OUTPUT=REFERENCE` for one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// The only output it is for; none for every one.
    pub output: Option<String>,
    /// Where the bits are.
    pub reference: Reference,
}

impl Against {
    /// Whether it is for the output with this name.
    pub fn is_for(&self, output: &str) -> bool {
        self.output.as_deref().is_none_or(|only| only == output)
    }
}

impl FromStr for Against {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(named) = text.strip_prefix('^') else {
            return Ok(Against { output: None, reference: text.parse()? });
        };
        match named.split_once('=') {
            Some((output, reference)) if !output.is_empty() => {
                Ok(Against { output: Some(output.to_owned()), reference: reference.parse()? })
            }
            _ => Err("for one output a reference is `^OUTPUT=REFERENCE`".to_owned()),
        }
    }
}

/// Why a reference has no bits for an output.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The reference is a folder of several things, and none has the output's name; or there is nothing there.
    #[error("{reference} holds nothing for {output}")]
    Absent {
        /// The reference.
        reference: String,
        /// The output looked for.
        output: StorePath,
    },
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// It could not be taken into our store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache could not give it.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The host's `nix` could not build it.
    #[error("{0}")]
    Native(String),
}

/// Builds a derivation with the host's own `nix`.
pub trait Native: Sync {
    /// Builds `node` natively, or takes what an earlier native build made, and gives the tree of `output` as it lies
    /// on the disk. Errors are one line for people.
    fn build(&self, node: &Node, output: &str) -> Result<PathBuf, String>;
}

/// What a reference holds for an output.
pub struct Fetched {
    /// The bits, which are in the store.
    pub nar_hash: NarHash,
    /// What a binary cache says of them, with the signatures of that; none of another kind of reference.
    pub narinfo: Option<NarInfo>,
}

impl From<NarHash> for Fetched {
    fn from(nar_hash: NarHash) -> Self {
        Fetched { nar_hash, narinfo: None }
    }
}

/// Takes what `reference` holds for an output into the store, as bits only. `only` says that there is no other output that an
/// unnamed file or folder could mean.
pub fn fetch(
    reference: &Reference,
    node: &Node,
    output: &str,
    path: &StorePath,
    only: bool,
    store: &Store,
    native: Option<&dyn Native>,
) -> Result<Fetched, ReferenceError> {
    match reference {
        Reference::Path(place) => Ok(from_path(place, path, only, store)?.hash.into()),
        // What it makes is built by the verification itself and compared there.
        Reference::Machine(_) | Reference::Replay | Reference::System(_) => {
            Err(ReferenceError::Absent { reference: reference.to_string(), output: path.clone() })
        }
        Reference::OurStore => match store.path(path)? {
            Some(info) => Ok(info.nar_hash.into()),
            None => Err(ReferenceError::Absent { reference: reference.to_string(), output: path.clone() }),
        },
        Reference::Nix => {
            let native = native.ok_or_else(|| ReferenceError::Native("there is no `nix` here".to_owned()))?;
            let tree = native.build(node, output).map_err(ReferenceError::Native)?;
            Ok(store.add_tree(&tree)?.hash.into())
        }
        Reference::Cache(address) => {
            let cache = BinaryCache::new(address)?;
            let absent =
                || ReferenceError::Absent { reference: cache.address().to_owned(), output: path.clone() };
            let info = cache.narinfo(path)?.ok_or_else(absent)?;
            Ok(Fetched { nar_hash: cache.fetch(&info, store)?.hash, narinfo: Some(info) })
        }
    }
}

/// Takes what `path` holds for `output` into the store (only as bits, never as the store path itself).
///
/// A folder with an entry of the output's base name is a collection, like `/nix/store`: that entry counts. Otherwise
/// the path itself counts, when `only` says that there is a single output it can mean. A regular file that is a NAR
/// counts as what is packed in it, unless the output itself is that file.
pub fn from_path(path: &Path, output: &StorePath, only: bool, store: &Store) -> Result<Nar, ReferenceError> {
    let io = |source| ReferenceError::Io { path: path.to_owned(), source };
    // A link that was typed, such as `result`, stands for what it points to; an output may be a link itself.
    let typed_link = path.is_symlink() && path.file_name().is_none_or(|name| name != output.base_name());
    let path = &if typed_link { path.canonicalize().map_err(io)? } else { path.to_owned() };
    let io = |source| ReferenceError::Io { path: path.clone(), source };
    let entry = path.join(output.base_name());
    if path.is_dir() && entry.symlink_metadata().is_ok() {
        return Ok(store.add_tree(&entry)?);
    }
    let named = path.file_name().is_some_and(|name| name == output.base_name());
    if !(only || named) || path.symlink_metadata().is_err() {
        return Err(ReferenceError::Absent { reference: path.display().to_string(), output: output.clone() });
    }
    if path.metadata().map_err(io)?.is_file() {
        let mut file = fs::File::open(path).map_err(io)?;
        if nar::starts_like_a_nar(&file).map_err(io)? {
            file.rewind().map_err(io)?;
            return Ok(store.import_nar(io::BufReader::new(file), None)?);
        }
    }
    Ok(store.add_tree(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart_by_their_spelling() {
        assert_eq!("nix".parse(), Ok(Reference::Nix));
        assert_eq!("./nix".parse(), Ok(Reference::Path("./nix".into())));
        assert_eq!(
            "https://cache.example/".parse(),
            Ok(Reference::Cache("https://cache.example".to_owned()))
        );
        assert!("s3://bucket".parse::<Reference>().is_err());
        assert!("".parse::<Reference>().is_err());
    }

    #[test]
    fn a_reference_for_one_output_names_it() {
        let one: Against = "^dev=./result-dev".parse().unwrap();
        assert_eq!(
            (one.output.as_deref(), &one.reference),
            (Some("dev"), &Reference::Path("./result-dev".into()))
        );
        assert!(one.is_for("dev") && !one.is_for("out"));
        let every: Against = "./a=b".parse().unwrap();
        assert_eq!((&every.output, &every.reference), (&None, &Reference::Path("./a=b".into())));
        assert!(every.is_for("dev") && every.is_for("out"));
        for wrong in ["^", "^dev", "^=x", "^dev=", ""] {
            assert!(wrong.parse::<Against>().is_err(), "{wrong}");
        }
    }

    struct Place {
        dir: tempfile::TempDir,
        store: Store,
        output: StorePath,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let output = StorePath::from_base_name(b"00000000000000000000000000000000-thing").unwrap();
        Place { dir, store, output }
    }

    #[test]
    fn a_folder_with_an_entry_of_the_outputs_name_is_a_collection() {
        let Place { dir, store, output } = place();
        let collection = dir.path().join("collection");
        fs::create_dir(&collection).unwrap();
        fs::write(collection.join(output.base_name()), "bits").unwrap();
        let expected = store.add_tree(&collection.join(output.base_name())).unwrap();
        assert_eq!(from_path(&collection, &output, false, &store).unwrap(), expected);
    }

    #[test]
    fn an_unnamed_folder_is_taken_only_when_there_is_one_output_it_can_mean() {
        let Place { dir, store, output } = place();
        let folder = dir.path().join("result");
        fs::create_dir(&folder).unwrap();
        assert!(from_path(&folder, &output, true, &store).is_ok());
        assert!(matches!(from_path(&folder, &output, false, &store), Err(ReferenceError::Absent { .. })));
        let missing = dir.path().join("missing");
        assert!(matches!(from_path(&missing, &output, true, &store), Err(ReferenceError::Absent { .. })));
    }

    #[test]
    fn a_link_that_was_typed_stands_for_what_it_points_to() {
        let Place { dir, store, output } = place();
        let tree = dir.path().join("tree");
        fs::write(&tree, "bits").unwrap();
        std::os::unix::fs::symlink(&tree, dir.path().join("result")).unwrap();
        let found = from_path(&dir.path().join("result"), &output, true, &store).unwrap();
        assert_eq!(found, from_path(&tree, &output, true, &store).unwrap());
    }

    #[test]
    fn a_file_that_is_a_nar_counts_as_what_is_in_it() {
        let Place { dir, store, output } = place();
        let tree = dir.path().join("tree");
        fs::write(&tree, "bits").unwrap();
        let nar = dir.path().join("tree.nar");
        crate::store::write_nar(&tree, fs::File::create(&nar).unwrap()).unwrap();
        let packed = from_path(&nar, &output, true, &store).unwrap();
        assert_eq!(packed, from_path(&tree, &output, true, &store).unwrap());
        // A NAR cut short is refused, not compared.
        let cut = fs::read(&nar).unwrap();
        fs::write(&nar, &cut[..cut.len() - 8]).unwrap();
        assert!(matches!(from_path(&nar, &output, true, &store), Err(ReferenceError::Store(_))));
    }
}
