//! JSON documents, by value: whether two that differ say the same.

use super::{Finding, Pair, ReadError, Side, Window, bytes::failed};

/// Largest document that is read: its value takes some ten times as much memory.
const MAX: u64 = 8 << 20;

/// Whether a file that begins with `head` could be a JSON object or array.
pub(super) fn is_json(head: &[u8]) -> bool {
    matches!(head.trim_ascii_start(), [b'{' | b'[', ..])
}

/// Says so when both are JSON and have the same value. Names that occur twice in one object are no such thing.
pub(super) fn compare(pair: Pair<Window<'_>>) -> Result<Option<Finding>, ReadError> {
    if pair.a.size().max(pair.b.size()) > MAX {
        return Ok(None);
    }
    let value = |side: Side| -> Result<Option<serde_json::Value>, ReadError> {
        let window = *pair.of(side);
        let bytes = window.to_vec().map_err(failed(side, window.start()))?;
        Ok(serde_json::from_slice(&bytes).ok())
    };
    let (Some(a), Some(b)) = (value(Side::A)?, value(Side::B)?) else { return Ok(None) };
    Ok((a == b).then_some(Finding::SameValue { format: "JSON" }))
}
