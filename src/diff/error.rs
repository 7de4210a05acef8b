//! What can go wrong in a comparison, and what a comparison has to admit.

use std::{fmt, io};

use bstr::ByteSlice as _;

use super::Side;
use crate::code::{Code, Explanation};

/// Reading one side failed.
#[derive(Debug, thiserror::Error)]
#[error("side {side}: cannot read from byte {offset}: {source}")]
pub struct ReadError {
    /// Which side.
    pub side: Side,
    /// From which byte of the file.
    pub offset: u64,
    /// The operating system's answer.
    pub source: io::Error,
}

/// Why two trees could not be compared. There is no partial answer: what was not read was not compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A file could not be opened.
    #[error("side {side}: cannot open `{}`: {source}", path.as_bstr())]
    Open {
        /// Which side.
        side: Side,
        /// Its path in the tree; empty for the root.
        path: Vec<u8>,
        /// The answer of whoever gives the contents.
        source: io::Error,
    },
    /// A file could not be read to its end.
    #[error("`{}`: {source}", path.as_bstr())]
    Read {
        /// Its path in the tree; empty for the root.
        path: Vec<u8>,
        /// Where and why.
        source: ReadError,
    },
}

impl DiffError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            DiffError::Open { .. } => Code(901),
            DiffError::Read { .. } => Code(902),
        }
    }
}

/// Something a comparison admits: it looked less closely than it can, and why. The difference itself is never
/// lost by it: whether two files are equal is always decided by all their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A file that looked like ELF is broken; it was compared as plain bytes.
    BrokenElf {
        /// Which side.
        side: Side,
        /// Byte offset of what is wrong.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// An executable of another format that is broken; it was compared as plain bytes.
    BrokenExecutable {
        /// `PE`, `Mach-O`, `WebAssembly`.
        format: &'static str,
        /// Which side.
        side: Side,
        /// Byte offset of what is wrong.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Its structure was read, but everything the structure names is equal; compared as plain bytes.
    NothingByStructure,
    /// Text that is too large or too different to be matched line by line; compared as plain bytes.
    TextTooLarge {
        /// What was too much: `lines`, `bytes`.
        unit: &'static str,
        /// How many there are on the larger side, in the part that differs.
        count: u64,
        /// How many are matched at most.
        cap: u64,
    },
    /// The part that differs is too large to look for moved bytes in; it is one range.
    ShiftTooLarge {
        /// Bytes on the larger side.
        bytes: u64,
        /// The cap.
        cap: u64,
    },
    /// What looked like an archive or a compressed file is broken; it was compared as plain bytes.
    BrokenArchive {
        /// `tar`, `gzip`…
        format: &'static str,
        /// Which side.
        side: Side,
        /// Byte offset of what is wrong.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Containers inside containers, deeper than is looked at; compared as plain bytes.
    TooDeep {
        /// How deep is looked at.
        cap: u32,
    },
    /// An archive with more in it than is looked at; compared as plain bytes.
    TooMuchInside {
        /// Which side.
        side: Side,
        /// What there is more of.
        what: &'static str,
        /// The cap.
        cap: u64,
    },
}

impl Note {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Note::BrokenElf { .. } => Code(910),
            Note::BrokenExecutable { .. } => Code(914),
            Note::NothingByStructure => Code(911),
            Note::TextTooLarge { .. } => Code(912),
            Note::ShiftTooLarge { .. } => Code(913),
            Note::BrokenArchive { .. } => Code(920),
            Note::TooDeep { .. } => Code(921),
            Note::TooMuchInside { .. } => Code(922),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::BrokenElf { side, offset, what } => {
                write!(
                    f,
                    "side {side} is no sound ELF file (byte {offset:#x}: {what}): compared as plain bytes"
                )
            }
            Note::BrokenArchive { format, side, offset, what } => broken(f, format, *side, *offset, what),
            Note::BrokenExecutable { format, side, offset, what } => broken(f, format, *side, *offset, what),
            Note::TooDeep { cap } => {
                write!(f, "more than {cap} containers inside each other: compared as plain bytes")
            }
            Note::TooMuchInside { side, what, cap } => {
                write!(f, "side {side} has more than {cap} {what}: compared as plain bytes")
            }
            Note::NothingByStructure => f.write_str(
                "the bytes that differ are in no place its structure names: compared as plain bytes",
            ),
            Note::TextTooLarge { unit, count, cap } => {
                write!(
                    f,
                    "{count} {unit} differ, more than the {cap} that are matched line by line: compared as plain bytes"
                )
            }
            Note::ShiftTooLarge { bytes, cap } => {
                write!(
                    f,
                    "{bytes} bytes differ, more than the {cap} in which moved bytes are looked for: shown as one range"
                )
            }
        }
    }
}

fn broken(f: &mut fmt::Formatter<'_>, format: &str, side: Side, offset: u64, what: &str) -> fmt::Result {
    write!(f, "side {side} is no sound {format} file (byte {offset:#x}: {what}): compared as plain bytes")
}

/// What `reprove explain` prints for the codes of this room.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(901),
        title: "a file to compare cannot be opened",
        text: "One of the two sides has a file that could not be opened, so nothing was decided about it.\n\
               Check its permissions; a store path can be compared as a NAR instead: `reprove nar pack PATH`.",
    },
    Explanation {
        code: Code(902),
        title: "a file to compare cannot be read",
        text: "Reading failed before the end of a file: a failing disk, a truncated NAR, or a file that was changed\n\
               while it was read. A comparison is over all bytes or it is none. Run it again on files at rest.",
    },
    Explanation {
        code: Code(910),
        title: "a file that looks like ELF is not sound",
        text: "It begins as an ELF file does, but a header, table or name points outside of the file, or is larger than\n\
               a sound file's. It was compared as plain bytes: the difference is exact, but without section names.\n\
               `readelf -aW FILE` says more; the byte offset in the message is where the unsound value stands.",
    },
    Explanation {
        code: Code(911),
        title: "the difference lies where the file's structure names nothing",
        text: "All fields, tables and sections are equal, and still the files differ, for example in padding between\n\
               sections. The plain comparison of bytes shows where.",
    },
    Explanation {
        code: Code(912),
        title: "text too large or too different to match line by line",
        text: "Matching lines takes time that grows with the square of what differs, so it has a cap. The files were\n\
               compared as plain bytes instead: exact, but moved lines show as differing ranges.",
    },
    Explanation {
        code: Code(913),
        title: "too many differing bytes to look for moved ones",
        text: "When sizes differ, bytes that only moved are recognised within a cap on memory. This part is larger, so\n\
               everything between the first and the last differing byte is shown as one range.",
    },
    Explanation {
        code: Code(914),
        title: "an executable that is not sound",
        text: "It begins as a PE, Mach-O or WebAssembly file does, but a header or table points outside of the file or is\n\
               larger than a sound file's. It was compared as plain bytes: the difference is exact, but without sections.",
    },
    Explanation {
        code: Code(920),
        title: "an archive or compressed file is not sound",
        text: "It begins as such a file does, but breaks its format at the byte offset in the message: a checksum, a size or\n\
               a name is wrong, or it ends too early. It was compared as plain bytes: the difference is exact, but without\n\
               the names of members. The format's own program (`tar -tvf`, `unzip -t`, `xz -t`) may say more.",
    },
    Explanation {
        code: Code(921),
        title: "containers too deep inside each other",
        text: "An archive in an archive in an archive, deeper than any real package. The innermost ones were compared as\n\
               plain bytes. To look further, unpack some levels and compare what is in them.",
    },
    Explanation {
        code: Code(922),
        title: "an archive with too much in it",
        text: "Unpacking and matching members has caps, so that a small file cannot take all memory or time. This one is\n\
               over a cap and was compared as plain bytes. Unpack both sides to folders and compare those instead.",
    },
];
