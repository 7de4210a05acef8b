//! Whole builds in a machine that only pretends: it leaves on its output drive what a test tells it to.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::*;
use crate::{
    machine::{Arch, End, Job as MachineJob, MachineError, Run, Unwatched},
    nix::hash::NarHash,
};

const BASE: &str = "00000000000000000000000000000000-x";

/// What the pretended guest does, given the run's id.
type Guest = Box<dyn Fn(&str) -> (End, Vec<u8>, Vec<u8>) + Send + Sync>;

struct Pretended(Guest);

impl Machine for Pretended {
    fn engine(&self) -> String {
        "pretended 1".to_owned()
    }

    fn arch(&self) -> Arch {
        Arch::X86_64
    }

    fn run(&self, job: &MachineJob<'_>, _watch: &mut dyn Watch) -> Result<Run, MachineError> {
        // The id stands in the image, in `/job`.
        let mut image = vec![0; job.input.len as usize];
        std::os::unix::fs::FileExt::read_exact_at(&job.input.file, &mut image, 0).unwrap();
        let at = bstr::ByteSlice::find(image.as_slice(), "run='").unwrap() + 5;
        let id = String::from_utf8(image[at..at + 64].to_vec()).unwrap();
        let (end, drive, console) = (self.0)(&id);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&drive).unwrap();
        Ok(Run {
            end,
            instructions: Some(5),
            console,
            output: Region::new(Arc::new(file), 0, drive.len() as u64),
            state: None,
            engine_log: b"engine says".to_vec(),
            wall: Duration::ZERO,
        })
    }
}

#[derive(Default)]
struct Kept(Rc<RefCell<Vec<Vec<u8>>>>);

struct KeptPlace(Vec<u8>, Rc<RefCell<Vec<Vec<u8>>>>);

impl Sink for Kept {
    fn place(&self) -> io::Result<Box<dyn Place + '_>> {
        Ok(Box::new(KeptPlace(Vec::new(), Rc::clone(&self.0))))
    }
}

impl Write for KeptPlace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Place for KeptPlace {
    fn keep(self: Box<Self>) -> io::Result<()> {
        self.1.borrow_mut().push(self.0);
        Ok(())
    }
}

/// A drive: a record with `changes` made to it, then a stream.
fn drive(id: &str, changes: &[(&str, &str)], stream: &[u8]) -> Vec<u8> {
    let length = stream.len().to_string();
    let values = [
        ("run", id),
        ("stopped", "exited"),
        ("status", "0"),
        ("processes_refused", "0"),
        ("memory_killed", "0"),
        ("root_full", "0"),
        ("special", ""),
        ("tar", &length),
        ("observed", "none"),
        ("nanoseconds", "12"),
    ];
    let mut record = "reprove-result/2\n".to_owned();
    for (name, value) in values {
        let changed = changes.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, value)| value);
        record.push_str(&format!("{name}={changed}\n"));
    }
    record.push_str("end\n");
    let mut out = record.into_bytes();
    out.resize(RECORD_BYTES as usize, 0);
    out.extend_from_slice(stream);
    // A drive is larger than what was written to it.
    out.resize(out.len() + 8192, 0);
    out
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn file(name: &str, mode: u32, text: &str) -> Vec<u8> {
    output_tree::tests::member(name, b'0', "", mode, text.as_bytes())
}

fn console(id: &str) -> Vec<u8> {
    format!("boot\n@reprove {id} begin\nlast words\n\n@reprove {id} end\n").into_bytes()
}

fn attempt(env: &str, guest: Guest) -> (Result<Built, Box<Failure>>, Vec<Vec<u8>>) {
    let text = format!(
        r#"Derive([("out","/nix/store/{BASE}","","")],[],[],"x86_64-linux","/b",[],[{env}("out","/nix/store/{BASE}")])"#
    );
    let derivation = Derivation::parse(text.as_bytes()).unwrap();
    let drv_path = StorePath::from_base_name(b"11111111111111111111111111111111-x.drv").unwrap();
    let bundle = Bundle { arch: Arch::X86_64, id: [3; 32], kernel: vec![], initrd: vec![], firmware: None };
    let (settings, caps) = (Settings::default(), Caps::default());
    let request = Request {
        derivation: &derivation,
        drv_path: &drv_path,
        inputs: &Inputs::new(),
        bundle: &bundle,
        settings: &settings,
        caps: &caps,
        round: "",
        observe: Observe::Result,
    };
    let sink = Kept::default();
    let scratch = tempfile::tempfile().unwrap();
    let built = build(&request, &Pretended(guest), scratch, &sink, &mut Unwatched);
    let kept = sink.0.borrow().clone();
    (built, kept)
}

/// The error of a build whose guest leaves this; nothing may be kept of it.
fn failed(guest: impl Fn(&str) -> (End, Vec<u8>, Vec<u8>) + Send + Sync + 'static) -> BuildError {
    let (built, kept) = attempt("", Box::new(guest));
    assert!(kept.is_empty());
    let failure = built.unwrap_err();
    let evidence = failure.evidence.unwrap();
    assert_eq!(evidence.record.error, Some(failure.error.code().to_string()));
    assert!(evidence.record.outputs.is_empty());
    let expected = if evidence.console.is_empty() { Vec::new() } else { console(&evidence.record.run) };
    assert_eq!(evidence.console, expected);
    failure.error
}

fn failed_record(changes: &'static [(&'static str, &'static str)]) -> BuildError {
    failed(move |id| (End::PoweredOff, drive(id, changes, &archive(&[file(BASE, 0o644, "x")])), console(id)))
}

fn failed_stream(members: Vec<Vec<u8>>) -> BuildError {
    failed(move |id| (End::PoweredOff, drive(id, &[], &archive(&members)), console(id)))
}

#[test]
fn a_build_gives_its_output_with_hash_and_references() {
    let text = format!("I am /nix/store/{BASE}");
    let stream = archive(&[file(BASE, 0o644, &text)]);
    let (built, kept) =
        attempt("", Box::new(move |id| (End::PoweredOff, drive(id, &[], &stream), console(id))));
    let built = built.unwrap();
    let output = &built.outputs["out"];
    assert_eq!(kept.len(), 1);
    assert_eq!((output.nar_hash, output.nar_size), (NarHash::of(&kept[0]), kept[0].len() as u64));
    assert_eq!(output.references, BTreeSet::from([output.path.clone()]));
    assert_eq!(built.evidence.log, b"last words\n");
    let record = &built.evidence.record;
    assert_eq!((record.error.as_ref(), record.outputs.len(), record.instructions), (None, 1, Some(5)));
    let json = serde_json::to_string(record).unwrap();
    assert_eq!(&serde_json::from_str::<RunRecord>(&json).unwrap(), record);
}

#[test]
fn the_same_run_has_the_same_record_and_another_setting_another() {
    let record = |env: &str| {
        let stream = archive(&[file(BASE, 0o644, "x")]);
        let guest: Guest = Box::new(move |id| (End::PoweredOff, drive(id, &[], &stream), console(id)));
        attempt(env, guest).0.unwrap().evidence.record
    };
    assert_eq!(record(""), record(""));
    assert_ne!(record("").input, record(r#"("a","1"),"#).input);
}

#[test]
fn the_ends_of_a_machine_are_told_apart() {
    let ended =
        |end| failed(move |id| (end, drive(id, &[], &archive(&[file(BASE, 0o644, "x")])), console(id)));
    // Even with a record of success on the drive.
    assert!(matches!(ended(End::WallTime), BuildError::TimedOut { clock: Clock::Wall }));
    assert!(matches!(ended(End::Silence), BuildError::Silent));
    assert!(matches!(ended(End::ConsoleOverflow), BuildError::LogLimit));
    assert!(matches!(ended(End::Cancelled), BuildError::Cancelled));
    assert!(matches!(ended(End::EngineFailed), BuildError::EngineFailed { tail } if tail == ["engine says"]));
}

#[test]
fn t90_a_fork_bomb_is_named_as_such() {
    let error = failed_record(&[("processes_refused", "9"), ("status", "1")]);
    assert!(matches!(error, BuildError::ProcessLimit { refused: 9 }));
    let error = failed_record(&[("processes_refused", "9"), ("stopped", "seconds")]);
    assert!(matches!(error, BuildError::ProcessLimit { .. }));
}

#[test]
fn t91_a_full_disk_is_named_as_such() {
    assert!(matches!(failed_record(&[("root_full", "1"), ("status", "1")]), BuildError::DiskFull));
    let error = failed_record(&[("memory_killed", "2"), ("status", "137")]);
    assert!(matches!(error, BuildError::MemoryExhausted { killed: 2 }));
    assert!(matches!(failed_record(&[("tar", "overflow")]), BuildError::OutputTooLarge));
}

#[test]
fn t92_t93_limits_of_time_and_log_are_named_and_have_nix_exit_codes() {
    let error = failed_record(&[("stopped", "seconds"), ("status", "137")]);
    assert!(matches!(error, BuildError::TimedOut { clock: Clock::Guest }));
    assert_eq!(96 + error.outcome().exit_bits(), 101);
    let error = failed_record(&[("stopped", "log"), ("status", "137")]);
    assert!(matches!(error, BuildError::LogLimit));
    assert_eq!(96 + error.outcome().exit_bits(), 100);
}

#[test]
fn t94_success_without_the_output_is_a_failure() {
    let none = failed_record(&[("tar", "none")]);
    assert!(matches!(&none, BuildError::OutputMissing { outputs } if outputs == &["out"]), "{none}");
    let error = failed_stream(vec![]);
    assert!(matches!(error, BuildError::OutputMissing { .. }), "{error}");
}

#[test]
fn t95_a_special_file_is_named_by_the_record_and_by_the_stream() {
    let error = failed_record(&[("special", "x/%1B%5Bsocket")]);
    assert!(matches!(&error, BuildError::SpecialFile { path } if path == "\"x/\\x1b[socket\""), "{error}");
    let device = output_tree::tests::member(BASE, b'3', "", 0o644, b"");
    assert!(matches!(failed_stream(vec![device]), BuildError::SpecialFile { .. }));
}

#[test]
fn t95_an_output_others_can_write_is_refused() {
    let error = failed_stream(vec![file(BASE, 0o664, "x")]);
    assert!(matches!(error, BuildError::WritableOutput { mode: 0o664, .. }), "{error}");
}

#[test]
fn t101_a_machine_that_stops_without_a_record_is_a_failure() {
    let panicked = || b"@reprove begin\nKernel panic\n".to_vec();
    let guest: Guest = Box::new(move |_| (End::PoweredOff, vec![0; 8192], panicked()));
    let failure = attempt("", guest).0.unwrap_err();
    let BuildError::NoRecord { why, tail } = &failure.error else { panic!("{}", failure.error) };
    assert_eq!(*why, record::RecordError::Absent);
    assert_eq!(tail.last().map(String::as_str), Some("Kernel panic"));
    assert_eq!(96 + failure.error.outcome().exit_bits(), 100);
    // A drive too short for a record.
    let guest: Guest = Box::new(|_| (End::PoweredOff, vec![0; 100], vec![]));
    let failure = attempt("", guest).0.unwrap_err();
    assert!(matches!(failure.error, BuildError::NoRecord { .. }));
    assert_eq!(failure.evidence.unwrap().record.output_drive, None);
}

#[test]
fn t103_a_record_of_another_run_is_no_record() {
    let error = failed(|id| {
        let stream = archive(&[file(BASE, 0o644, "x")]);
        (End::PoweredOff, drive(&"0".repeat(64), &[], &stream), console(id))
    });
    assert!(matches!(error, BuildError::NoRecord { why: record::RecordError::OtherRun, .. }));
}

#[test]
fn t103_a_record_that_lies_about_the_stream_is_found_out() {
    // Too long for the drive, into the zeros behind it, cut in a header, and in contents.
    let error = failed_record(&[("tar", "99999999")]);
    assert!(matches!(error, BuildError::NoRecord { why: record::RecordError::Value("tar"), .. }));
    for length in ["1", "512", "700", "1000"] {
        let changes: &'static [(&str, &str)] = Box::leak(Box::new([("tar", length)]));
        let error = failed_record(changes);
        assert!(matches!(error, BuildError::BadOutputDrive(_)), "{length}: {error}");
    }
}

#[test]
fn t103_a_stream_with_strangers_in_it_is_refused() {
    let stranger = file("22222222222222222222222222222222-y", 0o644, "x");
    let error = failed_stream(vec![file(BASE, 0o644, "x"), stranger]);
    assert!(matches!(error, BuildError::StrangeOutput { .. }), "{error}");
    let error = failed_stream(vec![file("../../etc/passwd", 0o644, "x")]);
    assert!(matches!(&error, BuildError::BadOutputDrive(error) if error.offset() == Some(0)), "{error}");
}

#[test]
fn a_builder_that_fails_is_quoted() {
    let error = failed_record(&[("status", "3"), ("tar", "none")]);
    assert_eq!(error.to_string(), "the builder failed with exit code 3\n> last words");
    assert_eq!(96 + error.outcome().exit_bits(), 100);
    let error = failed_record(&[("status", "139"), ("tar", "none")]);
    assert!(error.to_string().starts_with("the builder failed with signal 11"));
}

#[test]
fn a_guest_that_could_not_start_is_not_the_builders_fault() {
    let error = failed_record(&[("stopped", "setup")]);
    assert!(matches!(error, BuildError::SetupFailed { .. }));
    assert_eq!(error.outcome(), Outcome::NotTried);
}

#[test]
fn what_is_forbidden_is_not_kept() {
    let stream = archive(&[file(BASE, 0o644, &format!("/nix/store/{BASE}"))]);
    let guest: Guest = Box::new(move |id| (End::PoweredOff, drive(id, &[], &stream), console(id)));
    let (built, kept) = attempt(r#"("allowedReferences",""),"#, guest);
    assert!(matches!(built.unwrap_err().error, BuildError::Forbidden(_)));
    assert!(kept.is_empty());
}

#[test]
fn a_missing_input_and_an_unsupported_derivation_start_no_machine() {
    let drv = |srcs: &str, system: &str| {
        format!(r#"Derive([("out","/nix/store/{BASE}","","")],[],[{srcs}],"{system}","/b",[],[])"#)
    };
    let try_it = |text: String| {
        let derivation = Derivation::parse(text.as_bytes()).unwrap();
        let drv_path = StorePath::from_base_name(b"11111111111111111111111111111111-x.drv").unwrap();
        let bundle =
            Bundle { arch: Arch::X86_64, id: [3; 32], kernel: vec![], initrd: vec![], firmware: None };
        let (settings, caps, inputs) = (Settings::default(), Caps::default(), Inputs::new());
        let (derivation, drv_path, inputs) = (&derivation, &drv_path, &inputs);
        let request = Request {
            derivation,
            drv_path,
            inputs,
            bundle: &bundle,
            settings: &settings,
            caps: &caps,
            round: "",
            observe: Observe::Result,
        };
        let machine = Pretended(Box::new(|_| panic!("a machine was started")));
        let built =
            build(&request, &machine, tempfile::tempfile().unwrap(), &Kept::default(), &mut Unwatched);
        built.unwrap_err().error
    };
    let missing = format!("\"/nix/store/{}-in\"", "3".repeat(32));
    assert!(matches!(
        try_it(drv(&missing, "x86_64-linux")),
        BuildError::InputMissing { needed_by: None, .. }
    ));
    assert!(matches!(try_it(drv("", "aarch64-linux")), BuildError::Unsupported(_)));
}

#[test]
fn every_code_is_explained_once() {
    let codes: Vec<u16> = EXPLANATIONS.iter().map(|explanation| explanation.code.0).collect();
    assert!(codes.is_sorted_by(|a, b| a < b));
    assert!(codes.iter().all(|code| (700..800).contains(code)));
    let errors = include_str!("error.rs");
    for code in 700..800u16 {
        assert_eq!(errors.contains(&format!("=> {code},")), codes.contains(&code), "{code}");
    }
}
