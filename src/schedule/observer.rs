//! How the work tells a person what it does.

use std::time::Duration;

use crate::{
    machine::{Arch, Watch},
    nix::store_path::StorePath,
};

/// One build in one machine, as it is shown.
#[derive(Clone, Debug)]
pub struct Work {
    /// The derivation.
    pub drv: StorePath,
    /// What runs it.
    pub arch: Arch,
    /// Which of several builds of the derivation this is, e.g. `round 2`; empty when there is only one.
    pub round: String,
    /// Guest nanoseconds per instruction as a power of two; to turn guest time into instructions.
    pub rate: u8,
}

impl Work {
    /// The derivation's name without `.drv`, and the round.
    pub fn label(&self) -> String {
        let name = self.drv.name().trim_end_matches(".drv");
        match self.round.as_str() {
            "" => name.to_owned(),
            round => format!("{name} ({round})"),
        }
    }
}

/// How a [`Work`] ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// One line on why it failed; none when it went well.
    pub failure: Option<String>,
    /// Retired instructions.
    pub instructions: Option<u64>,
    /// Wall-clock time.
    pub wall: Duration,
}

/// Who is told. Implementations print; the rooms below `cli` never do.
pub trait Observer: Sync {
    /// A machine starts on `work`; the watcher gets its console.
    fn begin(&self, work: &Work) -> Box<dyn Watch + '_>;
    /// The machine has stopped.
    fn end(&self, work: &Work, ended: &Ended);
    /// Something worth one line: a source found, a store lock waited for.
    fn note(&self, line: &str);
}
