//! What every format of executables comes down to: tables of named fields, and named sections.

use super::symbols::Symbols;
use crate::diff::{Content, Extent, Layout, Step, Value, Window};

/// An executable or object file, whatever its format.
pub(in crate::diff) struct Image {
    /// Headers and tables, matched by their step.
    pub tables: Vec<Table>,
    /// Sections in the order of their table; those of the same name are matched in order.
    pub sections: Vec<Section>,
    /// Functions and objects by name.
    pub symbols: Symbols,
    /// Ranges of the file that are header or table: offset and length.
    pub covered: Vec<(u64, u64)>,
    /// How numbers are written.
    pub big_endian: bool,
    /// Bytes of a pointer: 4 or 8.
    pub pointer: u64,
    /// Addresses that offsets are counted from, besides a section's own: the image's base.
    pub base: Option<u64>,
}

/// A header or table: fields in a fixed order.
pub(in crate::diff) struct Table {
    pub at: Step,
    pub fields: Vec<Field>,
}

/// A field by its name in the format's own terms.
#[derive(Clone)]
pub(in crate::diff) struct Field {
    pub name: &'static str,
    pub value: Value,
    /// Offset of its first byte in the file, where it stands in one place.
    pub at: Option<u64>,
    /// Whether it says where things lie and so follows from their sizes.
    pub derived: bool,
}

/// A named part of the file.
#[derive(Clone)]
pub(in crate::diff) struct Section {
    pub name: Vec<u8>,
    pub role: Role,
    /// Where it is loaded; `None` when it is not.
    pub address: Option<u64>,
    /// Where it lies in the file.
    pub offset: u64,
    /// Its bytes in the file.
    pub size: u64,
    /// Its bytes in memory.
    pub memory: u64,
    /// Whether it is a list of strings that end in NUL, whose order means nothing.
    pub strings: bool,
    /// The fields of its header, in a fixed order.
    pub fields: Vec<Field>,
}

impl Image {
    /// Where its sections lie in the file, those that have bytes there.
    pub fn layout(&self, file: &dyn Content) -> Layout {
        let here = self.sections.iter().filter(|section| section.size > 0).take(MOST_IN_LAYOUT);
        let extent = |section: &Section| Extent {
            name: section.name.clone(),
            offset: section.offset,
            size: section.size,
        };
        Layout { size: file.len(), sections: here.map(extent).collect() }
    }
}

/// Sections that a layout has at most.
const MOST_IN_LAYOUT: usize = 256;

impl Section {
    /// Its bytes.
    pub fn window<'a>(&self, file: &'a dyn Content) -> Window<'a> {
        Window::new(file, self.offset, self.size)
    }
}

/// What the bytes of a section are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diff) enum Role {
    /// Instructions.
    Code,
    /// What is loaded and is no code.
    Data,
    /// Symbols, their names, and tables to find them: what they say is compared by name.
    Symbols,
    /// Debug information.
    Debug,
    /// Whatever else.
    Other,
}
