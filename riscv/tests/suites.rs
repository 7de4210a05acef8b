//! Public suites of tests for RISC-V, as far as they speak by `tohost`: riscv-tests, riscv-arch-test.
//!
//! They are not part of this repository: `scripts/riscv-suites` says how to get and build them, and runs this.

#![allow(clippy::panic)]

mod common;

use std::path::Path;

use common::elf;
use reprove_riscv::memory::BASE;
use reprove_riscv::{Firmware, Machine, Stop};

const MEMORY: u64 = 64 << 20;
/// Steps after which a test will not end any more.
const MOST: u64 = 50_000_000;
/// Steps between looks at `tohost`.
const STRIDE: u64 = 20_000;

/// Runs one test in machine mode. Why it failed, if it did. With a `reference`, words in hexadecimal, one on a line, what it leaves
/// from `begin_signature` to `end_signature` must be that.
fn run(program: &[u8], reference: Option<&str>) -> Result<(), String> {
    let mut machine = Machine::new(MEMORY, 1, Firmware::Guest)?;
    for (address, bytes) in elf::segments(program) {
        if !machine.memory_mut().write(address, bytes) {
            return Err(format!("{} bytes at {address:#x} are not in memory", bytes.len()));
        }
    }
    let tohost = elf::symbol(program, "tohost").ok_or("it has no symbol tohost")?;
    machine.start(elf::entry(program), 0);
    let mut until = 0;
    while until < MOST {
        until += STRIDE;
        let stop = machine.run(until);
        let word = machine.memory().slice(tohost, 8).ok_or("tohost is not in memory")?;
        match u64::from_le_bytes(word.try_into().map_err(|_| "tohost")?) {
            0 if stop == Stop::Reached => {}
            0 => return Err(format!("{stop:?}")),
            1 => return reference.map_or(Ok(()), |reference| compare(&machine, program, reference)),
            // The environment with virtual memory writes what it has to say to a console behind the same register.
            command if command >> 56 == 0 => return Err(format!("case {}", command >> 1)),
            _ => {
                // A character: taken.
                let at = tohost;
                if !machine.memory_mut().write(at, &[0; 8]) {
                    return Err("tohost is not in memory".to_owned());
                }
            }
        }
    }
    let csr = machine.csr();
    Err(format!("no end; pc {:#x}, mcause {}, mepc {:#x}", machine.pc(), csr.mcause, csr.mepc))
}

/// Why the signature that a test left is not the reference, if it is not.
fn compare(machine: &Machine, program: &[u8], reference: &str) -> Result<(), String> {
    let place = |name: &str| elf::symbol(program, name).ok_or_else(|| format!("it has no symbol {name}"));
    let (begin, end) = (place("begin_signature")?, place("end_signature")?);
    let bytes = machine.memory().slice(begin, end.saturating_sub(begin));
    let words = bytes.ok_or("the signature is not in memory")?.as_chunks().0.iter();
    let found: Vec<String> = words.map(|word| format!("{:08x}", u32::from_le_bytes(*word))).collect();
    let expected: Vec<&str> = reference.split_whitespace().collect();
    if found.is_empty() || found.len() != expected.len() {
        return Err(format!("a signature of {} words, not {}", found.len(), expected.len()));
    }
    match found.iter().zip(&expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(at) => Err(format!("word {at} of the signature is {}, not {}", found[at], expected[at])),
    }
}

/// What the signature of the test in the file at `path` must be, when that lies beside it.
fn reference(path: &Path) -> Option<String> {
    let mut name = path.file_name()?.to_owned();
    name.push(".reference_output");
    std::fs::read_to_string(path.with_file_name(name)).ok()
}

/// `RISCV_SUITES` is a folder of ELF files, or several with colons between. Names in `RISCV_SUITES_ABSENT`, with commas
/// between, are of tests for what the machine does not have: they must be there and must fail.
#[test]
#[ignore = "slow: needs suites built by scripts/riscv-suites"]
fn suites_pass() {
    let folders = std::env::var("RISCV_SUITES").expect("RISCV_SUITES; scripts/riscv-suites sets it");
    let absent = std::env::var("RISCV_SUITES_ABSENT").unwrap_or_default();
    let absent: Vec<&str> = absent.split(',').filter(|name| !name.is_empty()).collect();
    let (mut passed, mut wrong) = (0, Vec::new());
    for folder in folders.split(':') {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder").path()).collect();
        paths.sort();
        for path in paths {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if !bytes.starts_with(b"\x7fELF") {
                continue;
            }
            let name = path.file_name().map_or(Path::new(""), Path::new).display().to_string();
            let outcome = run(&bytes, reference(&path).as_deref());
            match (&outcome, absent.contains(&name.as_str())) {
                (Ok(()), false) => passed += 1,
                (Err(why), true) => println!("absent  {name}: {why}"),
                (Ok(()), true) => wrong.push(format!("{name}: passes, but was said to be absent")),
                (Err(why), false) => wrong.push(format!("{name}: {why}")),
            }
        }
    }
    println!("{passed} passed");
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > 0, "no tests in {folders}");
    const { assert!(BASE == 0x8000_0000) };
}
