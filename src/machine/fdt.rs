//! A writer of flattened device trees: what tells a riscv64 kernel which machine it is on.
//!
//! Format: Devicetree Specification 0.4, chapter 5, version 17. QEMU's own tree changes from release to release
//! and describes devices no guest of ours may use, so the machine gets this one. `dtc` is the oracle in tests.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;
const LAST_COMPATIBLE_VERSION: u32 = 16;
const HEADER: usize = 40;
/// One reservation entry of zeros ends the (empty) list of reserved ranges.
const RESERVATIONS: usize = 16;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const END: u32 = 9;

/// A device tree being written, from the root down; every [`Fdt::begin`] needs its [`Fdt::end`].
pub struct Fdt {
    structure: Vec<u8>,
    strings: Vec<u8>,
    offsets: BTreeMap<&'static str, u32>,
}

impl Fdt {
    /// An empty tree inside its root node.
    pub fn new() -> Self {
        let mut fdt = Fdt { structure: Vec::new(), strings: Vec::new(), offsets: BTreeMap::new() };
        fdt.begin("");
        fdt
    }

    /// Opens a node called `name` (with its unit address, `memory@80000000`) inside the current one.
    pub fn begin(&mut self, name: &str) {
        self.cell(BEGIN_NODE);
        self.structure.extend_from_slice(name.as_bytes());
        self.structure.push(0);
        self.pad();
    }

    /// Closes the current node.
    pub fn end(&mut self) {
        self.cell(END_NODE);
    }

    /// A property of raw bytes.
    pub fn bytes(&mut self, name: &'static str, value: &[u8]) {
        let offset = match self.offsets.get(name) {
            Some(offset) => *offset,
            None => {
                let offset = self.strings.len() as u32;
                self.strings.extend_from_slice(name.as_bytes());
                self.strings.push(0);
                self.offsets.insert(name, offset);
                offset
            }
        };
        self.cell(PROPERTY);
        self.cell(value.len() as u32);
        self.cell(offset);
        self.structure.extend_from_slice(value);
        self.pad();
    }

    /// A property without a value: true because it is there.
    pub fn flag(&mut self, name: &'static str) {
        self.bytes(name, &[]);
    }

    /// A property of 32-bit cells.
    pub fn cells(&mut self, name: &'static str, cells: &[u32]) {
        let value: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        self.bytes(name, &value);
    }

    /// A `reg` property: one range, address and length in two cells each.
    pub fn range(&mut self, address: u64, len: u64) {
        self.bytes("reg", &[address.to_be_bytes(), len.to_be_bytes()].concat());
    }

    /// A property of one or more strings.
    pub fn strings(&mut self, name: &'static str, strings: &[&str]) {
        let value: Vec<u8> = strings.iter().flat_map(|s| s.bytes().chain([0])).collect();
        self.bytes(name, &value);
    }

    /// Closes the root node and gives the tree as a blob.
    pub fn finish(mut self) -> Vec<u8> {
        self.end();
        self.cell(END);
        let structure_offset = HEADER + RESERVATIONS;
        let strings_offset = structure_offset + self.structure.len();
        let total = strings_offset + self.strings.len();
        let header = [
            MAGIC,
            total as u32,
            structure_offset as u32,
            strings_offset as u32,
            HEADER as u32,
            VERSION,
            LAST_COMPATIBLE_VERSION,
            0, // the hart that boots
            self.strings.len() as u32,
            self.structure.len() as u32,
        ];
        let mut blob: Vec<u8> = header.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        blob.extend_from_slice(&[0; RESERVATIONS]);
        blob.append(&mut self.structure);
        blob.append(&mut self.strings);
        blob
    }

    fn cell(&mut self, value: u32) {
        self.structure.extend_from_slice(&value.to_be_bytes());
    }

    fn pad(&mut self) {
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Pipes `input` through `dtc`; its output, and what it complained about.
    fn dtc(arguments: &[&str], input: &[u8]) -> (Vec<u8>, String) {
        let mut child = Command::new("dtc")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dtc must be installed (Debian: device-tree-compiler)");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaints}");
        (output.stdout, complaints)
    }

    #[test]
    fn dtc_reads_back_what_was_written() {
        let mut fdt = Fdt::new();
        fdt.cells("#address-cells", &[2]);
        fdt.cells("#size-cells", &[2]);
        fdt.strings("compatible", &["one", "other"]);
        fdt.begin("memory@80000000");
        fdt.strings("device_type", &["memory"]);
        fdt.range(0x8000_0000, 0x1_2345_6000);
        fdt.flag("volatile");
        fdt.bytes("odd", &[1, 2, 3]);
        fdt.begin("inner");
        fdt.strings("compatible", &["x"]);
        fdt.end();
        fdt.end();
        let (source, _) = dtc(&["-q", "-I", "dtb", "-O", "dts"], &fdt.finish());
        let expected = "/dts-v1/;

/ {
\t#address-cells = <0x02>;
\t#size-cells = <0x02>;
\tcompatible = \"one\\0other\";

\tmemory@80000000 {
\t\tdevice_type = \"memory\";
\t\treg = <0x00 0x80000000 0x01 0x23456000>;
\t\tvolatile;
\t\todd = [01 02 03];

\t\tinner {
\t\t\tcompatible = \"x\";
\t\t};
\t};
};
";
        assert_eq!(String::from_utf8(source).unwrap(), expected);
    }

    #[test]
    fn the_machines_own_tree_is_what_dtc_makes_of_its_source_and_has_no_warnings() {
        use crate::machine::board::{self, Boot};
        use crate::machine::{Arch, Caps, Settings, layout::Layout};
        let layout = Layout::new(Arch::Riscv64, &Settings::default(), &Caps::default(), 5 << 20).unwrap();
        let direct = Boot::Direct { command_line: "quiet", initrd: (0x8800_0000, 0x8840_0001) };
        for boot in [Boot::Firmware, direct] {
            let tree = board::device_tree(layout.memory, &layout.drives(), 7, &boot);
            let (source, complaints) = dtc(&["-I", "dtb", "-O", "dts"], &tree);
            assert_eq!(complaints, "", "warnings of dtc");
            let (again, _) = dtc(&["-q", "-I", "dts", "-O", "dtb", "-b", "0"], &source);
            let structure = |blob: &[u8]| {
                let word = |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().unwrap()) as usize;
                blob[word(8)..word(8) + word(36)].to_vec()
            };
            assert_eq!(structure(&again), structure(&tree));
            let other = board::device_tree(layout.memory, &layout.drives(), 8, &boot);
            assert_ne!(tree, other, "the seed is not in the tree");
        }
    }
}
