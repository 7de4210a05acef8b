//! What is written down about a run: enough to do it again, and to see whether it went the same way.

use serde::{Deserialize, Serialize};

use super::record::{Stopped, Tar};
use crate::machine::{End, Settings};

/// The schema of [`RunRecord`] as JSON.
pub const SCHEMA: &str = "reprove.run/1";

/// A run, as it is kept. Hashes are SHA-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// The id of the run: a hash over what went in.
    pub run: String,
    /// Path of the derivation.
    pub drv: String,
    /// The engine's name and version.
    pub engine: String,
    /// Id of the guest bundle.
    pub bundle: String,
    /// The settings.
    pub settings: Settings,
    /// Hash of the input drive.
    pub input: String,
    /// How the run ended, as the engine saw it.
    pub end: End,
    /// Instructions retired, as the engine counts them.
    pub instructions: Option<u64>,
    /// Roots of the hash tree over the machine's state, from an engine that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateRoots>,
    /// What the guest said about it; absent when it left no valid record.
    pub result: Option<GuestResult>,
    /// Hash of the whole console.
    pub console: String,
    /// Bytes of the console.
    pub console_bytes: u64,
    /// Hash of the output drive's used part: the record and the tar stream; absent when it cannot be read.
    pub output_drive: Option<String>,
    /// The outputs, when the build succeeded.
    pub outputs: Vec<RecordedOutput>,
    /// Code of the error, when it did not: `RP0710`.
    pub error: Option<String>,
}

/// Roots of the hash tree over a machine's whole state (`docs/state-tree.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRoots {
    /// When the guest had booted and its drives were attached.
    pub first: String,
    /// When the machine had stopped.
    pub last: String,
    /// In between, when they were asked for, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<RootAt>,
}

/// The root of a machine's state at a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootAt {
    /// The step.
    pub step: u64,
    /// The root.
    pub root: String,
}

/// What the guest said in its result record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestResult {
    /// Why the builder ended.
    pub stopped: Stopped,
    /// Its exit code.
    pub status: u32,
    /// Forks refused.
    pub processes_refused: u64,
    /// Processes killed for want of memory.
    pub memory_killed: u64,
    /// Whether the build root was full.
    pub root_full: bool,
    /// The tar stream.
    pub tar: Tar,
    /// The guest's clock since boot in nanoseconds.
    pub nanoseconds: Option<u64>,
}

/// An output, as it is kept in a run's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOutput {
    /// Its name.
    pub output: String,
    /// Its path.
    pub path: String,
    /// Hash of its NAR, `sha256-…`.
    pub nar_hash: String,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// Paths it refers to.
    pub references: Vec<String>,
}
