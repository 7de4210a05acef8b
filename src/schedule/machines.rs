//! The machines there are, each with its guest: found when first needed, shared by every build.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    code::Code,
    guest::{Bundle, Cache, GuestError, Lock},
    machine::{Arch, Machine, MachineError, embedded::Embedded, qemu::Qemu},
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
    boots: PathBuf,
    client: Apt,
    found: Mutex<BTreeMap<Arch, Host>>,
}

impl Machines {
    /// Machines whose guests are kept in `state`; packages of theirs that are not there yet come from `client`.
    pub fn new(state: &Path, client: Apt) -> Self {
        Machines {
            cache: Cache::new(state.join("guests")),
            boots: state.join("boots"),
            client,
            found: Mutex::default(),
        }
    }

    /// The machine for `arch`; its guest is built now if it never was.
    pub fn host(&self, arch: Arch) -> Result<Host, HostError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = found.get(&arch) {
            return Ok(host.clone());
        }
        let machine: Arc<dyn Machine> = match arch {
            Arch::Riscv64 => Arc::new(Embedded::new(Some(self.boots.clone()))),
            Arch::X86_64 => Arc::new(Qemu::find(arch)?),
        };
        let bundle = Arc::new(self.cache.get(arch, &Lock::released()?, &self.client)?);
        let host = Host { machine, bundle };
        found.insert(arch, host.clone());
        Ok(host)
    }
}
