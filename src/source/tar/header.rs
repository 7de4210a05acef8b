//! One header block, and the extended headers that overrule it.

use super::{BLOCK, Entry, Kind, MAX_PATH, TarError};

/// The largest size an octal field of a header can hold; above it, writers leave the field as they like
/// and give the size in a pax record.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;

/// A header block whose checksum is right.
pub(super) struct Header {
    block: [u8; BLOCK],
}

impl Header {
    pub(super) fn parse(block: [u8; BLOCK], offset: u64) -> Result<Self, TarError> {
        let header = Header { block };
        let stated = header.octal(148..156, offset, "its checksum is not an octal number")?;
        let sum: u64 = (block.iter().enumerate())
            .map(|(at, &byte)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(byte) })
            .sum();
        if stated != sum {
            return Err(TarError::Malformed {
                offset,
                problem: "its checksum is wrong (not a tar archive?)",
            });
        }
        Ok(header)
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.block[156]
    }

    /// Whether it announces metadata of the next entry instead of an entry.
    pub(super) fn is_extension(&self) -> bool {
        matches!(self.type_flag(), b'x' | b'g' | b'L' | b'K')
    }

    pub(super) fn size(&self, offset: u64) -> Result<u64, TarError> {
        let size = self.number(124..136, offset, "its size is not a number")?;
        u64::try_from(size).map_err(|_| TarError::Malformed { offset, problem: "its size is negative" })
    }

    /// The entry that this header and the records before it describe.
    pub(super) fn entry(&self, records: Records, offset: u64) -> Result<Entry, TarError> {
        let malformed = |problem| TarError::Malformed { offset, problem };
        let raw_path = records.path.unwrap_or_else(|| self.path());
        let raw_link = records.link.unwrap_or_else(|| text(&self.block[157..257]).to_vec());
        let stated_size = self.size(offset)?;
        let size = records.size.unwrap_or(stated_size);
        // Readers that do not know pax would find the next header elsewhere than those that do.
        if size != stated_size && size <= MAX_OCTAL_SIZE {
            return Err(malformed("its extended header gives another size than the header itself"));
        }
        let kind = match self.type_flag() {
            // Before POSIX a directory was a file whose name ended in a slash.
            0 | b'0' | b'7' if raw_path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' => Kind::Regular,
            b'1' => Kind::HardLink(relative(&raw_link, offset)?),
            b'2' if raw_link.is_empty() => return Err(malformed("a symbolic link without a target")),
            b'2' => Kind::Symlink(checked(raw_link, offset)?),
            b'3' => Kind::CharacterDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return Err(TarError::Unsupported { offset, feature: "a GNU sparse file" }),
            b'M' => return Err(TarError::Unsupported { offset, feature: "a GNU multi-volume file" }),
            b'V' => return Err(TarError::Unsupported { offset, feature: "a GNU volume label" }),
            _ => return Err(TarError::Unsupported { offset, feature: "an unknown type of entry" }),
        };
        if size != 0 && kind != Kind::Regular {
            return Err(malformed("contents in an entry that is no regular file"));
        }
        let mode = self.octal(100..108, offset, "its mode is not an octal number")?;
        let id = |field, problem| {
            u64::try_from(self.number(field, offset, problem)?).map_err(|_| malformed(problem))
        };
        Ok(Entry {
            path: relative(&raw_path, offset)?,
            kind,
            mode: (mode & 0o7777) as u32,
            uid: match records.uid {
                Some(uid) => uid,
                None => id(108..116, "its owner is not a number")?,
            },
            gid: match records.gid {
                Some(gid) => gid,
                None => id(116..124, "its group is not a number")?,
            },
            mtime: match records.mtime {
                Some(mtime) => mtime,
                None => self.number(136..148, offset, "its modification time is not a number")?,
            },
            size,
            offset,
        })
    }

    /// The name field, behind the prefix field where the header is POSIX' (GNU keeps times there).
    fn path(&self) -> Vec<u8> {
        let name = text(&self.block[..100]);
        let prefix = text(&self.block[345..500]);
        if &self.block[257..263] != b"ustar\0" || prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    /// Octal digits between optional spaces, ended by a space or NUL; an empty field is zero.
    fn octal(
        &self,
        field: std::ops::Range<usize>,
        offset: u64,
        problem: &'static str,
    ) -> Result<u64, TarError> {
        let field = &self.block[field];
        let start = field.iter().position(|&byte| byte != b' ').unwrap_or(field.len());
        let digits = &field[start..];
        let end = digits.iter().position(|&byte| byte == b' ' || byte == 0).unwrap_or(digits.len());
        let (digits, rest) = digits.split_at(end);
        let clean = digits.iter().all(|byte| (b'0'..=b'7').contains(byte))
            && rest.iter().all(|&byte| byte == b' ' || byte == 0);
        if !clean {
            return Err(TarError::Malformed { offset, problem });
        }
        // Twelve digits at most: 36 bits.
        Ok(digits.iter().fold(0, |value, &digit| value << 3 | u64::from(digit - b'0')))
    }

    /// Octal, or GNU's base-256: the first bit set, the rest a big-endian two's complement number.
    fn number(
        &self,
        field: std::ops::Range<usize>,
        offset: u64,
        problem: &'static str,
    ) -> Result<i64, TarError> {
        let bytes = &self.block[field.clone()];
        if bytes[0] & 0x80 == 0 {
            // 36 bits at most, so the cast is exact.
            return Ok(self.octal(field, offset, problem)? as i64);
        }
        let negative = bytes[0] & 0x40 != 0;
        let first = if negative { i128::from(bytes[0]) - 256 } else { i128::from(bytes[0] & 0x7f) };
        let value = bytes[1..].iter().fold(first, |value, &byte| value << 8 | i128::from(byte));
        i64::try_from(value).map_err(|_| TarError::Malformed { offset, problem })
    }
}

/// What the extended headers in front of an entry say about it.
#[derive(Default)]
pub(super) struct Records {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<i64>,
    uid: Option<u64>,
    gid: Option<u64>,
    seen: bool,
}

impl Records {
    /// Whether no header that belongs to a next entry was met.
    pub(super) fn is_empty(&self) -> bool {
        !self.seen
    }

    /// Takes in one extended header of type `flag`.
    pub(super) fn add(&mut self, flag: u8, body: &[u8], offset: u64) -> Result<(), TarError> {
        if flag == b'g' {
            return self.add_global(body, offset);
        }
        self.seen = true;
        match flag {
            b'L' => set(&mut self.path, checked(text(body).to_vec(), offset)?, offset),
            b'K' => set(&mut self.link, checked(text(body).to_vec(), offset)?, offset),
            _ => for_each_record(body, offset, |key, value| self.add_record(key, value, offset)),
        }
    }

    fn add_record(&mut self, key: &[u8], value: &[u8], offset: u64) -> Result<(), TarError> {
        match key {
            b"path" => set(&mut self.path, checked(value.to_vec(), offset)?, offset),
            b"linkpath" => set(&mut self.link, checked(value.to_vec(), offset)?, offset),
            b"size" => set(&mut self.size, decimal(value, offset)?, offset),
            b"uid" => set(&mut self.uid, decimal(value, offset)?, offset),
            b"gid" => set(&mut self.gid, decimal(value, offset)?, offset),
            b"mtime" => set(&mut self.mtime, seconds(value, offset)?, offset),
            _ if key.starts_with(b"GNU.sparse.") => {
                Err(TarError::Unsupported { offset, feature: "a GNU sparse file" })
            }
            // Times we do not use, attributes and access lists, comments.
            _ => Ok(()),
        }
    }

    /// A global header may carry comments (as `git archive` writes); one that would change every later
    /// entry is read by few readers and so refused.
    fn add_global(&mut self, body: &[u8], offset: u64) -> Result<(), TarError> {
        for_each_record(body, offset, |key, _| match key {
            b"comment" | b"charset" | b"hdrcharset" => Ok(()),
            _ => Err(TarError::Unsupported { offset, feature: "a global header that changes entries" }),
        })
    }
}

/// Walks over the records `<length> <key>=<value>\n` of a pax header.
fn for_each_record(
    mut body: &[u8],
    offset: u64,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), TarError>,
) -> Result<(), TarError> {
    let malformed = |problem| TarError::Malformed { offset, problem };
    while !body.is_empty() {
        let space = body.iter().take(20).position(|&byte| byte == b' ');
        let space = space.ok_or_else(|| malformed("a pax record without its length"))?;
        let length = usize::try_from(decimal(&body[..space], offset)?).unwrap_or(usize::MAX);
        if length <= space + 1 || length > body.len() || body[length - 1] != b'\n' {
            return Err(malformed("a pax record whose length is wrong"));
        }
        let record = &body[space + 1..length - 1];
        let equals = record.iter().position(|&byte| byte == b'=');
        let equals = equals.ok_or_else(|| malformed("a pax record without ="))?;
        each(&record[..equals], &record[equals + 1..])?;
        body = &body[length..];
    }
    Ok(())
}

/// Two values for one thing are understood differently by different readers.
fn set<T>(place: &mut Option<T>, value: T, offset: u64) -> Result<(), TarError> {
    if place.replace(value).is_some() {
        return Err(TarError::Malformed { offset, problem: "one thing is said twice in extended headers" });
    }
    Ok(())
}

fn decimal(digits: &[u8], offset: u64) -> Result<u64, TarError> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or(TarError::Malformed { offset, problem: "a pax number that is none" })
}

/// Seconds since 1970 with an optional sign and fraction; rounded down, as the file systems do.
fn seconds(value: &[u8], offset: u64) -> Result<i64, TarError> {
    let (negative, value) = match value {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, value),
    };
    let point = value.iter().position(|&byte| byte == b'.').unwrap_or(value.len());
    let fraction = value.get(point + 1..).unwrap_or_default();
    let whole = decimal(&value[..point], offset)?;
    if fraction.iter().any(|byte| !byte.is_ascii_digit()) {
        return Err(TarError::Malformed { offset, problem: "a pax time that is none" });
    }
    let below = i64::from(negative && fraction.iter().any(|&digit| digit != b'0'));
    let whole = i64::try_from(whole)
        .map_err(|_| TarError::Malformed { offset, problem: "a pax time out of range" })?;
    Ok(if negative { (-whole).saturating_sub(below) } else { whole })
}

/// The bytes of a field before its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// A path or target that is bounded and has no NUL in it (only a pax record can carry one).
fn checked(path: Vec<u8>, offset: u64) -> Result<Vec<u8>, TarError> {
    if path.len() > MAX_PATH {
        return Err(TarError::Cap { offset, what: "bytes in one path", limit: MAX_PATH as u64 });
    }
    if path.contains(&0) {
        return Err(TarError::Malformed { offset, problem: "a path with a NUL in it" });
    }
    Ok(path)
}

/// `path` without `.` components and superfluous slashes; an error when it is absolute or climbs.
fn relative(path: &[u8], offset: u64) -> Result<Vec<u8>, TarError> {
    let path = checked(path.to_vec(), offset)?;
    if path.is_empty() {
        return Err(TarError::Malformed { offset, problem: "an empty path" });
    }
    let components: Vec<&[u8]> =
        path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if path[0] == b'/' || components.contains(&b"..".as_slice()) {
        return Err(TarError::Escape { offset, path: String::from_utf8_lossy(&path).into_owned() });
    }
    Ok(components.join(&b'/'))
}
