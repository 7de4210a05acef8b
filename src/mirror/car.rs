//! Sources under the names and in the archives of content-addressed networks: whoever keeps them there can give them back.
//!
//! Formats: CIDv1 (multiformats/cid) of the codec `raw` (0x55) and a sha2-256 multihash (0x12, 0x20), in base-32 with the prefix `b`;
//! CARv1 (ipld/specs, "Specification: CAR v1"): a DAG-CBOR header with the roots, then each block behind its length and its CID. A
//! source is one block, however large, so that its CID is that of its SHA-256 and nobody has to know how it was cut.

use std::io::{self, Read, Write};

use super::{
    Mirror, MirrorError,
    layout::{FileHash, Object},
    stream::Hashed,
};

/// Version 1, codec raw, sha2-256 of 32 bytes.
const PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];

/// Bytes of a CID.
const CID: usize = PREFIX.len() + 32;

impl FileHash {
    fn cid_bytes(&self) -> [u8; CID] {
        let mut bytes = [0; CID];
        bytes[..PREFIX.len()].copy_from_slice(&PREFIX);
        bytes[PREFIX.len()..].copy_from_slice(&self.0);
        bytes
    }

    /// The CID of a file that is one raw block.
    pub fn cid(&self) -> String {
        format!("b{}", data_encoding::BASE32_NOPAD.encode(&self.cid_bytes()).to_lowercase())
    }
}

impl Mirror {
    /// The sources that the mirror keeps, and their sizes in bytes.
    ///
    /// # Errors
    /// [`super::location::LocationError::NotListed`] where only single objects can be asked for.
    pub fn sources(&self) -> Result<Vec<(FileHash, u64)>, MirrorError> {
        let listed = self.location.list("sources/")?;
        let sources = listed.into_iter().filter_map(|(name, size)| match Object::parse(&name) {
            Some(Object::Source(hash)) => Some((hash, size)),
            _ => None,
        });
        Ok(sources.collect())
    }

    /// Writes sources as an archive of which each is a root and the only block of its own.
    ///
    /// # Errors
    /// [`MirrorError::Document`] for a source that is not what its name says; what was written until then is no archive.
    pub fn export(&self, sources: &[(FileHash, u64)], out: &mut impl Write) -> Result<(), MirrorError> {
        out.write_all(&header(sources))?;
        for (hash, size) in sources {
            let name = Object::Source(*hash).name();
            let wrong =
                |why: &str| MirrorError::Document { object: self.location.url(&name), why: why.to_owned() };
            let opened = self.location.open(&name)?.ok_or_else(|| wrong("it is not there"))?;
            out.write_all(&varint(CID as u64 + size))?;
            out.write_all(&hash.cid_bytes())?;
            let mut hashed = Hashed::new(opened.bytes.take(size.saturating_add(1)));
            io::copy(&mut hashed, out)?;
            let (_, found, length) = hashed.finish();
            if (found, length) != (*hash, *size) {
                return Err(wrong("its hash is not its name"));
            }
        }
        Ok(())
    }
}

/// `{"roots": […], "version": 1}` in DAG-CBOR, behind its length.
fn header(sources: &[(FileHash, u64)]) -> Vec<u8> {
    let mut cbor = vec![0xa2, 0x65];
    cbor.extend_from_slice(b"roots");
    cbor.extend(cbor_array(sources.len() as u64));
    for (hash, _) in sources {
        // Tag 42: a byte string with the CID behind a zero.
        cbor.extend_from_slice(&[0xd8, 0x2a, 0x58, CID as u8 + 1, 0]);
        cbor.extend_from_slice(&hash.cid_bytes());
    }
    cbor.push(0x67);
    cbor.extend_from_slice(b"version");
    cbor.push(1);
    let mut header = varint(cbor.len() as u64);
    header.extend(cbor);
    header
}

/// The head of an array, in the shortest form.
fn cbor_array(len: u64) -> Vec<u8> {
    let bytes = len.to_be_bytes();
    match len {
        0..=23 => vec![0x80 | bytes[7]],
        24..=0xff => vec![0x98, bytes[7]],
        0x100..=0xffff => [&[0x99], &bytes[6..]].concat(),
        0x1_0000..=0xffff_ffff => [&[0x9a], &bytes[4..]].concat(),
        _ => [&[0x9b], &bytes[..]].concat(),
    }
}

/// An unsigned LEB128.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{location::Location, policy::Policy, policy::tests::key};

    #[test]
    fn cids_are_those_that_everybody_knows() {
        let empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        let hello = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        assert_eq!(
            (FileHash::of(b"").cid(), FileHash::of(b"hello world").cid()),
            (empty.to_owned(), hello.to_owned())
        );
    }

    #[test]
    fn numbers_are_in_their_shortest_form() {
        for (value, bytes) in [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])] {
            assert_eq!(varint(value), bytes);
        }
        let heads = [0, 23, 24, 255, 256, 65_536].map(|len| cbor_array(len).len());
        assert_eq!(heads, [1, 1, 2, 2, 3, 5]);
    }

    /// Reads a length, as the format has it.
    fn take_varint(bytes: &mut &[u8]) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    #[test]
    fn an_archive_holds_every_source_behind_its_cid_and_a_damaged_source_makes_none() {
        let dir = tempfile::tempdir().unwrap();
        let key = key("k-1", 1);
        let location = Location::parse(dir.path().to_str().unwrap()).unwrap();
        let mirror = Mirror::init(location, Policy::from_toml("", &key).unwrap(), &key).unwrap();
        let files: Vec<Vec<u8>> = (0..30u8).map(|n| vec![n; usize::from(n) * 50]).collect();
        for file in &files {
            mirror.location.put_new(&Object::Source(FileHash::of(file)).name(), file).unwrap();
        }
        let sources = mirror.sources().unwrap();
        assert_eq!(sources.len(), files.len());
        let mut archive = Vec::new();
        mirror.export(&sources, &mut archive).unwrap();
        let mut rest = archive.as_slice();
        let header = take_varint(&mut rest);
        assert_eq!(header, 1 + 6 + 2 + 30 * (5 + CID) + 8 + 1);
        assert_eq!((&rest[..9], &rest[9..14]), (&b"\xa2\x65roots\x98\x1e"[..], &b"\xd8\x2a\x58\x25\x00"[..]));
        rest = &rest[header..];
        for (hash, size) in &sources {
            let block = take_varint(&mut rest);
            assert_eq!((block, &rest[..CID]), (CID + *size as usize, &hash.cid_bytes()[..]));
            assert_eq!(FileHash::of(&rest[CID..block]), *hash);
            rest = &rest[block..];
        }
        assert!(rest.is_empty());
        let name = Object::Source(FileHash::of(&files[7])).name();
        mirror.location.delete(&name).unwrap();
        mirror.location.put_new(&name, &[8; 350]).unwrap();
        assert!(matches!(mirror.export(&sources, &mut Vec::new()), Err(MirrorError::Document { .. })));
    }
}
