//! A mirror over HTTP, for stock Nix: its objects as they are, to be read and no more.
//!
//! | module | what lives there |
//! |---|---|
//! | [`request`] | what a request asks for |
//! | `answer` | the answer |
//! | `body` | bytes on their way |
//! | `pages` | the page at the root |
//! | `numbers` | what it holds that somebody should look at, counted |
//! | `kept` | what is made when somebody asks, and kept a while |
//! | [`metrics`] | what is counted |
//!
//! HTTP/1.1 is hyper's; what encrypts stands in front. A connection costs a task, 32 KiB for what it asks and one piece of the object
//! it gets, and there are no more of them at once than [`Limits::connections`]: memory is bounded whoever connects. Who neither asks nor
//! takes for a while is cut off.

mod answer;
mod body;
mod kept;
pub mod metrics;
mod numbers;
mod pages;
pub mod request;

use std::{convert::Infallible, future::Future, io, net::TcpListener, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::{Mirror, page};
use kept::Kept;
use metrics::Metrics;
use numbers::Numbers;
use pages::Pages;

/// What a server gives to those who connect.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a connection may take to ask for something, or to take a piece of what it asked for.
    pub patience: Duration,
    /// How long transfers that are under way may go on after the server was told to stop.
    pub leave: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 4096, patience: Duration::from_secs(60), leave: Duration::from_secs(10) }
    }
}

/// What is asked for in one request, at most, in bytes: names and headers.
const REQUEST: usize = 32 << 10;

/// A mirror that is served.
pub struct Server {
    mirror: Arc<Mirror>,
    pages: Option<Arc<Pages>>,
    metrics: Arc<Metrics>,
    numbers: Arc<Kept<Option<Numbers>>>,
}

impl Server {
    /// Of a mirror; the page is the one that lies in it.
    pub fn new(mirror: Mirror) -> Self {
        Server { mirror: Arc::new(mirror), pages: None, metrics: Arc::default(), numbers: Arc::default() }
    }

    /// The same, but the page is made when somebody asks for it.
    #[must_use]
    pub fn making_pages(self, make: Box<page::Maker>) -> Self {
        Server { pages: Some(Arc::new(Pages::new(make))), ..self }
    }

    /// What was asked for so far.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Answers whoever connects to `listener` until `stop` is ready, on threads of its own.
    ///
    /// # Errors
    /// The operating system's, when there can be no threads or the listener is none.
    pub fn run(
        self: Arc<Self>,
        listener: TcpListener,
        limits: Limits,
        stop: impl FnOnce() -> io::Result<StopSignal>,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // Another one than what is served: a location can have a runtime of its own, which must not be dropped within this one.
        let server = self.clone();
        let ended = runtime.block_on(async {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let stop = stop()?;
            server.serve(listener, limits, stop).await;
            Ok(())
        });
        // Who reads from a service that does not answer is not waited for.
        runtime.shutdown_timeout(limits.leave);
        ended
    }

    async fn serve(
        self: Arc<Self>,
        listener: tokio::net::TcpListener,
        limits: Limits,
        stop: impl Future<Output = ()>,
    ) {
        let places = Arc::new(Semaphore::new(limits.connections));
        let (graceful, mut stop) = (GracefulShutdown::new(), pin!(stop));
        loop {
            let accepted = async {
                // Never closed.
                let place = places.clone().acquire_owned().await.ok();
                (place, listener.accept().await)
            };
            let (place, stream) = tokio::select! {
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => (place, stream),
                    Err(_) => {
                        // Out of files, most likely: those that are open have to end first.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = &mut stop => break,
            };
            let _ = stream.set_nodelay(true);
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(limits.patience));
            let server = self.clone();
            let service = service_fn(move |request| {
                let answer = server.clone().answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(limits.patience).max_buf_size(REQUEST);
            let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
            let (connection, connected) = (graceful.watch(connection), self.metrics.connected());
            tokio::spawn(async move {
                // That a client went away is its own business.
                let _ = connection.await;
                drop((connected, place));
            });
        }
        drop(listener);
        let _ = tokio::time::timeout(limits.leave, graceful.shutdown()).await;
    }
}

/// Ready when the server is to stop.
pub type StopSignal = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ready when this process is told to end: by SIGINT or SIGTERM.
///
/// # Errors
/// The operating system's. To be called where tokio runs.
pub fn told_to_end() -> io::Result<StopSignal> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    }))
}

/// Lets this process have as many files open as it may: a connection is one, and what it reads another.
pub fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What is refused leaves the limit as it was, and fewer are served at once.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
