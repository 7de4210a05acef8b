//! What is written for machines and for browsers: JSON against its schemas, SARIF against OASIS's, the page in a real browser.

#![allow(clippy::unwrap_used)] // what is not as expected ends the test

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use support::{browser, schema};

/// Runs the program; its exit code and standard output.
fn reprove(args: &[&str]) -> (i32, Vec<u8>) {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_reprove"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env("REPROVE_STATE", state.path())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), output.stdout)
}

/// What would run, close an element, or end an attribute; as a file's name.
const EVIL: &str = "\"><img src=x onerror=document.title='owned'><script>document.title='owned'<&'";

/// Two folders that differ in many ways, with names that mean harm.
fn folders() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: String, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for (side, date, value) in [("a", "Nov 21 2026", 1_u8), ("b", "Jan  1 2020", 2)] {
        file(format!("{side}/share/manual.txt"), format!("made {date} here\n<b>{value}</b>\n").as_bytes());
        file(format!("{side}/share/{EVIL}.txt").replace("</", "<"), &[0, 1, value, 9, 0]);
        let order: &[u8] = if value == 1 { b"{\"a\": 1, \"b\": 2}\n" } else { b"{\"b\": 2, \"a\": 1}\n" };
        file(format!("{side}/share/order.json"), order);
        file(format!("{side}/only-in-{side}"), b"x");
        let source = format!("int main(void) {{ return {value}; }}\nconst char *made = \"{date}\";\n");
        file(format!("{side}.c"), source.as_bytes());
        let [source, program] = ["c", "program"].map(|end| folder.path().join(format!("{side}.{end}")));
        let status = Command::new("cc").args(["-O1", "-g", "-o"]).args([&program, &source]).status().unwrap();
        assert!(status.success());
        fs::create_dir_all(folder.path().join(side).join("bin")).unwrap();
        fs::rename(program, folder.path().join(side).join("bin/program")).unwrap();
        let tar = folder.path().join(side).join("share/sources.tar.gz");
        let mtime = format!("--mtime=@{value}");
        let folder = folder.path();
        let made =
            Command::new("tar").arg("-C").arg(folder).arg(mtime).arg("-czf").arg(tar).arg("a.c").status();
        assert!(made.unwrap().success());
    }
    folder
}

/// The two folders' paths, then `more`.
fn diff(folder: &Path, more: &[&str]) -> (i32, Vec<u8>) {
    let sides = ["a", "b"].map(|side| folder.join(side).to_string_lossy().into_owned());
    reprove(&[&["diff", &sides[0], &sides[1]], more].concat())
}

fn accepting(folder: &Path) -> PathBuf {
    let path = folder.join("accepted.toml");
    let entry = "[[accepted]]\npath = \"share/*.txt\"\ncause = \"embedded-build-time\"\nreason = \"r\"\nowner = \"o\"\nexpires = 9999-01-01\n";
    fs::write(&path, entry).unwrap();
    path
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let names = String::from_utf8(reprove(&["schema"]).1).unwrap();
    let mut known: Vec<String> = names.lines().map(|name| format!("{name}.json")).collect();
    for name in names.lines() {
        let file = fs::read(folder.join(format!("{name}.json"))).unwrap_or_default();
        assert!(file == reprove(&["schema", name]).1, "docs/schemas/{name}.json: run scripts/schemas");
    }
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> = there.collect();
    known.sort();
    there.sort();
    assert_eq!(there, known);
    assert_eq!(reprove(&["schema", "nothing"]).0, 1);
}

#[test]
fn documents_are_what_their_schemas_say() {
    let folder = folders();
    let accepted = accepting(folder.path());
    for (name, (exit, text)) in [
        ("diff", diff(folder.path(), &["--json", "-"])),
        ("diff", diff(folder.path(), &["--json", "-", "--accepted", &accepted.to_string_lossy()])),
        ("drv-check", reprove(&["drv", "check", "drvs", "--json", "-"])),
    ] {
        let document: Value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{exit}: {error}"));
        schema::check(name, &document);
    }
}

#[test]
fn a_document_that_is_not_what_its_schema_says_is_found_out() {
    let (_, text) = reprove(&["drv", "check", "drvs", "--json", "-"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/drv-check.json");
    let faults = |change: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_slice(&text).unwrap();
        change(&mut document);
        schema::faults(&path, "closed", &document)
    };
    assert_eq!(faults(&|_| {}), "");
    assert!(faults(&|document| document["schema"] = "reprove.drv-check/2".into()).contains("schema"));
    assert!(faults(&|document| document["derivations"] = "many".into()).contains("derivations"));
    assert!(faults(&|document| document["more"] = 1.into()).contains("more"));
}

/// The schema of SARIF 2.1.0, which the package `serde-sarif` brings along.
fn sarif_schema() -> PathBuf {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let said = String::from_utf8(rustc).unwrap();
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Packages for other platforms need not be there.
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages.find(|package| package["name"] == "serde-sarif").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src").join("schema.json")
}

#[test]
fn sarif_is_what_oasis_says() {
    let folder = folders();
    let accepted = accepting(folder.path());
    let evil = diff(folder.path(), &["--sarif", "-"]);
    let file = folder.path().join("a/share/manual.txt");
    let other = folder.path().join("b/share/manual.txt");
    let [file, other, accepted] = [&file, &other, &accepted].map(|path| path.to_string_lossy().into_owned());
    let same = reprove(&["diff", &file, &file, "--sarif", "-"]);
    fs::write(&*accepted, fs::read_to_string(&*accepted).unwrap().replace("share/*.txt", ".")).unwrap();
    fs::write(&*file, "made Nov 21 2026\n").unwrap();
    fs::write(&*other, "made Jan  1 2020\n").unwrap();
    let tolerated = reprove(&["diff", &file, &other, "--sarif", "-", "--accepted", &accepted]);
    assert_eq!((evil.0, same.0, tolerated.0), (104, 0, 0));
    for (text, results, suppressed) in
        [(evil.1, true, false), (same.1, false, false), (tolerated.1, true, true)]
    {
        let document: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(schema::faults(&sarif_schema(), "open", &document), "");
        let typed: serde_sarif::sarif::Sarif = serde_json::from_value(document).unwrap();
        let found = typed.runs[0].results.as_ref().unwrap();
        assert_eq!(!found.is_empty(), results);
        assert!(found.iter().all(|result| result.suppressions.is_some() == suppressed));
    }
}

#[test]
fn the_page_works_in_a_browser_and_no_name_of_a_file_runs_in_it() {
    let folder = folders();
    let page = folder.path().join("page.html");
    assert_eq!(diff(folder.path(), &["--html", &page.to_string_lossy()]).0, 104);
    let (dom, said) = browser::chromium(&page, &["--dump-dom"]);
    // Its own script ran under its own policy, and found what it looks for.
    let search = dom.split("<input").nth(1).unwrap().split('>').next().unwrap();
    assert!(search.contains("type=\"search\"") && !search.contains("hidden"), "{search}");
    // Nothing else did.
    let title = dom.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(title.starts_with("different: "), "{title}");
    assert!(!dom.contains("<img") && dom.matches("<script").count() == 1);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    // What it is about is there to be read, and drawn.
    for text in ["embedded-build-time", "share/manual.txt", "Nov 21 2026", "unordered-output", ".rodata"] {
        assert!(dom.contains(text), "{text}");
    }
    assert!(dom.contains("<svg"));
    let picture = folder.path().join("page.png");
    let screenshot = format!("--screenshot={}", picture.display());
    browser::chromium(&page, &[&screenshot, "--window-size=1200,2000"]);
    let picture = fs::read(picture).unwrap();
    assert_eq!(browser::size_of_png(&picture), (1200, 2000));
    // A page of one colour packs to a few kilobytes.
    assert!(picture.len() > 40_000, "{}", picture.len());
}
