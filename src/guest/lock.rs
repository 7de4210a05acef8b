//! `guest.lock`: which packages a guest is made of.

use serde::{Deserialize, Serialize};

use super::GuestError;
use super::client::{Client, FetchError};
use crate::machine::Arch;
use crate::source::deb::Deb;

/// The lock file of this release.
const RELEASED: &str = include_str!("guest.lock");

/// The pinned packages of all guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Of the riscv64 guest.
    pub riscv64: Parts,
    /// Of the x86_64 guest.
    pub x86_64: Parts,
}

/// The pinned packages of one guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Kernel and modules.
    pub kernel: Package,
    /// The static busybox.
    pub busybox: Package,
    /// M-mode firmware; riscv64 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Package>,
}

/// One Debian package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// `bookworm`, `trixie`: where to look for it.
    pub suite: String,
    /// Debian's name of the architecture whose package list has it; packages for `all` are in every list.
    pub arch: String,
    /// Its name.
    pub name: String,
    /// Its version, epoch included.
    pub version: String,
    /// SHA-256 of the `.deb` file, in hexadecimal.
    pub sha256: String,
    /// The package that always depends on the newest of its kind, whose names hold a version: kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.arch)
    }
}

impl Lock {
    /// The packages this release was tested with.
    pub fn released() -> Result<Lock, GuestError> {
        Lock::parse(RELEASED)
    }

    /// Reads a lock file.
    pub fn parse(text: &str) -> Result<Lock, GuestError> {
        let lock: Lock = toml::from_str(text).map_err(|error| GuestError::Lock(error.to_string()))?;
        for arch in Arch::ALL {
            for package in lock.parts(arch).packages() {
                let plain = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
                if package.sha256.len() != 64 || !package.sha256.as_bytes().iter().all(plain) {
                    return Err(GuestError::Lock(format!(
                        "the SHA-256 of {package} is not 64 lower-case digits"
                    )));
                }
            }
        }
        Ok(lock)
    }

    /// The packages of `arch`'s guest.
    pub fn parts(&self, arch: Arch) -> &Parts {
        match arch {
            Arch::Riscv64 => &self.riscv64,
            Arch::X86_64 => &self.x86_64,
        }
    }

    /// The lock file as text.
    pub fn to_toml(&self) -> Result<String, GuestError> {
        let body = toml::to_string(self).map_err(|error| GuestError::Lock(error.to_string()))?;
        Ok(format!(
            "# Written by `reprove guest update`: the Debian packages the guests are made of.\n\n{body}"
        ))
    }

    /// Pins what each package's suite has now.
    pub fn update(&mut self, client: &dyn Client) -> Result<(), GuestError> {
        for parts in [&mut self.riscv64, &mut self.x86_64] {
            let all = [Some(&mut parts.kernel), Some(&mut parts.busybox), parts.firmware.as_mut()];
            for package in all.into_iter().flatten() {
                package.update(client)?;
            }
        }
        Ok(())
    }
}

impl Parts {
    /// All of them.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        [&self.kernel, &self.busybox].into_iter().chain(&self.firmware)
    }
}

impl Package {
    /// The `.deb` file, with the hash that is pinned.
    pub(super) fn fetch(&self, client: &dyn Client) -> Result<Vec<u8>, GuestError> {
        use sha2::{Digest, Sha256};
        let bytes = client.fetch(self).map_err(|source| self.cannot_fetch(source))?;
        let found = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        if found != self.sha256 {
            return Err(GuestError::WrongHash {
                package: self.to_string(),
                expected: self.sha256.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    fn cannot_fetch(&self, source: FetchError) -> GuestError {
        GuestError::Fetch { package: self.to_string(), source }
    }

    fn pin(&mut self, name: &str, client: &dyn Client) -> Result<(), GuestError> {
        name.clone_into(&mut self.name);
        let candidate = client.candidate(&self.suite, &self.arch, name);
        let candidate = candidate.map_err(|source| self.cannot_fetch(source))?;
        self.version = candidate.version;
        self.sha256 = candidate.sha256;
        Ok(())
    }

    fn update(&mut self, client: &dyn Client) -> Result<(), GuestError> {
        let Some(newest) = self.newest.clone() else {
            let name = self.name.clone();
            return self.pin(&name, client);
        };
        let mut pointer = Package { newest: None, ..self.clone() };
        pointer.pin(&newest, client)?;
        let wrong = |source| GuestError::Package { package: newest.clone(), source };
        let file = pointer.fetch(client)?;
        let deb = Deb::open(std::io::Cursor::new(file)).map_err(wrong)?;
        let name = deb
            .field("Depends")
            .and_then(|field| field.split([',', '|', ' ']).find(|word| word.starts_with("linux-image-")))
            .ok_or_else(|| GuestError::Missing {
                package: pointer.to_string(),
                wanted: "dependency on a kernel".to_owned(),
            })?;
        self.pin(name, client)
    }
}
