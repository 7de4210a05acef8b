//! QEMU as a deterministic machine: emulation only (TCG), one processor, a clock that counts instructions.
//!
//! The command lines, and what was measured with them, are in `docs/machine.md`.

mod child;
mod memory;
mod version;
mod x86;

pub use version::Version;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::board::{self, Boot};
use super::layout::Layout;
use super::limits::Limits;
use super::{Arch, Job, Machine, MachineError, Region, Run, Watch};

/// The riscv64 board, and the one processor all its guests have.
const RISCV_BOARD: &[&str] = &["-M", "virt,aia=none,memory-backend=ram", "-cpu", "sifive-u54"];

/// QEMU's system emulator for one architecture, as found on this host.
#[derive(Clone, Debug)]
pub struct Qemu {
    arch: Arch,
    program: PathBuf,
    version: Version,
}

impl Qemu {
    /// Finds `qemu-system-<arch>` on `PATH` and asks for its version.
    pub fn find(arch: Arch) -> Result<Qemu, MachineError> {
        let (program, version) = version::find(&format!("qemu-system-{arch}"))?;
        Ok(Qemu { arch, program, version })
    }

    /// Which release of QEMU it is.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl Machine for Qemu {
    fn engine(&self) -> String {
        format!("qemu {}", self.version)
    }

    fn arch(&self) -> Arch {
        self.arch
    }

    fn run(&self, job: &Job<'_>, watch: &mut dyn Watch) -> Result<Run, MachineError> {
        if job.bundle.arch != self.arch {
            return Err(MachineError::DoesNotFit(format!(
                "the guest is for {}, the machine is {}",
                job.bundle.arch, self.arch
            )));
        }
        let layout = Layout::new(self.arch, job.settings, job.caps, job.input.len)?;
        let files = Files::new(job, &layout)?;
        let limits = Limits::of(job.caps);
        let arguments = arguments(self.arch, job, &layout, &files);
        let outcome =
            child::run(&self.program, &arguments, &files.inherited(), &files.console, &limits, watch)?;

        // The output drive is all that is looked at from here on.
        memory::forget(&files.memory, 0, layout.output.offset)
            .and_then(|()| memory::forget(&files.memory, layout.pad.offset, layout.pad.len))
            .map_err(|source| MachineError::Io {
                what: "giving back a machine's memory".to_owned(),
                source,
            })?;
        let output = Region::new(Arc::new(files.memory), layout.output.offset, layout.output.len);
        Ok(Run {
            end: outcome.end,
            instructions: instructions(&output, job.settings.rate),
            console: outcome.console,
            output,
            state: None,
            engine_log: outcome.log,
            wall: outcome.wall,
        })
    }
}

/// What the engine opens, all of it in memory.
struct Files {
    memory: File,
    console: File,
    kernel: File,
    initrd: File,
    firmware: Option<File>,
    device_tree: Option<File>,
}

impl Files {
    fn new(job: &Job<'_>, layout: &Layout) -> Result<Files, MachineError> {
        let make = || -> std::io::Result<Files> {
            let memory = memory::anonymous("memory")?;
            memory.set_len(layout.total)?;
            memory::copy(&job.input.file, job.input.len, &memory, layout.input.offset)?;
            let device_tree = match job.bundle.arch {
                Arch::Riscv64 => {
                    let (drives, seed) = (layout.drives(), job.settings.seed);
                    Some(board::device_tree(layout.memory, &drives, seed, &Boot::Firmware))
                }
                Arch::X86_64 => None,
            };
            Ok(Files {
                memory,
                console: memory::anonymous("console")?,
                kernel: memory::holding("kernel", &job.bundle.kernel)?,
                initrd: memory::holding("initrd", &job.bundle.initrd)?,
                firmware: job.bundle.firmware.as_ref().map(|f| memory::holding("firmware", f)).transpose()?,
                device_tree: device_tree.map(|tree| memory::holding("device-tree", &tree)).transpose()?,
            })
        };
        make().map_err(|source| MachineError::Io { what: "filling a machine's memory".to_owned(), source })
    }

    fn inherited(&self) -> Vec<&File> {
        let always = [&self.memory, &self.console, &self.kernel, &self.initrd];
        always.into_iter().chain(&self.firmware).chain(&self.device_tree).collect()
    }
}

/// The engine's command line.
fn arguments(arch: Arch, job: &Job<'_>, layout: &Layout, files: &Files) -> Vec<String> {
    let settings = job.settings;
    let (board, rest) = match arch {
        Arch::Riscv64 => (RISCV_BOARD, board::COMMAND_LINE.to_owned()),
        Arch::X86_64 => (x86::BOARD, x86::command_line(layout)),
    };
    let size = format!("{}M", layout.total >> 20);
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    add(&["-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot"]);
    add(board);
    add(&["-smp", "1", "-m", &size]);
    let memory = memory::path(&files.memory);
    add(&["-object", &format!("memory-backend-file,id=ram,mem-path={memory},share=on,size={size}")]);
    // The size of the translation buffer is a fraction of the host's memory unless it is said.
    add(&["-accel", "tcg,thread=single,tb-size=512"]);
    add(&["-icount", &format!("shift={},sleep=off", settings.rate)]);
    // Without a seed of its own QEMU takes fresh random bytes for the device tree at every reset.
    add(&["-seed", &settings.seed.to_string()]);
    add(&["-rtc", "base=2020-01-01T00:00:00,clock=vm"]);
    add(&["-kernel", &memory::path(&files.kernel), "-initrd", &memory::path(&files.initrd)]);
    add(&["-append", &board::command_line(&rest, settings.seed)]);
    add(&["-serial", &format!("file:{}", memory::path(&files.console))]);
    if let Some(firmware) = &files.firmware {
        add(&["-bios", &memory::path(firmware)]);
    }
    if let Some(device_tree) = &files.device_tree {
        add(&["-dtb", &memory::path(device_tree)]);
    }
    arguments
}

/// The machine's clock when the guest wrote its result record, in instructions of `1 << rate` ns each.
fn instructions(output: &Region, rate: u8) -> Option<u64> {
    let mut record = [0; 4096];
    output.read_exact_at(&mut record, 0).ok()?;
    let text = str::from_utf8(record.split(|byte| *byte == 0).next()?).ok()?;
    let nanoseconds: u64 = text.lines().find_map(|line| line.strip_prefix("nanoseconds="))?.parse().ok()?;
    Some(nanoseconds >> rate)
}
