//! Bytes between a blocking thread and a connection, a bounded number of them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io::{self, Read, Write};
use tokio::sync::mpsc;

/// The size of a piece.
const PIECE: usize = 256 << 10;

/// Pieces that may wait.
const WAITING: usize = 8;

/// The end that writes, on a blocking thread, and what comes out of it.
pub(super) fn writer() -> (PipeWriter, mpsc::Receiver<Bytes>) {
    let (give, take) = mpsc::channel(WAITING);
    (PipeWriter { give, piece: BytesMut::with_capacity(PIECE) }, take)
}

/// What goes in, and the end that reads it, on a blocking thread.
pub(super) fn reader() -> (mpsc::Sender<Bytes>, PipeReader) {
    let (give, take) = mpsc::channel(WAITING);
    (give, PipeReader { take, rest: Bytes::new() })
}

pub(super) struct PipeWriter {
    give: mpsc::Sender<Bytes>,
    piece: BytesMut,
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = bytes.len().min(PIECE - self.piece.len());
        self.piece.put_slice(bytes.get(..size).unwrap_or_default());
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE));
        self.give.blocking_send(piece.freeze()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

pub(super) struct PipeReader {
    take: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.take.blocking_recv() {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let size = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(buffer.get_mut(..size).unwrap_or_default());
        Ok(size)
    }
}
