//! The stream below the SSH protocol, with a switch.

use crate::{Connection, greeting::Greeted};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long the other side may take nothing at all. A live server always reads, since windows bound what is sent to it;
/// russh notices a peer that is gone by itself only while it does not write.
const STUCK: Duration = Duration::from_secs(60);

/// A connection that can be cut from outside. russh runs the protocol in a task that ends only with its connection:
/// cutting is how that task is made to end.
pub(crate) struct Wire {
    inner: Box<dyn Connection>,
    cut: CancellationToken,
    cutting: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What the other side has said already, to be read first.
    said: Bytes,
    /// Runs while a write waits.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(crate) fn new(greeted: Greeted, cut: CancellationToken) -> Self {
        let Greeted { connection: inner, said } = greeted;
        Self { inner, cutting: Box::pin(cut.clone().cancelled_owned()), cut, said, stuck: None }
    }

    /// Ready with an error once the wire is cut. Leaves a wake-up behind until then.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if !self.cut.is_cancelled() {
            ready!(self.cutting.as_mut().poll(context));
        }
        Poll::Ready(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was ended on this side"))
    }

    fn watched<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stuck = None;
            return result;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(STUCK)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the other side took nothing for {} seconds", STUCK.as_secs()),
        )))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(error) = self.poll_cut(context) {
            return Poll::Ready(Err(error));
        }
        if !self.said.is_empty() {
            let length = self.said.len().min(buffer.remaining());
            buffer.put_slice(&self.said[..length]);
            self.said.advance(length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(error) = self.poll_cut(context) {
            return Poll::Ready(Err(error));
        }
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watched(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(error) = self.poll_cut(context) {
            return Poll::Ready(Err(error));
        }
        let result = Pin::new(&mut self.inner).poll_flush(context);
        self.watched(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_cut(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watched(context, result)
    }
}
