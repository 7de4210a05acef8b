//! This host's own `nix build`, in the evaluator's store: a reference to compare with.

use std::{
    io::{self, BufReader, Read},
    path::PathBuf,
};

use super::{Failure, evaluation::Closure, realising};
use crate::{
    flake::{self, DrvFolder, Object},
    graph::{Graph, Node},
    nix::store_path::StorePath,
    schedule::Realiser,
    store::PathInfo,
    verify::reference::Native,
};

/// This host's `nix`.
pub struct HostNix<'a> {
    native: Result<flake::Native, String>,
    graph: &'a Graph,
    folder: &'a DrvFolder,
    realiser: &'a Realiser<'a>,
}

impl<'a> HostNix<'a> {
    /// The `nix` that evaluated the closure. That there is none is said when it is asked to build.
    pub fn new(closure: &'a Closure, realiser: &'a Realiser<'a>) -> Self {
        let native = closure.evaluator.native().map_err(|error| error.to_string());
        HostNix { native, graph: &closure.graph, folder: &closure.folder, realiser }
    }
}

impl Native for HostNix<'_> {
    fn build(&self, node: &Node, output: &str) -> Result<PathBuf, String> {
        let this = this_system();
        if node.derivation.system != this.as_bytes() {
            let system = String::from_utf8_lossy(&node.derivation.system);
            return Err(format!("this host is {this} and cannot build for {system}"));
        }
        let path = node.derivation.output_path(output).ok_or("the output has no path before it is built")?;
        self.build_all(node, path).map_err(|failure| failure.message)
    }
}

/// Nix's name of this host's system.
fn this_system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

impl HostNix<'_> {
    fn build_all(&self, node: &Node, path: &StorePath) -> Result<PathBuf, Failure> {
        let native = self.native.as_ref().map_err(|why| Failure::usage(why.clone()))?;
        let fixed =
            self.realiser.sources_of(self.graph, &node.drv).map_err(|error| realising::failure(&error))?;
        self.import_paths(native, &fixed)?;
        // What the evaluator wrote is in its store already; a derivation from elsewhere is not.
        if self.folder.file_of(&node.drv) != native.file_of(&node.drv) {
            self.import_derivations(native, &node.drv)?;
        }
        let caps = self.realiser.caps;
        let limits =
            flake::Limits { time: caps.wall, silence: caps.silence, cores: self.realiser.settings.cores };
        native.realise(&node.drv, limits)?;
        Ok(native.file_of(path))
    }

    /// Gives paths of our store to `nix`, references before referrers.
    fn import_paths(&self, native: &flake::Native, infos: &[PathInfo]) -> Result<(), Failure> {
        let missing = native.missing(&infos.iter().map(|info| info.path.clone()).collect())?;
        let objects = infos.iter().filter(|info| missing.contains(&info.path)).map(|info| {
            let nar = self.realiser.store.nar(&info.nar_hash).map_err(io::Error::other)?;
            let nar = nar.ok_or_else(|| io::Error::other(format!("the NAR of {} is gone", info.path)))?;
            let nar: Box<dyn Read + Send> = Box::new(BufReader::new(nar));
            Ok(Object { path: &info.path, nar, references: &info.references })
        });
        Ok(native.import(objects, self.realiser.caps.wall)?)
    }

    /// Gives `drv`, everything it needs, and the files they name to `nix`.
    fn import_derivations(&self, native: &flake::Native, drv: &StorePath) -> Result<(), Failure> {
        let roots: Vec<usize> = self.graph.index_of(drv).into_iter().collect();
        let nodes: Vec<&Node> =
            self.graph.closure(&roots).into_iter().map(|index| &self.graph.nodes()[index]).collect();
        let files = self.realiser.evaluation_files(&nodes).map_err(|error| realising::failure(&error))?;
        self.import_paths(native, &files)?;
        Ok(native.import_derivations(&nodes, self.realiser.caps.wall)?)
    }
}
