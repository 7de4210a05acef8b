//! The result record: what `init` says about a run, in the first bytes of the output drive. Hostile.

use std::collections::BTreeMap;

use super::job::RunId;

/// Bytes set aside for the record; the tar stream follows.
pub const RECORD_BYTES: u64 = 4096;

/// Why the builder is no longer running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// By itself.
    Exited,
    /// The limit of guest seconds.
    Seconds,
    /// The limit of log bytes.
    Log,
    /// It never started.
    Setup,
}

/// How much of a tar stream there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tar {
    /// That many bytes.
    Bytes(u64),
    /// No output exists.
    None,
    /// It did not fit on the drive.
    Overflow,
    /// Archiving failed, for a reason on the console.
    Failed,
}

impl Tar {
    /// How many bytes it takes on the drive, as far as that is known.
    pub fn bytes(self) -> u64 {
        match self {
            Tar::Bytes(bytes) => bytes,
            Tar::None | Tar::Overflow | Tar::Failed => 0,
        }
    }
}

/// What the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Why the builder is no longer running.
    pub stopped: Stopped,
    /// The builder's exit code; 128 + n for signal n.
    pub status: u32,
    /// How often a fork was refused.
    pub processes_refused: u64,
    /// Processes killed for want of memory.
    pub memory_killed: u64,
    /// Whether the build root was full at the end.
    pub root_full: bool,
    /// The first file that is no regular file, directory or link.
    pub special: Option<Vec<u8>>,
    /// The tar stream.
    pub tar: Tar,
    /// The tar stream behind it: what was written down about processes and files, when that was asked for.
    pub observed: Tar,
    /// The guest's clock since boot in nanoseconds, when it could tell.
    pub nanoseconds: Option<u64>,
}

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Nothing was written.
    #[error("the guest left no result record")]
    Absent,
    /// The text is not as the protocol says.
    #[error("the result record is malformed: {0}")]
    Malformed(&'static str),
    /// A value is not as the protocol says.
    #[error("the result record has a malformed `{0}`")]
    Value(&'static str),
    /// It repeats another run's id.
    #[error("the result record is of another run")]
    OtherRun,
}

/// The names of the values, in the order `init` writes them; every one must be there once.
const NAMES: [&str; 10] = [
    "run",
    "stopped",
    "status",
    "processes_refused",
    "memory_killed",
    "root_full",
    "special",
    "tar",
    "observed",
    "nanoseconds",
];

impl Record {
    /// Reads the record of `run` from the first bytes of an output drive of `drive` bytes.
    pub fn parse(bytes: &[u8], run: &RunId, drive: u64) -> Result<Record, RecordError> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let (text, padding) = bytes.split_at(end);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(RecordError::Malformed("something follows its padding"));
        }
        if text.is_empty() {
            return Err(RecordError::Absent);
        }
        let text = std::str::from_utf8(text).map_err(|_| RecordError::Malformed("it is not text"))?;
        let body = text
            .strip_prefix("reprove-result/2\n")
            .ok_or(RecordError::Malformed("its first line is not `reprove-result/2`"))?
            .strip_suffix("\nend\n")
            .ok_or(RecordError::Malformed("its last line is not `end`"))?;
        let mut values = BTreeMap::new();
        for line in body.split('\n') {
            let (name, value) = line.split_once('=').ok_or(RecordError::Malformed("a line has no `=`"))?;
            if !NAMES.contains(&name) || values.insert(name, value).is_some() {
                return Err(RecordError::Malformed("a name is unknown or there twice"));
            }
        }
        if values.len() != NAMES.len() {
            return Err(RecordError::Malformed("a name is missing"));
        }
        let value = |name: &'static str| (name, values.get(name).copied().unwrap_or_default());
        if value("run").1 != run.hex() {
            return Err(RecordError::OtherRun);
        }
        let room = drive.saturating_sub(RECORD_BYTES);
        let tar = archive(value("tar"), room)?;
        Ok(Record {
            stopped: match value("stopped").1 {
                "exited" => Stopped::Exited,
                "seconds" => Stopped::Seconds,
                "log" => Stopped::Log,
                "setup" => Stopped::Setup,
                _ => return Err(RecordError::Value("stopped")),
            },
            status: number(value("status"), 255)? as u32,
            processes_refused: number(value("processes_refused"), u64::MAX)?,
            memory_killed: number(value("memory_killed"), u64::MAX)?,
            root_full: number(value("root_full"), 1)? == 1,
            special: special(value("special"))?,
            tar,
            observed: archive(value("observed"), room - tar.bytes())?,
            nanoseconds: match value("nanoseconds") {
                (_, "") => None,
                count => Some(number(count, u64::MAX)?),
            },
        })
    }
}

/// What the record says of a tar stream for which there are `room` bytes.
fn archive(value: (&'static str, &str), room: u64) -> Result<Tar, RecordError> {
    Ok(match value {
        (_, "none") => Tar::None,
        (_, "overflow") => Tar::Overflow,
        (_, "failed") => Tar::Failed,
        bytes => Tar::Bytes(number(bytes, room)?),
    })
}

fn number((name, text): (&'static str, &str), max: u64) -> Result<u64, RecordError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value.filter(|value| *value <= max).ok_or(RecordError::Value(name))
}

fn special((name, text): (&'static str, &str)) -> Result<Option<Vec<u8>>, RecordError> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (hex, after) = rest.split_at_checked(2).ok_or(RecordError::Value(name))?;
            let decoded = data_encoding::HEXUPPER.decode(hex).map_err(|_| RecordError::Value(name))?;
            out.extend(decoded);
            rest = after;
        } else if byte.is_ascii_alphanumeric() || b"+-._?=/".contains(byte) {
            out.push(*byte);
        } else {
            return Err(RecordError::Value(name));
        }
    }
    Ok((!out.is_empty()).then_some(out))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUN: RunId = RunId([0xab; 32]);

    fn text() -> String {
        format!(
            "reprove-result/2\nrun={}\nstopped=exited\nstatus=3\nprocesses_refused=0\nmemory_killed=2\nroot_full=1\n\
             special=a%0Ab/c\ntar=1024\nobserved=none\nnanoseconds=99\nend\n",
            RUN.hex()
        )
    }

    fn parse(text: &str) -> Result<Record, RecordError> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(4096, 0);
        Record::parse(&bytes, &RUN, 1 << 20)
    }

    #[test]
    fn a_record_is_read() {
        let record = parse(&text()).unwrap();
        assert_eq!(
            record,
            Record {
                stopped: Stopped::Exited,
                status: 3,
                processes_refused: 0,
                memory_killed: 2,
                root_full: true,
                special: Some(b"a\nb/c".to_vec()),
                tar: Tar::Bytes(1024),
                observed: Tar::None,
                nanoseconds: Some(99),
            }
        );
    }

    #[test]
    fn anything_else_is_no_record() {
        use RecordError as E;
        assert_eq!(parse(""), Err(E::Absent));
        let cases: [(&str, &str, E); 15] = [
            ("\nend\n", "\n", E::Malformed("its last line is not `end`")),
            (
                "reprove-result/2",
                "reprove-result/3",
                E::Malformed("its first line is not `reprove-result/2`"),
            ),
            ("status=3\n", "", E::Malformed("a name is missing")),
            ("status=3", "status=3\nstatus=0", E::Malformed("a name is unknown or there twice")),
            ("status=3", "state=3", E::Malformed("a name is unknown or there twice")),
            ("status=3", "status", E::Malformed("a line has no `=`")),
            ("status=3", "status=256", E::Value("status")),
            ("status=3", "status=+3", E::Value("status")),
            ("status=3", "status=", E::Value("status")),
            ("stopped=exited", "stopped=well", E::Value("stopped")),
            ("tar=1024", "tar=1044481", E::Value("tar")),
            ("tar=1024", "tar=99999999999999999999999", E::Value("tar")),
            ("observed=none", "observed=1043457", E::Value("observed")),
            ("special=a%0Ab", "special=a%0", E::Value("special")),
            ("special=a%0Ab", "special=\u{1b}", E::Value("special")),
        ];
        for (from, to, expected) in cases {
            assert_eq!(parse(&text().replacen(from, to, 1)), Err(expected), "{from} -> {to}");
        }
        let other = Record::parse(text().as_bytes(), &RunId([1; 32]), 1 << 20);
        assert_eq!(other, Err(E::OtherRun));
        let hidden = format!("{}\0more", text());
        assert_eq!(parse(&hidden), Err(E::Malformed("something follows its padding")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Record::parse(&bytes, &RUN, 1 << 20);
        }
    }
}
