//! What paths of a mirror are proved again with: our store, and the machines that the mirror's policy names. Nothing else is asked
//! for inputs or sources.

use crate::{
    cli::{
        Context, Failure,
        progress::Progress,
        running::{Interrupted, Running},
    },
    machine::{Caps, Settings},
    mirror::Mirror,
    schedule::{Machines, Realiser, StoreDir},
    source::{Provider, apt::Apt},
    store::{Origin, Scratch, Store},
};

/// A store and machines.
pub struct Bench<'a> {
    /// Where inputs and outputs go.
    pub store: Store,
    machines: Machines,
    settings: Settings,
    caps: Caps,
    /// Where no evaluator ever wrote anything.
    nothing: StoreDir,
    _nothing: Scratch,
    progress: &'a Progress,
}

impl<'a> Bench<'a> {
    /// Opens the state directory. Guests of machines that are not there yet come from this machine's package client.
    pub fn open(context: &'a Context, running: &Running, mirror: &Mirror) -> Result<Self, Failure> {
        let settings = running.settings()?;
        let state = context.state_dir()?;
        let named = mirror.policy().all_engines();
        let engines = if running.engines().is_empty() { &named } else { running.engines() };
        let embedded = running.embedded(&state, Interrupted::GoOn);
        let machines =
            Machines::new(&state, Apt::of_machine(&state.join("apt")), engines, embedded, running.jobs());
        let store = context.store()?;
        let empty = store.scratch()?;
        let nothing = StoreDir::new(empty.path(), Origin::HostStore);
        let caps = running.caps();
        Ok(Bench { store, machines, settings, caps, nothing, _nothing: empty, progress: &context.progress })
    }

    /// Who builds.
    pub fn realiser(&self) -> Realiser<'_> {
        Realiser {
            store: &self.store,
            sources: Provider::new(&self.store),
            machines: &self.machines,
            settings: &self.settings,
            caps: &self.caps,
            observer: self.progress,
            evaluated: &self.nothing,
            takers: &[],
            rehashed: Default::default(),
        }
    }
}
