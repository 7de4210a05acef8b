//! Removing what nobody needs any more, and saying so.
//!
//! What the roots refer to and were made from stays, however deep; so do the inputs of what somebody has begun to admit. Of everything else
//! the narinfos go first, what needs others before those, each behind a signed record: at no moment does a path that is in need one that is
//! not. The other objects go when nothing that is in needs them. What was said of a path stays: statements, seeds, refusals, conflicts, and
//! with which bits it was admitted.
//!
//! While that is done no worker begins anything: the claim on everything ([`super::claims`]) is taken first, and then it is looked whether
//! anybody is at work. A removal that is killed is gone on with by the next one: the records say what belonged to what is gone.

mod survey;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use super::{
    Mirror, MirrorError, check_signer,
    claims::{Claimed, Hold, Worker},
    conflict::Bits,
    derivations,
    layout::{HashPart, Object},
    memory::{REMOVAL_SCHEMA, Removal},
    statement::{self, Admission},
};
use crate::{
    attest::check as attested,
    code::{Code, Explanation},
    nix::{narinfo::NarInfo, secret_key::SecretKey, signature::PublicKey, store_path::StorePath},
};
use survey::{Known, Listed, sources};

/// What is to be removed, and by whom.
pub struct Gc<'a> {
    /// The mirror.
    pub mirror: &'a Mirror,
    /// Who signs for it.
    pub key: &'a SecretKey,
    /// Who is at work.
    pub worker: &'a Worker,
    /// What stays, with everything it needs.
    pub roots: &'a [StorePath],
    /// Whether anything is removed.
    pub mode: Mode,
    /// What to do when others are at work.
    pub busy: OnBusy,
    /// How old what a killed writer left has to be to go as well; it stays without.
    pub leftovers: Option<Duration>,
    /// As many objects are read at once.
    pub jobs: usize,
}

/// Whether anything is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only say what would be.
    DryRun,
    /// Remove it.
    Remove,
}

/// What to do when others are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBusy {
    /// Nothing.
    Refuse,
    /// Take them for dead.
    GoOn,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Paths, in the order in which they go.
    pub paths: Vec<StorePath>,
    /// Objects and their sizes in bytes; narinfos among them.
    pub objects: BTreeMap<String, u64>,
    /// Of them those that belonged to no path that was in.
    pub leftovers: BTreeSet<String>,
    /// Paths that stay.
    pub kept: usize,
    /// Paths that an earlier removal, which was killed, had taken out, and that something needs: they are in again.
    pub put_back: Vec<StorePath>,
}

/// What was begun and is not in.
#[derive(Debug, Default)]
struct Unfinished {
    /// Why it is to be admitted, as those say who have begun.
    said: Vec<Admission>,
    /// The paths that wait for further signers.
    signed: Vec<NarInfo>,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GcError {
    /// The mirror failed.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// Nothing is to stay.
    #[error("no --root: everything would go")]
    NoRoots,
    /// A root that is not there.
    #[error("{path} is to stay, and is not in the mirror")]
    NotHeld {
        /// The root.
        path: StorePath,
    },
    /// Somebody is at work.
    #[error("{workers} claims hold: somebody may be filling the mirror")]
    Busy {
        /// How many claims there are.
        workers: usize,
    },
    /// Somebody admitted something meanwhile without a claim.
    #[error("{path} was admitted or made meanwhile: what had been taken out is in again")]
    Grown {
        /// What was admitted.
        path: String,
    },
}

impl GcError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            GcError::Mirror(error) => return error.code(),
            GcError::NoRoots | GcError::NotHeld { .. } => 1450,
            GcError::Busy { .. } | GcError::Grown { .. } => 1451,
        })
    }
}

impl From<super::location::LocationError> for GcError {
    fn from(error: super::location::LocationError) -> Self {
        GcError::Mirror(error.into())
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1450),
        title: "it is not said what of a mirror is to stay",
        text: "`reprove mirror gc` removes what no --root needs. Each root has to be a path that the mirror holds: with one that \
               is spelled wrong, everything it should have kept would go.",
    },
    Explanation {
        code: Code(1451),
        title: "somebody is filling the mirror",
        text: "What is being built may need what would be removed. Wait until the workers have ended. A worker that was killed \
               leaves a claim for twenty minutes, and takes it up when it is begun again; --force takes those who are at work for dead.",
    },
];

/// An error when somebody may have begun since everything was claimed, because that claim ran out.
fn alone(hold: &Hold<'_>) -> Result<(), GcError> {
    if hold.is_unbroken()? { Ok(()) } else { Err(GcError::Busy { workers: 1 }) }
}

impl Gc<'_> {
    /// Removes, or says what would be removed.
    ///
    /// # Errors
    /// Then nothing is removed that was in, but what a killed removal had begun.
    pub fn run(&self) -> Result<Gone, GcError> {
        if self.roots.is_empty() {
            return Err(GcError::NoRoots);
        }
        check_signer(&self.mirror.signers, self.key)?;
        if self.mode == Mode::DryRun {
            return self.sweep(None);
        }
        if self.busy == OnBusy::GoOn {
            self.mirror.overrule()?;
        }
        let now = SystemTime::now();
        if self.mirror.claim_everything(self.worker, now)? == Claimed::Theirs {
            return Err(GcError::Busy { workers: 1 });
        }
        // Who began before that is seen here; who begins after it sees that claim.
        let gone = match self.mirror.at_work(now) {
            Ok(others) if others > 0 && self.busy == OnBusy::Refuse => Err(GcError::Busy { workers: others }),
            Ok(_) => self.mirror.while_everything_is_claimed(self.worker, |hold| self.sweep(Some(hold))),
            Err(error) => Err(error.into()),
        };
        self.mirror.release_everything(self.worker)?;
        gone
    }

    fn sweep(&self, hold: Option<&Hold<'_>>) -> Result<Gone, GcError> {
        let listed = Listed::of(self.mirror)?;
        let mut known = self.mirror.know(&listed.parts, self.jobs)?;
        let mut gone = Gone::default();
        let unfinished = self.unfinished(&listed)?;
        let kept = self.kept(&listed, &mut known, &unfinished, &mut gone)?;
        gone.kept = kept.len();
        let doomed = dependants_first(&known, &kept);
        let needed = self.needed(&known, &kept, &unfinished)?;
        let mut belongings: BTreeSet<String> = BTreeSet::new();
        for part in &doomed {
            let Some(one) = known.get(part) else { continue };
            gone.paths.push(one.path.clone());
            belongings.extend(one.objects.iter().cloned());
            let name = Object::NarInfo(part.clone()).name();
            gone.objects
                .extend(listed.objects.get_key_value(&name).map(|(name, size)| (name.clone(), *size)));
        }
        // What a removal that was killed did not come to.
        for part in listed.removed.iter().filter(|part| !known.contains_key(part)) {
            belongings.extend(self.mirror.removal(part)?.into_iter().flat_map(|told| told.document.objects));
        }
        let left = self.left(&listed, &known, &needed, &belongings)?;
        let is_for_building =
            |name: &String| matches!(Object::parse(name), Some(Object::Derivation(_) | Object::Source(_)));
        for (name, size) in &listed.objects {
            let goes = belongings.contains(name) || is_for_building(name) || left.contains(name);
            if goes && !needed.contains(name) {
                gone.objects.insert(name.clone(), *size);
            }
        }
        gone.leftovers = left;
        if let Some(hold) = hold.filter(|_| !doomed.is_empty() || !gone.objects.is_empty()) {
            self.remove(&listed, &known, &doomed, &gone, hold)?;
        }
        Ok(gone)
    }

    /// What stays: everything that the roots, and what is unfinished, need.
    fn kept(
        &self,
        listed: &Listed,
        known: &mut BTreeMap<HashPart, Known>,
        unfinished: &Unfinished,
        gone: &mut Gone,
    ) -> Result<BTreeSet<HashPart>, GcError> {
        for root in self.roots {
            if known.get(&HashPart::of(root)).is_none_or(|one| one.path != *root) {
                return Err(GcError::NotHeld { path: root.clone() });
            }
        }
        let inputs = unfinished.said.iter().flat_map(|admission| admission.inputs.keys());
        let references = unfinished.signed.iter().flat_map(|info| &info.references);
        let roots = self.roots.iter().chain(inputs).chain(references);
        let mut left: Vec<HashPart> = roots.map(HashPart::of).collect();
        let mut kept = BTreeSet::new();
        while let Some(part) = left.pop() {
            if kept.contains(&part) {
                continue;
            }
            if !known.contains_key(&part) && listed.removed.contains(&part) {
                self.put_back(&part, known, gone)?;
            }
            // What is not there for another reason is nothing to keep; `verify` says it.
            if let Some(one) = known.get(&part) {
                left.extend(one.needs.iter().cloned());
                kept.insert(part);
            }
        }
        Ok(kept)
    }

    /// A path that an earlier removal had taken out comes in again, because something needs it after all.
    fn put_back(
        &self,
        part: &HashPart,
        known: &mut BTreeMap<HashPart, Known>,
        gone: &mut Gone,
    ) -> Result<(), GcError> {
        let Some(told) = self.mirror.removal(part)? else { return Ok(()) };
        let removal = told.document;
        let mut whole = true;
        for object in
            removal.objects.iter().filter(|name| matches!(Object::parse(name), Some(Object::Nar(_))))
        {
            whole &= self.mirror.location.open(object)?.is_some();
        }
        if !whole || self.mode == Mode::DryRun {
            return Ok(());
        }
        self.mirror.put_back(&removal)?;
        known.extend(self.mirror.know([part], 1)?);
        gone.put_back.push(removal.path);
        Ok(())
    }

    /// What is said of paths that are not in yet.
    fn unfinished(&self, listed: &Listed) -> Result<Unfinished, GcError> {
        let keys: Vec<PublicKey> = self.mirror.keys().cloned().collect();
        let mut found = Unfinished::default();
        for (part, names) in listed.unfinished() {
            let signed = self.mirror.signed(part)?;
            for name in names {
                // What somebody has signed waits for others, who build it again from what it was made from, however late they come.
                if signed.is_empty() && self.is_old(name)? {
                    continue;
                }
                let lines = self.mirror.location.get(name, attested::MAX_LEN)?.unwrap_or_default();
                for line in String::from_utf8_lossy(&lines).lines() {
                    // What nobody of the mirror says keeps nothing.
                    let Ok(said) = attested::signed(line, &keys) else { continue };
                    if said.predicate_type == statement::TYPE {
                        found.said.extend(serde_json::from_value::<Admission>(said.predicate).ok());
                    }
                }
            }
            found.signed.extend(signed.into_values());
        }
        Ok(found)
    }

    /// Names of the objects that what stays needs.
    fn needed(
        &self,
        known: &BTreeMap<HashPart, Known>,
        kept: &BTreeSet<HashPart>,
        unfinished: &Unfinished,
    ) -> Result<BTreeSet<String>, GcError> {
        let mut needed: BTreeSet<String> = BTreeSet::new();
        let mut left: BTreeSet<StorePath> = BTreeSet::new();
        for one in kept.iter().filter_map(|part| known.get(part)) {
            needed.extend(one.objects.iter().chain(&one.sources).cloned());
            left.extend(one.drv.clone());
        }
        needed.extend(unfinished.signed.iter().map(|info| info.url.clone()));
        for admission in &unfinished.said {
            needed.extend(sources(admission));
            if let Some(drv) = admission.deriver() {
                needed.insert(Object::Log(drv.clone()).name());
                left.insert(drv.clone());
            }
        }
        while let Some(drv) = left.pop_first() {
            let derivation = match derivations::read(&self.mirror.location, &drv) {
                Ok(derivation) => derivation,
                Err(derivations::Unreadable::Missing) => continue,
                Err(error) => {
                    let object = self.mirror.location.url(&Object::Derivation(drv).name());
                    return Err(MirrorError::Document { object, why: error.to_string() }.into());
                }
            };
            needed.insert(Object::Derivation(drv).name());
            let inputs = derivation.input_drvs.into_keys();
            left.extend(inputs.filter(|input| !needed.contains(&Object::Derivation(input.clone()).name())));
        }
        Ok(needed)
    }

    /// What killed writers left, if that is to go: objects that belong to nothing, and are old enough.
    fn left(
        &self,
        listed: &Listed,
        known: &BTreeMap<HashPart, Known>,
        needed: &BTreeSet<String>,
        belongings: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, GcError> {
        let mut left = BTreeSet::new();
        if self.leftovers.is_none() {
            return Ok(left);
        }
        // Of a path that waits for others to sign nothing says yet which NAR is its own.
        let waiting = self.mirror.policy.threshold > 1 && listed.unfinished().next().is_some();
        let unfinished: BTreeSet<&HashPart> = listed.unfinished().map(|(part, _)| part).collect();
        for name in listed.objects.keys() {
            let belongs = match Object::parse(name) {
                Some(Object::Nar(_)) => waiting,
                Some(Object::Listing(part)) => {
                    known.contains_key(&part) || (waiting && unfinished.contains(&part))
                }
                Some(Object::Log(_)) => false,
                _ => true,
            };
            if !belongs && !needed.contains(name) && !belongings.contains(name) && self.is_old(name)? {
                left.insert(name.clone());
            }
        }
        Ok(left)
    }

    /// Whether an object is older than what a writer at work could have left. Without a bound nothing is.
    fn is_old(&self, name: &str) -> Result<bool, GcError> {
        let Some(grace) = self.leftovers else { return Ok(false) };
        let modified = self.mirror.location.modified(name)?;
        // By a clock that is behind, nothing is.
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        Ok(age.is_some_and(|age| age > grace))
    }

    fn remove(
        &self,
        listed: &Listed,
        known: &BTreeMap<HashPart, Known>,
        doomed: &[HashPart],
        gone: &Gone,
        hold: &Hold<'_>,
    ) -> Result<(), GcError> {
        alone(hold)?;
        let mut taken_out = Vec::new();
        let snapshots = self.mirror.snapshot_numbers()?;
        for one in doomed.iter().filter_map(|part| known.get(part)) {
            let Some(info) = self.mirror.narinfo(&one.path)? else { continue };
            let removal = removal(&info, one, listed, &snapshots);
            // A path whose admission nobody remembers yet is remembered now.
            self.mirror.remember(&info)?;
            self.mirror.take_out(&removal, self.key)?;
            // What its signers sign makes it one that waits to be admitted; nobody is to find it so for long.
            self.delete(removal.objects.iter().filter(|name| is_signature(name)))?;
            taken_out.push(removal);
        }
        let now = Listed::of(self.mirror)?;
        let back: BTreeSet<HashPart> = gone.put_back.iter().map(HashPart::of).collect();
        let out: BTreeSet<&HashPart> = doomed.iter().collect();
        // One that was taken out and is there again was signed by somebody meanwhile.
        let is_new =
            |part: &&HashPart| (!listed.parts.contains(part) && !back.contains(part)) || out.contains(part);
        let grown = now.parts.iter().find(is_new);
        let grown = grown.map(|new| GcError::Grown { path: Object::NarInfo(new.clone()).name() });
        // A snapshot of that moment may list what goes, and no record says that it may.
        let seen = self.mirror.snapshot_numbers()?;
        let grown =
            grown.or_else(|| (seen != snapshots).then(|| GcError::Grown { path: "a snapshot".to_owned() }));
        if let Some(error) = grown.or_else(|| alone(hold).err()) {
            for removal in taken_out.iter().rev() {
                self.mirror.put_back(removal)?;
            }
            return Err(error);
        }
        // The narinfos are out: one that is there has come in since, and keeps what is its own.
        let mut came = BTreeSet::new();
        for part in doomed {
            if self.mirror.location.open(&Object::NarInfo(part.clone()).name())?.is_some() {
                came.extend(known.get(part).into_iter().flat_map(|one| &one.objects));
            }
        }
        let others = gone.objects.keys().filter(|name| !is_narinfo(name) && !came.contains(name));
        let (first, others): (Vec<&String>, Vec<&String>) = others.partition(|name| is_signature(name));
        self.delete(first)?;
        self.delete(others)
    }

    fn delete<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Result<(), GcError> {
        for name in names {
            self.mirror.location.delete(name)?;
        }
        Ok(())
    }
}

fn is_signature(name: &str) -> bool {
    matches!(Object::parse(name), Some(Object::Signature(..)))
}

fn is_narinfo(name: &str) -> bool {
    matches!(Object::parse(name), Some(Object::NarInfo(_)))
}

fn removal(info: &NarInfo, known: &Known, listed: &Listed, snapshots: &BTreeMap<String, u64>) -> Removal {
    // What each signer signs is there of some only, and comes back of those.
    let was_there = |name: &&String| !is_signature(name) || listed.objects.contains_key(*name);
    Removal {
        schema: REMOVAL_SCHEMA.to_owned(),
        path: info.store_path.clone(),
        bits: Bits::of(info),
        narinfo: info.to_string(),
        objects: known.objects.iter().filter(was_there).cloned().collect(),
        snapshots: snapshots.clone(),
    }
}

/// Paths that do not stay, each before those it needs.
fn dependants_first(known: &BTreeMap<HashPart, Known>, kept: &BTreeSet<HashPart>) -> Vec<HashPart> {
    let doomed: BTreeSet<&HashPart> = known.keys().filter(|part| !kept.contains(*part)).collect();
    let mut needed_by: BTreeMap<&HashPart, usize> = doomed.iter().map(|part| (*part, 0)).collect();
    let needs = |part: &HashPart| known.get(part).into_iter().flat_map(|one| &one.needs);
    for need in doomed.iter().flat_map(|part| needs(part)) {
        if let Some(number) = needed_by.get_mut(need) {
            *number += 1;
        }
    }
    let mut ready: Vec<&HashPart> =
        needed_by.iter().filter(|(_, number)| **number == 0).map(|(part, _)| *part).collect();
    let mut order = Vec::new();
    while let Some(part) = ready.pop() {
        order.push(part.clone());
        for need in needs(part) {
            if let Some((need, number)) = needed_by.get_key_value(need).map(|(need, number)| (*need, *number))
            {
                needed_by.insert(need, number - 1);
                if number == 1 {
                    ready.push(need);
                }
            }
        }
    }
    // Paths that need each other in a circle, which no mirror of ours has, stay.
    order
}
