//! This host's own `nix build`, in the evaluator's store: a reference to compare with.

use std::path::PathBuf;

use super::{Failure, evaluation::Closure, nix_import::Import, realising};
use crate::{
    flake,
    graph::{Graph, Node},
    nix::derivation::Output,
    schedule::{Realiser, StoreDir},
    store::{Origin, Store},
    verify::reference::Native,
};

/// This host's `nix`.
pub struct HostNix<'a> {
    native: Result<flake::Native, String>,
    graphs: Vec<&'a Graph>,
    realiser: &'a Realiser<'a>,
}

impl<'a> HostNix<'a> {
    /// The `nix` that evaluated the closure. That there is none is said when it is asked to build.
    pub fn new(closure: &'a Closure, realiser: &'a Realiser<'a>) -> Self {
        let native = closure.evaluator.native().map_err(|error| error.to_string());
        HostNix { native, graphs: vec![&closure.graph], realiser }
    }

    /// The same, for derivations of another closure as well.
    pub fn and(mut self, closure: Option<&'a Closure>) -> Self {
        self.graphs.extend(closure.map(|closure| &closure.graph));
        self
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
        let native = self.build_all(node).map_err(|failure| failure.message)?;
        Ok(native.file_of(path))
    }
}

/// Nix's name of this host's system.
pub fn this_system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

impl HostNix<'_> {
    /// Builds `node` and takes its outputs, with everything they refer to, into `store` on trust.
    pub fn take(&self, node: &Node, store: &Store) -> Result<(), Failure> {
        let native = self.build_all(node).map_err(|failure| failure.about(node.name()))?;
        let folder = StoreDir::new(native.folder().path(), Origin::HostStore);
        for output in node.derivation.outputs.values().filter_map(Output::path) {
            if !folder.import(output, store)? {
                let message = format!("{output}: `nix` built it, and something it refers to is not there");
                return Err(Failure::usage(message));
            }
        }
        Ok(())
    }

    /// Has `nix` build every output of `node`, which are then in its store.
    fn build_all(&self, node: &Node) -> Result<&flake::Native, Failure> {
        let native = self.native.as_ref().map_err(|why| Failure::usage(why.clone()))?;
        let Realiser { store, evaluated, caps, settings, .. } = *self.realiser;
        let import = Import { native, store, evaluated, limit: caps.wall };
        let graph = self.graphs.iter().find(|graph| graph.index_of(&node.drv).is_some());
        let graph = graph.ok_or_else(|| Failure::usage(format!("{} is in no closure", node.drv)))?;
        let fixed = self.realiser.sources_of(graph, &node.drv).map_err(|error| realising::failure(&error))?;
        import.paths(&fixed)?;
        // What the evaluator wrote is in its store already; a derivation from elsewhere, or one that a policy changed, is not.
        import.derivations(graph, &node.drv)?;
        let limits = flake::Limits { time: caps.wall, silence: caps.silence, cores: settings.cores };
        native.realise(&node.drv, limits)?;
        Ok(native)
    }
}
