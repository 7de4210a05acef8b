//! The embedded machine: `reprove-riscv` with the same guest and drives as on QEMU, and nothing to install.
//!
//! A guest boots before its drives have content, up to a mark that its init writes to the console. What it is then depends
//! on bundle, settings and layout only, so that state is kept and taken up by the next run of the same kind (`boots`).

mod boot;
mod boots;
mod by_hand;

pub use by_hand::{Parts, Program, stored};

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use reprove_riscv::{self as riscv, Firmware, Stop};

use self::boots::Boots;
use super::board;
use super::layout::Layout;
use super::limits::{Limits, Vigil};
use super::{Arch, End, Job, Machine, MachineError, Region, Run, StateRoots, Watch};

/// What init writes when nothing is left to do but to look at the drives.
const MARK: &[u8] = b"\n@reprove - attach\n";

/// Steps between two looks at the host's clock: some milliseconds.
const SLICE: u64 = 1 << 22;

/// Console bytes that are kept of a boot at most: a kernel that is quiet and an init that says one line.
const BOOT_CONSOLE: u64 = 1 << 20;

/// The embedded machine.
#[derive(Clone, Debug)]
pub struct Embedded {
    boots: Option<Boots>,
}

impl Embedded {
    /// A machine that keeps the states of guests that have booted in the folder `boots`, if one is given.
    pub fn new(boots: Option<PathBuf>) -> Embedded {
        Embedded { boots: boots.map(Boots::new) }
    }
}

impl Machine for Embedded {
    fn engine(&self) -> String {
        format!("embedded {}", riscv::VERSION)
    }

    fn arch(&self) -> Arch {
        Arch::Riscv64
    }

    fn run(&self, job: &Job<'_>, watch: &mut dyn Watch) -> Result<Run, MachineError> {
        if job.bundle.arch != Arch::Riscv64 {
            return Err(MachineError::DoesNotFit(format!(
                "the guest is for {}, the machine is riscv64",
                job.bundle.arch
            )));
        }
        let layout = Layout::new(Arch::Riscv64, job.settings, job.caps, job.input.len)?;
        let limits = Limits::of(job.caps);
        let mut course = Course { console: Vec::new(), vigil: Vigil::begin(&limits), watch };
        let mut machine = match self.booted(job, &layout, &mut course)? {
            Booted::Ready(machine) => machine,
            Booted::Ended(machine, end) => return Ok(course.end(machine, &layout, end, None)),
        };
        attach(&mut machine, job, &layout).map_err(|source| MachineError::Io {
            what: "filling a machine's input drive".to_owned(),
            source,
        })?;
        let first = machine.state_root();
        let end = course.follow(&mut machine);
        Ok(course.end(machine, &layout, end, Some(first)))
    }
}

/// A guest that has booted, or has not.
enum Booted {
    /// It waits for its drives.
    Ready(riscv::Machine),
    /// It came to its end before that.
    Ended(riscv::Machine, End),
}

impl Embedded {
    /// A guest that has booted: a kept one, or a new one, which is kept.
    fn booted(
        &self,
        job: &Job<'_>,
        layout: &Layout,
        course: &mut Course<'_>,
    ) -> Result<Booted, MachineError> {
        let key = boots::key(job.bundle, job.settings, layout);
        if let Some((machine, console)) =
            self.boots.as_ref().and_then(|boots| boots.load(&key, || empty(layout, job)))
        {
            course.hear(&console);
            return Ok(Booted::Ready(machine));
        }
        let mut machine = start(job, layout)?;
        machine.stop_at_mark(Some(MARK));
        if let Some(end) = course.until_mark(&mut machine) {
            return Ok(Booted::Ended(machine, end));
        }
        machine.stop_at_mark(None);
        // Taken from the caches of translations whether or not it is kept: the runs are the same.
        machine.flush();
        if let Some(boots) = &self.boots
            && course.console.len() as u64 <= BOOT_CONSOLE
        {
            // Not to be able to keep it costs the next run its time, nothing else.
            let _ = boots.keep(&key, &mut machine, &course.console);
        }
        Ok(Booted::Ready(machine))
    }
}

/// What a person sees of a run while it goes on, and where it is stopped.
struct Course<'a> {
    console: Vec<u8>,
    vigil: Vigil<'a>,
    watch: &'a mut dyn Watch,
}

impl Course<'_> {
    fn hear(&mut self, bytes: &[u8]) {
        let room = self.vigil.limits.console.saturating_sub(self.console.len() as u64);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        if !bytes.is_empty() {
            self.console.extend_from_slice(bytes);
            self.watch.console(bytes);
        }
    }

    /// Runs to the mark; how it ended when it did not come there.
    fn until_mark(&mut self, machine: &mut riscv::Machine) -> Option<End> {
        loop {
            let stop = machine.run(machine.clock().now() + SLICE);
            self.hear(&machine.take_console());
            match stop {
                Stop::Marked => return None,
                Stop::PoweredOff { .. } => return Some(End::PoweredOff),
                Stop::Stuck => return Some(End::Stuck),
                Stop::Reached => {}
            }
            if let Some(end) = self.vigil.stop(self.console.len() as u64, self.watch) {
                return Some(end);
            }
        }
    }

    /// Runs to the end.
    fn follow(&mut self, machine: &mut riscv::Machine) -> End {
        loop {
            if let Some(end) = self.until_mark(machine) {
                return end;
            }
        }
    }

    /// What is left of a run that ended.
    fn end(self, mut machine: riscv::Machine, layout: &Layout, end: End, first: Option<[u8; 32]>) -> Run {
        let instructions = Some(machine.clock().retired());
        let state = first.map(|first| StateRoots { first, last: machine.state_root() });
        let output = Region::of_memory(machine.into_memory(), layout.output.offset, layout.output.len);
        let wall = self.vigil.elapsed();
        let engine_log = match end {
            End::Stuck => b"the guest waits for an interrupt that can never come\n".to_vec(),
            _ => Vec::new(),
        };
        Run { end, instructions, console: self.console, output, state, engine_log, wall }
    }
}

/// A machine without content.
fn empty(layout: &Layout, job: &Job<'_>) -> Result<riscv::Machine, MachineError> {
    boot::machine(layout.pad.offset, job.settings.rate, Firmware::Machine)
}

/// A machine about to boot the job's guest.
fn start(job: &Job<'_>, layout: &Layout) -> Result<riscv::Machine, MachineError> {
    let command_line = board::command_line(board::COMMAND_LINE, job.settings.seed);
    let guest = boot::Guest {
        kernel: &job.bundle.kernel,
        initrd: &job.bundle.initrd,
        command_line: &command_line,
        seed: job.settings.seed,
    };
    let mut machine = empty(layout, job)?;
    guest.start(&mut machine, layout.memory, &layout.drives())?;
    Ok(machine)
}

/// Puts the content of the input drive where the guest will find it.
fn attach(machine: &mut riscv::Machine, job: &Job<'_>, layout: &Layout) -> io::Result<()> {
    let drive = machine.memory_mut().slice_mut(layout.input.address, job.input.len);
    let drive = drive.ok_or_else(|| io::Error::other("the input drive is larger than its place"))?;
    job.input.file.read_exact_at(drive, 0)
}
