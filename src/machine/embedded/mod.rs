//! The embedded machine: `reprove-riscv` with the same guest and drives as on QEMU, and nothing to install.
//!
//! A guest boots before its drives have content, up to a mark that its init writes to the console. What it is then depends
//! on bundle, settings and layout only, so that state is kept and taken up by the next run of the same kind (`boots`). Later states of a
//! long run are kept for the case that its process is killed (`checkpoints`).

mod boot;
mod boots;
mod by_hand;
mod checkpoints;
mod course;
mod roots;

pub use by_hand::{Parts, Program, stored};
pub use checkpoints::Checkpoints;

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use reprove_riscv::{self as riscv, Firmware};

use self::boots::Boots;
use self::course::Course;
use self::roots::Roots;
use super::board;
use super::layout::Layout;
use super::limits::Limits;
use super::{Arch, End, Job, Machine, MachineError, Region, Run, Settings, StateRoots, Watch};
use crate::guest::Bundle;

/// What init writes when nothing is left to do but to look at the drives.
const MARK: &[u8] = b"\n@reprove - attach\n";

/// Console bytes that are kept of a boot at most: a kernel that is quiet and an init that says one line.
const BOOT_CONSOLE: u64 = 1 << 20;

/// The embedded machine.
#[derive(Clone, Debug)]
pub struct Embedded {
    boots: Option<Boots>,
    checkpoints: Option<Checkpoints>,
    state_root_every: Option<u8>,
}

impl Embedded {
    /// A machine that keeps the states of guests that have booted in the folder `boots`, if one is given.
    pub fn new(boots: Option<PathBuf>) -> Embedded {
        Embedded { boots: boots.map(Boots::new), checkpoints: None, state_root_every: None }
    }

    /// The same machine, which also keeps states of long runs, and goes on with those that were interrupted.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: Checkpoints) -> Embedded {
        Embedded { checkpoints: Some(checkpoints), ..self }
    }

    /// The least [`Embedded::with_state_roots`] can take.
    pub const LEAST_ROOTS: u8 = course::SLICE.ilog2() as u8;

    /// The same machine, which also takes the root of its state every 2^`every` steps.
    #[must_use]
    pub fn with_state_roots(self, every: u8) -> Embedded {
        Embedded { state_root_every: Some(every.max(Embedded::LEAST_ROOTS)), ..self }
    }

    /// The same machine, but it goes on with nothing that was interrupted.
    #[must_use]
    pub fn anew(self) -> Embedded {
        Embedded { checkpoints: self.checkpoints.map(Checkpoints::anew), ..self }
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
        let mut course = Course::begin(&limits, watch);
        let mut machine = match self.booted(job, &layout, &mut course)? {
            Booted::Ready(machine) => machine,
            Booted::Ended(machine, end) => return Ok(left(course, machine, &layout, end, None)),
        };
        attach(&mut machine, job, &layout).map_err(io_error("filling a machine's input drive"))?;
        let first = machine.set_base();
        course.trail.roots = self.state_root_every.map(Roots::new);
        let place = |checkpoints: &Checkpoints| checkpoints.place(&first, job.round, self.state_root_every);
        let mut place = self.checkpoints.as_ref().map(place);
        if let Some(place) = &mut place {
            match place.take_up(&mut machine, &course.trail.console, limits.console) {
                Ok(None) => {}
                Ok(Some(trail)) => course.go_on(trail, &machine),
                Err(_) => {
                    // The machine may be anything now: once more, without what was kept.
                    place.clear().map_err(io_error("removing a checkpoint that cannot be used"))?;
                    drop(machine);
                    return self.run(job, watch);
                }
            }
        }
        let end = course.follow(&mut machine, place.as_mut());
        if let Some(mut place) = place
            && !end.is_the_hosts()
        {
            let _ = place.clear(); // what stays is removed as abandoned
        }
        Ok(left(course, machine, &layout, end, Some(first)))
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
        let line = command_line(job.settings);
        let image = guest(job.bundle, job.settings, &line).image(layout.memory, &layout.drives())?;
        let key = boots::key(job.bundle, &image, layout.pad.offset, job.settings.rate);
        if let Some((machine, console)) =
            self.boots.as_ref().and_then(|boots| boots.load(&key, || empty(layout, job)))
        {
            course.hear(&console);
            return Ok(Booted::Ready(machine));
        }
        let mut machine = empty(layout, job)?;
        image.start(&mut machine)?;
        machine.stop_at_mark(Some(MARK));
        if let Some(end) = course.until_mark(&mut machine) {
            return Ok(Booted::Ended(machine, end));
        }
        machine.stop_at_mark(None);
        // Taken from the caches of translations whether or not it is kept: the runs are the same.
        machine.flush();
        if let Some(boots) = &self.boots
            && course.trail.console.len() as u64 <= BOOT_CONSOLE
        {
            // Not to be able to keep it costs the next run its time, nothing else.
            let _ = boots.keep(&key, &mut machine, &course.trail.console);
        }
        Ok(Booted::Ready(machine))
    }
}

/// What is left of a run that ended.
fn left(
    mut course: Course<'_>,
    mut machine: riscv::Machine,
    layout: &Layout,
    end: End,
    first: Option<[u8; 32]>,
) -> Run {
    let instructions = Some(machine.clock().retired());
    let along = course.trail.roots.take().map_or_else(Vec::new, |roots| roots.taken);
    let state = first.map(|first| StateRoots { first, last: machine.state_root(), along });
    let output = Region::of_memory(machine.into_memory(), layout.output.offset, layout.output.len);
    let wall = course.elapsed();
    let engine_log = match end {
        End::Stuck => b"the guest waits for an interrupt that can never come\n".to_vec(),
        _ => Vec::new(),
    };
    Run { end, instructions, console: course.trail.console, output, state, engine_log, wall }
}

/// A machine without content.
fn empty(layout: &Layout, job: &Job<'_>) -> Result<riscv::Machine, MachineError> {
    boot::machine(layout.pad.offset, job.settings.rate, Firmware::Machine)
}

/// The kernel's command line.
fn command_line(settings: &Settings) -> String {
    board::command_line(board::COMMAND_LINE, settings.seed)
}

/// What boots.
fn guest<'a>(bundle: &'a Bundle, settings: &Settings, command_line: &'a str) -> boot::Guest<'a> {
    boot::Guest { kernel: &bundle.kernel, initrd: &bundle.initrd, command_line, seed: settings.seed }
}

/// Puts the content of the input drive where the guest will find it.
fn attach(machine: &mut riscv::Machine, job: &Job<'_>, layout: &Layout) -> io::Result<()> {
    let drive = machine.memory_mut().slice_mut(layout.input.address, job.input.len);
    let drive = drive.ok_or_else(|| io::Error::other("the input drive is larger than its place"))?;
    job.input.file.read_exact_at(drive, 0)
}

/// Says what was being done.
fn io_error(what: &str) -> impl FnOnce(io::Error) -> MachineError {
    move |source| MachineError::Io { what: what.to_owned(), source }
}
