//! Progress on standard error: one line per running machine on a terminal, plain lines elsewhere.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    build::console::{Mark, Marks},
    machine::{News, Watch},
    report::{count::quantity, escape::escape},
    schedule::{Ended, Observer, Work},
};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// A line that is longer is nothing a person wants to see whole; the log has it.
const LINE_CAP: usize = 4096;
/// How often a run without a terminal says that it is still there.
const STILL_RUNNING: Duration = Duration::from_secs(60);

/// What a person wants to see while machines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing but errors.
    Quiet,
    /// What runs, and how far it is.
    Progress,
    /// The build logs as well.
    Logs,
}

/// Writes progress to standard error.
pub struct Progress {
    detail: Detail,
    bars: Option<MultiProgress>,
    shown: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    /// Bars when standard error is a terminal that can draw them, lines otherwise.
    pub fn new(detail: Detail) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let bars =
            (detail != Detail::Quiet && std::io::stderr().is_terminal() && !dumb).then(MultiProgress::new);
        Progress { detail, bars, shown: Mutex::default() }
    }

    /// Writes one line, above the bars when there are any.
    pub fn line(&self, line: &str) {
        if self.detail == Detail::Quiet {
            return;
        }
        let write = || {
            // Nobody to tell when standard error is gone.
            let _ = writeln!(anstream::stderr(), "{line}");
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// Says what a short piece of work without a machine is at; gone with [`Progress::end_step`].
    pub fn step(&self, text: &str) {
        let key = String::new();
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(bar) = shown.or_else(|| self.bar(key, String::new())) {
            bar.set_message(escape(text));
        }
    }

    /// Takes the line of [`Progress::step`] away.
    pub fn end_step(&self) {
        self.remove("");
    }

    fn bar(&self, key: String, prefix: String) -> Option<ProgressBar> {
        let bars = self.bars.as_ref()?;
        let bar = bars.add(ProgressBar::new_spinner());
        // The template is a constant: it always parses.
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix}{wide_msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_prefix(prefix);
        bar.enable_steady_tick(Duration::from_millis(120));
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(key, bar.clone());
        Some(bar)
    }

    fn remove(&self, key: &str) {
        if let Some(bar) = self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(key) {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn begin(&self, work: &Work) -> Box<dyn Watch + '_> {
        let bar = self.bar(key(work), format!("{} {DIM}{}{DIM:#} ", work.label(), work.arch));
        if bar.is_none() {
            self.line(&format!("⏵ {} {DIM}on {}{DIM:#}", work.label(), work.arch));
        }
        Box::new(Lines {
            progress: self,
            label: work.label(),
            rate: work.rate,
            bar,
            started: Instant::now(),
            said: Instant::now(),
            phase: "boot".to_owned(),
            instructions: 0,
            before: 0,
            logging: false,
            marks: Marks::default(),
            partial: Vec::new(),
        })
    }

    fn end(&self, work: &Work, ended: &Ended) {
        let label = work.label();
        self.remove(&key(work));
        let count = ended.instructions.map_or(String::new(), |n| format!(", {} instructions", quantity(n)));
        let tail = format!("{DIM}{:.1} s{count}{DIM:#}", ended.wall.as_secs_f64());
        self.line(&match &ended.failure {
            None => format!("{GOOD}✔{GOOD:#} {label} {DIM}on {}{DIM:#} {tail}", work.arch),
            Some(why) => format!("{BAD}✘{BAD:#} {label} {DIM}on {}{DIM:#} {} {tail}", work.arch, escape(why)),
        });
    }

    fn note(&self, line: &str) {
        self.line(&format!("{DIM}{}{DIM:#}", escape(line)));
    }
}

/// What tells one piece of work from every other, also from one of the same name for another system.
fn key(work: &Work) -> String {
    format!("{} {}", work.drv, work.round)
}

/// Reads one machine's console line by line.
struct Lines<'a> {
    progress: &'a Progress,
    label: String,
    rate: u8,
    bar: Option<ProgressBar>,
    started: Instant,
    said: Instant,
    phase: String,
    instructions: u64,
    /// Of these, instructions that an earlier process ran.
    before: u64,
    logging: bool,
    marks: Marks,
    partial: Vec<u8>,
}

impl Watch for Lines<'_> {
    fn console(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_CAP.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.line(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    fn news(&mut self, news: &News) {
        let label = &self.label;
        match news {
            News::TakenUp { instructions } => {
                self.before = self.instructions;
                self.progress.line(&format!(
                    "↻ {label} {DIM}goes on where it was interrupted, {} instructions from the start{DIM:#}",
                    quantity(*instructions)
                ));
            }
            News::NotKept { why } => self.progress.line(&format!(
                "{BAD}!{BAD:#} {label} {DIM}would begin again after an interruption: its state was not kept: {}{DIM:#}",
                escape(why)
            )),
        }
    }
}

impl Lines<'_> {
    fn line(&mut self, line: &str) {
        let mark = self.marks.read(line);
        if let Some(Mark::Beat(seconds)) = mark {
            // A guest second has 10^9 instructions at rate 0, half as many at rate 1, …
            self.instructions = seconds.saturating_mul(1_000_000_000) >> self.rate;
        } else if mark == Some(Mark::Begin) {
            self.logging = true;
            self.phase("build");
        } else if mark == Some(Mark::End) {
            self.logging = false;
            self.phase("outputs");
        } else if let Some(phase) = phase_of(line) {
            self.phase(&phase);
        } else if self.logging && self.progress.detail == Detail::Logs {
            self.progress.line(&format!("{DIM}{}>{DIM:#} {}", self.label, escape(line)));
        }
        self.show();
    }

    fn phase(&mut self, phase: &str) {
        phase.clone_into(&mut self.phase);
    }

    fn show(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = self.instructions.saturating_sub(self.before) as f64 / seconds / 1e6;
        let text = match self.instructions {
            0 => escape(&self.phase),
            n => format!("{} {DIM}{} instructions, {rate:.0} MIPS{DIM:#}", escape(&self.phase), quantity(n)),
        };
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if self.said.elapsed() >= STILL_RUNNING => {
                self.said = Instant::now();
                self.progress.line(&format!("… {} {text} {DIM}{seconds:.0} s{DIM:#}", self.label));
            }
            None => {}
        }
    }
}

/// The phase a line of a build log announces: nixpkgs' own lines, old and new.
fn phase_of(line: &str) -> Option<String> {
    if let Some(json) = line.strip_prefix("@nix ") {
        let message: serde_json::Value = serde_json::from_str(json).ok()?;
        return (message.get("action")? == "setPhase")
            .then(|| message.get("phase")?.as_str().map(str::to_owned))?;
    }
    line.strip_prefix("Running phase: ").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read_from_the_log_as_nixpkgs_writes_them() {
        assert_eq!(
            phase_of(r#"@nix { "action": "setPhase", "phase": "buildPhase" }"#).as_deref(),
            Some("buildPhase")
        );
        assert_eq!(phase_of("Running phase: installPhase").as_deref(), Some("installPhase"));
        assert_eq!(phase_of(r#"@nix {"action":"msg","phase":"x"}"#), None);
        assert_eq!(phase_of("@nix not json"), None);
        assert_eq!(phase_of("configure: running"), None);
    }

    #[test]
    fn a_console_without_line_ends_stays_bounded() {
        let progress = Progress { detail: Detail::Quiet, bars: None, shown: Mutex::default() };
        let work_label = "x".to_owned();
        let mut lines = Lines {
            progress: &progress,
            label: work_label,
            rate: 0,
            bar: None,
            started: Instant::now(),
            said: Instant::now(),
            phase: String::new(),
            instructions: 0,
            before: 0,
            logging: true,
            marks: Marks::default(),
            partial: Vec::new(),
        };
        for _ in 0..100 {
            lines.console(&[b'a'; 1000]);
        }
        assert_eq!(lines.partial.len(), LINE_CAP);
        lines.console(b"\n@reprove t begin\n\n@reprove u beat 99\n\n@reprove t beat 12\n");
        assert_eq!(lines.instructions, 12_000_000_000);
    }
}
