//! The page at a mirror's root: which follows from all the other objects, and so is replaced.
//!
//! How it looks is not this room's: whoever makes pages hands in how ([`Maker`]). A page is a function of the mirror's objects and of
//! the address that it tells people. Whoever writes one looks again afterwards, and writes it again when the mirror grew meanwhile;
//! so after the last of several writers has ended the page is the one that follows, whoever wrote it.

use super::{Mirror, MirrorError, holdings::Holdings, layout::Object};

/// Longest page, in bytes: what [`super::holdings`] keeps of the largest mirror stays far below.
pub const MAX_LEN: u64 = 64 << 20;

/// Between two looks at whether the mirror grew, at most so often.
const TRIES: usize = 8;

/// A page, and what it is allowed to do in a browser.
#[derive(Clone, Debug)]
pub struct Page {
    /// The document.
    pub html: String,
    /// For the header `Content-Security-Policy`.
    pub content_security_policy: String,
}

/// Makes the page of what a mirror holds.
pub type Maker = dyn Fn(&Holdings) -> Page + Send + Sync;

/// Whether the page that lies in a mirror is the one that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    None,
    /// It is.
    Current,
    /// It is another one: older than the mirror, or not made of it.
    Other,
}

impl Mirror {
    /// The page that lies at the root, if there is one.
    ///
    /// # Errors
    /// [`super::location::LocationError::TooLarge`] for one that is longer than any this program makes.
    pub fn stored_page(&self) -> Result<Option<Vec<u8>>, MirrorError> {
        Ok(self.location.get(&Object::Page.name(), MAX_LEN)?)
    }

    /// Whether the stored page is the one that `make` makes now.
    ///
    /// # Errors
    /// As [`Mirror::stored_page`]; when the mirror cannot be listed.
    pub fn page_standing(&self, make: &Maker, jobs: usize) -> Result<Standing, MirrorError> {
        let Some(stored) = self.stored_page()? else { return Ok(Standing::None) };
        let made = make(&self.holdings(jobs)?);
        Ok(if made.html.as_bytes() == stored { Standing::Current } else { Standing::Other })
    }

    /// Makes the page and writes it, until it is the one that follows.
    ///
    /// # Errors
    /// As [`Mirror::page_standing`]; when the page cannot be written.
    pub fn write_page(&self, make: &Maker, jobs: usize) -> Result<(), MirrorError> {
        let name = Object::Page.name();
        for _ in 0..TRIES {
            let page = make(&self.holdings(jobs)?);
            // Looked at after the mirror was: who wrote a newer one meanwhile will look, too.
            if self.stored_page()?.is_some_and(|stored| stored == page.html.as_bytes()) {
                break;
            }
            self.location.replace(&name, page.html.as_bytes())?;
        }
        Ok(())
    }
}
