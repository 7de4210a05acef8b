//! From pinned packages to a guest.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use super::client::Client;
use super::lock::{Lock, Package};
use super::{Bundle, GuestError, initrd, modules, vmlinux};
use crate::machine::Arch;
use crate::source::deb::{Deb, MAX_MEMBER};
use crate::source::tar::{Kind, TarError};

/// Where the firmware package keeps the one for QEMU's and most other boards.
const FIRMWARE: &[u8] = b"usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";

/// Makes the guest of `arch` from the packages in `lock`. The result depends on the packages' bytes and on nothing
/// else.
pub fn build(arch: Arch, lock: &Lock, client: &dyn Client) -> Result<Bundle, GuestError> {
    let parts = lock.parts(arch);
    let busybox = select(&parts.busybox, client, |path| {
        (path == b"bin/busybox" || path == b"usr/bin/busybox").then(|| "busybox".to_owned())
    })?;
    let firmware = match &parts.firmware {
        Some(package) => {
            let found = select(package, client, |path| (path == FIRMWARE).then(|| "firmware".to_owned()))?;
            Some(only(package, found, "firmware", &String::from_utf8_lossy(FIRMWARE))?)
        }
        None => None,
    };

    let names = modules::wanted(arch);
    let mut found = select(&parts.kernel, client, |path| {
        if path.starts_with(b"boot/vmlinu") {
            return Some(String::new());
        }
        let wanted = |name: &&str| names.contains(name) || modules::OBSERVING.contains(name);
        modules::name_of(path).filter(wanted).map(str::to_owned)
    })?;
    let missing = |wanted: String| GuestError::Missing { package: parts.kernel.to_string(), wanted };
    let kernel = found.remove("").ok_or_else(|| missing("boot/vmlinuz-… or boot/vmlinux-…".to_owned()))?;
    let mut packed = Vec::new();
    for name in names.iter().chain(&modules::OBSERVING) {
        let file = found.remove(*name).ok_or_else(|| missing(format!("module {name}")))?;
        packed.push((*name, modules::unpack(name, file)?));
    }
    modules::check_order(&packed)?;
    let (loaded, observing) = packed.split_at(names.len());

    let kernel = match arch {
        // An EFI image as it is: the riscv64 boot protocol knows no compression.
        Arch::Riscv64 => kernel,
        Arch::X86_64 => vmlinux::extract(&kernel)?,
    };
    let busybox = only(&parts.busybox, busybox, "busybox", "bin/busybox")?;
    Ok(Bundle::new(arch, kernel, initrd::pack(&busybox, loaded, observing), firmware))
}

fn only(
    package: &Package,
    mut found: BTreeMap<String, Vec<u8>>,
    key: &str,
    path: &str,
) -> Result<Vec<u8>, GuestError> {
    let missing = || GuestError::Missing { package: package.to_string(), wanted: path.to_owned() };
    found.remove(key).ok_or_else(missing)
}

/// The regular files of a package that `wanted` gives a name, under that name; one pass over the package.
fn select(
    package: &Package,
    client: &dyn Client,
    wanted: impl Fn(&[u8]) -> Option<String>,
) -> Result<BTreeMap<String, Vec<u8>>, GuestError> {
    let wrong = |source| GuestError::Package { package: package.to_string(), source };
    let in_data = |source: TarError| wrong(crate::source::deb::DebError::Tar { archive: "data.tar", source });
    let file = package.fetch(client)?;
    let mut deb = Deb::open(Cursor::new(file)).map_err(wrong)?;
    let mut reader = deb.data().map_err(wrong)?;
    let mut found = BTreeMap::new();
    while let Some(entry) = reader.next_entry().map_err(in_data)? {
        let Some(name) = wanted(&entry.path).filter(|_| entry.kind == Kind::Regular) else { continue };
        let mut bytes = Vec::new();
        let mut contents = reader.contents().take(MAX_MEMBER);
        contents.read_to_end(&mut bytes).map_err(|source| wrong(source.into()))?;
        found.insert(name, bytes);
    }
    Ok(found)
}
