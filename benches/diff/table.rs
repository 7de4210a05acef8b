//! What was measured, as a table.

use std::fmt;

use crate::{
    cases::{Case, Kind},
    measure::Measured,
};

pub const HEAD: &str = "\
| case | size | wall | CPU | memory | first line | diffoscope: wall | CPU | memory | times faster | shall be |
|---|---|---|---|---|---|---|---|---|---|---|";

pub const FOOT: &str = "\
wall and CPU (user and system, with children) in seconds; memory: most of one process, and how many times the larger \
file; first line: seconds to the first line of output; times faster: by wall, by CPU";

/// Most memory, as a multiple of the larger side; and the latest first line.
const MEMORY: f64 = 3.0;
const FIRST: f64 = 0.2;

/// A line of the table.
pub struct Row<'a> {
    pub kind: &'a Kind,
    /// What was measured, or why nothing was.
    pub outcome: Result<Outcome, String>,
}

pub struct Outcome {
    pub case: Case,
    pub ours: Measured,
    /// Mapped files compared, where both are equal.
    pub memcmp: Option<Measured>,
    pub theirs: Option<Measured>,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        let Outcome { case, ours, memcmp, theirs } = match &self.outcome {
            Ok(outcome) => outcome,
            Err(why) => {
                let why = why.lines().next().unwrap_or_default();
                return write!(f, "| {} | left out: {why} | | | | | | | | | |", kind.name);
            }
        };
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let missed = |missed: bool| if missed { " **missed**" } else { "" };
        write!(f, "| {}: {} | {:.1} MiB ", kind.name, case.what, mib(case.size))?;
        write!(f, "| {:.3} | {:.3} ", ours.wall, ours.cpu)?;
        let share = ours.memory as f64 / case.size as f64;
        write!(f, "| {:.0} MiB, {share:.1} ×{} ", mib(ours.memory), missed(share > MEMORY))?;
        let first = ours.first.unwrap_or(f64::INFINITY);
        write!(f, "| {first:.3}{} ", missed(first > FIRST))?;
        if let Some(memcmp) = memcmp {
            let share = memcmp.wall / ours.wall;
            let speed = mib(2 * case.size) / memcmp.wall / 1024.0;
            write!(f, "| memory compared: {:.3}, {speed:.1} GiB/s | {:.3} ", memcmp.wall, memcmp.cpu)?;
            return write!(
                f,
                "| {:.0} MiB | {:.0} % of its speed{} | {:.0} % |",
                mib(memcmp.memory),
                100.0 * share,
                missed(share < kind.target),
                100.0 * kind.target
            );
        }
        let Some(theirs) = theirs else {
            return write!(f, "| not run | | | | {:.0} |", kind.target);
        };
        let least = if theirs.stopped { "at least " } else { "" };
        let times = (theirs.wall / ours.wall, theirs.cpu / ours.cpu);
        let stopped = if theirs.stopped { "stopped at " } else { "" };
        write!(f, "| {stopped}{:.1} | {:.1} | {:.0} MiB ", theirs.wall, theirs.cpu, mib(theirs.memory))?;
        write!(f, "| {least}{:.0}, {:.0}{} ", times.0, times.1, missed(times.0 < kind.target))?;
        write!(f, "| {:.0} |", kind.target)
    }
}
