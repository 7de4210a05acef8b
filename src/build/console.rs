//! The builder's log, out of the console of its machine.
//!
//! `init` writes a line `@reprove begin` before the log and a line break and `@reprove end` behind it; in between it
//! may put `@reprove beat <seconds>` on a line of its own, with a line break before it that is not the builder's.
//! A builder can write such lines too: that confuses its own log and nothing else.

const BEGIN: &[u8] = b"@reprove begin";
const END: &[u8] = b"\n@reprove end";
const BEAT: &[u8] = b"\n@reprove beat ";

/// The builder's log; what there is of it when the end is missing, nothing when it never began.
pub fn log(console: &[u8]) -> Vec<u8> {
    let Some(begin) = find_line(console, BEGIN) else { return Vec::new() };
    let after = &console[begin + BEGIN.len()..];
    // A terminal that turns line breaks into two characters did so in the first line too.
    let cooked = after.first() == Some(&b'\r');
    let text = after.strip_prefix(if cooked { b"\r\n".as_slice() } else { b"\n" }).unwrap_or_default();
    let text = if cooked { bstr::ByteSlice::replace(text, "\r\n", "\n") } else { text.to_vec() };
    let end = bstr::ByteSlice::rfind(text.as_slice(), END).unwrap_or(text.len());
    without_beats(&text[..end])
}

fn find_line(text: &[u8], line: &[u8]) -> Option<usize> {
    if text.starts_with(line) {
        return Some(0);
    }
    bstr::ByteSlice::find(text, [b"\n".as_slice(), line].concat()).map(|at| at + 1)
}

fn without_beats(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some(at) = bstr::ByteSlice::find(text, BEAT) {
        let rest = &text[at + BEAT.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 && rest.get(digits) == Some(&b'\n') {
            out.extend_from_slice(&text[..at]);
            text = &rest[digits + 1..];
        } else {
            // Not a beat: keep it, and look on behind its line break.
            out.extend_from_slice(&text[..=at]);
            text = &text[at + 1..];
        }
    }
    out.extend_from_slice(text);
    out
}

/// The last `lines` lines of a text, at most `bytes` bytes of them, escaped for a terminal.
pub fn tail(text: &[u8], lines: usize, bytes: usize) -> Vec<String> {
    let text = &text[text.len().saturating_sub(bytes)..];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut out: Vec<String> = text
        .rsplit(|byte| *byte == b'\n')
        .take(lines)
        .map(|line| {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
        })
        .collect();
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_what_the_builder_wrote() {
        let console =
            b"kernel\n@reprove begin\nhello\npart\n@reprove beat 10\nial\n\n@reprove end\npower off\n";
        assert_eq!(log(console), b"hello\npartial\n");
        assert_eq!(log(b"@reprove begin\nx"), b"x");
        assert_eq!(log(b"no start"), b"");
        assert_eq!(log(b"a @reprove begin\nx"), b"");
    }

    #[test]
    fn a_terminal_that_cooks_line_breaks_is_undone_and_one_that_does_not_is_left_alone() {
        assert_eq!(log(b"@reprove begin\r\na\r\nb\r\n\r\n@reprove end\r\n"), b"a\nb\n");
        assert_eq!(log(b"@reprove begin\na\r\nb\n\n@reprove end\n"), b"a\r\nb\n");
    }

    #[test]
    fn a_builder_that_writes_the_marks_confuses_only_its_log() {
        let console = b"@reprove begin\nx\n@reprove end\n@reprove begin\n\n@reprove beat x\n\n@reprove end\n";
        assert_eq!(log(console), b"x\n@reprove end\n@reprove begin\n\n@reprove beat x\n");
    }

    #[test]
    fn t93_tails_are_short_and_steer_no_terminal() {
        let text = b"one\n\x1b[2Jtwo\xff\nthree\r\n";
        assert_eq!(tail(text, 2, 1000), ["\u{fffd}[2Jtwo\u{fffd}", "three"]);
        assert_eq!(tail(&vec![b'x'; 1 << 20], 10, 100)[0].len(), 100);
    }
}
