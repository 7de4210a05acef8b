//! How bytes from outside are shown in messages: escaped, and never long.

/// At most this much of a foreign text enters a message.
const SHOWN: usize = 120;

/// `bytes` in double quotes, with everything but printable ASCII escaped, cut after 120 bytes.
///
/// Messages end up in terminals, logs and CI annotations; a name must not be able to steer those.
pub fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(head) if bytes.len() > SHOWN => format!("\"{}\"…", head.escape_ascii()),
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}
