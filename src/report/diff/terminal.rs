//! A comparison for a person: why first, then where.
//!
//! Colours are written as escape sequences always; the stream (`anstream`) drops them when they are not wanted. All
//! that comes from the compared files goes through [`escape_bytes`].

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{folded, hexdump, symbols};
use crate::{
    diagnose::{Cause, Evidence, Quote},
    diff::{
        Comparison, Difference, Finding, Pair, Piece, Place, Range, Ranges, Side, Step, Strings, Symbol,
        Value,
    },
    report::{count::count, escape::escape_bytes},
};

/// How much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What fits a screen or two; says how much more there is.
    Short,
    /// Everything that was kept.
    Full,
}

impl Detail {
    fn pick(self, short: usize) -> usize {
        match self {
            Detail::Short => short,
            Detail::Full => usize::MAX,
        }
    }

    /// Places where a cause shows.
    fn evidence(self) -> usize {
        self.pick(4)
    }

    /// Places with differences.
    fn places(self) -> usize {
        self.pick(24)
    }

    /// Ranges, or fields, of one place.
    pub(super) fn ranges(self) -> usize {
        self.pick(4)
    }

    /// Rows of a hexdump of one side of a range, and lines of one side of a hunk.
    fn rows(self) -> usize {
        self.pick(3)
    }
}

const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const OF_A: Style = AnsiColor::Red.on_default();
pub(super) const OF_B: Style = AnsiColor::Green.on_default();
const HINT: Style = AnsiColor::Cyan.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
/// Longest value shown on one line; a store path with a file below it fits.
const LONGEST: usize = 160;

/// Writes the comparison of `names` to `out`.
pub fn write(
    out: &mut dyn Write,
    names: Pair<&str>,
    comparison: &Comparison,
    causes: &[Cause],
    detail: Detail,
) -> io::Result<()> {
    if comparison.identical() {
        let names = names.map(|name| escape_bytes(name.as_bytes()));
        return writeln!(out, "{BOLD}identical{BOLD:#}  {} and {}", names.a, names.b);
    }
    write_different(out, names)?;
    write_differences(out, comparison, causes, detail)
}

/// Writes that two things differ: the first lines of [`write()`], which are known before all that follows them.
pub fn write_different(out: &mut dyn Write, names: Pair<&str>) -> io::Result<()> {
    let names = names.map(|name| escape_bytes(name.as_bytes()));
    writeln!(out, "{BOLD}different{BOLD:#}  {OF_A}a{OF_A:#} {}", names.a)?;
    writeln!(out, "           {OF_B}b{OF_B:#} {}", names.b)
}

/// Writes why and where two things differ: what follows [`write_different`].
pub fn write_differences(
    out: &mut dyn Write,
    comparison: &Comparison,
    causes: &[Cause],
    detail: Detail,
) -> io::Result<()> {
    writeln!(out, "\n{BOLD}why{BOLD:#}")?;
    for (index, cause) in causes.iter().enumerate() {
        write_cause(out, index + 1, cause, detail)?;
    }
    writeln!(out, "\n{BOLD}where{BOLD:#}")?;
    write_places(out, &comparison.places(), detail)
}

fn write_cause(out: &mut dyn Write, number: usize, cause: &Cause, detail: Detail) -> io::Result<()> {
    let entry = cause.entry;
    writeln!(out, "  {number}. {BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}", entry.title, sureness(cause))?;
    if let Some(proof) = &cause.proof {
        let [setting, a, b] = [&proof.setting, &proof.a, &proof.b].map(|text| escape_bytes(text.as_bytes()));
        writeln!(out, "     the setting {WARN}{setting}{WARN:#} alone changes it: {a} and {b}")?;
    }
    let folded = match detail {
        Detail::Short => folded::evidence(&cause.evidence),
        Detail::Full => cause.evidence.iter().map(|evidence| (evidence, 0)).collect(),
    };
    let shown = &folded[..folded.len().min(detail.evidence())];
    for (evidence, more) in shown {
        write_evidence(out, evidence, *more)?;
    }
    let told: u64 = shown.iter().map(|(_, more)| 1 + more).sum();
    more(out, 5, cause.places.saturating_sub(told), "place", "places")?;
    if cause.derived {
        return Ok(());
    }
    for (index, line) in entry.fix.lines().enumerate() {
        let label = if index == 0 { "fix: " } else { "     " };
        writeln!(out, "     {HINT}{label}{HINT:#}{}", line.trim_start())?;
    }
    Ok(())
}

/// `embedded-build-time, proven, 29 bytes`
fn sureness(cause: &Cause) -> String {
    let mut words = vec![cause.entry.id.to_owned()];
    if cause.derived {
        words.push("follows from the others".to_owned());
    } else if cause.confidence.0 > 0 {
        words.push(cause.confidence.to_string());
    }
    if cause.bytes > 0 {
        words.push(count(cause.bytes, "byte", "bytes"));
    }
    words.join(", ")
}

fn write_evidence(out: &mut dyn Write, evidence: &Evidence, more: u64) -> io::Result<()> {
    let mut place = Vec::new();
    if !evidence.path.is_empty() {
        place.push(escape_bytes(&evidence.path));
    }
    place.extend(evidence.inside.iter().map(|name| escape_bytes(name)));
    let mut place = if place.is_empty() { Vec::new() } else { vec![place.join(" » ")] };
    place.extend(evidence.part.as_ref().map(|part| escape_bytes(part.as_bytes())));
    place.extend(evidence.symbol.as_ref().map(|name| format!("in {}", escape_bytes(name))));
    let place = place.join(" ");
    let quote = |quote: &Option<Quote>, style: Style| match quote {
        None => "nothing like it".to_owned(),
        Some(quote) => {
            let at = quote.offset.map(|offset| format!("  {DIM}at {offset:#x}{DIM:#}")).unwrap_or_default();
            format!("{style}{}{style:#}{at}", value(&quote.text, quote.binary))
        }
    };
    let (a, b) = (quote(&evidence.a, OF_A), quote(&evidence.b, OF_B));
    if !place.is_empty() {
        let others = if more > 0 {
            format!("  {DIM}and {}{DIM:#}", count(more, "more member like it", "more members like it"))
        } else {
            String::new()
        };
        writeln!(out, "     {place}{others}")?;
    }
    writeln!(out, "       {OF_A}a{OF_A:#} {a}\n       {OF_B}b{OF_B:#} {b}")
}

fn value(bytes: &[u8], binary: bool) -> String {
    let shown = &bytes[..bytes.len().min(LONGEST)];
    let text = if binary { data_encoding::HEXLOWER.encode(shown) } else { escape_bytes(shown) };
    let cut = if shown.len() < bytes.len() { "…" } else { "" };
    format!("{text}{cut}")
}

fn write_places(out: &mut dyn Write, places: &[Place<'_>], detail: Detail) -> io::Result<()> {
    if detail == Detail::Full {
        return places.iter().try_for_each(|place| write_place(out, place, &[], 0, detail));
    }
    let (folds, left_out) = folded::places(places);
    let shown = folds.len().min(detail.places());
    for fold in &folds[..shown] {
        write_place(out, fold.first, &fold.others, fold.more, detail)?;
    }
    more(out, 2, (folds.len() - shown) as u64, "place", "places")?;
    more(out, 2, left_out, "place that only follows", "places that only follow")
}

/// One place; `others` and `more` further ones differ in the same way.
fn write_place(
    out: &mut dyn Write,
    place: &Place<'_>,
    others: &[&Step],
    more_of_them: u64,
    detail: Detail,
) -> io::Result<()> {
    let difference: &Difference = place.difference;
    let indent = 2 * place.steps.len();
    let names = std::iter::once(&difference.at).chain(others.iter().copied());
    let mut label: Vec<String> = names.map(|name| escape_bytes(name.to_string().as_bytes())).collect();
    if more_of_them > 0 {
        label.push(format!("and {}", count(more_of_them, "more like them", "more like them")));
    }
    let label = label.join(", ");
    let style = if matches!(difference.at, Step::Entry(_) | Step::Member(_)) { BOLD } else { Style::new() };
    let summary = difference.found.iter().find_map(|finding| match finding {
        Finding::Bytes(ranges) => Some(format!(
            "  {DIM}{} in {}{DIM:#}",
            count(ranges.differing, "byte", "bytes"),
            count(ranges.total, "range", "ranges")
        )),
        Finding::Lines(ranges) => Some(format!("  {DIM}{}{DIM:#}", count(ranges.total, "change", "changes"))),
        _ => None,
    });
    writeln!(out, "{:indent$}{style}{label}{style:#}{}", "", summary.unwrap_or_default())?;
    let indent = indent + 2;
    for note in &difference.notes {
        let text = escape_bytes(note.to_string().as_bytes());
        writeln!(out, "{:indent$}{WARN}note:{WARN:#} {text} [{}]", "", note.code())?;
    }
    // In short, what only follows is told when there is nothing else to tell.
    let follows = |finding: &Finding| matches!(finding, Finding::Field { derived: true, .. });
    let container = matches!(difference.at, Step::Member(_) | Step::Table("archive" | "gzip header"));
    let all_follow = difference.found.iter().all(follows);
    let found: Vec<&Finding> = difference
        .found
        .iter()
        .filter(|finding| detail == Detail::Full || !container || all_follow || !follows(finding))
        .collect();
    let fields = found.iter().filter(|finding| matches!(finding, Finding::Field { .. })).count();
    let mut left = detail.ranges().max(6);
    // A section that is one value has said it: its bytes say no more.
    let is_value = |finding: &Finding| match finding {
        Finding::Field { values, .. } => matches!(values.a, Value::Text(_) | Value::Hex(_)),
        _ => false,
    };
    let section = matches!(difference.at, Step::Section(_));
    let told = detail == Detail::Short && section && found.iter().any(|finding| is_value(finding));
    for finding in found {
        if matches!(finding, Finding::Field { .. }) {
            if left == 0 {
                continue;
            }
            left -= 1;
        } else if told && matches!(finding, Finding::Bytes(_)) {
            continue;
        }
        write_finding(out, indent, finding, detail)?;
    }
    more(out, indent, fields.saturating_sub(detail.ranges().max(6)) as u64, "field", "fields")
}

fn write_finding(out: &mut dyn Write, indent: usize, finding: &Finding, detail: Detail) -> io::Result<()> {
    let line = |out: &mut dyn Write, text: String| writeln!(out, "{:indent$}{text}", "");
    match finding {
        Finding::OnlyIn { side, what, size } => {
            line(out, format!("only in {side}: {what} of {}", count(*size, "byte", "bytes")))
        }
        Finding::Kind(kinds) => line(out, both(kinds.a.name(), kinds.b.name())),
        Finding::Executable(pair) => {
            let word = |yes: bool| if yes { "executable" } else { "not executable" };
            line(out, both(word(pair.a), word(pair.b)))
        }
        Finding::Target(pair) => {
            line(out, format!("link to {}", both(&value(&pair.a, false), &value(&pair.b, false))))
        }
        Finding::Field { name, values, derived, .. } => {
            let values = values.as_ref().map(field_value);
            let follows = if *derived { format!("  {DIM}(follows){DIM:#}") } else { String::new() };
            line(out, format!("{name}: {}{follows}", both(&values.a, &values.b)))
        }
        Finding::Renamed(names) => {
            let names = names.as_ref().map(|name| value(name, false));
            line(out, format!("the same contents, called {}", both(&names.a, &names.b)))
        }
        Finding::MemberOrder { members, moved, first } => {
            let first = first.as_ref().map(|name| value(name, false));
            let members = count(*members, "member", "members");
            line(
                out,
                format!("another order: {moved} of {members} moved; first {}", both(&first.a, &first.b)),
            )
        }
        Finding::Encoding { packing, size, packed } => {
            let packed = packed.map(|packed| count(packed, "byte", "bytes"));
            let size = count(*size, "byte", "bytes");
            line(out, format!("the same {size}, packed by {packing} in {}", both(&packed.a, &packed.b)))
        }
        Finding::LineEndings(counts) => {
            let word = |lines: u64| format!("{} CR LF", count(lines, "line ends in", "lines end in"));
            line(out, both(&word(counts.a), &word(counts.b)))
        }
        Finding::SameValue { format: "final tree" } => {
            line(out, "the same files, cut otherwise into layers".into())
        }
        Finding::SameValue { format } => line(out, format!("the same {format} value, written otherwise")),
        Finding::Reordered { lines, first, .. } => {
            line(out, format!("the same {lines} lines in another order; the first that differ:"))?;
            write_hunk(out, indent, first, detail)
        }
        Finding::Lines(ranges) => write_ranges(out, indent, ranges, detail, write_hunk),
        Finding::Bytes(ranges) => write_ranges(out, indent, ranges, detail, write_bytes),
        Finding::Moved { words, bytes } => {
            let bytes = count(*bytes, "byte", "bytes");
            let what = match words {
                0 => format!("{bytes} of padding"),
                1 => format!("{bytes} in 1 word that refers to what moved"),
                _ => format!("{bytes} in {} that refer to what moved", count(*words, "word", "words")),
            };
            line(out, format!("{DIM}{what}{DIM:#}"))
        }
        Finding::Symbols(changes) => symbols::write(out, indent, changes, detail),
        Finding::Strings(strings) => {
            write_strings(out, indent, Side::A, &strings.a, detail)?;
            write_strings(out, indent, Side::B, &strings.b, detail)
        }
    }
}

/// What is said of a finding, with its styles, for views that show the same words.
pub(in crate::report) fn finding_for_terminal(finding: &Finding) -> String {
    let mut text = Vec::new();
    // Writing to a Vec cannot fail.
    let _ = write_finding(&mut text, 0, finding, Detail::Full);
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

fn both(a: &str, b: &str) -> String {
    format!("{OF_A}{a}{OF_A:#} in a, {OF_B}{b}{OF_B:#} in b")
}

fn field_value(field: &Value) -> String {
    match field {
        Value::Text(Some(text)) => value(text, false),
        Value::Hex(Some(bytes)) => value(bytes, true),
        other => other.to_string(),
    }
}

fn write_ranges(
    out: &mut dyn Write,
    indent: usize,
    ranges: &Ranges,
    detail: Detail,
    one: fn(&mut dyn Write, usize, &Range, Detail) -> io::Result<()>,
) -> io::Result<()> {
    let shown = ranges.list.len().min(detail.ranges());
    for range in &ranges.list[..shown] {
        one(out, indent, range, detail)?;
    }
    more(out, indent, ranges.total - shown as u64, "range", "ranges")
}

fn write_bytes(out: &mut dyn Write, indent: usize, range: &Range, detail: Detail) -> io::Result<()> {
    let symbol = range.symbol.as_ref().map(|symbol| {
        let Symbol { name, offset } = symbol;
        format!("  {DIM}in {} + {offset:#x}{DIM:#}", escape_bytes(name))
    });
    let size = if range.a.len == range.b.len {
        count(range.differing, "byte", "bytes")
    } else {
        format!("{} in a, {} in b", count(range.a.len, "byte", "bytes"), count(range.b.len, "byte", "bytes"))
    };
    writeln!(out, "{:indent$}{DIM}{}: {size}{DIM:#}{}", "", offsets(range), symbol.unwrap_or_default())?;
    let dump = |piece: &Piece, other: &Piece, style: Style| {
        hexdump::rows(piece, &hexdump::marks(range, piece, other), detail.rows(), style)
    };
    let (a, b) = (dump(&range.a, &range.b, OF_A), dump(&range.b, &range.a, OF_B));
    let one = |out: &mut dyn Write, side: Side, row: &str| {
        let style = if side == Side::A { OF_A } else { OF_B };
        writeln!(out, "{:indent$}{style}{side}{style:#} {row}", "")
    };
    // Rows of the same positions stand under each other; where bytes moved, each side is read for itself.
    if range.a.len == range.b.len && range.a.offset == range.b.offset {
        for (a, b) in a.0.iter().zip(&b.0) {
            one(out, Side::A, a)?;
            one(out, Side::B, b)?;
        }
    } else {
        a.0.iter().try_for_each(|row| one(out, Side::A, row))?;
        b.0.iter().try_for_each(|row| one(out, Side::B, row))?;
    }
    more(out, indent, a.1.max(b.1), "row", "rows")
}

/// `0x2004`, or both when they are not the same.
fn offsets(range: &Range) -> String {
    let (a, b) = (range.a.offset, range.b.offset);
    if a == b { format!("{a:#x}") } else { format!("{a:#x} in a, {b:#x} in b") }
}

/// Lines of a text that differ.
fn write_hunk(out: &mut dyn Write, indent: usize, range: &Range, detail: Detail) -> io::Result<()> {
    if let Some(lines) = range.lines {
        let line = if lines.a == lines.b {
            lines.a.to_string()
        } else {
            format!("{} in a, {} in b", lines.a, lines.b)
        };
        writeln!(out, "{:indent$}{DIM}line {line}{DIM:#}", "")?;
    }
    for (side, piece, style) in [('-', &range.a, OF_A), ('+', &range.b, OF_B)] {
        let lines = lines_of(piece);
        for (text, whole) in lines.iter().take(detail.rows()) {
            let cut = if *whole { "" } else { "…" };
            writeln!(out, "{:indent$}{style}{side} {}{style:#}{cut}", "", escape_bytes(text))?;
        }
        more(out, indent, lines.len().saturating_sub(detail.rows()) as u64, "line", "lines")?;
    }
    Ok(())
}

/// The lines a piece touches, each cut to what fits, and whether it is whole.
fn lines_of(piece: &Piece) -> Vec<(&[u8], bool)> {
    let (sample, marked) = (&piece.sample, piece.marked());
    if marked.is_empty() && piece.len == 0 && sample[..marked.start].ends_with(b"\n") {
        return Vec::new();
    }
    let start = sample[..marked.start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut end = marked.end;
    if end == start || sample[end - 1] != b'\n' {
        end = sample[end..].iter().position(|byte| *byte == b'\n').map_or(sample.len(), |at| end + at);
    }
    let text = sample[start..end].strip_suffix(b"\n").unwrap_or(&sample[start..end]);
    text.split(|byte| *byte == b'\n')
        .map(|line| (&line[..line.len().min(LONGEST)], line.len() <= LONGEST))
        .collect()
}

fn write_strings(
    out: &mut dyn Write,
    indent: usize,
    side: Side,
    strings: &Strings,
    detail: Detail,
) -> io::Result<()> {
    if strings.total == 0 {
        return Ok(());
    }
    let style = if side == Side::A { OF_A } else { OF_B };
    writeln!(out, "{:indent$}{DIM}strings only in {side}{DIM:#}", "")?;
    let shown = strings.list.len().min(detail.ranges());
    for (offset, text) in &strings.list[..shown] {
        writeln!(
            out,
            "{:indent$}{style}{side}{style:#} {offset:#010x}  {style}{}{style:#}",
            "",
            value(text, false)
        )?;
    }
    more(out, indent, strings.total - shown as u64, "string", "strings")
}

/// What was left out, and how to see it.
pub(super) fn more(out: &mut dyn Write, indent: usize, count: u64, one: &str, many: &str) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "{:indent$}{DIM}… {} more, see --full or --json{DIM:#}", "", self::count(count, one, many))
}
