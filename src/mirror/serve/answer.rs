//! The answer to a request.

use std::{io::Read as _, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
        CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::task::spawn_blocking;

use super::{
    Server,
    body::{Body, PIECE},
    numbers::Numbers,
    request::{Asked, Kind, Part},
};
use crate::mirror::{
    layout::Object,
    location::{Location, LocationError, Opened},
};

/// For what never changes: its name is the hash of its bytes.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For what may come or be signed once more.
const A_WHILE: &str = "public, max-age=60";
/// For answers that are true now.
const NEVER: &str = "no-store";
/// For a page that lies in the mirror, and could be anybody's: it has no scripts and loads nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Server {
    /// Answers a request, whatever it is.
    pub(super) async fn answer<T>(self: Arc<Self>, request: Request<T>) -> Response<Body> {
        let head = *request.method() == Method::HEAD;
        if !head && *request.method() != Method::GET {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this mirror is read only\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return self.counted(Kind::Other, response);
        }
        let Some(asked) = Asked::of(request.uri().path()) else {
            return self.counted(Kind::Other, not_found());
        };
        let kind = asked.kind();
        let mut response = match asked {
            Asked::Metrics => self.clone().measured().await,
            Asked::Health => self.clone().health().await,
            Asked::Object(Object::Page) if self.pages.is_some() => self.clone().page().await,
            Asked::Object(object) => self.clone().object(object, request.headers()).await,
        };
        if head {
            *response.body_mut() = Body::empty();
        }
        self.counted(kind, response)
    }

    fn counted(&self, kind: Kind, response: Response<Body>) -> Response<Body> {
        self.metrics.answered(kind, response.status().as_u16());
        if let Body::Whole(bytes) = response.body() {
            self.metrics.sent(bytes.len() as u64);
        }
        response
    }

    /// What was asked for, and what the mirror holds: that is left out when it cannot be listed.
    async fn measured(self: Arc<Self>) -> Response<Body> {
        let mirror = self.mirror.clone();
        let numbers = self.numbers.get(move || Some(Numbers::of(&mirror).ok())).await.flatten();
        text(StatusCode::OK, self.metrics.text() + &numbers.map(Numbers::text).unwrap_or_default())
    }

    async fn health(self: Arc<Self>) -> Response<Body> {
        let is_there =
            move || self.mirror.location().open(&Object::CacheInfo.name()).is_ok_and(|found| found.is_some());
        match spawn_blocking(is_there).await {
            Ok(true) => text(StatusCode::OK, "ok\n"),
            _ => text(StatusCode::SERVICE_UNAVAILABLE, "the mirror cannot be read\n"),
        }
    }

    /// The page, made of what the mirror holds.
    async fn page(self: Arc<Self>) -> Response<Body> {
        let Some(pages) = &self.pages else { return not_found() };
        let Some(page) = pages.get(&self.mirror).await else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the mirror cannot be read\n");
        };
        let builder = Response::builder().header(CONTENT_TYPE, Object::Page.content_type());
        let builder = builder.header(CACHE_CONTROL, A_WHILE).header(CONTENT_LENGTH, page.html.len());
        let builder = builder.header(CONTENT_SECURITY_POLICY, &*page.content_security_policy);
        finish(builder, Body::Whole(page.html))
    }

    async fn object(self: Arc<Self>, object: Object, headers: &HeaderMap) -> Response<Body> {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let tag = tag(&object);
        let is_known = |tags: &str| {
            tags.split(',').any(|known| Some(known.trim()) == tag.as_deref() || known.trim() == "*")
        };
        if tag.is_some() && header(IF_NONE_MATCH).is_some_and(is_known) {
            return described(
                &object,
                tag.as_deref(),
                Response::builder().status(StatusCode::NOT_MODIFIED),
                Body::empty(),
            );
        }
        let is_same = header(IF_RANGE).is_none_or(|known| Some(known) == tag.as_deref());
        let range = header(RANGE).filter(|_| tag.is_some() && is_same).map(str::to_owned);
        let (server, name) = (self.clone(), object.name());
        let found =
            spawn_blocking(move || Found::open(server.mirror.location(), &name, range.as_deref())).await;
        match found {
            Ok(Ok(Some(found))) => self.found(&object, tag.as_deref(), found),
            Ok(Ok(None)) => not_found(),
            Ok(Err(_)) | Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the mirror cannot be read\n"),
        }
    }

    fn found(&self, object: &Object, tag: Option<&str>, found: Found) -> Response<Body> {
        let Found { size, part, bytes } = found;
        let builder = Response::builder();
        let (builder, len) = match part {
            Part::Whole => (builder, size),
            Part::Some { from, len } => {
                let range = format!("bytes {from}-{}/{size}", from + len - 1);
                (builder.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, range), len)
            }
            Part::Beyond => {
                let builder = builder.status(StatusCode::RANGE_NOT_SATISFIABLE);
                (builder.header(CONTENT_RANGE, format!("bytes */{size}")), 0)
            }
        };
        let body = match bytes {
            Bytes::Read(bytes) => Body::Whole(bytes.into()),
            Bytes::ToRead(reader) => Body::pieces(reader, len, self.metrics.clone()),
        };
        described(object, tag, builder.header(CONTENT_LENGTH, len), body)
    }
}

/// An object that is there.
struct Found {
    size: u64,
    part: Part,
    bytes: Bytes,
}

enum Bytes {
    Read(Vec<u8>),
    ToRead(Box<dyn std::io::Read + Send>),
}

impl Found {
    /// Opens an object and reads it, if that is little. May wait for the disk or the network.
    fn open(location: &Location, name: &str, range: Option<&str>) -> Result<Option<Self>, LocationError> {
        let Some(Opened { size, bytes }) = location.open(name)? else { return Ok(None) };
        let part = Part::of(range, size);
        let (len, bytes) = match part {
            Part::Whole => (size, bytes),
            Part::Beyond => (0, bytes),
            Part::Some { from: 0, len } => (len, bytes),
            Part::Some { from, len } => match location.open_at(name, from)? {
                Some(opened) => (len, opened.bytes),
                None => return Ok(None),
            },
        };
        if len > PIECE as u64 {
            return Ok(Some(Found { size, part, bytes: Bytes::ToRead(bytes) }));
        }
        let mut read = Vec::new();
        let failed = |source| LocationError::Io { object: location.url(name), source };
        bytes.take(len).read_to_end(&mut read).map_err(failed)?;
        if (read.len() as u64) < len {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Some(Found { size, part, bytes: Bytes::Read(read) }))
    }
}

/// A validator for what is named by its own hash.
fn tag(object: &Object) -> Option<String> {
    matches!(object, Object::Nar(_) | Object::Source(_) | Object::Derivation(_))
        .then(|| format!("\"{}\"", object.name()))
}

fn described(
    object: &Object,
    tag: Option<&str>,
    builder: http::response::Builder,
    body: Body,
) -> Response<Body> {
    let mut builder = builder.header(CONTENT_TYPE, object.content_type());
    builder = match tag {
        Some(tag) => builder.header(ETAG, tag).header(ACCEPT_RANGES, "bytes").header(CACHE_CONTROL, FOREVER),
        None => builder.header(CACHE_CONTROL, A_WHILE),
    };
    if let Object::Page = object {
        builder = builder.header(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    }
    finish(builder, body)
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let text: String = text.into();
    let builder = Response::builder().status(status).header(CONTENT_TYPE, "text/plain; charset=utf-8");
    let builder = builder.header(CACHE_CONTROL, NEVER).header(CONTENT_LENGTH, text.len());
    finish(builder, Body::Whole(text.into()))
}

/// Nix remembers that a cache does not have a path; whoever stands between should not.
fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "there is no such object\n")
}

fn finish(builder: http::response::Builder, body: Body) -> Response<Body> {
    let builder = builder.header(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Every header above is of printable characters, and the names of objects are as well.
    builder.body(body).unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
