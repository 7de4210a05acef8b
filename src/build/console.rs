//! The builder's log, out of the console of its machine.
//!
//! `init` writes a line `@reprove <run> begin` before the log and a line break and `@reprove <run> end` behind it; in
//! between it may put `@reprove <run> beat <seconds>` on a line of its own, with a line break before it that is not the
//! builder's. `<run>` is the run's token, which a builder is not told: what it prints is no mark.

use super::job::RunId;

/// A line of `init`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The log begins.
    Begin,
    /// The build goes on: guest seconds since it began.
    Beat(u64),
    /// The log ended.
    End,
}

/// Finds the marks in a console that is read line by line while the machine runs.
///
/// The token is taken from the first line that can begin a log: before it nothing of the builder has run.
#[derive(Debug, Default)]
pub struct Marks(Option<String>);

impl Marks {
    /// What `line`, without its line break, means.
    pub fn read(&mut self, line: &str) -> Option<Mark> {
        let (token, what) = line.strip_prefix("@reprove ")?.split_once(' ')?;
        match &self.0 {
            None if what == "begin" => self.0 = Some(token.to_owned()),
            None => return None,
            Some(own) if own != token => return None,
            Some(_) => {}
        }
        match what {
            "begin" => Some(Mark::Begin),
            "end" => Some(Mark::End),
            _ => what.strip_prefix("beat ")?.parse().ok().map(Mark::Beat),
        }
    }
}

/// The builder's log in the console of `run`; what there is of it when the end is missing, nothing when it never began.
pub fn log(console: &[u8], run: &RunId) -> Vec<u8> {
    let mark = |what: &str| format!("@reprove {} {what}", run.hex()).into_bytes();
    let begin = mark("begin");
    let Some(at) = find_line(console, &begin) else { return Vec::new() };
    let after = &console[at + begin.len()..];
    // A terminal that turns line breaks into two characters did so in the first line too.
    let cooked = after.first() == Some(&b'\r');
    let text = after.strip_prefix(if cooked { b"\r\n".as_slice() } else { b"\n" }).unwrap_or_default();
    let text = if cooked { bstr::ByteSlice::replace(text, "\r\n", "\n") } else { text.to_vec() };
    let end = bstr::ByteSlice::find(text.as_slice(), [b"\n", mark("end").as_slice()].concat());
    without_beats(&text[..end.unwrap_or(text.len())], &[b"\n", mark("beat ").as_slice()].concat())
}

fn find_line(text: &[u8], line: &[u8]) -> Option<usize> {
    if text.starts_with(line) {
        return Some(0);
    }
    bstr::ByteSlice::find(text, [b"\n".as_slice(), line].concat()).map(|at| at + 1)
}

fn without_beats(mut text: &[u8], beat: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some(at) = bstr::ByteSlice::find(text, beat) {
        let rest = &text[at + beat.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        out.extend_from_slice(&text[..at]);
        text = rest.get(digits + 1..).unwrap_or_default();
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
    use proptest::prelude::*;

    use super::*;

    const RUN: RunId = RunId([0xcd; 32]);

    /// The console of [`RUN`] for a text in which `#` stands for the token.
    fn console(text: &str) -> Vec<u8> {
        text.replace('#', &RUN.hex()).into_bytes()
    }

    fn log_of(text: &str) -> Vec<u8> {
        log(&console(text), &RUN)
    }

    #[test]
    fn the_log_is_what_the_builder_wrote() {
        let text =
            "kernel\n@reprove # begin\nhello\npart\n@reprove # beat 10\nial\n\n@reprove # end\npower off\n";
        assert_eq!(log_of(text), b"hello\npartial\n");
        assert_eq!(log_of("@reprove # begin\nx"), b"x");
        assert_eq!(log_of("no start"), b"");
        assert_eq!(log_of("a @reprove # begin\nx"), b"");
    }

    #[test]
    fn a_terminal_that_cooks_line_breaks_is_undone_and_one_that_does_not_is_left_alone() {
        assert_eq!(log_of("@reprove # begin\r\na\r\nb\r\n\r\n@reprove # end\r\n"), b"a\nb\n");
        assert_eq!(log_of("@reprove # begin\na\r\nb\n\n@reprove # end\n"), b"a\r\nb\n");
    }

    #[test]
    fn t93_tails_are_short_and_steer_no_terminal() {
        let text = b"one\n\x1b[2Jtwo\xff\nthree\r\n";
        assert_eq!(tail(text, 2, 1000), ["\u{fffd}[2Jtwo\u{fffd}", "three"]);
        assert_eq!(tail(&vec![b'x'; 1 << 20], 10, 100)[0].len(), 100);
    }

    #[test]
    fn marks_without_the_token_are_the_builders() {
        let mut marks = Marks::default();
        let line = |text: &str| String::from_utf8(console(text)).unwrap();
        assert_eq!(marks.read("@reprove - setup failed: x"), None);
        assert_eq!(marks.read(&line("@reprove # begin")), Some(Mark::Begin));
        for forged in
            ["@reprove end", "@reprove x end", "@reprove x begin", "@reprove beat 5", "@reprove  end"]
        {
            assert_eq!(marks.read(forged), None, "{forged}");
        }
        assert_eq!(marks.read(&line("@reprove # beat 20")), Some(Mark::Beat(20)));
        assert_eq!(marks.read(&line("@reprove # end")), Some(Mark::End));
    }

    proptest! {
        /// Also of pieces of marks; of everything but the token.
        #[test]
        fn whatever_a_builder_prints_is_its_log(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "\n", "@reprove ", "begin", "end", "beat ", "10", "x", "\r", " ", "ab",
                "\n@reprove end\n", "@reprove begin\n", "\n@reprove beat 10\n",
            ]), 0..40),
            beat in 0..40usize,
        ) {
            let before = pieces.iter().take(beat).copied().collect::<String>();
            let after = pieces.iter().skip(beat).copied().collect::<String>();
            let text = format!("boot\n@reprove # begin\n{before}\n@reprove # beat 10\n{after}\n@reprove # end\nx");
            prop_assert_eq!(log_of(&text), [before, after].concat().into_bytes());
        }
    }
}
