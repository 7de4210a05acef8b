//! Debian packages (`.deb`), read from a file that may come from anywhere.
//!
//! Format: deb(5). An `ar` archive of three members in this order: `debian-binary` (the text `2.0\n`),
//! `control.tar*` and `data.tar*`, each compressed with xz, zstd, gzip, bzip2 or not at all. Members whose
//! name starts with `_` may stand between them. The `dpkg-deb` program is the oracle in tests.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};

use crate::code::Code;

use super::tar::{self, Entry, Kind, TarError};

/// Largest control file held in memory: the largest of Debian's are some 20 KiB.
const MAX_CONTROL: u64 = 4 << 20;

/// Largest member that [`Deb::member`] holds in memory: kernels and their largest modules are below 100 MiB.
pub const MAX_MEMBER: u64 = 512 << 20;

/// Largest archive inside a package, uncompressed; compressed bombs end here. Debian's largest package
/// (debug symbols of a browser) unpacks to some 6 GiB.
const MAX_UNPACKED: u64 = 16 << 30;

/// Memory for the xz decoder: presets up to `-9` need 65 MiB.
const XZ_MEMORY: u64 = 96 << 20;

/// Largest zstd window, as a power of two: 128 MiB, the decoder's own default in dpkg.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Members of the `ar` archive before we stop looking: deb(5) has three, plus `_` ones that nobody writes.
const MAX_AR_MEMBERS: u32 = 16;

/// What is wrong with a package.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The file could not be read.
    #[error("the package cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The outer `ar` archive or its order of members breaks deb(5).
    #[error("not a Debian package: {problem} (at byte {offset})")]
    Malformed {
        /// Byte offset in the file.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// `control.tar` or `data.tar` cannot be read.
    #[error("{archive} of the package: {source}")]
    Tar {
        /// `control.tar` or `data.tar`.
        archive: &'static str,
        /// What is wrong with it.
        source: TarError,
    },
    /// The control file lacks something or is no control file.
    #[error("the package's control file {0}")]
    Control(String),
    /// [`Deb::member`] was asked for something that is not there.
    #[error("the package has no member {path:?}{near}")]
    NoMember {
        /// The path asked for.
        path: String,
        /// `; there is …` with a member of the same file name, or nothing.
        near: String,
    },
    /// [`Deb::member`] was asked for something that is no regular file.
    #[error("the package's member {path:?} is no regular file but {kind}")]
    NotRegular {
        /// The path asked for.
        path: String,
        /// What it is, and where it points to.
        kind: String,
    },
    /// A member is larger than we hold in memory.
    #[error("{what} of the package is {size} bytes, more than {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The cap in bytes.
        limit: u64,
    },
}

impl DebError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            DebError::Io(_) => Code(410),
            DebError::Malformed { .. } | DebError::Control(_) => Code(411),
            DebError::Tar { source, .. } => source.code(),
            DebError::NoMember { .. } | DebError::NotRegular { .. } => Code(412),
            DebError::TooLarge { .. } => Code(413),
        }
    }
}

/// One file taken out of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A package, its members found but not read yet.
pub struct Deb<R> {
    input: R,
    control: Part,
    data: Part,
    fields: BTreeMap<String, String>,
}

/// Where one of the two archives lies in the file.
#[derive(Clone, Copy)]
struct Part {
    offset: u64,
    size: u64,
    compression: Compression,
}

#[derive(Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

impl<R: Read + Seek> Deb<R> {
    /// Finds the members and reads the control file.
    pub fn open(mut input: R) -> Result<Self, DebError> {
        let (control, data) = find_parts(&mut input)?;
        let mut deb = Deb { input, control, data, fields: BTreeMap::new() };
        deb.fields = deb.read_control()?;
        for field in ["Package", "Version", "Architecture"] {
            if !deb.fields.contains_key(field) {
                return Err(DebError::Control(format!("has no field {field}")));
            }
        }
        Ok(deb)
    }

    /// The package's name.
    pub fn name(&self) -> &str {
        self.field("Package").unwrap_or_default()
    }

    /// The package's version, epoch included.
    pub fn version(&self) -> &str {
        self.field("Version").unwrap_or_default()
    }

    /// The package's architecture, or `all`.
    pub fn architecture(&self) -> &str {
        self.field("Architecture").unwrap_or_default()
    }

    /// A field of the control file; continuation lines are joined by newlines.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The files of the package, as a stream.
    pub fn data(&mut self) -> Result<tar::Reader<impl Read + '_>, DebError> {
        open_part(&mut self.input, self.data)
    }

    /// One regular file of the package, by its path (`bin/busybox`); links are not followed.
    pub fn member(&mut self, path: &[u8]) -> Result<Member, DebError> {
        let lossy = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let file_name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let mut near = String::new();
        let mut reader = self.data()?;
        while let Some(entry) = reader.next_entry().map_err(in_data)? {
            if entry.path != path {
                if entry.path.rsplit(|&byte| byte == b'/').next() == Some(file_name) {
                    near = format!("; there is {:?}", lossy(&entry.path));
                }
                continue;
            }
            if entry.kind != Kind::Regular {
                return Err(DebError::NotRegular { path: lossy(path), kind: describe(&entry) });
            }
            if entry.size > MAX_MEMBER {
                let what = format!("the member {:?}", lossy(path));
                return Err(DebError::TooLarge { what, size: entry.size, limit: MAX_MEMBER });
            }
            // Not reserved ahead: a header may promise more than the file holds.
            let mut bytes = Vec::new();
            reader.contents().read_to_end(&mut bytes)?;
            return Ok(Member { executable: entry.is_executable(), bytes });
        }
        Err(DebError::NoMember { path: lossy(path), near })
    }

    fn read_control(&mut self) -> Result<BTreeMap<String, String>, DebError> {
        let in_control = |source| DebError::Tar { archive: "control.tar", source };
        let mut reader = open_part(&mut self.input, self.control)?;
        while let Some(entry) = reader.next_entry().map_err(in_control)? {
            if entry.path != b"control" || entry.kind != Kind::Regular {
                continue;
            }
            if entry.size > MAX_CONTROL {
                let what = "the control file".to_owned();
                return Err(DebError::TooLarge { what, size: entry.size, limit: MAX_CONTROL });
            }
            let mut bytes = Vec::new();
            reader.contents().read_to_end(&mut bytes)?;
            return parse_control(&bytes);
        }
        Err(DebError::Control("is missing".to_owned()))
    }
}

fn in_data(source: TarError) -> DebError {
    DebError::Tar { archive: "data.tar", source }
}

fn describe(entry: &Entry) -> String {
    match &entry.kind {
        Kind::Regular => "a regular file".to_owned(),
        Kind::HardLink(target) => format!("a hard link to {:?}", String::from_utf8_lossy(target)),
        Kind::Symlink(target) => format!("a symbolic link to {:?}", String::from_utf8_lossy(target)),
        Kind::Directory => "a directory".to_owned(),
        Kind::CharacterDevice | Kind::BlockDevice => "a device".to_owned(),
        Kind::Fifo => "a named pipe".to_owned(),
    }
}

/// The first paragraph of a control file, deb822(5): `Field: value`, continuation lines indented.
pub(super) fn parse_control(bytes: &[u8]) -> Result<BTreeMap<String, String>, DebError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DebError::Control("is not UTF-8".to_owned()))?;
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let value = current.as_ref().and_then(|name| fields.get_mut(name));
            let value = value.ok_or_else(|| DebError::Control("starts with a continuation".to_owned()))?;
            value.push('\n');
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| DebError::Control(format!("has a line without a colon: {line:?}")))?;
        if fields.insert(name.to_owned(), value.trim().to_owned()).is_some() {
            return Err(DebError::Control(format!("has the field {name} twice")));
        }
        current = Some(name.to_owned());
    }
    Ok(fields)
}

/// Walks over the `ar` members, and checks what deb(5) says about them.
fn find_parts<R: Read + Seek>(input: &mut R) -> Result<(Part, Part), DebError> {
    let malformed = |offset, problem: &str| DebError::Malformed { offset, problem: problem.to_owned() };
    let end = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(0))?;
    let mut magic = [0u8; 8];
    input.read_exact(&mut magic).map_err(|_| malformed(0, "the file is too short"))?;
    match &magic {
        b"!<arch>\n" => {}
        b"!<thin>\n" => return Err(malformed(0, "a thin ar archive, which has no contents")),
        _ => return Err(malformed(0, "the ar archive's magic is missing")),
    }
    let mut offset = 8;
    let mut control = None;
    let mut seen_version = false;
    for _ in 0..MAX_AR_MEMBERS {
        let mut header = [0u8; 60];
        input.seek(SeekFrom::Start(offset))?;
        input.read_exact(&mut header).map_err(|_| malformed(offset, "it ends before data.tar"))?;
        if header[58..] != *b"`\n" {
            return Err(malformed(offset, "an ar member header without its end mark"));
        }
        let size =
            ar_size(&header[48..58]).ok_or_else(|| malformed(offset, "an ar member without a size"))?;
        let start = offset + 60;
        if size > end.saturating_sub(start) {
            return Err(malformed(offset, "an ar member that reaches past the end of the file"));
        }
        let name = header[..16].trim_ascii_end();
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let part = |compression| Part { offset: start, size, compression };
        match name {
            _ if name.starts_with(b"_") => {}
            b"debian-binary" if !seen_version => {
                let mut version = [0u8; 2];
                input.read_exact(&mut version).map_err(|_| malformed(start, "it has no format version"))?;
                if version != *b"2." || size > 64 {
                    return Err(malformed(start, "its format version is not 2.x"));
                }
                seen_version = true;
            }
            _ if !seen_version => return Err(malformed(offset, "debian-binary is not its first member")),
            _ => match (compression_of(name, b"control.tar"), compression_of(name, b"data.tar"), control) {
                (Some(compression), _, None) => control = Some(part(compression)),
                (_, Some(compression), Some(control)) => return Ok((control, part(compression))),
                _ => {
                    let name = String::from_utf8_lossy(name);
                    return Err(malformed(offset, &format!("an unexpected or unsupported member {name:?}")));
                }
            },
        }
        // Members start at even offsets.
        offset = start + size + size % 2;
    }
    Err(malformed(offset, "too many members before data.tar"))
}

/// A decimal size padded with spaces.
fn ar_size(field: &[u8]) -> Option<u64> {
    let digits = field.trim_ascii_end();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |size, &digit| size * 10 + u64::from(digit - b'0')))
}

fn compression_of(name: &[u8], stem: &[u8]) -> Option<Compression> {
    match name.strip_prefix(stem)? {
        b"" => Some(Compression::None),
        b".gz" => Some(Compression::Gzip),
        b".xz" => Some(Compression::Xz),
        b".zst" => Some(Compression::Zstd),
        b".bz2" => Some(Compression::Bzip2),
        _ => None,
    }
}

fn open_part<R: Read + Seek>(input: &mut R, part: Part) -> Result<tar::Reader<Unpacked<'_, R>>, DebError> {
    input.seek(SeekFrom::Start(part.offset))?;
    let packed: Packed<'_, R> = BufReader::with_capacity(1 << 16, input.take(part.size));
    let decoder = match part.compression {
        Compression::None => Decoder::None(packed),
        Compression::Gzip => Decoder::Gzip(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::Bzip2 => Decoder::Bzip2(bzip2::bufread::MultiBzDecoder::new(packed)),
        Compression::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED);
            let stream = stream.map_err(io::Error::other)?;
            Decoder::Xz(liblzma::bufread::XzDecoder::new_stream(packed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Decoder::Zstd(decoder)
        }
    };
    let caps = tar::Caps { contents: MAX_UNPACKED, ..tar::Caps::default() };
    Ok(tar::Reader::new(Unpacked { decoder, left: MAX_UNPACKED }, caps))
}

type Packed<'a, R> = BufReader<Take<&'a mut R>>;

enum Decoder<'a, R: Read> {
    None(Packed<'a, R>),
    Gzip(flate2::bufread::MultiGzDecoder<Packed<'a, R>>),
    Bzip2(bzip2::bufread::MultiBzDecoder<Packed<'a, R>>),
    Xz(liblzma::bufread::XzDecoder<Packed<'a, R>>),
    Zstd(zstd::stream::read::Decoder<'a, Packed<'a, R>>),
}

/// A decoder whose output is bounded: going past the bound is an error, not an end.
struct Unpacked<'a, R: Read> {
    decoder: Decoder<'a, R>,
    left: u64,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.decoder {
            Decoder::None(reader) => reader.read(buffer),
            Decoder::Gzip(reader) => reader.read(buffer),
            Decoder::Bzip2(reader) => reader.read(buffer),
            Decoder::Xz(reader) => reader.read(buffer),
            Decoder::Zstd(reader) => reader.read(buffer),
        }?;
        self.left = (self.left.checked_sub(count as u64))
            .ok_or_else(|| io::Error::other(format!("it unpacks to more than {MAX_UNPACKED} bytes")))?;
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests;
