//! Runs tasks of a dependency graph, leaves first, several at a time.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Condvar, Mutex},
};

/// How one task of a [`run`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T, E> {
    /// It was run and gave this.
    Done(T),
    /// It was run and failed.
    Failed(E),
    /// It was not run: the task with this index, which it needs, failed or was itself skipped.
    Skipped(usize),
    /// It was not run: something else failed first and the run was to stop there.
    Stopped,
}

/// What to do after a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Start nothing new.
    Stop,
    /// Go on with everything that does not need what failed.
    KeepGoing,
}

struct State<T, E> {
    /// For each task, how many of its dependencies are still to come.
    waiting: Vec<usize>,
    /// Tasks whose dependencies are all done, lowest index first.
    ready: BinaryHeap<Reverse<usize>>,
    running: usize,
    stopped: bool,
    outcomes: Vec<Option<Outcome<T, E>>>,
}

/// Runs task `0..needs.len()`, each after all of `needs[task]`, at most `jobs` at once, and says how each ended.
///
/// Of the tasks that can run, the one with the lowest index goes first, so an order that is already leaves first
/// is kept when `jobs` is 1. A cycle in `needs` leaves its tasks [`Outcome::Stopped`]; the graph room finds cycles
/// before anything gets here.
pub fn run<T: Send, E: Send>(
    needs: &[Vec<usize>],
    jobs: usize,
    on_failure: OnFailure,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Vec<Outcome<T, E>> {
    let mut dependants = vec![Vec::new(); needs.len()];
    for (task, needed) in needs.iter().enumerate() {
        for dependency in needed {
            dependants[*dependency].push(task);
        }
    }
    let waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let ready = (0..needs.len()).filter(|task| waiting[*task] == 0).map(Reverse).collect();
    let state = Mutex::new(State {
        waiting,
        ready,
        running: 0,
        stopped: false,
        outcomes: needs.iter().map(|_| None).collect(),
    });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1).min(needs.len()) {
            scope.spawn(|| worker(&state, &changed, &dependants, on_failure, &work));
        }
    });
    let state = state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    state.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Stopped)).collect()
}

fn worker<T: Send, E: Send>(
    state: &Mutex<State<T, E>>,
    changed: &Condvar,
    dependants: &[Vec<usize>],
    on_failure: OnFailure,
    work: &(impl Fn(usize) -> Result<T, E> + Sync),
) {
    // Nothing panics while it holds the lock, and the state is consistent whenever it is released.
    let lock = || state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut guard = lock();
    loop {
        if guard.stopped || (guard.ready.is_empty() && guard.running == 0) {
            changed.notify_all();
            return;
        }
        let Some(Reverse(task)) = guard.ready.pop() else {
            guard = changed.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner);
            continue;
        };
        guard.running += 1;
        drop(guard);
        let leaving = Leaving { state, changed };
        let result = work(task);
        std::mem::forget(leaving);
        guard = lock();
        guard.running -= 1;
        match result {
            Ok(value) => {
                guard.outcomes[task] = Some(Outcome::Done(value));
                release(&mut guard, &dependants[task]);
            }
            Err(error) => {
                guard.outcomes[task] = Some(Outcome::Failed(error));
                skip(&mut guard, task, dependants);
                guard.stopped |= on_failure == OnFailure::Stop;
            }
        }
        changed.notify_all();
    }
}

/// A worker at work. Dropped only when the work panics: the others then stop instead of waiting for it for ever, and the
/// scope passes the panic on.
struct Leaving<'a, T, E> {
    state: &'a Mutex<State<T, E>>,
    changed: &'a Condvar,
}

impl<T, E> Drop for Leaving<'_, T, E> {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.running -= 1;
        state.stopped = true;
        self.changed.notify_all();
    }
}

fn release<T, E>(state: &mut State<T, E>, dependants: &[usize]) {
    for dependant in dependants {
        state.waiting[*dependant] -= 1;
        if state.waiting[*dependant] == 0 && state.outcomes[*dependant].is_none() {
            state.ready.push(Reverse(*dependant));
        }
    }
}

/// Marks everything above a failed task.
fn skip<T, E>(state: &mut State<T, E>, failed: usize, dependants: &[Vec<usize>]) {
    let mut above = vec![failed];
    while let Some(task) = above.pop() {
        for dependant in &dependants[task] {
            if state.outcomes[*dependant].is_none() {
                state.outcomes[*dependant] = Some(Outcome::Skipped(failed));
                above.push(*dependant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 ← 1, 0 ← 2, {1,2} ← 3, and 4 alone.
    fn diamond() -> Vec<Vec<usize>> {
        vec![vec![], vec![0], vec![0], vec![1, 2], vec![]]
    }

    #[test]
    fn dependencies_come_first_whatever_the_number_of_workers() {
        for jobs in [1, 2, 8] {
            let order = Mutex::new(Vec::new());
            let outcomes = run(&diamond(), jobs, OnFailure::Stop, |task| {
                order.lock().unwrap().push(task);
                Ok::<_, ()>(task * 10)
            });
            let order = order.into_inner().unwrap();
            let place = |task| order.iter().position(|t| *t == task).unwrap();
            assert!(place(0) < place(1) && place(0) < place(2) && place(1) < place(3) && place(2) < place(3));
            assert_eq!(outcomes, (0..5).map(|t| Outcome::Done(t * 10)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_worker_keeps_a_leaves_first_order() {
        let order = Mutex::new(Vec::new());
        run(&diamond(), 1, OnFailure::Stop, |task| {
            order.lock().unwrap().push(task);
            Ok::<_, ()>(())
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn keep_going_skips_only_what_needs_the_failed_task() {
        let outcomes =
            run(&diamond(), 1, OnFailure::KeepGoing, |task| if task == 1 { Err("no") } else { Ok(()) });
        assert_eq!(
            outcomes,
            [
                Outcome::Done(()),
                Outcome::Failed("no"),
                Outcome::Done(()),
                Outcome::Skipped(1),
                Outcome::Done(())
            ]
        );
    }

    #[test]
    fn stop_starts_nothing_after_a_failure() {
        let outcomes = run(&diamond(), 1, OnFailure::Stop, |task| if task == 1 { Err("no") } else { Ok(()) });
        assert_eq!(
            outcomes,
            [
                Outcome::Done(()),
                Outcome::Failed("no"),
                Outcome::Stopped,
                Outcome::Skipped(1),
                Outcome::Stopped
            ]
        );
    }

    #[test]
    fn a_panic_ends_the_run_instead_of_hanging_it() {
        let caught = std::panic::catch_unwind(|| {
            run(&diamond(), 4, OnFailure::KeepGoing, |task| {
                assert_ne!(task, 1, "on purpose");
                Ok::<_, ()>(())
            })
        });
        assert!(caught.is_err());
    }

    #[test]
    fn a_long_chain_and_an_empty_graph() {
        let chain: Vec<Vec<usize>> =
            (0..100_000usize).map(|n| n.checked_sub(1).into_iter().collect()).collect();
        assert!(run(&chain, 2, OnFailure::Stop, |_| Ok::<_, ()>(())).iter().all(|o| *o == Outcome::Done(())));
        assert!(run(&[], 4, OnFailure::Stop, |_| Ok::<_, ()>(())).is_empty());
        let mut failing =
            run(&chain, 2, OnFailure::KeepGoing, |task| if task == 0 { Err(()) } else { Ok(()) });
        assert_eq!(failing.pop(), Some(Outcome::Skipped(0)));
    }
}
