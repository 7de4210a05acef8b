//! Functions and objects by name: what is on one side only, what changed, what moved, what was renamed.

use std::collections::HashMap;

use super::{
    align::Matched,
    image::{Image, Role},
    symbols::{Symbols, without_hash},
};
use crate::diff::{Pair, Ranges, SymbolChange, SymbolChanges};

/// Parts of code whose bytes differ, by where they lie on side a: how many bytes.
#[derive(Default)]
pub(super) struct Changed(HashMap<(usize, u64), u64>);

impl Changed {
    /// A part that an alignment matched.
    pub fn part(&mut self, images: &Pair<Image>, pair: Pair<usize>, piece: Matched, differing: u64) {
        if piece.len.a > 0 && !images.a.symbols.is_empty() {
            *self.0.entry((pair.a, piece.at.a)).or_default() += differing;
        }
    }

    /// Ranges of sections in which nothing moved.
    pub fn in_place(&mut self, images: &Pair<Image>, pair: Pair<usize>, ranges: &Ranges) {
        let section = &images.a.sections[pair.a];
        if images.a.symbols.is_empty() || section.role != Role::Code {
            return;
        }
        for range in &ranges.list {
            let Some(offset) = range.a.offset.checked_sub(section.offset) else { continue };
            if let Some(symbol) = images.a.symbols.at(pair.a, offset) {
                *self.0.entry((pair.a, offset - symbol.offset)).or_default() += range.differing;
            }
        }
    }
}

/// How the symbols of two images differ; `None` when they do not, or when one side has none.
pub(super) fn symbol_changes(
    images: &Pair<Image>,
    both: &[Pair<usize>],
    changed: Changed,
    keep: usize,
) -> Option<SymbolChanges> {
    let symbols = Pair::new(&images.a.symbols, &images.b.symbols);
    if symbols.a.is_empty() || symbols.b.is_empty() {
        return None;
    }
    let section_of: HashMap<usize, usize> = both.iter().map(|pair| (pair.a, pair.b)).collect();
    let mut changes = SymbolChanges { table: symbols.a.table, ..SymbolChanges::default() };
    let mut list: Vec<SymbolChange> = Vec::new();
    let (partners, left) = match_names(symbols);
    let mut last = None;
    let mut lone = Vec::new();
    for (part, partner) in symbols.a.list().iter().zip(partners) {
        let Some(partner) = partner else {
            lone.push(part);
            continue;
        };
        changes.both += 1;
        let other = &symbols.b.list()[partner];
        if let Some((_, name)) = last.filter(|(last, _)| partner < *last) {
            changes.reordered += 1;
            changes.order.get_or_insert_with(|| Pair::new(name, symbols.a.name(part)).map(<[u8]>::to_vec));
        }
        last = Some((partner, symbols.a.name(part)));
        let differing = changed.0.get(&(part.section, part.start)).copied().unwrap_or_default();
        if part.len != other.len || differing > 0 {
            list.push(SymbolChange {
                name: symbols.a.name(part).to_vec(),
                size: Pair::new(Some(part.len), Some(other.len)),
                differing,
                code: images.a.sections[part.section].role == Role::Code,
            });
        } else if part.start != other.start || section_of.get(&part.section) != Some(&other.section) {
            changes.moved += 1;
        }
    }
    let renamed = rename(symbols, lone, left, keep, &mut changes);
    for (index, size_of) in [(0, Pair::new(true, false)), (1, Pair::new(false, true))] {
        let (table, image) = if index == 0 { (symbols.a, &images.a) } else { (symbols.b, &images.b) };
        let parts = if index == 0 { &renamed.a } else { &renamed.b };
        for part in parts {
            list.push(SymbolChange {
                name: table.name(part).to_vec(),
                size: Pair::new(size_of.a.then_some(part.len), size_of.b.then_some(part.len)),
                differing: part.len,
                code: image.sections[part.section].role == Role::Code,
            });
        }
    }
    changes.total = list.len() as u64;
    list.truncate(keep);
    changes.changed = list;
    let any = changes.total + changes.moved + changes.reordered + changes.renamed_total > 0;
    any.then_some(changes)
}

/// For each symbol of a the one of b with the same name, in order where several have it; and those of b that are
/// left.
fn match_names(symbols: Pair<&Symbols>) -> (Vec<Option<usize>>, Vec<usize>) {
    let mut index: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (number, part) in symbols.b.list().iter().enumerate().rev() {
        index.entry(symbols.b.name(part)).or_default().push(number);
    }
    let partners: Vec<_> =
        symbols.a.list().iter().map(|part| index.get_mut(symbols.a.name(part)).and_then(Vec::pop)).collect();
    let mut left: Vec<usize> = index.into_values().flatten().collect();
    left.sort_unstable();
    (partners, left)
}

type Parts<'a> = Vec<&'a super::symbols::Part>;

/// Matches what is left by what remains of the names without their hashes, and gives back what is left then.
fn rename<'a>(
    symbols: Pair<&'a Symbols>,
    lone: Parts<'a>,
    left: Vec<usize>,
    keep: usize,
    changes: &mut SymbolChanges,
) -> Pair<Parts<'a>> {
    let mut index: HashMap<Vec<u8>, Parts<'a>> = HashMap::new();
    for number in left.into_iter().rev() {
        let part = &symbols.b.list()[number];
        index.entry(without_hash(symbols.b.name(part))).or_default().push(part);
    }
    let mut only_a = Vec::new();
    for part in lone {
        let name = symbols.a.name(part);
        let Some(other) = index.get_mut(&without_hash(name)).and_then(Vec::pop) else {
            only_a.push(part);
            continue;
        };
        changes.renamed_total += 1;
        if changes.renamed.len() < keep {
            changes.renamed.push(Pair::new(name.to_vec(), symbols.b.name(other).to_vec()));
        }
    }
    let mut only_b: Parts<'a> = index.into_values().flatten().collect();
    only_b.sort_unstable_by_key(|part| (part.section, part.start));
    Pair::new(only_a, only_b)
}
