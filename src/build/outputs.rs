//! From trees on an output drive to outputs as Nix registers them: as NARs, with hash, size and references.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use super::{error::BuildError, output_tree::Tree};
use crate::{
    machine::Region,
    nix::{
        hash::NarHash,
        nar::{NarHasher, NarWriteError, references::ReferenceScanner},
        store_path::StorePath,
        text::shown,
    },
};

/// Takes the NARs of outputs.
pub trait Sink {
    /// A place for one NAR. Dropped before [`Place::keep`], it must leave nothing.
    fn place(&self) -> io::Result<Box<dyn Place + '_>>;
}

/// Takes the bytes of one NAR.
pub trait Place: Write {
    /// All bytes are written and every check was passed: keep them.
    fn keep(self: Box<Self>) -> io::Result<()>;
}

/// One output as built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its path.
    pub path: StorePath,
    /// Hash of its NAR.
    pub nar_hash: NarHash,
    /// Length of its NAR in bytes.
    pub nar_size: u64,
    /// What its NAR refers to, itself included when it does.
    pub references: BTreeSet<StorePath>,
}

/// Outputs written to their places and not yet kept, by output name.
pub type Written<'a> = BTreeMap<String, (Output, Box<dyn Place + 'a>)>;

/// Assigns the trees found to the outputs, by name of the output.
pub fn assign(
    paths: &BTreeMap<String, StorePath>,
    mut trees: BTreeMap<Vec<u8>, Tree>,
) -> Result<BTreeMap<String, (StorePath, Tree)>, BuildError> {
    let mut assigned = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, path) in paths {
        match trees.remove(path.base_name().as_bytes()) {
            // Whoever else can write to an output could have changed it: Nix refuses such outputs.
            Some(Tree { node, mode })
                if mode & 0o022 != 0 && !matches!(node, crate::nix::nar::Node::Symlink { .. }) =>
            {
                return Err(BuildError::WritableOutput { output: name.clone(), mode });
            }
            Some(tree) => {
                assigned.insert(name.clone(), (path.clone(), tree));
            }
            None => missing.push(name.clone()),
        }
    }
    if let Some(stranger) = trees.keys().next() {
        return Err(BuildError::StrangeOutput { name: shown(stranger) });
    }
    if !missing.is_empty() {
        return Err(BuildError::OutputMissing { outputs: missing });
    }
    Ok(assigned)
}

/// Writes one tree as a NAR; modes, owners and times but the owner's x bit are gone with that. The hash is taken and
/// `candidates` are looked for in the same pass.
pub fn write(
    path: StorePath,
    tree: &Tree,
    stream: &Region,
    candidates: impl IntoIterator<Item = StorePath>,
    place: &mut dyn Write,
) -> Result<Output, NarWriteError> {
    let tee = Tee { hasher: NarHasher::default(), scanner: ReferenceScanner::new(candidates), place };
    let open = |contents: crate::nix::nar::Contents| Ok(stream.reader(contents.offset, contents.size));
    let tee = tree.node.write(open, tee)?;
    tee.place.flush()?;
    let (nar_hash, nar_size) = tee.hasher.finish();
    Ok(Output { path, nar_hash, nar_size, references: tee.scanner.found() })
}

struct Tee<'a> {
    hasher: NarHasher,
    scanner: ReferenceScanner,
    place: &'a mut dyn Write,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.place.write_all(bytes)?;
        self.hasher.write_all(bytes)?;
        self.scanner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.flush()
    }
}
