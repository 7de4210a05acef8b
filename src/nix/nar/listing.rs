//! The listing of a NAR as binary caches serve it: `<hash>.ls`, from which `nix store ls` and `cat` know a path's tree without
//! fetching it.
//!
//! There is no specification; this is what Nix 2.8 writes for `write-nar-listing`, byte for byte: JSON, entries in the order of
//! the NAR, `narOffset` the offset of a file's first byte, `executable` only where it holds. Later versions sort keys.

use std::io::{self, Write};

use super::Event;

/// Writes the listing while the events of a [`super::Reader`] come by; keeps nothing but how deep it is.
pub struct Listing<W: Write> {
    out: W,
    /// Of every open directory whether it has an entry already.
    open: Vec<bool>,
    /// Whether a name or target was no text, which JSON cannot hold.
    lossy: bool,
}

impl<W: Write> Listing<W> {
    /// Begins a listing in `out`.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"{\"version\":1,\"root\":")?;
        Ok(Listing { out, open: Vec::new(), lossy: false })
    }

    /// Adds what comes next in the NAR.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Directory => {
                self.open.push(false);
                self.out.write_all(b"{\"type\":\"directory\",\"entries\":{")
            }
            Event::Entry { name } => {
                if let Some(has_entries) = self.open.last_mut()
                    && std::mem::replace(has_entries, true)
                {
                    self.out.write_all(b",")?;
                }
                self.text(name)?;
                self.out.write_all(b":")
            }
            Event::Regular { executable, size, offset } => {
                let executable = if *executable { ",\"executable\":true" } else { "" };
                write!(
                    self.out,
                    "{{\"type\":\"regular\",\"size\":{size}{executable},\"narOffset\":{offset}}}"
                )
            }
            Event::Symlink { target } => {
                self.out.write_all(b"{\"type\":\"symlink\",\"target\":")?;
                self.text(target)?;
                self.out.write_all(b"}")
            }
            Event::Leave => {
                self.open.pop();
                self.out.write_all(b"}}")
            }
        }
    }

    /// Ends it; `None` when the NAR has a name or a target that is no UTF-8: then there is no listing, and what was written is
    /// none.
    pub fn finish(mut self) -> io::Result<Option<W>> {
        self.out.write_all(b"}")?;
        Ok((!self.lossy).then_some(self.out))
    }

    fn text(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(bytes).unwrap_or_else(|_| {
            self.lossy = true;
            ""
        });
        Ok(serde_json::to_writer(&mut self.out, text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::nar::{Reader, Writer};

    fn listing(nar: &[u8]) -> Option<String> {
        let mut listing = Listing::new(Vec::new()).unwrap();
        let mut reader = Reader::new(nar);
        while let Some(event) = reader.next_event().unwrap() {
            listing.event(&event).unwrap();
        }
        listing.finish().unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_tree_is_listed_as_nix_lists_it() {
        let mut nar = Writer::new(Vec::new());
        nar.directory().unwrap();
        nar.entry(b"a\"b").unwrap();
        nar.regular(true, 3, &b"abc"[..]).unwrap();
        nar.entry(b"d").unwrap();
        nar.directory().unwrap();
        nar.leave().unwrap();
        nar.entry(b"l").unwrap();
        nar.symlink(b"d").unwrap();
        nar.leave().unwrap();
        let text = listing(&nar.finish().unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["root"]["entries"]["a\"b"]["size"], 3);
        assert_eq!(
            text,
            "{\"version\":1,\"root\":{\"type\":\"directory\",\"entries\":{\"a\\\"b\":{\"type\":\"regular\",\"size\":3,\
             \"executable\":true,\"narOffset\":264},\"d\":{\"type\":\"directory\",\"entries\":{}},\
             \"l\":{\"type\":\"symlink\",\"target\":\"d\"}}}}"
        );
    }

    #[test]
    fn a_name_that_is_no_text_has_no_listing() {
        let mut nar = Writer::new(Vec::new());
        nar.directory().unwrap();
        nar.entry(b"\xff").unwrap();
        nar.symlink(b"x").unwrap();
        nar.leave().unwrap();
        assert_eq!(listing(&nar.finish().unwrap()), None);
    }
}
