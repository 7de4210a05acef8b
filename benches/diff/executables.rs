//! Programs to compare: of Go where it is installed, as most of what our users release is, else of Rust.
//!
//! Both print four store paths, as a toolchain that was patched for Nix puts them into every program, and are filled up
//! to a size with bytes they carry along.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{cases, measure};

/// What to build.
#[derive(Clone, Copy)]
pub struct Program {
    /// The hashes of its store paths.
    pub hashes: [&'static str; 4],
    /// Whether it has a few more and longer strings, so that everything behind them moves.
    pub more: bool,
    /// Whether it keeps symbols and debug information.
    pub debug: bool,
    /// How large it shall be about, in bytes.
    pub size: u64,
}

impl Default for Program {
    fn default() -> Self {
        Program { hashes: ONE, more: false, debug: false, size: 0 }
    }
}

const ONE: [&str; 4] = [
    "0c8q3xz7a1n5dm2rk9wv4hy6bjgl0fsp",
    "k2p9vd4nxq7z1mrs6c0jwb3yh8a5glfi",
    "9m1gsr5z8kxw0dq3vn7c2yhbj4alp6fi",
    "x6w3k0hz9rb2nq5dv8mc1yj7sgp4alfi",
];
/// Other hashes, of the same length.
pub const OTHER: [&str; 4] = [
    "q1vd7hz2k9xw4rb0nm5sc8yj3gpa6lfi",
    "5z8xq1wk4dn7rv0mbh3cs6yj9gpl2afi",
    "hb4zk7xq0dw3rn6vm9cs2yj5gpl8a1fi",
    "2nq5dz8xk1wr4vb7hm0cs3yj6gpl9afi",
];

const GO: &str = include_str!("program.go");

/// Builds from sources in a folder into a file.
type Build = fn(&Path, &Path, &Program) -> Result<(), String>;

/// Builds `folder/name`; the name of the language, or what is missing.
pub fn build(folder: &Path, name: &str, program: &Program) -> Result<&'static str, String> {
    let source = folder.join("source");
    fs::create_dir_all(&source).unwrap();
    let out = folder.join(name);
    let (language, bare): (&str, Build) =
        if measure::find("go").is_some() { ("Go", go) } else { ("Rust", rust) };
    let filler = source.join("filler");
    if !filler.exists() {
        // Once without it, to see how much is missing; both sides of a pair carry the same.
        fs::write(&filler, "").unwrap();
        bare(&source, &out, program)?;
        let missing = program.size.saturating_sub(out.metadata().unwrap().len());
        cases::filler(&mut BufWriter::new(File::create(&filler).unwrap()), missing);
    }
    bare(&source, &out, program)?;
    Ok(language)
}

/// The store paths of a program, and its other strings.
fn strings(program: &Program) -> Vec<String> {
    let names = [
        "tzdata-2026a/share/zoneinfo",
        "iana-etc-20260101/etc/services",
        "iana-etc-20260101/etc/protocols",
        "mailcap-2.1.54/etc/mime.types",
    ];
    let path = |(hash, name): (&str, &str)| format!("/nix/store/{hash}-{name}");
    let mut strings: Vec<String> = program.hashes.into_iter().zip(names).map(path).collect();
    if program.more {
        let more = strings.iter().map(|string| format!("the file {string} was not found"));
        strings.extend(more.collect::<Vec<_>>());
    }
    strings
}

fn go(source: &Path, out: &Path, program: &Program) -> Result<(), String> {
    let list: String = strings(program).iter().map(|string| format!("\t\"{string}\",\n")).collect();
    fs::write(source.join("main.go"), GO.replace("\t// strings\n", &list)).unwrap();
    fs::write(source.join("go.mod"), "module program\n\ngo 1.19\n").unwrap();
    let flags = if program.debug { "-buildid=" } else { "-s -w -buildid=" };
    let arguments = ["build", "-trimpath", "-ldflags", flags, "-o"].map(OsStr::new);
    run("go", &[&arguments[..], &[out.as_os_str(), OsStr::new(".")]].concat(), source)
}

/// Functions that refer to strings, as many as fill half of the size: the standard library alone is small.
fn rust(source: &Path, out: &Path, program: &Program) -> Result<(), String> {
    let mut text = String::from(
        "static FILLER: &[u8] = include_bytes!(\"filler\");\n\
         fn main() {\n    let n = std::env::args().count();\n    println!(\"{}\", FILLER.get(n).is_some());\n",
    );
    for string in strings(program) {
        let _ = writeln!(text, "    println!(\"{{}}\", std::hint::black_box({string:?}));");
    }
    let functions = (program.size / 2).min(4 << 20) / 512;
    let _ = writeln!(text, "    let all: [fn(usize) -> String; {functions}] = [");
    for number in 0..functions {
        let _ = writeln!(text, "        f{number},");
    }
    text.push_str("    ];\n    println!(\"{}\", all[n](n));\n}\n");
    for number in 0..functions {
        let _ = writeln!(
            text,
            "fn f{number}(n: usize) -> String {{\n    format!(\"number {number} of {{n}}: {{}}\", n * {number})\n}}"
        );
    }
    fs::write(source.join("main.rs"), text).unwrap();
    let debug =
        if program.debug { ["-Cdebuginfo=2", "-Cstrip=none"] } else { ["-Cdebuginfo=0", "-Cstrip=symbols"] };
    let mut arguments: Vec<&OsStr> =
        ["--edition=2021", "-Ccodegen-units=1", "main.rs", "-o"].map(OsStr::new).to_vec();
    arguments.push(out.as_os_str());
    arguments.extend(debug.map(OsStr::new));
    run("rustc", &arguments, source)
}

/// Runs a program to its end; what it said if it failed.
pub fn run(program: &str, arguments: &[&OsStr], folder: &Path) -> Result<(), String> {
    let path = measure::find(program).ok_or_else(|| format!("{program} is not installed"))?;
    let output = Command::new(path)
        .args(arguments)
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "")
        .env("GO111MODULE", "on")
        .env("GOCACHE", cache())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Where Go keeps its compiled standard library from one run of the bench to the next.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache")
}
