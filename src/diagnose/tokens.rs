//! Recognises in bytes the things that builds embed: store paths, dates, paths, people, compilers.

use std::{ops::Range, sync::LazyLock};

use regex::bytes::{Regex, RegexBuilder};

use super::Confidence;

/// What recognises one kind of thing.
pub(super) struct Recogniser {
    /// The cause it speaks for.
    pub cause: &'static str,
    pattern: LazyLock<Regex>,
    /// How sure it is, from what stands before it and from itself.
    judge: fn(&[u8], &[u8]) -> Option<Confidence>,
    /// Whether it counts when only one side has it. Where both must have it, a new path or number says nothing.
    pub alone: bool,
    /// Whether two of its kind can be the same thing in two builds.
    pub same: fn(Spelled<'_>, Spelled<'_>) -> bool,
}

/// The text of a thing found, and how sure it is.
pub(super) type Spelled<'a> = (&'a [u8], Confidence);

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
                let confidence = (self.judge)(&bytes[..found.start()], found.as_bytes())?;
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
        judge: |_, _| Some(Confidence(95)),
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
        judge: |_, _| Some(Confidence(85)),
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
        judge: |_, _| Some(Confidence(85)),
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
        judge: |_, _| Some(Confidence(80)),
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
        judge: |_, _| Some(Confidence::MEDIUM),
        alone: false,
        same: any,
    },
    Recogniser {
        cause: "random-seed",
        pattern: LazyLock::new(|| {
            // Version 4 of RFC 9562: all random.
            compile(r"(?i:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})")
        }),
        judge: |_, _| Some(Confidence(70)),
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

fn judge_date(_: &[u8], text: &[u8]) -> Option<Confidence> {
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

/// A path from a root that builds use.
const BUILD_ROOT: Confidence = Confidence(85);
/// The same within a longer word: strings that follow each other without an end between them, as Rust and Go keep
/// them, or the rest of a package's name, as in `go/build/constraint`.
const IN_WORD: Confidence = Confidence(80);

/// A path begins where a word begins, or at a root that builds use. `crypto/internal/fips140` and the address of a
/// page have slashes and no root.
fn judge_path(before: &[u8], text: &[u8]) -> Option<Confidence> {
    if text.starts_with(b"/nix/store/") {
        return None;
    }
    const DIRECTORIES: [&[u8]; 9] = [
        b"/build",
        b"/tmp/",
        b"/home/",
        b"/root/",
        b"/var/tmp/",
        b"/Users/",
        b"/private/",
        b"/workspace/",
        b"/usr/src/",
    ];
    let is_root =
        DIRECTORIES.iter().any(|root| text.starts_with(root) || root.strip_suffix(b"/") == Some(text));
    match (is_root, begins_word(before)) {
        (true, true) => Some(BUILD_ROOT),
        (true, false) => Some(IN_WORD),
        (false, true) => Some(Confidence::MEDIUM),
        (false, false) => None,
    }
}

/// Whether a slash after `before` can be a root: no name, variable or slash ends there. The letter of a compiler's
/// option does, as in `-I/opt/include`.
fn begins_word(before: &[u8]) -> bool {
    match before {
        [.., b'-', b'A'..=b'Z'] => true,
        [.., last] => !last.is_ascii_alphanumeric() && !b"._+~-/})".contains(last),
        [] => true,
    }
}

fn any(_: Spelled<'_>, _: Spelled<'_>) -> bool {
    true
}

/// Whether two paths can be of the same file or folder in two places: the name is the same and stands behind another
/// prefix, or one of them is from a root that builds use and they are not files of two names.
fn same_file((a, sure_a): Spelled<'_>, (b, sure_b): Spelled<'_>) -> bool {
    let name = |path: &[u8]| {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec()
    };
    let names = (name(a), name(b));
    let is_file = |name: &[u8]| {
        let end = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        end.len() < name.len() && (1..=4).contains(&end.len()) && end.iter().all(u8::is_ascii_alphabetic)
    };
    let sure = [sure_a, sure_b];
    let of_build = sure.contains(&BUILD_ROOT) && !sure.contains(&IN_WORD);
    names.0 == names.1 || (of_build && !(is_file(&names.0) && is_file(&names.1)))
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

    /// Whether the path in one text is taken for the path in the other, somewhere else.
    fn is_moved(a: &str, b: &str) -> bool {
        let recogniser = RECOGNISERS.iter().find(|recogniser| recogniser.cause == "build-path").unwrap();
        let [a, b] = [a, b].map(|text| (text.as_bytes(), recogniser.find(text.as_bytes())));
        let [Some(one), Some(two)] = [a.1.first(), b.1.first()] else { return false };
        (recogniser.same)(
            (&a.0[one.range.clone()], one.confidence),
            (&b.0[two.range.clone()], two.confidence),
        )
    }

    #[test]
    fn two_files_of_other_names_are_not_one_file_in_two_places() {
        assert!(is_moved("/build/a/main.c", "/tmp/b/main.c"));
        assert!(is_moved("/build/one", "/some/longer/path"));
        assert!(is_moved("/build/hello-2.10", "/build/hello-2.12"));
        assert!(!is_moved("/build/src/uint_macros.rs", "/build/src/const_ptr.rs"));
        assert!(!is_moved("/core/src/num/uint_macros.rs", "/core/src/ptr/const_ptr.rs"));
    }

    #[test]
    fn a_path_from_any_root_is_the_builds_where_its_end_is_the_same() {
        assert!(is_moved("at /srv/ci/4/src/main.c", "at /opt/src/main.c"));
        assert!(is_moved("-I/opt/one/include/", "-I/opt/two/include/"));
        assert!(is_moved("--map=/opt/one/src", "--map=/srv/src"));
        assert!(!is_moved("/etc/mime.types", "/usr/share/zoneinfo"));
        assert!(!is_moved("/etc/apache/", "/usr/share/"));
    }

    #[test]
    fn names_with_slashes_in_them_have_no_root() {
        assert!(!is_moved(
            "crypto/internal/fips140/nistec.P224Point",
            "crypto/internal/fips140/nistec.P256Point"
        ));
        assert!(!is_moved("golang.org/x/net/idna", "vendor/golang.org/x/net/idna"));
        assert!(!is_moved("https://one.example/a/index.html", "https://two.example/a/index.html"));
        assert!(!is_moved("${out}/lib/x", "$(dev)/include/x"));
        // `build` is a folder of Go's library too.
        assert!(!is_moved("go/build/constraint", "go/build/deps"));
        // Strings of Rust follow each other without an end.
        assert!(is_moved("called/build/one/src/main.rs", "called/build/another/src/main.rs"));
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
