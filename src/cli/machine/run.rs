//! `reprove machine run`: a kernel, or a program, from its first instruction to its last.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use reprove_riscv as riscv;
use serde::Serialize;

use super::trace::Trace;
use crate::cli::{Context, Exit, Failure, document::JsonTo};
use crate::guest::{Bundle, Cache, Lock};
use crate::machine::{Arch, Machine as _, embedded};
use crate::source::apt::Apt;

/// Steps between two looks at the console.
const SLICE: u64 = 1 << 22;

/// The same while every step is written down.
const TRACED_SLICE: u64 = 1 << 12;

/// Boot a kernel, or run a bare program, with its console on standard output.
///
/// Nothing of the host gets in: the same parts give the same run, to the last bit. docs/machine.md says more.
#[derive(Debug, Args)]
pub struct Run {
    /// The kernel, an uncompressed Image [default: the guest's that `reprove guest build` makes]
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// The initial file system [default: the guest's]
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// What to add to the kernel's command line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    append: String,
    /// A drive in the guest's memory; FILE itself is not written to. May be given several times
    #[arg(long = "drive", value_name = "FILE")]
    drives: Vec<PathBuf>,
    /// Run this static ELF file on the bare machine, in machine mode, instead of a kernel
    #[arg(long, value_name = "ELF", conflicts_with_all = ["kernel", "initrd", "append", "drives", "seed"])]
    raw: Option<PathBuf>,
    /// Go on from a state that --save wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["raw", "kernel", "initrd", "append", "drives", "seed", "memory", "rate"])]
    load: Option<PathBuf>,
    /// Memory in MiB, drives not counted
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=262_144))]
    memory: u64,
    /// A step takes 2^N guest nanoseconds
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=6))]
    rate: u8,
    /// The seed of the guest's random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Stop when the machine's clock, which starts at 0, is at step N
    #[arg(long, value_name = "N")]
    until: Option<u64>,
    /// Print the root of the whole state before the first step and at the end
    #[arg(long)]
    state_root: bool,
    /// Print `STEP ROOT` to standard error at every multiple of 2^N steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=62))]
    state_root_every: Option<u8>,
    /// Write a line for every step to FILE
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Begin the trace at step N
    #[arg(long, value_name = "N", default_value_t = 0, requires = "trace", hide_default_value = true)]
    trace_from: u64,
    /// Write the state at the end to FILE
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    json: JsonTo,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum End {
    /// The guest switched the machine off.
    PoweredOff,
    /// The guest switched the machine off and said that something failed.
    PoweredOffFailed,
    /// The guest asked to be started again.
    Reboot,
    /// The guest waits for what can never come.
    Stuck,
    /// The clock is at `--until`.
    Until,
}

impl End {
    fn of(stop: riscv::Stop) -> End {
        use riscv::sbi::Reset;
        match stop {
            riscv::Stop::PoweredOff { reset: Reset::Shutdown } => End::PoweredOff,
            riscv::Stop::PoweredOff { reset: Reset::Failure } => End::PoweredOffFailed,
            riscv::Stop::PoweredOff { reset: Reset::Reboot } => End::Reboot,
            riscv::Stop::Stuck => End::Stuck,
            riscv::Stop::Reached | riscv::Stop::Marked => End::Until,
        }
    }

    fn text(self) -> &'static str {
        match self {
            End::PoweredOff => "the guest switched the machine off",
            End::PoweredOffFailed => "the guest switched the machine off after a failure",
            End::Reboot => "the guest asked to be started again",
            End::Stuck => "the guest waits for an interrupt that can never come",
            End::Until => "stopped where it was to stop",
        }
    }
}

/// The version of the document.
const SCHEMA: &str = "reprove.machine-run/1";

/// What `--json` writes.
#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    engine: String,
    end: End,
    steps: u64,
    instructions: u64,
    pc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_root: Option<String>,
}

impl Run {
    /// Runs the machine.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let mut machine = self.assemble(context)?;
        let mut console = Console { to_stderr: json.is_stdout() };
        let mut trace = match &self.trace {
            Some(path) => {
                let file = File::create(path).map_err(|error| file_error(path, &error))?;
                Some(Trace::new(BufWriter::new(file)))
            }
            None => None,
        };
        let first_root = self.state_root.then(|| hex(&machine.state_root()));
        let stop = self.follow(&mut machine, &mut console, trace.as_mut())?;
        if let (Some(trace), Some(path)) = (trace, &self.trace) {
            trace.finish().map_err(|error| file_error(path, &error))?;
        }
        let last_root = self.state_root.then(|| hex(&machine.state_root()));
        if let Some(path) = &self.save {
            save(&mut machine, path).map_err(|error| file_error(path, &error))?;
        }
        let end = End::of(stop);
        let clock = machine.clock();
        context.progress.line(&format!(
            "{}: {} steps, {} instructions, pc {:#x}",
            end.text(),
            clock.now(),
            clock.retired(),
            machine.pc()
        ));
        if !json.is_stdout() {
            let roots = [("first", &first_root), ("last", &last_root)];
            for (name, root) in roots.into_iter().filter_map(|(name, root)| Some((name, root.as_ref()?))) {
                writeln!(anstream::stdout(), "{name} {root}").map_err(stdout)?;
            }
        }
        json.write(&Document {
            schema: SCHEMA,
            engine: embedded::Embedded::new(None).engine(),
            end,
            steps: clock.now(),
            instructions: clock.retired(),
            pc: format!("{:#x}", machine.pc()),
            first_root,
            last_root,
        })?;
        Ok(if end == End::Stuck { Exit::FAILED } else { Exit::Success })
    }

    /// The machine, before its first step or where it was stored.
    fn assemble(&self, context: &Context) -> Result<riscv::Machine, Failure> {
        let (memory, rate) = (self.memory << 20, self.rate);
        if let Some(path) = &self.load {
            let file = File::open(path).map_err(|error| file_error(path, &error))?;
            return embedded::stored(file).map_err(|error| Failure::from(error).about(path.display()));
        }
        if let Some(path) = &self.raw {
            let elf = &read(path)?;
            let program = embedded::Program { elf, memory, rate };
            return program.assemble().map_err(|error| Failure::from(error).about(path.display()));
        }
        let bundle = match (&self.kernel, &self.initrd) {
            (Some(_), Some(_)) => None,
            _ => Some(released(context)?),
        };
        let part = |path: &Option<PathBuf>, ours: fn(&Bundle) -> &Vec<u8>| match (path, &bundle) {
            (Some(path), _) => read(path),
            (None, bundle) => Ok(bundle.as_ref().map(ours).cloned().unwrap_or_default()),
        };
        let open = |path: &PathBuf| File::open(path).map_err(|error| file_error(path, &error));
        let parts = embedded::Parts {
            kernel: &part(&self.kernel, |bundle| &bundle.kernel)?,
            initrd: &part(&self.initrd, |bundle| &bundle.initrd)?,
            append: &self.append,
            memory,
            rate,
            seed: self.seed,
            drives: &self.drives.iter().map(open).collect::<Result<Vec<_>, _>>()?,
        };
        Ok(parts.assemble()?)
    }

    /// Runs it to its end.
    fn follow(
        &self,
        machine: &mut riscv::Machine,
        console: &mut Console,
        mut trace: Option<&mut Trace<BufWriter<File>>>,
    ) -> Result<riscv::Stop, Failure> {
        let end = self.until.unwrap_or(u64::MAX);
        loop {
            let now = machine.clock().now();
            if now >= end {
                return Ok(riscv::Stop::Reached);
            }
            let boundary = self.state_root_every.map(|every| ((now >> every) + 1) << every);
            let until = end.min(boundary.unwrap_or(u64::MAX));
            let stop = match &mut trace {
                Some(trace) if now >= self.trace_from => trace
                    .steps(machine, now.saturating_add(TRACED_SLICE), until)
                    .map_err(|error| Failure::io("the trace", &error))?,
                traced => {
                    let begin = if traced.is_some() { self.trace_from } else { u64::MAX };
                    machine.run(until.min(begin).min(now.saturating_add(SLICE)))
                }
            };
            console.write(&machine.take_console()).map_err(stdout)?;
            if Some(machine.clock().now()) == boundary {
                let line = format!("{} {}", machine.clock().now(), hex(&machine.state_root()));
                writeln!(anstream::stderr(), "{line}")
                    .map_err(|error| Failure::io("standard error", &error))?;
            }
            if stop != riscv::Stop::Reached {
                return Ok(stop);
            }
        }
    }
}

/// Where the guest's console goes.
struct Console {
    to_stderr: bool,
}

impl Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // As it is: whoever runs a kernel by hand wants its colours. No other bytes of guests reach a terminal.
        if self.to_stderr {
            io::stderr().write_all(bytes)
        } else {
            io::stdout().write_all(bytes).and_then(|()| io::stdout().flush())
        }
    }
}

/// The guest of this release.
fn released(context: &Context) -> Result<Bundle, Failure> {
    let state = context.state_dir()?;
    let client = Apt::of_machine(&state.join("apt"));
    context.progress.step("building the guest for riscv64");
    let bundle = Cache::new(state.join("guests")).get(Arch::Riscv64, &Lock::released()?, &client);
    context.progress.end_step();
    Ok(bundle?)
}

/// Stores the state; the file appears whole or not at all.
fn save(machine: &mut riscv::Machine, path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut out = BufWriter::with_capacity(1 << 20, tempfile::NamedTempFile::new_in(folder)?);
    machine.save(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.persist(path)?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| file_error(path, &error))
}

fn file_error(path: &Path, error: &io::Error) -> Failure {
    Failure::io(path.display().to_string(), error)
}

fn stdout(error: io::Error) -> Failure {
    Failure::io("standard output", &error)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
