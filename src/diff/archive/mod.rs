//! Archives: members matched by name, then by content; what is said of each by the name of the field.
//!
//! A format gives an [`Archive`]: its members, where their headers and contents lie, and on demand the fields of one
//! member's headers. Matching, order, recursion into members, and the bytes that belong to no member are the same
//! for all ([`compare`]). Nothing is unpacked here but what a member needs to be compared, within caps.
//!
//! The readers are own ones: a comparison needs the offset of every field, and reads archives that others refuse.

mod ar;
mod compare;
mod cpio;
mod field;
mod layers;
mod nar;
mod order;
mod squashfs;
mod stored;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

pub(super) use ar::{compare as compare_ar, is_ar};
pub(super) use cpio::{compare as compare_cpio, is_cpio};
pub(super) use field::{Field, compare as compare_fields};
pub(super) use layers::{Layers, compare as compare_layers, cut_otherwise, paths as layer_paths};
pub(super) use nar::{compare as compare_nar, is_nar};
pub(super) use squashfs::{compare as compare_squashfs, is_squashfs};
pub(super) use tar::{compare as compare_tar, is_tar};
pub(super) use zip::{compare as compare_zip, ends_as_zip, is_zip};

use self::stored::Stored;
use std::{collections::HashMap, io};

use super::{
    Content, Note, ReadError, Side, Window,
    image::{Files, Layout},
    unpack::Packing,
};

/// Longest name of a member, path or link target: twice Linux' `PATH_MAX`, so that no real archive meets it.
const MAX_NAME: u64 = 8192;

/// Bytes of all paths of one archive that are put together from the names of directories: a small archive can have long
/// ones without end.
const MAX_PATHS: u64 = 64 << 20;

/// Reads the fields of one member's headers.
type Describe<'a> = Box<dyn Fn(&Member) -> io::Result<Vec<Field>> + 'a>;

/// An archive, as its own tables describe it.
struct Archive<'a> {
    /// What is said of the archive as a whole.
    fields: Vec<Field>,
    /// In the order of the archive.
    members: Vec<Member>,
    /// Where its tables lie, besides the members' headers: offset and length.
    tables: Vec<(u64, u64)>,
    /// The fields of one member's headers. They are read when they are needed: most members' headers are equal.
    describe: Describe<'a>,
    /// The container images in it. Its members that are parts of them are compared there.
    image: Option<Layout>,
    /// How to read the contents of members that lie in many blocks. In such an archive members have no headers of their
    /// own: the first says where its inode is, and their fields are read always.
    stored: Option<Box<dyn Stored + 'a>>,
}

impl Default for Archive<'_> {
    fn default() -> Self {
        Archive {
            fields: Vec::new(),
            members: Vec::new(),
            tables: Vec::new(),
            describe: Box::new(|_| Ok(Vec::new())),
            image: None,
            stored: None,
        }
    }
}

/// A member of an archive.
#[derive(Clone)]
struct Member {
    /// Its name, as written, in whatever way the format spells it.
    name: Vec<u8>,
    /// `file`, `directory`, `symbolic link`…
    what: &'static str,
    /// What is said of it elsewhere than in its headers.
    fields: Vec<Field>,
    /// Where its headers lie: offset and length. Equal bytes in all of them mean equal fields.
    headers: [(u64, u64); 3],
    /// Where its contents lie: offset and length as they are in the archive.
    data: (u64, u64),
    /// How its contents are packed.
    packing: Packing,
    /// Length of the contents unpacked, as the archive says.
    size: u64,
    /// Whether its contents only index other members, and so follow from them.
    index: bool,
}

/// Why an archive could not be read to its end.
pub(super) enum Stop {
    /// It breaks its format.
    Broken { offset: u64, what: &'static str },
    /// Its bytes cannot be read.
    Read { offset: u64, source: io::Error },
    /// It has more than is looked at.
    Cap { what: &'static str, cap: u64 },
}

impl Stop {
    /// What to say of it: an error only where the bytes themselves cannot be read.
    pub(super) fn note(self, format: &'static str, side: Side) -> Result<Note, ReadError> {
        match self {
            Stop::Broken { offset, what } => Ok(Note::BrokenArchive { format, side, offset, what }),
            Stop::Cap { what, cap } => Ok(Note::TooMuchInside { side, what, cap }),
            Stop::Read { offset, source } => Err(ReadError { side, offset, source }),
        }
    }
}

/// The files of an archive by their names, the last one of each name: what is read of container images.
struct Members<'a> {
    content: &'a dyn Content,
    files: HashMap<&'a [u8], (u64, u64)>,
}

impl<'a> Members<'a> {
    fn new(content: &'a dyn Content, members: &'a [Member]) -> Self {
        let files = members.iter().filter(|member| member.what == "file");
        Members { content, files: files.map(|member| (plain_name(&member.name), member.data)).collect() }
    }
}

impl Files for Members<'_> {
    fn open(&self, path: &[u8]) -> Option<Box<dyn Content + '_>> {
        let (offset, len) = *self.files.get(path)?;
        Some(Box::new(Window::new(self.content, offset, len)))
    }

    fn has(&self, path: &[u8]) -> bool {
        self.files.contains_key(path)
    }
}

/// A name without `./` before it and `/` behind it.
fn plain_name(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_suffix(b"/").unwrap_or(name)
}

/// `N` bytes from `offset`, or that the archive ends before them.
fn array<const N: usize>(content: &dyn Content, offset: u64) -> Result<[u8; N], Stop> {
    let mut bytes = [0; N];
    if offset.checked_add(N as u64).is_none_or(|end| end > content.len()) {
        return Err(Stop::Broken { offset, what: "it ends inside a header" });
    }
    content.read_exact_at(offset, &mut bytes).map_err(|source| Stop::Read { offset, source })?;
    Ok(bytes)
}

/// `len` bytes from `offset`; the caller has capped `len`.
fn bytes(content: &dyn Content, offset: u64, len: u64) -> Result<Vec<u8>, Stop> {
    if offset.checked_add(len).is_none_or(|end| end > content.len()) {
        return Err(Stop::Broken { offset, what: "it ends inside a name" });
    }
    let mut bytes = vec![0; len as usize];
    content.read_exact_at(offset, &mut bytes).map_err(|source| Stop::Read { offset, source })?;
    Ok(bytes)
}

/// The number that digits of `radix` say; spaces and NULs around them do not count, no digits at all are zero.
fn number(field: &[u8], radix: u32) -> Option<u64> {
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !padding(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(padding).unwrap_or(digits.len());
    if digits[end..].iter().any(|byte| !padding(byte)) {
        return None;
    }
    digits[..end].iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        number.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

/// The bytes before the first NUL.
fn until_nul(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|byte| *byte == 0).unwrap_or(field.len())]
}
