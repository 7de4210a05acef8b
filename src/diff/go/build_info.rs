//! The build information of a Go binary (debug/buildinfo in Go's library): the toolchain's version and its settings.

use crate::diff::{
    Content, Difference, Finding, Pair, Step, Value,
    executable::{Field, Section},
};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Length of the header; inline strings begin behind it.
const HEADER: usize = 32;
/// The linker wraps the settings in two marks of this length.
const MARK: usize = 16;
/// Longest version and settings read: settings list every dependency, a few hundred bytes for each.
const LONGEST: usize = 4 << 20;

/// How a Go binary was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::diff) struct BuildInfo {
    /// `go1.26.3`
    pub version: Vec<u8>,
    /// Lines of the settings: `build`, `path`, `mod` and `dep`, tab, what they say.
    pub lines: Vec<Vec<u8>>,
}

impl BuildInfo {
    /// Reads it from the sections of a binary; `None` when there is none.
    pub fn read(file: &dyn Content, sections: &[Section], big_endian: bool) -> Option<BuildInfo> {
        let names: [&[u8]; 3] = [b".go.buildinfo", b"__DATA,__go_buildinfo", b".data"];
        let (_, bytes) = super::section(file, sections, &names)?;
        // In its own section it is the first thing; in `.data` of a PE file it stands at a multiple of 16.
        let at = bytes.chunks(16).take(1 << 16).position(|chunk| chunk.starts_with(MAGIC))? * 16;
        let bytes = &bytes[at..];
        let (pointer, flags) = (*bytes.get(14)?, *bytes.get(15)?);
        let (version, settings) = if flags & 2 != 0 {
            let (version, used) = inline(bytes.get(HEADER..)?)?;
            let (settings, _) = inline(bytes.get(HEADER + used..)?)?;
            (version, settings)
        } else {
            let read =
                |at: usize| pointed(file, sections, bytes.get(at..)?, usize::from(pointer), big_endian);
            (read(16)?, read(16 + usize::from(pointer))?)
        };
        let settings = match settings.len().checked_sub(MARK) {
            Some(end) if end >= MARK => settings[MARK..end].to_vec(),
            _ => Vec::new(),
        };
        let lines = settings.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Some(BuildInfo { version, lines: lines.map(<[u8]>::to_vec).collect() })
    }

    /// The value of a build setting.
    fn setting(&self, name: &str) -> Option<Vec<u8>> {
        let prefix = format!("build\t{name}=");
        self.lines.iter().find_map(|line| line.strip_prefix(prefix.as_bytes()).map(<[u8]>::to_vec))
    }

    /// The lines that are no setting with a field of its own.
    fn others(&self) -> Vec<&[u8]> {
        let known =
            |line: &&[u8]| SETTINGS.iter().any(|name| line.starts_with(format!("build\t{name}=").as_bytes()));
        self.lines.iter().map(Vec::as_slice).filter(|line| !known(line)).collect()
    }
}

/// A string with its length before it, and the bytes both take.
fn inline(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut len, mut used) = (0usize, 0);
    loop {
        let byte = *bytes.get(used)?;
        len |= usize::from(byte & 0x7f).checked_shl(7 * used as u32)?;
        used += 1;
        if byte < 0x80 {
            break;
        }
        if used > 5 {
            return None;
        }
    }
    let text = bytes.get(used..used.checked_add(len.min(LONGEST))?)?;
    Some((text.to_vec(), used + len))
}

/// The string whose header is pointed to, as binaries before Go 1.18 have it.
fn pointed(
    file: &dyn Content,
    sections: &[Section],
    bytes: &[u8],
    pointer: usize,
    big_endian: bool,
) -> Option<Vec<u8>> {
    let number = |bytes: &[u8]| -> Option<u64> {
        let word = bytes.get(..pointer)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if big_endian { word.iter().fold(0, fold) } else { word.iter().rev().fold(0, fold) })
    };
    let read = |address: u64, len: usize| -> Option<Vec<u8>> {
        let section = sections.iter().find(|section| {
            section.address.is_some_and(|start| address >= start && address - start < section.size)
        })?;
        let skip = address - section.address?;
        let window = section.window(file);
        let part = window.part(window.start() + skip, window.start() + skip + len as u64);
        (part.size() == len as u64).then(|| part.to_vec().ok()).flatten()
    };
    if pointer != 4 && pointer != 8 {
        return None;
    }
    let header = read(number(bytes)?, 2 * pointer)?;
    let len = usize::try_from(number(&header[pointer..])?).ok()?.min(LONGEST);
    read(number(&header)?, len)
}

/// The settings that `go version -m` lists and that change a binary.
const SETTINGS: [&str; 27] = [
    "-asmflags",
    "-buildmode",
    "-compiler",
    "-gcflags",
    "-ldflags",
    "-tags",
    "-trimpath",
    "-race",
    "-pgo",
    "CGO_ENABLED",
    "CGO_CFLAGS",
    "CGO_CPPFLAGS",
    "CGO_CXXFLAGS",
    "CGO_LDFLAGS",
    "GOARCH",
    "GOOS",
    "GO386",
    "GOAMD64",
    "GOARM",
    "GOARM64",
    "GORISCV64",
    "GOEXPERIMENT",
    "vcs",
    "vcs.revision",
    "vcs.time",
    "vcs.modified",
    "DefaultGODEBUG",
];

/// What differs in how two Go binaries were built.
pub(in crate::diff) fn compare(infos: &Pair<BuildInfo>) -> Difference {
    let mut part = Difference::new(Step::Table("Go build settings"));
    let text = |text: Option<Vec<u8>>| Value::Text(text);
    let mut fields: Vec<(Field, Field)> = Vec::new();
    let mut add = |name: &'static str, a: Option<Vec<u8>>, b: Option<Vec<u8>>| {
        if a != b {
            let field = |value| Field { name, value: text(value), at: None, derived: false };
            fields.push((field(a), field(b)));
        }
    };
    add("Go version", Some(infos.a.version.clone()), Some(infos.b.version.clone()));
    for name in SETTINGS {
        add(name, infos.a.setting(name), infos.b.setting(name));
    }
    let others = infos.as_ref().map(BuildInfo::others);
    let missing = |of: &[&[u8]], from: &[&[u8]]| {
        let lines: Vec<&[u8]> = of.iter().filter(|line| !from.contains(line)).copied().take(64).collect();
        (!lines.is_empty()).then(|| lines.join(&b"; "[..]).replace_tabs())
    };
    add("modules", missing(&others.a, &others.b), missing(&others.b, &others.a));
    part.found = fields
        .into_iter()
        .map(|(a, b)| Finding::Field {
            name: a.name,
            values: Pair::new(a.value, b.value),
            at: None,
            derived: false,
        })
        .collect();
    part
}

trait ReplaceTabs {
    fn replace_tabs(self) -> Self;
}

impl ReplaceTabs for Vec<u8> {
    fn replace_tabs(mut self) -> Self {
        self.iter_mut().filter(|byte| **byte == b'\t').for_each(|byte| *byte = b' ');
        self
    }
}
