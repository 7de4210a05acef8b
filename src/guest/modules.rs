//! Kernel modules: which ones a guest loads, and in which order.

use std::collections::BTreeSet;
use std::io::Read;

use object::{Object, ObjectSection};

use super::GuestError;
use crate::machine::Arch;

/// Largest module after unpacking; the largest of Debian's that we load has 2 MiB.
const MAX_MODULE: u64 = 64 << 20;

/// Memory for the xz decoder: modules are packed with dictionaries of 2 MiB.
const XZ_MEMORY: u64 = 96 << 20;

/// The modules of a guest in the order they are loaded: persistent memory as block devices, and EROFS.
/// `crc32c_generic` is asked for by name at run time, so it stands in no module's list of dependencies.
pub fn wanted(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Riscv64 => {
            &["libnvdimm", "nd_btt", "nd_pmem", "of_pmem", "crc32c_generic", "libcrc32c", "erofs"]
        }
        Arch::X86_64 => &["libnvdimm", "nd_btt", "nd_pmem", "nd_e820", "libcrc32c", "erofs"],
    }
}

/// The modules that a guest loads besides when its build is looked at: files are hashed by the kernel, which has the hash
/// itself, but not the way to it.
pub const OBSERVING: [&str; 2] = ["af_alg", "algif_hash"];

/// The name of the module a package has at `path` (`…/nd_pmem.ko.xz`), if it is one.
pub fn name_of(path: &[u8]) -> Option<&str> {
    let file = path.rsplit(|byte| *byte == b'/').next()?;
    str::from_utf8(file).ok()?.split_once(".ko").map(|(name, _)| name)
}

/// The module proper, unpacked.
pub fn unpack(name: &str, file: Vec<u8>) -> Result<Vec<u8>, GuestError> {
    let wrong = |problem: String| GuestError::Module { name: name.to_owned(), problem };
    let reader: Box<dyn Read + '_> = if file.starts_with(b"\xfd7zXZ\0") {
        let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)
            .map_err(|error| wrong(error.to_string()))?;
        Box::new(liblzma::read::XzDecoder::new_stream(&file[..], decoder))
    } else if file.starts_with(b"\x28\xb5\x2f\xfd") {
        Box::new(zstd::stream::read::Decoder::new(&file[..]).map_err(|error| wrong(error.to_string()))?)
    } else {
        Box::new(&file[..])
    };
    let mut module = Vec::new();
    reader.take(MAX_MODULE + 1).read_to_end(&mut module).map_err(|error| wrong(error.to_string()))?;
    if module.len() as u64 > MAX_MODULE {
        return Err(wrong(format!("it unpacks to more than {MAX_MODULE} bytes")));
    }
    Ok(module)
}

/// Checks that every module finds those it depends on loaded before it.
pub fn check_order(modules: &[(&str, Vec<u8>)]) -> Result<(), GuestError> {
    let mut loaded = BTreeSet::new();
    for (name, module) in modules {
        for needed in dependencies(name, module)? {
            if !loaded.contains(&needed) {
                return Err(GuestError::Module {
                    name: (*name).to_owned(),
                    problem: format!("it needs {needed}, which is not loaded before it"),
                });
            }
        }
        loaded.insert((*name).to_owned());
    }
    Ok(())
}

/// What a module says it depends on: `depends=a,b` among the strings of its section `.modinfo`.
fn dependencies(name: &str, module: &[u8]) -> Result<Vec<String>, GuestError> {
    let wrong = |problem: String| GuestError::Module { name: name.to_owned(), problem };
    let elf = object::File::parse(module).map_err(|error| wrong(error.to_string()))?;
    let section = elf.section_by_name(".modinfo").ok_or_else(|| wrong("it has no .modinfo".to_owned()))?;
    let strings = section.data().map_err(|error| wrong(error.to_string()))?;
    let list = strings
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(b"depends="))
        .ok_or_else(|| wrong("it does not say what it depends on".to_owned()))?;
    let list = String::from_utf8_lossy(list);
    Ok(list.split(',').filter(|needed| !needed.is_empty()).map(str::to_owned).collect())
}
