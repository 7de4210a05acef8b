//! One output: what its rounds say, what the references hold, where bits differ and why.

use super::{
    Level, NOT_COMPARED,
    acceptance::accept,
    conclusion::{Comparison, Conclusion, conclude},
    derivation::{Finding, Rounds},
    divergence::{Divergence, explain},
    reference::{Against, Fetched, Native, Reference, fetch},
    replay::{Replay, Sameness},
    rounds::Outputs,
};
use crate::{
    code::Code,
    diagnose::{Accepted, Judgement, Proof},
    graph::{Brought, Node},
    machine::{Setting, Settings},
    nix::{hash::NarHash, store_path::StorePath},
    release::{quorum::QuorumError, signers::Signers},
    schedule::RealiseError,
    store::{Origin, Store},
};

/// One reference and what comparing with it gave.
#[derive(Debug)]
pub struct Compared {
    /// The reference.
    pub reference: Reference,
    /// Its bits, when it has any.
    pub nar_hash: Option<NarHash>,
    /// What came of it.
    pub comparison: Comparison,
    /// The run that made them, when it was one of this verification.
    pub run: Option<String>,
    /// Who of those who have to agree signed them; each once.
    pub signed_by: Vec<String>,
}

impl Compared {
    /// What was compared with bits that nobody has to sign, as they were made here.
    pub(crate) fn by_us(
        reference: Reference,
        nar_hash: Option<NarHash>,
        comparison: Comparison,
        run: Option<String>,
    ) -> Self {
        Compared { reference, nar_hash, comparison, run, signed_by: Vec::new() }
    }
}

/// Something that went wrong beside a verdict, and does not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The stable code.
    pub code: Code,
    /// What went wrong.
    pub text: String,
}

/// What was found about one output.
#[derive(Debug)]
pub struct OutputResult {
    /// Its name.
    pub output: String,
    /// Its path; none when that is known only after a build.
    pub path: Option<StorePath>,
    /// What the rounds say.
    pub finding: Finding,
    /// What the references say.
    pub compared: Vec<Compared>,
    /// The verdict.
    pub conclusion: Conclusion,
    /// Where bits differ and why, against the first round that differs and against every reference that does.
    pub divergences: Vec<Divergence>,
    /// Which accepted differences it has, and what else, where bits differ and some are accepted.
    pub judgement: Option<Judgement>,
    /// How store paths among the bits that differ came into the build.
    pub brought: Vec<Brought>,
    /// What could not be said or done about it.
    pub notes: Vec<Note>,
}

impl OutputResult {
    /// Whether the only differences seen are under settings that Nix gives every builder the same.
    pub fn outside_contract(&self) -> bool {
        let different = |compared: &Compared| compared.comparison == Comparison::Different;
        self.finding.outside_contract() && !self.compared.iter().any(different)
    }
}

/// What another build of this verification made of a target: in another machine, or for another system.
pub(super) struct Other {
    pub(super) reference: Reference,
    /// What equal bits show.
    pub(super) shows: Level,
    /// NAR hash of every output, or why there are none.
    pub(super) outputs: Result<Outputs, String>,
}

/// What the outputs of one target are checked with.
pub(super) struct OutputCheck<'a> {
    pub(super) store: &'a Store,
    pub(super) node: &'a Node,
    pub(super) rounds: Option<&'a Rounds<RealiseError>>,
    pub(super) references: &'a [Against],
    pub(super) native: Option<&'a dyn Native>,
    /// Who has to agree about what binary caches hold.
    pub(super) signers: Option<&'a Signers>,
    pub(super) others: &'a [Other],
    pub(super) replay: Option<&'a Replay>,
    pub(super) accepted: Option<&'a Accepted>,
    /// Whether this target is the only one.
    pub(super) one_target: bool,
    /// Whether the target has one output that is verified.
    pub(super) one_output: bool,
}

impl OutputCheck<'_> {
    /// Compares and explains. A failure on the way is told in the result, which still says what was seen.
    pub(super) fn run(&self, output: &str, finding: Finding) -> OutputResult {
        let path = self.node.derivation.output_path(output).cloned();
        let compared = match (finding.nar_hash, &path) {
            (Some(ours), Some(path)) => self.compare(output, path, ours),
            _ => Vec::new(),
        };
        let (mut divergences, mut notes) = (Vec::new(), Vec::new());
        let mut tell = |against: String, ours, theirs, proofs: &[Proof]| match explain(
            self.store,
            against.clone(),
            ours,
            theirs,
            proofs,
        ) {
            Ok(divergence) => divergences.push(divergence),
            Err(error) => notes.push(Note {
                code: NOT_COMPARED,
                text: format!("where the bits of {against} differ is not known: {error}"),
            }),
        };
        if let (Some(first), Some((round, other)), Some(rounds)) =
            (finding.nar_hash, finding.other, self.rounds)
        {
            let flipped = finding.flipped.iter().copied();
            let proofs = proofs(&rounds.plan.base, &rounds.plan.settings(round), flipped);
            tell(format!("round {}", round + 1), first, other, &proofs);
        }
        let different = compared.iter().filter(|one| one.comparison == Comparison::Different);
        for other in different {
            if let (Some(ours), Some(theirs)) = (finding.nar_hash, other.nar_hash) {
                tell(other.reference.to_string(), ours, theirs, &[]);
            }
        }
        let comparisons: Vec<Comparison> = compared.iter().map(|one| one.comparison.clone()).collect();
        let conclusion = conclude(&finding, &comparisons);
        let output = output.to_owned();
        let judgement = None;
        let mut result = OutputResult {
            output,
            path,
            finding,
            compared,
            conclusion,
            divergences,
            brought: Vec::new(),
            judgement,
            notes,
        };
        if let Some(accepted) = self.accepted {
            accept(self, accepted, &mut result);
        }
        result
    }

    fn compare(&self, output: &str, path: &StorePath, ours: NarHash) -> Vec<Compared> {
        let mut compared: Vec<Compared> = self.compare_with_store(path, ours).into_iter().collect();
        for against in self.references.iter().filter(|against| against.is_for(output)) {
            let reference = &against.reference;
            // What names no output by itself is for this one when no other can be meant.
            let only = self.one_target && (self.one_output || against.output.is_some());
            let theirs = fetch(reference, self.node, output, path, only, self.store, self.native);
            let signed_by = theirs.as_ref().map_or_else(|_| Vec::new(), |theirs| self.who_signed(theirs));
            let comparison = match &theirs {
                Err(error) => Comparison::Missing { why: format!("{reference}: {error}") },
                Ok(theirs) if theirs.nar_hash != ours => Comparison::Different,
                Ok(theirs) => match self.agreed(theirs, &signed_by) {
                    None => Comparison::Equal { shows: shown_by(reference) },
                    Some(Ok(())) => Comparison::Equal { shows: Level::Attested },
                    Some(Err(too_few)) => Comparison::Missing { why: format!("{reference}: {too_few}") },
                },
            };
            let (reference, nar_hash) = (reference.clone(), theirs.ok().map(|theirs| theirs.nar_hash));
            compared.push(Compared { reference, nar_hash, comparison, run: None, signed_by });
        }
        compared.extend(self.others.iter().map(|other| compare_with_other(other, output, ours)));
        compared.extend(self.replay.map(|replay| compare_with_replay(replay, output, ours, self.varied())));
        compared
    }

    /// Who of those who have to agree signed what a binary cache says.
    fn who_signed(&self, theirs: &Fetched) -> Vec<String> {
        let (Some(signers), Some(narinfo)) = (self.signers, &theirs.narinfo) else { return Vec::new() };
        let signed = signers.who_signed(narinfo.fingerprint().as_bytes(), &narinfo.signatures);
        signed.into_iter().map(str::to_owned).collect()
    }

    /// Whether enough of them did; none when nobody has to: it is no binary cache, or nobody was named.
    fn agreed(&self, theirs: &Fetched, signed_by: &[String]) -> Option<Result<(), QuorumError>> {
        let threshold = self.signers.filter(|_| theirs.narinfo.is_some())?.threshold;
        let agreed = signed_by.to_vec();
        Some(if agreed.len() >= threshold { Ok(()) } else { Err(QuorumError { threshold, agreed }) })
    }

    /// Whether there was a round under other settings.
    fn varied(&self) -> bool {
        self.rounds.is_some_and(|rounds| rounds.rounds.iter().any(|round| !round.varied.is_empty()))
    }

    /// What an earlier build of ours made of the same path, when there is one and it was another build. A round that was
    /// kept from an interrupted run may be the very build that is registered: it is no second witness of itself.
    fn compare_with_store(&self, path: &StorePath, ours: NarHash) -> Option<Compared> {
        let reference = Reference::OurStore;
        let info = match self.store.path(path) {
            Ok(info) => info?,
            Err(error) => {
                let comparison = Comparison::Missing { why: format!("{reference}: {error}") };
                return Some(Compared::by_us(reference, None, comparison, None));
            }
        };
        if let Origin::Built { run } = &info.origin
            && self.rounds.is_some_and(|rounds| rounds.has_run(&run.to_string()))
        {
            return None;
        }
        let comparison = match info.nar_hash == ours {
            true => Comparison::Equal { shows: Level::Repeated },
            false => Comparison::Different,
        };
        Some(Compared::by_us(reference, Some(info.nar_hash), comparison, None))
    }
}

/// Compares with what another build made.
fn compare_with_other(other: &Other, output: &str, ours: NarHash) -> Compared {
    let reference = other.reference.clone();
    let theirs = match &other.outputs {
        Ok(outputs) => outputs.get(output).copied().ok_or_else(|| format!("no output `{output}`")),
        Err(why) => Err(why.clone()),
    };
    let comparison = match &theirs {
        Err(why) => Comparison::Missing { why: format!("{reference}: {why}") },
        Ok(theirs) if *theirs == ours => Comparison::Equal { shows: other.shows },
        Ok(_) => Comparison::Different,
    };
    Compared::by_us(reference, theirs.ok(), comparison, None)
}

/// What equal bits from there show.
fn shown_by(reference: &Reference) -> Level {
    if *reference == Reference::Nix { Level::CrossEngine } else { Level::Repeated }
}

/// Compares with what round 1 made when it was run again. Only beside rounds that varied something it shows more than that two
/// builds agree: a machine that never varies has everything agree.
fn compare_with_replay(replay: &Replay, output: &str, ours: NarHash, varied: bool) -> Compared {
    let reference = Reference::Replay;
    let missing = |why: &str| Comparison::Missing { why: format!("{reference}: {why}") };
    let theirs = replay.built.as_ref().ok().and_then(|(outputs, _)| outputs.get(output)).copied();
    let comparison = match (&replay.built, theirs) {
        (Err(why), _) => missing(why),
        (Ok(_), None) => missing(&format!("no output `{output}`")),
        (Ok(_), Some(theirs)) if theirs != ours => Comparison::Different,
        (Ok(_), Some(_)) => match &replay.sameness {
            Sameness::Same => {
                Comparison::Equal { shows: if varied { Level::Replayed } else { Level::Repeated } }
            }
            Sameness::Unlike(why) => Comparison::Unlike { why: format!("{reference}: {why}") },
            Sameness::Unknown(why) => missing(why),
        },
    };
    let run = replay.built.as_ref().ok().map(|(_, run)| run.clone());
    Compared::by_us(reference, theirs, comparison, run)
}

/// The settings proven to flip the bits, with their two values.
pub(super) fn proofs(
    base: &Settings,
    other: &Settings,
    flipped: impl Iterator<Item = Setting>,
) -> Vec<Proof> {
    let proof = |setting: Setting| Proof {
        setting: setting.name().to_owned(),
        a: base.value(setting),
        b: other.value(setting),
    };
    flipped.map(proof).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::{
        machine::Engine,
        nix::{
            derivation::{Derivation, Output},
            narinfo::NarInfo,
            secret_key::{self, SecretKey},
        },
        release::signers::Contributor,
        store::{PathInfo, RunId},
        verify::{
            Verdict,
            derivation::{Built, Round},
            rounds::RoundPlan,
        },
    };

    struct Fixture {
        dir: tempfile::TempDir,
        store: Store,
        node: Node,
        rounds: Rounds<RealiseError>,
        others: Vec<Other>,
        replay: Option<Replay>,
        accepted: Option<Accepted>,
        signers: Option<Signers>,
    }

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(format!("{}-{name}", "0".repeat(32)).as_bytes()).unwrap()
    }

    /// A derivation with the outputs `out` and `dev`, and no rounds.
    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let output = |name: &str| (name.to_owned(), Output::InputAddressed { path: path(name) });
        let derivation = Derivation {
            outputs: [output("out"), output("dev")].into(),
            input_drvs: Default::default(),
            input_srcs: Default::default(),
            system: b"x86_64-linux".to_vec(),
            builder: b"/bin/sh".to_vec(),
            args: Vec::new(),
            env: Default::default(),
        };
        let node = Node { drv: path("two.drv"), derivation: derivation.into(), inputs: Vec::new(), depth: 0 };
        let plan = RoundPlan::new(2, Settings::default(), &[]);
        let rounds = Rounds { rounds: Vec::new(), probes: Vec::new(), plan };
        let (others, replay, accepted, signers) = (Vec::new(), None, None, None);
        Fixture { dir, store, node, rounds, others, replay, accepted, signers }
    }

    fn another_machine(outputs: Result<Outputs, String>) -> Other {
        Other { reference: Reference::Machine(Engine::Qemu), shows: Level::CrossEngine, outputs }
    }

    impl Fixture {
        fn run(&self, output: &str, finding: Finding, references: &[Against]) -> OutputResult {
            let (store, node, rounds) = (&self.store, &self.node, Some(&self.rounds));
            let (one_target, one_output) = (true, false);
            let (others, replay, native) = (&self.others, self.replay.as_ref(), None);
            let (accepted, signers) = (self.accepted.as_ref(), self.signers.as_ref());
            #[rustfmt::skip]
            let check = OutputCheck {
                store, node, rounds, references, native, signers, others, replay, accepted, one_target, one_output,
            };
            check.run(output, finding)
        }

        /// A binary cache with a file of these bytes as `out`, and what these keys sign of that.
        fn cache(&self, bytes: &str, keys: &[&SecretKey]) -> Against {
            let folder = self.dir.path();
            let nar = fs::read(self.store.nar_path(&self.bits(bytes))).unwrap();
            fs::write(folder.join("a.nar"), &nar).unwrap();
            let mut text = format!(
                "StorePath: {}\nURL: a.nar\nCompression: none\nNarHash: {}\nNarSize: {}\nReferences: \n",
                path("out"),
                NarHash::of(&nar).to_nix(),
                nar.len()
            );
            let fingerprint = NarInfo::parse(text.as_bytes()).unwrap().fingerprint();
            for key in keys {
                text.push_str(&format!("Sig: {}\n", key.sign(fingerprint.as_bytes())));
            }
            fs::write(folder.join(format!("{}.narinfo", path("out").hash_part())), text).unwrap();
            format!("file://{}", folder.display()).parse().unwrap()
        }

        /// The hash of a file with these bytes, which is then in the store.
        fn bits(&self, bytes: &str) -> NarHash {
            let file = self.dir.path().join("bits");
            fs::write(&file, bytes).unwrap();
            self.store.add_tree(&file).unwrap().hash
        }
    }

    fn finding(verdict: Verdict, nar_hash: NarHash, other: Option<NarHash>) -> Finding {
        Finding {
            verdict,
            level: if verdict == Verdict::Reproduced { Level::Varied } else { Level::Built },
            reason: None,
            nar_hash: Some(nar_hash),
            other: other.map(|hash| (1, hash)),
            flipped: Vec::new(),
            single: verdict == Verdict::NotChecked,
            unsteady: false,
        }
    }

    #[test]
    fn bits_that_cannot_be_read_back_leave_diverged_and_the_error_as_a_note() {
        let fixture = fixture();
        let (ours, gone) = (fixture.bits("ours"), NarHash([7; 32]));
        let result = fixture.run("out", finding(Verdict::Diverged, ours, Some(gone)), &[]);
        assert_eq!(result.conclusion.verdict, Verdict::Diverged);
        assert!(result.divergences.is_empty());
        assert_eq!(result.notes.len(), 1);
        assert!(result.notes[0].text.contains("round 2") && result.notes[0].code == NOT_COMPARED);
        let other = fixture.bits("other");
        let result = fixture.run("out", finding(Verdict::Diverged, ours, Some(other)), &[]);
        assert_eq!((result.divergences.len(), result.notes.len()), (1, 0));
    }

    #[test]
    fn each_output_has_its_own_reference_and_one_that_fails_leaves_the_others_alone() {
        let fixture = fixture();
        let (out, dev) = (fixture.bits("out"), fixture.bits("dev"));
        let folder = fixture.dir.path().display().to_string();
        fs::write(fixture.dir.path().join("dev-file"), "dev").unwrap();
        let references: Vec<Against> = [format!("^dev={folder}/dev-file"), format!("^out={folder}/nowhere")]
            .map(|text| text.parse().unwrap())
            .into();
        let reproduced = |hash| finding(Verdict::Reproduced, hash, None);
        let dev = fixture.run("dev", reproduced(dev), &references);
        assert_eq!((dev.conclusion.verdict, dev.compared.len()), (Verdict::Reproduced, 1));
        assert_eq!(dev.compared[0].comparison, Comparison::Equal { shows: Level::Repeated });
        let out = fixture.run("out", reproduced(out), &references);
        assert_eq!((out.conclusion.verdict, out.compared.len()), (Verdict::NotChecked, 1));
        // A file for nobody in particular could be either.
        let unnamed = [format!("{folder}/dev-file").parse().unwrap()];
        let dev = fixture.run("dev", reproduced(dev.finding.nar_hash.unwrap()), &unnamed);
        assert_eq!(dev.conclusion.verdict, Verdict::NotChecked);
    }

    #[test]
    fn what_enough_signers_published_is_attested_and_what_too_few_did_is_not_checked() {
        let mut fixture = fixture();
        let ours = fixture.bits("ours");
        let [alice, second, bob, eve] = [("alice-1", 1), ("alice-2", 2), ("bob-1", 3), ("eve-1", 4)]
            .map(|(name, seed)| secret_key::spelled(name, &[seed; 32]).parse::<SecretKey>().unwrap());
        let contributor = |name: &str, keys: &[&SecretKey]| Contributor {
            name: name.to_owned(),
            nix: keys.iter().map(|key| key.public()).collect(),
            openpgp: Vec::new(),
        };
        let contributors = vec![contributor("alice", &[&alice, &second]), contributor("bob", &[&bob])];
        fixture.signers = Some(Signers::new(2, contributors).unwrap());
        let with = |bytes: &str, keys: &[&SecretKey]| {
            let single = finding(Verdict::NotChecked, ours, None);
            let result = fixture.run("out", single, &[fixture.cache(bytes, keys)]);
            let compared = result.compared.into_iter().next().unwrap();
            (result.conclusion.verdict, result.conclusion.level, compared.signed_by.join(" "))
        };
        let too_few = |who: &str| (Verdict::NotChecked, Level::Built, who.to_owned());
        assert_eq!(
            with("ours", &[&bob, &eve, &alice]),
            (Verdict::Reproduced, Level::Attested, "alice bob".to_owned())
        );
        assert_eq!(with("ours", &[&alice, &second]), too_few("alice"), "one person with two keys");
        assert_eq!(with("ours", &[&eve, &bob]), too_few("bob"), "a stranger does not count");
        assert_eq!(with("ours", &[]), too_few(""));
        assert_eq!(with("theirs", &[&alice, &bob]).0, Verdict::Diverged, "however many say otherwise");
        assert_eq!(with("theirs", &[]).0, Verdict::Diverged, "nobody has to agree to a difference");
    }

    #[test]
    fn another_machine_is_an_independent_witness_and_its_failure_none() {
        let mut fixture = fixture();
        let (ours, theirs) = (fixture.bits("ours"), fixture.bits("theirs"));
        let mut with = |outputs: Result<Vec<(&str, NarHash)>, &str>| {
            let outputs = outputs
                .map(|all| all.into_iter().map(|(name, hash)| (name.to_owned(), hash)).collect())
                .map_err(str::to_owned);
            fixture.others = vec![another_machine(outputs)];
            let result = fixture.run("out", finding(Verdict::Reproduced, ours, None), &[]);
            (result.conclusion.verdict, result.conclusion.level, result.divergences.len())
        };
        assert_eq!(with(Ok(vec![("out", ours)])), (Verdict::Reproduced, Level::CrossEngine, 0));
        assert_eq!(with(Ok(vec![("out", theirs)])), (Verdict::Diverged, Level::Built, 1));
        assert_eq!(with(Ok(vec![("dev", ours)])).0, Verdict::NotChecked);
        assert_eq!(with(Err("it ran into a limit")).0, Verdict::NotChecked);
    }

    #[test]
    fn a_replay_shows_more_than_equal_bits_only_when_it_is_the_same_run_beside_a_varied_one() {
        let mut fixture = fixture();
        let (ours, theirs) = (fixture.bits("ours"), fixture.bits("theirs"));
        let mut with = |hash: Result<NarHash, &str>, sameness: Sameness, varied: &[Setting]| {
            let (label, settings) = ("round 2".to_owned(), Settings::default());
            let round = Round { label, settings, varied: varied.to_vec(), result: None };
            fixture.rounds.rounds = vec![round];
            let built = hash.map(|hash| (Outputs::from([("out".to_owned(), hash)]), "run".to_owned()));
            fixture.replay = Some(Replay { built: built.map_err(str::to_owned), sameness });
            let level = if varied.is_empty() { Level::Repeated } else { Level::Varied };
            let finding = Finding { level, ..finding(Verdict::Reproduced, ours, None) };
            let result = fixture.run("out", finding, &[]);
            (result.conclusion.verdict, result.conclusion.level, result.divergences.len())
        };
        let unlike = || Sameness::Unlike("other runs".to_owned());
        let unknown = || Sameness::Unknown("no roots".to_owned());
        let varied = [Setting::Clock];
        assert_eq!(with(Ok(ours), Sameness::Same, &varied), (Verdict::Reproduced, Level::Replayed, 0));
        assert_eq!(with(Ok(ours), Sameness::Same, &[]), (Verdict::Reproduced, Level::Repeated, 0));
        assert_eq!(with(Ok(ours), unlike(), &varied).0, Verdict::NotChecked);
        assert_eq!(with(Ok(ours), unknown(), &varied).0, Verdict::NotChecked);
        assert_eq!(with(Err("it failed"), unknown(), &varied).0, Verdict::NotChecked);
        assert_eq!(with(Ok(theirs), unlike(), &varied), (Verdict::Diverged, Level::Built, 1));
    }

    /// Two builds that differ in their date, and one that differs in more.
    fn accepting() -> (Fixture, [NarHash; 3]) {
        let mut fixture = fixture();
        let text = "[[accepted]]\npath = \".\"\ncause = \"embedded-build-time\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2030-01-01";
        fixture.accepted = Some(Accepted::parse(text).unwrap());
        let bits = ["made Nov 21 2026", "made Jan  1 2020", "sold Jan  2 2021"];
        let hashes = bits.map(|bytes| fixture.bits(bytes));
        for (number, hash) in (1..).zip(&hashes[..2]) {
            fixture.rounds.rounds.push(round_with(number, Some(*hash)));
        }
        (fixture, hashes)
    }

    fn round_with(number: u32, hash: Option<NarHash>) -> Round<RealiseError> {
        let outputs = hash.map(|hash| ("out".to_owned(), hash)).into_iter().collect();
        let built = Built { outputs, run: String::new(), instructions: None, wall: None };
        let (label, settings) = (format!("round {number}"), Settings::default());
        Round { label, settings, varied: Vec::new(), result: Some(Ok(built)) }
    }

    fn diverged(fixture: &Fixture, [first, other, _]: [NarHash; 3]) -> OutputResult {
        fixture.run("out", finding(Verdict::Diverged, first, Some(other)), &[])
    }

    #[test]
    fn bits_that_differ_in_what_is_accepted_are_equivalent_and_never_reproduced() {
        let (fixture, hashes) = accepting();
        let result = diverged(&fixture, hashes);
        assert_eq!((result.conclusion.verdict, result.conclusion.level), (Verdict::Equivalent, Level::Built));
        assert_eq!(result.judgement.unwrap().met[0].number, 1);
        let (mut fixture, hashes) = accepting();
        fixture.accepted = None;
        assert_eq!(diverged(&fixture, hashes).conclusion.verdict, Verdict::Diverged);
    }

    #[test]
    fn a_third_build_that_differs_in_more_is_looked_at_too() {
        let (mut fixture, hashes) = accepting();
        fixture.rounds.rounds.push(round_with(3, Some(hashes[2])));
        let result = diverged(&fixture, hashes);
        assert_eq!(result.conclusion.verdict, Verdict::Diverged);
        assert!(!result.judgement.unwrap().open.is_empty());
    }

    #[test]
    fn nothing_is_equivalent_while_a_round_a_probe_or_a_reference_is_missing() {
        let (mut fixture, hashes) = accepting();
        fixture.rounds.probes.push(round_with(3, None));
        assert_eq!(diverged(&fixture, hashes).conclusion.verdict, Verdict::Diverged);
        let (mut fixture, hashes) = accepting();
        fixture.others = vec![another_machine(Err("no".to_owned()))];
        assert_eq!(diverged(&fixture, hashes).conclusion.verdict, Verdict::Diverged);
        // Bits that cannot be read back may hold anything.
        let (mut fixture, hashes) = accepting();
        fixture.rounds.rounds.push(round_with(3, Some(NarHash([9; 32]))));
        let result = diverged(&fixture, hashes);
        assert_eq!((result.conclusion.verdict, result.notes.len()), (Verdict::Diverged, 1));
    }

    #[test]
    fn a_build_that_is_registered_is_no_second_witness_of_itself() {
        let mut fixture = fixture();
        let hash = fixture.bits("one");
        let run = fixture.store.save_run(&fixture.node.drv, &(), &[]).unwrap();
        let register = |fixture: &Fixture, run: RunId| {
            let nar_size = fixture.store.nar_size(&hash).unwrap().unwrap();
            let (references, deriver) = (BTreeSet::new(), None);
            let origin = Origin::Built { run };
            let path = path("out");
            fixture.store.forget(&path).unwrap();
            let info = PathInfo { path, nar_hash: hash, nar_size, references, deriver, origin };
            fixture.store.register(&info).unwrap();
        };
        let built =
            Built { outputs: Default::default(), run: run.to_string(), instructions: None, wall: None };
        let (label, settings) = ("round 1".to_owned(), Settings::default());
        fixture.rounds.rounds.push(Round { label, settings, varied: Vec::new(), result: Some(Ok(built)) });
        register(&fixture, run);
        let once = || finding(Verdict::NotChecked, hash, None);
        assert_eq!(fixture.run("out", once(), &[]).conclusion.verdict, Verdict::NotChecked);
        register(&fixture, RunId([1; 32]));
        assert_eq!(fixture.run("out", once(), &[]).conclusion.verdict, Verdict::Reproduced);
    }
}
