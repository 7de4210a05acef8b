//! A program in `qemu-riscv64`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::common::elf;
use super::program::{AREA, CODE, END, Program, RECORD};

/// What a program leaves behind.
pub struct Outcome {
    pub data: Vec<u8>,
    pub records: Vec<u8>,
}

/// Runs `program`; `name` is a file's that no other test uses.
pub fn run(program: &Program, name: &str) -> Outcome {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random");
    fs::create_dir_all(&folder).expect("a folder for programs");
    let (path, output) = (folder.join(name), folder.join(format!("{name}.out")));
    fs::write(&path, elf::program(CODE, &program.image(), END - CODE)).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("to be run");
    let mut command = Command::new("qemu-riscv64");
    command.args(["-cpu", "rv64,v=off"]).arg(&path);
    let status = command.stdout(File::create(&output).expect("its output")).status();
    let needed = "this test needs qemu-user: scripts/install-deps --tests";
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}; {needed}"));
    assert!(status.success(), "{command:?}: {status}");
    let bytes = fs::read(&output).expect("its output");
    for file in [path, output] {
        fs::remove_file(file).expect("it is ours");
    }
    let output = bytes;
    assert_eq!(output.len() as u64, AREA + program.chunks.len() as u64 * RECORD, "output is missing");
    let (data, records) = output.split_at(AREA as usize);
    Outcome { data: data.to_vec(), records: records.to_vec() }
}
