//! What Go's linker leaves in every binary, stripped or not: how it was built, and where its functions are.

mod build_info;
mod functions;
#[cfg(test)]
mod tests;

pub(super) use build_info::{BuildInfo, compare};
pub(super) use functions::functions;

use super::{Content, executable::Section};

/// Bytes of a table of Go's that are read; the largest known programs have a tenth of it.
const MAX_TABLE: u64 = 256 << 20;

/// The bytes of a section of one of these names.
fn section<'a>(
    file: &dyn Content,
    sections: &'a [Section],
    names: &[&[u8]],
) -> Option<(&'a Section, Vec<u8>)> {
    let found = sections.iter().find(|section| names.contains(&section.name.as_slice()))?;
    if found.size > MAX_TABLE {
        return None;
    }
    Some((found, found.window(file).to_vec().ok()?))
}
