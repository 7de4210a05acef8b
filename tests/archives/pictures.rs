//! PNG images, and archives behind something else.

use super::{Seen, Workshop, writers};

/// A PNG image of one color with these chunks before the picture, which is packed at this level and cut so.
pub fn png(chunks: &[(&[u8; 4], &[u8])], color: u8, level: u32, pieces: usize) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], data].concat();
        out.extend(&body);
        out.extend(writers::crc32(&body).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 64, 0, 0, 0, 64, 8, 0, 0, 0, 0]);
    for (kind, data) in chunks {
        chunk(kind, data);
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
    for line in 0..64u8 {
        encoder.write_all(&[0]).unwrap();
        encoder.write_all(&(0..64u8).map(|x| color ^ x.wrapping_mul(line)).collect::<Vec<u8>>()).unwrap();
    }
    let packed = encoder.finish().unwrap();
    for piece in packed.chunks(packed.len().div_ceil(pieces)) {
        chunk(b"IDAT", piece);
    }
    chunk(b"IEND", b"");
    out
}

#[test]
fn chunks_of_png_by_name() {
    let packed = |text: &str| [b"Comment\0\0", &writers::zlib(text.as_bytes())[..]].concat();
    let international = |text: &str| [b"Author\0\0\0\0\0", text.as_bytes()].concat();
    let of = |chunk: (&[u8; 4], &[u8])| png(&[chunk], 7, 6, 1);
    for (id, a, b, quote) in [
        (
            "embedded-build-time",
            of((b"tIME", b"\x07\xe4\x01\x02\x03\x04\x05")),
            of((b"tIME", b"\x07\xea\x0b\x16\x07\x08\x09")),
            "2026-11-22 07:08:09",
        ),
        (
            "embedded-build-time",
            of((b"tEXt", b"date:create\x002020-01-02T03:04:05+00:00")),
            of((b"tEXt", b"date:create\x002026-11-22T07:08:09+00:00")),
            "2026-11-22",
        ),
        ("archive-extra-metadata", of((b"tEXt", b"Software\0one")), of((b"tEXt", b"Software\0two")), "two"),
        (
            "nix-store-path",
            of((b"zTXt", &packed("/nix/store/00000000000000000000000000000000-a"))),
            of((b"zTXt", &packed("/nix/store/11111111111111111111111111111111-a"))),
            "1111-a",
        ),
        (
            "archive-extra-metadata",
            of((b"iTXt", &international("one"))),
            of((b"iTXt", &international("two"))),
            "two",
        ),
        (
            "archive-extra-metadata",
            of((b"pHYs", b"\0\0\x0b\x13\0\0\x0b\x13\x01")),
            of((b"pHYs", b"\0\0\x0b\x14\0\0\x0b\x13\x01")),
            "2836",
        ),
        ("archive-extra-metadata", png(&[], 7, 6, 1), of((b"gAMA", b"\0\0\xb1\x8f")), "gAMA"),
        ("deflate-encoder", png(&[], 7, 9, 1), png(&[], 7, 1, 1), "by deflate"),
        ("deflate-encoder", png(&[], 7, 6, 1), png(&[], 7, 6, 3), "3"),
        ("unexplained", png(&[], 7, 6, 1), png(&[], 8, 6, 1), "IDAT"),
    ] {
        let seen = Seen::of(&a, &b);
        assert_eq!(seen.ids().first(), Some(&id), "{}", seen.text());
        assert!(seen.text().contains(quote), "{quote}: {}", seen.text());
        assert!(id == "unexplained" || !seen.ids().contains(&"unexplained"), "{}", seen.text());
    }
}

#[test]
fn python_writes_pngs_that_are_read_whole() {
    let workshop = Workshop::new();
    let line = |out: &str, text: &str| {
        format!(
            r#"python3 -c "
import struct, zlib
def chunk(k, d): return struct.pack('>I', len(d)) + k + d + struct.pack('>I', zlib.crc32(k + d))
rows = b''.join(b'\0' + bytes(range(90)) for _ in range(90))
open('{out}', 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 30, 90, 8, 2, 0, 0, 0))
    + chunk(b'tEXt', b'Title\0{text}') + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))""#
        )
    };
    let seen = workshop.compare(&line("a", "built 2020-01-01"), &line("b", "built 2026-11-22"));
    assert_eq!(seen.ids(), ["embedded-build-time"], "{}", seen.text());
}

#[test]
fn a_zip_behind_a_script_and_what_is_before_it() {
    let workshop = Workshop::new();
    workshop.run("cd in && zip -qX ../zip x y");
    let path = |digit: &str| format!("/nix/store/{}-python3/bin/python3", digit.repeat(32));
    // With offsets that count what is before, and without.
    for adjust in ["", "zip -qA"] {
        let line = |out: &str, digit: &str| {
            let adjust = if adjust.is_empty() { String::new() } else { format!("; {adjust} {out}") };
            format!("{{ echo '#!{}'; cat zip.zip; }} >{out}{adjust}", path(digit))
        };
        let seen = workshop.compare(&line("a", "0"), &line("b", "1"));
        assert_eq!(seen.ids(), ["nix-store-path"], "{}", seen.text());
        assert_eq!(seen.evidence().0, ["(before the archive)"]);
        let other = format!(
            "cp zip.zip kept; cd in; printf TWO >y; zip -qX ../zip y; cd ..; {}; mv kept zip.zip",
            line("b", "0")
        );
        let seen = workshop.compare(&line("a", "0"), &other);
        assert_eq!(
            seen.comparison.differences[0].inside.last().unwrap().at.to_string(),
            "y",
            "{}",
            seen.text()
        );
    }
}

#[test]
fn an_archive_behind_a_shell_script() {
    let workshop = Workshop::new();
    let line = |out: &str, time: &str| {
        format!(
            "{{ printf '#!/bin/sh\\n# %2000s\\nskip=3\\nexit 0\\n' x; tar --sort=name --owner=0 --group=0 --mtime={time} -C in -c . | gzip -n; }} >{out}"
        )
    };
    let seen = workshop.compare(&line("a", "@1577836800"), &line("b", "@1795264496"));
    assert_eq!(seen.ids(), ["archive-member-mtime"], "{}", seen.text());
    assert_eq!(seen.evidence().0[0], "(behind the script)");
}
