//! What a run said, and when: the marks on its console with what had been used by then.

use crate::Results;

/// What stands behind the name of every mark.
pub const MARK: &str = "@bench-mark";

/// Begins the line with the name of a mark.
const NAME: &str = "@bench ";

/// What a machine had used at some moment.
#[derive(Clone, Copy)]
pub struct Used {
    /// CPU seconds of the engine.
    pub seconds: f64,
    /// Steps of the machine's clock, and instructions retired, where they can be told.
    pub steps: Option<(u64, u64)>,
}

/// One workload on one engine.
#[derive(Clone)]
pub struct Measured {
    /// CPU seconds of the engine.
    pub seconds: f64,
    /// Steps of the machine's clock, and instructions retired.
    pub steps: Option<(u64, u64)>,
    /// What it printed.
    pub text: String,
}

/// A run as far as it has come.
#[derive(Default)]
pub struct Course {
    console: Vec<u8>,
    /// Where each mark ends on the console, and what was used then.
    marks: Vec<(usize, Used)>,
}

impl Course {
    /// Takes what came on the console when `used` had been used.
    pub fn hear(&mut self, bytes: &[u8], used: impl Fn() -> Used) {
        let from = self.console.len().saturating_sub(MARK.len());
        let seen = self.marks.last().map_or(0, |(end, _)| *end);
        self.console.extend_from_slice(bytes);
        let mut at = from.max(seen);
        while let Some(found) = find(&self.console[at..], MARK.as_bytes()) {
            at += found + MARK.len();
            self.marks.push((at, used()));
        }
    }

    /// What was said so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console).replace('\r', "")
    }

    /// What stands between the mark before `number` and its name, and its name.
    fn part(&self, number: usize) -> (String, String) {
        let from = number.checked_sub(1).map_or(0, |before| self.marks[before].0);
        let text = String::from_utf8_lossy(&self.console[from..self.marks[number].0]).replace('\r', "");
        let at = text.rfind(NAME).unwrap_or_else(|| panic!("a mark without a name: {text}"));
        let name = text[at + NAME.len()..].lines().next().unwrap_or_default();
        (text[..at].trim_matches('\n').to_owned(), name.to_owned())
    }

    /// The workloads that were begun and ended.
    pub fn results(&self) -> Results {
        let mut results = Results::new();
        let last = self.marks.len().checked_sub(1).map(|last| self.part(last).1);
        assert_eq!(last.as_deref(), Some("done"), "the guest went away: {}", self.console());
        for end in 1..self.marks.len() {
            let (text, name) = self.part(end);
            let Some(workload) = name.strip_prefix("end ") else { continue };
            assert_eq!(self.part(end - 1).1, format!("begin {workload}"), "marks out of order");
            let (before, after) = (self.marks[end - 1].1, self.marks[end].1);
            let steps = after.steps.zip(before.steps).map(|(a, b)| (a.0 - b.0, a.1 - b.1));
            let seconds = after.seconds - before.seconds;
            results.insert(workload.to_owned(), Measured { seconds, steps, text });
        }
        results
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// CPU seconds the calling thread has used.
pub fn seconds_of_thread() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// CPU seconds that process `id` has used, and those of its children it has waited for.
pub fn seconds_of_process(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The fields after the name, which is in parentheses: times are the 14th to 17th of all.
    let fields: Vec<&str> = text[text.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / TICKS
}

/// Ticks of a second in what the kernel shows to programs: the same on every Linux that runs Rust.
const TICKS: f64 = 100.0;
