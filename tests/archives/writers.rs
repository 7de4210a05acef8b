//! Small writers of archives: what the real tools would never write, and seeds to be mutated.

use std::io::Write as _;

/// A header block of tar with a right checksum.
pub fn tar_header(name: &[u8], size: u64, flag: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000007\0");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[265..269].copy_from_slice(b"root");
    tar_checksum(&mut block);
    block
}

/// Makes the checksum of a header block right.
pub fn tar_checksum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A tar archive of regular files.
pub fn tar(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in members {
        out.extend(tar_header(name, data.len() as u64, b'0'));
        out.extend(*data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// A tar archive of one file with an extended header of any body before it.
pub fn tar_extended(flag: u8, body: &[u8], header: Vec<u8>, data: &[u8]) -> Vec<u8> {
    let mut out = tar_header(b"extended", body.len() as u64, flag);
    out.extend(body);
    out.resize(out.len().next_multiple_of(512), 0);
    out.extend(header);
    out.extend(data);
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}

/// An `ar` archive with headers as given: the 16 bytes of the name, then the data.
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, data) in members {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 5, 0, 0, 644, data.len()).as_bytes());
        out.extend(*data);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

/// A cpio archive in `newc` format.
pub fn cpio(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in members.iter().copied().chain([("TRAILER!!!", &[][..])]) {
        let words = [1, 0o100_644, 0, 0, 1, 7, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
        out.extend(b"070701");
        for word in words {
            out.extend(format!("{word:08X}").as_bytes());
        }
        out.extend(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(data);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// A zip archive; every second member is deflated.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for (number, (name, data)) in members.iter().enumerate() {
        let packed = if number % 2 == 1 { deflate(data) } else { data.to_vec() };
        let method: u16 = if number % 2 == 1 { 8 } else { 0 };
        let offset = out.len() as u32;
        let common = |out: &mut Vec<u8>| {
            out.extend(20u16.to_le_bytes());
            out.extend(0u16.to_le_bytes());
            out.extend(method.to_le_bytes());
            out.extend([0x21, 0x43, 0x65, 0x50]);
            out.extend(crc32(data).to_le_bytes());
            out.extend((packed.len() as u32).to_le_bytes());
            out.extend((data.len() as u32).to_le_bytes());
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(9u16.to_le_bytes());
        };
        out.extend(b"PK\x03\x04");
        common(&mut out);
        out.extend(name.as_bytes());
        out.extend(b"UT\x05\0\x01\x01\x02\x03\x04");
        out.extend(&packed);
        central.extend(b"PK\x01\x02\x1e\x03");
        common(&mut central);
        central.extend([0; 6]);
        central.extend(b"\0\0\0\0\xa4\x81");
        central.truncate(central.len() - 2);
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
        central.extend(b"UT\x05\0\x01\x01\x02\x03\x04");
    }
    let start = out.len() as u32;
    let count = members.len() as u16;
    out.extend(&central);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let builder = flate2::GzBuilder::new().mtime(77).filename("name").comment("why").extra(vec![1, 2, 3]);
    let mut encoder = builder.write(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

pub fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A compiled Python file that is none but looks like one.
pub fn pyc(path: &str, rest: &[u8]) -> Vec<u8> {
    let mut out = b"\xa7\x0d\r\n\0\0\0\0\x01\x02\x03\x04\x10\0\0\0\xe3\0\0\0\0".to_vec();
    out.push(b'z' | 0x80);
    out.push(path.len() as u8);
    out.extend(path.as_bytes());
    out.extend(rest);
    out
}

pub fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}
