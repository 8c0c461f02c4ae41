//! A stream as a reader for work that blocks.

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use rig_provider_api::ByteStream;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Chunks on their way to a reader that is slower.
const QUEUE: usize = 8;

/// Both ends.
pub(super) fn pipe() -> (Feed, Pipe) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Feed(sender), Pipe { receiver, chunk: Bytes::new(), ended: false })
}

/// Where a stream goes in.
pub(super) struct Feed(mpsc::Sender<io::Result<Bytes>>);

impl Feed {
    /// Hands a stream on until it ends or nobody reads any more. When this is cut, the reader gets an error, for half a
    /// stream may look like a whole one.
    pub(super) async fn run(self, mut stream: ByteStream, mut passed: impl FnMut(u64)) {
        let mut count = 0;
        while let Some(chunk) = stream.next().await {
            count += chunk.as_ref().map_or(0, Bytes::len) as u64;
            // Nothing in it is the sign of the end.
            let nothing = chunk.as_ref().is_ok_and(Bytes::is_empty);
            if !nothing && self.0.send(chunk).await.is_err() {
                return;
            }
            passed(count);
        }
        // An error says that nobody waits for the end.
        let _ = self.0.send(Ok(Bytes::new())).await;
    }
}

/// Where it comes out. To be read on threads that may block.
pub(super) struct Pipe {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Err(io::Error::other("it was cut off")),
            }
            self.ended = self.chunk.is_empty();
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
