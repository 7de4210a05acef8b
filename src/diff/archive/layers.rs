//! Layers of a container image: tar archives that are put over each other ("Image Layer Filesystem Changeset" of the
//! OCI's image-spec), and the file tree that comes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{Archive, Member, Stop, compare as comparing, tar};
use crate::diff::{Content, Difference, Finding, Limits, Pair, ReadError, Step, Value, limits::Effort};

/// What a layer calls a file that hides one of the layers below it, and one that hides all of a directory.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Files that are told one by one when they lie in other layers.
const MAX_TOLD: usize = 8;

/// The layers of one image.
pub(in crate::diff) struct Layers<'a> {
    chain: Chain<'a>,
    /// The paths of each layer.
    paths: Vec<BTreeSet<Vec<u8>>>,
    /// The final tree: for each path its layer and its member there, as it lies in the chain.
    tree: BTreeMap<Vec<u8>, (usize, Member)>,
}

impl<'a> Layers<'a> {
    /// Reads the layers, the lowest first; the number of the layer that is broken otherwise.
    pub fn read(layers: Vec<&'a dyn Content>, limits: &Limits) -> Result<Self, (usize, Stop)> {
        let mut read = Layers { chain: Chain::default(), paths: Vec::new(), tree: BTreeMap::new() };
        let mut count = 0;
        for (number, layer) in layers.into_iter().enumerate() {
            let archive = tar::parse(layer, limits).map_err(|stop| (number, stop))?;
            count += archive.members.len() as u64;
            if count > limits.members {
                return Err((number, Stop::Cap { what: "members", cap: limits.members }));
            }
            read.put(number, archive.members);
            read.chain.push(layer);
        }
        Ok(read)
    }

    /// Puts a layer over those below.
    fn put(&mut self, number: usize, members: Vec<Member>) {
        let start = self.chain.len;
        let mut paths = BTreeSet::new();
        let mut new = Vec::new();
        for mut member in members {
            let path = normal(&member.name);
            let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => (&path[..slash], &path[slash + 1..]),
                None => (&path[..0], &path[..]),
            };
            if name == OPAQUE {
                self.remove_below(folder);
            } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
                let hidden =
                    if folder.is_empty() { hidden.to_vec() } else { [folder, b"/", hidden].concat() };
                self.tree.remove(&hidden);
                self.remove_below(&hidden);
            } else {
                member.headers[0].0 += start;
                member.data.0 += start;
                new.push((path.clone(), member));
            }
            paths.insert(path);
        }
        // A layer hides what is below it, never what is its own.
        for (path, member) in new {
            if member.what != "directory" {
                self.remove_below(&path);
            }
            self.tree.insert(path, (number, member));
        }
        self.paths.push(paths);
    }

    fn remove_below(&mut self, folder: &[u8]) {
        let below = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let range = self.tree.range(below.clone()..);
        let gone: Vec<Vec<u8>> =
            range.take_while(|(path, _)| path.starts_with(&below)).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.tree.remove(&path);
        }
    }

    fn archive(&self) -> Archive<'_> {
        let describe = Box::new(|member: &Member| tar::describe(&self.chain, member));
        let members = self.tree.values().map(|(_, member)| member.clone()).collect();
        Archive { members, tables: vec![(0, self.chain.len)], describe, ..Archive::default() }
    }
}

/// The paths of one layer; `None` when it is no tar archive.
pub(in crate::diff) fn paths(layer: &dyn Content, limits: &Limits) -> Option<BTreeSet<Vec<u8>>> {
    let archive = tar::parse(layer, limits).ok()?;
    Some(archive.members.iter().map(|member| normal(&member.name)).collect())
}

/// Whether the layers of two images are cut otherwise: the paths of the final trees are more alike than those of each
/// pair of layers.
pub(in crate::diff) fn cut_otherwise(layers: Pair<&Layers<'_>>) -> bool {
    let nothing = BTreeSet::new();
    let count = layers.a.paths.len().max(layers.b.paths.len());
    let by_layer: usize = (0..count)
        .map(|number| layers.map(|side| side.paths.get(number).unwrap_or(&nothing)))
        .map(|paths| paths.a.symmetric_difference(paths.b).count())
        .sum();
    let one_sided =
        |x: &Layers<'_>, y: &Layers<'_>| x.tree.keys().filter(|path| !y.tree.contains_key(*path)).count();
    by_layer > one_sided(layers.a, layers.b) + one_sided(layers.b, layers.a)
}

/// Says how the layers of two images are cut otherwise, and compares the final trees.
pub(in crate::diff) fn compare(
    layers: Pair<&Layers<'_>>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let mut cut = Difference::new(Step::Table("layers"));
    let sizes = layers.map(|side| {
        let sizes: Vec<String> = side.paths.iter().map(|paths| paths.len().to_string()).collect();
        Value::Text(Some(sizes.join(" + ").into_bytes()))
    });
    if sizes.a != sizes.b {
        let name = "entries of each layer";
        cut.found.push(Finding::Field { name, values: sizes, at: None, derived: false });
    }
    let both = layers.a.tree.iter().filter_map(|(path, (a, _))| Some((path, *a, layers.b.tree.get(path)?.0)));
    for (path, a, b) in both.filter(|(_, a, b)| a != b).take(MAX_TOLD) {
        let mut place = Difference::new(Step::Member(path.clone()));
        let values = Pair::new(a, b).map(|number| Value::Decimal(number as u64 + 1));
        place.found.push(Finding::Field { name: "layer", values, at: None, derived: false });
        cut.inside.push(place);
    }
    if cut.is_some() {
        difference.inside.push(cut);
    }
    let mut tree = Difference::new(Step::Table("final tree"));
    let archives = Pair::new(layers.a.archive(), layers.b.archive());
    comparing::archives(Pair::new(&layers.a.chain, &layers.b.chain), &archives, &mut tree, effort)?;
    if !tree.is_some() {
        tree.found.push(Finding::SameValue { format: "final tree" });
    }
    difference.inside.push(tree);
    Ok(())
}

/// A path without what means nothing in it.
fn normal(path: &[u8]) -> Vec<u8> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.collect::<Vec<_>>().join(&b'/')
}

/// Contents laid end to end.
#[derive(Default)]
struct Chain<'a> {
    parts: Vec<(u64, &'a dyn Content)>,
    len: u64,
}

impl<'a> Chain<'a> {
    fn push(&mut self, content: &'a dyn Content) {
        self.parts.push((self.len, content));
        self.len += content.len();
    }
}

impl Content for Chain<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut at, mut buffer) = (offset, buffer);
        let mut number = self.parts.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        while !buffer.is_empty() {
            let (start, part) = self.parts.get(number).ok_or(io::ErrorKind::UnexpectedEof)?;
            let len = (start + part.len()).saturating_sub(at).min(buffer.len() as u64);
            let (now, rest) = buffer.split_at_mut(len as usize);
            if len > 0 {
                part.read_exact_at(at - start, now)?;
            }
            (at, buffer, number) = (at + len, rest, number + 1);
        }
        Ok(())
    }
}
