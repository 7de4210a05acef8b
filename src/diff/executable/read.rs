//! What every format does before its images are compared: read both, or say which one is broken.

use super::{compare, image::Image};
use crate::diff::{
    Content, Difference, FileKind, Finding, Note, Pair, ReadError, Side, Window, limits::Effort,
};

/// What is wrong with a file, and where.
#[derive(Debug)]
pub(in crate::diff) enum Broken {
    /// The bytes make no sense.
    At(u64, String),
    /// The bytes could not be read.
    Io(u64, std::io::Error),
}

/// `len` bytes of `file` from `offset`; `what` names them when they are not there.
pub(in crate::diff) fn read(
    file: &dyn Content,
    offset: u64,
    len: u64,
    what: &str,
) -> Result<Vec<u8>, Broken> {
    if offset.checked_add(len).is_none_or(|end| end > file.len()) {
        let have = file.len();
        return Err(Broken::At(
            offset,
            format!("{what} of {len} bytes ends behind the file of {have} bytes"),
        ));
    }
    Window::new(file, offset, len).to_vec().map_err(|error| Broken::Io(offset, error))
}

/// An image and what it is in words.
pub(in crate::diff) struct Parsed {
    pub image: Image,
    pub words: String,
    /// Whether Go's toolchain made it.
    pub go: bool,
}

/// Compares two files of one format.
pub(in crate::diff) fn compare_files(
    format: &'static str,
    parse: fn(&dyn Content) -> Result<Parsed, Broken>,
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let parse = |side: Side| match parse(*files.of(side)) {
        Ok(parsed) => Ok(Ok(parsed)),
        Err(Broken::At(offset, what)) => Ok(Err(Note::BrokenExecutable { format, side, offset, what })),
        Err(Broken::Io(offset, source)) => Err(ReadError { side, offset, source }),
    };
    let (a, b) = match (parse(Side::A)?, parse(Side::B)?) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    difference.kind = Some(FileKind { words: a.words, go: a.go && b.go, coverage: false });
    let images = Pair::new(a.image, b.image);
    difference.layout = Some(Pair::new(images.a.layout(files.a), images.b.layout(files.b)));
    let nothing = |_: &[u8], _: Pair<Window<'_>>| Ok::<Vec<Finding>, ReadError>(Vec::new());
    difference.inside.extend(compare::compare(files, &images, &nothing, effort)?);
    Ok(())
}
