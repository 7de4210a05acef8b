//! `reprove machine`: bare programs, stored states, traces; and the state root as a stranger computes it.

#![allow(clippy::unwrap_used)] // what is not as expected ends the test

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where the program below lies, and begins.
const BASE: u64 = 0x8000_0000;

/// Writes `hi`, counts from `count` down to zero, traps, and waits for ever.
fn program(count: u32) -> Vec<u8> {
    let code = [
        0x0000_0317,               // auipc t1, 0
        0x0383_0313,               // addi t1, t1, 56: the address of the `wfi`
        0x3053_1073,               // csrw mtvec, t1
        0x1000_0537,               // lui a0, 0x10000: the console
        0x0680_0593,               // li a1, 'h'
        0x00b5_0023,               // sb a1, (a0)
        0x0690_0593,               // li a1, 'i'
        0x00b5_0023,               // sb a1, (a0)
        0x00a0_0593,               // li a1, '\n'
        0x00b5_0023,               // sb a1, (a0)
        count << 20 | 0x0000_0293, // li t0, count
        0xfff2_8293,               // addi t0, t0, -1
        0xfe02_9ee3,               // bnez t0, -4
        0x0000_0000,               // illegal
        0x1050_0073,               // wfi
    ];
    elf(&code.iter().flat_map(|word: &u32| word.to_le_bytes()).collect::<Vec<u8>>())
}

/// A static ELF file for riscv64 with this code.
fn elf(code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2u16, 243] {
        file.extend(half.to_le_bytes()); // an executable, for RISC-V
    }
    file.extend(1u32.to_le_bytes());
    for word in [BASE, 64, 0] {
        file.extend(u64::to_le_bytes(word)); // entry, program headers, no sections
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend([1u32, 5].iter().flat_map(|word| word.to_le_bytes())); // PT_LOAD, to be read and run
    for word in [120, BASE, BASE, code.len() as u64, code.len() as u64, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

/// A folder with the program in it, to run `reprove` in.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::write(place.path("hi.elf"), program(1000)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_reprove"))
            .current_dir(self.0.path())
            .env("REPROVE_STATE", env!("CARGO_TARGET_TMPDIR")) // for the guest, which other tests use as well
            .args(["machine", arguments[0]])
            .args(&arguments[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Everything the program said.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        said.replace(&format!("embedded {}", reprove_riscv::VERSION), "embedded VERSION")
    }

    /// The last root of a run.
    fn last(&self, arguments: &[&str]) -> String {
        let output = self.run(&[arguments, &["--state-root"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("last ")).expect(&text).to_owned()
    }
}

#[test]
fn a_bare_program_says_hi_and_is_stuck() {
    let place = Place::new();
    insta::assert_snapshot!("machine_raw", place.said(&["run", "--raw", "hi.elf", "--state-root"]));
    insta::assert_snapshot!(
        "machine_raw_json",
        place.said(&["run", "--raw", "hi.elf", "--json", "-", "--state-root", "--until", "1000"])
    );
    insta::assert_snapshot!(
        "machine_raw_roots",
        place.said(&["run", "--raw", "hi.elf", "--state-root-every", "9"])
    );
}

#[test]
fn what_is_no_program_no_state_or_does_not_fit_is_said() {
    let place = Place::new();
    std::fs::write(place.path("text"), "hello").unwrap();
    let mut far = program(1);
    far[120 - 32..120 - 24].copy_from_slice(&0x9000_0000_u64.to_le_bytes()); // the physical address
    std::fs::write(place.path("far.elf"), far).unwrap();
    for (arguments, wrong) in [
        (["--raw", "text", "--memory", "1"], "text"),
        (["--raw", "far.elf", "--memory", "1"], "0x90000000"),
        (["--raw", "none", "--memory", "1"], "none"),
        (["--load", "text", "--until", "1"], "text"),
        (["--load", "none", "--until", "1"], "none"),
    ] {
        let said = place.said(&[&["run"], &arguments[..]].concat());
        assert!(said.starts_with("exit 1\n") && said.contains("error[RP") && said.contains(wrong), "{said}");
    }
    assert!(place.run(&["run", "--raw", "hi.elf", "--until", "50", "--save", "state"]).status.success());
    let mut state = std::fs::read(place.path("state")).unwrap();
    let last = state.len() - 1;
    state[last] ^= 1;
    std::fs::write(place.path("state"), state).unwrap();
    let said = place.said(&["run", "--load", "state"]);
    assert!(said.starts_with("exit 1\n") && said.contains("root"), "{said}");
}

/// The script computes the root from the file alone, as the documentation has it.
#[test]
fn a_stranger_computes_the_same_root() {
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/state-root");
    let root = |file: &str| {
        let output = Command::new("python3")
            .arg(&script)
            .arg(place.path(file))
            .output()
            .expect("python3 must be installed (Debian: python3)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for (until, memory) in [("0", "1"), ("777", "3"), ("1000000", "5")] {
        let arguments = ["run", "--raw", "hi.elf", "--until", until, "--memory", memory, "--save", "state"];
        let ours = place.last(&arguments);
        assert_eq!(root("state"), ours, "at step {until}");
    }
    let mut state = std::fs::read(place.path("state")).unwrap();
    state[60] ^= 1;
    std::fs::write(place.path("damaged"), state).unwrap();
    let output = Command::new("python3").arg(&script).arg(place.path("damaged")).output().unwrap();
    assert!(!output.status.success());
}

/// The table of words in docs/state-tree.md, where this program shows it.
#[test]
fn registers_lie_where_the_documentation_says() {
    let place = Place::new();
    place.run(&[
        "run", "--raw", "hi.elf", "--until", "500", "--memory", "1", "--rate", "2", "--save", "state",
    ]);
    let state = std::fs::read(place.path("state")).unwrap();
    let words: Vec<u64> = state[48..48 + 4096].as_chunks().0.iter().map(|w| u64::from_le_bytes(*w)).collect();
    assert_eq!(&state[48..56], b"rprvst01");
    assert_eq!(words[1..4], [1 << 20, 1, 2], "memory, firmware, rate");
    assert_eq!(words[4], BASE + 4 * 12, "pc: 11 instructions before the loop of two, and 489 in it");
    assert_eq!(words[5 + 10], 0x1000_0000, "a0");
    assert_eq!(words[5 + 5], 1000 - (500 - 11) / 2 - 1, "t0");
    assert_eq!(words[69], 3, "machine mode");
    assert_eq!(words[77], BASE + 4 * 14, "mtvec");
    assert_eq!(words[113], u64::MAX, "nothing reserved");
    assert_eq!(words[114..117], [500, 0, 0], "steps, traps, idle");
    assert_eq!(words[117], u64::MAX, "no timer");
    assert_eq!(words[126], 3, "bytes on the console");
    assert_eq!(words[132], 0, "it runs");
    assert!(words[134..].iter().all(|word| *word == 0));

    place.run(&["run", "--raw", "hi.elf", "--memory", "1", "--save", "state"]);
    let state = std::fs::read(place.path("state")).unwrap();
    let word = |at: usize| u64::from_le_bytes(*state[48 + 8 * at..].first_chunk().unwrap());
    assert_eq!([word(80), word(115), word(133)], [2, 1, 1], "an illegal instruction trapped, wfi waits");
}

#[test]
fn a_run_that_is_cut_traced_or_stored_comes_to_the_same_root() {
    let place = Place::new();
    let whole = place.last(&["run", "--raw", "hi.elf"]);
    place.run(&["run", "--raw", "hi.elf", "--until", "1234", "--save", "state"]);
    assert_eq!(place.last(&["run", "--load", "state"]), whole);
    assert_eq!(place.last(&["run", "--raw", "hi.elf", "--trace", "trace"]), whole);
    assert_eq!(
        place.last(&[
            "run",
            "--raw",
            "hi.elf",
            "--state-root-every",
            "3",
            "--trace",
            "tail",
            "--trace-from",
            "2000"
        ]),
        whole
    );
    let (trace, tail) = (place.read("trace"), place.read("tail"));
    assert!(trace.ends_with(&tail) && tail.starts_with("2000 M "), "{tail}");
    let steps: Vec<&str> = trace.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(steps.iter().enumerate().all(|(i, step)| *step == i.to_string()), "every step has its line");
    let ends: Vec<&str> = trace.lines().take(14).chain(trace.lines().skip(steps.len() - 4)).collect();
    insta::assert_snapshot!("machine_trace", ends.join("\n"));
}

#[test]
fn traces_part_where_programs_differ() {
    let place = Place::new();
    std::fs::write(place.path("other.elf"), program(997)).unwrap();
    std::fs::write(place.path("map"), "0000000080000000 T start\n000000008000002c t loop\n").unwrap();
    for (program, trace) in [("hi.elf", "a"), ("other.elf", "b")] {
        place.run(&["run", "--raw", program, "--trace", trace]);
    }
    assert_eq!(place.said(&["diff-trace", "a", "a"]).lines().next(), Some("exit 0"));
    insta::assert_snapshot!("machine_diff_trace", place.said(&["diff-trace", "a", "b", "--symbols", "map"]));
    let short: String = place.read("a").lines().take(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(place.path("short"), short).unwrap();
    insta::assert_snapshot!("machine_diff_trace_short", place.said(&["diff-trace", "short", "a"]));
    std::fs::write(place.path("text"), "x".repeat(100_000)).unwrap();
    let said = place.said(&["diff-trace", "text", "a"]);
    assert!(said.starts_with("exit 1\n") && said.contains("no trace"), "{said}");
}

/// A wait over the step at which caches are emptied, cut just behind it.
#[test]
fn a_wait_that_is_cut_anywhere_comes_to_the_same_root() {
    let place = Place::new();
    let code = [
        0x0200_42b7, // lui t0, 0x2004: the time at which the timer is due
        0x0006_2337, // lui t1, 0x62: after 40 million steps
        0x0062_b023, // sd t1, (t0)
        0x0800_0393, // li t2, 128
        0x3043_9073, // csrw mie, t2
        0x1050_0073, // wfi
    ];
    let code: Vec<u8> = code.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    std::fs::write(place.path("waits.elf"), elf(&code)).unwrap();
    let (boundary, behind) = ((1 << 24).to_string(), ((1 << 24) + 4).to_string());
    let whole = place.last(&["run", "--raw", "waits.elf", "--until", &behind]);
    for cut in ["0", "1", "10", "100", &boundary] {
        place.run(&["run", "--raw", "waits.elf", "--until", cut, "--save", "state"]);
        assert_eq!(place.last(&["run", "--load", "state", "--until", &behind]), whole, "cut at {cut}");
    }
    place.run(&["run", "--raw", "waits.elf", "--until", &behind, "--trace", "trace"]);
    assert!(place.read("trace").ends_with("\n6 M 0000000080000018 - waits\n"), "{}", place.read("trace"));
}

/// A kernel with paging, interrupts and waiting: cut, traced, stored and looked at, it comes to the same state, and at the
/// root that the script computes.
#[test]
#[ignore = "slow: boots a machine several times"]
fn a_kernel_that_is_cut_traced_or_stored_comes_to_the_same_root() {
    let place = Place::new();
    // Init has found no drives by then, and sleeps a tenth of a second at a time.
    let until = "2500000000";
    let whole = place.last(&["run", "--until", until]);
    assert_eq!(place.last(&["run", "--until", until, "--state-root-every", "28"]), whole);
    let output = place.run(&["run", "--until", "600000001", "--save", "state"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.last(&["run", "--load", "state", "--until", until, "--save", "later"]), whole);
    for (from, to) in [("600000001", "601000000"), ("2400000000", until)] {
        let straight = place.last(&["run", "--until", to]);
        let traced = place.last(&["run", "--until", to, "--trace", "trace", "--trace-from", from]);
        assert_eq!(traced, straight, "from {from} to {to}");
    }
    let trace = place.read("trace");
    let waits: Vec<bool> = trace.lines().map(|line| line.contains(" - waits")).collect();
    assert!(waits.contains(&true), "it sleeps");
    assert!(!waits.windows(2).any(|pair| pair == [true, true]), "a wait is one line");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/state-root");
    let output = Command::new("python3").arg(&script).arg(place.path("later")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), whole);
}
