//! Who is at work on what, so that several workers on one mirror do not build the same thing.
//!
//! A claim is an object `claims/<derivation>/<n>` that says who made it and until when it holds; the one with the highest number
//! counts, and the next one is created only when that is over or one's own. Nothing that is admitted rests on claims: two workers
//! who build the same, because of a clock that is wrong or a claim that is gone, lose time and nothing else.

use std::{
    collections::BTreeSet,
    io::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::{
    Mirror, MirrorError,
    layout::{HashPart, Object},
    location::Put,
};
use crate::{
    nix::store_path::StorePath,
    store::{Store, StoreError},
};

/// How long a claim holds. What takes longer may be begun by a second worker.
pub const HOLDS: Duration = Duration::from_secs(4 * 3600);

/// Longest claim, in bytes.
const MAX_CLAIM: u64 = 4096;

/// A worker, by its state directory: what it had claimed before it was killed, it takes up again at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    worker: String,
    /// Seconds since 1970 by the worker's clock.
    until: u64,
}

/// What came of asking for a derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours to work on.
    Ours,
    /// Another worker is at it.
    Theirs,
}

impl Worker {
    /// The worker of a state directory; it gets a name when it has none.
    pub fn of(store: &Store) -> Result<Self, MirrorError> {
        let file = store.root().join("worker");
        if !file.exists() {
            let mut random = [0; 16];
            std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
            let mut pending = store.pending()?;
            writeln!(pending.file(), "{}", HEXLOWER.encode(&random))?;
            pending.place(&file)?;
        }
        let text = std::fs::read_to_string(&file)?;
        let damaged = || StoreError::Damaged { file: file.clone(), why: "it is no worker's name".to_owned() };
        let name = text.trim_end();
        if name.len() != 32 || HEXLOWER.decode(name.as_bytes()).is_err() {
            return Err(damaged().into());
        }
        Ok(Worker(name.to_owned()))
    }
}

impl Mirror {
    /// Claims a derivation for a worker, as of now. Nobody gets any while somebody has claimed everything.
    pub fn claim(&self, drv: &StorePath, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        let part = HashPart::of(drv);
        let claimed = self.claim_one(&part, worker, now)?;
        // Looked at when one's own claim is there: of two who claim each other's, at least one sees it.
        if claimed == Claimed::Ours && self.holder(&HashPart::nobody(), now)?.is_some() {
            self.release_one(&part)?;
            return Ok(Claimed::Theirs);
        }
        Ok(claimed)
    }

    /// Claims everything, for who removes. Those who are at work already are not kept from it: see [`Mirror::at_work`].
    pub fn claim_everything(&self, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        self.claim_one(&HashPart::nobody(), worker, now)
    }

    /// Removes every claim on everything.
    pub fn release_everything(&self) -> Result<(), MirrorError> {
        self.release_one(&HashPart::nobody())
    }

    /// How many derivations are claimed.
    pub(super) fn at_work(&self, now: SystemTime) -> Result<usize, MirrorError> {
        let listed = self.location.list("claims/")?;
        let parts = listed.iter().filter_map(|(name, _)| match Object::parse(name) {
            Some(Object::Claim(part, _)) if part != HashPart::nobody() => Some(part),
            _ => None,
        });
        let parts: BTreeSet<HashPart> = parts.collect();
        let mut held = 0;
        for part in parts {
            held += usize::from(self.holder(&part, now)?.is_some());
        }
        Ok(held)
    }

    /// Removes every claim on a derivation: the work is done, or was given up.
    pub fn release(&self, drv: &StorePath) -> Result<(), MirrorError> {
        self.release_one(&HashPart::of(drv))
    }

    fn release_one(&self, part: &HashPart) -> Result<(), MirrorError> {
        for number in self.claims(part)? {
            self.location.delete(&Object::Claim(part.clone(), number).name())?;
        }
        Ok(())
    }

    /// The worker whose claim holds.
    fn holder(&self, part: &HashPart, now: SystemTime) -> Result<Option<Worker>, MirrorError> {
        let Some(last) = self.claims(part)?.pop() else { return Ok(None) };
        let name = Object::Claim(part.clone(), last).name();
        // One that went meanwhile holds for nobody; one that cannot be read neither.
        let bytes = self.location.get(&name, MAX_CLAIM)?.unwrap_or_default();
        let claim: Option<Claim> = serde_json::from_slice(&bytes).ok();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(claim.filter(|claim| claim.until > now).map(|claim| Worker(claim.worker)))
    }

    fn claim_one(&self, part: &HashPart, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        if let Some(holder) = self.holder(part, now)? {
            return Ok(if holder == *worker { Claimed::Ours } else { Claimed::Theirs });
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let last = self.claims(part)?.pop();
        let Some(number) = last.map_or(Some(0), |last| last.checked_add(1)) else {
            return Ok(Claimed::Theirs);
        };
        let claim = Claim { worker: worker.0.clone(), until: now.saturating_add(HOLDS.as_secs()) };
        let bytes = serde_json::to_vec(&claim).map_err(std::io::Error::from)?;
        let name = Object::Claim(part.clone(), number).name();
        let ours = match self.location.put_new(&name, &bytes)? {
            Put::New => true,
            // Somebody was faster; or a service was asked twice, because its first answer got lost.
            Put::There => self.location.get(&name, MAX_CLAIM)?.as_ref() == Some(&bytes),
        };
        Ok(if ours { Claimed::Ours } else { Claimed::Theirs })
    }

    /// The numbers of the claims on a derivation, ascending.
    fn claims(&self, part: &HashPart) -> Result<Vec<u32>, MirrorError> {
        let listed = self.location.list(&format!("claims/{part}/"))?;
        let mut numbers: Vec<u32> = listed
            .iter()
            .filter_map(|(name, _)| match Object::parse(name) {
                Some(Object::Claim(_, number)) => Some(number),
                _ => None,
            })
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{location::Location, policy::Policy, policy::tests::key};

    #[test]
    fn one_works_and_the_others_wait_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let key = key("k-1", 1);
        let location = Location::parse(at("mirror").to_str().unwrap()).unwrap();
        let mirror = Mirror::init(location, Policy::from_toml("", &key).unwrap(), &key).unwrap();
        let stores = ["a", "b"].map(|name| Store::open(&at(name)).unwrap());
        let [a, b] = [0, 1].map(|n| Worker::of(&stores[n]).unwrap());
        assert!(a != b && Worker::of(&stores[0]).unwrap() == a);
        let drv = StorePath::from_base_name(format!("{}-x.drv", "1".repeat(32)).as_bytes()).unwrap();
        let now = SystemTime::now();
        assert_eq!(mirror.claim(&drv, &a, now).unwrap(), Claimed::Ours);
        assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Theirs);
        // Killed and begun again: its own claim still is.
        assert_eq!(mirror.claim(&drv, &a, now).unwrap(), Claimed::Ours);
        let later = now + HOLDS + Duration::from_secs(1);
        assert_eq!(mirror.claim(&drv, &b, later).unwrap(), Claimed::Ours);
        assert_eq!(mirror.claim(&drv, &a, later).unwrap(), Claimed::Theirs);
        mirror.release(&drv).unwrap();
        assert_eq!(mirror.claim(&drv, &a, now).unwrap(), Claimed::Ours);
        // One that was overwritten with nonsense holds for nobody.
        mirror.release(&drv).unwrap();
        mirror.location.put_new(&Object::Claim(HashPart::of(&drv), 7).name(), b"nonsense").unwrap();
        assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Ours);
    }
}
