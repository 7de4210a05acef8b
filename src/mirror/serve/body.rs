//! The bytes of an object, on their way to a client.

use std::{
    io::{self, Read},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::metrics::Metrics;

/// What is read at once. A connection costs two of them: one on its way to the client, and the next one, read meanwhile.
pub(super) const PIECE: usize = 128 << 10;

/// Where an object is read from, on a thread that may wait for it.
type Reader = Box<dyn Read + Send>;

/// The body of an answer.
pub(super) enum Body {
    /// Small, and in memory.
    Whole(Bytes),
    /// Read piece by piece, no faster than the client takes it.
    Pieces(Pieces),
}

/// An object that is being read.
pub(super) struct Pieces {
    left: u64,
    state: State,
    metrics: Arc<Metrics>,
}

enum State {
    Idle(Reader),
    Reading(JoinHandle<io::Result<(Reader, Bytes)>>),
    Over,
}

impl Body {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Body::Whole(Bytes::new())
    }

    /// `len` bytes, read as they are wanted.
    pub(super) fn pieces(reader: Reader, len: u64, metrics: Arc<Metrics>) -> Self {
        Body::Pieces(Pieces { left: len, state: State::Idle(reader), metrics })
    }
}

impl Pieces {
    /// The next piece; an object that ends before its end is an error, which cuts the connection: the client must not take it for whole.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            self.state = State::Over;
            return Poll::Ready(None);
        }
        if let State::Idle(_) = self.state
            && let State::Idle(reader) = std::mem::replace(&mut self.state, State::Over)
        {
            self.state = begin(reader, self.left);
        }
        let State::Reading(reading) = &mut self.state else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context)).unwrap_or_else(|gone| Err(io::Error::other(gone)));
        Poll::Ready(Some(match read {
            Ok((_, piece)) if piece.is_empty() => {
                self.state = State::Over;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok((reader, piece)) => {
                self.left -= piece.len() as u64;
                self.state = if self.left == 0 { State::Over } else { begin(reader, self.left) };
                self.metrics.sent(piece.len() as u64);
                Ok(piece)
            }
            Err(error) => {
                self.state = State::Over;
                Err(error)
            }
        }))
    }
}

/// Reads the next piece of what is `left`, on a thread of its own.
fn begin(mut reader: Reader, left: u64) -> State {
    let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    State::Reading(spawn_blocking(move || {
        let mut piece = vec![0; most];
        let read = read_some(&mut reader, &mut piece)?;
        piece.truncate(read);
        Ok((reader, piece.into()))
    }))
}

/// As much as one reading gives.
fn read_some(reader: &mut Reader, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Body::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Body::Pieces(pieces) => {
                pieces.poll(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(bytes) => bytes.is_empty(),
            Body::Pieces(pieces) => pieces.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Body::Whole(bytes) => bytes.len() as u64,
            Body::Pieces(pieces) => pieces.left,
        })
    }
}
