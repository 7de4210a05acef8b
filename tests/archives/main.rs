//! Archives, compressed and compiled files: pairs that differ in one thing, made by the real tools, and what is said
//! of them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile;
mod images;
mod layouts;
mod pictures;
mod squashfs;
mod writers;

use std::{fs, path::Path, process::Command};

use reprove::{
    diagnose::{Cause, diagnose},
    diff::{Comparison, Limits, Pair, compare_files},
    report::diff::{Detail, write},
};

/// A folder in which tools make files.
struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Self {
        let workshop = Workshop(tempfile::tempdir().unwrap());
        workshop.run("mkdir in && cd in && printf one > x && printf 'two and more' > y && printf 'three\\n' > z && mkdir d && printf 4 > d/w && touch -d @1577836800 x y z d/w d");
        workshop
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a line of shell. A tool that is missing, or fails, fails the test.
    fn run(&self, line: &str) {
        let output = Command::new("sh")
            .args(["-ec", line])
            .current_dir(self.path())
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .env_remove("SOURCE_DATE_EPOCH")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "`{line}` failed (scripts/install-deps --tests installs the tools):\n{text}"
        );
    }

    /// Compares the files `a` and `b` that two lines of shell write.
    fn compare(&self, a: &str, b: &str) -> Seen {
        self.run(a);
        self.run(b);
        let [a, b] = ["a", "b"].map(|name| fs::read(self.path().join(name)).unwrap());
        Seen::of(&a, &b)
    }
}

/// What is found and said of a pair.
struct Seen {
    comparison: Comparison,
    causes: Vec<Cause>,
}

impl Seen {
    fn of(a: &Vec<u8>, b: &Vec<u8>) -> Seen {
        let limits = Limits::default();
        let comparison = compare_files(a, b, &limits).unwrap();
        let causes = diagnose(&comparison, &[]);
        assert_eq!(comparison.identical(), a == b);
        assert!(compare_files(a, a, &limits).unwrap().identical());
        Seen { comparison, causes }
    }

    /// The causes that are not only consequences, the first one first.
    fn ids(&self) -> Vec<&str> {
        self.causes.iter().filter(|cause| !cause.derived).map(|cause| cause.entry.id).collect()
    }

    /// What the terminal shows, without colours.
    fn text(&self) -> String {
        let mut out = Vec::new();
        write(&mut out, Pair::new("a", "b"), &self.comparison, &self.causes, Detail::Short).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    /// Where the first cause shows: members from the outermost, the part, and both texts.
    fn evidence(&self) -> (Vec<String>, String, String, String) {
        let evidence = &self.causes[0].evidence[0];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let quote = |side: &Option<reprove::diagnose::Quote>| text(&side.as_ref().unwrap().text);
        (
            evidence.inside.iter().map(|name| text(name)).collect(),
            evidence.part.clone().unwrap_or_default(),
            quote(&evidence.a),
            quote(&evidence.b),
        )
    }
}

/// What tar is told in all pairs, so that they differ in one thing.
const TAR: &str =
    "tar --format=gnu --sort=name --owner=root:0 --group=root:0 --mode=644 --mtime=@0 -C in -cf";

#[test]
fn tar_members_in_each_thing_that_is_said_of_them() {
    let workshop = Workshop::new();
    for (id, a, b, quotes) in [
        (
            "archive-member-mtime",
            "--mtime=@1577836800",
            "--mtime=@1795264496",
            "1577836800 (2020-01-01 00:00:00 UTC)",
        ),
        ("archive-member-owner", "--owner=one:1", "--owner=one:2", "1"),
        ("archive-member-owner", "--group=one:7", "--group=two:7", "one"),
        ("archive-member-mode", "--mode=755", "--mode=775", "0755"),
        ("archive-format", "--format=gnu", "--format=ustar", "GNU"),
        ("archive-format", "--blocking-factor=20", "--blocking-factor=1", "5632"),
        (
            "archive-extra-metadata",
            "--format=posix --pax-option=atime:=1,exthdr.name=p",
            "--format=posix --pax-option=atime:=2,exthdr.name=p",
            "1",
        ),
    ] {
        let seen = workshop.compare(&format!("{TAR} a {a} x y z d"), &format!("{TAR} b {b} x y z d"));
        assert_eq!(seen.ids(), [id], "{a} and {b}\n{}", seen.text());
        let evidence = seen.evidence();
        assert_eq!(evidence.2, quotes, "{a} and {b}");
    }
}

#[test]
fn members_that_all_differ_alike_are_told_once() {
    let workshop = Workshop::new();
    let seen = workshop.compare(
        &format!("{TAR} a --owner=root:0 --mtime=@1577836800 x y z d"),
        &format!("{TAR} b --owner=nixbld1:30001 --mtime=@1795264496 x y z d"),
    );
    assert_eq!(seen.ids(), ["archive-member-mtime", "archive-member-owner"]);
    insta::assert_snapshot!(seen.text());
}

#[test]
fn tar_members_in_another_order() {
    let workshop = Workshop::new();
    let seen = workshop.compare(
        &format!("{TAR} a --no-recursion x y z d d/w"),
        &format!("{TAR} b --no-recursion z x y d d/w"),
    );
    assert_eq!(seen.ids(), ["archive-member-order"]);
    assert_eq!(seen.evidence(), (vec![], "1 of 5 members, the first".into(), "x".into(), "z".into()));
}

#[test]
fn a_file_in_an_archive_in_a_package_is_found_where_it_is() {
    let workshop = Workshop::new();
    workshop.run("printf 2.0 > debian-binary && touch -d @0 debian-binary");
    let package = |out: &str, date: &str| {
        format!(
            "printf 'made {date}\\nby us\\n' > in/x && touch -d @9 in/x && {TAR} - x y z d | xz > data.tar.xz && rm -f {out} && ar rcD {out} debian-binary data.tar.xz"
        )
    };
    let seen = workshop.compare(&package("a", "Nov 21 2026"), &package("b", "Jan  1 2020"));
    assert_eq!(seen.ids(), ["embedded-build-time"]);
    let (inside, _, a, b) = seen.evidence();
    assert_eq!(inside, ["data.tar.xz", "x"]);
    assert_eq!((a.as_str(), b.as_str()), ("Nov 21 2026", "Jan  1 2020"));
    insta::assert_snapshot!(seen.text());
}

#[test]
fn members_that_one_side_lacks_or_calls_otherwise() {
    let workshop = Workshop::new();
    workshop.run("cp -r in other && mv other/y other/renamed");
    let other = TAR.replace("-C in", "-C other");
    let seen = workshop.compare(&format!("{TAR} a x y z"), &format!("{other} b x renamed"));
    assert_eq!(seen.ids(), ["missing-file", "archive-format"], "{}", seen.text());
    let text = seen.text();
    assert!(text.contains("the same contents, called y in a, renamed in b"), "{text}");
    assert!(text.contains("only in a: file of 6 bytes"), "{text}");
}

#[test]
fn long_names_in_every_format() {
    let workshop = Workshop::new();
    let long = "n".repeat(60);
    workshop.run(&format!("mkdir -p in/{long}/{long} && printf old > in/{long}/{long}/f"));
    for (format, options) in
        [("gnu", ""), ("ustar", ""), ("posix", "--pax-option=exthdr.name=p,delete=atime,delete=ctime")]
    {
        let make = |out: &str, text: &str| {
            format!("printf {text} > in/{long}/{long}/f && {TAR} {out} --format={format} {options} {long}")
        };
        let seen = workshop.compare(&make("a", "old"), &make("b", "new"));
        assert_eq!(seen.ids(), ["unexplained"], "{format}");
        assert_eq!(seen.evidence().0, [format!("{long}/{long}/f")], "{format}");
    }
}

#[test]
fn static_libraries() {
    let workshop = Workshop::new();
    workshop.run("cp in/x in/a_very_long_name_of_an_object.o && printf 'int one(void){return 1;}' > one.c && cc -c one.c -o in/one.o && cd in && touch -d @5 ./*");
    let ar = |out: &str, flags: &str, members: &str| {
        format!("cd in && rm -f ../{out} && ar {flags} ../{out} {members}")
    };
    let all = "x one.o a_very_long_name_of_an_object.o";
    let seen =
        workshop.compare(&ar("a", "rcU", all), &format!("touch -d @7 in/one.o && {}", ar("b", "rcU", all)));
    assert_eq!(seen.ids(), ["archive-member-mtime"], "{}", seen.text());
    let seen =
        workshop.compare(&ar("a", "rcD", all), &ar("b", "rcD", "a_very_long_name_of_an_object.o one.o x"));
    assert_eq!(seen.ids(), ["archive-member-order"], "{}", seen.text());
    // Without symbols there is no index, which would have the time of now.
    let plain = "x a_very_long_name_of_an_object.o";
    let seen = workshop.compare(
        &format!("chmod 600 in/x && {}", ar("a", "rcU", plain)),
        &format!("chmod 640 in/x && {}", ar("b", "rcU", plain)),
    );
    assert_eq!(seen.ids(), ["archive-member-mode"], "{}", seen.text());
}

#[test]
fn gzip_headers_and_encoders() {
    let workshop = Workshop::new();
    workshop.run("seq 1 20000 > in/numbers");
    let seen = workshop.compare("gzip -nc in/x > a", "touch -d @77 in/x && gzip -c in/x > b");
    assert_eq!(seen.ids(), ["gzip-header"], "{}", seen.text());
    let seen = workshop.compare("gzip -nc -5 in/numbers > a", "gzip -nc -6 in/numbers > b");
    assert_eq!(seen.ids(), ["deflate-encoder"], "{}", seen.text());
    insta::assert_snapshot!(seen.text());
    for (pack, a, b) in [("xz", "-0", "-6"), ("zstd -q", "-1", "-9"), ("bzip2", "-1", "-9")] {
        workshop.run("seq 1 200000 > in/more");
        let seen =
            workshop.compare(&format!("{pack} {a} -c in/more > a"), &format!("{pack} {b} -c in/more > b"));
        assert_eq!(seen.ids(), ["deflate-encoder"], "{pack}: {}", seen.text());
    }
}

#[test]
fn gzip_files_of_several_members() {
    let workshop = Workshop::new();
    let make = |out: &str, text: &str| {
        format!(
            "gzip -nc in/x > {out} && printf 'made {text} here\\n' | gzip -nc >> {out} && gzip -nc in/z >> {out}"
        )
    };
    let seen = workshop.compare(&make("a", "Nov 21 2026"), &make("b", "Jan  1 2020"));
    assert_eq!(seen.ids(), ["embedded-build-time"], "{}", seen.text());
    let seen = workshop
        .compare("printf onetwo | gzip -nc > a", "printf one | gzip -nc > b; printf two | gzip -nc >> b");
    assert!(seen.ids().contains(&"deflate-encoder"), "{}", seen.text());
}

#[test]
fn zip_archives() {
    let workshop = Workshop::new();
    let zip = |out: &str, flags: &str, members: &str| {
        format!(
            "cd in && rm -f ../{out}.zip && zip -q {flags} ../{out}.zip {members} && mv ../{out}.zip ../{out}"
        )
    };
    let touched = |line: String| format!("touch -d @1795264496 in/y && {line}");
    let seen = workshop.compare(&zip("a", "-X", "x y z"), &touched(zip("b", "-X", "x y z")));
    assert_eq!(seen.ids(), ["archive-member-mtime"], "{}", seen.text());
    let seen = workshop.compare(&zip("a", "-X", "x y z"), &zip("b", "-X", "z y x"));
    assert_eq!(seen.ids(), ["archive-member-order"], "{}", seen.text());
    let seen = workshop.compare(
        &format!("chmod 600 in/x; {}", zip("a", "-X", "x y z")),
        &format!("chmod 644 in/x; {}", zip("b", "-X", "x y z")),
    );
    assert_eq!(seen.ids(), ["archive-member-mode"], "{}", seen.text());
    workshop.run("seq 1 20000 > in/n && touch -d @1577836800 in/n");
    let seen = workshop.compare(&zip("a", "-X -9", "n"), &zip("b", "-X -0", "n"));
    assert_eq!(seen.ids()[0], "archive-format", "{}", seen.text());
    let seen = workshop.compare(&zip("a", "-X -1", "n"), &zip("b", "-X -9", "n"));
    assert_eq!(seen.ids(), ["deflate-encoder"], "{}", seen.text());
    let seen = workshop.compare(&zip("a", "-X -5", "n"), &zip("b", "-X -6", "n"));
    assert_eq!(seen.ids(), ["deflate-encoder"], "{}", seen.text());
    let seen = workshop.compare(&zip("a", "-X", "x"), &zip("b", "", "x"));
    assert_eq!(seen.ids()[0], "archive-member-mtime", "{}", seen.text());
    // Written as a stream: sizes behind the contents, and in zip64's way.
    let stream = |out: &str, text: &str| format!("printf '{text}' | zip -q -X - - > {out}");
    let seen = workshop.compare(&stream("a", "on Nov 21 2026 it was"), &stream("b", "on Jan  1 2020 it was"));
    assert!(seen.ids().contains(&"embedded-build-time"), "{}", seen.text());
}

#[test]
fn cpio_archives() {
    let workshop = Workshop::new();
    let cpio = |out: &str, flags: &str, members: &str| {
        format!(
            "cd in && printf '%s\\n' {members} | cpio --quiet -H newc --reproducible -o {flags} > ../{out}"
        )
    };
    let seen = workshop.compare(
        &cpio("a", "-R 0:0", "x y z"),
        &format!("touch -d @77 in/y && {}", cpio("b", "-R 0:0", "x y z")),
    );
    assert_eq!(seen.ids(), ["archive-member-mtime"], "{}", seen.text());
    let seen = workshop.compare(&cpio("a", "-R 0:0", "x y z"), &cpio("b", "-R 7:0", "x y z"));
    assert_eq!(seen.ids(), ["archive-member-owner"], "{}", seen.text());
    let seen = workshop
        .compare(&cpio("a", "-R 0:0", "x y z"), &cpio("b", "-R 0:0", "z x y").replace("--reproducible", ""));
    assert!(seen.ids().contains(&"archive-member-order"), "{}", seen.text());
    assert!(seen.ids().contains(&"archive-extra-metadata"), "{}", seen.text());
    // Initial file systems: a plain archive, and a compressed one behind it.
    let initrd = |out: &str, date: &str| {
        format!(
            "printf 'made {date}\\n' > in/x; touch -d @5 in/x; {}; {}; cat early late.gz > {out}",
            format_args!("({})", cpio("early", "-R 0:0", "y")),
            format_args!("({}; cd ..; gzip -nc late > late.gz)", cpio("late", "-R 0:0", "x"))
        )
    };
    let seen = workshop.compare(&initrd("a", "Nov 21 2026"), &initrd("b", "Jan  1 2020"));
    assert_eq!(seen.ids(), ["embedded-build-time"], "{}", seen.text());
}

#[test]
fn compiled_python() {
    let workshop = Workshop::new();
    workshop.run("printf 'def f(x):\\n    return x + 1\\n' > in/mod.py");
    let compile = |out: &str, before: &str, path: &str, mode: &str| {
        format!(
            "{before}; python3 -c \"import py_compile as p; p.compile('in/mod.py', '{out}', dfile='{path}', doraise=True, invalidation_mode=p.PycInvalidationMode.{mode})\""
        )
    };
    let seen = workshop.compare(
        &compile("a", "touch -d @1577836800 in/mod.py", "mod.py", "TIMESTAMP"),
        &compile("b", "touch -d @1795264496 in/mod.py", "mod.py", "TIMESTAMP"),
    );
    assert_eq!(seen.ids(), ["pyc-mtime"], "{}", seen.text());
    for path in ["/build/source-2/mod.py", "/build/other-1/mod.py"] {
        let seen = workshop.compare(
            &compile("a", ":", "/build/source-1/mod.py", "UNCHECKED_HASH"),
            &compile("b", ":", path, "UNCHECKED_HASH"),
        );
        assert_eq!(seen.ids(), ["pyc-path"], "{}", seen.text());
        assert_eq!(seen.evidence().3, path);
    }
    let seen = workshop.compare(
        &compile("a", "printf 'x = 1\\n' > in/mod.py", "mod.py", "UNCHECKED_HASH"),
        &compile("b", "printf 'x = 2\\n' > in/mod.py", "mod.py", "UNCHECKED_HASH"),
    );
    assert_eq!(seen.ids(), ["unexplained"], "{}", seen.text());
}

#[test]
fn a_wheel_names_the_file_and_not_the_list_of_hashes() {
    let workshop = Workshop::new();
    let wheel = |out: &str, date: &str| {
        format!(
            "rm -rf w {out} && mkdir -p w/p w/p-1.dist-info && printf 'DATE = \"{date}\"\\n' > w/p/__init__.py && (cd w && sha256sum p/__init__.py > p-1.dist-info/RECORD && find . -exec touch -d @1577836800 {{}} + && zip -q -X ../{out}.zip p/__init__.py p-1.dist-info/RECORD) && mv {out}.zip {out}"
        )
    };
    let seen = workshop.compare(&wheel("a", "Nov 21 2026"), &wheel("b", "Jan  1 2020"));
    assert_eq!(seen.ids(), ["embedded-build-time"], "{}", seen.text());
    assert_eq!(seen.evidence().0, ["p/__init__.py"]);
}

#[test]
fn files_compressed_by_two_programs() {
    let workshop = Workshop::new();
    let seen = workshop.compare(&format!("{TAR} - x y z | gzip -n > a"), &format!("{TAR} - x y z | xz > b"));
    assert_eq!(seen.ids(), ["archive-format"], "{}", seen.text());
    let make = |out: &str, date: &str, pack: &str| {
        format!("printf 'made {date}\\n' > in/x; touch -d @5 in/x; {TAR} - x y | {pack} > {out}")
    };
    let seen = workshop.compare(&make("a", "Nov 21 2026", "zstd -q"), &make("b", "Jan  1 2020", "bzip2"));
    assert_eq!(seen.ids(), ["archive-format", "embedded-build-time"], "{}", seen.text());
}

#[test]
fn nars_as_files() {
    use reprove::store::write_nar;
    let workshop = Workshop::new();
    let pack = |name: &str| {
        let nar = write_nar(&workshop.path().join("in"), Vec::new()).unwrap();
        fs::write(workshop.path().join(name), nar).unwrap();
    };
    pack("one.nar");
    workshop.run("cd in && chmod +x x && printf 'on Nov 21 2026 it was' > y && ln -s elsewhere link");
    pack("two.nar");
    let seen = workshop.compare("xz -c one.nar > a", "xz -c two.nar > b");
    let ids = seen.ids();
    for id in ["missing-file", "archive-member-mode", "unexplained"] {
        assert!(ids.contains(&id), "{id}: {}", seen.text());
    }
}

#[test]
fn text_in_another_order() {
    let lines = |lines: &[&str]| format!("{}\n", lines.join("\n")).into_bytes();
    for (id, a, b) in [
        ("locale-order", lines(&["B", "a", "c"]), lines(&["a", "B", "c"])),
        (
            "locale-order",
            lines(&["Makefile", "README", "bin/x", "data"]),
            lines(&["bin/x", "data", "Makefile", "README"]),
        ),
        ("unordered-output", lines(&["c", "a", "b"]), lines(&["b", "c", "a"])),
        ("unordered-output", b"{\"a\": 1,\n \"b\": [1, 2]}\n".to_vec(), b"{\"b\":[1,2],\"a\":1}\n".to_vec()),
        ("line-endings", b"one\r\ntwo\r\n".to_vec(), b"one\ntwo\n".to_vec()),
    ] {
        let seen = Seen::of(&a, &b);
        assert_eq!(seen.ids(), [id], "{}", seen.text());
    }
    let seen = Seen::of(&b"{\"a\": 1,\n \"b\": [1, 2]}\n".to_vec(), &b"{\"b\":[2,1],\"a\":1}\n".to_vec());
    assert_eq!(seen.ids(), ["unexplained"], "{}", seen.text());
}

#[test]
fn sort_1_in_two_locales() {
    let workshop = Workshop::new();
    workshop.run("printf 'Makefile\\nzeta\\nalpha\\nREADME\\nbin\\n' > lines");
    // As `sort` in en_US.UTF-8 gives it; the locale itself may not be installed.
    let seen = workshop.compare("LC_ALL=C sort lines > a", "LC_ALL=C sort -f lines > b");
    assert_eq!(seen.ids(), ["locale-order"], "{}", seen.text());
}

#[test]
fn a_debian_package_names_the_file_and_not_its_list_of_sums() {
    let workshop = Workshop::new();
    let package = |out: &str, date: &str| {
        format!(
            "rm -rf p {out} && mkdir p p/usr && printf 2.0 > debian-binary && printf 'made {date}\\n' > p/usr/x && \
             (cd p && md5sum usr/x > md5sums && touch -d @7 usr/x md5sums ../debian-binary usr) && \
             tar -C p --owner=0 --group=0 -c ./md5sums | xz > control.tar.xz && tar -C p --owner=0 --group=0 -c ./usr | xz > data.tar.xz && \
             ar rcD {out} debian-binary control.tar.xz data.tar.xz"
        )
    };
    let seen = workshop.compare(&package("a", "Nov 21 2026"), &package("b", "Jan  1 2020"));
    assert_eq!(seen.ids(), ["embedded-build-time"], "{}", seen.text());
    assert_eq!(seen.evidence().0, ["data.tar.xz", "./usr/x"]);
}

#[test]
fn the_manifest_of_a_jar_says_who_built_it() {
    let workshop = Workshop::new();
    let jar = |out: &str, user: &str| {
        format!(
            "rm -rf j {out} && mkdir -p j/META-INF && printf 'Manifest-Version: 1.0\\nBuilt-By: {user}@host\\n' > j/META-INF/MANIFEST.MF && \
             (cd j && find . -exec touch -d @1577836800 {{}} + && zip -q -X ../{out}.zip META-INF/MANIFEST.MF) && mv {out}.zip {out}"
        )
    };
    let seen = workshop.compare(&jar("a", "alice"), &jar("b", "bob"));
    assert_eq!(seen.ids(), ["build-user-or-host"], "{}", seen.text());
    assert_eq!(seen.evidence().0, ["META-INF/MANIFEST.MF"]);
}
