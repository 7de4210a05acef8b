//! Whether the path of a source follows from its bits (Nix manual, "Store path specification"): a tree or a file that was added, a
//! text, or a fixed output of any hash.

use std::io::{self, Read};

use super::{Checker, Found, Kind};
use crate::{
    mirror::layout::Object,
    nix::{
        hash::{Algorithm, Hasher},
        make_path::{Method, fixed_output_path, source_path, text_path},
        nar::{Event, Reader},
        narinfo::NarInfo,
        store_path::StorePath,
    },
};

/// Texts are written by evaluators from strings; a file that is larger is no text.
const MAX_TEXT: u64 = 64 << 20;

impl Checker<'_> {
    /// Looks at the NAR of a path that was admitted as a source; that it is the NAR which is promised is looked at elsewhere.
    pub(super) fn source(&self, found: &mut Found, name: &str, info: &NarInfo) {
        let Some(file) = info.file_hash.as_ref().and_then(|hash| hash.bytes().try_into().ok()) else {
            return;
        };
        let object = Object::Nar(crate::mirror::layout::FileHash(file)).name();
        let Some(opened) = self.open(found, &object) else { return };
        let follows = zstd::Decoder::new(opened.bytes.take(opened.size))
            .and_then(|nar| follows(info, nar.take(info.nar_size)));
        match follows {
            Ok(true) => {}
            Ok(false) => found.fault(
                Kind::Damaged,
                name,
                "it was admitted as a source, and its path does not follow from its bits",
            ),
            Err(error) => found.fault(Kind::Damaged, &object, error.to_string()),
        }
    }
}

fn follows(info: &NarInfo, nar: impl Read) -> io::Result<bool> {
    let path = &info.store_path;
    let others = || info.references.iter().filter(|reference| *reference != path);
    let is = |made: Result<StorePath, _>| made.is_ok_and(|made: StorePath| made == *path);
    if is(source_path(path.name(), &info.nar_hash.0, others()).map_err(drop)) {
        return Ok(true);
    }
    let mut recursive = Algorithm::ALL.map(Hasher::new);
    let mut flat = Algorithm::ALL.map(Hasher::new);
    let mut text = Vec::new();
    let mut is_file = false;
    let mut reader = Reader::new(Each { from: nar, to: &mut recursive });
    while let Some(event) = reader.next_event().map_err(io::Error::other)? {
        if let Event::Regular { size, .. } = event {
            is_file = true;
            let mut contents = Each { from: reader.contents(), to: &mut flat };
            let keep = if size <= MAX_TEXT { size } else { 0 };
            contents.by_ref().take(keep).read_to_end(&mut text)?;
            io::copy(&mut contents, &mut io::sink())?;
        } else {
            is_file = false;
        }
    }
    drop(reader);
    let name = path.name();
    let mut made =
        recursive.into_iter().map(|hasher| fixed_output_path(name, Method::Recursive, &hasher.finish()));
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
