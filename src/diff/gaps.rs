//! Bytes that no table and no part of a file covers: between sections, between members.

use super::{Content, Pair, ReadError, Side, Window, bytes};

/// The gaps of one file that hold more than zeros: padding of zeros is no difference of its own, its length follows
/// from where things lie.
pub(super) fn gaps(
    side: Side,
    file: &dyn Content,
    mut covered: Vec<(u64, u64)>,
) -> Result<Vec<(u64, u64)>, ReadError> {
    covered.sort_unstable();
    let mut gaps = Vec::new();
    let mut at = 0;
    for (start, len) in covered.into_iter().chain([(file.len(), 0)]) {
        if start > at && !is_zero(side, file, at, start)? {
            gaps.push((at, start));
        }
        at = at.max(start.saturating_add(len));
    }
    Ok(gaps)
}

/// The gaps of the same number, as windows.
pub(super) fn windows<'a>(
    files: Pair<&'a dyn Content>,
    gaps: &Pair<Vec<(u64, u64)>>,
    index: usize,
) -> Pair<Window<'a>> {
    let window = |side: Side| {
        let (start, end) = gaps.of(side).get(index).copied().unwrap_or((u64::MAX, u64::MAX));
        Window::new(*files.of(side), start, end - start)
    };
    Pair::new(window(Side::A), window(Side::B))
}

fn is_zero(side: Side, file: &dyn Content, start: u64, end: u64) -> Result<bool, ReadError> {
    let window = Window::new(file, start, end - start);
    let mut buffer = Vec::new();
    let mut at = window.start();
    while at < window.end() {
        let next = (at + (64 << 10)).min(window.end());
        if window.bytes(at, next, &mut buffer).map_err(bytes::failed(side, at))?.iter().any(|byte| *byte != 0)
        {
            return Ok(false);
        }
        at = next;
    }
    Ok(true)
}
