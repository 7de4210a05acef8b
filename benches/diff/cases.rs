//! What is compared: pairs made on the spot, the same ones in every run of the same toolchain.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use object::{Object as _, ObjectSection as _};

use crate::executables::{self, Program};

const MIB: u64 = 1 << 20;

/// A kind of difference.
pub struct Kind {
    pub name: &'static str,
    /// How many times faster than diffoscope it shall be.
    pub target: f64,
    /// Whether both sides are equal.
    pub equal: bool,
    /// Makes the pair in a folder, or says what is missing.
    pub make: fn(&Path) -> Result<Case, String>,
}

/// Two things to compare.
pub struct Case {
    pub a: PathBuf,
    pub b: PathBuf,
    /// In words.
    pub what: String,
    /// Bytes of the larger one.
    pub size: u64,
}

/// Where bytes stand in place, and where they moved or are members of containers.
const IN_PLACE: f64 = 500.0;
const MOVED: f64 = 100.0;

/// All of them.
pub const KINDS: [Kind; 7] = [
    Kind { name: "in-place", target: IN_PLACE, equal: false, make: in_place },
    Kind { name: "one-byte", target: IN_PLACE, equal: false, make: one_byte },
    Kind { name: "moved", target: MOVED, equal: false, make: moved },
    Kind { name: "stripped", target: MOVED, equal: false, make: stripped },
    Kind { name: "tree", target: IN_PLACE, equal: false, make: tree },
    Kind { name: "tar", target: MOVED, equal: false, make: tar },
    Kind { name: "equal", target: 0.8, equal: true, make: equal },
];

fn case(folder: &Path, what: String) -> Case {
    let (a, b) = (folder.join("a"), folder.join("b"));
    let size = |path: &Path| -> u64 {
        match path.is_dir() {
            true => fs::read_dir(path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum(),
            false => path.metadata().unwrap().len(),
        }
    };
    let size = size(&a).max(size(&b));
    Case { a, b, what, size }
}

/// A pair of programs of about `size` bytes that differ in the hashes of four store paths.
fn hashes(folder: &Path, size: u64) -> Result<&'static str, String> {
    let program = Program { size, ..Program::default() };
    executables::build(folder, "a", &program)?;
    executables::build(folder, "b", &Program { hashes: executables::OTHER, ..program })
}

fn in_place(folder: &Path) -> Result<Case, String> {
    let maker = hashes(folder, 20 * MIB)?;
    let case = case(folder, String::new());
    let what = format!("{} bytes in a pair of {maker} programs", differing(&case));
    Ok(Case { what, ..case })
}

fn one_byte(folder: &Path) -> Result<Case, String> {
    let maker = executables::build(folder, "a", &Program { size: 40 * MIB, ..Program::default() })?;
    fs::copy(folder.join("a"), folder.join("b")).unwrap();
    let (start, len) = section(&folder.join("a"), ".text");
    let b = File::options().read(true).write(true).open(folder.join("b")).unwrap();
    let at = start + len / 2;
    let mut byte = [0];
    b.read_exact_at(&mut byte, at).unwrap();
    b.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
    Ok(case(folder, format!("1 byte of code in a pair of {maker} programs")))
}

fn moved(folder: &Path) -> Result<Case, String> {
    let program = Program { size: 8 * MIB, ..Program::default() };
    let maker = executables::build(folder, "a", &program)?;
    executables::build(folder, "b", &Program { more: true, ..program })?;
    let case = case(folder, String::new());
    let share = 100.0 * differing(&case) as f64 / case.size as f64;
    Ok(Case { what: format!("{share:.0} % of the bytes moved in a pair of {maker} programs"), ..case })
}

fn stripped(folder: &Path) -> Result<Case, String> {
    let program = Program { size: 8 * MIB, debug: true, ..Program::default() };
    let maker = executables::build(folder, "a", &program)?;
    fs::copy(folder.join("a"), folder.join("b")).unwrap();
    executables::run("strip", &["-s".as_ref(), folder.join("b").as_os_str()], folder)?;
    Ok(case(folder, format!("a {maker} program with debug information, and stripped")))
}

fn tree(folder: &Path) -> Result<Case, String> {
    for side in ["a", "b"] {
        let mut words = Words::new(1);
        for number in 0..500 {
            let directory = folder.join(side).join(format!("share/part-{}", number / 50));
            fs::create_dir_all(&directory).unwrap();
            let mut file = BufWriter::new(File::create(directory.join(format!("{number}.txt"))).unwrap());
            let marked = number % 100 == 37;
            if marked {
                let date = if side == "a" { "2026-01-01" } else { "2026-01-02" };
                writeln!(file, "generated on {date}").unwrap();
            }
            words.text(&mut file, 9 << 10);
        }
    }
    let size = 500 * (9 << 10);
    Ok(Case { size, ..case(folder, "5 of 500 files".to_owned()) })
}

fn tar(folder: &Path) -> Result<Case, String> {
    let members = folder.join("members");
    fs::create_dir(&members).unwrap();
    let maker = hashes(&members, 20 * MIB)?;
    for side in ["a", "b"] {
        let mut tar = BufWriter::new(File::create(folder.join(side)).unwrap());
        let mut words = Words::new(2);
        for number in 0..1000 {
            header(&mut tar, &format!("src/{}/file-{number}.txt", number % 20), 30 << 10);
            words.text(&mut tar, 30 << 10);
        }
        header(&mut tar, "data/assets", 30 * MIB);
        filler(&mut tar, 30 * MIB);
        let mut program = File::open(members.join(side)).unwrap();
        let size = program.metadata().unwrap().len();
        header(&mut tar, "bin/program", size);
        std::io::copy(&mut program, &mut tar).unwrap();
        let end = size.next_multiple_of(512) - size + 1024;
        tar.write_all(&vec![0; end as usize]).unwrap();
    }
    Ok(case(folder, format!("1 of 1002 members of a tar archive, a {maker} program")))
}

fn equal(folder: &Path) -> Result<Case, String> {
    let mut file = BufWriter::new(File::create(folder.join("a")).unwrap());
    filler(&mut file, 400 * MIB);
    drop(file);
    // Not a reference to the same blocks: read and written.
    let mut b = File::create(folder.join("b")).unwrap();
    let mut a = std::io::BufReader::with_capacity(1 << 20, File::open(folder.join("a")).unwrap());
    while let [_, ..] = std::io::BufRead::fill_buf(&mut a).unwrap() {
        let len = a.buffer().len();
        b.write_all(a.buffer()).unwrap();
        std::io::BufRead::consume(&mut a, len);
    }
    Ok(case(folder, "equal files".to_owned()))
}

/// Where a section of an ELF file lies.
fn section(path: &Path, name: &str) -> (u64, u64) {
    let file = object::ReadCache::new(File::open(path).unwrap());
    let elf = object::File::parse(&file).unwrap();
    elf.section_by_name(name).unwrap().file_range().unwrap()
}

/// In how many positions two files of (nearly) the same length differ.
fn differing(case: &Case) -> u64 {
    let (a, b) = (File::open(&case.a).unwrap(), File::open(&case.b).unwrap());
    let sizes = [&a, &b].map(|file| file.metadata().unwrap().len());
    let (mut differing, mut at) = (sizes[0].abs_diff(sizes[1]), 0);
    let (mut x, mut y) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    while at < sizes[0].min(sizes[1]) {
        let len = (sizes[0].min(sizes[1]) - at).min(1 << 16) as usize;
        a.read_exact_at(&mut x[..len], at).unwrap();
        b.read_exact_at(&mut y[..len], at).unwrap();
        differing += x[..len].iter().zip(&y[..len]).filter(|(x, y)| x != y).count() as u64;
        at += len as u64;
    }
    differing
}

/// A ustar header and the padding of the member before it, whose size is a multiple of 512.
fn header(tar: &mut impl std::io::Write, name: &str, size: u64) {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    for (at, text) in [
        (100, "0000644\0"),
        (108, "0000000\0"),
        (116, "0000000\0"),
        (124, &format!("{size:011o}\0")),
        (136, "00000000000\0"),
        (148, "        "),
        (156, "0"),
        (257, "ustar\x0000"),
    ] {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.write_all(&block).unwrap();
}

/// `len` bytes that cannot be compressed, as assets are.
pub fn filler(out: &mut impl std::io::Write, len: u64) {
    let mut numbers = Numbers(7);
    let mut left = len;
    while left > 0 {
        let bytes = numbers.next().to_le_bytes();
        let count = left.min(8);
        out.write_all(&bytes[..count as usize]).unwrap();
        left -= count;
    }
}

/// Numbers without a pattern (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Lines of words.
struct Words(Numbers);

impl Words {
    fn new(seed: u64) -> Self {
        Words(Numbers(seed))
    }

    fn text(&mut self, out: &mut impl std::io::Write, len: usize) {
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            let number = self.0.next();
            let syllables = ["ba", "de", "ki", "lo", "mu", "ra", "sen", "ti"];
            for index in 0..2 + number % 3 {
                text.push_str(syllables[(number >> (8 + 3 * index)) as usize % 8]);
            }
            text.push(if number.is_multiple_of(11) { '\n' } else { ' ' });
        }
        out.write_all(&text.as_bytes()[..len]).unwrap();
    }
}
