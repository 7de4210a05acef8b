//! What the dynamic section says in words: which libraries, found where.

use object::{
    Endianness,
    elf::{DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, Dyn32, Dyn64, SHT_DYNAMIC},
    pod::{self, Pod},
    read::elf::Dyn,
};

use super::parse::{Elf, string_at};
use crate::diff::{Content, Finding, Pair, Value};

/// Bytes of a dynamic section and of its strings that are read. Larger ones are compared as bytes only.
const MAX_TABLE: u64 = 16 << 20;

/// The tags compared by what they say.
const TAGS: [(u32, &str); 4] =
    [(DT_NEEDED, "DT_NEEDED"), (DT_SONAME, "DT_SONAME"), (DT_RPATH, "DT_RPATH"), (DT_RUNPATH, "DT_RUNPATH")];

/// The tags that differ.
pub(super) fn compare(files: Pair<&dyn Content>, elves: &Pair<Elf>) -> Vec<Finding> {
    let (Some(a), Some(b)) = (strings(files.a, &elves.a), strings(files.b, &elves.b)) else {
        return Vec::new();
    };
    TAGS.into_iter()
        .zip(a.into_iter().zip(b))
        .filter(|(_, (a, b))| a != b)
        .map(|((_, name), (a, b))| Finding::Field {
            name,
            values: Pair::new(Value::Text(a), Value::Text(b)),
            at: None,
            derived: false,
        })
        .collect()
}

/// The strings of each tag, joined when there are several. `None` when there is no such section or it is broken:
/// its bytes are compared all the same.
fn strings(file: &dyn Content, elf: &Elf) -> Option<[Option<Vec<u8>>; 4]> {
    let section = elf.sections.iter().find(|section| section.kind == SHT_DYNAMIC)?;
    let strings = elf.sections.get(section.link as usize)?;
    if section.file_size() > MAX_TABLE || strings.file_size() > MAX_TABLE {
        return None;
    }
    let (bytes, strings) = (section.window(file).to_vec().ok()?, strings.window(file).to_vec().ok()?);
    let entries = if elf.is_64 {
        entries::<Dyn64<Endianness>>(&bytes, elf.endian)
    } else {
        entries::<Dyn32<Endianness>>(&bytes, elf.endian)
    };
    Some(TAGS.map(|(tag, _)| {
        let of_tag = entries.iter().filter(|(found, _)| *found == u64::from(tag));
        let texts: Vec<&[u8]> = of_tag.filter_map(|(_, offset)| string_at(&strings, *offset)).collect();
        (!texts.is_empty()).then(|| texts.join(&b"; "[..]))
    }))
}

/// Tags and values up to the end mark or the end of the section.
fn entries<D: Dyn<Endian = Endianness> + Pod>(bytes: &[u8], endian: Endianness) -> Vec<(u64, u64)> {
    let Ok((entries, _)) = pod::slice_from_bytes::<D>(bytes, bytes.len() / size_of::<D>()) else {
        return Vec::new();
    };
    let entries = entries.iter().map(|entry| (entry.d_tag(endian).into(), entry.d_val(endian).into()));
    // Only what has a string is of interest here: a hostile section has few million others.
    entries
        .take_while(|(tag, _)| *tag != u64::from(DT_NULL))
        .filter(|(tag, _)| TAGS.iter().any(|(wanted, _)| u64::from(*wanted) == *tag))
        .take(MAX_STRINGS)
        .collect()
}

/// Libraries and search paths one file may have.
const MAX_STRINGS: usize = 4096;
