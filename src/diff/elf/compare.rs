//! Two ELF files: what their sections say, and everything an executable of any format has.

use super::{
    dynamic, image, names,
    parse::{self, Broken, Elf},
};
use crate::diff::{
    Content, Difference, FileKind, Finding, Note, Pair, ReadError, Side, Step, Value, Window, bytes,
    executable, go, limits::Effort,
};

/// Longest bytes of a note or string section shown as one value; the interpreter, the compiler's comment.
const MAX_VALUE: u64 = 4096;

/// Adds the parts in which two ELF files differ; a note when one of them is broken.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let parse = |side: Side| match parse::parse(*files.of(side)) {
        Ok(elf) => Ok(Ok(elf)),
        Err(Broken::At(offset, what)) => Ok(Err(Note::BrokenElf { side, offset, what })),
        Err(Broken::Io(offset, source)) => Err(ReadError { side, offset, source }),
    };
    let elves = match (parse(Side::A)?, parse(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    let images = Pair::new(image::image(files.a, &elves.a), image::image(files.b, &elves.b));
    let info = |file: &dyn Content, image: &executable::Image| {
        go::BuildInfo::read(file, &image.sections, image.big_endian)
    };
    let infos = Pair::new(info(files.a, &images.a), info(files.b, &images.b));
    difference.kind = Some(kind(&elves, &infos));
    let mut words = Difference::new(Step::Dynamic);
    words.found = dynamic::compare(files, &elves);
    let mut parts = vec![words];
    if let Pair { a: Some(a), b: Some(b) } = infos {
        parts.push(go::compare(&Pair::new(a, b)));
    }
    parts.extend(executable::compare(files, &images, &meaning, effort)?);
    difference.inside.extend(parts.into_iter().filter(Difference::is_some));
    Ok(())
}

/// What both are, in words: side a's where they differ.
fn kind(elves: &Pair<Elf>, infos: &Pair<Option<go::BuildInfo>>) -> FileKind {
    let said = |name: &'static str| {
        let (_, value) = elves.a.header.iter().find(|(field, _)| *field == name)?;
        names::value(name, *value).map(str::to_owned)
    };
    let kind = said("e_type").map_or("ELF".to_owned(), |kind| format!("ELF {kind}"));
    let version = infos.a.as_ref().map(|info| String::from_utf8_lossy(&info.version).into_owned());
    let words: Vec<String> = [Some(kind), said("e_machine"), version].into_iter().flatten().collect();
    FileKind { words: words.join(", "), go: infos.a.is_some() && infos.b.is_some() }
}

/// What a section that differs means, for the few that are one value.
fn meaning(name: &[u8], windows: Pair<Window<'_>>) -> Result<Vec<Finding>, ReadError> {
    let (field, is_text) = match name {
        b".interp" => ("program interpreter", true),
        b".comment" => ("compiler", true),
        b".note.gnu.build-id" => ("build id", false),
        b".note.go.buildid" => ("Go build id", true),
        b".gnu_debuglink" => ("debug link", false),
        _ => return Ok(Vec::new()),
    };
    if windows.a.size().max(windows.b.size()) > MAX_VALUE {
        return Ok(Vec::new());
    }
    let bytes = Pair::new(
        windows.a.to_vec().map_err(bytes::failed(Side::A, windows.a.start()))?,
        windows.b.to_vec().map_err(bytes::failed(Side::B, windows.b.start()))?,
    );
    let value = |bytes: Vec<u8>| {
        // A note: sizes of name and description, type, name padded to four bytes, description.
        let note = name.starts_with(b".note").then(|| bytes.get(16..).unwrap_or_default().to_vec());
        let bytes = note.unwrap_or(bytes);
        if is_text {
            let strings: Vec<&[u8]> =
                bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty()).collect();
            Value::Text(Some(strings.join(&b"; "[..])))
        } else {
            Value::Hex(Some(bytes))
        }
    };
    Ok(vec![Finding::Field { name: field, values: bytes.map(value), at: None, derived: false }])
}
