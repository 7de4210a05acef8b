//! Rules about archives and compressed files: their members, their order, and what headers say.

use super::{Diagnosis, Passage, evidence, field_evidence, quote, quotes, said};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Pair, Piece, Place, Step, Strings, Value},
};

/// What a header says of a member, or of the file as a whole.
pub(super) fn field(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Field { name, values, at, derived: false } = finding else { return false };
    let cause = match place.steps.last() {
        Some(Step::Member(_)) => of_member(name),
        Some(Step::Table("gzip header")) => Some("gzip-header"),
        Some(Step::Table("pyc header")) => of_pyc(name),
        Some(Step::Table("marshalled code")) => Some("pyc-path"),
        Some(Step::Table("PNG")) => of_png(name),
        Some(Step::Section(kind)) if kind == b"IDAT" => Some("deflate-encoder"),
        // Of a file system image.
        Some(Step::Table("archive")) if *name == "time of creation" => Some("embedded-build-time"),
        Some(Step::Table("archive" | "compression" | "layers")) => Some("archive-format"),
        _ => None,
    };
    let Some(cause) = cause else { return false };
    diagnosis.add(cause, Confidence(95), field_evidence(place, name, values, *at), 0);
    true
}

/// The cause that a field of a compiled Python file's header speaks for.
fn of_pyc(name: &str) -> Option<&'static str> {
    match name {
        "mtime of the source" | "valid" => Some("pyc-mtime"),
        "magic number" => Some("compiler-version"),
        _ => None,
    }
}

/// The cause that a field of a PNG image speaks for: none where the picture is another one.
fn of_png(name: &str) -> Option<&'static str> {
    match name {
        "time of last change" => Some("embedded-build-time"),
        "chunks" | "gamma" | "unit" | "pixels per unit, x" | "pixels per unit, y" => {
            Some("archive-extra-metadata")
        }
        "interlace" => Some("deflate-encoder"),
        _ => None,
    }
}

/// The cause that a field of a member's header speaks for.
fn of_member(name: &str) -> Option<&'static str> {
    Some(match name {
        // A file in the archive, seen as a tree, has other fields of these names.
        "mtime" | "pax mtime" | "mtime in local header" | "mtime in UTC" => "archive-member-mtime",
        "uid" | "gid" | "user name" | "group name" => "archive-member-owner",
        "pax uid" | "pax gid" | "pax user name" | "pax group name" => "archive-member-owner",
        "mode" => "archive-member-mode",
        "level" | "level in local header" => "deflate-encoder",
        "link target" => "symlink-target",
        "kind" => "missing-file",
        "format" | "type" | "spelling" | "name as written" | "extended headers" | "layer" => "archive-format",
        "made by" | "version needed" | "flags" | "method" | "internal attributes" => "archive-format",
        "version needed in local header" | "flags in local header" | "method in local header" => {
            "archive-format"
        }
        _ => "archive-extra-metadata",
    })
}

/// The same members in another order.
pub(super) fn order(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::MemberOrder { members, moved, first } = finding else { return false };
    let quotes = first.as_ref().map(|name| Some(quote(None, name.clone())));
    let mut found = evidence(place, None, quotes.a, quotes.b);
    found.part = Some(format!("{moved} of {members} members, the first"));
    diagnosis.add("archive-member-order", Confidence(95), found, 0);
    true
}

/// The same contents under another name.
pub(super) fn renamed(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Renamed(names) = finding else { return false };
    let quotes = names.as_ref().map(|name| Some(quote(None, name.clone())));
    let mut found = evidence(place, None, quotes.a, quotes.b);
    found.part = Some("the same contents under another name".to_owned());
    diagnosis.add("missing-file", Confidence::HIGH, found, 0);
    true
}

/// The same contents, packed otherwise.
pub(super) fn encoding(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Encoding { packing, size, packed } = finding else { return false };
    let word = |packed: u64| format!("{size} bytes packed in {packed} by {packing}");
    diagnosis.add("deflate-encoder", Confidence(95), said(place, word(packed.a), word(packed.b)), 0);
    true
}

/// Bytes that only index or check other members.
pub(super) fn index(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    if !place.steps.iter().any(|step| is_index(step)) {
        return false;
    }
    let (range, quotes) = (passage.range, quotes(passage.range));
    let found = evidence(place, Some(range), quotes.a, quotes.b);
    diagnosis.layout.add(Confidence::LOW, found, range.differing);
    true
}

/// The path of the source on both sides, when the code of compiled Python says that it differs, and where it stands.
fn paths_of_source<'a>(place: &Place<'a>) -> Option<(Pair<&'a [u8]>, Pair<u64>)> {
    let Some(Step::Table("marshalled code")) = place.steps.last() else { return None };
    place.difference.found.iter().find_map(|finding| match finding {
        Finding::Field {
            name: "co_filename",
            values: Pair { a: Value::Text(Some(a)), b: Value::Text(Some(b)) },
            at: Some(at),
            ..
        } => Some((Pair::new(a.as_slice(), b.as_slice()), *at)),
        _ => None,
    })
}

/// A range of compiled Python that lies in the path of the source: the field beside it has told it.
pub(super) fn path_of_source(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    passage: &mut Passage<'_>,
) -> bool {
    let Some((paths, at)) = paths_of_source(place) else { return false };
    // Before it stand its type and its length.
    let within = |piece: &Piece, at: u64, path: &[u8]| {
        piece.offset + 5 >= at && piece.offset + piece.len <= at + path.len() as u64
    };
    let range = passage.range;
    let known = within(&range.a, at.a, paths.a) && within(&range.b, at.b, paths.b);
    if known {
        diagnosis.add_bytes("pyc-path", place, range.differing);
    }
    known
}

/// New strings of compiled Python that are parts of that path.
pub(super) fn strings_of_path(_: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Strings(strings) = finding else { return false };
    let Some((paths, _)) = paths_of_source(place) else { return false };
    let part = |strings: &Strings, path: &[u8]| {
        let mut texts = strings.list.iter().map(|(_, text)| text);
        texts.all(|text| path.windows(text.len().max(1)).any(|window| window == text))
    };
    part(&strings.a, paths.a) && part(&strings.b, paths.b)
}

/// A table of the members of an archive, or the list of the files with their hashes of a Python package (`RECORD`) or
/// of a Debian package (`md5sums`). A jar's manifest is none: it says who built it, and when.
fn is_index(step: &Step) -> bool {
    match step {
        Step::Index => true,
        Step::Member(name) => name.ends_with(b".dist-info/RECORD") || name == b"./md5sums",
        _ => false,
    }
}
