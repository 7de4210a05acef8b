//! A replay: round 1 once more under the very same settings, and whether the two were one and the same run.
//!
//! The bits of two builds can agree by luck, or because nothing that differed was looked at. Two runs that executed as many
//! instructions and ended in the same state, memory and registers whole, did the same from the first instruction to the last.

use std::{collections::BTreeMap, fmt};

use super::rounds::Outputs;
use crate::build::{RunRecord, run_record::StateRoots};

/// What a replay gave.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Its outputs and its run, or why there are none.
    pub built: Result<(Outputs, String), String>,
    /// Whether it was the same run as round 1.
    pub sameness: Sameness,
}

/// Whether two runs were one and the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// They were, to the last bit of the machine's state.
    Same,
    /// They were not.
    Unlike(String),
    /// It is not known.
    Unknown(String),
}

impl Sameness {
    /// Compares all that is on record about two runs.
    pub fn of(first: &RunRecord, second: &RunRecord) -> Sameness {
        if first.run != second.run || first.engine != second.engine {
            return Sameness::Unknown("the runs are not of the same".to_owned());
        }
        let (Some(a), Some(b)) = (&first.state, &second.state) else {
            return Sameness::Unknown(format!("{} gives no roots of its machine's state", first.engine));
        };
        let along = Along::of(a, b);
        if along.parted.is_none() && without_along(first) == without_along(second) {
            return Sameness::Same;
        }
        let mut differences = Vec::new();
        let mut differ = |what: &str, differs: bool| {
            if differs {
                differences.push(what.to_owned());
            }
        };
        differ("the input drive", first.input != second.input);
        differ("the state when the drives were attached", a.first != b.first);
        differ("the number of instructions", first.instructions != second.instructions);
        differ("the state at the end", a.last != b.last);
        differ("the console", first.console != second.console);
        differ("the output drive", first.output_drive != second.output_drive);
        if differences.is_empty() {
            differences.push("what is on record about them".to_owned());
        }
        Sameness::Unlike(format!(
            "under the very same settings other runs: {} differ{}; {along}",
            differences.join(", "),
            if differences.len() == 1 { "s" } else { "" },
        ))
    }
}

/// A record without the roots along the way: one of two runs may have been without, or with others.
fn without_along(record: &RunRecord) -> RunRecord {
    let mut record = record.clone();
    if let Some(state) = &mut record.state {
        state.along.clear();
    }
    record
}

/// The roots along the way that two runs both have.
struct Along<'a> {
    /// The last step up to which all are the same.
    same: Option<u64>,
    /// The first step at which they are not, and both roots.
    parted: Option<(u64, &'a str, &'a str)>,
}

impl<'a> Along<'a> {
    fn of(a: &'a StateRoots, b: &'a StateRoots) -> Along<'a> {
        let others: BTreeMap<u64, &str> = b.along.iter().map(|at| (at.step, at.root.as_str())).collect();
        let mut same = None;
        for at in &a.along {
            match others.get(&at.step) {
                Some(root) if *root == at.root => same = Some(at.step),
                Some(root) => return Along { same, parted: Some((at.step, &at.root, root)) },
                None => {}
            }
        }
        Along { same, parted: None }
    }
}

impl fmt::Display for Along<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.same.map_or("the attached drives".to_owned(), |step| format!("step {step}"));
        match (self.parted, self.same) {
            (Some((step, one, other)), _) => {
                write!(
                    f,
                    "they part between {since} and step {step}, where the root of one is {one}, of the other {other}"
                )
            }
            (None, Some(_)) => write!(f, "they part after {since}"),
            (None, None) => f.write_str("--state-root-every N tells where they part"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::run_record::{RootAt, SCHEMA},
        machine::{End, Settings},
    };

    fn record() -> RunRecord {
        let along = (1..=4).map(|n| RootAt { step: n << 30, root: format!("root {n}") }).collect();
        RunRecord {
            schema: SCHEMA.to_owned(),
            run: "run".to_owned(),
            drv: "/nix/store/a.drv".to_owned(),
            engine: "embedded 1".to_owned(),
            bundle: "bundle".to_owned(),
            settings: Settings::default(),
            input: "input".to_owned(),
            end: End::PoweredOff,
            instructions: Some(5 << 30),
            state: Some(StateRoots { first: "first".to_owned(), last: "last".to_owned(), along }),
            result: None,
            console: "console".to_owned(),
            console_bytes: 7,
            output_drive: Some("drive".to_owned()),
            outputs: Vec::new(),
            error: None,
        }
    }

    /// What comparing with a run that is changed so gives.
    fn unlike(change: impl FnOnce(&mut RunRecord)) -> String {
        let mut other = record();
        change(&mut other);
        match Sameness::of(&record(), &other) {
            Sameness::Unlike(why) => why,
            sameness => unreachable!("{sameness:?}"),
        }
    }

    #[test]
    fn runs_are_the_same_when_all_that_is_on_record_is() {
        assert_eq!(Sameness::of(&record(), &record()), Sameness::Same);
        assert!(unlike(|run| run.instructions = Some(1)).contains("the number of instructions differs"));
        assert!(unlike(|run| run.console = "other".to_owned()).contains("the console differs"));
        assert!(unlike(|run| run.output_drive = None).contains("the output drive differs"));
        assert!(unlike(|run| run.console_bytes = 8).contains("on record"), "whatever it is");
    }

    #[test]
    fn without_roots_nothing_is_known() {
        let mut other = record();
        other.state = None;
        for (a, b) in [(&record(), &other), (&other, &record()), (&other, &other)] {
            assert!(matches!(Sameness::of(a, b), Sameness::Unknown(why) if why.starts_with("embedded 1")));
        }
        other = record();
        other.run = "another".to_owned();
        assert!(matches!(Sameness::of(&record(), &other), Sameness::Unknown(_)));
    }

    #[test]
    fn the_first_root_that_differs_is_named() {
        let state = |run: &mut RunRecord, change: &dyn Fn(&mut StateRoots)| {
            let state = run.state.as_mut().unwrap();
            state.last = "other".to_owned();
            change(state);
        };
        let why = unlike(|run| state(run, &|state| state.along[2].root = "other".to_owned()));
        let (step, before) = ((3u64 << 30).to_string(), (2u64 << 30).to_string());
        assert!(why.contains(&format!("between step {before} and step {step}")), "{why}");
        assert!(why.contains("root 3") && why.contains("the state at the end differs"), "{why}");
        let why = unlike(|run| state(run, &|state| state.along[0].root = "other".to_owned()));
        assert!(why.contains("between the attached drives and step 1073741824"), "{why}");
        let why = unlike(|run| state(run, &|_| {}));
        assert!(why.contains("they part after step 4294967296"), "{why}");
        let why = unlike(|run| state(run, &|state| state.along.clear()));
        assert!(why.contains("--state-root-every"), "{why}");
        // Rarer roots of one of them are no difference; one that differs is, though all else agrees.
        let mut other = record();
        other.state.as_mut().unwrap().along.retain(|at| at.step % (1 << 31) == 0);
        assert_eq!(Sameness::of(&record(), &other), Sameness::Same);
        other.state.as_mut().unwrap().along[1].root = "other".to_owned();
        let Sameness::Unlike(why) = Sameness::of(&record(), &other) else { unreachable!() };
        assert!(why.contains("between step 2147483648 and step 4294967296"), "{why}");
    }
}
