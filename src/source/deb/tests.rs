use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// Has dpkg-deb build a small package; `extra` are its options.
pub(crate) fn build_package(folder: &Path, name: &str, version: &str, extra: &[&str]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = tempfile::tempdir_in(folder).unwrap();
    let file = |path: &str, contents: &[u8], mode: u32| {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Nobody <nobody@localhost>\n\
         Description: a small package\n for tests\n"
    );
    file("DEBIAN/control", control.as_bytes(), 0o644);
    file("bin/tool", b"#!/bin/sh\necho tool\n", 0o755);
    file("usr/share/doc/data", &[9; 100_000], 0o644);
    std::os::unix::fs::symlink("tool", tree.path().join("bin/alias")).unwrap();
    std::fs::set_permissions(tree.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let escaped = version.replace(':', "%3a");
    let package = folder.join(format!("{name}_{escaped}_amd64.deb"));
    let output = Command::new("dpkg-deb")
        .args(["--root-owner-group"])
        .args(extra)
        .arg("--build")
        .args([tree.path(), &package])
        .output()
        .expect("dpkg-deb is needed: install the package dpkg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    package
}

fn dpkg_deb(arguments: &[&str], package: &Path) -> Vec<u8> {
    let output = Command::new("dpkg-deb").args(arguments).arg(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn small_package() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::read(build_package(folder.path(), "small", "1.0", &["-Znone"])).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Deb<Cursor<Vec<u8>>>, DebError> {
    Deb::open(Cursor::new(bytes))
}

fn refused(bytes: Vec<u8>) -> String {
    open(bytes).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn every_compression_reads_as_dpkg_deb_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    for compression in ["-Zxz", "-Zgzip", "-Znone", "-Zzstd"] {
        let package = build_package(folder.path(), "small", "1:2.0-3", &[compression]);
        let mut deb = Deb::open(std::fs::File::open(&package).unwrap()).unwrap();
        assert_eq!((deb.name(), deb.version(), deb.architecture()), ("small", "1:2.0-3", "amd64"));
        assert_eq!(deb.field("Description"), Some("a small package\nfor tests"));

        // The oracle unpacks data.tar; we must find the same entries in it as in the package.
        let archive = dpkg_deb(&["--fsys-tarfile"], &package);
        let mut expected = tar::Reader::new(archive.as_slice(), tar::Caps::default());
        let mut found = deb.data().unwrap();
        while let Some(entry) = expected.next_entry().unwrap() {
            assert_eq!(found.next_entry().unwrap().unwrap(), entry);
        }
        assert_eq!(found.next_entry().unwrap(), None);
        drop(found);

        // And the listing is the program's own.
        let listing = String::from_utf8(dpkg_deb(&["--contents"], &package)).unwrap();
        assert_eq!(listing.lines().count(), 8, "{listing}");

        let tool = deb.member(b"bin/tool").unwrap();
        assert_eq!((tool.executable, tool.bytes.as_slice()), (true, b"#!/bin/sh\necho tool\n".as_slice()));
        let data = deb.member(b"usr/share/doc/data").unwrap();
        assert_eq!((data.executable, data.bytes.len()), (false, 100_000));
    }
}

#[test]
fn a_member_that_is_missing_or_a_link_is_told() {
    let mut deb = open(small_package()).unwrap();
    let error = deb.member(b"sbin/tool").unwrap_err().to_string();
    assert!(error.contains("there is \"bin/tool\""), "{error}");
    let error = deb.member(b"bin/alias").unwrap_err().to_string();
    assert!(error.contains("symbolic link to \"tool\""), "{error}");
}

#[test]
fn t86_thin_archives_and_name_tables_are_refused() {
    let package = small_package();
    let mut thin = package.clone();
    thin[..8].copy_from_slice(b"!<thin>\n");
    assert!(refused(thin).contains("thin"));
    // `/123` is an index into a table of long names, `//` the table itself.
    for name in [b"/99999          ", b"//              ", b"/               "] {
        let mut table = package.clone();
        table[8..24].copy_from_slice(name);
        assert!(refused(table).contains("first member"), "{name:?}");
        let mut second = package.clone();
        second[72..88].copy_from_slice(name);
        assert!(refused(second).contains("unexpected"), "{name:?}");
    }
}

#[test]
fn t86_sizes_that_lie_are_refused() {
    let package = small_package();
    for size in [b"9999999999", b"-1        ", b"          ", b"0x10      "] {
        let mut lying = package.clone();
        lying[8 + 48..8 + 58].copy_from_slice(size);
        assert!(open(lying).is_err(), "{size:?}");
    }
}

#[test]
fn a_package_cut_anywhere_is_never_taken_for_whole() {
    let package = small_package();
    for cut in (0..package.len()).step_by(97) {
        assert!(open(package[..cut].to_vec()).is_err(), "cut at {cut}");
    }
}

#[test]
fn members_out_of_order_or_twice_are_refused() {
    let package = small_package();
    let (head, rest) = package.split_at(8);
    let (version, archives) = rest.split_at(64);
    let swapped = [head, archives].concat();
    assert!(refused(swapped).contains("first member"));
    assert!(refused([head, version, version, archives].concat()).contains("unexpected"));
}

#[test]
fn t85_data_behind_a_compressed_archive_is_an_error() {
    for (extension, packed) in [("gz", gzip(&[0; 2048])), ("xz", xz(&[0; 2048]))] {
        let whole = package_of(extension, &packed);
        assert!(read_data(&whole).is_ok(), "{extension}");
        // A second gzip member or xz stream goes on where the first ended, as it does for dpkg.
        let twice = package_of(extension, &[packed.clone(), packed.clone()].concat());
        assert!(read_data(&twice).is_ok(), "{extension}");
        let trailing = package_of(extension, &[packed.as_slice(), b"trailing bytes"].concat());
        assert!(read_data(&trailing).is_err(), "{extension}");
        let cut = package_of(extension, &packed[..packed.len() - 4]);
        assert!(read_data(&cut).is_err(), "{extension}");
    }
}

#[test]
fn an_xz_stream_that_wants_much_memory_is_refused() {
    // The dictionary size stands in the stream: more than any preset asks for must not be granted.
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(128 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    // Encoding itself needs the memory; the decoder must refuse by the header alone.
    let stream =
        liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
    let mut encoder = liblzma::read::XzEncoder::new_stream([0u8; 2048].as_slice(), stream);
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).unwrap();
    assert!(read_data(&package_of("xz", &packed)).is_err());
}

#[test]
fn a_bomb_ends_at_the_cap() {
    // 64 GiB of zeros as the contents of one file: the promise alone is refused.
    let mut block = [0u8; 512];
    block[0] = b'a';
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0]);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let error = read_data(&package_of("gz", &gzip(&block))).unwrap_err();
    assert!(error.contains("bytes of contents"), "{error}");
}

#[test]
fn control_files_that_are_none_are_refused() {
    for (control, problem) in [
        (b"Package small\n".as_slice(), "colon"),
        (b" continued\n".as_slice(), "continuation"),
        (b"A: 1\nA: 2\n".as_slice(), "twice"),
        (b"A: \xff\n".as_slice(), "UTF-8"),
    ] {
        assert!(parse_control(control).unwrap_err().to_string().contains(problem));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed).unwrap();
    packed
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut packed).unwrap();
    packed
}

/// The small package with another `data.tar`.
fn package_of(extension: &str, data: &[u8]) -> Vec<u8> {
    let mut package = small_package();
    let at = package.windows(8).position(|window| window == b"data.tar").unwrap();
    package.truncate(at);
    package.extend(
        format!(
            "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            format!("data.tar.{extension}"),
            0,
            0,
            0,
            100644,
            data.len()
        )
        .as_bytes(),
    );
    package.extend(data);
    package
}

fn read_data(package: &[u8]) -> Result<usize, String> {
    let mut deb = open(package.to_vec()).map_err(|error| error.to_string())?;
    let mut reader = deb.data().map_err(|error| error.to_string())?;
    let mut count = 0;
    while reader.next_entry().map_err(|error| error.to_string())?.is_some() {
        count += 1;
    }
    Ok(count)
}
