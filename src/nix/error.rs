//! The room's errors under one roof, with their codes and explanations.

use super::{
    aterm::{AtermError, AtermErrorKind},
    drv_check::PathFault,
    hash::HashError,
    hash_modulo::ModuloError,
    nar::{NarError, NarErrorKind, NarWriteError},
    narinfo::{NarInfoError, NarInfoErrorKind},
    store_path::StorePathError,
};
use crate::code::{Code, Explanation};

/// Any error of this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No valid hash.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// No valid store path or name.
    #[error(transparent)]
    StorePath(#[from] StorePathError),
    /// No valid derivation.
    #[error(transparent)]
    Aterm(#[from] AtermError),
    /// No hash modulo.
    #[error(transparent)]
    Modulo(#[from] ModuloError),
    /// A wrong path.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// No valid NAR.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// A NAR that cannot be written.
    #[error(transparent)]
    NarWrite(#[from] NarWriteError),
    /// No valid narinfo.
    #[error(transparent)]
    NarInfo(#[from] NarInfoError),
}

impl Error {
    /// The error's code, 01xx.
    pub fn code(&self) -> Code {
        match self {
            Error::Hash(error) => error.code(),
            Error::StorePath(error) => error.code(),
            Error::Aterm(error) => error.code(),
            Error::Modulo(error) => error.code(),
            Error::Path(error) => error.code(),
            Error::Nar(error) => error.code(),
            Error::NarWrite(error) => error.code(),
            Error::NarInfo(error) => error.code(),
        }
    }
}

impl HashError {
    /// The error's code.
    pub fn code(&self) -> Code {
        Code(101)
    }
}

impl StorePathError {
    /// The error's code.
    pub fn code(&self) -> Code {
        Code(102)
    }
}

impl AtermError {
    /// The error's code.
    pub fn code(&self) -> Code {
        match &self.what {
            AtermErrorKind::Truncated { .. }
            | AtermErrorKind::Syntax { .. }
            | AtermErrorKind::Trailing { .. }
            | AtermErrorKind::TooLong { .. } => Code(110),
            AtermErrorKind::NotCanonical(_) | AtermErrorKind::Duplicate { .. } => Code(111),
            AtermErrorKind::Unsupported { .. } => Code(112),
            AtermErrorKind::NoDerivation { .. }
            | AtermErrorKind::Output { .. }
            | AtermErrorKind::Outputs(_) => Code(113),
            AtermErrorKind::StorePath(error) => error.code(),
            AtermErrorKind::Hash(error) => error.code(),
        }
    }
}

impl ModuloError {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            ModuloError::MissingInput { .. } | ModuloError::MissingOutput { .. } => Code(120),
            ModuloError::Cycle { .. } => Code(121),
            ModuloError::NoDerivation { .. } | ModuloError::Name { .. } => Code(102),
        }
    }
}

impl PathFault {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            PathFault::Derivation { .. } | PathFault::Output { .. } | PathFault::Unfounded { .. } => {
                Code(122)
            }
            PathFault::FileName | PathFault::Twice => Code(102),
        }
    }
}

impl NarError {
    /// The error's code.
    pub fn code(&self) -> Code {
        self.what.code()
    }
}

impl NarErrorKind {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            NarErrorKind::Io(_) => Code(130),
            NarErrorKind::Truncated { .. } => Code(131),
            NarErrorKind::Magic
            | NarErrorKind::Tag { .. }
            | NarErrorKind::Padding
            | NarErrorKind::Order { .. }
            | NarErrorKind::Trailing => Code(132),
            NarErrorKind::Name { .. } | NarErrorKind::Target { .. } => Code(133),
            NarErrorKind::TooLong { .. }
            | NarErrorKind::Size { .. }
            | NarErrorKind::Depth
            | NarErrorKind::Entries => Code(134),
        }
    }
}

impl NarWriteError {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            NarWriteError::Io(_) => Code(130),
            NarWriteError::Tree(what) => what.code(),
            NarWriteError::Changed { .. } => Code(135),
            NarWriteError::Misuse(_) => Code(136),
        }
    }
}

impl NarInfoError {
    /// The error's code.
    pub fn code(&self) -> Code {
        match &self.what {
            NarInfoErrorKind::StorePath(error) => error.code(),
            NarInfoErrorKind::Hash(error) => error.code(),
            _ => Code(140),
        }
    }
}

/// What every code of this room means.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(101),
        title: "not a valid hash",
        text: "A hash is written as Nix does: `sha256-<base-64>` (SRI), `sha256:<base-16, base-32 or base-64>`, or bare \
               where the algorithm is known. The algorithms are md5, sha1, sha256 and sha512. Check for a cut or \
               changed text; `nix hash to-sri` converts between the spellings.",
    },
    Explanation {
        code: Code(102),
        title: "not a valid store path or name",
        text: "A store path is `/nix/store/`, 32 characters of Nix's base-32, a dash and a name: 1 to 211 characters of \
               0-9 a-z A-Z + - . _ ? =, not beginning with a path component `.` or `..`. Paths below a store path and \
               other store directories are not accepted here.",
    },
    Explanation {
        code: Code(110),
        title: "not a derivation, or a truncated one",
        text: "The text does not follow the grammar of `.drv` files at the byte given. A file copied only in part is \
               the usual cause: instantiate it again, or copy it with `nix-store --export`.",
    },
    Explanation {
        code: Code(111),
        title: "a derivation that is not in canonical form",
        text: "Nix could read this text, but would write the same derivation differently (sorted, each key once, no \
               needless escapes), so the text cannot have been written by Nix and its path cannot be right. It is \
               refused rather than silently changed.",
    },
    Explanation {
        code: Code(112),
        title: "a derivation that needs an experimental feature",
        text: "Dynamic derivations (`DrvWithVersion`) and outputs addressed by `text:` or `git:` are experimental in \
               Nix and not supported here.",
    },
    Explanation {
        code: Code(113),
        title: "a derivation whose parts do not go together",
        text: "For example: a fixed output that is not the only one, outputs of several kinds, an output with a hash \
               but no algorithm, an input derivation without `.drv`. Nix refuses these as well.",
    },
    Explanation {
        code: Code(120),
        title: "an input derivation is missing",
        text: "The paths of a derivation's outputs can only be computed from all derivations it needs, directly or not. \
               Give the whole closure: `nix-store -qR <path>.drv` lists it.",
    },
    Explanation {
        code: Code(121),
        title: "derivations need each other in a circle",
        text: "A derivation's path is a hash over the paths of its inputs, so no honest store holds a circle: the files \
               were forged or put under wrong names.",
    },
    Explanation {
        code: Code(122),
        title: "a path that does not follow from the derivation",
        text: "The path of a `.drv` file and of its outputs follow from its text and its inputs. One that does not was \
               changed after Nix made it, renamed, or made by Nix 2.35.0 to 2.35.2, which compute other paths for \
               derivations with several inputs that differ only in where a fixed output is fetched from.",
    },
    Explanation {
        code: Code(130),
        title: "reading or writing a NAR failed",
        text: "The operating system reported an error; it says nothing about the NAR. Check the disk and the connection.",
    },
    Explanation {
        code: Code(131),
        title: "a truncated NAR",
        text: "The stream ended before the NAR did: an interrupted download or copy. Fetch it again.",
    },
    Explanation {
        code: Code(132),
        title: "not a valid NAR",
        text: "The bytes do not follow the format at the offset given. A tree has exactly one NAR: entries sorted, \
               padding zero, nothing behind the end. Whoever made this did not use Nix's writer.",
    },
    Explanation {
        code: Code(133),
        title: "a name or link target that no NAR may have",
        text: "Entry names are single path components of 1 to 255 bytes without NUL, not `.` or `..`; link targets have 1 \
               to 4095 bytes without NUL. A NAR with others is an attempt to write outside of where it is unpacked.",
    },
    Explanation {
        code: Code(134),
        title: "a NAR beyond the limits",
        text: "Nested deeper than 64 levels, a length no file can have, or more entries than a listing holds. Nix has \
               the same limits on depth and lengths.",
    },
    Explanation {
        code: Code(135),
        title: "a file changed while it was packed",
        text: "A file gave more or fewer bytes than its size said. Something else writes to it: stop that and pack again.",
    },
    Explanation {
        code: Code(136),
        title: "a NAR was put together in the wrong order",
        text: "This is a fault in the program, not in your data. Please report it.",
    },
    Explanation {
        code: Code(140),
        title: "not a valid narinfo",
        text: "A narinfo has lines `Key: value` in printable ASCII, each key once, with StorePath, URL, NarHash and NarSize \
               among them; its URL is a plain path below the cache. Nix itself takes the last of two equal keys, so a \
               document with two may mean different things to different programs and is refused.",
    },
];
