//! The first builds of all targets: as many at once as may run, whichever target they are of.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    derivation::{Builder, Round, Rounds},
    rounds::RoundPlan,
};
use crate::schedule::{self, OnFailure, Outcome};

/// What was built for one target.
pub(super) struct FirstBuilds<E, A> {
    /// Its rounds, not yet probed; none when there is no builder for it.
    pub(super) rounds: Option<Rounds<E>>,
    /// What was built beside them.
    pub(super) aside: Option<A>,
}

/// Something to build for the target with this index.
enum Task {
    Round { target: usize, number: u32 },
    Aside { target: usize },
}

impl Task {
    fn target(&self) -> usize {
        match self {
            Task::Round { target, .. } | Task::Aside { target } => *target,
        }
    }
}

/// What came of a [`Task`].
enum Made<E, A> {
    Round(Box<Round<E>>),
    Aside(Option<A>),
}

/// Runs the rounds of `plan` for each target that has a builder, and `aside` once for each such target, at most `jobs` of all
/// these at once. After a failed round no further one of that target is started; other targets go on. Of targets of one
/// derivation, which `derivations` tells, each comes after the one before, and finds what that has built.
pub(super) fn first<B: Builder, A: Send>(
    plan: &RoundPlan,
    builders: &[Option<&B>],
    derivations: &[usize],
    aside: impl Fn(usize) -> Option<A> + Sync,
    jobs: usize,
) -> Vec<FirstBuilds<B::Error, A>> {
    let buildable = (0..builders.len()).filter(|target| builders[*target].is_some());
    let tasks: Vec<Task> = buildable
        .flat_map(|target| {
            let rounds = (0..plan.rounds).map(move |number| Task::Round { target, number });
            rounds.chain([Task::Aside { target }])
        })
        .collect();
    let failed: Vec<AtomicBool> = builders.iter().map(|_| AtomicBool::new(false)).collect();
    let build = |target: usize, number: u32| {
        let builder = builders[target].filter(|_| !failed[target].load(Ordering::Relaxed));
        let result = builder.map(|builder| builder.build(&plan.settings(number), &plan.label(number)));
        let fails = matches!(result, Some(Err(_)));
        failed[target].fetch_or(fails, Ordering::Relaxed);
        Box::new(Round::new(&plan.base, plan.label(number), plan.settings(number), result))
    };
    let mut last = BTreeMap::new();
    let after = tasks.iter().enumerate().map(|(index, task)| {
        let number = match task {
            Task::Round { number, .. } => Some(*number),
            Task::Aside { .. } => None,
        };
        last.insert((derivations[task.target()], number), index).into_iter().collect()
    });
    let after: Vec<Vec<usize>> = after.collect();
    let outcomes = schedule::run(&after, jobs, OnFailure::KeepGoing, |task| {
        Ok::<_, Infallible>(match tasks[task] {
            Task::Round { target, number } => Made::Round(build(target, number)),
            Task::Aside { target } => Made::Aside(aside(target)),
        })
    });

    let none_yet = |builder: &Option<&B>| FirstBuilds {
        rounds: builder.map(|_| Rounds { rounds: Vec::new(), probes: Vec::new(), plan: plan.clone() }),
        aside: None,
    };
    let mut builds: Vec<FirstBuilds<B::Error, A>> = builders.iter().map(none_yet).collect();
    for (task, outcome) in tasks.iter().zip(outcomes) {
        let of_target = &mut builds[task.target()];
        match outcome {
            Outcome::Done(Made::Round(round)) => {
                if let Some(rounds) = &mut of_target.rounds {
                    rounds.rounds.push(*round);
                }
            }
            Outcome::Done(Made::Aside(made)) => of_target.aside = made,
            Outcome::Failed(never) => match never {},
            // No task fails, so that nothing is left out for another one.
            Outcome::Skipped(_) | Outcome::Stopped => {}
        }
    }
    builds
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Barrier, Mutex},
    };

    use super::*;
    use crate::{machine::Settings, verify::derivation::Built};

    fn plan(rounds: u32) -> RoundPlan {
        RoundPlan::new(rounds, Settings::default(), &[])
    }

    struct Fake<F>(F);

    impl<F: Fn(&str) -> Result<(), String> + Sync> Builder for Fake<F> {
        type Error = String;

        fn build(&self, _: &Settings, round: &str) -> Result<Built, String> {
            (self.0)(round)?;
            Ok(Built { outputs: BTreeMap::new(), run: round.to_owned(), instructions: None, wall: None })
        }
    }

    fn runs(builds: &FirstBuilds<String, usize>) -> Vec<Option<Result<&str, &str>>> {
        let rounds = builds.rounds.iter().flat_map(|rounds| &rounds.rounds);
        rounds
            .map(|round| {
                let result = round.result.as_ref()?.as_ref();
                Some(result.map(|built| built.run.as_str()).map_err(String::as_str))
            })
            .collect()
    }

    #[test]
    fn one_round_of_each_of_two_targets_runs_at_the_same_time() {
        // Each waits for the other: one after the other they would never end.
        let both = Barrier::new(2);
        let builder = Fake(|_: &str| {
            both.wait();
            Ok(())
        });
        let builds = first(&plan(1), &[Some(&builder), Some(&builder)], &[0, 1], |_| None::<usize>, 2);
        assert!(builds.iter().all(|builds| runs(builds) == [Some(Ok("round 1"))]));
    }

    #[test]
    fn after_a_failed_round_its_target_stops_and_others_go_on() {
        let order = Mutex::new(Vec::new());
        let build = &|target: usize, round: &str| {
            order.lock().unwrap().push(format!("{target} {round}"));
            if target == 0 { Err("broke".to_owned()) } else { Ok(()) }
        };
        let builders = [0, 1].map(|target| Fake(move |round: &str| build(target, round)));
        let builds = first(&plan(2), &[Some(&builders[0]), None, Some(&builders[1])], &[0, 1, 2], Some, 1);
        assert_eq!(runs(&builds[0]), [Some(Err("broke")), None]);
        assert!(builds[1].rounds.is_none() && builds[1].aside.is_none(), "nothing is built for it");
        assert_eq!(runs(&builds[2]), [Some(Ok("round 1")), Some(Ok("round 2"))]);
        assert_eq!((builds[0].aside, builds[2].aside), (Some(0), Some(2)));
        assert_eq!(*order.lock().unwrap(), ["0 round 1", "1 round 1", "1 round 2"]);
    }

    #[test]
    fn two_targets_of_one_derivation_never_build_the_same_round_at_once() {
        let running = AtomicBool::new(false);
        let builder = Fake(|_: &str| {
            let other = running.swap(true, Ordering::SeqCst);
            std::thread::yield_now();
            running.store(false, Ordering::SeqCst);
            if other { Err("at once".to_owned()) } else { Ok(()) }
        });
        for _ in 0..100 {
            let both = [Some(&builder), Some(&builder)];
            let builds = first(&plan(1), &both, &[7, 7], |_| None::<usize>, 2);
            assert!(builds.iter().all(|builds| runs(builds) == [Some(Ok("round 1"))]));
        }
    }
}
