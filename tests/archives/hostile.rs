//! Archives made to harm whoever reads them. Nothing may panic, take more memory than its cap, or be called equal.

use reprove::diff::{Comparison, Limits, compare_files};

use super::writers::*;

/// Compares both ways and with itself; gives the codes of the notes of every place.
fn notes(a: &[u8], b: &[u8], limits: &Limits) -> (Comparison, Vec<String>) {
    assert!(compare_files(&a, &a, limits).unwrap().identical());
    assert!(compare_files(&b, &b, limits).unwrap().identical());
    assert!(!compare_files(&b, &a, limits).unwrap().identical());
    let comparison = compare_files(&a, &b, limits).unwrap();
    assert!(!comparison.identical());
    let codes = comparison
        .places()
        .iter()
        .flat_map(|place| place.difference.notes.iter().map(|note| note.code().to_string()))
        .collect();
    (comparison, codes)
}

fn seen(a: &[u8], b: &[u8]) -> Vec<String> {
    notes(a, b, &Limits::default()).1
}

const BROKEN: &str = "RP0920";
const DEEP: &str = "RP0921";
const MUCH: &str = "RP0922";

#[test]
fn t83_zip_entries_over_each_other() {
    let sound = zip(&[("a", b"same contents"), ("b", b"more")]);
    let mut other = sound.clone();
    // The second entry of the central directory points to the first member.
    let central = other.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    other[central + 42..central + 46].fill(0);
    assert_eq!(seen(&sound, &other), [BROKEN]);
}

#[test]
fn t83_zip_with_a_central_directory_that_lies() {
    let sound = zip(&[("a", b"same contents")]);
    let end = sound.len() - 22;
    for (at, bytes) in
        [(10, &b"\xff\xff"[..]), (12, b"\xff\xff\xff\x7f"), (16, b"\xf0\xff\xff\xff"), (16, b"\0\0\0\0")]
    {
        let mut other = sound.clone();
        other[end + at..end + at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(seen(&sound, &other), [BROKEN], "{at}");
    }
}

#[test]
fn t83_zip_of_members_of_one_name() {
    let a = zip(&[("x", b"one"), ("x", b"two"), ("x", b"three")]);
    let b = zip(&[("x", b"one"), ("x", b"2wo"), ("x", b"three")]);
    let (comparison, codes) = notes(&a, &b, &Limits::default());
    assert!(codes.is_empty());
    assert_eq!(comparison.differences[0].inside.len(), 1);
}

#[test]
fn t84_tar_with_another_size_in_its_extended_header() {
    let header = || tar_header(b"x", 5, b'0');
    let sound = tar_extended(b'x', b"12 mtime=1.5\n", header(), b"hello");
    for body in [
        &b"10 size=6\n"[..],
        b"99999999999999999999 size=6\n",
        b"3 =\n",
        b"0 \n",
        b"size=6\n",
        b"11 size=-6\n",
    ] {
        let other = tar_extended(b'x', body, header(), b"hello");
        assert_eq!(seen(&sound, &other), [BROKEN], "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn t84_tar_sizes_that_are_none() {
    let sound = tar(&[(b"x", b"hello")]);
    for size in [
        &b"77777777777\0"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"9 lives     ",
    ] {
        let mut other = sound.clone();
        other[124..136].copy_from_slice(size);
        tar_checksum(&mut other);
        assert_eq!(seen(&sound, &other), [BROKEN], "{size:?}");
    }
}

#[test]
fn t84_tar_with_a_negative_time_absolute_names_and_devices() {
    let sound = tar(&[(b"/etc/../passwd", b"hello")]);
    let mut other = sound.clone();
    other[136..148].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x85");
    other[156] = b'3';
    other[124..136].copy_from_slice(b"00000000000\0");
    tar_checksum(&mut other);
    other.drain(512..1024);
    let (comparison, codes) = notes(&sound, &other, &Limits::default());
    assert!(codes.is_empty(), "{comparison:#?}");
    assert!(format!("{comparison:?}").contains("Time(-123)"));
}

#[test]
fn t85_gzip_with_something_behind_it() {
    let sound = gzip(b"hello");
    let other = [&sound[..], b"and more"].concat();
    let (comparison, codes) = notes(&sound, &other, &Limits::default());
    assert!(codes.is_empty());
    assert_eq!(comparison.differences[0].inside[0].at.to_string(), "outside of all members");
}

#[test]
fn t86_ar_names_outside_of_the_table_and_thin_archives() {
    let sound = ar(&[("//", b"name_that_is_long/\n"), ("/0", b"one")]);
    for name in ["/99999", "/18446744073709551615", "#1/99"] {
        assert_eq!(seen(&sound, &ar(&[("//", b"name_that_is_long/\n"), (name, b"one")])), [BROKEN], "{name}");
    }
    let thin = |text: &str| {
        let mut archive = ar(&[("//", b"some/where/else.o/\n"), ("/0", b"")]);
        archive[..8].copy_from_slice(b"!<thin>\n");
        let end = archive.len();
        archive[end - 12..end - 12 + text.len()].copy_from_slice(text.as_bytes());
        archive
    };
    assert!(seen(&thin("123"), &thin("456")).is_empty());
}

#[test]
fn t87_a_thousand_containers_inside_each_other() {
    let nested = |text: &[u8]| {
        (0..1000).fold(text.to_vec(), |inner, level| match level % 3 {
            0 => gzip(&inner),
            1 => tar(&[(b"x", &inner)]),
            _ => zip(&[("x", &inner)]),
        })
    };
    assert_eq!(seen(&nested(b"one"), &nested(b"two")), [DEEP]);
}

#[test]
fn t87_bombs_meet_a_cap() {
    let zeros = vec![0; 80 << 20];
    let bomb = |last: u8| {
        let mut zeros = zeros.clone();
        zeros.push(last);
        zeros
    };
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    for pack in [gzip, zstd, bzip2] {
        assert_eq!(notes(&pack(&bomb(1)), &pack(&bomb(2)), &limits).1, [MUCH]);
    }
    // A ratio that no honest file has.
    assert_eq!(seen(&zstd(&bomb(1)), &zstd(&bomb(2))), [MUCH]);
    // Each member of an archive for itself.
    let packed = |last: u8| zip(&[("sound", b"x"), ("bomb", &bomb(last))]);
    assert_eq!(notes(&packed(1), &packed(2), &limits).1, [MUCH]);
}

#[test]
fn t83_the_whole_of_an_archive_of_small_bombs_meets_a_cap() {
    let data: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 100 << 10]).collect();
    let members = |last: &'static [u8]| -> Vec<u8> {
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let mut files: Vec<(&str, Vec<u8>)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), [&data[n / 2][..], last].concat()))
            .collect();
        files[0].1 = last.to_vec();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, data)| (*name, data.as_slice())).collect();
        zip(&files)
    };
    let limits = Limits { unpacked_in_all: 1 << 20, ..Limits::default() };
    let (_, codes) = notes(&members(b"1"), &members(b"2"), &limits);
    assert!(codes.len() > 1 && codes.iter().all(|code| code == MUCH), "{codes:?}");
}

#[test]
fn t33_more_members_than_are_looked_at() {
    let limits = Limits { members: 10, ..Limits::default() };
    let names: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let many = |data: &'static [u8]| {
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), data)).collect();
        let raw: Vec<(&[u8], &[u8])> = names.iter().map(|name| (name.as_bytes(), data)).collect();
        [tar(&raw), ar(&files), cpio(&files), zip(&files)]
    };
    for (a, b) in many(b"one").iter().zip(&many(b"two")) {
        assert_eq!(notes(a, b, &limits).1, [MUCH]);
    }
}

#[test]
fn a_truncated_file_is_broken_at_every_byte_and_never_equal() {
    for sound in [
        tar(&[(b"x", b"hello")]),
        ar(&[("x/", b"hello")]),
        cpio(&[("x", b"hello")]),
        zip(&[("x", b"hello")]),
        gzip(b"hello"),
        xz(b"hello"),
        pyc("/build/x.py", b"hello"),
    ] {
        for len in 0..sound.len() {
            let cut = sound[..len].to_vec();
            assert!(!compare_files(&sound, &cut, &Limits::default()).unwrap().identical());
        }
    }
}

#[test]
fn t85_gzip_of_very_many_members_takes_time_in_proportion() {
    // With a square of their number this would take hours.
    let many = |time: u8| {
        let mut member = gzip(b"");
        member[4] = time;
        member.repeat(20_000)
    };
    let (comparison, codes) = notes(&many(1), &many(2), &Limits::default());
    assert!(codes.is_empty());
    assert_eq!(comparison.differences[0].inside[0].found.len(), 20_000);
}
