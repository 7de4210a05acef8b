//! Differences as values: a tree of places, and what was found at each.

use std::fmt;

use super::{Note, time};

/// One of the two things compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::A => "a",
            Side::B => "b",
        })
    }
}

/// The same thing of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<T> {
    /// Of the first side.
    pub a: T,
    /// Of the second side.
    pub b: T,
}

impl<T: Default> Default for Pair<T> {
    fn default() -> Self {
        Pair { a: T::default(), b: T::default() }
    }
}

impl<T> Pair<T> {
    /// Both, `a` first.
    pub fn new(a: T, b: T) -> Self {
        Pair { a, b }
    }

    /// The same question to both sides.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Pair<U> {
        Pair { a: f(self.a), b: f(self.b) }
    }

    /// Both by reference.
    pub fn as_ref(&self) -> Pair<&T> {
        Pair { a: &self.a, b: &self.b }
    }

    /// One of them.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
}

/// What two trees or files differ in; nothing when they are identical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The differing entries in the order of their paths. For two plain files: at most one.
    pub differences: Vec<Difference>,
    /// Entries looked at, both sides' paths counted once.
    pub entries: u64,
}

impl Comparison {
    /// Whether there is no difference at all.
    pub fn identical(&self) -> bool {
        self.differences.is_empty()
    }

    /// Every place where something was found, parents before their parts.
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        let mut todo: Vec<(Vec<&Step>, &Difference)> =
            self.differences.iter().rev().map(|difference| (Vec::new(), difference)).collect();
        while let Some((mut steps, difference)) = todo.pop() {
            steps.push(&difference.at);
            for part in difference.inside.iter().rev() {
                todo.push((steps.clone(), part));
            }
            places.push(Place { steps, difference });
        }
        places
    }
}

/// A place in the tree of differences, with the way to it.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// From the entry of the tree down to the part.
    pub steps: Vec<&'a Step>,
    /// What was found there.
    pub difference: &'a Difference,
}

impl<'a> Place<'a> {
    /// Path of the entry in the compared trees; empty for the root.
    pub fn path(&self) -> &'a [u8] {
        self.steps
            .iter()
            .find_map(|step| match step {
                Step::Entry(path) => Some(path.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The members of archives on the way to it, from the outermost.
    pub fn inside(&self) -> Vec<&'a [u8]> {
        let member = |step: &&'a Step| match step {
            Step::Member(name) => Some(name.as_slice()),
            _ => None,
        };
        self.steps.iter().filter_map(member).collect()
    }

    /// The innermost part inside the file or member, if it is not the file or member as a whole.
    pub fn part(&self) -> Option<&'a Step> {
        self.steps.last().copied().filter(|step| !matches!(step, Step::Entry(_) | Step::Member(_)))
    }

    /// The innermost section.
    pub fn section(&self) -> Option<&'a [u8]> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Section(name) => Some(name.as_slice()),
            _ => None,
        })
    }
}

/// A difference at one place, and those of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, below the place it is a part of.
    pub at: Step,
    /// What kind of file it is, where both sides are of the same known kind.
    pub kind: Option<FileKind>,
    /// How the files are laid out, where the place is a file or a member of an archive.
    pub layout: Option<Pair<Layout>>,
    /// What differs in the place itself.
    pub found: Vec<Finding>,
    /// The parts of it that differ.
    pub inside: Vec<Difference>,
    /// Where the comparison looked less closely than it can.
    pub notes: Vec<Note>,
}

impl Difference {
    /// A place where nothing was found yet.
    pub fn new(at: Step) -> Self {
        Difference { at, kind: None, layout: None, found: Vec::new(), inside: Vec::new(), notes: Vec::new() }
    }

    /// Whether something was found here or in a part.
    pub fn is_some(&self) -> bool {
        !self.found.is_empty() || !self.inside.is_empty()
    }
}

/// Where the sections of a file lie: what a picture of it is drawn from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Size of the file in bytes.
    pub size: u64,
    /// Its sections, the first ones of a file with very many; none when it has none, or is of no known kind.
    pub sections: Vec<Extent>,
}

/// A named part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its name.
    pub name: Vec<u8>,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its bytes in the file.
    pub size: u64,
}

/// What kind of file a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// In words: `ELF executable, x86-64, go1.26.3`.
    pub words: String,
    /// Whether Go's toolchain made both sides.
    pub go: bool,
    /// Whether it counts what runs, for `gcov`.
    pub coverage: bool,
}

/// One step on the way to a difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// An entry of the compared trees, by its whole path; empty for the root.
    Entry(Vec<u8>),
    /// A member of an archive, by its name there; an image or layer in a container image, by its number. Offsets below
    /// it count from its first byte, unpacked.
    Member(Vec<u8>),
    /// Bytes of an archive in no member and no table.
    BetweenMembers,
    /// What only indexes other members of an archive, and so follows from them.
    Index,
    /// The file header of an executable.
    Header,
    /// A program header, by index, with the name of its type.
    Segment(u32, &'static str),
    /// A section, by name.
    Section(Vec<u8>),
    /// The dynamic section's meaning: libraries, search paths.
    Dynamic,
    /// Bytes in no section and no table.
    BetweenSections,
    /// Functions and objects by name, wherever they lie.
    Symbols,
    /// A header or table of a file, by its name: `COFF header`, `Go build settings`, `gzip header`.
    Table(&'static str),
    /// A value in a JSON document, by its path: `config.Env[2]`.
    Key(String),
    /// A compiled unit of debug information, by name.
    Unit(Vec<u8>),
    /// The file for one processor in a universal binary.
    Architecture(&'static str),
    /// What a compressed file or section holds. Offsets below it count from its first byte.
    Unpacked,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Entry(path) if path.is_empty() => f.write_str("."),
            Step::Entry(path) | Step::Member(path) | Step::Section(path) => {
                fmt::Display::fmt(bstr::BStr::new(path), f)
            }
            Step::BetweenMembers => f.write_str("outside of all members"),
            Step::Index => f.write_str("index of the members"),
            Step::Header => f.write_str("ELF header"),
            Step::Segment(index, kind) => write!(f, "program header {index} ({kind})"),
            Step::Dynamic => f.write_str("dynamic section"),
            Step::BetweenSections => f.write_str("outside of all sections"),
            Step::Symbols => f.write_str("symbols"),
            Step::Table(name) => f.write_str(name),
            Step::Key(path) => write!(f, "`{path}`"),
            Step::Unit(name) => write!(f, "unit {}", bstr::BStr::new(name)),
            Step::Architecture(name) => write!(f, "file for {name}"),
            Step::Unpacked => f.write_str("unpacked"),
        }
    }
}

/// What kind of entry a tree has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    Regular,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
}

impl EntryKind {
    /// `file`, `symbolic link`, `directory`.
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::Regular => "file",
            EntryKind::Symlink => "symbolic link",
            EntryKind::Directory => "directory",
        }
    }
}

/// One thing found to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Only one side has it.
    OnlyIn {
        /// The side that has it.
        side: Side,
        /// What it is: `file`, `directory`, `section`…
        what: &'static str,
        /// Its size in bytes.
        size: u64,
    },
    /// Both have it, but as different kinds of entry.
    Kind(Pair<EntryKind>),
    /// Executable on one side only.
    Executable(Pair<bool>),
    /// The targets of a symbolic link.
    Target(Pair<Vec<u8>>),
    /// A field with a name.
    Field {
        /// Its name in the field's own terms: `e_shoff`, `DT_RUNPATH`.
        name: &'static str,
        /// Both values.
        values: Pair<Value>,
        /// Where it stands: the offset of its first byte on both sides, in the file or the innermost member around
        /// it; absent for what stands in no one place.
        at: Option<Pair<u64>>,
        /// Whether it follows from other differences: it says where things lie or how large they are, or is a
        /// checksum.
        derived: bool,
    },
    /// Bytes.
    Bytes(Ranges),
    /// Text, matched line by line.
    Lines(Ranges),
    /// The same lines with other line endings: how many end in CR LF.
    LineEndings(Pair<u64>),
    /// The same lines in another order.
    Reordered {
        /// How many lines are in the part that differs.
        lines: u64,
        /// How they are sorted on both sides.
        sorted: Pair<Sorted>,
        /// The first lines that differ, on both sides.
        first: Box<Range>,
    },
    /// Two documents that say the same, spelled otherwise: members of objects in another order, other white space.
    SameValue {
        /// `JSON`.
        format: &'static str,
    },
    /// Words that differ only because what they refer to lies elsewhere: addresses, distances, offsets in tables.
    Moved {
        /// How many words.
        words: u64,
        /// How many of their bytes differ.
        bytes: u64,
    },
    /// Functions and objects, compared by name.
    Symbols(Box<SymbolChanges>),
    /// The same contents under another name in an archive.
    Renamed(Pair<Vec<u8>>),
    /// Members of an archive that both sides have, in another order.
    MemberOrder {
        /// How many members both sides have.
        members: u64,
        /// How many of them must move to give the other order.
        moved: u64,
        /// The names of the first that differ.
        first: Pair<Vec<u8>>,
    },
    /// The same bytes, packed by another encoder or at another level.
    Encoding {
        /// `gzip`, `xz`, `deflate`…
        packing: &'static str,
        /// Length unpacked, in bytes.
        size: u64,
        /// Lengths packed.
        packed: Pair<u64>,
    },
    /// Strings that one side has and the other has nowhere: what is new where bytes only moved.
    Strings(Pair<Strings>),
}

/// How the symbols of two files differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolChanges {
    /// The table they are from: `symbol table`, `Go function table`.
    pub table: &'static str,
    /// Symbols both sides have.
    pub both: u64,
    /// Those that differ in size or contents, or that only one side has: those of both sides first, the first ones.
    pub changed: Vec<SymbolChange>,
    /// How many differ in all.
    pub total: u64,
    /// Those of the same size at another address.
    pub moved: u64,
    /// How often a symbol stands behind another on one side and before it on the other.
    pub reordered: u64,
    /// The first two of them, in the order of side a.
    pub order: Option<Pair<Vec<u8>>>,
    /// Names that differ only in a hash that the compiler made, the first ones.
    pub renamed: Vec<Pair<Vec<u8>>>,
    /// How many names do.
    pub renamed_total: u64,
}

/// A function or object that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolChange {
    /// Its name, that of side a where they differ in a hash.
    pub name: Vec<u8>,
    /// Its size in bytes; absent where the side has none of that name.
    pub size: Pair<Option<u64>>,
    /// How many of its bytes differ, besides addresses of what moved.
    pub differing: u64,
    /// Whether it is code.
    pub code: bool,
}

/// How lines are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sorted {
    /// By their bytes, as in the C locale.
    Bytes,
    /// By letters and digits first, whatever their case, as in the locales of most languages.
    Letters,
    /// Neither, or both.
    Unclear,
}

impl Sorted {
    /// `by bytes`, `by letters`, `in no known order`.
    pub fn words(self) -> &'static str {
        match self {
            Sorted::Bytes => "sorted by bytes (LC_ALL=C)",
            Sorted::Letters => "sorted by letters, whatever their case (LC_ALL=en_US.UTF-8 and others)",
            Sorted::Unclear => "in no order that is known",
        }
    }
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, printed in hexadecimal.
    Number(u64),
    /// A number that is counted by: of a user, a version.
    Decimal(u64),
    /// Permissions.
    Octal(u64),
    /// Seconds since 1970.
    Time(i64),
    /// A number with a name.
    Named(u64, &'static str),
    /// Text; absent where the side has no such field.
    Text(Option<Vec<u8>>),
    /// Bytes that are no text, such as a build id; absent where the side has none.
    Hex(Option<Vec<u8>>),
}

impl fmt::Display for Value {
    /// Text and bytes are not made safe for a terminal here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number:#x}"),
            Value::Decimal(number) => write!(f, "{number}"),
            Value::Octal(number) => write!(f, "{number:04o}"),
            Value::Time(seconds) => write!(f, "{seconds} ({})", time::utc(*seconds)),
            Value::Named(_, name) => f.write_str(name),
            Value::Text(Some(text)) => fmt::Display::fmt(bstr::BStr::new(text), f),
            Value::Hex(Some(bytes)) => f.write_str(&data_encoding::HEXLOWER.encode(bytes)),
            Value::Text(None) | Value::Hex(None) => f.write_str("none"),
        }
    }
}

/// Differing ranges of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// The first ones, in order.
    pub list: Vec<Range>,
    /// How many there are in all.
    pub total: u64,
    /// How many bytes differ in all.
    pub differing: u64,
}

/// Bytes that differ, on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Of the first side.
    pub a: Piece,
    /// Of the second side.
    pub b: Piece,
    /// How many bytes differ: position by position when both have the same length, else the longer length.
    pub differing: u64,
    /// The symbol it lies in, when a symbol table says so.
    pub symbol: Option<Symbol>,
    /// Line numbers from 1, for text.
    pub lines: Option<Pair<u64>>,
}

/// One side of a range, with some of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset of the first differing byte in the file.
    pub offset: u64,
    /// Length in bytes; 0 when the other side has something inserted here.
    pub len: u64,
    /// Offset of the first byte of `sample`, at or before `offset`.
    pub sample_offset: u64,
    /// The bytes around and in the range; cut when the range is long.
    pub sample: Vec<u8>,
}

impl Piece {
    /// The differing bytes as a range of indices into `sample`.
    pub fn marked(&self) -> std::ops::Range<usize> {
        let start =
            usize::try_from(self.offset - self.sample_offset).unwrap_or(usize::MAX).min(self.sample.len());
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        start..start.saturating_add(len).min(self.sample.len())
    }

    /// Whether the sample holds the range to its end.
    pub fn is_whole(&self) -> bool {
        self.marked().len() as u64 == self.len
    }
}

/// A place in a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: Vec<u8>,
    /// Distance from its beginning, in bytes.
    pub offset: u64,
}

/// Strings of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    /// The first ones, with their offsets in the file.
    pub list: Vec<(u64, Vec<u8>)>,
    /// How many there are in all.
    pub total: u64,
}
