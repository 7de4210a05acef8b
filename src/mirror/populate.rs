//! Fills a mirror: leaves first over a whole closure, each derivation built from what the mirror holds, verified to the level that
//! its policy asks, and admitted or refused. What is in is not built again, so that a killed run is simply begun again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use super::{
    Mirror, MirrorError,
    admission::{self, Decision, REFUSAL_KIND, Refusal},
    claims::{Claimed, Hold, Worker},
    layout::{HashPart, KeyId, Object},
    made::Made,
    publish::{Published, Publisher},
    statement::Ground,
    workbench::{Obstacle, Workbench},
};
use crate::{
    graph::{Choice, Frontier, Graph, Node},
    nix::{derivation::Output, make_path::Method, store_path::StorePath},
    schedule::{self, Crew, Member, OnFailure, Outcome, RealiseError, Realiser},
    source::FixedOutput,
    store::StoreError,
    verify::reference::Native,
};

/// Between two looks at what other workers are at, usually, to begin with.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How many times longer that becomes while nothing changes.
const MORE_PATIENCE: u32 = 4;

/// What a mirror is filled with, and by whom.
pub struct Populate<'a> {
    /// The mirror.
    pub mirror: &'a Mirror,
    /// Who admits.
    pub publisher: &'a Publisher<'a>,
    /// The derivations.
    pub graph: &'a Graph,
    /// Which of them may be built. The others have to be in already: what is there comes from nowhere but the mirror.
    pub frontier: &'a Frontier,
    /// Who builds.
    pub realiser: &'a Realiser<'a>,
    /// Who is at work.
    pub worker: &'a Worker,
    /// This host's own builds, to compare with.
    pub native: Option<&'a dyn Native>,
    /// Machines that run at once.
    pub jobs: usize,
    /// What to do about what was refused before.
    pub refused: OnRefused,
    /// Between two looks at what other workers are at, to begin with: see [`PATIENCE`].
    pub patience: Duration,
}

/// What to do about a derivation that this signer refused before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefused {
    /// It stays refused.
    Keep,
    /// It is built again.
    Retry,
}

/// What became of a derivation.
#[derive(Debug)]
pub enum Fate {
    /// All its outputs are in: now, or since before.
    In(Published),
    /// Its bits diverge, and the mirror says so.
    Refused(Refusal),
    /// It was refused by this signer in an earlier run.
    RefusedBefore,
    /// It is not in, for now.
    NotNow(String),
    /// Something it needs is not in: the derivation at this place of the graph.
    Blocked(usize),
    /// It could not be tried, or the mirror could not be written.
    Failed(MirrorError),
    /// It could not be built.
    NotBuilt(RealiseError),
    /// Another worker is at it.
    Theirs,
}

/// What is looked for.
#[derive(Default)]
struct Wanted {
    /// Derivations, and the outputs of each that are needed.
    wanted: BTreeMap<usize, BTreeSet<String>>,
    /// Why it is not known of some of them whether the mirror holds them.
    unread: Vec<(usize, MirrorError)>,
}

impl From<MirrorError> for Fate {
    fn from(error: MirrorError) -> Self {
        Fate::Failed(error)
    }
}

impl From<Obstacle> for Fate {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::NotNow(why) => Fate::NotNow(why),
            Obstacle::NotBuilt(error) => Fate::NotBuilt(error),
            Obstacle::Failed(error) => Fate::Failed(error),
        }
    }
}

impl From<RealiseError> for Fate {
    fn from(error: RealiseError) -> Self {
        Fate::NotBuilt(error)
    }
}

impl From<StoreError> for Fate {
    fn from(error: StoreError) -> Self {
        Fate::Failed(error.into())
    }
}

impl Populate<'_> {
    /// Admits what can be admitted of everything that was asked for, and says of each derivation what became of it, leaves first.
    /// Returns when there is nothing left that this worker or another one is still to do. What of the mirror cannot be read costs
    /// what it is about and what needs that.
    pub fn run(&self) -> Vec<(usize, Fate)> {
        let mut fates: BTreeMap<usize, Fate> = BTreeMap::new();
        let crew = Crew::new(self.jobs);
        let (mut awaited, mut patience) = (Vec::new(), self.patience);
        loop {
            let Wanted { wanted, unread } = self.wanted();
            fates.retain(|index, fate| {
                if self.is_settled(*index, fate) || wanted.contains_key(index) {
                    return true;
                }
                let now = self.not_wanted(&self.graph.nodes()[*index]);
                now.map(|now| *fate = now).is_some()
            });
            for (index, error) in unread {
                if !fates.get(&index).is_some_and(|fate| self.is_settled(index, fate)) {
                    fates.insert(index, Fate::Failed(error));
                }
            }
            let tasks: Vec<usize> = wanted.keys().copied().collect();
            let place = |index: &usize| tasks.binary_search(index).ok();
            let inputs = |index: &usize| match self.is_left_out(*index) {
                true => Vec::new(),
                false => self.graph.nodes()[*index].inputs.iter().filter_map(place).collect(),
            };
            let needs: Vec<Vec<usize>> = tasks.iter().map(inputs).collect();
            let outcomes = schedule::run(&needs, self.jobs, OnFailure::KeepGoing, |task| {
                let index = tasks[task];
                match fates.get(&index) {
                    Some(Fate::In(published)) => return Ok(*published),
                    // What could not be admitted a moment ago cannot be now.
                    Some(fate) if self.is_settled(index, fate) => return Err(None),
                    _ => {}
                }
                self.admit(index, &wanted[&index], &crew).map_err(Some)
            });
            for (index, outcome) in tasks.iter().zip(outcomes) {
                let fate = match outcome {
                    Outcome::Done(published) => Fate::In(published),
                    Outcome::Failed(Some(fate)) => fate,
                    Outcome::Failed(None) => continue,
                    Outcome::Skipped(task) => Fate::Blocked(tasks[task]),
                    Outcome::Stopped => Fate::NotNow("it was not tried".to_owned()),
                };
                fates.insert(*index, fate);
            }
            let theirs = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Theirs));
            let theirs: Vec<&str> = theirs.map(|(index, _)| self.graph.nodes()[*index].name()).collect();
            if theirs.is_empty() {
                return fates.into_iter().collect();
            }
            if theirs == awaited {
                patience = (self.patience * MORE_PATIENCE).min(patience * 2);
            } else {
                self.realiser
                    .observer
                    .note(&format!("waiting for another worker, who is at {}", theirs.join(", ")));
                (awaited, patience) = (theirs, self.patience);
            }
            std::thread::sleep(patience);
        }
    }

    /// Removes claims that are over: one who was killed after the narinfo and before the end of the claim left that.
    ///
    /// # Errors
    /// When the claims cannot be listed or removed. They are over after [`super::claims::HOLDS`] all the same.
    pub fn tidy_claims(&self) -> Result<(), MirrorError> {
        let nodes = self.graph.nodes().iter().map(|node| (HashPart::of(&node.drv), node));
        let nodes: BTreeMap<HashPart, &Node> = nodes.collect();
        let is_done = |part: &HashPart| match nodes.get(part) {
            // What cannot be read is not known to be done.
            Some(node) => Ok(self.holds(node, &BTreeSet::new()).unwrap_or(false)),
            None => Ok(false),
        };
        self.mirror.tidy_claims(self.worker, SystemTime::now(), is_done)
    }

    /// What is to be built, and which outputs of it are needed: from what was asked for, and what is to be there in the end besides, down
    /// to what the mirror holds already, without looking behind that. What was asked for is among it even so, and so is that of which
    /// nobody knows whether the mirror holds it, and what is not there and left out.
    fn wanted(&self) -> Wanted {
        let mut needed: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for target in &self.frontier.targets {
            let outputs = self.graph.nodes()[*target].derivation.outputs.keys().cloned().collect();
            needed.insert(*target, outputs);
        }
        let Wanted { mut wanted, mut unread } = Wanted::default();
        // Whoever needs a derivation stands behind it, so from the end everything is known in time.
        for (index, node) in self.graph.nodes().iter().enumerate().rev() {
            // A source is told of only to who asks for it.
            let is_passed_over = node.derivation.is_fixed_output() && !self.graph.roots().contains(&index);
            let Some(outputs) = needed.remove(&index).filter(|_| !is_passed_over) else { continue };
            let held = self.holds(node, &outputs);
            if matches!(held, Ok(false)) && !self.is_left_out(index) {
                for (input, outputs) in &node.derivation.input_drvs {
                    let input = self.graph.index_of(input).into_iter();
                    input.for_each(|input| needed.entry(input).or_default().extend(outputs.iter().cloned()));
                }
            }
            if !matches!(held, Ok(true)) || self.frontier.targets.binary_search(&index).is_ok() {
                wanted.insert(index, outputs);
            }
            unread.extend(held.err().map(|error| (index, error)));
        }
        Wanted { wanted, unread }
    }

    /// Whether nothing that another worker does can change what became of a derivation.
    fn is_settled(&self, index: usize, fate: &Fate) -> bool {
        match fate {
            Fate::Theirs | Fate::Blocked(_) => false,
            Fate::NotNow(_) => !self.is_left_out(index),
            _ => true,
        }
    }

    /// Whether a derivation is not to be built here.
    fn is_left_out(&self, index: usize) -> bool {
        self.frontier.choices[index] == Choice::Take
    }

    /// Whether the mirror has a derivation: all outputs of one that was built; of one that was taken as it is those that are
    /// needed. One of which a killed writer admitted some outputs only is built again, and the others follow.
    fn holds(&self, node: &Node, needed: &BTreeSet<String>) -> Result<bool, MirrorError> {
        let mut all = true;
        let mut seeds = true;
        for (name, output) in &node.derivation.outputs {
            let there = match output.path() {
                Some(path) if self.mirror.narinfo(path)?.is_some() => Some(self.mirror.admission(path)?),
                _ => None,
            };
            all &= there.is_some();
            let is_seed = there.is_some_and(|admission| matches!(admission.ground, Ground::Seed { .. }));
            seeds &= is_seed || !needed.contains(name);
        }
        Ok(all || (seeds && !needed.is_empty()))
    }

    /// What has become of a derivation that this signer has admitted or testified to.
    fn standing(&self, node: &Node) -> Result<Published, Fate> {
        for path in node.derivation.outputs.values().filter_map(Output::path) {
            // Whatever was settled since is not told apart from what was there.
            if self.mirror.narinfo(path)?.is_some()
                && self.mirror.settle(&HashPart::of(path))? == Published::Pending
            {
                return Ok(Published::Pending);
            }
        }
        Ok(Published::There)
    }

    /// What has become of a derivation that another worker was at, and that is not looked for any more because the mirror holds it, or
    /// what needs it. `None` of one that it does not hold: nothing asks for it.
    fn not_wanted(&self, node: &Node) -> Option<Fate> {
        match self.holds(node, &BTreeSet::new()) {
            Ok(true) => Some(self.standing(node).map_or_else(|fate| fate, Fate::In)),
            Ok(false) => None,
            Err(error) => Some(error.into()),
        }
    }

    /// Builds, verifies and admits one derivation whose inputs are in.
    fn admit(&self, index: usize, needed: &BTreeSet<String>, crew: &Crew) -> Result<Published, Fate> {
        let node = &self.graph.nodes()[index];
        if node.derivation.is_fixed_output() {
            let why = "it is a source, which is kept with what is built from it: ask for that";
            return Err(Fate::NotNow(why.to_owned()));
        }
        if self.holds(node, needed)? {
            // Of a mirror that an earlier release filled it may be missing.
            self.publisher.keep(self.graph, index)?;
            return self.standing(node);
        }
        let refused = Object::Refused(HashPart::of(&node.drv), KeyId::of(&self.publisher.key().public()));
        if self.refused == OnRefused::Keep
            && self.mirror.location().open(&refused.name()).map_err(MirrorError::from)?.is_some()
        {
            return Err(Fate::RefusedBefore);
        }
        if self.is_left_out(index) {
            return Err(Fate::NotNow("it was left out, and the mirror does not hold it".to_owned()));
        }
        // Of two processes with one state directory, whose claims are one's own, one waits here.
        let _alone = self.realiser.store.lock(&node.drv, || {
            self.realiser
                .observer
                .note(&format!("waiting for another process that builds {}", node.drv.name()))
        })?;
        if self.holds(node, needed)? {
            return self.standing(node);
        }
        if self.mirror.claim(&node.drv, self.worker, SystemTime::now())? == Claimed::Theirs {
            return Err(Fate::Theirs);
        }
        // Another worker may have come to the end since it was looked at.
        if self.holds(node, needed)? {
            self.mirror.release(&node.drv, self.worker)?;
            return self.standing(node);
        }
        let admitted =
            self.mirror.while_claimed(&node.drv, self.worker, |hold| self.build(index, hold, &crew.join()));
        self.mirror.release(&node.drv, self.worker)?;
        admitted
    }

    fn build(&self, index: usize, hold: &Hold<'_>, member: &Member<'_>) -> Result<Published, Fate> {
        let node = &self.graph.nodes()[index];
        let bench = Workbench {
            mirror: self.mirror,
            graph: self.graph,
            realiser: self.realiser,
            native: self.native,
            member,
        };
        // Before anything is kept for it.
        bench.engines(index)?;
        let inputs = bench.inputs(index)?;
        let mut sources = self.sources(index)?;
        let target = bench.verify(index)?;
        match admission::decide(self.mirror.policy(), &target) {
            Decision::Admit => {}
            Decision::NotNow(why) => return Err(Fate::NotNow(why)),
            Decision::Refuse(refusal) => {
                let object =
                    Object::Refused(HashPart::of(&node.drv), KeyId::of(&self.publisher.key().public()));
                self.publisher.put_signed(&object, REFUSAL_KIND, &refusal)?;
                return Err(Fate::Refused(refusal));
            }
        }
        // For one who seemed dead nothing was kept that nobody had admitted yet.
        if !hold.is_unbroken()? {
            sources = self.sources(index)?;
            self.publisher.keep(self.graph, index)?;
        }
        Ok(Made { index, target, inputs, sources }.publish(&bench, self.publisher)?)
    }

    /// The sources that it is built from: found by hash, and kept in the mirror.
    fn sources(&self, index: usize) -> Result<BTreeMap<StorePath, String>, Fate> {
        let node = &self.graph.nodes()[index];
        let mut sources = BTreeMap::new();
        for drv in node.derivation.input_drvs.keys() {
            let input = self.graph.index_of(drv).map(|input| &self.graph.nodes()[input]);
            let fixed = input.and_then(|input| FixedOutput::of(&input.drv, &input.derivation));
            let Some(fixed) = fixed else { continue };
            let info = self.realiser.sources.provide(&fixed).map_err(RealiseError::from)?.info;
            sources.insert(info.path.clone(), self.publisher.escrow(&info, fixed.method)?.hex());
        }
        let files = node.derivation.input_srcs.iter().cloned();
        for info in self.realiser.evaluated.import_all(files, self.realiser.store)? {
            let hash = self.publisher.escrow(&info, Method::Recursive)?;
            sources.insert(info.path, hash.hex());
        }
        Ok(sources)
    }
}
