//! The file folder: files given by hand, found by every hash that can name them. The air-gapped road.
//!
//! | below `files/` | what |
//! |---|---|
//! | `objects/<sha256>` | the bytes of a file, or a NAR |
//! | `index/<algorithm>-<hash>.flat` | which object has that hash |
//! | `index/<algorithm>-<hash>.recursive` | which object has it as a NAR, and in which form |
//!
//! Objects come before what points to them, each by a rename, so a crash leaves no pointer to nothing. An
//! object is hashed again whenever it is used: the index only says where to look.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::contents::{Contents, Form, MAX_INPUT};
use super::error::SourceError;
use crate::nix::hash::{Algorithm, Hash};
use crate::nix::make_path::Method;
use crate::store::{Store, TreeError, write_nar};

/// An index file is a line of JSON.
const MAX_ENTRY: u64 = 1 << 12;

/// The file folder of a store.
pub struct Files<'store> {
    store: &'store Store,
}

/// What was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The file's hash, flat; none for a tree.
    pub flat: Option<Hash>,
    /// SHA-256 of the NAR: as a plain file, or of the tree.
    pub recursive: Hash,
}

/// What an index file says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Entry {
    object: String,
    form: Form,
    name: String,
}

impl<'store> Files<'store> {
    /// The folder of `store`.
    pub fn of(store: &'store Store) -> Self {
        Files { store }
    }

    /// Adds a file, a folder, or a NAR (a file whose name ends in `.nar` is also found by what is in it).
    pub fn add(&self, path: &Path) -> Result<Added, SourceError> {
        let io = |source| SourceError::Io { path: path.to_owned(), source };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let metadata = std::fs::symlink_metadata(path).map_err(io)?;
        // A link given by hand means the file behind it; one within a folder is kept.
        let metadata = if metadata.is_symlink() { std::fs::metadata(path).map_err(io)? } else { metadata };
        if metadata.is_dir() {
            return self.add_tree(path, &name);
        }
        if !metadata.is_file() {
            return Err(SourceError::NotAFile { path: path.to_owned() });
        }
        self.add_file(path, &name)
    }

    fn add_file(&self, path: &Path, name: &str) -> Result<Added, SourceError> {
        let io = |source| SourceError::Io { path: path.to_owned(), source };
        let contents = File::open(path).and_then(Contents::read).map_err(io)?;
        let object = self.keep(&contents)?;
        let mut added = None;
        for algorithm in Algorithm::ALL {
            let hash = contents.hash(algorithm).map_err(io)?;
            self.point(&hash, Method::Flat, &object, Form::File, name)?;
            if name.ends_with(".nar") {
                self.point(&hash, Method::Recursive, &object, Form::Nar, name)?;
            }
            for form in [Form::Executable, Form::File] {
                let nar = contents.nar_hash(form == Form::Executable, algorithm).map_err(io)?;
                self.point(&nar, Method::Recursive, &object, form, name)?;
                if algorithm == Algorithm::Sha256 && form == Form::File {
                    added = Some(Added { flat: Some(hash.clone()), recursive: nar });
                }
            }
        }
        added.ok_or_else(|| io(io::Error::other("no hash was taken")))
    }

    fn add_tree(&self, path: &Path, name: &str) -> Result<Added, SourceError> {
        let tree = |source: TreeError| SourceError::Tree { path: path.to_owned(), source };
        let io = |source| SourceError::Io { path: path.to_owned(), source };
        let file = tempfile::tempfile().map_err(io)?;
        write_nar(path, &file).map_err(tree)?;
        let contents = Contents::of(file).map_err(io)?;
        let object = self.keep(&contents)?;
        for algorithm in Algorithm::ALL {
            let hash = contents.hash(algorithm).map_err(io)?;
            self.point(&hash, Method::Recursive, &object, Form::Nar, name)?;
        }
        Ok(Added { flat: None, recursive: contents.hash(Algorithm::Sha256).map_err(io)? })
    }

    /// The bytes that are said to have this hash, and the name they were added under.
    pub(super) fn find(
        &self,
        method: Method,
        hash: &Hash,
    ) -> Result<Option<(Contents, String)>, SourceError> {
        let index = self.index(method, hash);
        let text = match File::open(&index) {
            Ok(file) => {
                let mut text = Vec::new();
                let read = file.take(MAX_ENTRY).read_to_end(&mut text);
                read.map_err(|source| SourceError::Io { path: index.clone(), source })?;
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SourceError::Io { path: index, source }),
        };
        let entry: Option<Entry> = serde_json::from_slice(&text).ok();
        // The object's name becomes a path: nothing but base-16 may stand there.
        let entry = entry.filter(|entry| {
            Hash::parse(entry.object.as_bytes(), Some(Algorithm::Sha256))
                .is_ok_and(|hash| hash.to_base16() == entry.object)
        });
        let Some(entry) = entry else { return Err(SourceError::DamagedIndex { path: index }) };
        let object = self.objects().join(&entry.object);
        let contents = File::open(&object).and_then(Contents::read);
        contents
            .map(|contents| Some((contents, entry.name)))
            .map_err(|source| SourceError::Io { path: object, source })
    }

    /// Writes the object; its name is the SHA-256 of its bytes.
    fn keep(&self, contents: &Contents) -> Result<String, SourceError> {
        let objects = self.objects();
        self.make(&objects)?;
        self.make(&self.store.files_dir().join("index"))?;
        let io = |source| SourceError::Io { path: objects.clone(), source };
        let mut pending = self.store.pending()?;
        io::copy(&mut contents.bytes().map_err(io)?.take(MAX_INPUT), pending.file()).map_err(io)?;
        let name = contents.hash(Algorithm::Sha256).map_err(io)?.to_base16();
        // Replaced rather than left: adding a file again mends one that got damaged.
        pending.replace(&objects.join(&name))?;
        Ok(name)
    }

    fn point(
        &self,
        hash: &Hash,
        method: Method,
        object: &str,
        form: Form,
        name: &str,
    ) -> Result<(), SourceError> {
        let path = self.index(method, hash);
        // Cut so that the line stays below what is read back, even when every byte is escaped.
        let name = name.chars().take(200).collect();
        let entry = Entry { object: object.to_owned(), form, name };
        let mut pending = self.store.pending()?;
        let io = |source| SourceError::Io { path: path.clone(), source };
        serde_json::to_writer(pending.file(), &entry).map_err(|error| io(error.into()))?;
        pending.replace(&path)?;
        Ok(())
    }

    fn index(&self, method: Method, hash: &Hash) -> PathBuf {
        let method = match method {
            Method::Flat => "flat",
            Method::Recursive => "recursive",
        };
        let name = format!("{}-{}.{method}", hash.algorithm(), hash.to_base16());
        self.store.files_dir().join("index").join(name)
    }

    fn objects(&self) -> PathBuf {
        self.store.files_dir().join("objects")
    }

    fn make(&self, folder: &Path) -> Result<(), SourceError> {
        std::fs::create_dir_all(folder).map_err(|source| SourceError::Io { path: folder.to_owned(), source })
    }
}
