//! The workshop: what every verb that builds works with, from its command line to a [`Realiser`].

use clap::Args;

use super::{
    Context, Failure,
    across::{self, Across},
    evaluation::{Closure, Installables},
    frontier::Frontier,
    host_nix::HostNix,
    policies::PoliciesFrom,
    running::{Interrupted, Running},
    sourcing::Sourcing,
};
use crate::{
    graph::{self, Plan},
    machine::{Caps, Engine, Settings},
    nix::{derivation::Output, store_path::StorePath},
    schedule::{Machines, OnFailure, Realiser, StoreDir, Taker},
    store::{Origin, Store},
};

/// What to build, and with what.
#[derive(Debug, Args)]
pub struct Work {
    #[command(flatten)]
    installables: Installables,
    #[command(flatten)]
    policies: PoliciesFrom,
    #[command(flatten)]
    frontier: Frontier,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    sourcing: Sourcing,
}

/// A store, an evaluated closure, machines, and where sources and substitutes come from.
pub struct Workshop<'a> {
    work: &'a Work,
    context: &'a Context,
    /// Where outputs go.
    pub store: Store,
    /// What was asked for, and everything it needs.
    pub closure: Closure,
    /// What this host's `nix` builds, only to be compared with.
    pub by_nix: Option<Closure>,
    /// The settings of a build that is not varied.
    pub settings: Settings,
    machines: Machines,
    caps: Caps,
    evaluated: StoreDir,
    takers: Vec<Taker>,
}

impl Work {
    /// Opens the store and evaluates. What is wrong with the command line is said before that.
    pub fn open<'a>(
        &'a self,
        context: &'a Context,
        interrupted: Interrupted,
    ) -> Result<Workshop<'a>, Failure> {
        self.open_across(context, interrupted, &Across::default())
    }

    /// The same, where these kinds of machine build if the command line names none.
    pub fn open_in<'a>(
        &'a self,
        context: &'a Context,
        interrupted: Interrupted,
        usual: &[Engine],
    ) -> Result<Workshop<'a>, Failure> {
        self.open_anywhere(context, interrupted, usual, &Across::default())
    }

    /// For a verb that uses nothing that was not built, or named as it is.
    pub fn takes_nothing_on_trust(&self) -> Result<(), Failure> {
        self.frontier.takes_nothing_on_trust()
    }

    /// The same, for several systems.
    pub fn open_across<'a>(
        &'a self,
        context: &'a Context,
        interrupted: Interrupted,
        across: &Across,
    ) -> Result<Workshop<'a>, Failure> {
        self.open_anywhere(context, interrupted, &[], across)
    }

    fn open_anywhere<'a>(
        &'a self,
        context: &'a Context,
        interrupted: Interrupted,
        usual: &[Engine],
        across: &Across,
    ) -> Result<Workshop<'a>, Failure> {
        let settings = self.running.settings()?;
        let takers = self.frontier.takers()?;
        let policies = self.policies.open()?;
        let state = context.state_dir()?;
        let embedded = self.running.embedded(&state, interrupted);
        let named = self.running.engines();
        let engines = if named.is_empty() { usual } else { named };
        let machines =
            Machines::new(&state, self.sourcing.apt(&state), engines, embedded, self.running.jobs());
        let store = context.store()?;
        let across::Evaluated { closure, by_nix } =
            across.evaluate(context, &self.installables, &policies)?;
        let origin = Origin::Source { place: "evaluation".to_owned() };
        let evaluated = StoreDir::new(closure.folder.path(), origin);
        let caps = self.running.caps();
        let workshop = Workshop {
            work: self,
            context,
            store,
            closure,
            by_nix,
            settings,
            machines,
            caps,
            evaluated,
            takers,
        };
        workshop.take_from_nix()?;
        Ok(workshop)
    }
}

impl Workshop<'_> {
    /// What is to be done for each derivation. The outputs of `again` are built though they may be there.
    pub fn plan(&self, again: &[usize]) -> Plan {
        self.work.frontier.plan(&self.closure.graph, &self.store, &self.takers, again)
    }

    /// Which derivations of the closure may be built, and which of them are to be there in the end.
    pub fn frontier(&self) -> graph::Frontier {
        self.work.frontier.of(&self.closure.graph)
    }

    /// What of the closure is built in machines, whether it is there or not: ascending.
    pub fn built(&self) -> Vec<usize> {
        self.work.frontier.built(&self.closure.graph)
    }

    /// Has this host's `nix` build what it is to be trusted with, and takes that.
    fn take_from_nix(&self) -> Result<(), Failure> {
        let graph = &self.closure.graph;
        let wanted = self.work.frontier.by_nix(graph);
        if wanted.is_empty() {
            return Ok(());
        }
        let realiser = self.realiser()?;
        let native = HostNix::new(&self.closure, &realiser);
        for index in wanted {
            let node = &graph.nodes()[index];
            let missing = |path: &StorePath| !matches!(self.store.path(path), Ok(Some(_)));
            if !node.derivation.outputs.values().filter_map(Output::path).any(missing) {
                continue;
            }
            self.context.progress.step(&format!("{} by nix", node.name()));
            let taken = native.take(node, &self.store);
            self.context.progress.end_step();
            taken?;
        }
        Ok(())
    }

    /// Who does it.
    pub fn realiser(&self) -> Result<Realiser<'_>, Failure> {
        Ok(Realiser {
            store: &self.store,
            sources: self.work.sourcing.provider(&self.context.state_dir()?, &self.store)?,
            machines: &self.machines,
            settings: &self.settings,
            caps: &self.caps,
            observer: &self.context.progress,
            evaluated: &self.evaluated,
            takers: &self.takers,
            rehashed: Default::default(),
        })
    }

    /// The kinds of machine that were asked for, in order; none when it does not matter.
    pub fn engines(&self) -> &[Engine] {
        self.work.running.engines()
    }

    /// How many machines run at once.
    pub fn jobs(&self) -> usize {
        self.work.running.jobs().get()
    }

    /// What to do after a failure.
    pub fn on_failure(&self) -> OnFailure {
        self.work.running.on_failure()
    }
}
