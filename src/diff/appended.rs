//! Archives behind something else: a zip behind a script (Python's zipapp, self-extracting archives), a compressed
//! archive behind a shell script (makeself).

use super::{
    Content, Difference, Pair, ReadError, Side, Step, Window, archive, bytes::failed, compressed, file,
    limits::Effort, text,
};

/// How far into a script its payload is looked for: makeself's scripts have some 20 KiB.
const SEARCHED: u64 = 256 << 10;

/// Compares two files as a script and what is behind it; whether they are such.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    heads: Pair<&[u8]>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<bool, ReadError> {
    if archive::ends_as_zip(Side::A, files.a)? && archive::ends_as_zip(Side::B, files.b)? {
        let before = (difference.found.len(), difference.inside.len());
        archive::compare_zip(files, difference, effort)?;
        return Ok((difference.found.len(), difference.inside.len()) != before);
    }
    if !heads.a.starts_with(b"#!") || !heads.b.starts_with(b"#!") {
        return Ok(false);
    }
    let (Some(a), Some(b)) = (payload(Side::A, files.a)?, payload(Side::B, files.b)?) else {
        return Ok(false);
    };
    let Some(_deeper) = effort.deeper() else {
        difference.notes.push(effort.too_deep());
        return Ok(false);
    };
    for (name, parts) in [
        (&b"(script)"[..], Pair::new(Window::new(files.a, 0, a), Window::new(files.b, 0, b))),
        (
            b"(behind the script)",
            Pair::new(Window::new(files.a, a, u64::MAX), Window::new(files.b, b, u64::MAX)),
        ),
    ] {
        let mut place = Difference::new(Step::Member(name.to_vec()));
        file::compare(Pair::new(&parts.a, &parts.b), &mut place, effort)?;
        if place.is_some() {
            difference.inside.push(place);
        }
    }
    Ok(true)
}

/// Where something compressed or a tar archive begins behind the text of a script, at the beginning of a line.
fn payload(side: Side, file: &dyn Content) -> Result<Option<u64>, ReadError> {
    let window = Window::new(file, 0, SEARCHED);
    let bytes = window.to_vec().map_err(failed(side, 0))?;
    let mut at = 0;
    while let Some(newline) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[at..at + newline];
        if !text::is_text(line) && !line.is_empty() {
            return Ok(None);
        }
        at += newline + 1;
        if compressed::is_compressed(&bytes[at..]) || archive::is_tar(&bytes[at..]) {
            return Ok(Some(at as u64));
        }
    }
    Ok(None)
}
