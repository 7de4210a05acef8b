//! What busybox's and GNU tar write, and what a hostile guest could.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, process::Command, sync::Arc};

use proptest::prelude::*;

use super::*;

/// What a drive may hold; more than any test writes.
const ROOM: u64 = 1 << 20;

const A: &str = "00000000000000000000000000000000-a";
const B: &str = "11111111111111111111111111111111-b";

fn region(bytes: &[u8]) -> Region {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Region::new(Arc::new(file), 0, bytes.len() as u64)
}

/// One member: a header with a right checksum, and its contents.
pub fn member(name: &str, flag: u8, link: &str, mode: u32, contents: &[u8]) -> Vec<u8> {
    let mut header = vec![0u8; 512];
    let put = |header: &mut [u8], at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(&mut header, 0, name.as_bytes());
    put(&mut header, 100, format!("{mode:07o}").as_bytes());
    put(&mut header, 108, b"0001750");
    put(&mut header, 116, b"0000144");
    put(&mut header, 124, format!("{:011o}", contents.len()).as_bytes());
    put(&mut header, 136, b"00000000001");
    put(&mut header, 148, b"        ");
    header[156] = flag;
    put(&mut header, 157, link.as_bytes());
    put(&mut header, 257, b"ustar  \0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
    header.extend_from_slice(contents);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

fn dir(name: &str) -> Vec<u8> {
    member(&format!("{name}/"), b'5', "", 0o755, b"")
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn read_all(members: &[Vec<u8>]) -> Result<BTreeMap<Vec<u8>, Tree>, TreeError> {
    read(&region(&archive(members)), ROOM)
}

fn refused(members: &[Vec<u8>]) -> String {
    read_all(members).unwrap_err().to_string()
}

#[test]
fn what_the_guests_tar_writes_is_what_nix_would_store() {
    // busybox tar in a folder, then the NAR of what was read: as `nix-store --dump` gives it.
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join(A);
    fs::create_dir_all(top.join("bin/empty")).unwrap();
    let long = "n".repeat(200);
    for (name, size, mode) in
        [("bin/x", 5000, 0o755), ("bin/y", 0, 0o644), ("z", 513, 0o610), (&long, 512, 0o444)]
    {
        fs::write(top.join(name), vec![b'c'; size]).unwrap();
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::hard_link(top.join("bin/x"), top.join("bin/linked")).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", top.join("absolute")).unwrap();
    std::os::unix::fs::symlink("loop", top.join("loop")).unwrap();
    std::os::unix::fs::symlink("t".repeat(300), top.join("long-target")).unwrap();
    let made =
        Command::new("/bin/sh").arg("-c").arg("cd \"$0\"; : > \"$(printf 'caf\\351')\"").arg(&top).status();
    assert!(made.unwrap().success());
    fs::write(folder.path().join(B), "one file").unwrap();

    for program in [&["/bin/busybox", "tar"][..], &["tar", "--format=gnu"]] {
        let output = Command::new(program[0])
            .args(&program[1..])
            .args(["-c", "-f", "-", A, B])
            .current_dir(&folder)
            .output()
            .expect("install busybox-static");
        assert!(output.status.success());
        let stream = region(&output.stdout);
        let trees = read(&stream, ROOM).unwrap();
        for base in [A, B] {
            let open = |contents: Contents| Ok(stream.reader(contents.offset, contents.size));
            let nar = trees[base.as_bytes()].node.write(open, Vec::new()).unwrap();
            let dump = Command::new("nix-store").arg("--dump").arg(folder.path().join(base)).output();
            let dump = dump.expect("install nix-bin").stdout;
            assert!(nar == dump, "{program:?} {base}: {} and {} bytes", nar.len(), dump.len());
        }
    }
}

#[test]
fn t95_special_files_are_named() {
    for (flag, kind) in [(b'3', "character device"), (b'4', "block device"), (b'6', "named pipe")] {
        let special = member(&format!("{A}/x"), flag, "", 0o644, b"");
        let error = read_all(&[dir(A), special]).unwrap_err();
        assert!(matches!(&error, TreeError::Special { kind: k, .. } if *k == kind), "{error}");
    }
}

#[test]
fn t95_set_id_bits_and_owners_are_not_kept() {
    let trees = read_all(&[member(A, b'0', "", 0o6755, b"x")]).unwrap();
    let contents = Contents { offset: 512, size: 1 };
    assert_eq!(trees[A.as_bytes()].node, Node::Regular { executable: true, contents });
}

#[test]
fn t95_sizes_that_lie_are_refused() {
    let mut huge = member(A, b'0', "", 0o644, b"x");
    // 2^62 bytes in base 256, with the checksum put right.
    huge[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]);
    huge[148..156].copy_from_slice(b"        ");
    let sum: u32 = huge[..512].iter().map(|byte| u32::from(*byte)).sum();
    huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(matches!(read_all(&[huge]), Err(TreeError::Tar(TarError::Cap { .. }))));
    let more = member(A, b'0', "", 0o644, &[b'x'; 2000]);
    let cut = read(&region(&more[..1024]), ROOM);
    assert!(matches!(cut, Err(TreeError::Tar(TarError::Cap { .. } | TarError::Truncated { .. }))), "{cut:?}");
}

#[test]
fn t96_symbolic_links_are_kept_and_never_followed() {
    let link = member(&format!("{A}/etc"), b'2', "/etc", 0o777, b"");
    assert!(read_all(&[dir(A), link.clone()]).is_ok());
    let through = member(&format!("{A}/etc/passwd"), b'0', "", 0o644, b"x");
    assert!(refused(&[dir(A), link, through]).contains("no directory before it"));
}

#[test]
fn t103_paths_that_leave_are_refused() {
    for name in ["../x", "a/../../x", "/etc/passwd", "..", "a/.."] {
        let error = refused(&[member(name, b'0', "", 0o644, b"x")]);
        assert!(
            error.contains("leaves") || error.contains("malformed") || error.contains("no directory"),
            "{name}: {error}"
        );
    }
}

#[test]
fn t103_hard_links_reach_only_files_before_them() {
    let linked = |target: &str| refused(&[dir(A), member(&format!("{A}/x"), b'1', target, 0o644, b"")]);
    for target in ["/etc/passwd", "../x", A, &format!("{A}/x"), &format!("{A}/none"), B] {
        let error = linked(target);
        assert!(error.contains("no file before it") || error.contains("leaves"), "{target}: {error}");
    }
}

#[test]
fn t95_hard_links_that_would_fill_the_host_are_refused() {
    let file = vec![b'x'; 1000];
    let mut members = vec![dir(A), member(&format!("{A}/file"), b'0', "", 0o644, &file)];
    for n in 0..20 {
        members.push(member(&format!("{A}/link{n}"), b'1', &format!("{A}/file"), 0o644, b""));
    }
    let stream = region(&archive(&members));
    assert!(read(&stream, 21_000).is_ok());
    assert!(matches!(read(&stream, 20_999), Err(TreeError::Expanded { .. })));
}

#[test]
fn hard_links_may_cross_outputs() {
    let file = member(A, b'0', "", 0o755, b"shared");
    let trees = read_all(&[file, member(B, b'1', A, 0o755, b"")]).unwrap();
    assert_eq!(trees[A.as_bytes()].node, trees[B.as_bytes()].node);
}

#[test]
fn t103_members_twice_are_refused() {
    let file = || member(&format!("{A}/x"), b'0', "", 0o644, b"1");
    assert!(refused(&[dir(A), file(), file()]).contains("is there twice"));
    assert!(refused(&[dir(A), dir(A)]).contains("is there twice"));
    assert!(refused(&[dir(A), file(), dir(&format!("{A}/x"))]).contains("is there twice"));
}

#[test]
fn t103_members_without_their_directory_are_refused() {
    assert!(refused(&[member(&format!("{A}/x"), b'0', "", 0o644, b"")]).contains("no directory before it"));
    let file = member(A, b'0', "", 0o644, b"");
    assert!(
        refused(&[file, member(&format!("{A}/x"), b'0', "", 0o644, b"")]).contains("no directory before it")
    );
}

#[test]
fn t103_more_entries_than_the_cap_are_refused() {
    let members: Vec<Vec<u8>> = [dir(A)]
        .into_iter()
        .chain((0..20).map(|n| member(&format!("{A}/{n}"), b'0', "", 0o644, b"")))
        .collect();
    let stream = region(&archive(&members));
    assert!(read_capped(&stream, ROOM, 21).is_ok());
    assert!(matches!(read_capped(&stream, ROOM, 20), Err(TreeError::Tar(TarError::Cap { limit: 20, .. }))));
}

#[test]
fn t103_a_deep_tree_is_refused_before_it_is_a_deep_stack() {
    let mut path = A.to_owned();
    let mut members = vec![dir(A)];
    let mut longest = 0;
    while members.len() < MAX_DEPTH + 1 && path.len() < 98 {
        path.push_str("/d");
        members.push(dir(&path));
        longest = path.len();
    }
    // Names of a header are short; deeper ones need GNU's long names.
    while members.len() < MAX_DEPTH + 1 {
        path.push_str("/d");
        let long = member("././@LongLink", b'L', "", 0o644, format!("{path}/\0").as_bytes());
        members.push([long, dir(&path[..longest])].concat());
    }
    assert!(refused(&members).contains("nested too deeply"));
    members.pop();
    assert!(read_all(&members).is_ok());
}

#[test]
fn t103_an_archive_cut_anywhere_is_an_error() {
    let whole = archive(&[dir(A), member(&format!("{A}/x"), b'0', "", 0o644, &[7; 700])]);
    // The last block of zeros is only padding.
    for length in (0..whole.len() - 512).step_by(64) {
        assert!(read(&region(&whole[..length]), ROOM).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048), at in 0usize..1500, byte: u8) {
        let _ = read(&region(&bytes), ROOM);
        let mut whole = archive(&[dir(A), member(&format!("{A}/x"), b'0', "", 0o644, &[7; 100])]);
        whole[at] = byte;
        let _ = read(&region(&whole), ROOM);
    }
}
