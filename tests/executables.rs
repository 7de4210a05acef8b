//! Executables that ought to be equal, built in two ways by real compilers, linkers and strip programs: for each cause
//! one pair, and it must come first.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{path::Path, process::Command};

mod support;

use reprove::{
    diagnose::{Cause, diagnose},
    diff::{Comparison, Finding, Limits, Pair, Step, compare_files},
    report::diff::{Detail, document, write},
};
use support::go::go;

const MAIN: &str = r#"
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
"#;
const PARSE: &str = r#"
int parse(int n) {
    int a[64], s = 0;
    for (int i = 0; i < 64; i++) a[i] = n * i;
    for (int i = 0; i < 64; i++) s += a[i];
    return s;
}
int other(int n) { return parse(n) + parse(n + 2); }
"#;
const PRINT: &str = "#include <stdio.h>\nint print(int n) { puts(\"printing something\"); return n + 7; }\n";
const CRATE: &str = r#"
mod a { pub fn one(x: &str) -> usize { x.len() + std::env::args().count() } }
mod b { pub fn two(x: usize) -> String { format!("{x} things and {}", x * 2) } }
fn main() { println!("{} {}", b::two(a::one("hello")), file!()); }
"#;

/// Runs a shell script in a folder with the sources and gives the file `out` that it made.
fn build(folder: &Path, script: &str) -> Vec<u8> {
    for (name, text) in [("main.c", MAIN), ("parse.c", PARSE), ("print.c", PRINT), ("p.rs", CRATE)] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let output = Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap();
    assert!(
        output.status.success(),
        "{script}\n{}\nmissing programs: scripts/install-deps --tests",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(folder.join("out")).unwrap()
}

/// Both in the same folder, one after the other, so that nothing differs but the scripts.
fn pair(a: &str, b: &str) -> Pair<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    Pair::new(build(folder.path(), a), build(folder.path(), b))
}

fn explain(files: &Pair<Vec<u8>>) -> (Comparison, Vec<Cause>) {
    let comparison = compare_files(&files.a, &files.b, &Limits::default()).unwrap();
    let causes = diagnose(&comparison, &[]);
    let mut text = Vec::new();
    write(&mut text, Pair::new("a", "b"), &comparison, &causes, Detail::Short).unwrap();
    eprintln!("{}", String::from_utf8_lossy(&text));
    serde_json::to_value(document(&comparison, &causes, None)).unwrap();
    (comparison, causes)
}

/// The first cause has this id, and nothing is left without a cause.
#[track_caller]
fn assert_explained(a: &str, b: &str, id: &str) -> Vec<Cause> {
    let causes = assert_first(a, b, id);
    assert!(causes.iter().all(|cause| cause.entry.id != "unexplained"), "{id}");
    causes
}

#[track_caller]
fn assert_first(a: &str, b: &str, id: &str) -> Vec<Cause> {
    let (_, causes) = explain(&pair(a, b));
    assert_eq!(causes[0].entry.id, id);
    causes
}

/// What a cause quotes as evidence.
fn quoted(cause: &Cause) -> String {
    let quotes = cause.evidence.iter().flat_map(|evidence| [&evidence.a, &evidence.b]);
    quotes.flatten().map(|quote| String::from_utf8_lossy(&quote.text).into_owned() + "\n").collect()
}

const GCC: &str = "gcc -O2 main.c parse.c print.c -o out";

#[test]
fn stripped_after_link_names_the_program() {
    let link = "gcc -O2 -fuse-ld=lld -Wl,-s main.c parse.c print.c -o out";
    for (strip, name) in [("strip", "GNU strip"), ("llvm-strip", "LLVM strip")] {
        let causes = assert_explained(link, &format!("{link}; {strip} out"), "stripped-after-link");
        assert!(quoted(&causes[0]).contains(name), "{}", quoted(&causes[0]));
    }
}

#[test]
fn debug_information_on_one_side() {
    assert_explained(&format!("{GCC} -g"), &format!("{GCC} -g; strip -g out"), "debug-info-kept");
    for (strip, name) in
        [("strip", "GNU strip"), ("llvm-strip", "LLVM strip"), ("eu-strip", "elfutils strip")]
    {
        let causes = assert_first(&format!("{GCC} -g"), &format!("{GCC} -g; {strip} out"), "debug-info-kept");
        assert!(quoted(&causes[0]).contains(name), "{}", quoted(&causes[0]));
    }
}

#[test]
fn flags_that_debug_information_tells() {
    let with = |flags: &str| format!("{GCC} -g {flags}");
    assert_explained(&with("-O1"), &with("-O2"), "optimization-level");
    assert_explained(&with(""), &with("-march=x86-64-v3"), "cpu-features");
    assert_explained(&with("-frandom-seed=1"), &with("-frandom-seed=2"), "random-seed");
}

#[test]
fn flags_in_compressed_debug_information() {
    let with = |flags: &str| format!("{GCC} -g -gz {flags}");
    assert_explained(&with("-O1"), &with("-O2"), "optimization-level");
}

#[test]
fn the_isa_in_a_property_note() {
    let with = |level: &str| format!("{GCC} -Wl,-z,{level}");
    assert_explained(&with("x86-64-v2"), &with("x86-64-v3"), "cpu-features");
}

#[test]
fn another_path_in_debug_information() {
    let at = |path: &str| format!("mkdir -p {path}; cp *.c {path}; cd {path}; {GCC} -g; mv out \"$OLDPWD\"");
    let causes = assert_explained(&at("one"), &at("some/longer/path"), "build-path");
    assert!(quoted(&causes[0]).contains("some/longer/path"));
}

/// The fields of this name with what both sides say, `none` where one has none.
fn fields(files: &Pair<Vec<u8>>, wanted: &str) -> Vec<(String, [String; 2])> {
    let (comparison, _) = explain(files);
    let mut fields = Vec::new();
    for place in comparison.places() {
        let part = place.part().map(ToString::to_string).unwrap_or_default();
        for finding in &place.difference.found {
            if let Finding::Field { name, values, .. } = finding
                && *name == wanted
            {
                fields.push((part.clone(), [values.a.to_string(), values.b.to_string()]));
            }
        }
    }
    fields
}

const CALLS: &str = "printf 'int one(int), two(int); int f(int n) { return n * %s; } \\
                      int main(void) { return %s(1) + 2; }' ";

#[test]
fn a_relocation_to_another_symbol_is_told_by_type_symbol_and_place() {
    let object =
        |compiler: &str, called: &str| format!("{CALLS} 3 {called} >x.c; {compiler} -c -O2 x.c -o out");
    for (compiler, name) in [
        ("gcc", "R_X86_64_PLT32"),
        ("clang", "R_X86_64_PLT32"),
        ("clang -m32 -fPIC", "R_386_PLT32"),
        ("clang --target=aarch64-linux-gnu", "R_AARCH64_CALL26"),
        ("clang --target=riscv64-linux-gnu -mno-relax", "R_RISCV_CALL_PLT"),
    ] {
        let files = pair(&object(compiler, "one"), &object(compiler, "two"));
        let found = fields(&files, "relocation");
        assert_eq!(found.len(), 1, "{compiler}: {found:?}");
        let (part, [a, b]) = &found[0];
        assert!(part.starts_with(".rel") && part.contains(".text"), "{part}");
        assert!(a.starts_with(&format!("{name} one")) && b.starts_with(&format!("{name} two")), "{a} {b}");
        let place = |text: &str| text.split_once(" at ").unwrap().1.to_owned();
        assert_eq!(place(a), place(b));
        // readelf says the same of it.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        std::fs::write(&file, &files.a).unwrap();
        let listed = Command::new("readelf").arg("-rW").arg(&file).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        // LLVM's older name of the same number.
        let known =
            |line: &&str| line.contains(" one") && (line.contains(name) || line.contains("R_RISCV_CALL"));
        assert!(listed.lines().any(|line| known(&line)), "{listed}");
    }
    // The table of relocations is the same: only what its numbers mean differs.
    let renamed = format!("{}; objcopy --redefine-sym one=two out", object("gcc", "one"));
    let found = fields(&pair(&object("gcc", "one"), &renamed), "relocation");
    assert!(
        matches!(&found[..], [(_, [a, b])] if a.contains(" one-0x4") && b.contains(" two-0x4")),
        "{found:?}"
    );
}

#[test]
fn relocations_that_only_lie_elsewhere_are_no_difference() {
    let object = |factor: &str| format!("{CALLS} {factor} one >x.c; gcc -c -O1 x.c -o out");
    let files = pair(&object("3"), &object("123457"));
    assert!(fields(&files, "relocation").is_empty() && files.a != files.b);
    // A list of names in another order is the same list.
    let at = |path: &str| format!("mkdir -p {path}; cp *.c {path}; cd {path}; {GCC} -g; mv out \"$OLDPWD\"");
    assert!(fields(&pair(&at("one"), &at("some/longer/path")), "relocation").is_empty());
    assert!(fields(&pair(GCC, "gcc -O2 print.c parse.c main.c -o out"), "relocation").is_empty());
}

#[test]
fn a_function_of_another_library_is_told_by_the_dynamic_relocations() {
    let calls = |function: &str| {
        format!(
            "printf '#include <stdio.h>\\nint main(void) {{ {function}(\"x\"); return 0; }}' >x.c; gcc x.c -o out"
        )
    };
    let found = fields(&pair(&calls("perror"), &calls("puts")), "relocation");
    let (_, [a, b]) = &found[0];
    assert!(a.starts_with("R_X86_64_JUMP_SLOT perror at .got"), "{found:?}");
    assert!(b.starts_with("R_X86_64_JUMP_SLOT puts at .got"), "{found:?}");
}

#[test]
fn directories_and_files_of_line_programs_are_named_in_every_version() {
    let header = "static inline int inlined(int n) { return n > 9 ? n * 3 : n - 7; }";
    let made = |compiler: &str, include: &str, file: &str| {
        format!(
            "mkdir -p src {include}; printf '{header}' >{include}/{file}; root=$PWD; cd src; \\
             printf '#include \"{file}\"\\nint main(int c, char **v) {{ return inlined(c); }}' >x.c; \\
             {compiler} -g -I\"$root\"/{include} x.c -o ../out"
        )
    };
    for compiler in ["gcc", "clang"] {
        for version in 2..=5 {
            let compiler = format!("{compiler} -gdwarf-{version}");
            let files = pair(&made(&compiler, "one/include", "h.h"), &made(&compiler, "two/include", "h.h"));
            // Clang writes what lies beside the folder it ran in as a file in that folder's parent.
            let places = ["include_directories", "file_names"].map(|name| fields(&files, name));
            let [(part, [a, b])] = &places.concat()[..] else { panic!("{compiler}: {places:?}") };
            assert_eq!(part, "unit x.c", "{compiler}");
            assert!(a.contains("one/include") && b.contains("two/include"), "{compiler}: {a} {b}");
            if compiler.starts_with("gcc") {
                let (_, causes) = explain(&files);
                assert_eq!((causes[0].entry.id, places[0].len()), ("build-path", 1), "{compiler}");
                assert!(quoted(&causes[0]).contains("/two/include"), "{compiler}");
            }

            let files = pair(&made(&compiler, "inc", "first.h"), &made(&compiler, "inc", "other.h"));
            let found = fields(&files, "file_names");
            let [(_, [a, b])] = &found[..] else { panic!("{compiler}: {found:?}") };
            assert!(a.ends_with("first.h") && b.ends_with("other.h"), "{compiler}: {a} {b}");
        }
    }
    let text = |factor: u32| {
        let made = made("clang -gdwarf-5", "inc", "h.h");
        made.replace("n * 3", &format!("n * {factor}"))
    };
    let found = fields(&pair(&text(3), &text(5)), "DW_LNCT_MD5");
    let [(_, [a, b])] = &found[..] else { panic!("{found:?}") };
    assert!(a.contains("h.h ") && b.contains("h.h ") && a != b, "{found:?}");
}

#[test]
fn objects_in_another_order() {
    assert_explained(GCC, "gcc -O2 print.c parse.c main.c -o out", "link-order");
}

#[test]
fn a_random_build_id() {
    let uuid = format!("{GCC} -Wl,--build-id=uuid");
    assert_explained(&uuid, &uuid, "build-id-random");
}

#[test]
fn another_interpreter_or_rpath() {
    let with = |flags: &str| format!("{GCC} {flags}");
    assert_explained(&with("-Wl,-rpath,/opt/one"), &with("-Wl,-rpath,/opt/two"), "interpreter-or-rpath");
    let interpreter = |path: &str| with(&format!("-Wl,--dynamic-linker={path}"));
    assert_explained(&interpreter("/lib/ld-one.so"), &interpreter("/lib/ld-two.so"), "interpreter-or-rpath");
}

#[test]
fn the_time_in_the_program() {
    let at = |time: &str| {
        format!(
            "printf 'const char *t(void) {{ return \"built \" __DATE__ \" \" __TIME__; }}' >t.c; \
             SOURCE_DATE_EPOCH={time} gcc -O2 main.c parse.c print.c t.c -o out"
        )
    };
    assert_explained(&at("100000000"), &at("1700000000"), "embedded-build-time");
}

#[test]
fn another_compiler_or_linker() {
    assert_first(GCC, "clang -O2 main.c parse.c print.c -o out", "compiler-version");
    let comment = |text: &str| {
        format!(
            "clang -O2 -fuse-ld=lld main.c parse.c print.c -o out; printf 'Linker: LLD {text}\\0clang version 14.0.6\\0' >c; objcopy --update-section .comment=c out"
        )
    };
    assert_explained(&comment("14.0.6"), &comment("17.0.1"), "linker-version");
}

#[test]
fn coverage_stamps_in_notes_and_objects() {
    // GCC takes the stamp from the clock, in milliseconds: the same call twice.
    for file in ["parse.gcno", "parse.o"] {
        let script = format!("gcc --coverage -c parse.c -o parse.o; cp {file} out; sleep 0.01");
        assert_explained(&script, &script, "coverage-stamp");
    }
}

#[test]
fn rust_hashes_and_units() {
    let with = |flags: &str| format!("rustc {flags} p.rs -o out");
    assert_explained(&with("-O -C metadata=one"), &with("-O -C metadata=two"), "symbol-hash");
    assert_first(&with("-g -C codegen-units=1"), &with("-g -C codegen-units=4"), "codegen-units");
}

#[test]
fn a_longer_path_in_rust_moves_everything_and_hardly_a_byte_is_left() {
    let at =
        |path: &str| format!("mkdir -p {path}; cp p.rs {path}; rustc -O $PWD/{path}/p.rs -o out; strip out");
    let (_, causes) = explain(&pair(&at("a"), &at("another/place")));
    assert_eq!(causes[0].entry.id, "build-path");
    let left: u64 =
        causes.iter().filter(|cause| cause.entry.id == "unexplained").map(|cause| cause.bytes).sum();
    let followed: u64 =
        causes.iter().filter(|cause| cause.entry.id == "address-shift").map(|cause| cause.bytes).sum();
    assert!(followed > 1000 && left < 200, "{followed} {left}");
}

#[test]
fn a_constant_of_the_go_toolchain_names_the_function() {
    let causes = assert_first(&go("", "UTC"), &go("-DWIDE", "UTC"), "toolchain-config");
    assert_eq!(causes[0].evidence[0].symbol.as_deref(), Some(&b"cmd/go/internal/cfg.defaultContext"[..]));
}

#[test]
fn a_patched_go_toolchain() {
    let path = |c: &str| format!("/nix/store/{}-tzdata-2024a/share/zoneinfo", c.repeat(32));
    assert_explained(&go("", &path("a")), &go("", &path("b")), "go-toolchain-patched");
    let path = |c: &str| format!("/nix/store/{}-hello-2.12/share", c.repeat(32));
    assert_explained(&go("", &path("a")), &go("", &path("b")), "nix-store-path");
}

#[test]
fn a_separate_debug_file() {
    let with = |text: &str| {
        format!("{GCC}; strip -g out; printf {text} >x.debug; objcopy --add-gnu-debuglink=x.debug out")
    };
    assert_explained(&with("one"), &with("two"), "debug-link");
}

const PE: &str = "clang --target=x86_64-pc-windows-msvc -O2 -c parse.c -o p.obj; \
                  lld-link /entry:parse /subsystem:console /nodefaultlib /debug /pdb:x.pdb /out:out p.obj";

#[test]
fn the_time_in_pe_headers() {
    let causes = assert_explained(
        &format!("{PE} /timestamp:100000000"),
        &format!("{PE} /timestamp:1700000000"),
        "embedded-build-time",
    );
    assert!(quoted(&causes[0]).contains("1973-03-03"));
}

#[test]
fn a_strip_of_a_pe_file_is_named_beside_the_time_that_it_writes() {
    let link = format!("{PE} /timestamp:0");
    let causes = assert_first(&link, &format!("{link}; strip -S out"), "stripped-after-link");
    assert!(quoted(&causes[0]).contains("debugging information"));
    assert_eq!(causes[1].entry.id, "embedded-build-time");
}

const MACHO: &str = "clang --target=arm64-apple-macos11 -O2 -c parse.c -o p.o; \
    lld -flavor darwin -arch arm64 -platform_version macos 11.0 11.0 -dylib -undefined dynamic_lookup -install_name x p.o -o out";

#[test]
fn a_signature_alone_is_a_cause_and_else_a_consequence() {
    let signed = build(tempfile::tempdir().unwrap().path(), MACHO);
    let mut other = signed.clone();
    *other.last_mut().unwrap() ^= 1;
    let (_, causes) = explain(&Pair::new(signed.clone(), other.clone()));
    assert_eq!((causes[0].entry.id, causes[0].derived), ("code-signature", false));
    let text = other.windows(4).position(|window| window == b"\x20\x00\x80\x52").unwrap_or(0x400);
    other[text] ^= 0x40;
    let (comparison, causes) = explain(&Pair::new(signed, other));
    assert!(causes.iter().any(|cause| cause.entry.id == "code-signature" && cause.derived), "{causes:?}");
    assert!(comparison.differences[0].kind.as_ref().unwrap().words.starts_with("Mach-O library, AArch64"));
}

const WASM: &str = "clang --target=wasm32 -nostdlib -c parse.c -o p.o";

#[test]
fn functions_of_a_wasm_module_are_named() {
    let with = |level: &str| format!("{WASM} {level}; wasm-ld --no-entry --export-all p.o -o out");
    let (comparison, _) = explain(&pair(&with("-O1"), &with("-O2")));
    let places = comparison.places();
    let symbols = places.iter().flat_map(|place| &place.difference.found).find_map(|finding| match finding {
        Finding::Symbols(changes) => Some(changes),
        _ => None,
    });
    let names: Vec<_> = symbols.unwrap().changed.iter().map(|change| change.name.clone()).collect();
    assert!(names.contains(&b"parse".to_vec()), "{names:?}");
}

#[test]
fn a_universal_binary_is_compared_processor_by_processor() {
    let one = build(tempfile::tempdir().unwrap().path(), MACHO);
    let mut two = one.clone();
    *two.last_mut().unwrap() ^= 1;
    let universal = |file: &[u8]| {
        let mut out =
            [0xcafe_babe_u32, 1, 0x0100_000c, 0, 4096, file.len() as u32, 12].map(u32::to_be_bytes).concat();
        out.resize(4096, 0);
        [&out[..], file].concat()
    };
    let (comparison, causes) = explain(&Pair::new(universal(&one), universal(&two)));
    assert_eq!(comparison.differences[0].inside[0].at, Step::Architecture("AArch64"));
    assert_eq!(causes[0].entry.id, "code-signature");
}
