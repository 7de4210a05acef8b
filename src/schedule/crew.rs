//! Machines shared out among tasks that run at the same time and can each use several.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many machines, and the tasks that use them.
#[derive(Debug)]
pub struct Crew {
    machines: usize,
    at_work: AtomicUsize,
}

/// A task at work, until it is dropped.
#[must_use = "the task is over as soon as this is dropped"]
pub struct Member<'a>(&'a Crew);

impl Crew {
    /// So many machines, and no task yet.
    pub fn new(machines: usize) -> Self {
        Crew { machines, at_work: AtomicUsize::new(0) }
    }

    /// One more task.
    pub fn join(&self) -> Member<'_> {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        Member(self)
    }
}

impl Member<'_> {
    /// How many machines it may use now: its share, and one in any case.
    pub fn machines(&self) -> usize {
        (self.0.machines / self.0.at_work.load(Ordering::Relaxed).max(1)).max(1)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_has_all_and_nobody_has_none() {
        let crew = Crew::new(5);
        let first = crew.join();
        assert_eq!(first.machines(), 5);
        let others: Vec<Member<'_>> = (0..9).map(|_| crew.join()).collect();
        assert_eq!((first.machines(), others[8].machines()), (1, 1));
        drop(others);
        let second = crew.join();
        assert_eq!((first.machines(), second.machines()), (2, 2));
    }
}
