//! `reprove.diff/1`: a comparison and its causes as a document.
//!
//! Bytes that stand for text (paths, names, quotes) are strings in which control characters and what is not UTF-8 are
//! written `\xff`; bytes that stand for themselves are hexadecimal.

use serde::Serialize;

use crate::{
    diagnose::{Cause, Judgement, Quote},
    diff::{Comparison, Finding, Piece, Place, Range, Ranges, Side, Strings, SymbolChanges, Value},
    report::{accepted, escape::escape_bytes},
};

/// The version of the document.
pub const SCHEMA: &str = "reprove.diff/1";

/// Differing bytes given in hexadecimal for each side of a range.
const BYTES: usize = 256;

/// Its JSON Schema.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

/// The document, ready to be serialised.
pub fn document<'a>(
    comparison: &Comparison,
    causes: &[Cause],
    judgement: Option<&'a Judgement>,
) -> impl Serialize + use<'a> {
    let places = comparison.places();
    let mut document = Document {
        schema: SCHEMA,
        identical: comparison.identical(),
        causes: causes.iter().map(CauseOf::new).collect(),
        differences: Vec::new(),
        cut: Vec::new(),
        notes: Vec::new(),
        accepted: judgement.map(accepted::Document::of),
    };
    for place in &places {
        document.add(place);
    }
    document
}

#[derive(Serialize, schemars::JsonSchema)]
pub(in crate::report) struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    identical: bool,
    causes: Vec<CauseOf>,
    differences: Vec<One>,
    /// What was counted but not kept.
    cut: Vec<Cut>,
    /// Where the comparison looked less closely than it can.
    notes: Vec<NoteOf>,
    /// What of it is accepted, when anything can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<accepted::Document<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(in crate::report) struct CauseOf {
    id: &'static str,
    title: &'static str,
    confidence: u8,
    derived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting_a: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting_b: Option<String>,
    places: u64,
    bytes: u64,
    evidence: Vec<EvidenceOf>,
    fix: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct EvidenceOf {
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    a: Option<QuoteOf>,
    b: Option<QuoteOf>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct QuoteOf {
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Cut {
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    what: &'static str,
    count: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct NoteOf {
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    code: String,
    text: String,
}

/// One difference: where it is, then what is known of its kind.
#[derive(Serialize, Default, schemars::JsonSchema)]
struct One {
    path: String,
    /// The members of archives on the way, from the outermost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<String>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// `a` or `b`, when only one side has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<String>,
    /// Where a field stands, on both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_a: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_b: Option<u64>,
    /// Whether a field follows from other differences.
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<bool>,
    /// How many words refer to what moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_a: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_b: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbols: Option<SymbolCounts>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    range: Option<RangeOf>,
}

/// How the symbols of two files differ, in numbers.
#[derive(Serialize, schemars::JsonSchema)]
struct SymbolCounts {
    table: &'static str,
    both: u64,
    changed: u64,
    moved: u64,
    reordered: u64,
    renamed: u64,
}

/// The symbols that differ, one by one: `symbol`, or `renamed` where only a hash in the name differs.
fn symbols(changes: &SymbolChanges, place: impl Fn() -> One) -> Vec<One> {
    let changed = changes.changed.iter().map(|change| One {
        name: Some(escape_bytes(&change.name)),
        size_a: change.size.a,
        size_b: change.size.b,
        size: Some(change.differing),
        ..place()
    });
    let renamed = changes.renamed.iter().map(|names| One {
        kind: "renamed",
        a: Some(escape_bytes(&names.a)),
        b: Some(escape_bytes(&names.b)),
        ..place()
    });
    changed.chain(renamed).collect()
}

#[derive(Serialize, schemars::JsonSchema)]
struct RangeOf {
    offset_a: u64,
    len_a: u64,
    offset_b: u64,
    len_b: u64,
    differing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    line_a: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line_b: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol_offset: Option<u64>,
    /// The differing bytes, the first 256 of them.
    hex_a: String,
    hex_b: String,
}

impl Document<'_> {
    fn add(&mut self, place: &Place<'_>) {
        let path = escape_bytes(place.path());
        let inside: Vec<String> = place.inside().into_iter().map(escape_bytes).collect();
        let part = place.part().map(|step| escape_bytes(step.to_string().as_bytes()));
        for note in &place.difference.notes {
            let (path, inside, part) = (path.clone(), inside.clone(), part.clone());
            self.notes.push(NoteOf {
                path,
                inside,
                part,
                code: note.code().to_string(),
                text: note.to_string(),
            });
        }
        let at = |kind: &'static str| One {
            path: path.clone(),
            inside: inside.clone(),
            kind,
            part: part.clone(),
            section: place.section().map(escape_bytes),
            ..One::default()
        };
        let pair = |kind, a: String, b: String| One { a: Some(a), b: Some(b), ..at(kind) };
        for finding in &place.difference.found {
            let one = match finding {
                Finding::OnlyIn { side, what, size } => One {
                    side: Some(side.to_string()),
                    size: Some(*size),
                    a: (*side == Side::A).then(|| (*what).to_owned()),
                    b: (*side == Side::B).then(|| (*what).to_owned()),
                    ..at("only-in")
                },
                Finding::Kind(kinds) => pair("kind", kinds.a.name().to_owned(), kinds.b.name().to_owned()),
                Finding::Executable(is) => pair("executable", is.a.to_string(), is.b.to_string()),
                Finding::Target(to) => pair("symlink-target", escape_bytes(&to.a), escape_bytes(&to.b)),
                Finding::Field { name, values, at, derived } => One {
                    field: Some(name),
                    at_a: at.map(|at| at.a),
                    at_b: at.map(|at| at.b),
                    derived: derived.then_some(true),
                    ..pair("field", value(&values.a), value(&values.b))
                },
                Finding::Renamed(names) => pair("renamed", escape_bytes(&names.a), escape_bytes(&names.b)),
                Finding::MemberOrder { moved, first, .. } => One {
                    size: Some(*moved),
                    ..pair("member-order", escape_bytes(&first.a), escape_bytes(&first.b))
                },
                Finding::Encoding { packing, size, packed } => One {
                    field: Some(packing),
                    size: Some(*size),
                    ..pair("encoding", packed.a.to_string(), packed.b.to_string())
                },
                Finding::LineEndings(lines) => pair("line-endings", lines.a.to_string(), lines.b.to_string()),
                Finding::SameValue { format } => One { field: Some(format), ..at("same-value") },
                Finding::Reordered { lines, first, .. } => {
                    One { size: Some(*lines), range: Some(RangeOf::new(first)), ..at("order") }
                }
                Finding::Bytes(ranges) | Finding::Lines(ranges) => {
                    let kind = if matches!(finding, Finding::Lines(_)) { "lines" } else { "bytes" };
                    let all =
                        ranges.list.iter().map(|range| One { range: Some(RangeOf::new(range)), ..at(kind) });
                    self.differences.extend(all);
                    self.cut((&path, &inside, &part), "ranges", omitted(ranges));
                    continue;
                }
                Finding::Moved { words, bytes } => {
                    One { size: Some(*bytes), words: Some(*words), ..at("moved") }
                }
                Finding::Symbols(changes) => {
                    let place = || at("symbol");
                    self.differences.extend(symbols(changes, place));
                    let of_all = |kept: usize, total: u64| total - kept as u64;
                    self.cut(
                        (&path, &inside, &part),
                        "symbols",
                        of_all(changes.changed.len(), changes.total),
                    );
                    self.cut(
                        (&path, &inside, &part),
                        "names",
                        of_all(changes.renamed.len(), changes.renamed_total),
                    );
                    One {
                        symbols: Some(SymbolCounts {
                            table: changes.table,
                            both: changes.both,
                            changed: changes.total,
                            moved: changes.moved,
                            reordered: changes.reordered,
                            renamed: changes.renamed_total,
                        }),
                        ..at("symbols")
                    }
                }
                Finding::Strings(strings) => {
                    for (side, strings) in [(Side::A, &strings.a), (Side::B, &strings.b)] {
                        self.differences.extend(strings.list.iter().map(|(offset, text)| One {
                            side: Some(side.to_string()),
                            size: Some(text.len() as u64),
                            a: (side == Side::A).then(|| escape_bytes(text)),
                            b: (side == Side::B).then(|| escape_bytes(text)),
                            offset: Some(*offset),
                            ..at("string")
                        }));
                        self.cut((&path, &inside, &part), "strings", unlisted(strings));
                    }
                    continue;
                }
            };
            self.differences.push(one);
        }
    }

    fn cut(
        &mut self,
        (path, inside, part): (&str, &[String], &Option<String>),
        what: &'static str,
        count: u64,
    ) {
        if count > 0 {
            let (path, inside, part) = (path.to_owned(), inside.to_vec(), part.clone());
            self.cut.push(Cut { path, inside, part, what, count });
        }
    }
}

fn omitted(ranges: &Ranges) -> u64 {
    ranges.total - ranges.list.len() as u64
}

fn unlisted(strings: &Strings) -> u64 {
    strings.total - strings.list.len() as u64
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(Some(text)) => escape_bytes(text),
        other => other.to_string(),
    }
}

impl RangeOf {
    fn new(range: &Range) -> Self {
        let hex = |piece: &Piece| {
            let bytes = &piece.sample[piece.marked()];
            data_encoding::HEXLOWER.encode(&bytes[..bytes.len().min(BYTES)])
        };
        RangeOf {
            offset_a: range.a.offset,
            len_a: range.a.len,
            offset_b: range.b.offset,
            len_b: range.b.len,
            differing: range.differing,
            line_a: range.lines.map(|lines| lines.a),
            line_b: range.lines.map(|lines| lines.b),
            symbol: range.symbol.as_ref().map(|symbol| escape_bytes(&symbol.name)),
            symbol_offset: range.symbol.as_ref().map(|symbol| symbol.offset),
            hex_a: hex(&range.a),
            hex_b: hex(&range.b),
        }
    }
}

impl CauseOf {
    fn new(cause: &Cause) -> Self {
        let proof = cause.proof.as_ref();
        CauseOf {
            id: cause.entry.id,
            title: cause.entry.title,
            confidence: cause.confidence.0,
            derived: cause.derived,
            setting: proof.map(|proof| proof.setting.clone()),
            setting_a: proof.map(|proof| proof.a.clone()),
            setting_b: proof.map(|proof| proof.b.clone()),
            places: cause.places,
            bytes: cause.bytes,
            evidence: cause
                .evidence
                .iter()
                .map(|evidence| EvidenceOf {
                    path: escape_bytes(&evidence.path),
                    inside: evidence.inside.iter().map(|name| escape_bytes(name)).collect(),
                    part: evidence.part.as_ref().map(|part| escape_bytes(part.as_bytes())),
                    symbol: evidence.symbol.as_ref().map(|name| escape_bytes(name)),
                    a: evidence.a.as_ref().map(QuoteOf::new),
                    b: evidence.b.as_ref().map(QuoteOf::new),
                })
                .collect(),
            fix: cause.entry.fix,
        }
    }
}

impl QuoteOf {
    fn new(quote: &Quote) -> Self {
        let hex = quote.binary.then(|| data_encoding::HEXLOWER.encode(&quote.text));
        let text = (!quote.binary).then(|| escape_bytes(&quote.text));
        QuoteOf { offset: quote.offset, text, hex }
    }
}
