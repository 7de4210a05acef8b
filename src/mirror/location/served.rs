//! A mirror that somebody serves over HTTP: objects by their names, and nothing else. What there is cannot be listed, and nothing
//! can be written.

use std::{
    fs::File,
    io::{self, Read as _},
    time::{Duration, SystemTime},
};

use super::{Objects, Opened, Put};
use crate::source::web::{Answer, Web};

/// A whole object, however large.
const TOTAL_TIME: Duration = Duration::from_secs(4 * 3600);

/// What answers below an address.
pub struct Served {
    base: String,
    web: Web,
}

impl Served {
    /// What is served at `http://…` or `https://…`; `None` for any other address, and for one with a query.
    pub fn new(address: &str) -> Option<Self> {
        let base = address.trim_end_matches('/');
        let (scheme, host) = base.split_once("://")?;
        let plain = |c: char| c.is_ascii_graphic() && !"?#\\\"<>".contains(c);
        let fits = matches!(scheme, "http" | "https") && !host.starts_with('/') && !host.is_empty();
        let web = || Web::new(base, TOTAL_TIME);
        (fits && base.chars().all(plain)).then(|| Served { base: base.to_owned(), web: web() })
    }

    fn get(&self, name: &str, offset: u64) -> io::Result<Option<Opened>> {
        // Of what names of objects hold, it is all that would mean something else in an address.
        let url = format!("{}/{}", self.base, name.replace('?', "%3F"));
        let Some(Answer { len, bytes }) = self.web.from(&url, offset)? else { return Ok(None) };
        // Without a length nobody can tell the whole from a beginning.
        let size = len.ok_or_else(|| io::Error::other("the server does not say how long it is"))?;
        Ok(Some(Opened { size, bytes: Box::new(bytes.take(size.saturating_sub(offset))) }))
    }
}

/// What a location that can only be read by name answers to everything else: [`super::Location`] says it better, before.
fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "what is served over HTTP can only be read, by name"))
}

impl Objects for Served {
    fn only_by_name(&self) -> bool {
        true
    }

    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        self.get(name, 0)
    }

    fn open_at(&self, name: &str, offset: u64) -> io::Result<Option<Opened>> {
        self.get(name, offset)
    }

    fn list(&self, _prefix: &str, _visit: &mut dyn FnMut(String, u64)) -> io::Result<()> {
        refused()
    }

    fn put_new(&self, _name: &str, _bytes: &[u8]) -> io::Result<Put> {
        refused()
    }

    fn put_new_file(&self, _name: &str, _file: &mut File) -> io::Result<Put> {
        refused()
    }

    fn replace(&self, _name: &str, _bytes: &[u8]) -> io::Result<()> {
        refused()
    }

    fn exchange(&self, _name: &str, _was: &[u8], _bytes: &[u8]) -> io::Result<bool> {
        refused()
    }

    fn modified(&self, _name: &str) -> io::Result<Option<SystemTime>> {
        refused()
    }

    fn delete(&self, _name: &str) -> io::Result<()> {
        refused()
    }
}
