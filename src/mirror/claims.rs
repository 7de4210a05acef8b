//! Who is at work on what, so that several workers on one mirror do not build the same thing.
//!
//! A claim is an object `claims/<derivation>/<n>` that says who made it and until when it holds; the one with the highest number
//! counts, and the next one is created only when that is over, one's own, or further ahead than any clock should be. Whoever is at work
//! renews theirs, so that what a killed one left is over soon. Two workers who build the same, because of a clock that is wrong or a claim
//! that is gone, lose time and nothing else. Whoever removes what nothing needs heeds claims, and whose claim was gone meanwhile looks
//! whether what he needs still is there.

use std::{
    collections::BTreeSet,
    io::Write as _,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
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

/// How long a claim holds that is not renewed: workers' clocks may differ by somewhat less.
pub const HOLDS: Duration = Duration::from_secs(20 * 60);

/// How often a worker renews theirs.
const RENEWED: Duration = Duration::from_secs(5 * 60);

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

/// The claim that counts.
struct Last {
    /// The numbers of those below it.
    below: Vec<u32>,
    number: u32,
    /// None when it cannot be read.
    claim: Option<Claim>,
}

/// What came of renewing a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewed {
    /// It had held until now.
    Kept,
    /// It was over, or somebody else's: they may have taken its worker for dead.
    Lost,
}

/// A claim while its worker is at work.
pub struct Hold<'m> {
    mirror: &'m Mirror,
    part: HashPart,
    worker: &'m Worker,
    broken: AtomicBool,
}

impl Hold<'_> {
    /// Whether the claim has held all the time, until now: nobody can have removed what its worker needs.
    ///
    /// # Errors
    /// When the claims cannot be read or written: then nothing is known, and whoever asks does not go on.
    pub fn is_unbroken(&self) -> Result<bool, MirrorError> {
        self.renew()?;
        Ok(!self.broken.load(Ordering::Relaxed))
    }

    fn renew(&self) -> Result<(), MirrorError> {
        let renewed = self.mirror.renew(&self.part, self.worker, SystemTime::now())?;
        self.broken.fetch_or(renewed == Renewed::Lost, Ordering::Relaxed);
        Ok(())
    }
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
    ///
    /// # Errors
    /// A state directory that cannot be written, and a file there that is no worker's name.
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
    ///
    /// # Errors
    /// When the claims cannot be read or written. Claims of others that cannot be understood hold for nobody.
    pub fn claim(&self, drv: &StorePath, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        self.claim_part(&HashPart::of(drv), worker, now)
    }

    fn claim_part(&self, part: &HashPart, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        let claimed = self.claim_one(part, worker, now)?;
        // Looked at when one's own claim is there: of two who claim each other's, at least one sees it.
        if claimed == Claimed::Ours && self.remover(now)?.is_some() {
            self.release_one(part, worker, now)?;
            return Ok(Claimed::Theirs);
        }
        Ok(claimed)
    }

    /// Does the work on a derivation that was claimed, whose claim does not run out meanwhile.
    pub fn while_claimed<T>(&self, drv: &StorePath, worker: &Worker, work: impl FnOnce(&Hold<'_>) -> T) -> T {
        self.renewing(HashPart::of(drv), worker, RENEWED, work)
    }

    /// Does what no derivation is claimed for, such as to sign what others have built, while nobody removes anything.
    ///
    /// # Errors
    /// [`MirrorError::Removing`] while somebody does.
    pub fn while_at_work<T>(
        &self,
        store: &Store,
        work: impl FnOnce(&Hold<'_>) -> T,
    ) -> Result<T, MirrorError> {
        let worker = Worker::of(store)?;
        // One for each process of a worker: none ends another's, and the claim of one that was killed is taken up by the next.
        let (number, _alone) = store.number("at-work")?;
        let part = HashPart::of_name(&format!("{} {number}", worker.0));
        if self.claim_part(&part, &worker, SystemTime::now())? == Claimed::Theirs {
            return Err(MirrorError::Removing { address: self.location.address().to_owned() });
        }
        let made = self.renewing(part.clone(), &worker, RENEWED, work);
        // A claim that stays is over soon, and costs nobody what was made.
        let _ = self.release_one(&part, &worker, SystemTime::now());
        Ok(made)
    }

    /// The same of what is done after everything was claimed.
    pub fn while_everything_is_claimed<T>(&self, worker: &Worker, work: impl FnOnce(&Hold<'_>) -> T) -> T {
        self.renewing(HashPart::nobody(), worker, RENEWED, work)
    }

    fn renewing<T>(
        &self,
        part: HashPart,
        worker: &Worker,
        every: Duration,
        work: impl FnOnce(&Hold<'_>) -> T,
    ) -> T {
        let hold = Hold { mirror: self, part, worker, broken: AtomicBool::new(false) };
        let (hold, (over, ended)) = (&hold, mpsc::channel::<()>());
        // `over` goes when the work ends, also by a panic.
        thread::scope(move |scope| {
            scope.spawn(move || {
                while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    // What fails now is tried again, and is noticed when the claim has run out meanwhile.
                    let _ = hold.renew();
                }
            });
            let made = work(hold);
            drop(over);
            made
        })
    }

    /// Puts a later claim above one's own. Somebody else's stays what it is.
    fn renew(&self, part: &HashPart, worker: &Worker, now: SystemTime) -> Result<Renewed, MirrorError> {
        let Some(Last { below, number, claim }) = self.last_claim(part)? else { return Ok(Renewed::Lost) };
        let Some(held) = claim.filter(|claim| claim.worker == worker.0) else { return Ok(Renewed::Lost) };
        if self.put_claim(part, number.checked_add(1), worker, now)? == Claimed::Theirs {
            return Ok(Renewed::Lost);
        }
        // Who has just seen the one below the new one has to find it.
        for number in below {
            self.location.delete(&Object::Claim(part.clone(), number).name())?;
        }
        Ok(if held.until > seconds(now) { Renewed::Kept } else { Renewed::Lost })
    }

    /// Claims everything, for who removes. Those who are at work already are not kept from it: see [`Mirror::at_work`].
    ///
    /// # Errors
    /// As [`Mirror::claim`].
    pub fn claim_everything(&self, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        self.claim_one(&HashPart::nobody(), worker, now)
    }

    /// Removes a worker's claim on everything.
    ///
    /// # Errors
    /// When the mirror cannot be written: the claim is over after [`HOLDS`] then.
    pub fn release_everything(&self, worker: &Worker) -> Result<(), MirrorError> {
        self.release_one(&HashPart::nobody(), worker, SystemTime::now())
    }

    /// Takes whoever has claimed anything for dead.
    pub(super) fn overrule(&self) -> Result<(), MirrorError> {
        for part in self.claimed()? {
            for number in self.claims(&part)? {
                self.location.delete(&Object::Claim(part.clone(), number).name())?;
            }
        }
        Ok(())
    }

    /// How many claims hold, but for one on everything.
    pub(super) fn at_work(&self, now: SystemTime) -> Result<usize, MirrorError> {
        let mut held = 0;
        for part in self.claimed()?.iter().filter(|part| **part != HashPart::nobody()) {
            // Whoever removes waits rather too long, and can be told to go on.
            held += usize::from(self.holder_until(part, now, u64::MAX)?.is_some());
        }
        Ok(held)
    }

    /// Removes what killed workers left: claims that are over, and this worker's own on what `is_done`.
    pub(super) fn tidy_claims(
        &self,
        worker: &Worker,
        now: SystemTime,
        is_done: impl Fn(&HashPart) -> Result<bool, MirrorError>,
    ) -> Result<(), MirrorError> {
        for part in self.claimed()? {
            let over = match self.holder(&part, now)? {
                Some(holder) => holder == *worker && is_done(&part)?,
                None => true,
            };
            if over {
                self.release_one(&part, worker, now)?;
            }
        }
        Ok(())
    }

    /// Everything that has a claim, whether it holds or not.
    fn claimed(&self) -> Result<BTreeSet<HashPart>, MirrorError> {
        let listed = self.location.list("claims/")?;
        let parts = listed.iter().filter_map(|(name, _)| match Object::parse(name) {
            Some(Object::Claim(part, _)) => Some(part),
            _ => None,
        });
        Ok(parts.collect())
    }

    /// Removes a worker's claim on a derivation: the work is done, or was given up.
    ///
    /// # Errors
    /// When the mirror cannot be written: the claim is over after [`HOLDS`] then.
    pub fn release(&self, drv: &StorePath, worker: &Worker) -> Result<(), MirrorError> {
        self.release_one(&HashPart::of(drv), worker, SystemTime::now())
    }

    /// Removes the claims of a worker, and those that are over. Who took it for dead keeps theirs.
    fn release_one(&self, part: &HashPart, worker: &Worker, now: SystemTime) -> Result<(), MirrorError> {
        for number in self.claims(part)? {
            let claim = self.claim_at(part, number)?;
            if claim.is_none_or(|claim| claim.worker == worker.0 || claim.until <= seconds(now)) {
                self.location.delete(&Object::Claim(part.clone(), number).name())?;
            }
        }
        Ok(())
    }

    /// The worker whose claim holds. One that would hold for much longer than any that was just made is of a clock that is wrong, and
    /// would keep everybody waiting when its worker is dead.
    fn holder(&self, part: &HashPart, now: SystemTime) -> Result<Option<Worker>, MirrorError> {
        self.holder_until(part, now, seconds(now).saturating_add(2 * HOLDS.as_secs()))
    }

    /// The worker whose claim holds, at most until `latest`, in seconds since 1970.
    fn holder_until(
        &self,
        part: &HashPart,
        now: SystemTime,
        latest: u64,
    ) -> Result<Option<Worker>, MirrorError> {
        let claim = self.last_claim(part)?.and_then(|last| last.claim);
        let claim = claim.filter(|claim| claim.until > seconds(now) && claim.until <= latest);
        Ok(claim.map(|claim| Worker(claim.worker)))
    }

    /// Who has claimed everything. Whatever their clock says: what nothing needs may be going.
    fn remover(&self, now: SystemTime) -> Result<Option<Worker>, MirrorError> {
        self.holder_until(&HashPart::nobody(), now, u64::MAX)
    }

    /// The claim that counts.
    fn last_claim(&self, part: &HashPart) -> Result<Option<Last>, MirrorError> {
        let mut looked_at = None;
        loop {
            let mut below = self.claims(part)?;
            let Some(number) = below.pop() else { return Ok(None) };
            let claim = self.claim_at(part, number)?;
            // One that went since it was listed may have been renewed.
            if claim.is_some() || looked_at == Some(number) {
                return Ok(Some(Last { below, number, claim }));
            }
            looked_at = Some(number);
        }
    }

    /// A claim. One that is gone holds for nobody; one that cannot be read neither.
    fn claim_at(&self, part: &HashPart, number: u32) -> Result<Option<Claim>, MirrorError> {
        let name = Object::Claim(part.clone(), number).name();
        let bytes = self.location.get(&name, MAX_CLAIM)?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).ok())
    }

    fn claim_one(&self, part: &HashPart, worker: &Worker, now: SystemTime) -> Result<Claimed, MirrorError> {
        let holder = if *part == HashPart::nobody() { self.remover(now)? } else { self.holder(part, now)? };
        match holder {
            Some(holder) if holder != *worker => Ok(Claimed::Theirs),
            // Of one that was killed it may be nearly over.
            Some(_) => self.renew(part, worker, now).map(|_| Claimed::Ours),
            None => {
                let last = self.claims(part)?.pop();
                self.put_claim(part, last.map_or(Some(0), |last| last.checked_add(1)), worker, now)
            }
        }
    }

    fn put_claim(
        &self,
        part: &HashPart,
        number: Option<u32>,
        worker: &Worker,
        now: SystemTime,
    ) -> Result<Claimed, MirrorError> {
        let Some(number) = number else { return Ok(Claimed::Theirs) };
        let until = seconds(now).saturating_add(HOLDS.as_secs());
        let claim = Claim { worker: worker.0.clone(), until };
        let bytes = serde_json::to_vec(&claim).map_err(std::io::Error::from)?;
        let name = Object::Claim(part.clone(), number).name();
        let ours = match self.location.put_new(&name, &bytes)? {
            Put::New => true,
            // Somebody was faster; or it is one's own: a service that was asked twice because its first answer got lost, or who renews
            // it while the work asks whether it holds.
            Put::There => self.claim_at(part, number)?.is_some_and(|there| there.worker == claim.worker),
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

/// A time as claims state it.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{location::Location, policy::Policy, policy::tests::key};

    /// A mirror, two workers, and a derivation.
    fn mirror_of_two() -> (tempfile::TempDir, Mirror, [Worker; 2], StorePath) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let key = key("k-1", 1);
        let location = Location::parse(at("mirror").to_str().unwrap()).unwrap();
        let mirror = Mirror::init(location, Policy::from_toml("", &key).unwrap(), &key).unwrap();
        let workers = ["a", "b"].map(|name| {
            let store = Store::open(&at(name)).unwrap();
            let worker = Worker::of(&store).unwrap();
            assert!(Worker::of(&store).unwrap() == worker);
            worker
        });
        assert!(workers[0] != workers[1]);
        let drv = StorePath::from_base_name(format!("{}-x.drv", "1".repeat(32)).as_bytes()).unwrap();
        (dir, mirror, workers, drv)
    }

    #[test]
    fn a_claim_does_not_run_out_while_its_worker_works() {
        let (_dir, mirror, [a, b], drv) = mirror_of_two();
        let part = HashPart::of(&drv);
        // As if it had been claimed when it was nearly over.
        let long_ago = SystemTime::now() - (HOLDS - Duration::from_secs(60));
        assert_eq!(mirror.claim(&drv, &a, long_ago).unwrap(), Claimed::Ours);
        let soon = SystemTime::now() + Duration::from_secs(120);
        assert_eq!(mirror.holder(&part, soon).unwrap(), None);
        mirror.renewing(part.clone(), &a, Duration::from_millis(20), |hold| {
            while mirror.claims(&part).unwrap().last() < Some(&3) {
                thread::yield_now();
            }
            assert_eq!(mirror.claim(&drv, &b, soon).unwrap(), Claimed::Theirs);
            // The last and the one before, and one more while it is renewed.
            assert!(mirror.claims(&part).unwrap().len() <= 3);
            assert!(hold.is_unbroken().unwrap());
        });
        assert_eq!(mirror.holder(&part, soon).unwrap(), Some(a.clone()));
        // What became somebody else's is not taken back.
        let later = SystemTime::now() + HOLDS + Duration::from_secs(1);
        assert_eq!(mirror.claim(&drv, &b, later).unwrap(), Claimed::Ours);
        assert_eq!(mirror.renew(&part, &a, later).unwrap(), Renewed::Lost);
        mirror.release(&drv, &a).unwrap();
        assert_eq!(mirror.holder(&part, later).unwrap(), Some(b.clone()));
        mirror.release(&drv, &b).unwrap();
        assert_eq!(mirror.renew(&part, &a, later).unwrap(), Renewed::Lost);
        assert_eq!(mirror.claims(&part).unwrap(), [0; 0]);
    }

    #[test]
    fn whose_claim_was_over_meanwhile_learns_of_it() {
        let (_dir, mirror, [a, b], drv) = mirror_of_two();
        let long_ago = SystemTime::now() - HOLDS - Duration::from_secs(1);
        assert_eq!(mirror.claim(&drv, &a, long_ago).unwrap(), Claimed::Ours);
        // Nobody took it; anybody could have.
        mirror.while_claimed(&drv, &a, |hold| assert!(!hold.is_unbroken().unwrap()));
        mirror.release(&drv, &a).unwrap();
        mirror.claim(&drv, &a, SystemTime::now()).unwrap();
        mirror.while_claimed(&drv, &a, |hold| {
            assert!(hold.is_unbroken().unwrap());
            mirror.release(&drv, &a).unwrap();
            mirror.claim(&drv, &b, SystemTime::now()).unwrap();
            assert!(!hold.is_unbroken().unwrap());
        });
    }

    #[test]
    fn a_claim_by_a_clock_that_is_ahead_keeps_no_worker_waiting_and_whoever_removes_is_careful() {
        let (_dir, mirror, [a, b], drv) = mirror_of_two();
        let now = SystemTime::now();
        let next_year = now + Duration::from_secs(365 * 24 * 3600);
        assert_eq!(mirror.claim(&drv, &a, next_year).unwrap(), Claimed::Ours);
        assert_eq!(mirror.at_work(now).unwrap(), 1);
        assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Ours);
        assert_eq!(mirror.holder(&HashPart::of(&drv), now).unwrap(), Some(b.clone()));
        // One who removes may be at it, whatever his clock says; until he is taken for dead.
        mirror.release(&drv, &b).unwrap();
        mirror.claim_everything(&a, next_year).unwrap();
        assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Theirs);
        assert_eq!(mirror.claim_everything(&b, now).unwrap(), Claimed::Theirs);
        mirror.overrule().unwrap();
        assert_eq!((mirror.claimed().unwrap().len(), mirror.at_work(now).unwrap()), (0, 0));
        // Somewhat ahead is the usual case.
        let [_, soon] = ["1", "2"].map(|digit| {
            StorePath::from_base_name(format!("{}-x.drv", digit.repeat(32)).as_bytes()).unwrap()
        });
        mirror.claim(&soon, &a, now + HOLDS / 2).unwrap();
        assert_eq!(mirror.holder(&HashPart::of(&soon), now).unwrap(), Some(a));
    }

    #[test]
    fn who_is_at_nothing_in_particular_keeps_nobody_from_work_and_nothing_is_removed_meanwhile() {
        let (dir, mirror, [_, b], drv) = mirror_of_two();
        let [first, second] = ["a", "b"].map(|name| Store::open(&dir.path().join(name)).unwrap());
        let now = SystemTime::now();
        let claimed = |hold: &Hold<'_>| {
            assert!(hold.is_unbroken().unwrap());
            mirror.claimed().unwrap()
        };
        let was_first = mirror.while_at_work(&first, |hold| {
            assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Ours);
            // Two of them do not wait for each other, be they of one worker.
            let both = mirror.while_at_work(&second, |hold| claimed(hold).len()).unwrap();
            assert_eq!((mirror.while_at_work(&first, |hold| claimed(hold).len()).unwrap(), both), (3, 3));
            mirror.release(&drv, &b).unwrap();
            claimed(hold)
        });
        assert_eq!((mirror.at_work(now).unwrap(), mirror.claimed().unwrap().len()), (0, 0));
        // The next one has the claim that the first one would have left if it had been killed.
        assert_eq!(mirror.while_at_work(&first, claimed).unwrap(), was_first.unwrap());
        mirror.claim_everything(&b, now).unwrap();
        assert_eq!(mirror.while_at_work(&first, |_| ()).unwrap_err().code().0, 1430);
        assert_eq!(mirror.claimed().unwrap(), [HashPart::nobody()].into());
    }

    #[test]
    fn what_killed_workers_left_goes_and_what_others_are_at_stays() {
        let (_dir, mirror, [a, b], first) = mirror_of_two();
        let named = |digit: &str| -> StorePath {
            StorePath::from_base_name(format!("{}-x.drv", digit.repeat(32)).as_bytes()).unwrap()
        };
        let [second, third, fourth] = ["2", "3", "4"].map(named);
        let now = SystemTime::now();
        let long_ago = now - HOLDS - Duration::from_secs(1);
        for (drv, worker, when) in
            [(&first, &a, now), (&second, &a, now), (&third, &b, now), (&fourth, &b, long_ago)]
        {
            assert_eq!(mirror.claim(drv, worker, when).unwrap(), Claimed::Ours);
        }
        // The second is being built by another process of this worker.
        let done = [&first, &third].map(HashPart::of);
        mirror.tidy_claims(&a, now, |part| Ok(done.contains(part))).unwrap();
        assert_eq!(mirror.claimed().unwrap(), [&second, &third].map(HashPart::of).into());
    }

    #[test]
    fn who_panics_at_work_does_not_renew_for_ever() {
        let (_dir, mirror, [a, _], drv) = mirror_of_two();
        let work = || mirror.while_claimed(&drv, &a, |_| panic!("on purpose"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    }

    #[test]
    fn one_works_and_the_others_wait_until_it_is_over() {
        let (_dir, mirror, [a, b], drv) = mirror_of_two();
        let now = SystemTime::now();
        assert_eq!(mirror.claim(&drv, &a, now).unwrap(), Claimed::Ours);
        assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Theirs);
        // Killed and begun again: its own claim still is.
        assert_eq!(mirror.claim(&drv, &a, now).unwrap(), Claimed::Ours);
        let later = now + HOLDS + Duration::from_secs(1);
        assert_eq!(mirror.claim(&drv, &b, later).unwrap(), Claimed::Ours);
        assert_eq!(mirror.claim(&drv, &a, later).unwrap(), Claimed::Theirs);
        for worker in [&a, &b] {
            mirror.release_one(&HashPart::of(&drv), worker, later).unwrap();
        }
        assert_eq!(mirror.claim(&drv, &a, now).unwrap(), Claimed::Ours);
        // One that was overwritten with nonsense holds for nobody.
        mirror.release(&drv, &a).unwrap();
        mirror.location.put_new(&Object::Claim(HashPart::of(&drv), 7).name(), b"nonsense").unwrap();
        assert_eq!(mirror.claim(&drv, &b, now).unwrap(), Claimed::Ours);
    }
}
