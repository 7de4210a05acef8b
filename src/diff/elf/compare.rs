//! Two ELF files: what their sections say, and everything an executable of any format has.

use object::{Endianness, elf::SHT_NOTE};

use super::{
    debug, dynamic, image, names, notes,
    parse::{self, Broken, Elf},
    relocations,
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
    let is_gcov = |symbols: &executable::Symbols| {
        symbols.list().iter().any(|part| symbols.name(part).starts_with(b"__gcov"))
    };
    let coverage = is_gcov(&images.a.symbols);
    difference.kind = Some(FileKind { coverage, ..kind(&elves, &infos) });
    difference.layout = Some(Pair::new(images.a.layout(files.a), images.b.layout(files.b)));
    let mut words = Difference::new(Step::Dynamic);
    words.found = dynamic::compare(files, &elves);
    let mut parts = vec![words];
    if let Pair { a: Some(a), b: Some(b) } = infos {
        parts.push(go::compare(&Pair::new(a, b)));
    }
    let meaning = |name: &[u8], windows: Pair<Window<'_>>| meaning(name, windows, &elves.a);
    let mut compared = executable::compare(files, &images, &meaning, effort)?;
    relocations::compare(files, &elves, &images, &mut compared);
    if compared.iter().any(|part| matches!(&part.at, Step::Section(name) if executable::is_debug_name(name)))
    {
        debug::unpack(files, &elves, &mut compared, effort)?;
        parts.extend(debug::units(files, &elves, effort));
    }
    parts.extend(compared);
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
    FileKind { words: words.join(", "), go: infos.a.is_some() && infos.b.is_some(), coverage: false }
}

/// What a section that differs means, for notes and the few others that are one value.
fn meaning(name: &[u8], windows: Pair<Window<'_>>, elf: &Elf) -> Result<Vec<Finding>, ReadError> {
    let is_note = elf.sections.iter().any(|section| section.name == name && section.kind == SHT_NOTE);
    let field = match name {
        _ if is_note => "",
        b".interp" => "program interpreter",
        b".comment" => "compiler",
        b".gnu_debuglink" => "debug link",
        b".GCC.command.line" => "compiler flags",
        b".riscv.attributes" | b".ARM.attributes" => "processor",
        _ => return Ok(Vec::new()),
    };
    if windows.a.size().max(windows.b.size()) > MAX_VALUE {
        return Ok(Vec::new());
    }
    let bytes = Pair::new(
        windows.a.to_vec().map_err(bytes::failed(Side::A, windows.a.start()))?,
        windows.b.to_vec().map_err(bytes::failed(Side::B, windows.b.start()))?,
    );
    if is_note {
        let slices = bytes.as_ref().map(Vec::as_slice);
        return Ok(notes::compare(slices, elf.endian == Endianness::Big, elf.is_64));
    }
    let value = |bytes: Vec<u8>| {
        if field == "debug link" {
            return Value::Hex(Some(bytes));
        }
        let printable = |byte: &u8| matches!(byte, 0x20..=0x7e);
        let strings = bytes.split(|byte| !printable(byte)).filter(|text| text.len() > 2);
        Value::Text(Some(strings.collect::<Vec<_>>().join(&b"; "[..])))
    };
    Ok(vec![Finding::Field { name: field, values: bytes.map(value), at: None, derived: false }])
}
