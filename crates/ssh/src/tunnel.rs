//! Connections that a machine opens on our behalf.

use crate::channel::{Incoming, Message, Served};
use crate::session::Wanted;
use crate::{Result, Session, Stdin};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream to something that the machine can reach. Shutting it down ends one direction, dropping it both.
pub struct Tunnel {
    incoming: Incoming,
    rest: Bytes,
    ended: bool,
    outgoing: Stdin,
}

impl Session {
    /// Has the machine connect to a host and port, as it sees them.
    ///
    /// # Errors
    /// [`SshError::Denied`](crate::SshError::Denied) where nothing listens there or the server forbids it,
    /// [`SshError::Lost`](crate::SshError::Lost).
    pub async fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel> {
        self.reach(Wanted::Tcp { host: host.to_owned(), port }).await
    }

    /// Has the machine connect to a unix socket of its own, such as an engine's.
    ///
    /// # Errors
    /// As [`Session::tunnel`].
    pub async fn tunnel_socket(&self, path: &str) -> Result<Tunnel> {
        self.reach(Wanted::Socket { path: path.to_owned() }).await
    }

    async fn reach(&self, what: Wanted) -> Result<Tunnel> {
        let Served { incoming, outgoing, .. } = self.open(what, VecDeque::new()).await?;
        Ok(Tunnel { incoming, rest: Bytes::new(), ended: false, outgoing: Stdin::new(outgoing) })
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.ended {
            match ready!(self.incoming.poll_next(context)) {
                Some(Message::Data(bytes)) => self.rest = bytes,
                Some(Message::Stderr(_)) => {}
                Some(Message::Failed(error)) => {
                    self.ended = true;
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error)));
                }
                Some(Message::Ended | Message::Closed | Message::Exited(_) | Message::Signalled(_)) | None => {
                    self.ended = true;
                }
            }
        }
        let size = self.rest.len().min(buffer.remaining());
        buffer.put_slice(self.rest.get(..size).unwrap_or_default());
        self.rest.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.outgoing).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.outgoing).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.outgoing).poll_shutdown(context)
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tunnel").field("ended", &self.ended).finish_non_exhaustive()
    }
}
