//! Sources out of a mirror into our store: every one that a derivation is made of, from nowhere else, and believed because its path
//! follows from its bits.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use super::{
    MirrorError,
    escrow::Kept,
    follows::follows,
    layout::{FileHash, Object},
    stream::Hashed,
    workbench::{Obstacle, Workbench},
};
use crate::{
    nix::{nar::references::ReferenceScanner, store_path::StorePath},
    schedule::RealiseError,
    source::{FixedOutput, Provider},
    store::{Origin, PathInfo},
};

impl Workbench<'_> {
    /// Takes the sources of a derivation from the mirror, where each lies under the SHA-256 given for it; its inputs are in our
    /// store already.
    pub(super) fn supply(&self, index: usize, sources: &BTreeMap<StorePath, String>) -> Result<(), Obstacle> {
        let node = &self.graph.nodes()[index];
        let inputs = node.inputs.iter().map(|input| &self.graph.nodes()[*input]);
        let fixed = inputs.filter_map(|input| FixedOutput::of(&input.drv, &input.derivation));
        let fixed: BTreeMap<StorePath, FixedOutput> =
            fixed.map(|fixed| (fixed.path.clone(), fixed)).collect();
        let needed = fixed.keys().chain(&node.derivation.input_srcs);
        if let Some(missing) = needed.into_iter().find(|path| !sources.contains_key(*path)) {
            let why = format!("the mirror does not say where the source {missing} of it lies");
            return Err(Obstacle::NotNow(why));
        }
        let store = self.realiser.store;
        let shelf = Kept::new(self.mirror).knowing(sources.clone());
        let provider = Provider::new(store).with_shelf(&shelf);
        let mut others = Vec::new();
        for (path, hex) in sources {
            // Looked at even when our store has it: what is to be shown is that the mirror is enough.
            let (file, place) = self.kept(path, hex)?;
            match fixed.get(path) {
                Some(fixed) => {
                    provider.provide(fixed).map_err(RealiseError::from)?;
                }
                None if store.path(path)?.is_some() => {}
                None => others.push(self.source(path, sources, index, file, place)?),
            }
        }
        Ok(store.register_closed(others)?)
    }

    /// The file of a source, if its hash is its name.
    fn kept(&self, path: &StorePath, hex: &str) -> Result<(File, String), MirrorError> {
        let location = self.mirror.location();
        let hash = FileHash::from_hex(hex);
        let name = hash.map_or_else(|| "sources/".to_owned(), |hash| Object::Source(hash).name());
        let wrong = |why: String| MirrorError::Document { object: location.url(&name), why };
        let (hash, opened) = match hash {
            Some(hash) => (hash, location.open(&name)?),
            None => return Err(wrong(format!("{path} is kept under no SHA-256"))),
        };
        let opened = opened.ok_or_else(|| wrong(format!("it is not there, and it is the source {path}")))?;
        let mut copy = Hashed::new(tempfile::tempfile_in(self.realiser.store.root().join("tmp"))?);
        io::copy(&mut opened.bytes.take(opened.size.saturating_add(1)), &mut copy)?;
        let (mut file, has, _) = copy.finish();
        if has != hash {
            return Err(wrong("its hash is not its name".to_owned()));
        }
        file.seek(SeekFrom::Start(0))?;
        Ok((file, location.url(&name)))
    }

    /// A source that no derivation fetches, as an evaluator wrote it: its NAR is in our store then.
    fn source(
        &self,
        path: &StorePath,
        sources: &BTreeMap<StorePath, String>,
        index: usize,
        file: File,
        place: String,
    ) -> Result<PathInfo, Obstacle> {
        let store = self.realiser.store;
        let nar = store.import_nar(file, None)?;
        let inputs = self.graph.input_paths(index).map_err(RealiseError::from)?;
        let known = sources.keys().cloned().chain(inputs);
        let mut scanner = ReferenceScanner::new(known);
        let read = || store.nar(&nar.hash)?.ok_or_else(|| MirrorError::NarDiffers { path: path.clone() });
        io::copy(&mut read()?, &mut scanner).map_err(MirrorError::from)?;
        let references = scanner.found();
        if !follows(path, &references, read()?).map_err(MirrorError::from)? {
            let why = format!("the source {path} does not follow from the bits that the mirror keeps for it");
            return Err(Obstacle::NotNow(why));
        }
        Ok(PathInfo {
            path: path.clone(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references,
            deriver: None,
            origin: Origin::Source { place },
        })
    }
}
