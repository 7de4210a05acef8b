//! A pair for every cause of the catalogue, made by the real tools in two ways, and compared by the program: the cause comes
//! first, and nothing that is false stands beside it.

#![allow(clippy::unwrap_used)] // what is not as expected ends the test

mod support;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use reprove::diagnose::CATALOGUE;
use serde_json::Value;

/// How the two sides of a pair are made: each line of shell writes `out`, a file or a folder, in a folder with the sources of
/// [`SOURCES`].
struct Case {
    /// The cause that has to be named first.
    id: &'static str,
    a: String,
    b: String,
    /// The other causes that are true of the pair.
    also: &'static [&'static str],
}

/// A case of which one word is different; `WORD` stands for it.
fn case(id: &'static str, script: &str, a: &str, b: &str) -> Case {
    Case { id, a: script.replace("WORD", a), b: script.replace("WORD", b), also: &[] }
}

const SOURCES: &str = r#"
cat >main.c <<'END'
#include <stdio.h>
int parse(int), print(int);
static const char *names[] = {"one", "two", "three", "four"};
const char *name(int i) { return names[i & 3]; }
int main(int c, char **v) {
    double s = 0;
    for (int i = 0; i < c * 100; i++) s += i * 0.5;
    printf("%s %d %d %f\n", name(c), parse(c), print(c), s);
    return 0;
}
END
cat >parse.c <<'END'
int parse(int n) {
    int a[64], s = 0;
    for (int i = 0; i < 64; i++) a[i] = n * i;
    for (int i = 0; i < 64; i++) s += a[i];
    return s;
}
END
printf '#include <stdio.h>\nint print(int n) { puts("printing something"); return n + 7; }\n' >print.c
cat >p.rs <<'END'
mod a { pub fn one(x: &str) -> usize { x.len() + std::env::args().count() } }
mod b { pub fn two(x: usize) -> String { format!("{x} things and {}", x * 2) } }
fn main() { println!("{} {}", b::two(a::one("hello")), file!()); }
END
printf 'def f(x):\n    return x + 1\n' >mod.py
mkdir in
printf one >in/x
printf 'two and more' >in/y
seq 1 2000 >in/z
touch -d @1577836800 in/* in *.py *.c
"#;

const GCC: &str = "gcc -O2 main.c parse.c print.c -o out";
const TAR: &str =
    "tar --format=gnu --sort=name --owner=root:0 --group=root:0 --mode=644 --mtime=@0 -C in -cf out";
const PYC: &str = "python3 -c \"import py_compile as p; p.compile('mod.py', 'out', dfile='WORD', doraise=True, \
                   invalidation_mode=p.PycInvalidationMode.UNCHECKED_HASH)\"";
const MACHO: &str = "clang --target=arm64-apple-macos11 -O2 -c parse.c -o p.o; lld -flavor darwin -arch arm64 \
                     -platform_version macos 11.0 11.0 -dylib -undefined dynamic_lookup -install_name x p.o -o out";

fn store_path(c: &str, name: &str) -> String {
    format!("/nix/store/{}-{name}", c.repeat(32))
}

/// A program with a text in it.
fn program(text: &str) -> String {
    format!("printf 'const char *text(void) {{ return \"{text}\"; }}' >t.c; {GCC} t.c")
}

fn cases() -> Vec<Case> {
    let gcc = |flags: &str| format!("{GCC} {flags}");
    let tar = |flags: &str| format!("{TAR} {flags} x y z");
    let go = support::go::go;
    let folder = |make: &str| format!("mkdir out; cp in/x out/x; {make}");
    let linker = |text: &str| {
        format!(
            "clang -O2 -fuse-ld=lld main.c parse.c print.c -o out; \
             printf 'Linker: LLD {text}\\0clang version 14.0.6\\0' >c; objcopy --update-section .comment=c out"
        )
    };
    let tzdata = |c: &str| go("", &store_path(c, "tzdata-2024a/share/zoneinfo"));
    vec![
        Case { id: "missing-file", a: folder("cp in/y out/y"), b: folder(":"), also: &[] },
        case("file-mode", &folder("chmod WORD out/x"), "755", "644"),
        case("symlink-target", &folder("ln -s WORD out/link"), "x", "y"),
        Case { id: "go-toolchain-patched", a: tzdata("a"), b: tzdata("b"), also: &[] },
        case("nix-store-path", &program("WORD"), &store_path("a", "zlib-1.3"), &store_path("b", "zlib-1.3")),
        Case {
            id: "stripped-after-link",
            a: "gcc -O2 -fuse-ld=lld -Wl,-s main.c parse.c print.c -o out".to_owned(),
            b: "gcc -O2 -fuse-ld=lld -Wl,-s main.c parse.c print.c -o out; strip out".to_owned(),
            also: &[],
        },
        Case { id: "debug-info-kept", a: gcc("-g"), b: gcc("-g; strip -g out"), also: &[] },
        case("interpreter-or-rpath", &gcc("-Wl,-rpath,WORD"), "/opt/one", "/opt/two"),
        case("archive-member-mtime", &tar("--mtime=WORD"), "@1577836800", "@1795264496"),
        case("archive-member-owner", &tar("--owner=WORD"), "one:1", "one:2"),
        case("archive-member-mode", &tar("--mode=WORD"), "755", "775"),
        Case {
            id: "archive-member-order",
            a: "cp -a in/* .; zip -qX out.zip x y z; mv out.zip out".to_owned(),
            b: "cp -a in/* .; zip -qX out.zip z x y; mv out.zip out".to_owned(),
            also: &[],
        },
        case("archive-format", &tar("--format=WORD"), "gnu", "ustar"),
        case(
            "archive-extra-metadata",
            &tar("--format=posix --pax-option=atime:=WORD,exthdr.name=p"),
            "1",
            "2",
        ),
        case("gzip-header", "cd in; touch -d @WORD z; gzip -c z >../out", "100000000", "1700000000"),
        case("deflate-encoder", "seq 1 20000 | gzip -nc WORD >out", "-5", "-6"),
        Case {
            id: "pyc-mtime",
            a: format!("touch -d @1577836800 mod.py; {}", PYC.replace("UNCHECKED_HASH", "TIMESTAMP")),
            b: format!("touch -d @1795264496 mod.py; {}", PYC.replace("UNCHECKED_HASH", "TIMESTAMP")),
            also: &[],
        },
        case("pyc-path", PYC, "/build/one/mod.py", "/build/another/mod.py"),
        case(
            "embedded-build-time",
            &format!(
                "printf 'const char *t = __DATE__ \" \" __TIME__;' >t.c; SOURCE_DATE_EPOCH=WORD {GCC} t.c"
            ),
            "100000000",
            "1700000000",
        ),
        Case {
            id: "compiler-version",
            a: GCC.to_owned(),
            b: GCC.replace("gcc", "clang"),
            also: &["unexplained", "interpreter-or-rpath", "linker-version"],
        },
        Case { id: "linker-version", a: linker("14.0.6"), b: linker("17.0.1"), also: &[] },
        case("cpu-features", &gcc("-g WORD"), "-march=x86-64", "-march=x86-64-v3"),
        case("optimization-level", &gcc("-g WORD"), "-O1", "-O2"),
        // What the function says otherwise is code, and no code is read.
        Case { also: &["unexplained"], ..case("toolchain-config", &go("WORD", "UTC"), "", "-DWIDE") },
        Case {
            also: &["unexplained"],
            ..case("codegen-units", "rustc -g -C codegen-units=WORD p.rs -o out", "1", "4")
        },
        case(
            "coverage-stamp",
            "gcc --coverage -c parse.c -o parse.o; cp parse.gcno out; touch WORD",
            "x",
            "y",
        ),
        case("link-order", "gcc -O2 WORD -o out", "main.c parse.c print.c", "print.c parse.c main.c"),
        case("build-user-or-host", &program("built by WORD"), "nixbld1@alpha", "nixbld7@beta"),
        case(
            "build-path",
            "mkdir -p WORD; cp *.c WORD; cd WORD; gcc -O2 -g main.c parse.c print.c -o out; mv out \"$OLDPWD\"",
            "one",
            "some/longer/path",
        ),
        case("line-endings", "sed 's/$/WORD/' in/z >out", "", "\\r"),
        case("unordered-output", "sort -R --random-source=WORD in/z >out", "main.c", "in/z"),
        Case {
            id: "locale-order",
            a: "printf '%s\\n' Makefile zeta alpha README bin | LC_ALL=C sort >out".to_owned(),
            // As `sort` in en_US.UTF-8 gives it; the locale itself may not be installed.
            b: "printf '%s\\n' Makefile zeta alpha README bin | LC_ALL=C sort -f >out".to_owned(),
            also: &[],
        },
        case(
            "parallelism",
            "printf 'all:\\n\\t@echo $(MAKEFLAGS) >out\\n' >m; make -s -jWORD -f m",
            "2",
            "16",
        ),
        case("symbol-hash", "rustc -O -C metadata=WORD p.rs -o out", "one", "two"),
        case("random-seed", "cat /proc/sys/kernel/random/uuid >out; touch WORD", "x", "y"),
        case("build-id-random", &gcc("-Wl,--build-id=uuid; touch WORD"), "x", "y"),
        case(
            "code-signature",
            &format!("{MACHO}; printf WORD | dd of=out conv=notrunc bs=1 seek=$(($(stat -c %s out) - 1))"),
            "a",
            "b",
        ),
        case(
            "debug-link",
            &gcc("; strip -g out; printf WORD >x.debug; objcopy --add-gnu-debuglink=x.debug out"),
            "one",
            "two",
        ),
        case(
            "address-shift",
            &gcc("-no-pie -Wl,--build-id=none -Wl,-Ttext-segment=WORD"),
            "0x500000",
            "0x600000",
        ),
        case(
            "unexplained",
            "python3 -c 'import hashlib; open(\"out\", \"wb\").write(b\"\".join(hashlib.sha256(b\"%d WORD\" % n).digest() for n in range(64)))'",
            "one",
            "two",
        ),
    ]
}

/// Makes one side in a folder of its own name, so that both are made in the same place.
fn make(work: &Path, script: &str, to: &Path) -> Result<(), String> {
    let _ = fs::remove_dir_all(work);
    fs::create_dir_all(work).unwrap();
    let script = format!("{SOURCES}\n({script}\n)\nmv out '{}'", to.display());
    let output = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(work)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{said}\nmissing programs: scripts/install-deps --tests")),
    }
}

/// Compares a pair by the program; the ids of the causes, and of those that only follow from others.
fn causes(folder: &Path, case: &Case) -> Result<(Vec<String>, Vec<String>), String> {
    let [a, b] = ["a", "b"].map(|side| folder.join(side));
    make(&folder.join("work"), &case.a, &a)?;
    make(&folder.join("work"), &case.b, &b)?;
    let output = Command::new(env!("CARGO_BIN_EXE_reprove"))
        .args(["diff", "--json", "-"])
        .args([&a, &b])
        .env("REPROVE_STATE", folder.join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.code() != Some(104) {
        return Err(format!("{:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    support::schema::check("diff", &document);
    let ids = |derived: bool| {
        let all = document["causes"].as_array().unwrap().iter();
        let of_kind = all.filter(|cause| cause["derived"].as_bool() == Some(derived));
        of_kind.map(|cause| cause["id"].as_str().unwrap().to_owned()).collect()
    };
    Ok((ids(false), ids(true)))
}

#[test]
fn every_cause_comes_first_where_it_is_the_cause_and_nothing_false_beside_it() {
    let cases = cases();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        let (found, follow) = match causes(folder.path(), case) {
            Ok(both) => both,
            Err(why) => {
                wrong.push(format!("{}: {why}", case.id));
                continue;
            }
        };
        let _ = writeln!(table, "{:24} {:40} follows: {}", case.id, found.join(" "), follow.join(" "));
        let others: Vec<&str> = found.iter().skip(1).map(String::as_str).collect();
        if found.first().is_none_or(|first| first != case.id)
            || others.iter().any(|id| !case.also.contains(id))
        {
            wrong.push(format!("{}: {found:?}", case.id));
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let covered: BTreeSet<&str> = cases.iter().map(|case| case.id).collect();
    let all: BTreeSet<&str> = CATALOGUE.iter().map(|entry| entry.id).collect();
    assert_eq!(covered, all);
}

#[test]
fn a_strip_after_the_link_is_named_beside_another_cause_and_symbols_are_told_from_it() {
    let with = |c: &str, flags: &str| format!("{} {flags}", program(&store_path(c, "zlib-1.3")));
    let (bare, whole) = ("-fuse-ld=lld -Wl,-s", "-fuse-ld=lld");
    let stripped = |strip: &str, flags: &str| format!("{}; {strip} out", with("b", flags));
    for (a, b, expected) in [
        // Nothing was left to strip on either side: only the section table is another one.
        (with("a", bare), stripped("strip", bare), &["nix-store-path", "stripped-after-link"][..]),
        (with("a", bare), stripped("llvm-strip", bare), &["nix-store-path", "stripped-after-link"]),
        (with("a", bare), with("b", bare), &["nix-store-path"]),
        (with("a", whole), stripped("strip", whole), &["nix-store-path", "debug-info-kept"]),
        // GNU ld writes the table that GNU strip writes, and nobody stripped anything after it.
        (with("a", "-s"), with("a", bare), &["linker-version"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (found, _) = causes(folder.path(), &Case { id: expected[0], a, b, also: &[] }).unwrap();
        assert_eq!(found, expected);
    }
}
