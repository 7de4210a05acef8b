//! NARs, unpacked to be looked at: their hashes, and the listing that follows from them. Nothing of them is kept.

use std::{
    cell::Cell,
    io::{self, BufReader, Read},
};

use zstd::zstd_safe::DCtx;

use super::{Found, Kind};
use crate::{
    mirror::{layout::FileHash, stream::Hashed},
    nix::nar::{Listing, Reader},
};

thread_local! {
    /// What unpacks, with the memory of its window: taken anew for each path, that is a page fault for every four kilobytes.
    static CONTEXT: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

/// Calls `work` with what this thread unpacks with.
fn with_context<T>(work: impl FnOnce(&mut DCtx<'static>) -> T) -> T {
    let mut context = CONTEXT.take().unwrap_or_else(DCtx::create);
    let done = work(&mut context);
    CONTEXT.set(Some(context));
    done
}

/// What is in a compressed NAR of `most` bytes; what is wrong with it, or with reading it, is a fault.
pub(super) fn unpacked(found: &mut Found, name: &str, file: impl Read, most: u64) -> Option<ReadNar> {
    let failed = Cell::new(false);
    match read_nar(Watched { from: file, failed: &failed }, most) {
        Ok(read) => {
            found.file_bytes += read.file.1;
            found.nar_bytes += read.nar.1;
            Some(read)
        }
        Err(error) => {
            // What cannot be read is not said to be wrong.
            let kind = if failed.get() { Kind::Unread } else { Kind::Damaged };
            found.fault(kind, name, error.to_string());
            None
        }
    }
}

/// Reads, and tells that it failed from that what it read is wrong.
pub(super) struct Watched<'f, R> {
    pub(super) from: R,
    pub(super) failed: &'f Cell<bool>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer);
        let failed = read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        self.failed.set(self.failed.get() || failed);
        read
    }
}

/// What is in a compressed NAR: hash and size of the file, of the NAR, and of the NAR's listing.
pub(super) struct ReadNar {
    pub(super) file: (FileHash, u64),
    pub(super) nar: (FileHash, u64),
    pub(super) listing: Option<(FileHash, u64)>,
}

/// Reads a compressed NAR to its end, but never more of it than `most` bytes and one.
fn read_nar(file: impl Read, most: u64) -> io::Result<ReadNar> {
    with_context(|context| read_nar_with(context, file, most))
}

fn read_nar_with(context: &mut DCtx<'static>, file: impl Read, most: u64) -> io::Result<ReadNar> {
    let file = BufReader::with_capacity(DCtx::in_size(), Hashed::new(file));
    // A window of more than 128 MiB is refused by the decoder, whatever the file asks for.
    let decoder = zstd::Decoder::with_context(file, context);
    let mut nar = Hashed::new(decoder.take(most.saturating_add(1)));
    let mut listing = Listing::new(Hashed::new(io::sink()))?;
    let mut reader = Reader::new(&mut nar);
    while let Some(event) = reader.next_event().map_err(io::Error::other)? {
        listing.event(&event)?;
    }
    drop(reader);
    let (decoder, nar_hash, nar_size) = nar.finish();
    let mut rest = decoder.into_inner().finish();
    io::copy(&mut rest, &mut io::sink())?;
    let (_, file_hash, file_size) = rest.into_inner().finish();
    let listing = listing.finish()?.map(|hashed| {
        let (_, hash, size) = hashed.finish();
        (hash, size)
    });
    Ok(ReadNar { file: (file_hash, file_size), nar: (nar_hash, nar_size), listing })
}
