//! Where a mirror's objects lie: a folder of this machine, or a bucket of an object service; who sees one only as it is served over
//! HTTP can read it by name. An object has a name, is written once as a whole, and never changes; but for narinfos, which gain
//! signatures, snapshots, which follow upon each other, and the page.

mod bucket;
mod folder;
mod served;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    time::SystemTime,
};

use crate::code::{Code, Explanation};

pub use bucket::Bucket;
pub use folder::Folder;
pub use served::Served;

/// Objects that are listed; each costs its name.
pub const MAX_OBJECTS: usize = 20_000_000;

/// How often a location is tried before it is said not to keep its promise.
const PROBES: usize = 32;

/// What [`Objects::put_new`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Nothing of the name was there: it is now.
    New,
    /// Something was there already, and stays as it is.
    There,
}

/// An object, to be read. How much is read is the caller's to bound.
pub struct Opened {
    /// Its length in bytes, as the location says.
    pub size: u64,
    /// Its bytes.
    pub bytes: Box<dyn Read + Send>,
}

/// A kind of location. Names are those of [`super::layout::Object`]: relative, of plain components.
///
/// What a location has to promise: an object is there with all of its bytes or not at all, also after a crash; of several who
/// create one name, one wins and the others learn that it is there.
pub trait Objects: Send + Sync {
    /// Whether objects can be read by their names, and nothing else can be done.
    fn only_by_name(&self) -> bool {
        false
    }

    /// The object of this name; `None` when there is none.
    fn open(&self, name: &str) -> io::Result<Option<Opened>>;

    /// The same, with its bytes from `offset` on.
    fn open_at(&self, name: &str, offset: u64) -> io::Result<Option<Opened>>;

    /// Calls `visit` with name and size of every object, in no order; whatever else lies there comes with a name that is none
    /// of an object.
    fn list(&self, prefix: &str, visit: &mut dyn FnMut(String, u64)) -> io::Result<()>;

    /// Creates an object, durably.
    fn put_new(&self, name: &str, bytes: &[u8]) -> io::Result<Put>;

    /// Creates an object of a file's bytes, from where it stands, durably.
    fn put_new_file(&self, name: &str, file: &mut File) -> io::Result<Put>;

    /// Puts an object in the place of whatever has its name, durably and at once: who reads gets the one or the other.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Puts other bytes in the place of an object, durably, if its bytes still are `was`; says whether they were. Of several who do
    /// it at once one does.
    fn exchange(&self, name: &str, was: &[u8], bytes: &[u8]) -> io::Result<bool>;

    /// When an object was written, by the location's clock; `None` when it is not there.
    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>>;

    /// Removes an object; that it is not there is fine.
    fn delete(&self, name: &str) -> io::Result<()>;
}

/// A location by its address.
pub struct Location {
    address: String,
    objects: Box<dyn Objects>,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Why a location could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// Not an address of one.
    #[error(
        "`{address}` is no location of a mirror: a folder, file:///absolute/folder, s3://, gs:// or az://; or, to be read only, \
         http:// or https://"
    )]
    Address {
        /// What was given.
        address: String,
    },
    /// A bucket that cannot be asked: what is missing in the environment.
    #[error("{address}: {source}")]
    Bucket {
        /// The address.
        address: String,
        /// What is missing.
        source: io::Error,
    },
    /// It could not be read or written.
    #[error("{object}: {source}")]
    Io {
        /// The object.
        object: String,
        /// The answer.
        source: io::Error,
    },
    /// An object that is larger than any of its kind.
    #[error("{object}: it has more than the {most} bytes that are read")]
    TooLarge {
        /// The object.
        object: String,
        /// How many are read.
        most: u64,
    },
    /// More objects than are listed.
    #[error("{address} holds more than {MAX_OBJECTS} objects")]
    TooMany {
        /// The location.
        address: String,
    },
    /// It cannot say what it holds.
    #[error(
        "{address} is served over HTTP, which cannot say what there is: the store paths have to be named"
    )]
    NotListed {
        /// The location.
        address: String,
    },
    /// It takes nothing.
    #[error(
        "{address} is served over HTTP, where a mirror can only be read: name the folder or bucket that it lies in"
    )]
    ReadOnly {
        /// The location.
        address: String,
    },
    /// It writes over what is there.
    #[error("{address}: what is there is written over, so that two writers could destroy each other's work")]
    Overwrites {
        /// The location.
        address: String,
    },
}

impl LocationError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            LocationError::Address { .. } | LocationError::Bucket { .. } => 1400,
            LocationError::Io { .. } => 1401,
            LocationError::TooLarge { .. } | LocationError::TooMany { .. } => 1402,
            LocationError::Overwrites { .. } => 1403,
            LocationError::NotListed { .. } | LocationError::ReadOnly { .. } => 1404,
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1400),
        title: "not a location of a mirror",
        text: "A mirror is named by a folder, by file:// and an absolute folder, or by s3://, gs:// or az:// and a bucket with a \
               prefix. Credentials, region and endpoint of a bucket come from the environment: AWS_ACCESS_KEY_ID, \
               AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION (us-east-1 without), AWS_ENDPOINT_URL, AWS_ALLOW_HTTP=true for \
               one with http://, AWS_SKIP_SIGNATURE=true for a bucket that everybody may read; GOOGLE_SERVICE_ACCOUNT; \
               AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY. Profiles in ~/.aws are not read. One that somebody serves is named by http:// or \
               https://, without a query, and can only be read.",
    },
    Explanation {
        code: Code(1401),
        title: "a mirror could not be read or written",
        text: "The folder, the network or the service failed. That an object is not there is no error; this is.",
    },
    Explanation {
        code: Code(1402),
        title: "an object of a mirror is larger than any of its kind",
        text: "Every object is read up to a bound. One that is larger was not written by this program, and is not used.",
    },
    Explanation {
        code: Code(1403),
        title: "a location that writes over what is there",
        text: "A mirror stands on one promise of the place it lies in: an object is created only if there is none of its name. \
               This place was asked to create one object twice and did it twice. Use a service with conditional writes \
               (If-None-Match), or a folder.",
    },
    Explanation {
        code: Code(1404),
        title: "a mirror that is served can only be read, by name",
        text: "Over HTTP a mirror answers for objects by their names. It cannot be asked what it holds, so that what is looked at \
               has to be named: `reprove mirror verify http://HOST PATH...` checks those store paths and everything that they refer \
               to and were made from. Whatever writes, and whatever has to see all of it, needs the folder or the bucket itself; a \
               stranger copies it first.",
    },
];

impl Location {
    /// The location at `address`. A folder need not be there yet.
    ///
    /// # Errors
    /// [`LocationError::Address`] for what names no place, [`LocationError::Bucket`] for a bucket that cannot be reached with what the environment says.
    pub fn parse(address: &str) -> Result<Self, LocationError> {
        let bucket = Bucket::new(address);
        let bucket =
            bucket.map_err(|source| LocationError::Bucket { address: address.to_owned(), source })?;
        if let Some(bucket) = bucket {
            return Ok(Location { address: address.to_owned(), objects: Box::new(bucket) });
        }
        if let Some(served) = Served::new(address) {
            return Ok(Location { address: address.to_owned(), objects: Box::new(served) });
        }
        let wrong = || LocationError::Address { address: address.to_owned() };
        let folder = match address.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => path,
            Some(_) => return Err(wrong()),
            None => address,
        };
        if folder.is_empty() || folder.contains('\0') {
            return Err(wrong());
        }
        let absolute = std::path::absolute(folder).map_err(|_| wrong())?;
        Ok(Location { address: address.to_owned(), objects: Box::new(Folder::new(absolute)) })
    }

    /// Objects of another kind.
    pub fn of(address: impl Into<String>, objects: Box<dyn Objects>) -> Self {
        Location { address: address.into(), objects }
    }

    /// Its address, as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What an object is called by a person.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.address.trim_end_matches('/'))
    }

    /// Whether it can be asked what it holds.
    ///
    /// # Errors
    /// [`LocationError::NotListed`] when it cannot.
    pub fn listable(&self) -> Result<(), LocationError> {
        if self.objects.only_by_name() {
            return Err(LocationError::NotListed { address: self.address.clone() });
        }
        Ok(())
    }

    /// Whether anything can be written there at all.
    ///
    /// # Errors
    /// [`LocationError::ReadOnly`] when nothing can.
    pub fn writable(&self) -> Result<(), LocationError> {
        if self.objects.only_by_name() {
            return Err(LocationError::ReadOnly { address: self.address.clone() });
        }
        Ok(())
    }

    /// The bytes of a small object, `most` at the most; `None` when it is not there.
    ///
    /// # Errors
    /// [`LocationError::TooLarge`] for a longer one; when the location fails. That nothing is there is none.
    pub fn get(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, LocationError> {
        let Some(opened) = self.open(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = opened.bytes.take(most + 1).read_to_end(&mut bytes);
        read.map_err(self.failed(name))?;
        if bytes.len() as u64 > most {
            return Err(LocationError::TooLarge { object: self.url(name), most });
        }
        Ok(Some(bytes))
    }

    /// The object, to be read; `None` when it is not there.
    ///
    /// # Errors
    /// When the location fails. That nothing is there is none.
    pub fn open(&self, name: &str) -> Result<Option<Opened>, LocationError> {
        self.objects.open(name).map_err(self.failed(name))
    }

    /// The same, with its bytes from `offset` on.
    ///
    /// # Errors
    /// As [`Location::open`].
    pub fn open_at(&self, name: &str, offset: u64) -> Result<Option<Opened>, LocationError> {
        self.objects.open_at(name, offset).map_err(self.failed(name))
    }

    /// Name and size of everything whose name begins with `prefix`, sorted.
    ///
    /// # Errors
    /// [`LocationError::NotListed`] where only single objects can be asked for, [`LocationError::TooMany`] for more than are kept in memory.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, LocationError> {
        self.listable()?;
        let (mut found, mut too_many) = (Vec::new(), false);
        let mut visit = |name, size| {
            too_many |= found.len() >= MAX_OBJECTS;
            if !too_many {
                found.push((name, size));
            }
        };
        self.objects.list(prefix, &mut visit).map_err(self.failed(prefix))?;
        if too_many {
            return Err(LocationError::TooMany { address: self.address.clone() });
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Creates an object, durably.
    ///
    /// # Errors
    /// [`LocationError::ReadOnly`] for what somebody serves; when the location fails. That the name is taken is none.
    pub fn put_new(&self, name: &str, bytes: &[u8]) -> Result<Put, LocationError> {
        self.writable()?;
        self.objects.put_new(name, bytes).map_err(self.failed(name))
    }

    /// Creates an object of a file's bytes, from where it stands, durably.
    ///
    /// # Errors
    /// As [`Location::put_new`].
    pub fn put_new_file(&self, name: &str, file: &mut File) -> Result<Put, LocationError> {
        self.writable()?;
        self.objects.put_new_file(name, file).map_err(self.failed(name))
    }

    /// Puts an object in the place of whatever has its name: for what follows from other objects, and for nothing else.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), LocationError> {
        self.writable()?;
        self.objects.replace(name, bytes).map_err(self.failed(name))
    }

    /// Puts other bytes in the place of an object if its bytes still are `was`, and says whether they were. Of several who do it at
    /// once one does.
    ///
    /// # Errors
    /// As [`Location::put_new`]. That others were faster is none.
    pub fn exchange(&self, name: &str, was: &[u8], bytes: &[u8]) -> Result<bool, LocationError> {
        self.writable()?;
        self.objects.exchange(name, was, bytes).map_err(self.failed(name))
    }

    /// When an object was written, by the location's clock; `None` when it is not there.
    pub(super) fn modified(&self, name: &str) -> Result<Option<SystemTime>, LocationError> {
        self.listable()?;
        self.objects.modified(name).map_err(self.failed(name))
    }

    /// Removes an object.
    ///
    /// # Errors
    /// As [`Location::put_new`]. That nothing is there is none.
    pub fn delete(&self, name: &str) -> Result<(), LocationError> {
        self.writable()?;
        self.objects.delete(name).map_err(self.failed(name))
    }

    /// Finds out whether the location keeps the promise that everything stands on: a name is created once. `probe` is a name for
    /// this alone. It is always the same, so that what a killed process left of it goes with the next one's.
    ///
    /// # Errors
    /// [`LocationError::Overwrites`] when it does not.
    pub fn prove_create_once(&self, probe: &str) -> Result<(), LocationError> {
        // Somebody else who tries at the same moment may remove ours: that is no answer, and neither is what was left there.
        for _ in 0..PROBES {
            self.put_new(probe, b"first\n")?;
            let second = self.put_new(probe, b"second\n")?;
            let kept = self.get(probe, 64)?;
            self.delete(probe)?;
            if second == Put::There && kept.as_deref() == Some(b"first\n") {
                return Ok(());
            }
        }
        Err(LocationError::Overwrites { address: self.address.clone() })
    }

    fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> LocationError {
        let object = self.url(name);
        move |source| LocationError::Io { object, source }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

    use super::*;

    /// A place that writes over what is there, as `rclone serve s3` does.
    #[derive(Default)]
    struct Overwriting(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Objects for Overwriting {
        fn open(&self, name: &str) -> io::Result<Option<Opened>> {
            let bytes = self.0.lock().unwrap().get(name).cloned();
            Ok(bytes
                .map(|bytes| Opened { size: bytes.len() as u64, bytes: Box::new(io::Cursor::new(bytes)) }))
        }
        fn open_at(&self, _name: &str, _offset: u64) -> io::Result<Option<Opened>> {
            unreachable!("nobody asks for a part")
        }
        fn list(&self, _prefix: &str, _visit: &mut dyn FnMut(String, u64)) -> io::Result<()> {
            Ok(())
        }
        fn put_new(&self, name: &str, bytes: &[u8]) -> io::Result<Put> {
            self.0.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
            Ok(Put::New)
        }
        fn put_new_file(&self, _name: &str, _file: &mut File) -> io::Result<Put> {
            unreachable!("a probe is small")
        }
        fn replace(&self, _name: &str, _bytes: &[u8]) -> io::Result<()> {
            unreachable!("a probe is created")
        }
        fn exchange(&self, _name: &str, _was: &[u8], _bytes: &[u8]) -> io::Result<bool> {
            unreachable!("a probe stays as it is")
        }
        fn modified(&self, _name: &str) -> io::Result<Option<SystemTime>> {
            unreachable!("nobody asks how old a probe is")
        }
        fn delete(&self, name: &str) -> io::Result<()> {
            self.0.lock().unwrap().remove(name);
            Ok(())
        }
    }

    #[test]
    fn a_location_that_writes_over_what_is_there_is_found_out() {
        let bad = Location::of("s3://bad", Box::new(Overwriting::default()));
        assert_eq!(bad.prove_create_once("probe").unwrap_err().code().0, 1403);
        let dir = tempfile::tempdir().unwrap();
        let good = Location::parse(dir.path().join("new").to_str().unwrap()).unwrap();
        good.prove_create_once("probe").unwrap();
        assert_eq!(good.list("").unwrap(), []);
        // Left by one that was killed.
        for left in ["first\n", "second\n"] {
            good.put_new("probe", left.as_bytes()).unwrap();
            good.prove_create_once("probe").unwrap();
            assert_eq!(good.list("").unwrap(), []);
        }
        std::thread::scope(|scope| {
            (0..4).for_each(|_| _ = scope.spawn(|| good.prove_create_once("probe").unwrap()));
        });
        assert_eq!(good.list("").unwrap(), []);
    }

    #[test]
    fn what_is_served_can_be_read_by_name_only() {
        let served = Location::parse("http://127.0.0.1:1/mirror/").unwrap();
        assert_eq!(served.url("x"), "http://127.0.0.1:1/mirror/x");
        assert!(matches!(served.list(""), Err(LocationError::NotListed { .. })));
        assert!(matches!(served.modified("x"), Err(LocationError::NotListed { .. })));
        let mut file = tempfile::tempfile().unwrap();
        for refused in [
            served.put_new("x", b"").map(drop),
            served.put_new_file("x", &mut file).map(drop),
            served.replace("x", b""),
            served.exchange("x", b"", b"").map(drop),
            served.delete("x"),
            served.prove_create_once("x"),
        ] {
            let error = refused.unwrap_err();
            assert_eq!((error.code().0, matches!(error, LocationError::ReadOnly { .. })), (1404, true));
        }
    }

    #[test]
    fn addresses_of_other_kinds_are_refused() {
        for address in
            ["", "file://relative", "http://", "https:///x", "http://h?x", "file:///a\0b", "ftp://x/y"]
        {
            assert_eq!(Location::parse(address).unwrap_err().code().0, 1400, "{address:?}");
        }
    }
}
