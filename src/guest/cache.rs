//! A folder of built guests, so that packages are read once.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::client::Client;
use super::lock::Lock;
use super::{Bundle, GuestError, build, initrd, modules};
use crate::machine::Arch;

/// Changes whenever the same packages make another guest for a reason that [`key`] does not see.
const RECIPE: &str = "recipe 1";

/// A folder of built guests, each in a folder of its own named by what it is made from.
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Cache {
        Cache { folder: folder.into() }
    }

    /// The guest of `arch`: the one in the folder when it is whole, else built from its packages and kept.
    pub fn get(&self, arch: Arch, lock: &Lock, client: &dyn Client) -> Result<Bundle, GuestError> {
        let place = self.folder.join(key(arch, lock));
        let wrong = |source| GuestError::Cache { path: place.display().to_string(), source };
        if let Some(bundle) = load(arch, &place).map_err(wrong)? {
            return Ok(bundle);
        }
        let bundle = build(arch, lock, client)?;
        self.keep(&bundle, &place).map_err(wrong)?;
        Ok(bundle)
    }

    /// Puts a guest in its place in one step; what was there (damaged, or the same) goes.
    fn keep(&self, bundle: &Bundle, place: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let folder = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.folder)?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes)?;
            fs::File::open(path)?.sync_all()
        };
        write("kernel", &bundle.kernel)?;
        write("initrd", &bundle.initrd)?;
        if let Some(firmware) = &bundle.firmware {
            write("firmware", firmware)?;
        }
        write("id", data_encoding::HEXLOWER.encode(&bundle.id).as_bytes())?;
        if place.exists() {
            // Another process may be reading it: it keeps the files it has opened.
            let old = tempfile::Builder::new().prefix(".old-").tempdir_in(&self.folder)?;
            fs::rename(place, old.path().join("guest"))?;
        }
        match fs::rename(folder.path(), place) {
            Ok(()) => {
                let _ = folder.keep(); // it is no longer there to be removed
                Ok(())
            }
            // Another process was first: the same packages made the same guest.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The guest in `place`; none when there is none, or when it is not the one that was put there.
fn load(arch: Arch, place: &Path) -> io::Result<Option<Bundle>> {
    let read = |name: &str| match fs::read(place.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (Some(kernel), Some(initrd), Some(id)) = (read("kernel")?, read("initrd")?, read("id")?) else {
        return Ok(None);
    };
    let bundle = Bundle::new(arch, kernel, initrd, read("firmware")?);
    Ok((data_encoding::HEXLOWER.encode(&bundle.id).as_bytes() == id).then_some(bundle))
}

/// A name for all that a guest is made from.
fn key(arch: Arch, lock: &Lock) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{RECIPE}\narch {arch}\nmodules {}\n", modules::wanted(arch).join(" ")));
    for package in lock.parts(arch).packages() {
        hasher.update(format!("package {} {}\n", package.name, package.sha256));
    }
    hasher.update(format!("programs {}\n", initrd::APPLETS.join(" ")));
    hasher.update(initrd::INIT);
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}
