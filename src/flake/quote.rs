//! What `nix` said, made fit for a message of ours.

/// At most this much of what `nix` said enters a message, in bytes; the end is kept, where the error is.
pub const QUOTED: usize = 4096;

/// The last [`QUOTED`] bytes of `text`: without the escape sequences of colours, every other control character
/// escaped, indented lines kept.
pub fn quote(text: &[u8]) -> String {
    let tail = &text[text.len().saturating_sub(QUOTED)..];
    let plain = String::from_utf8_lossy(tail);
    let mut out = String::with_capacity(plain.len());
    if tail.len() < text.len() {
        out.push_str("…\n");
    }
    let mut chars = plain.trim_end().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // A colour: ESC [ digits and semicolons m.
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.peek().is_some_and(|c| c.is_ascii_digit() || *c == ';') {
                    chars.next();
                }
                chars.next_if_eq(&'m');
            }
            '\n' => out.push('\n'),
            c if c.is_control() => out.extend(c.escape_default()),
            // Controls of writing direction reorder what a reader sees.
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

/// The lines of `stderr` that begin with `warning:`, quoted; at most 32.
pub fn warnings(stderr: &[u8]) -> Vec<String> {
    let all = quote(stderr);
    all.lines().filter_map(|line| line.strip_prefix("warning: ")).take(32).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_controls_are_shown() {
        assert_eq!(
            quote(b"\x1b[31;1merror:\x1b[0m no\n  way\r\x1b]0;t\x07\n\n"),
            "error: no\n  way\\r\\u{1b}]0;t\\u{7}"
        );
        assert_eq!(quote("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(quote(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn the_end_is_kept() {
        let mut text = vec![b'x'; 3 * QUOTED];
        text.extend(b"error: here");
        let quoted = quote(&text);
        assert!(quoted.starts_with('…') && quoted.ends_with("error: here") && quoted.len() < QUOTED + 8);
    }

    #[test]
    fn warnings_are_found() {
        let text = b"\x1b[35;1mwarning:\x1b[0m Git tree '/x' is dirty\nerror: no\nwarning: two\n";
        assert_eq!(warnings(text), ["Git tree '/x' is dirty", "two"]);
    }
}
