//! The workloads in QEMU, under the command line of the engine of that name.

use reprove::guest::Bundle;
use reprove::machine::qemu::Qemu;
use reprove::machine::{Arch, Caps, Drive, End, Job, Machine, Settings, Watch};

use crate::Results;
use crate::course::{Course, Measured, Used, seconds_of_process};
use crate::parts::{ATTACH, MEMORY, Parts};

pub fn run(parts: &Parts) -> Results {
    let mut results = Results::new();
    if parts.boot {
        let mut boot = Boot { console: Vec::new(), seconds: None };
        let end = start(&parts.guest, &mut boot);
        let seconds = boot.seconds.unwrap_or_else(|| panic!("the guest did not boot in QEMU: {end:?}"));
        results.insert("boot".to_owned(), Measured { seconds, steps: None, text: String::new() });
    }
    if parts.has_workloads() {
        let guest = &parts.guest;
        let bundle =
            Bundle::new(Arch::Riscv64, guest.kernel.clone(), parts.initrd.clone(), guest.firmware.clone());
        let mut course = Course::default();
        let end = start(&bundle, &mut course);
        assert_eq!(end, End::PoweredOff, "{}", course.console());
        results.extend(course.results());
    }
    results
}

fn start(bundle: &Bundle, watch: &mut dyn Watch) -> End {
    let machine = Qemu::find(Arch::Riscv64).unwrap();
    let settings = Settings { memory: MEMORY, ..Settings::default() };
    let input = Drive { file: tempfile::tempfile().unwrap(), len: 0, sha256: [0; 32] };
    let job = Job { bundle, settings: &settings, caps: &Caps::default(), input: &input, round: "" };
    let run = machine.run(&job, watch).unwrap();
    eprint!("{}", String::from_utf8_lossy(&run.engine_log));
    run.end
}

/// The console is looked at every 50 ms: by so much a time may be off.
impl Watch for Course {
    fn console(&mut self, bytes: &[u8]) {
        let used = Used { seconds: seconds_of_process(child()), steps: None };
        self.hear(bytes, || used);
    }
}

/// Waits for the released guest to have booted.
struct Boot {
    console: Vec<u8>,
    seconds: Option<f64>,
}

impl Watch for Boot {
    fn console(&mut self, bytes: &[u8]) {
        self.console.extend_from_slice(bytes);
        if self.seconds.is_none() && self.console.windows(ATTACH.len()).any(|window| window == ATTACH) {
            self.seconds = Some(seconds_of_process(child()));
        }
    }

    fn cancelled(&self) -> bool {
        self.seconds.is_some()
    }
}

/// The process id of the engine: the only child there is.
fn child() -> u32 {
    let own = std::process::id().to_string();
    let parent = |id: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        Some(stat[stat.rfind(')')? + 2..].split(' ').nth(1)?.to_owned())
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut children =
        names.filter(|id| id.parse::<u32>().is_ok() && parent(id).as_deref() == Some(own.as_str()));
    children.next().expect("QEMU runs").parse().unwrap()
}
