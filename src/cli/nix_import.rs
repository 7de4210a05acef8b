//! Gives paths and derivations to the store that `nix` evaluates into.

use std::{
    io::{self, BufReader, Read},
    time::Duration,
};

use super::Failure;
use crate::{
    flake::{Native, Object},
    graph::{Graph, Node},
    nix::store_path::StorePath,
    schedule::StoreDir,
    store::{PathInfo, Store},
};

/// Where they come from, and who takes them.
pub struct Import<'a> {
    /// Who takes them.
    pub native: &'a Native,
    /// Our store.
    pub store: &'a Store,
    /// Where the files of the evaluation lie.
    pub evaluated: &'a StoreDir,
    /// How long it may take.
    pub limit: Duration,
}

impl Import<'_> {
    /// Gives paths of our store to `nix`, references before referrers.
    pub fn paths(&self, infos: &[PathInfo]) -> Result<(), Failure> {
        let missing = self.native.missing(&infos.iter().map(|info| info.path.clone()).collect())?;
        let objects = infos.iter().filter(|info| missing.contains(&info.path)).map(|info| {
            let nar = self.store.nar(&info.nar_hash).map_err(io::Error::other)?;
            let nar = nar.ok_or_else(|| io::Error::other(format!("the NAR of {} is gone", info.path)))?;
            let nar: Box<dyn Read + Send> = Box::new(BufReader::new(nar));
            Ok(Object { path: &info.path, nar, references: &info.references })
        });
        Ok(self.native.import(objects, self.limit)?)
    }

    /// Gives `drv`, everything it needs, and the files they name to `nix`.
    pub fn derivations(&self, graph: &Graph, drv: &StorePath) -> Result<(), Failure> {
        let roots: Vec<usize> = graph.index_of(drv).into_iter().collect();
        let nodes: Vec<&Node> =
            graph.closure(&roots).into_iter().map(|index| &graph.nodes()[index]).collect();
        let missing = self.native.missing(&nodes.iter().map(|node| node.drv.clone()).collect())?;
        let nodes: Vec<&Node> = nodes.into_iter().filter(|node| missing.contains(&node.drv)).collect();
        let files: Vec<StorePath> =
            nodes.iter().flat_map(|node| node.derivation.input_srcs.iter().cloned()).collect();
        let missing = self.native.missing(&files.into_iter().collect())?;
        let files = self.evaluated.import_all(missing, self.store)?;
        self.paths(&files)?;
        Ok(self.native.import_derivations(&nodes, self.limit)?)
    }
}
