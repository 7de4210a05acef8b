//! Recognises in bytes the things that builds embed: store paths, dates, paths, people, compilers.

use std::{ops::Range, sync::LazyLock};

use regex::bytes::{Regex, RegexBuilder};

use super::Confidence;

/// What recognises one kind of thing.
pub(super) struct Recogniser {
    /// The cause it speaks for.
    pub cause: &'static str,
    pattern: LazyLock<Regex>,
    judge: fn(&[u8]) -> Option<Confidence>,
    /// Whether it counts when only one side has it. Where both must have it, a new path or number says nothing.
    pub alone: bool,
    /// Whether two of its kind can be the same thing in two builds.
    pub same: fn(&[u8], &[u8]) -> bool,
}

/// A thing found: where in the bytes, and how sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub range: Range<usize>,
    pub confidence: Confidence,
}

impl Recogniser {
    /// Everything of its kind in `bytes`. Bytes that are no ASCII separate, as control characters do.
    pub fn find(&self, bytes: &[u8]) -> Vec<Token> {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        self.pattern
            .find_iter(bytes)
            // A number is whole or it is another number.
            .filter(|found| !(digit(found.start()) && found.start() > 0 && digit(found.start() - 1)))
            .filter(|found| !(digit(found.end() - 1) && digit(found.end())))
            .filter_map(|found| {
                let confidence = (self.judge)(found.as_bytes())?;
                Some(Token { range: found.range(), confidence })
            })
            .collect()
    }
}

/// All recognisers, the most specific first: what one of them takes the later ones do not see.
pub(super) static RECOGNISERS: [Recogniser; 8] = [
    Recogniser {
        cause: "nix-store-path",
        pattern: LazyLock::new(|| compile(r"(?:/nix/store/)?[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]{1,211}")),
        judge: |_| Some(Confidence(95)),
        alone: true,
        same: any,
    },
    Recogniser {
        cause: "embedded-build-time",
        pattern: LazyLock::new(|| compile(&dates())),
        judge: judge_date,
        alone: false,
        same: any,
    },
    Recogniser {
        cause: "linker-version",
        pattern: LazyLock::new(|| {
            compile(r"(?:Linker: )?LLD (?:version )?[0-9][0-9A-Za-z.-]*|\bmold [0-9]+\.[0-9.]+")
        }),
        judge: |_| Some(Confidence(85)),
        alone: false,
        same: any,
    },
    Recogniser {
        cause: "compiler-version",
        pattern: LazyLock::new(|| {
            compile(concat!(
                r"GCC: \([^)]{1,80}\) [0-9][0-9.]*|GNU (?:C|C\+\+|AS|Fortran)[0-9]* [0-9][0-9.]*|",
                r"(?:clang|rustc|LLVM) version [0-9][0-9A-Za-z.-]*|\bgo1\.[0-9]+(?:\.[0-9]+)?"
            ))
        }),
        judge: |_| Some(Confidence(85)),
        alone: false,
        same: any,
    },
    Recogniser {
        cause: "build-user-or-host",
        pattern: LazyLock::new(|| {
            compile(concat!(
                r"\b[A-Za-z_][A-Za-z0-9_-]{0,31}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}|",
                r"Linux (?:[A-Za-z0-9.-]+ )?[0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.+~_-]*|",
                r"(?i:(?:host ?name|build ?host|user ?name|build ?user|built (?:by|on))[ =:]+[A-Za-z0-9_.-]+(?:@[A-Za-z0-9.-]+)?)"
            ))
        }),
        judge: |_| Some(Confidence(80)),
        alone: false,
        same: any,
    },
    Recogniser {
        cause: "build-path",
        pattern: LazyLock::new(|| compile(r"(?:/[A-Za-z0-9._+~@=,-]+){2,}/?|/(?:build|tmp|root)\b")),
        judge: judge_path,
        alone: false,
        same: same_file,
    },
    Recogniser {
        cause: "parallelism",
        pattern: LazyLock::new(|| {
            compile(concat!(
                r"(?:^|[^A-Za-z0-9-])-j ?[0-9]+|--jobs[= ][0-9]+|",
                r"(?i:\b(?:[a-z_]*cores|cpus|jobs|threads|nproc|workers)\b[ =:]{0,3}[0-9]+|\b[0-9]+ (?:cores|cpus|jobs|threads|workers)\b)"
            ))
        }),
        judge: |_| Some(Confidence::MEDIUM),
        alone: false,
        same: any,
    },
    Recogniser {
        cause: "random-seed",
        pattern: LazyLock::new(|| {
            // Version 4 of RFC 9562: all random.
            compile(r"(?i:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})")
        }),
        judge: |_| Some(Confidence(70)),
        alone: false,
        same: any,
    },
];

/// The patterns above are constants of ours, compiled once in a test. They speak of bytes, not of characters.
#[allow(clippy::unwrap_used)]
fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().unwrap()
}

/// The spellings of dates and times that programs write.
fn dates() -> String {
    let weekday = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
    let month = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
    let full = "(?:January|February|March|April|May|June|July|August|September|October|November|December)";
    let day = "(?:0?[1-9]|[12][0-9]|3[01])";
    let year = "(?:19[7-9][0-9]|20[0-9]{2})";
    let time = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-6][0-9]";
    let numeric = "(?:0[1-9]|1[0-2])";
    let zone = "(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}|[+-][0-9]{2}:?[0-9]{2}))?";
    [
        // RFC 2822 and HTTP
        format!("(?:{weekday}, )?{day} {month} {year} {time}{zone}"),
        // date(1), asctime, the kernel
        format!("{weekday} {month} +{day} {time}(?: [AP]M)?(?: [A-Z]{{3,4}})? {year}"),
        // __DATE__, with and without __TIME__
        format!("{month} +{day},? {year}(?:,? (?:at )?{time}{zone})?"),
        format!("{full} {day},? {year}"),
        format!("{day}[ -]{month}[ -]{year}"),
        // ISO 8601
        format!(r"{year}-{numeric}-(?:0[1-9]|[12][0-9]|3[01])(?:[T _]{time}(?:[.,][0-9]+)?{zone})?"),
        format!("{year}/{numeric}/(?:0[1-9]|[12][0-9]|3[01])(?: {time})?"),
        format!("{numeric}/(?:0[1-9]|[12][0-9]|3[01])/{year}"),
        format!("{year}{numeric}(?:0[1-9]|[12][0-9]|3[01])(?:[T.-]?[0-2][0-9][0-5][0-9](?:[0-5][0-9])?Z?)?"),
        // __TIME__
        time.to_owned(),
        // seconds since 1970
        "[0-9]{9,10}".to_owned(),
    ]
    .join("|")
}

/// From 2000 to 2100: a number of nine or ten digits is a time only there.
const PLAUSIBLE: Range<u64> = 946_684_800..4_102_444_800;

fn judge_date(text: &[u8]) -> Option<Confidence> {
    if text.len() <= 10 && text.iter().all(u8::is_ascii_digit) {
        if text.len() == 8 {
            return Some(Confidence(70));
        }
        let seconds = text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let plausible = PLAUSIBLE.contains(&seconds);
        return plausible.then_some(Confidence(65));
    }
    Some(Confidence::HIGH)
}

fn judge_path(text: &[u8]) -> Option<Confidence> {
    if text.starts_with(b"/nix/store/") {
        return None;
    }
    const DIRECTORIES: [&str; 9] = [
        "/build",
        "/tmp/",
        "/home/",
        "/root/",
        "/var/tmp/",
        "/Users/",
        "/private/",
        "/workspace/",
        "/usr/src/",
    ];
    let known = DIRECTORIES.iter().any(|directory| text.starts_with(directory.as_bytes()));
    Some(if known { Confidence(85) } else { Confidence::MEDIUM })
}

fn any(_: &[u8], _: &[u8]) -> bool {
    true
}

/// Whether two paths can be of the same file in two places: files have the same name, and of folders nothing is known.
fn same_file(a: &[u8], b: &[u8]) -> bool {
    let name = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
    let (a, b) = (name(a), name(b));
    let is_file = |name: &[u8]| {
        let end = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        end.len() < name.len() && (1..=4).contains(&end.len()) && end.iter().all(u8::is_ascii_alphabetic)
    };
    a == b || !(is_file(&a) && is_file(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(cause: &str, text: &str) -> Vec<String> {
        let recogniser = RECOGNISERS.iter().find(|recogniser| recogniser.cause == cause).unwrap();
        recogniser.find(text.as_bytes()).into_iter().map(|token| text[token.range].to_owned()).collect()
    }

    #[test]
    fn dates_in_many_spellings() {
        for date in [
            "Nov 21 2026",
            "Jan  1 2020",
            "12:34:56",
            "2026-11-21",
            "2026-11-21T12:34:56Z",
            "2026-11-21 12:34:56.123456789 +0000",
            "Sat, 21 Nov 2026 12:34:56 +0000",
            "Sat Nov 21 12:34:56 UTC 2026",
            "Sat Nov 21 12:34:56 2026",
            "20261121",
            "20261121T123456Z",
            "1795264496",
            "November 21, 2026",
            "21-Nov-2026",
            "2026/11/21",
            "11/21/2026",
        ] {
            assert_eq!(recognised("embedded-build-time", &format!("built {date} here")), [date], "{date}");
        }
    }

    #[test]
    fn numbers_that_are_no_dates() {
        for text in ["0.12.5", "17952644961", "99:99:99", "1234567", "Jan 45 2020", "45:00:00", "000000000"] {
            assert_eq!(recognised("embedded-build-time", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn store_paths_end_where_their_name_ends() {
        let path = "/nix/store/0c5b8vw40d1178xlpddw65q9gf1h2186-tzdata-2024a";
        assert_eq!(recognised("nix-store-path", &format!("x{path}/share/zoneinfo")), [path]);
        // e, o, t and u are not in the alphabet
        assert_eq!(recognised("nix-store-path", "/nix/store/ec5b8vw40d1178xlpddw65q9gf1h2186-x"), [""; 0]);
    }

    #[test]
    fn two_files_of_other_names_are_not_one_file_in_two_places() {
        assert!(same_file(b"/build/a/main.c", b"/tmp/b/main.c"));
        assert!(same_file(b"/build/one", b"/some/longer/path"));
        assert!(same_file(b"/build/hello-2.10", b"/build/hello-2.12"));
        assert!(!same_file(b"/core/src/num/uint_macros.rs", b"/core/src/ptr/const_ptr.rs"));
    }

    #[test]
    fn a_person_is_named_with_the_host() {
        assert_eq!(
            recognised("build-user-or-host", "built by me@host.example, x"),
            ["built by me@host.example"]
        );
        assert_eq!(recognised("build-user-or-host", "built by me"), ["built by me"]);
    }

    #[test]
    fn offsets_stay_behind_bytes_that_are_no_ascii() {
        let bytes = b"\xff\xfe\x0012:34:56";
        let found = RECOGNISERS[1].find(bytes);
        assert_eq!(found[0].range, 3..11);
    }

    #[test]
    fn every_pattern_compiles() {
        for recogniser in &RECOGNISERS {
            assert!(recogniser.find(b"").is_empty());
        }
    }
}
