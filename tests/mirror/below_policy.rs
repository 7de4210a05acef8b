//! Signers who did less than the policy asks, or something else, and say so: everything is well signed, and nothing of the bits is wrong.

use reprove::{
    attest::verdict::{Reference, VerdictPredicate},
    mirror::{
        check::{Finding, Kind},
        publish::{Entry, Publisher},
    },
    nix::hash::NarHash,
};

use crate::fixture::{Fixture, LOG, check_at, key, verdict, with_verdict};

/// What is found of a mirror with this policy, when this is the verdict on what was built.
fn found(policy: &str, change: impl FnOnce(&mut VerdictPredicate)) -> Vec<Finding> {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", policy, &key);
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    fixture.take_seed(&publisher);
    fixture.derivations.keep(&publisher, fixture.lib.deriver.as_ref().unwrap());
    let [_, (info, admission), _] = fixture.entries();
    let mut verdict = verdict(info, &admission, 2).unwrap();
    change(&mut verdict);
    let statements = with_verdict(info, &admission, &verdict);
    let log = Some(LOG);
    publisher.publish(&Entry { info, admission: &admission, statements: &statements, log }).unwrap();
    let whole = check_at(&fixture.folder("mirror"), &[&key], &[]).findings;
    // Without a list of what there is it shows as well.
    let path = std::slice::from_ref(&info.path);
    assert_eq!(check_at(&fixture.folder("mirror"), &[&key], path).findings, whole);
    whole
}

/// That one thing is found: less than the policy asks, and what.
fn below(policy: &str, change: impl FnOnce(&mut VerdictPredicate), why: &str) {
    let found = found(policy, change);
    let [one] = &found[..] else { panic!("{why}: {found:?}") };
    assert_eq!(one.kind, Kind::BelowPolicy, "{found:?}");
    assert!(one.object.starts_with("attestations/") && one.why.contains(why), "{found:?}");
}

/// What else gave the bits of the first round, or other ones.
fn besides(verdict: &mut VerdictPredicate, reference: &str, said: &str) {
    let nar_hash = verdict.rounds[0].nar_hash.clone();
    verdict.references.push(Reference {
        reference: reference.to_owned(),
        verdict: said.to_owned(),
        nar_hash,
    });
}

const TWO: &str = "level = 4\n[systems]\nriscv64-linux = [\"embedded\", \"qemu\"]\n";

#[test]
fn what_was_done_as_the_policy_asks_is_well() {
    assert_eq!(found("", |_| {}), []);
    // More than is asked is as well.
    assert_eq!(found("rounds = 1\nlevel = 0\n", |_| {}), []);
    assert_eq!(found("level = 1\n", |verdict| besides(verdict, "machine qemu", "reproduced")), []);
    let across = |verdict: &mut VerdictPredicate| {
        verdict.level = 4;
        besides(verdict, "machine qemu", "reproduced");
    };
    assert_eq!(found(TWO, across), []);
    // One round, and the other machine is its witness.
    let once = |verdict: &mut VerdictPredicate| {
        across(verdict);
        verdict.rounds.truncate(1);
    };
    assert_eq!(found(&format!("rounds = 1\n{TWO}"), once), []);
    let replayed = |verdict: &mut VerdictPredicate| {
        verdict.level = 3;
        besides(verdict, "replay", "reproduced");
    };
    assert_eq!(found("level = 3\n", replayed), []);
}

#[test]
fn fewer_rounds_than_the_policy_asks_for_are_below_it() {
    below("rounds = 3\n", |_| {}, "asks for 3 rounds, and its verdict names 2");
    let one_run_twice =
        |verdict: &mut VerdictPredicate| verdict.rounds[1].run = verdict.rounds[0].run.clone();
    below("", one_run_twice, "the 2 rounds of its verdict are 1 runs only");
}

#[test]
fn a_round_that_did_not_give_these_bits_is_below_the_policy() {
    below(
        "rounds = 1\nlevel = 0\n",
        |verdict| {
            besides(verdict, "machine qemu", "reproduced");
            verdict.rounds[1].nar_hash = None;
        },
        "round 2 of its verdict gave no bits",
    );
    // That is no verdict at all.
    let other =
        |verdict: &mut VerdictPredicate| verdict.rounds[1].nar_hash = Some(NarHash([7; 32]).to_string());
    let found = found("rounds = 1\nlevel = 0\n", other);
    assert!(
        found.iter().any(|one| one.kind == Kind::Damaged && one.why.contains("do not show it")),
        "{found:?}"
    );
}

#[test]
fn another_machine_than_the_policy_names_is_below_it() {
    let by = |engine: &'static str| {
        move |verdict: &mut VerdictPredicate| verdict.rounds[1].engine = engine.to_owned()
    };
    below(
        "",
        by("qemu 9.2.0"),
        "asks for rounds in the machine embedded for riscv64-linux, and its verdict names qemu",
    );
    below("", by("embeddedly 1"), "names embeddedly");
    let elsewhere = "[systems]\nx86_64-linux = [\"qemu\"]\n";
    below(elsewhere, |_| {}, "built for riscv64-linux, for which the policy admits nothing");
}

#[test]
fn a_machine_that_is_missing_or_gave_something_else_is_below_the_policy() {
    let lacking = "asks for `machine qemu` besides the rounds for riscv64-linux";
    below(TWO, |verdict| verdict.level = 4, lacking);
    for (reference, said) in
        [("nix", "reproduced"), ("machine qemu", "not-checked"), ("machine embedded", "reproduced")]
    {
        let change = |verdict: &mut VerdictPredicate| {
            verdict.level = 4;
            besides(verdict, reference, said);
        };
        below(TWO, change, lacking);
    }
    let silent = |verdict: &mut VerdictPredicate| {
        verdict.level = 4;
        besides(verdict, "machine qemu", "reproduced");
        verdict.references[0].nar_hash = None;
    };
    below(TWO, silent, lacking);
    below("level = 3\n", |verdict| verdict.level = 3, "asks for `replay` besides the rounds");
}

#[test]
fn a_provenance_of_another_run_than_the_first_round_is_a_contradiction() {
    let of_another: [fn(&mut VerdictPredicate); 5] = [
        |verdict| verdict.rounds.reverse(),
        |verdict| verdict.rounds[0].engine = "embedded 2".to_owned(),
        |verdict| verdict.rounds[0].input_drive = "1".repeat(64),
        |verdict| verdict.rounds[0].guest_bundle = "1".repeat(64),
        |verdict| verdict.rounds[0].settings.seed ^= 1,
    ];
    for change in of_another {
        let found = found("", change);
        let told =
            |one: &Finding| one.kind == Kind::Damaged && one.why.contains("provenance is of another run");
        assert!(found.iter().any(told), "{found:?}");
    }
}
