//! `reprove diagnose`: what of the machine an output depends on, proven by varying one setting at a time.

use clap::{Args, ValueEnum};

use std::collections::BTreeSet;

use super::{
    Context, Exit, Failure,
    accepting::AcceptedFrom,
    document::{ReportTo, Shown},
    realising,
    running::Interrupted,
    verify::{differences_known, targets},
    workshop::Work,
};
use crate::{
    build::Observe,
    graph::Graph,
    machine::Setting,
    report,
    schedule::RealiseError,
    verify::{
        Verdict,
        closure::walk,
        diagnosis::{Diagnosis, OutputDiagnosis, Request, diagnose, varied},
        session::Target,
        target::KeptRounds,
    },
};

/// Say what of the machine each output depends on, proven by varying one setting at a time, and where it shows.
///
/// Each output is built once more with nothing changed, then once with each of clock, seed, rate, memory, cores and host
/// name at another value. What flips nothing alone is then varied together, and a set that flips the bits only together is
/// narrowed to one of which nothing can be left out. Nix's contract fixes the host name: an output that depends on nothing
/// else is told to be outside of it.
///
/// A build that gave other bits is then run once more beside round 1 while the guest writes down which processes there are
/// and which files they close after writing, with the hash of each: the first process whose file differs is named.
///
/// Exit codes: 0 nothing that was varied flips a bit (or only what --accepted tolerates), 100 a build failed, 101 it took too long, 102 a source has the wrong
/// hash, 104 bits depend on a setting or never stay the same, 120 an accepted difference has expired or is not
/// needed, 122 something could not be built or compared.
#[derive(Debug, Args)]
pub struct Diagnose {
    /// Also vary what else Nix's contract fixes: build-dir, user
    #[arg(long, value_name = "SETTING", value_delimiter = ',', value_enum, hide_possible_values = true)]
    vary: Vec<Fixed>,
    /// Build everything again, from its beginning, also what an interrupted run of the same command had finished or begun
    #[arg(long)]
    fresh: bool,
    /// Look through everything the outputs are built from, leaves first, for the derivations whose bits begin to differ, and
    /// diagnose those; who only passes on what an input has is told from them. --depth and --only say how far
    #[arg(long, conflicts_with = "accepted")]
    closure: bool,
    /// Do not look at the processes of builds that differ, which takes one more build of each
    #[arg(long)]
    no_processes: bool,
    #[command(flatten)]
    accepted: AcceptedFrom,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    to: ReportTo,
    #[command(flatten)]
    work: Work,
}

/// What the contract fixes, besides the host name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fixed {
    BuildDir,
    User,
}

impl From<Fixed> for Setting {
    fn from(fixed: Fixed) -> Self {
        match fixed {
            Fixed::BuildDir => Setting::BuildDir,
            Fixed::User => Setting::User,
        }
    }
}

impl Diagnose {
    /// Diagnoses and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let views = self.to.open()?;
        let accepted = self.accepted.open()?;
        let interrupted = if self.fresh { Interrupted::BeginAgain } else { Interrupted::GoOn };
        let workshop = self.work.open(context, interrupted)?;
        let mut targets = targets(&workshop.closure)?;
        let realiser = workshop.realiser()?;
        let also: Vec<Setting> = self.vary.iter().map(|fixed| Setting::from(*fixed)).collect();
        let (vary, graph, jobs) = (varied(&also), &workshop.closure.graph, workshop.jobs());
        let mut walked = None;
        if self.closure {
            let among = workshop.built();
            let (walk, errors) = walk(graph, &workshop.plan(&among), &among, &vary, &realiser, jobs);
            targets = walk.sources().map(|(step, role)| source(graph, step.index, &role.own)).collect();
            walked = Some((walk, errors));
        }
        let again: Vec<usize> = targets.iter().map(|target| target.index).collect();
        let plan = workshop.plan(&again);
        let request = Request {
            graph,
            plan: &plan,
            targets: &targets,
            vary: &vary,
            accepted: accepted.as_ref(),
            jobs,
            on_failure: workshop.on_failure(),
            observe: if self.no_processes { Observe::Result } else { Observe::Processes },
            kept: if self.fresh { KeptRounds::Ignore } else { KeptRounds::TakeUp },
        };
        let mut diagnosis = diagnose(&request, &realiser);
        if let Some((walk, errors)) = walked {
            diagnosis.failed_inputs.extend(errors);
            diagnosis.walk = Some(walk);
        }
        for error in errors(&diagnosis) {
            realising::failure(error).print();
        }
        if !views.is_stdout() {
            report::diagnosis::write(&mut anstream::stdout().lock(), &diagnosis, self.shown.detail())
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        views.json.write(&report::diagnosis::document(&diagnosis))?;
        views.write(|| report::diagnosis::subjects(&diagnosis))?;
        diagnosis.forget_rounds(&workshop.store)?;
        let judged = outputs(&diagnosis).filter_map(|output| output.judgement.as_ref());
        let idle = self.accepted.leftovers(accepted.as_ref(), &compared(&diagnosis), judged);
        Ok(exit(&diagnosis).and(idle))
    }
}

/// A source of differences as a target.
fn source(graph: &Graph, index: usize, outputs: &[String]) -> Target {
    Target {
        installable: graph.nodes()[index].drv.to_string(),
        index,
        outputs: outputs.to_vec(),
        policies: Vec::new(),
        system: None,
        counterpart: None,
    }
}

fn outputs(diagnosis: &Diagnosis) -> impl Iterator<Item = &OutputDiagnosis> {
    diagnosis.targets.iter().flat_map(|target| &target.outputs)
}

/// The names of the outputs of which it is known in what their bits differ, or that they do not.
fn compared(diagnosis: &Diagnosis) -> BTreeSet<Vec<u8>> {
    let known =
        outputs(diagnosis).filter(|output| differences_known(output.conclusion.verdict, &output.notes));
    known.filter_map(|output| Some(output.path.as_ref()?.name().as_bytes().to_vec())).collect()
}

/// Why something was not built.
fn errors(diagnosis: &Diagnosis) -> impl Iterator<Item = &RealiseError> {
    let isolations = diagnosis.targets.iter().filter_map(|target| target.isolation.as_ref());
    let failed = isolations.flat_map(|isolation| isolation.failures().map(|(_, error)| error));
    diagnosis.failed_inputs.iter().chain(failed)
}

/// The worst that was found decides.
fn exit(diagnosis: &Diagnosis) -> Exit {
    let failed = errors(diagnosis).map(|error| realising::failure(error).exit);
    let found = outputs(diagnosis).map(|output| match output.conclusion.verdict {
        Verdict::Reproduced | Verdict::Equivalent => Exit::Success,
        Verdict::Diverged => Exit::DIVERGED,
        Verdict::NotBuilt | Verdict::NotChecked => Exit::NotChecked,
    });
    let walked = diagnosis.walk.iter().map(|walk| match (walk.sources().next(), walk.is_whole()) {
        (Some(_), _) => Exit::DIVERGED,
        (None, false) => Exit::NotChecked,
        (None, true) => Exit::Success,
    });
    failed.chain(found).chain(walked).fold(Exit::Success, Exit::and)
}
