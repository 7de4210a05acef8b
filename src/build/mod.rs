//! One derivation in one machine, under Nix's own build contract.
//!
//! [`build`] goes the whole way: what Nix would give the builder ([`environment`], [`contract`]) becomes an input drive
//! ([`erofs`], [`program`]), a machine runs, and what it leaves on its output drive ([`record`], [`output_tree`], both
//! hostile) becomes outputs as NARs ([`outputs`]) that passed the derivation's own checks ([`checks`]).
//! `docs/guest-protocol.md` is the agreement with the guest.

pub mod attributes;
pub mod checks;
pub mod console;
mod content_address;
pub mod contract;
pub mod drive;
pub mod environment;
pub mod erofs;
mod error;
mod explanations;
pub mod inputs;
pub mod job;
mod json_text;
mod observation;
pub mod output_tree;
pub mod outputs;
mod pass_as_file;
pub mod program;
pub mod record;
mod references_graph;
pub mod run_record;
mod structured_attrs;
pub mod supported;
mod verdict;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

use sha2::{Digest as _, Sha256};

pub use error::{BuildError, Clock, ContractError, Outcome};
pub use explanations::EXPLANATIONS;
pub use inputs::{InputObject, Inputs};
pub use job::Observe;
pub use observation::{NotObserved, Observation};
pub use outputs::{Output, Place, Sink};
pub use run_record::RunRecord;
pub use supported::Unsupported;

use crate::{
    guest::Bundle,
    machine::{self, Caps, Machine, Region, Settings, Watch},
    nix::{derivation::Derivation, store_path::StorePath},
};
use attributes::Attributes;
use checks::Checks;
use environment::Environment;
use job::{Job, RunId};
use record::{RECORD_BYTES, Record};
use run_record::{GuestResult, RecordedOutput};

/// Everything one build depends on.
pub struct Request<'a> {
    /// What to build.
    pub derivation: &'a Derivation,
    /// Its path.
    pub drv_path: &'a StorePath,
    /// The whole closure of its inputs.
    pub inputs: &'a Inputs,
    /// The guest.
    pub bundle: &'a Bundle,
    /// The machine's settings.
    pub settings: &'a Settings,
    /// Where to stop.
    pub caps: &'a Caps,
    /// Which of several builds of the derivation it is: see [`machine::Job::round`].
    pub round: &'a str,
    /// What is written down while it runs.
    pub observe: Observe,
}

/// A build that succeeded.
#[derive(Debug)]
pub struct Built {
    /// The outputs by name; their NARs are with the sink.
    pub outputs: BTreeMap<String, Output>,
    /// What was seen.
    pub evidence: Evidence,
}

/// What was seen of a run.
#[derive(Debug)]
pub struct Evidence {
    /// What is to be kept about it.
    pub record: RunRecord,
    /// The whole console.
    pub console: Vec<u8>,
    /// The builder's log, out of the console.
    pub log: Vec<u8>,
    /// What was written down about processes and files, when that was asked for.
    pub observation: Option<Result<Observation, NotObserved>>,
}

/// A build that did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: BuildError,
    /// What was seen, when a machine ran.
    pub evidence: Option<Evidence>,
}

impl<E: Into<BuildError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure { error: error.into(), evidence: None }
    }
}

impl From<contract::WorldError> for BuildError {
    fn from(error: contract::WorldError) -> Self {
        match error {
            contract::WorldError::Contract(error) => error.into(),
            contract::WorldError::Image(error) => error.into(),
        }
    }
}

/// Builds `request` in `machine`. The input drive is written into `scratch`, an empty file; the outputs go to `sink`, and
/// are kept there only when all of them passed every check.
///
/// # Errors
/// Whatever is not a complete set of outputs, see [`BuildError`]; with what was seen when a machine ran.
pub fn build(
    request: &Request<'_>,
    machine: &dyn Machine,
    scratch: File,
    sink: &dyn Sink,
    watch: &mut dyn Watch,
) -> Result<Built, Box<Failure>> {
    let attributes = Attributes::of(request.derivation).map_err(Failure::from)?;
    let prepared = prepare(request, &attributes, machine.arch(), scratch).map_err(Failure::from)?;
    let job = machine::Job {
        bundle: request.bundle,
        settings: request.settings,
        caps: request.caps,
        input: &prepared.input,
        round: request.round,
    };
    let run = machine.run(&job, watch).map_err(Failure::from)?;
    let log = console::log(&run.console, &prepared.run);

    let head = head_of(&run.output);
    let record = head.as_deref().map_err(|_| record::RecordError::Absent);
    let record = record.and_then(|head| Record::parse(head, &prepared.run, run.output.len()));
    let built = verdict::judge(&run, record.as_ref().map_err(Clone::clone), &log)
        .and_then(|bytes| collect(request, &attributes, &run.output, bytes, sink));
    let (outputs, error) = match built {
        Ok(outputs) => (outputs, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    let observation = match request.observe {
        Observe::Result => None,
        Observe::Processes => Some(observation::read(&run.output, record.as_ref().ok())),
    };
    let record = run_record(request, machine, &prepared, &run, record.ok(), &outputs, error.as_ref());
    let evidence = Evidence { record, console: run.console, log, observation };
    match error {
        None => Ok(Built { outputs, evidence }),
        Some(error) => Err(Box::new(Failure { error, evidence: Some(evidence) })),
    }
}

struct Prepared {
    input: machine::Drive,
    run: RunId,
}

/// Checks that the build can be tried at all, and writes its input drive.
fn prepare(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    arch: machine::Arch,
    scratch: File,
) -> Result<Prepared, BuildError> {
    let Request { derivation, drv_path, inputs, bundle, settings, caps, round: _, observe } = *request;
    supported::check(derivation, attributes, arch)??;
    job::check_settings(settings)?;
    if let Some((path, needed_by)) = inputs::missing(derivation, inputs) {
        return Err(BuildError::InputMissing { path: path.clone(), needed_by: needed_by.cloned() });
    }
    inputs::check_size(inputs, caps.input_bytes)?;
    let environment = Environment::of(derivation, attributes, settings, inputs)?;
    let run = RunId::of(drv_path, bundle, settings, caps, inputs, observe);
    let outputs = contract::output_paths(derivation).map(|(_, path)| path).collect();
    let job = Job { run, settings, caps, outputs, observe };
    let image = contract::image(arch, derivation, &environment, settings, inputs, &job)?;
    Ok(Prepared { input: drive::write_drive(&image, scratch)?, run })
}

fn head_of(drive: &Region) -> std::io::Result<Vec<u8>> {
    let mut head = vec![0; RECORD_BYTES as usize];
    drive.read_exact_at(&mut head, 0)?;
    Ok(head)
}

/// Reads the outputs from the drive, hands them to `sink`, checks them, and has them kept.
fn collect(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
    drive: &Region,
    bytes: u64,
    sink: &dyn Sink,
) -> Result<BTreeMap<String, Output>, BuildError> {
    let host = |what| move |source| BuildError::Host { what, source };
    let stream = drive.part(RECORD_BYTES, bytes);
    let trees = match bytes {
        0 => BTreeMap::new(),
        _ => output_tree::read(&stream, drive.len()).map_err(|error| match error {
            output_tree::TreeError::Special { path, .. } => BuildError::SpecialFile { path },
            output_tree::TreeError::Expanded { .. } => BuildError::OutputTooLarge,
            error => BuildError::BadOutputDrive(error),
        })?,
    };
    let paths: BTreeMap<String, StorePath> =
        contract::output_paths(request.derivation).map(|(name, path)| (name.clone(), path.clone())).collect();
    let candidates: BTreeSet<StorePath> = request.inputs.keys().chain(paths.values()).cloned().collect();
    let (mut outputs, mut places) = (BTreeMap::new(), Vec::new());
    for (name, (path, tree)) in outputs::assign(&paths, trees)? {
        let mut place = sink.place().map_err(host("making a place for an output"))?;
        let output = outputs::write(path, &tree, &stream, candidates.iter().cloned(), &mut *place)
            .map_err(|source| BuildError::Nar { output: name.clone(), source })?;
        outputs.insert(name, output);
        places.push(place);
    }
    Checks { outputs: &outputs, inputs: request.inputs }.run(attributes)??;
    for place in places {
        place.keep().map_err(host("keeping an output"))?;
    }
    Ok(outputs)
}

fn run_record(
    request: &Request<'_>,
    machine: &dyn Machine,
    prepared: &Prepared,
    run: &machine::Run,
    result: Option<Record>,
    outputs: &BTreeMap<String, Output>,
    error: Option<&BuildError>,
) -> RunRecord {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let used = match &result {
        Some(Record { tar: record::Tar::Bytes(bytes), .. }) => RECORD_BYTES + bytes,
        _ => RECORD_BYTES,
    };
    RunRecord {
        schema: run_record::SCHEMA.to_owned(),
        run: prepared.run.hex(),
        drv: request.drv_path.to_string(),
        engine: machine.engine(),
        bundle: hex(&request.bundle.id),
        settings: request.settings.clone(),
        input: hex(&prepared.input.sha256),
        end: run.end,
        instructions: run.instructions,
        state: run.state.as_ref().map(|state| run_record::StateRoots {
            first: hex(&state.first),
            last: hex(&state.last),
            along: state
                .along
                .iter()
                .map(|at| run_record::RootAt { step: at.step, root: hex(&at.root) })
                .collect(),
        }),
        result: result.map(|record| GuestResult {
            stopped: record.stopped,
            status: record.status,
            processes_refused: record.processes_refused,
            memory_killed: record.memory_killed,
            root_full: record.root_full,
            tar: record.tar,
            nanoseconds: record.nanoseconds,
        }),
        console: hex(&Sha256::digest(&run.console)),
        console_bytes: run.console.len() as u64,
        output_drive: digest(&run.output, used),
        outputs: outputs.iter().map(|(name, output)| recorded(name, output)).collect(),
        error: error.map(|error| error.code().to_string()),
    }
}

fn recorded(name: &str, output: &Output) -> RecordedOutput {
    RecordedOutput {
        output: name.to_owned(),
        path: output.path.to_string(),
        nar_hash: output.nar_hash.to_string(),
        nar_size: output.nar_size,
        references: output.references.iter().map(ToString::to_string).collect(),
    }
}

/// The hash of the first `bytes` bytes of a drive; `None` when they cannot be read.
fn digest(drive: &Region, bytes: u64) -> Option<String> {
    let mut hash = DigestWriter(Sha256::new());
    let read = std::io::copy(&mut drive.reader(0, bytes), &mut hash).ok()?;
    (read == bytes).then(|| data_encoding::HEXLOWER.encode(&hash.0.finalize()))
}

struct DigestWriter(Sha256);

impl std::io::Write for DigestWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
