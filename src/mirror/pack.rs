//! A NAR of our store as it lies in a mirror: compressed, with the list of its tree beside it.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
};

use super::{
    MirrorError,
    layout::FileHash,
    policy::ZSTD_LEVEL,
    publish::Publisher,
    stream::{Hashed, Tee},
};
use crate::{
    nix::{
        hash::NarHash,
        nar::{Listing, Reader},
    },
    store::PathInfo,
};

/// A NAR as it lies in a mirror.
pub(super) struct Packed {
    pub(super) file: File,
    pub(super) hash: FileHash,
    pub(super) size: u64,
    /// Its listing; none when it has a name that is no text.
    pub(super) listing: Option<File>,
}

impl Publisher<'_> {
    /// Compresses a NAR of our store and lists its tree, and looks at every byte of it on the way.
    pub(super) fn pack(&self, info: &PathInfo) -> Result<Packed, MirrorError> {
        let differs = || MirrorError::NarDiffers { path: info.path.clone() };
        let nar = self.store.nar(&info.nar_hash)?.ok_or_else(differs)?;
        let scratch = self.store.root().join("tmp");
        let mut listing = Listing::new(io::BufWriter::new(tempfile::tempfile_in(&scratch)?))?;
        let to = Hashed::new(io::BufWriter::new(tempfile::tempfile_in(&scratch)?));
        let mut encoder = zstd::Encoder::new(to, ZSTD_LEVEL)?;
        encoder.set_pledged_src_size(Some(info.nar_size))?;
        encoder.include_contentsize(true)?;
        encoder.include_checksum(false)?;
        let mut tee = Tee { from: Hashed::new(nar), to: encoder };
        let mut reader = Reader::new(&mut tee);
        while let Some(event) = reader.next_event().map_err(|_| differs())? {
            listing.event(&event)?;
        }
        drop(reader);
        let (_, hash, size) = tee.from.finish();
        if (NarHash(hash.0), size) != (info.nar_hash, info.nar_size) {
            return Err(differs());
        }
        let (file, hash, size) = tee.to.finish()?.finish();
        let listing = listing.finish()?.map(rewound).transpose()?;
        Ok(Packed { file: rewound(file)?, hash, size, listing })
    }
}

fn rewound(file: io::BufWriter<File>) -> io::Result<File> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
