//! `reprove verify`: rounds under varied settings, references, a verdict for every output.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{
    Context, Exit, Failure,
    accepting::AcceptedFrom,
    across::Across,
    document::{ReportTo, Shown},
    evaluation::{Asked, Closure},
    host_nix::HostNix,
    realising,
    running::Interrupted,
    signers,
    workshop::{Work, Workshop},
};
use crate::{
    machine::Setting,
    release::signers::Signers,
    report,
    schedule::RealiseError,
    verify::{
        Against, Note, OutputResult, Reference, Verdict,
        rounds::RoundPlan,
        session::{Request, Target, Verification, verify},
        target::KeptRounds,
    },
};

/// Build each output several times under other machine settings, compare every bit, and say why bits differ.
///
/// Later rounds vary what Nix's contract leaves open to a host: clock, seed, rate, memory, cores. What the contract
/// fixes is varied when asked with --vary, and a difference is then reported as outside of the contract.
///
/// Exit codes: 0 every output reproduced (or equivalent, with --accepted), 100 a build failed, 101 it took too long, 102 a source has the wrong hash,
/// 104 bits differ, 120 an accepted difference has expired or is not needed, 122 something could not be compared.
#[derive(Debug, Args)]
pub struct Verify {
    /// How many builds of each output
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    rounds: u32,
    /// Also vary what Nix's contract fixes: hostname, build-dir, user
    #[arg(long, value_name = "SETTING", value_delimiter = ',', value_enum, hide_possible_values = true)]
    vary: Vec<Fixed>,
    /// Compare with `nix` (this host's own build of the same derivation), a store path, file, folder or NAR, or the
    /// address of a binary cache; `^OUTPUT=REFERENCE` is for one output of several
    #[arg(long, value_name = "REFERENCE")]
    against: Vec<Against>,
    /// Who has to have signed what a binary cache of `--against` holds: a `signers.toml`, as `release verify` reads it; as many of
    /// its contributors as it says (level 5), with ed25519 keys of Nix
    #[arg(long, value_name = "FILE", requires = "against")]
    signers: Option<PathBuf>,
    /// Build round 1 once more under the very same settings, and compare the two runs as a whole: instructions, console, and the
    /// roots of the machine's state (level 3; embedded machine only)
    #[arg(long)]
    replay: bool,
    /// Build every round again, from its beginning, also those that an interrupted run of the same command had finished or
    /// begun
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    across: Across,
    #[command(flatten)]
    accepted: AcceptedFrom,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    to: ReportTo,
    #[command(flatten)]
    work: Work,
}

/// What the contract fixes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fixed {
    Hostname,
    BuildDir,
    User,
}

impl From<Fixed> for Setting {
    fn from(fixed: Fixed) -> Self {
        match fixed {
            Fixed::Hostname => Setting::Hostname,
            Fixed::BuildDir => Setting::BuildDir,
            Fixed::User => Setting::User,
        }
    }
}

impl Verify {
    /// Verifies and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let views = self.to.open()?;
        let accepted = self.accepted.open()?;
        let signers = self.signers()?;
        let interrupted = if self.fresh { Interrupted::BeginAgain } else { Interrupted::GoOn };
        let workshop = self.work.open_across(context, interrupted, &self.across)?;
        let closure = &workshop.closure;
        let targets = self.targets(&workshop)?;
        self.check_references(&targets)?;
        let again: Vec<usize> = targets.iter().map(|target| target.index).collect();
        let plan = workshop.plan(&again);
        let realiser = workshop.realiser()?;
        let also: Vec<Setting> = self.vary.iter().map(|fixed| Setting::from(*fixed)).collect();
        let rounds = RoundPlan::new(self.rounds, workshop.settings.clone(), &also);
        let native = HostNix::new(closure, &realiser).and(workshop.by_nix.as_ref());
        let request = Request {
            graph: &closure.graph,
            plan: &plan,
            targets: &targets,
            rounds: &rounds,
            references: &self.against,
            signers: signers.as_ref(),
            engines: workshop.engines(),
            replay: self.replay,
            accepted: accepted.as_ref(),
            jobs: workshop.jobs(),
            on_failure: workshop.on_failure(),
            kept: if self.fresh { KeptRounds::Ignore } else { KeptRounds::TakeUp },
        };
        let verification = verify(&request, &realiser, Some(&native));
        for error in verification.failed_inputs.iter().chain(round_errors(&verification)) {
            realising::failure(error).print();
        }
        if !views.is_stdout() {
            report::verify::write(&mut anstream::stdout().lock(), &verification, self.shown.detail())
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        views.json.write(&report::verify::document(&verification))?;
        views.write(|| report::verify::subjects(&verification, &closure.graph, &plan))?;
        verification.forget_rounds(&workshop.store)?;
        let judged = outputs(&verification).filter_map(|output| output.judgement.as_ref());
        let idle = self.accepted.leftovers(accepted.as_ref(), &compared(&verification), judged);
        Ok(exit(&verification).and(idle))
    }
}

impl Verify {
    /// What was asked for, each with what it is compared with across systems.
    fn targets(&self, workshop: &Workshop<'_>) -> Result<Vec<Target>, Failure> {
        let mut targets = targets(&workshop.closure)?;
        let counterparts = self.across.counterparts(&workshop.closure, workshop.by_nix.as_ref())?;
        for (target, counterpart) in targets.iter_mut().zip(counterparts) {
            target.counterpart = counterpart;
        }
        Ok(targets)
    }

    /// Who has to agree; of no use without a place that has signatures.
    fn signers(&self) -> Result<Option<Signers>, Failure> {
        let Some(file) = &self.signers else { return Ok(None) };
        if !self.against.iter().any(|against| matches!(against.reference, Reference::Cache(_))) {
            let message = "--signers: signatures are looked for in binary caches, and none is named";
            return Err(Failure::usage(message.to_owned()).hint("--against ADDRESS names one"));
        }
        signers::read(file).map(Some)
    }

    /// A reference for an output that is not verified would never be looked at, and nobody told.
    fn check_references(&self, targets: &[Target]) -> Result<(), Failure> {
        for output in self.against.iter().filter_map(|against| against.output.as_ref()) {
            if !targets.iter().any(|target| target.outputs.contains(output)) {
                return Err(Failure::usage(format!(
                    "--against ^{output}=…: no output `{output}` is verified"
                )));
            }
        }
        Ok(())
    }
}

/// What was asked for, as targets.
pub(super) fn targets(closure: &Closure) -> Result<Vec<Target>, Failure> {
    let target = |asked: &Asked| {
        let index = closure.graph.index_of(&asked.drv)?;
        Some(Target {
            installable: asked.installable.clone(),
            index,
            outputs: asked.outputs.clone(),
            policies: closure.policies.clone(),
            system: asked.system.clone(),
            counterpart: None,
        })
    };
    let targets: Vec<Target> = closure.asked.iter().filter_map(target).collect();
    if targets.len() == closure.asked.len() && targets.iter().all(|target| !target.outputs.is_empty()) {
        Ok(targets)
    } else {
        Err(Failure::usage("there is no output to verify"))
    }
}

fn outputs(verification: &Verification) -> impl Iterator<Item = &OutputResult> {
    verification.targets.iter().flat_map(|target| &target.outputs)
}

/// The names of the outputs of which it is known in what their bits differ, or that they do not.
fn compared(verification: &Verification) -> BTreeSet<Vec<u8>> {
    let known =
        outputs(verification).filter(|output| differences_known(output.conclusion.verdict, &output.notes));
    known.filter_map(|output| Some(output.path.as_ref()?.name().as_bytes().to_vec())).collect()
}

/// Whether it is known in what the bits of an output differ, or that they do not.
pub(super) fn differences_known(verdict: Verdict, notes: &[Note]) -> bool {
    match verdict {
        Verdict::Reproduced | Verdict::Equivalent => true,
        Verdict::Diverged => notes.is_empty(),
        Verdict::NotBuilt | Verdict::NotChecked => false,
    }
}

/// The worst that was found decides; nothing found at all is not success.
fn exit(verification: &Verification) -> Exit {
    let mut exit = Exit::Success;
    for error in verification.failed_inputs.iter().chain(round_errors(verification)) {
        exit = exit.and(realising::failure(error).exit);
    }
    for target in &verification.targets {
        if target.outputs.is_empty() {
            exit = exit.and(Exit::NotChecked);
        }
        for output in &target.outputs {
            exit = exit.and(match output.conclusion.verdict {
                Verdict::Reproduced | Verdict::Equivalent => Exit::Success,
                Verdict::Diverged => Exit::DIVERGED,
                Verdict::NotBuilt | Verdict::NotChecked => Exit::NotChecked,
            });
        }
    }
    exit
}

/// Why rounds were not built.
fn round_errors(verification: &Verification) -> impl Iterator<Item = &RealiseError> {
    let rounds = verification.targets.iter().filter_map(|target| target.rounds.as_ref());
    rounds.flat_map(|rounds| &rounds.rounds).filter_map(|round| round.result.as_ref()?.as_ref().err())
}
