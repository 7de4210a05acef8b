//! Sources kept in the mirror, by the hash of the file: a rebuild needs no other place.
//!
//! A source that is one file lies there as that file, as hashed mirrors have it (`<mirror>/sources` is one, for SHA-256);
//! anything else, trees and files of the evaluation, as its NAR.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
};

use super::{
    Mirror, MirrorError,
    layout::{FileHash, Object},
    location::Put,
    publish::Publisher,
    stream::Hashed,
};
use crate::{
    nix::{
        hash::Algorithm,
        make_path::Method,
        nar::{Event, Reader},
        store_path::StorePath,
    },
    source::{FixedOutput, Shelf},
    store::PathInfo,
};

/// The sources that a mirror keeps, as a place where sources are looked for.
pub struct Kept<'a> {
    mirror: &'a Mirror,
    known: BTreeMap<StorePath, String>,
}

impl<'a> Kept<'a> {
    /// All that are found by the hash their derivation names, which has to be SHA-256.
    pub fn new(mirror: &'a Mirror) -> Self {
        Kept { mirror, known: BTreeMap::new() }
    }

    /// Also these, whatever hash their derivations name: paths, and the SHA-256 under which each lies here.
    pub fn knowing(self, known: BTreeMap<StorePath, String>) -> Self {
        Kept { known, ..self }
    }

    fn name(&self, fixed: &FixedOutput) -> Option<String> {
        let known = self.known.get(&fixed.path).and_then(|hex| FileHash::from_hex(hex));
        let own =
            || fixed.hash.bytes().try_into().ok().filter(|_| fixed.hash.algorithm() == Algorithm::Sha256);
        Some(Object::Source(known.or_else(|| own().map(FileHash))?).name())
    }
}

impl Shelf for Kept<'_> {
    fn place(&self, fixed: &FixedOutput) -> String {
        let location = self.mirror.location();
        self.name(fixed).map_or_else(|| location.address().to_owned(), |name| location.url(&name))
    }

    fn find(&self, fixed: &FixedOutput) -> io::Result<Option<Box<dyn Read + Send>>> {
        let Some(name) = self.name(fixed) else { return Ok(None) };
        let opened = self.mirror.location().open(&name).map_err(io::Error::other)?;
        Ok(opened.map(|opened| opened.bytes))
    }
}

impl Publisher<'_> {
    /// Keeps a source that is in our store, and says under which hash.
    ///
    /// # Errors
    /// [`MirrorError::NarDiffers`] when our store has it not, or damaged, or has a tree where a file was meant; [`MirrorError::Left`] when an object of
    /// its name has another length.
    pub fn escrow(&self, info: &PathInfo, method: Method) -> Result<FileHash, MirrorError> {
        let differs = || MirrorError::NarDiffers { path: info.path.clone() };
        let nar = self.store.nar(&info.nar_hash)?.ok_or_else(differs)?;
        let (mut file, hash, size) = match method {
            Method::Recursive => {
                let mut hashed = Hashed::new(nar);
                io::copy(&mut hashed, &mut io::sink())?;
                let (nar, hash, size) = hashed.finish();
                if hash.0 != info.nar_hash.0 {
                    return Err(differs());
                }
                (nar, hash, size)
            }
            Method::Flat => self.contents(nar).map_err(|_| differs())?,
        };
        file.seek(SeekFrom::Start(0))?;
        let name = Object::Source(hash).name();
        let location = self.mirror.location();
        if location.put_new_file(&name, &mut file)? == Put::There
            && location.open(&name)?.map(|there| there.size) != Some(size)
        {
            return Err(self.left(&name));
        }
        Ok(hash)
    }

    /// The one file in a NAR.
    fn contents(&self, nar: File) -> io::Result<(File, FileHash, u64)> {
        let mut reader = Reader::new(nar);
        let Some(Event::Regular { .. }) = reader.next_event().map_err(io::Error::other)? else {
            return Err(io::Error::other("it is not one file"));
        };
        let mut to = Hashed::new(tempfile::tempfile_in(self.store.root().join("tmp"))?);
        io::copy(&mut reader.contents(), &mut to)?;
        Ok(to.finish())
    }
}
