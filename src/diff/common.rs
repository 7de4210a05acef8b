//! How much two byte strings have in common at one of their ends: where equal files are told from others, and nearly all
//! the time of a comparison goes that finds little.
//!
//! Blocks are read and compared, in several threads where there is much to read. Files are not mapped for it: a file that
//! is cut while it is mapped kills the process (SIGBUS), and reading is no slower: the copy stays in the processor's cache,
//! where a mapping has to be set up page by page (measured by `cargo bench --bench diff -- equal`).

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{
    Pair, ReadError,
    bytes::{BLOCK, blocks},
    content::Window,
};

/// From this size on several threads read.
const MUCH: u64 = 8 << 20;
/// What a thread takes at a time.
const STRETCH: u64 = 1 << 20;
/// More threads than this only wait for memory.
const THREADS: usize = 8;

/// The end that both are compared from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Front,
    Back,
}

/// How many bytes, at most `limit`, two windows have in common at one end. Neither is shorter than that.
pub(super) fn common(pair: Pair<Window<'_>>, end: End, limit: u64) -> Result<u64, ReadError> {
    // What differs early needs no threads.
    let early = limit.min(STRETCH);
    let first = stretch(pair, end, 0, early)?;
    if first < early {
        return Ok(first);
    }
    if limit < MUCH {
        return stretch(pair, end, first, limit);
    }
    let next = AtomicU64::new(first);
    // The first place where something ends the search, and what went wrong there if anything did.
    let nearest: Mutex<(u64, Option<ReadError>)> = Mutex::new((limit, None));
    let ended = AtomicU64::new(limit);
    let search = || {
        loop {
            let from = next.fetch_add(STRETCH, Ordering::Relaxed);
            if from >= ended.load(Ordering::Relaxed) {
                break;
            }
            let to = (from + STRETCH).min(limit);
            let (at, error) = match stretch(pair, end, from, to) {
                Ok(at) if at == to => continue,
                Ok(at) => (at, None),
                Err(error) => (from, Some(error)),
            };
            let mut nearest = nearest.lock().unwrap_or_else(PoisonError::into_inner);
            if at < nearest.0 {
                *nearest = (at, error);
                ended.store(at, Ordering::Relaxed);
            }
            break;
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be had is one that does not help.
            let _ = thread::Builder::new().spawn_scoped(scope, search);
        }
        search();
    });
    match nearest.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (_, Some(error)) => Err(error),
        (at, None) => Ok(at),
    }
}

/// How far both agree from `from` bytes behind the end on, at most up to `to`.
fn stretch(pair: Pair<Window<'_>>, end: End, from: u64, to: u64) -> Result<u64, ReadError> {
    let mut buffers = Pair::new(Vec::new(), Vec::new());
    let mut at = from;
    while at < to {
        let len = BLOCK.min(to - at);
        let offsets = pair.map(|window| match end {
            End::Front => window.start() + at,
            End::Back => window.end() - at - len,
        });
        let block = blocks(pair, offsets, len, &mut buffers)?;
        if block.a != block.b {
            let mut both = block.a.iter().zip(block.b);
            let same = |(x, y): &(&u8, &u8)| x == y;
            let count = match end {
                End::Front => both.take_while(same).count(),
                End::Back => {
                    let rest = both.by_ref().rev();
                    rest.take_while(same).count()
                }
            };
            return Ok(at + count as u64);
        }
        at += len;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Content;

    /// Zeros but for one byte, and one place that cannot be read.
    struct Holes {
        len: u64,
        one: u64,
        broken: u64,
    }

    impl Content for Holes {
        fn len(&self) -> u64 {
            self.len
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            buffer.fill(0);
            let here = |at: u64| (offset..offset + buffer.len() as u64).contains(&at);
            if here(self.broken) {
                return Err(std::io::ErrorKind::Other.into());
            }
            if here(self.one) {
                buffer[(self.one - offset) as usize] = 1;
            }
            Ok(())
        }
    }

    const NOWHERE: u64 = u64::MAX;

    #[test]
    fn the_first_and_the_last_difference_of_much() {
        let len = 40 << 20;
        let zeros = Holes { len, one: NOWHERE, broken: NOWHERE };
        for one in [0, 1, STRETCH - 1, STRETCH, (17 << 20) + 12345, len - 1, NOWHERE] {
            let other = Holes { len, one, broken: NOWHERE };
            let pair = Pair::new(Window::of(&zeros), Window::of(&other));
            assert_eq!(common(pair, End::Front, len).unwrap(), one.min(len), "{one}");
            let back = if one == NOWHERE { len } else { len - 1 - one };
            assert_eq!(common(pair, End::Back, len).unwrap(), back, "{one}");
        }
    }

    #[test]
    fn what_cannot_be_read_counts_only_before_the_first_difference() {
        let len = 40 << 20;
        let zeros = Holes { len, one: NOWHERE, broken: NOWHERE };
        let behind = Holes { len, one: 20 << 20, broken: 30 << 20 };
        let before = Holes { len, one: 30 << 20, broken: 20 << 20 };
        let pair = |other| Pair::new(Window::of(&zeros), Window::of(other));
        assert_eq!(common(pair(&behind), End::Front, len).unwrap(), 20 << 20);
        assert!(common(pair(&before), End::Front, len).is_err());
        assert!(common(pair(&behind), End::Back, len).is_err());
        assert_eq!(common(pair(&before), End::Back, len).unwrap(), (10 << 20) - 1);
    }
}
