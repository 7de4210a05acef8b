//! File trees, entry by entry: what is missing, of another kind, executable, linked elsewhere, or differs inside.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
};

use super::{
    Comparison, Content, DiffError, Difference, EntryKind, Finding, Limits, Pair, Side, Step, Window, file,
    image::{self, Layout},
    limits::Effort,
};
use crate::nix::nar::{Contents, Node};

/// Folders of one tree that are looked into as container images; the others are compared file by file.
const MAX_IMAGES: usize = 4;

/// An entry of a tree, as far as a NAR knows it: owners, times and most permissions are not part of a store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    Regular {
        /// Whether the owner may execute it.
        executable: bool,
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
}

impl Entry {
    fn kind(&self) -> EntryKind {
        match self {
            Entry::Regular { .. } => EntryKind::Regular,
            Entry::Symlink(_) => EntryKind::Symlink,
            Entry::Directory => EntryKind::Directory,
        }
    }
}

/// A file tree to compare: a folder, a NAR, one file.
pub trait Tree {
    /// Every entry by its path, `/` between names; the root has the empty path. Directories stand for themselves,
    /// before what is in them.
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry>;

    /// Opens the regular file at `path`.
    fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>>;
}

/// A tree read from a NAR, its contents still in the NAR.
pub struct NarTree<C> {
    nar: C,
    entries: BTreeMap<Vec<u8>, Entry>,
    contents: BTreeMap<Vec<u8>, Contents>,
}

impl<C: Content> NarTree<C> {
    /// The tree `root`, as read from `nar`.
    pub fn new(nar: C, root: &Node) -> Self {
        let mut tree = NarTree { nar, entries: BTreeMap::new(), contents: BTreeMap::new() };
        let mut todo = vec![(Vec::new(), root)];
        while let Some((path, node)) = todo.pop() {
            let entry = match node {
                Node::Regular { executable, contents } => {
                    tree.contents.insert(path.clone(), *contents);
                    Entry::Regular { executable: *executable, size: contents.size }
                }
                Node::Symlink { target } => Entry::Symlink(target.clone()),
                Node::Directory { entries } => {
                    todo.extend(entries.iter().map(|(name, node)| (join(&path, name), node)));
                    Entry::Directory
                }
            };
            tree.entries.insert(path, entry);
        }
        tree
    }
}

impl<C: Content> Tree for NarTree<C> {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>> {
        let contents = self.contents.get(path).ok_or(io::ErrorKind::NotFound)?;
        if contents.offset.checked_add(contents.size).is_none_or(|end| end > self.nar.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Box::new(Window::new(&self.nar, contents.offset, contents.size)))
    }
}

/// `directory/name`, or the name alone below the root.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// Compares two trees.
pub fn compare_trees(a: &dyn Tree, b: &dyn Tree, limits: &Limits) -> Result<Comparison, DiffError> {
    compare_trees_telling(a, b, limits, &|| ())
}

/// Compares two trees, and calls `tell` once as soon as it is certain that they differ: where and why may take longer.
pub fn compare_trees_telling(
    a: &dyn Tree,
    b: &dyn Tree,
    limits: &Limits,
    tell: &dyn Fn(),
) -> Result<Comparison, DiffError> {
    let effort = Effort::new(limits, tell);
    let mut comparison = Comparison::default();
    let paths: BTreeSet<&Vec<u8>> = a.entries().keys().chain(b.entries().keys()).collect();
    // Directories that one side has and the other has not: what is below them needs no line of its own.
    let mut lone: HashSet<&[u8]> = HashSet::new();
    let images = images(Pair::new(a, b));
    let is_part = |side: Side, path: &[u8]| images.values().any(|layouts| layouts.of(side).has_part(path));
    for path in paths {
        comparison.entries += 1;
        let entries = Pair::new(
            a.entries().get(path).filter(|_| !is_part(Side::A, path)),
            b.entries().get(path).filter(|_| !is_part(Side::B, path)),
        );
        let below_lone = || parent(path).is_some_and(|parent| lone.contains(parent));
        if (entries.a.is_none() || entries.b.is_none()) && below_lone() {
            lone.insert(path);
            continue;
        }
        let mut difference = Difference::new(Step::Entry(path.clone()));
        match (entries.a, entries.b) {
            (Some(in_a), Some(in_b)) if in_a.kind() == in_b.kind() => {
                compare_entries(path, Pair::new(a, b), Pair::new(in_a, in_b), &mut difference, &effort)?;
            }
            (Some(in_a), Some(in_b)) => {
                difference.found.push(Finding::Kind(Pair::new(in_a.kind(), in_b.kind())));
                lone.insert(path);
            }
            (Some(entry), None) => difference.found.push(only(Side::A, entry, path, a, &mut lone)),
            (None, Some(entry)) => difference.found.push(only(Side::B, entry, path, b, &mut lone)),
            (None, None) => {}
        }
        if let Some(layouts) = images.get(path) {
            let files = Pair::new(&layouts.a.files, &layouts.b.files);
            let layouts = Pair::new(&layouts.a.layout, &layouts.b.layout);
            image::compare(layouts, Pair::new(files.a, files.b), &mut difference, &effort)
                .map_err(|source| DiffError::Read { path: path.clone(), source })?;
        }
        if difference.is_some() {
            effort.differs();
            comparison.differences.push(difference);
        }
    }
    Ok(comparison)
}

/// A container image in a folder of a tree.
struct ImageIn<'a> {
    files: Below<'a>,
    layout: Layout,
}

impl ImageIn<'_> {
    fn has_part(&self, path: &[u8]) -> bool {
        let below = match self.files.folder.is_empty() {
            true => Some(path),
            false => path.strip_prefix(self.files.folder).and_then(|rest| rest.strip_prefix(b"/")),
        };
        below.is_some_and(|path| self.layout.parts.contains_key(path))
    }
}

/// The folders of both trees that are OCI image layouts.
fn images<'a>(trees: Pair<&'a dyn Tree>) -> BTreeMap<Vec<u8>, Pair<ImageIn<'a>>> {
    let mut images = BTreeMap::new();
    for path in trees.a.entries().keys() {
        let folder = match path.strip_suffix(b"oci-layout") {
            Some([]) => &[][..],
            Some([folder @ .., b'/']) => folder,
            _ => continue,
        };
        let read = |tree: &'a dyn Tree| {
            let files = Below { tree, folder };
            let layout = Layout::read(&files)?;
            Some(ImageIn { files, layout })
        };
        if images.len() < MAX_IMAGES
            && let (Some(a), Some(b)) = (read(trees.a), read(trees.b))
        {
            images.insert(folder.to_vec(), Pair::new(a, b));
        }
    }
    images
}

/// The files below a folder of a tree.
struct Below<'a> {
    tree: &'a dyn Tree,
    folder: &'a [u8],
}

impl image::Files for Below<'_> {
    fn open(&self, path: &[u8]) -> Option<Box<dyn Content + '_>> {
        self.has(path).then(|| self.tree.open(&join(self.folder, path)).ok()).flatten()
    }

    fn has(&self, path: &[u8]) -> bool {
        let entry = self.tree.entries().get(&join(self.folder, path));
        matches!(entry, Some(Entry::Regular { executable: false, .. }))
    }
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Some(&path[..slash]),
        None if path.is_empty() => None,
        None => Some(&[]),
    }
}

fn only<'p>(
    side: Side,
    entry: &Entry,
    path: &'p [u8],
    tree: &dyn Tree,
    lone: &mut HashSet<&'p [u8]>,
) -> Finding {
    let size = match entry {
        Entry::Regular { size, .. } => *size,
        Entry::Symlink(target) => target.len() as u64,
        Entry::Directory => {
            lone.insert(path);
            let below = join(path, b"");
            let inside =
                tree.entries().range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
            let sizes =
                inside.map(|(_, entry)| if let Entry::Regular { size, .. } = entry { *size } else { 0 });
            sizes.fold(0, u64::saturating_add)
        }
    };
    Finding::OnlyIn { side, what: entry.kind().name(), size }
}

fn compare_entries(
    path: &[u8],
    trees: Pair<&dyn Tree>,
    entries: Pair<&Entry>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), DiffError> {
    match (entries.a, entries.b) {
        (Entry::Regular { executable: a, .. }, Entry::Regular { executable: b, .. }) => {
            if a != b {
                difference.found.push(Finding::Executable(Pair::new(*a, *b)));
            }
            let open = |side: Side| {
                let opened = trees.of(side).open(path);
                opened.map_err(|source| DiffError::Open { side, path: path.to_vec(), source })
            };
            let contents = Pair::new(open(Side::A)?, open(Side::B)?);
            file::compare(Pair::new(&*contents.a, &*contents.b), difference, effort)
                .map_err(|source| DiffError::Read { path: path.to_vec(), source })
        }
        (Entry::Symlink(a), Entry::Symlink(b)) if a != b => {
            difference.found.push(Finding::Target(Pair::new(a.clone(), b.clone())));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Compares two files. The one difference, if there is one, is at the root.
pub fn compare_files(a: &dyn Content, b: &dyn Content, limits: &Limits) -> Result<Comparison, DiffError> {
    let mut difference = Difference::new(Step::Entry(Vec::new()));
    file::compare(Pair::new(a, b), &mut difference, &Effort::new(limits, &|| ()))
        .map_err(|source| DiffError::Read { path: Vec::new(), source })?;
    let differences = if difference.is_some() { vec![difference] } else { Vec::new() };
    Ok(Comparison { differences, entries: 1 })
}
