//! A sound file of each format, small enough to be mutated often: written here, or by the real tools.

use std::process::Command;

use super::{
    layouts::{self, Image},
    writers,
};

fn lines() -> Vec<u8> {
    (0..60).flat_map(|n| format!("line {n} of a text\n").into_bytes()).collect()
}

fn numbers() -> Vec<u8> {
    (0..700u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

fn files<'a>(text: &'a [u8], binary: &'a [u8]) -> [(&'a str, &'a [u8]); 4] {
    [("one", text), ("two", binary), ("d/three", b"3"), ("empty", b"")]
}

/// The file `out` that a line of shell makes of `x.c`, `text` and `binary`.
fn made(script: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let source = "int table[9] = {1, 2};\nint f(int n) { return n * 3 + table[n & 7]; }\n\
                  void _start(void) { f(1); for (;;); }\n";
    for (name, data) in [("x.c", source.as_bytes()), ("text", &lines()), ("binary", &numbers())] {
        std::fs::write(folder.path().join(name), data).unwrap();
    }
    let output = Command::new("sh").args(["-euc", script]).current_dir(folder.path()).output().unwrap();
    assert!(
        output.status.success(),
        "`{script}` failed (scripts/install-deps --tests installs the tools):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(folder.path().join("out")).unwrap()
}

pub fn tar() -> Vec<u8> {
    let (text, binary) = (lines(), numbers());
    let files = files(&text, &binary);
    writers::tar(&files.map(|(name, data)| (name.as_bytes(), data)))
}

pub fn tar_pax() -> Vec<u8> {
    let body = b"19 path=a/long/name\n18 mtime=1234.5678\n";
    writers::tar_extended(b'x', body, writers::tar_header(b"s", 5, b'0'), b"hello")
}

pub fn tar_gnu() -> Vec<u8> {
    let body = b"a/name/that/is/long\0";
    writers::tar_extended(b'L', body, writers::tar_header(b"s", 5, b'0'), b"hello")
}

pub fn ar() -> Vec<u8> {
    let binary = numbers();
    writers::ar(&[
        ("/", &binary[..40]),
        ("//", b"a_long_name_of_a_member/\nanother/\n"),
        ("one/", &lines()),
        ("/0", &binary),
        ("#1/4", b"bsd!data"),
    ])
}

pub fn deb() -> Vec<u8> {
    let control = writers::tar(&[(b"./control", b"Package: x\n"), (b"./md5sums", b"0123  one\n")]);
    writers::ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", &writers::gzip(&control)),
        ("data.tar.xz", &writers::xz(&tar())),
    ])
}

pub fn cpio() -> Vec<u8> {
    let (text, binary) = (lines(), numbers());
    let files = files(&text, &binary);
    [writers::cpio(&files), writers::gzip(&writers::cpio(&files[..1]))].concat()
}

pub fn zip() -> Vec<u8> {
    writers::zip(&files(&lines(), &numbers()))
}

pub fn jar() -> Vec<u8> {
    let manifest = b"Manifest-Version: 1.0\r\nCreated-By: 17\r\n".repeat(9);
    writers::zip(&[("META-INF/", b""), ("META-INF/MANIFEST.MF", &manifest), ("A.class", &numbers())])
}

pub fn nar() -> Vec<u8> {
    let text = lines();
    let mut out = Vec::new();
    for string in [
        &b"nix-archive-1"[..],
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        b"link",
        b"node",
        b"(",
        b"type",
        b"symlink",
        b"target",
        b"one",
        b")",
        b")",
        b"entry",
        b"(",
        b"name",
        b"one",
        b"node",
        b"(",
        b"type",
        b"regular",
        b"executable",
        b"",
        b"contents",
        &text,
        b")",
        b")",
        b")",
    ] {
        out.extend((string.len() as u64).to_le_bytes());
        out.extend(string);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out
}

pub fn gzip() -> Vec<u8> {
    [writers::gzip(&lines()), writers::gzip(&numbers())].concat()
}

pub fn xz() -> Vec<u8> {
    writers::xz(&lines())
}

pub fn zstd() -> Vec<u8> {
    writers::zstd(&lines())
}

pub fn bzip2() -> Vec<u8> {
    writers::bzip2(&lines())
}

pub fn pyc() -> Vec<u8> {
    writers::pyc("/build/source/mod.py", &numbers())
}

pub fn nested() -> Vec<u8> {
    let library = writers::ar(&[("o/", &numbers())]);
    let inner = writers::tar(&[(b"x.zip", &zip()), (b"lib.a", &library)]);
    writers::ar(&[("data.tar.gz/", &writers::gzip(&inner))])
}

fn squashfs(compressor: &str) -> Vec<u8> {
    made(&format!(
        "mkdir -p in/d; cp text binary in; cp text in/d/x; ln -s x in/l; mkfifo in/p; truncate -s 9000 in/h
         mksquashfs in out -noappend -quiet -no-progress -processors 1 -b 4096 -comp {compressor} -all-root -nopad >log"
    ))
}

pub fn squashfs_gzip() -> Vec<u8> {
    squashfs("gzip")
}

pub fn squashfs_xz() -> Vec<u8> {
    squashfs("xz")
}

pub fn squashfs_lz4() -> Vec<u8> {
    squashfs("lz4")
}

pub fn squashfs_zstd() -> Vec<u8> {
    squashfs("zstd")
}

fn image() -> Image {
    Image::new(&[
        &[("etc/", ""), ("etc/passwd", "root"), ("gone", "1"), ("d/", ""), ("d/x", "2")],
        &[(".wh.gone", ""), ("d/.wh..wh..opq", ""), ("app", "at /nix/store/x")],
    ])
}

pub fn oci() -> Vec<u8> {
    layouts::tar(&image().oci(writers::gzip))
}

pub fn docker() -> Vec<u8> {
    layouts::tar(&image().docker())
}

pub fn png() -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let pixels: Vec<u8> = (0..10).flat_map(|_| (0..31u8).map(|x| if x == 0 { 0 } else { x })).collect();
    for (kind, data) in [
        (b"IHDR", [0, 0, 0, 30, 0, 0, 0, 10, 8, 0, 0, 0, 0].to_vec()),
        (b"tIME", b"\x07\xe4\x01\x02\x03\x04\x05".to_vec()),
        (b"tEXt", b"date:create\x002020-01-02".to_vec()),
        (b"zTXt", [b"k\0\0", &writers::zlib(&lines())[..]].concat()),
        (b"iTXt", [b"k\0\x01\0en\0k\0", &writers::zlib(&lines())[..]].concat()),
        (b"pHYs", vec![0, 0, 11, 19, 0, 0, 11, 19, 1]),
        (b"abCd", b"private".to_vec()),
        (b"IDAT", writers::zlib(&pixels)),
        (b"IEND", Vec::new()),
    ] {
        out.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], &data].concat();
        out.extend(&body);
        out.extend(writers::crc32(&body).to_be_bytes());
    }
    out
}

pub fn zipapp() -> Vec<u8> {
    [b"#!/nix/store/00000000000000000000000000000000-python3/bin/python3\n", &zip()[..]].concat()
}

pub fn makeself() -> Vec<u8> {
    [b"#!/bin/sh\nskip=3\nexit 0\n", &writers::gzip(&tar())[..]].concat()
}

const LINK: &str = "-nostdlib -static -Wl,--build-id=sha1 -Wl,-z,max-page-size=4096 -Wl,-z,noseparate-code";

pub fn elf() -> Vec<u8> {
    made(&format!("gcc -O1 -g {LINK} x.c -o out"))
}

/// An object for another processor.
fn elf_for(target: &str) -> Vec<u8> {
    made(&format!("clang --target={target} -g -c x.c -o out"))
}

pub fn elf_32() -> Vec<u8> {
    elf_for("i386-linux-gnu")
}

pub fn elf_big_endian() -> Vec<u8> {
    elf_for("powerpc64-linux-gnu")
}

pub fn elf_32_big_endian() -> Vec<u8> {
    elf_for("mips-linux-gnu")
}

pub fn elf_object() -> Vec<u8> {
    made("gcc -g -ffunction-sections -c x.c -o out")
}

pub fn elf_compressed() -> Vec<u8> {
    made("gcc -g -gz -c x.c -o out")
}

/// A Go binary in small: Go's tables beside a function, no symbols.
pub fn go() -> Vec<u8> {
    made(&format!(
        r#"gcc -O1 {LINK} x.c -o out
python3 - <<'END'
import struct
head = struct.pack("<IBBBBQQQQQQQQ", 0xfffffff1, 0, 0, 1, 8, 1, 0, 0x401000, 72, 72, 72, 72, 90)
open("tab", "wb").write(head + b"main.main\0".ljust(18, b"\0") + struct.pack("<IIIIi", 0, 12, 64, 0, 0) + bytes(40))
open("info", "wb").write(b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\x08go1.26.3" + b"\x10path\tx\nmod\ty\tz\n")
END
objcopy --add-section .gopclntab=tab --add-section .go.buildinfo=info out
strip out"#
    ))
}

pub fn pe() -> Vec<u8> {
    made(
        "clang --target=x86_64-pc-windows-msvc -O2 -c x.c -o x.obj
         lld-link /entry:f /subsystem:console /nodefaultlib /debug /pdb:x.pdb /out:out x.obj",
    )
}

const MACHO: &str = "clang --target=arm64-apple-macos11 -O2 -c x.c -o x.o
    lld -flavor darwin -arch arm64 -platform_version macos 11.0 11.0 -dylib -undefined dynamic_lookup -install_name x x.o -o out";

pub fn macho() -> Vec<u8> {
    made(MACHO)
}

pub fn universal() -> Vec<u8> {
    let file = macho();
    let words = [0xcafe_babe_u32, 1, 0x0100_000c, 0, 4096, file.len() as u32, 12];
    let mut out = words.map(u32::to_be_bytes).concat();
    out.resize(4096, 0);
    [out, file].concat()
}

pub fn wasm() -> Vec<u8> {
    made("clang --target=wasm32 -nostdlib -c x.c -o x.o; wasm-ld --no-entry --export-all x.o -o out")
}

pub fn gcov() -> Vec<u8> {
    made("gcc --coverage -c x.c -o x.o; cp x.gcno out")
}

pub fn json() -> Vec<u8> {
    let many: Vec<u32> = (0..200).collect();
    serde_json::json!({"time": "2020-01-02T03:04:05Z", "many": many, "deep": [[[[{"a": null}]]]], "x": 1.5e300})
        .to_string()
        .into_bytes()
}

pub fn text() -> Vec<u8> {
    [&lines()[..], b"/nix/store/00000000000000000000000000000000-glibc built 2020-01-02 -j8 \xff\r\n"]
        .concat()
}
