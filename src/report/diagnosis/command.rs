//! A command line as a person would type it, made safe for a terminal.

use crate::{diagnose::trace::Process, report::escape::escape_bytes};

/// Letters of a command line that are shown.
const LONGEST: usize = 400;

/// The command line, words that need it in quotes; cut when it is long.
pub(super) fn line(process: &Process) -> String {
    let words: Vec<String> = process.command.iter().map(|word| quoted(word)).collect();
    let line = without_hashes(&words.join(" "));
    let cut = line.char_indices().nth(LONGEST).map(|(at, _)| at);
    match cut {
        Some(at) => format!("{}…", &line[..at]),
        None if process.cut => format!("{line}…"),
        None => line,
    }
}

/// The command line of `b` for who has just seen that of `a`: only what differs, when that is little.
pub(super) fn beside(a: &Process, b: &Process) -> String {
    let differ: Vec<_> = a.command.iter().zip(&b.command).filter(|(a, b)| a != b).collect();
    if a.command.len() != b.command.len() || differ.len() > 3 {
        return line(b);
    }
    let instead = |(a, b): &(&Vec<u8>, &Vec<u8>)| format!("{} for {}", quoted(b), quoted(a));
    let told = match differ.as_slice() {
        [] => "the same".to_owned(),
        words => format!("the same, with {}", words.iter().map(instead).collect::<Vec<_>>().join(", ")),
    };
    if told.len() > LONGEST { line(b) } else { told }
}

/// The name of the program, without its folder.
pub(super) fn name(process: &Process) -> String {
    let path = process.command.first().map_or(&b""[..], Vec::as_slice);
    escape_bytes(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path))
}

/// A line in which every `/nix/store/<hash>-name` is `…-name`: the document has them whole.
fn without_hashes(line: &str) -> String {
    const STORE: &str = "/nix/store/";
    const HASH: usize = 32;
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(STORE) {
        let behind = at + STORE.len();
        let hash =
            rest.get(behind..behind + HASH).filter(|hash| hash.bytes().all(|b| b.is_ascii_alphanumeric()));
        let dash = hash.is_some() && rest.as_bytes().get(behind + HASH) == Some(&b'-');
        let (kept, next) = if dash { (&rest[..at], behind + HASH) } else { (&rest[..behind], behind) };
        out.push_str(kept);
        if dash {
            out.push('…');
        }
        rest = &rest[next..];
    }
    out + rest
}

fn quoted(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_~^".contains(byte) || *byte >= 0x80;
    let text = escape_bytes(word);
    if !word.is_empty() && word.iter().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_second_command_line_only_what_differs_is_shown() {
        let process = |words: &[&str]| Process {
            command: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            cut: false,
            folder: None,
        };
        let a = process(&["/bin/as", "-o", "x.o", "/tmp/ccAA.s"]);
        assert_eq!(beside(&a, &a), "the same");
        let b = process(&["/bin/as", "-o", "x.o", "/tmp/ccBB.s"]);
        assert_eq!(beside(&a, &b), "the same, with /tmp/ccBB.s for /tmp/ccAA.s");
        assert_eq!(beside(&a, &process(&["cat"])), "cat");
        assert_eq!((name(&a), name(&process(&[]))), ("as".to_owned(), String::new()));
        let path = "/nix/store/igww247mss2fv1fhfgkz4vcp6zx4s0ij-gcc/bin/cc";
        assert_eq!(
            line(&process(&[path, "/nix/store/x", "-I/nix/store"])),
            "…-gcc/bin/cc /nix/store/x -I/nix/store"
        );
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_need_it_and_nothing_moves_the_cursor() {
        let words: [&[u8]; 5] = [b"sh", b"-c", b"echo 'x'\n\x1b[2J", b"", b"-DX=1"];
        let command = words.map(<[u8]>::to_vec).to_vec();
        let process = Process { command, cut: false, folder: None };
        assert_eq!(line(&process), r"sh -c 'echo '\''x'\''\x0a\x1b[2J' '' -DX=1");
        let long = Process { command: vec![vec![b'x'; 1000]], cut: false, folder: None };
        assert_eq!(line(&long).chars().count(), LONGEST + 1);
    }
}
