//! The machines there are, each with its guest: found when first needed, shared by every build.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    code::Code,
    guest::{self, Bundle, Cache, GuestError, Lock},
    machine::{Arch, Machine, MachineError, qemu::Qemu},
    source::{
        apt::{Apt, AptError, Archives},
        pin::AptPin,
    },
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
    client: PackageClient,
    found: Mutex<BTreeMap<Arch, Host>>,
}

impl Machines {
    /// Machines whose guests are kept in `state`.
    pub fn new(state: &Path) -> Self {
        Machines {
            cache: Cache::new(state.join("guests")),
            client: PackageClient::new(state),
            found: Mutex::default(),
        }
    }

    /// The machine for `arch`; its guest is built now if it never was.
    pub fn host(&self, arch: Arch) -> Result<Host, HostError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = found.get(&arch) {
            return Ok(host.clone());
        }
        let machine = Arc::new(Qemu::find(arch)?);
        let bundle = Arc::new(self.cache.get(arch, &Lock::released()?, &self.client)?);
        let host = Host { machine, bundle };
        found.insert(arch, host.clone());
        Ok(host)
    }
}

/// The package client of this machine, as the guest room wants it. Nothing is asked before it is needed.
pub struct PackageClient {
    state: PathBuf,
}

impl PackageClient {
    /// The machine's own apt with a private state below `state`.
    pub fn new(state: &Path) -> Self {
        PackageClient { state: state.join("apt") }
    }

    fn apt(&self) -> Result<Apt, AptError> {
        Ok(Apt::new(&self.state, Archives::of_machine()?))
    }
}

impl guest::Client for PackageClient {
    fn candidate(&self, suite: &str, arch: &str, name: &str) -> Result<guest::Candidate, guest::FetchError> {
        let found = self.apt()?.candidate(suite, arch, name)?;
        Ok(guest::Candidate { version: found.version, sha256: data_encoding::HEXLOWER.encode(&found.sha256) })
    }

    fn fetch(&self, package: &guest::Package) -> Result<Vec<u8>, guest::FetchError> {
        let pin = AptPin::package(&package.suite, &package.arch, &package.name, &package.version);
        let sha256 = data_encoding::HEXLOWER.decode(package.sha256.as_bytes())?;
        let fetched = self.apt()?.fetch(&pin, sha256.try_into().ok())?;
        Ok(fs::read(fetched.path)?)
    }
}
