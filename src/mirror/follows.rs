//! Whether the path of a source follows from its bits (Nix manual, "Store path specification"): a tree or a file that was added, a
//! text, or a fixed output of any hash.

use std::{
    collections::BTreeSet,
    io::{self, Read},
};

use crate::nix::{
    hash::{Algorithm, Hasher},
    make_path::{Method, fixed_output_path, source_path, text_path},
    nar::{Event, Reader},
    store_path::StorePath,
};

/// Texts are written by evaluators from strings; a file that is larger is no text.
const MAX_TEXT: u64 = 64 << 20;

/// Whether a path follows from the NAR that lies there and from what it refers to. The NAR is read to its end.
pub(super) fn follows(
    path: &StorePath,
    references: &BTreeSet<StorePath>,
    nar: impl Read,
) -> io::Result<bool> {
    let others = || references.iter().filter(|reference| *reference != path);
    let is = |made: Result<StorePath, _>| made.is_ok_and(|made: StorePath| made == *path);
    let mut recursive = Algorithm::ALL.map(Hasher::new);
    let mut flat = Algorithm::ALL.map(Hasher::new);
    let mut text = Vec::new();
    let mut is_file = false;
    let mut is_first = true;
    let mut reader = Reader::new(Each { from: nar, to: &mut recursive });
    while let Some(event) = reader.next_event().map_err(io::Error::other)? {
        if let Event::Regular { size, .. } = event {
            is_file = true;
            let mut contents = Each { from: reader.contents(), to: &mut flat };
            // Of a tree no file is kept: a text is one file, and a tree can have any number of them.
            let keep = if is_first && size <= MAX_TEXT { size } else { 0 };
            contents.by_ref().take(keep).read_to_end(&mut text)?;
            io::copy(&mut contents, &mut io::sink())?;
        } else {
            is_file = false;
        }
        is_first = false;
    }
    drop(reader);
    let name = path.name();
    let recursive = recursive.map(Hasher::finish);
    let sha256 = recursive.iter().find(|hash| hash.algorithm() == Algorithm::Sha256);
    let sha256 = sha256.and_then(|hash| hash.bytes().try_into().ok());
    if sha256.is_some_and(|hash| is(source_path(name, hash, others()).map_err(drop))) {
        return Ok(true);
    }
    let mut made = recursive.iter().map(|hash| fixed_output_path(name, Method::Recursive, hash));
    if made.any(|made| is(made.map_err(drop))) {
        return Ok(true);
    }
    let mut made = flat.into_iter().map(|hasher| fixed_output_path(name, Method::Flat, &hasher.finish()));
    let whole = text.len() as u64 <= MAX_TEXT;
    Ok(is_file
        && (made.any(|made| is(made.map_err(drop)))
            || (whole && is(text_path(name, &text, others()).map_err(drop)))))
}

/// Reads, and hashes what it read in every way.
struct Each<'a, R> {
    from: R,
    to: &'a mut [Hasher; Algorithm::ALL.len()],
}

impl<R: Read> Read for Each<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.iter_mut().for_each(|hasher| hasher.update(&buffer[..n]));
        Ok(n)
    }
}
