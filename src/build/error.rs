//! Why there is no build.

use super::{
    checks::Violation, erofs::ErofsError, output_tree::TreeError, program::ProgramError, record::RecordError,
    supported::Unsupported,
};
use crate::{
    code::Code,
    machine::MachineError,
    nix::{nar::NarWriteError, store_path::StorePath},
};

/// A derivation, or settings, that ask for what cannot be. Texts are escaped and shortened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// `__json` is no JSON object.
    #[error("its `__json` cannot be read: {0}")]
    Json(String),
    /// An attribute is not as it must be.
    #[error("its attribute {name} {why}")]
    Attribute {
        /// The attribute.
        name: String,
        /// What is wrong, as a predicate.
        why: &'static str,
    },
    /// `exportReferencesGraph` names what cannot be exported.
    #[error("in its `exportReferencesGraph`, {text} {why}")]
    Graph {
        /// A file name or path.
        text: String,
        /// What is wrong, as a predicate.
        why: &'static str,
    },
    /// The exported graphs would take more memory than is set aside.
    #[error("the graphs of its `exportReferencesGraph` are longer than {} MiB in all, the most that is written", limit >> 20)]
    GraphsTooLarge {
        /// The cap in bytes.
        limit: usize,
    },
    /// A list of references names something that is neither a store path nor an output.
    #[error("in its `{attribute}`, {specifier} is neither a store path nor one of its outputs")]
    Specifier {
        /// The list.
        attribute: String,
        /// What stands in it.
        specifier: String,
    },
    /// A setting with a value that cannot be.
    #[error("{value} {why}")]
    Setting {
        /// The value.
        value: String,
        /// What is wrong, as a predicate.
        why: &'static str,
    },
    /// The builder cannot be given what it is to be given.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// An input's NAR cannot be read.
    #[error("the NAR of the input {0} cannot be read")]
    Input(StorePath),
}

/// Which limit of time was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The guest's own: the same in every run.
    Guest,
    /// The wall's.
    Wall,
}

/// Why there is no build. Texts from the guest are escaped and shortened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Not a kind of derivation that is built here.
    #[error("the derivation is not supported: {0}")]
    Unsupported(#[from] Unsupported),
    /// The derivation asks for what cannot be.
    #[error("the derivation cannot be built: {0}")]
    Contract(#[from] ContractError),
    /// Something of the input closure is not there.
    #[error("the input {path} is missing{}", needed_by.as_ref().map_or(String::new(), |by| format!(", needed by {by}")))]
    InputMissing {
        /// What is missing.
        path: StorePath,
        /// The input that refers to it; `None` for the derivation itself.
        needed_by: Option<StorePath>,
    },
    /// More than may be copied into a machine.
    #[error(
        "the input closure is {bytes} bytes as NARs ({paths} paths, the largest is {largest}), and at most {limit} are copied \
         into a machine's memory: raise `--input-size`"
    )]
    InputsTooLarge {
        /// Bytes of all NARs.
        bytes: u64,
        /// The cap.
        limit: u64,
        /// How many there are.
        paths: usize,
        /// The largest.
        largest: StorePath,
    },
    /// The input drive could not be made.
    #[error(transparent)]
    Image(#[from] ErofsError),
    /// The host failed.
    #[error("{what}: {source}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The machine could not be run.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The machine's engine failed.
    #[error("the machine failed while it ran{}", quoted(tail))]
    EngineFailed {
        /// The last lines of the engine's own log.
        tail: Vec<String>,
    },
    /// Cancelled from outside.
    #[error("the build was cancelled")]
    Cancelled,
    /// The builder said it failed.
    #[error("the builder failed with {}{}", status(*code), quoted(tail))]
    BuilderFailed {
        /// Its exit code; 128 + n for signal n.
        code: u32,
        /// The last lines of its log.
        tail: Vec<String>,
    },
    /// It took too long.
    #[error("the build took longer than {}", match clock { Clock::Guest => "its limit of guest time", Clock::Wall => "its limit of wall-clock time" })]
    TimedOut {
        /// By which clock.
        clock: Clock,
    },
    /// Nothing was heard of it for too long.
    #[error("the machine was silent for too long")]
    Silent,
    /// Its log grew too long.
    #[error("the build wrote more log than it may")]
    LogLimit,
    /// It wanted more processes than it may have.
    #[error("the build was refused {refused} processes beyond its limit")]
    ProcessLimit {
        /// How many.
        refused: u64,
    },
    /// It wanted more memory than there is.
    #[error("the build ran out of memory: {killed} of its processes were killed")]
    MemoryExhausted {
        /// How many.
        killed: u64,
    },
    /// It filled its disk.
    #[error("the build filled the file system it ran in")]
    DiskFull,
    /// Its outputs do not fit on the output drive.
    #[error("the outputs are larger than the output drive")]
    OutputTooLarge,
    /// It said it succeeded, and did not make all outputs.
    #[error("the builder succeeded without making its output {}", outputs.join(", "))]
    OutputMissing {
        /// Names of the outputs that are not there.
        outputs: Vec<String>,
    },
    /// An output holds a file of a type no store object has.
    #[error("an output holds a special file: {path}")]
    SpecialFile {
        /// Its path, relative to the store.
        path: String,
    },
    /// An output that others than its owner may write.
    #[error("output `{output}` has mode {mode:o}: others could have changed it")]
    WritableOutput {
        /// The output.
        output: String,
        /// Its mode.
        mode: u32,
    },
    /// A tree on the output drive that is no output.
    #[error("the output drive holds {name}, which is no output of the derivation")]
    StrangeOutput {
        /// Its name.
        name: String,
    },
    /// The output drive does not hold what the guest's own tools would write.
    #[error("the output drive cannot be read: {0}")]
    BadOutputDrive(#[source] TreeError),
    /// An output cannot be written as a NAR.
    #[error("output `{output}` cannot be kept: {source}")]
    Nar {
        /// The output.
        output: String,
        /// Why.
        source: NarWriteError,
    },
    /// The machine stopped without a result.
    #[error("the machine stopped without a result: {why}{}", quoted(tail))]
    NoRecord {
        /// What is wrong with the record.
        why: RecordError,
        /// The last lines of the console.
        tail: Vec<String>,
    },
    /// The guest could not start the builder.
    #[error("the guest could not start the build{}", quoted(tail))]
    SetupFailed {
        /// The last lines of the console.
        tail: Vec<String>,
    },
    /// The guest could not write the outputs to the output drive.
    #[error("the guest could not archive the outputs{}", quoted(tail))]
    NotArchived {
        /// The last lines of the console.
        tail: Vec<String>,
    },
    /// An output is not what the derivation says it must be.
    #[error("{0}")]
    Forbidden(#[from] Violation),
}

fn quoted(tail: &[String]) -> String {
    tail.iter().map(|line| format!("\n> {line}")).collect()
}

fn status(code: u32) -> String {
    match code {
        129..=192 => format!("signal {}", code - 128),
        _ => format!("exit code {code}"),
    }
}

/// What a failed build means to whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The derivation was tried, and does not build: exit bit 4, as Nix.
    Failed,
    /// It took too long: exit bits 4 and 1, as Nix.
    TimedOut,
    /// It could not be tried: no statement about the derivation.
    NotTried,
}

impl Outcome {
    /// The bits Nix adds to 96 for its exit code; 0 when nothing was tried.
    pub fn exit_bits(self) -> u8 {
        match self {
            Outcome::Failed => 4,
            Outcome::TimedOut => 4 | 1,
            Outcome::NotTried => 0,
        }
    }
}

impl BuildError {
    /// What it means to whoever asked for the build.
    pub fn outcome(&self) -> Outcome {
        match self {
            BuildError::Unsupported(_)
            | BuildError::InputMissing { .. }
            | BuildError::InputsTooLarge { .. }
            | BuildError::Image(_)
            | BuildError::Host { .. }
            | BuildError::Machine(_)
            | BuildError::EngineFailed { .. }
            | BuildError::Cancelled
            | BuildError::SetupFailed { .. }
            | BuildError::Contract(
                ContractError::Input(_)
                | ContractError::Setting { .. }
                | ContractError::GraphsTooLarge { .. },
            ) => Outcome::NotTried,
            BuildError::TimedOut { .. } | BuildError::Silent => Outcome::TimedOut,
            _ => Outcome::Failed,
        }
    }

    /// The error's code, 07xx.
    pub fn code(&self) -> Code {
        Code(match self {
            BuildError::Unsupported(_) => 701,
            BuildError::Contract(ContractError::GraphsTooLarge { .. })
            | BuildError::InputsTooLarge { .. } => 707,
            BuildError::Contract(_) => 702,
            BuildError::InputMissing { .. } => 703,
            BuildError::Image(_) | BuildError::Host { .. } => 704,
            BuildError::Machine(error) => return error.code(),
            BuildError::EngineFailed { .. } => 705,
            BuildError::Cancelled => 706,
            BuildError::BuilderFailed { .. } => 710,
            BuildError::TimedOut { .. } => 711,
            BuildError::Silent => 712,
            BuildError::LogLimit => 713,
            BuildError::ProcessLimit { .. } => 714,
            BuildError::MemoryExhausted { .. } => 715,
            BuildError::DiskFull => 716,
            BuildError::OutputTooLarge => 717,
            BuildError::OutputMissing { .. } => 720,
            BuildError::SpecialFile { .. } => 721,
            BuildError::WritableOutput { .. } => 722,
            BuildError::StrangeOutput { .. } | BuildError::BadOutputDrive(_) => 723,
            BuildError::Nar { .. } => 724,
            BuildError::NoRecord { .. } => 725,
            BuildError::SetupFailed { .. } => 726,
            BuildError::NotArchived { .. } => 727,
            BuildError::Forbidden(_) => 730,
        })
    }
}
