//! Text from outside, made safe for a terminal.

use std::fmt::Write as _;

/// `text` with every control character written as `\x1b`-like escapes, so that nothing in a log, a file name or a
/// derivation can move the cursor, colour the screen or start a line of its own. Bidirectional overrides, which
/// reorder what a reader sees, are escaped as well. Printable text, any script, stays.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            c if c.is_control() && (c as u32) < 0x100 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || is_reordering(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Like [`escape`] for bytes that need not be UTF-8: what is not is written as `\xff`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Unicode's explicit bidirectional controls, line and paragraph separators (UAX #9, section 2).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(escape("a\x1b[2Jb\r\n\u{7}"), r"a\x1b[2Jb\x0d\x0a\x07");
        assert_eq!(escape("\u{9b}31m"), r"\x9b31m");
        assert_eq!(escape("abc\u{202e}txt.exe"), r"abc\u{202e}txt.exe");
    }

    #[test]
    fn any_script_stays() {
        assert_eq!(escape("größe 日本 ✔"), "größe 日本 ✔");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown() {
        assert_eq!(escape_bytes(b"gr\xf6\xdfe \xe2\x9c\x94\x1b"), r"gr\xf6\xdfe ✔\x1b");
    }
}
