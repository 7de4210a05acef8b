//! A mirror in a bucket of an object service: S3 and what speaks like it, Google's, Azure's.
//!
//! The only place that knows of `object_store` and of tokio: everything else of this room is blocking. Credentials, endpoint and
//! region come from the environment, as the services' own tools have them (`AWS_…`, `GOOGLE_…`, `AZURE_…`).

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, UpdateVersion,
    aws::{AmazonS3Builder, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    path::Path,
    prefix::PrefixStore,
};
use tokio::runtime::{Builder, Runtime};

use super::{Objects, Opened, Put};
use crate::mirror::layout::Object;

/// What is created in one request, with the condition that nothing is there. Memory for each writer.
const WHOLE: u64 = 64 << 20;

/// Parts of what is larger. Services take up to 10,000 of them: 320 GB.
const PART: usize = 32 << 20;

/// How often an object is created of which a service says that it is there, and that it is not.
const ATTEMPTS: usize = 4;

/// A bucket, or what begins with a prefix in one.
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
}

impl Bucket {
    /// The bucket at `s3://…`, `gs://…` or `az://…`; `None` for any other scheme.
    ///
    /// # Errors
    /// An address that the service could not have, and credentials that cannot be read. Nothing is asked of the service yet.
    pub fn new(address: &str) -> io::Result<Option<Self>> {
        let Some((scheme, rest)) = address.split_once("://") else { return Ok(None) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let url = format!("{scheme}://{bucket}");
        // Whoever asked first has chosen; here it is nobody else.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store: Arc<dyn ObjectStore> = match scheme {
            "s3" => {
                let builder = AmazonS3Builder::from_env().with_url(url);
                let builder = builder.with_conditional_put(S3ConditionalPut::ETagMatch);
                Arc::new(builder.build().map_err(io::Error::other)?)
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
                Arc::new(builder.build().map_err(io::Error::other)?)
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url);
                Arc::new(builder.build().map_err(io::Error::other)?)
            }
            _ => return Ok(None),
        };
        let prefix = prefix.trim_matches('/');
        let store = if prefix.is_empty() {
            store
        } else {
            Arc::new(PrefixStore::new(store, Path::parse(prefix).map_err(io::Error::other)?))
        };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Some(Bucket { store, runtime: Arc::new(runtime) }))
    }

    /// An object, or what of it is asked for.
    fn get(&self, name: &str, range: Option<GetRange>) -> io::Result<Option<Opened>> {
        let options = GetOptions { range, ..GetOptions::default() };
        // Only what says that it is not there is not there: neither a refusal nor a failure is.
        match self.runtime.block_on(self.store.get_opts(&path(name)?, options)) {
            Ok(found) => {
                let size = found.meta.size;
                let stream = found.into_stream();
                let body = Body { stream, chunk: Bytes::new(), runtime: Arc::clone(&self.runtime) };
                Ok(Some(Opened { size, bytes: Box::new(body) }))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Creates an object. A service may refuse where nothing is there (S3: "409 ConditionalRequestConflict", when somebody removes it at
    /// that moment), and is asked again then.
    fn create(&self, path: &Path, bytes: Bytes) -> io::Result<Put> {
        self.runtime.block_on(async {
            for _ in 0..ATTEMPTS {
                let put = PutPayload::from_bytes(bytes.clone());
                match self.store.put_opts(path, put, options(path, PutMode::Create)).await {
                    Ok(_) => return Ok(Put::New),
                    Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                    Err(error) => return Err(failed(error)),
                }
                if self.size_of(path).await?.is_some() {
                    return Ok(Put::There);
                }
            }
            let why = format!("{path}: the service says that it is there when it is created, and that it is not when it is read");
            Err(io::Error::other(why))
        })
    }

    /// Creates what is too large for one request. There is no condition on these: who meets another writer here replaces an object
    /// by the same bytes, because everything large is named by the hash of its bytes or follows from what is. Where the other one was
    /// faster a service may have thrown our parts away (Azure: "Put Block List" discards every block that is not committed): what is
    /// there then is what was to be there.
    fn create_in_parts(&self, path: &Path, file: &mut File, size: u64) -> io::Result<Put> {
        self.runtime.block_on(async {
            if self.size_of(path).await?.is_some() {
                return Ok(Put::There);
            }
            match self.send_parts(path, file).await {
                Ok(()) => Ok(Put::New),
                Err(_) if self.size_of(path).await? == Some(size) => Ok(Put::There),
                Err(error) => Err(error),
            }
        })
    }

    async fn send_parts(&self, path: &Path, file: &mut File) -> io::Result<()> {
        let mut upload = self.store.put_multipart_opts(path, described(path).into()).await.map_err(failed)?;
        loop {
            let mut part = Vec::new();
            file.take(PART as u64).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
            if let Err(error) = upload.put_part(part.into()).await {
                // What was sent so far costs money until it is given up.
                let _ = upload.abort().await;
                return Err(failed(error));
            }
        }
        upload.complete().await.map(drop).map_err(failed)
    }

    /// How many bytes an object has; `None` when it is not there.
    async fn size_of(&self, path: &Path) -> io::Result<Option<u64>> {
        match self.store.head(path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Objects for Bucket {
    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        self.get(name, None)
    }

    fn open_at(&self, name: &str, offset: u64) -> io::Result<Option<Opened>> {
        self.get(name, Some(GetRange::Offset(offset)))
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(String, u64)) -> io::Result<()> {
        let within = prefix.rsplit_once('/').map(|(folder, _)| path(folder)).transpose()?;
        self.runtime.block_on(async {
            let mut listed = self.store.list(within.as_ref());
            while let Some(found) = listed.next().await {
                let found = found.map_err(failed)?;
                if found.location.as_ref().starts_with(prefix) {
                    visit(found.location.to_string(), found.size);
                }
            }
            Ok(())
        })
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> io::Result<Put> {
        self.create(&path(name)?, Bytes::copy_from_slice(bytes))
    }

    fn put_new_file(&self, name: &str, file: &mut File) -> io::Result<Put> {
        let path = path(name)?;
        let size = file.metadata()?.len().saturating_sub(file.stream_position()?);
        if size > WHOLE {
            return self.create_in_parts(&path, file, size);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.create(&path, bytes.into())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = path(name)?;
        let options = options(&path, PutMode::Overwrite);
        let payload = PutPayload::from_bytes(Bytes::copy_from_slice(bytes));
        self.runtime.block_on(self.store.put_opts(&path, payload, options)).map(drop).map_err(failed)
    }

    fn exchange(&self, name: &str, was: &[u8], bytes: &[u8]) -> io::Result<bool> {
        let path = path(name)?;
        self.runtime.block_on(async {
            let found = match self.store.get(&path).await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(failed(error)),
            };
            if found.meta.size != was.len() as u64 {
                return Ok(false);
            }
            let version =
                UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            if found.bytes().await.map_err(failed)? != was {
                return Ok(false);
            }
            let payload = PutPayload::from_bytes(Bytes::copy_from_slice(bytes));
            match self.store.put_opts(&path, payload, options(&path, PutMode::Update(version))).await {
                Ok(_) => Ok(true),
                Err(Error::Precondition { .. } | Error::NotFound { .. } | Error::AlreadyExists { .. }) => {
                    Ok(false)
                }
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        match self.runtime.block_on(self.store.head(&path(name)?)) {
            Ok(found) => Ok(Some(found.last_modified.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        match self.runtime.block_on(self.store.delete(&path(name)?)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// An object on its way.
struct Body {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    chunk: Bytes,
    runtime: Arc<Runtime>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(next) => self.chunk = next.map_err(failed)?,
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.chunk.len());
        buffer[..n].copy_from_slice(&self.chunk.split_to(n));
        Ok(n)
    }
}

/// What is said of an object to whoever reads the bucket over HTTP.
fn described(path: &Path) -> Attributes {
    let object = Object::parse(path.as_ref());
    let content_type = object.map_or("application/octet-stream", |object| object.content_type());
    Attributes::from_iter([(Attribute::ContentType, content_type)])
}

fn options(path: &Path, mode: PutMode) -> PutOptions {
    PutOptions { mode, attributes: described(path), ..PutOptions::default() }
}

fn path(name: &str) -> io::Result<Path> {
    Path::parse(name).map_err(io::Error::other)
}

fn failed(error: Error) -> io::Error {
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::Error::new(io::ErrorKind::PermissionDenied, error)
        }
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::BoxFuture;
    use object_store::{
        CopyOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutResult,
        Result, memory::InMemory,
    };

    use super::*;
    use crate::mirror::layout::FileHash;

    /// A service that says so many times that an object is there which is not.
    #[derive(Debug)]
    struct Mistaken {
        store: InMemory,
        left: AtomicUsize,
    }

    impl fmt::Display for Mistaken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("mistaken")
        }
    }

    impl ObjectStore for Mistaken {
        fn put_opts<'a: 'c, 'b: 'c, 'c>(
            &'a self,
            path: &'b Path,
            bytes: PutPayload,
            options: PutOptions,
        ) -> BoxFuture<'c, Result<PutResult>> {
            let one_less = |left: usize| left.checked_sub(1);
            if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
                let error = Error::AlreadyExists { path: path.to_string(), source: "conflict".into() };
                return Box::pin(async { Err(error) });
            }
            self.store.put_opts(path, bytes, options)
        }
        fn put_multipart_opts<'a: 'c, 'b: 'c, 'c>(
            &'a self,
            path: &'b Path,
            options: PutMultipartOptions,
        ) -> BoxFuture<'c, Result<Box<dyn MultipartUpload>>> {
            self.store.put_multipart_opts(path, options)
        }
        fn get_opts<'a: 'c, 'b: 'c, 'c>(
            &'a self,
            path: &'b Path,
            options: GetOptions,
        ) -> BoxFuture<'c, Result<GetResult>> {
            self.store.get_opts(path, options)
        }
        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.store.delete_stream(paths)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.store.list(prefix)
        }
        fn list_with_delimiter<'a: 'c, 'b: 'c, 'c>(
            &'a self,
            prefix: Option<&'b Path>,
        ) -> BoxFuture<'c, Result<ListResult>> {
            self.store.list_with_delimiter(prefix)
        }
        fn copy_opts<'a: 'd, 'b: 'd, 'c: 'd, 'd>(
            &'a self,
            from: &'b Path,
            to: &'c Path,
            options: CopyOptions,
        ) -> BoxFuture<'d, Result<()>> {
            self.store.copy_opts(from, to, options)
        }
    }

    #[test]
    fn what_a_service_says_is_there_and_is_not_is_created_or_an_error_and_never_passed_over() {
        let runtime = Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
        let mistaken = |times| {
            let store = Mistaken { store: InMemory::new(), left: AtomicUsize::new(times) };
            Bucket { store: Arc::new(store), runtime: Arc::clone(&runtime) }
        };
        let bucket = mistaken(ATTEMPTS - 1);
        assert_eq!(bucket.put_new("mirror.json", b"one").unwrap(), Put::New);
        assert_eq!(bucket.put_new("mirror.json", b"two").unwrap(), Put::There);
        let error = mistaken(ATTEMPTS).put_new("mirror.json", b"one").unwrap_err();
        assert!(error.to_string().contains("mirror.json: the service says"), "{error}");
    }

    #[test]
    fn every_way_in_which_an_object_is_written_says_what_it_is() {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bucket = Bucket { store: Arc::new(InMemory::new()), runtime: Arc::new(runtime) };
        let said = |name: &str| {
            let got = bucket.runtime.block_on(bucket.store.get(&path(name).unwrap())).unwrap();
            got.attributes.get(&Attribute::ContentType).unwrap().to_string()
        };
        let part = "0".repeat(32);
        let narinfo = format!("{part}.narinfo");
        assert_eq!(bucket.put_new(&narinfo, b"one").unwrap(), Put::New);
        assert_eq!(said(&narinfo), "text/x-nix-narinfo");
        assert_eq!(bucket.put_new(&narinfo, b"two").unwrap(), Put::There);
        assert!(bucket.exchange(&narinfo, b"one", b"three").unwrap());
        assert_eq!(said(&narinfo), "text/x-nix-narinfo");
        bucket.replace("index.html", b"<p>").unwrap();
        assert_eq!(said("index.html"), "text/html; charset=utf-8");
        for (name, expected) in [
            ("nix-cache-info", "text/x-nix-cache-info"),
            ("mirror.json", "application/json"),
            (&format!("{part}.ls"), "application/json"),
            (&format!("log/{part}-a.drv"), "text/plain; charset=utf-8"),
            (&format!("derivations/{part}-a.drv"), "application/octet-stream"),
            ("claims/probe", "application/octet-stream"),
        ] {
            bucket.put_new(name, b"x").unwrap();
            assert_eq!(said(name), expected, "{name}");
        }
        // What is sent whole, and what is sent in parts.
        for (size, byte) in [(4, 1), (WHOLE + 1, 2)] {
            let mut file = tempfile::tempfile().unwrap();
            file.set_len(size).unwrap();
            let name = Object::Nar(FileHash([byte; 32])).name();
            assert_eq!(bucket.put_new_file(&name, &mut file).unwrap(), Put::New);
            assert_eq!(said(&name), "application/x-nix-nar");
            assert_eq!(bucket.open(&name).unwrap().unwrap().size, size);
        }
    }
}
