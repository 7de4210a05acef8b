//! squashfs images as mksquashfs writes them.

use std::fs;

use reprove::diff::{Limits, Pair, compare_files};

use super::Workshop;

/// A line that writes an image of the folder `in`, with nothing in it that two runs would write otherwise.
fn image(out: &str, flags: &str) -> String {
    format!(
        "mksquashfs in {out} -noappend -quiet -no-progress -processors 1 -all-root -mkfs-time 0 {flags} >/dev/null"
    )
}

/// Files of all kinds: of one block, of several and an end, of holes, empty, a link, a link to the same file.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.run(
        "cd in; ln -s x link; ln y hard; : >empty; truncate -s 300000 holes; mkfifo pipe; \
         i=0; while [ $i -lt 4000 ]; do echo \"$i a line of some text that is long enough $((i * 7919))\"; i=$((i + 1)); done >text; \
         find . -exec touch -hd @1577836800 {} +",
    );
    workshop
}

#[test]
fn what_is_said_of_images_and_their_members() {
    let workshop = workshop();
    for (id, a, b, quote) in [
        ("embedded-build-time", "-mkfs-time 1577836800", "-mkfs-time 1795264496", "2020-01-01"),
        ("archive-member-mtime", "-all-time 1577836800", "-all-time 1795264496", "2020-01-01"),
        ("archive-member-owner", "-force-uid 0", "-force-uid 1000", "0"),
        ("archive-member-owner", "-force-gid 7", "-force-gid 8", "7"),
        ("archive-format", "-comp gzip", "-comp xz", "gzip"),
        ("archive-format", "-comp gzip", "-comp zstd", "gzip"),
        ("archive-format", "-b 131072", "-b 65536", "131072"),
        ("archive-member-mode", "-root-mode 755", "-root-mode 711", "0755"),
    ] {
        let seen = workshop.compare(&image("a", a), &image("b", b));
        assert_eq!(seen.ids().first(), Some(&id), "{a} {b}:\n{}", seen.text());
        assert!(!seen.ids().contains(&"unexplained"), "{a} {b}:\n{}", seen.text());
        assert!(seen.text().contains(quote), "{}", seen.text());
    }
}

#[test]
fn contents_are_found_by_path_whatever_they_are_packed_by() {
    let workshop = workshop();
    for compressor in ["gzip", "xz", "lz4", "zstd"] {
        for (path, change) in [
            ("d/w", "printf 5 >in/d/w"),
            ("text", "sed -i 's/^2000 a line/2000 a LINE/' in/text"),
            ("holes", "printf x | dd of=in/holes bs=1 seek=200000 conv=notrunc status=none"),
            ("link", "ln -sfn y in/link"),
            ("empty", "rm in/empty"),
        ] {
            workshop.run("rm -rf kept; cp -a in kept");
            let line = |out| {
                format!("{}; touch -hd @0 in/d", image(out, &format!("-comp {compressor} -all-time 0")))
            };
            let seen = workshop.compare(&line("a"), &format!("{change}; {}", line("b")));
            let causes = seen.causes.iter().filter(|cause| !cause.derived);
            let inside: Vec<_> =
                causes.flat_map(|cause| &cause.evidence).map(|found| &found.inside).collect();
            assert!(
                !inside.is_empty() && inside.iter().all(|names| names[0] == path.as_bytes()),
                "{compressor} {path} {}",
                seen.text()
            );
            let places = seen.comparison.places();
            let notes = places.iter().map(|place| place.difference.notes.len()).sum::<usize>();
            assert_eq!(notes, 0, "{compressor} {path} {}", seen.text());
            workshop.run("rm -rf in; mv kept in");
        }
    }
}

#[test]
fn the_same_files_at_another_level() {
    let workshop = workshop();
    let seen = workshop.compare(&image("a", "-Xcompression-level 9"), &image("b", "-Xcompression-level 1"));
    assert!(seen.ids().contains(&"deflate-encoder"), "{}", seen.text());
    assert!(!seen.ids().contains(&"unexplained"), "{}", seen.text());
}

#[test]
fn what_is_not_unpacked_is_said() {
    let workshop = workshop();
    let lzo = |out| image(out, "-comp lzo");
    let seen = workshop.compare(&lzo("a"), &format!("printf 5 >in/d/w; {}", lzo("b")));
    assert!(seen.text().contains("lzo or lzma, which are not read here"), "{}", seen.text());
}

#[test]
fn images_that_lie() {
    let workshop = workshop();
    workshop.run(&image("a", "-comp gzip"));
    let sound = fs::read(workshop.path().join("a")).unwrap();
    let limits = Limits { unpacked: 8 << 20, ..Limits::default() };
    // Every word of the superblock, and every byte of the tables behind the data.
    let tables = u64::from_le_bytes(sound[64..72].try_into().unwrap()) as usize;
    let words = (4..96).step_by(2).chain((tables..sound.len()).step_by(29));
    for at in words {
        for value in [0, 0xff] {
            let mut other = sound.clone();
            let end = (at + 4).min(other.len());
            other[at..end].fill(value);
            let comparison = compare_files(&sound, &other, &limits).unwrap();
            assert_eq!(comparison.identical(), sound == other, "{at:#x}");
            let causes = reprove::diagnose::diagnose(&comparison, &[]);
            assert_eq!(causes.is_empty(), sound == other, "{at:#x}");
            let names = Pair::new("a", "b");
            reprove::report::diff::write(
                &mut std::io::sink(),
                names,
                &comparison,
                &causes,
                reprove::report::diff::Detail::Full,
            )
            .unwrap();
        }
    }
}
