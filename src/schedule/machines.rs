//! The machines there are, each with its guest: found when first needed, shared by every build.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::slots::{Slot, Slots};
use crate::{
    code::Code,
    guest::{Bundle, Cache, GuestError, Lock},
    machine::{Arch, Engine, Machine, MachineError, embedded::Embedded, qemu::Qemu},
    source::apt::Apt,
};

/// A machine and the guest that boots in it.
#[derive(Clone)]
pub struct Host {
    /// The engine.
    pub machine: Arc<dyn Machine>,
    /// The guest.
    pub bundle: Arc<Bundle>,
}

/// Why there is no machine for an architecture.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No engine.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// No guest.
    #[error(transparent)]
    Guest(#[from] GuestError),
}

impl HostError {
    /// The code of what is behind it.
    pub fn code(&self) -> Code {
        match self {
            HostError::Machine(error) => error.code(),
            HostError::Guest(error) => error.code(),
        }
    }
}

/// Every machine of this host.
pub struct Machines {
    cache: Cache,
    embedded: Embedded,
    client: Apt,
    engines: Vec<Engine>,
    slots: Slots,
    bundles: Mutex<BTreeMap<Arch, Arc<Bundle>>>,
    found: Mutex<BTreeMap<(Engine, Arch), Arc<dyn Machine>>>,
}

impl Machines {
    /// Machines whose guests are kept in `state`; packages of theirs that are not there yet come from `client`. Each
    /// architecture has the first of `engines` that runs it; all are to choose from when there are none. No more than `at_once`
    /// run at once, whatever asks for them.
    pub fn new(
        state: &Path,
        client: Apt,
        engines: &[Engine],
        embedded: Embedded,
        at_once: NonZeroUsize,
    ) -> Self {
        Machines {
            cache: Cache::new(state.join("guests")),
            embedded,
            client,
            engines: if engines.is_empty() { Engine::ALL.to_vec() } else { engines.to_vec() },
            slots: Slots::new(at_once),
            bundles: Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// Waits until one more machine may run.
    pub fn slot(&self) -> Slot<'_> {
        self.slots.take()
    }

    /// The engine that runs `arch`.
    pub fn engine(&self, arch: Arch) -> Result<Engine, MachineError> {
        self.engines.iter().copied().find(|engine| engine.runs(arch)).ok_or_else(|| {
            let chosen: Vec<&str> = self.engines.iter().map(|engine| engine.name()).collect();
            MachineError::NoEngine { arch, chosen: chosen.join(", ") }
        })
    }

    /// The machine for `arch`; its guest is built now if it never was.
    pub fn host(&self, arch: Arch) -> Result<Host, HostError> {
        self.host_in(self.engine(arch)?, arch)
    }

    /// The machine of a kind for `arch`, as [`Machines::host`].
    pub fn host_in(&self, engine: Engine, arch: Arch) -> Result<Host, HostError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = match found.get(&(engine, arch)) {
            Some(machine) => Arc::clone(machine),
            None => {
                let machine: Arc<dyn Machine> = match engine {
                    Engine::Embedded => Arc::new(self.embedded.clone()),
                    Engine::Qemu => Arc::new(Qemu::find(arch)?),
                };
                found.insert((engine, arch), Arc::clone(&machine));
                machine
            }
        };
        let mut bundles = self.bundles.lock().unwrap_or_else(PoisonError::into_inner);
        let bundle = match bundles.get(&arch) {
            Some(bundle) => Arc::clone(bundle),
            None => {
                let bundle = Arc::new(self.cache.get(arch, &Lock::released()?, &self.client)?);
                bundles.insert(arch, Arc::clone(&bundle));
                bundle
            }
        };
        Ok(Host { machine, bundle })
    }
}
