//! How many machines run at once, whoever starts them.

use std::{
    num::NonZeroUsize,
    sync::{Condvar, Mutex, PoisonError},
};

/// Places for machines. Who asks for one waits until one is free; whoever asked first gets it first.
#[derive(Debug)]
pub struct Slots {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    /// The number that the next one who asks draws, and the lowest that was not served.
    next: u64,
    serving: u64,
}

/// A place that is taken, until it is dropped.
#[must_use = "the place is free as soon as this is dropped"]
pub struct Slot<'a>(&'a Slots);

impl Slots {
    /// So many places.
    pub fn new(places: NonZeroUsize) -> Self {
        let queue = Queue { free: places.get(), next: 0, serving: 0 };
        Slots { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// Takes a place.
    pub fn take(&self) -> Slot<'_> {
        // Nothing panics while it holds the lock.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let number = queue.next;
        queue.next += 1;
        while queue.free == 0 || queue.serving != number {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.free -= 1;
        queue.serving += 1;
        drop(queue);
        self.changed.notify_all();
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_are_taken_than_there_are_and_each_gets_one() {
        let slots = Slots::new(NonZeroUsize::new(3).unwrap());
        let (taken, served, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let slot = slots.take();
                        most.fetch_max(taken.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        taken.fetch_sub(1, Ordering::SeqCst);
                        served.fetch_add(1, Ordering::SeqCst);
                        drop(slot);
                    }
                });
            }
        });
        assert_eq!(served.into_inner(), 800);
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn as_many_are_taken_at_once_as_there_are() {
        let slots = Slots::new(NonZeroUsize::new(3).unwrap());
        // Each waits for the two others: with fewer places they would never end.
        let all = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let _slot = slots.take();
                    all.wait();
                });
            }
        });
    }

    #[test]
    fn whoever_asked_first_gets_it_first() {
        let slots = Slots::new(NonZeroUsize::MIN);
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = slots.take();
            for number in 1..=8 {
                let (slots, order) = (&slots, &order);
                scope.spawn(move || {
                    let _slot = slots.take();
                    order.lock().unwrap().push(number);
                });
                // It has asked when it has drawn its number.
                while slots.queue.lock().unwrap().next != number + 1 {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let slots = Slots::new(NonZeroUsize::MIN);
        let fallen = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _slot = slots.take();
                    panic!("on purpose");
                })
                .join()
        });
        assert!(fallen.is_err());
        let _slot = slots.take();
    }
}
