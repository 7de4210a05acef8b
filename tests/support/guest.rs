//! Runs a shell script as the builder of a guest.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests: what is not as expected ends the test

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use reprove::build::Observe;
use reprove::build::contract::TERMINAL;
use reprove::build::drive::write_drive;
use reprove::build::erofs::{Data, Image, Meta};
use reprove::build::job::{self, RunId};
use reprove::build::program::{Enter, enter, entropy, terminal, watch_files, watch_processes};
use reprove::guest::{Bundle, Cache, Lock};
use reprove::machine::embedded::Embedded;
use reprove::machine::qemu::Qemu;
use reprove::machine::{Arch, Caps, Engine, Job, Machine, Run, Settings, Unwatched, Watch};
use reprove::source::apt::Apt;

/// The only output of every builder.
pub const OUT: &str = "/nix/store/8fjm9y7nirl4k1m12aq7ks4q3gd4rlif-out";

/// A run's token.
pub const RUN: RunId = RunId([0x5d; 32]);

/// Shows all that may differ between two runs: clocks, random bytes, addresses, interrupts, the order of races.
pub const PROBE: &str = "
    date +%s.%N; cat /proc/uptime /proc/stat /proc/interrupts /proc/meminfo /proc/self/maps
    od -An -N32 -tx1 /dev/urandom; cat /proc/sys/kernel/random/uuid
    ( i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo one $i; done ) &
    ( i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo two $i; done ) &
    wait
    mkdir $out; for name in b a c; do od -N 5000 -tx1 /dev/urandom > $out/$name; done
    ln -s $out/a $out/link; ls -laR $out";

/// What to run and under which caps.
pub struct Builder {
    pub script: String,
    pub settings: Settings,
    pub caps: Caps,
    /// Size of the build root, when not what the memory gives.
    pub root_bytes: Option<u64>,
    /// What is written down while it runs.
    pub observe: Observe,
}

impl Builder {
    /// `script` under small caps; `$out` is the output.
    pub fn script(script: &str) -> Builder {
        Builder {
            script: script.to_owned(),
            settings: Settings { memory: 1 << 30, ..Settings::default() },
            caps: Caps {
                guest_seconds: 120,
                output_bytes: 16 << 20,
                log_bytes: 1 << 20,
                processes: 64,
                ..Caps::default()
            },
            root_bytes: None,
            observe: Observe::Result,
        }
    }
}

/// What a run left, with the record taken apart.
pub struct Outcome {
    pub run: Run,
    record: BTreeMap<String, String>,
}

impl Outcome {
    /// A value of the result record.
    pub fn record(&self, name: &str) -> &str {
        self.record.get(name).map_or("(absent)", String::as_str)
    }

    /// What the builder printed, as far as it is text.
    pub fn log(&self) -> String {
        let console = String::from_utf8_lossy(&self.run.console).into_owned();
        let log = console.split_once(&format!("@reprove {} begin\n", RUN.hex())).map_or("", |(_, log)| log);
        let log = log.split_once(&format!("\n@reprove {} end\n", RUN.hex())).map_or(log, |(log, _)| log);
        log.to_owned()
    }

    /// The whole output drive.
    pub fn drive(&self) -> Vec<u8> {
        let mut drive = vec![0; self.run.output.len() as usize];
        self.run.output.read_exact_at(&mut drive, 0).unwrap();
        drive
    }

    /// Bytes of the tar stream.
    pub fn tar(&self) -> Vec<u8> {
        let len: u64 = self.record("tar").parse().unwrap_or(0);
        let mut tar = Vec::new();
        self.run.output.reader(4096, len).read_to_end(&mut tar).unwrap();
        tar
    }

    /// Contents of the output, when that is one file.
    pub fn output(&self) -> Vec<u8> {
        let tar = self.tar();
        let mut reader = reprove::source::tar::Reader::new(&tar[..], Default::default());
        reader.next_entry().unwrap().unwrap_or_else(|| panic!("nothing in the output: {self}"));
        let mut contents = Vec::new();
        reader.contents().read_to_end(&mut contents).unwrap();
        contents
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} after {:?}, {:?} instructions",
            self.run.end, self.run.wall, self.run.instructions
        )?;
        writeln!(f, "record: {:#?}", self.record)?;
        writeln!(f, "console: {}", String::from_utf8_lossy(&self.run.console))?;
        writeln!(f, "engine: {}", String::from_utf8_lossy(&self.run.engine_log))
    }
}

/// The kind of machine that runs guests of `arch` when nobody chooses.
pub fn usual(arch: Arch) -> Engine {
    Engine::ALL.into_iter().find(|engine| engine.runs(arch)).unwrap()
}

/// A machine that keeps no booted guests.
pub fn machine(engine: Engine, arch: Arch) -> Box<dyn Machine> {
    match engine {
        Engine::Embedded => Box::new(Embedded::new(None)),
        Engine::Qemu => {
            let found = Qemu::find(arch);
            Box::new(found.unwrap_or_else(|error| panic!("{error}: install QEMU's system emulators")))
        }
    }
}

/// Runs a builder in the usual machine.
pub fn run(arch: Arch, builder: &Builder) -> Outcome {
    run_in(usual(arch), arch, builder)
}

/// Runs a builder in a machine of a kind.
pub fn run_in(engine: Engine, arch: Arch, builder: &Builder) -> Outcome {
    run_watched(&*machine(engine, arch), builder, &mut Unwatched)
}

/// Runs a builder while `watch` looks on.
pub fn run_watched(machine: &dyn Machine, builder: &Builder, watch: &mut dyn Watch) -> Outcome {
    let arch = machine.arch();
    let bundle = bundle(arch);
    let drive = drive(arch, builder);
    let job =
        Job { bundle: &bundle, settings: &builder.settings, caps: &builder.caps, input: &drive, round: "" };
    let run = machine.run(&job, watch).unwrap();
    let mut record = vec![0; 4096];
    run.output.read_exact_at(&mut record, 0).unwrap();
    let text = String::from_utf8(record).unwrap().trim_end_matches('\0').to_owned();
    let mut lines: Vec<&str> = text.lines().collect();
    let mut fields = BTreeMap::new();
    if lines.first() == Some(&"reprove-result/2") && lines.pop() == Some("end") {
        fields = lines[1..]
            .iter()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    }
    Outcome { run, record: fields }
}

/// The input drive that makes a guest run `builder`.
pub fn drive(arch: Arch, builder: &Builder) -> reprove::machine::Drive {
    let settings = &builder.settings;
    let environment = BTreeMap::from([
        (b"PATH".to_vec(), b"/path-not-set".to_vec()),
        (b"out".to_vec(), OUT.as_bytes().to_vec()),
    ]);
    let program = enter(
        arch,
        &Enter {
            inputs: &[],
            builder: b"/bin/sh",
            args: &[b"-c".to_vec(), builder.script.as_bytes().to_vec()],
            env: &environment,
            build_dir: &settings.build_dir,
            uid: settings.uid,
            gid: settings.gid,
        },
    )
    .unwrap();
    let out = OUT.parse().unwrap();
    let mut text =
        job::Job { run: RUN, settings, caps: &builder.caps, outputs: vec![&out], observe: builder.observe }
            .text();
    if let Some(bytes) = builder.root_bytes {
        // The last assignment counts.
        text.push_str(&format!("root_bytes='{bytes}'\n"));
    }
    let mut image = Image::new(Meta::stored(0o555));
    let executable = Meta::stored(0o555);
    image.file(Image::ROOT, b"job", Meta::stored(0o444), Data::Memory(text.into_bytes())).unwrap();
    image.file(Image::ROOT, b"enter", executable, Data::Memory(program)).unwrap();
    let terminal = terminal(arch, TERMINAL, settings.uid).unwrap();
    image.file(Image::ROOT, b"terminal", executable, Data::Memory(terminal)).unwrap();
    let entropy = entropy(arch, settings.seed).unwrap();
    image.file(Image::ROOT, b"entropy", executable, Data::Memory(entropy)).unwrap();
    if builder.observe == Observe::Processes {
        for (name, program) in
            [(b"watch-files".as_slice(), watch_files(arch)), (b"watch-processes", watch_processes(arch))]
        {
            image.file(Image::ROOT, name, executable, Data::Memory(program)).unwrap();
        }
    }
    image.directory(Image::ROOT, b"store", Meta::stored(0o555)).unwrap();
    let root = image.directory(Image::ROOT, b"root", Meta::stored(0o755)).unwrap();
    let own = Meta { mode: 0o700, uid: settings.uid, gid: settings.gid, mtime: 1 };
    image.directory(root, settings.build_dir.trim_start_matches('/').as_bytes(), own).unwrap();
    let nix = image.directory(root, b"nix", Meta::stored(0o755)).unwrap();
    let store = Meta { mode: 0o1775, uid: 0, gid: settings.gid, mtime: 1 };
    image.directory(nix, b"store", store).unwrap();
    write_drive(&image, tempfile::tempfile().unwrap()).unwrap()
}

/// The released guest, its packages from the machine's package client.
pub fn bundle(arch: Arch) -> Bundle {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let client = Apt::of_machine(&folder.join("apt"));
    Cache::new(folder.join("guests")).get(arch, &Lock::released().unwrap(), &client).unwrap()
}
