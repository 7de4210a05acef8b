//! Sources kept in the mirror, by the hash of the file: a rebuild needs no other place.
//!
//! A source that is one file lies there as that file, as hashed mirrors have it (`<mirror>/sources` is one, for SHA-256);
//! anything else, trees and files of the evaluation, as its NAR.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
};

use super::{
    MirrorError,
    layout::{FileHash, Object},
    location::Put,
    publish::Publisher,
    stream::Hashed,
};
use crate::{
    nix::{
        make_path::Method,
        nar::{Event, Reader},
    },
    store::PathInfo,
};

impl Publisher<'_> {
    /// Keeps a source that is in our store, and says under which hash.
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
