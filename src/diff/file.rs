//! The contents of two files: by structure where there is one, by lines where they are text, else by bytes.

use super::{
    Content, Difference, Finding, Layout, Note, Pair, ReadError, Side, appended, archive,
    bytes::{self, Found, Moved, failed},
    compressed,
    content::Window,
    elf, gcov, json,
    limits::Effort,
    macho, pe, png, pyc, text, wasm,
};

/// How much of a file is looked at to tell what it is.
const HEAD: u64 = 8 << 10;

/// Adds what differs between two files of one format to their place.
type Compare = fn(Pair<&dyn Content>, &mut Difference, &Effort<'_>) -> Result<(), ReadError>;

/// A format that is compared by its structure.
struct Format {
    /// Whether a file that begins with these bytes claims to have it.
    is: fn(&[u8]) -> bool,
    /// Adds the places that differ to the file's own. Where one side is broken it adds a note and nothing else: the
    /// bytes are compared then. Bytes that no part of the structure covers are its to compare as well.
    compare: Compare,
}

/// All of them; the first that both sides claim to have is taken.
const FORMATS: &[Format] = &[
    Format { is: elf::is_elf, compare: elf::compare },
    Format { is: pe::is_pe, compare: pe::compare },
    Format { is: macho::is_macho, compare: macho::compare },
    Format { is: macho::is_universal, compare: macho::compare_universal },
    Format { is: wasm::is_wasm, compare: wasm::compare },
    Format { is: gcov::is_gcov, compare: gcov::compare },
    Format { is: archive::is_ar, compare: archive::compare_ar },
    Format { is: compressed::is_gzip, compare: compressed::compare_gzip },
    Format { is: compressed::is_xz, compare: compressed::compare_xz },
    Format { is: compressed::is_zstd, compare: compressed::compare_zstd },
    Format { is: compressed::is_bzip2, compare: compressed::compare_bzip2 },
    // Each by another program.
    Format { is: compressed::is_compressed, compare: compressed::compare_mixed },
    Format { is: archive::is_zip, compare: archive::compare_zip },
    Format { is: archive::is_squashfs, compare: archive::compare_squashfs },
    Format { is: archive::is_nar, compare: archive::compare_nar },
    Format { is: archive::is_cpio, compare: archive::compare_cpio },
    Format { is: png::is_png, compare: png::compare },
    Format { is: pyc::is_pyc, compare: pyc::compare },
    Format { is: archive::is_tar, compare: archive::compare_tar },
];

/// Compares two files and adds what differs to `difference`. Equal bytes add nothing, unequal bytes always
/// something: whatever a closer look finds or fails to find, this is decided first.
pub(super) fn compare(
    pair: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let windows = pair.map(Window::of);
    let middle = bytes::trim(windows)?;
    if middle.a.size() == 0 && middle.b.size() == 0 {
        return Ok(());
    }
    effort.differs();
    difference.layout = Some(pair.map(|file| Layout { size: file.len(), sections: Vec::new() }));
    let head = |side: Side| {
        let window = windows.of(side).part(0, HEAD);
        window.to_vec().map_err(failed(side, 0))
    };
    let heads = Pair::new(head(Side::A)?, head(Side::B)?);
    let before = (difference.found.len(), difference.inside.len());
    if let Some(format) = FORMATS.iter().find(|format| (format.is)(&heads.a) && (format.is)(&heads.b)) {
        let notes_before = difference.notes.len();
        (format.compare)(pair, difference, effort)?;
        let nothing = (difference.found.len(), difference.inside.len()) == before;
        if nothing && difference.notes.len() == notes_before {
            difference.notes.push(Note::NothingByStructure);
        }
    } else if appended::compare(pair, Pair::new(&heads.a, &heads.b), difference, effort)? {
        // Told.
    } else if text::is_text(&heads.a) && text::is_text(&heads.b) {
        if json::is_json(&heads.a) && json::is_json(&heads.b) {
            difference.found.extend(json::compare(windows)?);
        }
        match text::compare(windows, middle, effort)? {
            Ok(finding) => difference.found.push(finding),
            Err(note) => difference.notes.push(note),
        }
    }
    if (difference.found.len(), difference.inside.len()) == before {
        match bytes::compare(windows, effort)? {
            Some(found) => add(found, difference),
            // `trim` saw a difference a moment ago: whatever gives the bytes gave others now. Never call it equal.
            None => difference.found.push(Finding::Bytes(bytes::whole(middle, effort)?)),
        }
    }
    Ok(())
}

/// Adds what was found in bytes to a place.
pub(super) fn add(found: Found, difference: &mut Difference) {
    if found.ranges.total > 0 {
        difference.found.push(Finding::Bytes(found.ranges));
    }
    if found.moved != Moved::default() {
        difference.found.push(Finding::Moved { words: found.moved.words, bytes: found.moved.bytes });
    }
    difference.found.extend(found.strings.map(Finding::Strings));
    difference.notes.extend(found.note);
}
