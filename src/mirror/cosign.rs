//! A second pair of hands: what others have admitted, or have testified to, is built again from the mirror alone, leaves first, and
//! signed if the very bits come out.
//!
//! Other bits leave a signed refusal and a record of the conflict, and no signature. Seeds cannot be built: whoever has the same bits
//! from a place of their own can take them as a seed too, and nobody signs one because somebody else did.

use std::collections::BTreeMap;

use super::{
    MirrorError,
    admission::{REFUSAL_KIND, REFUSAL_SCHEMA, Refusal, RefusedOutput},
    claims::Hold,
    conflict::Standing,
    layout::{FileHash, HashPart, KeyId, Object},
    populate::OnRefused,
    publish::{Published, Publisher},
    rebuild::{OtherBits, Rebuild, Rebuilt, Subject, Subjects},
    workbench::{Obstacle, Workbench},
};
use crate::{
    graph::Graph,
    nix::store_path::StorePath,
    schedule::{self, Crew, OnFailure, Outcome},
    store::{Origin, PathInfo},
};

/// Who signs, and builds for that.
pub struct Cosign<'a> {
    /// Who builds, and what: the mirror has to be seen by the signer.
    pub rebuild: Rebuild<'a>,
    /// Who signs; [`Publisher::cosigning`].
    pub publisher: &'a Publisher<'a>,
    /// What to do about what this signer refused before.
    pub refused: OnRefused,
    /// That nobody has removed anything meanwhile: [`super::Mirror::while_at_work`].
    pub hold: &'a Hold<'a>,
}

/// What became of a derivation.
#[derive(Debug)]
pub enum Cosigned {
    /// This signer has testified to it, now or before, and this is how it stands.
    Signed(Published),
    /// It came out with other bits, or with different ones from build to build, and the mirror says so.
    Refused(Refusal),
    /// It was refused by this signer in an earlier run.
    RefusedBefore,
    /// Nothing was shown, and why.
    NotChecked(String),
    /// It was made from something that this signer could not sign: the derivation of that.
    Blocked(StorePath),
    /// The mirror could not be read or written.
    Failed(MirrorError),
}

/// What became of everything in a mirror.
#[derive(Debug)]
pub struct CosignedAll {
    /// What became of each derivation, leaves first.
    pub derivations: Vec<(StorePath, Cosigned)>,
    /// What nobody can build, seeds and sources, and too few signers have testified to.
    pub waiting: Vec<StorePath>,
    /// Narinfos of which the mirror does not say how they came in, and why: nothing was tried of these.
    pub unread: Vec<(String, MirrorError)>,
}

impl From<Obstacle> for Cosigned {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::NotNow(why) => Cosigned::NotChecked(why),
            Obstacle::NotBuilt(error) => Cosigned::NotChecked(error.to_string()),
            Obstacle::Failed(error) => Cosigned::Failed(error),
        }
    }
}

impl From<MirrorError> for Cosigned {
    fn from(error: MirrorError) -> Self {
        Cosigned::Failed(error)
    }
}

impl Cosign<'_> {
    /// Goes through everything that was built, leaves first, and looks at what was not.
    ///
    /// # Errors
    /// When the mirror cannot be listed, or its derivations change while they are read. What is wrong with one path is told of that.
    pub fn run(&self) -> Result<CosignedAll, MirrorError> {
        let mirror = self.rebuild.mirror;
        let Subjects { built: mut subjects, others, mut unread } = mirror.subjects(&[])?;
        let drvs: Vec<StorePath> = subjects.iter().map(|subject| subject.drv.clone()).collect();
        let (graph, faults) = mirror.graph_as_far_as_whole(&drvs)?;
        subjects.sort_by_key(|subject| graph.index_of(&subject.drv));
        let mut made_by: BTreeMap<&StorePath, usize> = BTreeMap::new();
        for (task, subject) in subjects.iter().enumerate() {
            made_by.extend(subject.outputs.values().map(|info| (&info.store_path, task)));
        }
        let needs = |(task, subject): (usize, &Subject)| {
            let inputs = subject.inputs.keys().filter_map(|input| made_by.get(input).copied());
            // Only what comes before can be waited for.
            inputs.filter(|input| *input < task).collect()
        };
        let needs: Vec<Vec<usize>> = subjects.iter().enumerate().map(needs).collect();
        let crew = Crew::new(self.rebuild.jobs);
        let outcomes = schedule::run(&needs, self.rebuild.jobs, OnFailure::KeepGoing, |task| {
            let subject = &subjects[task];
            match faults.get(&subject.drv) {
                Some(error) => Err(Cosigned::NotChecked(error.to_string())),
                None => self.one(&graph, subject, &crew),
            }
        });
        let of = |outcome| match outcome {
            Outcome::Done(published) => Cosigned::Signed(published),
            Outcome::Failed(cosigned) => cosigned,
            Outcome::Skipped(task) => Cosigned::Blocked(subjects[task].drv.clone()),
            Outcome::Stopped => Cosigned::NotChecked("it was not tried".to_owned()),
        };
        let drvs = subjects.iter().map(|subject| subject.drv.clone());
        let derivations = drvs.zip(outcomes.into_iter().map(of)).collect();
        let mut waiting = Vec::new();
        for path in others {
            let part = HashPart::of(&path);
            match mirror.settle(&part) {
                Ok(Published::Pending) => waiting.push(path),
                Ok(_) => {}
                Err(error) => unread.push((Object::NarInfo(part).name(), error)),
            }
        }
        Ok(CosignedAll { derivations, waiting, unread })
    }

    fn one(&self, graph: &Graph, subject: &Subject, crew: &Crew) -> Result<Published, Cosigned> {
        if let Some(standing) = self.standing(subject)? {
            return Ok(standing);
        }
        let key = KeyId::of(&self.publisher.key().public());
        let object = Object::Refused(HashPart::of(&subject.drv), key);
        let location = self.rebuild.mirror.location();
        if self.refused == OnRefused::Keep
            && location.open(&object.name()).map_err(MirrorError::from)?.is_some()
        {
            return Err(Cosigned::RefusedBefore);
        }
        let refuse = |refusal: Refusal| {
            let put = self.publisher.put_signed(&object, REFUSAL_KIND, &refusal);
            put.map_or_else(Cosigned::Failed, |_| Cosigned::Refused(refusal))
        };
        let member = crew.join();
        match self.rebuild.again(graph, subject, &member) {
            (Rebuilt::Same { .. }, Some(made)) => {
                self.sources_stayed(subject)?;
                let Rebuild { mirror, realiser, .. } = self.rebuild;
                let bench = Workbench { mirror, graph, realiser, native: None, member: &member };
                Ok(made.publish(&bench, self.publisher)?)
            }
            (Rebuilt::Same { .. }, None) => Err(Cosigned::NotChecked("nothing was made".to_owned())),
            (Rebuilt::Other(others), _) => {
                self.conflicts(subject, &others)?;
                Err(refuse(refusal(subject, &others)))
            }
            (Rebuilt::Diverged(refusal), _) => Err(refuse(refusal)),
            (Rebuilt::NotChecked(why), _) => Err(Cosigned::NotChecked(why)),
        }
    }

    /// That nobody has removed its sources meanwhile: what is put in again is everything else.
    fn sources_stayed(&self, subject: &Subject) -> Result<(), Cosigned> {
        if self.hold.is_unbroken()? {
            return Ok(());
        }
        for hash in subject.sources.values().filter_map(|hex| FileHash::from_hex(hex)) {
            let name = Object::Source(hash).name();
            if self.rebuild.mirror.location().open(&name).map_err(MirrorError::from)?.is_none() {
                let why = format!("{name} was removed while it was built");
                return Err(Cosigned::NotChecked(why));
            }
        }
        Ok(())
    }

    /// How a derivation stands of which this signer has testified to every output that is in the mirror.
    fn standing(&self, subject: &Subject) -> Result<Option<Published>, MirrorError> {
        let mirror = self.rebuild.mirror;
        let own = self.publisher.key().public();
        let mut standing = Published::There;
        for info in subject.outputs.values() {
            let part = HashPart::of(&info.store_path);
            let there = mirror.signed_by(&part, &own)?;
            let listed = || info.signatures.iter().any(|signature| own.has_signed(info, signature));
            if there.is_none() && !listed() {
                return Ok(None);
            }
            match mirror.settle(&part)? {
                Published::Pending => standing = Published::Pending,
                Published::New if standing == Published::There => standing = Published::New,
                _ => {}
            }
        }
        Ok(Some(standing))
    }

    /// Records of the other bits.
    fn conflicts(&self, subject: &Subject, others: &[OtherBits]) -> Result<(), MirrorError> {
        for other in others {
            let Some(there) = subject.outputs.get(&other.output) else { continue };
            let found = PathInfo {
                path: other.path.clone(),
                nar_hash: other.made,
                nar_size: self.publisher.store.nar_size(&other.made)?.unwrap_or_default(),
                references: other.references.clone(),
                deriver: Some(subject.drv.clone()),
                origin: Origin::HostStore,
            };
            self.publisher.conflict(&Standing::Said(there), &found)?;
        }
        Ok(())
    }
}

fn refusal(subject: &Subject, others: &[OtherBits]) -> Refusal {
    let output = |other: &OtherBits| RefusedOutput {
        output: other.output.clone(),
        path: Some(other.path.clone()),
        nar_hashes: if other.made == other.admitted {
            vec![other.made]
        } else {
            vec![other.admitted, other.made]
        },
        causes: Vec::new(),
    };
    Refusal {
        schema: REFUSAL_SCHEMA.to_owned(),
        derivation: subject.drv.clone(),
        outputs: others.iter().map(output).collect(),
    }
}
