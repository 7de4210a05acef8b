//! What was written down about a build's processes and files, as the guest left it behind the outputs. Hostile.

use std::io::Read as _;

use super::record::{RECORD_BYTES, Record, Tar};
use crate::{
    machine::Region,
    source::tar::{Caps, Kind, Reader, TarError},
};

/// Most bytes of one of the two logs; the guest has room for fewer.
const MOST: u64 = 256 << 20;

/// The two logs, byte for byte; `diagnose::trace` reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Of the processes.
    pub processes: Vec<u8>,
    /// Of the files.
    pub files: Vec<u8>,
}

/// Why there is no observation of a run that was to be observed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotObserved {
    /// The guest left no record at all.
    #[error("the guest left no result record")]
    NoRecord,
    /// Something in the guest could not look on to the end.
    #[error("the guest could not look on to the end: there was no room for more, or the kernel refused")]
    Failed,
    /// It did not fit on the output drive.
    #[error("what was written down does not fit on the output drive; --output-size gives more room")]
    Overflow,
    /// The archive itself.
    #[error("what was written down: {0}")]
    Tar(#[from] TarError),
    /// The archive lacks a log, or has a larger one than there can be.
    #[error("what was written down has no log `{0}` of a size that can be")]
    Log(&'static str),
}

/// Reads the archive behind the outputs.
pub(super) fn read(drive: &Region, record: Option<&Record>) -> Result<Observation, NotObserved> {
    let record = record.ok_or(NotObserved::NoRecord)?;
    let bytes = match record.observed {
        Tar::Bytes(bytes) => bytes,
        Tar::Overflow => return Err(NotObserved::Overflow),
        Tar::None | Tar::Failed => return Err(NotObserved::Failed),
    };
    let stream = drive.part(RECORD_BYTES + record.tar.bytes(), bytes);
    let mut reader = Reader::new(stream.reader(0, bytes), Caps { entries: 16, contents: 2 * MOST });
    let (mut processes, mut files) = (None, None);
    while let Some(entry) = reader.next_entry()? {
        let log = match entry.path.as_slice() {
            b"processes" => &mut processes,
            b"files" => &mut files,
            _ => continue,
        };
        if entry.kind == Kind::Regular && entry.size <= MOST && log.is_none() {
            let mut contents = Vec::new();
            reader
                .contents()
                .take(MOST)
                .read_to_end(&mut contents)
                .map_err(|source| TarError::Read { offset: entry.offset, source })?;
            *log = Some(contents);
        }
    }
    Ok(Observation {
        processes: processes.ok_or(NotObserved::Log("processes"))?,
        files: files.ok_or(NotObserved::Log("files"))?,
    })
}
