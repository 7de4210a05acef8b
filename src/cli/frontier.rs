//! What is built in machines, and what is taken by hash from somebody who has it.

use std::collections::BTreeSet;

use clap::Args;
use regex_lite::Regex;

use super::{Exit, Failure};
use crate::{
    graph::{self, Choice, Graph, Plan, Rule},
    machine::Arch,
    nix::{derivation::Output, signature::PublicKey, store_path::StorePath},
    schedule::{Taker, host_store},
    source::binary_cache::{BinaryCache, Trust},
    store::{Origin, Store},
};

/// Where the frontier lies.
#[derive(Debug, Args)]
#[command(next_help_heading = "Frontier")]
pub struct Frontier {
    /// Build only derivations whose name matches; take everything else by hash
    #[arg(long, value_name = "REGEX")]
    only: Option<Regex>,
    /// Build only what is at most N steps away from what was asked for: 0 is just that
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Have this host's own `nix` build derivations whose name matches, and take its word for them
    #[arg(long, value_name = "REGEX")]
    by_nix: Option<Regex>,
    /// Take whatever the host's store or a cache has, but for what was asked for
    #[arg(long)]
    trust_substitutes: bool,
    /// A binary cache to take from, besides the host's own store; only what a trusted key signed
    #[arg(long = "substituter", value_name = "URL")]
    substituters: Vec<String>,
    /// A binary cache whose word is taken, signed or not
    #[arg(long, value_name = "URL")]
    trust_unsigned: Vec<String>,
    /// Keys whose signatures are trusted, with commas between them, each as nix.conf spells it: NAME:BASE64
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    trusted_public_keys: Vec<PublicKey>,
}

impl Frontier {
    /// Whether anything may be taken on trust at all.
    fn is_drawn(&self) -> bool {
        self.only.is_some() || self.depth.is_some() || self.trust_substitutes
    }

    fn rule(&self) -> Rule {
        Rule { only: self.only.clone(), depth: self.depth, trust_substitutes: self.trust_substitutes }
    }

    /// Refuses to take what somebody has in the place of what would be built.
    pub fn takes_nothing_on_trust(&self) -> Result<(), Failure> {
        if !self.trust_substitutes {
            return Ok(());
        }
        Err(Failure::usage("--trust-substitutes: a mirror takes nothing that somebody just has")
            .hint("name what is to be taken as it is with `--seed PATH --why TEXT`"))
    }

    /// Which derivations of a graph may be built, and which are to be there in the end.
    pub fn of(&self, graph: &Graph) -> graph::Frontier {
        graph::frontier(graph, &self.rule())
    }

    /// What this host's `nix` builds: of what matches, whatever something that does not match needs.
    pub fn by_nix(&self, graph: &Graph) -> Vec<usize> {
        let Some(by_nix) = &self.by_nix else { return Vec::new() };
        let is_theirs = |index: usize| {
            let node = &graph.nodes()[index];
            !graph.roots().contains(&index)
                && !node.derivation.is_fixed_output()
                && by_nix.is_match(node.name())
        };
        let ours = (0..graph.nodes().len()).filter(|index| !is_theirs(*index));
        let needed: BTreeSet<usize> = ours.flat_map(|index| graph.nodes()[index].inputs.clone()).collect();
        needed.into_iter().filter(|index| is_theirs(*index)).collect()
    }

    /// Who has what is not built.
    pub fn takers(&self) -> Result<Vec<Taker>, Failure> {
        let mut takers: Vec<Taker> = host_store().map(Taker::Dir).into_iter().collect();
        if !self.substituters.is_empty() && self.trusted_public_keys.is_empty() {
            return Err(Failure::usage("--substituter: no key is trusted, so nothing would be taken").hint(
                "name its key with `--trusted-public-keys NAME:BASE64`, or the cache with `--trust-unsigned`",
            ));
        }
        let signed = Trust::Signed(self.trusted_public_keys.clone());
        let signed = self.substituters.iter().map(|address| (address, &signed));
        for (address, trust) in signed.chain(self.trust_unsigned.iter().map(|url| (url, &Trust::Unsigned))) {
            let cache =
                BinaryCache::new(address).map_err(|error| Failure::new(error.code(), &error, Exit::Usage))?;
            takers.push(Taker::Cache(cache, trust.clone()));
        }
        Ok(takers)
    }

    /// Of a graph what is built in machines, whether it is there or not: ascending.
    pub fn built(&self, graph: &Graph) -> Vec<usize> {
        let choices = self.of(graph).choices;
        let built = |index: &usize| {
            choices[*index] == Choice::Build && !graph.nodes()[*index].derivation.is_fixed_output()
        };
        (0..choices.len()).filter(built).collect()
    }

    /// What is to be done for each derivation of `graph`. The outputs of `again` are built though they may be there.
    pub fn plan(&self, graph: &Graph, store: &Store, takers: &[Taker], again: &[usize]) -> Plan {
        let mut frontier = self.of(graph);
        for index in again {
            frontier.choices[*index] = Choice::Build;
        }
        let again: BTreeSet<&StorePath> = outputs(graph, again).collect();
        // What was taken on trust in an earlier run is not there for a run that trusts nobody. A record that cannot be
        // read is no presence: the build that follows says what is wrong with it.
        let by_nix: BTreeSet<&StorePath> = outputs(graph, &self.by_nix(graph)).collect();
        let trusting = self.is_drawn();
        let counts =
            |path: &StorePath, origin: &Origin| trusting || by_nix.contains(path) || !origin.is_on_trust();
        let present = |path: &StorePath| {
            !again.contains(path) && matches!(store.path(path), Ok(Some(info)) if counts(path, &info.origin))
        };
        let available = |path: &StorePath| takers.iter().any(|taker| matches!(taker.has(path), Ok(true)));
        graph::plan(graph, &frontier, |system| Arch::of_system(system).is_some(), present, available)
    }
}

/// The paths of all outputs of some derivations, by index, as far as they are known.
fn outputs<'a>(graph: &'a Graph, indices: &[usize]) -> impl Iterator<Item = &'a StorePath> {
    let derivations = indices.iter().map(|index| &graph.nodes()[*index].derivation);
    derivations.flat_map(|derivation| derivation.outputs.values().filter_map(Output::path))
}
