use std::process::Command;

use super::*;

/// Builds archives by hand, so that their headers can lie.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn entry(self, flag: u8, path: &str, contents: &[u8]) -> Self {
        self.raw(flag, path, "", contents.len() as u64, contents, |_| {})
    }

    fn link(self, flag: u8, path: &str, target: &str) -> Self {
        self.raw(flag, path, target, 0, b"", |_| {})
    }

    fn raw(
        mut self,
        flag: u8,
        path: &str,
        target: &str,
        size: u64,
        contents: &[u8],
        lie: impl Fn(&mut [u8; 512]),
    ) -> Self {
        let mut block = [0u8; 512];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[100..108].copy_from_slice(b"0000755\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"00000000001\0");
        block[156] = flag;
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        lie(&mut block);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        self.entry(b'x', "pax", pax_body(records).as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn pax_body(records: &[(&str, &str)]) -> String {
    let record = |(key, value): &(&str, &str)| {
        let body = format!(" {key}={value}\n");
        let length = (body.len() + 1..).find(|n| n.to_string().len() + body.len() == *n).unwrap();
        format!("{length}{body}")
    };
    records.iter().map(record).collect()
}

fn read_all(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    read_with(archive, Caps::default())
}

fn read_with(archive: &[u8], caps: Caps) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(archive, caps);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut bytes = Vec::new();
        let offset = entry.offset;
        reader.contents().read_to_end(&mut bytes).map_err(|source| TarError::Read { offset, source })?;
        all.push((entry, bytes));
    }
    Ok(all)
}

fn refused(archive: Archive) -> String {
    read_all(&archive.end()).unwrap_err().to_string()
}

#[test]
fn what_gnu_tar_writes_in_every_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let long = "d".repeat(90);
    std::fs::create_dir_all(tree.join(&long).join(&long)).unwrap();
    std::fs::write(tree.join(&long).join(&long).join("file"), vec![7u8; 1000]).unwrap();
    std::fs::write(tree.join("exact"), vec![1u8; 512]).unwrap();
    std::fs::write(tree.join("empty"), b"").unwrap();
    std::os::unix::fs::symlink("/away", tree.join("link")).unwrap();
    std::fs::hard_link(tree.join("exact"), tree.join("other")).unwrap();
    for format in ["v7", "ustar", "gnu", "oldgnu", "posix"] {
        let output = Command::new("tar")
            .args(["--sort=name", "--mtime=@86400", "--format", format, "-C"])
            .arg(folder.path())
            // v7 can hold neither the long path nor its directories.
            .args(if format == "v7" { &["--exclude=ddd*"][..] } else { &[] })
            .args(["-c", "./tree"])
            .output()
            .expect("GNU tar is needed: install the package tar");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let entries = read_all(&output.stdout).unwrap();
        let find = |path: &str| entries.iter().find(|(entry, _)| entry.path == path.as_bytes()).unwrap();
        assert_eq!(find("tree").0.kind, Kind::Directory, "{format}");
        assert_eq!(find("tree/exact").1, vec![1u8; 512]);
        assert_eq!(find("tree/exact").0.mtime, 86400);
        assert_eq!(find("tree/empty").0.size, 0);
        assert_eq!(find("tree/link").0.kind, Kind::Symlink(b"/away".to_vec()));
        assert_eq!(find("tree/other").0.kind, Kind::HardLink(b"tree/exact".to_vec()));
        if format != "v7" {
            assert_eq!(find(&format!("tree/{long}/{long}/file")).1, vec![7u8; 1000], "{format}");
        }
    }
}

#[test]
fn entries_not_read_are_skipped_over() {
    let archive = Archive::default().entry(b'0', "a", &[1; 513]).entry(b'0', "b", b"two").end();
    let mut reader = Reader::new(archive.as_slice(), Caps::default());
    assert_eq!(reader.next_entry().unwrap().unwrap().path, b"a");
    let mut some = [0u8; 5];
    reader.contents().read_exact(&mut some).unwrap();
    assert_eq!(reader.next_entry().unwrap().unwrap().path, b"b");
    assert_eq!(reader.next_entry().unwrap(), None);
    assert_eq!(reader.next_entry().unwrap(), None);
}

#[test]
fn t84_pax_size_that_differs_from_the_header() {
    let archive = Archive::default().pax(&[("size", "1024")]).entry(b'0', "a", b"small");
    assert!(refused(archive).contains("another size"));
}

#[test]
fn t84_malformed_long_names() {
    // The length of the record lies, is missing, is no number.
    for body in ["99 path=a\n", "path=a\n", "x path=a\n", "9 path=a", "4 =\n\n", "0 \n"] {
        let archive = Archive::default().entry(b'x', "pax", body.as_bytes()).entry(b'0', "a", b"");
        assert!(refused(archive).contains("pax"), "{body:?}");
    }
    let huge = Archive::default().raw(b'L', "././@LongLink", "", 1 << 30, b"", |_| {});
    assert!(matches!(read_all(&huge.end()), Err(TarError::Cap { .. })));
    let long = "a".repeat(MAX_PATH + 1);
    let archive = Archive::default().entry(b'L', "l", long.as_bytes()).entry(b'0', "a", b"");
    assert!(refused(archive).contains("bytes in one path"));
    let archive = Archive::default().pax(&[("path", "a\0b")]).entry(b'0', "a", b"");
    assert!(refused(archive).contains("NUL"));
    assert!(refused(Archive::default().pax(&[("path", "b")])).contains("without its entry"));
    let twice = Archive::default().pax(&[("path", "b")]).entry(b'L', "l", b"c").entry(b'0', "a", b"");
    assert!(refused(twice).contains("twice"));
}

#[test]
fn t84_paths_and_hard_links_that_leave_the_tree() {
    for path in ["/etc/passwd", "../a", "a/../../b", "a/..", "//", "/"] {
        let error = read_all(&Archive::default().entry(b'0', path, b"").end()).unwrap_err();
        assert!(matches!(error, TarError::Escape { .. }) || path.ends_with('/'), "{path}: {error}");
        let error =
            read_all(&Archive::default().entry(b'L', "l", path.as_bytes()).entry(b'0', "a", b"").end());
        assert!(error.is_err(), "{path} as a long name");
        let error = read_all(&Archive::default().link(b'1', "a", path).end()).unwrap_err();
        assert!(matches!(error, TarError::Escape { .. }), "{path}: {error}");
    }
    assert!(refused(Archive::default().link(b'1', "a", "")).contains("empty path"));
    assert!(refused(Archive::default().link(b'2', "a", "")).contains("without a target"));
}

#[test]
fn dot_components_and_slashes_are_normalised_away() {
    let archive = Archive::default().entry(b'5', "./", b"").entry(b'0', "./a//./b", b"").end();
    let entries = read_all(&archive).unwrap();
    assert_eq!(entries[0].0.path, b"");
    assert_eq!(entries[1].0.path, b"a/b");
}

#[test]
fn t84_device_nodes_are_told_and_sparse_files_refused() {
    for (flag, kind) in [(b'3', Kind::CharacterDevice), (b'4', Kind::BlockDevice), (b'6', Kind::Fifo)] {
        assert_eq!(read_all(&Archive::default().link(flag, "a", "").end()).unwrap()[0].0.kind, kind);
    }
    assert!(refused(Archive::default().entry(b'S', "a", b"")).contains("sparse"));
    let pax = Archive::default().pax(&[("GNU.sparse.realsize", "99999999999")]).entry(b'0', "a", b"");
    assert!(refused(pax).contains("sparse"));
}

#[test]
fn t84_negative_mtime_is_kept() {
    let archive = Archive::default().pax(&[("mtime", "-1.5")]).entry(b'0', "a", b"");
    let archive = archive.raw(b'0', "b", "", 0, b"", |block| block[136..148].fill(0xff));
    let entries = read_all(&archive.end()).unwrap();
    assert_eq!((entries[0].0.mtime, entries[1].0.mtime), (-2, -1));
}

#[test]
fn contents_behind_a_link_are_refused() {
    for flag in [b'1', b'2', b'3', b'5'] {
        let archive = Archive::default().raw(flag, "a", "b", 512, &[0; 512], |_| {});
        assert!(refused(archive).contains("no regular file"));
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let archive = |lie: fn(&mut [u8; 512])| Archive::default().raw(b'0', "a", "", 0, b"", lie);
    assert!(refused(archive(|block| block[124..136].copy_from_slice(b"0000000008\0\0"))).contains("size"));
    assert!(refused(archive(|block| block[124..136].fill(0xff))).contains("negative"));
    // 2^63 and more in base-256.
    assert!(
        refused(
            archive(|block| block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]))
        )
        .contains("size")
    );
    assert!(refused(archive(|block| block[100..108].copy_from_slice(b"00-755\0\0"))).contains("mode"));
}

#[test]
fn a_changed_header_is_refused() {
    let mut archive = Archive::default().entry(b'0', "a", b"").end();
    archive[0] = b'b';
    assert!(read_all(&archive).unwrap_err().to_string().contains("checksum"));
}

#[test]
fn an_archive_cut_anywhere_is_never_taken_for_whole() {
    let archive = Archive::default().entry(b'0', "a", &[1; 700]).entry(b'0', "b", b"two").end();
    // The end mark is one block of zeros or more; before it every cut must show.
    for cut in 0..archive.len() - 1024 + 511 {
        assert!(read_all(&archive[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(read_all(&archive).unwrap().len(), 2);
}

#[test]
fn data_behind_the_end_mark_is_refused() {
    let mut archive = Archive::default().entry(b'0', "a", b"").end();
    archive.extend(Archive::default().entry(b'0', "hidden", b"").end());
    assert!(read_all(&archive).unwrap_err().to_string().contains("behind the end"));
}

#[test]
fn caps_hold() {
    let archive = Archive::default().entry(b'0', "a", &[1; 100]).entry(b'0', "b", &[1; 100]).end();
    for caps in [Caps { entries: 1, contents: 1 << 20 }, Caps { entries: 9, contents: 199 }] {
        assert!(matches!(read_with(&archive, caps), Err(TarError::Cap { .. })));
    }
    assert!(read_with(&archive, Caps { entries: 2, contents: 200 }).is_ok());
    let extensions = (0..100).fold(Archive::default(), |archive, _| archive.entry(b'g', "g", b""));
    assert!(refused(extensions.entry(b'0', "a", b"")).contains("in a row"));
}

#[test]
fn global_headers_may_only_comment() {
    let with = |key| {
        let body = pax_body(&[(key, "x")]);
        Archive::default().entry(b'g', "g", body.as_bytes()).entry(b'0', "a", b"")
    };
    assert_eq!(read_all(&with("comment").end()).unwrap().len(), 1);
    assert!(refused(with("path")).contains("global header"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..4096)) {
        let _ = read_all(&bytes);
    }

    #[test]
    fn any_flipped_byte_ends_in_an_answer(at in 0usize..3072, value: u8) {
        let archive = Archive::default().pax(&[("path", "long")]).entry(b'0', "a", &[1; 700]);
        let mut archive = archive.link(b'1', "b", "a").end();
        archive[at] = value;
        if let Ok(entries) = read_all(&archive) {
            for (entry, _) in entries {
                proptest::prop_assert!(!entry.path.starts_with(b"/"));
            }
        }
    }
}
