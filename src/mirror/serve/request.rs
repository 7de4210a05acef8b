//! What a request asks for (pure).

use std::fmt;

use crate::mirror::layout::Object;

/// What is asked for, by a method that reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An object of the mirror.
    Object(Object),
    /// Whether the mirror can be read.
    Health,
    /// What was asked for so far.
    Metrics,
}

impl Asked {
    /// What the path of a request's target asks for, percent-encoding and all. `None` for what no mirror has: only names of
    /// objects lead anywhere, so that no path leads out of the mirror, and claims are nobody's but the workers'.
    pub fn of(path: &str) -> Option<Asked> {
        let name = decoded(path.strip_prefix('/')?)?;
        match name.as_str() {
            "" => return Some(Asked::Object(Object::Page)),
            "healthz" => return Some(Asked::Health),
            "metrics" => return Some(Asked::Metrics),
            _ => {}
        }
        Object::parse(&name).filter(|object| !matches!(object, Object::Claim(..))).map(Asked::Object)
    }

    /// What kind it is of, for counting.
    pub fn kind(&self) -> Kind {
        match self {
            Asked::Object(Object::NarInfo(_)) => Kind::NarInfo,
            Asked::Object(Object::Nar(_)) => Kind::Nar,
            _ => Kind::Other,
        }
    }
}

/// Kinds that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a cache says of a path.
    NarInfo,
    /// Its bits.
    Nar,
    /// Everything else.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::NarInfo, Kind::Nar, Kind::Other];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::NarInfo => "narinfo",
            Kind::Nar => "nar",
            Kind::Other => "other",
        })
    }
}

/// The text behind percent-encoding (RFC 3986, section 2.1), if it is one.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.extend(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Which bytes of an object are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// So many from this offset on.
    Some {
        /// The first.
        from: u64,
        /// How many.
        len: u64,
    },
    /// Some that are not there.
    Beyond,
}

impl Part {
    /// What a `Range` header asks for of `size` bytes (RFC 9110, section 14). What it does not understand, and what asks for several
    /// ranges at once, a server may answer with everything.
    pub fn of(range: Option<&str>, size: u64) -> Part {
        let read = || {
            let (first, last) = range?.strip_prefix("bytes=")?.split_once('-')?;
            let number = |text: &str| match text {
                "" => Some(None),
                // Digits only: `parse` would take a sign.
                text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u64>().ok().map(Some),
                _ => None,
            };
            Some(match (number(first)?, number(last)?) {
                (None, None) => return None,
                (None, Some(0)) => Part::Beyond,
                (None, Some(len)) => Part::from(size.saturating_sub(len), size),
                (Some(from), _) if from >= size => Part::Beyond,
                (Some(from), None) => Part::from(from, size),
                (Some(from), Some(last)) if last < from => return None,
                (Some(from), Some(last)) => Part::from(from, size.min(last.saturating_add(1))),
            })
        };
        read().unwrap_or(Part::Whole)
    }

    fn from(from: u64, end: u64) -> Part {
        match end - from {
            0 => Part::Beyond,
            len => Part::Some { from, len },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: &str = "00000000000000000000000000000000";

    #[test]
    fn objects_are_asked_for_by_their_names() {
        let object = |path: &str| match Asked::of(path) {
            Some(Asked::Object(object)) => Some(object.name()),
            _ => None,
        };
        assert_eq!(object("/").as_deref(), Some("index.html"));
        assert_eq!(object("/nix-cache-info").as_deref(), Some("nix-cache-info"));
        assert_eq!(object(&format!("/{PART}.narinfo")), Some(format!("{PART}.narinfo")));
        // Names of store paths may hold what begins a query.
        let log = format!("log/{PART}-a?b=c+d.drv");
        assert_eq!(object(&format!("/log/{PART}-a%3Fb=c%2bd.drv")), Some(log));
        assert_eq!(Asked::of("/healthz"), Some(Asked::Health));
        assert_eq!(Asked::of("/metrics"), Some(Asked::Metrics));
    }

    #[test]
    fn t60_nothing_else_leads_anywhere() {
        for path in [
            "",
            "nix-cache-info",
            "//",
            "/.",
            "/..",
            "/../nix-cache-info",
            "/%2e%2e%2fetc/passwd",
            "/%2E%2E/",
            "/nar/..%2f..%2fx",
            "/log/..",
            "/log/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/%",
            "/%2",
            "/%zz",
            "/%00",
            "/%ff",
            "/nix-cache-info%00",
            "/nix-cache-info/",
            "/.tmp/x",
            "/claims/00000000000000000000000000000000/1",
            "/nar/",
            "/nar/x.nar.zst",
            "/<script>alert(1)</script>",
            "/%3Cscript%3E",
            "/INDEX.HTML",
            "/x.narinfo",
            "/é",
        ] {
            assert_eq!(Asked::of(path), None, "{path}");
        }
    }

    #[test]
    fn parts() {
        let some = |from, len| Part::Some { from, len };
        for (range, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-0"), some(0, 1)),
            (Some("bytes=0-"), some(0, 10)),
            (Some("bytes=3-5"), some(3, 3)),
            (Some("bytes=3-99999"), some(3, 7)),
            (Some("bytes=9-18446744073709551615"), some(9, 1)),
            (Some("bytes=-3"), some(7, 3)),
            (Some("bytes=-99"), some(0, 10)),
            (Some("bytes=-0"), Part::Beyond),
            (Some("bytes=10-"), Part::Beyond),
            (Some("bytes=10-20"), Part::Beyond),
            // Not understood, or several.
            (Some("bytes=5-3"), Part::Whole),
            (Some("bytes=-"), Part::Whole),
            (Some("bytes=+1-2"), Part::Whole),
            (Some("bytes=0-1,3-4"), Part::Whole),
            (Some("bytes=0-18446744073709551616"), Part::Whole),
            (Some("lines=0-1"), Part::Whole),
            (Some(""), Part::Whole),
        ] {
            assert_eq!(Part::of(range, 10), expected, "{range:?}");
        }
        assert_eq!(Part::of(Some("bytes=0-"), 0), Part::Beyond);
        assert_eq!(Part::of(Some("bytes=-5"), 0), Part::Beyond);
    }
}
