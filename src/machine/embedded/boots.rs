//! States of guests that have booted, kept in a folder: one file for everything that a boot depends on.
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
use super::boot::Image;
use crate::guest::Bundle;
use crate::machine::MachineError;

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

/// What a booted guest depends on, as the name of its file: the machine and all that lies in its memory when it starts.
/// Kernel and initial file system are `bundle`'s.
pub fn key(bundle: &Bundle, image: &Image<'_>, memory: u64, rate: u8) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("reprove-boot/2\nengine {}\nmemory {memory}\nrate {rate}\n", riscv::VERSION));
    let ids = [("kernel", &image.kernel, &bundle.id[..]), ("initrd", &image.initrd, &bundle.id[..])];
    let device_tree = ("device-tree", &image.device_tree, &image.device_tree.bytes[..]);
    for (name, part, id) in ids.into_iter().chain([device_tree]) {
        hasher.update(format!("{name} {:#x} {} ", part.address, part.bytes.len()));
        hasher.update(id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Arch, Caps, Setting, Settings, layout::Layout};

    /// The key of a job with this kernel, settings, caps and length of the input drive.
    fn key_of(kernel: &[u8], settings: &Settings, caps: &Caps, input: u64) -> String {
        let bundle = Bundle::new(Arch::Riscv64, kernel.to_vec(), b"initrd".to_vec(), None);
        let layout = Layout::new(Arch::Riscv64, settings, caps, input).unwrap();
        let line = super::super::command_line(settings);
        let image = super::super::guest(&bundle, settings, &line).image(layout.memory, &layout.drives());
        key(&bundle, &image.unwrap(), layout.pad.offset, settings.rate)
    }

    #[test]
    fn whatever_a_boot_depends_on_gives_it_another_name_and_nothing_else_does() {
        let (settings, caps) = (Settings::default(), Caps::default());
        let base = key_of(b"kernel", &settings, &caps, 5);
        let with = |settings: &Settings| key_of(b"kernel", settings, &caps, 5);
        let mut others =
            vec![key_of(b"Kernel", &settings, &caps, 5), key_of(b"kernel", &settings, &caps, 1 << 30)];
        others.push(key_of(b"kernel", &settings, &Caps { output_bytes: 5 << 30, ..caps.clone() }, 5));
        for which in [Setting::Seed, Setting::Rate, Setting::Memory] {
            others.push(with(&settings.varied(which, 1)));
        }
        for (n, other) in others.iter().enumerate() {
            assert!(*other != base && !others[..n].contains(other), "{n}");
        }
        // What the guest learns from its drive.
        for which in [Setting::Clock, Setting::Hostname, Setting::Cores, Setting::BuildDir, Setting::User] {
            assert_eq!(with(&settings.varied(which, 1)), base);
        }
        assert_eq!(key_of(b"kernel", &settings, &caps, 77), base, "a drive of the same class");
    }

    #[test]
    fn another_device_tree_is_another_boot() {
        let settings = Settings::default();
        let bundle = Bundle::new(Arch::Riscv64, b"kernel".to_vec(), Vec::new(), None);
        let of = |line: &str| {
            let image = super::super::guest(&bundle, &settings, line).image(1 << 30, &[]).unwrap();
            key(&bundle, &image, 1 << 30, 0)
        };
        assert_ne!(of("quiet"), of("loud!"));
    }
}
