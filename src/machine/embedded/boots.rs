//! States of guests that have booted, kept in a folder: one file for every bundle, settings and layout.
//!
//! A file is the length of the console in 8 bytes, little-endian, the console, and the state as the machine writes it, which
//! has its own root and is checked against it. Files are written under another name first, so one that is there is whole. The
//! folder is a cache: a file that cannot be used is as good as none.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reprove_riscv as riscv;
use sha2::{Digest, Sha256};

use super::BOOT_CONSOLE;
use crate::guest::Bundle;
use crate::machine::{MachineError, Settings, layout::Layout};

/// States that are kept at most; one takes about 100 MiB. A verification with two rounds uses two for every class of
/// input drives.
const MOST: usize = 12;

/// Bytes moved at a time.
const BUFFER: usize = 1 << 20;

/// The folder.
#[derive(Clone, Debug)]
pub struct Boots {
    folder: PathBuf,
}

/// What a booted guest depends on, as the name of its file.
pub fn key(bundle: &Bundle, settings: &Settings, layout: &Layout) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("reprove-boot/1 engine {}\n", riscv::VERSION));
    hasher.update(bundle.id);
    for number in [
        settings.seed,
        u64::from(settings.rate),
        layout.memory,
        layout.input.offset,
        layout.input.len,
        layout.output.len,
    ] {
        hasher.update(number.to_le_bytes());
    }
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}

impl Boots {
    /// States in `folder`, which need not be there yet.
    pub fn new(folder: PathBuf) -> Boots {
        Boots { folder }
    }

    /// The guest that is kept under `key`, in a machine that `empty` makes, and its console.
    pub fn load(
        &self,
        key: &str,
        empty: impl FnOnce() -> Result<riscv::Machine, MachineError>,
    ) -> Option<(riscv::Machine, Vec<u8>)> {
        let path = self.folder.join(key);
        let file = File::open(&path).ok()?;
        // The one used longest ago goes first when there are too many.
        let _ = file.set_modified(SystemTime::now());
        let mut input = BufReader::with_capacity(BUFFER, file);
        let mut machine = empty().ok()?;
        let mut read = || {
            let mut len = [0; 8];
            input.read_exact(&mut len)?;
            let len = u64::from_le_bytes(len);
            if len > BOOT_CONSOLE {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            let mut console = vec![0; len as usize];
            input.read_exact(&mut console)?;
            machine.load(&mut input)?;
            Ok(console)
        };
        match read() {
            Ok(console) => Some((machine, console)),
            Err(_) => {
                let _ = fs::remove_file(&path); // it is of no use to anybody
                None
            }
        }
    }

    /// Keeps `machine` and what its `console` said under `key`.
    pub fn keep(&self, key: &str, machine: &mut riscv::Machine, console: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.make_room()?;
        let file = tempfile::NamedTempFile::new_in(&self.folder)?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        out.write_all(&(console.len() as u64).to_le_bytes())?;
        out.write_all(console)?;
        machine.save(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(self.folder.join(key)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes what was used longest ago until there is room for one more, and what a killed process left half-written.
    fn make_room(&self) -> io::Result<()> {
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Ok(modified) = fs::metadata(&path).and_then(|file| file.modified()) else { continue };
            if is_state(&path) {
                kept.push((modified, path));
            } else if modified.elapsed().is_ok_and(|age| age.as_secs() > 3600) {
                let _ = fs::remove_file(&path);
            }
        }
        kept.sort();
        let surplus = (kept.len() + 1).saturating_sub(MOST);
        for (_, path) in &kept[..surplus] {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// Whether a file has the name of a state.
fn is_state(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
