//! Paths of a mirror proved again: derivations, inputs and sources come from the mirror and from nowhere else, everything is built
//! as the policy asks, and the bits are compared with those that are admitted.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Mirror, MirrorError,
    admission::{self, Decision, Refusal},
    layout::{HashPart, Object},
    made::Made,
    statement::{Admission, Ground},
    workbench::{Obstacle, Workbench},
};
use crate::{
    build::RunRecord,
    graph::Graph,
    nix::{hash::NarHash, narinfo::NarInfo, store_path::StorePath},
    schedule::{self, Crew, Member, OnFailure, Outcome, Realiser},
    verify::{Level, session::TargetResult},
};

/// A derivation whose outputs a mirror has, all or some, and what it says of them.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The derivation.
    pub drv: StorePath,
    /// Its outputs in the mirror, by name.
    pub outputs: BTreeMap<String, NarInfo>,
    /// What it was made from, and which bits that had.
    pub inputs: BTreeMap<StorePath, NarHash>,
    /// Its sources, and the SHA-256 under which each lies.
    pub sources: BTreeMap<StorePath, String>,
}

/// What a mirror says of how its paths came in.
#[derive(Debug, Default)]
pub struct Subjects {
    /// By being built: the derivations.
    pub built: Vec<Subject>,
    /// Otherwise: seeds, and sources, whose paths follow from their bits.
    pub others: Vec<StorePath>,
    /// Narinfos of which it does not say, or cannot be understood, and why.
    pub unread: Vec<(String, MirrorError)>,
}

/// What came of building it again.
#[derive(Debug)]
pub enum Rebuilt {
    /// Every output that the mirror has came out with the very bits.
    Same {
        /// How much that shows.
        level: Level,
    },
    /// It comes out the same every time, and not as the mirror has it.
    Other(Vec<OtherBits>),
    /// It comes out otherwise from build to build.
    Diverged(Refusal),
    /// Nothing was shown, and why.
    NotChecked(String),
}

/// An output that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherBits {
    /// Its name.
    pub output: String,
    /// Its path.
    pub path: StorePath,
    /// The bits that the mirror has.
    pub admitted: NarHash,
    /// Those that it came out with; the same when only what it refers to is not.
    pub made: NarHash,
    /// What it refers to as it came out.
    pub references: BTreeSet<StorePath>,
}

/// Who builds.
pub struct Rebuild<'a> {
    /// The mirror.
    pub mirror: &'a Mirror,
    /// Who builds.
    pub realiser: &'a Realiser<'a>,
    /// Machines that run at once.
    pub jobs: usize,
}

impl Mirror {
    /// How these paths came in, or everything that is in the mirror; for one of its signers also what is pending.
    ///
    /// # Errors
    /// [`MirrorError::Document`] for a path that was asked for and is not there, or does not say why it was admitted.
    pub fn subjects(&self, paths: &[StorePath]) -> Result<Subjects, MirrorError> {
        let (mut told, mut unread) = (Vec::new(), Vec::new());
        for path in paths {
            let part = HashPart::of(path);
            let missing = || MirrorError::Document {
                object: self.location.url(&Object::NarInfo(part.clone()).name()),
                why: format!("{path} is not in this mirror"),
            };
            told.push(
                self.testified(&part)?.filter(|(info, _)| info.store_path == *path).ok_or_else(missing)?,
            );
        }
        if paths.is_empty() {
            for part in self.parts()? {
                match self.testified(&part) {
                    Ok(found) => told.extend(found),
                    Err(error) => unread.push((Object::NarInfo(part).name(), error)),
                }
            }
        }
        let (mut subjects, mut others) = (BTreeMap::<StorePath, Subject>::new(), Vec::new());
        for (info, Admission { ground, inputs, sources, .. }) in told {
            let Ground::Built { derivation, output } = ground else {
                others.push(info.store_path);
                continue;
            };
            let subject = subjects.entry(derivation.clone()).or_insert_with(|| Subject {
                drv: derivation,
                outputs: BTreeMap::new(),
                inputs,
                sources,
            });
            subject.outputs.insert(output, info);
        }
        Ok(Subjects { built: subjects.into_values().collect(), others, unread })
    }

    /// Everything that has a narinfo; for one of the signers also what somebody has testified to.
    pub(super) fn parts(&self) -> Result<BTreeSet<HashPart>, MirrorError> {
        let mut parts = BTreeSet::new();
        for (name, _) in self.location.list("")? {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => parts.insert(part),
                Some(Object::Signature(part, _)) if self.seen_by.is_some() => parts.insert(part),
                _ => continue,
            };
        }
        Ok(parts)
    }
}

impl Rebuild<'_> {
    /// Builds each again, and says what came of it.
    pub fn run(&self, subjects: &[Subject]) -> Vec<Rebuilt> {
        let drvs: Vec<StorePath> = subjects.iter().map(|subject| subject.drv.clone()).collect();
        let (graph, faults) = match self.mirror.graph_as_far_as_whole(&drvs) {
            Ok(found) => found,
            Err(error) => {
                return subjects.iter().map(|_| Rebuilt::NotChecked(error.to_string())).collect();
            }
        };
        let needs = vec![Vec::new(); subjects.len()];
        let crew = Crew::new(self.jobs);
        let outcomes = schedule::run(&needs, self.jobs, OnFailure::KeepGoing, |task| {
            let subject = &subjects[task];
            Ok(match faults.get(&subject.drv) {
                Some(error) => Rebuilt::NotChecked(error.to_string()),
                None => self.again(&graph, subject, &crew.join()).0,
            })
        });
        let rebuilt = outcomes.into_iter().map(|outcome: Outcome<Rebuilt, ()>| match outcome {
            Outcome::Done(rebuilt) => rebuilt,
            _ => Rebuilt::NotChecked("it was not tried".to_owned()),
        });
        rebuilt.collect()
    }

    /// Builds one again. What was made comes with it if it has the very bits.
    pub(super) fn again(
        &self,
        graph: &Graph,
        subject: &Subject,
        member: &Member<'_>,
    ) -> (Rebuilt, Option<Made>) {
        let Rebuild { mirror, realiser, .. } = *self;
        let bench = Workbench { mirror, graph, realiser, native: None, member };
        match self.try_again(&bench, subject) {
            Ok((rebuilt, made)) => (rebuilt, made),
            Err(Obstacle::NotNow(why)) => (Rebuilt::NotChecked(why), None),
            Err(Obstacle::NotBuilt(error)) => (Rebuilt::NotChecked(error.to_string()), None),
            Err(Obstacle::Failed(error)) => (Rebuilt::NotChecked(error.to_string()), None),
        }
    }

    fn try_again(
        &self,
        bench: &Workbench<'_>,
        subject: &Subject,
    ) -> Result<(Rebuilt, Option<Made>), Obstacle> {
        let Some(index) = bench.graph.index_of(&subject.drv) else {
            return Err(Obstacle::NotNow("its derivation is not there".to_owned()));
        };
        let store = self.realiser.store;
        let _alone = store.lock(&subject.drv, || {
            let name = subject.drv.name();
            self.realiser.observer.note(&format!("waiting for another process that builds {name}"))
        })?;
        let inputs = bench.inputs(index)?;
        if inputs != subject.inputs {
            let why =
                "the mirror holds other inputs, or other bits of them, than it was made from".to_owned();
            return Err(Obstacle::NotNow(why));
        }
        bench.supply(index, &subject.sources)?;
        let target = bench.verify(index)?;
        match admission::decide(self.mirror.policy(), &target) {
            Decision::Admit => {}
            Decision::NotNow(why) => return Err(Obstacle::NotNow(why)),
            Decision::Refuse(refusal) => return Ok((Rebuilt::Diverged(refusal), None)),
        }
        let others = differing(bench, subject, &target)?;
        if !others.is_empty() {
            return Ok((Rebuilt::Other(others), None));
        }
        let level = target.outputs.iter().map(|output| output.conclusion.level).min();
        let level = level.unwrap_or(Level::Built);
        let made = Made { index, target, inputs, sources: subject.sources.clone() };
        Ok((Rebuilt::Same { level }, Some(made)))
    }
}

/// The outputs that came out otherwise than the mirror has them.
fn differing(
    bench: &Workbench<'_>,
    subject: &Subject,
    target: &TargetResult,
) -> Result<Vec<OtherBits>, Obstacle> {
    let first = target.rounds.as_ref().and_then(|rounds| rounds.rounds.first()?.built());
    let Some(first) = first else { return Err(Obstacle::NotNow("nothing was built".to_owned())) };
    let record: RunRecord = bench.realiser.record(&first.run)?;
    let mut others = Vec::new();
    for (output, info) in &subject.outputs {
        let made = target.outputs.iter().find(|made| made.output == *output);
        let made = made.filter(|made| made.path.as_ref() == Some(&info.store_path));
        let recorded = record.outputs.iter().find(|recorded| recorded.output == *output);
        let (Some(nar_hash), Some(recorded)) = (made.and_then(|made| made.finding.nar_hash), recorded) else {
            let why = format!("its derivation makes no {} as its output {output}", info.store_path);
            return Err(Obstacle::NotNow(why));
        };
        let references = recorded.references.iter().map(|path| path.parse()).collect::<Result<_, _>>();
        let Ok(references) = references else {
            return Err(Obstacle::NotNow(format!("the record of the run {} is damaged", first.run)));
        };
        if (nar_hash, &references) != (info.nar_hash, &info.references) {
            others.push(OtherBits {
                output: output.clone(),
                path: info.store_path.clone(),
                admitted: info.nar_hash,
                made: nar_hash,
                references,
            });
        }
    }
    Ok(others)
}
